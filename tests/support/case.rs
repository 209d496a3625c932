//! The fixtures of a rule: `tests/rules/RULE.yaml`, a stream of documents. Each case begins with a document that names it and says
//! what happens; manifests follow.
//!
//! ```yaml
//! case:
//!   name: fail-scale                        # `fail-…` finds the rule, `pass-…` does not
//!   scale: {name: etcd, from: 3, to: 4, kind: Deployment}  # kind: StatefulSet if left out; or
//!   update: {name: etcd, was: {spec: {replicas: 3}}, kind: PodDisruptionBudget}  # kind: StatefulSet if left out
//!   create: {name: etcd, kind: PodDisruptionBudget}
//!   delete: {name: etcd-0, kind: Pod, gracePeriodSeconds: 0, propagationPolicy: Orphan}
//!   evict: {name: etcd-0, gracePeriodSeconds: 0}
//!   user: system:serviceaccount:operators:etcd   # who asks
//!   dryRun: true
//!   unknown: [Service]                      # kinds of which not every object is known
//! ---
//! like: StatefulSet etcd                    # an object of `tests/rules/base.yaml`, into which the rest is merged
//! spec: {replicas: 4}
//! ```
//!
//! Examples in the documentation of a rule are written the same way, without a name and in full.
//!
//! `was` is merged into the object; a null in it says nothing. To take a field away, write both states.
//!
//! A StatefulSet that is written twice is updated from the first to the second. Otherwise, and without that document, every StatefulSet is judged as it is written, as an audit does.

#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::format_push_string,
    reason = "each test uses a part of it"
)]

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};
use stateward::admission::review;
use stateward::audit::transition::OldState;
use stateward::audit::{AuditConfig, audit, audit_step};
use stateward::cluster::Cluster;
use stateward::cluster::Kind;
use stateward::cluster::inventory::Inventory;
use stateward::manifest;
use stateward::manifest::Manifest;
use stateward::manifest::Source;
use stateward::manifest::SourceOrigin;
use stateward::policy::Policies;
use stateward::policy::Profile;
use stateward::verdict::Finding;
use stateward::verdict::Level;

/// The time at which fixtures are judged.
pub fn now() -> Timestamp {
    "2026-11-21T12:00:00Z".parse().unwrap()
}

