//! The label that a pod's annotation `pod-name-label` names, with the pod's own name as its value.

use super::{Map, Mutation, POD_NAME_LABEL};
use crate::model::{Pod, is_label_key, is_label_value};

pub(super) fn mutate(pod: &Pod, out: &mut Mutation) {
    let metadata = &pod.metadata;
    let Some(key) = metadata.annotations.get(POD_NAME_LABEL) else { return };
    let name = &*metadata.name;
    // A pod with a generated name gets it after admission.
    if name.is_empty() {
        return;
    }
    match metadata.labels.get(key) {
        Some(own) if own == name => {}
        Some(own) => out.warnings.push(format!(
            "pod {name} has the label {key}={own}, so that {POD_NAME_LABEL}: {key} gives it none with its name"
        )),
        // The API server would refuse the pod for it.
        None if !is_label_key(key) => out.warnings.push(format!(
            "{POD_NAME_LABEL} of pod {name} is {}, which is no key of a label: it gets none with its name",
            shortened(key)
        )),
        None if !is_label_value(name) => out.warnings.push(format!(
            "{name} is longer than a label's value may be: the pod gets no label {key}"
        )),
        None => out.add(Map::Labels, key, name),
    }
}

/// A text that anybody may have written, as far as a warning has room for it.
fn shortened(text: &str) -> String {
    let start: String = text.chars().take(60).collect();
    let more = if start.len() < text.len() { "…" } else { "" };
    format!("{start:?}{more}")
}
