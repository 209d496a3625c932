//! What policies and exemptions are told in their status.

use serde_json::{Value, json};
use stateward::cluster::{Cluster, ClusterObject, Kind};
use stateward::policy::{Policies, PolicyObjects, PolicyStatus, Profile, statuses};

use crate::case::now;

/// A snapshot that grows.
#[derive(Default)]
struct Told {
    cluster: Cluster,
    objects: PolicyObjects,
}

impl Told {
    fn put(&mut self, kind: Kind, namespace: &str, name: &str, object: Value) -> &mut Self {
        let mut object = object;
        object["metadata"]["name"] = json!(name);
        if !namespace.is_empty() {
            object["metadata"]["namespace"] = json!(namespace);
        }
        self.cluster.insert(ClusterObject::from_json(kind, &object.to_string()).unwrap());
        self.objects = self.objects.updated(&self.cluster);
        self
    }

    fn set(&mut self, namespace: &str, name: &str) -> &mut Self {
        self.put(Kind::StatefulSet, namespace, name, json!({"metadata": {"labels": {"app": name}}}))
    }

    fn policy(&mut self, name: &str, spec: &Value) -> &mut Self {
        self.put(Kind::Policy, "", name, json!({"metadata": {"generation": 3}, "spec": spec}))
    }

    fn exemption(&mut self, name: &str, spec: &Value) -> &mut Self {
        self.put(Kind::Exemption, "prod", name, json!({"metadata": {"generation": 1}, "spec": spec}))
    }

    fn status(&self, name: &str) -> PolicyStatus {
        let (policies, exemptions) = (self.objects.policies(), self.objects.exemptions());
        let policies = Policies::with_exemptions(Profile::Baseline, policies, exemptions).unwrap();
        let mut statuses = statuses(&self.cluster, &self.objects, &policies, now()).into_iter();
        statuses.find(|(document, _)| &*document.metadata.name == name).unwrap().1
    }

