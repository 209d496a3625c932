//! What the rules' tests share: a StatefulSet, what is around it, and what a rule says of it.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{
    Changed, Left, Params, RefusedExemption, Remembered, Rule, RuleCheck, SetContext, Transition, Violation,
    Violations,
};
use crate::change::PodRemoval;
use crate::cluster::{Cluster, ClusterObject, ClusterView, Kind, PendingChange};
use crate::model::{Because, Class, Classified, DisruptionBudget, Software, StatefulSet};

/// A set and its surroundings: a quorum of which everything is known, unless said otherwise.
#[derive(Clone)]
pub(super) struct RuleTest {
    set: StatefulSet,
    replicas: i32,
    class: Class,
    software: Option<Arc<Software>>,
    cluster: Cluster,
    changed_budget: Option<DisruptionBudget>,
    dry_run: bool,
    refused_exemption: Option<RefusedExemption<'static>>,
    params: Params,
}

/// `zk` of three replicas in the namespace `default`, with `patch` merged in (null takes a field away). Nothing else exists.
pub(super) fn set(patch: Value) -> RuleTest {
    let mut cluster = Cluster::default();
    for kind in Kind::written() {
        cluster.set_complete(kind, true);
    }
    let set: StatefulSet = serde_json::from_value(set_json(patch)).unwrap();
    RuleTest {
        replicas: set.replicas(),
        set,
        class: Class::Quorum,
        software: None,
        cluster,
        changed_budget: None,
        dry_run: false,
        refused_exemption: None,
        params: Params::default(),
    }
}

/// The manifest of [`set`].
pub(super) fn set_json(patch: Value) -> Value {
    let base = json!({"kind": "StatefulSet", "metadata": {"name": "zk", "namespace": "default"}, "spec": {
        "replicas": 3, "serviceName": "zk", "selector": {"matchLabels": {"app": "zk"}},
        "template": {"metadata": {"labels": {"app": "zk"}}, "spec": {"containers": [{"name": "zk", "image": "zookeeper:3.9"}]}}}});
    merged(base, patch)
}

/// The headless Service `zk` that fits [`set`], with `patch` merged in.
pub(super) fn service(patch: Value) -> Value {
    let base = json!({"kind": "Service", "metadata": {"name": "zk", "namespace": "default"},
        "spec": {"clusterIP": "None", "selector": {"app": "zk"}, "publishNotReadyAddresses": true}});
    merged(base, patch)
}

/// The budget `zk` about the pods of [`set`], with `patch` merged in; it has no limit of its own.
pub(super) fn budget(patch: Value) -> Value {
    let base = json!({"kind": "PodDisruptionBudget", "metadata": {"name": "zk", "namespace": "default"},
        "spec": {"selector": {"matchLabels": {"app": "zk"}}}});
    merged(base, patch)
}

/// RFC 7386.
fn merged(base: Value, patch: Value) -> Value {
    let Value::Object(patch) = patch else { return patch };
    let Value::Object(mut base) = base else {
        return Value::Object(patch);
    };
    for (key, value) in patch {
        let old = base.remove(&key).unwrap_or_default();
        if !value.is_null() {
            base.insert(key, merged(old, value));
        }
    }
    Value::Object(base)
}

impl RuleTest {
    pub(super) fn class(mut self, class: Class) -> Self {
        self.class = class;
        self
    }

    pub(super) fn software(mut self, software: Software) -> Self {
        self.software = Some(Arc::new(software));
        self
    }

    /// A count other than the set's own, as after a scale request.
    pub(super) fn scaled_to(mut self, replicas: i32) -> Self {
        self.replicas = replicas;
        self
    }

    /// Something else exists, of the kind it says it is.
    #[expect(clippy::needless_pass_by_value, reason = "`json!` reads better where it is not borrowed")]
    pub(super) fn with(mut self, object: Value) -> Self {
        let kind = Kind::named(object["kind"].as_str().unwrap()).unwrap();
        self.cluster.insert(ClusterObject::from_json(kind, &object.to_string()).unwrap());
        self
    }

