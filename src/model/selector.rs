//! Label selectors, with the API server's semantics.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;

use serde::{Deserialize, Deserializer};

use super::run_time_labels::{is_given_at_run_time, is_given_by_controller};
use super::{Labels, nullable};

const REVISION_LABEL: &str = "controller-revision-hash";

/// A `metav1.LabelSelector`. An empty selector selects everything. An absent one (`None` where it is optional) selects nothing; the holder
/// of the `Option` must handle that.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct LabelSelector {
    /// Every label must have this value.
    pub match_labels: Labels,
    /// Every requirement must hold as well.
    #[serde(deserialize_with = "nullable::list")]
    pub match_expressions: Vec<Requirement>,
}

/// One item of `matchExpressions`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Requirement {
    /// The label's key.
    #[serde(deserialize_with = "nullable::field")]
    pub key: Box<str>,
    /// How the label is compared.
    pub operator: SelectorOperator,
    /// The values to compare with; empty for `Exists` and `DoesNotExist`. Long lists are sorted.
    #[serde(deserialize_with = "values")]
    pub values: Vec<Box<str>>,
}

/// Up to this many values stay in their written order, and are searched one by one.
const FEW_VALUES: usize = 16;

fn values<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Box<str>>, D::Error> {
    let mut values: Vec<Box<str>> = nullable::list(deserializer)?;
    if values.len() > FEW_VALUES {
        values.sort_unstable();
    }
    Ok(values)
}

/// The operators of `matchExpressions`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(from = "Option<std::borrow::Cow<'_, str>>")]
pub enum SelectorOperator {
    /// The label's value is one of `values`.
    In,
    /// The label is absent, or its value is none of `values`.
    NotIn,
    /// The label is there.
    Exists,
    /// The label is not there.
    DoesNotExist,
    /// An invalid operator: the API server refuses it, and it selects nothing here.
    #[default]
    Invalid,
}

/// Which pods of a set a selector selects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coverage {
    None,
    /// Some, all or none: it depends on labels that pods only get while they run.
    Part,
    All,
}

impl From<Option<std::borrow::Cow<'_, str>>> for SelectorOperator {
    fn from(name: Option<std::borrow::Cow<'_, str>>) -> Self {
        match name.as_deref() {
            Some("In") => Self::In,
            Some("NotIn") => Self::NotIn,
            Some("Exists") => Self::Exists,
            Some("DoesNotExist") => Self::DoesNotExist,
            _ => Self::Invalid,
        }
    }
}

impl LabelSelector {
    /// Whether the selector selects an object with these labels.
    pub fn matches(&self, labels: &Labels) -> bool {
        self.match_labels.is_subset_of(labels) && self.match_expressions.iter().all(|r| r.holds(labels))
    }

    /// Which pods made from a template with these labels are selected. Running pods have more labels than the template.
    pub fn coverage(&self, template: &Labels) -> Coverage {
        let (mut decided, mut open) = (true, false);
        for requirement in self.requirements() {
            if requirement.is_open(template) {
                open = true;
            } else {
                decided &= requirement.holds(template);
            }
        }
        match (decided, open) {
            (false, _) => Coverage::None,
            (true, true) => Coverage::Part,
            (true, false) => Coverage::All,
        }
    }

    /// Whether the selection may depend on labels that pods only get while they run.
    pub fn depends_on_run_time(&self) -> bool {
        self.requirements().any(|requirement| requirement.is_open(&Labels::default()))
    }

    /// Whether it requires labels that only operators or the software itself set, apart from those of the controller.
    pub fn depends_on_operators(&self, template: &Labels) -> bool {
        let mut open = self.requirements().filter(|requirement| requirement.is_open(template));
        open.any(|requirement| {
            !is_given_by_controller(&requirement.key) || &*requirement.key == REVISION_LABEL
        })
    }

    /// Whether no pod can match both selectors.
    pub fn is_disjoint_from(&self, other: &Self) -> bool {
        let theirs: Vec<Cow<'_, Requirement>> = other.requirements().collect();
        self.requirements().any(|mine| theirs.iter().any(|theirs| mine.contradicts(theirs)))
    }

    /// `matchLabels` and `matchExpressions` in one form.
    pub fn requirements(&self) -> impl Iterator<Item = Cow<'_, Requirement>> {
        let labels = self.match_labels.iter().map(|(key, value)| {
            let (key, values) = (key.into(), vec![value.into()]);
            Cow::Owned(Requirement { key, operator: SelectorOperator::In, values })
        });
        labels.chain(self.match_expressions.iter().map(Cow::Borrowed))
    }

    /// The first requirement that these labels do not meet, with the value they have instead: `app=zookeeper, but they have app=zk`.
    pub fn unmet(&self, labels: &Labels) -> Option<String> {
        let label = self.match_labels.iter().find(|(key, value)| labels.get(key) != Some(value));
        let (key, wanted) = if let Some((key, value)) = label {
            (key, format!("{key}={value}"))
        } else {
            let requirement = self.match_expressions.iter().find(|r| !r.holds(labels))?;
            (&*requirement.key, requirement.to_string())
        };
        Some(match labels.get(key) {
            Some(value) => format!("{wanted}, but they have {key}={value}"),
            None => format!("{wanted}, but they have no label {key}"),
        })
    }

    /// Whether it selects every object.
    pub fn is_empty(&self) -> bool {
        self.match_labels.is_empty() && self.match_expressions.is_empty()
    }
}

