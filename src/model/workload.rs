//! Deployments, ReplicaSets, DaemonSets, Jobs and CronJobs: other kinds that make pods.

use serde::Deserialize;

use super::annotations::{ARGO_HOOK_DELETION, HELM_HOOK_DELETION};
use super::{IntOrPercent, Kind, LabelSelector, Labels, Metadata, PodTemplate, nullable};

/// The fields of an object that makes pods and is not a StatefulSet.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Workload {
    #[serde(skip)]
    pub kind: Kind,
    #[serde(deserialize_with = "nullable::field")]
    pub metadata: Metadata,
    #[serde(deserialize_with = "nullable::field")]
    pub spec: WorkloadSpec,
}

/// The fields of a workload's `spec` that rules read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct WorkloadSpec {
    /// Of Deployments and ReplicaSets; absent means 1.
    pub replicas: Option<i32>,
    /// Of a Job.
    pub parallelism: Option<i32>,
    /// Of a Job.
    ttl_seconds_after_finished: Option<i32>,
    /// The pods that belong to it.
    #[serde(deserialize_with = "nullable::field")]
    pub selector: LabelSelector,
    #[serde(deserialize_with = "nullable::field")]
    template: PodTemplate,
    /// Of a CronJob, which holds its pod template here.
    #[serde(deserialize_with = "nullable::field")]
    job_template: JobTemplate,
    /// Of a Deployment.
    #[serde(deserialize_with = "nullable::field")]
    pub strategy: DeploymentStrategy,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
struct JobTemplate {
    #[serde(deserialize_with = "nullable::field")]
    spec: JobSpec,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
struct JobSpec {
    #[serde(deserialize_with = "nullable::field")]
    template: PodTemplate,
}

/// `strategy` of a Deployment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct DeploymentStrategy {
    /// `RollingUpdate` (also if empty) or `Recreate`.
    #[serde(rename = "type", deserialize_with = "nullable::field")]
    pub type_: Box<str>,
    pub rolling_update: Option<DeploymentRollingUpdate>,
}

/// `strategy.rollingUpdate` of a Deployment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct DeploymentRollingUpdate {
    /// Absent means 25 %, rounded up.
    pub max_surge: Option<IntOrPercent>,
    /// Absent means 25 %, rounded down.
    pub max_unavailable: Option<IntOrPercent>,
}

/// The limits of a rolling update, as numbers of pods.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rollout {
    /// How many pods may run beyond the replica count.
    pub surge: i32,
    /// How many pods may be missing before their successors are ready.
    pub unavailable: i32,
}

impl Workload {
    /// The desired replica count; absent means 1.
    pub fn replicas(&self) -> i32 {
        self.spec.replicas.unwrap_or(1)
    }

    /// Whether a Deployment owns it; the Deployment is judged in its place.
    pub fn is_of_deployment(&self) -> bool {
        self.metadata.owner.as_deref().is_some_and(|owner| &*owner.kind == "Deployment")
    }

    /// How a new version of its template replaces `replicas` pods; `None` if all old pods must be gone first, or a person deletes them.
    /// (`ResolveFenceposts` in pkg/controller/deployment/util makes 1 unavailable where both would be 0.)
    pub fn rollout(&self, replicas: i32) -> Option<Rollout> {
        if self.kind != Kind::Deployment || &*self.spec.strategy.type_ == "Recreate" {
            return None;
        }
        let quarter = IntOrPercent::Percent(25);
        let DeploymentRollingUpdate { max_surge, max_unavailable } =
            self.spec.strategy.rolling_update.unwrap_or_default();
        Some(Rollout {
            surge: max_surge.unwrap_or(quarter).of_rounded_up(replicas).max(0),
            unavailable: max_unavailable.unwrap_or(quarter).of_rounded_down(replicas).max(0),
        })
    }

    /// Whether two pods of it may run at the same time.
    pub fn may_run_two(&self, replicas: i32) -> bool {
        replicas > 1 || self.rollout(replicas.max(1)).is_some_and(|rollout| rollout.surge > 0)
    }

    /// The template of its pods.
    pub fn template(&self) -> &PodTemplate {
        if self.kind == Kind::CronJob { &self.spec.job_template.spec.template } else { &self.spec.template }
    }

    pub fn template_mut(&mut self) -> &mut PodTemplate {
        if self.kind == Kind::CronJob {
            &mut self.spec.job_template.spec.template
        } else {
            &mut self.spec.template
        }
    }

    /// The labels of its pods.
    pub fn labels(&self) -> &Labels {
        self.template().labels()
    }

    /// Whether it is a Job that is deleted with its pods once it has succeeded: a hook of Helm or Argo CD with that policy, or a Job
    /// whose TTL is an hour at most.
    pub fn is_deleted_when_done(&self) -> bool {
        let policy = |key: &str, succeeded: &str| {
            let policies = self.metadata.annotations.get(key).unwrap_or_default().split(',');
            policies.map(str::trim).any(|policy| policy == succeeded)
        };
        let is_short_lived = || self.spec.ttl_seconds_after_finished.is_some_and(|seconds| seconds <= 3_600);
        self.kind == Kind::Job
            && (policy(HELM_HOOK_DELETION, "hook-succeeded")
                || policy(ARGO_HOOK_DELETION, "HookSucceeded")
                || is_short_lived())
    }

    /// How many pods the disruption controller expects: the `scale` of its controller. `None` if the kind has no scale (Jobs, CronJobs,
    /// DaemonSets): then a percentage or `maxUnavailable` allows no eviction at all.
    pub fn scale(&self) -> Option<i32> {
        matches!(self.kind, Kind::Deployment | Kind::ReplicaSet)
            .then(|| self.spec.replicas.unwrap_or(1).max(0))
    }
}
