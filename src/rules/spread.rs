//! Terms that keep a set's pods apart, and terms that should and do not.

use std::fmt;

use super::edits::pod_selector;
use super::governing::difference;
use super::node_pins::{NodePin, has_too_few_values, more_values, name_pins, pins, pins_beside, remove_pins};
use super::spread_namespaces::{looks_in_own_namespace, misses_namespace};
use super::topology::{self, HOST, TOPOLOGY_KEY};
use super::{FieldEdit, FieldPlace, SetContext};
use crate::model::{
    AffinityTerm, LabelSelector, Labels, Object, SelectorOperator, SpreadConstraint, StatefulSet,
    WhenUnsatisfiable, is_given_by_controller,
};

/// One term of pod anti-affinity, or one topology spread constraint.
#[derive(Clone, Debug)]
pub(super) struct SpreadTerm<'a> {
    /// JSON pointer of it.
    pub(super) path: String,
    pub(super) means: Means,
    pub(super) topology_key: &'a str,
    pub(super) selector: Option<&'a LabelSelector>,
    pub(super) effect: Effect,
    /// Whether it is known to look in the set's own namespace, or not to.
    is_namespace_known: bool,
    /// Where it looks for pods, as far as that is known by name.
    namespaces: Vec<&'a str>,
}

/// How it keeps pods apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Means {
    Required,
    Preferred,
    /// `DoNotSchedule`, and by how many pods places may differ.
    Constraint(i32),
    ScheduleAnyway,
}

/// The effect on the set's own pods.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    /// It keeps them apart, or it is unknown whether it does.
    Spreads,
    /// It leaves them out expressly.
    Excludes,
    /// It keeps them away from the other pods of a group that they belong to, such as replicas in other zones.
    SpreadsGroup,
    /// It is over what all nodes of a cluster usually share.
    KeepsTogether,
    /// It would keep them apart, but the template leaves them one value of its topology key.
    CancelledByPin,
    /// It does not select them.
    Misses(Miss),
}

/// Why a term does not select the set's pods.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Miss {
    /// Its present effect: `selects app=a (the pods have app=b)`.
    pub(super) why: String,
    /// The edit that makes it select them.
    pub(super) fix: String,
    /// The field of it that is wrong.
    pub(super) field: &'static str,
    /// The item of that field to remove, where it is one.
    pub(super) item: Option<usize>,
    /// A further fault of the term.
    pub(super) besides: Option<Box<Miss>>,
    /// Whether it may as well be meant for pods that are not the set's.
    pub(super) others: bool,
}

