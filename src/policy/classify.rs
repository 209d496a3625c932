//! The class of a StatefulSet: annotation, policy, catalogue, in this order.

use std::sync::Arc;

use super::{Applicable, ClassRule, Policies};
use crate::model::{Because, Class, Classified, StatefulSet};

impl Policies {
    /// The class of `set`, to which `applicable` applies.
    pub fn classify(&self, set: &StatefulSet, applicable: &Applicable<'_>) -> Classified {
        let known = self.software.classify(set);
        let by_software =
            known.as_ref().map(|(class, software)| (*class, Because::Software(Arc::clone(software))));
        let (class, because) = declared(set)
            .or_else(|| by_policy(set, applicable))
            .or(by_software)
            .unwrap_or((Class::Replicated, Because::Default));
        Classified { class, because, software: known.map(|(_, software)| software) }
    }
}

/// An annotation that names no class is as good as none; the rule `annotation-ignored` says so.
fn declared(set: &StatefulSet) -> Option<(Class, Because)> {
    let class = Class::named(set.metadata.annotations.get("stateward.dev/class")?)?;
    Some((class, Because::Annotation))
}

fn by_policy(set: &StatefulSet, applicable: &Applicable<'_>) -> Option<(Class, Because)> {
    applicable.policies.iter().find_map(|(policy, _)| {
        let rule = policy.classes.iter().find(|rule| rule.matches(set))?;
        Some((rule.class, Because::Policy(policy.name.clone())))
    })
}

impl ClassRule {
    fn matches(&self, set: &StatefulSet) -> bool {
        let mut containers = set.spec.template.spec.containers.iter();
        let by_image = self.images.is_empty() || containers.any(|c| self.images.matches(c.repository()));
        by_image && self.selector.as_ref().is_none_or(|selector| selector.matches(&set.metadata.labels))
    }
}
