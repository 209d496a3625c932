//! Writes, as far as anything here writes: create, and replace by compare and swap.

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
