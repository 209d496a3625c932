//! Errors in a kubeconfig, and their remedies.

use std::env;
use std::io::ErrorKind;
use std::path::Path;

use anyhow::{anyhow, bail};
use kube::config::{Config, KubeConfigOptions, Kubeconfig, KubeconfigError};

use crate::api_server::chain;
use crate::model::did_you_mean;

/// Reads a kubeconfig, that of the environment where none is named, and takes this context of it or else its current one.
pub(super) async fn read(path: Option<&Path>, context: Option<&str>) -> anyhow::Result<Config> {
    let read = match path {
        Some(path) => Kubeconfig::read_from(path),
        None => of_environment(),
    };
    let place = place(path);
    let kubeconfig = read.map_err(|error| anyhow!(unread(&error, &place, path.is_some())))?;
    let contexts: Vec<String> = kubeconfig.contexts.iter().map(|context| context.name.clone()).collect();
    let missing_user = missing_user(&kubeconfig, context);
    let options = KubeConfigOptions { context: context.map(str::to_owned), ..KubeConfigOptions::default() };
    let config = Config::from_custom_kubeconfig(kubeconfig, &options).await;
    let config = config.map_err(|error| anyhow!("the kubeconfig {place} {}", unusable(&error, &contexts)))?;
    match missing_user {
        None => Ok(config),
        Some(user) => bail!("the kubeconfig {place} has no user {user:?}, which its context names"),
    }
}

/// The user of this context, or of the current one, where it is not there: requests would go without credentials.
fn missing_user(kubeconfig: &Kubeconfig, context: Option<&str>) -> Option<String> {
    let context = context.or(kubeconfig.current_context.as_deref())?;
    let context = kubeconfig.contexts.iter().find(|named| named.name == context)?.context.as_ref()?;
    let user = context.user.as_ref().filter(|user| !user.is_empty())?;
    let is_there = kubeconfig.auth_infos.iter().any(|named| named.name == *user);
    (!is_there).then(|| user.clone())
}

/// The kubeconfig of the environment: of a list of files those that are there, as kubectl takes them.
fn of_environment() -> Result<Kubeconfig, KubeconfigError> {
    let list = env::var_os("KUBECONFIG").unwrap_or_default();
    let mut files = env::split_paths(&list).filter(|file| file.exists()).map(Kubeconfig::read_from);
    match files.next() {
        Some(first) => files.try_fold(first?, |merged, next| merged.merge(next?)),
        None => Kubeconfig::read(),
    }
}

/// The paths at which a kubeconfig is looked for.
fn place(path: Option<&Path>) -> String {
    let of_environment = || env::var("KUBECONFIG").ok().filter(|value| !value.is_empty());
    match path {
        Some(path) => path.display().to_string(),
        None => of_environment().unwrap_or_else(|| "~/.kube/config".to_owned()),
    }
}

fn unread(error: &KubeconfigError, place: &str, is_named: bool) -> String {
    match error {
        KubeconfigError::ReadConfig(error, path) if error.kind() == ErrorKind::NotFound && !is_named => {
            format!(
                "there is no kubeconfig {}, and this is no pod of a cluster: put the path of one into KUBECONFIG",
                path.display()
            )
        }
        KubeconfigError::ReadConfig(error, path) => {
            format!("cannot read the kubeconfig {}: {error}", path.display())
        }
        // The lines after the first show the place in the text once more.
        KubeconfigError::Parse(error) => {
            let text = error.to_string();
            let line = text.lines().next().unwrap_or_default();
            format!("{place} is not a kubeconfig: {}", line.trim_start_matches("error: "))
        }
        error => format!("cannot read the kubeconfig {place}: {}", chain(error)),
    }
}

/// The part that a readable kubeconfig lacks, as the end of a sentence about it.
fn unusable(error: &KubeconfigError, contexts: &[String]) -> String {
    let there_are = contexts.join(", ");
    match error {
        KubeconfigError::CurrentContextNotSet | KubeconfigError::LoadContext(_) if contexts.is_empty() => {
            "has no context".to_owned()
        }
        KubeconfigError::CurrentContextNotSet => no_current(&there_are),
        KubeconfigError::LoadContext(name) if name.is_empty() => no_current(&there_are),
        KubeconfigError::LoadContext(name) => {
            let meant = did_you_mean(name, contexts.iter().map(String::as_str));
            let hint = if meant.is_empty() { format!("; it has {there_are}") } else { meant };
            format!("has no context {name:?}{hint}")
        }
        KubeconfigError::LoadClusterOfContext(name) if name.is_empty() => {
            "has a context that names no cluster".to_owned()
        }
        KubeconfigError::LoadClusterOfContext(name) => {
            format!("has no cluster {name:?}, which its context names")
        }
        KubeconfigError::ParseClusterUrl(error) => {
            format!("has a cluster whose server is not a URL such as https://10.0.0.1:6443: {error}")
        }
        error => format!("cannot be used: {}", chain(error)),
    }
}

fn no_current(there_are: &str) -> String {
    format!("has no current-context: name one of its contexts with --context; it has {there_are}")
}
