//! `readiness-missing`

use super::budgets::enumerate;
use super::{Params, Place, SetContext, Violations};
use crate::model::Container;

rule! {
    /// ## What it checks
    ///
    /// A main container of a set with two or more replicas has no `readinessProbe`. Init containers, also those that keep running
    /// as sidecars, are not looked at.
    ///
    /// ## Why
    ///
    /// A container without one is ready the moment its process has started. A rolling update then takes the next pod down while
    /// this one is still reading its log or looking for its leader, ordered start does not wait for anything, Services send it
    /// requests, and a disruption budget counts it as available. A pod is ready when all its containers are: one without a probe
    /// takes the word of the others for its own.
    ///
    /// ## How to fix
    ///
    /// Give each container named a probe that asks the process itself whether it can serve: its own health endpoint, or at least
    /// its port. Let the probe of a consensus group's member pass without a leader where pods find each other only once they are
    /// ready (`service-hides-unready`). Where a sidecar has nothing to be ready for, exempt the set with
    /// `stateward.dev/exempt: readiness-missing` and that reason.
    ///
    /// ## Fails
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
    ///     spec:
    ///       containers: [{name: etcd, image: "quay.io/coreos/etcd:v3.5.9"}]
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
    ///     spec:
    ///       containers:
    ///       - name: etcd
    ///         image: "quay.io/coreos/etcd:v3.5.9"
    ///         readinessProbe: {httpGet: {path: /readyz, port: 2379}}
    /// ```
    "readiness-missing": "a container has no readiness probe",
    needs_peers: true,
    triggers: [Set, Scale],
    check: State(check),
}

fn check(at: &SetContext<'_>, _: &Params, out: &mut Violations) {
    let containers = at.set.spec.template.spec.containers.iter().enumerate();
    let lacking: Vec<_> = containers.filter(|(_, container)| container.readiness_probe.is_none()).collect();
    let Some((first, _)) = lacking.first() else { return };
    let name = |(index, container): &(usize, &Container)| match &*container.name {
        "" => format!("number {}", index + 1),
        name => name.to_owned(),
    };
    let names = enumerate(lacking.iter().map(name));
    let (containers, verb) = if lacking.len() == 1 { ("container", "has") } else { ("containers", "have") };
    let all = lacking.len() == at.set.spec.template.spec.containers.len();
    let message = if all {
        format!(
            "{containers} {names} {verb} no readiness probe, so a pod is ready once started, working or not: a rolling update goes on \
             to the next one before it works"
        )
    } else {
        format!(
            "{containers} {names} {verb} no say in whether the pod is ready: requests arrive and a rolling update goes on, \
             working or not"
        )
    };
    let remedy = format!("add a readinessProbe to {containers} {names}");
    let place = Place::in_set(format!("/spec/template/spec/containers/{first}"));
    out.add(place, message, remedy).keyed(names).weighing(i32::try_from(lacking.len()).unwrap_or(i32::MAX));
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::testing::set;
    use super::*;

    #[test]
    fn main_containers_without_a_probe() {
        let probed = json!({"name": "a", "readinessProbe": {"tcpSocket": {"port": 1}}});
        for (containers, names) in [
            (json!(null), None),
            (json!([]), None),
            (json!([probed]), None),
            (json!([{"name": "b"}]), Some("container b")),
            (json!([probed, {"name": "b", "readinessProbe": null}]), Some("container b")),
            (json!([{"name": "b", "livenessProbe": {}}, probed, {"name": "c"}]), Some("containers b and c")),
            (json!([{"image": "x"}, probed]), Some("container number 1")),
        ] {
            let scene = set(json!({"spec": {"template": {"spec": {"containers": containers}}}}));
            let says = scene.says(&RULE);
            match names {
                Some(names) => assert!(says.starts_with(names) && says.ends_with(names), "{says}"),
                None => assert_eq!(says, "", "{containers}"),
            }
        }
    }

    #[test]
    fn a_single_pod_has_nobody_to_wait_for_it() {
        for (replicas, found) in [(0, 0), (1, 0), (2, 1)] {
            assert_eq!(set(json!({})).scaled_to(replicas).found(&RULE).len(), found);
        }
    }
}
