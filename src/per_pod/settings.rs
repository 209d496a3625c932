//! Settings of a set's Services beyond its annotations: those of the policies, or those that policies gave before.

use super::problem::Problem;
use super::service::PerPodService;
use super::set::PerPodSet;
use crate::cluster::Cluster;
use crate::model::PER_POD_SETTINGS;
use crate::policy::{PerPodServices, Policies, SettingsUnknown, Subject};

/// The problem that goes away by itself, when all policies and the labels of the namespace are known.
pub const POLICY_UNKNOWN: &str = "service-per-pod-policy-unknown";

/// Settings, and why they are kept where no policy gives them any more.
pub(super) type Settings = (PerPodServices, Option<Problem>);

/// What policies say of the Services of a set. Where they say nothing, or it is not known what, the settings hold on that are written
/// on `made`, the Services that it has: a policy that was deleted, or a label that was lost, does not turn Services into load balancers
/// or open those that there are to everyone. The type holds on until another one is named.
pub(super) fn settings<'s>(
    set: &PerPodSet,
    cluster: &Cluster,
    policies: &Policies,
    made: impl IntoIterator<Item = &'s PerPodService>,
) -> Result<Settings, Problem> {
    let namespace_labels = cluster.namespace(&set.metadata.namespace).map(|ns| &ns.metadata.labels);
    let asked = policies.per_pod_services(Subject { metadata: &set.metadata, namespace_labels });
    if let Ok(Some(settings)) = asked
        && settings.kind.is_some()
    {
        return Ok((settings.clone(), None));
    }
    let kept = made.into_iter().find_map(written_on);
    match (asked, kept) {
        (Ok(Some(settings)), kept) => {
            let kind = kept.and_then(|kept| kept.kind);
            Ok((PerPodServices { kind, ..settings.clone() }, None))
        }
        (Ok(None), None) => Ok(Settings::default()),
        (Ok(None), Some(kept)) => Ok((kept, Some(kept_because(NO_POLICY)))),
        (Err(unknown), None) => Err(undecided(unknown)),
        (Err(unknown @ SettingsUnknown::Malformed(_)), Some(kept)) => {
            Ok((kept, Some(kept_because(&unknown.to_string()))))
        }
        (Err(SettingsUnknown::Policies | SettingsUnknown::Labels(_)), Some(kept)) => Ok((kept, None)),
    }
}

/// The settings that a Service was given.
fn written_on(service: &PerPodService) -> Option<PerPodServices> {
    PerPodServices::from_text(service.metadata.annotations.get(PER_POD_SETTINGS)?)
}

fn undecided(unknown: SettingsUnknown<'_>) -> Problem {
    Problem { id: POLICY_UNKNOWN, message: format!("the Services are left as they are: {unknown}") }
}

const NO_POLICY: &str = "no policy with servicePerPod matches the set any more; to change them, write servicePerPod with a type in a \
                         policy that matches the set";

fn kept_because(why: &str) -> Problem {
    let message = format!("the Services keep the settings they were given, and new ones get them too: {why}");
    Problem { id: "service-per-pod-settings-kept", message }
}