pub fn strict() -> Policies {
    Policies::new(Profile::Strict, Vec::new()).unwrap()
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct Case {
    /// Of a fixture; [`fixtures`] reads it.
    name: Option<String>,
    scale: Option<Scale>,
    update: Option<Object>,
    create: Option<Object>,
    delete: Option<Deletion>,
    evict: Option<Eviction>,
    user: String,
    dry_run: bool,
    unknown: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Scale {
    #[serde(default = "stateful_set")]
    kind: String,
    name: String,
    from: i32,
    to: i32,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Object {
    #[serde(default = "stateful_set")]
    kind: String,
    name: String,
    #[serde(default)]
    was: Value,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Deletion {
    kind: String,
    name: String,
    grace_period_seconds: Option<i64>,
    propagation_policy: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Eviction {
    name: String,
    grace_period_seconds: Option<i64>,
}

fn stateful_set() -> String {
    "StatefulSet".to_owned()
}

/// What is found in a fixture.
pub fn findings(text: &str, policies: &Policies) -> Vec<Finding> {
    let (case, manifests) = split(text);
    let source = Source::new("fixture.yaml", manifests, SourceOrigin::Named);
    let mut inventory = Inventory::new(None);
    inventory.add(&source);
    assert!(inventory.notes().is_empty(), "a fixture is read whole: {:?}", inventory.notes());
    let (objects, _) = manifest::read(&source, manifests);
    let step = case.is_none().then(|| step_of_two_states(manifests, &objects, policies));
    let Some(case) = case.or_else(|| Case::of_two_states(&objects)) else {
        return audit(&inventory, policies, AuditConfig::default(), now())
            .findings
            .into_iter()
            .map(|located| located.finding)
            .collect();
    };
    let mut cluster = inventory.cluster();
    for kind in Kind::ALL.into_iter().filter(|kind| case.unknown.iter().any(|name| name == kind.name())) {
        cluster.set_complete(kind, false);
    }
    let mut found = judge(&case.request(&objects), &cluster, policies);
    found.extend(step.into_iter().flatten());
    found
}

/// What the API server asks in a fixture: whether what happens in it may, or whether the StatefulSets may be created where nothing
/// happens. Nothing where not every object is known.
pub fn reviews(text: &str) -> Vec<Value> {
    let (case, manifests) = split(text);
    if case.as_ref().is_some_and(|case| !case.unknown.is_empty()) {
        return Vec::new();
    }
    let source = Source::new("fixture.yaml", manifests, SourceOrigin::Named);
    let (objects, _) = manifest::read(&source, manifests);
    let requests: Vec<Value> = if let Some(case) = case.or_else(|| Case::of_two_states(&objects)) {
        vec![case.request(&objects)]
    } else {
        let sets = objects.iter().filter(|object| object.kind == "StatefulSet");
        let created = sets.filter_map(|set| {
            let create = Some(Object { kind: stateful_set(), name: set.name.clone()?, was: Value::Null });
            Some(Case { create, ..Case::default() }.request(&objects))
        });
        created.collect()
    };
    let review =
        |request| json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request});
    requests.into_iter().map(review).collect()
}

/// What exists in a fixture.
pub fn cluster(text: &str) -> Cluster {
    let mut inventory = Inventory::new(None);
    inventory.add(&Source::new("fixture.yaml", split(text).1, SourceOrigin::Named));
    inventory.cluster()
}

/// What only a comparison of the manifests finds, where a StatefulSet is written twice: the API server never asks about it.
fn step_of_two_states(text: &str, objects: &[Manifest<'_>], policies: &Policies) -> Vec<Finding> {
    let documents: Vec<&str> = text.split("\n---\n").collect();
    let Some((old, new)) = two_states(objects).filter(|_| documents.len() == objects.len()) else {
        return Vec::new();
    };
    let inventory = |without: usize| {
        let kept = documents.iter().enumerate().filter(|(index, _)| *index != without);
        let text = kept.map(|(_, text)| *text).collect::<Vec<_>>().join("\n---\n");
        let mut inventory = Inventory::new(None);
        inventory.add(&Source::new("fixture.yaml", &text, SourceOrigin::Named));
        inventory
    };
    let (old, new) = (inventory(new), inventory(old));
    let old = OldState::of(&old, false);
    let report = audit_step(&new, Some(&old), policies, AuditConfig::default(), now());
    let findings = report.findings.into_iter().map(|located| located.finding);
    findings.filter(|finding| finding.rule.as_str() == "immutable-field").collect()
}

/// The places of a StatefulSet that is written twice.
fn two_states(objects: &[Manifest<'_>]) -> Option<(usize, usize)> {
    let is_set = |index: &usize| objects[*index].kind == "StatefulSet";
    let is_same = |a: usize, b: usize| {
        (&objects[a].namespace, &objects[a].name) == (&objects[b].namespace, &objects[b].name)
    };
    (0..objects.len())
        .filter(is_set)
        .find_map(|old| Some((old, (old + 1..objects.len()).filter(is_set).find(|new| is_same(old, *new))?)))
}

/// Through the admission protocol, so that fixtures say what the API server's requests lead to.
fn judge(request: &Value, cluster: &Cluster, policies: &Policies) -> Vec<Finding> {
    let body = json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request});
    review(body.to_string().as_bytes(), cluster, policies, now()).unwrap().verdict.findings
}

fn split(text: &str) -> (Option<Case>, &str) {
    let (header, rest) = split_header(text);
    let case = header.map(|header| {
        let header = manifest::document(header).unwrap().to_json();
        serde_json::from_value(header["case"].clone()).unwrap()
    });
    (case.filter(Case::says_something), rest)
}

fn is_header(document: &str) -> bool {
    document.lines().any(|line| line.starts_with("case:"))
}

/// One case of a rule: a text as [`findings`] reads it.
pub struct Fixture {
    pub name: String,
    pub text: String,
}

/// The cases of a rule, in the order of its file.
pub fn fixtures(rule: &str) -> Vec<Fixture> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/rules");
    let read =
        |file: &str| fs::read_to_string(root.join(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
    let bases = bases(&read("base.yaml"));
    let file = format!("{rule}.yaml");
    let text = read(&file);
    let mut cases: Vec<Vec<Cow<'_, str>>> = Vec::new();
    for document in text.split("\n---\n").map(|document| document.trim_end_matches('\n')) {
        match cases.last_mut() {
            _ if is_header(document) => cases.push(vec![document.into()]),
            Some(case) => case.push(completed(document, &bases)),
            None => panic!("{file} does not begin with a case"),
        }
    }
    let fixture = |documents: Vec<Cow<'_, str>>| {
        let header = manifest::document(&documents[0]).unwrap().to_json();
        let name = header["case"]["name"].as_str().unwrap_or_else(|| panic!("a case of {file} has no name"));
        Fixture { name: name.to_owned(), text: documents.join("\n---\n") + "\n" }
    };
    cases.into_iter().map(fixture).collect()
}

/// The objects that fixtures are alike, by kind and name.
fn bases(text: &str) -> BTreeMap<String, Value> {
    let base = |document: &str| {
        let mut object = manifest::document(document).unwrap().to_json();
        let name = object.as_object_mut().unwrap().remove("base").unwrap();
        (name.as_str().unwrap().to_owned(), object)
    };
    text.split("\n---\n").map(base).collect()
}

/// A document with what it is `like` filled in.
fn completed<'a>(document: &'a str, bases: &BTreeMap<String, Value>) -> Cow<'a, str> {
    if !document.starts_with("like:") {
        return document.into();
    }
    // A null of a merge patch counts, which the reading of manifests would drop.
    let mut patch: Value = serde_saphyr::from_str(document).unwrap();
    let base = patch.as_object_mut().unwrap().remove("like").unwrap();
    let mut object = bases[base.as_str().unwrap()].clone();
    json_patch::merge(&mut object, &patch);
    serde_saphyr::to_string(&object).unwrap().trim_end_matches('\n').to_owned().into()
}

/// The document that says what happens, if there is one, and the manifests.
pub fn split_header(text: &str) -> (Option<&str>, &str) {
    match text.split_once("\n---\n") {
        Some((header, rest)) if is_header(header) => (Some(header), rest),
        _ => (None, text),
    }
}

/// The manifests as data.
pub fn objects(manifests: &str) -> Vec<Value> {
    let source = Source::new("fixture.yaml", manifests, SourceOrigin::Named);
    manifest::read(&source, manifests).0.iter().map(|object| object.node.to_json()).collect()
}

impl Case {
    /// Whether there is more than a name.
    fn says_something(&self) -> bool {
        let Self { name: _, scale, update, create, delete, evict, user, dry_run, unknown } = self;
        scale.is_some()
            || update.is_some()
            || create.is_some()
            || delete.is_some()
            || evict.is_some()
            || !user.is_empty()
            || *dry_run
            || !unknown.is_empty()
    }

    fn of_two_states(objects: &[Manifest<'_>]) -> Option<Self> {
        let (old, new) = two_states(objects)?;
        let (old, new) = (&objects[old], &objects[new]);
        // A merge patch that leads from the new one back to the old one.
        let was = json_patch_of(&new.node.to_json(), &old.node.to_json());
        let object = Object { kind: stateful_set(), name: new.name.clone()?, was };
        Some(Self { update: Some(object), ..Self::default() })
    }

    fn request(&self, objects: &[Manifest<'_>]) -> Value {
        if let Some(Deletion { kind, name, grace_period_seconds, propagation_policy }) = &self.delete {
            let object = Object { kind: kind.clone(), name: name.clone(), was: Value::Null };
            let mut request = object.request("DELETE", &object.find(objects), &Value::Null);
            request["options"] =
                json!({"gracePeriodSeconds": grace_period_seconds, "propagationPolicy": propagation_policy});
            return self.complete(request);
        }
        if let Some(eviction) = &self.evict {
            return self.complete(eviction.request());
        }
        let request = match (&self.scale, &self.update, &self.create) {
            (Some(scale), None, None) => scale.request(),
            (None, Some(object), None) => {
                let new = object.find(objects);
                let mut old = new.clone();
                json_patch::merge(&mut old, &object.was);
                object.request("UPDATE", &old, &new)
            }
            (None, None, Some(object)) => object.request("CREATE", &Value::Null, &object.find(objects)),
            _ => panic!("a case has one of scale, update and create"),
        };
        self.complete(request)
    }

    fn complete(&self, mut request: Value) -> Value {
        request["uid"] = json!("fixture");
        request["namespace"] = json!("default");
        request["dryRun"] = json!(self.dry_run);
        let groups = if self.user.starts_with("system:node:") { json!(["system:nodes"]) } else { json!([]) };
        request["userInfo"] = json!({"username": self.user, "groups": groups});
        request
    }
}

fn json_patch_of(from: &Value, to: &Value) -> Value {
    let (Value::Object(from), Value::Object(to)) = (from, to) else { return to.clone() };
    let gone = from.keys().filter(|key| !to.contains_key(*key)).map(|key| (key.clone(), Value::Null));
    let kept = to.iter().map(|(key, value)| {
        (key.clone(), from.get(key).map_or_else(|| value.clone(), |from| json_patch_of(from, value)))
    });
    gone.chain(kept).collect()
}

impl Scale {
    fn request(&self) -> Value {
        let scale = |replicas: i32| json!({"metadata": {"name": self.name}, "spec": {"replicas": replicas}});
        let (group, resource) = group_resource(&self.kind);
        json!({
            "operation": "UPDATE", "resource": {"group": group, "resource": resource}, "subResource": "scale",
            "kind": {"kind": "Scale"}, "name": self.name, "oldObject": scale(self.from), "object": scale(self.to),
        })
    }
}

impl Eviction {
    fn request(&self) -> Value {
        let options = json!({"gracePeriodSeconds": self.grace_period_seconds});
        json!({
            "operation": "CREATE", "resource": {"group": "", "resource": "pods"}, "subResource": "eviction",
            "kind": {"kind": "Eviction"}, "name": self.name,
            "object": {"metadata": {"name": self.name}, "deleteOptions": options},
        })
    }
}

impl Object {
    fn find(&self, objects: &[Manifest<'_>]) -> Value {
        let named = |o: &&Manifest<'_>| o.kind == self.kind && o.name.as_deref() == Some(&self.name);
        objects
            .iter()
            .rev()
            .find(named)
            .unwrap_or_else(|| panic!("no {} {}", self.kind, self.name))
            .node
            .to_json()
    }

    fn request(&self, operation: &str, old: &Value, new: &Value) -> Value {
        let (group, resource) = group_resource(&self.kind);
        json!({
            "operation": operation, "resource": {"group": group, "resource": resource},
            "kind": {"kind": self.kind}, "name": self.name, "oldObject": old, "object": new,
        })
    }
}

fn group_resource(kind: &str) -> (&'static str, &'static str) {
    match kind {
        "StatefulSet" => ("apps", "statefulsets"),
        "Deployment" => ("apps", "deployments"),
        "ReplicaSet" => ("apps", "replicasets"),
        "PodDisruptionBudget" => ("policy", "poddisruptionbudgets"),
        "Service" => ("", "services"),
        "Pod" => ("", "pods"),
        "HorizontalPodAutoscaler" => ("autoscaling", "horizontalpodautoscalers"),
        "ScaledObject" => ("keda.sh", "scaledobjects"),
        "PersistentVolumeClaim" => ("", "persistentvolumeclaims"),
        other => panic!("{other} is not reviewed"),
    }
}

/// A finding as snapshots have it.
pub fn render(finding: &Finding) -> String {
    let Finding { rule, level, object, path, message, remedy, .. } = finding;
    let mut text = format!("{level} {rule} at {object} {path}\n  {message}\n  fix: {remedy}\n");
    for (object, path) in &finding.related {
        text += &format!("  see {object} {path}\n");
    }
    if let Some(exempt) = &finding.exempt {
        text += &format!("  exempt by {}: {}\n", exempt.by, exempt.reason);
    }
    text
}

/// Whether a finding of this rule is among them, at any level.
pub fn has(findings: &[Finding], rule: &str) -> bool {
    findings.iter().any(|finding| finding.rule.as_str() == rule && finding.level > Level::Off)
}