    /// There may be more of this kind than is known.
    pub(super) fn unknown(mut self, kind: Kind) -> Self {
        self.cluster.set_complete(kind, false);
        self
    }

    pub(super) fn dry_run(mut self) -> Self {
        self.dry_run = true;
        self
    }

    pub(super) fn params(mut self, params: Params) -> Self {
        self.params = params;
        self
    }

    /// This user sets its annotations, and may not set an exemption.
    pub(super) fn refusing_exemption_by(mut self, user: &'static str, policy: &'static str) -> Self {
        self.refused_exemption = Some(RefusedExemption { user, policy });
        self
    }

    /// Makes the budget the changed object.
    pub(super) fn changing(mut self, budget: Value) -> Self {
        self.changed_budget = Some(serde_json::from_value(budget).unwrap());
        self
    }

    /// The messages of `rule` about it; for a step, as for a set that is created.
    pub(super) fn found(&self, rule: &Rule) -> Vec<Violation> {
        self.found_after(rule, None)
    }

    /// The violations of `rule` in the step to it from `before`.
    pub(super) fn found_after(&self, rule: &Rule, before: Option<&Self>) -> Vec<Violation> {
        let mut out = Violations::default();
        let at = self.context();
        let before = before.map(Self::context);
        if rule.applies_to(&at) {
            match rule.check {
                RuleCheck::State(check) | RuleCheck::StateAndWorkload(check, _) => {
                    check(&at, &self.params, &mut out);
                }
                RuleCheck::Workload(_) | RuleCheck::Text(_) | RuleCheck::PodRemoval(_) => {}
                RuleCheck::Step(check) => {
                    let step = Transition { before: before.as_ref(), after: &at, left: Left::default() };
                    check(&step, &self.params, &mut out);
                }
            }
        }
        out.into_vec()
    }

    /// The violations of `rule` in the removal of one of its pods.
    pub(super) fn found_removing(&self, rule: &Rule, removal: PodRemoval<'_>) -> Vec<Violation> {
        let mut out = Violations::default();
        let view = ClusterView::new(&self.cluster, PendingChange::Nothing);
        let at = SetContext { changed: Changed::Pod(removal), view, ..self.context() };
        if let RuleCheck::Step(check) = rule.check {
            check(&Transition { before: None, after: &at, left: Left::default() }, &self.params, &mut out);
        }
        out.into_vec()
    }

    /// The messages of [`Self::found`], one a line.
    pub(super) fn says(&self, rule: &Rule) -> String {
        let found = self.found(rule);
        let messages: Vec<_> = found.iter().map(|v| format!("{} -> {}", v.message, v.remedy)).collect();
        messages.join("\n")
    }

    /// What `read` says of the set itself.
    pub(super) fn with_context<T>(&self, read: impl FnOnce(&SetContext<'_>) -> T) -> T {
        read(&self.context())
    }

    fn context(&self) -> SetContext<'_> {
        let pending = match &self.changed_budget {
            Some(budget) => {
                PendingChange::Budget(&budget.metadata.namespace, &budget.metadata.name, Some(budget))
            }
            None => PendingChange::Set(&self.set, self.replicas),
        };
        let view = ClusterView::new(&self.cluster, pending);
        SetContext {
            set: &self.set,
            replicas: self.replicas,
            class: Classified {
                class: self.class,
                because: Because::Annotation,
                software: self.software.clone(),
            },
            view,
            changed: self.changed_budget.as_ref().map_or(Changed::Set, Changed::Budget),
            dry_run: self.dry_run,
            group: view.group_of(&self.set, self.replicas, |_, _| true),
            honours_annotations: self.refused_exemption.is_none(),
            exempted_checks: Vec::new(),
            refused_exemption: self.refused_exemption,
            remembered: Remembered::default(),
        }
    }
}
