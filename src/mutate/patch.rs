//! From additions to JSON Patch operations.

use json_patch::jsonptr::PointerBuf;
use json_patch::{AddOperation, Patch, PatchOperation};
use serde_json::{Map, Value, json};

use super::Addition;

/// The operations that make the additions to `object`: each missing map on the way is added first, and what is there by now, or
/// is under something that is no map, is left as it is.
///
/// They are written out one by one. The difference between an object and what a typed reading makes of it would remove whatever
/// the type does not know.
pub fn patch(mut object: Value, additions: &[Addition]) -> Patch {
    let mut operations = Vec::new();
    for addition in additions {
        add(&mut object, addition, &mut operations);
    }
    Patch(operations)
}

/// Makes one addition, and writes down each step of it.
fn add(object: &mut Value, addition: &Addition, operations: &mut Vec<PatchOperation>) {
    let (mut pointer, mut at) = (PointerBuf::new(), object);
    for key in addition.map.path() {
        pointer.push_back(*key);
        let Value::Object(map) = at else { return };
        at = map.entry(*key).or_insert(Value::Null);
        if at.is_null() {
            *at = Value::Object(Map::new());
            operations.push(operation(&pointer, json!({})));
        }
    }
    let Value::Object(map) = at else { return };
    if !map.contains_key(&addition.key) {
        pointer.push_back(&*addition.key);
        operations.push(operation(&pointer, json!(addition.value)));
        map.insert(addition.key.clone(), json!(addition.value));
    }
}

fn operation(pointer: &PointerBuf, value: Value) -> PatchOperation {
    PatchOperation::Add(AddOperation { path: pointer.clone(), value })
}
