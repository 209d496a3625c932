//! The `status` of a policy or an exemption.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::lint::{PolicyWarning, is_covered, lint};
use super::objects::{CompiledDocument, key};
use super::{Certainty, NamespaceExemption, Policies, Policy, PolicyObjects, Subject};
use crate::cluster::Cluster;
use crate::model::{Class, Metadata, PolicyDocument, StatefulSet, cut, did_you_mean, field_path};
use crate::rules;

/// The status that Stateward writes on a policy or an exemption.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct PolicyStatus {
    /// The generation that this is about.
    pub observed_generation: i64,
    /// How many StatefulSets it matches.
    #[schemars(with = "i64")]
    pub matched_sets: usize,
    /// Ready: whether this generation is in force. Effective: whether all parts of it have an effect.
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<StatusCondition>,
}

/// A condition, as in `metav1.Condition`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StatusCondition {
    /// Ready or Effective.
    pub r#type: String,
    /// True, False or Unknown.
    pub status: String,
    /// One word for programs.
    pub reason: String,
    /// Why, for people.
    pub message: String,
    /// When the status last changed.
    #[schemars(extend("format" = "date-time"))]
    pub last_transition_time: String,
    /// The generation that this is about.
    #[serde(default)]
    pub observed_generation: i64,
}

/// The longest message of a condition, in bytes.
const LONGEST_MESSAGE: usize = 2048;

/// The reason of a version that cannot be used.
const MALFORMED: &str = "Malformed";

impl PolicyStatus {
    /// The status that an object has now.
    pub fn of(document: &PolicyDocument) -> Self {
        Self::deserialize(&document.status).unwrap_or_default()
    }

    /// The errors of this version, where it cannot be used.
    pub fn malformed(&self) -> Option<&str> {
        let condition = self.conditions.iter().find(|condition| condition.reason == MALFORMED)?;
        Some(&condition.message)
    }
}

/// The status that each policy and exemption of a snapshot should have. One that is not compiled yet is left out.
pub fn statuses<'a>(
    cluster: &'a Cluster,
    objects: &PolicyObjects,
    policies: &'a Policies,
    now: Timestamp,
) -> Vec<(&'a PolicyDocument, PolicyStatus)> {
    let mut by_namespace: BTreeMap<&str, Vec<&StatefulSet>> = BTreeMap::new();
    for set in cluster.sets() {
        by_namespace.entry(&set.metadata.namespace).or_default().push(set);
    }
    let rule_names = policies.rule_names().collect();
    let statuses = Statuses { cluster, policies, rule_names, by_namespace, now };
    let of_policies = cluster.policies().filter_map(|document| {
        let compiled = objects.policies.get(&key(document)).filter(|compiled| compiled.is_of(document))?;
        Some((document, statuses.policy(document, compiled)))
    });
    let of_exemptions = cluster.exemptions().filter_map(|document| {
        let compiled = objects.exemptions.get(&key(document)).filter(|compiled| compiled.is_of(document))?;
        Some((document, statuses.exemption(document, compiled)))
    });
    of_policies.chain(of_exemptions).collect()
}

/// The data that all statuses are made from.
struct Statuses<'a> {
    cluster: &'a Cluster,
    policies: &'a Policies,
    /// The names of rules and checks.
    rule_names: BTreeSet<&'a str>,
    by_namespace: BTreeMap<&'a str, Vec<&'a StatefulSet>>,
    now: Timestamp,
}

