//! `.stateward.yaml`: what an audit is asked for in this repository, unless the command line says otherwise.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use serde::Deserialize;

use super::Args;
use super::options::{ChartValue, ExcludePattern, FailOn, MinLevel, NamespaceName, SettingValue};
use super::output::Output;
use crate::cli::ProfileName;
use crate::manifest;
use crate::policy::plain;

const NAME: &str = ".stateward.yaml";

/// Names that people give the file and that are not looked for.
const SLIPS: [&str; 3] = [".stateward.yml", "stateward.yaml", "stateward.yml"];

/// The file. Paths in it are relative to its folder.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default, expecting = "a map")]
pub(super) struct AuditSettings {
    pub(super) profile: Option<ProfileName>,
    pub(super) policies: Vec<PathBuf>,
    pub(super) paths: Vec<PathBuf>,
    pub(super) exclude: Vec<SettingValue<ExcludePattern>>,
    pub(super) namespace: Option<SettingValue<NamespaceName>>,
    pub(super) format: Vec<SettingValue<Output>>,
    pub(super) fail_on: Option<SettingValue<FailOn>>,
    pub(super) min_level: Option<SettingValue<MinLevel>>,
    pub(super) only: Vec<String>,
    pub(super) skip: Vec<String>,
    pub(super) baseline: Option<PathBuf>,
    pub(super) together: Option<bool>,
    pub(super) fail_on_empty: Option<bool>,
    pub(super) values: Vec<PathBuf>,
    pub(super) set: Vec<SettingValue<ChartValue>>,
    /// What has no effect in the settings, or is not read as such.
    #[serde(skip)]
    pub(super) notes: Vec<String>,
}

impl AuditSettings {
    /// Reads `file`, or else the nearest `.stateward.yaml` in the current folder or above it, or nothing.
    pub(super) fn load(file: Option<&Path>) -> anyhow::Result<Self> {
        let here = std::env::current_dir().context("cannot tell the current folder")?;
        let slips = if file.is_none() { slips(&here) } else { Vec::new() };
        let Some(file) = file.map(Path::to_owned).or_else(|| nearest(&here)) else {
            return Ok(Self { notes: slips, ..Self::default() });
        };
        let text = fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
        let mut settings = parse(&text).map_err(|error| anyhow::anyhow!("{}: {error}", file.display()))?;
        let folder = file.parent().unwrap_or(Path::new(""));
        let paths = settings.policies.iter_mut().chain(&mut settings.paths).chain(&mut settings.values);
        for path in paths.chain(&mut settings.baseline) {
            *path = folder.join(&*path);
        }
        for SettingValue(pattern) in &mut settings.exclude {
            folder.clone_into(&mut pattern.folder);
        }
        let contradictions = settings.contradictions();
        let contradictions = contradictions.iter().map(|note| format!("{}: {note}", file.display()));
        settings.notes = slips.into_iter().chain(contradictions).collect();
        Ok(settings)
    }

    /// The settings that others of the same file leave without effect.
    fn contradictions(&self) -> Vec<String> {
        let levels = (self.fail_on.as_ref(), self.min_level.as_ref());
        let hidden = match levels {
            (Some(SettingValue(FailOn(Some(fail_on)))), Some(SettingValue(MinLevel(min_level))))
                if fail_on < min_level =>
            {
                Some(format!(
                    "minLevel: {min_level} has no effect beside failOn: {fail_on}, since what makes the audit fail is reported: \
                     give minLevel {fail_on} or leave it out"
                ))
            }
            _ => None,
        };
        let both = self.only.iter().filter(|rule| self.skip.contains(rule));
        let both = both.map(|rule| format!("{rule} is in `only` and in `skip`, and is not reported"));
        hidden.into_iter().chain(both).collect()
    }
}

impl Args {
    /// Takes from the settings what the command line does not say.
    pub(super) fn complete(&mut self, settings: AuditSettings) -> anyhow::Result<()> {
        if is_hidden_failure(self.fail_on, self.min_level) {
            bail!("--min-level would hide what --fail-on fails for: name a level that is no higher");
        }
        if self.paths.is_empty() && !self.cluster {
            self.paths = settings.paths;
        }
        if self.format.is_empty() {
            self.format = settings.format.into_iter().map(|SettingValue(format)| format).collect();
        }
        if self.format.is_empty() {
            self.format = vec![Output::default()];
        }
        self.fail_on = self.fail_on.or(settings.fail_on.map(|SettingValue(level)| level));
        self.min_level = self.min_level.or(settings.min_level.map(|SettingValue(level)| level));
        if is_hidden_failure(self.fail_on, self.min_level)
            && let Some(FailOn(Some(level))) = self.fail_on
        {
            self.min_level = Some(MinLevel(level));
        }
        self.policy.profile = self.policy.profile.or(settings.profile);
        self.policy.policies.extend(settings.policies);
        self.exclude.extend(settings.exclude.into_iter().map(|SettingValue(pattern)| pattern));
        let is_asked_for = |rule: &String| self.only.contains(rule);
        let skipped: Vec<_> = settings.skip.into_iter().filter(|rule| !is_asked_for(rule)).collect();
        self.skip.extend(skipped);
        self.set.splice(0..0, settings.set.into_iter().map(|SettingValue(value)| value));
        self.values.splice(0..0, settings.values);
        if self.only.is_empty() {
            self.only = settings.only;
        }
        if !self.only.is_empty() && self.only.iter().all(|rule| self.skip.contains(rule)) {
            bail!(
                "--skip, or `skip` in the settings, leaves nothing of --only or `only`: no rule would be reported"
            );
        }
        if !self.cluster {
            self.namespace = self.namespace.take().or(settings.namespace.map(|SettingValue(name)| name));
            self.together |= settings.together.unwrap_or_default();
        }
        self.fail_on_empty = self.fail_on_empty.or(settings.fail_on_empty);
        self.baseline = self.baseline.take().or(settings.baseline);
        Ok(())
    }
}

