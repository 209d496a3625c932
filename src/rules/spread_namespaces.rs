//! The namespaces in which a term of pod affinity looks for pods.

use super::SetContext;
use super::spread::{Effect, Miss};
use crate::model::{AffinityTerm, Labels};

/// Whether the term looks in the set's own namespace; `None` where that depends on unknown labels.
pub(super) fn looks_in_own_namespace(at: &SetContext<'_>, term: &AffinityTerm) -> Option<bool> {
    let own = at.namespace();
    let Some(selector) = &term.namespace_selector else {
        return Some(term.namespaces.is_empty() || term.namespaces.iter().any(|ns| **ns == *own));
    };
    if term.namespaces.iter().any(|ns| **ns == *own) {
        return Some(true);
    }
    // The API server puts this label on every namespace.
    let name = ("kubernetes.io/metadata.name", own);
    if let Some(known) = at.view.namespace_labels(own) {
        return Some(selector.matches(&known.iter().chain([name]).collect()));
    }
    let only_name: Labels = [name].into_iter().collect();
    let mut keys = selector.match_labels.iter().map(|(key, _)| key);
    let mut expressions = selector.match_expressions.iter();
    let by_name = keys.all(|key| key == name.0) && expressions.all(|asks| *asks.key == *name.0);
    by_name.then(|| selector.matches(&only_name))
}

/// The effect of a term that does not look in the set's own namespace.
pub(super) fn misses_namespace(at: &SetContext<'_>, term: &AffinityTerm) -> Effect {
    let own = at.namespace();
    let (mut places, mut field) = (term.namespaces.join(", "), "namespaces");
    if let Some(selector) = &term.namespace_selector {
        let or = if places.is_empty() { "" } else { " or " };
        places = format!("{places}{or}namespaces with {selector}");
        field = "namespaceSelector";
    }
    Effect::Misses(Miss {
        why: format!("looks for pods in {places} only, not in {own}, where these are"),
        fix: format!("add {own} to its namespaces, or remove namespaces and namespaceSelector from it"),
        field,
        item: None,
        besides: None,
        others: true,
    })
}
