//! The Service that gives a set's pods their names.

use super::SetContext;
use crate::cluster::Lookup;
use crate::model::{Labels, Service};

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

    /// A Service that could govern the set: the one to name in a remedy. One that also names members that are not ready
    /// is preferred.
    pub(super) fn fitting_service(&self) -> Option<&'a Service> {
        let labels = self.set.spec.template.labels();
        let services = self.view.services_selecting(self.namespace(), labels).into_iter();
        let fitting = services.filter(|service| service.is_headless() && !service.metadata.deleting);
        fitting.min_by_key(|service| (!service.spec.publish_not_ready_addresses, &service.metadata.name))
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

/// What is wanted of the label `key`, and what there is instead.
pub(super) fn difference(wanted: &str, key: &str, labels: &Labels) -> String {
    match labels.get(key) {
        Some(theirs) => format!("{wanted} (the pods have {key}={theirs})"),
        None => format!("{wanted} (the pods have no label {key})"),
    }
}
