//! Writes, as far as anything here writes: create, replace by compare and swap, and server-side apply (by force, and without
//! a memory of who owns what).

use super::{Answer, Inner, Target, json_answer, status};
use serde_json::{Value, json};

impl Inner {
    /// An event is kept nowhere: it has no name of its own.
    pub(super) fn create(&mut self, target: &Target, object: Value) -> Answer {
        let Some(name) = object["metadata"]["name"].as_str() else { return json_answer(&object) };
        let key = key_of(target, name);
        if self.objects.contains_key(&key) {
            return status(409, "already exists");
        }
        self.store(key, object)
    }

    pub(super) fn replace(&mut self, target: &Target, object: Value) -> Answer {
        let key = key_of(target, target.name.as_deref().unwrap());
        let Some(before) = self.objects.get(&key) else { return status(404, "not found") };
        let (given, current) =
            (&object["metadata"]["resourceVersion"], &before["metadata"]["resourceVersion"]);
        if given.is_string() && given != current {
            return status(409, "the object has been modified");
        }
        if is_same(before, &object) {
            return json_answer(before);
        }
        self.store(key, object)
    }

    pub(super) fn apply(&mut self, target: &Target, change: Value) -> Answer {
        let key = key_of(target, target.name.as_deref().unwrap());
        let Some(before) = self.objects.get(&key) else {
            return if change["metadata"]["uid"].is_string() {
                status(409, "there is none of this uid")
            } else {
                self.store(key, change)
            };
        };
        for precondition in ["uid", "resourceVersion"] {
            let given = &change["metadata"][precondition];
            if given.is_string() && *given != before["metadata"][precondition] {
                return status(409, "the object is another one");
            }
        }
        let mut after = before.clone();
        merge(&mut after, &change);
        if after["webhooks"].as_array().into_iter().flatten().any(|entry| entry["sideEffects"].is_null()) {
            return status(422, "webhooks: sideEffects: Required value");
        }
        if is_same(before, &after) {
            return json_answer(before);
        }
        self.store(key, after)
    }

    /// Keeps the object under a new version; one that was there keeps its uid.
    pub(super) fn store(&mut self, key: (String, String, String), mut object: Value) -> Answer {
        self.version += 1;
        let before = self.objects.get(&key).map(|before| before["metadata"]["uid"].clone());
        object["metadata"]["uid"] = before.clone().unwrap_or_else(|| json!(format!("uid-{}", self.version)));
        object["metadata"]["name"] = json!(key.2);
        object["metadata"]["resourceVersion"] = json!(self.version.to_string());
        if !key.1.is_empty() {
            object["metadata"]["namespace"] = json!(key.1);
        }
        let event = if before.is_some() { "MODIFIED" } else { "ADDED" };
        self.log(&key.0, event, object.clone());
        let answer = json_answer(&object);
        self.objects.insert(key, object);
        answer
    }
}

pub(super) fn key_of(target: &Target, name: &str) -> (String, String, String) {
    (target.resource.clone(), target.namespace.clone().unwrap_or_default(), name.to_owned())
}

/// Whether a write changes nothing, so that there is no new version either.
fn is_same(before: &Value, after: &Value) -> bool {
    let without_meta = |object: &Value| {
        let mut object = object.clone();
        for field in ["resourceVersion", "uid", "managedFields", "namespace", "name"] {
            object["metadata"].as_object_mut().unwrap().remove(field);
        }
        object
    };
    without_meta(before) == without_meta(after)
}

/// Lists of what has a name are merged by that, as the API server does with those of webhooks.
fn merge(into: &mut Value, change: &Value) {
    match (into, change) {
        (Value::Object(into), Value::Object(change)) => {
            for (key, value) in change {
                merge(into.entry(key).or_insert(Value::Null), value);
            }
        }
        (Value::Array(into), Value::Array(change)) if change.iter().all(|item| item["name"].is_string()) => {
            for item in change {
                match into.iter_mut().find(|other| other["name"] == item["name"]) {
                    Some(other) => merge(other, item),
                    None => into.push(item.clone()),
                }
            }
        }
        (into, change) => *into = change.clone(),
    }
}