impl SpreadTerm<'_> {
    /// Whether the scheduler would rather leave a pod pending than let two share a place.
    pub(super) fn is_strict(&self) -> bool {
        matches!(self.means, Means::Required | Means::Constraint(..=1))
    }

    /// Whether at most one of the set's pods can run for each value of its topology key, even if there is but one value.
    pub(super) fn leaves_pending(&self) -> bool {
        self.means == Means::Required
            && self.is_namespace_known
            && matches!(self.effect, Effect::Spreads | Effect::CancelledByPin)
    }

    /// Whether the nodes may have custom labels that make its topology key right.
    pub(super) fn may_be_right(&self) -> bool {
        topology::is_mistaken(self.topology_key) || topology::is_shared(self.topology_key)
    }

    /// Whether it is about which pods to keep away from, its own or not.
    pub(super) fn is_anti_affinity(&self) -> bool {
        matches!(self.means, Means::Required | Means::Preferred)
    }

    /// The remedy that makes it spread the set's pods, together with the removal of these pins, and its edits. Required
    /// anti-affinity needs as many values of its topology key as there are pods, or some stay pending.
    pub(super) fn correction(
        &self,
        at: &SetContext<'_>,
        miss: &Miss,
        removed: &[NodePin],
    ) -> (String, Vec<FieldEdit>) {
        let (fix, mut edits) = (&miss.fix, self.corrections(at, miss));
        let key = topology::fault_of_key(self.topology_key).map_or(self.topology_key, |(_, key)| key);
        if self.means != Means::Required {
            return (fix.clone(), edits);
        }
        if has_too_few_values(at, key) {
            return (format!("{fix}, and {}", more_values(at, key)), Vec::new());
        }
        let pins = pins_beside(at, key, removed);
        if pins.is_empty() {
            return (fix.clone(), edits);
        }
        match &*remove_pins(&pins) {
            [] => edits.clear(),
            removal => edits.extend_from_slice(removal),
        }
        (format!("{fix}, and remove {} from the template", name_pins(&pins)), edits)
    }

    /// The edits that make it select the set's pods. A person looks first where it may be meant for others.
    fn corrections(&self, at: &SetContext<'_>, miss: &Miss) -> Vec<FieldEdit> {
        let field = |name: &str| FieldPlace::in_set(format!("{}/{name}", self.path));
        let edit = match (miss.field, miss.item, pod_selector(at)) {
            (TOPOLOGY_KEY, _, _) => {
                let key = topology::fault_of_key(self.topology_key).map_or(HOST, |(_, key)| key);
                FieldEdit::set(field(TOPOLOGY_KEY), key)
            }
            ("labelSelector", _, Some(selector)) => FieldEdit::set(field("labelSelector"), selector),
            ("labelSelector", _, None) => return Vec::new(),
            (_, Some(item), _) => FieldEdit::remove(field(&format!("matchLabelKeys/{item}"))),
            _ => FieldEdit::set(field("namespaces/-"), at.namespace()),
        };
        let mut edits = vec![if miss.others { edit.unsafe_to_apply() } else { edit }];
        if let Some(besides) = &miss.besides {
            edits.extend(self.corrections(at, besides));
        }
        edits
    }

    /// Other StatefulSets, and workloads, whose pods it selects, as far as they are known: `StatefulSet web`.
    pub(super) fn others(&self, at: &SetContext<'_>) -> Vec<String> {
        let Some(selector) = self.selector else {
            return Vec::new();
        };
        let namespaces = || self.namespaces.iter().take(MOST_NAMESPACES);
        let sets = namespaces().flat_map(|namespace| at.view.sets_matching(namespace, selector));
        let others = sets.map(|(set, _)| set.reference()).filter(|other| *other != at.set.reference());
        let workloads = namespaces().flat_map(|namespace| at.view.workloads_matching(namespace, selector));
        let named = others.chain(workloads.map(Object::reference)).map(|other| match &other.namespace {
            namespace if **namespace == *at.namespace() => format!("{} {}", other.kind, other.name),
            namespace => format!("{} {namespace}/{}", other.kind, other.name),
        });
        named.collect()
    }
}

impl fmt::Display for SpreadTerm<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.means {
            Means::Required => "the required anti-affinity term",
            Means::Preferred => "the preferred anti-affinity term",
            Means::Constraint(_) | Means::ScheduleAnyway => "the topology spread constraint",
        })?;
        match self.topology_key {
            "" => Ok(()),
            key => write!(f, " over {key}"),
        }
    }
}

/// Terms and constraints of one set that are looked at: each is compared with the labels of the set and of other sets.
const MOST_TERMS: usize = 100;

/// Namespaces in which a term's other sets are looked for.
const MOST_NAMESPACES: usize = 20;

/// Every term and constraint of the set; `None` where there are more than [`MOST_TERMS`], of which nothing is said.
pub(super) fn terms<'a>(at: &SetContext<'a>) -> Option<Vec<SpreadTerm<'a>>> {
    let spec = &at.set.spec.template.spec;
    let anti = &spec.affinity.pod_anti_affinity;
    if anti.required.len() + anti.preferred.len() + spec.topology_spread_constraints.len() > MOST_TERMS {
        return None;
    }
    let affinity = "/spec/template/spec/affinity/podAntiAffinity";
    let required = anti.required.iter().enumerate().map(|(index, term)| {
        let path = format!("{affinity}/requiredDuringSchedulingIgnoredDuringExecution/{index}");
        of_affinity(at, term, Means::Required, path)
    });
    let preferred = anti.preferred.iter().enumerate().map(|(index, term)| {
        let path =
            format!("{affinity}/preferredDuringSchedulingIgnoredDuringExecution/{index}/podAffinityTerm");
        of_affinity(at, &term.pod_affinity_term, Means::Preferred, path)
    });
    let constraints = spec
        .topology_spread_constraints
        .iter()
        .enumerate()
        .map(|(index, constraint)| of_constraint(at, index, constraint));
    Some(required.chain(preferred).chain(constraints).collect())
}

