//! What the catalogue makes of pods as people write them: `tests/software/variants.txt`.

use std::sync::Arc;

use serde_json::{Value, json};
use stateward::cluster::ClusterObject;
use stateward::model::{Because, Classified, Confidence, ConfigMap, StatefulSet, WhatToTake};
use stateward::policy::{Policies, Policy, Profile, Subject};
use stateward::software;

/// Words separated by spaces; single quotes hold one together.
fn words(text: &str) -> Vec<String> {
    let mut words = vec![None::<String>];
    let mut quoted = false;
    for c in text.chars() {
        match c {
            '\'' => {
                quoted = !quoted;
                words.last_mut().unwrap().get_or_insert_default();
            }
            ' ' if !quoted => words.push(None),
            c => words.last_mut().unwrap().get_or_insert_default().push(c),
        }
    }
    words.into_iter().flatten().map(|word| word.replace("\\n", "\n")).collect()
}

/// A container, and the files that it mounts, of which each is a ConfigMap of its own.
fn container(text: &str, files: &mut Vec<(String, String)>) -> Value {
    let (mut command, mut args, mut env, mut mounts, mut part) = (vec![], vec![], vec![], vec![], 0);
    let mut words = words(text).into_iter();
    let image = words.next().unwrap();
    let (name, image) = image.split_once('=').unwrap_or(("main", &image));
    for word in words {
        match (&*word, part) {
            ("$", 0) => part = 1,
            (">", 0 | 1) => part = 2,
            (_, 1) => command.push(word),
            (_, 2) => args.push(word),
            (word, _) if word.starts_with("mount:") => {
                mounts.push(json!({"name": "files", "mountPath": word.trim_start_matches("mount:")}));
            }
            (word, _) if word.starts_with("file:") => {
                let (path, text) = word.trim_start_matches("file:").split_once('=').unwrap();
                let (folder, key) = path.rsplit_once('/').unwrap();
                mounts.push(json!({"name": format!("file-{}", files.len()), "mountPath": folder}));
                files.push((key.to_owned(), text.to_owned()));
            }
            _ => {
                let (name, value) =
                    word.strip_prefix("env:").unwrap_or_else(|| panic!("{text}")).split_once('=').unwrap();
                env.push(json!({"name": name, "value": value}));
            }
        }
    }
    json!({"name": name, "image": image, "command": command, "args": args, "env": env, "volumeMounts": mounts})
}

fn set(pod: &str) -> StatefulSet {
    let (pod, claims) = pod.split_once(" @ ").map_or((pod, false), |(pod, claims)| (pod, claims == "claims"));
    let mut files = Vec::new();
    let containers: Vec<Value> = pod.split(" + ").map(|text| container(text, &mut files)).collect();
    let claims = if claims { json!([{"metadata": {"name": "data"}}]) } else { json!([]) };
    let name = |index: usize| format!("file-{index}");
    let volume = |index| json!({"name": name(index), "configMap": {"name": name(index)}});
    let volumes: Vec<Value> = (0..files.len()).map(volume).collect();
    let spec = json!({"template": {"spec": {"containers": containers, "volumes": volumes}}, "volumeClaimTemplates": claims});
    let set: StatefulSet = serde_json::from_value(json!({"metadata": {"name": "a"}, "spec": spec})).unwrap();
    let map = |(key, text): &(String, String)| serde_json::from_value(json!({"data": {key: text}})).unwrap();
    let maps: Vec<ConfigMap> = files.iter().map(map).collect();
    let known =
        |wanted: &str| maps.iter().enumerate().find(|(index, _)| name(*index) == wanted).map(|(_, map)| map);
    let what = WhatToTake { variables: &[], files_of: software::reads_files, settings: software::settings };
    let taken = set.taken_from_config_maps(what, known);
    taken.map_or_else(|| set.clone(), |taken| set.with_taken(taken))
}

fn classify(policies: &Policies, set: &StatefulSet) -> Classified {
    policies.classify(set, &policies.applicable(Subject { metadata: &set.metadata, namespace_labels: None }))
}

/// `quorum! main`, or `unknown`.
fn seen(classified: &Classified) -> String {
    match &classified.because {
        Because::Software(software) => {
            let mark = match software.confidence {
                Confidence::Certain => '!',
                Confidence::Likely => '?',
                Confidence::Presumed => '~',
            };
            format!("{}{mark} {}", classified.class, software.container)
        }
        _ => "unknown".to_owned(),
    }
}

