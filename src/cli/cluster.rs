//! A live cluster, listed once.

use std::io::{self, IsTerminal, Write};
use std::path::Path;

use anyhow::Context;

use super::kubernetes;
use crate::cluster::{Cluster, Kind, Listing};
use crate::watch::{WatchConfig, list, list_raw_sets};

/// Objects in one page, as kubectl has it: nothing else is in memory meanwhile.
const PAGE: u32 = 500;

/// Lists what is to be judged, in one namespace or in all, showing progress to a person who waits for it. `reads_raw_sets` says
/// whether checks read StatefulSets with all of their fields.
pub(super) fn read(
    kubeconfig: Option<&Path>,
    context: Option<&str>,
    namespace: Option<&str>,
    reads_raw_sets: impl Fn(&Cluster) -> bool,
) -> anyhow::Result<Listing> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let listing = runtime.context("cannot start the runtime")?.block_on(async {
        let client = kubernetes::client_of(kubeconfig, context).await?;
        let config = WatchConfig { page: PAGE, ..WatchConfig::default() };
        let listed = list(client.clone(), namespace, config, progress(io::stderr().is_terminal())).await;
        let mut listing = listed.context("cannot list the StatefulSets")?;
        if reads_raw_sets(&listing.cluster) {
            let raw = list_raw_sets(client, namespace, config).await;
            raw.context("cannot list the StatefulSets")?.into_iter().for_each(|set| listing.add_raw_set(set));
        }
        Ok(listing)
    });
    if io::stderr().is_terminal() {
        write!(io::stderr(), "\r\x1b[K")?;
    }
    listing
}

fn progress(watched: bool) -> impl FnMut(Kind, usize) {
    move |kind, number| {
        if watched {
            // Progress that cannot be written is not needed.
            let _ = write!(io::stderr(), "\r\x1b[K{}: {number} listed", kind.name());
        }
    }
}
