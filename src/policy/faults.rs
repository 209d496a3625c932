//! All that is wrong with a document, though reading it ends at the first error.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::PolicyError;
use crate::model::{pointer_key, pointer_step};

/// Each costs a reading of the document.
const MOST_READINGS: usize = 100;

/// What a document is refused for. It is read again without each part that is wrong, so an error is not found inside of another.
pub fn all_errors<T>(document: &Value, read: impl Fn(&Value) -> Result<T, PolicyError>) -> Vec<PolicyError> {
    let mut rest = Remainder { document: document.clone(), ..Remainder::default() };
    let mut errors = Vec::new();
    for _ in 0..MOST_READINGS {
        let Err(error) = read(&rest.document) else { break };
        let Some(pointer) = rest.original(&error.pointer) else {
            errors.push(error);
            break;
        };
        let is_of_another_kind = matches!(&*pointer, "/apiVersion" | "/kind");
        let removed = rest.remove(&error.pointer, &pointer);
        // Checks read these: what is wrong with one is not known without them.
        if ["/spec/variables", "/spec/params"].iter().any(|read| pointer.starts_with(read)) {
            rest.remove("/spec/checks", "/spec/checks");
        }
        // A value that lacks a part which was taken out is taken out too, without another error.
        if !rest.lacking.remove(&pointer) {
            errors.push(PolicyError { pointer, ..error });
        }
        // In a document of another kind no field is right.
        if !removed || is_of_another_kind {
            break;
        }
    }
    errors
}

/// A document without the parts that are wrong.
#[derive(Default)]
struct Remainder {
    document: Value,
    /// For each list that items were taken out of, by its pointer, the places that the others had before.
    places: BTreeMap<String, Vec<usize>>,
    /// The pointers of maps that a field was taken out of.
    lacking: BTreeSet<String>,
}

impl Remainder {
    /// The pointer into the document as it was written; `None` where there is no such part.
    fn original(&self, pointer: &str) -> Option<String> {
        let (mut value, mut original) = (&self.document, String::new());
        for step in pointer.split('/').skip(1) {
            let key = pointer_key(step);
            let step = if let Value::Array(items) = value {
                let index: usize = key.parse().ok()?;
                value = items.get(index)?;
                let before = self.places.get(&original).and_then(|places| places.get(index));
                before.unwrap_or(&index).to_string()
            } else {
                value = value.get(&*key)?;
                pointer_step(&key)
            };
            original = original + "/" + &step;
        }
        Some(original)
    }

    /// Takes out a part. Says whether there was one; the whole document is none.
    fn remove(&mut self, pointer: &str, original: &str) -> bool {
        let (Some((above, step)), Some((original_above, _))) =
            (pointer.rsplit_once('/'), original.rsplit_once('/'))
        else {
            return false;
        };
        match self.document.pointer_mut(above) {
            Some(Value::Array(items)) => {
                let Some(index) = step.parse().ok().filter(|index: &usize| *index < items.len()) else {
                    return false;
                };
                let all = || (0..items.len()).collect();
                self.places.entry(original_above.to_owned()).or_insert_with(all).remove(index);
                items.remove(index);
                true
            }
            Some(Value::Object(map)) => {
                let is_there = map.remove(&*pointer_key(step)).is_some();
                if is_there {
                    self.lacking.insert(original_above.to_owned());
                }
                is_there
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::policy::{NamespaceExemption, Policy};

    fn pointers<T>(document: &Value, read: impl Fn(&Value) -> Result<T, PolicyError>) -> Vec<String> {
        let errors = all_errors(document, read);
        errors.into_iter().map(|error| format!("{}: {}", error.pointer, error.message)).collect()
    }

    fn policy(spec: &Value) -> Vec<String> {
        let document = json!({
            "apiVersion": "stateward.dev/v1alpha1", "kind": "StatefulSetPolicy", "metadata": {"name": "p"}, "spec": spec,
        });
        pointers(&document, Policy::from_json)
    }

    #[test]
    fn nothing_is_said_of_a_good_policy() {
        assert!(policy(&json!({"rules": [{"rule": "quorum-even", "level": "warn"}]})).is_empty());
    }

    #[test]
    fn every_independent_error_is_found_at_its_own_place() {
        let found = policy(&json!({
            "priorty": 1,
            "priority": "high",
            "rules": [
                {"rule": "quorum-evne", "level": "deny"},
                {"rule": "quorum-even", "level": "deny"},
                {"rule": "quorum-even", "level": "denied", "clases": []},
                {"level": "deny"},
                {"rule": "spread-missing", "level": "warn", "params": {"keys": 1}},
            ],
            "classes": [{"class": "quorum"}],
            "checks": [{"name": "a", "expression": "object.spec.", "message": "m", "level": "warn"}],
        }));
        let places: BTreeSet<&str> = found.iter().map(|error| error.split(": ").next().unwrap()).collect();
        let expected = [
            "/spec/checks/0/expression",
            "/spec/classes/0",
            "/spec/priority",
            "/spec/priorty",
            "/spec/rules/0/rule",
            "/spec/rules/2/clases",
            "/spec/rules/2/level",
            "/spec/rules/3",
            "/spec/rules/4/params/keys",
        ];
        assert_eq!(places.into_iter().collect::<Vec<_>>(), expected, "{found:#?}");
        assert_eq!(found.len(), expected.len(), "{found:#?}");
    }

    #[test]
    fn what_reads_a_wrong_part_is_not_called_wrong_for_that() {
        let check = json!({"name": "a", "expression": "variables.x == 1", "message": "m", "level": "warn"});
        let found = policy(&json!({"variables": [{"name": "x", "expression": "1 +"}], "checks": [check]}));
        assert_eq!(found.len(), 1, "{found:#?}");
        assert!(found[0].starts_with("/spec/variables/0/expression"), "{found:#?}");
    }

    #[test]
    fn a_document_that_is_none_has_one_error() {
        for document in [json!([]), json!("text"), json!({"kind": 1}), json!({})] {
            assert_eq!(pointers(&document, Policy::from_json).len(), 1, "{document}");
        }
        let exemption = json!({
            "apiVersion": "stateward.dev/v1alpha1", "kind": "StatefulSetExemption",
            "metadata": {"name": "e", "namespace": "n"}, "spec": {"rules": ["quorum-evne"], "names": [1], "why": "x"},
        });
        let found = pointers(&exemption, NamespaceExemption::from_json);
        assert!(found.len() >= 2 && found[0].contains("/spec/"), "{found:#?}");
    }

    #[test]
    fn a_document_with_nothing_but_errors_ends() {
        let rules: Vec<Value> = (0..1000).map(|_| json!({"rule": "x", "level": "deny"})).collect();
        assert!(policy(&json!({"rules": rules})).len() <= MOST_READINGS);
    }
}