#[test]
fn pods_are_what_people_run_in_them() {
    let policies = Policies::new(Profile::Baseline, Vec::new()).unwrap();
    let variants = include_str!("../software/variants.txt").lines().filter(|line| !line.starts_with('#'));
    let mut count = 0;
    let mut wrong = Vec::new();
    for line in variants.filter(|line| !line.is_empty()) {
        let (expected, pod) = line.split_once(" | ").unwrap();
        let set = set(pod);
        let first = &set.spec.template.spec.containers[0].name;
        let expected = if expected == "unknown" || expected.contains(' ') {
            expected.to_owned()
        } else {
            format!("{expected} {first}")
        };
        let seen = seen(&classify(&policies, &set));
        count += 1;
        if seen != expected {
            wrong.push(format!("{line}\n    seen as {seen}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(count >= 390, "{count}");
}

/// Sets are recognised in a snapshot too, which keeps less of them.
#[test]
fn what_a_snapshot_keeps_says_the_same() {
    let policies = Policies::new(Profile::Baseline, Vec::new()).unwrap();
    let variants = include_str!("../software/variants.txt").lines().filter_map(|line| line.split_once(" | "));
    // Files are known in manifests only.
    for (_, pod) in variants.filter(|(_, pod)| !pod.contains("file:")) {
        let set = set(pod);
        let whole = classify(&policies, &set);
        let kept = ClusterObject::StatefulSet(Arc::new(set)).strip_unused(software::READS);
        let ClusterObject::StatefulSet(kept) = kept else { panic!("{pod}") };
        assert_eq!(classify(&policies, &kept), whole, "{pod}");
    }
    let secret =
        set("vault 'env:VAULT_LOCAL_CONFIG=storage \"raft\" {}\\nseal \"x\" { key = \"secret\" }' @ claims");
    let kept = ClusterObject::StatefulSet(Arc::new(secret)).strip_unused(software::READS);
    assert!(format!("{kept:?}").contains("raft") && !format!("{kept:?}").contains("secret"), "{kept:?}");
}

#[test]
fn what_has_no_name_of_its_own_is_called_by_its_image() {
    let policies = Policies::new(Profile::Baseline, Vec::new()).unwrap();
    for (image, name) in [
        ("mysql:8", "MySQL"),
        ("grafana/loki:3", "loki"),
        ("registry.example:5000/mirror/qdrant@sha256:0", "qdrant"),
        ("quay.io/infinispan/server:15", "Infinispan"),
        ("quay.io/coreos/etcd", "etcd"),
    ] {
        let software = classify(&policies, &set(image)).software;
        assert_eq!(software.map(|software| software.name.clone()).as_deref(), Some(name), "{image}");
    }
}

/// The software of a pod whether or not it decides the class, and whether some probes of it wait for a majority.
#[test]
fn the_catalogue_says_which_probes_wait_for_a_majority() {
    let policies = Policies::new(Profile::Baseline, Vec::new()).unwrap();
    for (pod, path, waits) in [
        ("nats:2.10 > -js", "/healthz", true),
        ("nats:2.10 > -js", "/healthz?js-server-only=true", true),
        ("nats:2.10 > -js", "/healthz?js-enabled-only=true", false),
        ("nats:2.10 > -js", "/", false),
        ("quay.io/coreos/etcd", "/health", true),
        ("quay.io/coreos/etcd", "/health?serializable=true", false),
        ("quay.io/coreos/etcd", "/health?serializable=false", true),
        ("quay.io/coreos/etcd", "/health?exclude=NOSPACE&serializable=true", false),
        ("quay.io/coreos/etcd", "/livez", false),
        ("quay.io/coreos/etcd", "/readyz?exclude=data_corruption", true),
        ("quay.io/coreos/etcd", "/readyz?exclude=linearizable_read", false),
        ("quay.io/coreos/etcd", "/readyz?allowlist=serializable_read", false),
        ("rabbitmq:3", "/api/health/checks/alarms", true),
        ("clickhouse/clickhouse-keeper", "/ready", true),
        ("rqlite/rqlite", "/readyz", true),
        ("rqlite/rqlite", "/readyz?noleader", false),
        ("zookeeper", "/commands/ruok", false),
    ] {
        let mut set = set(pod);
        set.metadata.annotations =
            serde_json::from_value(json!({"stateward.dev/class": "replicated"})).unwrap();
        let classified = classify(&policies, &set);
        assert_eq!(classified.because, Because::Annotation, "{pod}");
        let probes = classified.software.unwrap().ready_needs_majority.clone();
        assert_eq!(probes.is_some_and(|probes| probes.path(path)), waits, "{pod} {path}");
    }
    for (pod, command, waits) in [
        // These two succeed while the member waits for the others.
        ("percona/percona-xtradb-cluster:8.0", "/var/lib/mysql/readiness-check.sh", false),
        ("quay.io/mongodb/mongodb-agent:108.0 @ claims", "/opt/scripts/readinessprobe", false),
        ("rabbitmq:3", "rabbitmq-diagnostics -q check_running", true),
        ("rabbitmq:3", "rabbitmq-diagnostics -q ping", false),
        ("bitnami/mariadb-galera:11", "sh -c exec mysqladmin status -uroot", true),
        (
            "mongo:7 > --replSet rs0",
            "mongosh --eval db.hello().isWritablePrimary||db.hello().secondary",
            false,
        ),
        ("mongo:7 > --replSet rs0", "mongosh --eval db.hello().isWritablePrimary", true),
        ("mongo:7 > --replSet rs0", "mongosh --eval db.adminCommand('ping')", false),
        ("quay.io/coreos/etcd", "etcdctl endpoint health", true),
        ("quay.io/coreos/etcd", "etcdctl --endpoints=localhost:2379 get health", true),
        ("quay.io/coreos/etcd", "etcdctl get health --consistency=s", false),
        ("hashicorp/consul", "sh -c curl http://127.0.0.1:8500/v1/status/leader | grep .", true),
        ("zookeeper", "sh -c echo ruok | nc localhost 2181", false),
    ] {
        let classified = classify(&policies, &set(pod));
        let probes = classified.software.unwrap().ready_needs_majority.clone();
        let command: Vec<Box<str>> = command.split(' ').map(Into::into).collect();
        assert_eq!(probes.is_some_and(|probes| probes.command(&command)), waits, "{pod} {command:?}");
    }
}

#[test]
fn the_reason_names_the_container() {
    let policies = Policies::new(Profile::Baseline, Vec::new()).unwrap();
    for (pod, reason) in [
        ("consul=hashicorp/consul:1.17", "image hashicorp/consul in container consul"),
        ("redis:7 + mq=rabbitmq:3", "image rabbitmq in container mq, likely RabbitMQ"),
        ("a=acme/base $ zkServer.sh start", "command zkServer.sh in container a"),
        ("a=acme/base env:ZOO_MY_ID=1", "variable ZOO_MY_ID in container a, likely ZooKeeper"),
        ("a=acme/kv > --initial-cluster=a=b", "arguments in container a, likely etcd"),
        ("acme/app", "nothing says otherwise"),
    ] {
        assert_eq!(classify(&policies, &set(pod)).because.to_string(), reason, "{pod}");
    }
}

/// What a policy says of images is read as the catalogue reads its own.
#[test]
fn a_policy_matches_images_as_the_catalogue_does() {
    for (pattern, image, matches) in [
        ("our-raft-db", "registry.example:5000/team/our-raft-db:1.2@sha256:00", true),
        ("our-raft-db", "our-raft-db", true),
        ("our-raft-db", "team/our-raft-db-exporter", false),
        ("team/our-raft-db", "registry.example/team/our-raft-db", true),
        ("other/our-raft-db", "registry.example/team/our-raft-db", false),
        ("*/our-raft-db", "registry.example/team/our-raft-db", true),
        ("our-*", "registry.example/team/our-raft-db", true),
        ("our-*", "our-team/raft-db", false),
        ("registry.example/**", "registry.example/a/team/our-raft-db", true),
    ] {
        let document = json!({
            "apiVersion": "stateward.dev/v1alpha1", "kind": "StatefulSetPolicy", "metadata": {"name": "mine"},
            "spec": {"classes": [{"class": "quorum", "images": [pattern]}]},
        });
        let policies = Policies::new(Profile::Baseline, vec![Policy::from_json(&document).unwrap()]).unwrap();
        let decided = classify(&policies, &set(image)).because == Because::Policy("mine".to_owned());
        assert_eq!(decided, matches, "{pattern} {image}");
    }
}
