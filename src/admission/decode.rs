//! From the bytes of a review to a change, in one pass.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::depth::{MAX_DEPTH, is_too_deep};
use crate::change::{Action, Change, Edit, PodDeletion, Requester};
use crate::model::{Autoscaler, DisruptionBudget, Metadata, Pod, Scale, Service, StatefulSet};

/// What a review asks.
#[derive(Debug)]
pub struct Request {
    /// To be echoed.
    pub uid: String,
    /// What is to be done.
    pub operation: Operation,
    /// To what sort of object.
    pub resource: Resource,
    /// The kind of the object, as the request has it.
    pub kind: String,
    /// Its namespace; empty where it has none.
    pub namespace: String,
    /// Its name; empty where it is still to be generated.
    pub name: String,
    /// Its uid, which one that is refused to be created never had; empty where it is not known.
    pub object_uid: Box<str>,
    /// What it means to the rules.
    pub change: Change,
}

/// `request.operation`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Operation {
    /// A new object.
    Create,
    /// A changed object.
    Update,
    /// A removed object.
    Delete,
    /// A connection, such as `exec`.
    Connect,
}

/// The sorts of object that reviews are about, from `request.resource` and `request.subResource`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Resource {
    /// `apps` statefulsets.
    StatefulSets,
    /// `apps` statefulsets/scale.
    Scale,
    /// services.
    Services,
    /// `policy` poddisruptionbudgets.
    DisruptionBudgets,
    /// pods.
    Pods,
    /// pods/eviction.
    Eviction,
    /// `autoscaling` horizontalpodautoscalers.
    Autoscalers,
    /// Anything else.
    Other,
}

impl Operation {
    /// As a request has it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Create => "CREATE",
            Self::Update => "UPDATE",
            Self::Delete => "DELETE",
            Self::Connect => "CONNECT",
        }
    }
}

impl Resource {
    /// As a webhook configuration has it.
    pub fn name(self) -> &'static str {
        match self {
            Self::StatefulSets => "statefulsets",
            Self::Scale => "statefulsets/scale",
            Self::Services => "services",
            Self::DisruptionBudgets => "poddisruptionbudgets",
            Self::Pods => "pods",
            Self::Eviction => "pods/eviction",
            Self::Autoscalers => "horizontalpodautoscalers",
            Self::Other => "other",
        }
    }
}

/// Why a body is no review. Each says what to send instead.
#[derive(Debug, thiserror::Error)]
pub enum Invalid {
    /// Not JSON, or of other types than a review has.
    #[error("the body is not an AdmissionReview: {0}")]
    Malformed(String),
    /// JSON that is nested absurdly.
    #[error("the body is nested more than {MAX_DEPTH} levels deep")]
    TooDeep,
    /// Another kind of object.
    #[error(
        "the body is apiVersion {api_version:?}, kind {kind:?}; send apiVersion admission.k8s.io/v1, kind AdmissionReview"
    )]
    NotAReview {
        /// What it says.
        api_version: String,
        /// What it says.
        kind: String,
    },
    /// A review without a question.
    #[error("the AdmissionReview has no request")]
    NoRequest,
    /// Without it the answer could not be matched.
    #[error("request.uid is missing or empty")]
    NoUid,
    /// The operation needs an object that is not there.
    #[error("a review of {0} needs request.{1}")]
    NoObject(&'static str, &'static str),
}

/// Reads one review.
pub fn decode(body: &[u8]) -> Result<Request, Invalid> {
    if is_too_deep(body) {
        return Err(Invalid::TooDeep);
    }
    // One look at the whole body saves one at each string. Bytes that are not UTF-8 do no harm where nobody reads them.
    let review = match std::str::from_utf8(body) {
        Ok(text) => serde_json::from_str(text),
        Err(_) => serde_json::from_slice(body),
    };
    let review: Review<'_> = review.map_err(|error| malformed(body, &error))?;
    if review.kind != "AdmissionReview" || review.api_version != "admission.k8s.io/v1" {
        let (api_version, kind) = (review.api_version.into_owned(), review.kind.into_owned());
        return Err(Invalid::NotAReview { api_version, kind });
    }
    review.request.ok_or(Invalid::NoRequest)?.into_request()
}

