//! Findings with their places in files, and the formats they are written in.

pub mod formats;

mod application;
mod fingerprint;
pub mod paths;
pub mod suppress;
pub mod text;

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use self::paths::RepositoryPaths;
use crate::cluster::inventory::{Position, UnitKind};
use crate::cluster::{Kind, Listing};
use crate::manifest::{Note, NoteKind};
use crate::model::ObjectRef;
use crate::policy::MalformedPolicyObject;
use crate::verdict::{Exempt, Finding, Level, Verdict};
pub use application::{
    Allowance, Application, Budget, Claims, ScaleStep, ServiceLink, SetServiceState, Spread,
};

/// The result of an audit.
#[derive(Debug, Default)]
pub struct Report {
    /// By file and line.
    pub findings: Vec<Located>,
    /// Documents and files that were skipped or could not be read.
    pub notes: Vec<Note>,
    /// Kinds and facts of a live cluster that are not known.
    pub gaps: Vec<KnowledgeGap>,
    /// How many objects were read.
    pub objects: usize,
    /// How many of them are StatefulSets.
    pub stateful_sets: usize,
    /// The groups of objects that were judged together.
    pub contexts: Vec<ContextSummary>,
    /// The pictures of an HTML report; empty unless they were asked for.
    pub applications: Vec<Application>,
    /// The repositories that the files lie in.
    pub paths: RepositoryPaths,
    /// The level from which on findings fail the audit.
    pub fail_on: Option<Level>,
    /// Only what fails the audit is to be shown to people.
    pub is_quiet: bool,
}

/// A group of objects that were judged together.
#[derive(Clone, Debug)]
pub struct ContextSummary {
    pub name: Arc<str>,
    pub stateful_sets: usize,
}

/// A finding and its place.
#[derive(Debug)]
pub struct Located {
    /// The finding.
    pub finding: Finding,
    /// The place of the fault; `None` for an object that was not read from a file.
    pub position: Option<Position>,
    /// Related places.
    pub related: Vec<Related>,
    /// Whether it is about a rendered object: the place is where its value is set, and its edits are not made there as they are.
    pub is_rendered: bool,
    /// The objects it was judged with; `None` in a live cluster.
    pub context: Option<Arc<str>>,
    /// The fingerprint that a baseline holds; it stays the same after lines have moved.
    pub fingerprint: String,
    /// Whether the baseline holds it; such a finding does not count.
    pub is_known: bool,
    /// The edits of files that end it, all together; empty unless they were asked for.
    pub fixes: Vec<FileFix>,
}

/// The changes of one file, or a new file.
#[derive(Debug)]
pub struct FileFix {
    pub file: String,
    /// From the start of the file to its end.
    pub replacements: Vec<Replacement>,
}

/// A piece of a file and the text in its place.
#[derive(Debug)]
pub struct Replacement {
    /// Line and column of the first character, from 1.
    pub start: (usize, usize),
    /// Line and column after the last character; the start where nothing goes.
    pub end: (usize, usize),
    pub text: String,
}

/// Another object that is part of a finding.
#[derive(Debug)]
pub struct Related {
    pub object: ObjectRef,
    /// JSON pointer of the field in `object`.
    pub path: String,
    /// `None` where it was not read from a file.
    pub position: Option<Position>,
}

impl Located {
    /// The folder of the kustomization or chart that the object was rendered from, as the command line names it.
    pub fn rendered_folder(&self) -> Option<&str> {
        self.context.as_deref().filter(|_| self.is_rendered).and_then(UnitKind::rendered_folder)
    }

    /// Whether it is neither exempt nor known from a baseline.
    pub fn counts(&self) -> bool {
        self.finding.counts() && !self.is_known
    }
}

/// Something that is not known of a live cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnowledgeGap {
    /// The category.
    pub kind: GapKind,
    /// The thing that is not known, and the reason.
    pub message: String,
}

/// The category of a thing that is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GapKind {
    /// A kind of objects that may not be listed: no conclusion was drawn from what it lacks.
    Unknown,
    /// An object that cannot be read, as none should.
    Unreadable,
}

