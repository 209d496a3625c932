//! Server-side apply, merge patches and deletions, as a real server does them for Services, for the status of sets and for webhook
//! configurations.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::write::key_of;
use super::{Answer, Inner, Target, json_answer, status};

/// What identifies an item of a list that is merged; others are replaced.
const LISTS: [(&str, &[&str]); 4] = [
    ("ports", &["port", "protocol"]),
    ("ownerReferences", &["uid"]),
    ("conditions", &["type"]),
    ("webhooks", &["name"]),
];
/// Maps that are replaced as a whole.
const ATOMIC: [&str; 1] = ["selector"];
/// Parts of the metadata that nobody owns.
const UNOWNED: [&str; 5] = ["name", "namespace", "uid", "resourceVersion", "managedFields"];

impl Inner {
    pub(super) fn patch(
        &mut self,
        target: &Target,
        content: &str,
        query: &BTreeMap<String, String>,
        change: &Value,
    ) -> Answer {
        let key = key_of(target, target.name.as_deref().unwrap());
        let before = self.objects.get(&key).cloned();
        if let Some(refused) = precondition(before.as_ref(), &change["metadata"]) {
            return refused;
        }
        let is_apply = content.contains("apply-patch");
        let Some(live) = before.clone().or_else(|| {
            (is_apply && target.part.is_none()).then(|| json!({"metadata": {"managedFields": []}}))
        }) else {
            return status(404, "not found");
        };
        let after = if is_apply {
            match applied(live, change, &query["fieldManager"], query.contains_key("force")) {
                Ok(after) => after,
                Err(conflict) => return status(409, &format!("Apply failed: conflict at {conflict}")),
            }
        } else {
            let mut after = live;
            merge_patch(&mut after, change);
            after
        };
        let after = match finished(before.as_ref(), after, target, self.version) {
            Ok(after) => after,
            Err(reason) => return status(422, &reason),
        };
        match before {
            Some(before) if before == after => json_answer(&before),
            _ => self.store(key, after),
        }
    }

    pub(super) fn remove(&mut self, target: &Target, options: &Value) -> Answer {
        let key = key_of(target, target.name.as_deref().unwrap());
        let Some(mut before) = self.objects.get(&key).cloned() else { return status(404, "not found") };
        if let Some(refused) = precondition(Some(&before), &options["preconditions"]) {
            return refused;
        }
        if before["metadata"]["finalizers"].as_array().is_some_and(|finalizers| !finalizers.is_empty()) {
            before["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
            return self.store(key, before);
        }
        self.version += 1;
        self.objects.remove(&key);
        before["metadata"]["resourceVersion"] = json!(self.version.to_string());
        self.log(&target.resource, "DELETED", before.clone());
        json_answer(
            &json!({"kind": "Status", "status": "Success", "details": {"uid": before["metadata"]["uid"]}}),
        )
    }
}

/// `given` may name the uid and the version that the object must have.
fn precondition(before: Option<&Value>, given: &Value) -> Option<Answer> {
    for field in ["uid", "resourceVersion"] {
        let current = before.map(|before| &before["metadata"][field]);
        if !given[field].is_null() && current != Some(&given[field]) {
            return Some(status(409, &format!("{field} is not {}", given[field])));
        }
    }
    None
}

fn applied(mut live: Value, change: &Value, manager: &str, force: bool) -> Result<Value, String> {
    let mut change = change.clone();
    for field in ["apiVersion", "kind"] {
        change.as_object_mut().unwrap().remove(field);
    }
    let metadata = change["metadata"].as_object_mut().unwrap();
    metadata.retain(|field, _| !UNOWNED.contains(&field.as_str()));
    let fields = fields_of("", &change);
    let entries = live["metadata"]["managedFields"].take();
    let is_ours = |entry: &Value| entry["manager"] == manager && entry["operation"] == "Apply";
    let (ours, mut others): (Vec<Value>, Vec<Value>) =
        entries.as_array().cloned().unwrap_or_default().into_iter().partition(is_ours);
    for other in &mut others {
        if let Some(conflict) = contested("", &live, &change, &other["fieldsV1"]) {
            if !force {
                return Err(conflict);
            }
            disown(&mut other["fieldsV1"], &fields, &live, &change);
        }
    }
    let mut keep: Vec<&Value> = others.iter().map(|other| &other["fieldsV1"]).collect();
    keep.push(&fields);
    for own in &ours {
        prune("", &mut live, &own["fieldsV1"], &keep);
    }
    merge("", &mut live, &change);
    others.push(json!({
        "manager": manager, "operation": "Apply", "apiVersion": "v1", "fieldsType": "FieldsV1", "fieldsV1": fields,
    }));
    live["metadata"]["managedFields"] = json!(others);
    Ok(live)
}

/// The fields of an object as `managedFields` has them.
fn fields_of(name: &str, value: &Value) -> Value {
    match value {
        Value::Object(map) if !ATOMIC.contains(&name) => {
            map.iter().map(|(key, inner)| (format!("f:{key}"), fields_of(key, inner))).collect()
        }
        Value::Array(items) if keys_of(name).is_some() => {
            let item = |item: &Value| {
                let mut fields = fields_of("", item);
                fields["."] = json!({});
                (item_key(name, item), fields)
            };
            items.iter().map(item).collect()
        }
        _ => json!({}),
    }
}

fn keys_of(list: &str) -> Option<&'static [&'static str]> {
    LISTS.iter().find(|(name, _)| *name == list).map(|(_, keys)| *keys)
}

fn item_key(list: &str, item: &Value) -> String {
    let keys = keys_of(list).unwrap();
    let pairs: Map<String, Value> = keys.iter().map(|key| ((*key).to_owned(), item[*key].clone())).collect();
    format!("k:{}", Value::Object(pairs))
}

