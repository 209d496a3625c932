//! The variables and files that the containers of a set get from ConfigMaps.

use std::sync::Arc;

use super::{ConfigMap, ConfigMapFiles, Container, EnvVar, MountedFile, StatefulSet, Volume, VolumeMount};

/// Longest value in bytes that is read; a longer one does not identify software.
const LONGEST_VALUE: usize = 4_096;
/// How many bytes of files are read for one container.
const MOST_FILES: usize = 32_768;

/// The values and files that each main container gets from ConfigMaps.
#[derive(Debug)]
pub struct TakenFromConfigMaps(Vec<Taken>);

#[derive(Debug, Default)]
struct Taken {
    variables: Vec<EnvVar>,
    files: Vec<MountedFile>,
}

/// Selects the values and files to take from ConfigMaps.
#[derive(Clone, Copy, Debug)]
pub struct WhatToTake<'w> {
    /// The variables to take, by name.
    pub variables: &'w [&'w str],
    /// The containers whose files are taken.
    pub files_of: fn(&Container) -> bool,
    /// Returns the settings in the files that a container mounts, as variables.
    pub settings: fn(&Container, &[MountedFile]) -> Vec<EnvVar>,
}

impl TakenFromConfigMaps {
    /// Keeps files only for the containers of `set` for which `keeps` holds; `None` if nothing is left.
    pub fn with_files_of(mut self, set: &StatefulSet, keeps: fn(&Container) -> bool) -> Option<Self> {
        for (container, taken) in set.spec.template.spec.containers.iter().zip(&mut self.0) {
            if !taken.files.is_empty() && !keeps(container) {
                taken.files = Vec::new();
            }
        }
        self.0.iter().any(|taken| !taken.is_empty()).then_some(self)
    }

    /// The size of all texts in bytes.
    pub fn bytes(&self) -> usize {
        self.0.iter().map(Taken::bytes).sum()
    }
}

impl Taken {
    fn is_empty(&self) -> bool {
        self.variables.is_empty() && self.files.is_empty()
    }

    fn bytes(&self) -> usize {
        let variables = self.variables.iter().map(|variable| variable.name.len() + variable.value.len());
        variables.chain(self.files.iter().map(|file| file.path.len() + file.text.len())).sum()
    }
}

impl StatefulSet {
    /// The values and files that the main containers get from the ConfigMaps that `config_map` knows; `None` if there are none.
    pub fn taken_from_config_maps<'c>(
        &self,
        what: WhatToTake<'_>,
        config_map: impl Fn(&str) -> Option<&'c ConfigMap>,
    ) -> Option<TakenFromConfigMaps> {
        let of = |container: &Container| {
            let mut variables = variables_taken(container, what.variables, &config_map);
            let mut files = Vec::new();
            if self.mounted_config_maps(container).next().is_some() && (what.files_of)(container) {
                files = self.files_taken(container, &config_map);
            }
            if !files.is_empty() {
                let is_new = |set: &EnvVar| {
                    container.env.iter().chain(&variables).all(|variable| variable.name != set.name)
                };
                let settings: Vec<EnvVar> =
                    (what.settings)(container, &files).into_iter().filter(is_new).collect();
                variables.extend(settings);
            }
            Taken { variables, files }
        };
        let taken: Vec<Taken> = self.spec.template.spec.containers.iter().map(of).collect();
        taken.iter().any(|taken| !taken.is_empty()).then_some(TakenFromConfigMaps(taken))
    }

    /// The files that a container mounts from known ConfigMaps; skips a ConfigMap whose files exceed what is left of `MOST_FILES`.
    fn files_taken<'c>(
        &self,
        container: &Container,
        config_map: &impl Fn(&str) -> Option<&'c ConfigMap>,
    ) -> Vec<MountedFile> {
        let mut files = Vec::new();
        let mut left = MOST_FILES;
        for (mount, source) in self.mounted_config_maps(container) {
            let Some(config_map) = config_map(&source.name) else { continue };
            let path = |key: &str| mount.path_of(source.path_of(key)?);
            let mounted: Vec<(String, &str, &str)> =
                config_map.entries().filter_map(|(key, text)| Some((path(key)?, key, text))).collect();
            let bytes = mounted.iter().map(|(path, _, text)| path.len() + text.len()).sum();
            let Some(rest) = left.checked_sub(bytes) else { continue };
            left = rest;
            files.extend(mounted.into_iter().map(|(path, key, text)| MountedFile {
                config_map: source.name.clone(),
                key: key.into(),
                mount: mount.folder().into(),
                path: path.into(),
                text: text.into(),
            }));
        }
        files
    }

    /// The ConfigMaps that a container mounts as files, each with its mount.
    fn mounted_config_maps<'a>(
        &'a self,
        container: &'a Container,
    ) -> impl Iterator<Item = (&'a VolumeMount, &'a ConfigMapFiles)> {
        let volumes = &self.spec.template.spec.volumes;
        container.volume_mounts.iter().flat_map(move |mount| {
            let volume = volumes.iter().find(|volume| volume.name == mount.name);
            volume.into_iter().flat_map(Volume::config_maps).map(move |source| (mount, source))
        })
    }

    /// A copy of the set with these values and files written in it.
    #[must_use]
    pub fn with_taken(&self, taken: TakenFromConfigMaps) -> Self {
        let mut set = self.clone();
        let containers = Arc::make_mut(&mut set.spec.template.spec.containers).iter_mut();
        for (container, Taken { variables, files }) in containers.zip(taken.0) {
            container.env.retain(|old| !variables.iter().any(|new| new.name == old.name));
            container.env.extend(variables);
            container.has_settings = !files.is_empty();
            container.files = files;
        }
        set
    }
}

