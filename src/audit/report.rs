//! What an audit has found, with the places in the files.

use crate::cluster::files::{Inventory, Position, position};
use crate::manifest::{Manifest, Note, NoteKind};
use crate::policy::Level;
use crate::verdict::{Finding, Verdict};

/// What an audit has found.
#[derive(Debug)]
pub struct Report {
    /// By file and line.
    pub findings: Vec<Located>,
    /// What was passed over or could not be read.
    pub notes: Vec<Note>,
    /// How many objects were read.
    pub objects: usize,
    /// How many of them are StatefulSets.
    pub stateful_sets: usize,
}

/// A finding and its place.
#[derive(Debug)]
pub struct Located {
    /// The finding.
    pub finding: Finding,
    /// Where to look.
    pub position: Position,
    /// Where else to look, and at which object.
    pub related: Vec<(String, Position)>,
}

impl Report {
    pub(super) fn new(inventory: &Inventory) -> Self {
        Self {
            findings: Vec::new(),
            notes: inventory.notes.clone(),
            objects: inventory.objects,
            stateful_sets: inventory.sets().count(),
        }
    }

    /// Adds what was found about the object of `manifest`.
    pub(super) fn add(&mut self, inventory: &Inventory, manifest: &Manifest, verdict: Verdict) {
        for finding in verdict.findings {
            let own = || position(manifest, &finding.path);
            let elsewhere = || inventory.locate(&finding.object, &finding.path, &manifest.file);
            let position =
                if finding.object == finding.subject { own() } else { elsewhere().unwrap_or_else(own) };
            let related = finding.related.iter().filter_map(|(object, path)| {
                Some((object.to_string(), inventory.locate(object, path, &manifest.file)?))
            });
            let related = related.collect();
            self.findings.push(Located { finding, position, related });
        }
    }

    pub(super) fn sort(&mut self) {
        let place = |located: &Located| {
            let Position { file, span } = &located.position;
            (file.name.clone(), span.line, span.column)
        };
        self.findings.sort_by_cached_key(place);
    }

    /// How many findings of this level count.
    pub fn count(&self, level: Level) -> usize {
        self.findings.iter().filter(|l| l.finding.counts() && l.finding.level == level).count()
    }

    /// How many findings somebody has exempted.
    pub fn exempt(&self) -> usize {
        self.findings.iter().filter(|l| !l.finding.counts()).count()
    }

    /// Whether anything counts at this level or above.
    pub fn reaches(&self, level: Level) -> bool {
        self.findings.iter().any(|l| l.finding.counts() && l.finding.level >= level)
    }

    /// Whether something should have been read and could not be.
    pub fn is_incomplete(&self) -> bool {
        self.notes.iter().any(|note| is_failure(note.kind))
    }
}

/// Whether a note says that something is wrong with the input, not only that it is none.
pub(super) fn is_failure(kind: NoteKind) -> bool {
    matches!(kind, NoteKind::Unreadable | NoteKind::TooLarge)
}