fn item<'a>(list: &str, items: &'a mut Value, key: &str) -> Option<&'a mut Value> {
    items.as_array_mut()?.iter_mut().find(|item| item_key(list, item) == key)
}

/// A field of another manager's that would change.
fn contested(name: &str, live: &Value, change: &Value, theirs: &Value) -> Option<String> {
    for (field, inner) in theirs.as_object()? {
        let (live, change, key) = if let Some(key) = field.strip_prefix("f:") {
            (&live[key], change.get(key), key)
        } else {
            let of =
                |items: &Value| items.as_array()?.iter().find(|item| item_key(name, item) == *field).cloned();
            let (Some(live), Some(change)) = (of(live), of(change)) else { continue };
            if let Some(conflict) = contested("", &live, &change, inner) {
                return Some(conflict);
            }
            continue;
        };
        let Some(change) = change else { continue };
        if inner.as_object().is_some_and(Map::is_empty) {
            if live != change {
                return Some(key.to_owned());
            }
        } else if let Some(conflict) = contested(key, live, change, inner) {
            return Some(conflict);
        }
    }
    None
}

/// What changes by force is no longer theirs.
fn disown(theirs: &mut Value, fields: &Value, live: &Value, change: &Value) {
    let (Value::Object(theirs), Value::Object(fields)) = (theirs, fields) else { return };
    for (field, inner) in fields {
        let Some(their) = theirs.get_mut(field) else { continue };
        let key = field.strip_prefix("f:").unwrap_or(field);
        if inner.as_object().is_some_and(Map::is_empty) {
            if field != "." && live[key] != change[key] {
                theirs.remove(field);
            }
        } else {
            disown(their, inner, &live[key], &change[key]);
        }
    }
}

/// Takes away what was applied before and is nobody's now.
fn prune(name: &str, live: &mut Value, old: &Value, keep: &[&Value]) {
    let Some(old) = old.as_object() else { return };
    for (field, inner) in old.iter().filter(|(field, _)| *field != ".") {
        let kept: Vec<&Value> = keep.iter().filter_map(|fields| fields.get(field)).collect();
        let is_leaf = inner.as_object().is_some_and(Map::is_empty);
        match (field.strip_prefix("f:"), &mut *live) {
            (Some(key), Value::Object(map)) if is_leaf && kept.is_empty() => drop(map.remove(key)),
            (Some(key), Value::Object(map)) => {
                let Some(value) = map.get_mut(key) else { continue };
                prune(key, value, inner, &kept);
                if kept.is_empty() && matches!(value, Value::Array(items) if items.is_empty()) {
                    map.remove(key);
                }
            }
            (None, Value::Array(items)) if kept.is_empty() => {
                items.retain(|item| item_key(name, item) != *field);
            }
            (None, items) => {
                if let Some(found) = item(name, items, field) {
                    prune("", found, inner, &kept);
                }
            }
            _ => {}
        }
    }
}

fn merge(name: &str, live: &mut Value, change: &Value) {
    match change {
        Value::Object(map) if live.is_object() && !ATOMIC.contains(&name) => {
            for (key, value) in map {
                merge(key, &mut live[key], value);
            }
        }
        Value::Array(changes) if live.is_array() && keys_of(name).is_some() => {
            for change in changes {
                match item(name, live, &item_key(name, change)) {
                    Some(live) => merge("", live, change),
                    None => live.as_array_mut().unwrap().push(change.clone()),
                }
            }
        }
        _ => *live = change.clone(),
    }
}

fn merge_patch(live: &mut Value, change: &Value) {
    let Value::Object(change) = change else {
        *live = change.clone();
        return;
    };
    for (key, value) in change {
        if value.is_null() {
            live.as_object_mut().unwrap().remove(key);
        } else {
            merge_patch(&mut live[key], value);
        }
    }
}

/// What a real server fills in, keeps apart and refuses.
fn finished(before: Option<&Value>, mut after: Value, target: &Target, seed: u64) -> Result<Value, String> {
    if let Some(before) = before {
        let other = if target.part.is_some() { "spec" } else { "status" };
        after[other] = before[other].clone();
    }
    if after["webhooks"].as_array().into_iter().flatten().any(|entry| entry["sideEffects"].is_null()) {
        return Err("webhooks: sideEffects: Required value".to_owned());
    }
    if target.resource != "services" {
        return Ok(after);
    }
    let class = |service: &Value| {
        (service["spec"]["type"] == "LoadBalancer").then(|| service["spec"]["loadBalancerClass"].clone())
    };
    if let (Some(old), Some(new)) = (before.and_then(class), class(&after))
        && old != new
    {
        return Err("spec.loadBalancerClass: Invalid value: may not change once set".to_owned());
    }
    let names: Vec<&Value> =
        after["spec"]["ports"].as_array().into_iter().flatten().map(|port| &port["name"]).collect();
    if names.iter().enumerate().any(|(index, name)| names[..index].contains(name)) {
        return Err("spec.ports[1].name: Duplicate value".to_owned());
    }
    let spec = &mut after["spec"];
    if spec["clusterIP"].is_null() {
        spec["clusterIP"] = json!(format!("10.0.{}.{}", seed / 256 % 256, seed % 256));
    }
    let has_node_ports = spec["type"] != "ClusterIP";
    for (index, port) in spec["ports"].as_array_mut().unwrap().iter_mut().enumerate() {
        if !has_node_ports {
            port.as_object_mut().unwrap().remove("nodePort");
        } else if port["nodePort"].is_null() {
            port["nodePort"] = json!(30000 + (seed * 7 + index as u64) % 2768);
        }
    }
    Ok(after)
}
