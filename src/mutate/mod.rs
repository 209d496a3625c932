//! The additions of the mutating webhook, as explicit JSON Patch operations on known fields. Pure.
//!
//! ```text
//! Change ─ mutate(&Change, &Cluster, &Policies) ─▶ Mutation { additions, warnings } ─ patch(object, additions) ─▶ JSON Patch
//! ```
//!
//! Three things are ever added, one file each, and nothing is ever changed or removed:
//!
//! | file | on | adds |
//! |---|---|---|
//! | `service_per_pod` | StatefulSets that a policy selects | the annotations `service-per-pod-label` and `service-per-pod-ports` |
//! | `pod_name_annotation` | StatefulSets that a policy selects | the annotation `pod-name-label` on the pod template |
//! | `pod_name_label` | pods with that annotation | the label that it names, with the pod's name |
//!
//! A value that is set stays as it is. A pod template is only touched where no pod is restarted for it. A second run adds nothing,
//! because nothing is missing any more. No field manager owns what was added, so the next apply of the manifest leaves it alone.

mod patch;
mod pod_name_annotation;
mod pod_name_label;
mod service_per_pod;

use crate::change::{Action, Change, ObjectChange};
use crate::cluster::Cluster;
use crate::model::{Object, POD_NAME_ANNOTATION, Pod, StatefulSet};
use crate::policy::{Applicable, Policies, Subject};
pub use patch::patch;
pub use pod_name_label::{LabelSkipped, pod_name_label};

/// The additions to an object, and the remarks for its owner.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mutation {
    /// The additions, in order.
    pub additions: Vec<Addition>,
    /// One sentence each.
    pub warnings: Vec<String>,
}

/// One key of a map that it does not have yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Addition {
    /// The map.
    pub map: MutatedMap,
    /// The key.
    pub key: String,
    /// The value.
    pub value: String,
}

/// The maps that something can be added to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MutatedMap {
    /// `metadata.annotations`
    Annotations,
    /// `metadata.labels`
    Labels,
    /// `spec.template.metadata.annotations`
    TemplateAnnotations,
}

/// The StatefulSet that something may be added to.
struct MutationTarget<'a> {
    set: &'a StatefulSet,
    applicable: Applicable<'a>,
    /// Whether an edit of the pod template would restart pods that would otherwise run on.
    restarts: bool,
}

/// Says what is to be added to the object that a change is about. `template_changes` says of an update whether it changes the pod
/// template anyway; it is asked only where something is missing there.
pub fn mutate(
    change: &Change,
    cluster: &Cluster,
    policies: &Policies,
    template_changes: impl FnOnce() -> bool,
) -> Mutation {
    if change.requester.is_cleanup_controller() {
        return Mutation::default();
    }
    match &change.action {
        Action::StatefulSet(ObjectChange::Create(set)) => on_set(set, cluster, policies, || false),
        Action::StatefulSet(ObjectChange::Update { old, new }) => {
            // Pods of a set that is scaled to 0 are kept, and made anew, where it is scaled up again before they are gone.
            let has_pods = old.replicas() > 0 || old.status.replicas > 0;
            on_set(new, cluster, policies, || has_pods && !template_changes())
        }
        Action::PodCreation(pod) => on_pod(pod),
        _ => Mutation::default(),
    }
}

fn on_set(
    set: &StatefulSet,
    cluster: &Cluster,
    policies: &Policies,
    restarts: impl FnOnce() -> bool,
) -> Mutation {
    let mut out = Mutation::default();
    let metadata = set.metadata();
    let namespace = cluster.namespace(&metadata.namespace);
    let namespace_labels = namespace.map(|namespace| &namespace.metadata.labels);
    let applicable = policies.applicable(Subject { metadata, namespace_labels });
    let is_asked = applicable.service_per_pod().is_some() || applicable.pod_name_label().is_some();
    if metadata.deleting || !is_asked {
        return out;
    }
    let lacks_annotation = set.spec.template.metadata.annotations.get(POD_NAME_ANNOTATION).is_none();
    let restarts = lacks_annotation && applicable.pod_name_label().is_some() && restarts();
    let target = MutationTarget { set, applicable, restarts };
    pod_name_annotation::mutate(&target, &mut out);
    service_per_pod::mutate(&target, &mut out);
    out
}

fn on_pod(pod: &Pod) -> Mutation {
    let mut out = Mutation::default();
    if !pod.metadata.deleting {
        pod_name_label::mutate(pod, &mut out);
    }
    out
}

/// The set as it will be once a policy's additions are on it: what is judged in files, where no webhook has seen it.
pub fn mutated(set: &StatefulSet, cluster: &Cluster, policies: &Policies) -> StatefulSet {
    let mut set = set.clone();
    let mutation = on_set(&set, cluster, policies, || false);
    for Addition { map, key, value } in mutation.additions {
        let metadata = match map {
            MutatedMap::TemplateAnnotations => &mut set.spec.template.metadata,
            MutatedMap::Annotations | MutatedMap::Labels => &mut set.metadata,
        };
        metadata.annotations = metadata.annotations.with(&key, &value);
    }
    set
}

impl MutationTarget<'_> {
    /// The value of `pod-name-label` on the template after the present additions.
    fn pod_name_label(&self) -> Option<&str> {
        self.own_pod_name_label().or(self.asked_pod_name_label().filter(|_| !self.restarts))
    }

    /// Whether the pods will have their names as this label when a template of today has reached them.
    fn will_name_pods_by(&self, label: &str) -> bool {
        self.set.names_pods_by(label, self.own_pod_name_label().or(self.asked_pod_name_label()))
    }

    fn own_pod_name_label(&self) -> Option<&str> {
        self.set.spec.template.metadata.annotations.get(POD_NAME_ANNOTATION)
    }

    fn asked_pod_name_label(&self) -> Option<&str> {
        self.applicable.pod_name_label().map(|asked| asked.value)
    }
}

impl Mutation {
    fn add(&mut self, map: MutatedMap, key: &str, value: &str) {
        self.additions.push(Addition { map, key: key.to_owned(), value: value.to_owned() });
    }
}

impl MutatedMap {
    /// The keys that lead to it.
    fn path(self) -> &'static [&'static str] {
        match self {
            Self::Annotations => &["metadata", "annotations"],
            Self::Labels => &["metadata", "labels"],
            Self::TemplateAnnotations => &["spec", "template", "metadata", "annotations"],
        }
    }
}