impl Report {
    pub(crate) fn of_cluster(listing: &Listing) -> Self {
        let unknown = listing.failed.iter().map(|(kind, error)| KnowledgeGap {
            kind: GapKind::Unknown,
            message: format!(
                "{} unknown, so what rests on it is not judged (cannot list: {error})",
                kind.name()
            ),
        });
        let unreadable = listing.unreadable.iter().map(|object| KnowledgeGap {
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
            gaps: unknown.chain(unreadable).collect(),
            objects: objects + listing.unreadable.len(),
            stateful_sets: cluster.count(Kind::StatefulSet),
            ..Self::default()
        }
    }

    /// Adds the policies and exemptions of a cluster that cannot be used.
    pub(crate) fn add_malformed(&mut self, malformed: &[MalformedPolicyObject]) {
        self.gaps.extend(malformed.iter().map(|MalformedPolicyObject { object, error }| KnowledgeGap {
            kind: GapKind::Unreadable,
            message: format!("{object}: {}: {}", error.pointer, error.message),
        }));
    }

    /// Adds what was found about an object that was not read from a file.
    pub(crate) fn add_live(&mut self, verdict: Verdict) {
        self.findings.extend(verdict.findings.into_iter().map(|finding| {
            let related = finding
                .related
                .iter()
                .map(|(object, path)| Related { object: object.clone(), path: path.clone(), position: None })
                .collect();
            Located { related, ..Located::of(finding) }
        }));
    }

    /// Orders the findings and gives each its fingerprint.
    pub(crate) fn finish(&mut self) {
        self.findings.sort_by_cached_key(|located| {
            let Position { file, span } = located.position.as_ref()?;
            Some((file.name.clone(), span.line, span.column))
        });
        self.place_in(RepositoryPaths::default());
    }

    /// Tells the files by their paths within these repositories, in fingerprints and in the formats for platforms.
    pub fn place_in(&mut self, paths: RepositoryPaths) {
        let fingerprints = fingerprint::of_findings(&self.findings, &paths);
        for (located, fingerprint) in self.findings.iter_mut().zip(fingerprints) {
            located.fingerprint = fingerprint;
        }
        self.paths = paths;
    }

    /// The fingerprints that the first version of baselines has.
    pub fn fingerprints_of_version_1(&self) -> Vec<String> {
        fingerprint::of_version_1(&self.findings)
    }

    /// Leaves out findings, as if their rules did not run, and returns them.
    pub fn retain(&mut self, keep: impl Fn(&Finding) -> bool) -> Vec<Located> {
        self.findings.extract_if(.., |located| !keep(&located.finding)).collect()
    }

    /// Marks the findings whose fingerprints a baseline has.
    pub fn mark_known(&mut self, baseline: &HashSet<&str>) {
        for located in &mut self.findings {
            located.is_known = baseline.contains(&*located.fingerprint);
        }
    }

    /// How many findings of a rule and a level count, for each that has one, the gravest and most frequent first.
    pub fn by_rule(&self) -> Vec<(&str, Level, usize)> {
        let mut rules: BTreeMap<(&str, Level), usize> = BTreeMap::new();
        for located in self.findings.iter().filter(|located| located.counts()) {
            *rules.entry((located.finding.rule.as_str(), located.finding.level)).or_default() += 1;
        }
        let mut rules: Vec<_> =
            rules.into_iter().map(|((rule, level), count)| (rule, level, count)).collect();
        rules.sort_by_key(|(_, level, count)| Reverse((*level, *count)));
        rules
    }

    /// The findings as people want to read them: those that count first, of them the gravest, then by file and line.
    pub fn gravest_first(&self) -> Vec<&Located> {
        let mut findings: Vec<&Located> = self.findings.iter().collect();
        findings.sort_by_key(|located| Reverse((located.counts(), located.finding.level)));
        findings
    }

    /// How many findings of this level count.
    pub fn count(&self, level: Level) -> usize {
        self.findings.iter().filter(|located| located.counts() && located.finding.level == level).count()
    }

    /// How many findings are exempt.
    pub fn exempt(&self) -> usize {
        self.findings.iter().filter(|located| !located.finding.counts()).count()
    }

    /// How many findings the baseline has.
    pub fn known(&self) -> usize {
        self.findings.iter().filter(|located| located.is_known && located.finding.counts()).count()
    }

    /// Whether anything counts at this level or above.
    pub fn reaches(&self, level: Level) -> bool {
        self.findings.iter().any(|located| located.counts() && located.finding.level >= level)
    }

    /// Whether this finding makes the audit fail.
    pub fn fails(&self, located: &Located) -> bool {
        located.counts() && self.fail_on.is_some_and(|level| located.finding.level >= level)
    }

    /// Whether nothing was found to judge: no object in any of the paths.
    pub fn is_empty(&self) -> bool {
        self.objects == 0
    }

    /// Whether a kind of objects could not be listed.
    pub fn is_partial(&self) -> bool {
        self.gaps.iter().any(|gap| gap.kind == GapKind::Unknown)
    }

    /// The files that should have been read and could not be.
    pub fn not_judged(&self) -> impl Iterator<Item = &Note> {
        self.notes.iter().filter(|note| note.kind.is_failure())
    }

    /// The fields that are most likely misspelt.
    pub fn misspelt(&self) -> impl Iterator<Item = &Note> {
        self.notes.iter().filter(|note| note.kind == NoteKind::UnknownField)
    }

    /// Whether something should have been read and could not be.
    pub fn is_incomplete(&self) -> bool {
        self.not_judged().next().is_some() || self.gaps.iter().any(|gap| gap.kind == GapKind::Unreadable)
    }
}

impl Located {
    /// A finding of which nothing else is known.
    pub(crate) fn of(finding: Finding) -> Self {
        Self {
            finding,
            position: None,
            related: Vec::new(),
            is_rendered: false,
            context: None,
            fingerprint: String::new(),
            is_known: false,
            fixes: Vec::new(),
        }
    }

    pub(crate) fn exempt(&mut self, by: &str, reason: &str) {
        self.finding.exempt = Some(Exempt { by: by.to_owned(), reason: reason.to_owned(), expires_at: None });
    }
}
