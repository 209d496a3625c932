//! The interface of all objects in a snapshot.

use std::fmt;

use super::{
    Autoscaler, Claim, ConfigMap, DisruptionBudget, Kind, Metadata, Namespace, Pod, PolicyDocument, Service,
    StatefulSet, Workload,
};

/// An object that a snapshot can hold.
pub trait Object {
    fn kind(&self) -> Kind;

    /// Sets the kind, for types that stand for several kinds.
    fn set_kind(&mut self, _: Kind) {}

    fn metadata(&self) -> &Metadata;

    fn metadata_mut(&mut self) -> &mut Metadata;

    /// The object's name in findings, in the API version that rules read, whatever version it was written in.
    fn reference(&self) -> ObjectRef {
        let Metadata { namespace, name, .. } = self.metadata();
        self.kind().reference(namespace, name)
    }
}

impl Kind {
    /// The reference of an object of this kind.
    pub fn reference(self, namespace: &str, name: &str) -> ObjectRef {
        let facts = self.facts();
        ObjectRef {
            api_version: facts.api_version,
            kind: facts.name,
            namespace: namespace.into(),
            name: name.into(),
        }
    }
}

/// The full name of an object.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ObjectRef {
    /// `apps/v1`.
    pub api_version: &'static str,
    /// `StatefulSet`.
    pub kind: &'static str,
    pub namespace: Box<str>,
    pub name: Box<str>,
}

impl fmt::Display for ObjectRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let slash = if self.namespace.is_empty() { "" } else { "/" };
        write!(f, "{} {}{slash}{}", self.kind, self.namespace, self.name)
    }
}

/// Implements `Object` for types with a field `metadata`. The kind has the type's name, or is in the field `kind`.
macro_rules! objects {
    ($($model:ident),+; of several kinds: $($of_several:ident),+) => {
        $(impl Object for $model {
            fn kind(&self) -> Kind {
                Kind::$model
            }

            objects!(metadata);
        })+
        $(impl Object for $of_several {
            fn kind(&self) -> Kind {
                self.kind
            }

            fn set_kind(&mut self, kind: Kind) {
                self.kind = kind;
            }

            objects!(metadata);
        })+
    };
    (metadata) => {
        fn metadata(&self) -> &Metadata {
            &self.metadata
        }

        fn metadata_mut(&mut self) -> &mut Metadata {
            &mut self.metadata
        }
    };
}

objects! {
    Claim, ConfigMap, DisruptionBudget, Namespace, Pod, Service, StatefulSet;
    of several kinds: Autoscaler, PolicyDocument, Workload
}
