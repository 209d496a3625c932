//! The policies of a running server: read again when their files change.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::future::pending;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use jiff::Timestamp;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::policies::{Loaded, PolicyRemark, PolicySource};
use super::sources;
use crate::manifest::Source;
use crate::policy::{Policies, Profile};
use crate::process;

/// How often the files are compared with what is in use. A change takes effect at the second look that sees it, so that a file
/// that is still being written is not used.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Files of policies, and the last version of each in which nothing was wrong.
struct PolicyFiles {
    paths: Vec<PathBuf>,
    /// What came through standard input, which can be read once only.
    standard_input: Vec<PolicySource>,
    good: BTreeMap<String, Arc<Source>>,
}

/// Keeps the policies that are in force as their files are.
pub(super) struct PolicyKeeper {
    files: PolicyFiles,
    profile: Profile,
    policies: Arc<ArcSwap<Policies>>,
    /// What is in use, and what was seen last.
    used: u64,
    seen: u64,
    status: PolicyStatus,
}

/// Where it is said whether all policies can be used.
struct PolicyStatus {
    errors_of: Family<PolicyLabels, Gauge>,
    /// Opens when all policies can be used for the first time, and stays open: from then on the last good versions are in force.
    gate: process::Gate,
    remark: process::Remark,
    has_been_good: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PolicyLabels {
    policy: String,
}

impl PolicyKeeper {
    /// Reads the files for the first time. Where a policy cannot be used the server does not become ready, so that a rollout
    /// keeps the replicas that have the policies of before; the other policies are in force all the same.
    pub(super) fn start(
        paths: &[PathBuf],
        profile: Profile,
        readiness: &process::Readiness,
        registry: &mut Registry,
    ) -> anyhow::Result<Self> {
        let (standard_input, paths): (Vec<PathBuf>, Vec<PathBuf>) =
            paths.iter().cloned().partition(|path| path.as_os_str() == "-");
        let standard_input = sources::open(&standard_input).collect();
        let files = PolicyFiles { paths, standard_input, good: BTreeMap::new() };
        let errors_of = Family::default();
        registry.register("policy_errors", "Errors in a policy", Family::clone(&errors_of));
        let (gate, remark) = (readiness.gate("policies"), readiness.remark());
        let status = PolicyStatus { errors_of, gate, remark, has_been_good: false };
        let sources = files.read();
        let seen = fingerprint(&sources);
        let policies = Arc::new(ArcSwap::from_pointee(Policies::new(profile, Vec::new())?));
        let mut keeper = Self { files, profile, policies, used: seen, seen, status };
        keeper.use_sources(&sources)?;
        Ok(keeper)
    }

    /// The policies in force.
    pub(super) fn policies(&self) -> Arc<ArcSwap<Policies>> {
        Arc::clone(&self.policies)
    }

    /// Looks at the files again and again. To return is an error.
    pub(super) async fn run(mut self) -> anyhow::Result<Infallible> {
        if self.files.paths.is_empty() {
            return pending().await;
        }
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            self = tokio::task::spawn_blocking(move || self.look().map(|()| self)).await??;
        }
    }

    fn look(&mut self) -> anyhow::Result<()> {
        let sources = self.files.read();
        let now = fingerprint(&sources);
        if now != self.used && now == self.seen {
            self.used = now;
            self.use_sources(&sources)?;
            tracing::info!(files = sources.len(), "policy files changed");
        }
        self.seen = now;
        Ok(())
    }

    fn use_sources(&mut self, sources: &[PolicySource]) -> anyhow::Result<()> {
        let loaded = self.files.load(sources, Timestamp::now());
        for warning in &loaded.warnings {
            tracing::warn!(policy = warning.policy, "no effect: {warning}");
        }
        self.status.show(&loaded);
        let policies = Policies::with_exemptions(self.profile, loaded.policies, loaded.exemptions)?;
        self.policies.store(Arc::new(policies));
        Ok(())
    }
}

impl PolicyFiles {
    fn read(&self) -> Vec<PolicySource> {
        self.standard_input.iter().cloned().chain(sources::open(&self.paths)).collect()
    }

    /// The policies of each file, or of its last good version where something in it is wrong now; and what is wrong.
    fn load(&mut self, sources: &[PolicySource], now: Timestamp) -> Loaded {
        self.forget_deleted(sources);
        let mut all = Loaded::default();
        for source in sources {
            let mut loaded = Loaded::of(source, now);
            match source {
                Ok(source) if loaded.errors.is_empty() => {
                    self.good.insert(source.name.clone(), Arc::clone(source));
                }
                Ok(source) => {
                    if let Some(good) = self.good.get(&source.name) {
                        let errors = loaded.errors;
                        loaded = Loaded { errors, ..Loaded::of(&Ok(Arc::clone(good)), now) };
                    }
                }
                Err(note) => {
                    for good in self.good.values().filter(|good| is_under(&good.name, &note.file.name)) {
                        let good = Loaded::of(&Ok(Arc::clone(good)), now);
                        loaded.extend(Loaded { errors: Vec::new(), ..good });
                    }
                }
            }
            all.extend(loaded);
        }
        all
    }

    /// A file that is not there any more takes its policies along, unless a path that was named cannot be read.
    fn forget_deleted(&mut self, sources: &[PolicySource]) {
        let is_kept = |name: &String| {
            sources.iter().any(|source| match source {
                Ok(source) => source.name == *name,
                Err(note) => is_under(name, &note.file.name),
            })
        };
        self.good.retain(|name, _| is_kept(name));
    }
}

impl PolicyStatus {
    fn show(&mut self, loaded: &Loaded) {
        self.errors_of.clear();
        for policy in &loaded.policies {
            drop(self.errors_of.get_or_create(&PolicyLabels { policy: policy.name().to_owned() }));
        }
        for error in &loaded.errors {
            tracing::error!(policy = error.policy, "policy not used: {error}");
            self.errors_of.get_or_create(&PolicyLabels { policy: error.policy.clone() }).inc();
        }
        if loaded.errors.is_empty() {
            self.has_been_good = true;
            self.gate.open();
            self.remark.clear();
        } else {
            self.remark.set(said(&loaded.errors, self.has_been_good));
        }
    }
}

fn said(errors: &[PolicyRemark], has_been_good: bool) -> String {
    let consequence = if has_been_good {
        "the last good versions are in force"
    } else {
        "not ready until all policies can be used"
    };
    let errors: Vec<String> = errors.iter().map(ToString::to_string).collect();
    format!("policies: {}; {consequence}", errors.join("; "))
}

/// Whether a file is this one, or lies in this folder.
fn is_under(file: &str, path: &str) -> bool {
    Path::new(file).starts_with(path)
}

/// What is in the files. In memory of a few of them, that two versions have the same is out of the question.
fn fingerprint(sources: &[PolicySource]) -> u64 {
    let mut hasher = DefaultHasher::new();
    for source in sources {
        match source {
            Ok(source) => (&source.name, &source.text).hash(&mut hasher),
            Err(note) => (&note.file.name, &note.message).hash(&mut hasher),
        }
    }
    hasher.finish()
}
