use base64::Engine as _;
use jiff::SignedDuration;
use serde_json::json;

use super::super::facts::{Certificates, InstallationPlace, ProbeAnswer};
use super::*;
use crate::certs::authority::{Identity, Validity};
use crate::webhook_config::{mutating, validating};

fn now() -> Timestamp {
    "2026-05-01T12:00:00Z".parse().unwrap()
}

fn days(days: i64) -> SignedDuration {
    SignedDuration::from_hours(24 * days)
}

fn authority() -> Identity {
    Identity::authority(Validity::lasting(days(400), now()).unwrap()).unwrap()
}

/// A configuration whose entries trust this CA.
fn trusting(mut configuration: Value, ca: &Identity) -> Value {
    let bundle = base64::engine::general_purpose::STANDARD.encode(ca.certificate.pem());
    for entry in configuration["webhooks"].as_array_mut().unwrap() {
        entry["clientConfig"]["caBundle"] = bundle.clone().into();
    }
    configuration
}

/// An installation in which nothing is wrong.
fn healthy() -> InstallationFacts {
    let ca = authority();
    let hosts = ["stateward.stateward.svc".to_owned()];
    let leaf = ca.issue(hosts, Validity::lasting(days(90), now()).unwrap()).unwrap();
    let pod = json!({"spec": {"containers": [{"image": "stateward:0.1.0"}]}});
    let namespace = json!({"metadata": {"name": "prod", "labels": {"kubernetes.io/metadata.name": "prod"}}});
    let message = "admission webhook \"statefulsets.stateward.dev\" denied the request: name-too-long";
    InstallationFacts {
        place: InstallationPlace {
            namespace: "stateward".to_owned(),
            name: "stateward".to_owned(),
            probe_namespace: "default".to_owned(),
        },
        version: json!({"minor": "36+", "gitVersion": "v1.36.1"}),
        deployment: Ok(json!({
            "spec": {"replicas": 2, "template": {"spec": {"containers": [{"ports": [{"name": "webhook"}]}]}}},
            "status": {"readyReplicas": 2},
        })),
        service: Ok(json!({"spec": {"ports": [{"port": 443, "targetPort": "webhook"}]}})),
        pods: Ok(json!({"items": [pod, pod]})),
        slices: Ok(json!({"items": [{"endpoints": [{"conditions": {"ready": true}}]}]})),
        validating: Ok(trusting(validating(), &ca)),
        mutating: Ok(trusting(mutating(), &ca)),
        certificates: Ok(Certificates {
            secret: "stateward-tls".to_owned(),
            authorities: vec![ca.certificate],
            leaf: Some(leaf.certificate),
        }),
        policies: Ok(Value::Null),
        policy_objects: Ok(Value::Null),
        namespaces: Ok(json!({"items": [namespace]})),
        sets: Ok(json!({"items": [{"metadata": {"namespace": "prod", "name": "etcd"}}]})),
        rights: Vec::new(),
        probe: ProbeAnswer {
            status: 422,
            message: message.to_owned(),
            warnings: Vec::new(),
            took: vec![Duration::from_millis(9); 5],
        },
        logs: Vec::new(),
    }
}

/// What is not all right, each with its message.
fn found(facts: &InstallationFacts) -> Vec<(CheckStatus, &'static str, String)> {
    let checks = checks(facts, now()).into_iter().filter(|check| check.status != CheckStatus::Ok);
    checks.map(|check| (check.status, check.about, check.message)).collect()
}

/// Fails unless this change to a healthy installation is found, with these words, and nothing else is.
fn finds(status: CheckStatus, about: &'static str, words: &str, change: impl FnOnce(&mut InstallationFacts)) {
    let mut facts = healthy();
    change(&mut facts);
    let mut found = found(&facts);
    found.retain(|(status, about, _)| (*status, *about) != (CheckStatus::Note, "failure-policy"));
    let is_it = |(is, of, message): &(CheckStatus, &str, String)| {
        (*is, *of) == (status, about) && message.contains(words)
    };
    assert!(found.len() == 1 && found.iter().all(is_it), "{about}: {found:?}");
}

#[test]
fn nothing_is_wrong_with_an_installation_as_it_is_shipped() {
    let notes: Vec<_> = found(&healthy()).into_iter().map(|(status, about, _)| (status, about)).collect();
    assert_eq!(notes, [(CheckStatus::Note, "failure-policy")]);
}

