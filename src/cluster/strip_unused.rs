//! Drops the fields no rule reads before an object is stored.

use std::mem;
use std::sync::Arc;

use super::ClusterObject;
use crate::model::{
    Container, EnvFrom, Labels, PodSpec, PodTemplate, Probe, StatefulSet, VolumeMount, names_data_folder,
    names_group, release_labels,
};

/// The parts of a container that the catalogue of software reads, besides its image and its command line.
#[derive(Clone, Copy, Debug)]
pub struct ReadByCatalogue {
    pub variable: fn(&str) -> bool,
    pub mount: fn(&VolumeMount) -> bool,
    /// The part that it reads of the value of a variable of this name, where that is less than all of it.
    pub extract: fn(&str, &str) -> Option<String>,
}

impl ClusterObject {
    /// The object without the fields that no rule reads of another object, and without spare capacity. Of the environment and the
    /// mounts, those stay that are `read`.
    #[must_use]
    pub fn strip_unused(mut self, read: ReadByCatalogue) -> Self {
        self.metadata_mut().uid = Box::default();
        self.metadata_mut().generate_name = Box::default();
        if !matches!(self, Self::DisruptionBudget(_)) {
            let annotations = self.metadata().annotations.without_release();
            self.metadata_mut().annotations = annotations;
        }
        match self {
            Self::StatefulSet(ref mut set) => {
                strip_set(Arc::make_mut(set), read);
            }
            // Two budgets of one release may overlap for a moment.
            Self::DisruptionBudget(ref mut budget) => {
                let metadata = &mut Arc::make_mut(budget).metadata;
                metadata.labels = release_labels(&metadata.labels);
            }
            // Policies select by the labels of sets and namespaces; no rule reads those of the others.
            Self::Service(_)
            | Self::Autoscaler(_)
            | Self::ScaledObject(_)
            | Self::Policy(_)
            | Self::Exemption(_) => {
                self.metadata_mut().labels = Labels::default();
            }
            Self::Deployment(ref mut workload)
            | Self::ReplicaSet(ref mut workload)
            | Self::DaemonSet(ref mut workload)
            | Self::Job(ref mut workload)
            | Self::CronJob(ref mut workload) => {
                let template = Arc::make_mut(workload).template_mut();
                template.spec.init_containers = Vec::new();
                strip_template(template, read);
            }
            Self::Namespace(_) | Self::Claim(_) | Self::ConfigMap(_) | Self::Pod(_) => {}
        }
        self
    }
}

fn strip_set(set: &mut StatefulSet, read: ReadByCatalogue) {
    let dialled = set.dialled_name().map(Box::new);
    let is_ordered = &*set.spec.pod_management_policy != "Parallel";
    let claims: Vec<Box<str>> =
        set.spec.volume_claim_templates.iter().map(|template| template.metadata.name.clone()).collect();
    let spec = &mut set.spec.template.spec;
    strip_mounts(spec, &claims, read);
    for container in Arc::make_mut(&mut spec.containers) {
        // Ordered start waits for these two.
        for probe in [&mut container.readiness_probe, &mut container.startup_probe] {
            strip_probe(probe, is_ordered);
        }
    }
    spec.dialled = dialled;
    strip_template(&mut set.spec.template, read);
    set.spec.volume_claim_templates.shrink_to_fit();
}

/// Keeps which volumes with lasting data are mounted, and how, and what is mounted where software keeps its data or reads its
/// configuration. Of init containers only the former is kept, and of most nothing at all, because a main container mounts the same.
fn strip_mounts(spec: &mut PodSpec, claims: &[Box<str>], read: ReadByCatalogue) {
    let volumes = spec.volumes.iter().filter(|volume| !volume.is_volatile());
    let volumes = volumes.map(|volume| volume.name.clone());
    let lasting: Vec<Box<str>> = volumes.chain(claims.iter().cloned()).collect();
    for container in &mut spec.init_containers {
        container.volume_mounts.retain(|mount| lasting.contains(&mount.name));
    }
    for container in Arc::make_mut(&mut spec.containers) {
        container.volume_mounts.retain(|mount| lasting.contains(&mount.name) || (read.mount)(mount));
    }
    for container in spec.init_containers.iter_mut().chain(Arc::make_mut(&mut spec.containers)) {
        container.volume_mounts.shrink_to_fit();
        container.volume_devices.retain(|device| lasting.contains(&device.name));
        container.volume_devices.shrink_to_fit();
    }
    let (main, init) = (&spec.containers, &mut spec.init_containers);
    let is_known =
        |name: &str| claims.iter().any(|claim| **claim == *name) && main.iter().any(|c| c.uses_volume(name));
    init.retain(|container| {
        let mounts = container.volume_mounts.iter().map(|mount| &*mount.name);
        let mut used = mounts.chain(container.volume_devices.iter().map(|device| &*device.name));
        used.any(|name| !is_known(name))
    });
    for container in init {
        let (volume_mounts, volume_devices) =
            (mem::take(&mut container.volume_mounts), mem::take(&mut container.volume_devices));
        *container = Container { volume_mounts, volume_devices, ..Container::default() };
    }
}

