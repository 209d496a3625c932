//! Requests to an API server by hand, because the kube client does not show the warnings of an answer.

#[path = "manifests.rs"]
#[allow(dead_code)]
pub mod manifests;

use std::{collections::BTreeSet, fmt, net::SocketAddr};

use http::{Method, Request};
use http_body_util::BodyExt;
use kube::client::Body;
#[allow(unused_imports)]
pub use manifests::{example, installation};
use rustls_pki_types::{CertificateDer, pem::PemObject};
use serde_json::{Value, json};

const JSON: &str = "application/json";
const MERGE: &str = "application/merge-patch+json";
const APPLY: &str = "application/apply-patch+yaml";

/// A user's connection.
#[derive(Clone)]
pub struct Api {
    client: kube::Client,
    headers: Vec<(&'static str, String)>,
}

/// What the API server answered.
#[derive(Clone)]
pub struct Reply {
    pub status: u16,
    pub body: Value,
    pub warnings: Vec<String>,
}

impl Api {
    /// Belongs to the runtime that it is made in.
    pub fn new(address: SocketAddr, ca: &str, token: &str) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut config = kube::Config::new(format!("https://{address}").parse().unwrap());
        config.root_cert = Some(vec![CertificateDer::from_pem_slice(ca.as_bytes()).unwrap().to_vec()]);
        config.default_retry = false;
        let client = kube::Client::try_from(config).unwrap();
        Self { client, headers: vec![("authorization", format!("Bearer {token}"))] }
    }

    /// The same connection for a user with a token.
    pub fn with_token(&self, token: &str) -> Self {
        Self { client: self.client.clone(), headers: vec![("authorization", format!("Bearer {token}"))] }
    }

    /// As another user, in one group.
    pub fn acting_as(&self, user: &str, group: &str) -> Self {
        let mut other = self.clone();
        other.headers.push(("impersonate-user", user.to_owned()));
        other.headers.push(("impersonate-group", group.to_owned()));
        other
    }

    pub async fn try_send(
        &self,
        method: Method,
        path: &str,
        content: &str,
        body: Option<&Value>,
    ) -> Result<Reply, kube::Error> {
        let body = body.map(|body| serde_json::to_vec(body).unwrap()).unwrap_or_default();
        let response = self.send(method, path, content, body).await?;
        let status = response.status().as_u16();
        let warnings = response
            .headers()
            .get_all("warning")
            .iter()
            .map(|value| text_of(&String::from_utf8_lossy(value.as_bytes())));
        let warnings = warnings.collect();
        let bytes = response.into_body().collect().await?.to_bytes();
        let text = || Value::String(String::from_utf8_lossy(&bytes).into_owned());
        Ok(Reply { status, body: serde_json::from_slice(&bytes).unwrap_or_else(|_| text()), warnings })
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        content: &str,
        body: Vec<u8>,
    ) -> Result<http::Response<Body>, kube::Error> {
        let mut request = Request::builder().method(method).uri(path).header("content-type", content);
        for (name, value) in &self.headers {
            request = request.header(*name, value);
        }
        self.client.send(request.body(Body::from(body)).unwrap()).await
    }

    /// The body of an answer as it comes.
    pub async fn bytes(&self, path: &str) -> Vec<u8> {
        let response = self.send(Method::GET, path, JSON, Vec::new()).await.unwrap();
        response.into_body().collect().await.unwrap().to_bytes().into()
    }

    pub async fn try_get(&self, path: &str) -> Result<Reply, kube::Error> {
        self.try_send(Method::GET, path, JSON, None).await
    }

    pub async fn get(&self, path: &str) -> Reply {
        self.try_get(path).await.unwrap()
    }

    pub async fn create(&self, object: &Value) -> Reply {
        let collection = collection_of(object);
        self.try_send(Method::POST, &collection, JSON, Some(object)).await.unwrap()
    }

    /// Server-side apply, with force.
    pub async fn apply(&self, object: &Value) -> Reply {
        self.apply_as("e2e", object).await
    }

    /// Server-side apply by another field manager, with force.
    pub async fn apply_as(&self, manager: &str, object: &Value) -> Reply {
        let path = format!("{}?fieldManager={manager}&force=true", path_of(object));
        self.try_send(Method::PATCH, &path, APPLY, Some(object)).await.unwrap()
    }

