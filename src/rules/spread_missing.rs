//! `spread-missing`

use serde_json::json;

use super::edits::pod_selector;
use super::spread::{Effect, SpreadTerm, is_pinned_apart};
use super::topology::{HOST, TOPOLOGY_KEY};
use super::{FieldEdit, FieldPlace, Param, ParamKind, Params, SetContext, Violations};
use crate::model::{Class, StatefulSet};
use crate::verdict::Level;

rule! {
    /// ## What it checks
    ///
    /// A set of two or more replicas has no pod anti-affinity term (required or preferred) and no topology spread constraint
    /// that selects its own pods, over hosts or anything wider. Containers that take a port of their node (`hostPort`, or
    /// `hostNetwork` with ports) cannot share one, which counts. With the parameter `topologyKeys` only those keys count.
    ///
    /// A set with one member of a consensus group of several sets has peers too: its terms must select the pods of the others, or
    /// its `nodeSelector` or required node affinity must ask for other hosts, zones or regions than theirs. That is at most a
    /// warning.
    ///
    /// A term that misses the pods by its selector does not count, but then `spread-selector-mismatch` says so and this rule is
    /// silent. Nor does one whose topology key no node has (a near miss of a well-known key, or what is often taken for one, such as
    /// `topology.kubernetes.io/hostname` or `kubernetes.io/zone`), one over what all nodes usually share (`kubernetes.io/os`,
    /// `kubernetes.io/arch`), or one that leaves the pods out expressly (`NotIn`, `mismatchLabelKeys`). Where nodes may have been
    /// given such labels by hand it is at most a warning. A set whose term spreads it against the rest of a group that it belongs to,
    /// as one set a zone does, is only recorded: its own pods may share a node by design.
    ///
    /// ## Why
    ///
    /// The scheduler packs pods where there is room. By itself it prefers to spread those of one set, but only a little, and
    /// not at all where the template has spread constraints of its own. One node that fails then takes several members, or
    /// all of them.
    ///
    /// ## How to fix
    ///
    /// Add a pod anti-affinity term over `kubernetes.io/hostname` that selects the pods: a required one where two members must
    /// never share a node, a preferred one where the cluster may have too few nodes. Zones are wider, and count too.
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
    ///     spec: {containers: [{name: zk, image: "zookeeper:3.9"}]}
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
    "spread-missing": "nothing keeps the pods on different nodes",
    needs_peers: true,
    peers_in_group: true,
    triggers: [Set, Scale],
    params: [TOPOLOGY_KEYS],
    check: State(check),
}

const TOPOLOGY_KEYS: Param = Param {
    name: "topologyKeys",
    docs: "the topology keys that count as a spread; without it any key counts",
    kind: ParamKind::Texts,
};

fn check(at: &SetContext<'_>, params: &Params, out: &mut Violations) {
    let keys = params.texts(&TOPOLOGY_KEYS);
    let counts = |key: &str| keys.is_none_or(|keys| keys.iter().any(|counted| counted == key));
    let Some(terms) = at.spread_terms() else { return };
    // A set with one member only shares a node with other sets of its group.
    let others = if at.replicas == 1 { at.sets_with_members() } else { Vec::new() };
    let selects = |term: &SpreadTerm<'_>, set: &StatefulSet| {
        std::ptr::eq(set, at.set) || term.selector.is_some_and(|s| s.matches(set.spec.template.labels()))
    };
    let spreads = |term: &SpreadTerm<'_>| {
        (term.effect == Effect::Spreads || (at.replicas == 1 && term.effect == Effect::SpreadsGroup))
            && counts(term.topology_key)
            && others.iter().all(|set| selects(term, set))
    };
    let by_ports = at.set.spec.template.spec.takes_host_ports() && counts(HOST);
    if by_ports || terms.iter().any(spreads) {
        return;
    }
    if at.replicas == 1 && is_pinned_apart(at, &others, counts) {
        return;
    }
    // That a term misses the pods is what another rule says.
    let is_mismatch = |term: &SpreadTerm<'_>| {
        counts(term.topology_key)
            && matches!(&term.effect, Effect::Misses(miss) if miss.field != TOPOLOGY_KEY)
    };
    if terms.iter().any(is_mismatch) {
        return;
    }
    let wanted = keys.and_then(<[_]>::first).map_or(HOST, |key| key);
    if at.replicas == 1 {
        return group_is_not_spread(at, wanted, out);
    }
    let what = what_there_is(at, terms, wanted);
    let (pods, how) = match at.class.class {
        Class::Quorum => ("members", "required"),
        Class::Singleton | Class::Replicated => ("pods", "preferred"),
    };
    let message = format!("{what}, so one failure can take all {} {pods}", at.replicas);
    let meant = terms.iter().find_map(|term| match &term.effect {
        Effect::Misses(miss) if miss.field == TOPOLOGY_KEY && keys.is_none() => Some((term, miss)),
        _ => None,
    });
    let remedy = match meant {
        Some((term, miss)) => format!("correct {term}: {}", miss.fix),
        None => format!(
            "add {how} pod anti-affinity over {wanted} that selects {} to the template",
            at.set.selecting()
        ),
    };
    let place = FieldPlace::in_set("/spec/template/spec/affinity/podAntiAffinity");
    let edits = match meant {
        Some((term, miss)) => term.corrections(at, miss),
        None => anti_affinity(at, wanted).into_iter().collect(),
    };
    let in_group = terms.iter().any(|term| term.effect == Effect::SpreadsGroup && counts(term.topology_key));
    let level = match in_group {
        true => Level::Audit,
        false if terms.iter().any(SpreadTerm::may_be_right) => Level::Warn,
        false => Level::Deny,
    };
    out.add(place, message, remedy).edits(edits).at_most(level);
}

