//! A live cluster, listed once.

use std::io::{self, IsTerminal, Write};
use std::path::Path;

use anyhow::Context;

use super::kubernetes;
use crate::cluster::Kind;
use crate::cluster::Listing;
use crate::watch::{WatchConfig, list};

/// Objects in one page, as kubectl has it: nothing else is in memory meanwhile.
const PAGE: u32 = 500;

/// Lists what is to be judged, in one namespace or in all, showing progress to a person who waits for it.
pub(super) fn read(
    kubeconfig: Option<&Path>,
    context: Option<&str>,
    namespace: Option<&str>,
) -> anyhow::Result<Listing> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let listing = runtime.context("cannot start the runtime")?.block_on(async {
        let client = kubernetes::client_of(kubeconfig, context).await?;
        let config = WatchConfig { page: PAGE, ..WatchConfig::default() };
        let listed = list(client, namespace, config, progress(io::stderr().is_terminal())).await;
        listed.context("cannot list the StatefulSets")
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
