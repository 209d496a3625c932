//! The class of a StatefulSet: annotation, policy, catalogue, in this order.

use super::{Applicable, ClassRule, Policies};
use crate::model::{Because, Class, Classified, StatefulSet};

impl Policies {
    /// The class of `set`, to which `applicable` applies.
    pub fn classify(&self, set: &StatefulSet, applicable: &Applicable<'_>) -> Classified {
        declared(set)
            .or_else(|| by_policy(set, applicable))
            .or_else(|| self.software.classify(set))
            .unwrap_or(Classified { class: Class::Replicated, because: Because::Default })
    }
}

/// An annotation that names no class is as good as none; the rule `annotation-ignored` says so.
fn declared(set: &StatefulSet) -> Option<Classified> {
    let class = Class::named(set.metadata.annotations.get("stateward.dev/class")?)?;
    Some(Classified { class, because: Because::Annotation })
}

fn by_policy(set: &StatefulSet, applicable: &Applicable<'_>) -> Option<Classified> {
    applicable.policies.iter().find_map(|(policy, _)| {
        let rule = policy.classes.iter().find(|rule| rule.matches(set))?;
        Some(Classified { class: rule.class, because: Because::Policy(policy.name.clone()) })
    })
}

impl ClassRule {
    fn matches(&self, set: &StatefulSet) -> bool {
        let mut containers = set.spec.template.spec.containers.iter();
        let by_image = self.images.is_empty() || containers.any(|c| self.images.matches(c.repository()));
        by_image && self.selector.as_ref().is_none_or(|selector| selector.matches(&set.metadata.labels))
    }
}
