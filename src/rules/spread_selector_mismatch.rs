//! `spread-selector-mismatch`

use super::enumerate;
use super::spread::{self, Effect, Miss};
use super::topology::TOPOLOGY_KEY;
use super::{FieldPlace, Params, SetContext, Violations};
use crate::cluster::Kind;
use crate::verdict::Level;

rule! {
    /// ## What it checks
    ///
    /// A pod anti-affinity term or a topology spread constraint of a set of two or more replicas does not select the set's own
    /// pods: it has no `labelSelector` (which selects nothing; `{}` selects everything), names labels the pods do not have,
    /// looks in other namespaces only, or lists a label in `matchLabelKeys` of which each pod has a value of its own. Beside a
    /// term that does spread the pods, one whose topology key no node has is named too.
    ///
    /// A term may be meant for other pods. One that leaves the set's own out expressly (`NotIn`, `mismatchLabelKeys`) is.
    /// Where another term spreads the pods, one that selects the pods of a known StatefulSet or Deployment is as well, and any
    /// other anti-affinity term is only recorded: it may be meant for pods that are not known. Where nothing spreads the pods,
    /// each is named with what it does select, and one that selects pods of others stays as it is beside a further one. Where a namespace's labels decide and are unknown, nothing is said.
    ///
    /// ## Why
    ///
    /// It looks as if the pods were kept apart, and nothing keeps them apart. This happens when labels are renamed, or when a
    /// manifest is copied from another application.
    ///
    /// ## How to fix
    ///
    /// Let the `labelSelector` name labels of the pod template, such as those of the set's own `spec.selector`.
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
    ///       affinity:
    ///         podAntiAffinity:
    ///           requiredDuringSchedulingIgnoredDuringExecution:
    ///           - topologyKey: kubernetes.io/hostname
    ///             labelSelector: {matchLabels: {app: zookeeper}}
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
    ///       affinity:
    ///         podAntiAffinity:
    ///           requiredDuringSchedulingIgnoredDuringExecution:
    ///           - topologyKey: kubernetes.io/hostname
    ///             labelSelector: {matchLabels: {app: zk}}
    ///       containers: [{name: zk, image: "zookeeper:3.9"}]
    /// ```
    "spread-selector-mismatch": "a spread that does not select the pods",
    needs_peers: true,
    triggers: [Set, Scale],
    reads: [StatefulSet],
    check: State(check),
}

fn check(at: &SetContext<'_>, _: &Params, out: &mut Violations) {
    let Some(terms) = at.spread_terms() else { return };
    let is_spread = spread::is_spread(at, terms);
    for term in terms {
        let Effect::Misses(miss) = &term.effect else { continue };
        if !is_spread && miss.field == TOPOLOGY_KEY {
            // That nothing spreads the pods is what another rule says.
            continue;
        }
        let others = if miss.others { term.others(at) } else { Vec::new() };
        if is_spread && !others.is_empty() {
            continue;
        }
        let selects = what_it_selects(at, miss, &others);
        let consequence = if is_spread {
            "it does nothing for the set's own".to_owned()
        } else {
            format!("nothing keeps the {} pods apart", at.replicas)
        };
        let message = format!("{term} {}{selects}, so {consequence}", miss.why);
        // A term that selects the pods of another is meant so, and stays.
        let (remedy, edits) = if others.is_empty() {
            term.correction(at, miss, &[])
        } else {
            (format!("add a further term that selects {}", at.set.selecting()), Vec::new())
        };
        let selector = term.selector.map(ToString::to_string).unwrap_or_default();
        let found = out
            .add(FieldPlace::in_set(format!("{}/{}", term.path, miss.field)), message, remedy)
            .edits(edits)
            .keyed(format!("{term}: {selector}"))
            .weighing(i32::from(!is_spread));
        if is_spread && miss.others && term.is_anti_affinity() {
            found.at_most(Level::Audit);
        } else if miss.field == TOPOLOGY_KEY && term.may_be_right() {
            found.at_most(Level::Warn);
        } else if is_spread && miss.others && !at.view.is_complete(Kind::StatefulSet) {
            // Were all known, it might be seen to be meant for another.
            found.at_most(Level::Warn);
        }
    }
}

