//! Which subjects a policy is about.

use super::namespace_selector;
use crate::model::{LabelSelector, Labels, Metadata};
use crate::software::Patterns;

#[derive(Debug)]
pub(super) struct Scope {
    pub(super) namespaces: Patterns,
    pub(super) exclude_namespaces: Patterns,
    pub(super) namespace_selector: Option<LabelSelector>,
    pub(super) object_selector: Option<LabelSelector>,
}

/// The properties of a subject that policies select by.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// The metadata of the StatefulSet (or of what else is read from a file).
    pub metadata: &'a Metadata,
    /// The labels of its namespace; `None` where they are unknown.
    pub namespace_labels: Option<&'a Labels>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Certainty {
    Certain,
    /// It depends on labels of a namespace that are not known.
    Unknown,
}

impl Scope {
    /// Whether it leaves out nothing.
    pub(super) fn is_everything(&self) -> bool {
        self.namespaces.is_empty()
            && self.exclude_namespaces.is_empty()
            && self.namespace_selector.is_none()
            && self.object_selector.is_none()
    }

    /// Whether it covers the subject: `None` for no.
    pub(super) fn covers(&self, Subject { metadata, namespace_labels }: Subject<'_>) -> Option<Certainty> {
        let namespace = &*metadata.namespace;
        let named = self.namespaces.is_empty() || self.namespaces.matches(namespace);
        let selected = self.object_selector.as_ref().is_none_or(|s| s.matches(&metadata.labels));
        if !named || !selected || self.exclude_namespaces.matches(namespace) {
            return None;
        }
        match &self.namespace_selector {
            None => Some(Certainty::Certain),
            Some(selector) => namespace_selector::selects(selector, namespace, namespace_labels),
        }
    }
}
