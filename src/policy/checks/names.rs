//! The variables of checks, with their types.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::CheckedResource;
use super::schema::object;
use crate::cel::{ObjectFields, Type, VariableTypes};

/// The variables that the expressions of one policy can read when `resource` changes.
pub(super) struct CheckNames<'p> {
    pub(super) resource: CheckedResource,
    pub(super) params: &'p Type,
    /// The types of `variables`, as far as they are compiled.
    pub(super) variables: BTreeMap<Box<str>, Type>,
}

const ALL: [&str; 13] = [
    "object",
    "oldObject",
    "request",
    "namespaceObject",
    "params",
    "statefulSet",
    "services",
    "disruptionBudgets",
    "autoscalers",
    "siblings",
    "class",
    "members",
    "majority",
];

impl VariableTypes for CheckNames<'_> {
    fn variable(&self, name: &str) -> Option<Type> {
        Some(match name {
            "object" | "oldObject" => match self.resource {
                CheckedResource::Sets => object("StatefulSet"),
                CheckedResource::Scale => object("Scale"),
            },
            "request" => request(),
            "namespaceObject" => fields("the namespace", vec![("metadata", metadata())]),
            "params" => self.params.clone(),
            "statefulSet" => set("the StatefulSet that is known"),
            "siblings" => Type::list(set("a StatefulSet of the group")),
            "services" => Type::list(service()),
            "disruptionBudgets" => Type::list(budget()),
            "autoscalers" => Type::list(autoscaler()),
            "class" => Type::Text,
            "members" | "majority" => Type::Int,
            _ => return None,
        })
    }

    fn derived(&self, name: &str) -> Option<Type> {
        self.variables.get(name).cloned()
    }

    fn all(&self) -> Vec<String> {
        ALL.map(str::to_owned).to_vec()
    }
}

fn fields(name: &str, fields: Vec<(&str, Type)>) -> Type {
    let fields = fields.into_iter().map(|(name, found)| (name.into(), found)).collect();
    Type::Object(Arc::new(ObjectFields { name: name.into(), fields }))
}

fn metadata() -> Type {
    let labels = ("labels", Type::map(Type::Text));
    fields("what is kept of the metadata", vec![("name", Type::Text), ("namespace", Type::Text), labels])
}

fn names() -> Type {
    fields("what is kept of the metadata", vec![("name", Type::Text), ("namespace", Type::Text)])
}

fn request() -> Type {
    let texts = || Type::list(Type::Text);
    let user = fields("request.userInfo", vec![("username", Type::Text), ("groups", texts())]);
    let text = |name| (name, Type::Text);
    fields(
        "request",
        vec![
            text("operation"),
            text("name"),
            text("namespace"),
            text("subResource"),
            ("dryRun", Type::Bool),
            ("userInfo", user),
        ],
    )
}

fn set(name: &str) -> Type {
    let image = |name| {
        (
            name,
            Type::list(fields(
                "a container that is known",
                vec![("name", Type::Text), ("image", Type::Text)],
            )),
        )
    };
    let pod = fields("what is kept of the pods", vec![image("containers")]);
    let labels = fields("the labels of the pods", vec![("labels", Type::map(Type::Text))]);
    let template = fields("what is kept of the pod template", vec![("metadata", labels), ("spec", pod)]);
    let spec = vec![
        ("replicas", Type::Int),
        ("serviceName", Type::Text),
        ("podManagementPolicy", Type::Text),
        ("template", template),
    ];
    fields(name, vec![("metadata", metadata()), ("spec", fields("what is kept of the spec", spec))])
}

fn service() -> Type {
    let spec = vec![
        ("clusterIP", Type::Text),
        ("type", Type::Text),
        ("selector", Type::map(Type::Text)),
        ("publishNotReadyAddresses", Type::Bool),
    ];
    fields("a known Service", vec![("metadata", names()), ("spec", fields("what is kept of the spec", spec))])
}

fn budget() -> Type {
    let spec = vec![("minAvailable", Type::Dyn), ("maxUnavailable", Type::Dyn)];
    let spec = ("spec", fields("what is kept of the spec", spec));
    fields("a known PodDisruptionBudget", vec![("metadata", names()), spec])
}

fn autoscaler() -> Type {
    let spec = vec![("minReplicas", Type::Int), ("maxReplicas", Type::Int)];
    let spec = ("spec", fields("what is kept of the spec", spec));
    fields("a known autoscaler", vec![("kind", Type::Text), ("metadata", names()), spec])
}
