//! What is asked of the API server, and told it.

use std::time::Duration;

use k8s_openapi::api::core::v1 as core;
use kube::api::{Api, DeleteParams, Patch, PatchParams, Preconditions, PropagationPolicy};
use kube::{Client, Error};
use serde_json::{Value, json};
use tokio::time::timeout;

use super::watched::{WatchedService, WatchedSet};
use crate::api_server::RateLimiter;
use crate::lease::Leadership;
use crate::per_pod::adoption::taken_over;
use crate::per_pod::problem::{CONDITION, ConditionText};
use crate::per_pod::service::PerPodService;
use crate::per_pod::set::PerPodSet;

/// Who owns the fields that are applied.
const MANAGER: &str = "stateward-service-per-pod";

/// The API server, for the one that leads.
pub(super) struct Server {
    pub(super) client: Client,
    pub(super) leadership: Leadership,
    pub(super) rate_limiter: RateLimiter,
    pub(super) reads: RateLimiter,
    /// How long an answer may take.
    pub(super) patience: Duration,
}

/// Why something was not done.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum WriteError {
    /// This replica does not lead any more.
    #[error("another replica leads")]
    NotLeading,
    /// The object has changed, or is another one.
    #[error("the object has changed meanwhile")]
    Stale,
    /// It will not be done, however often it is asked for.
    #[error("{0}")]
    Refused(String),
    /// It may be done another time.
    #[error("{0}")]
    Trouble(String),
}

impl Server {
    /// A Service as it is.
    pub(super) async fn get(&self, namespace: &str, name: &str) -> Result<Option<PerPodService>, WriteError> {
        self.reads.pass().await;
        let got = self.patiently(self.services(namespace).get_opt(name)).await?;
        Ok(got.map(|watched| watched.service))
    }

    /// Creates a Service that is not in the watch yet. One that another client created meanwhile stays as it is: another selector is a
    /// conflict.
    pub(super) async fn create(&self, manifest: &Value) -> Result<(), WriteError> {
        self.apply(manifest, &PatchParams::apply(MANAGER)).await
    }

    /// Changes a Service; only the one whose uid is in the manifest.
    pub(super) async fn update(&self, manifest: &Value) -> Result<(), WriteError> {
        self.apply(manifest, &PatchParams::apply(MANAGER).force()).await
    }

    async fn apply(&self, manifest: &Value, params: &PatchParams) -> Result<(), WriteError> {
        let text = |key: &str| manifest["metadata"][key].as_str().unwrap_or_default();
        let services = self.services(text("namespace"));
        self.turn().await?;
        self.patiently(services.patch(text("name"), params, &Patch::Apply(manifest))).await.map(drop)
    }

    /// Takes over what Metacontroller owns of a Service.
    pub(super) async fn take_over(&self, service: &PerPodService) -> Result<(), WriteError> {
        let (namespace, name) = (&service.metadata.namespace, &service.metadata.name);
        let services = Api::<core::Service>::namespaced(self.client.clone(), namespace);
        let meta = self.patiently(services.get_metadata(name)).await?.metadata;
        if meta.uid.as_deref() != Some(&*service.metadata.uid) {
            return Err(WriteError::Stale);
        }
        let fields = serde_json::to_value(meta.managed_fields).unwrap_or_default();
        let Some(fields) = fields.as_array().and_then(|fields| taken_over(fields, MANAGER)) else {
            return Ok(());
        };
        let change = json!({"metadata": {
            "uid": meta.uid, "resourceVersion": meta.resource_version, "managedFields": fields,
        }});
        self.turn().await?;
        let change = Patch::Merge(&change);
        let services = self.services(namespace);
        self.patiently(services.patch(name, &PatchParams::default(), &change)).await.map(drop)
    }

    /// Deletes this very Service, as it was seen.
    pub(super) async fn delete(&self, service: &PerPodService) -> Result<(), WriteError> {
        let metadata = &service.metadata;
        let preconditions = Preconditions {
            uid: Some(metadata.uid.to_string()),
            resource_version: Some(metadata.resource_version.to_string()),
        };
        let params = DeleteParams {
            preconditions: Some(preconditions),
            propagation_policy: Some(PropagationPolicy::Background),
            ..DeleteParams::default()
        };
        let services = self.services(&metadata.namespace);
        self.turn().await?;
        let request = async {
            match services.delete(&metadata.name, &params).await {
                Err(Error::Api(status)) if status.code == 404 => Ok(()),
                done => done.map(drop),
            }
        };
        self.patiently(request).await
    }

    /// Puts our condition on a set's status, or takes it off.
    pub(super) async fn say(&self, set: &PerPodSet, said: Option<&ConditionText>) -> Result<(), WriteError> {
        let metadata = &set.metadata;
        let conditions = said.map(|said| {
            json!([{
                "type": CONDITION, "status": "False", "reason": said.reason, "message": said.message,
                "lastTransitionTime": jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
            }])
        });
        let status = conditions.map_or_else(|| json!({}), |conditions| json!({"conditions": conditions}));
        let change = json!({
            "apiVersion": "apps/v1", "kind": "StatefulSet",
            "metadata": {"name": metadata.name, "namespace": metadata.namespace, "uid": metadata.uid},
            "status": status,
        });
        let sets = Api::<WatchedSet>::namespaced(self.client.clone(), &metadata.namespace);
        self.turn().await?;
        let params = PatchParams::apply(MANAGER).force();
        self.patiently(sets.patch_status(&metadata.name, &params, &Patch::Apply(&change))).await.map(drop)
    }

    fn services(&self, namespace: &str) -> Api<WatchedService> {
        Api::namespaced(self.client.clone(), namespace)
    }

    /// Waits for one's turn to write. The last thing before a write is to see that we still lead.
    async fn turn(&self) -> Result<(), WriteError> {
        self.rate_limiter.pass().await;
        if self.leadership.is_leader() { Ok(()) } else { Err(WriteError::NotLeading) }
    }

    async fn patiently<T>(&self, request: impl Future<Output = Result<T, Error>>) -> Result<T, WriteError> {
        match timeout(self.patience, request).await {
            Ok(answer) => answer.map_err(|error| failure(&error)),
            Err(_) => Err(WriteError::Trouble(format!("no answer within {:?}", self.patience))),
        }
    }
}

fn failure(error: &Error) -> WriteError {
    let Error::Api(status) = error else { return WriteError::Trouble(error.to_string()) };
    let causes = status.details.iter().flat_map(|details| &details.causes);
    let is_leaving = causes.into_iter().any(|cause| cause.reason == "NamespaceTerminating");
    let said = status.message.chars().take(500).collect();
    match status.code {
        409 => WriteError::Stale,
        400..500 if status.code != 429 && !is_leaving => WriteError::Refused(said),
        _ => WriteError::Trouble(said),
    }
}
