//! What a review costs in-process, beside skipping the same bytes with [`IgnoredAny`], which reads them all and keeps
//! nothing.
//!
//! `cargo bench --bench review` prints first the ratios to the skip, from rounds that alternate between the two, so that
//! a machine that is slow for a while is so for both; then criterion's times of each step.
#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout)]

mod material;

use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, Throughput};
use jiff::Timestamp;
use serde::de::IgnoredAny;
use stateward::admission::decode;
use stateward::admission::encode;
use stateward::admission::mutate_review;
use stateward::admission::review;
use stateward::cluster::Cluster;
use stateward::evaluate::evaluate;
use stateward::policy::Policies;

use material::{Recorded, recorded, to_mutate};

const SIZES: [usize; 3] = [10, 1_000, 100_000];
const ROUNDS: usize = 200;
/// How long one side of a round takes: long enough for the clock, short beside what disturbs a machine.
const ROUND: Duration = Duration::from_millis(2);

struct Bench {
    policies: Policies,
    clusters: Vec<(usize, Cluster)>,
    now: Timestamp,
}

fn main() {
    let clusters = SIZES.map(|sets| (sets, material::cluster(sets))).into();
    let bench = Bench { policies: material::policies(), clusters, now: Timestamp::now() };
    for recorded in &recorded() {
        bench.print_ratios(recorded);
    }
    bench.print_mutations();
    let mut criterion = Criterion::default()
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1))
        .configure_from_args();
    for recorded in &recorded() {
        bench.measure(&mut criterion, recorded);
    }
    criterion.final_summary();
}

fn skip(body: &[u8]) -> Result<IgnoredAny, serde_json::Error> {
    serde_json::from_slice(black_box(body))
}

impl Bench {
    fn review(&self, body: &[u8], cluster: &Cluster) -> Vec<u8> {
        review(body, cluster, &self.policies, self.now).unwrap().body
    }

    fn print_ratios(&self, Recorded { name, body }: &Recorded) {
        let (_, smallest) = &self.clusters[0];
        let request = decode(body).unwrap();
        let verdict = evaluate(&request.change, smallest, &self.policies, self.now);
        let skip_body = || drop(black_box(skip(body)));
        println!("{name}: {} bytes, skipped in {:?}", body.len(), time_of(&skip_body));
        let print = |what: &str, step: &dyn Fn()| {
            println!("  {what:<16} {:.2} skips", ratio(step, &skip_body));
        };
        print("decode", &|| drop(black_box(decode(body))));
        print("encode", &|| drop(black_box(encode(&request, &verdict))));
        for (sets, cluster) in &self.clusters {
            let judge = || evaluate(&request.change, cluster, &self.policies, self.now);
            print(&format!("evaluate/{sets}"), &|| drop(black_box(judge())));
        }
        for (sets, cluster) in &self.clusters {
            print(&format!("review/{sets}"), &|| drop(black_box(self.review(body, cluster))));
        }
        let [(fewest, few), .., (most, many)] = &self.clusters[..] else { return };
        let review = |cluster| move || drop(black_box(self.review(body, cluster)));
        let growth = ratio(&review(many), &review(few));
        println!("  among {most} sets {growth:.2} times as long as among {fewest} (wanted: 1.1)");
    }

    fn print_mutations(&self) {
        let (_, cluster) = &self.clusters[0];
        let adding = material::mutating_policies();
        for Recorded { name, body } in &to_mutate() {
            println!("mutate {name}: {} bytes", body.len());
            for (what, policies) in [("asked of nothing", &self.policies), ("adding", &adding)] {
                let mutate = || drop(black_box(mutate_review(body, cluster, policies)));
                println!("  {what:<16} {:.2} skips", ratio(&mutate, &|| drop(black_box(skip(body)))));
            }
        }
    }

    fn measure(&self, criterion: &mut Criterion, Recorded { name, body }: &Recorded) {
        let mut group = criterion.benchmark_group(*name);
        group.throughput(Throughput::Bytes(body.len() as u64));
        group.bench_function("skip", |b| b.iter(|| skip(body)));
        group.bench_function("decode", |b| b.iter(|| decode(body)));
        let request = decode(body).unwrap();
        for (sets, cluster) in &self.clusters {
            let judge = || evaluate(&request.change, cluster, &self.policies, self.now);
            group.bench_function(BenchmarkId::new("evaluate", sets), |b| b.iter(judge));
            let verdict = judge();
            group.bench_function(BenchmarkId::new("encode", sets), |b| b.iter(|| encode(&request, &verdict)));
            group.bench_function(BenchmarkId::new("review", sets), |b| b.iter(|| self.review(body, cluster)));
        }
        group.finish();
    }
}

/// How many times as long `step` takes as `unit`: the median over rounds that run one right after the other.
fn ratio(step: &dyn Fn(), unit: &dyn Fn()) -> f64 {
    let times = [step, unit].map(|run| (run, per_round(run)));
    let rounds = (0..ROUNDS).map(|_| {
        let [step, unit] = times.map(|(run, count)| seconds(run, count));
        step / unit
    });
    median(rounds.collect())
}

fn time_of(run: &dyn Fn()) -> Duration {
    let count = per_round(run);
    Duration::from_secs_f64(median((0..ROUNDS).map(|_| seconds(run, count)).collect()))
}

/// How often it can run in a round.
fn per_round(run: &dyn Fn()) -> u32 {
    let (start, mut count) = (Instant::now(), 0);
    while start.elapsed() < ROUND * 5 {
        run();
        count += 1;
    }
    (count / 5).max(1)
}

/// The time of one run, of `count` in a row.
fn seconds(run: &dyn Fn(), count: u32) -> f64 {
    let start = Instant::now();
    for _ in 0..count {
        run();
    }
    start.elapsed().as_secs_f64() / f64::from(count)
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
