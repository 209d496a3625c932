//! The hooks of Metacontroller's service-per-pod example, answered with the controller's own template.
//!
//! A request of a `DecoratorController` is `{controller, object, attachments: {"Service.v1": {NAME: …}}, finalizing}`; the name is
//! `NAMESPACE/NAME` where the hook has `version: v2`. The answer is `{labels?, attachments, finalized?}` in both.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};

use crate::cluster::Cluster;
use crate::model::{Metadata, ObjectsOnly, may_be_object};
use crate::mutate::{LabelSkipped, pod_name_label};
use crate::per_pod::problem::Problem;
use crate::per_pod::service::PerPodService;
use crate::per_pod::set::PerPodSet;
use crate::per_pod::template::{POLICY_UNKNOWN, Template, is_service_name};
use crate::policy::Policies;

/// What Metacontroller may ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hook {
    /// Which Services a set is to have.
    SyncServices,
    /// What is left of a set's Services when it goes, or does not ask for them any more.
    FinalizeServices,
    /// Which label a pod is to have.
    SyncPodName,
    /// What is left of a pod's label.
    FinalizePodName,
}

/// Why there is no answer. Metacontroller then leaves everything as it is, tells an Event and asks again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unanswered {
    /// For what is asked.
    Wrong(String),
    /// For what is not known yet.
    NotYet(String),
}

impl Hook {
    /// Every hook.
    pub const ALL: [Self; 4] =
        [Self::SyncServices, Self::FinalizeServices, Self::SyncPodName, Self::FinalizePodName];

    /// Where it is asked.
    pub fn path(self) -> &'static str {
        match self {
            Self::SyncServices => "/metacontroller/service-per-pod/sync",
            Self::FinalizeServices => "/metacontroller/service-per-pod/finalize",
            Self::SyncPodName => "/metacontroller/pod-name-label/sync",
            Self::FinalizePodName => "/metacontroller/pod-name-label/finalize",
        }
    }

    /// Answers the bytes of a request with those of a response.
    pub fn answer(self, body: &[u8], cluster: &Cluster, policies: &Policies) -> Result<Vec<u8>, Unanswered> {
        let answer = match self {
            Self::SyncServices => sync_services(&read(body)?, cluster, policies)?,
            Self::FinalizeServices => finalize_services(&read(body)?),
            Self::SyncPodName => sync_pod_name(&read(body)?)?,
            Self::FinalizePodName => {
                let HookRequest::<HookPod> { .. } = read(body)?;
                json!({"attachments": [], "finalized": true})
            }
        };
        Ok(answer.to_string().into_bytes())
    }
}

#[derive(Deserialize)]
struct HookRequest<T> {
    object: T,
    #[serde(default)]
    attachments: Option<Attachments>,
}

#[derive(Default, Deserialize)]
struct Attachments {
    #[serde(rename = "Service.v1", default)]
    services: Option<BTreeMap<String, PerPodService>>,
}

#[derive(Deserialize)]
struct HookPod {
    metadata: Metadata,
}

fn read<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<HookRequest<T>, Unanswered> {
    if !may_be_object(body) {
        return Err(Unanswered::Wrong(
            "the body is not a JSON object; send the request of a DecoratorController".to_owned(),
        ));
    }
    let mut json = serde_json::Deserializer::from_slice(body);
    serde_path_to_error::deserialize(ObjectsOnly(&mut json)).map_err(|error| {
        let pointer = crate::manifest::pointer_of(error.path());
        Unanswered::Wrong(format!(
            "not a request of a DecoratorController, at {pointer:?}: {}",
            error.into_inner()
        ))
    })
}

impl<T> HookRequest<T> {
    fn services(&self) -> Option<&BTreeMap<String, PerPodService>> {
        self.attachments.as_ref()?.services.as_ref()
    }

    /// What there is of a Service, whichever way the hook's version names it.
    fn seen(&self, namespace: &str, name: &str) -> Option<&PerPodService> {
        let services = self.services()?;
        services.get(name).or_else(|| services.get(&format!("{namespace}/{name}")))
    }
}

fn sync_services(
    request: &HookRequest<PerPodSet>,
    cluster: &Cluster,
    policies: &Policies,
) -> Result<Value, Unanswered> {
    let metadata = &request.object.metadata;
    named("a StatefulSet", metadata)?;
    let template = Template::of(&request.object, cluster, policies).map_err(unanswered)?;
    let names = template.iter().flat_map(Template::names).filter(|name| is_service_name(name));
    let attachments = names.filter_map(|name| {
        let seen = request.seen(&metadata.namespace, &name);
        template.as_ref().map(|template| template.attachment(&name, seen))
    });
    Ok(json!({"attachments": attachments.collect::<Vec<_>>()}))
}

fn finalize_services(request: &HookRequest<PerPodSet>) -> Value {
    let is_done = request.services().is_none_or(BTreeMap::is_empty);
    json!({"attachments": [], "finalized": is_done})
}

fn sync_pod_name(request: &HookRequest<HookPod>) -> Result<Value, Unanswered> {
    let metadata = &request.object.metadata;
    named("a pod", metadata)?;
    match pod_name_label(metadata) {
        Ok(Some((key, name))) => Ok(json!({"labels": {key: name}})),
        Err(LabelSkipped::Taken(_)) => Ok(json!({"labels": {}})),
        Err(LabelSkipped::Impossible(why)) => Err(Unanswered::Wrong(why)),
        Ok(None) => {
            let name = &metadata.name;
            let message = format!("pod {name} has no annotation pod-name-label to name the label by");
            Err(Unanswered::Wrong(message))
        }
    }
}

fn named(what: &str, metadata: &Metadata) -> Result<(), Unanswered> {
    if metadata.name.is_empty() || metadata.namespace.is_empty() {
        let message = format!("the object is not {what} with a name in a namespace");
        return Err(Unanswered::Wrong(message));
    }
    Ok(())
}

fn unanswered(problem: Problem) -> Unanswered {
    match problem.id {
        POLICY_UNKNOWN => Unanswered::NotYet(problem.message),
        _ => Unanswered::Wrong(problem.message),
    }
}
