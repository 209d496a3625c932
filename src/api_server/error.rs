//! Why the API server gave no answer.

use std::time::Duration;

use tokio::time::timeout;

/// The longest text of an API server that is repeated.
pub(crate) const LONGEST_MESSAGE: usize = 500;

/// Why an answer did not come.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ApiError {
    /// The API server says no.
    #[error("{code}: {message}")]
    Status {
        /// The HTTP status, or that of a watch's error event.
        code: u16,
        /// The message.
        message: String,
    },
    /// It cannot be reached, or stopped in the middle.
    #[error("{0}")]
    Transport(String),
    /// It says something that is no answer.
    #[error("not an answer of a Kubernetes API: {0}")]
    Malformed(String),
    /// It says more than is read: the limit in bytes.
    #[error("the answer has more than {0} bytes")]
    TooLarge(usize),
    /// It says nothing.
    #[error("no answer within {0:?}")]
    Silent(Duration),
}

impl ApiError {
    /// Whether it will not serve this kind to us, so that asking again soon is of no use.
    pub(crate) fn is_refusal(&self) -> bool {
        matches!(self, Self::Status { code: 403..=405, .. })
    }

    /// Whether the version to go on from is too old.
    pub(crate) fn is_expired(&self) -> bool {
        matches!(self, Self::Status { code: 410, .. })
    }

    /// Whether asking again may help: the server is busy or was away, or the place to go on from in a list is too old.
    pub(crate) fn may_pass(&self) -> bool {
        match self {
            Self::Status { code, .. } => matches!(code, 410 | 429 | 500..),
            Self::Transport(_) | Self::Silent(_) => true,
            Self::Malformed(_) | Self::TooLarge(_) => false,
        }
    }

    /// Whether there is no such object.
    pub(crate) fn is_absence(&self) -> bool {
        matches!(self, Self::Status { code: 404, .. })
    }

    /// Whether the object is not what it was.
    pub(crate) fn is_conflict(&self) -> bool {
        matches!(self, Self::Status { code: 409, .. })
    }
}

impl From<kube::Error> for ApiError {
    fn from(error: kube::Error) -> Self {
        match error {
            kube::Error::Api(status) => Self::Status {
                code: status.code,
                message: status.message.chars().take(LONGEST_MESSAGE).collect(),
            },
            kube::Error::SerdeError(error) => malformed(&error),
            error => Self::Transport(chain(&error)),
        }
    }
}

/// Waits for an answer, but not for ever.
pub(crate) async fn answered<T>(
    patience: Duration,
    answer: impl Future<Output = Result<T, kube::Error>>,
) -> Result<T, ApiError> {
    match timeout(patience, answer).await {
        Ok(answer) => answer.map_err(ApiError::from),
        Err(_) => Err(ApiError::Silent(patience)),
    }
}

pub(crate) fn malformed(error: &serde_json::Error) -> ApiError {
    ApiError::Malformed(error.to_string())
}

/// An error with what caused it: the outermost alone says little more than that something failed.
pub(crate) fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = text + ": " + &cause_text;
        }
        source = cause.source();
    }
    unlayered(&text)
}

/// Without the names that kube and hyper give their layers, and with what to look at where it is known.
fn unlayered(text: &str) -> String {
    let text = text.strip_prefix("ServiceError: ").unwrap_or(text);
    let Some(cause) = text.strip_prefix("client error (Connect): ") else { return text.to_owned() };
    let is_of_other_ca = ["UnknownIssuer", "BadSignature"].iter().any(|end| cause.ends_with(end));
    let hint =
        if is_of_other_ca { " (is the CA that the kubeconfig names that of this server?)" } else { "" };
    format!("no connection: {cause}{hint}")
}
