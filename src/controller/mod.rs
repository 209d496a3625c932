//! One Service for each pod of a StatefulSet that asks for them.
//!
//! ```text
//! watch of StatefulSets ─▶ store ──────────▶ Set ─────────┐
//! snapshot: Namespaces, Policies ─▶ settings ─ Template::of ─▶ Template ─┐
//! watch of Services with our label ─▶ Owned ─▶ Seen ─────────────────────┴ plan ─▶ Steps ─ reconcile ─▶ API server
//!                                               Metacontroller's request ─ Hook::answer ─▶ Template, as attachments
//! ```
//!
//! The wishes of a set, the owner of a Service and the plan are pure ([`crate::per_pod`]); Metacontroller
//! is answered with the same template. The controller only carries out steps, several of a set at a time, and none of them can do
//! harm when it is done twice, late, or by a replica that does not lead any more: a Service is made by an apply that conflicts with
//! any other's, changed only by its uid, and deleted only as it was seen.
//!
//! Settings that a policy gave stay in force when no policy gives any, or the policies are not known: the settings are written on each
//! Service. Without that a deleted policy, or a start before the policies are read, would make load balancers of all of them.
//!
//! On a scale-down a Service stays until its pod has gone: clients that are connected through it keep their connection while the pod
//! drains. Pods are not watched. They are listed, by the selector of one set and not too often, where a Service waits for its pod to
//! go, and where pods may be without the label that their Services select by.

mod api;
mod conditions;
mod memory;
mod metrics;
mod news;
mod pods;
mod reconcile;
mod round;
mod watched;

use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};
use kube::runtime::controller::{self, Action, ReconcileRequest, trigger_self};
use kube::runtime::reflector::{self, ObjectRef, Store};
use kube::runtime::{WatchStreamExt, applier, watcher};
use kube::{Api, Client};
use prometheus_client::registry::Registry;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};
use tracing::{Instrument, trace_span};

use self::api::ControllerApi;
use self::memory::RoundMemories;
use self::metrics::ControllerMetrics;
use self::news::{logged, news};
use self::pods::PodLists;
use self::reconcile::ReconcileContext;
use self::round::Next;
use self::watched::{WatchedService, WatchedSet};
use crate::api_server::RateLimiter;
use crate::cluster::{Cluster, Kind};
use crate::events::Events;
use crate::lease::Leadership;
use crate::per_pod::owned::{Owned, SetKey};
use crate::per_pod::service::OWNER_LABEL;
use crate::policy::Policies;
use crate::process::RepeatedErrors;
use crate::process::traces::{RECONCILE, SPANS};

/// Rates, limits and waits of the controller.
#[derive(Clone, Copy, Debug)]
pub struct ControllerConfig {
    /// Writes a second, over all sets. Default 20.
    pub writes_per_second: u32,
    /// Single Services read a second, over all sets. Default 50.
    pub reads_per_second: u32,
    /// Writes, or reads, at once after a quiet time. Default 50.
    pub burst: u32,
    /// Writes for one set before others have their turn. Default 50.
    pub writes_a_round: usize,
    /// Sets dealt with at the same time. Default 8.
    pub sets_at_once: u16,
    /// Services of one set written at the same time. Default 8.
    pub writes_at_once: usize,
    /// How long an answer may take. Default 15 s.
    pub patience: Duration,
    /// When to look again for what stands in the way, and the first wait after a failure. Default 15 s.
    pub retry: Duration,
    /// How soon a condition that was dropped is put back: the first wait and, doubled each time, the longest. Default 1 s and 1
    /// minute.
    pub reassert: (Duration, Duration),
    /// How old a list of a set's pods may be where a Service waits until its pod has gone. Default 3 s.
    pub pods_fresh: Duration,
    /// How old it may be where pods may be without their label, and their number has not changed. Default 1 minute.
    pub pods_lasting: Duration,
    /// How often each set is looked at though nothing has happened to it. Default 1 minute.
    pub resync: Duration,
}

impl Default for ControllerConfig {
    fn default() -> Self {
        Self {
            writes_per_second: 20,
            reads_per_second: 50,
            burst: 50,
            writes_a_round: 50,
            sets_at_once: 8,
            writes_at_once: 8,
            patience: Duration::from_secs(15),
            retry: Duration::from_secs(15),
            reassert: (Duration::from_secs(1), Duration::from_secs(60)),
            pods_fresh: Duration::from_secs(3),
            pods_lasting: Duration::from_secs(60),
            resync: Duration::from_secs(60),
        }
    }
}

/// Makes, changes and deletes per-pod Services, as long as its replica leads.
pub struct Controller {
    client: Client,
    cluster: Arc<ArcSwap<Cluster>>,
    policies: Arc<ArcSwap<Policies>>,
    events: Option<Events>,
    metrics: ControllerMetrics,
    leadership: Leadership,
    config: ControllerConfig,
}

/// How long to wait for the policies, and for the labels of namespaces, which policies may select by.
const SETTINGS_TIMEOUT: Duration = Duration::from_secs(30);

/// How often to look whether the policies have changed.
const POLL_INTERVAL: Duration = Duration::from_secs(1);

/// A request for a round, or the error of a watch, which may hide some.
type RoundRequest = Result<ReconcileRequest<WatchedSet>, watcher::Error>;

impl Controller {
    /// Creates a controller, which does nothing until it is [`run`](Self::run). It reads only namespaces from the snapshot.
    pub fn new(
        client: Client,
        (cluster, policies): (Arc<ArcSwap<Cluster>>, Arc<ArcSwap<Policies>>),
        events: Option<Events>,
        registry: &mut Registry,
        leadership: Leadership,
        config: ControllerConfig,
    ) -> Self {
        let metrics = ControllerMetrics::register(registry);
        Self { client, cluster, policies, events, metrics, leadership, config }
    }