/// Whether something is there to keep the pods apart, over whatever.
pub(super) fn is_spread(at: &SetContext<'_>, terms: &[SpreadTerm<'_>]) -> bool {
    let selects = |term: &SpreadTerm<'_>| matches!(term.effect, Effect::Spreads | Effect::CancelledByPin);
    at.set.spec.template.spec.takes_host_ports() || terms.iter().any(selects)
}

/// Whether all pods of the set have to share a value of `key`. One pod shares nothing.
fn is_pinned(at: &SetContext<'_>, key: &str) -> bool {
    at.replicas > 1 && !pins(at, key).is_empty()
}

/// Whether the term selects the set's pods, and looks in their namespace.
pub(super) fn selects_own(at: &SetContext<'_>, term: &AffinityTerm) -> bool {
    effect(at, HOST, term.label_selector.as_ref(), &term.match_label_keys).is_none()
        && excluded_by_key(at, &term.mismatch_label_keys).is_none()
        && looks_in_own_namespace(at, term) == Some(true)
}

/// Whether the nodes that the set's pods must run on are others than those of each of these sets, by hostname, zone or region.
pub(super) fn is_pinned_apart(
    at: &SetContext<'_>,
    others: &[&StatefulSet],
    counts: impl Fn(&str) -> bool,
) -> bool {
    let own = &at.set.spec.template.spec;
    let is_apart = |other: &&StatefulSet| {
        let keys = topology::KNOWN_KEYS.into_iter().filter(|key| counts(key));
        let mut properties = keys.flat_map(topology::same);
        std::ptr::eq(*other, at.set)
            || properties.any(|property| own.is_apart_from(&other.spec.template.spec, property))
    };
    others.iter().all(is_apart)
}

fn of_affinity<'a>(
    at: &SetContext<'a>,
    term: &'a AffinityTerm,
    means: Means,
    path: String,
) -> SpreadTerm<'a> {
    let selector = term.label_selector.as_ref();
    let own = at.namespace();
    let in_own = looks_in_own_namespace(at, term);
    let effect = effect(at, &term.topology_key, selector, &term.match_label_keys)
        .or_else(|| excluded_by_key(at, &term.mismatch_label_keys))
        .or_else(|| (in_own == Some(false)).then(|| misses_namespace(at, term)));
    let elsewhere =
        term.namespaces.iter().map(|namespace| &**namespace).filter(|namespace| *namespace != own);
    let own = (in_own != Some(false)).then_some(own);
    SpreadTerm {
        path,
        means,
        topology_key: &term.topology_key,
        selector,
        effect: effect.unwrap_or_else(|| spreads(at, &term.topology_key)),
        is_namespace_known: in_own.is_some(),
        namespaces: own.into_iter().chain(elsewhere).collect(),
    }
}

fn of_constraint<'a>(at: &SetContext<'a>, index: usize, constraint: &'a SpreadConstraint) -> SpreadTerm<'a> {
    let selector = constraint.label_selector.as_ref();
    let key = &constraint.topology_key;
    let effect = effect(at, key, selector, &constraint.match_label_keys);
    let means = match constraint.when_unsatisfiable {
        WhenUnsatisfiable::DoNotSchedule => Means::Constraint(constraint.max_skew),
        WhenUnsatisfiable::ScheduleAnyway => Means::ScheduleAnyway,
    };
    SpreadTerm {
        path: format!("/spec/template/spec/topologySpreadConstraints/{index}"),
        means,
        topology_key: key,
        selector,
        effect: effect.unwrap_or_else(|| spreads(at, key)),
        is_namespace_known: true,
        namespaces: vec![at.namespace()],
    }
}

/// The effect of a term that selects the set's pods.
fn spreads(at: &SetContext<'_>, key: &str) -> Effect {
    if is_pinned(at, key) { Effect::CancelledByPin } else { Effect::Spreads }
}