/// The pods that the term selects instead.
fn what_it_selects(at: &SetContext<'_>, miss: &Miss, others: &[String]) -> String {
    if !others.is_empty() {
        format!("; it selects the pods of {}", enumerate(others.iter().cloned()))
    } else if miss.others && at.view.is_complete(Kind::StatefulSet) {
        "; no other StatefulSet has such pods".to_owned()
    } else {
        String::new()
    }
}

#[cfg(test)]
#[expect(clippy::needless_pass_by_value, reason = "`json!` reads better where it is not borrowed")]
mod tests {
    use serde_json::{Value, json};

    use super::RULE;
    use crate::cluster::Kind;
    use crate::rules::testing::{RuleTest, set, set_json};
    use crate::verdict::Level;

    fn with_terms(terms: Value) -> RuleTest {
        let affinity = json!({"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": terms}});
        set(json!({"spec": {"template": {"spec": {"affinity": affinity}}}}))
    }

    fn selecting(labels: Value) -> Value {
        json!({"topologyKey": "kubernetes.io/hostname", "labelSelector": {"matchLabels": labels}})
    }

    /// A sound term with these fields changed.
    fn term(patch: Value) -> RuleTest {
        let mut term = selecting(json!({"app": "zk"}));
        for (key, value) in patch.as_object().unwrap() {
            term[key] = value.clone();
        }
        with_terms(json!([term]))
    }

    fn expression(key: &str, operator: &str, values: Value) -> Value {
        json!({"labelSelector": {"matchExpressions": [{"key": key, "operator": operator, "values": values}]}})
    }

    #[test]
    fn whether_a_term_selects_the_pods() {
        let name = "statefulset.kubernetes.io/pod-name";
        for (patch, says) in [
            (json!({}), ""),
            (json!({"labelSelector": {}}), ""),
            (json!({"labelSelector": null}), "has no labelSelector"),
            (json!({"topologyKey": ""}), ""),
            (json!({"labelSelector": {"matchLabels": {"app": "a"}}}), "selects app=a (the pods have app=zk)"),
            (expression("app", "In", json!(["a", "zk"])), ""),
            (expression("app", "In", json!(["a", "b"])), "selects app in (a,b) (the pods have app=zk)"),
            (expression("tier", "Exists", Value::Null), "selects tier (the pods have no label tier)"),
            (expression("app", "NotIn", json!(["zk"])), ""),
            (expression("app", "DoesNotExist", Value::Null), ""),
            (expression(name, "Exists", Value::Null), ""),
            (expression(name, "In", json!(["zk-0"])), "(the pods have "),
            (json!({"matchLabelKeys": ["pod-template-hash", "app"]}), ""),
            (json!({"matchLabelKeys": [name]}), "no two pods share a value"),
            (json!({"mismatchLabelKeys": ["app"]}), ""),
        ] {
            let said = term(patch.clone()).says(&RULE);
            assert_eq!(said.is_empty(), says.is_empty(), "{patch} {said}");
            assert!(said.contains(says), "{said}");
            assert!(said.len() < 300, "{said}");
        }
    }

    #[test]
    fn whether_a_term_looks_in_the_pods_namespace() {
        let name = |value: &str| json!({"matchLabels": {"kubernetes.io/metadata.name": value}});
        let team = json!({"matchLabels": {"team": "a"}});
        for (patch, unknown, known) in [
            (json!({"namespaces": []}), 0, 0),
            (json!({"namespaces": ["other", "default"]}), 0, 0),
            (json!({"namespaces": ["other"]}), 1, 1),
            (json!({"namespaceSelector": {}}), 0, 0),
            (json!({"namespaceSelector": name("default")}), 0, 0),
            (json!({"namespaceSelector": name("other")}), 1, 1),
            (json!({"namespaceSelector": team}), 0, 1),
            (json!({"namespaceSelector": team, "namespaces": ["default"]}), 0, 0),
            (json!({"namespaceSelector": {"matchLabels": {"team": "b"}}}), 0, 0),
        ] {
            let scene = term(patch.clone());
            assert_eq!(scene.found(&RULE).len(), unknown, "{patch}");
            let namespace =
                json!({"kind": "Namespace", "metadata": {"name": "default", "labels": {"team": "b"}}});
            assert_eq!(scene.with(namespace).found(&RULE).len(), known, "{patch}");
        }
    }

    #[test]
    fn a_constraint_is_judged_like_a_term() {
        for (labels, found) in [(json!({"app": "zk"}), 0), (json!({"app": "a"}), 1)] {
            let constraints = json!({"topologySpreadConstraints": [selecting(labels)]});
            let scene = set(json!({"spec": {"template": {"spec": constraints}}}));
            assert_eq!(scene.found(&RULE).len(), found);
            assert_eq!(scene.scaled_to(1).found(&RULE).len(), 0);
        }
    }

    #[test]
    fn a_term_may_be_meant_for_another_set() {
        let other = set_json(json!({"metadata": {"name": "a"},
            "spec": {"template": {"metadata": {"labels": {"app": "a"}}}}}));
        let alone = with_terms(json!([selecting(json!({"app": "a"}))]));
        assert!(alone.says(&RULE).contains("no other StatefulSet has such pods"));
        assert!(
            !alone
                .clone()
                .unknown(Kind::StatefulSet)
                .says(&RULE)
                .contains("no other StatefulSet has such pods")
        );
        let alone = alone.with(other.clone());
        assert!(alone.says(&RULE).contains("it selects the pods of StatefulSet a, so nothing"));
        assert_eq!(alone.found(&RULE)[0].at_most, Level::Deny);

        let beside = with_terms(json!([selecting(json!({"app": "a"})), selecting(json!({"app": "zk"}))]));
        assert_eq!(beside.found(&RULE)[0].at_most, Level::Audit);
        assert!(beside.found(&RULE)[0].weight < alone.found(&RULE)[0].weight);
        assert!(beside.with(other).found(&RULE).is_empty());
        let blind =
            with_terms(json!([{"topologyKey": "", "labelSelector": {}}, selecting(json!({"app": "zk"}))]));
        assert!(blind.says(&RULE).contains("has no topologyKey"));
        let blind = with_terms(json!([{"topologyKey": "a"}, selecting(json!({"app": "zk"}))]));
        assert_eq!(blind.found(&RULE)[0].at_most, Level::Deny);
    }

    #[test]
    fn a_constraint_that_may_be_meant_for_an_unknown_set_is_not_refused() {
        let spec = json!({"affinity": {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [
            selecting(json!({"app": "zk"}))]}}, "topologySpreadConstraints": [selecting(json!({"app": "a"}))]});
        let scene = set(json!({"spec": {"template": {"spec": spec}}}));
        assert_eq!(scene.found(&RULE)[0].at_most, Level::Deny);
        assert_eq!(scene.unknown(Kind::StatefulSet).found(&RULE)[0].at_most, Level::Warn);
    }

    #[test]
    fn a_set_of_another_namespace_is_named_with_it() {
        let other = set_json(json!({"metadata": {"namespace": "b"}}));
        let elsewhere = term(json!({"namespaces": ["b"]})).with(other.clone());
        assert!(elsewhere.says(&RULE).contains("in b only, not in default"));
        assert!(elsewhere.says(&RULE).contains("the pods of StatefulSet b/zk"));
        let twin = set_json(json!({"metadata": {"name": "twin"}}));
        let selector = json!({"matchLabels": {"kubernetes.io/metadata.name": "b"}});
        let by_selector = term(json!({"namespaceSelector": selector})).with(twin);
        assert!(!by_selector.says(&RULE).contains("twin"));
    }

    #[test]
    fn the_same_term_elsewhere_in_the_list_is_the_same_violation() {
        let (a, b) = (selecting(json!({"app": "a"})), selecting(json!({"app": "b"})));
        let (one, two) = (with_terms(json!([a])), with_terms(json!([b, a])));
        assert_eq!(one.found(&RULE)[0].key, two.found(&RULE)[1].key);
    }
}
