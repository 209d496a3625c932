//! Drops the fields no rule reads before an object is stored.

use super::ClusterObject;
use crate::model::{Labels, PodTemplate};

impl ClusterObject {
    /// The object without the fields that no rule reads of another object, and without spare capacity. Of the environment, the
    /// variables stay for which `reads_variable` is true.
    #[must_use]
    pub fn strip_unused(mut self, reads_variable: fn(&str) -> bool) -> Self {
        self.metadata_mut().uid = Box::default();
        match self {
            Self::StatefulSet(ref mut set) => {
                strip_template(&mut set.spec.template, reads_variable);
                set.spec.volume_claim_templates.shrink_to_fit();
            }
            // Policies select by the labels of sets and namespaces; of the others nobody asks for their own.
            Self::Service(_) | Self::DisruptionBudget(_) | Self::Autoscaler(_) | Self::ScaledObject(_) => {
                self.metadata_mut().labels = Labels::default();
            }
            Self::Deployment(ref mut workload)
            | Self::ReplicaSet(ref mut workload)
            | Self::DaemonSet(ref mut workload)
            | Self::Job(ref mut workload)
            | Self::CronJob(ref mut workload) => strip_template(workload.template_mut(), reads_variable),
            Self::Namespace(_) | Self::Claim(_) | Self::ConfigMap(_) => {}
        }
        self
    }
}

/// Of the environment, only what tells which software it is can decide something; it is also most of a template's bytes, and
/// where people keep passwords.
fn strip_template(template: &mut PodTemplate, reads_variable: fn(&str) -> bool) {
    let spec = &mut template.spec;
    for container in &mut spec.containers {
        container.env.retain(|variable| reads_variable(&variable.name));
        container.env.shrink_to_fit();
        container.command.shrink_to_fit();
        container.args.shrink_to_fit();
        container.ports.shrink_to_fit();
    }
    spec.containers.shrink_to_fit();
    spec.volumes.shrink_to_fit();
    spec.topology_spread_constraints.shrink_to_fit();
    spec.affinity.pod_anti_affinity.required.shrink_to_fit();
    spec.affinity.pod_anti_affinity.preferred.shrink_to_fit();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::Kind;

    #[test]
    fn the_environment_is_kept_as_far_as_the_catalogue_reads_it() {
        let json = r#"{"metadata":{"name":"a"},"spec":{"template":{"spec":{"containers":[
            {"name":"a","env":[{"name":"PASSWORD","value":"x"},{"name":"ZOO_MY_ID","value":"1"},
                {"name":"KAFKA_PROCESS_ROLES","value":"controller"}]}]}}}}"#;
        let object = ClusterObject::from_json(Kind::StatefulSet, json)
            .map(|object| object.strip_unused(|name| name.starts_with("ZOO_") || name.starts_with("KAFKA_")));
        let Ok(ClusterObject::StatefulSet(set)) = object else { panic!("{object:?}") };
        let names = set.spec.template.spec.containers[0].env.iter().map(|variable| &*variable.name);
        assert_eq!(names.collect::<Vec<_>>(), ["ZOO_MY_ID", "KAFKA_PROCESS_ROLES"]);
    }
}