    /// `Ready=True InForce: message` and so on.
    fn said(&self, name: &str) -> Vec<String> {
        let conditions = self.status(name).conditions.into_iter();
        let said = conditions.map(|condition| {
            [condition.r#type, condition.status, condition.reason, condition.message].join(" ")
        });
        said.map(|said| said.trim_end().to_owned()).collect()
    }
}

fn levels(rules: &[&str]) -> Value {
    json!({"rules": rules.iter().map(|rule| json!({"rule": rule, "level": "warn"})).collect::<Vec<_>>()})
}

#[test]
fn a_policy_that_has_an_effect() {
    let mut told = Told::default();
    told.set("prod", "a").set("prod", "b").set("dev", "c");
    let mut spec = levels(&["pdb-missing"]);
    spec["match"] = json!({"namespaces": ["prod"]});
    told.policy("ours", &spec);
    let status = told.status("ours");
    assert_eq!((status.observed_generation, status.matched_sets), (3, 2));
    assert_eq!(told.said("ours"), ["Ready True InForce", "Effective True AllInEffect"]);
}

#[test]
fn what_has_no_effect_is_named() {
    let mut told = Told::default();
    told.policy("ours", &levels(&["pdb-missing", "quorum-even"]));
    assert_eq!(told.said("ours")[1], "Effective False MatchesNothing it matches no StatefulSet");
    told.set("prod", "a");
    let mut stronger = levels(&["quorum-even"]);
    stronger["priority"] = json!(5);
    told.policy("above", &stronger);
    assert_eq!(
        told.said("ours")[1],
        "Effective False PartlyWithoutEffect spec.rules[1]: quorum-even is decided by policy above, which comes before \
         and is about everything"
    );
    assert_eq!(told.said("above")[1], "Effective True AllInEffect");
    stronger["enforcement"] = json!("warn");
    told.policy("above", &stronger);
    assert_eq!(told.said("ours")[1], "Effective True AllInEffect", "a policy on trial decides nothing");
    told.policy("ours", &json!({"exemptions": [{"rules": ["*"], "names": ["z"], "reason": "x"}]}));
    assert_eq!(
        told.said("ours")[1],
        "Effective False PartlyWithoutEffect spec.exemptions[0]: it matches no StatefulSet"
    );
}

#[test]
fn an_exemption_from_a_check_that_no_policy_has_is_named() {
    let mut told = Told::default();
    told.set("prod", "a");
    let checks = json!([{"name": "odd-name", "expression": "true", "message": "m", "level": "warn"}]);
    let exempts = json!([{"rules": ["m/odd-nam"], "reason": "x"}]);
    told.policy("m", &json!({"checks": checks, "exemptionNamespaces": {}}));
    told.policy("other", &json!({"exemptions": exempts}));
    let unknown = "no policy has a check \"m/odd-nam\"; did you mean \"m/odd-name\"?";
    assert_eq!(
        told.said("other")[1],
        format!("Effective False PartlyWithoutEffect spec.exemptions[0].rules[0]: {unknown}")
    );
    let exempt = |rule: &str| json!({"rules": ["pdb-missing", rule], "names": ["a"], "reason": "x"});
    told.exemption("it", &exempt("m/odd-nam"));
    let without = format!("Effective False PartlyWithoutEffect spec.rules[1]: {unknown}");
    assert_eq!(told.said("it"), ["Ready True InForce without an end", &without]);
    for rule in ["m/odd-name", "*"] {
        told.exemption("it", &exempt(rule));
        assert_eq!(told.said("it")[1], "Effective True AllInEffect", "{rule}");
    }
}

#[test]
fn the_last_good_version_of_a_malformed_policy_is_in_force() {
    let mut told = Told::default();
    told.set("prod", "a").policy("ours", &levels(&["quorum-evne"]));
    let wrong = "Ready False Malformed spec.rules[0].rule: there is no rule \"quorum-evne\"; did you mean \"quorum-even\"?; \
                 `stateward explain` lists them; ";
    assert_eq!(told.said("ours"), [format!("{wrong}nothing of it is in force")]);
    told.policy("ours", &levels(&["quorum-even"])).policy("ours", &levels(&["quorum-evne"]));
    assert_eq!(told.said("ours"), [format!("{wrong}the last good version is in force")]);
    assert_eq!((told.objects.policies().count(), told.objects.malformed().len()), (1, 1));
}

#[test]
fn exemptions_say_whether_they_count() {
    let mut told = Told::default();
    told.set("prod", "a");
    let spec = |more: Value| {
        let mut spec = json!({"rules": ["*"], "names": ["a"], "reason": "x"});
        for (key, value) in more.as_object().unwrap() {
            spec[key] = value.clone();
        }
        spec
    };
    told.exemption("it", &spec(json!({})));
    let not = "Ready False NotHonoured no policy has exemptionNamespaces that select this namespace";
    assert_eq!(told.said("it"), [not, "Effective True AllInEffect"]);
    let other =
        json!({"match": {"objectSelector": {"matchLabels": {"app": "b"}}}, "exemptionNamespaces": {}});
    told.policy("other", &other);
    assert_eq!(told.said("it")[0], not, "the policy is about other sets");
    told.policy("ours", &json!({"exemptionNamespaces": {}}));
    assert_eq!(told.said("it")[0], "Ready True InForce without an end");
    told.exemption("it", &spec(json!({"expiresAt": "2026-11-21T12:00:01Z"})));
    assert_eq!(told.said("it")[0], "Ready True InForce until 2026-11-21T12:00:01Z");
    told.exemption("it", &spec(json!({"expiresAt": "2026-11-21T12:00:00Z"})));
    assert_eq!(told.said("it")[0], "Ready False Ended it ended on 2026-11-21T12:00:00Z");
    told.exemption("it", &spec(json!({"names": ["z"]})));
    assert_eq!(
        told.said("it"),
        ["Ready True InForce without an end", "Effective False MatchesNothing it matches no StatefulSet"]
    );
    told.exemption("it", &json!({"rules": ["*"]}));
    assert_eq!(told.said("it").len(), 1);
    assert!(told.said("it")[0].starts_with("Ready False Malformed spec: the field `reason` is missing"));
}

#[test]
fn a_status_that_is_true_is_left_as_it_is() {
    let mut told = Told::default();
    told.set("prod", "a").policy("ours", &levels(&["pdb-missing"]));
    let mut status = told.status("ours");
    status.conditions[0].last_transition_time = "2026-01-01T00:00:00Z".to_owned();
    let object = json!({"metadata": {"generation": 3}, "spec": levels(&["pdb-missing"]), "status": status});
    told.put(Kind::Policy, "", "ours", object);
    assert_eq!(told.status("ours"), status);
}
