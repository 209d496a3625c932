//! What holds of every verdict, whatever is judged and whatever is around it.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use jiff::Timestamp;
use proptest::prelude::*;
use proptest::sample::select;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use stateward::change::Action;
use stateward::change::Change;
use stateward::change::ObjectChange;
use stateward::change::Requester;
use stateward::cluster::Cluster;
use stateward::cluster::Kind;
use stateward::evaluate::evaluate;
use stateward::model::{DisruptionBudget, Service, StatefulSet};
use stateward::policy::Policies;
use stateward::policy::Profile;
use stateward::verdict::Finding;
use stateward::verdict::Level;
use stateward::verdict::Verdict;

fn any_key() -> impl Strategy<Value = String> {
    let given =
        ["statefulset.kubernetes.io/pod-name", "controller-revision-hash", "apps.kubernetes.io/pod-index"];
    prop_oneof![4 => Just("app"), 2 => Just("tier"), 1 => Just(""), 1 => select(given.to_vec())]
        .prop_map(str::to_owned)
}

fn any_labels() -> BoxedStrategy<Value> {
    let labels = prop::collection::btree_map(any_key(), select(vec!["zk", "a", "zk-0", ""]), 0..3);
    prop_oneof![1 => Just(Value::Null), 4 => Just(json!({"app": "zk"})), 4 => labels.prop_map(|l| json!(l))]
        .boxed()
}

fn any_selector() -> BoxedStrategy<Value> {
    let operator = select(vec![
        json!("In"),
        json!("NotIn"),
        json!("Exists"),
        json!("DoesNotExist"),
        json!("Gt"),
        Value::Null,
    ]);
    let values = prop_oneof![
        Just(Value::Null),
        prop::collection::vec(select(vec!["zk", "a", ""]), 0..3).prop_map(|v| json!(v))
    ];
    let requirement = (any_key(), operator, values)
        .prop_map(|(key, operator, values)| json!({"key": key, "operator": operator, "values": values}));
    let requirements = prop_oneof![
        4 => Just(Value::Null),
        1 => Just(json!([null])),
        2 => prop::collection::vec(requirement, 0..2).prop_map(|all| json!(all)),
    ];
    let selector = (any_labels(), requirements)
        .prop_map(|(labels, requirements)| json!({"matchLabels": labels, "matchExpressions": requirements}));
    prop_oneof![1 => Just(Value::Null), 1 => Just(json!({})), 6 => selector].boxed()
}

fn any_count() -> impl Strategy<Value = i32> {
    prop_oneof![8 => 0..10i32, 1 => any::<i32>(), 1 => select(vec![i32::MIN, i32::MAX, i32::MAX - 1, -1])]
}

fn any_limit() -> impl Strategy<Value = Value> {
    let percent = prop_oneof![0..=120i32, any::<i32>()].prop_map(|percent| json!(format!("{percent}%")));
    prop_oneof![2 => Just(Value::Null), 3 => any_count().prop_map(|count| json!(count)), 2 => percent]
}

fn any_namespaces() -> impl Strategy<Value = Value> {
    select(vec![Value::Null, json!([]), json!([null]), json!(["default"]), json!(["other", ""])])
}

fn any_term() -> BoxedStrategy<Value> {
    let topology = select(vec!["kubernetes.io/hostname", "topology.kubernetes.io/zone", ""]);
    (topology, any_selector(), any_namespaces(), any_selector(), any_key(), any::<bool>())
        .prop_map(|(topology, selector, namespaces, by_labels, key, soft)| {
            json!({"topologyKey": topology, "labelSelector": selector, "namespaces": namespaces,
                "namespaceSelector": by_labels, "matchLabelKeys": [key], "maxSkew": 1,
                "whenUnsatisfiable": if soft { "ScheduleAnyway" } else { "DoNotSchedule" }})
        })
        .boxed()
}

