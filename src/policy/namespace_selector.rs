//! `namespaceSelector`, also where the labels of the namespace are not known.

use super::Certainty;
use crate::model::{LabelSelector, Labels};

/// The label that the API server puts on every Namespace; its value is the name.
const NAME_LABEL: &str = "kubernetes.io/metadata.name";

/// Whether `selector` selects the namespace of this name: `None` for no. Without its `labels` only the label with its name is
/// known.
pub(super) fn selects(selector: &LabelSelector, name: &str, labels: Option<&Labels>) -> Option<Certainty> {
    // The value of a label, of which `None` is that it is not there; the outer one that it is not known.
    let value = |key: &str| match labels {
        _ if key == NAME_LABEL && !name.is_empty() => Some(Some(name)),
        Some(labels) => Some(labels.get(key)),
        None => None,
    };
    let by_label =
        selector.match_labels.iter().map(|(key, wanted)| value(key).map(|found| found == Some(wanted)));
    let by_requirement =
        selector.match_expressions.iter().map(|r| value(&r.key).map(|found| r.holds_for(found)));
    let mut certainty = Certainty::Certain;
    for answer in by_label.chain(by_requirement) {
        match answer {
            Some(true) => {}
            Some(false) => return None,
            None => certainty = Certainty::Unknown,
        }
    }
    Some(certainty)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_is_always_known() {
        let selector = |json: &str| serde_json::from_str::<LabelSelector>(json).unwrap();
        let by_name = selector(r#"{"matchLabels":{"kubernetes.io/metadata.name":"prod"}}"#);
        let by_names = selector(
            r#"{"matchExpressions":[{"key":"kubernetes.io/metadata.name","operator":"NotIn","values":["dev"]}]}"#,
        );
        let by_both = selector(r#"{"matchLabels":{"kubernetes.io/metadata.name":"prod","env":"a"}}"#);
        let (none, env): (Labels, Labels) = (Labels::default(), [("env", "a")].into_iter().collect());
        for (selector, name, labels, expected) in [
            (&by_name, "prod", None, Some(Certainty::Certain)),
            (&by_name, "prod", Some(&none), Some(Certainty::Certain)),
            (&by_name, "dev", None, None),
            (&by_name, "", None, Some(Certainty::Unknown)),
            (&by_names, "prod", None, Some(Certainty::Certain)),
            (&by_names, "dev", None, None),
            (&by_both, "prod", None, Some(Certainty::Unknown)),
            (&by_both, "dev", None, None),
            (&by_both, "prod", Some(&env), Some(Certainty::Certain)),
            (&by_both, "prod", Some(&none), None),
            (&selector("{}"), "prod", None, Some(Certainty::Certain)),
        ] {
            assert_eq!(selects(selector, name, labels), expected, "{selector} {name} {labels:?}");
        }
    }
}
