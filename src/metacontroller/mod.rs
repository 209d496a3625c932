//! The hooks of Metacontroller's service-per-pod example, answered with the controller's own template.
//!
//! A request of a `DecoratorController` is `{controller, object, attachments: {"Service.v1": {NAME: …}}, finalizing}`; the name is
//! `NAMESPACE/NAME` where the hook has `version: v2`. The answer is `{labels?, attachments, resyncAfterSeconds?, finalized?}` in both.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};

use crate::cluster::Cluster;
use crate::model::{Metadata, ObjectsOnly, is_dns_label, may_be_object};
use crate::mutate::{LabelSkipped, pod_name_label};
use crate::per_pod::problem::Problem;
use crate::per_pod::service::PerPodService;
use crate::per_pod::set::PerPodSet;
use crate::per_pod::settings::POLICY_UNKNOWN;
use crate::per_pod::template::Template;
use crate::policy::Policies;

/// After how many seconds Metacontroller asks again while Services wait for pods to go. A decorator with `ignoreStatusChanges`
/// does not ask when the last of them has gone.
const ASK_AGAIN: u32 = 5;

/// The hooks that Metacontroller calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hook {
    /// Which Services a set is to have.
    SyncServices,
    /// The Services that remain when a set is deleted or does not ask for them any more.
    FinalizeServices,
    /// Which label a pod is to have.
    SyncPodName,
    /// The pod's label after the hook.
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

    /// The path of the hook.
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

    /// The children that are Services, under the key of either version of the hook.
    fn seen(&self, namespace: &str, name: &str) -> Option<&PerPodService> {
        let services = self.services()?;
        services.get(name).or_else(|| services.get(&format!("{namespace}/{name}")))
    }
}

impl HookRequest<PerPodSet> {
    /// The Services of pods that are not asked for any more and that may still be terminating: a client is not cut off from a pod
    /// that drains. The status counts pods without naming them, and they end in any order, so all of them stay until the last
    /// has gone.
    fn kept_for_pods(&self, template: &Template) -> impl Iterator<Item = &PerPodService> {
        let services = self.services().filter(|_| self.object.has_superfluous_pods());
        services.into_iter().flat_map(BTreeMap::values).filter(|service| {
            let name = &service.metadata.name;
            template.is_pod_name(name) && !template.is_wanted(name)
        })
    }
}

fn sync_services(
    request: &HookRequest<PerPodSet>,
    cluster: &Cluster,
    policies: &Policies,
) -> Result<Value, Unanswered> {
    let metadata = &request.object.metadata;
    named("a StatefulSet", metadata)?;
    let made = request.services().into_iter().flat_map(BTreeMap::values);
    let Some(template) = Template::of(&request.object, cluster, policies, made).map_err(unanswered)? else {
        return Ok(json!({"attachments": []}));
    };
    let wanted = template.names().filter(|name| is_dns_label(name)).map(|name| {
        let seen = request.seen(&metadata.namespace, &name);
        template.attachment(&name, seen)
    });
    let mut attachments: Vec<Value> = wanted.collect();
    let wanted = attachments.len();
    let kept = request.kept_for_pods(&template);
    attachments.extend(kept.map(|service| template.attachment(&service.metadata.name, Some(service))));
    let is_any_kept = attachments.len() > wanted;
    let mut answer = json!({"attachments": attachments});
    if is_any_kept {
        answer["resyncAfterSeconds"] = ASK_AGAIN.into();
    }
    Ok(answer)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Profile;

    fn sync(spec: &Value, status: &Value, existing: &[&str]) -> Value {
        let mut metadata = json!({"namespace": "demo", "name": "web", "uid": "1"});
        metadata["annotations"] =
            json!({"service-per-pod-label": "pod-name", "service-per-pod-ports": "80:80"});
        let mut set = json!({"metadata": metadata, "spec": spec});
        if !status.is_null() {
            set["status"] = status.clone();
        }
        let services = existing.iter().map(|name| {
            let metadata = json!({"namespace": "demo", "name": name, "uid": name});
            let spec = json!({"type": "LoadBalancer", "loadBalancerClass": format!("class-of-{name}")});
            (format!("demo/{name}"), json!({"metadata": metadata, "spec": spec}))
        });
        let services: serde_json::Map<String, Value> = services.collect();
        let request = json!({"object": set, "attachments": {"Service.v1": services}}).to_string();
        let policies = Policies::new(Profile::Baseline, Vec::new()).unwrap();
        let answer = Hook::SyncServices.answer(request.as_bytes(), &Cluster::default(), &policies);
        serde_json::from_slice(&answer.unwrap()).unwrap()
    }

    fn names(answer: &Value) -> Vec<&str> {
        let attachments = answer["attachments"].as_array().unwrap();
        attachments.iter().map(|service| service["metadata"]["name"].as_str().unwrap()).collect()
    }

    #[test]
    fn a_service_stays_until_no_more_pods_run_than_asked_for() {
        let all = ["web-0", "web-1", "web-2"];
        let one = json!({"replicas": 1});
        let running = |pods: i32| json!({"replicas": pods, "readyReplicas": 1});
        for (spec, status, existing, wanted, kept) in [
            (&one, running(3), &all[..], &["web-0"][..], &["web-1", "web-2"][..]),
            // The pods end in any order: `web-2` may be the one that is left.
            (&one, running(2), &all, &["web-0"], &["web-1", "web-2"]),
            (&one, running(1), &all, &["web-0"], &[]),
            (&one, running(0), &all, &["web-0"], &[]),
            (&one, json!({}), &all, &["web-0"], &[]),
            (&one, Value::Null, &all, &["web-0"], &[]),
            // None is made anew for a pod that is about to go.
            (&one, running(3), &["web-0"], &["web-0"], &[]),
            (&one, running(3), &["web-2"], &["web-0"], &["web-2"]),
            (&json!({}), running(2), &all, &["web-0"], &["web-1", "web-2"]),
            (&json!({"replicas": 0}), running(3), &all, &[], &all),
            (&json!({"replicas": 0}), running(0), &all, &[], &[]),
            (
                &json!({"replicas": 1, "ordinals": {"start": 5}}),
                running(2),
                &["web-5", "web-6"],
                &["web-5"],
                &["web-6"],
            ),
            // Services below a start ordinal that was raised are deleted in the same way.
            (
                &json!({"replicas": 1, "ordinals": {"start": 1}}),
                running(2),
                &["web-0", "web-1"],
                &["web-1"],
                &["web-0"],
            ),
            (&json!({"replicas": 3}), running(1), &["web-0"], &all, &[]),
            // Not the name of a pod of this set.
            (&one, running(3), &["web-0", "web-01", "web-x", "web", "other-1"], &["web-0"], &[]),
        ] {
            let answer = sync(spec, &status, existing);
            assert_eq!(names(&answer), [wanted, kept].concat(), "{spec} {status} {existing:?}");
            let resync = &answer["resyncAfterSeconds"];
            assert_eq!(resync.is_u64(), !kept.is_empty(), "{spec} {status} {existing:?}: {resync}");
        }
    }

    #[test]
    fn a_service_that_stays_is_as_it_was_asked_for() {
        let answer = sync(&json!({"replicas": 0}), &json!({"replicas": 1}), &["web-0"]);
        let spec = &answer["attachments"][0]["spec"];
        assert_eq!(spec["selector"], json!({"pod-name": "web-0"}));
        assert_eq!(spec["loadBalancerClass"], "class-of-web-0");
    }
}
