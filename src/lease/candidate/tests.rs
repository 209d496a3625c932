use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use proptest::prelude::*;

use super::{Candidate, ElectionStep, LeaseConfig};

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn wall() -> Timestamp {
    "2026-05-01T12:00:00Z".parse().unwrap()
}

fn lease(version: &str, holder: Option<&str>, lasts: Option<i32>) -> Lease {
    let mut lease = Lease::default();
    lease.metadata.resource_version = Some(version.to_owned());
    lease.spec = Some(LeaseSpec {
        holder_identity: holder.map(str::to_owned),
        lease_duration_seconds: lasts,
        ..LeaseSpec::default()
    });
    lease
}

fn spec(step: &ElectionStep) -> &LeaseSpec {
    match step {
        ElectionStep::Create(lease) | ElectionStep::Replace(lease) => lease.spec.as_ref().unwrap(),
        ElectionStep::Look | ElectionStep::Wait => panic!("{step:?}"),
    }
}

fn candidate() -> Candidate {
    Candidate::new("me".to_owned(), LeaseConfig::default())
}

/// What is done at `now` about a lease that has been like this since 100.
fn about(lease: &Lease, now: u64) -> &'static str {
    let mut candidate = candidate();
    for look in [100, now] {
        candidate.saw(Some(lease.clone()), seconds(look));
    }
    match candidate.next(seconds(now), wall()) {
        ElectionStep::Replace(_) => "replace",
        ElectionStep::Wait => "wait",
        step => panic!("{step:?}"),
    }
}

#[test]
fn who_may_have_it() {
    for (holder, lasts, now, done) in [
        (None, None, 100, "replace"),
        (Some(""), Some(15), 100, "replace"),
        (Some("me"), Some(15), 100, "replace"),
        (Some("other"), Some(15), 100, "wait"),
        (Some("other"), Some(15), 114, "wait"),
        (Some("other"), Some(15), 115, "replace"),
        (Some("other"), Some(1), 114, "wait"),
        (Some("other"), Some(60), 159, "wait"),
        (Some("other"), Some(60), 160, "replace"),
        (Some("other"), Some(-7), 115, "replace"),
        (Some("other"), None, 115, "replace"),
    ] {
        assert_eq!(about(&lease("1", holder, lasts), now), done, "{holder:?} {lasts:?} {now}");
    }
}

#[test]
fn whatever_changes_the_lease_begins_the_wait_anew() {
    let mut candidate = candidate();
    candidate.saw(Some(lease("1", Some("other"), Some(15))), seconds(0));
    candidate.saw(Some(lease("2", Some("other"), Some(15))), seconds(14));
    assert_eq!(candidate.next(seconds(28), wall()), ElectionStep::Wait);
    let mut again = lease("2", Some("other"), Some(15));
    again.metadata.uid = Some("made anew".to_owned());
    candidate.saw(Some(again.clone()), seconds(28));
    candidate.saw(Some(again), seconds(42));
    assert_eq!(candidate.next(seconds(42), wall()), ElectionStep::Wait);
}

#[test]
fn nothing_is_done_about_a_lease_that_was_not_just_read() {
    let mut candidate = candidate();
    assert_eq!(candidate.next(seconds(0), wall()), ElectionStep::Look);
    candidate.saw(None, seconds(0));
    assert!(matches!(candidate.next(seconds(0), wall()), ElectionStep::Create(_)));
    assert_eq!(
        candidate.next(seconds(1), wall()),
        ElectionStep::Look,
        "what became of the first is not known"
    );
}

#[test]
fn a_leader_renews_without_looking_until_it_is_refused() {
    let mut candidate = candidate();
    candidate.wrote(lease("1", Some("me"), Some(15)), seconds(1), seconds(4));
    assert_eq!(candidate.leads_until(), Some(seconds(11)), "from when it was sent");
    let ElectionStep::Replace(renewal) = candidate.next(seconds(5), wall()) else { panic!() };
    assert_eq!(renewal.metadata.resource_version.as_deref(), Some("1"));
    candidate.was_refused();
    assert_eq!(candidate.leads_until(), None);
    assert_eq!(candidate.next(seconds(5), wall()), ElectionStep::Look);
}

