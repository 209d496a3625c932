//! What the configuration of a container says, as far as it is known.

use serde::Deserialize;

use crate::model::{Container, VolumeMount};

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
    /// Parts of a text, without white space, of which one is to be there.
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
        let files = container.files.iter().map(|file| &file.text);
        let words = container.command.iter().chain(&container.args);
        let mut texts = variables.map(|variable| &variable.value).chain(files).chain(words);
        texts.any(|text| !self.parts_of(text).is_empty())
    }

    /// The parts that are in a text.
    pub(super) fn parts_of(&self, text: &str) -> Vec<&str> {
        let text = condensed(text);
        self.says.iter().map(|part| &**part).filter(|part| text.contains(part)).collect()
    }

    fn may_be_more(&self, container: &Container) -> bool {
        let is_unknown = |mount: &&VolumeMount| !container.files.iter().any(|file| file.volume == mount.name);
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
            || container.given_by_flags(&self.flags).into_iter().any(is_elsewhere)
    }

    pub(super) fn is_variable(&self, name: &str) -> bool {
        self.variables.iter().any(|variable| variable == name)
    }
}

/// The mounts in which a file or folder is, or a part of it.
fn mounts_at<'c>(container: &'c Container, path: &str) -> Vec<&'c VolumeMount> {
    container.volume_mounts.iter().filter(|mount| mount.holds(path)).collect()
}

/// A text without what may stand in it or not: white space, lines that are comments, the escapes of a script.
fn condensed(text: &str) -> String {
    let is_comment = |line: &&str| line.trim_start().starts_with('#') || line.trim_start().starts_with("//");
    let lines = text.lines().filter(|line| !is_comment(line));
    lines.flat_map(str::chars).filter(|c| !c.is_whitespace() && *c != '\\').collect()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::model::MountedFile;

    fn holds(condition: Value, container: Value, files: &[&str]) -> bool {
        let condition: Configuration = serde_json::from_value(condition).unwrap();
        let mut container: Container = serde_json::from_value(container).unwrap();
        let file = |text: &&str| MountedFile { volume: "conf".into(), text: (*text).into() };
        container.files = files.iter().map(file).collect();
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
            (told("/etc/consul"), vec![], true),
            (told("/elsewhere"), vec!["{}"], true),
        ] {
            assert_eq!(holds(condition(), container.clone(), &files), expected, "{container} {files:?}");
        }
    }
}
