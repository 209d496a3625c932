//! A Kubernetes API server: lists in pages, gets, watches with bookmarks, writes, and every way to fail.

mod apply;
mod unsteady;
mod write;

use std::{
    collections::BTreeMap,
    convert::Infallible,
    net::SocketAddr,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard},
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http_body_util::{BodyExt, Full, combinators::BoxBody};
use hyper::{
    Method, Request, Response,
    body::{Body, Frame, Incoming},
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::{
    net::TcpListener,
    sync::{mpsc, watch},
    task::{JoinHandle, JoinSet},
};

type Answer = Response<BoxBody<Bytes, Infallible>>;

pub struct ApiServer {
    pub address: SocketAddr,
    state: Arc<State>,
    task: Mutex<Option<JoinHandle<()>>>,
}

/// What goes wrong with one resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Every request is answered with this status.
    Status(u16),
    /// Every request that is to change something is.
    ReadOnly(u16),
    /// Every patch is, so that nothing can be applied.
    NoPatch(u16),
    /// No request is ever answered.
    Hang,
    /// Every watch is refused with 410, as a status of its own.
    Expired,
    /// Watches are not told of changes.
    Mute,
    /// Answers that are no JSON.
    Garbage,
    /// Every answer takes this long.
    Slow(Duration),
    /// Each request goes wrong in another way, or well: see `unsteady.rs`.
    Unsteady,
}

struct State {
    inner: Mutex<Inner>,
    /// Counts changes, so that watches look again.
    changes: watch::Sender<u64>,
}

#[derive(Default)]
struct Inner {
    version: u64,
    objects: BTreeMap<(String, String, String), Value>,
    log: Vec<Entry>,
    /// Versions before it are forgotten.
    oldest: u64,
    /// Watches of an older epoch end.
    epoch: u64,
    faults: BTreeMap<String, Fault>,
    requests: Vec<String>,
    posted: Vec<(String, Value)>,
    watching: BTreeMap<String, usize>,
    /// Slow requests that are under way, and the most that were at once, by method.
    busy: BTreeMap<String, (usize, usize)>,
    /// How often chance has been asked.
    draws: u64,
}

/// A slow request that is under way.
struct Busy<'a>(&'a State, String);

impl<'a> Busy<'a> {
    fn enter(state: &'a State, method: &Method) -> Self {
        let mut inner = state.lock();
        let (now, most) = inner.busy.entry(method.to_string()).or_default();
        *now += 1;
        *most = (*most).max(*now);
        Self(state, method.to_string())
    }
}

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        self.0.lock().busy.entry(self.1.clone()).or_default().0 -= 1;
    }
}

#[derive(Clone)]
struct Entry {
    version: u64,
    resource: String,
    event: &'static str,
    object: Value,
}

impl Drop for ApiServer {
    fn drop(&mut self) {
        self.stop();
    }
}

impl ApiServer {
    pub async fn start() -> Self {
        let state = State { inner: Mutex::default(), changes: watch::Sender::new(0) };
        state.inner.lock().unwrap().version = 100;
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = Self { address, state: Arc::new(state), task: Mutex::default() };
        server.serve(listener);
        server
    }

    /// Gone, with all its connections.
    pub fn stop(&self) {
        if let Some(task) = self.task.lock().unwrap().take() {
            task.abort();
        }
    }

    /// Back, at the same address.
    pub async fn restart(&self) {
        self.serve(super::within("the address is free again", bound(self.address)).await);
    }

