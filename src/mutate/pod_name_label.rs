//! The label that a pod's annotation `pod-name-label` names, with the pod's own name as its value.

use super::{MutatedMap, Mutation};
use crate::model::{Metadata, POD_NAME_ANNOTATION, Pod, is_label_key, is_label_value};

/// Why a pod that asks for the label does not get it, as a sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LabelSkipped {
    /// The label has another value already, which stays.
    Taken(String),
    /// The API server would refuse the pod for it.
    Impossible(String),
}

pub(super) fn mutate(pod: &Pod, out: &mut Mutation) {
    match pod_name_label(&pod.metadata) {
        Ok(Some((key, name))) if pod.metadata.labels.get(key).is_none() => {
            out.add(MutatedMap::Labels, key, name);
        }
        Ok(_) => {}
        Err(LabelSkipped::Taken(why) | LabelSkipped::Impossible(why)) => out.warnings.push(why),
    }
}

/// Key and value of the label that a pod is to have. None where it asks for none, or has no name yet: a pod with a generated
/// name gets it after admission.
pub fn pod_name_label(metadata: &Metadata) -> Result<Option<(&str, &str)>, LabelSkipped> {
    let name = &*metadata.name;
    let Some(key) = metadata.annotations.get(POD_NAME_ANNOTATION).filter(|_| !name.is_empty()) else {
        return Ok(None);
    };
    match metadata.labels.get(key) {
        Some(own) if own != name => Err(LabelSkipped::Taken(format!(
            "pod {name} has the label {key}={own}, so that {POD_NAME_ANNOTATION}: {key} gives it none with its name"
        ))),
        None if !is_label_key(key) => Err(LabelSkipped::Impossible(format!(
            "{POD_NAME_ANNOTATION} of pod {name} is {}, which is not a valid label key: the pod gets no label with its name",
            shortened(key)
        ))),
        None if !is_label_value(name) => Err(LabelSkipped::Impossible(format!(
            "{name} is longer than a label's value may be: the pod gets no label {key}"
        ))),
        Some(_) | None => Ok(Some((key, name))),
    }
}

/// A text from a request, cut to the room that a warning has.
fn shortened(text: &str) -> String {
    let start: String = text.chars().take(60).collect();
    let more = if start.len() < text.len() { "…" } else { "" };
    format!("{start:?}{more}")
}
