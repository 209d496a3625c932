//! The metrics of the controller.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::{counter::Counter, family::Family, gauge::Gauge};
use prometheus_client::registry::Registry;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReconcileLabels {
    outcome: &'static str,
}

/// Its metrics. Clones share them.
#[derive(Clone, Debug, Default)]
pub(super) struct ControllerMetrics {
    rounds: Family<ReconcileLabels, Counter>,
    services: Family<ReconcileLabels, Counter>,
    known: Gauge,
    labelled: Counter,
}

/// How a round ends.
pub(super) const ROUNDS: [&str; 5] = ["settled", "changed", "blocked", "held", "failed"];
/// The outcome of an operation on a Service.
pub(super) const SERVICES: [&str; 7] =
    ["created", "updated", "adopted", "deleted", "foreign", "refused", "failed"];

impl ControllerMetrics {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        for (family, outcomes) in [(&metrics.rounds, &ROUNDS[..]), (&metrics.services, &SERVICES[..])] {
            for outcome in outcomes {
                drop(family.get_or_create(&ReconcileLabels { outcome }));
            }
        }
        let help = "Rounds over the per-pod Services of one StatefulSet, by how they ended";
        registry.register("service_per_pod_reconciles", help, metrics.rounds.clone());
        let help = "Operations on per-pod Services, by outcome";
        registry.register("service_per_pod_services", help, metrics.services.clone());
        let help = "Per-pod Services that are there, on the replica that leads";
        registry.register("service_per_pod_known_services", help, metrics.known.clone());
        let help =
            "Pods that were given the label that their Services select by after they were created without it";
        registry.register("service_per_pod_labelled_pods", help, metrics.labelled.clone());
        metrics
    }

    pub(super) fn round(&self, outcome: &'static str) {
        self.rounds.get_or_create(&ReconcileLabels { outcome }).inc();
    }

    pub(super) fn service(&self, outcome: &'static str) {
        self.services.get_or_create(&ReconcileLabels { outcome }).inc();
    }

    pub(super) fn labelled(&self) {
        self.labelled.inc();
    }

    pub(super) fn known(&self, count: usize) {
        self.known.set(i64::try_from(count).unwrap_or(i64::MAX));
    }
}
