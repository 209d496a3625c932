//! The annotations `service-per-pod-label` and `service-per-pod-ports` of a set: each of its pods gets a Service.

use super::{Map, Mutation, POD_NAME_LABEL, Target};
use crate::model::{PER_POD_LABEL, PER_POD_PORTS};
use crate::policy::{Asked, ServicePerPod};

pub(super) fn mutate(target: &Target<'_>, out: &mut Mutation) {
    let Some(asked) = target.applicable.service_per_pod() else { return };
    let Asked { value: ServicePerPod { label, ports }, policy } = asked;
    if waits_for_label(target, label) {
        out.warnings.push(format!(
            "the annotations {PER_POD_LABEL} and {PER_POD_PORTS} that policy {policy} wants come with it: until then no pod has the label {label}"
        ));
        return;
    }
    for (key, value) in [(PER_POD_LABEL, label), (PER_POD_PORTS, ports)] {
        match target.set.metadata.annotations.get(key) {
            Some(own) if own == value => {}
            Some(own) => out.warnings.push(format!(
                "policy {policy} wants the annotation {key} {value:?} on the set, which says {own:?} and is left as it is"
            )),
            None => out.add(Map::Annotations, key, value),
        }
    }
}

/// Whether the label is one that the pods only get with their next rollout: Services that select it now would have no endpoints,
/// and cost money all the same.
fn waits_for_label(target: &Target<'_>, label: &str) -> bool {
    let annotations = &target.set.metadata.annotations;
    let is_by_hand = annotations.get(PER_POD_LABEL).is_some() && annotations.get(PER_POD_PORTS).is_some();
    let template = &target.set.spec.template.metadata.annotations;
    let coming = target.applicable.pod_name_label().is_some_and(|asked| asked.value == label);
    !is_by_hand && coming && target.restarts && template.get(POD_NAME_LABEL).is_none()
}
