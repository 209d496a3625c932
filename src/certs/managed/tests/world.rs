//! Replicas with clocks of their own, a Secret, webhook configurations, and everything that may happen to them.

use proptest::prelude::*;

use super::{
    Certificate, CertificateState, CertificateStep, DAY, Duration, Lifetimes, SETTLE, SecretContent,
    SignedDuration, Timestamp, carry_out, now,
};

const LIFETIMES: Lifetimes =
    Lifetimes { ca: SignedDuration::from_hours(24 * 200), leaf: SignedDuration::from_hours(24 * 40) };

struct ClusterView {
    now: Timestamp,
    at: Duration,
    secret: Versioned<Option<SecretContent>>,
    /// The entries of the webhook configurations.
    entries: Versioned<Vec<Vec<Certificate>>>,
    replicas: Vec<Replica>,
    leader: usize,
}

#[derive(Clone)]
struct Versioned<T> {
    version: usize,
    value: T,
}

impl<T> Versioned<T> {
    fn new(value: T) -> Self {
        Self { version: 0, value }
    }

    fn set(&mut self, value: T) {
        *self = Self { version: self.version + 1, value };
    }
}

type Read = (Versioned<Option<SecretContent>>, Versioned<Vec<Vec<Certificate>>>);

struct Replica {
    state: CertificateState,
    skew: SignedDuration,
    /// What it has read but not acted upon.
    read: Option<Read>,
}

#[derive(Clone, Debug)]
enum Event {
    /// Everybody has a turn, beginning with this one.
    Turns(usize),
    /// So many days later, everybody has a turn.
    Days(i32),
    /// All clocks show so many days later, at once.
    Jump(i32),
    /// This one's clock is so many days off from here on.
    Skew(usize, i32),
    /// This one reads, and is then held up.
    Read(usize),
    Act(usize),
    Leads(usize),
    /// This one forgets everything, when the others have had a turn, and reads anew.
    Restart(usize),
    Delete,
    /// A part of the Secret is spoilt.
    Spoil(usize),
    /// The Secret is overwritten by one that others made.
    Overwrite,
}

fn state() -> CertificateState {
    CertificateState::new(["a".to_owned()].into(), LIFETIMES, SETTLE)
}

impl ClusterView {
    fn new() -> Self {
        let replica = || Replica { state: state(), skew: SignedDuration::ZERO, read: None };
        let mut view = Self {
            now: now(),
            at: Duration::ZERO,
            secret: Versioned::new(None),
            entries: Versioned::new(vec![Vec::new(), Vec::new()]),
            replicas: vec![replica(), replica(), replica()],
            leader: 0,
        };
        // Until the first CA is known everywhere, no client can be served.
        for _ in 0..2 {
            view.turns(0);
        }
        view
    }

    fn happen(&mut self, event: &Event) {
        match *event {
            Event::Turns(first) => self.turns(first),
            Event::Days(days) => {
                self.now += days * DAY;
                self.at += (days * DAY).unsigned_abs();
                self.turns(0);
            }
            Event::Jump(days) => self.now += days * DAY,
            Event::Skew(replica, days) => self.replicas[replica].skew = days * DAY,
            Event::Read(replica) => self.read(replica),
            Event::Act(replica) => self.act(replica),
            Event::Leads(replica) => self.leader = replica,
            Event::Restart(replica) => {
                self.turns(replica + 1);
                self.replicas[replica] = Replica { state: state(), read: None, ..self.replicas[replica] };
                self.read(replica);
                self.act(replica);
            }
            Event::Delete => self.secret.set(None),
            Event::Spoil(part) => {
                let mut content = self.secret.value.clone().unwrap_or_default();
                match part {
                    0 => content.leaf = None,
                    1 => content.signer = None,
                    2 => content.next = None,
                    _ => content = SecretContent::default(),
                }
                self.secret.set(Some(content));
            }
            Event::Overwrite => {
                let other = carry_out(CertificateStep::Establish, None, &state(), self.now).unwrap();
                self.secret.set(Some(other));
            }
        }
    }

    fn turns(&mut self, first: usize) {
        for turn in 0..self.replicas.len() {
            let replica = (first + turn) % self.replicas.len();
            // What it was held up with first.
            self.act(replica);
            self.read(replica);
            self.act(replica);
            self.at += Duration::from_secs(4);
        }
    }

