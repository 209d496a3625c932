//! The webhook configurations, made from the kinds and operations that the rules look at.
//!
//! Every field is written out as the API server would default it, so that what is installed reads back as it was written and
//! no GitOps tool sees a difference. Only `caBundle` is left out: it belongs to the component that keeps the certificate.

mod conditions;

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::admission::{Operation, Resource};
use crate::rules::{self, Trigger};
use conditions::{
    EVICTIONS, FROM_ONE_TO_MORE, HOLDS_STATE, LABELLED_POD, NOT_CLEANING_UP, NOT_OF_A_DEPLOYMENT,
    POD_DELETIONS, WANTED_BY_A_POLICY, WebhookMatchCondition, conditions,
};

/// The name of both configurations.
pub const NAME: &str = "stateward";
/// The namespace that Stateward runs in.
pub const NAMESPACE: &str = "stateward";
/// The namespaces that are none of its business: without the system nothing runs, and it must not stand in its own way.
pub const EXCLUDED: [&str; 2] = ["kube-system", NAMESPACE];

const GROUP: &str = "admissionregistration.k8s.io/v1";

/// The entries whose `failurePolicy` is `Ignore` in every installation: a guard that is down must not hold up a drain, the
/// replacement of a pod, or an autoscaler of an application that has no state.
pub const ALWAYS_OPEN: [&str; 5] = [
    "pods.stateward.dev",
    "pods-eviction.stateward.dev",
    "persistentvolumeclaims.stateward.dev",
    "deployments-scale.stateward.dev",
    "replicasets-scale.stateward.dev",
];

/// The entry of the mutating configuration that asks about StatefulSets.
pub const MUTATED_SETS: &str = "statefulsets.stateward.dev";

/// The name and the expression of the condition by which the API server asks [`MUTATED_SETS`] only while a policy has something
/// added to StatefulSets. No manifest has it where Stateward writes it, so that no GitOps tool takes it away again.
pub fn wanted_by_a_policy(is_wanted: bool) -> (&'static str, &'static str) {
    (WANTED_BY_A_POLICY, if is_wanted { "true" } else { "false" })
}

/// The conditions of [`MUTATED_SETS`] where nothing may write to the configuration: they undo what was written before.
pub fn always_wanted() -> Value {
    conditions(&[NOT_CLEANING_UP, wanted_by_a_policy(true)])
}

/// One entry of a configuration.
struct WebhookEntry {
    resource: Resource,
    operations: Vec<Operation>,
    conditions: Vec<WebhookMatchCondition>,
}

/// The `ValidatingWebhookConfiguration`: every change that some rule looks at, and no other.
pub fn validating() -> Value {
    let entries = RESOURCES.into_iter().filter_map(validated).map(|entry| {
        let mut entry = entry.to_json("/validate", 3);
        // Events are created about what is refused or warned of, but not on dry runs.
        entry["sideEffects"] = json!("NoneOnDryRun");
        entry
    });
    configuration("ValidatingWebhookConfiguration", &entries.collect::<Vec<_>>())
}

/// The `MutatingWebhookConfiguration`: the objects that a mutation may be about.
pub fn mutating() -> Value {
    let entries = mutated().map(|entry| {
        let mut entry = entry.to_json("/mutate", 2);
        entry["sideEffects"] = json!("None");
        // Sees also the changes of later webhooks to a template or a pod; to mutate twice changes nothing.
        entry["reinvocationPolicy"] = json!("IfNeeded");
        entry
    });
    configuration("MutatingWebhookConfiguration", &entries)
}

fn configuration(kind: &str, webhooks: &[Value]) -> Value {
    let labels = json!({"app.kubernetes.io/name": NAME, "app.kubernetes.io/part-of": NAME});
    let metadata = json!({"name": NAME, "labels": labels});
    json!({"apiVersion": GROUP, "kind": kind, "metadata": metadata, "webhooks": webhooks})
}

/// The sorts of object that a change can be about, in the order of the entries.
const RESOURCES: [Resource; 13] = [
    Resource::StatefulSets,
    Resource::Scale,
    Resource::Deployments,
    Resource::DeploymentScale,
    Resource::ReplicaSets,
    Resource::ReplicaSetScale,
    Resource::Services,
    Resource::DisruptionBudgets,
    Resource::Autoscalers,
    Resource::ScaledObjects,
    Resource::Pods,
    Resource::Eviction,
    Resource::Claims,
];

/// The resources and operations that the API server has to send for the rules with this trigger.
fn asks(trigger: Trigger) -> Option<(&'static [Resource], &'static [Operation])> {
    use Operation::{Create, Delete, Update};
    let (resources, operations): (&[Resource], &[Operation]) = match trigger {
        Trigger::Set => (&[Resource::StatefulSets], &[Create, Update]),
        Trigger::SetDeletion => (&[Resource::StatefulSets], &[Delete]),
        Trigger::ClaimDeletion => (&[Resource::Claims], &[Delete]),
        Trigger::Scale => (&[Resource::Scale], &[Update]),
        Trigger::Service => (&[Resource::Services], &[Create, Update, Delete]),
        Trigger::Budget => (&[Resource::DisruptionBudgets], &[Create, Update]),
        Trigger::BudgetGone => (&[Resource::DisruptionBudgets], &[Update, Delete]),
        Trigger::Autoscaler => (&[Resource::Autoscalers, Resource::ScaledObjects], &[Create, Update]),
        Trigger::PodDeletion => (&[Resource::Pods], &[Delete]),
        Trigger::Eviction => (&[Resource::Eviction], &[Create]),
        Trigger::Workload => (&[Resource::Deployments, Resource::ReplicaSets], &[Create, Update]),
        Trigger::WorkloadScale => (&[Resource::DeploymentScale, Resource::ReplicaSetScale], &[Update]),
        Trigger::Manifest => return None,
    };
    Some((resources, operations))
}