    /// Works whenever this replica leads. To return is an error: the watches have ended.
    pub async fn run(self) {
        self.leadership.lead(|| self.term()).await;
    }

    async fn term(&self) {
        tracing::info!("per-pod Service controller started");
        let _ = timeout(SETTINGS_TIMEOUT, self.settings_known()).await;
        let owned = Arc::new(Mutex::new(Owned::default()));
        let (synced, is_synced) = watch::channel(false);
        let (sets, writer) = reflector::store::<WatchedSet>();
        let news = news(Api::<WatchedSet>::all(self.client.clone()), watcher::Config::default());
        let news = reflector::reflector(writer, news).touched_objects();
        let queue = stream::select_all([
            trigger_self(news, ()).boxed(),
            self.service_news(Arc::clone(&owned), synced),
            self.everything(sets.clone()),
        ]);
        let context = Arc::new(self.context(owned, is_synced));
        let config = controller::Config::default().concurrency(self.config.sets_at_once);
        let rounds = applier(
            |set: Arc<WatchedSet>, context: Arc<ReconcileContext>| Box::pin(one_round(set, context)),
            |_, never: &Infallible, _| match *never {},
            context,
            sets,
            logged(queue).map(Ok::<_, Infallible>).boxed(),
            config,
        );
        // A set that is gone is no news.
        rounds.for_each(async |_| {}).await;
    }

    async fn settings_known(&self) {
        while !self.cluster.load().is_complete(Kind::Namespace) || self.policies.load().are_partial() {
            sleep(Duration::from_millis(100)).await;
        }
    }

    fn context(&self, owned: Arc<Mutex<Owned>>, synced: watch::Receiver<bool>) -> ReconcileContext {
        let config = self.config;
        ReconcileContext {
            server: ControllerApi {
                client: self.client.clone(),
                leadership: self.leadership.clone(),
                rate_limiter: RateLimiter::new(config.writes_per_second, config.burst),
                reads: RateLimiter::new(config.reads_per_second, config.burst),
                patience: config.patience,
            },
            owned,
            synced,
            cluster: Arc::clone(&self.cluster),
            policies: Arc::clone(&self.policies),
            events: self.events.clone(),
            metrics: self.metrics.clone(),
            config,
            memories: RoundMemories::default(),
            pods: PodLists::default(),
            logged: RepeatedErrors::default(),
        }
    }

    /// Keeps `owned` like the cluster; queues a round over each set whose Services change.
    fn service_news(
        &self,
        owned: Arc<Mutex<Owned>>,
        synced: watch::Sender<bool>,
    ) -> BoxStream<'static, RoundRequest> {
        let config = watcher::Config::default().labels(OWNER_LABEL);
        let news = news(Api::<WatchedService>::all(self.client.clone()), config);
        let metrics = self.metrics.clone();
        let keys = news.map_ok(move |event| {
            let mut owned = owned.lock().unwrap_or_else(PoisonError::into_inner);
            let keys = note(&mut owned, event, &synced);
            metrics.known(owned.count());
            stream::iter(keys.into_iter().map(|key| Ok(request(WatchedSet::reference(&key)))))
        });
        keys.try_flatten().boxed()
    }

    /// Requests a round over every set when the policies have changed, and at intervals: the labels of a namespace may have changed,
    /// or something that is not watched.
    fn everything(&self, sets: Store<WatchedSet>) -> BoxStream<'static, RoundRequest> {
        let (policies, resync) = (Arc::clone(&self.policies), self.config.resync);
        let start = (policies.load_full(), Instant::now());
        let ticks = stream::unfold(start, move |(before, mut since)| {
            let policies = Arc::clone(&policies);
            async move {
                loop {
                    sleep(POLL_INTERVAL.min(resync)).await;
                    let now = policies.load_full();
                    if !Arc::ptr_eq(&before, &now) || since.elapsed() >= resync {
                        since = Instant::now();
                        return Some(((), (now, since)));
                    }
                }
            }
        });
        let all = move |()| stream::iter(sets.state()).map(|set| Ok(request(ObjectRef::from_obj(&*set))));
        ticks.flat_map(all).boxed()
    }
}

fn request(set: ObjectRef<WatchedSet>) -> ReconcileRequest<WatchedSet> {
    set.into()
}

async fn one_round(set: Arc<WatchedSet>, context: Arc<ReconcileContext>) -> Result<Action, Infallible> {
    let metadata = &set.set.metadata;
    let span = trace_span!(target: SPANS, RECONCILE, namespace = &*metadata.namespace, set = &*metadata.name);
    Ok(match context.round(&set.set).instrument(span).await {
        Next::News => Action::await_change(),
        Next::After(wait) => Action::requeue(wait),
    })
}

/// Takes a watch event of a Service; returns the sets that it affects.
fn note(
    owned: &mut Owned,
    event: watcher::Event<WatchedService>,
    synced: &watch::Sender<bool>,
) -> Vec<SetKey> {
    match event {
        watcher::Event::Apply(watched) => owned.apply(watched.service),
        watcher::Event::Delete(watched) => owned.delete(&watched.service),
        watcher::Event::Init => {
            owned.listing();
            Vec::new()
        }
        watcher::Event::InitApply(watched) => {
            owned.listed(watched.service);
            Vec::new()
        }
        watcher::Event::InitDone => {
            let keys = owned.complete();
            synced.send_replace(true);
            keys
        }
    }
}
