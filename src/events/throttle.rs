//! Which events are worth sending. Pure: time is given.

use std::collections::HashMap;
use std::time::Duration;

/// Whether to send an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ThrottleDecision {
    /// Send it.
    Send,
    /// An equal Event was sent a moment ago.
    Repeated,
    /// There are too many.
    Limited,
}

/// The identity of an Event to a reader, as a hash: object, rule and level can be long.
pub(super) type EventKey = u64;
/// A hash of the namespace that an event is about.
pub(super) type NamespaceKey = u64;

/// Lets the first of the same events pass, and so many a second of all and of one namespace.
#[derive(Debug)]
pub(super) struct Throttle {
    limits: EventLimits,
    all: Bucket,
    namespaces: HashMap<NamespaceKey, Bucket>,
    swept: Duration,
    /// When each was sent. There are at most as many as the limits let pass in twice the time they are kept.
    sent: HashMap<EventKey, Duration>,
}

/// How many may still be sent at once.
#[derive(Clone, Copy, Debug)]
struct Bucket {
    tokens: f64,
    filled: Duration,
}

impl Bucket {
    fn fill(&mut self, rate: &EventRate, now: Duration) {
        let gained = now.saturating_sub(self.filled).as_secs_f64() * rate.per_second;
        self.tokens = (self.tokens + gained).min(rate.burst);
        self.filled = self.filled.max(now);
    }
}

/// How much is sent.
#[derive(Clone, Copy, Debug)]
pub(super) struct EventLimits {
    /// About everything.
    pub(super) all: EventRate,
    /// About one namespace.
    pub(super) namespace: EventRate,
    /// How long the same is not sent again.
    pub(super) quiet: Duration,
}

/// How many events.
#[derive(Clone, Copy, Debug)]
pub(super) struct EventRate {
    /// At once, after a quiet time.
    pub(super) burst: f64,
    /// Each second after that.
    pub(super) per_second: f64,
}

impl Default for EventLimits {
    fn default() -> Self {
        Self {
            all: EventRate { burst: 50.0, per_second: 5.0 },
            namespace: EventRate { burst: 20.0, per_second: 1.0 },
            quiet: Duration::from_secs(600),
        }
    }
}

impl Throttle {
    pub(super) fn new(limits: EventLimits) -> Self {
        let zero = Duration::ZERO;
        let all = Bucket { tokens: limits.all.burst, filled: zero };
        Self { limits, all, namespaces: HashMap::new(), swept: zero, sent: HashMap::new() }
    }

    /// Decides about one event; `now` is the time since some beginning.
    pub(super) fn ask(&mut self, key: EventKey, namespace: NamespaceKey, now: Duration) -> ThrottleDecision {
        self.sweep(now);
        let quiet = self.limits.quiet;
        if self.sent.get(&key).is_some_and(|sent| now.saturating_sub(*sent) < quiet) {
            return ThrottleDecision::Repeated;
        }
        self.all.fill(&self.limits.all, now);
        if self.all.tokens < 1.0 {
            return ThrottleDecision::Limited;
        }
        let full = Bucket { tokens: self.limits.namespace.burst, filled: now };
        let bucket = self.namespaces.entry(namespace).or_insert(full);
        bucket.fill(&self.limits.namespace, now);
        if bucket.tokens < 1.0 {
            return ThrottleDecision::Limited;
        }
        bucket.tokens -= 1.0;
        self.all.tokens -= 1.0;
        self.sent.insert(key, now);
        ThrottleDecision::Send
    }

    fn sweep(&mut self, now: Duration) {
        let quiet = self.limits.quiet;
        if now.saturating_sub(self.swept) >= quiet {
            self.sent.retain(|_, sent| now.saturating_sub(*sent) < quiet);
            self.namespaces.retain(|_, bucket| now.saturating_sub(bucket.filled) < quiet);
            self.swept = now;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn the_same_is_sent_again_only_after_a_while() {
        let mut throttle = Throttle::new(EventLimits::default());
        let (a, b) = (1, 2);
        assert_eq!(throttle.ask(a, 0, seconds(0)), ThrottleDecision::Send);
        assert_eq!(throttle.ask(a, 0, seconds(599)), ThrottleDecision::Repeated);
        assert_eq!(throttle.ask(b, 0, seconds(599)), ThrottleDecision::Send);
        assert_eq!(throttle.ask(a, 0, seconds(600)), ThrottleDecision::Send);
        let after_a_sweep = throttle.ask(b, 0, seconds(601));
        assert_eq!(after_a_sweep, ThrottleDecision::Repeated, "a sweep forgets nothing recent");
    }

    #[test]
    fn a_flood_is_cut_to_the_rate_and_what_was_cut_may_come_later() {
        let mut throttle = Throttle::new(EventLimits::default());
        let mut sent = |from: u64, now: u64| {
            let asked = (from..from + 100).map(|number| throttle.ask(number, number, seconds(now)));
            asked.filter(|decision| *decision == ThrottleDecision::Send).count()
        };
        assert_eq!([sent(0, 0), sent(100, 0), sent(200, 1)], [50, 0, 5]);
        assert_eq!(sent(100, 2), 5, "a cut one counts as not sent");
        assert_eq!(sent(300, 1000), 50, "no more than a burst is saved up");
    }

    #[test]
    fn a_flood_in_one_namespace_leaves_room_for_others() {
        let mut throttle = Throttle::new(EventLimits::default());
        let mut sent = |from: u64, namespace: u64, now: u64| {
            let asked = (from..from + 100).map(|number| throttle.ask(number, namespace, seconds(now)));
            asked.filter(|decision| *decision == ThrottleDecision::Send).count()
        };
        assert_eq!([sent(0, 1, 0), sent(100, 2, 0), sent(200, 1, 2)], [20, 20, 2]);
    }

    #[test]
    fn memory_is_bounded() {
        let mut throttle = Throttle::new(EventLimits::default());
        for now in 0..6000_u64 {
            for number in 0..20_u64 {
                throttle.ask(now * 20 + number, now * 20 + number, seconds(now));
            }
        }
        assert!(throttle.sent.len() <= 2 * 5 * 600 + 50, "{}", throttle.sent.len());
        assert!(throttle.namespaces.len() <= 2 * 5 * 600 + 50, "{}", throttle.namespaces.len());
    }

    #[test]
    fn a_clock_that_goes_back_does_no_harm() {
        let mut throttle = Throttle::new(EventLimits::default());
        assert_eq!(throttle.ask(1, 0, seconds(100)), ThrottleDecision::Send);
        assert_eq!(throttle.ask(1, 0, seconds(0)), ThrottleDecision::Repeated);
        assert_eq!(throttle.ask(2, 0, seconds(0)), ThrottleDecision::Send);
    }
}
