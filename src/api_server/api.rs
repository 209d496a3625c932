//! Questions to the API server, answered in model types.
//!
//! The bytes are kept only until the objects in them are read: each is cut out as text and read on its own, so that one
//! that cannot be read spoils no other, and what no rule reads is never stored.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::time::Duration;

use bytes::BytesMut;
use http::{Request, Response};
use http_body_util::{BodyExt, Collected, Limited};
use kube::api::{ApiResource, GroupVersionKind};
use kube::client::{Body, Client};
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::time::timeout;

use super::answer::{AnswerLimits, ResponseBody};
use super::error::{ApiError, LONGEST_MESSAGE, chain, malformed};
use crate::cluster::{ClusterObject, Kind, ObjectRead, Unreadable};
use crate::model::{KindFacts, KindOrigin};
use crate::software;

/// Bytes of one event of a watch. etcd takes 1.5 MiB of an object by default; as JSON a byte of it can become six.
const LONGEST_EVENT: usize = 16 << 20;
/// Bytes of the body of an answer that is an error.
const LONGEST_STATUS: usize = 64 << 10;

/// A part of a list.
pub(crate) struct Page<T = ObjectRead> {
    pub(crate) items: Vec<T>,
    pub(crate) version: String,
    /// Bytes of the answer.
    pub(crate) bytes: usize,
    /// The token of the next page, if there is one.
    pub(crate) next: Option<String>,
}

/// A watch event.
#[allow(clippy::large_enum_variant, reason = "it lives for one call")]
pub(crate) enum WatchedChange {
    Changed(ObjectRead, Box<str>),
    Deleted { namespace: Box<str>, name: Box<str>, version: Box<str> },
    Bookmark(Box<str>),
}

/// The API server.
#[derive(Clone)]
pub struct Api {
    client: Client,
    /// How long an answer may take, to its last byte.
    patience: Duration,
    limits: AnswerLimits,
}

impl Api {
    /// Reads over `client`; an answer may take `patience`, to its last byte.
    pub(crate) fn new(client: Client, patience: Duration) -> Self {
        Self { client, patience, limits: AnswerLimits::default() }
    }

    /// The same with these limits on the bytes of answers.
    #[must_use]
    pub(crate) fn with_limits(self, limits: AnswerLimits) -> Self {
        Self { limits, ..self }
    }

    /// Reads one page of the objects of a kind: those of a namespace, or all. Of a custom resource that is not served there are none,
    /// at no version. A page that would be too large in memory is one of fewer objects.
    pub(crate) async fn list(
        &self,
        kind: Kind,
        namespace: Option<&str>,
        limit: u32,
        next: Option<&str>,
    ) -> Result<Page, ApiError> {
        objects(kind, self.read_page(kind, namespace, limit, next).await)
    }

    /// As [`list`](Self::list), but an error where the page is too large.
    pub(crate) async fn list_within_limits(
        &self,
        kind: Kind,
        namespace: &str,
        limit: u32,
        next: Option<&str>,
    ) -> Result<Page, ApiError> {
        objects(kind, self.read(&page_path(kind, Some(namespace), limit, next)?).await)
    }

    /// Reads the objects of a kind in a namespace as the API server has them in its cache, which may be a moment behind. An answer
    /// that is not takes it 80 ms more where objects of another kind have changed last: it waits for etcd to say that nothing is missing.
    pub(crate) async fn list_cached(&self, kind: Kind, namespace: &str) -> Result<Page, ApiError> {
        objects(kind, self.read(&format!("{}?resourceVersion=0", path_of(kind, Some(namespace))?)).await)
    }

    /// Reads one page of the objects of a kind as [`list`](Self::list) does, with all of their fields.
    pub(crate) async fn list_raw(
        &self,
        kind: Kind,
        namespace: Option<&str>,
        limit: u32,
        next: Option<&str>,
    ) -> Result<Page<serde_json::Value>, ApiError> {
        let answer = self.read_page(kind, namespace, limit, next).await?;
        page(&answer, |text| serde_json::from_str(text).map_err(|error| malformed(&error)))
    }

