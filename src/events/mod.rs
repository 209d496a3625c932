//! Kubernetes Events about refused and warned changes, and about what the controller cannot do, for people who look at the
//! object later.
//!
//! A review only puts what there is to say into a short queue; one task sends it, at its own pace. Nothing waits for it, and
//! what is too much, or cannot be sent, is counted and lost.

mod message;
mod throttle;

use std::hash::RandomState;
use std::time::Duration;

use kube::Client;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::{counter::Counter, family::Family};
use prometheus_client::registry::Registry;
use serde::Deserialize;
use serde::de::IgnoredAny;
use tokio::sync::mpsc::{self, Receiver, Sender};
use tokio::time::{Instant, timeout};

use crate::admission::Request;
use crate::api_server::{checked, path_of};
use crate::model::{Kind, ObjectRef};
use crate::process::{RepeatedErrors, warn_if_new};
use crate::verdict::{Finding, Verdict};
use message::{EventToSend, Evidence, events_of};
use throttle::{EventLimits, Throttle, ThrottleDecision};

/// The largest number of Events that wait to be sent.
const QUEUE: usize = 256;
/// How long the API server may take for one.
const PATIENCE: Duration = Duration::from_secs(5);

/// The queue of Events. Clones share it.
#[derive(Clone, Debug)]
pub struct Events {
    queue: Sender<EventToSend>,
    outcomes: Outcomes,
}

/// Sends it.
pub struct EventSender {
    client: Client,
    instance: String,
    queue: Receiver<EventToSend>,
    outcomes: Outcomes,
    throttle: Throttle,
    /// For the keys of the throttle.
    hasher: RandomState,
    /// Whether reviews are known to come from the API server.
    reviews: ReviewOrigin,
    logged: RepeatedErrors,
}

/// How far reviews are to be believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReviewOrigin {
    /// Only the API server can ask.
    Proven,
    /// Anything in the cluster can ask: an Event is only written about an object that is there, with that uid.
    Unproven,
}

#[derive(Clone, Debug, Default)]
struct Outcomes(Family<EventOutcomeLabels, Counter>);

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct EventOutcomeLabels {
    outcome: &'static str,
}

impl Outcomes {
    fn count(&self, outcome: &'static str) {
        self.0.get_or_create(&EventOutcomeLabels { outcome }).inc();
    }
}

impl Events {
    /// A queue and the one who empties it over `client`, calling itself `instance`.
    pub fn new(
        client: Client,
        instance: &str,
        reviews: ReviewOrigin,
        registry: &mut Registry,
    ) -> (Self, EventSender) {
        let outcomes = Outcomes::default();
        for outcome in ["created", "repeated", "limited", "dropped", "failed", "unconfirmed"] {
            drop(outcomes.0.get_or_create(&EventOutcomeLabels { outcome }));
        }
        let help = "Kubernetes Events about what was refused, warned of or could not be done, by outcome";
        registry.register("events", help, outcomes.0.clone());
        let (sender, queue) = mpsc::channel(QUEUE);
        let (throttle, instance) =
            (Throttle::new(EventLimits::default()), instance.chars().take(128).collect());
        let event_sender = EventSender {
            client,
            instance,
            queue,
            outcomes: outcomes.clone(),
            throttle,
            hasher: RandomState::new(),
            reviews,
            logged: RepeatedErrors::default(),
        };
        (Self { queue: sender, outcomes }, event_sender)
    }

    /// Queues the Events of a verdict: of what it denies, else of what it warns of. Never waits.
    pub fn queue_verdict(&self, request: &Request, verdict: &Verdict) {
        for event in events_of(request, verdict) {
            self.queue(event);
        }
    }

    /// Queues that something could not be done for an object, for a reason in kebab case. Never waits.
    pub fn queue_undone(&self, object: ObjectRef, uid: &str, reason: &'static str, note: &str) {
        self.queue(EventToSend::undone(object, uid, None, reason, note));
    }

    /// Queues that an object blocks what is to be done for `affected`. Never waits.
    pub fn queue_blocked(
        &self,
        object: ObjectRef,
        uid: &str,
        affected: ObjectRef,
        reason: &'static str,
        note: &str,
    ) {
        self.queue(EventToSend::undone(object, uid, Some(affected), reason, note));
    }

    /// Queues what a StatefulSet still lacks a minute after `what`. Never waits.
    pub fn queue_still_missing(&self, finding: &Finding, what: &str) {
        self.queue(EventToSend::still_missing(finding, what));
    }

    fn queue(&self, event: EventToSend) {
        if self.queue.try_send(event).is_err() {
            self.outcomes.count("dropped");
        }
    }
}

impl EventSender {
    /// Sends Events until every sender is dropped.
    pub async fn run(mut self) {
        let start = Instant::now();
        while let Some(event) = self.queue.recv().await {
            let (key, namespace) = event.keys(&self.hasher);
            match self.throttle.ask(key, namespace, start.elapsed()) {
                ThrottleDecision::Send => match self.confirmed(event).await {
                    Some(event) => self.send(&event).await,
                    None => self.outcomes.count("unconfirmed"),
                },
                ThrottleDecision::Repeated => self.outcomes.count("repeated"),
                ThrottleDecision::Limited => self.outcomes.count("limited"),
            }
        }
    }

    /// The Event with the present uid of the object, where that is not known; `None` where there is no such object, or another one.
    async fn confirmed(&self, event: EventToSend) -> Option<EventToSend> {
        match event.known_by() {
            Evidence::Seen => return Some(event),
            Evidence::Review if self.reviews == ReviewOrigin::Proven => return Some(event),
            Evidence::Review | Evidence::Snapshot => {}
        }
        let uid = timeout(PATIENCE, uid_of(&self.client, event.object())).await.ok()??;
        match event.known_by() {
            Evidence::Snapshot => Some(event.with_uid(uid)),
            _ => Some(event).filter(|event| event.has_uid(&uid)),
        }
    }

    async fn send(&self, event: &EventToSend) {
        let sent = timeout(PATIENCE, create(&self.client, event, &self.instance)).await;
        match sent.unwrap_or_else(|_| Err(format!("no answer within {PATIENCE:?}"))) {
            Ok(()) => {
                self.logged.over();
                self.outcomes.count("created");
            }
            Err(reason) => {
                self.outcomes.count("failed");
                warn_if_new!(self.logged, &reason, {}, "cannot create an Event: {reason}");
            }
        }
    }
}

/// The uid of an object, as the API server says now.
async fn uid_of(client: &Client, object: &ObjectRef) -> Option<String> {
    #[derive(Deserialize)]
    struct WithUid {
        metadata: UidOnly,
    }
    #[derive(Deserialize)]
    struct UidOnly {
        uid: String,
    }
    let path = path_of(Kind::named(object.kind)?, Some(&object.namespace)).ok()?;
    let path = format!("{path}/{}", checked(&object.name).ok()?);
    let request = http::Request::get(path).header("accept", "application/json").body(Vec::new()).ok()?;
    client.request::<WithUid>(request).await.ok().map(|object| object.metadata.uid)
}

async fn create(client: &Client, event: &EventToSend, instance: &str) -> Result<(), String> {
    let namespace = checked(event.namespace()).map_err(|error| error.to_string())?;
    let body = event.to_json(instance, jiff::Timestamp::now()).to_string();
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
