//! The class of application that a StatefulSet runs, and the evidence for it.

use std::fmt;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::MajorityProbes;

/// What sort of application a StatefulSet is, which decides what is safe to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Class {
    /// One consensus group over all pods.
    Quorum,
    /// At most one instance may ever run.
    Singleton,
    /// Everything else: sharded, leaderless or stateless.
    Replicated,
}

impl Class {
    /// The class of this name, as the annotation has it, in whatever case.
    pub fn named(name: &str) -> Option<Self> {
        match &*name.trim().to_ascii_lowercase() {
            "quorum" => Some(Self::Quorum),
            "singleton" => Some(Self::Singleton),
            "replicated" => Some(Self::Replicated),
            _ => None,
        }
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Quorum => "quorum",
            Self::Singleton => "singleton",
            Self::Replicated => "replicated",
        })
    }
}

/// How certain it is that software has the class that the catalogue gives it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Confidence {
    /// No evidence, only the more usual of two classes: never a reason to deny.
    Presumed,
    /// The evidence is usual for the class, and has other uses too.
    #[default]
    Likely,
    /// Practically every deployment of the software has this class.
    Certain,
}

/// A class and the reason for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Classified {
    pub class: Class,
    /// The source that decided the class.
    pub because: Because,
    /// The software that the shipped catalogue recognised, whether or not it decided the class.
    pub software: Option<Arc<Software>>,
}

/// Software that the shipped catalogue recognised.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Software {
    /// The common name of the software.
    pub name: String,
    /// The evidence: `image hashicorp/consul`.
    pub evidence: String,
    /// The container that the software was recognised by.
    pub container: String,
    /// The index of the member among the main containers: of that container, or of the one that it helps.
    pub index: usize,
    /// The index of the container whose readiness probe asks the member.
    pub probed: usize,
    pub confidence: Confidence,
    /// Whether members keep no data that a majority depends on.
    pub keeps_no_data: bool,
    /// The default data folders of its images.
    pub data_folders: Arc<[Box<str>]>,
    /// Whether members that stop in order leave the group, and are no longer counted.
    pub leaves_in_order: bool,
    /// Whether each of its StatefulSets is a group of its own, also where one custom resource owns several.
    pub each_set_is_a_group: bool,
    /// How many pods have a vote, the first by their ordinal, where later ones have none.
    pub first_voters: Option<i32>,
    /// The probes that fail without a majority, if any is known.
    pub ready_needs_majority: Option<Arc<MajorityProbes>>,
}

/// The sources that can decide a class, the strongest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Because {
    /// `stateward.dev/class` on the set.
    Annotation,
    /// `classes` of the policy with this name.
    Policy(String),
    /// The shipped catalogue knows the software.
    Software(Arc<Software>),
    /// A policy gives another class than the other sources, and it is not known whether the policy applies to this set's namespace.
    Undecided {
        /// The policy's name.
        policy: String,
        /// The class in the other case: if the policy applies, or if it does not.
        alternative: Class,
        /// The source that decides without the policy.
        otherwise: Box<Because>,
    },
    /// No source says anything.
    Default,
}

impl Classified {
    /// Whether the class is only an inference that may be wrong.
    pub fn is_only_likely(&self) -> bool {
        match &self.because {
            Because::Software(software) => software.confidence < Confidence::Certain,
            Because::Undecided { .. } => true,
            Because::Annotation | Because::Policy(_) | Because::Default => false,
        }
    }

    /// Whether each set of the software is a group of its own, also where one custom resource owns several.
    pub fn each_set_is_a_group(&self) -> bool {
        self.software.as_ref().is_some_and(|software| software.each_set_is_a_group)
    }

    /// How many of this many pods have a vote.
    pub fn voters_among(&self, replicas: i32) -> i32 {
        let first = self.software.as_ref().and_then(|software| software.first_voters);
        first.map_or(replicas, |first| first.min(replicas))
    }

    /// Whether the class rests on no evidence at all.
    pub fn is_only_presumed(&self) -> bool {
        let because = match &self.because {
            Because::Undecided { otherwise, .. } => otherwise,
            because => because,
        };
        matches!(because, Because::Software(software) if software.confidence == Confidence::Presumed)
    }
}

impl fmt::Display for Because {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Annotation => f.write_str("annotation stateward.dev/class"),
            Self::Policy(name) => write!(f, "policy {name}"),
            Self::Software(software) => software.fmt(f),
            Self::Undecided { policy, otherwise, .. } => {
                write!(
                    f,
                    "{otherwise}; policy {policy} differs and may be about this namespace, whose labels are not known"
                )
            }
            Self::Default => f.write_str("nothing says otherwise"),
        }
    }
}

impl fmt::Display for Software {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.evidence)?;
        if !self.container.is_empty() {
            write!(f, " in container {}", self.container)?;
        }
        match self.confidence {
            Confidence::Certain => Ok(()),
            Confidence::Likely => write!(f, ", likely {}", self.name),
            Confidence::Presumed => write!(f, ", presumably {}", self.name),
        }
    }
}
