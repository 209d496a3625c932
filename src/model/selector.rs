//! Label selectors, with the API server's semantics.

use std::fmt;

use serde::Deserialize;

use super::{Labels, nullable};

/// A `metav1.LabelSelector`. Empty, it selects everything; an absent one (`None` where it is optional) selects nothing,
/// which is for the holder of the `Option` to say.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct LabelSelector {
    /// Every label must be there with this value.
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
    pub operator: Operator,
    /// What it is compared with; empty for `Exists` and `DoesNotExist`.
    #[serde(deserialize_with = "nullable::list")]
    pub values: Vec<Box<str>>,
}

/// The operators of `matchExpressions`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(from = "Option<std::borrow::Cow<'_, str>>")]
pub enum Operator {
    /// The label's value is one of `values`.
    In,
    /// The label is absent, or its value is none of `values`.
    NotIn,
    /// The label is there.
    Exists,
    /// The label is not there.
    DoesNotExist,
    /// Not an operator of label selectors: the API server refuses it, and it selects nothing here.
    #[default]
    Invalid,
}

impl From<Option<std::borrow::Cow<'_, str>>> for Operator {
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
    /// Whether an object with these labels is selected.
    pub fn matches(&self, labels: &Labels) -> bool {
        self.match_labels.is_subset_of(labels) && self.match_expressions.iter().all(|r| r.holds(labels))
    }

    /// Whether it selects every object.
    pub fn is_empty(&self) -> bool {
        self.match_labels.is_empty() && self.match_expressions.is_empty()
    }
}

impl Requirement {
    /// Whether an object with these labels meets it.
    pub fn holds(&self, labels: &Labels) -> bool {
        let value = labels.get(&self.key);
        let listed = value.is_some_and(|value| self.values.iter().any(|v| **v == *value));
        match self.operator {
            Operator::In => listed,
            Operator::NotIn => !listed,
            Operator::Exists => value.is_some(),
            Operator::DoesNotExist => value.is_none(),
            Operator::Invalid => false,
        }
    }
}

/// As `kubectl get -l` takes it: `app=zk,tier in (a,b),!canary`; `everything` when it is empty.
impl fmt::Display for LabelSelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return f.write_str("everything");
        }
        write!(f, "{}", self.match_labels)?;
        for (index, requirement) in self.match_expressions.iter().enumerate() {
            let comma = if index == 0 && self.match_labels.is_empty() {
                ""
            } else {
                ","
            };
            write!(f, "{comma}{requirement}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Requirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (key, values) = (&self.key, self.values.join(","));
        match self.operator {
            Operator::In => write!(f, "{key} in ({values})"),
            Operator::NotIn => write!(f, "{key} notin ({values})"),
            Operator::Exists => write!(f, "{key}"),
            Operator::DoesNotExist => write!(f, "!{key}"),
            Operator::Invalid => write!(f, "{key} (invalid operator)"),
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
        let (one, two, none) = (
            labels(&[("a", "1")]),
            labels(&[("a", "2")]),
            labels(&[("b", "1")]),
        );
        for (operator, values, expected) in [
            ("In", r#"["1","3"]"#, [true, false, false]),
            ("In", "[]", [false, false, false]),
            ("NotIn", r#"["1","3"]"#, [false, true, true]),
            ("Exists", "null", [true, true, false]),
            ("DoesNotExist", "[]", [false, false, true]),
            ("Near", "[]", [false, false, false]),
        ] {
            let selector = expression(operator, values);
            assert_eq!(
                [&one, &two, &none].map(|l| selector.matches(l)),
                expected,
                "{operator} {values}"
            );
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