#[test]
fn what_is_written_down() {
    let mut candidate = candidate();
    candidate.saw(None, seconds(0));
    let created = candidate.next(seconds(0), wall());
    let written = spec(&created);
    assert_eq!((written.lease_transitions, written.lease_duration_seconds), (Some(0), Some(15)));
    assert_eq!(written.acquire_time, written.renew_time);

    let mut left = lease("7", Some(""), Some(60));
    left.metadata.labels = Some([("team".to_owned(), "db".to_owned())].into());
    left.spec.as_mut().unwrap().lease_transitions = Some(4);
    candidate.saw(Some(left.clone()), seconds(1));
    let taken = candidate.next(seconds(1), wall());
    let ElectionStep::Replace(lease) = &taken else { panic!() };
    assert_eq!(lease.metadata, left.metadata, "what others wrote stays");
    let written = spec(&taken).clone();
    assert_eq!((written.lease_transitions, written.holder_identity.as_deref()), (Some(5), Some("me")));

    candidate.wrote(lease.clone(), seconds(1), seconds(1));
    let renewed = candidate.next(seconds(3), wall());
    assert_ne!(renewed, taken, "a clock that stands still must not hide a renewal from the other candidates");
    let renewed = spec(&renewed);
    assert_eq!((renewed.lease_transitions, &renewed.acquire_time), (Some(5), &written.acquire_time));
}

#[test]
fn a_candidate_that_resigns_leads_no_longer_and_frees_the_lease() {
    let mut candidate = candidate();
    assert_eq!(candidate.resign(wall()), None, "it had nothing");
    candidate.wrote(lease("3", Some("me"), Some(15)), seconds(0), seconds(0));
    let released = candidate.resign(wall()).unwrap();
    assert_eq!(candidate.leads_until(), None);
    assert_eq!(released.metadata.resource_version.as_deref(), Some("3"));
    assert_eq!(about(&released, 100), "replace");
}

/// Candidates with clocks of their own, and a store that they reach over a network that delays, loses and reorders.
struct ClusterView {
    now: Duration,
    stored: Option<Lease>,
    version: u64,
    nodes: Vec<Node>,
}

struct Node {
    candidate: Candidate,
    /// How fast its clock runs, and what it showed at the beginning.
    clock: (f64, Duration),
    wall: Timestamp,
    /// What it waits for.
    asked: Option<Asked>,
    /// Requests it has given up, which may still arrive.
    adrift: Vec<Request>,
}

struct Asked {
    request: Request,
    sent: Duration,
    answer: Option<Answer>,
}

#[derive(Clone)]
enum Request {
    Get,
    Create(Lease),
    Replace(Lease),
}

#[derive(Clone)]
enum Answer {
    Found(Option<Lease>),
    Written(Lease),
    Refused,
}

/// What happens next to a node; between events, nothing happens to it at all: it may be paused for as long as that takes.
#[derive(Clone, Copy, Debug)]
enum Event {
    /// It takes its next step, or its request arrives, or the answer does.
    Go,
    /// It gives up waiting. What it asked for may be done later.
    GiveUp,
    /// Something given up arrives.
    Arrive,
}

impl ClusterView {
    fn new(clocks: &[(f64, u64, i64)]) -> Self {
        let node = |(number, (rate, offset, wall)): (usize, &(f64, u64, i64))| Node {
            candidate: Candidate::new(format!("node-{number}"), LeaseConfig::default()),
            clock: (*rate, seconds(*offset)),
            wall: Timestamp::from_second(*wall).unwrap(),
            asked: None,
            adrift: Vec::new(),
        };
        let nodes = clocks.iter().enumerate().map(node).collect();
        Self { now: Duration::ZERO, stored: None, version: 0, nodes }
    }

    fn happen(&mut self, node: usize, event: Event) {
        let now = self.nodes[node].local(self.now);
        match event {
            Event::Go => self.go(node, now),
            Event::GiveUp => {
                if let Some(Asked { request, answer: None, .. }) = self.nodes[node].asked.take() {
                    self.nodes[node].adrift.push(request);
                }
            }
            Event::Arrive => {
                if !self.nodes[node].adrift.is_empty() {
                    let request = self.nodes[node].adrift.remove(0);
                    self.handle(request);
                }
            }
        }
    }

