//! The source of the objects for `show` and `policy explain`: a cluster, or manifests.

use std::path::PathBuf;

use anyhow::ensure;

use super::kubernetes::ObjectArgument;
use super::{audit, cluster, kubernetes, namespace};
use crate::cluster::inventory::Inventory;
use crate::cluster::{Cluster, Listing};

#[derive(Debug, clap::Args)]
pub(super) struct StateArgs {
    /// Read manifests instead of a cluster: files and folders (repeatable)
    #[arg(long, value_name = "PATH")]
    objects: Vec<PathBuf>,
    /// The namespace of the StatefulSet
    #[arg(long, short, value_name = "NS", value_parser = namespace)]
    namespace: Option<String>,
    /// The kubeconfig to use
    #[arg(long, value_name = "FILE", conflicts_with = "objects")]
    kubeconfig: Option<PathBuf>,
    /// The context of the kubeconfig to use
    #[arg(long, value_name = "NAME", conflicts_with = "objects")]
    context: Option<String>,
}

impl StateArgs {
    /// Whether manifests are read, and not a cluster.
    pub(super) fn are_files(&self) -> bool {
        !self.objects.is_empty()
    }

    /// The namespace and the name of a StatefulSet that the command line names.
    pub(super) fn place_of(&self, set: &ObjectArgument) -> anyhow::Result<(String, String)> {
        if let (Some(own), Some(other)) = (set.namespace(), &self.namespace) {
            ensure!(
                own == other,
                "the StatefulSet is named in namespace {own}, and --namespace says {other}"
            );
        }
        Ok(match &self.namespace {
            Some(namespace) => set.or_in(namespace),
            None if self.are_files() => set.or_in("default"),
            None => self.on_cluster(async |client| Ok(set.for_client(&client)))?,
        })
    }

    /// The manifests, with `namespace` for what is written without one. A file that cannot be read is an error.
    pub(super) fn inventory(&self, namespace: &str) -> anyhow::Result<Inventory> {
        audit::read_all_objects(&self.objects, Some(namespace))
    }

    /// The objects in a namespace of the cluster, or in all.
    pub(super) fn listing(
        &self,
        namespace: Option<&str>,
        reads_raw_sets: impl Fn(&Cluster) -> bool,
    ) -> anyhow::Result<Listing> {
        cluster::read(self.kubeconfig.as_deref(), self.context.as_deref(), namespace, reads_raw_sets)
    }

    /// Runs a few requests.
    pub(super) fn on_cluster<T>(
        &self,
        read: impl AsyncFnOnce(kube::Client) -> anyhow::Result<T>,
    ) -> anyhow::Result<T> {
        kubernetes::on_cluster(self.kubeconfig.as_deref(), self.context.as_deref(), read)
    }
}