    fn serve(&self, listener: TcpListener) {
        let state = Arc::clone(&self.state);
        *self.task.lock().unwrap() = Some(tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let state = Arc::clone(&state);
                let service = service_fn(move |request| answer(Arc::clone(&state), request));
                connections.spawn(
                    hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), service),
                );
            }
        }));
    }

    pub fn client(&self) -> kube::Client {
        let mut config = kube::Config::new(format!("http://{}", self.address).parse().unwrap());
        config.default_retry = false;
        kube::Client::try_from(config).unwrap()
    }

    /// Creates or replaces an object.
    #[allow(clippy::needless_pass_by_value, reason = "`json!` reads better where it is not borrowed")]
    pub fn put(&self, resource: &str, namespace: &str, name: &str, spec: Value) {
        self.put_object(resource, namespace, name, json!({"metadata": {}, "spec": spec}));
    }

    pub fn put_object(&self, resource: &str, namespace: &str, name: &str, mut object: Value) {
        let mut inner = self.state.lock();
        inner.version += 1;
        object["metadata"]["name"] = json!(name);
        object["metadata"]["resourceVersion"] = json!(inner.version.to_string());
        if object["metadata"]["managedFields"].is_null() {
            object["metadata"]["managedFields"] = json!([{"manager": "x", "fieldsV1": {"f:spec": {}}}]);
        }
        if !namespace.is_empty() {
            object["metadata"]["namespace"] = json!(namespace);
        }
        let key = (resource.to_owned(), namespace.to_owned(), name.to_owned());
        let event = if inner.objects.insert(key, object.clone()).is_some() { "MODIFIED" } else { "ADDED" };
        inner.log(resource, event, object);
        self.state.notify();
    }

    pub fn delete(&self, resource: &str, namespace: &str, name: &str) {
        let mut inner = self.state.lock();
        inner.version += 1;
        let key = (resource.to_owned(), namespace.to_owned(), name.to_owned());
        let mut object = inner.objects.remove(&key).unwrap();
        object["metadata"]["resourceVersion"] = json!(inner.version.to_string());
        inner.log(resource, "DELETED", object);
        self.state.notify();
    }

    pub fn bookmark(&self, resource: &str) {
        let mut inner = self.state.lock();
        inner.version += 1;
        let object = json!({"metadata": {"resourceVersion": inner.version.to_string()}});
        inner.log(resource, "BOOKMARK", object);
        self.state.notify();
    }

    /// Changes nobody has been told of are forgotten, and every watch ends: all have to list again.
    pub fn compact(&self) {
        let mut inner = self.state.lock();
        inner.version += 1;
        inner.oldest = inner.version;
        inner.log.clear();
        inner.epoch += 1;
        self.state.notify();
    }

    /// Watches end in good order, as they do every few minutes.
    pub fn end_watches(&self) {
        self.state.lock().epoch += 1;
        self.state.notify();
    }

    /// Requests for a resource fail, or those for `namespace/resource`.
    pub fn fail(&self, resource: &str, fault: Fault) {
        self.state.lock().faults.insert(resource.to_owned(), fault);
    }

    pub fn heal(&self, resource: &str) {
        self.state.lock().faults.remove(resource);
        self.state.notify();
    }

    /// The requests so far whose path and query contain this.
    pub fn requests(&self, part: &str) -> usize {
        self.state.lock().requests.iter().filter(|request| request.contains(part)).count()
    }

    /// Forgets what was asked, and the events that all watches have been told of, so that a test can go on for long.
    pub fn forget_requests(&self) {
        let mut inner = self.state.lock();
        inner.requests.clear();
        inner.posted.clear();
        let kept = inner.log.len().saturating_sub(2_000);
        if let Some(entry) = inner.log.get(kept).filter(|_| kept > 0) {
            inner.oldest = entry.version;
            inner.log.drain(..kept);
        }
    }

    /// How many slow requests of a method were under way at once, at most.
    pub fn most_at_once(&self, method: &str) -> usize {
        self.state.lock().busy.get(method).map_or(0, |(_, most)| *most)
    }

    /// An object as it is now.
    pub fn object(&self, resource: &str, namespace: &str, name: &str) -> Option<Value> {
        let key = (resource.to_owned(), namespace.to_owned(), name.to_owned());
        self.state.lock().objects.get(&key).cloned()
    }

    /// The names of the objects of a resource in a namespace.
    pub fn names(&self, resource: &str, namespace: &str) -> Vec<String> {
        let inner = self.state.lock();
        let keys = inner.objects.keys().filter(|(of, ns, _)| of == resource && ns == namespace);
        keys.map(|(_, _, name)| name.clone()).collect()
    }

    /// What was posted to a resource.
    pub fn posted(&self, resource: &str) -> Vec<Value> {
        let inner = self.state.lock();
        inner.posted.iter().filter(|(to, _)| to == resource).map(|(_, object)| object.clone()).collect()
    }

    /// A kubeconfig for a command, in a folder.
    pub fn kubeconfig(&self, folder: &std::path::Path) -> std::path::PathBuf {
        let context = json!({"name": "here", "context": {"cluster": "here", "user": "me"}});
        let cluster = json!({"name": "here", "cluster": {"server": format!("http://{}", self.address)}});
        let config = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "here",
            "clusters": [cluster], "contexts": [context], "users": [{"name": "me", "user": {}}],
        });
        let file = folder.join("kubeconfig");
        std::fs::write(&file, config.to_string()).unwrap();
        file
    }

    /// How many watches of a resource are open.
    pub fn watching(&self, resource: &str) -> usize {
        self.state.lock().watching.get(resource).copied().unwrap_or_default()
    }
}