/// Reads the body again, only to say where it is wrong.
fn malformed(body: &[u8], error: &serde_json::Error) -> Invalid {
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    let traced: Result<Review<'_>, _> = serde_path_to_error::deserialize(&mut deserializer);
    match traced {
        Err(traced) if traced.path().iter().next().is_some() => Invalid::Malformed(traced.to_string()),
        _ => Invalid::Malformed(error.to_string()),
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Review<'a> {
    #[serde(borrow, default)]
    api_version: Cow<'a, str>,
    #[serde(borrow, default)]
    kind: Cow<'a, str>,
    request: Option<WireRequest>,
}

/// `request`, as it is read. The objects are read as what `resource` says they are.
struct WireRequest {
    uid: String,
    operation: Operation,
    resource: Resource,
    kind: String,
    namespace: Box<str>,
    name: Box<str>,
    user: UserInfo,
    dry_run: bool,
    grace_period: Option<i64>,
    object: Body,
    old_object: Body,
}

/// An object of a request.
enum Body {
    StatefulSet(Box<StatefulSet>),
    Scale(Scale),
    Service(Box<Service>),
    DisruptionBudget(Box<DisruptionBudget>),
    Autoscaler(Box<Autoscaler>),
    Pod(Box<Pod>),
    /// An object nobody reads.
    Skipped,
    /// None, or null.
    Absent,
}

#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "camelCase")]
enum Field {
    Uid,
    Kind,
    Resource,
    SubResource,
    Name,
    Namespace,
    Operation,
    UserInfo,
    Object,
    OldObject,
    DryRun,
    Options,
    #[serde(other)]
    Other,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct GroupResource<'a> {
    #[serde(borrow)]
    group: Cow<'a, str>,
    #[serde(borrow)]
    resource: Cow<'a, str>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct GroupKind {
    kind: String,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct UserInfo {
    username: Box<str>,
    groups: Option<Vec<Box<str>>>,
}

/// Of the options of the request, what is read of a deletion's.
#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Options {
    grace_period_seconds: Option<i64>,
}

impl<'de> Deserialize<'de> for WireRequest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(RequestVisitor)
    }
}

struct RequestVisitor;

impl<'de> Visitor<'de> for RequestVisitor {
    type Value = WireRequest;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the request of an AdmissionReview")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<WireRequest, A::Error> {
        let mut partial = Partial::default();
        while let Some(field) = map.next_key()? {
            partial.read(&field, &mut map)?;
        }
        partial.finish()
    }
}

/// A request of which some fields have been read.
#[derive(Default)]
struct Partial<'de> {
    uid: Option<String>,
    operation: Option<Operation>,
    resource: Option<GroupResource<'de>>,
    sub_resource: Option<Cow<'de, str>>,
    kind: Option<GroupKind>,
    namespace: Option<Box<str>>,
    name: Option<Box<str>>,
    user: Option<UserInfo>,
    dry_run: Option<bool>,
    options: Option<Options>,
    object: Pending<'de>,
    old_object: Pending<'de>,
}

/// An object, or its text where it came before anything said what it is.
#[derive(Default)]
enum Pending<'de> {
    #[default]
    Absent,
    Read(Body),
    Text(&'de RawValue),
}

