//! The variables that expressions of checks can read for one StatefulSet at one moment.

use std::cell::OnceCell;

use serde_json::{Map, Value as Json, json};

use crate::cel::{CelValue, Failure};
use crate::change::{RawObject, Requester};
use crate::cluster::{Kind, Lookup};
use crate::model::{
    Autoscaler, Because, Class, DisruptionBudget, IntOrPercent, Labels, Metadata, Object, Service,
    StatefulSet,
};
use crate::rules::{SetContext, Trigger};

/// The facts of one moment. Those about other objects are only looked up where an expression comes to them.
pub(super) struct CheckFacts<'f, 'a> {
    pub(super) context: &'f SetContext<'a>,
    pub(super) object: RawObject<'f>,
    pub(super) old_object: RawObject<'f>,
    pub(super) request: &'f Json,
    pub(super) params: &'f Json,
    pub(super) known: LookedUpObjects,
}

/// Results of lookups; `None` where it is not known.
#[derive(Default)]
pub(super) struct LookedUpObjects {
    namespace: OnceCell<Option<Json>>,
    set: OnceCell<Option<Json>>,
    services: OnceCell<Option<Json>>,
    budgets: OnceCell<Option<Json>>,
    autoscalers: OnceCell<Option<Json>>,
    siblings: OnceCell<Option<Json>>,
}

impl<'f> CheckFacts<'f, '_> {
    /// The value of a variable.
    pub(super) fn value(&'f self, name: &str) -> Result<CelValue<'f>, Failure> {
        let (context, known) = (self.context, &self.known);
        let found = match name {
            "object" => return of_object(self.object, "object"),
            "oldObject" => return of_object(self.old_object, "oldObject"),
            "request" => return Ok(self.request.into()),
            "params" => return Ok(self.params.into()),
            "class" => return class(context),
            "members" => return members(context).map(CelValue::Int).ok_or(Failure::Unknown("members")),
            "majority" => {
                let majority = members(context).map(|members| CelValue::Int(members / 2 + 1));
                return majority.ok_or(Failure::Unknown("majority"));
            }
            "namespaceObject" => (known.namespace.get_or_init(|| namespace(context)), "namespaceObject"),
            "statefulSet" => {
                let set = || Some(set(context.set, context.replicas));
                (known.set.get_or_init(set), "statefulSet")
            }
            "services" => (known.services.get_or_init(|| services(context)), "services"),
            "disruptionBudgets" => (known.budgets.get_or_init(|| budgets(context)), "disruptionBudgets"),
            "autoscalers" => (known.autoscalers.get_or_init(|| autoscalers(context)), "autoscalers"),
            "siblings" => (known.siblings.get_or_init(|| siblings(context)), "siblings"),
            _ => return Ok(CelValue::Null),
        };
        found.0.as_ref().map(CelValue::from).ok_or(Failure::Unknown(found.1))
    }
}

fn of_object<'f>(object: RawObject<'f>, name: &'static str) -> Result<CelValue<'f>, Failure> {
    match object {
        RawObject::Known(json) => Ok(json.into()),
        RawObject::Absent => Ok(CelValue::Null),
        RawObject::Unknown => Err(Failure::Unknown(name)),
        RawObject::TooLarge => Err(Failure::Error("the object is too large for checks".to_owned())),
    }
}

/// The facts of a request beside its objects.
pub(super) fn request(
    set: &StatefulSet,
    trigger: Trigger,
    is_new: bool,
    requester: &Requester,
    dry_run: bool,
) -> Json {
    json!({
        "operation": if is_new { "CREATE" } else { "UPDATE" },
        "subResource": if trigger == Trigger::Scale { "scale" } else { "" },
        "name": set.metadata.name,
        "namespace": set.metadata.namespace,
        "dryRun": dry_run,
        "userInfo": {"username": requester.username, "groups": requester.groups},
    })
}

/// The `scale` subresource of a set.
pub(super) fn scale(context: &SetContext<'_>) -> Json {
    json!({
        "apiVersion": "autoscaling/v1",
        "kind": "Scale",
        "metadata": metadata(&context.set.metadata, false),
        "spec": {"replicas": context.replicas},
    })
}