/// The effect of a term, tried on two pods of the set. Labels that the controller gives each pod a value of its own for
/// make a difference between the two.
fn effect(
    at: &SetContext<'_>,
    topology_key: &str,
    selector: Option<&LabelSelector>,
    match_label_keys: &[Box<str>],
) -> Option<Effect> {
    let misses = |why: String, fix: String, field, others| {
        let miss = Miss { why, fix, field, item: None, besides: None, others };
        Some(Effect::Misses(miss))
    };
    if let Some((why, key)) = topology::fault_of_key(topology_key) {
        let fix = format!("set its topologyKey to {key}");
        return match effect(at, key, selector, match_label_keys) {
            Some(Effect::Misses(besides)) => Some(Effect::Misses(Miss {
                why,
                fix: format!("{fix} and {}", besides.fix),
                field: TOPOLOGY_KEY,
                item: None,
                others: besides.others,
                besides: Some(Box::new(besides)),
            })),
            other @ Some(Effect::Excludes | Effect::SpreadsGroup | Effect::KeepsTogether) => other,
            _ => misses(why, fix, TOPOLOGY_KEY, false),
        };
    }
    if topology::is_shared(topology_key) {
        return Some(Effect::KeepsTogether);
    }
    let wanted = || at.set.selecting();
    let Some(selector) = selector else {
        let why = "has no labelSelector and selects no pods at all".to_owned();
        return misses(why, format!("give it a labelSelector for {}", wanted()), "labelSelector", false);
    };
    if match_label_keys.is_empty() && asks_for_template_only(at, selector) {
        return None;
    }
    let pods = two_pods(at);
    if let Some(unmet) = pods.iter().find_map(|pod| unmet(selector, pod)) {
        let fix = format!("make its labelSelector select {}", wanted());
        return misses(format!("selects {unmet}"), fix, "labelSelector", true);
    }
    if !pods.iter().all(|pod| selector.matches(pod)) {
        let names_group = !selector.match_labels.is_empty()
            || selector.match_expressions.iter().any(|asks| asks.operator == SelectorOperator::In);
        return Some(if names_group { Effect::SpreadsGroup } else { Effect::Excludes });
    }
    // A key that the pods do not have is ignored, such as pod-template-hash.
    let item = match_label_keys.iter().position(|key| pods[0].get(key) != pods[1].get(key))?;
    let key = match_label_keys.get(item)?;
    Some(Effect::Misses(Miss {
        why: format!("lists {key} in matchLabelKeys, of which no two pods share a value"),
        fix: format!("remove {key} from its matchLabelKeys"),
        field: "matchLabelKeys",
        item: Some(item),
        besides: None,
        others: false,
    }))
}

/// Whether all it asks for are labels of the template, which all pods have and the controller does not touch. Nearly every selector is
/// like this, and the pods need not be tried.
fn asks_for_template_only(at: &SetContext<'_>, selector: &LabelSelector) -> bool {
    selector.match_expressions.is_empty()
        && selector.match_labels.is_subset_of(at.set.spec.template.labels())
        && !selector.match_labels.iter().any(|(key, _)| is_given_by_controller(key))
}

/// The labels of two pods of the set.
fn two_pods(at: &SetContext<'_>) -> [Labels; 2] {
    let first = at.first_ordinal();
    [at.set.pod_labels(first), at.set.pod_labels(first + 1)]
}

/// The requirement of the selector that the pod does not meet. A requirement that a label is *absent* does not count: a selector
/// that excludes the set's own pods expressly is meant for others.
fn unmet(selector: &LabelSelector, pod: &Labels) -> Option<String> {
    let mut labels = selector.match_labels.iter();
    let label = labels.find(|(key, value)| pod.get(key) != Some(value));
    if let Some((key, value)) = label {
        return Some(difference(&format!("{key}={value}"), key, pod));
    }
    let mut asks = selector
        .match_expressions
        .iter()
        .filter(|asks| !matches!(asks.operator, SelectorOperator::NotIn | SelectorOperator::DoesNotExist));
    let unmet = asks.find(|asks| !asks.holds(pod))?;
    Some(difference(&unmet.to_string(), &unmet.key, pod))
}

/// `mismatchLabelKeys` that all pods of the set share the value of leave them out: such a term is about other tenants.
fn excluded_by_key(at: &SetContext<'_>, mismatch_label_keys: &[Box<str>]) -> Option<Effect> {
    if mismatch_label_keys.is_empty() {
        return None;
    }
    let [one, other] = two_pods(at);
    let shared = |key: &str| one.get(key).is_some() && one.get(key) == other.get(key);
    let excluded = mismatch_label_keys.iter().any(|key| shared(key));
    excluded.then_some(Effect::Excludes)
}
