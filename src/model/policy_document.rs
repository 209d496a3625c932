//! A `StatefulSetPolicy` or `StatefulSetExemption` as an object; `crate::policy` compiles its content.

use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};

use super::{Kind, Metadata};

/// A policy or an exemption as it comes from an API server or a file.
#[derive(Clone, Debug, PartialEq)]
pub struct PolicyDocument {
    /// [`Kind::Policy`] or [`Kind::Exemption`].
    pub kind: Kind,
    pub metadata: Metadata,
    /// The API server increases it with every change of `spec`.
    pub generation: i64,
    /// Kept in snapshots, unlike that of other kinds, for Events.
    pub uid: Box<str>,
    /// Null if absent.
    pub spec: Value,
    /// Null if absent.
    pub status: Value,
}

impl PolicyDocument {
    /// The document as JSON, for the parser of policies.
    pub fn to_json(&self) -> Value {
        let mut metadata = json!({"name": self.metadata.name});
        if !self.metadata.namespace.is_empty() {
            metadata["namespace"] = json!(self.metadata.namespace);
        }
        let (api_version, kind) = (self.kind.facts().api_version, self.kind.name());
        let mut document = json!({"apiVersion": api_version, "kind": kind, "metadata": metadata});
        if !self.spec.is_null() {
            document["spec"] = self.spec.clone();
        }
        document
    }
}

impl<'de> Deserialize<'de> for PolicyDocument {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Parts {
            #[serde(default)]
            metadata: Value,
            #[serde(default)]
            spec: Value,
            #[serde(default)]
            status: Value,
        }
        let Parts { metadata, spec, status } = Parts::deserialize(deserializer)?;
        let generation = metadata["generation"].as_i64().unwrap_or_default();
        let metadata = match metadata {
            Value::Null => Metadata::default(),
            metadata => Metadata::deserialize(metadata).map_err(serde::de::Error::custom)?,
        };
        let (kind, uid) = (Kind::Policy, metadata.uid.clone());
        Ok(Self { kind, metadata, generation, uid, spec, status })
    }
}
