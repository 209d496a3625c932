//! Topology keys: which labels nodes are known to have, and which are mistaken for them.

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