/// The text of a condition, without its time: status, reason, message.
type StatusConditionText = (bool, &'static str, String);

impl<'a> Statuses<'a> {
    fn policy(&self, document: &PolicyDocument, compiled: &CompiledDocument<Policy>) -> PolicyStatus {
        let matched = compiled.good.as_ref().map_or_else(Vec::new, |policy| self.matched_by(policy));
        let ready = malformed(compiled).unwrap_or_else(|| (true, "InForce", String::new()));
        let mut without_effect = Vec::new();
        if let Some(policy) = compiled.good.as_ref().filter(|_| compiled.error.is_none()) {
            without_effect = lint(&document.to_json(), self.now);
            without_effect.extend(self.shadowed(policy, document));
            without_effect.extend(self.unknown_in_exemptions(policy));
            if !matched.is_empty() {
                without_effect.extend(unused_exemptions(policy, &matched));
            }
        }
        self.status(document, matched.len(), ready, without_effect)
    }

    fn exemption(
        &self,
        document: &PolicyDocument,
        compiled: &CompiledDocument<NamespaceExemption>,
    ) -> PolicyStatus {
        let matched = compiled.good.as_ref().map_or_else(Vec::new, |exemption| {
            let sets = self.by_namespace.get(exemption.namespace());
            sets.into_iter().flatten().filter(|set| exemption.selects(&set.metadata)).copied().collect()
        });
        let ready = malformed(compiled).unwrap_or_else(|| {
            let end = compiled.good.as_ref().and_then(|exemption| exemption.expires_at);
            match end {
                Some(end) if end <= self.now => (false, "Ended", format!("it ended on {end}")),
                _ if !self.is_honoured(document, &matched) => {
                    let message = "no policy has exemptionNamespaces that select this namespace".to_owned();
                    (false, "NotHonoured", message)
                }
                Some(end) => (true, "InForce", format!("until {end}")),
                None => (true, "InForce", "without an end".to_owned()),
            }
        });
        let mut without_effect = lint(&document.to_json(), self.now);
        if let Some(exemption) = compiled.good.as_ref().filter(|_| compiled.error.is_none()) {
            without_effect.extend(self.unknown(&exemption.rules, "/spec/rules"));
        }
        self.status(document, matched.len(), ready, without_effect)
    }

    /// The names in `rules` of checks that no policy has. They may be of a policy that is still to come.
    fn unknown(&self, rules: &[String], pointer: &str) -> Vec<PolicyWarning> {
        let is_unknown = |rule: &str| rule.contains('/') && !self.rule_names.contains(rule);
        let unknown = rules.iter().enumerate().filter(|(_, rule)| is_unknown(rule));
        let warnings = unknown.map(|(index, rule)| PolicyWarning {
            pointer: format!("{pointer}/{index}"),
            message: format!(
                "no policy has a check {rule:?}{}",
                did_you_mean(rule, self.rule_names.iter().copied())
            ),
        });
        warnings.collect()
    }

    fn unknown_in_exemptions(&self, policy: &Policy) -> Vec<PolicyWarning> {
        let exemptions = policy.exemptions.iter().enumerate();
        let unknown = exemptions.flat_map(|(index, exemption)| {
            self.unknown(&exemption.rules, &format!("/spec/exemptions/{index}/rules"))
        });
        unknown.collect()
    }

    /// Whether a policy lets the exemption count, for any of the sets it matches.
    fn is_honoured(&self, document: &PolicyDocument, matched: &[&'a StatefulSet]) -> bool {
        let namespace = &document.metadata.namespace;
        let honours = |metadata: &Metadata| {
            self.policies.applicable(self.subject(metadata)).honours_exemptions(namespace).is_some()
        };
        if matched.is_empty() {
            return honours(&Metadata { namespace: namespace.clone(), ..Metadata::default() });
        }
        matched.iter().any(|set| honours(&set.metadata))
    }

    fn subject<'m>(&'m self, metadata: &'m Metadata) -> Subject<'m> {
        let namespace = self.cluster.namespace(&metadata.namespace);
        Subject { metadata, namespace_labels: namespace.map(|namespace| &namespace.metadata.labels) }
    }

    fn matched_by(&self, policy: &Policy) -> Vec<&'a StatefulSet> {
        let sets = self.by_namespace.values().flatten();
        let is_matched = |set: &&&StatefulSet| {
            policy.scope.covers(self.subject(&set.metadata)) == Some(Certainty::Certain)
        };
        sets.filter(is_matched).copied().collect()
    }

    /// The levels that never count, because a stronger policy about everything names the same rule.
    fn shadowed(&self, policy: &Policy, document: &PolicyDocument) -> Vec<PolicyWarning> {
        if policy.is_on_trial() {
            return Vec::new();
        }
        let all = &self.policies.by_strength;
        let own = all.iter().position(|other| std::ptr::eq(&raw const **other, policy)).unwrap_or_default();
        let stronger = all[..own].iter().map(|other| &**other);
        let stronger: Vec<&Policy> =
            stronger.filter(|other| other.scope.is_everything() && !other.is_on_trial()).collect();
        let entries = document.spec["rules"].as_array().into_iter().flatten().enumerate();
        let shadowed = entries.filter_map(|(index, entry)| {
            let id = entry["rule"].as_str()?;
            let rule = rules::ALL.iter().position(|rule| rule.id == id)?;
            let classes = Vec::<Class>::deserialize(&entry["classes"]).unwrap_or_default();
            let settings = || stronger.iter().flat_map(|other| &other.settings[rule]);
            let other = stronger.iter().find(|other| !other.settings[rule].is_empty())?;
            is_covered(&classes, settings().map(|setting| &*setting.classes)).then(|| PolicyWarning {
                pointer: format!("/spec/rules/{index}"),
                message: format!(
                    "{id} is decided by policy {}, which comes before and is about everything",
                    other.name()
                ),
            })
        });
        shadowed.collect()
    }

    fn status(
        &self,
        document: &PolicyDocument,
        matched_sets: usize,
        ready: StatusConditionText,
        without_effect: Vec<PolicyWarning>,
    ) -> PolicyStatus {
        let is_usable = ready.1 != MALFORMED;
        let mut conditions = vec![("Ready", ready)];
        if is_usable {
            conditions.push(("Effective", effective(matched_sets, without_effect)));
        }
        let before = PolicyStatus::of(document).conditions;
        let conditions = conditions.into_iter().map(|(kind, (is_true, reason, message))| {
            let status = if is_true { "True" } else { "False" };
            let same = before.iter().find(|before| before.r#type == kind && before.status == status);
            StatusCondition {
                r#type: kind.to_owned(),
                status: status.to_owned(),
                reason: reason.to_owned(),
                message: cut(message, LONGEST_MESSAGE),
                last_transition_time: same.map_or_else(
                    || self.now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
                    |same| same.last_transition_time.clone(),
                ),
                observed_generation: document.generation,
            }
        });
        PolicyStatus {
            observed_generation: document.generation,
            matched_sets,
            conditions: conditions.collect(),
        }
    }
}

/// The message for a version that cannot be used: its errors, and the version in force instead.
fn malformed<T>(compiled: &CompiledDocument<T>) -> Option<StatusConditionText> {
    let error = compiled.error.as_ref()?;
    let place = field_path(&error.pointer);
    let place = if place.is_empty() { String::new() } else { format!("{place}: ") };
    let instead = if compiled.good.is_some() {
        "the last good version is in force"
    } else {
        "nothing of it is in force"
    };
    Some((false, MALFORMED, format!("{place}{}; {instead}", error.message)))
}

fn effective(matched_sets: usize, without_effect: Vec<PolicyWarning>) -> StatusConditionText {
    let warnings = without_effect.into_iter().map(|PolicyWarning { pointer, message }| {
        let place = field_path(&pointer);
        if place.is_empty() { message } else { format!("{place}: {message}") }
    });
    let none = (matched_sets == 0).then(|| "it matches no StatefulSet".to_owned());
    let messages: Vec<String> = none.into_iter().chain(warnings).collect();
    match (messages.is_empty(), matched_sets) {
        (true, _) => (true, "AllInEffect", String::new()),
        (false, 0) => (false, "MatchesNothing", messages.join("; ")),
        (false, _) => (false, "PartlyWithoutEffect", messages.join("; ")),
    }
}

fn unused_exemptions(policy: &Policy, matched: &[&StatefulSet]) -> Vec<PolicyWarning> {
    let exemptions = policy.exemptions.iter().enumerate();
    let unused = exemptions.filter(|(_, exemption)| {
        !matched.iter().any(|set| {
            exemption.namespaces.matches(&set.metadata.namespace)
                && exemption.names.matches(&set.metadata.name)
        })
    });
    let warnings = unused.map(|(index, _)| PolicyWarning {
        pointer: format!("/spec/exemptions/{index}"),
        message: "it matches no StatefulSet".to_owned(),
    });
    warnings.collect()
}
