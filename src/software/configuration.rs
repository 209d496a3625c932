//! Conditions on the known part of a container's configuration.

use std::fmt;

use serde::Deserialize;

use super::settings::{Language, read};
use super::{Patterns, written};
use crate::model::{Container, MountedFile, VolumeMount, cut};

/// More paths on a command line than this are not looked at.
const MOST_PATHS: usize = 32;
/// The longest setting that is repeated, in bytes.
const LONGEST_SETTING: usize = 100;

/// A condition on the configuration that a container's program reads.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct ProgramConfiguration {
    /// Environment variables that hold a configuration file each.
    pub(super) variables: Vec<String>,
    /// The folders from which the program reads files without being told.
    pub(super) folders: Vec<Box<str>>,
    /// Flags of the program that name a file or a folder to read.
    flags: Vec<String>,
    /// How the names of the files end that the program reads of a folder; empty where it reads all.
    endings: Vec<Box<str>>,
    language: Language,
    /// Settings of which one is to be there.
    says: Vec<WantedSetting>,
    /// Whether it holds where there may be a text that is not known.
    unknown: bool,
}

/// `PATH` or `PATH=VALUE`, with `*` for anything.
#[derive(Debug, Deserialize)]
#[serde(try_from = "String")]
struct WantedSetting {
    path: Patterns,
    value: Option<Patterns>,
    /// A part of every text in which the setting occurs.
    key: Box<str>,
}

/// A setting that was looked for, and where it is.
#[derive(Debug)]
pub(super) struct FoundSetting<'c> {
    setting: String,
    place: ConfigurationPlace<'c>,
}

#[derive(Debug)]
enum ConfigurationPlace<'c> {
    Variable(&'c str),
    File(&'c MountedFile),
    CommandLine,
}

impl TryFrom<String> for WantedSetting {
    type Error = globset::Error;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let (path, value) = text.split_once('=').map_or((&*text, None), |(path, value)| (path, Some(value)));
        let key = path.rsplit('.').find(|key| !key.contains('*')).unwrap_or_default().into();
        let value = value.map(|value| Patterns::new(&[value.to_owned()])).transpose()?;
        Ok(Self { path: Patterns::new(&[path.to_owned()])?, value, key })
    }
}

impl WantedSetting {
    /// The setting, if it is this one: with its value only where that is looked for, because it may be secret.
    fn found(&self, path: &str, value: &str) -> Option<String> {
        match &self.value {
            _ if !self.path.matches(path) => None,
            None => Some(path.to_owned()),
            Some(wanted) => wanted.matches(value).then(|| format!("{path}={value}")),
        }
    }
}

impl ProgramConfiguration {
    /// Whether it asks one thing.
    pub(super) fn is_clear(&self) -> bool {
        self.says.is_empty() == self.unknown
    }

    pub(super) fn holds(&self, container: &Container) -> bool {
        if self.unknown { self.may_be_more(container) } else { self.said(container).is_some() }
    }

    /// The recognised part, where the condition holds.
    pub(super) fn evidence(&self, container: &Container) -> String {
        self.said(container)
            .map_or_else(|| "a configuration that is not known".to_owned(), |said| said.to_string())
    }

