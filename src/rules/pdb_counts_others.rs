//! `pdb-counts-others`

use super::budgets::{describe, enumerate, set_limit};
use super::{FieldPlace, Params, SetContext, Violations};
use crate::model::{DisruptionBudget, LabelSelector, Object, Workload};
use crate::verdict::Level;

rule! {
    /// ## What it checks
    ///
    /// The PodDisruptionBudget of a StatefulSet also selects pods of Deployments, ReplicaSets, DaemonSets, Jobs or CronJobs.
    /// Only manifests and an audit of a live cluster know those; a webhook says nothing of it. ReplicaSets of a Deployment and
    /// Jobs of a CronJob are not counted a second time, and neither is what is scaled to 0.
    ///
    /// It is at most a warning where there are only Jobs that are deleted once they have succeeded: hooks of Helm with the policy
    /// `hook-succeeded` or of Argo CD with `HookSucceeded`, and Jobs whose `ttlSecondsAfterFinished` is an hour or less.
    ///
    /// ## Why
    ///
    /// A budget counts all pods that it selects, whichever controller made them. `minAvailable: 2` is met by two pods of the
    /// Deployment beside the set while all members of the set are gone, and one broken pod of that Deployment uses up
    /// `maxUnavailable: 1`.
    ///
    /// With pods that have no scale, such as those of a Job, it is worse: for a percentage or for `maxUnavailable` the disruption
    /// controller asks each pod's controller how many there should be. Where one cannot say, it allows no eviction at all, also
    /// while the Job's pod has long finished. Nodes can then not be drained.
    ///
    /// ## How to fix
    ///
    /// Add a label to the budget's selector that only the pods of the set have.
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
    ///   selector: {matchLabels: {app: etcd, role: member}}
    ///   template:
    ///     metadata: {labels: {app: etcd, role: member}}
    ///     spec: {containers: [{name: etcd, image: "quay.io/coreos/etcd:v3.5.9"}]}
    /// ---
    /// apiVersion: batch/v1
    /// kind: CronJob
    /// metadata: {name: backup}
    /// spec:
    ///   schedule: "0 3 * * *"
    ///   jobTemplate:
    ///     spec:
    ///       template:
    ///         metadata: {labels: {app: etcd, role: backup}}
    ///         spec: {restartPolicy: Never, containers: [{name: backup, image: "example.com/backup:1"}]}
    /// ---
    /// apiVersion: policy/v1
    /// kind: PodDisruptionBudget
    /// metadata: {name: etcd}
    /// spec:
    ///   maxUnavailable: 1
    ///   selector: {matchLabels: {app: etcd}}
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
    ///   selector: {matchLabels: {app: etcd, role: member}}
    ///   template:
    ///     metadata: {labels: {app: etcd, role: member}}
    ///     spec: {containers: [{name: etcd, image: "quay.io/coreos/etcd:v3.5.9"}]}
    /// ---
    /// apiVersion: batch/v1
    /// kind: CronJob
    /// metadata: {name: backup}
    /// spec:
    ///   schedule: "0 3 * * *"
    ///   jobTemplate:
    ///     spec:
    ///       template:
    ///         metadata: {labels: {app: etcd, role: backup}}
    ///         spec: {restartPolicy: Never, containers: [{name: backup, image: "example.com/backup:1"}]}
    /// ---
    /// apiVersion: policy/v1
    /// kind: PodDisruptionBudget
    /// metadata: {name: etcd}
    /// spec:
    ///   maxUnavailable: 1
    ///   selector: {matchLabels: {app: etcd, role: member}}
    /// ```
    "pdb-counts-others": "a disruption budget also counts pods of other kinds",
    triggers: [Set, Scale, Budget],
    reads: [StatefulSet, DisruptionBudget],
    check: State(check),
}

/// How many workloads a message names.
const MOST_NAMED: usize = 3;

