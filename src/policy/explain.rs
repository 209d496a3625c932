//! Which policy decides the level of each rule for one StatefulSet: what a review decides, said aloud.

use std::io;

use jiff::Timestamp;
use serde::Serialize;

use super::{Applicable, Certainty, Exemptness, Policies, Policy, Subject};
use crate::cluster::{Cluster, Kind};
use crate::model::{Class, Classified, ObjectRef, StatefulSet, printable};
use crate::rules::{self, Rule, RuleCheck};
use crate::verdict::{Exempt, Level};

/// The decision of the policies on one StatefulSet.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Explanation {
    pub object: ObjectRef,
    /// The files that it is judged with; `None` in a cluster.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub context: Option<String>,
    class: ClassReason,
    /// Who may set the exempting annotations, where a policy says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    annotation_exemptions_by: Option<ExemptionSetters>,
    /// The rules in the order of the documentation, then the checks of policies.
    pub decisions: Vec<Decision>,
}

#[derive(Debug, Serialize)]
struct ClassReason {
    name: Class,
    because: String,
}

/// Who may set the exempting annotations, and which policy says so.
#[derive(Debug, Serialize)]
struct ExemptionSetters {
    subjects: Vec<String>,
    policy: String,
}

/// The level of one rule or check, and the policy that gives it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Decision {
    pub rule: String,
    /// Whether the rule is about StatefulSets of this class.
    pub applies: bool,
    pub level: Level,
    /// `None` where no policy that is certain to apply names the rule.
    pub decided_by: Option<DecidingPolicy>,
    /// The policy that, if it applied, would make a denial milder: the level is `warn`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub undecided: Option<String>,
    /// The policies that would have a say, if the labels of the namespace were known and matched.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub may_match: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exemption: Option<DecisionExemption>,
}

/// The policy that decides a level.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DecidingPolicy {
    name: String,
    /// File, line and column, or `built-in profile`, or `in the cluster`.
    origin: String,
    priority: i32,
    /// The level that the policy gives, where its `enforcement` caps it.
    #[serde(skip_serializing_if = "Option::is_none")]
    capped_from: Option<Level>,
}

/// The state of an exemption.
#[derive(Debug, Serialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase", tag = "state")]
pub enum DecisionExemption {
    Exempt(Exempt),
    Ended(Exempt),
    /// This policy decides on it and may not match.
    Undecided {
        policy: String,
    },
}

impl Explanation {
    /// Explains what `policies` decide of `set` at the time `now`, by the code that decides it in a review.
    pub fn of(set: &StatefulSet, cluster: &Cluster, policies: &Policies, now: Timestamp) -> Self {
        let metadata = &set.metadata;
        let namespace_labels = cluster.namespace(&metadata.namespace).map(|found| &found.metadata.labels);
        let applicable = policies.applicable(Subject { metadata, namespace_labels });
        let class = policies.classify(set, &applicable);
        let exemption = |rule: &str| DecisionExemption::of(applicable.exemption(rule, metadata, now));
        let of_rules = rules::ALL.iter().enumerate().map(|(index, rule)| Decision {
            exemption: exemption(rule.id),
            ..Decision::of_rule(index, rule, &class, &applicable)
        });
        let of_checks = applicable.checks().map(|(policy, check)| Decision {
            rule: check.id.as_str().to_owned(),
            applies: true,
            level: check.level,
            decided_by: Some(DecidingPolicy::of(policy, None)),
            undecided: None,
            may_match: Vec::new(),
            exemption: exemption(check.id.as_str()),
        });
        Self {
            object: Kind::StatefulSet.reference(&metadata.namespace, &metadata.name),
            context: None,
            decisions: of_rules.chain(of_checks).collect(),
            annotation_exemptions_by: applicable.exemption_setters().map(|(subjects, policy)| {
                ExemptionSetters { subjects: subjects.names.clone(), policy: policy.to_owned() }
            }),
            class: ClassReason { name: class.class, because: class.because.to_string() },
        }
    }

    /// Writes it for people.
    pub fn write_text(&self, out: &mut impl io::Write) -> io::Result<()> {
        let ClassReason { name, because } = &self.class;
        writeln!(out, "StatefulSet {}/{}", self.object.namespace, self.object.name)?;
        if let Some(context) = &self.context {
            writeln!(out, "in {}", printable(context))?;
        }
        writeln!(out, "class {name}: {}", printable(because))?;
        if let Some(ExemptionSetters { subjects, policy }) = &self.annotation_exemptions_by {
            let subjects = if subjects.is_empty() { "no user".to_owned() } else { subjects.join(", ") };
            writeln!(
                out,
                "exempting annotations count where set by {} (policy {policy})",
                printable(&subjects)
            )?;
        }
        writeln!(out)?;
        let width = self.decisions.iter().map(|decision| decision.rule.len()).max().unwrap_or_default();
        writeln!(out, "{:5}  {:width$}  DECIDED BY", "LEVEL", "RULE")?;
        for decision in &self.decisions {
            let mut lines = decision.lines().into_iter();
            let first = lines.next().unwrap_or_default();
            let level = decision.level.name();
            writeln!(out, "{level:5}  {:width$}  {}", decision.rule, printable(&first))?;
            for line in lines {
                writeln!(out, "{:5}  {:width$}  {}", "", "", printable(&line))?;
            }
        }
        Ok(())
    }
}

