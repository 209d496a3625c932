//! The Service that gives a set's pods their names.

use super::SetContext;
use crate::cluster::Lookup;
use crate::model::{
    Container, Kind, LabelSelector, Labels, Object, ObjectRef, Service, StatefulSet, Workload,
};

impl<'a> SetContext<'a> {
    /// The governing Service; unknown where none is named, which is a rule of its own.
    pub(super) fn governing_service(&self) -> Lookup<&'a Service> {
        match &*self.set.spec.service_name {
            "" => Lookup::Unknown,
            name => self.view.service(self.namespace(), name),
        }
    }

    /// The governing Service, if it is known and headless.
    pub(super) fn headless_service(&self) -> Option<&'a Service> {
        self.governing_service().present().filter(|service| service.is_headless())
    }

    /// A Service that could govern the set: the one to name in a remedy, unless it also leads to other applications. One that also names members that are not ready
    /// is preferred.
    pub(super) fn fitting_service(&self) -> Option<&'a Service> {
        let labels = self.set.spec.template.labels();
        let services = self.view.services_selecting(self.namespace(), labels).into_iter();
        let fitting = services.filter(|service| {
            service.is_headless() && !service.metadata.deleting && self.caught_by(service).is_empty()
        });
        fitting.min_by_key(|service| (!service.spec.publish_not_ready_addresses, &service.metadata.name))
    }

    /// Whose pods a Service catches beside those of the set, were it to govern it: of other applications.
    pub(super) fn caught_by(&self, service: &Service) -> Vec<ObjectRef> {
        let selector =
            LabelSelector { match_labels: service.spec.selector.clone(), ..LabelSelector::default() };
        let group = self.group_sets().unwrap_or_default();
        let is_of_group = |other: &StatefulSet| group.iter().any(|(member, _)| std::ptr::eq(*member, other));
        let is_caught_back = |other: &&StatefulSet| {
            let governing = self.view.service(self.namespace(), &other.spec.service_name).present();
            !is_of_group(other)
                && other.spec.service_name != service.metadata.name
                && governing.is_some_and(|governing| governing.selects(self.set.spec.template.labels()))
        };
        let sets = self.other_sets(&selector).into_iter().filter(is_caught_back).map(Object::reference);
        let serving = |workload: &&Workload| {
            matches!(workload.kind, Kind::Deployment | Kind::ReplicaSet | Kind::DaemonSet)
        };
        let workloads = self.other_workloads(&selector).into_iter().filter(serving).map(Object::reference);
        sets.chain(workloads).collect()
    }

    /// The other sets whose pods a selector selects.
    pub(super) fn other_sets(&self, selector: &LabelSelector) -> Vec<&'a StatefulSet> {
        let sets = self.view.sets_matching(self.namespace(), selector).into_iter().map(|(other, _)| other);
        sets.filter(|other| other.metadata.name != self.set.metadata.name && !other.metadata.deleting)
            .collect()
    }

    /// The other workloads whose pods a selector selects. What a controller owns has its labels from there.
    pub(super) fn other_workloads(&self, selector: &LabelSelector) -> Vec<&'a Workload> {
        let mut workloads = self.view.workloads_matching(self.namespace(), selector);
        workloads.retain(|workload| workload.metadata.owner.is_none());
        workloads
    }

    /// Whether pods are ready as soon as their containers run: none has a probe to wait for.
    pub(super) fn is_ready_at_once(&self) -> bool {
        let waits =
            |container: &Container| container.readiness_probe.is_some() || container.startup_probe.is_some();
        !self.set.spec.template.spec.all_containers().any(waits)
    }

    /// The number of the first pod.
    pub(super) fn first_ordinal(&self) -> i64 {
        i64::from(self.set.spec.ordinals.start)
    }

    /// The number of the last pod; of the first where there is none.
    pub(super) fn last_ordinal(&self) -> i64 {
        self.first_ordinal() + i64::from(self.replicas.max(1)) - 1
    }

    /// The first pod's name.
    pub(super) fn first_pod(&self) -> String {
        format!("{}-{}", self.name(), self.first_ordinal())
    }
}

/// How labels differ from those that are wanted, one phrase a key: `app=zookeeper (theirs is zk)`.
pub(super) fn differences(wanted: &Labels, labels: &Labels) -> Vec<String> {
    let unmet = wanted.iter().filter_map(|(key, value)| {
        let theirs = labels.get(key);
        (theirs != Some(value)).then(|| difference(&format!("{key}={value}"), key, labels))
    });
    unmet.collect()
}

/// The value that is required of the label `key`, and its present value.
pub(super) fn difference(wanted: &str, key: &str, labels: &Labels) -> String {
    match labels.get(key) {
        Some(theirs) => format!("{wanted} (the pods have {key}={theirs})"),
        None => format!("{wanted} (the pods have no label {key})"),
    }
}
