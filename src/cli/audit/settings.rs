//! `.stateward.yaml`: what an audit is asked for in this repository, unless the command line says otherwise.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;
use serde::Deserialize;

use super::options::{ChartValue, ExcludePattern, FailOn, MinLevel, NamespaceName, SettingValue};
use super::output::Output;
use crate::cli::ProfileName;
use crate::manifest;
use crate::policy::plain;

const NAME: &str = ".stateward.yaml";

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
}

impl AuditSettings {
    /// Reads `file`, or else the nearest `.stateward.yaml` in the current folder or above it, or nothing.
    pub(super) fn load(file: Option<&Path>) -> anyhow::Result<Self> {
        let file = match file {
            Some(file) => file.to_owned(),
            None => match nearest()? {
                Some(file) => file,
                None => return Ok(Self::default()),
            },
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
        Ok(settings)
    }
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
fn nearest() -> anyhow::Result<Option<PathBuf>> {
    if Path::new(NAME).is_file() {
        return Ok(Some(NAME.into()));
    }
    let here = std::env::current_dir().context("cannot tell the current folder")?;
    Ok(here.ancestors().skip(1).map(|folder| folder.join(NAME)).find(|file| file.is_file()))
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
