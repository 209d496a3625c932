//! Who may ask `stateward serve`, and about what.

use std::path::PathBuf;

use anyhow::Context;

use super::namespace;
use crate::events::ReviewOrigin;
use crate::server::Callers;

#[derive(Debug, clap::Args)]
pub(super) struct AccessArgs {
    /// Clients must present a certificate from this CA
    #[arg(long, value_name = "FILE")]
    pub(super) client_ca_file: Option<PathBuf>,
    /// The certificate of a client must have this common name or alternative name (repeatable); name that of the API server, as
    /// the CA may have signed others
    #[arg(long, value_name = "NAME", requires = "client_ca_file")]
    pub(super) client_name: Vec<String>,
    /// Only answer where the path ends in the secret in this file: /validate/SECRET; for an API server without a certificate of
    /// its own
    #[arg(long, value_name = "FILE")]
    pub(super) path_token_file: Option<PathBuf>,
    /// A namespace that is not guarded, as in the webhook configurations; say nothing about it (repeatable)
    #[arg(long, value_name = "NAMESPACE", value_parser = namespace)]
    pub(super) exclude_namespace: Vec<String>,
    /// Answer Metacontroller's hooks under /metacontroller
    #[arg(long)]
    pub(super) metacontroller: bool,
}

impl AccessArgs {
    /// Whether whatever asks has to prove that it is the API server. A CA alone proves little: it signs for others too.
    pub(super) fn reviews(&self) -> ReviewOrigin {
        let is_proven = !self.client_name.is_empty() || self.path_token_file.is_some();
        if is_proven { ReviewOrigin::Proven } else { ReviewOrigin::Unproven }
    }

    fn token(&self) -> anyhow::Result<Option<String>> {
        let Some(path) = &self.path_token_file else { return Ok(None) };
        let shown = path.display();
        let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {shown}"))?;
        let token = text.trim();
        let is_fit = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        anyhow::ensure!(
            (16..=128).contains(&token.len()) && token.bytes().all(is_fit),
            "{shown} must hold 16 to 128 letters, digits, - and _, chosen at random"
        );
        Ok(Some(token.to_owned()))
    }

    pub(super) fn callers(&self) -> anyhow::Result<Callers> {
        Ok(Callers { names: self.client_name.clone(), token: self.token()? })
    }
}
