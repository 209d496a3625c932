//! Sets whose pods all have to run on one node, or on fewer than there are pods.

use std::fmt::Write as _;

use super::{ANTI_AFFINITY, WantedKeys, may_share, pods, spreading_remedy};
use crate::model::Class;
use crate::model::quorum::majority;
use crate::rules::node_pins::{
    self, NODE_AFFINITY, NodePin, count_values, describe_pins, is_certain, more_values, name_pins,
    remove_pins,
};
use crate::rules::spread::{Effect, SpreadTerm};
use crate::rules::topology::HOST;
use crate::rules::{FieldEdit, FieldPlace, SetContext, Violations};
use crate::verdict::Level;

/// All pods have to run in one place.
pub(super) fn shares_one_place(
    at: &SetContext<'_>,
    terms: &[SpreadTerm<'_>],
    wanted: WantedKeys<'_>,
    pins: &[NodePin],
    out: &mut Violations,
) {
    let what = describe_pins(pins, wanted.first());
    let cancelled = terms.iter().find(|term| term.effect == Effect::CancelledByPin);
    let cancelled = match cancelled {
        Some(term) if at.set.spec.template.spec.node_name.is_empty() => {
            format!(", where {term} keeps nothing apart")
        }
        Some(term) => format!(", where nothing heeds {term} because nodeName bypasses the scheduler"),
        None => String::new(),
    };
    let message =
        format!("{what} for all {} {}{cancelled}, so one failure takes all of them", at.replicas, pods(at));
    let (remedy, edits) = without_pins(at, terms, wanted, pins);
    let level = if may_share(terms, wanted) { Level::Audit } else { level_of(pins) };
    out.add(FieldPlace::in_set(&*pins[0].path), message, remedy)
        .edits(edits)
        .at_most(level)
        .keyed(ANTI_AFFINITY)
        .weighing(1);
}

/// Fewer values of a node label than pods, of which no two may share one.
pub(super) struct Shortage<'t, 'a> {
    key: &'a str,
    /// The term that keeps them apart; host ports where there is none.
    term: Option<&'t SpreadTerm<'a>>,
    values: usize,
}

/// The label with the fewest values. The scheduler alone looks at terms, and has no part in pods with a `nodeName`.
pub(super) fn shortage<'t, 'a>(at: &SetContext<'a>, terms: &'t [SpreadTerm<'a>]) -> Option<Shortage<'t, 'a>> {
    let spec = &at.set.spec.template.spec;
    if !spec.node_name.is_empty() || !(spec.asks_for_nodes() || spec.affinity.pod_affinity.is_some()) {
        return None;
    }
    let by_ports = spec.takes_host_ports().then_some((HOST, None));
    let by_terms = terms.iter().filter(|term| term.leaves_pending());
    let limits = by_terms.map(|term| (term.topology_key, Some(term))).chain(by_ports);
    let shortages = limits.filter_map(|(key, term)| {
        let values = count_values(at, key)?;
        // Where no node is allowed at all, spread is not the matter.
        let is_short = values > 0 && i32::try_from(values).is_ok_and(|values| values < at.replicas);
        is_short.then_some(Shortage { key, term, values })
    });
    shortages.min_by_key(|shortage| shortage.values)
}

pub(super) fn leaves_pods_pending(
    at: &SetContext<'_>,
    terms: &[SpreadTerm<'_>],
    wanted: WantedKeys<'_>,
    shortage: &Shortage<'_, '_>,
    out: &mut Violations,
) {
    let &Shortage { key, term, values } = shortage;
    let term = term.map_or_else(|| "a host port".to_owned(), ToString::to_string);
    let is_majority = i32::try_from(values).is_ok_and(|values| values >= majority(at.replicas));
    let is_whole = at.class.class == Class::Quorum && at.members() == Some(at.replicas);
    let no_majority = if is_whole && !is_majority { ", which is no majority," } else { "" };
    let outcome = format!(
        "so only {values} of the {} {} can run{no_majority} and the next stays Pending",
        at.replicas,
        pods(at)
    );
    if values > 1 {
        let message = format!(
            "required node affinity allows {values} values of {key}, and {term} one pod for each, {outcome}"
        );
        let mut remedy = more_values(at, key);
        if key != HOST {
            let _ = write!(remedy, ", or set the topologyKey of {term} to {HOST}");
        }
        out.add(FieldPlace::in_set(NODE_AFFINITY), message, remedy).keyed(ANTI_AFFINITY).weighing(2);
        return;
    }
    let pins = node_pins::pins(at, key);
    let message = format!("{}, and {term} allows one pod there, {outcome}", describe_pins(&pins, key));
    let (remedy, edits) = without_pins(at, terms, wanted, &pins);
    out.add(FieldPlace::in_set(pins.first().map_or(NODE_AFFINITY, |pin| &pin.path)), message, remedy)
        .edits(edits)
        .at_most(level_of(&pins))
        .keyed(ANTI_AFFINITY)
        .weighing(2);
}

/// The remedy that takes the pins away, and adds anti-affinity where nothing would spread the pods then.
fn without_pins(
    at: &SetContext<'_>,
    terms: &[SpreadTerm<'_>],
    wanted: WantedKeys<'_>,
    pins: &[NodePin],
) -> (String, Vec<FieldEdit>) {
    let is_free = |key: &str| wanted.has(key) && node_pins::pins_beside(at, key, pins).is_empty();
    let would_spread = |term: &SpreadTerm<'_>| {
        let selects = matches!(term.effect, Effect::Spreads | Effect::CancelledByPin);
        (selects || wanted.is_missed_by(term)) && is_free(term.topology_key)
    };
    let by_ports = at.set.spec.template.spec.takes_host_ports() && is_free(HOST);
    let (who, mut edits) = (name_pins(pins), remove_pins(pins));
    if by_ports || terms.iter().any(would_spread) {
        return (format!("remove {who} from the template"), edits);
    }
    let (spread, further) = spreading_remedy(at, terms, wanted, pins);
    if edits.is_empty() || further.is_empty() {
        edits.clear();
    } else {
        edits.extend(further);
    }
    (format!("remove {who} from the template and {spread}"), edits)
}

fn level_of(pins: &[NodePin]) -> Level {
    if is_certain(pins) { Level::Deny } else { Level::Warn }
}
