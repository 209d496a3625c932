//! The fields of a pod template that leave one value of a node label to all pods of the set.

use super::{FieldEdit, FieldPlace, SetContext, enumerate, spread, topology};
use crate::model::{AffinityTerm, NodeProperty, PodSpec, StatefulSet, pointer_step};

/// One such field.
#[derive(Clone, Debug)]
pub(super) struct NodePin {
    /// JSON pointer of the field.
    pub(super) path: String,
    /// The field in messages: `nodeSelector kubernetes.io/hostname=node-1`.
    text: String,
    /// JSON pointers of what has to go; empty where a person has to choose between several.
    removed: Vec<String>,
    /// Whether it holds whatever other pods there are.
    is_certain: bool,
}

/// JSON pointer of required node affinity.
pub(super) const NODE_AFFINITY: &str =
    "/spec/template/spec/affinity/nodeAffinity/requiredDuringSchedulingIgnoredDuringExecution";
const POD_AFFINITY: &str =
    "/spec/template/spec/affinity/podAffinity/requiredDuringSchedulingIgnoredDuringExecution";

/// The fields that leave one value of the node label `key` to all pods; none where there may be two values.
pub(super) fn pins(at: &SetContext<'_>, key: &str) -> Vec<NodePin> {
    let spec = &at.set.spec.template.spec;
    let mut pins = Vec::new();
    if spec.asks_for_nodes() {
        let is_pinned = |property: &NodeProperty<'_>| one_value(spec, *property).is_some();
        let pinned: Vec<_> = topology::within(key).filter(is_pinned).collect();
        pins.extend(pinned.iter().filter_map(|property| by_field(spec, *property)));
        pins.extend(by_node_affinity(spec, &pinned));
    }
    let is_within = |term: &AffinityTerm| {
        topology::within(key).any(|property| property == NodeProperty::Label(&term.topology_key))
    };
    pins.extend(by_pod_affinity(at, is_within));
    pins
}

/// The [`pins`] that are not among these.
pub(super) fn pins_beside(at: &SetContext<'_>, key: &str, others: &[NodePin]) -> Vec<NodePin> {
    let mut pins = pins(at, key);
    pins.retain(|pin| others.iter().all(|other| other.path != pin.path));
    pins
}

/// How many values of the node label `key` the pods' nodes may have; `None` where that is not limited.
pub(super) fn count_values(at: &SetContext<'_>, key: &str) -> Option<usize> {
    let spec = &at.set.spec.template.spec;
    let count = |property| spec.node_values(property).map(|values| values.len());
    let asked = if spec.asks_for_nodes() { topology::same(key).filter_map(count).min() } else { None };
    let together = by_pod_affinity(at, |term| *term.topology_key == *key).map(|_| 1);
    asked.into_iter().chain(together).min()
}

/// Whether the template allows two values of the node label `key` or more, and fewer than there are pods.
pub(super) fn has_too_few_values(at: &SetContext<'_>, key: &str) -> bool {
    let is_short = |count| count > 1 && i32::try_from(count).is_ok_and(|count| count < at.replicas);
    count_values(at, key).is_some_and(is_short)
}

/// The remedy for [`has_too_few_values`].
pub(super) fn more_values(at: &SetContext<'_>, key: &str) -> String {
    format!("allow at least {} values of {key} in the required node affinity", at.replicas)
}

/// Whether the pods of both must run where the node label `key` has the same value.
pub(super) fn must_share(set: &StatefulSet, other: &StatefulSet, key: &str) -> bool {
    let (spec, other) = (&set.spec.template.spec, &other.spec.template.spec);
    let is_shared = |property| {
        let value = one_value(spec, property);
        value.is_some() && value == one_value(other, property)
    };
    spec.asks_for_nodes() && topology::within(key).any(is_shared)
}

/// The fields in messages.
pub(super) fn name_pins(pins: &[NodePin]) -> String {
    enumerate(pins.iter().map(|pin| pin.text.clone()))
}

/// What they do, in messages.
pub(super) fn describe_pins(pins: &[NodePin], key: &str) -> String {
    let leave = if pins.len() == 1 { "leaves" } else { "leave" };
    let unless = if is_certain(pins) { "" } else { " (unless it draws them to other pods)" };
    format!("{} {leave} {}{unless}", name_pins(pins), topology::one_place(key))
}

/// Whether they hold whatever other pods there are.
pub(super) fn is_certain(pins: &[NodePin]) -> bool {
    pins.iter().any(|pin| pin.is_certain)
}

/// The edits that take all of them away. Pods move, so a person looks first.
pub(super) fn remove_pins(pins: &[NodePin]) -> Vec<FieldEdit> {
    if pins.iter().any(|pin| pin.removed.is_empty()) {
        return Vec::new();
    }
    let removed = pins.iter().flat_map(|pin| &pin.removed);
    removed.map(|path| FieldEdit::remove(FieldPlace::in_set(path)).unsafe_to_apply()).collect()
}

