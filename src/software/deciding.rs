//! Which container of a pod decides what the pod is.

use super::entry::{ByImage, CatalogueEntry, PassOver};
use super::{Catalogue, Pods};
use crate::model::{Class, Confidence, Container};

/// A container that is not passed over, with what the catalogue knows of it.
#[derive(Clone, Copy, Debug)]
struct CandidateContainer<'a> {
    container: &'a Container,
    entry: Option<(usize, &'a CatalogueEntry)>,
}

/// The container that decides, the index of its entry, and how sure that is.
#[derive(Clone, Copy, Debug)]
pub(super) struct DecidingContainer<'a> {
    pub(super) container: &'a Container,
    pub(super) index: usize,
    pub(super) confidence: Confidence,
}

/// The main container decides: the first that is not passed over. Pods do not say which of their containers is the
/// application, so a quorum further down decides too where the main container is nothing of the kind, as only likely: a
/// cache beside a quorum must not hide it, and a server beside an application may be there for that application only.
pub(super) fn decide<'a>(catalogue: &'a Catalogue, pods: Pods<'a>) -> Option<DecidingContainer<'a>> {
    let candidates = candidates(catalogue, pods);
    let (main, others) = candidates.split_first()?;
    if let Some((index, entry)) = main.entry.filter(|(_, entry)| entry.class != Class::Replicated) {
        let is_alone = others.is_empty() || entry.pass_over.is_none();
        let confidence = if is_alone { entry.confidence } else { entry.at_most_likely() };
        return Some(DecidingContainer { container: main.container, index, confidence });
    }
    let decides = |other: &CandidateContainer<'a>| {
        let (index, entry) = other.entry?;
        let is_meant = main.entry.is_none() || entry.names_a_server();
        // The claims of a pod are the main container's.
        (entry.class == Class::Quorum && !entry.claims && is_meant).then_some(DecidingContainer {
            container: other.container,
            index,
            confidence: entry.at_most_likely(),
        })
    };
    let is_known = |candidate: &CandidateContainer<'a>| {
        let (index, entry) = candidate.entry.filter(|(_, entry)| entry.class != Class::Quorum)?;
        Some(DecidingContainer { container: candidate.container, index, confidence: entry.confidence })
    };
    others.iter().find_map(decides).or_else(|| candidates.iter().find_map(is_known))
}

/// The container that decides; where none is known, those that are not passed over, in the order of the pod.
pub(super) fn serving<'a>(catalogue: &'a Catalogue, pods: Pods<'a>) -> Vec<&'a Container> {
    match decide(catalogue, pods) {
        Some(decision) => vec![decision.container],
        None => candidates(catalogue, pods).into_iter().map(|candidate| candidate.container).collect(),
    }
}

/// The containers that are not passed over. Init containers are never asked, native sidecars among them: they serve the
/// application or prepare for it.
fn candidates<'a>(catalogue: &'a Catalogue, pods: Pods<'a>) -> Vec<CandidateContainer<'a>> {
    let containers = pods.containers.iter();
    let mut candidates: Vec<CandidateContainer<'a>> =
        containers.filter_map(|container| catalogue.candidate(container, pods)).collect();
    let serves_others = |candidate: &CandidateContainer<'_>| {
        candidate.entry.is_some_and(|(_, entry)| entry.pass_over == Some(PassOver::BesideOthers))
    };
    let main_is_known = candidates.iter().any(|one| one.entry.is_some() && !serves_others(one));
    let mut first = true;
    candidates.retain(|candidate| {
        let keep = !serves_others(candidate) || (first && !main_is_known);
        first = false;
        keep
    });
    candidates
}

impl Catalogue {
    /// `None` where the container is passed over in any company.
    fn candidate<'a>(&'a self, container: &'a Container, pods: Pods<'_>) -> Option<CandidateContainer<'a>> {
        let programs = super::programs::programs(container);
        let index = self.first_entry(container, &programs, pods);
        let names_a_program =
            |index| programs.iter().any(|program| self.entries_of(program).any(|entry| entry == index));
        if self.runs_only_tools(&programs) && !index.is_some_and(names_a_program) {
            return None;
        }
        let entry = index.map(|index| (index, &self.entries[index]));
        let passed_over = entry.is_some_and(|(_, entry)| entry.pass_over == Some(PassOver::Always));
        (!passed_over).then_some(CandidateContainer { container, entry })
    }
}

impl CatalogueEntry {
    fn at_most_likely(&self) -> Confidence {
        self.confidence.min(Confidence::Likely)
    }

    /// Whether it goes by an image or a command rather than by the environment alone, which containers of a pod often share.
    fn names_a_server(&self) -> bool {
        self.by_image == ByImage::Named || self.has_commands
    }
}
