//! A change to the cluster, and its requester.

use serde_json::Value;

use crate::model::{
    Autoscaler, Claim, DisruptionBudget, Eviction, Kind, Labels, Metadata, ObjectRef, Pod, Service,
    StatefulSet, Workload,
};

/// One change to one object.
#[derive(Clone, Debug, Default)]
pub struct Change {
    /// The action.
    pub action: Action,
    /// The requesting user; empty for manifests.
    pub requester: Requester,
    /// Whether nothing of it will persist.
    pub dry_run: bool,
    /// Whether a deletion leaves what the object owns: `propagationPolicy: Orphan`, as `kubectl delete --cascade=orphan` asks.
    pub orphans: bool,
    /// A StatefulSet as it is written, where a policy's check reads it.
    pub raw: Option<Box<RawObjects>>,
    /// Whether what belongs to it is there by now, as in manifests that are judged together. A request may be the first of
    /// several.
    pub has_all_objects: bool,
}

/// A StatefulSet before and after a change, with all of its fields.
#[derive(Clone, Debug, PartialEq)]
pub struct RawObjects {
    /// Null where it is created.
    pub old: Value,
    pub new: Value,
    /// Whether they are too large to be kept; then both are null.
    pub are_too_large: bool,
}

/// One of them, as far as it is known.
#[derive(Clone, Copy, Debug)]
pub enum RawObject<'r> {
    Known(&'r Value),
    Absent,
    Unknown,
    TooLarge,
}

impl RawObjects {
    pub fn new(old: Option<Value>, new: Value) -> Self {
        Self { old: old.unwrap_or_default(), new, are_too_large: false }
    }

    pub fn too_large() -> Self {
        Self { old: Value::Null, new: Value::Null, are_too_large: true }
    }

    /// The old one and the new one.
    pub fn both(&self) -> [RawObject<'_>; 2] {
        [&self.old, &self.new].map(|object| match object {
            _ if self.are_too_large => RawObject::TooLarge,
            Value::Null => RawObject::Absent,
            object => RawObject::Known(object),
        })
    }
}

/// The kind of change, with its objects.
#[derive(Clone, Debug, Default)]
#[expect(clippy::large_enum_variant, reason = "there is one a request, and it is moved once")]
pub enum Action {
    /// A StatefulSet.
    StatefulSet(ObjectChange<StatefulSet>),
    /// The replica count of a StatefulSet, through its `scale` subresource: the request says nothing else of the set.
    Scale {
        /// The set's namespace.
        namespace: Box<str>,
        /// The set's name.
        name: Box<str>,
        /// The count so far.
        old: i32,
        /// The count asked for.
        new: i32,
    },
    /// A Deployment or a ReplicaSet.
    Workload(ObjectChange<Workload>),
    /// The replica count of a Deployment or a ReplicaSet, through its `scale` subresource.
    WorkloadScale(WorkloadScale),
    /// A Service.
    Service(ObjectChange<Service>),
    /// A PodDisruptionBudget.
    DisruptionBudget(ObjectChange<DisruptionBudget>),
    /// A HorizontalPodAutoscaler.
    Autoscaler(ObjectChange<Autoscaler>),
    /// A PersistentVolumeClaim that is to be deleted.
    ClaimDeletion(Claim),
    /// A Pod that is to be created.
    PodCreation(Pod),
    /// A Pod that is to be deleted.
    PodDeletion(PodDeletion),
    /// A Pod that is to be evicted.
    Eviction(Eviction),
    /// A manifest in a file: how an object is written, apart from what it says.
    Manifest(WrittenObject),
    /// Something no rule looks at.
    #[default]
    Other,
}

/// A scale of a Deployment or a ReplicaSet: the request says nothing else of it.
#[derive(Clone, Debug)]
pub struct WorkloadScale {
    pub kind: Kind,
    pub namespace: Box<str>,
    pub name: Box<str>,
    /// The count so far.
    pub old: i32,
    /// The count asked for.
    pub new: i32,
}

/// The deletion of a Pod.
#[derive(Clone, Debug, Default)]
pub struct PodDeletion {
    /// The Pod as it is.
    pub pod: Pod,
    /// `gracePeriodSeconds` of the request, if it gives one.
    pub grace_period: Option<i64>,
}

/// A Pod that is to go, by deletion or by eviction.
#[derive(Clone, Copy, Debug)]
pub struct PodRemoval<'a> {
    /// The Pod as it is.
    pub pod: &'a Pod,
    /// `gracePeriodSeconds` of the request, if it gives one.
    pub grace_period: Option<i64>,
    pub is_eviction: bool,
}

/// How an object is written in a file.
#[derive(Clone, Debug)]
pub struct WrittenObject {
    pub object: ObjectRef,
    pub metadata: Metadata,
    /// The version it is written in.
    pub api_version: String,
    /// Whether it has a `spec.selector` that is not empty.
    pub has_selector: bool,
    /// The keys that some map of it has more than once, of which the last counts.
    pub duplicate_keys: Vec<DuplicateKey>,
    pub immutable_changes: Vec<ImmutableChange>,
}

/// A field of a StatefulSet that is not what it was in an older manifest, and that the API server does not let be changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImmutableChange {
    /// JSON pointer of the field.
    pub path: &'static str,
    pub pods: OrphanedPods,
}

/// How pods fit a StatefulSet that is created anew, after the one that made them was deleted without them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OrphanedPods {
    /// The controller adopts them as they are.
    Fit,
    /// Its selector asks for these labels, which they do not have. The controller then neither adopts them nor can create pods of
    /// the same names.
    NotSelected(Labels),
    /// It has claim templates of these names, and they no such volumes. The controller adopts them, and tries to add the volumes
    /// without end, which the API server refuses.
    LackVolumes(Vec<Box<str>>),
    /// They have their names under this Service, or none where it is empty: `subdomain` is set when a pod is created, and the
    /// controller does not look at it later.
    NamedUnder(Box<str>),
}

