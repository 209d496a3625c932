//! The connection to an API server.

use std::env;
use std::path::Path;

use anyhow::Context;
use kube::client::AuthError;
use kube::config::{Config, Kubeconfig};

use super::kubeconfig;
use crate::api_server::checked;

/// A client, and the address that it asks.
pub(super) struct Connection {
    pub(super) client: kube::Client,
    /// For messages.
    pub(super) server: String,
}

const NO_CLIENT: &str = "cannot use the credentials of the kubeconfig";

/// A client for this context of this kubeconfig; without them, for the current context of the usual kubeconfig, or for the cluster
/// this runs in.
pub(super) async fn connect(kubeconfig: Option<&Path>, context: Option<&str>) -> anyhow::Result<Connection> {
    let is_pod = env::var_os("KUBERNETES_SERVICE_HOST").is_some();
    let mut config = match kubeconfig::read(kubeconfig, context).await {
        Err(_) if kubeconfig.is_none() && context.is_none() && is_pod => {
            Config::incluster().context("cannot use the service account of this pod")?
        }
        config => config?,
    };
    // Callers have a deadline or waits of their own, which hidden retries would exceed.
    config.default_retry = false;
    let server = config.cluster_url.to_string();
    let server = server.trim_end_matches('/').to_owned();
    let plugin = config.auth_info.exec.as_ref().and_then(|exec| exec.command.clone()).unwrap_or_default();
    let client = kube::Client::try_from(config).map_err(|error| match error {
        kube::Error::Auth(AuthError::AuthExecStart(error)) => {
            anyhow::anyhow!("cannot run {plugin:?}, which the kubeconfig names for credentials: {error}")
        }
        kube::Error::InferKubeconfig(error) => anyhow::Error::new(error).context(NO_CLIENT),
        error => anyhow::Error::new(error).context(NO_CLIENT),
    })?;
    Ok(Connection { client, server })
}

/// Whether this is a pod that asks its own cluster.
pub(super) fn is_in_cluster() -> bool {
    std::env::var_os("KUBERNETES_SERVICE_HOST").is_some() && Kubeconfig::read().is_err()
}

/// Runs a few requests with a client of this kubeconfig and context.
pub(super) fn on_cluster<T>(
    kubeconfig: Option<&Path>,
    context: Option<&str>,
    read: impl AsyncFnOnce(kube::Client) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    block_on(async {
        let client = connect(kubeconfig, context).await?.client;
        read(client).await
    })
}

/// Runs the requests of a command that makes a few and ends.
pub(super) fn block_on<T>(requests: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.context("cannot start the runtime")?.block_on(requests)
}

/// An object of a namespace, as the command line names it: `NAMESPACE/NAME`, or `NAME` in the namespace of the client.
#[derive(Clone, Debug)]
pub(super) struct ObjectArgument {
    namespace: Option<String>,
    name: String,
}

impl ObjectArgument {
    /// The namespace that it names.
    pub(super) fn namespace(&self) -> Option<&str> {
        self.namespace.as_deref()
    }

    /// Its namespace and name, for this client.
    pub(super) fn for_client(&self, client: &kube::Client) -> (String, String) {
        self.or_in(client.default_namespace())
    }

    /// Its namespace, or this one where it names none, and its name.
    pub(super) fn or_in(&self, namespace: &str) -> (String, String) {
        let namespace = self.namespace.as_deref().unwrap_or(namespace);
        (namespace.to_owned(), self.name.clone())
    }
}

impl std::str::FromStr for ObjectArgument {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (namespace, name) = match text.split_once('/') {
            Some((namespace, name)) => (Some(namespace), name),
            None => (None, text),
        };
        for part in namespace.into_iter().chain([name]) {
            checked(part).map_err(|_| format!("expected NAME or NAMESPACE/NAME, found {text:?}"))?;
        }
        Ok(Self { namespace: namespace.map(str::to_owned), name: name.to_owned() })
    }
}
