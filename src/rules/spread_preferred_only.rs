//! `spread-preferred-only`

use serde_json::json;

use super::edits::pod_selector;
use super::node_pins::{has_too_few_values, more_values};
use super::spread::{Effect, Means, SpreadTerm};
use super::{FieldEdit, FieldPlace, Params, SetContext, Violations};
use crate::model::quorum::tolerated;

rule! {
    /// ## What it checks
    ///
    /// All that keeps the two or more members of a consensus group (class `quorum`) apart is soft: preferred anti-affinity,
    /// spread constraints with `ScheduleAnyway`, or ones with a `maxSkew` above 1, which let two share a place while another
    /// stands empty. One strict term or constraint is enough, over whatever: wider than hosts is stricter. (Over fewer zones
    /// than members a `DoNotSchedule` constraint lets some share a zone; how many zones there are is not known here.)
    ///
    /// ## Why
    ///
    /// Where the preferred nodes are full or drained for a moment, the scheduler puts two members on one, and nothing moves
    /// them apart again. One failure then takes both: of three members that is the majority.
    ///
    /// ## How to fix
    ///
    /// Make the term over `kubernetes.io/hostname` required. That needs as many nodes as members; a cluster that has fewer
    /// leaves the rest pending, and is better served by fewer members.
    ///
    /// ## Fails
    ///
    /// ```yaml
    /// apiVersion: apps/v1
    /// kind: StatefulSet
    /// metadata: {name: zk}
    /// spec:
    ///   replicas: 3
    ///   serviceName: zk
    ///   selector: {matchLabels: {app: zk}}
    ///   template:
    ///     metadata: {labels: {app: zk}}
    ///     spec:
    ///       topologySpreadConstraints:
    ///       - topologyKey: kubernetes.io/hostname
    ///         maxSkew: 1
    ///         whenUnsatisfiable: ScheduleAnyway
    ///         labelSelector: {matchLabels: {app: zk}}
    ///       containers: [{name: zk, image: "zookeeper:3.9"}]
    /// ```
    ///
    /// ## Passes
    ///
    /// ```yaml
    /// apiVersion: apps/v1
    /// kind: StatefulSet
    /// metadata: {name: zk}
    /// spec:
    ///   replicas: 3
    ///   serviceName: zk
    ///   selector: {matchLabels: {app: zk}}
    ///   template:
    ///     metadata: {labels: {app: zk}}
    ///     spec:
    ///       topologySpreadConstraints:
    ///       - topologyKey: kubernetes.io/hostname
    ///         maxSkew: 1
    ///         whenUnsatisfiable: DoNotSchedule
    ///         labelSelector: {matchLabels: {app: zk}}
    ///       containers: [{name: zk, image: "zookeeper:3.9"}]
    /// ```
    "spread-preferred-only": "two members may share a node",
    classes: [Quorum],
    needs_peers: true,
    triggers: [Set, Scale],
    reads: [StatefulSet],
    check: State(check),
}

fn check(at: &SetContext<'_>, _: &Params, out: &mut Violations) {
    let Some(terms) = at.spread_terms() else { return };
    let mut spreads = terms.iter().filter(|term| term.effect == Effect::Spreads);
    let by_ports = at.set.spec.template.spec.takes_host_ports();
    // Where not even two can run, another rule says so.
    let is_single = |term: &SpreadTerm<'_>| term.effect == Effect::CancelledByPin && term.leaves_pending();
    if by_ports || spreads.clone().any(SpreadTerm::is_strict) || terms.iter().any(is_single) {
        return;
    }
    let Some(term) = spreads.next() else { return };
    let outcome = match at.members().map(tolerated) {
        Some(..=1) => "and its failure leaves no majority",
        Some(_) | None => "and one failure takes both",
    };
    let message = format!(
        "nothing forbids {} to share a node, {outcome}: {term} {}",
        if at.replicas == 2 {
            "the two members".to_owned()
        } else {
            format!("two of the {} members", at.replicas)
        },
        softness(term.means)
    );
    let (mut remedy, mut edits) = (remedy(term.means).to_owned(), edits(at, term));
    if term.means == Means::Preferred && has_too_few_values(at, term.topology_key) {
        // Required anti-affinity would leave pods pending.
        remedy = format!("{remedy}, and {}", more_values(at, term.topology_key));
        edits.clear();
    }
    out.add(FieldPlace::in_set(&*term.path), message, remedy)
        .edits(edits.into_iter().map(FieldEdit::unsafe_to_apply))
        .keyed("spread");
}

