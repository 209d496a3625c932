//! Sets with one member each of a consensus group of several sets.

use super::{ANTI_AFFINITY, WantedKeys};
use crate::model::StatefulSet;
use crate::rules::node_pins::{must_share, name_pins, pins};
use crate::rules::spread::{Effect, Means, SpreadTerm, is_pinned_apart};
use crate::rules::topology::{self, HOST};
use crate::rules::{FieldPlace, SetContext, Violations};
use crate::verdict::Level;

/// A set with one member only shares a node with other sets of its group.
pub(super) fn check_group(
    at: &SetContext<'_>,
    terms: &[SpreadTerm<'_>],
    wanted: WantedKeys<'_>,
    out: &mut Violations,
) {
    let others = at.sets_with_members();
    let selects = |term: &SpreadTerm<'_>, set: &StatefulSet| {
        std::ptr::eq(set, at.set) || term.selector.is_some_and(|s| s.matches(set.spec.template.labels()))
    };
    let is_spreading = |term: &&SpreadTerm<'_>| {
        matches!(term.effect, Effect::Spreads | Effect::SpreadsGroup)
            && others.iter().all(|set| selects(term, set))
    };
    let spreading: Vec<_> = terms.iter().filter(is_spreading).collect();
    let must_share_with = |key: &str| {
        let other = others.iter().find(|set| !std::ptr::eq(**set, at.set) && must_share(at.set, set, key));
        other.copied()
    };
    let mut required = spreading.iter().filter(|term| term.means == Means::Required);
    if let Some(other) = must_share_with(wanted.first()) {
        return shares_with(at, other, wanted.first(), required.next().copied(), out);
    }
    let pinned = required.find_map(|term| Some((*term, must_share_with(term.topology_key)?)));
    if let Some((term, other)) = pinned {
        return shares_with(at, other, term.topology_key, Some(term), out);
    }
    let spreads = |term: &&SpreadTerm<'_>| {
        wanted.has(term.topology_key) && must_share_with(term.topology_key).is_none()
    };
    let is_spread = (at.set.spec.template.spec.takes_host_ports() && wanted.has(HOST))
        || spreading.iter().any(spreads)
        || is_pinned_apart(at, &others, |key| wanted.has(key));
    if !is_spread && !terms.iter().any(|term| wanted.is_missed_by(term)) {
        is_not_spread(at, wanted.first(), out);
    }
}

/// Another set with members of the group has to run where this one does.
fn shares_with(
    at: &SetContext<'_>,
    other: &StatefulSet,
    key: &str,
    term: Option<&SpreadTerm<'_>>,
    out: &mut Violations,
) {
    let mut names = [at.name(), &other.metadata.name];
    names.sort_unstable();
    let [one, two] = names;
    let place = topology::one_place(key);
    let is_scheduled =
        at.set.spec.template.spec.node_name.is_empty() || other.spec.template.spec.node_name.is_empty();
    let outcome = match term {
        Some(term) if is_scheduled => format!("{term} allows one pod there, and the other stays Pending"),
        _ => "one failure takes the members of both".to_owned(),
    };
    let pins = name_pins(&pins(at, key));
    let message = format!("StatefulSets {one} and {two} have to share {place} ({pins}): {outcome}");
    let another = if key == HOST { "node".to_owned() } else { format!("value of {key}") };
    let remedy = format!("let the template of each set of {} ask for another {another}", at.group_name());
    add_of_group(at, message, remedy, out);
}

/// The set has one member of a group of several sets.
fn is_not_spread(at: &SetContext<'_>, wanted: &str, out: &mut Violations) {
    let group = at.group_name();
    let message = format!(
        "nothing keeps the members of {group} on different nodes, so one failure can take several of them"
    );
    let remedy = format!(
        "add required pod anti-affinity over {wanted} to the template of each set, with a labelSelector that selects the pods of \
         all of them"
    );
    add_of_group(at, message, remedy, out);
}

/// It rests on other sets, which are not read again before a denial for what the set itself shows.
fn add_of_group(at: &SetContext<'_>, message: String, remedy: String, out: &mut Violations) {
    let violation = out.add(FieldPlace::in_set(ANTI_AFFINITY), message, remedy);
    violation.at_most(Level::Warn);
    if at.has_one_set_a_member() {
        violation.of_group();
    }
}
