//! Which namespace is judged when.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

/// How long after a failure a namespace is tried again; after each further one twice as long.
const AFTER_FAILURE: Duration = Duration::from_secs(30);

/// The namespaces that exist, or did when they were last judged.
#[derive(Debug)]
pub(super) struct Queue {
    /// How often each is judged though nothing has changed.
    every: Duration,
    /// How long a change waits for others.
    settle: Duration,
    /// How long a namespace that changes all the time rests.
    rest: Duration,
    namespaces: BTreeMap<Box<str>, Turn>,
}

#[derive(Clone, Copy, Debug)]
struct Turn {
    due: Instant,
    judged: Option<Instant>,
    /// How often it could not be judged or published since then.
    failures: u32,
}

impl Queue {
    pub(super) fn new(every: Duration, settle: Duration, rest: Duration) -> Self {
        Self { every, settle, rest, namespaces: BTreeMap::new() }
    }

    /// Adds a namespace that is to be judged at once, unless it is there already.
    pub(super) fn add(&mut self, namespace: &str, now: Instant) {
        if !self.namespaces.contains_key(namespace) {
            self.namespaces.insert(namespace.into(), Turn { due: now, judged: None, failures: 0 });
        }
    }

    /// Something in this namespace has changed.
    pub(super) fn changed(&mut self, namespace: &str, now: Instant) {
        let Some(turn) = self.namespaces.get_mut(namespace) else { return };
        let rested = turn.judged.map_or(now, |judged| judged + self.rest);
        turn.due = turn.due.min(rested.max(now + self.settle));
    }

    /// Something has changed that may concern all of them.
    pub(super) fn all_changed(&mut self, now: Instant) {
        let all: Vec<Box<str>> = self.namespaces.keys().cloned().collect();
        for namespace in &all {
            self.changed(namespace, now);
        }
    }

    /// The namespace that has been due for longest.
    pub(super) fn next(&self, now: Instant) -> Option<Box<str>> {
        let due = self.namespaces.iter().filter(|(_, turn)| turn.due <= now);
        due.min_by_key(|(_, turn)| turn.due).map(|(namespace, _)| namespace.clone())
    }

    /// This namespace has been judged as it was at `seen`: it comes again, unless it is gone.
    pub(super) fn judged(&mut self, namespace: &str, exists: bool, seen: Instant) {
        if exists {
            let turn = Turn { due: seen + self.every, judged: Some(seen), failures: 0 };
            self.namespaces.insert(namespace.into(), turn);
        } else {
            self.namespaces.remove(namespace);
        }
    }

    /// This namespace could not be judged.
    pub(super) fn failed(&mut self, namespace: &str, now: Instant) {
        if let Some(turn) = self.namespaces.get_mut(namespace) {
            turn.due = now + AFTER_FAILURE.saturating_mul(1 << turn.failures.min(10)).min(self.every);
            turn.judged = Some(now);
            turn.failures += 1;
        }
    }

    /// All of them.
    pub(super) fn namespaces(&self) -> impl Iterator<Item = &str> {
        self.namespaces.keys().map(|namespace| &**namespace)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_namespace_is_judged_at_once_then_after_changes_then_every_hour() {
        let start = Instant::now();
        let mut queue = Queue::new(3600 * SECOND, 10 * SECOND, 60 * SECOND);
        queue.add("a", start);
        queue.changed("b", start);
        assert_eq!(queue.next(start).as_deref(), Some("a"), "b is not known");
        queue.judged("a", true, start);
        assert_eq!(queue.next(start + 3599 * SECOND), None);
        assert_eq!(queue.next(start + 3600 * SECOND).as_deref(), Some("a"));

        queue.changed("a", start + SECOND);
        assert_eq!(queue.next(start + 59 * SECOND), None, "it rests");
        queue.changed("a", start + 59 * SECOND);
        assert_eq!(queue.next(start + 60 * SECOND).as_deref(), Some("a"), "later changes do not put it off");

        queue.judged("a", true, start + 60 * SECOND);
        queue.changed("a", start + 600 * SECOND);
        assert_eq!(queue.next(start + 609 * SECOND), None, "one change seldom comes alone");
        assert!(queue.next(start + 610 * SECOND).is_some());
        queue.failed("a", start + 610 * SECOND);
        queue.changed("a", start + 611 * SECOND);
        assert_eq!(queue.next(start + 639 * SECOND), None, "a failure waits");
        assert!(queue.next(start + 640 * SECOND).is_some());
        queue.failed("a", start + 640 * SECOND);
        assert_eq!(queue.next(start + 699 * SECOND), None, "the next one longer");
        queue.judged("a", false, start + 700 * SECOND);
        queue.all_changed(start + 700 * SECOND);
        assert_eq!(queue.next(start + 9999 * SECOND), None, "it is gone");
    }
}