fn any_terms() -> BoxedStrategy<Value> {
    prop_oneof![
        2 => Just(Value::Null),
        1 => Just(json!([null])),
        3 => prop::collection::vec(any_term(), 0..3).prop_map(|terms| json!(terms)),
    ]
    .boxed()
}

fn any_name() -> impl Strategy<Value = String> {
    prop_oneof![6 => select(vec!["zk", "a", "b"]).prop_map(str::to_owned), 1 => Just(String::new()), 1 => Just("n".repeat(60))]
}

fn any_annotations() -> BoxedStrategy<Value> {
    let class =
        select(vec![Value::Null, json!("quorum"), json!("Singleton"), json!("replicated"), json!("bogus")]);
    let ensemble = select(vec![Value::Null, Value::Null, json!("e"), json!("")]);
    let exempt = select(vec![Value::Null, Value::Null, json!("pdb-missing,nothing")]);
    (class, ensemble, exempt).prop_map(|(class, ensemble, exempt)| {
        json!({"stateward.dev/class": class, "stateward.dev/ensemble": ensemble, "stateward.dev/exempt": exempt})
    })
    .boxed()
}

/// Sets have images of their own: those of one image behind one Service are presumed to be one group, as far as they are
/// known, so that the one half of an ensemble that is known may well be refused.
fn any_storage() -> impl Strategy<Value = (Value, Value)> {
    let volume = select(vec![
        Value::Null,
        json!({"name": "data", "persistentVolumeClaim": {"claimName": "shared"}}),
        json!({"name": "data", "hostPath": {}}),
    ]);
    let claims = select(vec![json!(null), json!([{"metadata": {"name": "data"}}])]);
    (prop::collection::vec(volume, 0..2).prop_map(Value::from), claims)
}

fn any_strategy() -> impl Strategy<Value = Value> {
    let most = prop_oneof![Just(Value::Null), any_count().prop_map(|n| json!(n)), Just(json!("67%"))];
    let kind = select(vec![json!(null), json!("RollingUpdate"), json!("OnDelete")]);
    (kind, any_count(), most).prop_map(|(kind, partition, most)| {
        json!({"type": kind, "rollingUpdate": {"partition": partition, "maxUnavailable": most}})
    })
}

fn any_set_json(name: impl Strategy<Value = String> + 'static) -> BoxedStrategy<Value> {
    let pods =
        (any_labels(), any_terms(), any_terms(), any_terms(), select(vec![json!(null), json!(0), json!(30)]));
    let spec = (prop::option::of(any_count()), any_name(), any_selector(), any_count(), any::<bool>());
    (name, any_annotations(), pods, spec, any_storage(), any_strategy())
        .prop_map(|(name, annotations, pods, spec, (volumes, claims), strategy)| {
            let (labels, required, preferred, constraints, grace) = pods;
            let (replicas, service, selector, start, parallel) = spec;
            let preferred: Option<Vec<Value>> = preferred.as_array().map(|terms| {
                terms.iter().map(|term| json!({"weight": 1, "podAffinityTerm": term})).collect()
            });
            let image = format!("example.com/{name}/zookeeper:3.9");
            json!({"metadata": {"name": name, "namespace": "default", "annotations": annotations}, "spec": {
            "replicas": replicas, "serviceName": service, "selector": selector, "ordinals": {"start": start},
            "podManagementPolicy": if parallel { json!("Parallel") } else { Value::Null },
            "updateStrategy": strategy, "volumeClaimTemplates": claims,
            "persistentVolumeClaimRetentionPolicy": {"whenScaled": if parallel { "Delete" } else { "Retain" }},
            "template": {"metadata": {"labels": labels}, "spec": {
                "terminationGracePeriodSeconds": grace, "topologySpreadConstraints": constraints,
                "volumes": volumes, "affinity": {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": required,
                    "preferredDuringSchedulingIgnoredDuringExecution": preferred}},
                "containers": [null, {"name": "zk", "image": image}]}}}})
        })
        .boxed()
}