impl Requirement {
    fn lists(&self, value: &str) -> bool {
        if self.values.len() <= FEW_VALUES {
            return self.values.iter().any(|listed| **listed == *value);
        }
        self.values.binary_search_by(|listed| (**listed).cmp(value)).is_ok()
    }

    /// Whether the template does not decide the requirement, because the label is only set later.
    fn is_open(&self, template: &Labels) -> bool {
        let values = self.values.iter().map(|value| &**value);
        is_given_by_controller(&self.key)
            || (template.get(&self.key).is_none() && is_given_at_run_time(&self.key, values))
    }

    /// Whether no label can meet both requirements.
    fn contradicts(&self, other: &Self) -> bool {
        if self.key != other.key {
            return false;
        }
        let theirs: HashSet<&str> = other.values.iter().map(|value| &**value).collect();
        let mut mine = self.values.iter().map(|value| theirs.contains(&**value));
        match (self.operator, other.operator) {
            (SelectorOperator::In, SelectorOperator::In) => !mine.any(|shared| shared),
            (SelectorOperator::In, SelectorOperator::NotIn) => mine.all(|shared| shared),
            (SelectorOperator::NotIn, SelectorOperator::In) => other.contradicts(self),
            (SelectorOperator::In | SelectorOperator::Exists, SelectorOperator::DoesNotExist)
            | (SelectorOperator::DoesNotExist, SelectorOperator::In | SelectorOperator::Exists) => true,
            _ => false,
        }
    }

    /// Whether an object with these labels meets the requirement.
    pub fn holds(&self, labels: &Labels) -> bool {
        self.holds_for(labels.get(&self.key))
    }

    /// Whether an object meets the requirement if its label has this value; `None` if it has no such label.
    pub fn holds_for(&self, value: Option<&str>) -> bool {
        let listed = value.is_some_and(|value| self.lists(value));
        match self.operator {
            SelectorOperator::In => listed,
            SelectorOperator::NotIn => !listed,
            SelectorOperator::Exists => value.is_some(),
            SelectorOperator::DoesNotExist => value.is_none(),
            SelectorOperator::Invalid => false,
        }
    }
}

