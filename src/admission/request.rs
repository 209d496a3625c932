//! The request of a review, once it is read.

use serde::Deserialize;

use crate::change::Change;
use crate::model::Kind;

/// The request of a review.
#[derive(Debug)]
pub struct Request {
    /// To be echoed.
    pub uid: String,
    /// The operation.
    pub operation: Operation,
    /// To what sort of object.
    pub resource: Resource,
    /// The kind of the object, as the request has it.
    pub kind: String,
    /// Its namespace; empty where it has none.
    pub namespace: String,
    /// Its name; empty where it is still to be generated.
    pub name: String,
    /// Whether the API server makes the name: it is another one when the creation is tried again.
    pub is_name_generated: bool,
    /// Its uid, which one that is refused to be created never had; empty where it is not known.
    pub object_uid: Box<str>,
    /// The change as the rules see it.
    pub change: Change,
    /// Why the object is not judged: it has a field that the API server refuses, which says so itself.
    pub unread: Option<String>,
}

/// `request.operation`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Operation {
    /// A new object.
    Create,
    /// A changed object.
    Update,
    /// A removed object.
    Delete,
    /// A connection, such as `exec`.
    Connect,
}

/// The sorts of object that reviews are about, from `request.resource` and `request.subResource`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Resource {
    /// `apps` statefulsets.
    StatefulSets,
    /// `apps` statefulsets/scale.
    Scale,
    /// `apps` deployments.
    Deployments,
    /// `apps` deployments/scale.
    DeploymentScale,
    /// `apps` replicasets.
    ReplicaSets,
    /// `apps` replicasets/scale.
    ReplicaSetScale,
    /// services.
    Services,
    /// `policy` poddisruptionbudgets.
    DisruptionBudgets,
    /// pods.
    Pods,
    /// pods/eviction.
    Eviction,
    /// `autoscaling` horizontalpodautoscalers.
    Autoscalers,
    /// `keda.sh` scaledobjects.
    ScaledObjects,
    /// persistentvolumeclaims.
    Claims,
    /// Anything else.
    Other,
}

impl Operation {
    /// The name in a request.
    pub fn name(self) -> &'static str {
        match self {
            Self::Create => "CREATE",
            Self::Update => "UPDATE",
            Self::Delete => "DELETE",
            Self::Connect => "CONNECT",
        }
    }
}

impl Resource {
    /// The name in a webhook configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::StatefulSets => "statefulsets",
            Self::Scale => "statefulsets/scale",
            Self::Deployments => "deployments",
            Self::DeploymentScale => "deployments/scale",
            Self::ReplicaSets => "replicasets",
            Self::ReplicaSetScale => "replicasets/scale",
            Self::Services => "services",
            Self::DisruptionBudgets => "poddisruptionbudgets",
            Self::Pods => "pods",
            Self::Eviction => "pods/eviction",
            Self::Autoscalers => "horizontalpodautoscalers",
            Self::ScaledObjects => "scaledobjects",
            Self::Claims => "persistentvolumeclaims",
            Self::Other => "other",
        }
    }

    /// The kind of the object that is changed; of a subresource, that of its object.
    pub fn kind(self) -> Option<Kind> {
        Some(match self {
            Self::StatefulSets | Self::Scale => Kind::StatefulSet,
            Self::Deployments | Self::DeploymentScale => Kind::Deployment,
            Self::ReplicaSets | Self::ReplicaSetScale => Kind::ReplicaSet,
            Self::Services => Kind::Service,
            Self::DisruptionBudgets => Kind::DisruptionBudget,
            Self::Pods | Self::Eviction => Kind::Pod,
            Self::Autoscalers => Kind::Autoscaler,
            Self::ScaledObjects => Kind::ScaledObject,
            Self::Claims => Kind::Claim,
            Self::Other => return None,
        })
    }
}