    /// Reads one object; `None` where there is no such.
    pub(crate) async fn get(
        &self,
        kind: Kind,
        namespace: Option<&str>,
        name: &str,
    ) -> Result<Option<ObjectRead>, ApiError> {
        let path = format!("{}/{}", path_of(kind, namespace)?, checked(name)?);
        match self.read(&path).await {
            Ok(answer) => {
                let text = std::str::from_utf8(&answer.bytes)
                    .map_err(|_| ApiError::Malformed("it is not UTF-8".to_owned()))?;
                Ok(Some(item(kind, text)))
            }
            Err(error) if error.is_absence() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Follows what happens to the objects of a kind after `version`, for at most `seconds`.
    pub(crate) async fn watch(&self, kind: Kind, version: &str, seconds: u64) -> Result<Watch, ApiError> {
        let path = format!(
            "{}?watch=true&allowWatchBookmarks=true&timeoutSeconds={seconds}&resourceVersion={}",
            path_of(kind, None)?,
            escaped(version)
        );
        let opened = timeout(self.patience, self.send(&path)).await;
        let response = opened.map_err(|_| ApiError::Silent(self.patience))??;
        Ok(Watch { kind, body: response.into_body(), buffer: BytesMut::new() })
    }

    /// Reads a page of at most `limit` objects, and of fewer where it would be too large.
    async fn read_page(
        &self,
        kind: Kind,
        namespace: Option<&str>,
        mut limit: u32,
        next: Option<&str>,
    ) -> Result<ResponseBody, ApiError> {
        loop {
            match self.read(&page_path(kind, namespace, limit, next)?).await {
                Err(ApiError::TooLarge(_)) if limit > 1 => limit = (limit / 4).max(1),
                answer => return answer,
            }
        }
    }

    async fn read(&self, path: &str) -> Result<ResponseBody, ApiError> {
        let answer = async { self.limits.collect(self.send(path).await?.into_body()).await };
        timeout(self.patience, answer).await.map_err(|_| ApiError::Silent(self.patience))?
    }

    async fn send(&self, path: &str) -> Result<Response<Body>, ApiError> {
        // Nothing here decompresses, and an API server compresses long lists unless told not to.
        let request =
            Request::get(path).header("accept", "application/json").header("accept-encoding", "identity");
        let request = request.body(Body::empty()).map_err(|error| ApiError::Malformed(error.to_string()))?;
        let response = self.client.send(request).await.map_err(|error| ApiError::Transport(chain(&error)))?;
        if response.status().is_success() {
            return Ok(response);
        }
        let code = response.status().as_u16();
        let body = Limited::new(response.into_body(), LONGEST_STATUS).collect().await;
        let body = body.map(Collected::to_bytes).unwrap_or_default();
        let status: RawStatus<'_> = serde_json::from_slice(&body).unwrap_or_default();
        let message = if status.message.is_empty() { String::from_utf8_lossy(&body) } else { status.message };
        Err(ApiError::Status { code, message: message.trim().chars().take(LONGEST_MESSAGE).collect() })
    }
}

/// The page of an answer. A custom resource that is not served has no objects.
fn objects(kind: Kind, answer: Result<ResponseBody, ApiError>) -> Result<Page, ApiError> {
    match answer {
        Err(error) if error.is_absence() && kind.facts().origin == KindOrigin::WatchedIfServed => {
            Ok(Page { items: Vec::new(), version: String::new(), bytes: 0, next: None })
        }
        answer => page(&answer?, |text| Ok(item(kind, text))),
    }
}

fn page<T>(answer: &ResponseBody, read: impl Fn(&str) -> Result<T, ApiError>) -> Result<Page<T>, ApiError> {
    let list: RawList<'_> = serde_json::from_slice(&answer.bytes).map_err(|error| malformed(&error))?;
    if !list.kind.ends_with("List") {
        return Err(ApiError::Malformed(format!("{:?} instead of a list", list.kind)));
    }
    let items = list.items.unwrap_or_default().into_iter().map(|text| read(text.get()));
    Ok(Page {
        items: items.collect::<Result<_, _>>()?,
        version: list.metadata.resource_version.into_owned(),
        bytes: answer.bytes.len(),
        next: Some(list.metadata.next.into_owned()).filter(|next| !next.is_empty()),
    })
}

/// An open watch.
pub(crate) struct Watch {
    kind: Kind,
    body: Body,
    buffer: BytesMut,
}

impl Watch {
    /// The next thing that happened; `None` where the API server has ended the watch, as it does every few minutes.
    pub(crate) async fn next(&mut self) -> Result<Option<WatchedChange>, ApiError> {
        let mut searched = 0;
        loop {
            if let Some(end) = self.buffer[searched..].iter().position(|byte| *byte == b'\n') {
                let line = self.buffer.split_to(searched + end + 1);
                return watched_change(self.kind, &line).map(Some);
            }
            searched = self.buffer.len();
            if searched > LONGEST_EVENT {
                return Err(ApiError::TooLarge(LONGEST_EVENT));
            }
            match self.body.frame().await {
                Some(Ok(frame)) => self.buffer.extend_from_slice(frame.data_ref().map_or(&[], |data| data)),
                Some(Err(error)) => return Err(ApiError::Transport(chain(&error))),
                None => return Ok(None),
            }
        }
    }
}

#[derive(Deserialize)]
struct RawList<'a> {
    #[serde(borrow, default)]
    kind: Cow<'a, str>,
    #[serde(borrow)]
    metadata: ListMeta<'a>,
    #[serde(borrow)]
    items: Option<Vec<&'a RawValue>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ListMeta<'a> {
    #[serde(borrow, default)]
    resource_version: Cow<'a, str>,
    #[serde(borrow, default, rename = "continue")]
    next: Cow<'a, str>,
}

#[derive(Deserialize)]
struct RawEvent<'a> {
    #[serde(borrow, rename = "type")]
    what: Cow<'a, str>,
    #[serde(borrow)]
    object: &'a RawValue,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct RawStatus<'a> {
    code: u16,
    #[serde(borrow)]
    message: Cow<'a, str>,
}

#[derive(Deserialize, Default)]
struct NamedObject<'a> {
    #[serde(borrow, default)]
    metadata: MetadataName<'a>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
#[allow(clippy::struct_field_names, reason = "as Kubernetes has them")]
struct MetadataName<'a> {
    #[serde(borrow)]
    namespace: Cow<'a, str>,
    #[serde(borrow)]
    name: Cow<'a, str>,
    #[serde(borrow)]
    resource_version: Cow<'a, str>,
}

fn watched_change(kind: Kind, line: &[u8]) -> Result<WatchedChange, ApiError> {
    let event: RawEvent<'_> = serde_json::from_slice(line).map_err(|error| malformed(&error))?;
    let text = event.object.get();
    if event.what == "ERROR" {
        let status: RawStatus<'_> = serde_json::from_str(text).map_err(|error| malformed(&error))?;
        return Err(ApiError::Status { code: status.code, message: status.message.into_owned() });
    }
    let MetadataName { namespace, name, resource_version } = named(text);
    let version = resource_version.into_owned().into_boxed_str();
    Ok(match &*event.what {
        "ADDED" | "MODIFIED" => WatchedChange::Changed(item(kind, text), version),
        "DELETED" => WatchedChange::Deleted { namespace: namespace.into(), name: name.into(), version },
        _ => WatchedChange::Bookmark(version),
    })
}

fn named(text: &str) -> MetadataName<'_> {
    serde_json::from_str(text)
        .map_or_else(|_| MetadataName::default(), |named: NamedObject<'_>| named.metadata)
}

fn item(kind: Kind, text: &str) -> ObjectRead {
    let reason = match ClusterObject::from_json(kind, text) {
        Ok(object) if !object.metadata().name.is_empty() => {
            return Ok(object.strip_unused(software::READS));
        }
        Ok(_) => "it has no name".to_owned(),
        Err(error) => error.to_string(),
    };
    let MetadataName { namespace, name, resource_version } = named(text);
    let (namespace, name) = (namespace.into(), name.into());
    Err(Unreadable { kind, namespace, name, version: resource_version.into(), reason })
}

fn page_path(
    kind: Kind,
    namespace: Option<&str>,
    limit: u32,
    next: Option<&str>,
) -> Result<String, ApiError> {
    let mut path = format!("{}?limit={limit}", path_of(kind, namespace)?);
    if let Some(next) = next {
        path = path + "&continue=" + &escaped(next);
    }
    Ok(path)
}

/// The kind as kube's dynamic types have it.
pub(crate) fn api_resource(kind: Kind) -> ApiResource {
    let KindFacts { group, version, name, plural, .. } = kind.facts();
    ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk(group, version, name), plural)
}