#[test]
fn what_is_wrong_is_found_and_nothing_else() {
    use CheckStatus::{Note, Problem, Unknown, Warning};
    let status = |code: u16| ApiError::Status { code, message: "no".to_owned() };
    finds(Problem, "version", "v1.29.0", |facts| {
        facts.version = json!({"minor": "29", "gitVersion": "v1.29.0"});
    });
    finds(Problem, "deployment", "does not exist", |facts| facts.deployment = Err(status(404)));
    finds(Unknown, "deployment", "403", |facts| facts.deployment = Err(status(403)));
    finds(Problem, "deployment", "0 of 2", |facts| facts.deployment = Ok(json!({"spec": {"replicas": 2}})));
    finds(Warning, "deployment", "1 of 2", |facts| {
        facts.deployment = Ok(json!({"spec": {"replicas": 2}, "status": {"readyReplicas": 1}}));
    });
    finds(Problem, "service", "does not exist", |facts| facts.service = Err(status(404)));
    finds(Unknown, "service", "403", |facts| facts.service = Err(status(403)));
    finds(Problem, "service", "no port 8443, which these webhooks name: statefulsets", |facts| {
        facts.validating.as_mut().unwrap()["webhooks"][0]["clientConfig"]["service"]["port"] = 8443.into();
    });
    finds(Problem, "service", "leads port 443 to 9443", |facts| {
        facts.service.as_mut().unwrap()["spec"]["ports"][0]["targetPort"] = 9443.into();
    });
    finds(Problem, "endpoints", "no ready pod", |facts| facts.slices = Ok(json!({"items": []})));
    finds(Warning, "image", "a:1, a:2", |facts| {
        let pod = |image: &str| json!({"spec": {"containers": [{"image": image}]}});
        facts.pods = Ok(json!({"items": [pod("a:1"), pod("a:2")]}));
    });
    finds(Problem, "webhooks", "another Service: statefulsets.stateward.dev", |facts| {
        facts.validating.as_mut().unwrap()["webhooks"][0]["clientConfig"]["service"]["name"] = "other".into();
    });
    finds(Problem, "webhooks", "no MutatingWebhookConfiguration", |facts| facts.mutating = Err(status(404)));
    finds(Problem, "certificate", "empty in statefulsets.stateward.dev", |facts| {
        facts.validating.as_mut().unwrap()["webhooks"][0]["clientConfig"]["caBundle"] = Value::Null;
    });
    finds(Problem, "certificate", "no CA that signed", |facts| {
        facts.validating = Ok(trusting(validating(), &authority()));
    });
    finds(Unknown, "certificate", "403", |facts| facts.certificates = Err(status(403)));
    finds(Problem, "certificate", "is not for guard.stateward.svc", |facts| {
        facts.place.name = "guard".to_owned();
        for configuration in [&mut facts.validating, &mut facts.mutating] {
            for entry in configuration.as_mut().unwrap()["webhooks"].as_array_mut().unwrap() {
                entry["clientConfig"]["service"]["name"] = "guard".into();
            }
        }
    });
    finds(Problem, "policies", "not in force", |facts| facts.policies = Ok(json!({"a.yaml": "kind: x"})));
    finds(Problem, "policies", "StatefulSetPolicy ours:", |facts| {
        let spec = json!({"rules": [{"rule": "quorum-evne", "level": "deny"}]});
        facts.policy_objects =
            Ok(json!([{"metadata": {"name": "ours", "uid": "u"}, "spec": spec, "status": {}}]));
    });
    finds(Problem, "reached", "x509", |facts| {
        facts.probe.message =
            "failed calling webhook \"statefulsets.stateward.dev\": x509: unknown".to_owned();
    });
    finds(Problem, "reached", "may be created", |facts| {
        (facts.probe.status, facts.probe.message) = (201, String::new());
    });
    finds(Unknown, "reached", "other.example", |facts| {
        facts.probe.message = "admission webhook \"other.example\" denied the request".to_owned();
    });
    finds(Warning, "latency", "2000 ms", |facts| facts.probe.took = vec![Duration::from_secs(2); 5]);
    finds(Warning, "registered", "DELETE services", |facts| {
        let webhooks = facts.validating.as_mut().unwrap()["webhooks"].as_array_mut().unwrap();
        webhooks.retain(|entry| entry["name"] != "services.stateward.dev");
    });
    finds(Note, "guarded-namespaces", "kube-system (1)", |facts| {
        let labels = json!({"kubernetes.io/metadata.name": "kube-system"});
        facts.namespaces = Ok(json!({"items": [{"metadata": {"name": "kube-system", "labels": labels}}]}));
        facts.sets = Ok(json!({"items": [{"metadata": {"namespace": "kube-system"}}]}));
    });
}

#[test]
fn files_that_the_server_does_not_read_are_no_policies() {
    let mut facts = healthy();
    facts.policies = Ok(json!({"log": "info,stateward=debug"}));
    assert!(found(&facts).iter().all(|(_, about, _)| *about != "policies"));
}

#[test]
fn a_certificate_that_ends_is_told_of_before() {
    let at = |time: &str| checks(&healthy(), time.parse().unwrap());
    let status =
        |checks: Vec<DoctorCheck>| checks.iter().find(|check| check.about == "certificate").unwrap().status;
    assert_eq!(status(at("2026-07-30T06:00:00Z")), CheckStatus::Warning);
    assert_eq!(status(at("2026-08-02T12:00:00Z")), CheckStatus::Problem);
}
