//! The plan for the Services of one set.

use std::collections::BTreeMap;

use super::pods::{PodsSeen, UnselectedPod};
use super::problem::{Blockers, ForeignService};
use super::service::{PerPodService, Standing};
use super::set::PerPodSet;
use super::template::Template;
use crate::model::is_dns_label;

/// The Services of one namespace that the watch has shown, by name.
pub type Seen = BTreeMap<Box<str>, PerPodService>;

/// The actions for the Services of one set, and the obstacles.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// One step for a Service: first what is superfluous, which may be what leaves no room for the others, then in the order of
    /// their pods.
    pub steps: Vec<ServiceStep>,
    /// The obstacles.
    pub blockers: Blockers,
    /// Whether something that is there has to go by itself first.
    pub waits: bool,
    /// How many Services no pod asks for any more that stay until their pods have gone: they may lead to a pod that is still
    /// draining.
    pub kept_for_pods: usize,
    /// The pods to give the label that their Services select by.
    pub pods_to_label: Vec<UnselectedPod>,
}

/// The action for one Service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceStep {
    pub name: String,
    pub action: ServiceAction,
}

/// The action for a Service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServiceAction {
    /// The watch has not shown it: it is created, unless it exists already.
    Create,
    /// It is not, or no longer, as it should be.
    Update,
    /// Metacontroller made it, and it is ours from now on.
    Adopt,
    /// No set asks for it any more.
    Delete,
}

/// The state of a Service that is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServiceState {
    /// It is as it should be.
    Good,
    /// Something is to be done.
    Do(ServiceAction),
    /// It is about to go, and then a new one can be made.
    Wait,
    /// It was not made for this set.
    Foreign,
}

/// Compares what a set asks for with what has been seen. Without a template it asks for no Services; without `pods` it is not known
/// which of its pods are still there.
pub fn plan(set: &PerPodSet, template: Option<&Template>, seen: &Seen, pods: Option<&PodsSeen>) -> Plan {
    let mut plan = Plan::default();
    let is_wanted = |name: &str| template.is_some_and(|template| template.is_wanted(name));
    let has_pod = |name: &str| template.is_some() && pods.is_none_or(|pods| pods.contains(name));
    for (name, service) in seen.iter().filter(|(name, _)| !is_wanted(name)) {
        match service.is_ours_to_delete(set) {
            true if has_pod(name) => plan.kept_for_pods += 1,
            true => plan.steps.push(ServiceStep { name: name.to_string(), action: ServiceAction::Delete }),
            false => {}
        }
    }
    if let (Some(template), Some(pods)) = (template, pods) {
        plan.add_unselected(template, pods);
    }
    for name in template.into_iter().flat_map(Template::names) {
        let Some(template) = template else { continue };
        if is_dns_label(&name) {
            plan.add(set, template, name.clone(), seen.get(&*name));
        } else {
            plan.blockers.unnamable.push(name);
        }
    }
    plan
}

/// Says what a Service that is asked for needs; `None` where it has not been seen.
pub fn service_state(set: &PerPodSet, template: &Template, seen: Option<&PerPodService>) -> ServiceState {
    let Some(seen) = seen else { return ServiceState::Do(ServiceAction::Create) };
    match seen.standing(set) {
        _ if seen.metadata.deleting => ServiceState::Wait,
        Standing::Left => ServiceState::Wait,
        Standing::Foreign => ServiceState::Foreign,
        Standing::Metacontrollers => ServiceState::Do(ServiceAction::Adopt),
        Standing::Ours | Standing::Orphaned if template.is_met_by(set, seen) => ServiceState::Good,
        Standing::Ours | Standing::Orphaned => ServiceState::Do(ServiceAction::Update),
    }
}

impl Plan {
    /// Adds what there is to do, or to say, about a Service that is asked for.
    pub fn add(&mut self, set: &PerPodSet, template: &Template, name: String, seen: Option<&PerPodService>) {
        let state = service_state(set, template, seen);
        if state != ServiceState::Foreign && seen.is_some_and(|seen| template.is_class_fixed(seen)) {
            self.blockers.fixed_class.push(name.clone());
        }
        match state {
            ServiceState::Good => {}
            ServiceState::Do(action) => self.steps.push(ServiceStep { name, action }),
            ServiceState::Wait => self.waits = true,
            ServiceState::Foreign => {
                let uid = seen.map(|seen| seen.metadata.uid.clone()).unwrap_or_default();
                self.blockers.foreign.push(ForeignService { name, uid });
            }
        }
    }

    fn add_unselected(&mut self, template: &Template, pods: &PodsSeen) {
        for pod in &pods.unselected {
            if pod.can_be_labelled && template.labels_pods() {
                self.pods_to_label.push(pod.clone());
            } else {
                self.blockers.add_unselected(template.label(), pod);
            }
        }
    }
}
