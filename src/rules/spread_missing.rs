//! `spread-missing`

mod group;
mod pinned;

use serde_json::json;

use super::edits::pod_selector;
use super::node_pins::{NodePin, describe_pins, has_too_few_values, more_values, pins};
use super::spread::{Effect, SpreadTerm};
use super::topology::{HOST, TOPOLOGY_KEY};
use super::{FieldEdit, FieldPlace, Param, ParamKind, Params, SetContext, Violations};
use crate::model::Class;
use crate::verdict::Level;

rule! {
    /// ## What it checks
    ///
    /// A set of two or more replicas has no pod anti-affinity term (required or preferred) and no topology spread constraint
    /// that selects its own pods, over hosts or anything wider. Containers that take a port of their node (`hostPort`, or
    /// `hostNetwork` with ports) cannot share one, which counts. With the parameter `topologyKeys` only those keys count.
    ///
    /// Nor does a term whose topology key the template leaves one value of: by `nodeName`, by `nodeSelector`, by required node affinity
    /// (over `kubernetes.io/hostname` or `metadata.name`, a zone, a region, or the key itself) or by required pod affinity with the
    /// set's own pods. One host leaves one value of every key, and one zone one region. Where required anti-affinity, or a port
    /// of the node, allows one pod for each value and there are fewer values than pods, the rest stays Pending, and that is found
    /// whatever else spreads the pods. With `nodeName` the scheduler has no part, and all run on that node.
    /// Pod affinity that may draw the pods to those of others too is at most a warning.
    ///
    /// A set with one member of a consensus group of several sets has peers too: its terms must select the pods of the others, or
    /// its `nodeName`, `nodeSelector` or required node affinity must ask for other hosts, zones or regions than theirs. Two of them
    /// that ask for the same node are found. That is at most a warning.
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
    /// Remove what pins the pods to one node: with required anti-affinity beside it, all but one stay Pending.
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
    let wanted = WantedKeys(params.texts(&TOPOLOGY_KEYS));
    let Some(terms) = at.spread_terms() else { return };
    if at.replicas == 1 {
        return group::check_group(at, terms, wanted, out);
    }
    if let Some(shortage) = pinned::shortage(at, terms) {
        return pinned::leaves_pods_pending(at, terms, wanted, &shortage, out);
    }
    let spreads = |term: &SpreadTerm<'_>| term.effect == Effect::Spreads && wanted.has(term.topology_key);
    let by_ports = at.set.spec.template.spec.takes_host_ports() && wanted.has(HOST);
    if (by_ports && pins(at, HOST).is_empty()) || terms.iter().any(spreads) {
        return;
    }
    let pins_of_wanted = pins(at, wanted.first());
    if !pins_of_wanted.is_empty() {
        return pinned::shares_one_place(at, terms, wanted, &pins_of_wanted, out);
    }
    // That a term misses the pods is what another rule says, where its edit would spread them.
    let is_missed =
        |term: &SpreadTerm<'_>| wanted.is_missed_by(term) && pins(at, term.topology_key).is_empty();
    if !terms.iter().any(is_missed) {
        is_not_spread(at, terms, wanted, out);
    }
}

/// The parameter `topologyKeys`.
#[derive(Clone, Copy)]
struct WantedKeys<'a>(Option<&'a [String]>);

impl<'a> WantedKeys<'a> {
    /// Whether a spread over this key counts.
    fn has(self, key: &str) -> bool {
        self.0.is_none_or(|keys| keys.iter().any(|wanted| wanted == key))
    }

    /// The key to spread over where nothing does.
    fn first(self) -> &'a str {
        self.0.and_then(<[_]>::first).map_or(HOST, |key| key)
    }

    /// Whether the term would count if it selected the pods.
    fn is_missed_by(self, term: &SpreadTerm<'_>) -> bool {
        self.has(term.topology_key)
            && matches!(&term.effect, Effect::Misses(miss) if miss.field != TOPOLOGY_KEY)
    }
}

