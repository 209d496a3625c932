//! What a review costs, counted in instructions and not in time, so that a busy machine gives the same figures as a quiet one:
//! `cargo bench --bench counted`, which needs valgrind.
//!
//! Each figure is divided by what skipping the same bytes costs. One that has grown by more than 5 % over the one that is written
//! in `counted.txt` fails. `UPDATE=1` writes the figures anew.
#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout)]

mod material;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::hint::black_box;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};

use jiff::Timestamp;
use serde::de::IgnoredAny;
use stateward::admission::{decode, encode, mutate_review, review};
use stateward::cluster::Cluster;
use stateward::evaluate::evaluate;
use stateward::policy::Policies;

use material::{Recorded, recorded, to_mutate};

const FIGURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/counted.txt");
/// Set for the process that valgrind runs, to how the names of its steps begin; a profile of one step is
/// `STATEWARD_COUNTED='scale review/10' valgrind --tool=callgrind --toggle-collect=counted::measured target/release/deps/counted-…`.
const COUNTED: &str = "STATEWARD_COUNTED";
const TIMES: u32 = 20;
/// How much larger a figure may be than the one that is written.
const TOLERANCE: f64 = 1.05;
/// What the smallest figures may grow by besides: a few instructions are 5 % of them.
const SLACK: f64 = 0.03;

fn main() -> ExitCode {
    if std::env::var_os(COUNTED).is_some() {
        run_steps();
        return ExitCode::SUCCESS;
    }
    if Command::new("valgrind").arg("--version").stdout(Stdio::null()).status().is_err() {
        println!("SKIPPED: valgrind is not installed, so no instructions are counted");
        return ExitCode::SUCCESS;
    }
    let figures = ratios(&counts());
    if std::env::var_os("UPDATE").is_some() {
        let lines = figures.iter().fold(String::new(), |mut lines, (name, figure)| {
            let _ = writeln!(lines, "{name} {figure:.2}");
            lines
        });
        std::fs::write(FIGURES, lines).unwrap();
    }
    compare(&figures, &written())
}

/// Each step once to be ready, then under the eyes of valgrind.
fn run_steps() {
    let policies = material::policies();
    let clusters = [10, 1_000].map(|sets| (sets, material::cluster(sets)));
    for recorded in &recorded() {
        count_review(recorded, &clusters, &policies);
    }
    for Recorded { name, body } in &to_mutate() {
        let (_, cluster) = &clusters[0];
        count(&format!("mutate-{name} skip"), || skip(body));
        count(&format!("mutate-{name} nothing"), || mutate_review(body, cluster, &policies));
    }
}

fn count_review(Recorded { name, body }: &Recorded, clusters: &[(usize, Cluster)], policies: &Policies) {
    let now = Timestamp::now();
    let request = decode(body).unwrap();
    count(&format!("{name} skip"), || skip(body));
    count(&format!("{name} decode"), || decode(black_box(body)));
    for (sets, cluster) in clusters {
        let judge = || evaluate(&request.change, cluster, policies, now);
        let verdict = judge();
        count(&format!("{name} evaluate/{sets}"), judge);
        count(&format!("{name} encode/{sets}"), || encode(&request, &verdict));
        count(&format!("{name} review/{sets}"), || review(black_box(body), cluster, policies, now));
    }
}

fn skip(body: &[u8]) -> Result<IgnoredAny, serde_json::Error> {
    serde_json::from_slice(black_box(body))
}

fn count<T>(name: &str, step: impl Fn() -> T) {
    if std::env::var(COUNTED).is_ok_and(|wanted| !name.starts_with(&wanted)) {
        return;
    }
    let step = || drop(black_box(step()));
    step();
    measured(&step);
    println!("{name}");
}

/// Valgrind counts what happens in here, by the name of this function.
#[inline(never)]
fn measured(step: &dyn Fn()) {
    for _ in 0..TIMES {
        step();
    }
}

/// The instructions of each step, by name.
fn counts() -> Vec<(String, f64)> {
    let folder = tempfile::tempdir().unwrap();
    let measured = |option: &str| format!("--{option}=counted::measured");
    let run = Command::new("valgrind")
        .args(["--tool=callgrind", "--quiet"])
        .args(["zero-before", "dump-after"].map(measured))
        .arg(format!("--callgrind-out-file={}", folder.path().join("out").display()))
        .arg(std::env::current_exe().unwrap())
        .env(COUNTED, "")
        .stderr(Stdio::inherit())
        .output()
        .unwrap();
    assert!(run.status.success(), "valgrind: {}", run.status);
    let names = String::from_utf8(run.stdout).unwrap();
    let names = names.lines().enumerate();
    names
        .map(|(index, name)| (name.to_owned(), total(&folder.path().join(format!("out.{}", index + 1)))))
        .collect()
}

/// What valgrind wrote down of one step.
fn total(dump: &Path) -> f64 {
    let text = std::fs::read_to_string(dump).unwrap();
    let total = text.lines().find_map(|line| line.strip_prefix("summary: ")).unwrap();
    total.trim().parse::<f64>().unwrap() / f64::from(TIMES)
}

/// Each step divided by the skip of its group.
fn ratios(counts: &[(String, f64)]) -> BTreeMap<String, f64> {
    let (mut ratios, mut unit) = (BTreeMap::new(), f64::NAN);
    for (name, count) in counts {
        if name.ends_with(" skip") {
            unit = *count;
            println!("{name}: {count:.0} instructions");
        } else {
            ratios.insert(name.clone(), count / unit);
        }
    }
    ratios
}

fn written() -> BTreeMap<String, f64> {
    let text = std::fs::read_to_string(FIGURES).unwrap_or_default();
    let figures = text.lines().filter_map(|line| line.rsplit_once(' '));
    figures.map(|(name, figure)| (name.to_owned(), figure.parse().unwrap())).collect()
}

fn compare(figures: &BTreeMap<String, f64>, written: &BTreeMap<String, f64>) -> ExitCode {
    let mut code = ExitCode::SUCCESS;
    for (name, figure) in figures {
        let (note, is_worse) = match written.get(name) {
            None => ("  not written yet".to_owned(), false),
            // Half of the last digit that is written is not a change.
            Some(before) if *figure > before * TOLERANCE + SLACK => {
                (format!("  WORSE: was {before:.2}"), true)
            }
            Some(before) if *figure < before / TOLERANCE - SLACK => {
                (format!("  better: was {before:.2}"), false)
            }
            Some(_) => (String::new(), false),
        };
        println!("{name:<24} {figure:>6.2} skips{note}");
        if is_worse {
            code = ExitCode::FAILURE;
        }
    }
    code
}
