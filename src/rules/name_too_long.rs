//! `name-too-long`

use super::{FieldPlace, Params, SetContext, Violations};

rule! {
    /// ## What it checks
    ///
    /// The set's name has more than 52 characters, or the name of its last pod more than 63; whatever the replica count.
    ///
    /// ## Why
    ///
    /// The controller labels each pod `controller-revision-hash: NAME-HASH`, with up to ten characters of hash. A label's
    /// value holds 63, so the API server refuses every pod and the set stands at zero, with nothing but an event to say why.
    /// (A short hash now and then lets a slightly longer name through, until the next edit of the template.) A pod's name is
    /// its DNS label too, which also holds 63.
    ///
    /// ## How to fix
    ///
    /// Use a shorter name; in a Helm chart that is a shorter release name or `fullnameOverride`. A name cannot be changed: a
    /// set that exists has to be created anew under the other name, and its data moved.
    ///
    /// ## Fails
    ///
    /// ```yaml
    /// apiVersion: apps/v1
    /// kind: StatefulSet
    /// metadata: {name: a-release-in-production-of-zookeeper-for-the-event-bus}
    /// spec:
    ///   replicas: 3
    ///   serviceName: zk
    ///   selector: {matchLabels: {app: zk}}
    ///   template:
    ///     metadata: {labels: {app: zk}}
    ///     spec: {containers: [{name: zk, image: "zookeeper:3.9"}]}
    /// ```
    ///
    /// ## Passes
    ///
    /// ```yaml
    /// apiVersion: apps/v1
    /// kind: StatefulSet
    /// metadata: {name: event-bus-zookeeper}
    /// spec:
    ///   replicas: 3
    ///   serviceName: zk
    ///   selector: {matchLabels: {app: zk}}
    ///   template:
    ///     metadata: {labels: {app: zk}}
    ///     spec: {containers: [{name: zk, image: "zookeeper:3.9"}]}
    /// ```
    "name-too-long": "the name is too long for pods to be created",
    triggers: [Set, Scale],
    check: State(check),
}

/// A label's value and a DNS label hold this many characters.
const LABEL: usize = 63;
/// The length that remains beside a dash and the longest hash.
const LONGEST: usize = LABEL - 1 - 10;

fn check(at: &SetContext<'_>, _: &Params, out: &mut Violations) {
    let length = at.name().len();
    if length <= LONGEST {
        // Then every pod's name fits as well: no ordinal is longer than the longest hash.
        return;
    }
    let last = format!("{}-{}", at.name(), at.last_ordinal());
    let too_long_for_dns = last.len() > LABEL;
    let message = if too_long_for_dns {
        format!(
            "a name of {length} characters makes pod names of {}, and neither labels nor DNS names hold more than {LABEL}",
            last.len()
        )
    } else {
        format!(
            "with a name of {length} characters no pod can be created: its label controller-revision-hash would be longer \
             than {LABEL}"
        )
    };
    let remedy = format!("shorten metadata.name to at most {LONGEST} characters");
    out.add(FieldPlace::in_set("/metadata/name"), message, remedy).weighing(i32::from(too_long_for_dns));
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::RULE;
    use crate::rules::testing::set;

    #[test]
    fn counts_the_name_and_the_last_pod() {
        for (length, start, replicas, weight) in [
            (52, 0, 3, None),
            (52, i32::MAX, i32::MAX, None),
            (53, 0, 3, Some(0)),
            (53, 0, 0, Some(0)),
            (53, 0, i32::MIN, Some(0)),
            (61, 0, 10, Some(0)),
            (61, 0, 11, Some(1)),
            (61, 9, 1, Some(0)),
            (61, 10, 0, Some(1)),
            (62, 0, 1, Some(1)),
            (0, 0, 1, None),
        ] {
            let patch =
                json!({"metadata": {"name": "z".repeat(length)}, "spec": {"ordinals": {"start": start}}});
            let found = set(patch).scaled_to(replicas).found(&RULE);
            assert_eq!(found.first().map(|v| v.weight), weight, "{length} {start} {replicas}");
        }
    }
}
