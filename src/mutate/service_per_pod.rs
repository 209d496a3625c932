//! The annotations `service-per-pod-label` and `service-per-pod-ports` of a set: each of its pods gets a Service.

use super::{MutatedMap, Mutation, MutationTarget};
use crate::model::{PER_POD_LABEL, PER_POD_PORTS};
use crate::policy::{PolicyValue, ServicePerPodAnnotations};

pub(super) fn mutate(target: &MutationTarget<'_>, out: &mut Mutation) {
    let Some(asked) = target.applicable.service_per_pod() else { return };
    let PolicyValue { value: ServicePerPodAnnotations { label, ports }, policy } = asked;
    let annotations = &target.set.metadata.annotations;
    let is_lacking = [PER_POD_LABEL, PER_POD_PORTS].iter().any(|key| annotations.get(key).is_none());
    let selected = annotations.get(PER_POD_LABEL).unwrap_or(label);
    // Services that select what no pod has would have no endpoints, and cost money all the same.
    if is_lacking && !target.set.names_pods_by(selected, target.pod_name_label()) {
        let until = if target.will_name_pods_by(selected) { " until its next rollout" } else { "" };
        out.warnings.push(format!(
            "the annotations {PER_POD_LABEL} and {PER_POD_PORTS} that policy {policy} wants are not added: no pod has its name as \
             label {selected:?}{until}"
        ));
        return;
    }
    for (key, value) in [(PER_POD_LABEL, label), (PER_POD_PORTS, ports)] {
        match annotations.get(key) {
            Some(own) if own == value => {}
            Some(own) => out.warnings.push(format!(
                "policy {policy} wants the annotation {key} {value:?} on the set, which says {own:?} and is left as it is"
            )),
            None => out.add(MutatedMap::Annotations, key, value),
        }
    }
}
