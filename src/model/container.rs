//! A container of a pod template.

use std::borrow::Cow;

use serde::Deserialize;

use super::metadata::presence;
use super::{POD_INDEX_LABEL, POD_NAME_LABEL, nullable};

/// A container, main or init. Snapshots keep less of it: `cluster::strip_unused`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Container {
    #[serde(deserialize_with = "nullable::field")]
    pub name: Box<str>,
    /// The image as written, with registry, tag and digest.
    #[serde(deserialize_with = "nullable::field")]
    pub image: Box<str>,
    /// Overrides the image's entry point.
    #[serde(deserialize_with = "nullable::list")]
    pub command: Vec<Box<str>>,
    /// Overrides the image's arguments.
    #[serde(deserialize_with = "nullable::list")]
    pub args: Vec<Box<str>>,
    #[serde(deserialize_with = "nullable::list")]
    pub env: Vec<EnvVar>,
    #[serde(deserialize_with = "nullable::list")]
    pub env_from: Vec<EnvFrom>,
    /// The container's ports; only host ports matter.
    #[serde(deserialize_with = "nullable::list")]
    pub ports: Vec<ContainerPort>,
    pub readiness_probe: Option<Box<Probe>>,
    pub startup_probe: Option<Box<Probe>>,
    pub liveness_probe: Option<Box<Probe>>,
    pub lifecycle: Option<Box<Lifecycle>>,
    #[serde(deserialize_with = "nullable::list")]
    pub volume_mounts: Vec<VolumeMount>,
    /// Claims that the container uses as block devices.
    #[serde(deserialize_with = "nullable::list")]
    pub volume_devices: Vec<VolumeDevice>,
    /// In manifests: the ConfigMap files that the container mounts, if they can show which software it runs.
    #[serde(skip)]
    pub files: Vec<MountedFile>,
    /// Whether the settings of its configuration files are among its variables.
    #[serde(skip)]
    pub has_settings: bool,
}

/// A file of a ConfigMap that a container mounts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct MountedFile {
    pub config_map: Box<str>,
    /// The file's key in the ConfigMap.
    pub key: Box<str>,
    /// The path at which the container mounts the volume, without a slash at its end.
    pub mount: Box<str>,
    pub path: Box<str>,
    pub text: Box<str>,
}

/// One environment variable.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct EnvVar {
    #[serde(deserialize_with = "nullable::field")]
    pub name: Box<str>,
    /// Empty if the value comes from `valueFrom`.
    #[serde(deserialize_with = "nullable::field")]
    pub value: Box<str>,
    pub value_from: Option<Box<EnvSource>>,
}

/// `valueFrom` of a variable.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct EnvSource {
    #[serde(deserialize_with = "nullable::field")]
    pub field_ref: FieldRef,
    #[serde(deserialize_with = "nullable::field")]
    pub config_map_key_ref: ConfigMapKey,
}

/// `fieldRef`: a field of the pod.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct FieldRef {
    #[serde(deserialize_with = "nullable::field")]
    pub field_path: Box<str>,
}

/// One key of a ConfigMap; the name is empty if there is no reference.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(default)]
pub struct ConfigMapKey {
    #[serde(deserialize_with = "nullable::field")]
    pub name: Box<str>,
    #[serde(deserialize_with = "nullable::field")]
    pub key: Box<str>,
}

/// One item of `envFrom`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct EnvFrom {
    #[serde(deserialize_with = "nullable::field")]
    pub config_map_ref: ConfigMapKey,
    /// The prefix that each key gets to make the variable's name.
    #[serde(deserialize_with = "nullable::field")]
    pub prefix: Box<str>,
}

/// One container port.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ContainerPort {
    /// The port of the node that the container takes, 0 for none.
    #[serde(deserialize_with = "nullable::field")]
    pub host_port: i32,
}

/// A probe: the check by which the kubelet learns the container's state.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Probe {
    pub http_get: Option<HttpGet>,
    #[serde(deserialize_with = "nullable::field")]
    pub exec: Exec,
    #[serde(deserialize_with = "presence")]
    pub tcp_socket: bool,
    #[serde(deserialize_with = "presence")]
    pub grpc: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(default)]
pub struct HttpGet {
    /// Empty means `/`.
    #[serde(deserialize_with = "nullable::field")]
    pub path: Box<str>,
}

/// A command that runs in the container; empty if there is none.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(default)]
pub struct Exec {
    #[serde(deserialize_with = "nullable::list")]
    pub command: Vec<Box<str>>,
}