impl<'de> Partial<'de> {
    fn read<A: MapAccess<'de>>(&mut self, field: &Field, map: &mut A) -> Result<(), A::Error> {
        match field {
            Field::Uid => self.uid = map.next_value()?,
            Field::Kind => self.kind = map.next_value()?,
            Field::Resource => self.resource = map.next_value()?,
            Field::SubResource => self.sub_resource = map.next_value()?,
            Field::Name => self.name = map.next_value()?,
            Field::Namespace => self.namespace = map.next_value()?,
            Field::Operation => self.operation = map.next_value()?,
            Field::UserInfo => self.user = map.next_value()?,
            Field::DryRun => self.dry_run = map.next_value()?,
            Field::Options => self.options = map.next_value()?,
            Field::Object => self.object = self.body(map)?,
            Field::OldObject => self.old_object = self.body(map)?,
            Field::Other => drop(map.next_value::<IgnoredAny>()?),
        }
        Ok(())
    }

    /// The API server sends `resource` and `subResource` before the objects; another client need not.
    fn body<A: MapAccess<'de>>(&self, map: &mut A) -> Result<Pending<'de>, A::Error> {
        if self.resource.is_some() {
            Ok(Pending::Read(map.next_value_seed(BodyOf(self.what()))?))
        } else {
            Ok(Pending::Text(map.next_value()?))
        }
    }

    fn what(&self) -> Resource {
        let Some(GroupResource { group, resource }) = &self.resource else {
            return Resource::Other;
        };
        match (&**group, &**resource, self.sub_resource.as_deref().unwrap_or_default()) {
            ("apps", "statefulsets", "") => Resource::StatefulSets,
            ("apps", "statefulsets", "scale") => Resource::Scale,
            ("", "services", "") => Resource::Services,
            ("policy", "poddisruptionbudgets", "") => Resource::DisruptionBudgets,
            ("", "pods", "") => Resource::Pods,
            ("", "pods", "eviction") => Resource::Eviction,
            ("autoscaling", "horizontalpodautoscalers", "") => Resource::Autoscalers,
            _ => Resource::Other,
        }
    }

    fn finish<E: serde::de::Error>(self) -> Result<WireRequest, E> {
        let resource = self.what();
        Ok(WireRequest {
            uid: self.uid.unwrap_or_default(),
            operation: self.operation.ok_or_else(|| E::missing_field("operation"))?,
            resource: if self.resource.is_some() {
                resource
            } else {
                return Err(E::missing_field("resource"));
            },
            kind: self.kind.unwrap_or_default().kind,
            namespace: self.namespace.unwrap_or_default(),
            name: self.name.unwrap_or_default(),
            user: self.user.unwrap_or_default(),
            dry_run: self.dry_run.unwrap_or_default(),
            grace_period: self.options.and_then(|options| options.grace_period_seconds),
            object: self.object.into_body(resource)?,
            old_object: self.old_object.into_body(resource)?,
        })
    }
}

impl Pending<'_> {
    fn into_body<E: serde::de::Error>(self, what: Resource) -> Result<Body, E> {
        match self {
            Self::Absent => Ok(Body::Absent),
            Self::Read(body) => Ok(body),
            Self::Text(text) => {
                let mut deserializer = serde_json::Deserializer::from_str(text.get());
                BodyOf(what).deserialize(&mut deserializer).map_err(E::custom)
            }
        }
    }
}

/// Reads an object as what it is said to be.
struct BodyOf(Resource);

impl<'de> DeserializeSeed<'de> for BodyOf {
    type Value = Body;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Body, D::Error> {
        let body = match self.0 {
            Resource::StatefulSets => object(deserializer)?.map(|set| Body::StatefulSet(Box::new(set))),
            Resource::Scale => object(deserializer)?.map(Body::Scale),
            Resource::Services => object(deserializer)?.map(|service| Body::Service(Box::new(service))),
            Resource::DisruptionBudgets => {
                object(deserializer)?.map(|budget| Body::DisruptionBudget(Box::new(budget)))
            }
            Resource::Autoscalers => object(deserializer)?.map(|scaler| Body::Autoscaler(Box::new(scaler))),
            Resource::Pods => object(deserializer)?.map(|pod| Body::Pod(Box::new(pod))),
            Resource::Eviction | Resource::Other => {
                Option::<IgnoredAny>::deserialize(deserializer)?.map(|_| Body::Skipped)
            }
        };
        Ok(body.unwrap_or(Body::Absent))
    }
}

/// An object or null. Left to itself, serde also takes a list for a struct.
fn object<'de, T: Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    struct Object<T>(PhantomData<T>);
    impl<'de, T: Deserialize<'de>> Visitor<'de> for Object<T> {
        type Value = Option<T>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }

        fn visit_unit<E>(self) -> Result<Option<T>, E> {
            Ok(None)
        }

        fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Option<T>, A::Error> {
            T::deserialize(MapAccessDeserializer::new(map)).map(Some)
        }
    }
    deserializer.deserialize_any(Object(PhantomData))
}

impl WireRequest {
    fn into_request(self) -> Result<Request, Invalid> {
        if self.uid.is_empty() {
            return Err(Invalid::NoUid);
        }
        let (mut old, mut new) = (self.old_object, self.object);
        let name =
            [new.metadata(), old.metadata()].into_iter().flatten().map(|metadata| metadata.name.clone());
        let name = Some(self.name).into_iter().chain(name).find(|name| !name.is_empty()).unwrap_or_default();
        let metadata = old.metadata().or(new.metadata());
        let object_uid = metadata.map(|metadata| metadata.uid.clone()).unwrap_or_default();
        for body in [&mut old, &mut new] {
            body.belong_to(&self.namespace, &name);
        }
        Ok(Request {
            uid: self.uid,
            operation: self.operation,
            resource: self.resource,
            kind: self.kind,
            namespace: self.namespace.into(),
            name: name.into(),
            object_uid,
            change: Change {
                action: action(self.operation, old, new, self.grace_period)?,
                requester: Requester {
                    username: self.user.username,
                    groups: self.user.groups.unwrap_or_default(),
                },
                dry_run: self.dry_run,
            },
        })
    }
}

