//! Policies and exemptions that are objects of a snapshot, each with its last good version.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};

use super::{NamespaceExemption, Policies, Policy, PolicyError};
use crate::cluster::Cluster;
use crate::model::{Kind, KindFacts, ObjectRef, PolicyDocument};

/// All policies and exemptions of a snapshot, compiled.
#[derive(Clone, Debug, Default)]
pub struct PolicyObjects {
    pub(super) policies: Compiled<Policy>,
    pub(super) exemptions: Compiled<NamespaceExemption>,
}

/// Compiled documents by namespace and name.
pub(super) type Compiled<T> = BTreeMap<(Box<str>, Box<str>), Arc<CompiledDocument<T>>>;

/// The state of one document.
#[derive(Debug)]
pub(super) struct CompiledDocument<T> {
    uid: Box<str>,
    spec: Value,
    /// The last version in which nothing was wrong.
    pub(super) good: Option<Arc<T>>,
    /// The errors of this version.
    pub(super) error: Option<PolicyError>,
}

/// An object that cannot be used, and why.
#[derive(Debug)]
pub struct MalformedPolicyObject {
    pub object: ObjectRef,
    pub error: PolicyError,
}

impl<T> CompiledDocument<T> {
    /// Compiles a document. One of the same name that was deleted before leaves nothing behind.
    fn new(document: &PolicyDocument, before: Option<&Self>, compile: CompileFn<T>) -> Self {
        let (uid, spec) = (document.uid.clone(), document.spec.clone());
        match compile(&document.to_json()) {
            Ok(good) => Self { uid, spec, good: Some(Arc::new(good)), error: None },
            Err(error) => {
                let before = before.filter(|before| before.uid == uid);
                let good = before.and_then(|before| before.good.clone());
                Self { uid, spec, good, error: Some(error) }
            }
        }
    }

    /// Whether it is compiled from this version.
    pub(super) fn is_of(&self, document: &PolicyDocument) -> bool {
        self.uid == document.uid && self.spec == document.spec
    }
}

type CompileFn<T> = fn(&Value) -> Result<T, PolicyError>;

pub(super) fn key(document: &PolicyDocument) -> (Box<str>, Box<str>) {
    (document.metadata.namespace.clone(), document.metadata.name.clone())
}

/// Compiles what is new or different.
fn updated<'a, T>(
    before: &Compiled<T>,
    documents: impl Iterator<Item = &'a PolicyDocument>,
    compile: CompileFn<T>,
) -> Compiled<T> {
    let compiled = documents.map(|document| {
        let key = key(document);
        let compiled = match before.get(&key) {
            Some(same) if same.is_of(document) => Arc::clone(same),
            before => Arc::new(CompiledDocument::new(document, before.map(|before| &**before), compile)),
        };
        (key, compiled)
    });
    compiled.collect()
}

impl PolicyObjects {
    /// The policies of a snapshot; `self` is an earlier state of them.
    #[must_use]
    pub fn updated(&self, cluster: &Cluster) -> Self {
        Self {
            policies: updated(&self.policies, cluster.policies(), Policy::from_json),
            exemptions: updated(&self.exemptions, cluster.exemptions(), NamespaceExemption::from_json),
        }
    }

    /// The policies that are in force.
    pub fn policies(&self) -> impl Iterator<Item = Arc<Policy>> {
        self.policies.values().filter_map(|compiled| compiled.good.clone())
    }

    /// The exemptions that count, where the policies let them.
    pub fn exemptions(&self) -> impl Iterator<Item = Arc<NamespaceExemption>> {
        self.exemptions.values().filter_map(|compiled| compiled.good.clone())
    }

    /// The names of all policies.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.policies.keys().map(|(_, name)| &**name)
    }

    /// Stand for the policies that have settings of per-pod Services and of which no version can be used, the strongest first.
    pub fn per_pod_unread(&self) -> Vec<Arc<Policy>> {
        let unread = self.policies.iter().filter(|(_, compiled)| compiled.good.is_none());
        let unread = unread.filter_map(|((_, name), compiled)| stand_in(name, &compiled.spec));
        let mut unread: Vec<Arc<Policy>> = unread.map(Arc::new).collect();
        unread.sort_by(|a, b| a.strength().cmp(&b.strength()));
        unread
    }

    /// The objects whose present version cannot be used.
    pub fn malformed(&self) -> Vec<MalformedPolicyObject> {
        let policies = errors(&self.policies, Kind::Policy);
        policies.chain(errors(&self.exemptions, Kind::Exemption)).collect()
    }
}

/// A policy that says nothing, and is about the sets that the malformed one is about: about all of them, where that cannot be read.
fn stand_in(name: &str, spec: &Value) -> Option<Policy> {
    if spec["servicePerPod"].is_null() {
        return None;
    }
    let (metadata, mut scope) = (json!({"name": name}), serde_json::Map::new());
    for key in ["priority", "match"] {
        scope.extend(spec.get(key).map(|value| (key.to_owned(), value.clone())));
    }
    let KindFacts { api_version, name: kind, .. } = Kind::Policy.facts();
    let read = |spec: Value| {
        Policy::from_json(
            &json!({"apiVersion": api_version, "kind": kind, "metadata": metadata, "spec": spec}),
        )
    };
    read(scope.into()).or_else(|_| read(json!({"priority": i32::MAX}))).ok()
}

fn errors<T>(documents: &Compiled<T>, kind: Kind) -> impl Iterator<Item = MalformedPolicyObject> {
    documents.iter().filter_map(move |((namespace, name), compiled)| {
        let object = kind.reference(namespace, name);
        Some(MalformedPolicyObject { object, error: compiled.error.clone()? })
    })
}

impl Policies {
    /// These with the exemptions of a snapshot.
    #[must_use]
    pub fn with_exemptions_of(&self, cluster: &Cluster) -> Self {
        let mut policies = self.clone();
        policies.add_exemptions(PolicyObjects::default().updated(cluster).exemptions());
        policies
    }

    /// These with the policies and exemptions of a snapshot; and those that cannot be used.
    pub fn with_objects_of(&self, cluster: &Cluster) -> (Self, Vec<MalformedPolicyObject>) {
        let objects = PolicyObjects::default().updated(cluster);
        let mut policies = self.clone();
        policies.add_policies(objects.policies());
        policies.add_exemptions(objects.exemptions());
        (policies, objects.malformed())
    }
}