/// The hooks that run after a container starts and before it stops.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Lifecycle {
    #[serde(deserialize_with = "nullable::field")]
    pub post_start: LifecycleHandler,
    #[serde(deserialize_with = "nullable::field")]
    pub pre_stop: LifecycleHandler,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(default)]
pub struct LifecycleHandler {
    #[serde(deserialize_with = "nullable::field")]
    pub exec: Exec,
}

/// A mount of a volume in a container.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct VolumeMount {
    /// The volume's name.
    #[serde(deserialize_with = "nullable::field")]
    pub name: Box<str>,
    #[serde(deserialize_with = "nullable::field")]
    pub read_only: bool,
    /// The path in the container.
    #[serde(deserialize_with = "nullable::field")]
    pub mount_path: Box<str>,
    /// The folder or file of the volume that is mounted; empty means the whole volume.
    #[serde(deserialize_with = "nullable::field")]
    pub sub_path: Box<str>,
    /// The folder of the volume that is mounted, with variables of the container; empty means the whole volume.
    #[serde(deserialize_with = "nullable::field")]
    pub sub_path_expr: Box<str>,
}

/// A volume that a container uses as a block device.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(default)]
pub struct VolumeDevice {
    /// The volume's name.
    #[serde(deserialize_with = "nullable::field")]
    pub name: Box<str>,
}

/// The start of a reference to a variable.
const VARIABLE: &str = "$(";
/// How many levels of references between variables are followed.
const DEEPEST: u8 = 2;
/// How many variables of one text are examined.
const MOST_VARIABLES: usize = 8;

impl FieldRef {
    /// Whether the field differs between the pods of a set; `false` if there is no field, or if all pods have the same value.
    fn is_of_pod(&self) -> bool {
        let path = &*self.field_path;
        let is_of_template = path.starts_with("metadata.labels") || path.starts_with("metadata.annotations");
        let is_number = path.contains(POD_NAME_LABEL) || path.contains(POD_INDEX_LABEL);
        match path {
            "" | "metadata.namespace" | "spec.serviceAccountName" => false,
            _ => !is_of_template || is_number,
        }
    }
}

impl EnvVar {
    /// A variable with a written value.
    pub fn new(name: &str, value: &str) -> Self {
        Self { name: name.into(), value: value.into(), value_from: None }
    }

    /// A variable whose value is in a ConfigMap under a key, or in the file of that key.
    pub fn of_config_map(name: &str, value: &str, config_map: &str, key: &str) -> Self {
        let config_map_key_ref = ConfigMapKey { name: config_map.into(), key: key.into() };
        let from = EnvSource { config_map_key_ref, ..EnvSource::default() };
        Self { value_from: Some(Box::new(from)), ..Self::new(name, value) }
    }

    /// The ConfigMap and the key that hold the variable's value.
    pub fn config_map(&self) -> Option<&ConfigMapKey> {
        self.value_from.as_ref().map(|from| &from.config_map_key_ref).filter(|key| !key.name.is_empty())
    }
}

impl Container {
    /// The image without tag and digest: `quay.io/coreos/etcd`.
    pub fn repository(&self) -> &str {
        self.repository_and_tag().0
    }

