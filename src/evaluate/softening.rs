//! Softens findings about a group's size where the set itself names members elsewhere.

use std::fmt::Write as _;

use super::evaluation::{Evaluation, States};
use crate::model::{Workload, cut};
use crate::rules::{Rule, SetContext, Violation};
use crate::software;
use crate::verdict::Level;

/// The edit that settles which sets are one group.
pub(super) const SAY_GROUP: &str =
    "say which sets are one group with the annotation stateward.dev/ensemble on each of them";

/// The edit where the other members may be outside the cluster.
const SAY_GROUP_OR_EXEMPT: &str = "say which sets are one group with the annotation stateward.dev/ensemble on each of them, or exempt \
                                   it where the others run elsewhere";

/// The edit where not every pod of the set has a vote.
const LIST_VOTERS: &str = "list every member that is to vote in controller.quorum.voters";
const MOVE_OBSERVERS: &str =
    "run observers in a StatefulSet of their own, with the annotation stateward.dev/class: replicated";

/// The way out where a Deployment's pods may vote.
const EXEMPT_WITH_VOTER: &str = "exempt the set where it does";

/// The longest name of a host, in bytes (RFC 1035).
const LONGEST_HOST: usize = 253;

impl Evaluation<'_> {
    /// Members that the set itself lists may run outside the cluster: then its replicas are not all that vote.
    pub(super) fn soften_by_list(&self, rule: &Rule, violations: &mut [Violation]) {
        if violations.is_empty() || !rule.counts_members() || !self.states.is_alone() {
            return;
        }
        let States { before, after, left, .. } = &self.states;
        // A list names those too that go: there are as many names, maybe of Services, as there were pods.
        let were = before.as_ref().map_or(0, |before| before.replicas).max(left.pods).max(left.claims);
        let most = after.replicas.max(were);
        let set = software::with_texts(after.set);
        let (how, settle) = if let Some(host) = set.member_elsewhere(most) {
            let host = cut(host.to_owned(), LONGEST_HOST);
            where_alone(&host, violations);
            (format!("not so if {host}, which its list of members names as well, votes"), SAY_GROUP_OR_EXEMPT)
        } else if let Some(voter) = self.voter_in_deployment() {
            let voter = format!("Deployment {}", voter.metadata.name);
            where_alone(&voter, violations);
            (format!("not so if {voter} votes, as it seems to"), EXEMPT_WITH_VOTER)
        } else if let Some(host) = set.pod_without_vote() {
            let host = cut(host.to_owned(), LONGEST_HOST);
            (format!("not so without {host}, which its list of members has as an observer"), MOVE_OBSERVERS)
        } else if let Some(voters) = set.listed_voters().filter(|voters| *voters < after.replicas) {
            (format!("not so if only what controller.quorum.voters lists has a vote: {voters}"), LIST_VOTERS)
        } else if let Some(variable) = set.list_elsewhere().filter(|_| most <= 1) {
            // One set for each member is a common shape, and this is how its sets are told of each other.
            (
                format!("not so if {variable}, which is not written in the set, lists members beside it"),
                SAY_GROUP,
            )
        } else if let Some(members) = set.expected_members().filter(|expected| *expected > most.max(1)) {
            (
                format!(
                    "not so if the {members} servers that bootstrap_expect waits for are in other sets too"
                ),
                SAY_GROUP,
            )
        } else {
            return;
        };
        for violation in violations {
            violation.soften(&how, settle);
        }
    }

    /// A Deployment whose pods seem to vote with the set's own: an arbiter of MongoDB, an arbitrator of Galera.
    fn voter_in_deployment(&self) -> Option<&Workload> {
        let SetContext { set, view, class, .. } = &self.states.after;
        let is_galera = class.software.as_ref().is_some_and(|software| software.leaves_in_order);
        if !is_galera && set.replica_set_name().is_none() {
            return None;
        }
        let votes = |other: &&Workload| {
            let template = other.template();
            set.shares_replica_set(template) || (is_galera && template.is_galera_arbitrator())
        };
        view.deployments_in(&set.metadata.namespace).find(votes)
    }
}

/// The remedies are for listed voters that do not run.
fn where_alone(voter: &str, violations: &mut [Violation]) {
    for violation in violations {
        violation.remedy = format!("where {voter} does not vote, {}", violation.remedy);
    }
}

impl Violation {
    /// At most a warning, because it depends on which sets are one group.
    pub(super) fn soften(&mut self, how: &str, settle: &str) {
        let _ = write!(self.message, " ({how})");
        let _ = write!(self.remedy, "; {settle}");
        self.edits.clear();
        self.at_most(Level::Warn);
    }
}