    fn go(&mut self, node: usize, now: Duration) {
        match self.nodes[node].asked.take() {
            None => self.nodes[node].ask(now),
            Some(Asked { request, sent, answer: None }) => {
                let answer = Some(self.handle(request.clone()));
                self.nodes[node].asked = Some(Asked { request, sent, answer });
            }
            Some(Asked { sent, answer: Some(answer), .. }) => {
                let candidate = &mut self.nodes[node].candidate;
                match answer {
                    Answer::Found(lease) => {
                        candidate.saw(lease, now);
                        self.nodes[node].ask(now);
                    }
                    Answer::Written(lease) => candidate.wrote(lease, sent, now),
                    Answer::Refused => candidate.was_refused(),
                }
            }
        }
    }

    fn handle(&mut self, request: Request) -> Answer {
        let version = |lease: &Lease| lease.metadata.resource_version.clone();
        let mut lease = match (request, &self.stored) {
            (Request::Get, stored) => return Answer::Found(stored.clone()),
            (Request::Create(lease), None) => lease,
            (Request::Replace(lease), Some(stored)) if version(&lease) == version(stored) => lease,
            _ => return Answer::Refused,
        };
        self.version += 1;
        lease.metadata.resource_version = Some(self.version.to_string());
        self.stored = Some(lease.clone());
        Answer::Written(lease)
    }

    fn leaders(&self) -> Vec<usize> {
        (0..self.nodes.len()).filter(|number| self.nodes[*number].leads(self.now)).collect()
    }
}

impl Node {
    fn local(&self, now: Duration) -> Duration {
        self.clock.1 + now.mul_f64(self.clock.0)
    }

    fn leads(&self, now: Duration) -> bool {
        self.candidate.leads_until().is_some_and(|until| self.local(now) < until)
    }

    fn ask(&mut self, now: Duration) {
        let request = match self.candidate.next(now, self.wall) {
            ElectionStep::Look => Request::Get,
            ElectionStep::Create(lease) => Request::Create(lease),
            ElectionStep::Replace(lease) => Request::Replace(lease),
            ElectionStep::Wait => return,
        };
        self.asked = Some(Asked { request, sent: now, answer: None });
    }
}

fn clock() -> impl Strategy<Value = (f64, u64, i64)> {
    (0.85..1.15_f64, 0..1_000_000_u64, 0..4_000_000_000_i64)
}

fn event() -> impl Strategy<Value = (usize, Event, u64)> {
    let what = prop_oneof![8 => Just(Event::Go), 1 => Just(Event::GiveUp), 1 => Just(Event::Arrive)];
    // Mostly in quick succession; now and then for longer than any term.
    let pause = prop_oneof![6 => 0..500_u64, 3 => 500..4_000_u64, 1 => 4_000..40_000_u64];
    (0..3_usize, what, pause)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn never_do_two_lead(
        clocks in prop::collection::vec(clock(), 3),
        events in prop::collection::vec(event(), 0..200),
    ) {
        let mut view = ClusterView::new(&clocks);
        for (node, event, pause) in events {
            view.now += Duration::from_millis(pause);
            view.happen(node, event);
            prop_assert!(view.leaders().len() <= 1, "{:?} at {:?}", view.leaders(), view.now);
        }
    }

    /// As long as one candidate runs, one leads and keeps leading.
    #[test]
    fn one_leads_before_long(
        clocks in prop::collection::vec(clock(), 3),
        events in prop::collection::vec(event(), 0..60),
        survivor in 0..3_usize,
    ) {
        let mut view = ClusterView::new(&clocks);
        for (node, event, pause) in events {
            view.now += Duration::from_millis(pause);
            view.happen(node, event);
        }
        for round in 0..200 {
            view.now += Duration::from_millis(500);
            view.happen(survivor, Event::Go);
            if round > 60 {
                prop_assert_eq!(view.leaders(), vec![survivor]);
            }
        }
    }
}
