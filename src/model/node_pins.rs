//! The nodes that a pod must run on.

use std::collections::BTreeSet;
use std::fmt;

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

/// A node must match all of both lists. A term without either matches no node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct NodeSelectorTerm {
    #[serde(deserialize_with = "nullable::list")]
    pub match_expressions: Vec<NodeRequirement>,
    /// Requirements on fields of the node, of which Kubernetes knows `metadata.name`.
    #[serde(deserialize_with = "nullable::list")]
    pub match_fields: Vec<NodeRequirement>,
}

/// One requirement on a label or a field of the node.
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

/// A property of nodes that a pod template can ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NodeProperty<'k> {
    /// The node label of this key.
    Label(&'k str),
    /// The field of this path; see [`NODE_NAME`].
    Field(&'k str),
}

/// The only field of nodes that Kubernetes lets a template ask for.
pub const NODE_NAME: NodeProperty<'_> = NodeProperty::Field("metadata.name");

impl fmt::Display for NodeProperty<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Label(key) | Self::Field(key)) = self;
        f.write_str(key)
    }
}

/// Values of one property that a pod template may list; of longer lists nothing is said.
const MOST_VALUES: usize = 1000;

impl PodSpec {
    /// Whether the template asks for certain nodes.
    pub fn asks_for_nodes(&self) -> bool {
        !self.node_name.is_empty()
            || !self.node_selector.is_empty()
            || self.affinity.node_affinity.required.is_some()
    }

    /// Whether no node can run pods of both, because they require different values of the property.
    pub fn is_apart_from(&self, other: &Self, property: NodeProperty<'_>) -> bool {
        match (self.node_values(property), other.node_values(property)) {
            (Some(values), Some(others)) => values.is_disjoint(&others),
            _ => false,
        }
    }

    /// The values that a property of the pod's node may have; `None` if the template does not restrict them. Values that no node
    /// can have, because another property excludes them, may be among them.
    pub fn node_values(&self, property: NodeProperty<'_>) -> Option<BTreeSet<&str>> {
        let written = match property {
            NodeProperty::Label(key) => self.node_selector.get(key),
            NodeProperty::Field(_) => Some(&*self.node_name).filter(|name| !name.is_empty()),
        };
        let required = self.affinity.node_affinity.required.as_deref();
        let by_affinity = required.and_then(|required| required.values(property));
        let by_field = written.map(|value| BTreeSet::from([value]));
        [by_field, by_affinity].into_iter().flatten().reduce(|values, others| &values & &others)
    }
}

impl NodeSelector {
    /// The values that the property has on nodes that match; `None` if they are not restricted.
    pub fn values(&self, property: NodeProperty<'_>) -> Option<BTreeSet<&str>> {
        let terms = self.node_selector_terms.iter().filter(|term| !term.is_empty());
        let mut each = terms.map(|term| term.values(property));
        let mut values = each.next()??;
        for others in each {
            values.extend(others?);
        }
        Some(values)
    }
}

impl NodeSelectorTerm {
    fn is_empty(&self) -> bool {
        self.match_expressions.is_empty() && self.match_fields.is_empty()
    }