fn check(at: &SetContext<'_>, _: &Params, out: &mut Violations) {
    for budget in at.known_budgets().iter().filter(|budget| !budget.metadata.deleting) {
        let others = at.view.workloads_selected_by(budget);
        if others.is_empty() {
            continue;
        }
        // Where others stay, those that go need not be named.
        let (passing, staying): (Vec<&Workload>, Vec<_>) =
            others.iter().partition(|other| other.is_deleted_when_done());
        let (counted, level) =
            if staying.is_empty() { (passing, Level::Warn) } else { (staying, Level::Deny) };
        let without_scale: Vec<_> = counted.iter().copied().filter(|other| other.scale().is_none()).collect();
        let message = if !without_scale.is_empty() && budget.needs_scale() {
            format!(
                "{} also selects the pods of {}, of which the disruption controller cannot tell how many there should be: it \
                 allows no eviction at all while one of them exists, finished or not",
                describe(budget),
                names(&without_scale)
            )
        } else {
            format!(
                "{} also counts the pods of {}: {}",
                describe(budget),
                names(&counted),
                consequence(budget)
            )
        };
        let violation = out.add(
            FieldPlace::of(budget.reference(), "/spec/selector"),
            message,
            remedy(at, budget, &others),
        );
        violation.keyed(&*budget.metadata.name).weighing(i32::try_from(others.len()).unwrap_or(i32::MAX));
        violation.at_most(level);
        for other in others.iter().take(MOST_NAMED) {
            violation.related_to(FieldPlace::of(other.reference(), "/spec"));
        }
    }
}

fn consequence(budget: &DisruptionBudget) -> &'static str {
    if budget.spec.max_unavailable.is_some() {
        "one of those that is down uses up what it allows"
    } else {
        "those that are up can meet it in place of the StatefulSet's"
    }
}

/// `CronJob backup`, `Deployment a, Deployment b, Deployment c and 4 more`.
fn names(workloads: &[&Workload]) -> String {
    let named = workloads
        .iter()
        .take(MOST_NAMED)
        .map(|workload| format!("{} {}", workload.kind.name(), workload.metadata.name));
    let rest = workloads.len().saturating_sub(MOST_NAMED);
    enumerate(named.chain((rest > 0).then(|| format!("{rest} more"))))
}