impl Decision {
    fn of_rule(index: usize, rule: &Rule, class: &Classified, applicable: &Applicable<'_>) -> Self {
        let ruling = applicable.ruling_for(index, Some(class));
        let needs_more = rule.needs_peers && class.class == Class::Singleton;
        let unknown = applicable
            .settings(index, class.class)
            .filter(|(_, certainty, _)| *certainty == Certainty::Unknown)
            .map(|(policy, ..)| policy.name.clone());
        let is_capped =
            ruling.uncapped > ruling.policy.map_or(Level::Deny, |policy| policy.enforcement.level());
        Self {
            rule: rule.id.to_owned(),
            applies: rule.is_for_class(class.class)
                && !needs_more
                && !matches!(rule.check, RuleCheck::Workload(_)),
            level: ruling.level,
            decided_by: ruling
                .policy
                .map(|policy| DecidingPolicy::of(policy, is_capped.then_some(ruling.uncapped))),
            undecided: ruling.undecided.map(str::to_owned),
            may_match: unknown.collect(),
            exemption: None,
        }
    }

    /// Which policy decides, and what else there is to say.
    fn lines(&self) -> Vec<String> {
        let mut lines = vec![match &self.decided_by {
            None => "no policy names it".to_owned(),
            Some(policy) => policy.line(),
        }];
        if !self.applies {
            lines.push("not about StatefulSets of this class".to_owned());
        }
        if let Some(policy) = &self.undecided {
            lines.push(format!(
                "not deny: policy {policy} may match the namespace, whose labels are not known"
            ));
        }
        let others = self.may_match.iter().filter(|name| self.undecided.as_ref() != Some(*name));
        lines.extend(others.map(|name| {
            format!("policy {name} names it and may match the namespace, whose labels are not known")
        }));
        lines.extend(self.exemption.as_ref().map(|exemption| match exemption {
            DecisionExemption::Exempt(exempt) => format!("exempt {exempt}"),
            DecisionExemption::Ended(exempt) => format!("no longer exempt {exempt}"),
            DecisionExemption::Undecided { policy } => {
                format!("at most warn: policy {policy} decides on an exemption and may match the namespace")
            }
        }));
        lines
    }
}

impl DecidingPolicy {
    fn of(policy: &Policy, capped_from: Option<Level>) -> Self {
        let Policy { name, origin, priority, .. } = policy;
        Self { name: name.clone(), origin: origin.to_string(), priority: *priority, capped_from }
    }

    fn line(&self) -> String {
        let Self { name, origin, priority, capped_from } = self;
        let capped = capped_from.map_or_else(String::new, |level| format!(", {level} capped by enforcement"));
        format!("{name} ({origin}), priority {priority}{capped}")
    }
}

impl DecisionExemption {
    fn of(exemptness: Exemptness<'_>) -> Option<Self> {
        match exemptness {
            Exemptness::No => None,
            Exemptness::Yes(exempt) => Some(Self::Exempt(exempt)),
            Exemptness::Ended(exempt) => Some(Self::Ended(exempt)),
            Exemptness::Undecided(policy) => Some(Self::Undecided { policy: policy.to_owned() }),
        }
    }
}

#[cfg(test)]
mod tests {

    use super::*;
    use crate::cluster::inventory::Inventory;
    use crate::manifest::{self, Source, SourceOrigin};
    use crate::policy::Profile;

    const SET: &str = "
apiVersion: apps/v1
kind: StatefulSet
metadata:
  name: etcd
  namespace: prod
  annotations: {stateward.dev/exempt: pdb-missing, stateward.dev/exempt-reason: a laboratory}
spec:
  replicas: 4
  serviceName: etcd
  selector: {matchLabels: {app: etcd}}
  template:
    metadata: {labels: {app: etcd}}
    spec: {containers: [{name: etcd, image: quay.io/coreos/etcd:v3.5.9}]}
";

    fn policy(name: &str, spec: &str) -> Policy {
        let head = format!(
            "apiVersion: stateward.dev/v1alpha1\nkind: StatefulSetPolicy\nmetadata: {{name: {name}}}\n"
        );
        let document = manifest::document(&format!("{head}spec: {spec}\n")).unwrap().to_json();
        Policy::from_json(&document).unwrap().from_file(format!("{name}.yaml:1:1"))
    }

    fn explain(policies: Vec<Policy>) -> Explanation {
        let mut inventory = Inventory::new(None);
        inventory.add(&Source::new("set.yaml", SET, SourceOrigin::Named));
        let cluster = inventory.cluster();
        let policies = Policies::new(Profile::Baseline, policies).unwrap();
        let set = cluster.sets_in("prod")[0];
        Explanation::of(set, &cluster, &policies, Timestamp::UNIX_EPOCH)
    }

