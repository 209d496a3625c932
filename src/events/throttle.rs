//! Which events are worth sending. Pure: time is given.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;

/// Whether to send an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ThrottleDecision {
    /// Send it.
    Send,
    /// The same was sent a moment ago.
    Repeated,
    /// There are too many.
    Limited,
}

/// What makes events the same to a reader.
pub(super) type EventKey = (String, Cow<'static, str>, &'static str);

/// Lets the first of the same events pass, and so many a second of all.
#[derive(Debug)]
pub(super) struct Throttle {
    limits: EventLimits,
    tokens: f64,
    filled: Duration,
    swept: Duration,
    /// When each was sent. There are at most as many as the limits let pass in twice the time they are kept.
    sent: BTreeMap<EventKey, Duration>,
}

/// How much is sent.
#[derive(Clone, Copy, Debug)]
pub(super) struct EventLimits {
    /// At once, after a quiet time.
    pub(super) burst: f64,
    /// Each second after that.
    pub(super) per_second: f64,
    /// How long the same is not sent again.
    pub(super) quiet: Duration,
}

impl Default for EventLimits {
    fn default() -> Self {
        Self { burst: 50.0, per_second: 5.0, quiet: Duration::from_secs(600) }
    }
}

impl Throttle {
    pub(super) fn new(limits: EventLimits) -> Self {
        let zero = Duration::ZERO;
        Self { limits, tokens: limits.burst, filled: zero, swept: zero, sent: BTreeMap::new() }
    }

    /// Decides about one event; `now` is the time since some beginning.
    pub(super) fn ask(&mut self, key: EventKey, now: Duration) -> ThrottleDecision {
        self.sweep(now);
        let quiet = self.limits.quiet;
        if self.sent.get(&key).is_some_and(|sent| now.saturating_sub(*sent) < quiet) {
            return ThrottleDecision::Repeated;
        }
        let gained = now.saturating_sub(self.filled).as_secs_f64() * self.limits.per_second;
        self.tokens = (self.tokens + gained).min(self.limits.burst);
        self.filled = self.filled.max(now);
        if self.tokens < 1.0 {
            return ThrottleDecision::Limited;
        }
        self.tokens -= 1.0;
        self.sent.insert(key, now);
        ThrottleDecision::Send
    }

    fn sweep(&mut self, now: Duration) {
        let quiet = self.limits.quiet;
        if now.saturating_sub(self.swept) >= quiet {
            self.sent.retain(|_, sent| now.saturating_sub(*sent) < quiet);
            self.swept = now;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str) -> EventKey {
        (name.to_owned(), Cow::Borrowed("quorum-even"), "deny")
    }

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn the_same_is_sent_again_only_after_a_while() {
        let mut throttle = Throttle::new(EventLimits::default());
        assert_eq!(throttle.ask(key("a"), seconds(0)), ThrottleDecision::Send);
        assert_eq!(throttle.ask(key("a"), seconds(599)), ThrottleDecision::Repeated);
        assert_eq!(throttle.ask(key("b"), seconds(599)), ThrottleDecision::Send);
        let (name, rule, _) = key("a");
        assert_eq!(throttle.ask((name, rule, "warn"), seconds(599)), ThrottleDecision::Send, "another level");
        assert_eq!(throttle.ask(key("a"), seconds(600)), ThrottleDecision::Send);
        assert_eq!(
            throttle.ask(key("b"), seconds(601)),
            ThrottleDecision::Repeated,
            "a sweep forgets nothing recent"
        );
    }

    #[test]
    fn a_flood_is_cut_to_the_rate_and_what_was_cut_may_come_later() {
        let mut throttle = Throttle::new(EventLimits::default());
        let mut sent = |from: u32, now: u64| {
            let asked = (from..from + 100).map(|number| throttle.ask(key(&number.to_string()), seconds(now)));
            asked.filter(|admission| *admission == ThrottleDecision::Send).count()
        };
        assert_eq!([sent(0, 0), sent(100, 0), sent(200, 1)], [50, 0, 5]);
        assert_eq!(sent(100, 2), 5, "a cut one counts as not sent");
        assert_eq!(sent(300, 1000), 50, "no more than a burst is saved up");
    }

    #[test]
    fn memory_is_bounded() {
        let mut throttle = Throttle::new(EventLimits::default());
        for now in 0..6000_u64 {
            for number in 0..20_u64 {
                throttle.ask(key(&(now * 20 + number).to_string()), seconds(now));
            }
        }
        assert!(throttle.sent.len() <= 2 * 5 * 600 + 50, "{}", throttle.sent.len());
    }

    #[test]
    fn a_clock_that_goes_back_does_no_harm() {
        let mut throttle = Throttle::new(EventLimits::default());
        assert_eq!(throttle.ask(key("a"), seconds(100)), ThrottleDecision::Send);
        assert_eq!(throttle.ask(key("a"), seconds(0)), ThrottleDecision::Repeated);
        assert_eq!(throttle.ask(key("b"), seconds(0)), ThrottleDecision::Send);
    }
}
