//! What a large cluster costs: `cargo bench --bench memory`.
//!
//! Feeds a writer with 10,000 StatefulSets, 20,000 Services and 10,000 budgets in 2,000 namespaces, each read from the JSON that
//! an API server sends, and prints the resident memory, kind by kind, and how long an update and a list take.

#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

use std::collections::BTreeMap;
use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use serde::de::IgnoredAny;
use serde_json::{Value, json};
use stateward::cluster::Cluster;
use stateward::cluster::ClusterObject;
use stateward::cluster::Kind;
use stateward::watch::Gauges;
use stateward::watch::SnapshotWriter;
use stateward::watch::WatchEvent;

const NAMESPACES: usize = 2_000;

fn main() {
    let before = resident_kib();
    println!("{before:>8} KiB before; a StatefulSet is {} bytes", size_of::<stateward::model::StatefulSet>());
    let each = [20, NAMESPACES].map(|namespaces| {
        let published = Arc::new(ArcSwap::from_pointee(Cluster::default()));
        let mut writer = SnapshotWriter::new(Arc::clone(&published), BTreeMap::new(), Gauges::default());
        let listing = list(&mut writer, namespaces, 0);
        let cluster = published.load_full();
        let objects: usize = Kind::ALL.into_iter().map(|kind| cluster.count(kind)).sum();
        drop(cluster);
        println!("{:>8} KiB with {objects} objects in {namespaces} namespaces", resident_kib());
        println!("         a list takes {listing:.1} times as long as skipping its text (wanted: 3)");
        list(&mut writer, namespaces, 0);
        println!("{:>8} KiB after a relist that changes nothing", resident_kib());
        let each = updates(&mut writer, namespaces);
        println!("{:>8} KiB after the updates", resident_kib());
        list(&mut writer, namespaces, 1);
        println!("{:>8} KiB after a relist in which every set is different", resident_kib());
        each.as_secs_f64()
    });
    println!(
        "         an update takes {:.2} times as long among a hundred times as many objects (wanted: 2)",
        each[1] / each[0]
    );
}

/// So many events are applied before the snapshot is published, as the server does.
const BATCH: usize = 1024;

/// Five sets and budgets and ten Services a namespace. How many times as long it takes as skipping the same JSON.
fn list(writer: &mut SnapshotWriter, namespaces: usize, generation: usize) -> f64 {
    let (mut applied, mut spent, mut skipped) = (0, Duration::ZERO, Duration::ZERO);
    for kind in Kind::watched() {
        writer.apply(kind, WatchEvent::Listing);
        for namespace in 0..namespaces {
            let each = match kind {
                Kind::StatefulSet | Kind::DisruptionBudget => 5,
                Kind::Service => 10,
                Kind::Autoscaler | Kind::Namespace => 1,
                _ => 0,
            };
            for number in 0..each {
                let text = text(kind, namespace, number, generation);
                let started = Instant::now();
                serde_json::from_str::<IgnoredAny>(black_box(&text)).unwrap();
                skipped += started.elapsed();
                let started = Instant::now();
                let is_visible = writer.apply(kind, WatchEvent::Listed(Ok(object(kind, &text))));
                applied += 1;
                if is_visible && applied % BATCH == 0 {
                    writer.publish();
                }
                spent += started.elapsed();
            }
        }
        writer.apply(kind, WatchEvent::Complete);
        writer.publish();
        if is_listed(kind) {
            println!("{:>8} KiB after the {}s", resident_kib(), kind.name());
        }
    }
    spent.as_secs_f64() / skipped.as_secs_f64()
}

/// Whether a list has objects of this kind.
fn is_listed(kind: Kind) -> bool {
    matches!(kind, Kind::StatefulSet | Kind::Service | Kind::DisruptionBudget)
}

