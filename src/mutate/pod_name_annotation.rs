//! The annotation `pod-name-label` on the pod template: its pods get the label that it names.

use super::{MutatedMap, Mutation, MutationTarget};
use crate::model::POD_NAME_ANNOTATION;
use crate::policy::PolicyValue;

pub(super) fn mutate(target: &MutationTarget<'_>, out: &mut Mutation) {
    let Some(PolicyValue { value: label, policy }) = target.applicable.pod_name_label() else { return };
    let template = &target.set.spec.template;
    match template.metadata.annotations.get(POD_NAME_ANNOTATION) {
        Some(own) if own == label => {}
        Some(own) => out.warnings.push(format!(
            "policy {policy} wants {POD_NAME_ANNOTATION} {label:?} on the pod template, which says {own:?} and is left as it is"
        )),
        None if target.restarts => out.warnings.push(format!(
            "the annotation {POD_NAME_ANNOTATION}: {label} that policy {policy} wants on the pod template would restart every pod now; it \
             comes with the next rollout"
        )),
        None => out.add(MutatedMap::TemplateAnnotations, POD_NAME_ANNOTATION, label),
    }
}
