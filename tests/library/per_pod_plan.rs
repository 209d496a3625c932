//! The plan for per-pod Services: whatever there is, following it once is enough, and only what is ours is touched.

use std::slice;

use proptest::prelude::*;
use serde_json::{Value, json};
use stateward::cluster::{Cluster, ClusterObject, Kind};
use stateward::model::{Labels, is_dns_label};
use stateward::per_pod::plan::Plan;
use stateward::per_pod::plan::Seen;
use stateward::per_pod::plan::ServiceAction;
use stateward::per_pod::plan::plan;
use stateward::per_pod::pods::{PodMetadata, PodsSeen};
use stateward::per_pod::problem::Problem;
use stateward::per_pod::service::PerPodService;
use stateward::per_pod::service::Standing;
use stateward::per_pod::set::PerPodSet;
use stateward::per_pod::template::Template;
use stateward::policy::Policies;
use stateward::policy::Policy;
use stateward::policy::PolicyObjects;
use stateward::policy::Profile;

fn policies(settings: &Value) -> Policies {
    let document = json!({
        "apiVersion": "stateward.dev/v1alpha1", "kind": "StatefulSetPolicy", "metadata": {"name": "mine"},
        "spec": {"servicePerPod": settings},
    });
    Policies::new(Profile::Baseline, vec![Policy::from_json(&document).unwrap()]).unwrap()
}

/// No pod is there.
const NO_PODS: Option<&PodsSeen> = Some(const { &PodsSeen::none() });

fn template(set: &PerPodSet, policies: &Policies) -> Option<Template> {
    Template::of(set, &Cluster::default(), policies, []).unwrap()
}

/// What the API server makes of one step: what is applied is there, and what others have set stays.
fn follow(set: &PerPodSet, template: Option<&Template>, seen: &mut Seen, plan: &Plan) {
    for step in &plan.steps {
        let before = seen.remove(&*step.name);
        if step.action == ServiceAction::Delete {
            continue;
        }
        let manifest = template.unwrap().manifest(&step.name, &set.metadata.namespace, before.as_ref());
        let mut after: PerPodService = serde_json::from_value(manifest).unwrap();
        if let Some(before) = before {
            let merged = |old: &Labels, new: &Labels| -> Labels {
                let kept = old.iter().filter(|(key, _)| !key.starts_with("metacontroller.k8s.io/"));
                kept.chain(new.iter()).collect()
            };
            after.metadata.labels = merged(&before.metadata.labels, &after.metadata.labels);
            after.metadata.annotations = merged(&before.metadata.annotations, &after.metadata.annotations);
            // Ports are merged by number, unless they are replaced as a whole first.
            if !template.unwrap().has_other_ports(&before) {
                let is_new = |port: u16| !after.spec.ports.iter().any(|own| own.port == port);
                let others = before.spec.ports.iter().filter(|port| is_new(port.port)).cloned();
                after.spec.ports = others.chain(after.spec.ports.clone()).collect();
            }
        }
        seen.insert(step.name.as_str().into(), after);
    }
}

fn sets() -> impl Strategy<Value = PerPodSet> {
    let name = prop_oneof![8 => Just("web"), 1 => Just("9web"), 1 => Just("w.eb")];
    let ports =
        prop_oneof![2 => Just(json!("80:8080")), 2 => Just(json!("80:81,443:8443")), 1 => Just(Value::Null)];
    let kind = prop_oneof![Just(Value::Null), Just(json!("ClusterIP")), Just(json!("NodePort"))];
    (name, 0..5_i32, 0..6_i32, ports, kind, any::<bool>()).prop_map(
        |(name, start, replicas, ports, kind, own)| {
            let label = if own { "pod-name" } else { "statefulset.kubernetes.io/pod-name" };
            let mut annotations = json!({"service-per-pod-label": label});
            for (key, value) in
                [("service-per-pod-ports", ports), ("stateward.dev/service-per-pod-type", kind)]
            {
                if !value.is_null() {
                    annotations[key] = value;
                }
            }
            serde_json::from_value(json!({
                "metadata": {"namespace": "n", "name": name, "uid": "1", "annotations": annotations},
                "spec": {"replicas": replicas, "ordinals": {"start": start}},
            }))
            .unwrap()
        },
    )
}