/// The pods may go anywhere, and nothing keeps them apart.
fn is_not_spread(
    at: &SetContext<'_>,
    terms: &[SpreadTerm<'_>],
    wanted: WantedKeys<'_>,
    out: &mut Violations,
) {
    let what = what_there_is(at, terms, wanted.first());
    let message = format!("{what}, so one failure can take all {} {}", at.replicas, pods(at));
    let (remedy, edits) = spreading_remedy(at, terms, wanted, &[]);
    let level = match may_share(terms, wanted) {
        true => Level::Audit,
        false if terms.iter().any(SpreadTerm::may_be_right) => Level::Warn,
        false => Level::Deny,
    };
    out.add(FieldPlace::in_set(ANTI_AFFINITY), message, remedy).edits(edits).at_most(level);
}

/// What makes the scheduler spread the pods, together with the removal of these pins.
fn spreading_remedy(
    at: &SetContext<'_>,
    terms: &[SpreadTerm<'_>],
    wanted: WantedKeys<'_>,
    removed: &[NodePin],
) -> (String, Vec<FieldEdit>) {
    let meant = terms.iter().find_map(|term| match &term.effect {
        Effect::Misses(miss) if miss.field == TOPOLOGY_KEY && wanted.0.is_none() => Some((term, miss)),
        _ => None,
    });
    if let Some((term, miss)) = meant {
        let (correction, edits) = term.correction(at, miss, removed);
        return (format!("correct {term}: {correction}"), edits);
    }
    let key = wanted.first();
    let how = if at.class.class == Class::Quorum { "required" } else { "preferred" };
    let add =
        format!("add {how} pod anti-affinity over {key} that selects {} to the template", at.set.selecting());
    // Required anti-affinity would leave pods pending.
    if at.class.class == Class::Quorum && has_too_few_values(at, key) {
        return (format!("{} and {add}", more_values(at, key)), Vec::new());
    }
    (add, anti_affinity(at, key).into_iter().collect())
}

/// Whether a term spreads the set against the rest of a group, so that its own pods may share a node by design.
fn may_share(terms: &[SpreadTerm<'_>], wanted: WantedKeys<'_>) -> bool {
    terms.iter().any(|term| term.effect == Effect::SpreadsGroup && wanted.has(term.topology_key))
}

fn pods(at: &SetContext<'_>) -> &'static str {
    if at.class.class == Class::Quorum { "members" } else { "pods" }
}

const ANTI_AFFINITY: &str = "/spec/template/spec/affinity/podAntiAffinity";

/// Anti-affinity over `topology_key`. A required one can leave pods pending, so a person looks first.
fn anti_affinity(at: &SetContext<'_>, topology_key: &str) -> Option<FieldEdit> {
    let term = json!({"labelSelector": pod_selector(at)?, "topologyKey": topology_key});
    Some(if at.class.class == Class::Quorum {
        let path = format!("{ANTI_AFFINITY}/requiredDuringSchedulingIgnoredDuringExecution/-");
        FieldEdit::set(FieldPlace::in_set(path), term).unsafe_to_apply()
    } else {
        let path = format!("{ANTI_AFFINITY}/preferredDuringSchedulingIgnoredDuringExecution/-");
        FieldEdit::set(FieldPlace::in_set(path), json!({"weight": 100, "podAffinityTerm": term}))
    })
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
        Some(SpreadTerm { effect: Effect::Misses(miss), .. }) => {
            format!("nothing keeps the pods apart: {} {}", terms[0], miss.why)
        }
        Some(term) if term.effect == Effect::KeepsTogether => {
            format!("nothing keeps the pods apart ({term} does nothing where all nodes share its value)")
        }
        Some(term) if term.effect == Effect::CancelledByPin => {
            let pins = describe_pins(&pins(at, term.topology_key), term.topology_key);
            format!("nothing keeps the pods on different nodes ({term} does nothing where {pins})")
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
    fn where_a_policy_asks_for_zones_a_pin_to_one_has_to_go() {
        let zone = "topology.kubernetes.io/zone";
        let hosts = required(over("kubernetes.io/hostname"));
        let mut pinned = hosts.clone();
        pinned["nodeSelector"] = json!({zone: "a"});
        let says = |spec: Value| scene(spec).params(params(json!([zone]))).says(&RULE);
        assert!(says(hosts).ends_with(&format!(
            "add required pod anti-affinity over {zone} that selects app=zk to the template"
        )));
        let said = says(pinned.clone());
        assert!(
            said.contains("leaves one zone for all 3 members") && said.contains("remove nodeSelector"),
            "{said}"
        );
        assert!(scene(pinned).found(&RULE).is_empty());
    }

    #[test]
    fn terms_that_may_look_elsewhere_leave_no_pod_pending() {
        let hosts = json!({"key": "kubernetes.io/hostname", "operator": "In", "values": ["a", "b"]});
        let nodes = json!({"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [{"matchExpressions": [hosts]}]}});
        for (selector, found) in [(json!(null), 1), (json!({"matchLabels": {"team": "a"}}), 0)] {
            let mut term = over("kubernetes.io/hostname");
            term["namespaceSelector"] = selector.clone();
            let mut spec = required(term);
            spec["affinity"]["nodeAffinity"] = nodes.clone();
            assert_eq!(scene(spec).found(&RULE).len(), found, "{selector}");
        }
    }

    #[test]
    fn pods_are_drawn_together_only_by_what_draws_them_to_each_other() {
        let host = || over("kubernetes.io/hostname");
        let with = |patch: Value| {
            let mut term = host();
            term.as_object_mut().unwrap().extend(patch.as_object().unwrap().clone());
            term
        };
        let any = json!({"labelSelector": {}});
        for (terms, level) in [
            (json!([host()]), Some(Level::Deny)),
            (json!([host(), with(any.clone())]), Some(Level::Deny)),
            (json!([with(any)]), Some(Level::Warn)),
            (json!([with(json!({"namespaces": ["default", "other"]}))]), Some(Level::Warn)),
            (json!([with(json!({"namespaces": ["other"]}))]), None),
            (json!([with(json!({"namespaceSelector": {"matchLabels": {"team": "a"}}}))]), None),
            (json!([with(json!({"mismatchLabelKeys": ["app"]}))]), None),
            (json!([with(json!({"labelSelector": null}))]), None),
            (json!([host(), with(json!({"labelSelector": {"matchLabels": {"app": "web"}}}))]), None),
        ] {
            let mut spec = required(host());
            spec["affinity"]["podAffinity"] =
                json!({"requiredDuringSchedulingIgnoredDuringExecution": terms});
            let found = scene(spec).found(&RULE);
            assert_eq!(found.first().map(|violation| violation.at_most), level, "{terms}");
        }
        let mut spec = required(host());
        let by_any = json!([with(
            json!({"labelSelector": {"matchExpressions": [{"key": "app", "operator": "Exists"}]}})
        )]);
        spec["affinity"]["podAffinity"] = json!({"requiredDuringSchedulingIgnoredDuringExecution": by_any});
        let web = crate::rules::testing::set_json(json!({"metadata": {"name": "web"},
            "spec": {"template": {"metadata": {"labels": {"app": "web"}}}}}));
        assert_eq!(scene(spec.clone()).found(&RULE).len(), 1);
        assert!(scene(spec).with(web).found(&RULE).is_empty(), "they may run where the pods of web do");
    }

    #[test]
    fn what_leaves_pods_pending_is_worse_than_what_leaves_them_together() {
        let mut anywhere = json!({});
        let unspread = scene(anywhere.clone()).found(&RULE);
        anywhere["nodeSelector"] = json!({"kubernetes.io/hostname": "a"});
        let together = scene(anywhere).found(&RULE);
        let mut pending = required(over("kubernetes.io/hostname"));
        pending["nodeSelector"] = json!({"kubernetes.io/hostname": "a"});
        let pending = scene(pending).found(&RULE);
        assert!(unspread[0].weight < together[0].weight && together[0].weight < pending[0].weight);
        assert!(unspread[0].key == together[0].key && together[0].key == pending[0].key);
    }

    #[test]
    fn the_remedy_fits_the_class() {
        assert!(scene(json!({})).says(&RULE).contains("add required pod anti-affinity"));
        let replicated = scene(json!({})).class(Class::Replicated);
        assert!(replicated.says(&RULE).contains("add preferred pod anti-affinity"));
    }
}