    fn lines(explanation: &Explanation, rule: &str) -> (Level, Vec<String>) {
        let decision = explanation.decisions.iter().find(|decision| decision.rule == rule).unwrap();
        (decision.level, decision.lines())
    }

    const PROFILE: &str = "baseline (built-in profile), priority 0";

    #[test]
    fn the_strongest_policy_that_matches_decides() {
        let weak = policy("weak", "{priority: 1, rules: [{rule: quorum-even, level: audit}]}");
        let strong = policy("strong", "{priority: 7, rules: [{rule: quorum-even, level: warn}]}");
        let other =
            "{priority: 9, match: {namespaces: [other]}, rules: [{rule: quorum-even, level: \"off\"}]}";
        let explanation = explain(vec![weak, strong, policy("other", other)]);
        let decided = vec!["strong (strong.yaml:1:1), priority 7".to_owned()];
        assert_eq!(lines(&explanation, "quorum-even"), (Level::Warn, decided));
        assert_eq!(lines(&explanation, "quorum-scale-step").1[0], PROFILE);
        assert_eq!(explanation.class.because, "image quay.io/coreos/etcd in container etcd");
    }

    #[test]
    fn a_cap_is_named() {
        let spec = "{enforcement: warn, rules: [{rule: partition-holds-all, level: deny}]}";
        let off = policy("weaker", "{priority: -1, rules: [{rule: partition-holds-all, level: \"off\"}]}");
        let decided = vec!["trial (trial.yaml:1:1), priority 0, deny capped by enforcement".to_owned()];
        let explanation = explain(vec![policy("trial", spec), off]);
        assert_eq!(lines(&explanation, "partition-holds-all"), (Level::Warn, decided));
    }

    #[test]
    fn a_policy_that_may_match_is_named() {
        let selector = "match: {namespaceSelector: {matchLabels: {tier: test}}}";
        let mild = format!("{{{selector}, rules: [{{rule: quorum-even, level: audit}}]}}");
        let exempting = format!("{{{selector}, exemptions: [{{rules: [quorum-too-small], reason: tests}}]}}");
        let explanation = explain(vec![policy("mild", &mild), policy("exempting", &exempting)]);
        let (level, said) = lines(&explanation, "quorum-even");
        let doubt = "not deny: policy mild may match the namespace, whose labels are not known";
        assert_eq!((level, said), (Level::Warn, vec![PROFILE.to_owned(), doubt.to_owned()]));
        let decision = explanation.decisions.iter().find(|decision| decision.rule == "quorum-too-small");
        let undecided = DecisionExemption::Undecided { policy: "exempting".to_owned() };
        assert_eq!(decision.unwrap().exemption, Some(undecided));
    }

    #[test]
    fn exemptions_have_their_reason_and_end() {
        let spec = "{exemptions: [{rules: [quorum-even], reason: moving, expiresAt: \"1970-01-02T00:00:00Z\"}, {rules: [quorum-too-small], reason: old, expiresAt: \"1969-01-02T00:00:00Z\"}]}";
        let explanation = explain(vec![policy("mine", spec)]);
        assert_eq!(
            lines(&explanation, "quorum-even").1[1],
            "exempt by policy mine until 1970-01-02T00:00:00Z: moving"
        );
        assert_eq!(lines(&explanation, "pdb-missing").1[1], "exempt by annotation: a laboratory");
        let ended = &lines(&explanation, "quorum-too-small").1[1];
        assert_eq!(ended, "no longer exempt by policy mine until 1969-01-02T00:00:00Z: old");
    }

    #[test]
    fn who_may_exempt_is_said() {
        let by = "{users: [alice], serviceAccounts: [{namespace: argocd, name: \"*\"}]}";
        let trial =
            policy("trial", "{enforcement: warn, priority: 2, annotationExemptionsBy: {users: [bob]}}");
        let explanation = explain(vec![trial, policy("mine", &format!("{{annotationExemptionsBy: {by}}}"))]);
        let mut text = Vec::new();
        explanation.write_text(&mut text).unwrap();
        let said =
            "exempting annotations count where set by user alice, service account argocd/* (policy mine)\n";
        assert!(String::from_utf8(text).unwrap().contains(said));
        let json = serde_json::to_value(&explanation).unwrap();
        assert_eq!(json["annotationExemptionsBy"]["policy"], "mine");
    }

    #[test]
    fn rules_of_other_classes_and_kinds_do_not_apply() {
        let explanation = explain(Vec::new());
        let applies =
            |rule: &str| explanation.decisions.iter().find(|decision| decision.rule == rule).unwrap().applies;
        assert!(applies("quorum-even") && applies("spread-missing"));
        assert!(!applies("singleton-scaled") && !applies("deployment-claim-shared"));
    }
}
