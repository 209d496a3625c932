//! The configuration files of software of which some settings are of interest, whatever they are.

use serde::Deserialize;

use super::configuration::mounts_at;
use super::programs::base_name;
use super::settings::{Language, read};
use super::{Patterns, written};
use crate::model::{Container, EnvVar, MountedFile, VolumeMount};

/// Bytes of a value beyond which it says nothing.
const LONGEST_VALUE: usize = 4_096;
/// More paths on a command line than this are not looked at.
const MOST_PATHS: usize = 32;

/// The configuration file of a software.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SettingsFile {
    #[serde(default)]
    pub(super) images: Vec<String>,
    /// The file, or the folder of files, that it reads without being told.
    #[serde(default)]
    pub(super) paths: Vec<Box<str>>,
    /// Flags that name a file or a folder to read.
    #[serde(default)]
    flags: Vec<String>,
    /// Variables that name a file or a folder to read.
    #[serde(default)]
    pub(super) variables: Vec<String>,
    /// Variables that hold such a file.
    #[serde(default)]
    pub(super) texts: Vec<String>,
    /// Names of files that a command line gives without a flag.
    names: FileNamePatterns,
    #[serde(default)]
    language: Language,
    /// The settings of interest. With `*` in its name, one is a list of all that it matches.
    settings: Vec<FileSetting>,
}

#[derive(Debug, Deserialize)]
#[serde(try_from = "Vec<String>")]
struct FileNamePatterns(Patterns);

#[derive(Debug, Deserialize)]
#[serde(try_from = "String")]
struct FileSetting {
    name: Box<str>,
    pattern: Patterns,
}

impl TryFrom<Vec<String>> for FileNamePatterns {
    type Error = globset::Error;

    fn try_from(names: Vec<String>) -> Result<Self, Self::Error> {
        Patterns::new(&names).map(Self)
    }
}

impl TryFrom<String> for FileSetting {
    type Error = globset::Error;

    fn try_from(name: String) -> Result<Self, Self::Error> {
        Ok(Self { pattern: Patterns::new(std::slice::from_ref(&name))?, name: name.into() })
    }
}

impl FileSetting {
    /// Adds a value to the variables: to its list, or in place of one that stands before it.
    fn add(&self, variables: &mut Vec<EnvVar>, path: &str, value: &str, made: impl Fn(&str, &str) -> EnvVar) {
        let known = variables.iter().position(|variable| variable.name == self.name);
        let before = known.map_or("", |known| &*variables[known].value);
        let value = match (self.name.contains('*'), before) {
            (false, _) => value.to_owned(),
            (true, "") => format!("{path}={value}"),
            (true, before) => format!("{before} {path}={value}"),
        };
        if value.len() > LONGEST_VALUE {
            return;
        }
        let new = made(&self.name, &value);
        match known {
            Some(known) => variables[known] = new,
            None => variables.push(new),
        }
    }
}

impl SettingsFile {
    /// The settings in the files that a container reads, as variables of the settings' names.
    pub(super) fn settings_of(&self, container: &Container, files: &[MountedFile]) -> Vec<EnvVar> {
        let told = self.told(container);
        let mut variables: Vec<EnvVar> = Vec::new();
        for file in files.iter().filter(|file| self.reads(file, &told)) {
            let made =
                |name: &str, value: &str| EnvVar::of_config_map(name, value, &file.config_map, &file.key);
            self.read(&file.text, &mut |setting, path, value| setting.add(&mut variables, path, value, made));
        }
        variables
    }

    /// Whether a variable of a container may hold such a file.
    pub(super) fn has_texts(&self, container: &Container) -> bool {
        !self.texts.is_empty() && container.env.iter().any(|variable| is_among(&self.texts, variable))
    }

    /// The settings in the files that its variables hold, as variables.
    pub(super) fn settings_of_texts(&self, container: &Container) -> Vec<EnvVar> {
        let mut variables: Vec<EnvVar> = Vec::new();
        for text in container.env.iter().filter(|variable| is_among(&self.texts, variable)) {
            self.read(&text.value, &mut |setting, path, value| {
                setting.add(&mut variables, path, value, EnvVar::new);
            });
        }
        variables
    }

    /// The settings of interest in the value of a variable of this name, a line each, in the language of the value: nothing where such a
    /// variable holds no file.
    pub(super) fn extract(&self, name: &str, value: &str) -> Vec<String> {
        let mut lines = Vec::new();
        if self.texts.iter().any(|text| text == name) {
            self.read(value, &mut |_, path, value| {
                if !value.contains(['"', '\\', '\n']) {
                    lines.push(format!("{path}=\"{value}\""));
                }
            });
        }
        lines
    }

