//! What is to be done about the Services of one set.

use std::collections::BTreeMap;

use super::problem::Blockers;
use super::service::{PerPodService, Standing};
use super::set::PerPodSet;
use super::template::{Template, is_service_name};

/// The Services of one namespace that the watch has shown, by name.
pub type Seen = BTreeMap<Box<str>, PerPodService>;

/// What is to be done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// One step for a Service: first what is superfluous, which may be what leaves no room for the others, then in the order of
    /// their pods.
    pub steps: Vec<ServiceStep>,
    /// What stands in the way.
    pub blockers: Blockers,
    /// Whether something that is there has to go by itself first.
    pub waits: bool,
}

/// What is to be done about one Service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceStep {
    pub name: String,
    pub action: ServiceAction,
}

/// What is to be done about a Service.
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

/// What there is to say of a Service that is asked for.
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

/// Compares what a set asks for with what has been seen. Without a template it asks for none.
pub fn plan(set: &PerPodSet, template: Option<&Template>, seen: &Seen) -> Plan {
    let mut plan = Plan::default();
    let is_wanted = |name: &str| template.is_some_and(|template| template.is_wanted(name));
    for (name, service) in seen.iter().filter(|(name, _)| !is_wanted(name)) {
        if service.is_ours_to_delete(set) {
            plan.steps.push(ServiceStep { name: name.to_string(), action: ServiceAction::Delete });
        }
    }
    for name in template.into_iter().flat_map(Template::names) {
        let Some(template) = template else { continue };
        if is_service_name(&name) {
            plan.add(set, template, name.clone(), seen.get(&*name));
        } else {
            plan.blockers.unnamable.push(name);
        }
    }
    plan
}

/// Says what a Service that is asked for needs; `None` where it has not been seen.
pub fn judge(set: &PerPodSet, template: &Template, seen: Option<&PerPodService>) -> ServiceState {
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
        let judgement = judge(set, template, seen);
        if judgement != ServiceState::Foreign && seen.is_some_and(|seen| template.is_class_fixed(seen)) {
            self.blockers.fixed_class.push(name.clone());
        }
        match judgement {
            ServiceState::Good => {}
            ServiceState::Do(action) => self.steps.push(ServiceStep { name, action }),
            ServiceState::Wait => self.waits = true,
            ServiceState::Foreign => self.blockers.foreign.push(name),
        }
    }
}
