//! The connection to an API server.

use anyhow::Context;
use kube::config::{Config, KubeConfigOptions};

/// A client for this context of the kubeconfig; without one, for its current context, or for the cluster this runs in.
pub(super) async fn client(context: Option<&str>) -> anyhow::Result<kube::Client> {
    let mut config = match context {
        Some(name) => {
            let options =
                KubeConfigOptions { context: Some(name.to_owned()), ..KubeConfigOptions::default() };
            let config = Config::from_kubeconfig(&options).await;
            config.with_context(|| format!("cannot use the context {name:?} of the kubeconfig"))?
        }
        None => Config::infer().await.context("found neither a kubeconfig nor a cluster around")?,
    };
    // Whoever asks here has a deadline or waits on its own terms: a retry behind its back would exceed both.
    config.default_retry = false;
    kube::Client::try_from(config).context("cannot make a client from the kubeconfig")
}