impl Body {
    fn metadata(&self) -> Option<&Metadata> {
        match self {
            Self::StatefulSet(set) => Some(&set.metadata),
            Self::Scale(scale) => Some(&scale.metadata),
            Self::Service(service) => Some(&service.metadata),
            Self::DisruptionBudget(budget) => Some(&budget.metadata),
            Self::Autoscaler(scaler) => Some(&scaler.metadata),
            Self::Pod(pod) => Some(&pod.metadata),
            Self::Skipped | Self::Absent => None,
        }
    }

    /// The request's namespace and name hold where the object leaves them out.
    fn belong_to(&mut self, namespace: &str, name: &str) {
        let metadata = match self {
            Self::StatefulSet(set) => &mut set.metadata,
            Self::Scale(scale) => &mut scale.metadata,
            Self::Service(service) => &mut service.metadata,
            Self::DisruptionBudget(budget) => &mut budget.metadata,
            Self::Autoscaler(scaler) => &mut scaler.metadata,
            Self::Pod(pod) => &mut pod.metadata,
            Self::Skipped | Self::Absent => return,
        };
        if metadata.namespace.is_empty() {
            metadata.namespace = namespace.into();
        }
        if metadata.name.is_empty() {
            metadata.name = name.into();
        }
    }
}

fn action(operation: Operation, old: Body, new: Body, grace_period: Option<i64>) -> Result<Action, Invalid> {
    match (operation, old, new) {
        (Operation::Create | Operation::Update, _, Body::Absent) => {
            Err(Invalid::NoObject(operation.name(), "object"))
        }
        (Operation::Update | Operation::Delete, Body::Absent, _) => {
            Err(Invalid::NoObject(operation.name(), "oldObject"))
        }
        (Operation::Create, _, Body::StatefulSet(new)) => Ok(Action::StatefulSet(Edit::Create(*new))),
        (Operation::Update, Body::StatefulSet(old), Body::StatefulSet(new)) => {
            Ok(Action::StatefulSet(Edit::Update { old: *old, new: *new }))
        }
        (Operation::Delete, Body::StatefulSet(old), _) => Ok(Action::StatefulSet(Edit::Delete(*old))),
        (Operation::Update, Body::Scale(old), Body::Scale(new)) => Ok(Action::Scale {
            namespace: new.metadata.namespace,
            name: new.metadata.name,
            old: old.spec.replicas,
            new: new.spec.replicas,
        }),
        (Operation::Create, _, Body::Service(new)) => Ok(Action::Service(Edit::Create(*new))),
        (Operation::Update, Body::Service(old), Body::Service(new)) => {
            Ok(Action::Service(Edit::Update { old: *old, new: *new }))
        }
        (Operation::Delete, Body::Service(old), _) => Ok(Action::Service(Edit::Delete(*old))),
        (Operation::Create, _, Body::DisruptionBudget(new)) => {
            Ok(Action::DisruptionBudget(Edit::Create(*new)))
        }
        (Operation::Update, Body::DisruptionBudget(old), Body::DisruptionBudget(new)) => {
            Ok(Action::DisruptionBudget(Edit::Update { old: *old, new: *new }))
        }
        (Operation::Delete, Body::DisruptionBudget(old), _) => {
            Ok(Action::DisruptionBudget(Edit::Delete(*old)))
        }
        (Operation::Create, _, Body::Autoscaler(new)) => Ok(Action::Autoscaler(Edit::Create(*new))),
        (Operation::Update, Body::Autoscaler(old), Body::Autoscaler(new)) => {
            Ok(Action::Autoscaler(Edit::Update { old: *old, new: *new }))
        }
        (Operation::Delete, Body::Pod(pod), _) => {
            Ok(Action::PodDeletion(PodDeletion { pod: *pod, grace_period }))
        }
        _ => Ok(Action::Other),
    }
}
