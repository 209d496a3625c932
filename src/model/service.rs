//! A Service.

use serde::Deserialize;

use super::{Labels, Metadata, nullable};

/// The fields of a Service that rules read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Service {
    #[serde(deserialize_with = "nullable::field")]
    pub metadata: Metadata,
    #[serde(deserialize_with = "nullable::field")]
    pub spec: ServiceSpec,
}

/// The fields of a Service's `spec` that rules read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ServiceSpec {
    /// `None`, an address, or empty before the API server chooses one.
    #[serde(rename = "clusterIP", deserialize_with = "nullable::field")]
    pub cluster_ip: Box<str>,
    /// Empty means ClusterIP.
    #[serde(rename = "type", deserialize_with = "nullable::field")]
    pub type_: Box<str>,
    /// The labels that it selects pods by; empty if its endpoints are managed by hand.
    pub selector: Labels,
    /// Whether DNS has names for members before they are ready.
    #[serde(deserialize_with = "nullable::field")]
    pub publish_not_ready_addresses: bool,
}

impl Service {
    /// Whether DNS answers with the pods' own addresses, so that each pod gets a name of its own. (The address may also be given as the
    /// list `clusterIPs`, which the API server keeps equal to `clusterIP`.)
    pub fn is_headless(&self) -> bool {
        &*self.spec.cluster_ip == "None" && !self.is_external_name()
    }

    /// Whether the Service is only an alias for an outside name.
    pub fn is_external_name(&self) -> bool {
        &*self.spec.type_ == "ExternalName"
    }

    /// Whether the Service selects pods with these labels. Without a selector it selects none.
    pub fn selects(&self, labels: &Labels) -> bool {
        !self.spec.selector.is_empty() && self.spec.selector.is_subset_of(labels)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service(spec: &str) -> Service {
        serde_json::from_str(&format!(r#"{{"metadata":{{"name":"a"}},"spec":{spec}}}"#)).unwrap()
    }

    #[test]
    fn headless_is_the_word_none() {
        assert!(service(r#"{"clusterIP":"None"}"#).is_headless());
        assert!(!service(r#"{"clusterIP":""}"#).is_headless());
        assert!(!service(r#"{"clusterIP":null}"#).is_headless());
        assert!(!service(r#"{"clusterIP":"10.0.0.1"}"#).is_headless());
        assert!(!service(r#"{"clusterIP":"None","type":"ExternalName"}"#).is_headless());
        assert!(!service("null").is_headless());
    }

    #[test]
    fn no_selector_selects_nothing() {
        let labels: Labels = [("app", "zk")].into_iter().collect();
        assert!(!service("{}").selects(&labels));
        assert!(!service(r#"{"selector":{}}"#).selects(&labels));
        assert!(service(r#"{"selector":{"app":"zk"}}"#).selects(&labels));
    }
}
