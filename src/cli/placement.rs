//! Pods, nodes and the state of budgets, read once with the caller's rights.

use std::collections::BTreeSet;

use anyhow::bail;
use k8s_openapi::api::core::v1::{Node, Pod};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::api::{Api, ListParams};

use crate::model::Labels;
use crate::show::{BudgetStatus, NodePlace, Placement, PodPlace};

/// Objects in one page, as kubectl has it.
const PAGE: u32 = 500;

/// The pods of some sets, by namespace and name, and the nodes they are on.
pub(super) async fn of_sets(client: &kube::Client, sets: &BTreeSet<(Box<str>, Box<str>)>) -> Placement {
    let mut pods = Vec::new();
    let namespaces: BTreeSet<&str> = sets.iter().map(|(namespace, _)| &**namespace).collect();
    for namespace in namespaces {
        let found = list::<Pod>(&Api::namespaced(client.clone(), namespace), ListParams::default()).await;
        match found {
            Ok(found) => pods.extend(found.iter().filter_map(pod)),
            Err(error) => return Placement { pods: Err(error.clone()), nodes: Err(error) },
        }
    }
    let is_asked = |pod: &PodPlace| {
        pod.set.as_ref().is_some_and(|set| sets.contains(&(pod.namespace.clone(), set.clone())))
    };
    pods.retain(is_asked);
    let names: BTreeSet<&str> = pods.iter().map(|pod| &*pod.node).filter(|node| !node.is_empty()).collect();
    let nodes = nodes(client, names.into_iter()).await;
    Placement { pods: Ok(pods), nodes }
}

/// The pods on some nodes. It is an error where one of them does not exist.
pub(super) async fn of_nodes(client: &kube::Client, names: &[String]) -> anyhow::Result<Placement> {
    let api: Api<Node> = Api::all(client.clone());
    let mut read = Vec::new();
    let mut unreadable = None;
    for name in names {
        match api.get_opt(name).await {
            Ok(Some(found)) => read.push(node(&found)),
            Ok(None) => bail!("there is no node {name}"),
            Err(error) => unreadable = Some(reason(&error)),
        }
    }
    let nodes = unreadable.map_or(Ok(read), Err);
    let mut pods = Vec::new();
    for name in names {
        let on_node = ListParams::default().fields(&format!("spec.nodeName={name}"));
        match list::<Pod>(&Api::all(client.clone()), on_node).await {
            Ok(found) => pods.extend(found.iter().filter_map(pod)),
            Err(error) => return Ok(Placement { pods: Err(error), nodes }),
        }
    }
    Ok(Placement { pods: Ok(pods), nodes })
}

/// The status of each budget that the disruption controller has written one for.
pub(super) async fn budget_statuses(client: &kube::Client) -> Vec<BudgetStatus> {
    // A caller who may not read them may not list them either, which is said already.
    let budgets = list::<PodDisruptionBudget>(&Api::all(client.clone()), ListParams::default()).await;
    let status = |budget: PodDisruptionBudget| {
        let status = budget.status?;
        let (expected, desired) = (status.expected_pods?, status.desired_healthy?);
        let is_current = status.observed_generation == budget.metadata.generation;
        is_current.then(|| BudgetStatus {
            namespace: budget.metadata.namespace.unwrap_or_default().into(),
            name: budget.metadata.name.unwrap_or_default().into(),
            allowed: status.disruptions_allowed.unwrap_or_default(),
            allowed_when_healthy: expected.saturating_sub(desired).max(0),
        })
    };
    budgets.unwrap_or_default().into_iter().filter_map(status).collect()
}

async fn nodes(client: &kube::Client, names: impl Iterator<Item = &str>) -> Result<Vec<NodePlace>, String> {
    let api: Api<Node> = Api::all(client.clone());
    let mut nodes = Vec::new();
    for name in names {
        let found = api.get_opt(name).await.map_err(|error| reason(&error))?;
        nodes.extend(found.as_ref().map(node));
    }
    Ok(nodes)
}

async fn list<K>(api: &Api<K>, mut params: ListParams) -> Result<Vec<K>, String>
where
    K: Clone + std::fmt::Debug + serde::de::DeserializeOwned,
{
    params.limit = Some(PAGE);
    let mut items = Vec::new();
    loop {
        let page = api.list(&params).await.map_err(|error| reason(&error))?;
        items.extend(page.items);
        params.continue_token = page.metadata.continue_.filter(|token| !token.is_empty());
        if params.continue_token.is_none() {
            return Ok(items);
        }
    }
}

fn reason(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) => format!("{}: {}", status.code, status.message),
        other => other.to_string(),
    }
}

/// A pod that a drain would evict: not one of a DaemonSet or of the kubelet itself, and none that has ended.
fn pod(pod: &Pod) -> Option<PodPlace> {
    let (spec, status) = (pod.spec.as_ref()?, pod.status.as_ref());
    let phase = status.and_then(|status| status.phase.as_deref());
    let owner = pod.metadata.owner_references.iter().flatten().find(|owner| owner.controller == Some(true));
    let kind = owner.map(|owner| &*owner.kind);
    if matches!(phase, Some("Succeeded" | "Failed")) || matches!(kind, Some("DaemonSet" | "Node")) {
        return None;
    }
    let conditions = status.and_then(|status| status.conditions.as_deref()).unwrap_or_default();
    let labels = pod.metadata.labels.iter().flatten();
    let set = owner.filter(|owner| owner.kind == "StatefulSet").map(|owner| owner.name.clone().into());
    Some(PodPlace {
        namespace: pod.metadata.namespace.clone().unwrap_or_default().into(),
        name: pod.metadata.name.clone().unwrap_or_default().into(),
        set,
        node: spec.node_name.clone().unwrap_or_default().into(),
        labels: labels.map(|(key, value)| (&**key, &**value)).collect::<Labels>(),
        is_ready: conditions.iter().any(|condition| condition.type_ == "Ready" && condition.status == "True"),
        is_deleting: pod.metadata.deletion_timestamp.is_some(),
    })
}

fn node(node: &Node) -> NodePlace {
    let labels = node.metadata.labels.as_ref();
    let zone = labels.and_then(|labels| labels.get("topology.kubernetes.io/zone"));
    let conditions = node.status.as_ref().and_then(|status| status.conditions.as_deref()).unwrap_or_default();
    NodePlace {
        name: node.metadata.name.clone().unwrap_or_default().into(),
        zone: zone.map_or("", |zone| zone).into(),
        is_cordoned: node.spec.as_ref().is_some_and(|spec| spec.unschedulable == Some(true)),
        is_ready: conditions.iter().any(|condition| condition.type_ == "Ready" && condition.status == "True"),
    }
}
