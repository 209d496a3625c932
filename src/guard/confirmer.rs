//! Live reads before a denial: what to read, and the verdict on it.

use std::sync::Arc;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::{counter::Counter, family::Family};
use prometheus_client::registry::Registry;
use tokio::time::Instant;

use super::confirmation::{WhenOverloaded, doubt, is_confirmed, settle, unknown_objects, wider};
use super::departures::Departures;
use super::live_read_error::LiveReadError;
use super::live_reads::{Freshness, LiveReadRequest, LiveReader};
use super::reservations::Reserved;
use super::webhook_guard::judge;
use crate::admission::Request;
use crate::change::Change;
use crate::cluster::{Cluster, Kind};
use crate::evaluate::{claims_in_question, pods_in_question};
use crate::policy::Policies;
use crate::process::{RepeatedErrors, warn_if_new};
use crate::verdict::Verdict;

/// Looks at the cluster itself before a change is refused for what the snapshot says. Clones are one.
#[derive(Clone)]
pub struct Confirmer {
    reader: LiveReader,
    outcomes: Family<ConfirmationOutcomeLabels, Counter>,
    when_overloaded: WhenOverloaded,
    departures: Arc<Departures>,
    logged: Arc<RepeatedErrors>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ConfirmationOutcomeLabels {
    outcome: &'static str,
}

impl Confirmer {
    /// Reads over `client`, and registers what comes of it.
    pub fn new(client: kube::Client, registry: &mut Registry) -> Self {
        let outcomes = Family::<ConfirmationOutcomeLabels, Counter>::default();
        for outcome in ["confirmed", "refuted", "failed", "timeout", "overloaded", "learned", "skipped"] {
            drop(outcomes.get_or_create(&ConfirmationOutcomeLabels { outcome }));
        }
        let help = "Live reads before a change was refused, by outcome";
        registry.register("live_reads", help, outcomes.clone());
        let reader = LiveReader::new(client);
        registry.register(
            "live_reads_in_flight",
            "Live reads that the API server answers now",
            reader.in_flight(),
        );
        Self {
            reader,
            outcomes,
            when_overloaded: WhenOverloaded::default(),
            departures: Arc::default(),
            logged: Arc::default(),
        }
    }

    /// Sets the outcome of denials that cannot be confirmed in time.
    #[must_use]
    pub fn when_overloaded(self, when_overloaded: WhenOverloaded) -> Self {
        Self { when_overloaded, ..self }
    }

    /// The verdict on a change, confirmed by live reads where it denies for what the snapshot says.
    pub(super) async fn judge(
        &self,
        request: &Request,
        snapshot: &Cluster,
        policies: &Policies,
        reserved: &Reserved,
        deadline: Instant,
    ) -> Verdict {
        let change = &request.change;
        let learned = self.learn(change, snapshot, deadline).await;
        let snapshot = learned.as_ref().unwrap_or(snapshot);
        let with_claims = self.with_claims(request, snapshot, policies, deadline).await;
        let snapshot = with_claims.as_ref().unwrap_or(snapshot);
        let pods = pods_in_question(change, snapshot, policies);
        if pods.is_empty() {
            return self.confirmed(change, snapshot, policies, reserved, deadline).await;
        }
        let number = self.departures.announce(change);
        let mut snapshot = self.with_pods(request, snapshot, &pods, deadline).await;
        self.departures.mark(&mut snapshot, change, number);
        let verdict = self.confirmed(change, &snapshot, policies, reserved, deadline).await;
        if let Some(number) = number.filter(|_| verdict.is_denied()) {
            self.departures.withdraw(number);
        }
        verdict
    }

