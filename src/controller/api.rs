//! Requests of the controller to the API server.

use std::time::Duration;

use k8s_openapi::api::core::v1 as core;
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams, Preconditions, PropagationPolicy};
use kube::{Client, Error};
use serde_json::{Value, json};
use tokio::time::timeout;

use super::watched::{WatchedService, WatchedSet};
use crate::api_server::RateLimiter;
use crate::lease::Leadership;
use crate::model::POD_NAME_ANNOTATION;
use crate::per_pod::adoption::taken_over;
use crate::per_pod::pods::{PodMetadata, PodsSeen, UnselectedPod};
use crate::per_pod::problem::{CONDITION, ConditionText};
use crate::per_pod::service::PerPodService;
use crate::per_pod::set::PerPodSet;
use crate::per_pod::template::Template;

/// Who owns the fields that are applied.
const MANAGER: &str = "stateward-service-per-pod";

/// How many pods are read at once.
const PAGE: u32 = 500;

/// The API server, for the one that leads.
pub(super) struct ControllerApi {
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

impl ControllerApi {
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

    /// Replaces the ports of a Service as a whole, which no apply does. What else it has stays.
    pub(super) async fn replace_ports(
        &self,
        seen: &PerPodService,
        template: &Template,
    ) -> Result<(), WriteError> {
        let (namespace, name) = (&seen.metadata.namespace, &seen.metadata.name);
        let services = Api::<core::Service>::namespaced(self.client.clone(), namespace);
        self.reads.pass().await;
        let live = self.patiently(services.get(name)).await?;
        if live.metadata.uid.as_deref() != Some(&*seen.metadata.uid) {
            return Err(WriteError::Stale);
        }
        let ports = live.spec.and_then(|spec| spec.ports).unwrap_or_default();
        let ports = serde_json::to_value(ports).unwrap_or_default();
        let change = json!({
            "metadata": {"uid": live.metadata.uid, "resourceVersion": live.metadata.resource_version},
            "spec": {"ports": template.ports_in_place_of(ports.as_array().map_or(&[], Vec::as_slice))},
        });
        self.turn().await?;
        let params = PatchParams { field_manager: Some(MANAGER.to_owned()), ..PatchParams::default() };
        let services = self.services(namespace);
        self.patiently(services.patch(name, &params, &Patch::Merge(&change))).await.map(drop)
    }

    /// The pods that a set's selector selects.
    pub(super) async fn pods(&self, set: &PerPodSet, template: &Template) -> Result<PodsSeen, WriteError> {
        let mut seen = PodsSeen::none();
        let Some(selector) = set.pod_selector() else { return Ok(seen) };
        let pods = Api::<core::Pod>::namespaced(self.client.clone(), &set.metadata.namespace);
        let mut params = ListParams::default().labels(&selector).limit(PAGE);
        loop {
            self.reads.pass().await;
            let page = self.patiently(pods.list_metadata(&params)).await?;
            for pod in page.items {
                let metadata = pod.metadata;
                let (labels, annotations) =
                    (metadata.labels.unwrap_or_default(), metadata.annotations.unwrap_or_default());
                let owners = metadata.owner_references.unwrap_or_default();
                let owner = owners.iter().find(|owner| owner.controller == Some(true));
                let pod = PodMetadata {
                    name: metadata.name.as_deref().unwrap_or_default(),
                    uid: metadata.uid.as_deref().unwrap_or_default(),
                    owner: owner.map(|owner| &*owner.uid),
                    is_deleted: metadata.deletion_timestamp.is_some(),
                    value: labels.get(template.label()).map(String::as_str),
                    asks_for: annotations.get(POD_NAME_ANNOTATION).map(String::as_str),
                };
                seen.add(set, template, &pod);
            }
            match page.metadata.continue_.filter(|token| !token.is_empty()) {
                Some(token) => params = params.continue_token(&token),
                None => return Ok(seen),
            }
        }
    }

    /// Gives a pod its own name as a label.
    pub(super) async fn label_pod(
        &self,
        namespace: &str,
        pod: &UnselectedPod,
        label: &str,
    ) -> Result<(), WriteError> {
        let change = json!({"metadata": {"uid": pod.uid, "labels": {label: pod.name}}});
        let pods = Api::<core::Pod>::namespaced(self.client.clone(), namespace);
        self.turn().await?;
        let params = PatchParams { field_manager: Some(MANAGER.to_owned()), ..PatchParams::default() };
        self.patiently(pods.patch_metadata(&pod.name, &params, &Patch::Merge(&change))).await.map(drop)
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
    pub(super) async fn write_condition(
        &self,
        set: &PerPodSet,
        text: Option<&ConditionText>,
    ) -> Result<(), WriteError> {
        let metadata = &set.metadata;
        let conditions = text.map(|text| {
            json!([{
                "type": CONDITION, "status": "False", "reason": text.reason, "message": text.message,
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
