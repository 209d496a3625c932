//! A StatefulSet of manifests as it will run.

use std::sync::LazyLock;

use crate::cluster::Cluster;
use crate::model::{StatefulSet, TakenFromConfigMaps, WhatToTake, data_variables, group_variables};
use crate::mutate::mutated;
use crate::policy::Policies;
use crate::software;

/// The variables that say what a set is.
static VARIABLES: LazyLock<Vec<&'static str>> =
    LazyLock::new(|| software::variables().chain(group_variables()).chain(data_variables()).collect());

/// The set with what it takes from ConfigMaps of its context, and with a policy's additions.
pub(super) fn applied(set: &StatefulSet, cluster: &Cluster, policies: &Policies) -> StatefulSet {
    match taken(set, cluster) {
        Some(taken) => mutated(&set.with_taken(taken), cluster, policies),
        None => mutated(set, cluster, policies),
    }
}

/// The data from ConfigMaps that rules about other sets look at: for most software not the files, of which there is one for each of
/// thousands of sets.
pub(super) fn taken_for_others(set: &StatefulSet, cluster: &Cluster) -> Option<TakenFromConfigMaps> {
    taken(set, cluster)?.with_files_of(set, software::is_known_by_files)
}

/// The data from ConfigMaps that say what the set runs.
fn taken(set: &StatefulSet, cluster: &Cluster) -> Option<TakenFromConfigMaps> {
    let what =
        WhatToTake { variables: &VARIABLES, files_of: software::reads_files, settings: software::settings };
    set.taken_from_config_maps(what, |name| cluster.config_map(&set.metadata.namespace, name))
}