    fn read(&mut self, replica: usize) {
        self.replicas[replica].read = Some((self.secret.clone(), self.entries.clone()));
    }

    /// As the certificate manager does it.
    fn act(&mut self, number: usize) {
        let leads = self.leader == number;
        let replica = &mut self.replicas[number];
        let Some((mut secret, entries)) = replica.read.take() else { return };
        let (now, at, state) = (self.now + replica.skew, self.at, &mut replica.state);
        let mut is_settled = false;
        for round in 0..5 {
            if let Some(content) = &secret.value {
                state.hold(content, now);
            }
            if round == 0 && (leads || state.waits()) {
                state.saw(&entries.value, now, at);
            }
            let step = state.next(secret.value.as_ref(), now, at);
            if step == CertificateStep::Keep {
                is_settled = true;
                break;
            }
            let content = carry_out(step, secret.value.as_ref(), state, now).unwrap();
            if self.secret.version != secret.version {
                break;
            }
            self.secret.set(Some(content));
            secret = self.secret.clone();
        }
        state.present(now, at);
        if leads && is_settled && entries.version == self.entries.version {
            let bundle = state.bundle(&entries.value, at);
            if entries.value.iter().any(|entry| *entry != bundle) {
                self.entries.set(vec![bundle; entries.value.len()]);
            }
        }
    }

    /// A server that presents a valid certificate is trusted.
    fn all_are_trusted(&self) -> bool {
        let presented = self.replicas.iter().filter_map(|replica| replica.state.presented());
        let mut valid = presented.filter(|leaf| leaf.identity.certificate.is_valid(self.now));
        valid.all(|leaf| self.entries.value.iter().all(|entry| entry.contains(&leaf.ca)))
    }

    fn all_are_valid(&self) -> bool {
        self.replicas
            .iter()
            .filter_map(|replica| replica.state.presented())
            .all(|leaf| leaf.identity.certificate.is_valid(self.now) && leaf.ca.is_valid(self.now))
    }
}

fn event() -> impl Strategy<Value = Event> {
    let one = || 0..3_usize;
    prop_oneof![
        12 => one().prop_map(Event::Turns),
        12 => (0..7_i32).prop_map(Event::Days),
        // The first has the right time: where no clock is right, no replica renews in time.
        2 => (1..3_usize, -99..100_i32).prop_map(|(replica, days)| Event::Skew(replica, days)),
        2 => (1..3_usize).prop_map(|replica| Event::Skew(replica, 0)),
        4 => one().prop_map(Event::Read),
        4 => one().prop_map(Event::Act),
        2 => one().prop_map(Event::Leads),
        2 => one().prop_map(Event::Restart),
        1 => (-400..400_i32).prop_map(Event::Jump),
        1 => Just(Event::Delete),
        1 => (0..4_usize).prop_map(Event::Spoil),
        1 => Just(Event::Overwrite),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(250))]

    #[test]
    fn no_replica_presents_a_certificate_that_is_not_trusted_or_not_valid_and_every_rotation_ends(
        events in prop::collection::vec(event(), 0..120),
    ) {
        let mut view = ClusterView::new();
        prop_assert!(view.all_are_trusted());
        let (mut has_jumped, mut days_back) = (false, 0);
        for event in &events {
            view.happen(event);
            // Clocks that are set back further than a CA is kept after its end make valid again what no entry trusts any more.
            days_back += if let Event::Jump(days) = event { -days.min(&0) } else { 0 };
            prop_assert!(days_back >= 100 || view.all_are_trusted(), "{:?}", event);
            // A jump may leave nothing valid until everybody trusts another CA.
            has_jumped |= matches!(event, Event::Jump(_));
            if matches!(event, Event::Days(_)) && !has_jumped {
                prop_assert!(view.all_are_valid(), "{:?}", event);
            }
        }
        // Whatever clocks they have, it is quiet in the end.
        for _ in 0..60 {
            view.turns(0);
        }
        let versions = (view.secret.version, view.entries.version);
        for _ in 0..10 {
            view.turns(0);
        }
        prop_assert_eq!(versions, (view.secret.version, view.entries.version));
        prop_assert!(view.all_are_trusted() && view.all_are_valid());
    }
}
