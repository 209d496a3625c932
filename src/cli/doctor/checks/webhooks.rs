//! Whether a call of the API server gets to a pod: webhook configurations, Service, endpoints.

use std::collections::BTreeMap;

use serde_json::Value;

use super::super::facts::{InstallationFacts, ReadResult};
use super::{CheckStatus, DoctorCheck, text};
use crate::api_server::ApiError;

/// Whether the Service has the ports that the API server calls, and leads them to ports of the container.
pub(super) fn service(facts: &InstallationFacts) -> DoctorCheck {
    let what = format!("the Service {}/{}", facts.place.namespace, facts.place.name);
    let service = match &facts.service {
        Ok(service) => service,
        Err(ApiError::Status { code: 404, .. }) => {
            let edit = "apply the manifests again (deploy/README.md)";
            return DoctorCheck::new(CheckStatus::Problem, "service", format!("{what} does not exist"), edit);
        }
        Err(error) => return DoctorCheck::unread("service", &what, error),
    };
    let ports = service["spec"]["ports"].as_array().map(Vec::as_slice).unwrap_or_default();
    for (called, entries) in called_ports(facts) {
        let Some(port) = ports.iter().find(|port| port["port"] == called) else {
            let entries = entries.join(", ");
            let message = format!("{what} has no port {called}, which these webhooks name: {entries}");
            let edit = match ports.first() {
                Some(port) => format!("let clientConfig.service.port be {}", port["port"]),
                None => format!("give the Service a port {called}"),
            };
            return DoctorCheck::new(CheckStatus::Problem, "service", message, edit);
        };
        if !leads_to_container(port, facts) {
            let target = &port["targetPort"];
            let message =
                format!("{what} leads port {called} to {target}, which is no port of the container");
            let edit =
                "let targetPort of the Service be the port of the container that serves HTTPS (webhook)";
            return DoctorCheck::new(CheckStatus::Problem, "service", message, edit);
        }
    }
    DoctorCheck::ok("service", format!("{what} leads the ports that the webhooks name to the container"))
}

/// The ports of the Service that the configurations name, each with the entries that do.
fn called_ports(facts: &InstallationFacts) -> BTreeMap<i64, Vec<&str>> {
    let mut called: BTreeMap<i64, Vec<&str>> = BTreeMap::new();
    for configuration in [&facts.validating, &facts.mutating].into_iter().flatten() {
        for entry in configuration["webhooks"].as_array().into_iter().flatten() {
            let service = &entry["clientConfig"]["service"];
            if !service.is_null() {
                called.entry(service["port"].as_i64().unwrap_or(443)).or_default().push(text(entry, "name"));
            }
        }
    }
    called
}

/// A container that lists no ports may have any.
fn leads_to_container(port: &Value, facts: &InstallationFacts) -> bool {
    let Ok(deployment) = &facts.deployment else { return true };
    let listed = &deployment["spec"]["template"]["spec"]["containers"][0]["ports"];
    let listed = listed.as_array().map(Vec::as_slice).unwrap_or_default();
    let target = Some(&port["targetPort"]).filter(|target| !target.is_null()).unwrap_or(&port["port"]);
    listed.is_empty() || listed.iter().any(|of| of["name"] == *target || of["containerPort"] == *target)
}

/// Whether both configurations are there and lead to the Service.
pub(super) fn configurations(facts: &InstallationFacts) -> Vec<DoctorCheck> {
    let (namespace, name) = (&facts.place.namespace, &facts.place.name);
    let both = [
        ("ValidatingWebhookConfiguration", &facts.validating),
        ("MutatingWebhookConfiguration", &facts.mutating),
    ];
    let check = |(kind, read): (&str, &ReadResult)| match read {
        Err(ApiError::Status { code: 404, .. }) => DoctorCheck::new(
            CheckStatus::Problem,
            "webhooks",
            format!("there is no {kind} {name}: the API server asks nothing"),
            "apply the manifests again (deploy/README.md)",
        ),
        Err(error) => DoctorCheck::unread("webhooks", &format!("the {kind} {name}"), error),
        Ok(configuration) => {
            let entries = configuration["webhooks"].as_array().into_iter().flatten();
            let strays: Vec<&str> = entries
                .filter(|entry| {
                    let config = &entry["clientConfig"];
                    config["url"].is_null()
                        && (text(&config["service"], "namespace") != namespace
                            || text(&config["service"], "name") != name)
                })
                .map(|entry| text(entry, "name"))
                .collect();
            if strays.is_empty() {
                let message =
                    format!("the {kind} {name} leads to the Service {namespace}/{name}, or to a URL");
                return DoctorCheck::ok("webhooks", message);
            }
            let message =
                format!("{kind} {name}: these entries lead to another Service: {}", strays.join(", "));
            DoctorCheck::new(
                CheckStatus::Problem,
                "webhooks",
                message,
                format!("let clientConfig.service be {namespace}/{name}"),
            )
        }
    };
    both.map(check).into()
}

pub(super) fn endpoints(facts: &InstallationFacts) -> DoctorCheck {
    let slices = match &facts.slices {
        Ok(slices) => slices,
        Err(error) => return DoctorCheck::unread("endpoints", "the endpoints of the Service", error),
    };
    let endpoints = slices["items"].as_array().into_iter().flatten();
    let endpoints = endpoints.flat_map(|slice| slice["endpoints"].as_array().into_iter().flatten());
    let ready = endpoints.filter(|endpoint| endpoint["conditions"]["ready"] != false).count();
    let (namespace, name) = (&facts.place.namespace, &facts.place.name);
    if ready > 0 {
        return DoctorCheck::ok(
            "endpoints",
            format!("the Service {namespace}/{name} leads to {ready} ready pods"),
        );
    }
    let message = format!(
        "the Service {namespace}/{name} leads to no ready pod, so the API server cannot call the webhooks"
    );
    let edit = format!(
        "compare its selector with the labels of the pods: kubectl -n {namespace} get endpointslices,pods --show-labels"
    );
    DoctorCheck::new(CheckStatus::Problem, "endpoints", message, edit)
}
