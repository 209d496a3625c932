//! Metrics of the objects that the snapshot holds.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::{family::Family, gauge::Gauge};
use prometheus_client::registry::Registry;

use crate::cluster::{Cluster, Kind};

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct KindLabels {
    kind: &'static str,
}

/// The metrics of a snapshot. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Gauges {
    objects: Family<KindLabels, Gauge>,
    synced: Family<KindLabels, Gauge>,
    unreadable: Family<KindLabels, Gauge>,
    last_event: Family<KindLabels, Gauge>,
}

impl Gauges {
    /// Registers them.
    pub fn register(registry: &mut Registry) -> Self {
        let gauges = Self::default();
        registry.register("cluster_objects", "Objects known, by kind", gauges.objects.clone());
        registry.register("cluster_synced", "Whether all objects of a kind are known", gauges.synced.clone());
        let unreadable = gauges.unreadable.clone();
        registry.register("cluster_unreadable_objects", "Objects that exist but cannot be read", unreadable);
        gauges
    }

    /// Registers those that only make sense where the API server is watched, too.
    pub fn register_live(registry: &mut Registry) -> Self {
        let gauges = Self::register(registry);
        let last_event = gauges.last_event.clone();
        let help = "Unix time of the last list, event or bookmark of a kind";
        registry.register("cluster_last_event_timestamp_seconds", help, last_event);
        gauges
    }

    /// Shows what a snapshot knows.
    pub fn show(&self, cluster: &Cluster) {
        for kind in Kind::watched() {
            self.show_kind(cluster, kind);
        }
    }

    pub(super) fn show_kind(&self, cluster: &Cluster, kind: Kind) {
        let labels = KindLabels { kind: kind.name() };
        let number = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        self.objects.get_or_create(&labels).set(number(cluster.count(kind)));
        self.synced.get_or_create(&labels).set(i64::from(cluster.is_complete(kind)));
        self.unreadable.get_or_create(&labels).set(number(cluster.count_unreadable(kind)));
    }

    pub(super) fn heard(&self, kind: Kind) {
        let now = jiff::Timestamp::now().as_second();
        self.last_event.get_or_create(&KindLabels { kind: kind.name() }).set(now);
    }
}