fn settings() -> impl Strategy<Value = Value> {
    let options = [
        ("type", json!("NodePort")),
        ("labels", json!({"team": "web"})),
        ("annotations", json!({"cloud/kind": "nlb"})),
        ("externalTrafficPolicy", json!("Local")),
        ("loadBalancerClass", json!("mine")),
        ("loadBalancerSourceRanges", json!(["10.0.0.0/8"])),
        ("allocateLoadBalancerNodePorts", json!(false)),
        ("publishNotReadyAddresses", json!(true)),
    ];
    proptest::sample::subsequence(options.to_vec(), 0..8)
        .prop_map(|chosen| chosen.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
}

fn some(options: Vec<Value>) -> impl Strategy<Value = Value> {
    proptest::sample::select(options)
}

/// Services of any owner: with every mark of ours and of Metacontroller's, and without.
fn service() -> impl Strategy<Value = Value> {
    let labels = some(vec![
        json!({}),
        json!({"stateward.dev/service-per-pod": "web"}),
        json!({"stateward.dev/service-per-pod": "other"}),
        json!({"stateward.dev/service-per-pod": "web", "app.kubernetes.io/managed-by": "stateward", "team": "x"}),
    ]);
    let annotations = some(vec![
        json!({}),
        json!({"metacontroller.k8s.io/decorator-controller": "service-per-pod", "cloud/kind": "old"}),
        json!({"stateward.dev/service-per-pod-applied": "x"}),
    ]);
    let owner = |name: &str, uid: &str| json!([{"kind": "StatefulSet", "name": name, "uid": uid, "controller": true}]);
    let owners = some(vec![
        json!([]),
        owner("web", "1"),
        owner("web", "1"),
        owner("web", "0"),
        owner("other", "2"),
        json!([{"kind": "Ingress", "name": "x", "uid": "3", "controller": true}]),
    ]);
    let kind = some(vec![json!("LoadBalancer"), json!("ClusterIP"), json!("NodePort")]);
    let class = some(vec![Value::Null, json!("mine"), json!("other")]);
    let port = some(vec![json!([]), json!([{"name": "port-80", "port": 80, "targetPort": "http"}])]);
    let deleting = some(vec![Value::Null, Value::Null, Value::Null, json!("2026-01-01T00:00:00Z")]);
    (labels, annotations, owners, kind, class, port, deleting).prop_map(
        |(labels, annotations, owners, kind, class, ports, deleting)| {
            json!({
                "metadata": {
                    "namespace": "n", "uid": "u", "resourceVersion": "7", "labels": labels, "annotations": annotations,
                    "ownerReferences": owners, "deletionTimestamp": deleting,
                },
                "spec": {"type": kind, "ports": ports, "loadBalancerClass": class, "selector": {"a": "b"}},
            })
        },
    )
}

fn services() -> impl Strategy<Value = Seen> {
    let name = prop_oneof![
        8 => (0..12_u32).prop_map(|ordinal| format!("web-{ordinal}")),
        1 => Just("web-01".to_owned()),
        1 => Just("web-a".to_owned()),
        1 => Just("web".to_owned()),
    ];
    proptest::collection::btree_map(name, service(), 0..10).prop_map(|services| {
        let named = services.into_iter().map(|(name, mut service)| {
            service["metadata"]["name"] = json!(name);
            (name.into(), serde_json::from_value(service).unwrap())
        });
        named.collect()
    })
}

proptest! {
    #[test]
    fn following_the_plan_once_is_enough(set in sets(), settings in settings(), mut seen in services()) {
        let template = template(&set, &policies(&settings));
        let first = plan(&set, template.as_ref(), &seen, NO_PODS);
        follow(&set, template.as_ref(), &mut seen, &first);
        let second = plan(&set, template.as_ref(), &seen, NO_PODS);
        prop_assert_eq!(&second.steps, &[]);
        prop_assert_eq!(second.blockers.foreign, first.blockers.foreign);
        prop_assert_eq!(second.waits, first.waits);
    }

    #[test]
    fn only_what_is_ours_is_touched(set in sets(), settings in settings(), seen in services()) {
        let template = template(&set, &policies(&settings));
        for step in plan(&set, template.as_ref(), &seen, NO_PODS).steps {
            let standing = seen.get(&*step.name).map(|service| service.standing(&set));
            let expected: &[Standing] = match step.action {
                ServiceAction::Create => &[],
                ServiceAction::Update | ServiceAction::Delete => &[Standing::Ours, Standing::Orphaned],
                ServiceAction::Adopt => &[Standing::Metacontrollers],
            };
            prop_assert!(standing.is_none_or(|standing| expected.contains(&standing)), "{:?} {:?}", step, standing);
            prop_assert_eq!(step.action == ServiceAction::Create, standing.is_none());
        }
    }

    #[test]
    fn then_each_pod_has_exactly_one(set in sets(), settings in settings(), mut seen in services()) {
        let template = template(&set, &policies(&settings));
        let before = seen.clone();
        let plan = plan(&set, template.as_ref(), &seen, NO_PODS);
        follow(&set, template.as_ref(), &mut seen, &plan);
        let in_the_way = |name: &str| {
            before.get(name).is_some_and(|service| {
                let standing = service.standing(&set);
                service.metadata.deleting || [Standing::Foreign, Standing::Left].contains(&standing)
            })
        };
        let start = i64::from(set.spec.ordinals.unwrap().start.unwrap());
        let ordinals = start..start + i64::from(set.spec.replicas.unwrap());
        let asked = ordinals.filter(|_| template.is_some()).map(|n| format!("{}-{n}", set.metadata.name));
        let expected: Vec<String> = {
            let mut names: Vec<String> =
                asked.filter(|name| is_dns_label(name) && !in_the_way(name)).collect();
            names.sort();
            names
        };
        for name in &expected {
            prop_assert!(!template.as_ref().unwrap().has_other_ports(&seen[&**name]));
        }
        let ours = seen.values().filter(|s| s.standing(&set) == Standing::Ours && !s.metadata.deleting);
        let ours: Vec<String> = ours.map(|service| service.metadata.name.to_string()).collect();
        prop_assert_eq!(&ours, &expected);
        for name in &ours {
            let spec = &seen[&**name].spec;
            prop_assert_eq!(spec.selector.iter().collect::<Vec<_>>().len(), 1);
            prop_assert!(spec.selector.iter().all(|(_, value)| value == name));
        }
        for (name, service) in &before {
            if service.standing(&set) == Standing::Foreign {
                prop_assert_eq!(Some(service), seen.get(name));
            }
        }
    }
}

fn set(annotations: &Value, replicas: i32) -> PerPodSet {
    let metadata = json!({"namespace": "n", "name": "web", "uid": "1", "annotations": annotations});
    serde_json::from_value(json!({"metadata": metadata, "spec": {"replicas": replicas}})).unwrap()
}

fn annotated() -> Value {
    json!({"service-per-pod-label": "pod-name", "service-per-pod-ports": "80:8080"})
}

#[test]
fn a_service_is_as_metacontrollers_example_has_it() {
    let set = set(&annotated(), 1);
    let template = template(&set, &policies(&json!({}))).unwrap();
    assert_eq!(
        template.attachment("web-0", None),
        json!({
            "apiVersion": "v1", "kind": "Service", "metadata": {"name": "web-0"},
            "spec": {
                "type": "LoadBalancer",
                "selector": {"pod-name": "web-0"},
                "ports": [{"name": "port-80", "port": 80, "protocol": "TCP", "targetPort": 8080}],
            },
        })
    );
    let manifest = template.manifest("web-0", "n", None);
    assert_eq!(
        manifest["metadata"]["ownerReferences"],
        json!([{
            "apiVersion": "apps/v1", "kind": "StatefulSet", "name": "web", "uid": "1", "controller": true,
            "blockOwnerDeletion": false,
        }])
    );
    assert_eq!(manifest["metadata"]["labels"]["stateward.dev/service-per-pod"], "web");
}

#[test]
fn what_cannot_be_understood_is_a_problem_and_not_the_wish_for_nothing() {
    let policies = policies(&json!({}));
    for (key, value, id) in [
        ("service-per-pod-ports", "80:http", "service-per-pod-ports-invalid"),
        ("service-per-pod-ports", "", "service-per-pod-ports-invalid"),
        ("service-per-pod-label", "", "service-per-pod-label-invalid"),
        ("service-per-pod-label", "pod name", "service-per-pod-label-invalid"),
        ("stateward.dev/service-per-pod-type", "None", "service-per-pod-type-invalid"),
        ("stateward.dev/service-per-pod-type", "", "service-per-pod-type-invalid"),
    ] {
        let mut annotations = annotated();
        annotations[key] = json!(value);
        let problem = Template::of(&set(&annotations, 3), &Cluster::default(), &policies, []).unwrap_err();
        assert_eq!(problem.id, id, "{key}: {value:?}");
    }
    let many = Template::of(&set(&annotated(), i32::MAX), &Cluster::default(), &policies, []).unwrap_err();
    assert_eq!(many.id, "service-per-pod-too-many");
    for half in ["service-per-pod-label", "service-per-pod-ports"] {
        let set = set(&json!({half: "80:80"}), 3);
        assert!(template(&set, &policies).is_none(), "{half} alone asks for nothing");
    }
}

#[test]
fn a_policy_that_may_apply_holds_everything_up() {
    let document = json!({
        "apiVersion": "stateward.dev/v1alpha1", "kind": "StatefulSetPolicy", "metadata": {"name": "mine"},
        "spec": {"match": {"namespaceSelector": {"matchLabels": {"a": "b"}}}, "servicePerPod": {"type": "ClusterIP"}},
    });
    let policies = Policies::new(Profile::Baseline, vec![Policy::from_json(&document).unwrap()]).unwrap();
    let mut cluster = Cluster::default();
    let of = |cluster: &Cluster| {
        let template = Template::of(&set(&annotated(), 1), cluster, &policies, []);
        template.map(|template| template.unwrap().attachment("web-0", None)["spec"]["type"].clone())
    };
    assert_eq!(of(&cluster).unwrap_err().id, "service-per-pod-policy-unknown");
    for (labels, expected) in [(json!({"a": "b"}), "ClusterIP"), (json!({}), "LoadBalancer")] {
        cluster.insert(
            serde_json::from_value::<stateward::model::Namespace>(
                json!({"metadata": {"name": "n", "labels": labels}}),
            )
            .unwrap(),
        );
        assert_eq!(of(&cluster).unwrap(), expected);
    }
}

fn policy(name: &str, spec: &Value) -> Value {
    json!({"metadata": {"name": name, "generation": 1}, "spec": spec})
}

/// What policies of a cluster make of the set `web`, whose Services were made for `made`.
fn in_cluster(objects: &[Value], made: Option<&PerPodService>) -> Result<Option<Template>, Problem> {
    let mut cluster = Cluster::default();
    for object in objects {
        cluster.insert(ClusterObject::from_json(Kind::Policy, &object.to_string()).unwrap());
    }
    let objects = PolicyObjects::default().updated(&cluster);
    let policies = Policies::with_exemptions(Profile::Baseline, objects.policies(), []).unwrap();
    Template::of(&set(&annotated(), 1), &cluster, &policies.with_unread(objects.per_pod_unread()), made)
}

#[test]
fn a_malformed_policy_about_the_set_changes_nothing_and_one_about_others_nothing_either() {
    let good = policy("good", &json!({"servicePerPod": {"type": "ClusterIP"}}));
    let service = in_cluster(&[good], None).unwrap().unwrap().manifest("web-0", "n", None);
    let service: PerPodService = serde_json::from_value(service).unwrap();
    let kind = |template: &Template| template.attachment("web-0", None)["spec"]["type"].clone();
    let wrong = json!({"type": "NodePort", "labels": {"a b": ""}});
    let elsewhere = json!({"namespaces": ["other"]});
    for (malformed, is_known) in [
        (json!({"servicePerPod": wrong}), false),
        (json!({"servicePerPod": wrong, "match": {"namespaces": ["n"]}}), false),
        (json!({"servicePerPod": wrong, "match": {"namespaces": "n"}}), false),
        (json!({"servicePerPod": wrong, "match": elsewhere}), true),
        (json!({"servicePerPod": {"type": "NodePort"}, "rules": [{"rule": "x", "level": "deny"}]}), false),
        (json!({"rules": [{"rule": "x", "level": "deny"}]}), true),
    ] {
        let malformed = policy("malformed", &malformed);
        let fresh = in_cluster(slice::from_ref(&malformed), None);
        let problem = fresh.as_ref().err();
        assert_eq!(problem.is_none(), is_known, "{malformed}");
        assert!(problem.is_none_or(|problem| problem.message.contains("policy malformed has servicePerPod")));
        let kept = in_cluster(slice::from_ref(&malformed), Some(&service)).unwrap().unwrap();
        assert_eq!((kind(&kept), kept.kept().is_some()), (json!("ClusterIP"), true), "{malformed}");
        // Where another one is stronger it does not matter.
        let stronger = policy("z", &json!({"priority": 1, "servicePerPod": {"type": "ClusterIP"}}));
        let decided = in_cluster(&[malformed.clone(), stronger], None);
        let is_readable = malformed["spec"]["match"]["namespaces"] != "n";
        assert_eq!(
            decided.is_ok_and(|template| kind(&template.unwrap()) == "ClusterIP"),
            is_readable,
            "{malformed}"
        );
    }
}

#[test]
fn only_its_own_settings_hold_on() {
    let kept = |settings: &str| {
        let annotations = json!({"stateward.dev/service-per-pod-settings": settings});
        let made = serde_json::from_value(json!({"metadata": {"annotations": annotations}})).unwrap();
        in_cluster(&[], Some(&made)).unwrap().unwrap()
    };
    assert!(kept("{\"type\":\"ClusterIP\"}").kept().is_some());
    for settings in ["", "{", "[]", "{\"labels\":{\"app.kubernetes.io/managed-by\":\"x\"}}"] {
        assert!(!kept(settings).has_settings(), "{settings}");
    }
}

proptest! {
    #[test]
    fn a_service_stays_as_it_is_when_its_policy_goes(set in sets(), settings in settings(), start in services()) {
        let mut seen = start;
        let given = template(&set, &policies(&settings));
        let first = plan(&set, given.as_ref(), &seen, NO_PODS);
        follow(&set, given.as_ref(), &mut seen, &first);
        let ours = seen.values().filter(|service| service.standing(&set) == Standing::Ours);
        let none = Policies::new(Profile::Baseline, Vec::new()).unwrap();
        for policies in [none.clone(), none.partial()] {
            let kept = Template::of(&set, &Cluster::default(), &policies, ours.clone());
            let Ok(kept) = kept else { continue };
            prop_assert_eq!(plan(&set, kept.as_ref(), &seen, NO_PODS).steps, &[]);
        }
    }
}

#[test]
fn a_load_balancer_keeps_its_class_and_says_so() {
    let set = set(&annotated(), 1);
    let seen = |template: &Template, class: &str| -> Seen {
        let mut service = template.manifest("web-0", "n", None);
        service["spec"]["loadBalancerClass"] = json!(class);
        [("web-0".into(), serde_json::from_value(service).unwrap())].into_iter().collect()
    };
    let wanted = template(&set, &policies(&json!({"loadBalancerClass": "new"}))).unwrap();
    let with_old = seen(&wanted, "old");
    let planned = plan(&set, Some(&wanted), &with_old, NO_PODS);
    assert_eq!((planned.steps.len(), planned.blockers.fixed_class.len()), (0, 1));
    let manifest = wanted.manifest("web-0", "n", with_old.get("web-0"));
    assert_eq!(manifest["spec"]["loadBalancerClass"], "old", "an apply without it would be refused");

    let indifferent = template(&set, &policies(&json!({}))).unwrap();
    let planned =
        plan(&set, Some(&indifferent), &seen(&indifferent, "set by a webhook of the cloud"), NO_PODS);
    assert_eq!(planned, Plan::default());
}

fn pods(
    set: &PerPodSet,
    template: &Template,
    names: &[&str],
    value: Option<&str>,
    asks_for: &str,
) -> PodsSeen {
    let mut pods = PodsSeen::none();
    for name in names {
        let asks_for = Some(asks_for).filter(|label| !label.is_empty());
        let pod = PodMetadata { name, uid: "p", owner: Some("1"), is_deleted: false, value, asks_for };
        pods.add(set, template, &pod);
    }
    pods
}

#[test]
fn a_service_stays_until_its_pod_has_gone() {
    let (set, policies) = (set(&annotated(), 1), policies(&json!({})));
    let template = template(&set, &policies).unwrap();
    let service = |ordinal: u32| -> (Box<str>, PerPodService) {
        let name = format!("web-{ordinal}");
        (name.as_str().into(), serde_json::from_value(template.manifest(&name, "n", None)).unwrap())
    };
    let seen: Seen = (0..4).map(service).collect();
    let deleted = |planned: &Plan| -> Vec<String> {
        let deletions = planned.steps.iter().filter(|step| step.action == ServiceAction::Delete);
        deletions.map(|step| step.name.clone()).collect()
    };
    let draining = pods(&set, &template, &["web-0", "web-2"], Some("x"), "pod-name");
    let planned = plan(&set, Some(&template), &seen, Some(&draining));
    assert_eq!((deleted(&planned), planned.kept_for_pods), (vec!["web-1".to_owned(), "web-3".to_owned()], 1));
    let planned = plan(&set, Some(&template), &seen, None);
    assert_eq!((deleted(&planned).len(), planned.kept_for_pods), (0, 3), "unknown is not gone");
    let planned = plan(&set, None, &seen, Some(&draining));
    assert_eq!((deleted(&planned).len(), planned.kept_for_pods), (4, 0), "nothing is asked for any more");
}

#[test]
fn a_pod_without_its_label_is_reported_or_labelled() {
    let set = set(&annotated(), 3);
    for (label_pods, asks_for, value, labelled, problem) in [
        (false, "pod-name", None, 0, Some("service-per-pod-label-missing")),
        (true, "pod-name", None, 3, None),
        (true, "pod-name", Some("x"), 0, Some("service-per-pod-label-unset")),
        (true, "", None, 0, Some("service-per-pod-label-unset")),
    ] {
        let template = template(&set, &policies(&json!({"labelPods": label_pods}))).unwrap();
        let pods = pods(&set, &template, &["web-0", "web-1", "web-2"], value, asks_for);
        let planned = plan(&set, Some(&template), &Seen::new(), Some(&pods));
        let problems = planned.blockers.problems();
        assert_eq!(planned.pods_to_label.len(), labelled);
        assert_eq!(problems.first().map(|problem| problem.id), problem);
        let start = "Pod web-0, web-1, web-2: its Service has no endpoint";
        assert!(problems.iter().all(|problem| problem.message.starts_with(start)), "{problems:?}");
    }
}