/// Drops what a probe does, or what no probe of a catalogued software is as long as.
fn strip_probe(probe: &mut Option<Box<Probe>>, is_read: bool) {
    let Some(probe) = probe else { return };
    let length: usize = probe.exec.command.iter().map(|word| word.len()).sum();
    if !is_read || length > MAX_PROBE_COMMAND {
        **probe = Probe::default();
    }
    probe.exec.command.shrink_to_fit();
}

/// Bytes of a probe's command that are kept.
const MAX_PROBE_COMMAND: usize = 2_000;

/// Only variables that tell the software and its group can decide something; it is also most of a template's
/// bytes, and where people keep passwords.
fn strip_template(template: &mut PodTemplate, read: ReadByCatalogue) {
    let spec = &mut template.spec;
    spec.init_containers.shrink_to_fit();
    for container in Arc::make_mut(&mut spec.containers) {
        let folders: Vec<Box<str>> = container.folders().map(Box::from).collect();
        container.env.retain(|variable| {
            (read.variable)(&variable.name)
                || names_group(&variable.name)
                || names_data_folder(&variable.name)
                || folders.iter().any(|folder| folder.contains(&*variable.name))
        });
        for variable in container.env.iter_mut().filter(|variable| !variable.value.is_empty()) {
            if let Some(extract) = (read.extract)(&variable.name, &variable.value) {
                variable.value = extract.into();
            }
        }
        container.env.shrink_to_fit();
        // Whether there is more than is seen.
        container.env_from.truncate(1);
        container.env_from.fill(EnvFrom::default());
        container.env_from.shrink_to_fit();
        container.liveness_probe = None;
        container.lifecycle = None;
        container.command.shrink_to_fit();
        container.args.shrink_to_fit();
        container.ports.shrink_to_fit();
    }
    let PodSpec { containers, volumes, .. } = spec;
    for volume in volumes {
        // That it is one says that it keeps no data.
        let is_mounted = containers.iter().any(|container| container.uses_volume(&volume.name));
        volume.config_map = volume.config_map.take().filter(|_| is_mounted).map(|_| Box::default());
        volume.projected = volume.projected.take().filter(|_| is_mounted).map(|_| Box::default());
    }
    spec.volumes.shrink_to_fit();
    spec.topology_spread_constraints.shrink_to_fit();
    spec.affinity.pod_anti_affinity.required.shrink_to_fit();
    spec.affinity.pod_anti_affinity.preferred.shrink_to_fit();
    if let Some(beside) = &mut spec.affinity.pod_affinity {
        beside.required.shrink_to_fit();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::Kind;

    fn reading(variable: fn(&str) -> bool) -> ReadByCatalogue {
        let extract = |name: &str, _: &str| (name == "CONF").then(|| "extract".to_owned());
        ReadByCatalogue { variable, mount: |mount| &*mount.mount_path == "/config", extract }
    }

    #[test]
    fn the_environment_is_kept_as_far_as_the_catalogue_reads_it() {
        let json = r#"{"metadata":{"name":"a"},"spec":{"template":{"spec":{"containers":[
            {"name":"a","env":[{"name":"PASSWORD","value":"x"},{"name":"ZOO_MY_ID","value":"1"},
                {"name":"KAFKA_PROCESS_ROLES","value":"controller"}]}]}}}}"#;
        let object = ClusterObject::from_json(Kind::StatefulSet, json).map(|object| {
            object.strip_unused(reading(|name| name.starts_with("ZOO_") || name.starts_with("KAFKA_")))
        });
        let Ok(ClusterObject::StatefulSet(set)) = object else { panic!("{object:?}") };
        let names = set.spec.template.spec.containers[0].env.iter().map(|variable| &*variable.name);
        assert_eq!(names.collect::<Vec<_>>(), ["ZOO_MY_ID", "KAFKA_PROCESS_ROLES"]);
    }

    fn stripped(spec: &serde_json::Value) -> Arc<StatefulSet> {
        let json = serde_json::json!({"metadata": {"name": "zk"}, "spec": spec}).to_string();
        let object = ClusterObject::from_json(Kind::StatefulSet, &json)
            .map(|object| object.strip_unused(reading(|_| false)));
        let Ok(ClusterObject::StatefulSet(set)) = object else { panic!("{object:?}") };
        set
    }

    #[test]
    fn the_name_that_is_dialled_stays_and_the_secrets_beside_it_go() {
        let env =
            serde_json::json!([{"name": "URL", "value": "http://root:secret@zk-0.zk:80/?token=hidden"}]);
        let container = serde_json::json!({"name": "zk", "env": env, "lifecycle": {"preStop": {"exec": {"command": ["x"]}}}});
        let set = stripped(
            &serde_json::json!({"serviceName": "zk", "template": {"spec": {"initContainers": [container]}}}),
        );
        assert_eq!(set.dialled_name().map(|found| found.name).as_deref(), Some("zk-0.zk"));
        let kept = format!("{set:?}");
        assert!(
            !kept.contains("secret")
                && !kept.contains("hidden")
                && set.spec.template.spec.init_containers.is_empty()
        );
    }

    #[test]
    fn of_a_configuration_only_an_extract_stays() {
        let env = serde_json::json!([{"name": "CONF", "value": "password"}, {"name": "CONF"}, {"name": "ROLE", "value": "x"}]);
        let mounts = serde_json::json!([{"name": "conf", "mountPath": "/config"}, {"name": "conf", "mountPath": "/x"}]);
        let from = serde_json::json!([{"secretRef": {"name": "a"}}, {"configMapRef": {"name": "b"}}]);
        let container =
            serde_json::json!({"name": "zk", "env": env, "volumeMounts": mounts, "envFrom": from});
        let volumes =
            serde_json::json!([{"name": "conf", "configMap": {"name": "a", "items": [{"key": "k"}]}}]);
        let json = serde_json::json!({"metadata": {"name": "zk"},
            "spec": {"template": {"spec": {"containers": [container], "volumes": volumes}}}})
        .to_string();
        let object = ClusterObject::from_json(Kind::StatefulSet, &json)
            .map(|object| object.strip_unused(reading(|name| matches!(name, "CONF" | "ROLE"))));
        let Ok(ClusterObject::StatefulSet(set)) = object else { panic!("{object:?}") };
        let container = &set.spec.template.spec.containers[0];
        let values: Vec<&str> = container.env.iter().map(|variable| &*variable.value).collect();
        assert_eq!(values, ["extract", "", "x"]);
        assert_eq!(container.volume_mounts.len(), 1);
        assert_eq!(container.env_from, [EnvFrom::default()]);
        let volume = &set.spec.template.spec.volumes[0];
        assert!(volume.is_volatile() && volume.config_map.as_ref().is_some_and(|map| map.name.is_empty()));
    }

    #[test]
    fn mounts_of_lasting_volumes_stay() {
        let mount = |name: &str| serde_json::json!({"volumeMounts": [{"name": name}], "args": ["x"]});
        let set = stripped(&serde_json::json!({
            "volumeClaimTemplates": [{"metadata": {"name": "a"}}, {"metadata": {"name": "b"}}],
            "template": {"spec": {"containers": [mount("a"), mount("tmp")], "initContainers": [mount("a"), mount("b"), mount("tmp")]}},
        }));
        let spec = &set.spec.template.spec;
        assert_eq!(spec.init_containers.len(), 1);
        assert!(spec.init_containers[0].uses_volume("b") && spec.init_containers[0].args.is_empty());
        assert!(spec.containers[0].uses_volume("a") && !spec.containers[1].uses_volume("tmp"));
    }

    #[test]
    fn probes_stay_where_pods_wait_for_them() {
        for (policy, kept) in [("OrderedReady", true), ("", true), ("Parallel", false)] {
            let probe = serde_json::json!({"httpGet": {"path": "/health"}});
            let container = serde_json::json!({"readinessProbe": probe, "livenessProbe": probe});
            let set = stripped(
                &serde_json::json!({"podManagementPolicy": policy, "template": {"spec": {"containers": [container]}}}),
            );
            let container = &set.spec.template.spec.containers[0];
            assert_eq!(container.readiness_probe.as_ref().unwrap().http_get.is_some(), kept);
            assert!(container.liveness_probe.is_none());
        }
    }
}