fn any_service_json() -> BoxedStrategy<Value> {
    let ip = select(vec![json!("None"), json!("None"), json!("10.0.0.1"), Value::Null]);
    (any_name(), ip, any_labels(), any::<bool>())
        .prop_map(|(name, ip, selector, publishes)| {
            json!({"metadata": {"name": name, "namespace": "default"},
            "spec": {"clusterIP": ip, "selector": selector, "publishNotReadyAddresses": publishes}})
        })
        .boxed()
}

fn any_budget_json() -> BoxedStrategy<Value> {
    (any_name(), any_selector(), any_limit(), any_limit())
        .prop_map(|(name, selector, least, most)| {
            json!({"metadata": {"name": name, "namespace": "default"},
            "spec": {"selector": selector, "minAvailable": least, "maxUnavailable": most}})
        })
        .boxed()
}

fn read<T: DeserializeOwned>(value: &Value) -> T {
    serde_json::from_value(value.clone()).unwrap()
}

/// What there is, each with whether it is known.
#[derive(Clone, Debug)]
struct Surroundings {
    sets: Vec<(Value, bool)>,
    services: Vec<(Value, bool)>,
    budgets: Vec<(Value, bool)>,
}

impl Surroundings {
    /// The snapshot: of everything, or of what is known.
    fn cluster(&self, everything: bool) -> Cluster {
        let mut cluster = Cluster::default();
        let known = |objects: &[(Value, bool)]| -> Vec<Value> {
            objects
                .iter()
                .filter(|(_, known)| everything || *known)
                .map(|(object, _)| object.clone())
                .collect()
        };
        for set in &known(&self.sets) {
            cluster.insert(read::<StatefulSet>(set));
        }
        for service in &known(&self.services) {
            cluster.insert(read::<Service>(service));
        }
        for budget in &known(&self.budgets) {
            cluster.insert(read::<DisruptionBudget>(budget));
        }
        for (kind, objects) in [
            (Kind::StatefulSet, &self.sets),
            (Kind::Service, &self.services),
            (Kind::DisruptionBudget, &self.budgets),
        ] {
            cluster.set_complete(kind, everything || objects.iter().all(|(_, known)| *known));
        }
        cluster
    }
}

/// Objects of one kind, of which no two have one name.
fn several(object: impl Strategy<Value = Value>) -> impl Strategy<Value = Vec<(Value, bool)>> {
    prop::collection::vec((object, any::<bool>()), 0..4).prop_map(|mut objects| {
        let mut names = BTreeSet::new();
        objects.retain(|(object, _)| names.insert(object["metadata"]["name"].to_string()));
        objects
    })
}

fn any_surroundings() -> BoxedStrategy<Surroundings> {
    (several(any_set_json(any_name())), several(any_service_json()), several(any_budget_json()))
        .prop_map(|(sets, services, budgets)| Surroundings { sets, services, budgets })
        .boxed()
}

fn edit<T>(old: Option<T>, new: T) -> ObjectChange<T> {
    match old {
        Some(old) => ObjectChange::Update { old, new },
        None => ObjectChange::Create(new),
    }
}

/// A change of a set or of a budget, or of the count of the set `zk`.
fn any_action() -> BoxedStrategy<Action> {
    let set = || any_set_json(Just("zk".to_owned()));
    let budget = || {
        any_budget_json().prop_map(|mut budget| {
            budget["metadata"]["name"] = json!("zk");
            budget
        })
    };
    prop_oneof![
        (prop::option::of(set()), set())
            .prop_map(|(old, new)| Action::StatefulSet(edit(old.map(|old| read(&old)), read(&new)))),
        (prop::option::of(budget()), budget())
            .prop_map(|(old, new)| Action::DisruptionBudget(edit(old.map(|old| read(&old)), read(&new)))),
        (any_count(), any_count()).prop_map(|(old, new)| Action::Scale {
            namespace: "default".into(),
            name: "zk".into(),
            old,
            new
        }),
    ]
    .boxed()
}