    /// Gives the settings of interest in a text, each with its path and its value.
    fn read(&self, text: &str, found: &mut dyn FnMut(&FileSetting, &str, &str)) {
        read(self.language, text, &mut |path, value| {
            let mut settings = self.settings.iter();
            if let Some(setting) = settings.find(|setting| setting.pattern.matches(path)) {
                found(setting, path, value);
            }
        });
    }

    /// The files and folders that the container's program is told to read.
    fn told<'c>(&self, container: &'c Container) -> Vec<&'c str> {
        let flags = container.given_by_flags(&self.flags).into_iter();
        let variables = container.env.iter().filter(|variable| is_among(&self.variables, variable));
        let words = container.command.iter().chain(&container.args).flat_map(|word| word.split_whitespace());
        let is_file = |word: &&str| {
            word.contains('/') && !word.starts_with('-') && self.names.0.matches(base_name(clean(word)))
        };
        let named = words.filter(is_file);
        let paths = flags.chain(variables.map(|variable| &*variable.value)).chain(named);
        paths.map(clean).take(MOST_PATHS).collect()
    }

    fn reads(&self, file: &MountedFile, told: &[&str]) -> bool {
        let is_named = self.names.0.matches(base_name(&file.path));
        let is_in = |path: &str| *file.path == *path || (is_named && file.is_in(path));
        if told.is_empty() {
            self.paths.iter().any(|path| is_in(path))
        } else {
            told.iter().any(|path| is_in(path))
        }
    }

    /// Whether there may be a file that is not known, or a script that is not known to leave the settings alone.
    pub(super) fn may_be_unknown(&self, container: &Container) -> bool {
        let is_unknown =
            |mount: &&VolumeMount| !container.files.iter().any(|file| *file.mount == *mount.folder());
        let is_mounted_unknown = |path: &str| mounts_at(container, path).iter().any(is_unknown);
        let is_known = |path: &&str| container.files.iter().any(|file| file.is_in(path));
        let told = self.told(container);
        let mut programs = container.command.iter().enumerate();
        let is_program = |index: usize, word: &str| index == 0 || word.rsplit('.').next() == Some("sh");
        !container.env_from.is_empty()
            || container
                .env
                .iter()
                .any(|variable| is_among(&self.texts, variable) && variable.value.is_empty())
            || !told.iter().all(is_known)
            || (told.is_empty() && self.paths.iter().any(|path| is_mounted_unknown(path)))
            || programs.any(|(index, word)| is_program(index, word) && is_mounted_unknown(word))
            || self.is_named_by_script(container, &told)
    }

    /// Whether a script writes a file with such a setting.
    fn is_named_by_script(&self, container: &Container, told: &[&str]) -> bool {
        let keys = || {
            self.settings.iter().filter_map(|setting| setting.name.rsplit('.').find(|key| !key.contains('*')))
        };
        let names = |text: &str| keys().any(|key| text.contains(key));
        let mut scripts = container.files.iter().filter(|file| !self.reads(file, told));
        scripts.any(|script| names(&script.text))
            || written::texts(container, &[]).iter().any(|text| names(text))
    }
}

fn is_among(names: &[String], variable: &EnvVar) -> bool {
    names.iter().any(|name| **name == *variable.name)
}