fn class(context: &SetContext<'_>) -> Result<CelValue<'static>, Failure> {
    match context.class.because {
        Because::Undecided { .. } => Err(Failure::Unknown("class")),
        _ => Ok(CelValue::text(context.class.class.to_string())),
    }
}

/// How many members the group has. Of a set that is no quorum each replica counts.
fn members(context: &SetContext<'_>) -> Option<i64> {
    let members =
        if context.class.class == Class::Quorum { context.members() } else { Some(context.replicas) };
    members.map(i64::from)
}

fn metadata(of: &Metadata, has_labels: bool) -> Json {
    let mut metadata = json!({"name": of.name, "namespace": of.namespace});
    if has_labels {
        metadata["labels"] = labels(&of.labels);
    }
    metadata
}

fn labels(labels: &Labels) -> Json {
    let labels = labels.iter().map(|(key, value)| (key.to_owned(), Json::from(value)));
    Json::Object(labels.collect::<Map<_, _>>())
}

fn namespace(context: &SetContext<'_>) -> Option<Json> {
    let found = context.view.namespace_labels(context.namespace())?;
    Some(json!({"metadata": {"name": context.namespace(), "labels": labels(found)}}))
}

fn set(set: &StatefulSet, replicas: i32) -> Json {
    let containers = set
        .spec
        .template
        .spec
        .containers
        .iter()
        .map(|container| json!({"name": container.name, "image": container.image}));
    json!({
        "metadata": metadata(&set.metadata, true),
        "spec": {
            "replicas": replicas,
            "serviceName": set.spec.service_name,
            "podManagementPolicy": set.spec.pod_management_policy,
            "template": {
                "metadata": {"labels": labels(set.spec.template.labels())},
                "spec": {"containers": containers.collect::<Vec<_>>()},
            },
        },
    })
}

/// The governing Service, and those that select the pods.
fn services(context: &SetContext<'_>) -> Option<Json> {
    let (view, namespace) = (&context.view, context.namespace());
    let governing = match view.service(namespace, &context.set.spec.service_name) {
        Lookup::Present(service) => Some(service),
        Lookup::Absent => None,
        Lookup::Unknown => return None,
    };
    if !view.knows_all(Kind::Service, namespace) {
        return None;
    }
    let mut services = view.services_selecting(namespace, context.set.spec.template.labels());
    if let Some(governing) = governing
        && !services.iter().any(|service| service.metadata.name == governing.metadata.name)
    {
        services.insert(0, governing);
    }
    Some(services.into_iter().map(service).collect())
}

fn service(service: &Service) -> Json {
    json!({
        "metadata": metadata(&service.metadata, false),
        "spec": {
            "clusterIP": service.spec.cluster_ip,
            "type": service.spec.type_,
            "selector": labels(&service.spec.selector),
            "publishNotReadyAddresses": service.spec.publish_not_ready_addresses,
        },
    })
}

fn budgets(context: &SetContext<'_>) -> Option<Json> {
    let budgets = context.budgets().present()?;
    Some(budgets.iter().map(|budget| self::budget(budget)).collect())
}

fn budget(budget: &DisruptionBudget) -> Json {
    let limits =
        [("minAvailable", budget.spec.min_available), ("maxUnavailable", budget.spec.max_unavailable)];
    let given = limits.into_iter().filter_map(|(name, limit)| Some((name.to_owned(), int_or_text(limit?))));
    json!({"metadata": metadata(&budget.metadata, false), "spec": Json::Object(given.collect::<Map<_, _>>())})
}

fn int_or_text(limit: IntOrPercent) -> Json {
    match limit {
        IntOrPercent::Percent(_) => limit.to_string().into(),
        IntOrPercent::Int(number) => number.into(),
    }
}

fn autoscalers(context: &SetContext<'_>) -> Option<Json> {
    let namespace = context.namespace();
    if !context.view.knows_all(Kind::Autoscaler, namespace) {
        return None;
    }
    let scalers = context.view.autoscalers_of(namespace, Kind::StatefulSet, context.name());
    Some(scalers.into_iter().map(autoscaler).collect())
}

fn autoscaler(scaler: &Autoscaler) -> Json {
    json!({
        "kind": scaler.kind().name(),
        "metadata": metadata(&scaler.metadata, false),
        "spec": {"minReplicas": scaler.min_replicas(), "maxReplicas": scaler.max_replicas()},
    })
}

/// The other sets of the consensus group.
fn siblings(context: &SetContext<'_>) -> Option<Json> {
    let sets = context.group_sets()?.iter().skip(1);
    Some(sets.map(|(other, replicas)| set(other, *replicas)).collect())
}
