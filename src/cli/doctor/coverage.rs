//! Objects that are not guarded, and the reasons. Pure.

use std::collections::BTreeMap;

use serde_json::Value;

use super::checks::{CheckStatus, DoctorCheck};
use super::facts::InstallationFacts;
use crate::model::{LabelSelector, Labels};
use crate::webhook_config::{ALWAYS_OPEN, mutating, validating};

/// Says what passes without a review.
pub(super) fn coverage(facts: &InstallationFacts, checks: &mut Vec<DoctorCheck>) {
    for (found, shipped) in [(&facts.validating, validating()), (&facts.mutating, mutating())] {
        if let Ok(found) = found {
            missing_entries(found, &shipped, checks);
        }
    }
    if let Ok(validating) = &facts.validating {
        open_entries(validating, checks);
        unguarded_namespaces(facts, validating, checks);
    }
}

fn entries(configuration: &Value) -> impl Iterator<Item = &Value> {
    configuration["webhooks"].as_array().into_iter().flatten()
}

fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().unwrap_or_default()
}

/// Changes that rules look at and that the API server does not ask about.
fn missing_entries(found: &Value, shipped: &Value, checks: &mut Vec<DoctorCheck>) {
    let asks = |configuration: &Value| {
        let mut asked = Vec::new();
        for rule in entries(configuration).flat_map(|entry| entry["rules"].as_array().into_iter().flatten()) {
            for resource in rule["resources"].as_array().into_iter().flatten().filter_map(Value::as_str) {
                let operations = rule["operations"].as_array().into_iter().flatten();
                asked.extend(operations.filter_map(Value::as_str).map(|o| format!("{o} {resource}")));
            }
        }
        asked
    };
    let found_asks = asks(found);
    let missing: Vec<String> =
        asks(shipped).into_iter().filter(|wanted| !found_asks.contains(wanted)).collect();
    let kind = text(shipped, "kind");
    if missing.is_empty() {
        checks.push(DoctorCheck::ok(
            "registered",
            format!("{kind}: every change that a rule looks at is reviewed"),
        ));
    } else {
        checks.push(DoctorCheck::new(
            CheckStatus::Warning,
            "registered",
            format!("{kind}: these changes are not reviewed: {}", missing.join(", ")),
            "apply the manifests of this version again; docs/upgrade.md says how",
        ));
    }
}

/// The requests that pass while the guard is down.
fn open_entries(validating: &Value, checks: &mut Vec<DoctorCheck>) {
    let open: Vec<&str> = entries(validating)
        .filter(|entry| text(entry, "failurePolicy") == "Ignore")
        .map(|entry| text(entry, "name"))
        .filter(|name| !ALWAYS_OPEN.contains(name))
        .collect();
    if !open.is_empty() {
        checks.push(DoctorCheck::new(
            CheckStatus::Note,
            "failure-policy",
            format!(
                "while Stateward cannot be asked, these changes pass: {} (failurePolicy Ignore)",
                open.join(", ")
            ),
            "for Fail read docs/fail.md first",
        ));
    }
}

/// Namespaces with StatefulSets that no webhook selects.
fn unguarded_namespaces(facts: &InstallationFacts, validating: &Value, checks: &mut Vec<DoctorCheck>) {
    let (Ok(namespaces), Ok(sets)) = (&facts.namespaces, &facts.sets) else {
        checks.push(DoctorCheck::new(
            CheckStatus::Unknown,
            "guarded-namespaces",
            "namespaces or StatefulSets cannot be listed with these rights".to_owned(),
            "",
        ));
        return;
    };
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for set in sets["items"].as_array().into_iter().flatten() {
        *counts.entry(text(&set["metadata"], "namespace")).or_default() += 1;
    }
    let mut unguarded = Vec::new();
    for namespace in namespaces["items"].as_array().into_iter().flatten() {
        let name = text(&namespace["metadata"], "name");
        let Some(count) = counts.get(name) else { continue };
        let labels: Labels =
            serde_json::from_value(namespace["metadata"]["labels"].clone()).unwrap_or_default();
        let is_guarded = entries(validating).any(|entry| {
            let selector =
                serde_json::from_value::<Option<LabelSelector>>(entry["namespaceSelector"].clone());
            selector.is_ok_and(|selector| selector.is_none_or(|selector| selector.matches(&labels)))
        });
        if !is_guarded {
            unguarded.push(format!("{name} ({count})"));
        }
    }
    checks.push(if unguarded.is_empty() {
        let (sets, namespaces) = (counts.values().sum::<usize>(), counts.len());
        DoctorCheck::ok(
            "guarded-namespaces",
            format!("all {sets} StatefulSets, in {namespaces} namespaces, are guarded"),
        )
    } else {
        DoctorCheck::new(
            CheckStatus::Note,
            "guarded-namespaces",
            format!(
                "namespaces with StatefulSets that namespaceSelector leaves out: {}",
                unguarded.join(", ")
            ),
            "take them out of the exclusion where they are to be guarded",
        )
    });
}
