//! The nodes that a pod must run on.

use std::collections::BTreeSet;

use serde::Deserialize;

use super::{PodSpec, nullable};

/// The required part of `nodeAffinity`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct NodeAffinity {
    #[serde(rename = "requiredDuringSchedulingIgnoredDuringExecution")]
    pub required: Option<Box<NodeSelector>>,
}

/// `nodeSelectorTerms`: a node must match at least one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct NodeSelector {
    #[serde(deserialize_with = "nullable::list")]
    pub node_selector_terms: Vec<NodeSelectorTerm>,
}

/// `matchExpressions`: a node must match all of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct NodeSelectorTerm {
    #[serde(deserialize_with = "nullable::list")]
    pub match_expressions: Vec<NodeRequirement>,
}

/// One requirement on a label of the node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct NodeRequirement {
    #[serde(deserialize_with = "nullable::field")]
    pub key: Box<str>,
    #[serde(deserialize_with = "nullable::field")]
    pub operator: Box<str>,
    #[serde(deserialize_with = "nullable::list")]
    pub values: Vec<Box<str>>,
}

impl PodSpec {
    /// Whether no node can run pods of both, because they require different values of the node label `key`.
    pub fn is_apart_from(&self, other: &Self, key: &str) -> bool {
        match (self.node_values(key), other.node_values(key)) {
            (Some(values), Some(others)) => values.is_disjoint(&others),
            _ => false,
        }
    }

    /// The values of a node label that the pod's node may have; `None` if the template does not restrict them.
    fn node_values(&self, key: &str) -> Option<BTreeSet<&str>> {
        let by_selector = self.node_selector.get(key).map(|value| BTreeSet::from([value]));
        let required = self.affinity.node_affinity.required.as_deref();
        let by_affinity = required.and_then(|required| required.values(key));
        [by_selector, by_affinity].into_iter().flatten().reduce(|values, others| &values & &others)
    }
}

impl NodeSelector {
    fn values(&self, key: &str) -> Option<BTreeSet<&str>> {
        let terms = self.node_selector_terms.iter().map(|term| term.values(key));
        let values: Vec<BTreeSet<&str>> = terms.collect::<Option<_>>()?;
        values.into_iter().reduce(|values, others| &values | &others)
    }
}

impl NodeSelectorTerm {
    fn values(&self, key: &str) -> Option<BTreeSet<&str>> {
        let asked = self.match_expressions.iter().filter(|asks| *asks.key == *key && &*asks.operator == "In");
        let values = asked.map(|asks| asks.values.iter().map(|value| &**value).collect::<BTreeSet<_>>());
        values.reduce(|values, others| &values & &others)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn spec(node_selector: &Value, terms: &Value) -> PodSpec {
        let required =
            json!({"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}});
        let spec = json!({"nodeSelector": node_selector, "affinity": {"nodeAffinity": required}});
        serde_json::from_value(spec).unwrap()
    }

    #[test]
    fn values_of_a_label_that_nodes_must_have() {
        let asks =
            |operator: &str, values: &[&str]| json!({"key": "zone", "operator": operator, "values": values});
        let term = |asked: Value| json!({"matchExpressions": asked});
        for (selector, terms, expected) in [
            (json!(null), json!(null), None),
            (json!({"zone": "a"}), json!(null), Some("a")),
            (json!({"disk": "ssd"}), json!([]), None),
            (json!({}), json!([term(json!([asks("In", &["a", "b"])]))]), Some("a b")),
            (json!({}), json!([term(json!([asks("NotIn", &["a"])]))]), None),
            (json!({}), json!([term(json!([asks("Exists", &[])]))]), None),
            (
                json!({}),
                json!([term(json!([asks("In", &["a"])])), term(json!([asks("In", &["b"])]))]),
                Some("a b"),
            ),
            (json!({}), json!([term(json!([asks("In", &["a"])])), term(json!([]))]), None),
            (json!({}), json!([term(json!([asks("In", &["a", "b"]), asks("In", &["b", "c"])]))]), Some("b")),
            (json!({"zone": "a"}), json!([term(json!([asks("In", &["a", "b"])]))]), Some("a")),
        ] {
            let spec = spec(&selector, &terms);
            let values = spec.node_values("zone").map(|values| Vec::from_iter(values).join(" "));
            assert_eq!(values.as_deref(), expected, "{selector} {terms}");
        }
    }

    #[test]
    fn only_different_values_keep_apart() {
        let pinned = |value: &str| spec(&json!({"zone": value}), &json!(null));
        assert!(pinned("a").is_apart_from(&pinned("b"), "zone"));
        assert!(!pinned("a").is_apart_from(&pinned("a"), "zone"));
        assert!(!pinned("a").is_apart_from(&PodSpec::default(), "zone"));
        assert!(!PodSpec::default().is_apart_from(&PodSpec::default(), "zone"));
        assert!(!pinned("a").is_apart_from(&pinned("b"), "host"));
    }
}