/// The path of a kind: of a namespace, or of all.
pub(crate) fn path_of(kind: Kind, namespace: Option<&str>) -> Result<String, ApiError> {
    let KindFacts { api_version, plural, group, is_namespaced, .. } = kind.facts();
    let root = if group.is_empty() { "/api" } else { "/apis" };
    match namespace.filter(|_| is_namespaced) {
        Some(namespace) => Ok(format!("{root}/{api_version}/namespaces/{}/{plural}", checked(namespace)?)),
        None => Ok(format!("{root}/{api_version}/{plural}")),
    }
}

/// A name as Kubernetes allows it. Names come from reviews, so an unchecked one could make us request any path.
pub(crate) fn checked(name: &str) -> Result<&str, ApiError> {
    let allowed =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'.');
    if name.is_empty() || name.starts_with('.') || !name.bytes().all(allowed) {
        return Err(ApiError::Malformed(format!("{name:?} cannot be the name of an object")));
    }
    Ok(name)
}

fn escaped(value: &str) -> String {
    let mut text = String::with_capacity(value.len());
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~') {
            text.push(char::from(byte));
        } else {
            let _ = write!(text, "%{byte:02X}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_are_none_reach_no_path() {
        for name in ["", ".", "..", "a/b", "a?b", "A", "a%2e"] {
            assert!(path_of(Kind::Service, Some(name)).is_err(), "{name}");
        }
        let path = path_of(Kind::Service, Some("my-ns")).unwrap();
        assert_eq!(path, "/api/v1/namespaces/my-ns/services");
        assert_eq!(escaped("eyJ2=+/"), "eyJ2%3D%2B%2F");
    }

    #[test]
    fn an_object_that_cannot_be_read_keeps_its_name() {
        let json =
            r#"{"metadata":{"name":"a","namespace":"n","resourceVersion":"7"},"spec":{"replicas":"x"}}"#;
        let broken = item(Kind::StatefulSet, json).unwrap_err();
        assert_eq!((&*broken.namespace, &*broken.name, &*broken.version), ("n", "a", "7"));
        assert!(item(Kind::StatefulSet, "[]").unwrap_err().name.is_empty());
    }

    #[tokio::test]
    async fn an_event_without_an_end_is_given_up() {
        let body = Body::from(vec![b'x'; LONGEST_EVENT + 1]);
        let mut watch = Watch { kind: Kind::Service, body, buffer: BytesMut::new() };
        assert!(matches!(watch.next().await, Err(ApiError::TooLarge(LONGEST_EVENT))));
    }

    #[test]
    fn the_order_of_an_events_fields_does_not_matter() {
        let line = br#"{"object":{"metadata":{"name":"a","resourceVersion":"9"}},"type":"ADDED"}"#;
        assert!(
            matches!(watched_change(Kind::Service, line), Ok(WatchedChange::Changed(Ok(_), version)) if &*version == "9")
        );
        let gone = br#"{"type":"ERROR","object":{"kind":"Status","code":410,"message":"too old"}}"#;
        assert!(watched_change(Kind::Service, gone).is_err_and(|error| error.is_expired()));
    }
}