fn takes_variables(container: &Container) -> bool {
    let mut from = container.env.iter().filter_map(|variable| variable.value_from.as_ref());
    !container.env_from.is_empty() || from.any(|from| !from.config_map_key_ref.name.is_empty())
}

fn variables_taken<'c>(
    container: &Container,
    names: &[&str],
    config_map: &impl Fn(&str) -> Option<&'c ConfigMap>,
) -> Vec<EnvVar> {
    if !takes_variables(container) {
        return Vec::new();
    }
    let values = names.iter().filter_map(|name| value_taken(container, name, config_map));
    values.filter(|variable| variable.value.len() <= LONGEST_VALUE).collect()
}

/// The value that a container's variable gets from a ConfigMap. `env` precedes `envFrom`, and the last item of `envFrom` wins.
fn value_taken<'c>(
    container: &Container,
    name: &str,
    config_map: &impl Fn(&str) -> Option<&'c ConfigMap>,
) -> Option<EnvVar> {
    let taken =
        |map: &str, key: &str| Some(EnvVar::of_config_map(name, config_map(map)?.text(key)?, map, key));
    if let Some(variable) = container.env.iter().rev().find(|variable| &*variable.name == name) {
        let from = variable.config_map()?;
        return taken(&from.name, &from.key);
    }
    container.env_from.iter().rev().find_map(|from| {
        let key = name.strip_prefix(&*from.prefix)?;
        taken(&from.config_map_ref.name, key)
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn taken_by(container: &Value) -> Vec<(String, String)> {
        let map: ConfigMap =
            serde_json::from_value(json!({"data": {"PEERS": "a,b", "ROLE": "x", "long": "y".repeat(5_000)}}))
                .unwrap();
        let set: StatefulSet =
            serde_json::from_value(json!({"spec": {"template": {"spec": {"containers": [container]}}}}))
                .unwrap();
        let what = WhatToTake {
            variables: &["PEERS", "MY_ROLE", "LONG"],
            files_of: |_| false,
            settings: |_, _| Vec::new(),
        };
        let taken = set.taken_from_config_maps(what, |name| (name == "m").then_some(&map));
        let Some(taken) = taken else { return Vec::new() };
        let set = set.with_taken(taken);
        let env = set.spec.template.spec.containers[0].env.iter();
        env.map(|variable| (variable.name.to_string(), variable.value.to_string())).collect()
    }

    #[test]
    fn variables_are_taken_as_the_kubelet_takes_them() {
        let key = |map: &str, key: &str| json!({"configMapKeyRef": {"name": map, "key": key}});
        let whole = |map: &str, prefix: &str| json!({"configMapRef": {"name": map}, "prefix": prefix});
        for (container, expected) in [
            (json!({"env": [{"name": "PEERS", "valueFrom": key("m", "ROLE")}]}), vec![("PEERS", "x")]),
            (json!({"env": [{"name": "PEERS", "valueFrom": key("other", "ROLE")}]}), vec![]),
            (json!({"env": [{"name": "PEERS", "valueFrom": key("m", "none")}]}), vec![]),
            (json!({"env": [{"name": "LONG", "valueFrom": key("m", "long")}]}), vec![]),
            (json!({"env": [{"name": "OTHER", "valueFrom": key("m", "ROLE")}]}), vec![]),
            (json!({"envFrom": [whole("m", "")]}), vec![("PEERS", "a,b")]),
            (json!({"envFrom": [whole("m", "MY_")]}), vec![("MY_ROLE", "x")]),
            (json!({"envFrom": [whole("m", ""), whole("other", "")]}), vec![("PEERS", "a,b")]),
            (json!({"envFrom": [{"secretRef": {"name": "m"}}]}), vec![]),
            (json!({"env": [{"name": "PEERS", "value": "own"}], "envFrom": [whole("m", "")]}), vec![]),
            (
                json!({"env": [{"name": "PEERS", "valueFrom": key("m", "ROLE")}], "envFrom": [whole("m", "")]}),
                vec![("PEERS", "x")],
            ),
        ] {
            let expected: Vec<_> =
                expected.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
            assert_eq!(taken_by(&container), expected, "{container}");
        }
    }
    #[test]
    fn files_are_those_of_the_config_maps_that_are_mounted() {
        let map: ConfigMap =
            serde_json::from_value(json!({"data": {"a.hcl": "a", "b.hcl": "b", "none": null}})).unwrap();
        let large: ConfigMap =
            serde_json::from_value(json!({"data": {"a": "x", "b": "y".repeat(MOST_FILES)}})).unwrap();
        let volume = |source: Value| json!({"name": "conf", "configMap": source});
        let item = |path: &str| volume(json!({"name": "m", "items": [{"key": "b.hcl", "path": path}]}));
        let at = |name: &str| json!({"name": name, "mountPath": "/c/"});
        let part = |part: &str| json!({"name": "conf", "mountPath": "/c", "subPath": part});
        for (volume, mount, expected) in [
            (volume(json!({"name": "m"})), at("conf"), "/c/a.hcl=a /c/b.hcl=b"),
            (item(""), at("conf"), "/c/b.hcl=b"),
            (item("d/x.hcl"), at("conf"), "/c/d/x.hcl=b"),
            (item("d/x.hcl"), part("d"), "/c/x.hcl=b"),
            (volume(json!({"name": "m"})), part("a.hcl"), "/c=a"),
            (volume(json!({"name": "m"})), part("a"), ""),
            (
                volume(json!({"name": "m"})),
                json!({"name": "conf", "mountPath": "/c", "subPathExpr": "$(FILE)"}),
                "",
            ),
            (volume(json!({"name": "m"})), at("data"), ""),
            (volume(json!({"name": "other"})), at("conf"), ""),
            (volume(json!({"name": "large"})), at("conf"), ""),
            (
                json!({"name": "conf", "projected": {"sources": [
                    {"secret": {"name": "m"}},
                    {"configMap": {"name": "large"}},
                    {"configMap": {"name": "m", "items": [{"key": "b.hcl", "path": "x.hcl"}]}},
                ]}}),
                at("conf"),
                "/c/x.hcl=b",
            ),
            (json!({"name": "conf", "secret": {"secretName": "m"}}), at("conf"), ""),
        ] {
            let container = json!({"volumeMounts": [mount]});
            let spec = json!({"containers": [container], "volumes": [volume]});
            let set: StatefulSet =
                serde_json::from_value(json!({"spec": {"template": {"spec": spec}}})).unwrap();
            let what = WhatToTake { variables: &[], files_of: |_| true, settings: |_, _| Vec::new() };
            let known = |name: &str| match name {
                "m" => Some(&map),
                "large" => Some(&large),
                _ => None,
            };
            let taken = set.taken_from_config_maps(what, known);
            let set = taken.map_or_else(|| set.clone(), |taken| set.with_taken(taken));
            let files = set.spec.template.spec.containers[0].files.iter();
            let files: Vec<String> = files.map(|file| format!("{}={}", file.path, file.text)).collect();
            assert_eq!(files.join(" "), expected, "{volume} {mount}");
        }
    }
}