    /// The first of the settings in a text that is known: a variable, a file, or what the command line writes.
    pub(super) fn said<'c>(&self, container: &'c Container) -> Option<FoundSetting<'c>> {
        let told = self.told(container);
        let variables = container.env.iter().filter(|variable| self.is_variable(&variable.name));
        let variables =
            variables.map(|variable| (ConfigurationPlace::Variable(&variable.name), &*variable.value));
        let files = container.files.iter().filter(|file| self.reads(file, &told, container));
        let files = files.map(|file| (ConfigurationPlace::File(file), &*file.text));
        let found = |(place, text): (ConfigurationPlace<'c>, &str)| {
            Some(FoundSetting { setting: self.settings_in(text).into_iter().next()?, place })
        };
        variables.chain(files).find_map(found).or_else(|| {
            let mut words = container.command.iter().chain(&container.args);
            let written =
                words.any(|word| self.may_say(word)).then(|| written::texts(container, &self.variables));
            written?.iter().find_map(|text| found((ConfigurationPlace::CommandLine, text)))
        })
    }

    /// Whether a text may have one of the settings: a look that costs little, because most have none.
    fn may_say(&self, text: &str) -> bool {
        self.says.iter().any(|wanted| text.contains(&*wanted.key))
    }

    /// The files and folders that the command line tells the program to read.
    fn told<'c>(&self, container: &'c Container) -> Vec<&'c str> {
        let paths = container.given_by_flags(&self.flags).into_iter().take(MOST_PATHS);
        paths.map(|path| path.trim_matches(['"', '\'']).trim_end_matches('/')).collect()
    }

    /// Whether the program may read the file: one that it is not told to read may be copied by a script that names it.
    fn reads(&self, file: &MountedFile, told: &[&str], container: &Container) -> bool {
        if told.contains(&&*file.path) {
            return true;
        }
        let is_told = told.iter().any(|path| file.is_in(path));
        let is_by_default = told.is_empty() && self.folders.iter().any(|folder| file.is_in(folder));
        if is_told || is_by_default {
            return self.endings.is_empty()
                || self.endings.iter().any(|ending| file.path.ends_with(&**ending));
        }
        !told.iter().any(|path| file.shares_volume_with(path)) && container.names_mount_of(file)
    }

    /// The settings that are in a text and looked for, once each.
    pub(super) fn settings_in(&self, text: &str) -> Vec<String> {
        let mut found: Vec<String> = Vec::new();
        if self.may_say(text) {
            read(self.language, text, &mut |path, value| {
                let settings = self.says.iter().filter_map(|wanted| wanted.found(path, value));
                for setting in settings {
                    if found.len() < MOST_PATHS && !found.contains(&setting) {
                        found.push(setting);
                    }
                }
            });
        }
        found
    }

    fn may_be_more(&self, container: &Container) -> bool {
        let is_unknown =
            |mount: &&VolumeMount| !container.files.iter().any(|file| *file.mount == *mount.folder());
        let is_elsewhere = |file: &str| {
            let mounts = mounts_at(container, file);
            // A file that is not mounted comes with the image, or a script writes it.
            mounts.is_empty() || mounts.iter().any(is_unknown)
        };
        !container.env_from.is_empty()
            || container
                .env
                .iter()
                .any(|variable| self.is_variable(&variable.name) && variable.value.is_empty())
            || self.folders.iter().any(|folder| mounts_at(container, folder).iter().any(is_unknown))
            || self.told(container).into_iter().any(is_elsewhere)
    }

    pub(super) fn is_variable(&self, name: &str) -> bool {
        self.variables.iter().any(|variable| variable == name)
    }
}

/// The mounts in which a file or folder is, or a part of it.
pub(super) fn mounts_at<'c>(container: &'c Container, path: &str) -> Vec<&'c VolumeMount> {
    container.volume_mounts.iter().filter(|mount| mount.holds(path)).collect()
}

