//! What the configuration of a container says, as far as it is known.

use serde::Deserialize;

use super::text::{condensed, has};
use crate::model::{Container, MountedFile, VolumeMount};

/// More paths on a command line than this are not looked at.
const MOST_PATHS: usize = 32;

/// A condition on the configuration that a container's program reads.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Configuration {
    /// Environment variables that hold a configuration file each.
    pub(super) variables: Vec<String>,
    /// The folders from which the program reads files without being told.
    pub(super) folders: Vec<Box<str>>,
    /// Flags of the program that name a file or a folder to read.
    flags: Vec<String>,
    /// How the names of the files end that the program reads of a folder; empty where it reads all.
    endings: Vec<Box<str>>,
    /// Parts of a text, without white space and comments, of which one is to be there.
    says: Vec<Box<str>>,
    /// Whether it holds where there may be a text that is not known.
    unknown: bool,
}

impl Configuration {
    /// Whether it asks one thing.
    pub(super) fn is_clear(&self) -> bool {
        self.says.is_empty() == self.unknown
    }

    pub(super) fn holds(&self, container: &Container) -> bool {
        if self.unknown { self.may_be_more(container) } else { self.is_said(container) }
    }

    /// Whether a text that is known says it: a file, a variable, or a file that a script writes.
    fn is_said(&self, container: &Container) -> bool {
        let variables = container.env.iter().filter(|variable| self.is_variable(&variable.name));
        let told = self.told(container);
        let files = container.files.iter().filter(|file| self.reads(file, &told)).map(|file| &file.text);
        let words = container.command.iter().chain(&container.args);
        let mut texts = variables.map(|variable| &variable.value).chain(files).chain(words);
        texts.any(|text| !self.parts_of(text).is_empty())
    }

    /// The files and folders that the command line tells the program to read.
    fn told<'c>(&self, container: &'c Container) -> Vec<&'c str> {
        let paths = container.given_by_flags(&self.flags).into_iter().take(MOST_PATHS);
        paths.map(|path| path.trim_matches(['"', '\'']).trim_end_matches('/')).collect()
    }

    /// Whether the program may read the file: one that it is not told to read may be copied by a script.
    fn reads(&self, file: &MountedFile, told: &[&str]) -> bool {
        if told.contains(&&*file.path) {
            return true;
        }
        let is_told = told.iter().any(|path| file.is_in(path));
        let is_by_default = told.is_empty() && self.folders.iter().any(|folder| file.is_in(folder));
        if is_told || is_by_default {
            return self.endings.is_empty()
                || self.endings.iter().any(|ending| file.path.ends_with(&**ending));
        }
        !told.iter().any(|path| file.shares_volume_with(path))
    }

    /// The parts that are in a text.
    pub(super) fn parts_of(&self, text: &str) -> Vec<&str> {
        let text = condensed(text);
        self.says.iter().map(|part| &**part).filter(|part| has(&text, part)).collect()
    }

    fn may_be_more(&self, container: &Container) -> bool {
        let is_unknown =
            |mount: &&VolumeMount| !container.files.iter().any(|file| *file.mount == *mount.folder());
        let is_elsewhere = |file: &str| {
            let mounts = mounts_at(container, file);
            // What is not mounted comes with the image, or a script writes it.
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
fn mounts_at<'c>(container: &'c Container, path: &str) -> Vec<&'c VolumeMount> {
    container.volume_mounts.iter().filter(|mount| mount.holds(path)).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::model::MountedFile;

    fn holds(condition: Value, container: Value, files: &[&str]) -> bool {
        let mut container: Container = serde_json::from_value(container).unwrap();
        let mount: Box<str> = container.volume_mounts.first().map_or("/conf", VolumeMount::folder).into();
        let file =
            |text: &&str| MountedFile { mount: mount.clone(), path: mount.clone(), text: (*text).into() };
        container.files = files.iter().map(file).collect();
        let condition: Configuration = serde_json::from_value(condition).unwrap();
        condition.holds(&container)
    }

    #[test]
    fn a_text_is_found_wherever_it_stands() {
        let condition =
            || json!({"variables": ["CONF"], "says": ["storage\"raft\"", "\"storage\":{\"raft\""]});
        let text = "ui = true\nstorage   \"raft\" {\n";
        for (container, files, expected) in [
            (json!({}), vec![text], true),
            (json!({}), vec!["{ \"storage\" : {\n \"raft\": {}}}"], true),
            (json!({}), vec!["storage \"consul\" {\n # storage \"raft\" {\n // storage \"raft\" {\n"], false),
            (json!({}), vec![], false),
            (json!({"env": [{"name": "CONF", "value": text}]}), vec![], true),
            (json!({"env": [{"name": "OTHER", "value": text}]}), vec![], false),
            (json!({"command": ["sh", "-c", "echo \"storage \\\"raft\\\" {\" > /c.hcl"]}), vec![], true),
            (json!({"args": [text]}), vec![], true),
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
        let condition: Configuration = serde_json::from_value(json!({
            "folders": ["/default"], "flags": ["-config"], "endings": [".hcl", ".json"], "says": ["x"],
        }))
        .unwrap();
        let file = |mount: &str, path: &str| MountedFile {
            mount: mount.into(),
            path: path.into(),
            text: "x".into(),
        };
        for (args, mount, path, expected) in [
            // A file that is named is the only one of its volume.
            ("-config=/c/a.hcl", "/c", "/c/a.hcl", true),
            ("-config=/c/a.hcl", "/c", "/c/b.hcl", false),
            ("-config=/c/a.hcl -config \"/c/b.hcl\"", "/c", "/c/b.hcl", true),
            ("-config=/c/a.conf", "/c/a.conf", "/c/a.conf", true),
            // Of a folder, what ends as configuration does.
            ("-config=/c/", "/c", "/c/a.hcl", true),
            ("-config=/c", "/c", "/c/a.hcl.disabled", false),
            ("-config=/c/d", "/c", "/c/d/a.hcl", true),
            ("-config=/c/d", "/c", "/c/a.hcl", false),
            ("", "/default", "/default/a.json", true),
            ("", "/default", "/default/a.json.example", false),
            // A script may copy it.
            ("-config=/tmp/a.hcl", "/default", "/default/a.tmpl", true),
            ("", "/c", "/c/a.tmpl", true),
        ] {
            let mut container = Container { args: vec![args.into()], ..Container::default() };
            container.files = vec![file(mount, path)];
            assert_eq!(condition.holds(&container), expected, "{args} {path}");
        }
    }
}
