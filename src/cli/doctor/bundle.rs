//! The facts that were read, for a report of a problem: without anything secret. Pure.

use serde_json::{Map, Value, json};

use super::checks::DoctorCheck;
use super::facts::{InstallationFacts, ReadResult};
use super::output::to_json;
use crate::certs::x509::Certificate;

/// Everything that was read and found.
pub(super) fn bundle(facts: &InstallationFacts, checks: &[DoctorCheck]) -> Value {
    let certificates = match &facts.certificates {
        Ok(found) => json!({
            "secret": found.secret,
            "ca.crt": found.authorities.iter().map(shown).collect::<Vec<_>>(),
            "tls.crt": found.leaf.as_ref().map(shown),
        }),
        Err(error) => json!({"error": error.to_string()}),
    };
    let rights = facts.rights.iter().map(|(right, answer)| {
        let answer = answer.as_ref().map_or_else(|error| json!(error.to_string()), |allowed| json!(allowed));
        (right.to_string(), answer)
    });
    let logs = facts.logs.iter().map(|(pod, log)| {
        let lines = log.as_ref().map(|text| text.lines().collect::<Vec<_>>());
        (pod.clone(), lines.map_or_else(|error| json!(error.to_string()), |lines| json!(lines)))
    });
    json!({
        "result": to_json(checks),
        "version": facts.version,
        "deployment": safe(&facts.deployment),
        "pods": safe(&facts.pods),
        "service": safe(&facts.service),
        "endpointSlices": safe(&facts.slices),
        "validatingWebhookConfiguration": safe(&facts.validating),
        "mutatingWebhookConfiguration": safe(&facts.mutating),
        "certificates": certificates,
        "policies": safe(&facts.policies),
        "statefulSetPolicies": safe(&facts.policy_objects),
        "rights": rights.collect::<Map<_, _>>(),
        "probe": {
            "status": facts.probe.status,
            "message": facts.probe.message,
            "warnings": facts.probe.warnings,
            "milliseconds": facts.probe.took.iter().map(std::time::Duration::as_millis).collect::<Vec<_>>(),
        },
        "logs": logs.collect::<Map<_, _>>(),
    })
}

fn shown(certificate: &Certificate) -> Value {
    json!({
        "subject": certificate.subject, "issuer": certificate.issuer, "names": certificate.names,
        "from": certificate.from, "until": certificate.until,
    })
}

fn safe(read: &ReadResult) -> Value {
    match read {
        Ok(value) => {
            let mut value = value.clone();
            redact(&mut value);
            value
        }
        Err(error) => json!({"error": error.to_string()}),
    }
}

/// Takes out what may hold a secret or says nothing: values of environments, annotations, which tools write whole objects into, and
/// managed fields.
fn redact(value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.remove("managedFields");
            for field in ["annotations", "env", "envFrom"] {
                if map.get(field).is_some_and(|value| value.is_object() || value.is_array()) {
                    let names = names_of(&map[field]);
                    map.insert(field.to_owned(), json!(names));
                }
            }
            map.values_mut().for_each(redact);
        }
        Value::Array(items) => items.iter_mut().for_each(redact),
        _ => {}
    }
}

/// The names in a map, or in a list of things that have one.
fn names_of(value: &Value) -> Vec<String> {
    let keys = value.as_object().into_iter().flat_map(|map| map.keys().cloned());
    let named =
        value.as_array().into_iter().flatten().filter_map(|item| item["name"].as_str().map(str::to_owned));
    keys.chain(named).map(|name| format!("{name} (value left out)")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_secret_is_in_it() {
        let pod = json!({"items": [{
            "metadata": {"name": "a", "annotations": {"last-applied": "password"}, "managedFields": [{"x": "password"}]},
            "spec": {"containers": [{"env": [{"name": "TOKEN", "value": "password"}], "args": ["serve"]}]},
        }]});
        let text = safe(&Ok(pod)).to_string();
        assert!(!text.contains("password"), "{text}");
        assert!(text.contains("TOKEN") && text.contains("serve") && text.contains("last-applied"), "{text}");
    }
}
