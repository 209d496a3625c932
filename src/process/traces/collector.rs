//! Requests to the collector.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::{Request, Response, Uri};
use http_body_util::{BodyExt, Limited};
use kube::client::Body;
use opentelemetry_http::{HttpClient, HttpError};
use tokio::runtime::Handle;
use tokio::time::timeout;

use crate::process::{RepeatedErrors, warn_if_new};

/// How long the collector may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// The longest answer; an answer to spans is a few bytes.
const LONGEST_ANSWER: usize = 64 << 10;

/// Sends requests to a collector. The exporter's thread has no runtime, so they are sent from that of the process.
pub(super) struct Collector {
    client: kube::Client,
    runtime: Handle,
    logged: RepeatedErrors,
}

impl Collector {
    pub(super) fn new(url: Uri) -> kube::Result<Self> {
        // Without roots of its own the client loads those of the system, and an image without any could not even use http.
        let has_tls = url.scheme_str() == Some("https");
        let mut config = kube::Config::new(url);
        config.root_cert = (!has_tls).then(Vec::new);
        config.default_retry = false;
        let client = kube::Client::try_from(config)?;
        Ok(Self { client, runtime: Handle::current(), logged: RepeatedErrors::default() })
    }

    fn note(&self, failure: Option<String>) {
        match failure {
            Some(failure) => {
                warn_if_new!(
                    self.logged,
                    &failure,
                    {},
                    "cannot reach the collector; spans are dropped: {failure}"
                );
            }
            None => self.logged.over(),
        }
    }
}

impl fmt::Debug for Collector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Collector").finish_non_exhaustive()
    }
}

#[async_trait]
impl HttpClient for Collector {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let sending = send(self.client.clone(), request);
        // A time-out can only be made in the runtime.
        let sending = self.runtime.spawn(async { timeout(PATIENCE, sending).await });
        let sent = sending.await.map_err(HttpError::from);
        let sent = sent.and_then(|sent| sent.unwrap_or_else(|_| Err("no answer within 10 s".into())));
        self.note(match &sent {
            Ok(answer) if answer.status().is_success() => None,
            Ok(answer) => Some(format!("it answered with {}", answer.status())),
            Err(error) => Some(error.to_string()),
        });
        sent
    }
}

async fn send(client: kube::Client, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
    let (head, body) = client.send(request.map(Body::from)).await?.into_parts();
    let body = Limited::new(body, LONGEST_ANSWER).collect().await?;
    Ok(Response::from_parts(head, body.to_bytes()))
}
