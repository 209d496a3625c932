//! Taking over what Metacontroller has made, so that server-side apply can take away what is no longer wanted.
//!
//! Metacontroller writes whole objects, so that it is the field manager of all it has set; what another manager owns, an apply of
//! ours never removes. Its own annotations and the ports become ours therefore, before the first apply. Everything else that
//! another decorator may have set - annotations for a cloud's load balancer, an address - stays.

use serde_json::{Map, Value, json};

use super::service::DECORATOR;

/// Metacontroller's record of the fields that it has applied.
const LAST_APPLIED: &str = "metacontroller.k8s.io/last-applied-configuration";

/// The field managers of a Service as they are once `manager` has taken over; `None` where there is nothing to take over.
pub fn taken_over(managed_fields: &[Value], manager: &str) -> Option<Vec<Value>> {
    let is_ours = |entry: &Value| entry["manager"] == manager && entry["operation"] == "Apply";
    if managed_fields.iter().any(is_ours) {
        return None;
    }
    let mark = format!("f:{}", DECORATOR.0);
    let marked = |entry: &&Value| !entry["fieldsV1"]["f:metadata"]["f:annotations"][&mark].is_null();
    let theirs = managed_fields.iter().find(marked)?;
    let mut ours = json!({
        "manager": manager, "operation": "Apply", "apiVersion": "v1", "time": theirs["time"], "fieldsType": "FieldsV1",
    });
    ours["fieldsV1"] = taken(&theirs["fieldsV1"]);
    let mut entries: Vec<Value> = managed_fields.to_vec();
    for entry in &mut entries {
        without(&mut entry["fieldsV1"], &ours["fieldsV1"]);
    }
    entries.retain(|entry| entry["fieldsV1"].as_object().is_some_and(|fields| !fields.is_empty()));
    entries.push(ours);
    Some(entries)
}

/// The fields whose ownership we take over.
fn taken(fields: &Value) -> Value {
    let annotations = &fields["f:metadata"]["f:annotations"];
    let own: Map<String, Value> = [DECORATOR.0, LAST_APPLIED]
        .map(|key| format!("f:{key}"))
        .into_iter()
        .filter(|key| !annotations[key].is_null())
        .map(|key| (key, json!({})))
        .collect();
    let mut taken = json!({"f:metadata": {"f:annotations": own}});
    if let Some(ports) = fields["f:spec"].get("f:ports") {
        taken["f:spec"]["f:ports"] = ports.clone();
    }
    taken
}

/// Removes the leaves of `taken` from `fields`, and what is then empty.
fn without(fields: &mut Value, taken: &Value) {
    let (Value::Object(fields), Value::Object(taken)) = (fields, taken) else { return };
    for (key, inner) in taken {
        let Some(field) = fields.get_mut(key) else { continue };
        let is_leaf = inner.as_object().is_some_and(Map::is_empty);
        without(field, inner);
        if is_leaf || field.as_object().is_some_and(Map::is_empty) {
            fields.remove(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_and_ports_change_hands_and_the_rest_stays() {
        let annotations = json!({
            ".": {},
            "f:metacontroller.k8s.io/decorator-controller": {},
            "f:metacontroller.k8s.io/last-applied-configuration": {},
            "f:cloud/kind": {},
        });
        let ports = json!({".": {}, "k:{\"port\":80,\"protocol\":\"TCP\"}": {".": {}, "f:port": {}}});
        let theirs = json!({
            "manager": "metacontroller", "operation": "Update", "apiVersion": "v1", "time": "t", "fieldsType": "FieldsV1",
            "fieldsV1": {"f:metadata": {"f:annotations": annotations}, "f:spec": {"f:ports": ports, "f:type": {}}},
        });
        let only_ports = json!({"manager": "me", "fieldsV1": {"f:spec": {"f:ports": ports}}});
        let taken = taken_over(&[theirs.clone(), only_ports], "stateward").unwrap();
        let [left, ours] = &*taken else { panic!("{taken:?}") };
        assert_eq!(
            left["fieldsV1"],
            json!({"f:metadata": {"f:annotations": {".": {}, "f:cloud/kind": {}}}, "f:spec": {"f:type": {}}})
        );
        assert_eq!(ours["fieldsV1"]["f:spec"]["f:ports"], ports);
        assert_eq!(ours["fieldsV1"]["f:metadata"]["f:annotations"].as_object().unwrap().len(), 2);
        assert_eq!(taken_over(&taken, "stateward"), None, "once is enough");
        assert_eq!(taken_over(&[json!({"manager": "me", "fieldsV1": {}})], "stateward"), None);
    }
}