fn updates(writer: &mut SnapshotWriter, namespaces: usize) -> Duration {
    const UPDATES: usize = 20_000;
    let mut spent = Duration::ZERO;
    for number in 0..UPDATES {
        let object =
            object(Kind::StatefulSet, &text(Kind::StatefulSet, number * 7 % namespaces, number % 5, number));
        let started = Instant::now();
        writer.apply(Kind::StatefulSet, WatchEvent::Changed(Ok(object)));
        writer.publish();
        spent += started.elapsed();
    }
    let each = spent / u32::try_from(UPDATES).unwrap();
    println!("         {each:?} for one update, applied and published");
    each
}

fn object(kind: Kind, text: &str) -> ClusterObject {
    ClusterObject::from_json(kind, text).unwrap().strip_unused(stateward::software::READS)
}

fn text(kind: Kind, namespace: usize, number: usize, generation: usize) -> String {
    let (namespace, name) = (format!("team-{namespace}-production"), format!("database-{number}"));
    let labels = json!({
        "app.kubernetes.io/name": "database", "app.kubernetes.io/instance": name,
        "app.kubernetes.io/component": "server", "app.kubernetes.io/managed-by": "Helm",
        "app.kubernetes.io/version": format!("1.2.{generation}"), "helm.sh/chart": "database-12.3.4",
    });
    let selector = json!({"app.kubernetes.io/name": "database", "app.kubernetes.io/instance": name});
    let spec = match kind {
        Kind::StatefulSet => set(&name, &labels, &selector),
        Kind::Service => {
            json!({"clusterIP": "None", "selector": selector, "ports": [{"port": 5432, "name": "db"}]})
        }
        Kind::DisruptionBudget => json!({"maxUnavailable": 1, "selector": {"matchLabels": selector}}),
        Kind::Autoscaler => json!({"minReplicas": 3, "maxReplicas": 9, "scaleTargetRef": {
            "apiVersion": "apps/v1", "kind": "StatefulSet", "name": name}}),
        _ => json!({}),
    };
    let namespace_of = if kind == Kind::Namespace { "" } else { &*namespace };
    let name = if kind == Kind::Namespace { &namespace } else { &name };
    let object = json!({
        "metadata": {
            "namespace": namespace_of, "name": name, "labels": labels, "resourceVersion": "123456",
            "annotations": {"kubectl.kubernetes.io/last-applied-configuration": "x".repeat(2_000)},
            "managedFields": [{"manager": "helm", "fieldsV1": {"f:spec": {"f:replicas": {}}}}],
        },
        "spec": spec,
        "status": {"replicas": 3, "readyReplicas": 3},
    });
    object.to_string()
}

fn set(name: &str, labels: &Value, selector: &Value) -> Value {
    let env: Vec<Value> = (0..10)
        .map(|n| json!({"name": format!("DATABASE_SETTING_{n}"), "value": format!("value-{n}")}))
        .collect();
    let container = |name: &str, image: &str| {
        json!({
            "name": name, "image": image, "command": ["/bin/server", "--config", "/etc/database/config.yaml"],
            "env": env, "ports": [{"containerPort": 5432}], "readinessProbe": {"tcpSocket": {"port": 5432}},
            "resources": {"requests": {"cpu": "1", "memory": "2Gi"}},
            "volumeMounts": [{"name": "data", "mountPath": "/data"}],
        })
    };
    json!({
        "replicas": 3, "serviceName": name, "selector": {"matchLabels": selector},
        "podManagementPolicy": "OrderedReady",
        "volumeClaimTemplates": [{"metadata": {"name": "data"}, "spec": {"storageClassName": "fast"}}],
        "template": {"metadata": {"labels": labels}, "spec": {
            "containers": [
                container("database", "registry.example.com/platform/database:1.2.3"),
                container("exporter", "registry.example.com/platform/exporter:4.5.6"),
            ],
            "volumes": [{"name": "config", "configMap": {"name": name}}, {"name": "tmp", "emptyDir": {}}],
            "terminationGracePeriodSeconds": 60,
            "affinity": {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [
                {"labelSelector": {"matchLabels": selector}, "topologyKey": "kubernetes.io/hostname"}]}},
        }},
    })
}

fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").trim().parse().unwrap()
}
