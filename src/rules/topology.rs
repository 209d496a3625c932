//! Topology keys: which labels nodes are known to have, and which are mistaken for them.

use crate::model::{NODE_NAME, NodeProperty};

/// The node label that tells hosts apart.
pub(super) const HOST: &str = "kubernetes.io/hostname";
const ZONE: &str = "topology.kubernetes.io/zone";

/// Keys of labels that tell nodes apart and that clouds and kubelets set.
pub(super) const KNOWN_KEYS: [&str; 5] = [
    HOST,
    ZONE,
    "topology.kubernetes.io/region",
    "failure-domain.beta.kubernetes.io/zone",
    "failure-domain.beta.kubernetes.io/region",
];

/// The properties of nodes that say the same as the label `key`.
pub(super) fn same(key: &str) -> impl Iterator<Item = NodeProperty<'_>> {
    [NodeProperty::Label(key)].into_iter().chain((key == HOST).then_some(NODE_NAME))
}

/// The properties of nodes of which one value leaves one value of the label `key`: a host is in one zone, and a zone in one region.
pub(super) fn within(key: &str) -> impl Iterator<Item = NodeProperty<'_>> {
    let narrower = KNOWN_KEYS.into_iter().filter(move |known| *known != key && width(known) <= width(key));
    [NODE_NAME, NodeProperty::Label(key)].into_iter().chain(narrower.map(NodeProperty::Label))
}

/// Hosts are narrower than zones, and those than regions. Of another key it is only known that a host has one value.
fn width(key: &str) -> u8 {
    match key {
        ZONE | "failure-domain.beta.kubernetes.io/zone" => 1,
        "topology.kubernetes.io/region" | "failure-domain.beta.kubernetes.io/region" => 2,
        _ => 0,
    }
}

/// The places in messages that a topology key tells apart, of which there is one.
pub(super) fn one_place(key: &str) -> String {
    match (key, width(key)) {
        (HOST, _) => "one node".to_owned(),
        (_, 1) => "one zone".to_owned(),
        (_, 2) => "one region".to_owned(),
        _ => format!("nodes with one value of {key}"),
    }
}

/// The field of a term whose topology key is wrong.
pub(super) const TOPOLOGY_KEY: &str = "topologyKey";

/// Keys that look like the known ones under domains that only Kubernetes gives labels of, and what was meant.
const MISTAKEN_KEYS: [(&str, &str); 10] = [
    ("hostname", HOST),
    ("kubernetes.io/host", HOST),
    ("kubernetes.io/node", HOST),
    ("topology.kubernetes.io/hostname", HOST),
    ("topology.kubernetes.io/node", HOST),
    ("topology.kubernetes.io/host", HOST),
    ("node.kubernetes.io/hostname", HOST),
    ("kubernetes.io/zone", ZONE),
    ("failure-domain.kubernetes.io/zone", ZONE),
    ("failure-domain.kubernetes.io/region", "topology.kubernetes.io/region"),
];

/// Labels of what nodes are made of, which all of a cluster usually share.
const SHARED_KEYS: [&str; 4] =
    ["kubernetes.io/os", "kubernetes.io/arch", "beta.kubernetes.io/os", "beta.kubernetes.io/arch"];

/// Whether it is one of the keys that are often taken for a known one; an administrator may have labelled the nodes with it.
pub(super) fn is_mistaken(key: &str) -> bool {
    mistaken_for(key).is_some()
}

/// Whether all nodes of a cluster usually share the value of this key.
pub(super) fn is_shared(key: &str) -> bool {
    SHARED_KEYS.contains(&key)
}

fn mistaken_for(key: &str) -> Option<&'static str> {
    MISTAKEN_KEYS.iter().find(|(mistaken, _)| *mistaken == key).map(|(_, meant)| *meant)
}

/// Why no node has a label of this key, and the key that was meant. Nodes may have labels that are not known here, so only what is
/// nearly the same as a known key is wrong, and what is often taken for one.
pub(super) fn fault_of_key(key: &str) -> Option<(String, &'static str)> {
    if key.is_empty() {
        return Some(("has no topologyKey".to_owned(), HOST));
    }
    if KNOWN_KEYS.contains(&key) {
        return None;
    }
    let is_near =
        |known: &&&str| key.len().abs_diff(known.len()) <= 2 && strsim::damerau_levenshtein(known, key) <= 2;
    let nearest = || {
        KNOWN_KEYS
            .into_iter()
            .filter(|known| is_near(&known))
            .min_by_key(|known| strsim::damerau_levenshtein(known, key))
    };
    let meant = mistaken_for(key).or_else(nearest)?;
    Some((format!("has a topologyKey that no node has as a label (did you mean {meant}?)"), meant))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_in_one_zone_and_a_zone_in_one_region() {
        let region = "topology.kubernetes.io/region";
        for (narrow, wide, is_within) in [
            (HOST, HOST, true),
            (HOST, ZONE, true),
            (HOST, "example.com/rack", true),
            (ZONE, region, true),
            ("failure-domain.beta.kubernetes.io/zone", ZONE, true),
            ("example.com/rack", "example.com/rack", true),
            (ZONE, HOST, false),
            (region, ZONE, false),
            (ZONE, "example.com/rack", false),
            ("example.com/rack", ZONE, false),
        ] {
            let found = within(wide).any(|property| property == NodeProperty::Label(narrow));
            assert_eq!(found, is_within, "{narrow} in {wide}");
            assert!(within(wide).any(|property| property == NODE_NAME));
        }
    }
}