    /// Server-side apply of which nothing persists.
    pub async fn try_out(&self, object: &Value) -> Reply {
        let path = format!("{}?fieldManager=e2e&force=true&dryRun=All", path_of(object));
        self.try_send(Method::PATCH, &path, APPLY, Some(object)).await.unwrap()
    }

    pub async fn merge(&self, path: &str, change: &Value) -> Reply {
        self.try_send(Method::PATCH, path, MERGE, Some(change)).await.unwrap()
    }

    pub async fn post(&self, path: &str, body: &Value) -> Reply {
        self.try_send(Method::POST, path, JSON, Some(body)).await.unwrap()
    }

    pub async fn delete(&self, path: &str, options: &Value) -> Reply {
        self.try_send(Method::DELETE, path, JSON, Some(options)).await.unwrap()
    }

    pub async fn scale(&self, namespace: &str, set: &str, replicas: i32) -> Reply {
        let path = format!("{}/scale", set_path(namespace, set));
        self.merge(&path, &json!({"spec": {"replicas": replicas}})).await
    }

    pub async fn exists(&self, path: &str) -> bool {
        self.get(path).await.status == 200
    }
}

impl Reply {
    #[track_caller]
    pub fn allowed(self) -> Self {
        assert!((200..300).contains(&self.status), "not allowed: {self:?}");
        self
    }

    /// Refused by the guard, for these rules and no others.
    #[track_caller]
    pub fn denied_by(&self, rules: &[&str]) {
        assert_eq!(self.status, 422, "{self:?}");
        assert_eq!(self.denials(), rules.iter().copied().collect(), "{self:?}");
        let message = self.body["message"].as_str().unwrap();
        assert!(message.starts_with("admission webhook "), "{self:?}");
    }

    /// Allowed, with warnings of these rules and no others.
    #[track_caller]
    pub fn warned_of(&self, rules: &[&str]) {
        assert!((200..300).contains(&self.status), "not allowed: {self:?}");
        assert_eq!(self.warned(), rules.iter().copied().collect(), "{self:?}");
    }

    /// The rules in the causes of a refusal.
    pub fn denials(&self) -> BTreeSet<&str> {
        let causes = self.body["details"]["causes"].as_array().into_iter().flatten();
        causes.filter_map(|cause| rule_of(cause["message"].as_str()?)).collect()
    }

    /// The rules that were warned of.
    pub fn warned(&self) -> BTreeSet<&str> {
        self.warnings.iter().filter_map(|warning| rule_of(warning)).collect()
    }
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let body = if self.body["kind"] == "Status" { self.body.to_string() } else { String::new() };
        write!(f, "{} {body} {:#?}", self.status, self.warnings)
    }
}

fn rule_of(text: &str) -> Option<&str> {
    let (rule, _) = text.split_once(':')?;
    stateward::rules::named(rule).is_some().then_some(rule)
}

/// `299 - "…"`.
fn text_of(warning: &str) -> String {
    let text = warning.split_once('"').map_or(warning, |(_, text)| text);
    text.trim_end_matches('"').replace("\\\"", "\"").replace("\\\\", "\\")
}

pub fn set_path(namespace: &str, name: &str) -> String {
    format!("/apis/apps/v1/namespaces/{namespace}/statefulsets/{name}")
}

pub fn budget_path(namespace: &str, name: &str) -> String {
    format!("/apis/policy/v1/namespaces/{namespace}/poddisruptionbudgets/{name}")
}

pub fn service_path(namespace: &str, name: &str) -> String {
    format!("/api/v1/namespaces/{namespace}/services/{name}")
}

pub fn pod_path(namespace: &str, name: &str) -> String {
    format!("/api/v1/namespaces/{namespace}/pods/{name}")
}

pub fn path_of(object: &Value) -> String {
    format!("{}/{}", collection_of(object), object["metadata"]["name"].as_str().unwrap())
}

fn collection_of(object: &Value) -> String {
    let kind = object["kind"].as_str().unwrap().to_lowercase();
    let plural = match kind.strip_suffix('y') {
        Some(stem) => format!("{stem}ies"),
        None if kind.ends_with('s') => format!("{kind}es"),
        None => format!("{kind}s"),
    };
    let base = match object["apiVersion"].as_str().unwrap() {
        "v1" => "/api/v1".to_owned(),
        version => format!("/apis/{version}"),
    };
    match object["metadata"]["namespace"].as_str() {
        Some(namespace) => format!("{base}/namespaces/{namespace}/{plural}"),
        None => format!("{base}/{plural}"),
    }
}