impl State {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap()
    }

    fn notify(&self) {
        self.changes.send_modify(|count| *count += 1);
    }
}

impl Inner {
    fn log(&mut self, resource: &str, event: &'static str, object: Value) {
        let (version, resource) = (self.version, resource.to_owned());
        self.log.push(Entry { version, resource, event, object });
    }
}

async fn bound(address: SocketAddr) -> TcpListener {
    loop {
        if let Ok(listener) = TcpListener::bind(address).await {
            return listener;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

struct Target {
    resource: String,
    namespace: Option<String>,
    name: Option<String>,
    /// `status`, where it is only about that.
    part: Option<String>,
}

/// `/apis/GROUP/VERSION/[namespaces/NS/]RESOURCE[/NAME[/PART]]`
fn target(path: &str) -> Target {
    let parts: Vec<&str> = path.split('/').skip(if path.starts_with("/api/") { 3 } else { 4 }).collect();
    let own = |text: &&str| (*text).to_owned();
    match parts.as_slice() {
        ["namespaces", namespace, resource, rest @ ..] => Target {
            resource: own(resource),
            namespace: Some(own(namespace)),
            name: rest.first().map(own),
            part: rest.get(1).map(own),
        },
        [resource, rest @ ..] => {
            let (name, part) = (rest.first().map(own), rest.get(1).map(own));
            Target { resource: own(resource), namespace: None, name, part }
        }
        [] => panic!("asked for {path}"),
    }
}

async fn answer(state: Arc<State>, request: Request<Incoming>) -> Result<Answer, Infallible> {
    let target = target(request.uri().path());
    let query: BTreeMap<String, String> =
        request.uri().query().unwrap_or_default().split('&').fold(BTreeMap::new(), |mut query, pair| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            query.insert(key.to_owned(), value.to_owned());
            query
        });
    let encodings = request.headers().get("accept-encoding").map(|encodings| encodings.to_str().unwrap());
    if request.method() == Method::GET && encodings.is_some_and(|encodings| encodings.contains("gzip")) {
        // What a real server does to long lists.
        return Ok(Response::new(Full::new(Bytes::from_static(b"\x1f\x8b\x08")).boxed()));
    }
    state.lock().requests.push(format!("{} {}", request.method(), request.uri()));
    let fault = state.lock().fault(&target);
    match fault {
        Some(Fault::Status(code)) => return Ok(status(code, "as the test wants it")),
        Some(Fault::ReadOnly(code)) if request.method() != Method::GET => {
            return Ok(status(code, "as the test wants it"));
        }
        Some(Fault::NoPatch(code)) if request.method() == Method::PATCH => {
            return Ok(status(code, "as the test wants it"));
        }
        Some(Fault::Hang) => std::future::pending().await,
        Some(Fault::Slow(time)) => {
            let _busy = Busy::enter(&state, request.method());
            tokio::time::sleep(time).await;
        }
        Some(Fault::Unsteady) => {
            let is_watch = query.contains_key("watch");
            let misfortune = state.lock().misfortune(is_watch);
            if let Some(answer) = misfortune.happen(|| state.lock().answer_get(&target, &query)).await {
                return Ok(answer);
            }
        }
        Some(Fault::Garbage) => return Ok(Response::new(Full::new(Bytes::from("<html>\n")).boxed())),
        _ => {}
    }
    if request.method() != Method::GET {
        let method = request.method().clone();
        let content =
            request.headers().get("content-type").map(|content| content.to_str().unwrap().to_owned());
        let body = request.into_body().collect().await.unwrap().to_bytes();
        let object: Value = serde_json::from_slice(&body).unwrap();
        let content = content.unwrap_or_default();
        let answer = match method {
            Method::PATCH => state.lock().patch(&target, &content, &query, &object),
            Method::DELETE => state.lock().remove(&target, &object),
            _ => write(&mut state.lock(), &method, target, object),
        };
        state.notify();
        return Ok(answer);
    }
    if query.contains_key("watch") {
        let selector = query.get("labelSelector").cloned();
        return Ok(open_watch(
            state,
            target.resource,
            selector,
            query["resourceVersion"].parse().unwrap(),
            fault,
        ));
    }
    let value = state.lock().answer_get(&target, &query);
    Ok(value.map_or_else(|| status(404, "not found"), |value| json_answer(&value)))
}

impl Inner {
    /// What fails: the resource, or that of one namespace.
    fn fault(&self, target: &Target) -> Option<Fault> {
        let in_namespace = format!("{}/{}", target.namespace.as_deref().unwrap_or_default(), target.resource);
        self.faults.get(&target.resource).or_else(|| self.faults.get(&in_namespace)).copied()
    }

    /// The object or the list that is asked for.
    fn answer_get(&self, target: &Target, query: &BTreeMap<String, String>) -> Option<Value> {
        match &target.name {
            Some(name) => self.objects.get(&write::key_of(target, name)).cloned(),
            None => Some(list(self, target, query)),
        }
    }
}

fn write(inner: &mut Inner, method: &Method, target: Target, object: Value) -> Answer {
    match *method {
        Method::POST => {
            let answer = inner.create(&target, object.clone());
            inner.posted.push((target.resource, object));
            answer
        }
        Method::PUT => inner.replace(&target, object),
        _ => status(405, "not here"),
    }
}

fn list(inner: &Inner, target: &Target, query: &BTreeMap<String, String>) -> Value {
    let of = |(resource, namespace, _): &(String, String, String)| {
        *resource == target.resource && target.namespace.as_ref().is_none_or(|wanted| wanted == namespace)
    };
    let limit = query.get("limit").map_or(usize::MAX, |limit| limit.parse().unwrap());
    // Tokens of real servers need escaping too.
    let skip =
        query.get("continue").map_or(0, |token| token.strip_suffix("%3D%3D").unwrap().parse().unwrap());
    let selector = query.get("labelSelector").map(String::as_str);
    let all: Vec<&Value> = inner
        .objects
        .iter()
        .filter(|(key, object)| of(key) && is_selected(object, selector))
        .map(|(_, object)| object)
        .collect();
    let mut metadata = json!({"resourceVersion": inner.version.to_string()});
    if skip + limit < all.len() {
        metadata["continue"] = json!(format!("{}==", skip + limit));
    }
    let items: Vec<&Value> = all.into_iter().skip(skip).take(limit).collect();
    json!({"kind": "AnyList", "apiVersion": "v1", "metadata": metadata, "items": items})
}

/// The selectors that are used here: that labels are there, or have a value.
fn is_selected(object: &Value, selector: Option<&str>) -> bool {
    let decoded = selector.unwrap_or_default().replace("%2F", "/").replace("%3D", "=").replace("%2C", ",");
    decoded.split(',').filter(|wanted| !wanted.is_empty()).all(|wanted| {
        let labels = &object["metadata"]["labels"];
        match wanted.split_once('=') {
            Some((key, value)) => labels[key] == value,
            None => !labels[wanted].is_null(),
        }
    })
}

fn open_watch(
    state: Arc<State>,
    resource: String,
    selector: Option<String>,
    after: u64,
    fault: Option<Fault>,
) -> Answer {
    if fault == Some(Fault::Expired) {
        return status(410, "too old resource version");
    }
    let (lines, body) = mpsc::channel(16);
    tokio::spawn(async move {
        *state.lock().watching.entry(resource.clone()).or_default() += 1;
        feed(&state, &resource, selector.as_deref(), after, lines).await;
        *state.lock().watching.entry(resource).or_default() -= 1;
    });
    Response::new(Lines(body).boxed())
}

async fn feed(
    state: &State,
    resource: &str,
    selector: Option<&str>,
    mut after: u64,
    lines: mpsc::Sender<Bytes>,
) {
    let epoch = state.lock().epoch;
    let mut changes = state.changes.subscribe();
    loop {
        changes.borrow_and_update();
        let (news, expired, ended) = {
            let inner = state.lock();
            let mute = inner.faults.get(resource) == Some(&Fault::Mute);
            let news =
                inner.log.iter().filter(|entry| entry.version > after && entry.resource == resource && !mute);
            (news.cloned().collect::<Vec<_>>(), after < inner.oldest, inner.epoch != epoch)
        };
        if ended {
            return;
        }
        if expired {
            let gone = json!({"kind": "Status", "code": 410, "reason": "Expired", "message": "too old"});
            let _ = lines.send(line("ERROR", &gone)).await;
            return;
        }
        let is_unsteady = state.lock().faults.get(resource) == Some(&Fault::Unsteady);
        let (news, breaks_off) = if is_unsteady { state.lock().garbled(news) } else { (news, false) };
        for entry in news {
            after = after.max(entry.version);
            let event = match (is_selected(&entry.object, selector), entry.event) {
                (true, event) => event,
                (false, "MODIFIED") => "DELETED",
                (false, "BOOKMARK") => "BOOKMARK",
                (false, _) => continue,
            };
            if lines.send(line(event, &entry.object)).await.is_err() {
                return;
            }
        }
        if breaks_off {
            let _ = lines.send(Bytes::from_static(b"{\"type\":\"MODIFIED\",\"object\":{\"meta")).await;
            return;
        }
        tokio::select! {
            _ = changes.changed() => {}
            () = lines.closed() => return,
        }
    }
}

fn line(event: &str, object: &Value) -> Bytes {
    // Keys in the order of a real server.
    Bytes::from(format!("{{\"type\":\"{event}\",\"object\":{object}}}\n"))
}

fn json_answer(value: &Value) -> Answer {
    Response::new(Full::new(Bytes::from(value.to_string())).boxed())
}

fn status(code: u16, message: &str) -> Answer {
    let reason = match code {
        403 => "Forbidden",
        404 => "NotFound",
        409 => "Conflict",
        410 => "Expired",
        422 => "Invalid",
        _ => "",
    };
    let body =
        json!({"kind": "Status", "status": "Failure", "code": code, "reason": reason, "message": message});
    let mut answer = json_answer(&body);
    *answer.status_mut() = code.try_into().unwrap();
    answer
}

/// A body that ends when nobody sends any more.
struct Lines(mpsc::Receiver<Bytes>);

impl Body for Lines {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.poll_recv(cx).map(|line| line.map(|line| Ok(Frame::data(line))))
    }
}

/// Waits that make tests quick, and limits that a loaded machine does not reach.
pub fn pace() -> stateward::watch::WatchConfig {
    stateward::watch::WatchConfig {
        page: 3,
        patience: super::PATIENCE,
        watch: Duration::from_secs(290),
        silence: Duration::from_secs(30),
        retry_least: Duration::from_millis(5),
        retry_most: Duration::from_millis(50),
        refused: Duration::from_millis(50),
    }
}