/// In the form of `kubectl get -l`: `app=zk,tier in (a,b),!canary`; `everything` for an empty selector.
impl fmt::Display for LabelSelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return f.write_str("everything");
        }
        write!(f, "{}", self.match_labels)?;
        for (index, requirement) in self.match_expressions.iter().enumerate() {
            let comma = if index == 0 && self.match_labels.is_empty() { "" } else { "," };
            write!(f, "{comma}{requirement}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Requirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (key, values) = (&self.key, self.values.join(","));
        match self.operator {
            SelectorOperator::In => write!(f, "{key} in ({values})"),
            SelectorOperator::NotIn => write!(f, "{key} notin ({values})"),
            SelectorOperator::Exists => write!(f, "{key}"),
            SelectorOperator::DoesNotExist => write!(f, "!{key}"),
            SelectorOperator::Invalid => write!(f, "{key} (invalid operator)"),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn labels(pairs: &[(&str, &str)]) -> Labels {
        pairs.iter().copied().collect()
    }

    fn selector(json: &str) -> LabelSelector {
        serde_json::from_str(json).unwrap()
    }

    fn expression(operator: &str, values: &str) -> LabelSelector {
        selector(&format!(
            r#"{{"matchExpressions":[{{"key":"a","operator":"{operator}","values":{values}}}]}}"#
        ))
    }

    #[test]
    fn an_empty_selector_selects_everything() {
        assert!(selector("{}").matches(&labels(&[])));
        assert!(selector(r#"{"matchLabels":null,"matchExpressions":null}"#).matches(&labels(&[("a", "1")])));
    }

    #[test]
    fn every_operator_at_its_edges() {
        let (one, two, none) = (labels(&[("a", "1")]), labels(&[("a", "2")]), labels(&[("b", "1")]));
        for (operator, values, expected) in [
            ("In", r#"["1","3"]"#, [true, false, false]),
            ("In", "[]", [false, false, false]),
            ("NotIn", r#"["1","3"]"#, [false, true, true]),
            ("Exists", "null", [true, true, false]),
            ("DoesNotExist", "[]", [false, false, true]),
            ("Near", "[]", [false, false, false]),
        ] {
            let selector = expression(operator, values);
            assert_eq!([&one, &two, &none].map(|l| selector.matches(l)), expected, "{operator} {values}");
        }
    }

    #[test]
    fn labels_and_expressions_must_both_hold() {
        let both = selector(
            r#"{"matchLabels":{"app":"zk"},"matchExpressions":[{"key":"canary","operator":"DoesNotExist"}]}"#,
        );
        assert!(both.matches(&labels(&[("app", "zk")])));
        assert!(!both.matches(&labels(&[("app", "zk"), ("canary", "")])));
        assert_eq!(both.to_string(), "app=zk,!canary");
    }

    #[test]
    fn what_comes_at_run_time_is_undecided() {
        let plain = labels(&[("app", "zk")]);
        let with_role = labels(&[("app", "zk"), ("role", "member")]);
        for (json, template, coverage) in [
            (r#"{"matchLabels":{"app":"zk"}}"#, &plain, Coverage::All),
            (r#"{"matchLabels":{"app":"db","spilo-role":"master"}}"#, &plain, Coverage::None),
            (r#"{"matchLabels":{"app":"zk","spilo-role":"master"}}"#, &plain, Coverage::Part),
            (
                r#"{"matchLabels":{"app":"zk","statefulset.kubernetes.io/pod-name":"zk-0"}}"#,
                &plain,
                Coverage::Part,
            ),
            (
                r#"{"matchExpressions":[{"key":"apps.kubernetes.io/pod-index","operator":"NotIn","values":["0"]}]}"#,
                &plain,
                Coverage::Part,
            ),
            (r#"{"matchLabels":{"role":"replica"}}"#, &plain, Coverage::Part),
            (r#"{"matchLabels":{"role":"browser"}}"#, &plain, Coverage::None),
            (r#"{"matchLabels":{"role":"member"}}"#, &with_role, Coverage::All),
            (r#"{"matchLabels":{"role":"replica"}}"#, &with_role, Coverage::None),
        ] {
            assert_eq!(selector(json).coverage(template), coverage, "{json}");
        }
        assert!(selector(r#"{"matchLabels":{"spilo-role":"master"}}"#).depends_on_operators(&plain));
        let by_name = selector(r#"{"matchLabels":{"statefulset.kubernetes.io/pod-name":"zk-0"}}"#);
        assert!(by_name.depends_on_run_time() && !by_name.depends_on_operators(&plain));
    }

    #[test]
    fn contradictions_keep_selectors_apart() {
        for (one, other, disjoint) in [
            (("In", r#"["1"]"#), ("In", r#"["2"]"#), true),
            (("In", r#"["1","2"]"#), ("In", r#"["2"]"#), false),
            (("In", r#"["1"]"#), ("NotIn", r#"["1","2"]"#), true),
            (("In", r#"["1","3"]"#), ("NotIn", r#"["1","2"]"#), false),
            (("NotIn", r#"["1"]"#), ("NotIn", r#"["2"]"#), false),
            (("Exists", "[]"), ("DoesNotExist", "[]"), true),
            (("In", r#"["1"]"#), ("DoesNotExist", "[]"), true),
            (("In", r#"["1"]"#), ("Exists", "[]"), false),
        ] {
            let (one, other) = (expression(one.0, one.1), expression(other.0, other.1));
            assert_eq!(one.is_disjoint_from(&other), disjoint, "{one} and {other}");
            assert_eq!(other.is_disjoint_from(&one), disjoint, "{other} and {one}");
        }
        assert!(
            !selector(r#"{"matchLabels":{"a":"1"}}"#)
                .is_disjoint_from(&selector(r#"{"matchLabels":{"b":"2"}}"#))
        );
    }

    #[test]
    fn says_what_is_unmet() {
        let template = labels(&[("app", "zk")]);
        for (selector_of, unmet) in [
            (r#"{"matchLabels":{"app":"zk"}}"#, None),
            (r#"{"matchLabels":{"app":"db"}}"#, Some("app=db, but they have app=zk")),
            (r#"{"matchLabels":{"tier":"x"}}"#, Some("tier=x, but they have no label tier")),
            (
                r#"{"matchExpressions":[{"key":"app","operator":"NotIn","values":["zk"]}]}"#,
                Some("app notin (zk), but they have app=zk"),
            ),
        ] {
            assert_eq!(selector(selector_of).unmet(&template).as_deref(), unmet);
        }
    }

    fn small_labels() -> impl Strategy<Value = Labels> {
        proptest::collection::vec(("[ab]", "[12]?"), 0..3).prop_map(|pairs| pairs.into_iter().collect())
    }

    proptest! {
        #[test]
        fn in_and_notin_are_opposites(labels in small_labels(), values in proptest::collection::vec("[12]", 0..3)) {
            let values = serde_json::to_string(&values).unwrap();
            prop_assert_ne!(expression("In", &values).matches(&labels), expression("NotIn", &values).matches(&labels));
        }

        #[test]
        fn exists_and_doesnotexist_are_opposites(labels in small_labels()) {
            prop_assert_ne!(expression("Exists", "[]").matches(&labels), expression("DoesNotExist", "[]").matches(&labels));
        }

        #[test]
        fn a_label_is_the_same_as_in_one_value(labels in small_labels(), value in "[12]") {
            let by_label = selector(&format!(r#"{{"matchLabels":{{"a":"{value}"}}}}"#));
            prop_assert_eq!(by_label.matches(&labels), expression("In", &format!(r#"["{value}"]"#)).matches(&labels));
        }
    }
}