    /// The image's repository as Docker Hub has it: `library/mongo` for `mongo` and `docker.io/mongo`.
    pub fn official_repository(&self) -> Cow<'_, str> {
        let repository = self.repository();
        let name = repository.strip_prefix("docker.io/").unwrap_or(repository);
        if name.contains('/') { name.into() } else { format!("library/{name}").into() }
    }

    /// The image's tag; empty if there is none.
    pub fn tag(&self) -> &str {
        self.repository_and_tag().1
    }

    fn repository_and_tag(&self) -> (&str, &str) {
        let without_digest = self.image.split('@').next().unwrap_or(&self.image);
        let tagged = without_digest.rsplit_once(':').filter(|(_, tag)| !tag.contains('/'));
        tagged.unwrap_or((without_digest, ""))
    }

    /// The `subPathExpr` of each mount: folder names with variables.
    pub fn folders(&self) -> impl Iterator<Item = &str> {
        let folders = self.volume_mounts.iter().map(|mount| &*mount.sub_path_expr);
        folders.filter(|folder| !folder.is_empty())
    }

    /// Whether the container mounts this volume, or uses it as a device.
    pub fn uses_volume(&self, name: &str) -> bool {
        self.volume_mounts.iter().any(|mount| *mount.name == *name)
            || self.volume_devices.iter().any(|device| *device.name == *name)
    }

    /// Whether the container may write to this volume.
    pub fn writes_volume(&self, name: &str) -> bool {
        self.volume_mounts.iter().any(|mount| *mount.name == *name && !mount.read_only)
            || self.volume_devices.iter().any(|device| *device.name == *name)
    }

    /// Whether each pod has a folder of its own in this mount: its name has a variable that is not known to be the same in all pods.
    pub fn has_own_folder(&self, mount: &VolumeMount) -> bool {
        self.names_pod(&mount.sub_path_expr, DEEPEST)
    }

    /// Whether a text with variables may differ between pods. A variable that the template does not define counts as unknown.
    fn names_pod(&self, text: &str, depth: u8) -> bool {
        let names = text.split(VARIABLE).skip(1).filter_map(|rest| rest.split(')').next());
        let mut known =
            names.take(MOST_VARIABLES).map(|name| self.env.iter().rev().find(|v| &*v.name == name));
        known.any(|variable| match variable {
            Some(EnvVar { value_from: Some(from), .. }) => from.field_ref.is_of_pod(),
            Some(EnvVar { value, .. }) => depth > 0 && self.names_pod(value, depth - 1),
            None => true,
        })
    }

    /// The container's probes, each with the name of its field.
    pub fn probes(&self) -> impl Iterator<Item = (&'static str, &Probe)> {
        let probes = [
            ("readinessProbe", &self.readiness_probe),
            ("startupProbe", &self.startup_probe),
            ("livenessProbe", &self.liveness_probe),
        ];
        probes.into_iter().filter_map(|(field, probe)| Some((field, probe.as_deref()?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nulls_are_absent() {
        let container: Container = serde_json::from_str(
            r#"{"env":[{"name":"A","valueFrom":null},{"name":"B","valueFrom":{"fieldRef":null}}],"lifecycle":{"preStop":null},
                "readinessProbe":{"exec":{"command":null},"httpGet":null},"startupProbe":null,"envFrom":[{"secretRef":{"name":"x"}}],
                "volumeMounts":[null,{"name":"a","subPathExpr":"$(POD_NAME)"},{"name":"b","subPathExpr":"x","readOnly":true}]}"#,
        )
        .unwrap();
        assert_eq!(container.probes().map(|(field, _)| field).collect::<Vec<_>>(), ["readinessProbe"]);
        let mounts =
            container.volume_mounts.iter().map(|mount| (container.has_own_folder(mount), mount.read_only));
        assert_eq!(mounts.collect::<Vec<_>>(), [(false, false), (true, false), (false, true)]);
        assert!(container.uses_volume("a") && !container.uses_volume("c"));
    }

    #[test]
    fn a_folder_is_the_pods_own_unless_its_variables_are_the_same_in_all() {
        let field =
            |path: &str| serde_json::json!({"name": "A", "valueFrom": {"fieldRef": {"fieldPath": path}}});
        let map =
            serde_json::json!({"name": "A", "valueFrom": {"configMapKeyRef": {"name": "m", "key": "k"}}});
        let other = |value: &str| serde_json::json!({"name": "B", "value": value});
        for (folder, env, is_own) in [
            ("", vec![], false),
            ("data", vec![], false),
            ("$(A)", vec![], true),
            ("$(A)", vec![field("metadata.name")], true),
            ("$(A)", vec![field("metadata.uid")], true),
            ("$(A)", vec![field("metadata.labels['apps.kubernetes.io/pod-index']")], true),
            ("$(A)", vec![field("metadata.labels['app']")], false),
            ("$(A)", vec![field("metadata.namespace")], false),
            ("$(A)", vec![map], false),
            ("$(B)", vec![other("x")], false),
            ("$(B)/$(A)", vec![other("x"), field("metadata.name")], true),
            ("x-$(B)", vec![field("metadata.name"), other("y-$(A)")], true),
            ("$(B)", vec![other("$(B)$(B)$(B)$(B)$(B)$(B)$(B)$(B)$(B)")], false),
        ] {
            let container: Container = serde_json::from_value(
                serde_json::json!({"env": env, "volumeMounts": [{"name": "v", "subPathExpr": folder}]}),
            )
            .unwrap();
            assert_eq!(container.has_own_folder(&container.volume_mounts[0]), is_own, "{folder} {env:?}");
        }
    }
}
