//! A container of a pod template.

use serde::Deserialize;

use super::metadata::presence;
use super::nullable;

/// A container, main or init. Snapshots keep less of it: `cluster::strip_unused`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Container {
    #[serde(deserialize_with = "nullable::field")]
    pub name: Box<str>,
    /// As written, with registry, tag and digest.
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
    /// Its ports, of which only the host's are of interest.
    #[serde(deserialize_with = "nullable::list")]
    pub ports: Vec<ContainerPort>,
    pub readiness_probe: Option<Box<Probe>>,
    pub startup_probe: Option<Box<Probe>>,
    pub liveness_probe: Option<Box<Probe>>,
    pub lifecycle: Option<Box<Lifecycle>>,
    #[serde(deserialize_with = "nullable::list")]
    pub volume_mounts: Vec<VolumeMount>,
    /// Claims that it uses as block devices.
    #[serde(deserialize_with = "nullable::list")]
    pub volume_devices: Vec<VolumeDevice>,
}

/// One environment variable.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct EnvVar {
    #[serde(deserialize_with = "nullable::field")]
    pub name: Box<str>,
    /// Empty where it comes from elsewhere.
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

/// One key of a ConfigMap; the name is empty where none is referred to.
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
}

/// One container port.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ContainerPort {
    /// The node's port it takes, 0 for none.
    #[serde(deserialize_with = "nullable::field")]
    pub host_port: i32,
}

/// A probe: what the kubelet does to learn how the container is.
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

/// A command that is run in the container; empty where there is none.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(default)]
pub struct Exec {
    #[serde(deserialize_with = "nullable::list")]
    pub command: Vec<Box<str>>,
}

/// What is run when a container starts and before it stops.
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

/// Where a container mounts a volume.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct VolumeMount {
    /// The volume's.
    #[serde(deserialize_with = "nullable::field")]
    pub name: Box<str>,
    #[serde(deserialize_with = "nullable::field")]
    pub read_only: bool,
    /// Whether only a folder of the volume is mounted whose name is made from the container's environment (`subPathExpr`), as
    /// from the pod's name.
    #[serde(rename = "subPathExpr", deserialize_with = "has_variable")]
    pub is_folder_per_pod: bool,
}

/// A volume that a container uses as a block device.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(default)]
pub struct VolumeDevice {
    /// The volume's.
    #[serde(deserialize_with = "nullable::field")]
    pub name: Box<str>,
}

fn has_variable<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    let text = Option::<std::borrow::Cow<'_, str>>::deserialize(deserializer)?;
    Ok(text.is_some_and(|text| text.contains("$(")))
}

impl Container {
    /// The image without tag and digest: `quay.io/coreos/etcd`.
    pub fn repository(&self) -> &str {
        let untagged = self.image.split('@').next().unwrap_or(&self.image);
        match untagged.rsplit_once(':') {
            Some((repository, tag)) if !tag.contains('/') => repository,
            _ => untagged,
        }
    }

    /// Whether it mounts this volume, or uses it as a device.
    pub fn uses_volume(&self, name: &str) -> bool {
        self.volume_mounts.iter().any(|mount| *mount.name == *name)
            || self.volume_devices.iter().any(|device| *device.name == *name)
    }

    /// Whether it may write to this volume.
    pub fn writes_volume(&self, name: &str) -> bool {
        self.volume_mounts.iter().any(|mount| *mount.name == *name && !mount.read_only)
            || self.volume_devices.iter().any(|device| *device.name == *name)
    }

    /// Its probes, each with the name of its field.
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
    fn nulls_are_absent_and_expressions_are_told_from_plain_folders() {
        let container: Container = serde_json::from_str(
            r#"{"env":[{"name":"A","valueFrom":null},{"name":"B","valueFrom":{"fieldRef":null}}],"lifecycle":{"preStop":null},
                "readinessProbe":{"exec":{"command":null},"httpGet":null},"startupProbe":null,"envFrom":[{"secretRef":{"name":"x"}}],
                "volumeMounts":[null,{"name":"a","subPathExpr":"$(POD_NAME)"},{"name":"b","subPathExpr":"x","readOnly":true}]}"#,
        )
        .unwrap();
        assert_eq!(container.probes().map(|(field, _)| field).collect::<Vec<_>>(), ["readinessProbe"]);
        let mounts = container.volume_mounts.iter().map(|mount| (mount.is_folder_per_pod, mount.read_only));
        assert_eq!(mounts.collect::<Vec<_>>(), [(false, false), (true, false), (false, true)]);
        assert!(container.uses_volume("a") && !container.uses_volume("c"));
    }
}
