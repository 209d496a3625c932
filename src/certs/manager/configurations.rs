//! The webhook configurations, as far as they say whom the API server trusts, and whether it asks what to add to StatefulSets.
//!
//! The fields are given up after each apply: if we owned a field of an entry, a server-side apply that removes the entry would leave
//! one with nothing but `caBundle`, which the API server refuses.

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
use serde::{Deserialize, de::IgnoredAny};
use serde_json::{Value, json};

use crate::api_server::{ApiError, answered};
use crate::certs::x509::{Certificate, pem_of};
use crate::model::ObjectRef;
use crate::webhook_config::{MUTATED_SETS, wanted_by_a_policy};

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

/// A webhook configuration could not be read or changed.
#[derive(Debug, thiserror::Error)]
#[error("{} {} cannot be {action}: {error}", object.kind, object.name)]
pub(super) struct ConfigurationError {
    pub(super) object: ObjectRef,
    pub(super) uid: String,
    action: &'static str,
    pub(super) error: ApiError,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ConfigurationKind {
    Validating,
    Mutating,
}

/// One of them, as it was read.
pub(super) struct WebhookConfiguration {
    kind: ConfigurationKind,
    uid: String,
    version: String,
    /// Who owns which fields.
    managers: Vec<Value>,
    names: Vec<String>,
    /// The bundle that the entries carry.
    pub(super) bundles: Vec<Vec<u8>>,
    /// The expression of the condition of [`MUTATED_SETS`], where that has it.
    wanted: Option<String>,
}

#[derive(Deserialize)]
struct ReadConfiguration {
    metadata: ConfigurationMetadata,
    #[serde(default)]
    webhooks: Option<Vec<Webhook>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ConfigurationMetadata {
    uid: String,
    resource_version: String,
    #[serde(default)]
    managed_fields: Vec<Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Webhook {
    name: String,
    client_config: ClientConfig,
    #[serde(default)]
    match_conditions: Vec<MatchCondition>,
}

#[derive(Deserialize)]
struct MatchCondition {
    name: String,
    expression: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ClientConfig {
    #[serde(default)]
    ca_bundle: Option<ByteString>,
}

impl Configurations {
    /// The configurations that exist.
    pub(super) async fn read(&self) -> Result<Vec<WebhookConfiguration>, ConfigurationError> {
        let mut found = Vec::new();
        for kind in [ConfigurationKind::Validating, ConfigurationKind::Mutating] {
            found.extend(self.read_one(kind).await.map_err(|error| self.failed(kind, "", "read", error))?);
        }
        Ok(found)
    }

    async fn read_one(&self, kind: ConfigurationKind) -> Result<Option<WebhookConfiguration>, ApiError> {
        let request = Request::new(kind.path())
            .get(&self.name, &GetParams::default())
            .map_err(|error| ApiError::from(kube::Error::BuildRequest(error)))?;
        let read: ReadConfiguration = match answered(self.patience, self.client.request(request)).await {
            Err(error) if error.is_absence() => return Ok(None),
            read => read?,
        };
        let ConfigurationMetadata { uid, resource_version: version, managed_fields: managers } =
            read.metadata;
        let webhooks = read.webhooks.unwrap_or_default();
        let wanted = webhooks.iter().filter(|webhook| kind.mutates_sets(&webhook.name)).find_map(wanted);
        let (names, bundles) = webhooks.into_iter().map(entry).unzip();
        Ok(Some(WebhookConfiguration { kind, uid, version, managers, names, bundles, wanted }))
    }

    /// Makes each entry carry these, has the one about StatefulSets asked or not, and touches nothing else. Refused where the
    /// configuration is not as it was read, or gone.
    pub(super) async fn apply(
        &self,
        read: &WebhookConfiguration,
        bundle: &[Certificate],
        is_wanted: Option<bool>,
    ) -> Result<(), ConfigurationError> {
        let bundle = ByteString(pem_of(bundle).into_bytes());
        let entries = read.names.iter().map(|name| {
            let mut entry = json!({"name": name, "clientConfig": {"caBundle": bundle}});
            if let Some(is_wanted) = is_wanted.filter(|_| read.kind.mutates_sets(name)) {
                let (name, expression) = wanted_by_a_policy(is_wanted);
                entry["matchConditions"] = json!([{"name": name, "expression": expression}]);
            }
            entry
        });
        let change = json!({
            "apiVersion": API_VERSION, "kind": read.kind.name(),
            "metadata": {"name": self.name, "uid": read.uid, "resourceVersion": read.version},
            "webhooks": entries.collect::<Vec<_>>(),
        });
        self.patch(read, &PatchParams::apply(MANAGER).force(), &Patch::Apply(&change)).await
    }

    /// Gives up what [`apply`](Self::apply) has made ours; the fields stay as they are.
    pub(super) async fn give_up(&self, read: &WebhookConfiguration) -> Result<(), ConfigurationError> {
        let mut others: Vec<&Value> = read.managers.iter().filter(|manager| !is_us(manager)).collect();
        let empty = json!({});
        if others.is_empty() {
            // An empty list would be taken for none.
            others.push(&empty);
        }
        let change = json!({
            "metadata": {"uid": read.uid, "resourceVersion": read.version, "managedFields": others},
        });
        self.patch(read, &PatchParams::default(), &Patch::Merge(&change)).await
    }

    async fn patch(
        &self,
        read: &WebhookConfiguration,
        params: &PatchParams,
        change: &Patch<&Value>,
    ) -> Result<(), ConfigurationError> {
        let sent = match Request::new(read.kind.path()).patch(&self.name, params, change) {
            Ok(request) => answered(self.patience, self.client.request::<IgnoredAny>(request)).await,
            Err(error) => Err(kube::Error::BuildRequest(error).into()),
        };
        sent.map(drop).map_err(|error| self.failed(read.kind, &read.uid, "changed", error))
    }

    fn failed(
        &self,
        kind: ConfigurationKind,
        uid: &str,
        action: &'static str,
        error: ApiError,
    ) -> ConfigurationError {
        let (namespace, name) = (Box::default(), self.name.as_str().into());
        let object = ObjectRef { api_version: API_VERSION, kind: kind.name(), namespace, name };
        ConfigurationError { object, uid: uid.to_owned(), action, error }
    }
}

impl WebhookConfiguration {
    /// The CAs that each entry carries; none where that cannot be read.
    pub(super) fn entries(&self) -> Vec<Vec<Certificate>> {
        self.bundles.iter().map(|bundle| Certificate::read_all(bundle).unwrap_or_default()).collect()
    }

    /// Whether StatefulSets are asked about just when that is wanted; always where that is not known yet.
    pub(super) fn asks_as_wanted(&self, is_wanted: Option<bool>) -> bool {
        let has_entry = self.names.iter().any(|name| self.kind.mutates_sets(name));
        let asks = self.wanted.as_deref() != Some(wanted_by_a_policy(false).1);
        !has_entry || is_wanted.is_none_or(|is_wanted| is_wanted == asks)
    }

    /// Whether we own some of it.
    pub(super) fn is_ours(&self) -> bool {
        self.managers.iter().any(is_us)
    }

    /// The name in messages.
    pub(super) fn kind(&self) -> &'static str {
        self.kind.name()
    }
}

impl ConfigurationKind {
    fn name(self) -> &'static str {
        match self {
            Self::Validating => "ValidatingWebhookConfiguration",
            Self::Mutating => "MutatingWebhookConfiguration",
        }
    }

    /// Whether the entry of this name asks what to add to StatefulSets.
    fn mutates_sets(self, entry: &str) -> bool {
        self == Self::Mutating && entry == MUTATED_SETS
    }

    fn path(self) -> String {
        match self {
            Self::Validating => ValidatingWebhookConfiguration::url_path(&(), None),
            Self::Mutating => MutatingWebhookConfiguration::url_path(&(), None),
        }
    }
}

fn is_us(manager: &Value) -> bool {
    manager["manager"] == MANAGER
}

fn wanted(webhook: &Webhook) -> Option<String> {
    let (name, _) = wanted_by_a_policy(true);
    let mut conditions = webhook.match_conditions.iter();
    conditions.find(|condition| condition.name == name).map(|condition| condition.expression.clone())
}

fn entry(webhook: Webhook) -> (String, Vec<u8>) {
    (webhook.name, webhook.client_config.ca_bundle.unwrap_or_default().0)
}