/// Anti-affinity over `topology_key`. A required one can leave pods pending, so a person looks first.
fn anti_affinity(at: &SetContext<'_>, topology_key: &str) -> Option<FieldEdit> {
    let term = json!({"labelSelector": pod_selector(at)?, "topologyKey": topology_key});
    let affinity = "/spec/template/spec/affinity/podAntiAffinity";
    Some(if at.class.class == Class::Quorum {
        let path = format!("{affinity}/requiredDuringSchedulingIgnoredDuringExecution/-");
        FieldEdit::set(FieldPlace::in_set(path), term).unsafe_to_apply()
    } else {
        let path = format!("{affinity}/preferredDuringSchedulingIgnoredDuringExecution/-");
        FieldEdit::set(FieldPlace::in_set(path), json!({"weight": 100, "podAffinityTerm": term}))
    })
}

/// The set has one member of a group of several sets.
fn group_is_not_spread(at: &SetContext<'_>, wanted: &str, out: &mut Violations) {
    let group = at.group_name();
    let message = format!(
        "nothing keeps the members of {group} on different nodes, so one failure can take several of them"
    );
    let remedy = format!(
        "add required pod anti-affinity over {wanted} to the template of each set, with a labelSelector that selects the pods of \
         all of them"
    );
    let violation =
        out.add(FieldPlace::in_set("/spec/template/spec/affinity/podAntiAffinity"), message, remedy);
    // It rests on other sets, which are not read again before a denial for what the set itself shows.
    violation.at_most(Level::Warn);
    if at.has_one_set_a_member() {
        violation.of_group();
    }
}

/// The present terms, in place of the wanted one.
fn what_there_is(at: &SetContext<'_>, terms: &[SpreadTerm<'_>], wanted: &str) -> String {
    if let Some(term) = terms.iter().find(|term| term.effect == Effect::Spreads) {
        return format!("pods are spread over {} but not over {wanted}", term.topology_key);
    }
    if at.set.spec.template.spec.takes_host_ports() {
        return format!("pods are spread over {HOST} but not over {wanted}");
    }
    match terms.first() {
        Some(SpreadTerm { effect: Effect::Misses(miss), .. }) if miss.field == TOPOLOGY_KEY => {
            format!("nothing keeps the pods apart: {} {}", terms[0], miss.why)
        }
        Some(term) if term.effect == Effect::KeepsTogether => {
            format!("nothing keeps the pods apart ({term} does nothing where all nodes share its value)")
        }
        Some(term) => format!("nothing keeps the pods apart ({term} leaves them out)"),
        None => "nothing keeps the pods on different nodes".to_owned(),
    }
}

#[cfg(test)]
#[expect(clippy::needless_pass_by_value, reason = "`json!` reads better where it is not borrowed")]
mod tests {
    use serde_json::{Value, json};

    use super::Params;
    use super::RULE;
    use crate::model::Class;
    use crate::rules::testing::{RuleTest, set};
    use crate::verdict::Level;

    fn params(topology_keys: Value) -> Params {
        let given = json!({"topologyKeys": topology_keys});
        Params::read(given.as_object().unwrap(), RULE.params).unwrap()
    }