/// Makes the term strict, which can leave pods pending.
fn edits(at: &SetContext<'_>, term: &SpreadTerm<'_>) -> Vec<FieldEdit> {
    let field = |name: &str| FieldPlace::in_set(format!("{}/{name}", term.path));
    let max_skew = FieldEdit::set(field("maxSkew"), 1);
    match term.means {
        Means::Constraint(_) => vec![max_skew],
        Means::ScheduleAnyway => vec![FieldEdit::set(field("whenUnsatisfiable"), "DoNotSchedule"), max_skew],
        Means::Required => Vec::new(),
        Means::Preferred => required(at, term),
    }
}

fn required(at: &SetContext<'_>, term: &SpreadTerm<'_>) -> Vec<FieldEdit> {
    let affinity = "/spec/template/spec/affinity/podAntiAffinity";
    let preferred = term.path.trim_end_matches("/podAffinityTerm");
    let Some(selector) = pod_selector(at) else { return Vec::new() };
    let required = FieldPlace::in_set(format!("{affinity}/requiredDuringSchedulingIgnoredDuringExecution/-"));
    let value = json!({"labelSelector": selector, "topologyKey": term.topology_key});
    vec![FieldEdit::set(required, value), FieldEdit::remove(FieldPlace::in_set(preferred))]
}

fn softness(means: Means) -> String {
    match means {
        Means::Constraint(skew) => format!("allows a maxSkew of {skew}"),
        Means::ScheduleAnyway => "says ScheduleAnyway".to_owned(),
        Means::Required | Means::Preferred => "is only a preference".to_owned(),
    }
}

fn remedy(means: Means) -> &'static str {
    match means {
        Means::Constraint(_) => "set its maxSkew to 1",
        Means::ScheduleAnyway => "set its whenUnsatisfiable to DoNotSchedule and its maxSkew to 1",
        Means::Required | Means::Preferred => "move it to requiredDuringSchedulingIgnoredDuringExecution",
    }
}

#[cfg(test)]
#[expect(clippy::needless_pass_by_value, reason = "`json!` reads better where it is not borrowed")]
mod tests {
    use serde_json::{Value, json};

    use super::RULE;
    use crate::model::Class;
    use crate::rules::testing::{RuleTest, set};

    fn scene(spec: Value) -> RuleTest {
        set(json!({"spec": {"template": {"spec": spec}}}))
    }

    fn term() -> Value {
        json!({"topologyKey": "kubernetes.io/hostname", "labelSelector": {"matchLabels": {"app": "zk"}}})
    }

    fn constraint(patch: Value) -> Value {
        let mut constraint = term();
        for (key, value) in patch.as_object().unwrap() {
            constraint[key] = value.clone();
        }
        json!({"topologySpreadConstraints": [constraint]})
    }

    fn preferred() -> Value {
        json!({"affinity": {"podAntiAffinity": {
            "preferredDuringSchedulingIgnoredDuringExecution": [{"podAffinityTerm": term()}]}}})
    }

    #[test]
    fn one_strict_term_is_enough() {
        let mut both = preferred();
        both["affinity"]["podAntiAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"] =
            json!([term()]);
        let mut ports = preferred();
        ports["containers"] = json!([{"ports": [{"hostPort": 2181}]}]);
        let mut strict_but_blind = preferred();
        strict_but_blind["affinity"]["podAntiAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"] =
            json!([{"topologyKey": "kubernetes.io/hostname"}]);
        for (spec, says) in [
            (json!({}), ""),
            (preferred(), "is only a preference"),
            (both, ""),
            (ports, ""),
            (strict_but_blind, "is only a preference"),
            (constraint(json!({"maxSkew": 1})), ""),
            (constraint(json!({"maxSkew": 2})), "set its maxSkew to 1"),
            (constraint(json!({"maxSkew": 1, "whenUnsatisfiable": "DoNotSchedule"})), ""),
            (
                constraint(json!({"maxSkew": 1, "whenUnsatisfiable": "ScheduleAnyway"})),
                "set its whenUnsatisfiable to DoNotSchedule",
            ),
        ] {
            let said = scene(spec.clone()).says(&RULE);
            assert_eq!(said.is_empty(), says.is_empty(), "{spec} {said}");
            assert!(said.contains(says), "{said}");
        }
    }

    #[test]
    fn only_groups_of_two_or_more_and_their_majority() {
        for (replicas, says) in [(2, "no majority"), (3, "no majority"), (5, "takes both")] {
            assert!(scene(preferred()).scaled_to(replicas).says(&RULE).contains(says));
        }
        for replicas in [i32::MIN, 0, 1] {
            assert!(scene(preferred()).scaled_to(replicas).found(&RULE).is_empty());
        }
        assert!(scene(preferred()).class(Class::Replicated).found(&RULE).is_empty());
    }
}