impl NodePin {
    /// Some of the `count` items of a list, which cannot stay without items.
    fn of_list(text: String, list: &str, items: Vec<String>, count: usize) -> Self {
        let removed = if items.len() == count { vec![list.to_owned()] } else { items };
        let path = if let [path] = &*removed { path } else { list };
        Self { path: path.to_owned(), text, removed, is_certain: true }
    }
}

fn one_value<'s>(spec: &'s PodSpec, property: NodeProperty<'_>) -> Option<&'s str> {
    let values = spec.node_values(property)?;
    values.first().copied().filter(|_| values.len() == 1)
}

/// `nodeName`, or a label of `nodeSelector`.
fn by_field(spec: &PodSpec, property: NodeProperty<'_>) -> Option<NodePin> {
    let (field, text) = match property {
        NodeProperty::Field(_) if spec.node_name.is_empty() => return None,
        NodeProperty::Field(_) => ("nodeName".to_owned(), format!("nodeName {}", spec.node_name)),
        NodeProperty::Label(key) => {
            let value = spec.node_selector.get(key)?;
            (format!("nodeSelector/{}", pointer_step(key)), format!("nodeSelector {key}={value}"))
        }
    };
    let path = format!("/spec/template/spec/{field}");
    Some(NodePin { removed: vec![path.clone()], path, text, is_certain: true })
}

/// Required node affinity, where that alone leaves one value of some of these properties.
fn by_node_affinity(spec: &PodSpec, pinned: &[NodeProperty<'_>]) -> Option<NodePin> {
    let required = spec.affinity.node_affinity.required.as_deref()?;
    let is_one = |property: &NodeProperty<'_>| required.values(*property).is_some_and(|v| v.len() == 1);
    let pinned: Vec<_> = pinned.iter().copied().filter(is_one).collect();
    let property = *pinned.first()?;
    let text = format!("required node affinity for {property}={}", one_value(spec, property)?);
    let [term] = &*required.node_selector_terms else {
        let path = NODE_AFFINITY.to_owned();
        return Some(NodePin { path, text, removed: Vec::new(), is_certain: true });
    };
    let asked = term.requirements().filter(|(_, _, property)| pinned.contains(property));
    let items = asked.map(|(list, index, _)| format!("{NODE_AFFINITY}/nodeSelectorTerms/0/{list}/{index}"));
    Some(NodePin::of_list(text, NODE_AFFINITY, items.collect(), term.requirements().count()))
}

/// The required terms of pod affinity that draw the pods to each other and of which this holds. The scheduler looks for pods that
/// all the terms select, and takes any node for the first pod where there are none.
fn by_pod_affinity(at: &SetContext<'_>, is_meant: impl Fn(&AffinityTerm) -> bool) -> Option<NodePin> {
    let terms = at.set.spec.template.spec.affinity.required_beside();
    let meant: Vec<usize> = (0..terms.len()).filter(|index| is_meant(&terms[*index])).collect();
    let first = terms.get(*meant.first()?)?;
    if !terms.iter().all(|term| spread::selects_own(at, term)) {
        return None;
    }
    let is_certain = terms.iter().any(|term| selects_only_own(at, term));
    if !is_certain && terms.iter().all(|term| selects_others(at, term)) {
        return None;
    }
    let text = format!("required pod affinity over {}", first.topology_key);
    let items = meant.iter().map(|index| format!("{POD_AFFINITY}/{index}")).collect();
    Some(NodePin { is_certain, ..NodePin::of_list(text, POD_AFFINITY, items, terms.len()) })
}

/// Whether the set's own selector selects whatever the term selects: no pods of others should be among that.
fn selects_only_own(at: &SetContext<'_>, term: &AffinityTerm) -> bool {
    let own = &at.set.spec.selector;
    let is_here =
        term.namespace_selector.is_none() && term.namespaces.iter().all(|ns| **ns == *at.namespace());
    is_here
        && !own.match_labels.is_empty()
        && own.match_expressions.is_empty()
        && term.label_selector.as_ref().is_some_and(|s| own.match_labels.is_subset_of(&s.match_labels))
}

/// Whether the term selects pods of a known set or workload that is not this one.
fn selects_others(at: &SetContext<'_>, term: &AffinityTerm) -> bool {
    let Some(selector) = &term.label_selector else { return false };
    let sets = at.view.sets_matching(at.namespace(), selector);
    sets.iter().any(|(set, _)| set.metadata.name != at.set.metadata.name)
        || !at.view.workloads_matching(at.namespace(), selector).is_empty()
}