    fn scene(spec: Value) -> RuleTest {
        set(json!({"spec": {"template": {"spec": spec}}}))
    }

    fn required(term: Value) -> Value {
        json!({"affinity": {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}})
    }

    fn over(key: &str) -> Value {
        json!({"topologyKey": key, "labelSelector": {"matchLabels": {"app": "zk"}}})
    }

    #[test]
    fn anything_that_selects_the_pods_is_a_spread() {
        let zone = "topology.kubernetes.io/zone";
        let preferred = json!({"affinity": {"podAntiAffinity": {
            "preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 1, "podAffinityTerm": over(zone)}]}}});
        let port = |spec: Value| json!({"containers": [{"name": "zk", "ports": [spec]}]});
        let mut on_host = port(json!({"containerPort": 1}));
        on_host["hostNetwork"] = json!(true);
        for (spec, found) in [
            (json!({}), 1),
            (json!({"affinity": null}), 1),
            (required(over(zone)), 0),
            (preferred, 0),
            (json!({"topologySpreadConstraints": [over(zone)]}), 0),
            (port(json!({"hostPort": 2181})), 0),
            (port(json!({"containerPort": 2181})), 1),
            (on_host, 0),
            (json!({"hostNetwork": true}), 1),
        ] {
            assert_eq!(scene(spec.clone()).found(&RULE).len(), found, "{spec}");
        }
    }

    #[test]
    fn one_pod_needs_no_spread() {
        for (replicas, found) in [(0, 0), (1, 0), (2, 1), (3, 1), (i32::MIN, 0), (i32::MAX, 1)] {
            assert_eq!(scene(json!({})).scaled_to(replicas).found(&RULE).len(), found);
        }
    }

    #[test]
    fn a_term_that_misses_or_excludes_the_pods_is_no_spread() {
        let absent = required(json!({"topologyKey": "kubernetes.io/hostname"}));
        assert!(scene(absent).found(&RULE).is_empty(), "another rule says so");
        let not_ours = json!({"matchExpressions": [{"key": "app", "operator": "NotIn", "values": ["zk"]}]});
        let excluded = required(json!({"topologyKey": "kubernetes.io/hostname", "labelSelector": not_ours}));
        let said = scene(excluded).says(&RULE);
        assert!(
            said.contains("leaves them out") && said.contains("add required pod anti-affinity"),
            "{said}"
        );
    }

    #[test]
    fn a_key_that_no_node_has_spreads_nothing() {
        for (key, meant) in [
            ("kubernetes.io/hostnmae", "kubernetes.io/hostname"),
            ("kubernetes.io/hostnames", "kubernetes.io/hostname"),
            ("topology.kubernetes.io/zones", "topology.kubernetes.io/zone"),
            ("topolgy.kubernetes.io/region", "topology.kubernetes.io/region"),
            ("failure-domain.beta.kubernetes.io/zon", "failure-domain.beta.kubernetes.io/zone"),
            ("", "kubernetes.io/hostname"),
            ("topology.kubernetes.io/hostname", "kubernetes.io/hostname"),
            ("topology.kubernetes.io/node", "kubernetes.io/hostname"),
            ("node.kubernetes.io/hostname", "kubernetes.io/hostname"),
            ("kubernetes.io/host", "kubernetes.io/hostname"),
            ("hostname", "kubernetes.io/hostname"),
            ("kubernetes.io/zone", "topology.kubernetes.io/zone"),
            ("failure-domain.kubernetes.io/zone", "topology.kubernetes.io/zone"),
        ] {
            let said = scene(required(over(key))).says(&RULE);
            assert!(said.ends_with(&format!("set its topologyKey to {meant}")), "{key}: {said}");
        }
        for (key, level) in [
            ("kubernetes.io/hostnmae", Level::Deny),
            ("topology.kubernetes.io/hostname", Level::Warn),
            ("kubernetes.io/arch", Level::Warn),
        ] {
            assert_eq!(scene(required(over(key))).found(&RULE)[0].at_most, level, "{key}");
        }
        for key in [
            "topology.ebs.csi.aws.com/zone",
            "example.com/rack",
            "rack",
            "topology.rook.io/rack",
            "topology.gke.io/zone",
            "cloud.google.com/gke-nodepool",
            "host",
            "zone",
        ] {
            assert!(scene(required(over(key))).found(&RULE).is_empty(), "{key}");
        }
        for key in
            ["kubernetes.io/os", "kubernetes.io/arch", "beta.kubernetes.io/os", "beta.kubernetes.io/arch"]
        {
            let said = scene(required(over(key))).says(&RULE);
            assert!(
                said.contains("where all nodes share its value") && said.contains("add required"),
                "{key}: {said}"
            );
        }
        let zone = over("topology.kubernetes.io/zone");
        assert!(
            scene(json!({"topologySpreadConstraints": [over("kubernetes.io/hostnmae"), zone]}))
                .found(&RULE)
                .is_empty()
        );
    }

    #[test]
    fn one_set_a_zone_is_only_recorded() {
        let not_own = json!({"key": "app", "operator": "NotIn", "values": ["zk"]});
        let group = json!({"key": "group", "operator": "In", "values": ["g"]});
        for (expressions, level) in [(json!([group, not_own]), Level::Audit), (json!([not_own]), Level::Deny)]
        {
            let term = json!({"topologyKey": "kubernetes.io/hostname", "labelSelector": {"matchExpressions": expressions}});
            let mut spec = required(term);
            spec["containers"] = json!([]);
            let template = json!({"metadata": {"labels": {"group": "g"}}, "spec": spec});
            assert_eq!(
                set(json!({"spec": {"template": template}})).found(&RULE)[0].at_most,
                level,
                "{expressions}"
            );
        }
    }

    #[test]
    fn a_policy_may_ask_for_certain_keys() {
        let by_zone = scene(required(over("topology.kubernetes.io/zone")));
        let hosts = params(json!(["kubernetes.io/hostname"]));
        let said = by_zone.clone().params(hosts.clone()).says(&RULE);
        assert!(said.contains("spread over topology.kubernetes.io/zone but not over kubernetes.io/hostname"));
        assert!(by_zone.found(&RULE).is_empty());
        assert!(scene(required(over("kubernetes.io/hostname"))).params(hosts).found(&RULE).is_empty());
        let none = params(json!([]));
        assert_eq!(by_zone.params(none).found(&RULE).len(), 1);
    }

    #[test]
    fn members_with_a_set_each_are_kept_from_each_other() {
        let member = |name: &str, selector: Value| {
            let term =
                json!({"topologyKey": "kubernetes.io/hostname", "labelSelector": {"matchLabels": selector}});
            let template = json!({"metadata": {"labels": {"member": name}}, "spec": required(term)});
            json!({"metadata": {"name": name, "annotations": {"stateward.dev/ensemble": "zk"}},
                "spec": {"replicas": 1, "template": template}})
        };
        let group = |selector: Value| {
            let of = |name: &str| crate::rules::testing::set_json(member(name, selector.clone()));
            set(member("a", selector.clone())).with(of("b")).with(of("c"))
        };
        assert!(group(json!({"app": "zk"})).found(&RULE).is_empty());
        let own = group(json!({"app": "zk", "member": "a"})).found(&RULE);
        assert!(own[0].message.contains("members of ensemble zk on different nodes") && own[0].is_of_group);
    }

    #[test]
    fn members_that_are_pinned_to_different_places_are_apart() {
        let zone = "topology.kubernetes.io/zone";
        let of = |name: &str, key: &str, value: &str| {
            let spec = json!({"nodeSelector": {key: value}});
            json!({"metadata": {"name": name, "annotations": {"stateward.dev/ensemble": "zk"}},
                "spec": {"replicas": 1, "template": {"spec": spec}}})
        };
        for (other, found) in [
            (of("b", zone, "2"), 0),
            (of("b", zone, "1"), 1),
            (of("b", "kubernetes.io/hostname", "2"), 1),
            (of("b", "disk", "2"), 1),
        ] {
            let other = crate::rules::testing::set_json(other);
            let third = crate::rules::testing::set_json(of("c", zone, "3"));
            let scene = set(of("a", zone, "1")).with(other.clone()).with(third);
            assert_eq!(scene.found(&RULE).len(), found, "{other}");
            let hosts = params(json!(["kubernetes.io/hostname"]));
            assert_eq!(scene.params(hosts).found(&RULE).len(), 1, "{other}");
        }
    }

    #[test]
    fn the_remedy_fits_the_class() {
        assert!(scene(json!({})).says(&RULE).contains("add required pod anti-affinity"));
        let replicated = scene(json!({})).class(Class::Replicated);
        assert!(replicated.says(&RULE).contains("add preferred pod anti-affinity"));
    }
}
