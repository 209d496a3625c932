//! Replica counts that were allowed a moment ago and that the snapshot does not show yet.
//!
//! Two sets of one consensus group that are scaled in the same moment would each be judged as if the other stayed as it is. So a
//! count that is allowed holds for all reviews of its namespace until the watch shows it, for some seconds at most: another webhook
//! may refuse the change, and nothing says so.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::time::Instant;

use crate::change::{Action, Change, ObjectChange};
use crate::cluster::{Cluster, ClusterView, PendingChange};
use crate::rules::enumerate;
use crate::verdict::{Level, Verdict};

/// How long a count holds that the watch does not show: other webhooks have to answer, and the change has to be stored.
const HOLDS_FOR: Duration = Duration::from_secs(5);
/// Counts that are kept. Of more, the oldest are forgotten.
const MAX_RESERVATIONS: usize = 256;
/// How often a change is judged anew because another one of its namespace was allowed meanwhile.
const MOST_ROUNDS: usize = 8;

/// All counts that were allowed a moment ago.
#[derive(Debug, Default)]
pub struct Reservations(ArcSwap<Vec<Arc<Reservation>>>);

/// The replica count of a StatefulSet that a change sets.
#[derive(Debug)]
struct Reservation {
    namespace: Box<str>,
    set: Box<str>,
    /// The counts that the snapshot may still show: before this change, and before the first that it does not show.
    before: [i32; 2],
    replicas: i32,
    until: Instant,
}

/// The counts that one review is judged with.
pub(super) struct Reserved {
    all: Arc<Vec<Arc<Reservation>>>,
    /// Reservations of other sets of the namespace.
    here: Vec<Arc<Reservation>>,
    rounds: usize,
}

impl Reservations {
    /// The reservations that count for a review of this change.
    pub(super) fn for_change(&self, change: &Change) -> Reserved {
        let (all, now) = (self.0.load_full(), Instant::now());
        let here = all.iter().filter(|one| one.until > now && one.is_beside(&change.action)).cloned();
        Reserved { here: here.collect(), all, rounds: 0 }
    }

    /// Holds the count that the change sets, if the verdict allows it. Where another count of the namespace came meanwhile, the
    /// change has to be judged again with that.
    pub(super) fn reserve(&self, change: &Change, verdict: &Verdict, judged: Reserved) -> Option<Reserved> {
        if change.dry_run || verdict.is_denied() {
            return None;
        }
        let (namespace, set, old, replicas) = count_of(&change.action)?;
        let mut judged = judged;
        loop {
            let now = Instant::now();
            let mut next: Vec<Arc<Reservation>> =
                judged.all.iter().filter(|one| one.until > now).cloned().collect();
            let known = next.iter().position(|one| one.is_of(namespace, set));
            let first = known.map_or(old, |index| next.remove(index).before[0]);
            if next.len() >= MAX_RESERVATIONS {
                next.remove(0);
            }
            next.push(Arc::new(Reservation {
                namespace: namespace.into(),
                set: set.into(),
                before: [first, old],
                replicas,
                until: now + HOLDS_FOR,
            }));
            let found = self.0.compare_and_swap(&judged.all, Arc::new(next));
            if Arc::ptr_eq(&found, &judged.all) {
                return None;
            }
            let newer = Reserved { rounds: judged.rounds + 1, ..self.for_change(change) };
            if newer.rounds <= MOST_ROUNDS && !newer.is_same_as(&judged) {
                return Some(newer);
            }
            judged = newer;
        }
    }
}

impl Reserved {
    /// `cluster` with the counts that it does not show yet.
    pub(super) fn over<'c>(&self, cluster: &'c Cluster) -> Cow<'c, Cluster> {
        let mut cluster = Cow::Borrowed(cluster);
        for one in &self.here {
            let view = ClusterView::new(&cluster, PendingChange::Nothing);
            let set = view.set(&one.namespace, &one.set).present();
            let Some(set) = set.filter(|set| one.before.contains(&set.replicas())) else { continue };
            let mut set = set.clone();
            set.spec.replicas = Some(one.replicas);
            cluster.to_mut().insert(set);
        }
        cluster
    }

    /// Whether nothing was allowed a moment ago that could matter.
    pub(super) fn is_empty(&self) -> bool {
        self.here.is_empty()
    }

    /// Says in denials that rest on them which counts are not shown anywhere yet.
    pub(super) fn explain(&self, verdict: &mut Verdict) {
        let counts = self.here.iter().map(|one| format!("StatefulSet {} with {}", one.set, one.replicas));
        let counts = enumerate(counts);
        for finding in verdict.findings.iter_mut().filter(|finding| finding.level == Level::Deny) {
            let _ = write!(
                finding.message,
                " (counting changes of replicas that were allowed a moment ago: {counts}; if one of them failed, try again in {} \
                 seconds)",
                HOLDS_FOR.as_secs()
            );
        }
    }

    fn is_same_as(&self, other: &Self) -> bool {
        self.here.len() == other.here.len()
            && self.here.iter().zip(&other.here).all(|(one, other)| Arc::ptr_eq(one, other))
    }
}

