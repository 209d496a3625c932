//! The pods of one set, as far as their Services need them: which are still there, and which their Service does not select.

use std::collections::BTreeSet;

use super::set::PerPodSet;
use super::template::Template;
use crate::model::{PER_POD_LABEL, POD_NAME_ANNOTATION, POD_NAME_LABEL, is_label_value};

/// The pods of a set, as a list showed them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PodsSeen {
    names: BTreeSet<Box<str>>,
    /// The pods that their Service does not select, in the order of the list.
    pub unselected: Vec<UnselectedPod>,
}

/// A pod without its own name as the value of the label that its Service selects by: that Service has no endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnselectedPod {
    pub name: String,
    pub uid: String,
    /// Whether the label can be added: the pod asks for it by annotation and has no other value.
    pub can_be_labelled: bool,
}

/// The fields of a pod that are read.
pub struct PodMetadata<'a> {
    pub name: &'a str,
    pub uid: &'a str,
    /// The uid of the controller among its `ownerReferences`.
    pub owner: Option<&'a str>,
    pub is_deleted: bool,
    /// The value of the label that its Service selects by.
    pub value: Option<&'a str>,
    /// Its annotation `pod-name-label`.
    pub asks_for: Option<&'a str>,
}

impl PodsSeen {
    /// There are no pods.
    pub const fn none() -> Self {
        Self { names: BTreeSet::new(), unselected: Vec::new() }
    }

    /// Takes note of a pod that the selector of `set` selects.
    pub fn add(&mut self, set: &PerPodSet, template: &Template, pod: &PodMetadata<'_>) {
        self.names.insert(pod.name.into());
        let is_own = pod.owner.is_some_and(|owner| *owner == *set.metadata.uid);
        if is_own && !pod.is_deleted && template.is_wanted(pod.name) && pod.value != Some(pod.name) {
            let is_asked = pod.asks_for == Some(template.label()) && is_label_value(pod.name);
            self.unselected.push(UnselectedPod {
                name: pod.name.to_owned(),
                uid: pod.uid.to_owned(),
                can_be_labelled: is_asked && pod.value.is_none(),
            });
        }
    }

    /// Whether there is a pod of this name.
    pub fn contains(&self, name: &str) -> bool {
        self.names.contains(name)
    }
}

/// How people give pods the label, for messages.
pub(super) fn how_to_label(label: &str) -> String {
    format!(
        "run `kubectl label pod NAME {label}=NAME` for each, or delete the pod, or set servicePerPod.labelPods in a policy"
    )
}

/// How people make pods ask for the label, for messages.
pub(super) fn how_to_ask(label: &str) -> String {
    format!(
        "set the annotation {PER_POD_LABEL} to {POD_NAME_LABEL}, or the annotation {POD_NAME_ANNOTATION}: {label} on the pod \
         template"
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::cluster::Cluster;
    use crate::policy::{Policies, Profile};

    #[test]
    fn a_pod_is_selected_by_its_own_name() {
        let annotations = json!({"service-per-pod-label": "pod-name", "service-per-pod-ports": "80:80"});
        let metadata = json!({"namespace": "n", "name": "web", "uid": "1", "annotations": annotations});
        let set: PerPodSet =
            serde_json::from_value(json!({"metadata": metadata, "spec": {"replicas": 2}})).unwrap();
        let policies = Policies::new(Profile::Baseline, Vec::new()).unwrap();
        let template = Template::of(&set, &Cluster::default(), &policies, []).unwrap().unwrap();
        let unselected = |value: Option<&str>, asks_for: Option<&str>, change: &str| {
            let mut pod =
                PodMetadata { name: "web-1", uid: "p", owner: Some("1"), is_deleted: false, value, asks_for };
            match change {
                "deleted" => pod.is_deleted = true,
                "not its own" => pod.owner = Some("2"),
                "superfluous" => pod.name = "web-2",
                _ => {}
            }
            let mut seen = PodsSeen::none();
            seen.add(&set, &template, &pod);
            assert!(seen.contains(pod.name), "whatever it is like, it is there");
            seen.unselected.pop().map(|pod| pod.can_be_labelled)
        };
        assert_eq!(unselected(Some("web-1"), None, ""), None);
        assert_eq!(unselected(None, Some("pod-name"), ""), Some(true));
        assert_eq!(unselected(Some("db-1"), Some("pod-name"), ""), Some(false));
        assert_eq!(unselected(None, None, ""), Some(false));
        assert_eq!(unselected(None, Some("other"), ""), Some(false));
        for change in ["deleted", "not its own", "superfluous"] {
            assert_eq!(unselected(None, Some("pod-name"), change), None, "{change}");
        }
    }
}