/// A key that is written twice in one map.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DuplicateKey {
    /// JSON pointer of the key.
    pub pointer: String,
    /// The lines of the first of them and of the last, from 1; `None` where they are not lines of the file, which is rendered.
    pub lines: Option<(u32, u32)>,
}

/// A change to an object of kind `T`.
#[derive(Clone, Debug)]
pub enum ObjectChange<T> {
    /// It will exist.
    Create(T),
    /// It will be different.
    Update {
        /// The present state.
        old: T,
        /// The new state.
        new: T,
    },
    /// It will be gone.
    Delete(T),
}

impl<T> ObjectChange<T> {
    /// The object as it is, unless it is created.
    pub fn before(&self) -> Option<&T> {
        match self {
            Self::Create(_) => None,
            Self::Update { old, .. } | Self::Delete(old) => Some(old),
        }
    }

    /// The object as it will be, unless it is deleted.
    pub fn after(&self) -> Option<&T> {
        match self {
            Self::Create(new) | Self::Update { new, .. } => Some(new),
            Self::Delete(_) => None,
        }
    }
}

/// The service accounts in `kube-system` of the controllers of kube-controller-manager that may delete pods, as its source
/// grants them: `plugin/pkg/auth/authorizer/rbac/bootstrappolicy/controller_policy.go` of Kubernetes 1.36. `node-controller` is
/// the account of the eviction by taints too. The cloud-controller-manager deletes nodes, never pods. Any other account there is
/// that of an add-on or an operator, whose deletions are judged.
pub const POD_DELETING_CONTROLLERS: [&str; 12] = [
    "cronjob-controller",
    "daemon-set-controller",
    "device-taint-eviction-controller",
    "generic-garbage-collector",
    "job-controller",
    "namespace-controller",
    "node-controller",
    "persistent-volume-binder",
    "pod-garbage-collector",
    "replicaset-controller",
    "replication-controller",
    "statefulset-controller",
];

/// `userInfo` of a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Requester {
    /// The user's name; a controller's is `system:serviceaccount:NAMESPACE:NAME`.
    pub username: Box<str>,
    /// The groups the user is in.
    pub groups: Vec<Box<str>>,
}

impl Requester {
    /// Whether this is a controller that deletes what others have decided to delete. A denial would leave a namespace or an
    /// object in `Terminating` for ever.
    pub fn is_cleanup_controller(&self) -> bool {
        matches!(self.system_account(), Some("namespace-controller" | "generic-garbage-collector"))
            || self.is_controller_manager()
    }

    /// Whether this is a controller of the system itself, which deletes pods by its own rules: that of nodes, of pods
    /// whose node is gone, of StatefulSets, or the scheduler that makes room.
    pub fn is_system(&self) -> bool {
        self.system_account().is_some_and(|account| POD_DELETING_CONTROLLERS.contains(&account))
            || self.is_controller_manager()
            || &*self.username == "system:kube-scheduler"
    }

    /// Whether it may be the account of an operator. Which one an operator has is not known, but it is a service account, and none of
    /// the system's own controllers.
    pub fn may_be_operator(&self) -> bool {
        self.username.starts_with("system:serviceaccount:")
            && !self.is_system()
            && self.system_account() != Some("horizontal-pod-autoscaler")
    }

    /// The node whose kubelet this is.
    pub fn kubelet_of(&self) -> Option<&str> {
        let is_node = self.groups.iter().any(|group| &**group == "system:nodes");
        self.username.strip_prefix("system:node:").filter(|_| is_node)
    }

    /// The name of a service account in `kube-system`. Who may act as one already has full rights there.
    fn system_account(&self) -> Option<&str> {
        self.username.strip_prefix("system:serviceaccount:kube-system:")
    }

    /// The controller manager where its controllers share one name (`--use-service-account-credentials=false`).
    fn is_controller_manager(&self) -> bool {
        &*self.username == "system:kube-controller-manager"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_of_the_system_itself() {
        for (username, is_system) in [
            ("system:serviceaccount:kube-system:statefulset-controller", true),
            ("system:serviceaccount:kube-system:node-controller", true),
            ("system:serviceaccount:kube-system:pod-garbage-collector", true),
            ("system:kube-controller-manager", true),
            ("system:kube-scheduler", true),
            ("system:serviceaccount:kube-system:aws-load-balancer-controller", false),
            ("system:serviceaccount:kube-system:snapshot-controller", false),
            ("system:serviceaccount:kube-system:image-garbage-collector", false),
            ("system:serviceaccount:kube-system:cloud-controller-manager", false),
            ("system:serviceaccount:kafka:statefulset-controller", false),
            ("statefulset-controller", false),
        ] {
            let requester = Requester { username: username.into(), groups: Vec::new() };
            assert_eq!(requester.is_system(), is_system, "{username}");
        }
    }

    #[test]
    fn accounts_that_operators_may_have() {
        for (username, may_be) in [
            ("system:serviceaccount:kafka:strimzi-cluster-operator", true),
            ("system:serviceaccount:kube-system:etcd-operator", true),
            ("system:serviceaccount:kafka:horizontal-pod-autoscaler", true),
            ("system:serviceaccount:kube-system:horizontal-pod-autoscaler", false),
            ("system:serviceaccount:kube-system:statefulset-controller", false),
            ("system:kube-controller-manager", false),
            ("jane", false),
        ] {
            let requester = Requester { username: username.into(), groups: Vec::new() };
            assert_eq!(requester.may_be_operator(), may_be, "{username}");
        }
    }
}
