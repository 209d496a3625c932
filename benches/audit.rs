//! What an audit of manifests costs, beside only parsing the same files with the same parser: `cargo bench --bench audit`.
//!
//! In-process on one core: reading, judging and writing JSON, as a ratio from rounds that alternate with the parse. Then the program
//! itself on a tree of 25 files: its time in parses of that tree on one core, and its memory.

#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::cast_precision_loss, missing_docs)]

use std::fs;
use std::hint::black_box;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::thread::sleep;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use stateward::audit::{AuditConfig, audit};
use stateward::cluster::inventory::{FileObjects, Inventory, KeepValues};
use stateward::manifest::{Source, SourceOrigin, read_each};
use stateward::policy::{Policies, Profile};
use stateward::report::formats::ReportFormat;

const ROUNDS: usize = 15;
/// Applications of one file.
const APPLICATIONS: usize = 800;
const FILES: usize = 25;

fn main() {
    let sources = [source(0), source(1)];
    let policies = Policies::new(Profile::Baseline, Vec::new()).unwrap();
    let bytes: usize = sources.iter().map(|(_, text)| text.len()).sum();
    let parsed = seconds(|| parse(&sources));
    println!("{bytes} bytes, parsed in {parsed:.3} s: {:.0} MB a second", bytes as f64 / 1e6 / parsed);
    println!("  read    {:.2} parses", ratio(|| drop(black_box(inventory(&sources))), || parse(&sources)));
    println!("  audit   {:.2} parses", ratio(|| report(&sources, &policies), || parse(&sources)));
    program();
}

fn parse(sources: &[(Arc<Source>, String)]) {
    for (source, text) in sources {
        black_box(read_each(source, text, &mut |manifest| drop(black_box(manifest))));
    }
}

fn inventory(sources: &[(Arc<Source>, String)]) -> Inventory {
    let mut inventory = Inventory::new(None);
    for (source, text) in sources {
        inventory.add_read(FileObjects::read(source, text, KeepValues::No));
    }
    inventory
}

fn report(sources: &[(Arc<Source>, String)], policies: &Policies) {
    let inventory = inventory(sources);
    let report = audit(&inventory, policies, AuditConfig::default(), Timestamp::UNIX_EPOCH);
    black_box(ReportFormat::Json.write(&report, &mut std::io::sink())).unwrap();
}

/// Runs the program on a tree.
fn program() {
    let folder = tempfile::tempdir().unwrap();
    let sources: Vec<_> = (0..FILES).map(source).collect();
    for (source, text) in &sources {
        fs::write(folder.path().join(&source.name), text).unwrap();
    }
    let bytes: usize = sources.iter().map(|(_, text)| text.len()).sum();
    println!("{} sets in {FILES} files, {bytes} bytes", APPLICATIONS * FILES);
    let parsed = seconds(|| parse(&sources));
    drop(sources);
    let mut peak = 0;
    let time = seconds(|| peak = run(folder.path()));
    println!("  the program takes {:.2} parses of that on one core, and {} MiB", time / parsed, peak >> 10);
}

/// The highest resident memory of one run, in KiB.
fn run(folder: &Path) -> u64 {
    let mut program = Command::new(env!("CARGO_BIN_EXE_stateward"));
    let mut child =
        program.args(["audit", "--format", "json"]).arg(folder).stdout(Stdio::null()).spawn().unwrap();
    let status = format!("/proc/{}/status", child.id());
    let mut peak = 0;
    while child.try_wait().unwrap().is_none() {
        let text = fs::read_to_string(&status).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let now = line.and_then(|line| line.trim().trim_end_matches(" kB").trim().parse().ok());
        peak = peak.max(now.unwrap_or(0));
        sleep(Duration::from_millis(2));
    }
    peak
}

/// A file of applications, each a set with what belongs to it. Every tenth has too few replicas.
fn source(file: usize) -> (Arc<Source>, String) {
    let template = include_str!("material/application.yaml");
    let applications = (file * APPLICATIONS..(file + 1) * APPLICATIONS).map(|number| {
        let replicas = if number % 10 == 0 { "2" } else { "3" };
        let text = template
            .replace("@NAMESPACE@", &format!("team-{:04}", number / 10))
            .replace("@REPLICAS@", replicas);
        text.replace("@NAME@", &format!("app-{number:05}"))
    });
    let text: String = applications.collect();
    (Source::new(format!("applications-{file:02}.yaml"), &text, SourceOrigin::Found), text)
}

/// How many times as long `step` takes as `unit`: the median over rounds that run one right after the other.
fn ratio(mut step: impl FnMut(), mut unit: impl FnMut()) -> f64 {
    let rounds = (0..ROUNDS).map(|_| once(&mut step) / once(&mut unit));
    median(rounds.collect())
}

fn seconds(mut run: impl FnMut()) -> f64 {
    median((0..3).map(|_| once(&mut run)).collect())
}

fn once(run: &mut impl FnMut()) -> f64 {
    let start = Instant::now();
    run();
    start.elapsed().as_secs_f64()
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
