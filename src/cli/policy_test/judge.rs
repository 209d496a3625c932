//! Computes the findings of a case with the same code as the webhook and the audit.

use anyhow::{Context, bail};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::document::{Case, CaseChange, ScaleChange};
use crate::admission;
use crate::audit::{AuditConfig, audit};
use crate::cluster::Kind;
use crate::cluster::inventory::Inventory;
use crate::manifest::{Note, NoteKind, Source, SourceOrigin};
use crate::policy::Policies;
use crate::verdict::Finding;

/// All findings of a case.
pub(super) fn findings(case: &Case, policies: &Policies, now: Timestamp) -> anyhow::Result<Vec<Finding>> {
    let mut inventory = Inventory::new(None);
    for object in &case.objects {
        let text = serde_json::to_string(object)?;
        inventory.add(&Source::new("objects", &text, SourceOrigin::Named));
    }
    let is_judged = |note: &&Note| matches!(note.kind, NoteKind::Default | NoteKind::UnknownField);
    if let Some(note) = inventory.notes().iter().find(|note| !is_judged(note)) {
        bail!("an object cannot be read: {}", note.message);
    }
    let now = case.now.unwrap_or(now);
    let Some(change) = &case.change else {
        let report = audit(&inventory, policies, AuditConfig::default(), now);
        return Ok(report.findings.into_iter().map(|located| located.finding).collect());
    };
    let cluster = inventory.cluster();
    let policies = policies.with_objects_of(&cluster).0;
    let body = serde_json::to_vec(&review(change)?)?;
    let reviewed = admission::review(&body, &cluster, &policies, now)?;
    if let Some(unread) = reviewed.request.unread {
        bail!("{unread}");
    }
    Ok(reviewed.verdict.findings)
}

/// The review that an API server would send.
fn review(change: &CaseChange) -> anyhow::Result<Value> {
    let CaseChange { create, update, scale, delete, user, groups, dry_run } = change;
    let mut request = match (create, update, scale, delete) {
        (Some(new), None, None, None) => of_objects("CREATE", None, Some(new))?,
        (None, Some(update), None, None) => of_objects("UPDATE", Some(&update.from), Some(&update.to))?,
        (None, None, Some(scale), None) => of_scale(scale),
        (None, None, None, Some(old)) => of_objects("DELETE", Some(old), None)?,
        _ => bail!("a change is one of create, update, scale and delete"),
    };
    request["uid"] = "1".into();
    request["dryRun"] = (*dry_run).into();
    request["userInfo"] = json!({"username": user, "groups": groups});
    Ok(json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request}))
}

fn of_objects(operation: &str, old: Option<&Value>, new: Option<&Value>) -> anyhow::Result<Value> {
    let shown = new.or(old).context("a change has an object")?;
    let text = |pointer: &str| shown.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let kind = Kind::of_manifest(text("/apiVersion"), text("/kind"));
    let facts = kind.context("the object of the change is of no kind that is judged")?.facts();
    let namespace = text("/metadata/namespace");
    Ok(json!({
        "operation": operation,
        "kind": {"group": facts.group, "version": facts.version, "kind": facts.name},
        "resource": {"group": facts.group, "version": facts.version, "resource": facts.plural},
        "namespace": if namespace.is_empty() { "default" } else { namespace },
        "name": text("/metadata/name"),
        "object": new,
        "oldObject": old,
    }))
}

fn of_scale(ScaleChange { name, namespace, from, to }: &ScaleChange) -> Value {
    let scale = |replicas: i32| {
        json!({
            "apiVersion": "autoscaling/v1",
            "kind": "Scale",
            "metadata": {"name": name, "namespace": namespace},
            "spec": {"replicas": replicas},
        })
    };
    json!({
        "operation": "UPDATE",
        "kind": {"group": "autoscaling", "version": "v1", "kind": "Scale"},
        "resource": {"group": "apps", "version": "v1", "resource": "statefulsets"},
        "subResource": "scale",
        "namespace": namespace,
        "name": name,
        "object": scale(*to),
        "oldObject": scale(*from),
    })
}
