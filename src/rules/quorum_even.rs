//! `quorum-even`

use super::{Place, Situation, Violations};
use crate::model::quorum::{majority, tolerated};
use crate::policy::Params;

rule! {
    /// ## What it checks
    ///
    /// A consensus group (class `quorum`) has an even number of members. Sets that share `stateward.dev/ensemble` are
    /// counted together. No replicas at all is not an even count but a group that is switched off.
    ///
    /// ## Why
    ///
    /// A majority of 4 is 3, so 4 members survive one failure: as many as 3 do, with one more machine that can fail and one
    /// more that must acknowledge each write. And a network that splits the group in two equal halves stops both.
    ///
    /// ## How to fix
    ///
    /// Run one member more or one fewer. Where the other members are in another StatefulSet, say so with the annotation
    /// `stateward.dev/ensemble: NAME` on each. Where the software is not one consensus group, say
    /// `stateward.dev/class: replicated`.
    ///
    /// ## Fails
    ///
    /// ```yaml
    /// apiVersion: apps/v1
    /// kind: StatefulSet
    /// metadata: {name: etcd}
    /// spec:
    ///   replicas: 4
    ///   serviceName: etcd
    ///   selector: {matchLabels: {app: etcd}}
    ///   template:
    ///     metadata: {labels: {app: etcd}}
    ///     spec: {containers: [{name: etcd, image: "quay.io/coreos/etcd:v3.5.9"}]}
    /// ```
    ///
    /// ## Passes
    ///
    /// ```yaml
    /// apiVersion: apps/v1
    /// kind: StatefulSet
    /// metadata: {name: etcd}
    /// spec:
    ///   replicas: 3
    ///   serviceName: etcd
    ///   selector: {matchLabels: {app: etcd}}
    ///   template:
    ///     metadata: {labels: {app: etcd}}
    ///     spec: {containers: [{name: etcd, image: "quay.io/coreos/etcd:v3.5.9"}]}
    /// ```
    "quorum-even": "an even number of members",
    classes: [Quorum],
    triggers: [Set, Scale],
    reads: [StatefulSet],
    check: State(check),
}

fn check(at: &Situation<'_>, _: &Params, out: &mut Violations) {
    let Some(members) = at.members() else { return };
    if members <= 0 || members % 2 != 0 || at.replicas == 0 {
        return;
    }
    let survives = tolerated(members);
    let message = format!(
        "{members} members survive the failure of {survives}, just as {} do, because {} must agree",
        members - 1,
        majority(members),
    );
    let (fewer, more) = (at.replicas - 1, at.replicas + 1);
    let remedy = if fewer == 0 {
        format!("set spec.replicas to {more}")
    } else {
        format!("set spec.replicas to {more} (or {fewer})")
    };
    out.add(Place::in_set("/spec/replicas"), message, remedy);
}
