//! `readiness-missing`

use super::{FieldPlace, Params, SetContext, Violations};
use crate::software;

rule! {
    /// ## What it checks
    ///
    /// The container that serves, of a set with two or more replicas, has no `readinessProbe`. That is the container by which the
    /// software was recognised, or that it helps where that is the agent of an operator; where none was, every container that is no
    /// exporter, reloader, log shipper, proxy or agent. Other containers and init containers are not looked at.
    ///
    /// ## Why
    ///
    /// A container without one is ready the moment its process has started. A rolling update then takes the next pod down while
    /// this one is still reading its log or looking for its leader, ordered start does not wait for anything, Services send it
    /// requests, and a disruption budget counts it as available. Probes of other containers say nothing of it.
    ///
    /// ## How to fix
    ///
    /// Give the container a probe that asks the process itself whether it can serve: its own health endpoint, or at least
    /// its port. Let the probe of a consensus group's member pass without a leader where pods find each other only once they are
    /// ready (`service-hides-unready`).
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
    let containers = &at.set.spec.template.spec.containers;
    let probed = at.class.software.as_ref().and_then(|software| containers.get(software.probed));
    if probed.is_some_and(|container| container.readiness_probe.is_some()) {
        return;
    }
    let others_have = containers.iter().any(|container| container.readiness_probe.is_some());
    let serving = software::serving_containers(at.set, at.class.software.as_deref())
        .into_iter()
        .filter_map(|index| Some((index, containers.get(index)?)));
    for (index, container) in serving.filter(|(_, container)| container.readiness_probe.is_none()) {
        let name = match &*container.name {
            "" => format!("number {}", index + 1),
            name => name.to_owned(),
        };
        let message = if others_have {
            format!(
                "container {name} has no say in whether the pod is ready: requests arrive and a rolling update goes on, working \
                 or not"
            )
        } else {
            format!(
                "container {name} has no readiness probe, so a pod is ready once started, working or not: a rolling update goes \
                 on to the next one before it works"
            )
        };
        let place = FieldPlace::in_set(format!("/spec/template/spec/containers/{index}"));
        out.add(place, message, format!("add a readinessProbe to container {name}")).keyed(name);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::testing::set;
    use super::*;

    #[test]
    fn the_container_that_serves_without_a_probe() {
        let probed = json!({"name": "a", "readinessProbe": {"tcpSocket": {"port": 1}}});
        let (zk, exporter) =
            (json!({"name": "zk", "image": "zookeeper:3.9"}), json!({"name": "metrics", "image": "x"}));
        for (containers, names) in [
            (json!(null), None),
            (json!([]), None),
            (json!([probed]), None),
            (json!([{"name": "b"}]), Some("container b")),
            (json!([{"name": "b", "readinessProbe": null}, probed]), Some("container b")),
            (json!([probed, {"name": "b"}]), Some("container b")),
            (json!([{"image": "x"}, probed]), Some("container number 1")),
            (json!([probed, zk]), Some("container zk")),
            (json!([exporter, zk]), Some("container zk")),
            (json!([exporter, probed]), None),
            (json!([exporter]), Some("container metrics")),
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
    fn no_other_pod_waits_for_a_single_pod() {
        for (replicas, found) in [(0, 0), (1, 0), (2, 1)] {
            assert_eq!(set(json!({})).scaled_to(replicas).found(&RULE).len(), found);
        }
    }
}