fn judge(action: Action, cluster: &Cluster, requester: &str) -> Verdict {
    static POLICIES: LazyLock<Policies> =
        LazyLock::new(|| Policies::new(Profile::Strict, Vec::new()).unwrap());
    let requester = Requester { username: requester.into(), ..Requester::default() };
    evaluate(&Change { action, requester, ..Change::default() }, cluster, &POLICIES, Timestamp::UNIX_EPOCH)
}

/// What is refused.
fn denials(verdict: &Verdict) -> BTreeSet<(String, String)> {
    verdict.at(Level::Deny).map(key).collect()
}

/// Which rule says something, and of what.
fn key(finding: &Finding) -> (String, String) {
    (finding.rule.to_string(), format!("{} {}", finding.object, finding.path))
}

proptest! {
    #[test]
    fn anything_can_be_judged_and_cleaning_up_is_never_held_up(action in any_action(), around in any_surroundings()) {
        let cluster = around.cluster(false);
        let verdict = judge(action.clone(), &cluster, "jane");
        for finding in &verdict.findings {
            prop_assert!(!finding.message.is_empty() && !finding.remedy.is_empty());
            prop_assert!(finding.path.starts_with('/'), "{}", finding.path);
        }
        let controller = "system:serviceaccount:kube-system:generic-garbage-collector";
        prop_assert!(judge(action, &cluster, controller).findings.is_empty());
    }

    #[test]
    fn what_is_not_known_refuses_nothing(action in any_action(), around in any_surroundings()) {
        // What an action changes is known in any case: of the set it scales there is nothing to say otherwise.
        let (some, all) = (around.cluster(false), around.cluster(true));
        let (some, all) = (judge(action.clone(), &some, ""), judge(action, &all, ""));
        let (mut some, mut wrong) = (denials(&some), denials(&all));
        // Nor does it excuse anything: whether it was so before the change may not be known.
        let known_before = |finding: &&Finding| finding.message.ends_with("(it was so before this change)");
        wrong.extend(all.findings.iter().filter(known_before).map(key));
        // Of two budgets about the same pods, one alone says something else that is wrong than both together do; whether they
        // overlap is not certain where one of them tells the pods of a set apart.
        let overlap = all.findings.iter().any(|finding| finding.rule.as_str() == "pdb-overlap");
        if overlap || around.budgets.len() > 1 {
            some.retain(|(rule, _)| !rule.starts_with("pdb-"));
        }
        prop_assert!(some.is_subset(&wrong), "{some:#?}\nbut with everything known {wrong:#?}");
    }

    #[test]
    fn what_changes_nothing_is_not_refused(set in any_set_json(Just("zk".to_owned())), around in any_surroundings()) {
        let action = Action::StatefulSet(ObjectChange::Update { old: read(&set), new: read(&set) });
        prop_assert_eq!(denials(&judge(action, &around.cluster(true), "")), BTreeSet::new());
    }

    #[test]
    fn what_is_being_deleted_is_left_alone(set in any_set_json(Just("zk".to_owned())), around in any_surroundings()) {
        let mut going = set.clone();
        going["metadata"]["deletionTimestamp"] = json!("2026-11-21T11:59:00Z");
        let mut cluster = around.cluster(true);
        cluster.insert(read::<StatefulSet>(&going));
        let action = Action::StatefulSet(ObjectChange::Update { old: read(&set), new: read(&going) });
        prop_assert!(judge(action, &cluster, "").findings.is_empty());
        let scale = Action::Scale { namespace: "default".into(), name: "zk".into(), old: 3, new: 4 };
        prop_assert!(judge(scale, &cluster, "").findings.is_empty());
    }
}
