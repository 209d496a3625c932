//! Findings with their places in files, and the formats they are written in.

pub mod formats;

use crate::cluster::inventory::{Inventory, Position, position};
use crate::cluster::{Kind, Listing};
use std::str::FromStr;

use crate::manifest::{Manifest, Note, NoteKind};
use crate::verdict::{Finding, Level, Verdict};

/// What an audit has found.
#[derive(Debug)]
pub struct Report {
    /// By file and line.
    pub findings: Vec<Located>,
    /// What was passed over or could not be read.
    pub notes: Vec<Note>,
    /// What is not known of a live cluster.
    pub gaps: Vec<Gap>,
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
    /// Where to look; `None` where it was not read from a file.
    pub position: Option<Position>,
    /// Where else to look, and at which object.
    pub related: Vec<(String, Option<Position>)>,
}

/// Something that is not known of a live cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gap {
    /// What sort of thing.
    pub kind: GapKind,
    /// What, and why.
    pub message: String,
}

/// What sort of thing is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GapKind {
    /// A kind of objects that may not be listed: no conclusion was drawn from what it lacks.
    Unknown,
    /// An object that cannot be read, as none should.
    Unreadable,
}

impl Report {
    pub(crate) fn new(inventory: &Inventory) -> Self {
        Self {
            findings: Vec::new(),
            notes: inventory.notes.clone(),
            gaps: Vec::new(),
            objects: inventory.objects,
            stateful_sets: inventory.sets().count(),
        }
    }

    pub(crate) fn of_cluster(listing: &Listing) -> Self {
        let unknown = listing.failed.iter().map(|(kind, error)| Gap {
            kind: GapKind::Unknown,
            message: format!(
                "{} unknown, so what rests on it is not judged (cannot list: {error})",
                kind.name()
            ),
        });
        let unreadable = listing.unreadable.iter().map(|object| Gap {
            kind: GapKind::Unreadable,
            message: format!(
                "{} {}/{}: {}",
                object.kind.name(),
                object.namespace,
                object.name,
                object.reason
            ),
        });
        let cluster = &listing.cluster;
        let objects: usize = Kind::listed().map(|kind| cluster.count(kind)).sum();
        Self {
            findings: Vec::new(),
            notes: Vec::new(),
            gaps: unknown.chain(unreadable).collect(),
            objects: objects + listing.unreadable.len(),
            stateful_sets: cluster.count(Kind::StatefulSet),
        }
    }

    /// Adds what was found about an object that was not read from a file.
    pub(crate) fn add_live(&mut self, verdict: Verdict) {
        let located = verdict.findings.into_iter().map(|finding| {
            let related = finding.related.iter().map(|(object, path)| (format!("{object} {path}"), None));
            let related = related.collect();
            Located { finding, position: None, related }
        });
        self.findings.extend(located);
    }

    /// Adds what was found about the object of `manifest`.
    pub(crate) fn add(&mut self, inventory: &Inventory, manifest: &Manifest, verdict: Verdict) {
        for finding in verdict.findings {
            let own = || position(manifest, &finding.path);
            let elsewhere = || inventory.locate(&finding.object, &finding.path, &manifest.file);
            let position =
                if finding.object == finding.subject { own() } else { elsewhere().unwrap_or_else(own) };
            let position = Some(position);
            let related = finding.related.iter().filter_map(|(object, path)| {
                Some((object.to_string(), Some(inventory.locate(object, path, &manifest.file)?)))
            });
            let related = related.collect();
            self.findings.push(Located { finding, position, related });
        }
    }

    pub(crate) fn sort(&mut self) {
        let place = |located: &Located| {
            let Position { file, span } = located.position.as_ref()?;
            Some((file.name.clone(), span.line, span.column))
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
            || self.gaps.iter().any(|gap| gap.kind == GapKind::Unreadable)
    }
}

/// Whether a note says that something is wrong with the input, not only that it is none.
pub(crate) fn is_failure(kind: NoteKind) -> bool {
    matches!(kind, NoteKind::Unreadable | NoteKind::TooLarge)
}

/// The level from which on findings make an audit fail; `None` is never.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FailOn(pub Option<Level>);

impl FromStr for FailOn {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        match name {
            "deny" => Ok(Self(Some(Level::Deny))),
            "warn" => Ok(Self(Some(Level::Warn))),
            "audit" => Ok(Self(Some(Level::Audit))),
            "never" => Ok(Self(None)),
            _ => Err("one of deny, warn, audit, never".to_owned()),
        }
    }
}
