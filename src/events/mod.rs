//! Kubernetes Events about refused and warned changes, and about what the controller cannot do, for whoever looks at the
//! object later.
//!
//! A review only puts what there is to say into a short queue; one task sends it, at its own pace. Nothing waits for it, and
//! what is too much, or cannot be sent, is counted and lost.

mod message;
mod throttle;

use std::time::Duration;

use kube::Client;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::{counter::Counter, family::Family};
use prometheus_client::registry::Registry;
use serde::de::IgnoredAny;
use tokio::sync::mpsc::{self, Receiver, Sender};
use tokio::time::{Instant, timeout};

use crate::admission::Request;
use crate::api_server::checked;
use crate::model::ObjectRef;
use crate::verdict::Verdict;
use message::{Happened, happened};
use throttle::{EventLimits, Throttle, ThrottleDecision};

/// What waits to be sent, at most.
const QUEUE: usize = 256;
/// How long the API server may take for one.
const PATIENCE: Duration = Duration::from_secs(5);

/// Takes what is to be told. Clones are one.
#[derive(Clone, Debug)]
pub struct Events {
    queue: Sender<Happened>,
    outcomes: Outcomes,
}

/// Sends it.
pub struct EventSender {
    client: Client,
    instance: String,
    queue: Receiver<Happened>,
    outcomes: Outcomes,
    throttle: Throttle,
    failing: bool,
}

#[derive(Clone, Debug, Default)]
struct Outcomes(Family<OutcomeLabels, Counter>);

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OutcomeLabels {
    outcome: &'static str,
}

impl Outcomes {
    fn count(&self, outcome: &'static str) {
        self.0.get_or_create(&OutcomeLabels { outcome }).inc();
    }
}

impl Events {
    /// A queue and the one who empties it over `client`, calling itself `instance`.
    pub fn new(client: Client, instance: &str, registry: &mut Registry) -> (Self, EventSender) {
        let outcomes = Outcomes::default();
        for outcome in ["created", "repeated", "limited", "dropped", "failed"] {
            drop(outcomes.0.get_or_create(&OutcomeLabels { outcome }));
        }
        let help = "Kubernetes Events about what was refused, warned of or could not be done, by what became of them";
        registry.register("events", help, outcomes.0.clone());
        let (sender, queue) = mpsc::channel(QUEUE);
        let (throttle, instance) =
            (Throttle::new(EventLimits::default()), instance.chars().take(128).collect());
        let teller =
            EventSender { client, instance, queue, outcomes: outcomes.clone(), throttle, failing: false };
        (Self { queue: sender, outcomes }, teller)
    }

    /// Notes what is to be told of a verdict. Never waits.
    pub fn tell(&self, request: &Request, verdict: &Verdict) {
        for news in happened(request, verdict) {
            self.queue(news);
        }
    }

    /// Notes that something could not be done for an object, for a reason in kebab case. Never waits.
    pub fn tell_undone(&self, object: ObjectRef, uid: &str, reason: &'static str, note: &str) {
        self.queue(Happened::undone(object, uid, reason, note));
    }

    fn queue(&self, news: Happened) {
        if self.queue.try_send(news).is_err() {
            self.outcomes.count("dropped");
        }
    }
}

impl EventSender {
    /// Sends what comes until nobody is left to say anything.
    pub async fn run(mut self) {
        let start = Instant::now();
        while let Some(news) = self.queue.recv().await {
            match self.throttle.ask(news.key(), start.elapsed()) {
                ThrottleDecision::Send => self.send(&news).await,
                ThrottleDecision::Repeated => self.outcomes.count("repeated"),
                ThrottleDecision::Limited => self.outcomes.count("limited"),
            }
        }
    }

    async fn send(&mut self, news: &Happened) {
        let sent = timeout(PATIENCE, create(&self.client, news, &self.instance)).await;
        match sent.unwrap_or_else(|_| Err(format!("no answer within {PATIENCE:?}"))) {
            Ok(()) => {
                self.failing = false;
                self.outcomes.count("created");
            }
            Err(reason) => {
                self.outcomes.count("failed");
                if self.failing {
                    tracing::debug!("an event could not be created: {reason}");
                } else {
                    self.failing = true;
                    tracing::warn!("an event could not be created (further ones: debug): {reason}");
                }
            }
        }
    }
}

async fn create(client: &Client, news: &Happened, instance: &str) -> Result<(), String> {
    let namespace = checked(news.namespace()).map_err(|error| error.to_string())?;
    let body = news.to_json(instance, jiff::Timestamp::now()).to_string();
    let request = http::Request::post(format!("/apis/events.k8s.io/v1/namespaces/{namespace}/events"))
        .header("content-type", "application/json")
        .header("accept", "application/json")
        .header("accept-encoding", "identity")
        .body(body.into_bytes())
        .map_err(|error| error.to_string())?;
    client.request::<IgnoredAny>(request).await.map(drop).map_err(|error| match error {
        kube::Error::Api(status) => format!("{}: {}", status.code, status.message),
        other => other.to_string(),
    })
}