impl fmt::Display for FoundSetting<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A block is a setting without a value.
        let setting = self.setting.strip_suffix('=').unwrap_or(&self.setting);
        f.write_str(&cut(setting.to_owned(), LONGEST_SETTING))?;
        match self.place {
            ConfigurationPlace::Variable(name) => write!(f, " in variable {name}"),
            ConfigurationPlace::File(file) => write!(f, " in {} of ConfigMap {}", file.key, file.config_map),
            ConfigurationPlace::CommandLine => f.write_str(" in what its command writes"),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn holds(condition: Value, container: Value, files: &[&str]) -> bool {
        let mut container: Container = serde_json::from_value(container).unwrap();
        let mount: Box<str> = container.volume_mounts.first().map_or("/conf", VolumeMount::folder).into();
        let file = |text: &&str| MountedFile {
            mount: mount.clone(),
            path: format!("{mount}/a").into(),
            text: (*text).into(),
            ..MountedFile::default()
        };
        container.files = files.iter().map(file).collect();
        let condition: ProgramConfiguration = serde_json::from_value(condition).unwrap();
        condition.holds(&container)
    }

    #[test]
    fn a_setting_is_found_wherever_the_text_stands() {
        let condition =
            || json!({"variables": ["CONF"], "folders": ["/conf"], "says": ["storage.raft", "retry=tr*"]});
        let text = "ui = true\nstorage   \"raft\" {\n";
        for (container, files, expected) in [
            (json!({}), vec![text], true),
            (json!({}), vec!["{ \"storage\" : {\n \"raft\": {}}}"], true),
            (json!({}), vec!["storage \"consul\" {\n # storage \"raft\" {\n // storage \"raft\" {\n"], false),
            (json!({}), vec!["a { storage \"raft\" {} }"], false),
            (json!({}), vec!["a = ['storage \"raft\" {}', \"retry=true\"]"], false),
            (json!({}), vec!["retry = true"], true),
            (json!({}), vec!["retry = false"], false),
            (json!({}), vec![], false),
            (json!({"env": [{"name": "CONF", "value": text}]}), vec![], true),
            (json!({"env": [{"name": "OTHER", "value": text}]}), vec![], false),
            (json!({"command": ["sh", "-c", "echo \"storage \\\"raft\\\" {\" > /c.hcl"]}), vec![], true),
            (json!({"args": ["-tag", "retry=true"]}), vec![], false),
        ] {
            assert_eq!(holds(condition(), container.clone(), &files), expected, "{container} {files:?}");
        }
    }

    #[test]
    fn what_may_say_more_is_a_file_or_a_variable_that_is_not_known() {
        let condition = || json!({"variables": ["CONF"], "folders": ["/consul/config"], "flags": ["-config-dir"], "unknown": true});
        let mount = |path: &str| json!({"volumeMounts": [{"name": "conf", "mountPath": path}]});
        let told = |path: &str| json!({"args": ["agent", "-config-dir", "/etc/consul"], "volumeMounts": [{"name": "conf", "mountPath": path}]});
        let secret = json!([{"name": "CONF", "valueFrom": {"secretKeyRef": {"name": "a", "key": "b"}}}]);
        for (container, files, expected) in [
            (json!({}), vec![], false),
            (json!({"env": [{"name": "CONF", "value": "{}"}]}), vec![], false),
            (json!({"env": secret}), vec![], true),
            (json!({"envFrom": [{"secretRef": {"name": "a"}}]}), vec![], true),
            (mount("/consul/config"), vec![], true),
            (mount("/consul/config/a.json"), vec![], true),
            (mount("/consul/data"), vec![], false),
            (mount("/consul/config"), vec!["{}"], false),
            (told("/etc/consul"), vec!["{}"], false),
            (told("/etc/consul/"), vec!["{}"], false),
            (told("/etc/consul"), vec![], true),
            (told("/elsewhere"), vec!["{}"], true),
        ] {
            assert_eq!(holds(condition(), container.clone(), &files), expected, "{container} {files:?}");
        }
    }

    #[test]
    fn a_file_counts_where_the_program_may_read_it() {
        let condition: ProgramConfiguration = serde_json::from_value(json!({
            "folders": ["/default"], "flags": ["-config"], "endings": [".hcl", ".json"], "says": ["x"],
        }))
        .unwrap();
        for (args, mount, path, expected) in [
            // A file that is named is the only one of its volume.
            ("-config=/c/a.hcl", "/c", "/c/a.hcl", true),
            ("-config=/c/a.hcl", "/c", "/c/b.hcl", false),
            ("-config=/c/a.hcl -config \"/c/b.hcl\"", "/c", "/c/b.hcl", true),
            ("-config=/c/a.conf", "/c/a.conf", "/c/a.conf", true),
            // In a folder, the files whose names end like those of configuration.
            ("-config=/c/", "/c", "/c/a.hcl", true),
            ("-config=/c", "/c", "/c/a.hcl.disabled", false),
            ("-config=/c/d", "/c", "/c/d/a.hcl", true),
            ("-config=/c/d", "/c", "/c/a.hcl", false),
            ("", "/default", "/default/a.json", true),
            ("", "/default", "/default/a.json.example", false),
            // A script may copy it.
            ("cp /default/a.tmpl /tmp/a.hcl; exec x -config=/tmp/a.hcl", "/default", "/default/a.tmpl", true),
            ("-config=/tmp/a.hcl", "/default", "/default/a.tmpl", false),
            ("", "/c", "/c/a.hcl", false),
        ] {
            let mut container = Container { args: vec![args.into()], ..Container::default() };
            let (mount, path) = (mount.into(), path.into());
            container.files =
                vec![MountedFile { mount, path, text: "x = 1".into(), ..MountedFile::default() }];
            assert_eq!(condition.holds(&container), expected, "{args} {:?}", container.files);
        }
    }

    #[test]
    fn a_value_is_repeated_only_where_it_is_looked_for() {
        let condition: ProgramConfiguration =
            serde_json::from_value(json!({"says": ["storage.*", "server=true"]})).unwrap();
        let text = "storage \"mysql\" { password = \"secret\" }\nstorage \"mysql\" {}\nserver = true\nkey = \"hidden\"";
        assert_eq!(condition.settings_in(text), ["storage.mysql", "storage.mysql.password", "server=true"]);
        // The form in which a snapshot keeps a value is read again.
        assert_eq!(condition.settings_in("storage.mysql=-\nserver=true"), ["storage.mysql", "server=true"]);
    }
}
