//! What all objects of a snapshot have in common.

use std::fmt;

use super::{
    Autoscaler, Claim, ConfigMap, DisruptionBudget, Kind, Metadata, Namespace, Pod, PolicyDocument, Service,
    StatefulSet, Workload,
};

/// An object that a snapshot can hold.
pub trait Object {
    fn kind(&self) -> Kind;

    /// Notes the kind, where one type is kept of several.
    fn set_kind(&mut self, _: Kind) {}

    fn metadata(&self) -> &Metadata;

    fn metadata_mut(&mut self) -> &mut Metadata;

    /// What a finding calls it: in the version it is judged in, whatever it was written in.
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

/// The name of an object, whole.
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

/// Makes objects of types with a field `metadata`, each of the kind of the same name, or of the one in its field `kind`.
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
