//! A PodDisruptionBudget and its arithmetic.

use serde::Deserialize;

use super::{Coverage, IntOrPercent, LabelSelector, Labels, Metadata, nullable};

/// The fields of a PodDisruptionBudget that rules read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct DisruptionBudget {
    #[serde(deserialize_with = "nullable::field")]
    pub metadata: Metadata,
    #[serde(deserialize_with = "nullable::field")]
    pub spec: DisruptionBudgetSpec,
}

/// The fields of a budget's `spec` that rules read. The API server refuses a budget with both limits.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct DisruptionBudgetSpec {
    /// How many pods must stay available.
    pub min_available: Option<IntOrPercent>,
    /// How many pods may be unavailable.
    pub max_unavailable: Option<IntOrPercent>,
    /// The pods that it selects: `{}` selects all pods of the namespace, absent selects none.
    pub selector: Option<LabelSelector>,
}

impl DisruptionBudget {
    /// Whether the budget selects pods with these labels.
    pub fn selects(&self, labels: &Labels) -> bool {
        self.spec.selector.as_ref().is_some_and(|selector| selector.matches(labels))
    }

    /// Which pods made from a template with these labels the budget selects.
    pub fn coverage(&self, template: &Labels) -> Coverage {
        self.spec.selector.as_ref().map_or(Coverage::None, |selector| selector.coverage(template))
    }

    /// Whether the limit depends on the expected number of pods. For pods whose controller has no scale, the disruption controller then
    /// cannot compute that number, and the budget allows no eviction.
    pub fn needs_scale(&self) -> bool {
        self.spec.max_unavailable.is_some()
            || matches!(self.spec.min_available, Some(IntOrPercent::Percent(_)))
    }

    /// How many of `expected` healthy pods may be evicted (0 to `expected`): the disruption controller's
    /// `getExpectedPodCount`, which rounds percentages up for both limits. With no limit given, none is allowed.
    pub fn allowed_disruptions(&self, expected: i32) -> i32 {
        let desired = match (self.spec.max_unavailable, self.spec.min_available) {
            (Some(limit), _) => expected.saturating_sub(limit.of_rounded_up(expected)),
            (None, Some(limit)) => limit.of_rounded_up(expected),
            (None, None) => expected,
        };
        expected.saturating_sub(desired.max(0)).clamp(0, expected.max(0))
    }

    /// The JSON pointer of the limit that is set.
    pub fn limit_path(&self) -> &'static str {
        match (self.spec.max_unavailable, self.spec.min_available) {
            (Some(_), _) => "/spec/maxUnavailable",
            (None, Some(_)) => "/spec/minAvailable",
            (None, None) => "/spec",
        }
    }

    /// The limit as written: `maxUnavailable: 1`.
    pub fn limit(&self) -> String {
        match (self.spec.max_unavailable, self.spec.min_available) {
            (Some(limit), _) => format!("maxUnavailable: {limit}"),
            (None, Some(limit)) => format!("minAvailable: {limit}"),
            (None, None) => "neither minAvailable nor maxUnavailable".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn budget(spec: &str) -> DisruptionBudget {
        serde_json::from_str(&format!(r#"{{"spec":{spec}}}"#)).unwrap()
    }

    #[test]
    fn allowed_disruptions_at_the_edges() {
        for (spec, expected, allowed) in [
            (r#"{"maxUnavailable":1}"#, 3, 1),
            (r#"{"maxUnavailable":5}"#, 3, 3),
            (r#"{"maxUnavailable":0}"#, 3, 0),
            (r#"{"maxUnavailable":"0%"}"#, 3, 0),
            (r#"{"maxUnavailable":"34%"}"#, 3, 2),
            (r#"{"minAvailable":2}"#, 3, 1),
            (r#"{"minAvailable":4}"#, 3, 0),
            (r#"{"minAvailable":"100%"}"#, 3, 0),
            (r#"{"minAvailable":"51%"}"#, 3, 1),
            (r#"{"minAvailable":0}"#, 3, 3),
            (r#"{"minAvailable":-1}"#, 3, 3),
            ("{}", 3, 0),
            (r#"{"maxUnavailable":1}"#, 0, 0),
        ] {
            assert_eq!(budget(spec).allowed_disruptions(expected), allowed, "{spec} of {expected}");
        }
    }

    #[test]
    fn an_empty_selector_is_everything_and_an_absent_one_nothing() {
        let labels = Labels::default();
        assert!(budget(r#"{"selector":{}}"#).selects(&labels));
        assert!(!budget(r#"{"selector":null}"#).selects(&labels));
    }

    proptest! {
        #[test]
        fn never_more_than_there_are(limit: i32, percent: bool, available: bool, expected in 0..1000i32) {
            let value = if percent { format!("\"{limit}%\"") } else { limit.to_string() };
            let field = if available { "minAvailable" } else { "maxUnavailable" };
            let allowed = budget(&format!(r#"{{"{field}":{value}}}"#)).allowed_disruptions(expected);
            prop_assert!((0..=expected).contains(&allowed));
        }

        #[test]
        fn the_two_limits_mirror_each_other(k in 0..50i32, expected in 0..50i32) {
            let away = budget(&format!(r#"{{"maxUnavailable":{k}}}"#)).allowed_disruptions(expected);
            let stay = budget(&format!(r#"{{"minAvailable":{}}}"#, (expected - k).max(0))).allowed_disruptions(expected);
            prop_assert_eq!(away, stay);
        }
    }
}