/// A path as it is written on a command line.
fn clean(path: &str) -> &str {
    path.trim_matches(['"', '\'', ';', '>', '(', ')']).trim_end_matches('/')
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn zookeeper() -> SettingsFile {
        serde_json::from_value(json!({
            "paths": ["/conf/zoo.cfg"], "flags": ["--config"], "variables": ["ZOO_CONF_DIR"], "texts": ["ZOO_CFG"],
            "names": ["zoo*.cfg"], "language": "lines", "settings": ["dataDir", "server.*"],
        }))
        .unwrap()
    }

    /// A container that mounts these files, each of a ConfigMap that is known.
    fn container(container: Value, files: &[(&str, &str)]) -> Container {
        let mut container: Container = serde_json::from_value(container).unwrap();
        let file = |(path, text): &(&str, &str)| {
            let (mount, key) = path.rsplit_once('/').unwrap();
            let (config_map, mount, path) = ("zk".into(), mount.into(), (*path).into());
            MountedFile { config_map, key: key.into(), mount, path, text: (*text).into() }
        };
        container.files = files.iter().map(file).collect();
        container
    }

    #[test]
    fn settings_are_those_of_the_file_that_is_read() {
        let text = "dataDir=/a\nserver.1=x:1\nserver.2=y:1\nother=1";
        let all = "dataDir=/a server.*=server.1=x:1 server.2=y:1";
        for (given, path, expected) in [
            (json!({}), "/conf/zoo.cfg", all),
            (json!({}), "/conf/log4j.properties", ""),
            (json!({}), "/etc/zoo.cfg", ""),
            (json!({"args": ["--config", "/etc"]}), "/etc/zoo.cfg", all),
            (json!({"args": ["--config", "/etc"]}), "/etc/other.cfg", ""),
            (json!({"args": ["--config=/other"]}), "/conf/zoo.cfg", ""),
            (json!({"args": ["start-foreground", "/etc/zoo-1.cfg"]}), "/etc/zoo-1.cfg", all),
            (
                json!({"command": ["sh", "-c", "cp '/etc/zoo.cfg' /conf/; exec zkServer.sh"]}),
                "/etc/zoo.cfg",
                all,
            ),
            (json!({"env": [{"name": "ZOO_CONF_DIR", "value": "/etc/"}]}), "/etc/zoo.cfg", all),
        ] {
            let container = container(given.clone(), &[(path, text)]);
            let settings = zookeeper().settings_of(&container, &container.files);
            let seen: Vec<String> =
                settings.iter().map(|set| format!("{}={}", set.name, set.value)).collect();
            assert_eq!(seen.join(" "), expected, "{given} {path}");
            assert!(settings.iter().all(|set| set.config_map().is_some_and(|from| &*from.name == "zk")));
        }
    }

    #[test]
    fn the_last_of_a_setting_counts_and_a_list_ends_somewhere() {
        let long = "server.1=".to_owned() + &"x".repeat(3_000) + "\n";
        let container = container(
            json!({}),
            &[("/conf/zoo.cfg", &("dataDir=/a\ndataDir=/b\n".to_owned() + &long.repeat(9)))],
        );
        let settings = zookeeper().settings_of(&container, &container.files);
        assert_eq!((&*settings[0].value, settings.len()), ("/b", 2));
        assert!(settings[1].value.len() < LONGEST_VALUE);
    }

    #[test]
    fn what_is_not_known_may_say_anything() {
        let mount = |path: &str| json!({"volumeMounts": [{"name": "conf", "mountPath": path}]});
        let known = &[("/conf/zoo.cfg", "clientPort=2181")] as &[_];
        for (given, files, unknown) in [
            (json!({}), &[] as &[_], false),
            (mount("/conf"), &[], true),
            (mount("/conf/zoo.cfg"), &[], true),
            (mount("/conf/log4j.properties"), &[], false),
            (mount("/data"), &[], false),
            (mount("/conf"), known, false),
            (json!({"args": ["--config", "/conf"]}), known, false),
            (json!({"args": ["--config", "/etc/zk"]}), known, true),
            (json!({"args": ["start-foreground", "conf/zoo.cfg"]}), &[], true),
            (json!({"env": [{"name": "ZOO_CONF_DIR", "value": "/etc/zk"}]}), known, true),
            (json!({"env": [{"name": "ZOO_CFG"}]}), &[], true),
            (json!({"env": [{"name": "ZOO_CFG", "value": "x"}]}), &[], false),
            (json!({"envFrom": [{"secretRef": {"name": "a"}}]}), &[], true),
            (json!({"command": ["sh", "-c", "echo dataDir=/x >> $CFG; exec zkServer.sh"]}), &[], true),
            (json!({"command": ["sh", "-c", "echo tickTime=1 >> $CFG; exec zkServer.sh"]}), &[], false),
            (
                json!({"command": ["/scripts/run.sh"]}),
                &[("/scripts/run.sh", "echo dataDir=/x >> $CFG")],
                true,
            ),
            (json!({"command": ["/scripts/run.sh"]}), &[("/scripts/run.sh", "exec zkServer.sh")], false),
            (
                json!({"command": ["/scripts/run.sh"], "volumeMounts": [{"name": "s", "mountPath": "/scripts"}]}),
                &[],
                true,
            ),
            (
                json!({"command": ["bash", "/scripts/run.sh"], "volumeMounts": [{"name": "s", "mountPath": "/scripts"}]}),
                &[],
                true,
            ),
        ] {
            let container = container(given.clone(), files);
            assert_eq!(zookeeper().may_be_unknown(&container), unknown, "{given} {files:?}");
        }
    }
}
