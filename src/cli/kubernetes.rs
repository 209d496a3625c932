//! The connection to an API server.

use std::path::Path;

use anyhow::Context;
use kube::config::{Config, KubeConfigOptions, Kubeconfig};

use crate::api_server::checked;

/// A client for this context of the kubeconfig; without one, for its current context, or for the cluster this runs in.
pub(super) async fn client(context: Option<&str>) -> anyhow::Result<kube::Client> {
    client_of(None, context).await
}

/// The same, from a kubeconfig at another place than the usual ones.
pub(super) async fn client_of(
    kubeconfig: Option<&Path>,
    context: Option<&str>,
) -> anyhow::Result<kube::Client> {
    let options = KubeConfigOptions { context: context.map(str::to_owned), ..KubeConfigOptions::default() };
    let mut config = match (kubeconfig, context) {
        (Some(path), _) => {
            let kubeconfig =
                Kubeconfig::read_from(path).with_context(|| format!("cannot read {}", path.display()))?;
            let config = Config::from_custom_kubeconfig(kubeconfig, &options).await;
            config.with_context(|| format!("cannot use the kubeconfig {}", path.display()))?
        }
        (None, Some(name)) => {
            let config = Config::from_kubeconfig(&options).await;
            config.with_context(|| format!("cannot use the context {name:?} of the kubeconfig"))?
        }
        (None, None) => Config::infer().await.context("found neither a kubeconfig nor a cluster around")?,
    };
    // Callers have a deadline or waits of their own, which hidden retries would exceed.
    config.default_retry = false;
    kube::Client::try_from(config).context("cannot make a client from the kubeconfig")
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
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.context("cannot start the runtime")?.block_on(async {
        let client = client_of(kubeconfig, context).await?;
        read(client).await
    })
}

/// An object of a namespace, as the command line names it: `NAMESPACE/NAME`, or `NAME` in the namespace of the client.
#[derive(Clone, Debug)]
pub(super) struct Named {
    namespace: Option<String>,
    name: String,
}

impl Named {
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

impl std::str::FromStr for Named {
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
