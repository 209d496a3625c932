//! The rights that an installation needs: those of its own manifests. Pure.

use serde_json::{Value, json};

use super::facts::InstallationPlace;
use crate::manifest::{Source, SourceOrigin, read};

const BASE: &str = include_str!("../../../deploy/base/rbac.yaml");
const PER_POD: &str = include_str!("../../../deploy/components/service-per-pod/rbac.yaml");
const REPORTS: &str = include_str!("../../../deploy/components/reports/rbac.yaml");

/// One verb on one kind of objects, or on one object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Right {
    verb: String,
    group: String,
    /// `statefulsets`, or `statefulsets/status`.
    resource: String,
    /// `None` in the whole cluster.
    namespace: Option<String>,
    name: Option<String>,
}

impl Right {
    /// The form in which an access review asks for it.
    pub(super) fn attributes(&self) -> Value {
        let (resource, part) = self.resource.split_once('/').unwrap_or((&self.resource, ""));
        json!({
            "verb": self.verb, "group": self.group, "resource": resource, "subresource": part,
            "namespace": self.namespace.as_deref().unwrap_or_default(),
            "name": self.name.as_deref().unwrap_or_default(),
        })
    }
}

impl std::fmt::Display for Right {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.verb, self.resource)?;
        if !self.group.is_empty() {
            write!(f, ".{}", self.group)?;
        }
        self.name.iter().try_for_each(|name| write!(f, " {name}"))
    }
}

/// The rights that are needed with these arguments.
pub(super) fn rights(place: &InstallationPlace, arguments: &[&str]) -> Vec<Right> {
    let has_controller = arguments.contains(&"--controller");
    let reports = arguments.iter().find_map(|argument| argument.strip_prefix("--reports="));
    let manages_certificate = arguments.iter().any(|argument| argument.starts_with("--cert-secret"));
    let files = [
        Some(BASE),
        has_controller.then_some(PER_POD),
        reports.is_some_and(|kind| kind != "off").then_some(REPORTS),
    ];
    let rules = files.into_iter().flatten().flat_map(rules);
    let rights = rules.flat_map(|(rule, is_role)| rights_of(&rule, is_role.then_some(place), &place.name));
    let is_of_certificate =
        |right: &Right| right.resource == "secrets" || right.group == "admissionregistration.k8s.io";
    rights.filter(|right| manages_certificate || !is_of_certificate(right)).collect()
}

/// The rules of the roles in a manifest, each with whether it is of one namespace.
fn rules(text: &str) -> Vec<(Value, bool)> {
    let source = Source::new("rbac.yaml", text, SourceOrigin::Named);
    let (manifests, _) = read(&source, text);
    let of_roles = manifests.iter().filter(|manifest| manifest.kind.ends_with("Role"));
    let rules = of_roles.flat_map(|role| {
        let json = role.node.to_json();
        let written = json["rules"].as_array().cloned().unwrap_or_default();
        written.into_iter().map(|rule| (rule, role.kind == "Role"))
    });
    rules.collect()
}

fn rights_of(rule: &Value, place: Option<&InstallationPlace>, installed_as: &str) -> Vec<Right> {
    let texts = |field: &str| -> Vec<String> {
        let texts = rule[field].as_array().into_iter().flatten();
        texts.filter_map(|text| text.as_str().map(str::to_owned)).collect()
    };
    let names: Vec<Option<String>> = match texts("resourceNames") {
        names if names.is_empty() => vec![None],
        // The configurations have the name of the installation.
        names if place.is_none() => names.iter().map(|_| Some(installed_as.to_owned())).collect(),
        names => names.into_iter().map(Some).collect(),
    };
    let mut rights = Vec::new();
    for group in texts("apiGroups") {
        for resource in texts("resources") {
            for verb in texts("verbs") {
                rights.extend(names.iter().map(|name| Right {
                    verb: verb.clone(),
                    group: group.clone(),
                    resource: resource.clone(),
                    namespace: place.map(|place| place.namespace.clone()),
                    name: name.clone(),
                }));
            }
        }
    }
    rights
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(arguments: &[&str]) -> Vec<String> {
        let place = InstallationPlace {
            namespace: "guards".to_owned(),
            name: "guard".to_owned(),
            probe_namespace: "default".to_owned(),
        };
        rights(&place, arguments).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn they_are_those_of_the_manifests_and_of_the_arguments() {
        let base = shown(&["serve", "--cert-secret=stateward-tls"]);
        for right in ["watch statefulsets.apps", "create events.events.k8s.io", "get secrets stateward-tls"] {
            assert!(base.contains(&right.to_owned()), "{right}: {base:?}");
        }
        let patch = "patch validatingwebhookconfigurations.admissionregistration.k8s.io guard".to_owned();
        assert!(base.contains(&patch), "{base:?}");
        assert!(!shown(&["--cert-file=x"]).contains(&patch));
        assert!(!base.iter().any(|right| right.contains("reports") || right.contains("statefulsets/status")));
        let all = shown(&["--controller", "--reports=auto"]);
        assert!(all.contains(&"patch statefulsets/status.apps".to_owned()), "{all:?}");
        assert!(all.contains(&"create reports.openreports.io".to_owned()), "{all:?}");
    }
}
