//! The boundary between the shell and the guard.

use std::{borrow::Cow, fmt, future::Future, pin::Pin};

use axum::http::StatusCode;
use prometheus_client::encoding::{EncodeLabelValue, LabelValueEncoder};
use tokio::time::Instant;

pub use crate::admission::{Operation, Resource};
use crate::metacontroller::Hook;

/// The guard, as the server calls it.
pub trait Guard: Send + Sync + 'static {
    /// Takes the bytes of one `AdmissionReview` and gives those of its answer, or a future of it that is done by `deadline`:
    /// then the API server gives up.
    ///
    /// Synchronous and short, as is each poll of the future: they run on the thread that serves the connection. They may
    /// panic: that review is answered with HTTP 500 and nothing else is disturbed.
    fn validate(&self, body: &[u8], deadline: Instant) -> Result<GuardAnswer, HttpError>;

    /// Takes the bytes of one `AdmissionReview` and gives those of its answer, with a patch where something is filled in. As
    /// synchronous and short, and free to panic.
    fn mutate(&self, body: &[u8]) -> Result<Reply, HttpError>;

    /// Takes the bytes of a request to one of Metacontroller's hooks and gives those of its answer. As synchronous and short,
    /// and free to panic.
    fn hook(&self, hook: Hook, body: &[u8]) -> Result<Vec<u8>, HttpError>;
}

/// An answer, at once or when something else has answered.
#[expect(clippy::large_enum_variant, reason = "nearly every review is answered at once, without a box")]
pub enum GuardAnswer {
    /// At once, which is what nearly every review gets.
    Now(Reply),
    /// Others have to be asked first.
    Later(Pin<Box<dyn Future<Output = Reply> + Send>>),
}

impl fmt::Debug for GuardAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Now(reply) => f.debug_tuple("Now").field(reply).finish(),
            Self::Later(_) => f.write_str("Later"),
        }
    }
}

/// An answer, and what metrics and logs say of it.
#[derive(Clone, Debug)]
pub struct Reply {
    /// The `AdmissionReview` with its response, as JSON.
    pub body: Vec<u8>,
    /// Facts that the server counts and logs.
    pub facts: ReviewFacts,
}

/// The subject and the outcome of one review. No field names an object, except [`ReviewFacts::refused`].
#[derive(Clone, Debug)]
pub struct ReviewFacts {
    /// The operation.
    pub operation: Operation,
    /// The resource.
    pub resource: Resource,
    /// How it ended.
    pub decision: Decision,
    /// Everything that was found, whatever its level, exempt or not.
    pub findings: Vec<CountedFinding>,
    /// For a denied review, the fields of its log line.
    pub refused: Option<DenialLog>,
}

/// One finding, as it is counted.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CountedFinding {
    /// The rule's id. Borrowed for a shipped rule; a policy's own check has a name made at run time.
    pub rule: Cow<'static, str>,
    /// `deny`, `warn` or `audit`; `exempt` where an exemption covers it.
    pub level: &'static str,
}

/// The fields of the log line of a denied review.
#[derive(Clone, Debug, Default)]
pub struct DenialLog {
    /// `request.uid`
    pub uid: String,
    /// `request.userInfo.username`
    pub user: String,
    /// The kind of the object.
    pub kind: String,
    /// The object's namespace; empty where it has none.
    pub namespace: String,
    /// The object's name.
    pub name: String,
    /// Whether nothing would have been kept anyway.
    pub dry_run: bool,
    /// The rules that denied it.
    pub rules: Vec<Cow<'static, str>>,
    /// The message that the user got.
    pub message: String,
}

/// A body that is no review.
#[derive(Clone, Debug)]
pub struct HttpError {
    /// A 4xx status, or 503 where asking again may help.
    pub status: StatusCode,
    /// One sentence a person can act on.
    pub message: String,
}

impl HttpError {
    /// A refusal with this status and sentence.
    pub fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self { status, message: message.into() }
    }
}

/// An enum that is a metric label: its values are few and known.
macro_rules! label {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $text:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $name {
            $($(#[$variant_doc])* $variant,)+
        }

        impl $name {
            /// The value as metrics show it.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)+
                }
            }
        }

        impl EncodeLabelValue for $name {
            fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> Result<(), std::fmt::Error> {
                EncodeLabelValue::encode(&self.as_str(), encoder)
            }
        }
    };
}

label! {
    /// Which webhook was called.
    Webhook {
        /// `POST /validate`
        Validate = "validate",
        /// `POST /mutate`
        Mutate = "mutate",
    }
}

label! {
    /// How a review ended.
    Decision {
        /// Without a word.
        Allowed = "allowed",
        /// Allowed, and something was filled in.
        Mutated = "mutated",
        /// Allowed, with warnings.
        Warned = "warned",
        /// Denied.
        Denied = "denied",
    }
}

impl EncodeLabelValue for Operation {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> Result<(), std::fmt::Error> {
        EncodeLabelValue::encode(&self.name(), encoder)
    }
}

impl EncodeLabelValue for Resource {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> Result<(), std::fmt::Error> {
        EncodeLabelValue::encode(&self.name(), encoder)
    }
}
