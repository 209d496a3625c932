//! A live cluster, listed once.

use std::io::{self, IsTerminal, Write};
use std::path::Path;

use anyhow::Context;

use super::kubernetes::{self, Connection, block_on};
use super::streams::stderr;
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
    let listing = block_on(async {
        let Connection { client, server } = kubernetes::connect(kubeconfig, context).await?;
        let config = WatchConfig { page: PAGE, ..WatchConfig::default() };
        let listed = list(client.clone(), namespace, config, progress(io::stderr().is_terminal())).await;
        let mut listing = listed.with_context(|| cannot_list(&server))?;
        if reads_raw_sets(&listing.cluster) {
            let raw = list_raw_sets(client, namespace, config).await;
            raw.with_context(|| cannot_list(&server))?.into_iter().for_each(|set| listing.add_raw_set(set));
        }
        Ok(listing)
    });
    if io::stderr().is_terminal() {
        write!(stderr(), "\r\x1b[K")?;
    }
    listing
}

fn cannot_list(server: &str) -> String {
    format!("cannot list the StatefulSets at {server}")
}

fn progress(watched: bool) -> impl FnMut(Kind, usize) {
    move |kind, number| {
        if watched {
            // Progress that cannot be written is not needed.
            let _ = write!(io::stderr(), "\r\x1b[K{}: {number} listed", kind.name());
        }
    }
}
