//! The Secret, read and written.
//!
//! Not through `kube::Api`: where an answer is not what it expects, its client logs the whole of it, keys and all.

use std::time::Duration;

use k8s_openapi::{api::core::v1::Secret, apimachinery::pkg::apis::meta::v1::ObjectMeta};
use kube::{
    Client, Resource,
    api::{GetParams, PostParams},
    core::{Request, request},
};

use crate::api_server::{ApiError, answered};
use crate::certs::managed::SecretContent;

/// Which part of the manifests it belongs to.
const LABELS: [(&str, &str); 2] =
    [("app.kubernetes.io/name", "stateward"), ("app.kubernetes.io/managed-by", "stateward")];
/// How cert-manager's annotations begin.
const CERT_MANAGER: &str = "cert-manager.io/";

/// The namespace and name of the Secret.
pub(super) struct Store {
    pub(super) client: Client,
    pub(super) namespace: String,
    pub(super) name: String,
    /// How long an answer may take.
    pub(super) patience: Duration,
}

/// Why the Secret could not be kept.
#[derive(Debug, thiserror::Error)]
pub(super) enum StoreError {
    #[error("the Secret cannot be read: {0}")]
    Read(#[source] ApiError),
    #[error("the Secret cannot be written: {0}")]
    Write(#[source] ApiError),
    #[error(
        "the Secret is kept by cert-manager: mount it and give --cert-file and --key-file, or name another with --cert-secret"
    )]
    CertManager,
}

impl Store {
    pub(super) async fn read(&self) -> Result<Option<Secret>, StoreError> {
        let read = fetch(&self.client, (&self.namespace, &self.name), self.patience).await;
        let secret = read.map_err(StoreError::Read)?;
        if secret.as_ref().is_some_and(is_cert_managers) {
            return Err(StoreError::CertManager);
        }
        Ok(secret)
    }

    /// Puts the content where `before` was, or where nothing was; `None` where that is not so any more.
    pub(super) async fn write(
        &self,
        before: Option<Secret>,
        content: &SecretContent,
    ) -> Result<Option<Secret>, StoreError> {
        let is_new = before.is_none();
        let mut secret = before.unwrap_or_else(|| self.blank());
        content.write(secret.data.get_or_insert_default());
        let failed =
            |error: &dyn std::fmt::Display| StoreError::Write(ApiError::Malformed(error.to_string()));
        let body = serde_json::to_vec(&secret).map_err(|error| failed(&error))?;
        let (requests, params) = (requests(&self.namespace), PostParams::default());
        let request =
            if is_new { requests.create(&params, body) } else { requests.replace(&self.name, &params, body) };
        match ask(&self.client, request, self.patience).await {
            Err(error) if error.is_conflict() || (error.is_absence() && !is_new) => Ok(None),
            written => written.map(Some).map_err(StoreError::Write),
        }
    }

    fn blank(&self) -> Secret {
        let labels = LABELS.map(|(key, value)| (key.to_owned(), value.to_owned()));
        Secret {
            metadata: ObjectMeta {
                namespace: Some(self.namespace.clone()),
                name: Some(self.name.clone()),
                labels: Some(labels.into()),
                ..ObjectMeta::default()
            },
            type_: Some("kubernetes.io/tls".to_owned()),
            ..Secret::default()
        }
    }
}

/// A Secret, if there is one.
pub(crate) async fn fetch(
    client: &Client,
    (namespace, name): (&str, &str),
    patience: Duration,
) -> Result<Option<Secret>, ApiError> {
    match ask(client, requests(namespace).get(name, &GetParams::default()), patience).await {
        Err(error) if error.is_absence() => Ok(None),
        read => read.map(Some),
    }
}

fn requests(namespace: &str) -> Request {
    Request::new(Secret::url_path(&(), Some(namespace)))
}

async fn ask(
    client: &Client,
    request: Result<http::Request<Vec<u8>>, request::Error>,
    patience: Duration,
) -> Result<Secret, ApiError> {
    let request = request.map_err(|error| ApiError::from(kube::Error::BuildRequest(error)))?;
    let text = answered(patience, client.request_text(request)).await?;
    serde_json::from_str(&text).map_err(|_| ApiError::Malformed("it is no Secret".to_owned()))
}

fn is_cert_managers(secret: &Secret) -> bool {
    secret.metadata.annotations.iter().flatten().any(|(key, _)| key.starts_with(CERT_MANAGER))
}
