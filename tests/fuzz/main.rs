//! The fuzz targets on mutated seeds, a bounded number of executions each: `STATEWARD_FUZZ_EXECUTIONS`, default 1,500.
//! `STATEWARD_FUZZ_SEED` chooses another sequence of mutations.
//! `fuzz/README.md` says how to run them guided by coverage.

#![allow(
    clippy::unwrap_used,
    unreachable_pub,
    reason = "helpers beside the tests unwrap; the targets have two users"
)]

#[path = "../../fuzz/targets/mod.rs"]
mod targets;

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use targets::TARGETS;

/// One execution may take as long, in an unoptimized build on a busy machine; what is quadratic takes far longer.
const LONGEST: Duration = Duration::from_secs(60);

/// A small generator whose sequence is the same everywhere: a failure can be repeated.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(bound.max(1)).unwrap()).unwrap()
    }
}

/// The files of a folder of the repository, up to 64 KiB each.
fn seeds_in(folder: &str, found: &mut Vec<Vec<u8>>) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let mut entries: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    for path in entries.into_iter().filter(|path| path.is_file()) {
        let seed = fs::read(path).unwrap();
        if seed.len() <= 64 << 10 {
            found.push(seed);
        }
    }
}

fn seeds(target: &str) -> Vec<Vec<u8>> {
    let folders: &[&str] = match target {
        "review" => &["tests/captures"],
        "manifests" => &["deploy/examples/consul", "tests/rules"],
        "policies" => &["policies"],
        _ => &["fuzz/seeds"],
    };
    let mut found = Vec::new();
    for folder in folders {
        seeds_in(folder, &mut found);
    }
    assert!(!found.is_empty(), "{target} has no seeds");
    found
}

/// Words that mean something to one of the readers.
const WORDS: [&[u8]; 24] = [
    b"null",
    b"{}",
    b"[]",
    b"\"\"",
    b"-1",
    b"2147483648",
    b"1e999",
    b"\\ud800",
    b"\x00",
    b"\x1b[31m",
    b"---\n",
    b"\r",
    b"&a ",
    b"*a",
    b"!!binary ",
    b"<<: ",
    b"%YAML 1.1\n",
    b"${A}",
    b"::error::",
    b"stateward.dev/exempt",
    b"\"uid\":",
    b"spec",
    b"\xe2\x80\xa8",
    b"100%",
];

fn mutate(seed: &[u8], others: &[Vec<u8>], random: &mut Random) -> Vec<u8> {
    let mut input = seed.to_vec();
    for _ in 0..=random.below(6) {
        let at = random.below(input.len() + 1);
        match random.below(6) {
            0 => input.truncate(at),
            1 => {
                let end = (at + random.below(64)).min(input.len());
                input.drain(at..end);
            }
            2 => {
                let word = WORDS[random.below(WORDS.len())];
                input.splice(at..at, word.iter().copied());
            }
            3 if at < input.len() => input[at] = random.next().to_le_bytes()[0],
            4 => {
                let end = (at + random.below(256)).min(input.len());
                let copy = input[at..end].to_vec();
                let to = random.below(input.len() + 1);
                input.splice(to..to, copy);
            }
            _ => {
                let other = &others[random.below(others.len())];
                let start = random.below(other.len() + 1);
                let end = (start + random.below(512)).min(other.len());
                input.splice(at..at, other[start..end].iter().copied());
            }
        }
    }
    input
}

fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

fn run(name: &str) {
    let executions = setting("STATEWARD_FUZZ_EXECUTIONS").unwrap_or(1_500);
    let sequence = setting("STATEWARD_FUZZ_SEED").unwrap_or(0x05ee_d0f5_7a7e_0d11);
    let (_, target) = TARGETS.into_iter().find(|(known, _)| *known == name).unwrap();
    let (seeds, mut random) = (seeds(name), Random(sequence.max(1)));
    for seed in &seeds {
        target(seed);
    }
    for execution in 0..executions {
        let seed = &seeds[random.below(seeds.len())];
        let input = mutate(seed, &seeds, &mut random);
        let start = Instant::now();
        let end = std::panic::catch_unwind(|| target(&input));
        let is_fine = end.is_ok() && start.elapsed() <= LONGEST;
        assert!(is_fine, "{name} failed at execution {execution} on: {:?}", String::from_utf8_lossy(&input));
    }
}

#[test]
fn reviews() {
    run("review");
}

#[test]
fn manifests() {
    run("manifests");
}

#[test]
fn policies() {
    run("policies");
}

#[test]
fn certificates() {
    run("certificates");
}

#[test]
fn hooks() {
    run("hooks");
}
