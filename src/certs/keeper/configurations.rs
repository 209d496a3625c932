//! The webhook configurations, as far as they say whom the API server trusts.

use std::time::Duration;

use k8s_openapi::{
    ByteString,
    api::admissionregistration::v1::{MutatingWebhookConfiguration, ValidatingWebhookConfiguration},
};
use kube::{
    Client, Resource,
    api::{GetParams, Patch, PatchParams},
    core::Request,
};
use serde::Deserialize;
use serde_json::json;

use crate::certs::x509::{Certificate, pem_of};
use crate::cluster::live::{ApiError, answered};
use crate::model::ObjectRef;

/// Who owns the fields that are applied.
const MANAGER: &str = "stateward-ca-bundle";
const API_VERSION: &str = "admissionregistration.k8s.io/v1";

/// The two configurations of one name.
pub(super) struct Configurations {
    pub(super) client: Client,
    pub(super) name: String,
    /// How long an answer may take.
    pub(super) patience: Duration,
}

/// What is to be done could not be done to one of them.
#[derive(Debug, thiserror::Error)]
#[error("{} {} cannot be {action}: {error}", object.kind, object.name)]
pub(super) struct ConfigurationError {
    pub(super) object: ObjectRef,
    pub(super) uid: String,
    action: &'static str,
    pub(super) error: ApiError,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Validating,
    Mutating,
}

/// One of them, as it was read.
pub(super) struct Configuration {
    kind: Kind,
    uid: String,
    version: String,
    names: Vec<String>,
    /// What the entries carry.
    pub(super) bundles: Vec<Vec<u8>>,
}

#[derive(Deserialize)]
struct Read {
    metadata: Metadata,
    #[serde(default)]
    webhooks: Option<Vec<Webhook>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    uid: String,
    resource_version: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Webhook {
    name: String,
    client_config: ClientConfig,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ClientConfig {
    #[serde(default)]
    ca_bundle: Option<ByteString>,
}

impl Configurations {
    /// Those that exist.
    pub(super) async fn read(&self) -> Result<Vec<Configuration>, ConfigurationError> {
        let mut found = Vec::new();
        for kind in [Kind::Validating, Kind::Mutating] {
            found.extend(self.read_one(kind).await.map_err(|error| self.failed(kind, "", "read", error))?);
        }
        Ok(found)
    }

    async fn read_one(&self, kind: Kind) -> Result<Option<Configuration>, ApiError> {
        let request = Request::new(kind.path()).get(&self.name, &GetParams::default());
        let request = request.map_err(|error| ApiError::from(kube::Error::BuildRequest(error)))?;
        let read: Read = match answered(self.patience, self.client.request(request)).await {
            Err(error) if error.is_absence() => return Ok(None),
            read => read?,
        };
        let Metadata { uid, resource_version: version } = read.metadata;
        let (names, bundles) = read.webhooks.into_iter().flatten().map(entry).unzip();
        Ok(Some(Configuration { kind, uid, version, names, bundles }))
    }

    /// Makes each entry carry these, and touches nothing else. Refused where the configuration is not as it was read, or gone.
    pub(super) async fn apply(
        &self,
        read: &Configuration,
        bundle: &[Certificate],
    ) -> Result<(), ConfigurationError> {
        let bundle = ByteString(pem_of(bundle).into_bytes());
        let entries =
            read.names.iter().map(|name| json!({"name": name, "clientConfig": {"caBundle": bundle}}));
        let change = json!({
            "apiVersion": API_VERSION, "kind": read.kind.name(),
            "metadata": {"name": self.name, "uid": read.uid, "resourceVersion": read.version},
            "webhooks": entries.collect::<Vec<_>>(),
        });
        let params = PatchParams::apply(MANAGER).force();
        let request = Request::new(read.kind.path()).patch(&self.name, &params, &Patch::Apply(&change));
        let sent = match request {
            Ok(request) => {
                answered(self.patience, self.client.request::<serde::de::IgnoredAny>(request)).await
            }
            Err(error) => Err(kube::Error::BuildRequest(error).into()),
        };
        sent.map(drop).map_err(|error| self.failed(read.kind, &read.uid, "changed", error))
    }

    fn failed(&self, kind: Kind, uid: &str, action: &'static str, error: ApiError) -> ConfigurationError {
        let (namespace, name) = (Box::default(), self.name.as_str().into());
        let object = ObjectRef { api_version: API_VERSION, kind: kind.name(), namespace, name };
        ConfigurationError { object, uid: uid.to_owned(), action, error }
    }
}

impl Configuration {
    /// The CAs that each entry carries; none where that cannot be read.
    pub(super) fn entries(&self) -> Vec<Vec<Certificate>> {
        self.bundles.iter().map(|bundle| Certificate::read_all(bundle).unwrap_or_default()).collect()
    }

    /// What it is called in messages.
    pub(super) fn kind(&self) -> &'static str {
        self.kind.name()
    }
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Validating => "ValidatingWebhookConfiguration",
            Self::Mutating => "MutatingWebhookConfiguration",
        }
    }

    fn path(self) -> String {
        match self {
            Self::Validating => ValidatingWebhookConfiguration::url_path(&(), None),
            Self::Mutating => MutatingWebhookConfiguration::url_path(&(), None),
        }
    }
}

fn entry(webhook: Webhook) -> (String, Vec<u8>) {
    (webhook.name, webhook.client_config.ca_bundle.unwrap_or_default().0)
}