    fn values(&self, property: NodeProperty<'_>) -> Option<BTreeSet<&str>> {
        let (requirements, key) = match property {
            NodeProperty::Label(key) => (&self.match_expressions, key),
            NodeProperty::Field(key) => (&self.match_fields, key),
        };
        let with_operator = |operator: &'static str| {
            requirements.iter().filter(move |asks| *asks.key == *key && &*asks.operator == operator)
        };
        if with_operator("In").map(|asks| asks.values.len()).sum::<usize>() > MOST_VALUES {
            return None;
        }
        let of_each = with_operator("In").map(|asks| asks.values.iter().map(|value| &**value).collect());
        let mut values: BTreeSet<&str> = of_each.reduce(|values, others| &values & &others)?;
        for value in with_operator("NotIn").flat_map(|asks| &asks.values) {
            values.remove(&**value);
        }
        Some(values)
    }

    /// What the term asks for: the name of the list, the index there and the property.
    pub fn requirements(&self) -> impl Iterator<Item = (&'static str, usize, NodeProperty<'_>)> {
        let labels = self.match_expressions.iter().enumerate();
        let labels = labels.map(|(index, asks)| ("matchExpressions", index, NodeProperty::Label(&asks.key)));
        let fields = self.match_fields.iter().enumerate();
        labels.chain(fields.map(|(index, asks)| ("matchFields", index, NodeProperty::Field(&asks.key))))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::super::pod_template::Affinity;
    use super::*;

    const ZONE: NodeProperty<'_> = NodeProperty::Label("zone");

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
            (json!({}), json!([term(json!([asks("In", &["a", "b"]), asks("NotIn", &["b"])]))]), Some("a")),
            (
                json!({}),
                json!([term(json!([asks("In", &["a"])])), term(json!([asks("In", &["b"])]))]),
                Some("a b"),
            ),
            // A term that asks for nothing matches no node, and one that asks for something else matches nodes with any value.
            (json!({}), json!([term(json!([asks("In", &["a"])])), term(json!([]))]), Some("a")),
            (
                json!({}),
                json!([
                    term(json!([asks("In", &["a"])])),
                    {"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["n"]}]}
                ]),
                None,
            ),
            (json!({}), json!([term(json!([asks("In", &["a", "b"]), asks("In", &["b", "c"])]))]), Some("b")),
            (json!({"zone": "a"}), json!([term(json!([asks("In", &["a", "b"])]))]), Some("a")),
            (json!({"zone": "a"}), json!([term(json!([asks("In", &["b"])]))]), Some("")),
        ] {
            let spec = spec(&selector, &terms);
            let values = spec.node_values(ZONE).map(|values| Vec::from_iter(values).join(" "));
            assert_eq!(values.as_deref(), expected, "{selector} {terms}");
        }
    }

    #[test]
    fn a_node_is_asked_for_by_its_name() {
        let term = json!({"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["n"]}]});
        let by_affinity = spec(&json!({}), &json!([term]));
        let by_name: PodSpec = serde_json::from_value(json!({"nodeName": "n"})).unwrap();
        for spec in [by_affinity, by_name] {
            assert_eq!(spec.node_values(NODE_NAME), Some(BTreeSet::from(["n"])));
            assert_eq!(spec.node_values(NodeProperty::Label("metadata.name")), None);
            assert!(spec.asks_for_nodes());
        }
        assert!(!PodSpec::default().asks_for_nodes());
    }

    #[test]
    fn of_a_long_list_nothing_is_said() {
        let of = |count: usize| {
            let values: Vec<String> = (0..count).map(|number| number.to_string()).collect();
            let asks = json!({"key": "zone", "operator": "In", "values": values});
            spec(&json!({}), &json!([{"matchExpressions": [asks]}]))
        };
        assert_eq!(of(MOST_VALUES).node_values(ZONE).map(|values| values.len()), Some(MOST_VALUES));
        assert_eq!(of(MOST_VALUES + 1).node_values(ZONE), None);
    }

    #[test]
    fn only_different_values_keep_apart() {
        let pinned = |value: &str| spec(&json!({"zone": value}), &json!(null));
        assert!(pinned("a").is_apart_from(&pinned("b"), ZONE));
        assert!(!pinned("a").is_apart_from(&pinned("a"), ZONE));
        assert!(!pinned("a").is_apart_from(&PodSpec::default(), ZONE));
        assert!(!PodSpec::default().is_apart_from(&PodSpec::default(), ZONE));
        assert!(!pinned("a").is_apart_from(&pinned("b"), NodeProperty::Label("host")));
    }

    /// Requirements on two labels, or on one.
    fn requirements(keys: &'static str) -> impl Strategy<Value = Vec<NodeRequirement>> {
        let one = (keys, "In|NotIn|Exists|DoesNotExist", proptest::collection::vec("[123]", 1..3)).prop_map(
            |(key, operator, values)| NodeRequirement {
                key: key.into(),
                operator: operator.into(),
                values: values.into_iter().map(Into::into).collect(),
            },
        );
        proptest::collection::vec(one, 0..3)
    }

    fn selectors(keys: &'static str) -> impl Strategy<Value = PodSpec> {
        let terms = proptest::collection::vec((requirements(keys), requirements("metadata.name")), 1..3);
        (proptest::option::of("[123]"), terms).prop_map(|(selector, terms)| {
            let terms = terms.into_iter().map(|(match_expressions, mut match_fields)| {
                // Kubernetes knows these two operators of fields.
                match_fields.retain(|asks| matches!(&*asks.operator, "In" | "NotIn"));
                NodeSelectorTerm { match_expressions, match_fields }
            });
            let required = Some(Box::new(NodeSelector { node_selector_terms: terms.collect() }));
            let affinity = Affinity { node_affinity: NodeAffinity { required }, ..Affinity::default() };
            let node_selector = selector.iter().map(|value| ("a", value)).collect();
            PodSpec { affinity, node_selector, ..PodSpec::default() }
        })
    }

    /// A node with a name and values of the labels `a` and `b`.
    type Node = (&'static str, Option<&'static str>, Option<&'static str>);

    fn nodes() -> Vec<Node> {
        let values = [None, Some("1"), Some("2"), Some("3")];
        let pairs = values.into_iter().flat_map(|a| values.into_iter().map(move |b| (a, b)));
        pairs.flat_map(|(a, b)| ["1", "2", "3"].map(|name| (name, a, b))).collect()
    }

    /// As the scheduler decides.
    fn fits(spec: &PodSpec, (name, a, b): Node) -> bool {
        let holds = |asks: &NodeRequirement| {
            let value = match &*asks.key {
                "a" => a,
                "b" => b,
                _ => Some(name),
            };
            let is_listed = value.is_some_and(|value| asks.values.iter().any(|listed| **listed == *value));
            match &*asks.operator {
                "In" => is_listed,
                "NotIn" => !is_listed,
                "Exists" => value.is_some(),
                _ => value.is_none(),
            }
        };
        let required = spec.affinity.node_affinity.required.as_deref().unwrap();
        let mut terms = required.node_selector_terms.iter().filter(|term| !term.is_empty());
        spec.node_selector.get("a").is_none_or(|value| a == Some(value))
            && terms.any(|term| term.match_expressions.iter().chain(&term.match_fields).all(holds))
    }

    proptest! {
        #[test]
        fn no_fitting_node_has_another_value(spec in selectors("[ab]")) {
            for node in nodes().into_iter().filter(|node| fits(&spec, *node)) {
                let (name, a, b) = node;
                let has = [(NODE_NAME, Some(name)), (NodeProperty::Label("a"), a), (NodeProperty::Label("b"), b)];
                for (property, value) in has {
                    let values = spec.node_values(property);
                    prop_assert!(values.is_none_or(|values| value.is_some_and(|value| values.contains(value))));
                }
            }
        }

        #[test]
        fn two_that_are_apart_fit_no_node_both(one in selectors("[ab]"), other in selectors("[ab]")) {
            for property in [NODE_NAME, NodeProperty::Label("a"), NodeProperty::Label("b")] {
                if one.is_apart_from(&other, property) {
                    prop_assert!(!nodes().into_iter().any(|node| fits(&one, node) && fits(&other, node)));
                }
            }
        }
    }
}