    /// The verdict on the snapshot, confirmed by live reads where it denies.
    async fn confirmed(
        &self,
        change: &Change,
        snapshot: &Cluster,
        policies: &Policies,
        reserved: &Reserved,
        deadline: Instant,
    ) -> Verdict {
        let snapshot = &*reserved.over(snapshot);
        let verdict = judge(change, snapshot, policies);
        let Some(mut wanted) = doubt(change, &verdict, policies) else { return verdict };
        let fresh = async |wanted: &LiveReadRequest| {
            let mut fresh = self.reader.fresh(wanted, snapshot, deadline).await;
            fresh.cluster = reserved.over(&fresh.cluster).into_owned();
            fresh
        };
        let mut read = fresh(&wanted).await;
        let mut live = judge(change, &read.cluster, policies);
        let is_behind = read.failed.is_empty() && !is_confirmed(change, &verdict, &live, policies);
        if let Some(all) = wider(&wanted, snapshot).filter(|_| is_behind) {
            wanted = all;
            read = fresh(&wanted).await;
            live = judge(change, &read.cluster, policies);
        }
        if live.is_denied() && wanted.freshness == Freshness::Cached {
            wanted.freshness = Freshness::Latest;
            read = fresh(&wanted).await;
            live = judge(change, &read.cluster, policies);
        }
        let verdict = settle(change, [verdict, live], policies, &read, &wanted, self.when_overloaded);
        self.count(match read.failed.iter().find(|(kind, _)| wanted.rests_on(*kind)) {
            Some((kind, failure)) => {
                self.log(kind.name(), failure, "live read before denial failed");
                outcome_of(failure)
            }
            None if is_behind => "refuted",
            None => "confirmed",
        });
        verdict
    }

    /// The snapshot and the pods that matter.
    async fn with_pods(
        &self,
        request: &Request,
        snapshot: &Cluster,
        pods: &[String],
        deadline: Instant,
    ) -> Cluster {
        let (cluster, failure) =
            self.reader.with_named(Kind::Pod, pods, snapshot, &request.namespace, deadline).await;
        self.count(failure.as_ref().map_or("learned", outcome_of));
        if let Some(failure) = failure {
            self.log(Kind::Pod.name(), &failure, "cannot read pods that may be members of a consensus group");
        }
        cluster
    }

    /// The snapshot with the objects that the change names and the snapshot does not have; `None` where there are none.
    async fn learn(&self, change: &Change, snapshot: &Cluster, deadline: Instant) -> Option<Cluster> {
        let mut known: Option<Cluster> = None;
        // A Deployment that is scaled is read before the claims that it names.
        for _ in 0..2 {
            let mut read = Cluster::default();
            for object in unknown_objects(change, known.as_ref().unwrap_or(snapshot)) {
                let found = self.reader.object(object, deadline).await;
                self.count_learned(object.kind, &found);
                read.add(&found.unwrap_or_default());
            }
            if read.is_empty() {
                break;
            }
            known.get_or_insert_with(|| snapshot.clone()).add(&read);
        }
        known
    }

    /// The snapshot with the claims that earlier pods of a set may have left, where they matter and all could be read.
    async fn with_claims(
        &self,
        request: &Request,
        snapshot: &Cluster,
        policies: &Policies,
        deadline: Instant,
    ) -> Option<Cluster> {
        let claims = claims_in_question(&request.change, snapshot, policies);
        if claims.is_empty() {
            return None;
        }
        let (read, failure) =
            self.reader.with_named(Kind::Claim, &claims, snapshot, &request.namespace, deadline).await;
        let read = failure.map_or(Ok(read), Err);
        self.count_learned(Kind::Claim, &read);
        read.ok()
    }

    fn count_learned(&self, kind: Kind, read: &Result<Cluster, LiveReadError>) {
        self.count(match read {
            Ok(_) => "learned",
            // Nothing is denied for it: a flood of names that were made up is of no interest.
            Err(LiveReadError::Overloaded) => "skipped",
            Err(LiveReadError::Timeout) => "timeout",
            Err(failure) => {
                self.log(kind.name(), failure, "cannot read an object that is not known yet");
                "failed"
            }
        });
    }

    /// The metric counts them all. Text of the API server may name the namespace, of which there are many: it decides nothing here.
    fn log(&self, kind: &str, failure: &LiveReadError, what: &str) {
        let key = format!("{what}: {kind}: {}", outcome_of(failure));
        warn_if_new!(self.logged, &key, { kind, }, "{what}: {failure}");
    }

    fn count(&self, outcome: &'static str) {
        self.outcomes.get_or_create(&ConfirmationOutcomeLabels { outcome }).inc();
    }
}

fn outcome_of(failure: &LiveReadError) -> &'static str {
    match failure {
        LiveReadError::Overloaded => "overloaded",
        LiveReadError::Timeout => "timeout",
        LiveReadError::TooMany | LiveReadError::TooLarge | LiveReadError::Error(_) => "failed",
    }
}