/// A label that all sets have that the budget is meant for, and none of the others.
fn remedy(at: &SetContext<'_>, budget: &DisruptionBudget, others: &[&Workload]) -> String {
    let name = &budget.metadata.name;
    let sets = at.view.sets_selected_by(budget);
    let tells_apart = |key: &str, value: &str| {
        sets.iter().all(|(set, _)| set.spec.template.labels().get(key) == Some(value))
            && others.iter().all(|other| other.labels().get(key) != Some(value))
    };
    let labels = at.set.spec.template.labels().without_versions();
    // Without the other pods the limit may be too high.
    let own = sets.iter().map(|(_, replicas)| (*replicas).max(0)).fold(0, i32::saturating_add);
    let limit = if budget.allowed_disruptions(own) == 0 {
        format!(", and {}", set_limit(at, budget))
    } else {
        String::new()
    };
    match labels.iter().find(|(key, value)| tells_apart(key, value)) {
        Some((key, value)) => {
            format!("add {key}: {value} to spec.selector.matchLabels of PodDisruptionBudget {name}{limit}")
        }
        None if budget.spec.selector.as_ref().is_some_and(LabelSelector::is_empty) => format!(
            "give PodDisruptionBudget {name} a spec.selector for a label that only these pods have, and each other workload a \
             budget of its own"
        ),
        None => format!(
            "give these pods a label that the others do not have, and add it to spec.selector of PodDisruptionBudget {name}{limit}"
        ),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::testing::{RuleTest, budget, set};
    use super::*;

    fn workload(kind: &str, name: &str, spec: &Value) -> Value {
        let mut spec = spec.clone();
        let template = json!({"metadata": {"labels": {"app": "zk", "role": "other"}}});
        match kind {
            "CronJob" => spec["jobTemplate"] = json!({"spec": {"template": template}}),
            _ => spec["template"] = template,
        }
        json!({"kind": kind, "metadata": {"name": name, "namespace": "default"}, "spec": spec})
    }

    fn scene(limit: &Value) -> RuleTest {
        let labels = json!({"app": "zk", "role": "member"});
        set(json!({"spec": {"template": {"metadata": {"labels": labels}}}}))
            .with(budget(json!({"spec": limit})))
    }

    #[test]
    fn a_job_has_no_scale() {
        for (limit, none) in [
            (json!({"maxUnavailable": 1}), true),
            (json!({"minAvailable": "51%"}), true),
            (json!({"minAvailable": 2}), false),
        ] {
            for kind in ["Job", "CronJob", "DaemonSet"] {
                let says = scene(&limit).with(workload(kind, "backup", &json!({}))).says(&RULE);
                assert!(says.contains(&format!("the pods of {kind} backup")), "{says}");
                assert_eq!(says.contains("no eviction at all"), none, "{says}");
                assert!(
                    says.ends_with("add role: member to spec.selector.matchLabels of PodDisruptionBudget zk")
                );
            }
        }
    }

    #[test]
    fn jobs_that_are_deleted_once_they_are_done_only_warn() {
        let job = |kind: &str, spec: &Value, key: &str, policy: &str| {
            let mut job = workload(kind, "init", spec);
            job["metadata"]["annotations"] = json!({key: policy});
            job
        };
        let (helm, argo) = ("helm.sh/hook-delete-policy", "argocd.argoproj.io/hook-delete-policy");
        for (kind, spec, key, policy, level) in [
            ("Job", json!({}), helm, "hook-succeeded", Level::Warn),
            ("Job", json!({}), helm, "before-hook-creation, hook-succeeded", Level::Warn),
            ("Job", json!({}), argo, "HookSucceeded", Level::Warn),
            ("Job", json!({"ttlSecondsAfterFinished": 600}), helm, "", Level::Warn),
            ("Job", json!({"ttlSecondsAfterFinished": 86_400}), helm, "", Level::Deny),
            ("Job", json!({}), helm, "before-hook-creation", Level::Deny),
            ("Job", json!({}), helm, "hook-failed", Level::Deny),
            ("CronJob", json!({}), helm, "hook-succeeded", Level::Deny),
            ("Deployment", json!({"replicas": 1}), helm, "hook-succeeded", Level::Deny),
        ] {
            let limited = scene(&json!({"maxUnavailable": 1}));
            let found = limited.with(job(kind, &spec, key, policy)).found(&RULE);
            assert_eq!(found[0].at_most, level, "{kind} {spec} {key} {policy}");
        }
        let hook = job("Job", &json!({}), helm, "hook-succeeded");
        let both =
            scene(&json!({"maxUnavailable": 1})).with(hook).with(workload("Job", "backup", &json!({})));
        assert_eq!(both.found(&RULE)[0].at_most, Level::Deny);
        let said = both.says(&RULE);
        assert!(said.contains("Job backup") && !said.contains("Job init"), "{said}");
    }

    #[test]
    fn pods_of_a_deployment_count() {
        let found = |spec: &Value| {
            let deployment = workload("Deployment", "web", spec);
            scene(&json!({"minAvailable": 2})).with(deployment).found(&RULE).len()
        };
        assert_eq!(
            [found(&json!({})), found(&json!({"replicas": 3})), found(&json!({"replicas": 0}))],
            [1, 1, 0]
        );
    }

    #[test]
    fn the_limit_must_fit_without_the_others() {
        let says = scene(&json!({"minAvailable": 5}))
            .with(workload("Deployment", "web", &json!({"replicas": 6})))
            .says(&RULE);
        assert!(
            says.contains(", and set spec.maxUnavailable: 1 in PodDisruptionBudget zk in place of"),
            "{says}"
        );
    }

    #[test]
    fn what_another_workload_has_made_counts_once() {
        let mut set = workload("ReplicaSet", "web-5f", &json!({"replicas": 3}));
        set["metadata"]["ownerReferences"] =
            json!([{"kind": "Deployment", "name": "web", "controller": true}]);
        let scene = scene(&json!({"minAvailable": 2})).with(set.clone());
        assert!(scene.found(&RULE).is_empty());
        set["metadata"]["ownerReferences"] = json!([{"kind": "Rollout", "name": "web", "controller": true}]);
        assert_eq!(scene.with(set).found(&RULE).len(), 1);
    }

    #[test]
    fn a_budget_for_the_set_alone_passes() {
        let limit = json!({"maxUnavailable": 1, "selector": {"matchLabels": {"role": "member"}}});
        assert!(scene(&limit).with(workload("Job", "backup", &json!({}))).found(&RULE).is_empty());
        assert!(scene(&json!({"maxUnavailable": 1})).found(&RULE).is_empty());
    }
}
