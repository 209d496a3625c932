//! The fields of a StatefulSet that the API server does not allow to change.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::cel::Quantity;
use crate::change::{ImmutableChange, OrphanedPods};
use crate::cluster::inventory::{Found, ManifestRecord};
use crate::model::{Labels, StatefulSet};

/// `ValidateStatefulSetUpdate` in `pkg/apis/apps/validation` lists the fields that an update may change. These are those of the others
/// that people change.
const IMMUTABLE: [&str; 4] =
    ["/spec/selector", "/spec/serviceName", "/spec/podManagementPolicy", "/spec/volumeClaimTemplates"];

/// Fields that are absent or there: an empty one is not the same as none. All others that are empty are as if they were absent.
const POINTERS: [&str; 4] = ["selector", "storageClassName", "volumeAttributesClassName", "apiGroup"];

/// The fields of a StatefulSet whose change the API server refuses.
pub(super) fn immutable_changes(old: Found<'_>, new: Found<'_>) -> Vec<ImmutableChange> {
    let (Some(old_set), Some(new_set)) = (old.set(), new.set()) else { return Vec::new() };
    let changed = IMMUTABLE.into_iter().filter(|path| value(old.manifest, path) != value(new.manifest, path));
    changed.map(|path| ImmutableChange { path, pods: orphaned_pods(path, old_set, new_set) }).collect()
}

/// A field as the API server compares it: with its defaults, however it is written.
fn value(manifest: &ManifestRecord, path: &str) -> Option<Value> {
    let written = |path: &str| manifest.values.as_ref().and_then(|values| values.pointer(path)).cloned();
    let mut value = written(path).unwrap_or_default();
    match path {
        // Its default in the first version of the API.
        "/spec/selector" if value.is_null() && &*manifest.api_version == "apps/v1beta1" => {
            let labels = written("/spec/template/metadata/labels").unwrap_or_default();
            value = json!({ "matchLabels": labels });
        }
        "/spec/volumeClaimTemplates" => value.as_array_mut().into_iter().flatten().for_each(as_compared),
        "/spec/podManagementPolicy" if value == "OrderedReady" => value = Value::Null,
        _ => {}
    }
    without_empty("", value)
}

/// A claim template as the API server compares it (tried on Kubernetes 1.36): it does not keep the kind, and writes defaults and
/// quantities in one way.
fn as_compared(template: &mut Value) {
    let Some(fields) = template.as_object_mut() else { return };
    fields.retain(|key, _| key != "apiVersion" && key != "kind");
    if fields.get("status").and_then(|status| status.get("phase")).is_some_and(|phase| phase == "Pending") {
        fields.remove("status");
    }
    let Some(spec) = fields.get_mut("spec").and_then(Value::as_object_mut) else { return };
    spec.retain(|key, value| key != "volumeMode" || value != "Filesystem");
    let resources = spec.get_mut("resources").and_then(Value::as_object_mut);
    let lists = resources.into_iter().flat_map(|resources| resources.values_mut());
    for quantity in lists.filter_map(Value::as_object_mut).flat_map(|list| list.values_mut()) {
        let text = quantity.as_str().map_or_else(|| quantity.to_string(), str::to_owned);
        if let Some(number) = Quantity::parse(&text) {
            *quantity = format!("{number:?}").into();
        }
    }
}

/// A value without what is as if it were absent; `None` where nothing is left.
fn without_empty(key: &str, value: Value) -> Option<Value> {
    let value = match value {
        Value::Object(fields) => {
            let fields = fields.into_iter();
            Value::Object(
                fields.filter_map(|(key, value)| Some((key.clone(), without_empty(&key, value)?))).collect(),
            )
        }
        Value::Array(items) => {
            Value::Array(items.into_iter().map(|item| without_empty("", item).unwrap_or_default()).collect())
        }
        value => value,
    };
    let is_empty = match &value {
        Value::Null => return None,
        Value::Object(fields) => fields.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::String(text) => text.is_empty(),
        Value::Bool(_) | Value::Number(_) => false,
    };
    (!is_empty || POINTERS.contains(&key)).then_some(value)
}

/// How the pods of the old set fit the new one, as far as this field is concerned.
fn orphaned_pods(path: &str, old: &StatefulSet, new: &StatefulSet) -> OrphanedPods {
    match path {
        "/spec/selector" => {
            not_selected(&old.pod_labels(0), new).map_or(OrphanedPods::Fit, OrphanedPods::NotSelected)
        }
        "/spec/volumeClaimTemplates" => {
            let names = |set: &StatefulSet| -> BTreeSet<Box<str>> {
                set.spec.volume_claim_templates.iter().map(|claim| claim.metadata.name.clone()).collect()
            };
            let added: Vec<_> = names(new).difference(&names(old)).cloned().collect();
            if added.is_empty() { OrphanedPods::Fit } else { OrphanedPods::LackVolumes(added) }
        }
        "/spec/serviceName" => OrphanedPods::NamedUnder(old.spec.service_name.clone()),
        _ => OrphanedPods::Fit,
    }
}

/// The labels of the new template that the new selector asks for and these pods do not have; `None` where it selects them.
fn not_selected(pods: &Labels, new: &StatefulSet) -> Option<Labels> {
    let (selector, template) = (&new.spec.selector, new.spec.template.labels());
    let unmet = selector.requirements().filter(|asks| !asks.holds(pods));
    let missing = unmet.filter_map(|asks| Some((asks.key.clone(), template.get(&asks.key)?.to_owned())));
    (!selector.matches(pods)).then(|| missing.collect())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn template() -> Value {
        json!({
            "metadata": {"name": "data"},
            "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "10Gi"}}},
        })
    }

    /// Whether a claim template with this field is the same.
    fn is_same_with(path: &str, key: &str, value: &Value) -> bool {
        let mut other = template();
        other.pointer_mut(path).unwrap()[key] = value.clone();
        let mut templates = [template(), other];
        templates.iter_mut().for_each(as_compared);
        let [one, other] = templates.map(|template| without_empty("", template));
        one == other
    }

    #[test]
    fn claim_templates_are_compared_as_the_api_server_does() {
        for (path, key, value) in [
            ("", "apiVersion", json!("v1")),
            ("", "kind", json!("PersistentVolumeClaim")),
            ("", "status", json!({"phase": "Pending"})),
            ("", "status", json!({})),
            ("/metadata", "labels", json!({})),
            ("/metadata", "creationTimestamp", Value::Null),
            ("/metadata", "namespace", json!("")),
            ("/spec", "volumeMode", json!("Filesystem")),
            ("/spec", "storageClassName", Value::Null),
            ("/spec", "volumeName", json!("")),
            ("/spec/resources", "limits", json!({})),
            ("/spec/resources/requests", "storage", json!("10240Mi")),
            ("/spec/resources/requests", "storage", json!(10_737_418_240_i64)),
        ] {
            assert!(is_same_with(path, key, &value), "{path}/{key}: {value}");
        }
        for (path, key, value) in [
            ("", "status", json!({"phase": "Bound"})),
            ("/metadata", "namespace", json!("default")),
            ("/metadata", "labels", json!({"a": "b"})),
            ("/spec", "volumeMode", json!("Block")),
            ("/spec", "storageClassName", json!("")),
            ("/spec", "selector", json!({})),
            ("/spec", "accessModes", json!([])),
            ("/spec/resources/requests", "storage", json!("20Gi")),
        ] {
            assert!(!is_same_with(path, key, &value), "{path}/{key}: {value}");
        }
    }
}