impl Reservation {
    fn is_of(&self, namespace: &str, set: &str) -> bool {
        *self.namespace == *namespace && *self.set == *set
    }

    /// Whether it is of another set in the namespace of a change that a count can matter to.
    fn is_beside(&self, action: &Action) -> bool {
        count_of(action)
            .is_some_and(|(namespace, set, ..)| *self.namespace == *namespace && *self.set != *set)
    }
}

/// Namespace and name of the set whose replica count changes, and the count before and after.
fn count_of(action: &Action) -> Option<(&str, &str, i32, i32)> {
    let (namespace, name, old, new) = match action {
        Action::Scale { namespace, name, old, new } => (namespace, name, *old, *new),
        Action::StatefulSet(ObjectChange::Update { old, new }) => {
            (&new.metadata.namespace, &new.metadata.name, old.replicas(), new.replicas())
        }
        _ => return None,
    };
    (old != new).then_some((namespace, name, old, new))
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;
    use crate::model::StatefulSet;

    fn scale(set: &str, old: i32, new: i32) -> Change {
        let action = Action::Scale { namespace: "prod".into(), name: set.into(), old, new };
        Change { action, ..Change::default() }
    }

    fn cluster(replicas: i32) -> Cluster {
        let mut cluster = Cluster::default();
        let set = serde_json::json!({"metadata": {"namespace": "prod", "name": "a"}, "spec": {"replicas": replicas}});
        cluster.insert(serde_json::from_value::<StatefulSet>(set).unwrap());
        cluster
    }

    /// The replica count of `a` as a change of `b` is judged, where the snapshot shows this one.
    fn seen(reservations: &Reservations, shown: i32) -> i32 {
        let cluster = cluster(shown);
        let known = reservations.for_change(&scale("b", 1, 2)).over(&cluster).into_owned();
        ClusterView::new(&known, PendingChange::Nothing).set("prod", "a").present().unwrap().replicas()
    }

    fn reserve(reservations: &Reservations, change: &Change) -> Option<Reserved> {
        reservations.reserve(change, &Verdict::default(), reservations.for_change(change))
    }

    #[tokio::test(start_paused = true)]
    async fn a_count_holds_until_it_is_shown_or_some_seconds_have_passed() {
        let reservations = Reservations::default();
        assert_eq!(seen(&reservations, 5), 5);
        assert!(reserve(&reservations, &scale("a", 5, 3)).is_none());
        assert_eq!((seen(&reservations, 5), seen(&reservations, 3), seen(&reservations, 9)), (3, 3, 9));
        // A second step before the watch shows the first.
        assert!(reserve(&reservations, &scale("a", 3, 1)).is_none());
        assert_eq!((seen(&reservations, 5), seen(&reservations, 3), seen(&reservations, 1)), (1, 1, 1));
        advance(HOLDS_FOR).await;
        assert_eq!(seen(&reservations, 5), 5);
    }

    #[tokio::test(start_paused = true)]
    async fn what_came_meanwhile_is_judged_with() {
        let reservations = Reservations::default();
        let (one, other) = (scale("a", 5, 3), scale("b", 5, 3));
        let judged = reservations.for_change(&other);
        assert!(reserve(&reservations, &one).is_none());
        let newer = reservations.reserve(&other, &Verdict::default(), judged).expect("it is judged again");
        assert!(!newer.is_empty());
        assert!(reservations.reserve(&other, &Verdict::default(), newer).is_none());
        // Changes in another namespace do not affect it.
        let judged = reservations.for_change(&one);
        let mut elsewhere = scale("c", 5, 3);
        let Action::Scale { namespace, .. } = &mut elsewhere.action else { unreachable!() };
        *namespace = "test".into();
        assert!(reserve(&reservations, &elsewhere).is_none());
        assert!(reservations.reserve(&one, &Verdict::default(), judged).is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn they_are_bounded() {
        let reservations = Reservations::default();
        for index in 0..1000 {
            assert!(reserve(&reservations, &scale(&format!("s{index}"), 1, 2)).is_none());
        }
        assert_eq!(reservations.0.load().len(), MAX_RESERVATIONS);
    }
}