/// Whether something would make the audit fail and not be reported.
fn is_hidden_failure(fail_on: Option<FailOn>, min_level: Option<MinLevel>) -> bool {
    let (Some(FailOn(Some(fail_on))), Some(MinLevel(min_level))) = (fail_on, min_level) else { return false };
    fail_on < min_level
}

fn parse(text: &str) -> Result<AuditSettings, String> {
    let node = manifest::only_document(text).map_err(|fault| fault.to_string())?;
    if node.is_null() {
        return Ok(AuditSettings::default());
    }
    serde_path_to_error::deserialize(&node).map_err(|error| {
        let line = node.locate(&manifest::pointer_of(error.path())).line;
        let message = plain(&error.inner().to_string());
        match error.path().to_string() {
            path if path == "." => format!("line {line}: {message}"),
            path => format!("line {line}: {path}: {message}"),
        }
    })
}

/// The nearest settings, named from the current folder where they are in it.
fn nearest(here: &Path) -> Option<PathBuf> {
    here.ancestors().map(|folder| beside(here, folder, NAME)).find(|file| file.is_file())
}

fn beside(here: &Path, folder: &Path, name: &str) -> PathBuf {
    if folder == here { name.into() } else { folder.join(name) }
}

/// Notes on files that would be settings, had they the right name: as far up as settings are meant for this repository.
fn slips(here: &Path) -> Vec<String> {
    let is_last = |folder: &Path| folder.join(NAME).is_file() || folder.join(".git").exists();
    let height = here.ancestors().position(is_last).map_or(usize::MAX, |height| height + 1);
    let mut notes = Vec::new();
    for folder in here.ancestors().take(height) {
        let files = SLIPS.map(|name| beside(here, folder, name));
        for file in files.iter().filter(|file| is_slip(file, folder)) {
            notes.push(format!("{} is not read: settings are read from {NAME}", file.display()));
        }
    }
    notes
}

/// Whether a file is named almost as the settings. Without the dot it may be something else, unless it has what settings have.
fn is_slip(file: &Path, folder: &Path) -> bool {
    let is_hidden = file.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
    let has_settings = || {
        let text = fs::read_to_string(file).unwrap_or_default();
        !folder.join(NAME).is_file()
            && manifest::only_document(&text).is_ok_and(|node| !node.is_null())
            && parse(&text).is_ok()
    };
    file.is_file() && (is_hidden || has_settings())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_known_is_named_with_its_line() {
        let error = parse("profile: strict\nfailon: deny\n").unwrap_err();
        assert!(error.ends_with("there is no field \"failon\"; did you mean \"failOn\"?"), "{error}");
        let error = parse("profile: strict\npaths: deploy\n").unwrap_err();
        assert!(error.starts_with("line 2: paths:"), "{error}");
        for (text, said) in [
            (
                "paths: []\nfailOn: zork\n",
                "line 2: failOn: there is no level \"zork\"; there are deny, warn, audit, never",
            ),
            (
                "minLevel: never\n",
                "line 1: minLevel: there is no level \"never\"; there are deny, warn, audit",
            ),
            (
                "format:\n- json=x\n- zork\n",
                "line 3: format[1]: there is no format \"zork\"; there are human, ",
            ),
            ("exclude: ['[a']\n", "line 1: exclude[0]: error parsing glob '[a': unclosed character class"),
            ("set: [a]\n", "line 1: set[0]: expected KEY=VALUE, found \"a\""),
            ("namespace: A b\n", "line 1: namespace: not a namespace"),
            ("3\n", "line 1: expected a map, found 3"),
            ("skip: [a]\n---\n# more\nskip: [b]\n", "line 4, column 1: only one document is read"),
            ("skip: [a]\nonly: [a]\nskip: [b]\n", "line 3, column 1: `skip` is written twice"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.starts_with(said), "{error}");
        }
        assert_eq!(parse("---\nskip: [a]\n---\n# nothing\n").unwrap().skip, ["a"]);
        assert!(parse("# nothing\n").unwrap().paths.is_empty());
    }
}