/// The entry for one sort of object, if a rule looks at it.
fn validated(resource: Resource) -> Option<WebhookEntry> {
    let triggers = rules::ALL.iter().flat_map(|rule| rule.triggers);
    let asked: BTreeSet<&str> = triggers
        .filter_map(|trigger| asks(*trigger))
        .filter(|(of, _)| of.contains(&resource))
        .flat_map(|(_, operations)| operations)
        .map(|o| o.name())
        .collect();
    let operations: Vec<_> = [Operation::Create, Operation::Update, Operation::Delete]
        .into_iter()
        .filter(|o| asked.contains(o.name()))
        .collect();
    let conditions = match resource {
        Resource::Pods => POD_DELETIONS.to_vec(),
        Resource::Eviction => EVICTIONS.to_vec(),
        Resource::Deployments => vec![NOT_CLEANING_UP, HOLDS_STATE],
        Resource::ReplicaSets => vec![NOT_CLEANING_UP, HOLDS_STATE, NOT_OF_A_DEPLOYMENT],
        Resource::DeploymentScale | Resource::ReplicaSetScale => vec![NOT_CLEANING_UP, FROM_ONE_TO_MORE],
        _ => vec![NOT_CLEANING_UP],
    };
    (!operations.is_empty()).then_some(WebhookEntry { resource, operations, conditions })
}

fn mutated() -> [WebhookEntry; 2] {
    let sets = vec![Operation::Create, Operation::Update];
    let pods = vec![Operation::Create];
    [
        WebhookEntry {
            resource: Resource::StatefulSets,
            operations: sets,
            conditions: vec![NOT_CLEANING_UP],
        },
        WebhookEntry { resource: Resource::Pods, operations: pods, conditions: vec![LABELLED_POD] },
    ]
}

impl WebhookEntry {
    fn to_json(&self, path: &str, timeout_seconds: u8) -> Value {
        // The core group has no name.
        let (group, version) = self
            .resource
            .kind()
            .map_or_else(Default::default, |kind| (kind.facts().group, kind.facts().version));
        let operations: Vec<&str> = self.operations.iter().map(|operation| operation.name()).collect();
        json!({
            "name": format!("{}.stateward.dev", self.resource.name().replace('/', "-")),
            "rules": [{
                "apiGroups": [group], "apiVersions": [version], "resources": [self.resource.name()],
                "operations": operations, "scope": "Namespaced",
            }],
            "clientConfig": {"service": {"namespace": NAMESPACE, "name": NAME, "path": path, "port": 443}},
            "namespaceSelector": {"matchExpressions": [
                {"key": "kubernetes.io/metadata.name", "operator": "NotIn", "values": EXCLUDED},
            ]},
            // A label must not be a way round the guard; a Scale has no labels to select by.
            "objectSelector": {},
            "matchConditions": conditions(&self.conditions),
            // autoscaling/v1 and whatever comes after v2 is converted and asked about too.
            "matchPolicy": "Equivalent",
            "failurePolicy": "Ignore",
            "timeoutSeconds": timeout_seconds,
            "admissionReviewVersions": ["v1"],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(configuration: &Value) -> Vec<String> {
        let webhooks = configuration["webhooks"].as_array().unwrap().iter();
        let of = |list: &Value| {
            list.as_array().unwrap().iter().map(|i| i.as_str().unwrap().to_owned()).collect::<Vec<_>>()
        };
        let asked = webhooks.map(|webhook| {
            let rule = &webhook["rules"][0];
            let place = [&rule["apiGroups"], &rule["apiVersions"], &rule["resources"]].map(of).concat();
            let conditions = webhook["matchConditions"].as_array().map_or(0, Vec::len);
            format!("{} {} {conditions}", place.join("/"), of(&rule["operations"]).join(","))
        });
        asked.collect()
    }

    #[test]
    fn each_change_that_a_rule_looks_at_is_asked_about_and_no_other() {
        assert_eq!(
            asked(&validating()),
            [
                "apps/v1/statefulsets CREATE,UPDATE,DELETE 1",
                "apps/v1/statefulsets/scale UPDATE 1",
                "apps/v1/deployments CREATE,UPDATE 2",
                "apps/v1/deployments/scale UPDATE 2",
                "apps/v1/replicasets CREATE,UPDATE 3",
                "apps/v1/replicasets/scale UPDATE 2",
                "/v1/services CREATE,UPDATE,DELETE 1",
                "policy/v1/poddisruptionbudgets CREATE,UPDATE,DELETE 1",
                "autoscaling/v2/horizontalpodautoscalers CREATE,UPDATE 1",
                "keda.sh/v1alpha1/scaledobjects CREATE,UPDATE 1",
                "/v1/pods DELETE 5",
                "/v1/pods/eviction CREATE 2",
                "/v1/persistentvolumeclaims DELETE 1",
            ]
        );
        assert_eq!(asked(&mutating()), ["apps/v1/statefulsets CREATE,UPDATE 1", "/v1/pods CREATE 1"]);
    }

    #[test]
    fn every_resource_that_is_asked_about_has_its_entry() {
        let asked = rules::ALL.iter().flat_map(|rule| rule.triggers).filter_map(|trigger| asks(*trigger));
        assert!(asked.flat_map(|(resources, _)| resources).all(|resource| RESOURCES.contains(resource)));
    }
}
