//! The class of a StatefulSet or another object that makes pods: annotation, policy, catalogue, in this order.

use std::sync::Arc;

use super::{Applicable, Certainty, CompiledClassRule, Policies};
use crate::model::{
    Because, CLASS, Class, Classified, Metadata, PodTemplate, Software, StatefulSet, Workload,
};

/// A class, and what decided it.
type Decided = (Class, Because);

impl Policies {
    /// The class of `set`, to which `applicable` applies.
    pub fn classify(&self, set: &StatefulSet, applicable: &Applicable<'_>) -> Classified {
        let known = set.recognised.get_or_init(|| self.software.classify(set));
        classified(&set.metadata, &set.spec.template, known, applicable)
    }

    /// The class of another object that makes pods, to which `applicable` applies.
    pub fn classify_workload(&self, workload: &Workload, applicable: &Applicable<'_>) -> Classified {
        classified(&workload.metadata, workload.template(), self.software.classify(workload), applicable)
    }
}

fn classified(
    metadata: &Metadata,
    template: &PodTemplate,
    known: Option<(Class, Arc<Software>)>,
    applicable: &Applicable<'_>,
) -> Classified {
    let by_software =
        known.as_ref().map(|(class, software)| (*class, Because::Software(Arc::clone(software))));
    let (class, because) = declared(metadata).unwrap_or_else(|| {
        let (decided, undecided) = by_policy(metadata, template, applicable);
        let otherwise = decided.or(by_software).unwrap_or((Class::Replicated, Because::Default));
        match undecided.into_iter().find(|(class, _)| *class != otherwise.0) {
            Some((class, policy)) => doubted(otherwise, class, policy),
            None => otherwise,
        }
    });
    Classified { class, because, software: known.map(|(_, software)| software) }
}

/// The class where a policy that may or may not apply names another one: the one under which more rules look.
fn doubted((known, because): Decided, other: Class, policy: &str) -> Decided {
    let (class, alternative) = if known == Class::Replicated { (other, known) } else { (known, other) };
    (class, Because::Undecided { policy: policy.to_owned(), alternative, otherwise: Box::new(because) })
}

/// An annotation that names no class is as good as none; the rule `annotation-ignored` says so.
fn declared(metadata: &Metadata) -> Option<Decided> {
    let class = Class::named(metadata.annotations.get(CLASS)?)?;
    Some((class, Because::Annotation))
}

/// What the strongest policy says that says anything and certainly applies; and what stronger ones say that may apply.
fn by_policy<'a>(
    metadata: &Metadata,
    template: &PodTemplate,
    applicable: &Applicable<'a>,
) -> (Option<Decided>, Vec<(Class, &'a str)>) {
    let mut undecided = Vec::new();
    for (policy, certainty) in &applicable.policies {
        let matching = policy.classes.iter().find(|rule| rule.matches(metadata, template));
        let Some(rule) = matching else { continue };
        match certainty {
            Certainty::Unknown => undecided.push((rule.class, &*policy.name)),
            Certainty::Certain => {
                let because = Because::Policy(policy.name.clone());
                return (Some((rule.class, because)), undecided);
            }
        }
    }
    (None, undecided)
}

impl CompiledClassRule {
    fn matches(&self, metadata: &Metadata, template: &PodTemplate) -> bool {
        let mut containers = template.spec.containers.iter();
        let by_image = self.images.is_empty() || containers.any(|c| self.images.matches(c.repository()));
        by_image && self.selector.as_ref().is_none_or(|selector| selector.matches(&metadata.labels))
    }
}
