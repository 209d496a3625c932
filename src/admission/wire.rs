//! The wire format of a review, read in one pass: an object is read as what `resource`, which comes before it, says it is.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::bounded::{Groups, LONGEST_NAME, LONGEST_USER, Short};
use super::{Operation, Resource};
use crate::model::{
    Autoscaler, Claim, DisruptionBudget, Eviction, Kind, LIST_TOO_LONG, ObjectsOnly, Pod, Scale, Service,
    StatefulSet, Workload,
};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", expecting = "a JSON object")]
pub(super) struct Review<'a, R = WireRequest> {
    #[serde(borrow, default)]
    pub(super) api_version: Cow<'a, str>,
    #[serde(borrow, default)]
    pub(super) kind: Cow<'a, str>,
    pub(super) request: Option<R>,
}

/// Why a request is read again, as an [`AnyOrder`].
pub(super) const SUB_RESOURCE_IS_LATE: &str = "subResource comes after the objects";

/// A request whose `subResource` may come after the objects, which are kept as text until then. The API server sends it before
/// them.
pub(super) struct AnyOrder(WireRequest);

impl From<AnyOrder> for WireRequest {
    fn from(AnyOrder(request): AnyOrder) -> Self {
        request
    }
}

/// `request`, as it is read. The objects are read as what `resource` says they are.
pub(super) struct WireRequest {
    pub(super) uid: String,
    pub(super) operation: Operation,
    pub(super) resource: Resource,
    pub(super) kind: String,
    pub(super) namespace: Box<str>,
    pub(super) name: Box<str>,
    pub(super) username: Box<str>,
    pub(super) groups: Vec<Box<str>>,
    pub(super) dry_run: bool,
    pub(super) grace_period: Option<i64>,
    pub(super) orphans: bool,
    pub(super) object: Body,
    pub(super) old_object: Body,
}

/// An object of a request.
pub(super) enum Body {
    StatefulSet(Box<StatefulSet>),
    Scale(Scale),
    Workload(Box<Workload>),
    Service(Box<Service>),
    DisruptionBudget(Box<DisruptionBudget>),
    Autoscaler(Box<Autoscaler>),
    Pod(Box<Pod>),
    Claim(Box<Claim>),
    Eviction(Box<Eviction>),
    /// An object that no rule reads.
    Skipped,
    /// None, or null.
    Absent,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
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
    group: Name<'a>,
    #[serde(borrow)]
    resource: Name<'a>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct GroupKind<'a> {
    #[serde(borrow)]
    kind: Name<'a>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct UserInfo<'a> {
    #[serde(borrow)]
    username: Short<'a, LONGEST_USER>,
    groups: Option<Groups>,
}

type Name<'a> = Short<'a, LONGEST_NAME>;

/// The fields of a deletion's options that are read.
#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Options {
    grace_period_seconds: Option<i64>,
    propagation_policy: Option<Propagation>,
    /// The deprecated way to say `Orphan`.
    orphan_dependents: Option<bool>,
}

#[derive(Deserialize, PartialEq)]
enum Propagation {
    Orphan,
    #[serde(other)]
    Other,
}

impl Options {
    fn orphans(&self) -> bool {
        self.orphan_dependents.unwrap_or(false) || self.propagation_policy == Some(Propagation::Orphan)
    }
}

impl<'de> Deserialize<'de> for WireRequest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(RequestVisitor { is_any_order: false })
    }
}

impl<'de> Deserialize<'de> for AnyOrder {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(RequestVisitor { is_any_order: true }).map(Self)
    }
}

struct RequestVisitor {
    is_any_order: bool,
}

impl<'de> Visitor<'de> for RequestVisitor {
    type Value = WireRequest;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the request of an AdmissionReview")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<WireRequest, A::Error> {
        let mut partial = Partial { is_any_order: self.is_any_order, ..Partial::default() };
        while let Some(field) = map.next_key()? {
            partial.read(field, &mut map)?;
        }
        partial.finish()
    }
}

/// A request of which some fields have been read.
#[derive(Default)]
struct Partial<'de> {
    /// Whether `subResource` may still follow.
    is_any_order: bool,
    /// A bit for each field that has been read.
    seen: u16,
    uid: Option<Name<'de>>,
    operation: Option<Operation>,
    resource: Option<GroupResource<'de>>,
    sub_resource: Option<Name<'de>>,
    kind: Option<GroupKind<'de>>,
    namespace: Option<Name<'de>>,
    name: Option<Name<'de>>,
    user: Option<UserInfo<'de>>,
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
    fn read<A: MapAccess<'de>>(&mut self, field: Field, map: &mut A) -> Result<(), A::Error> {
        self.once(field)?;
        match field {
            Field::Uid => self.uid = map.next_value()?,
            Field::Kind => self.kind = map.next_value()?,
            Field::Resource => self.resource = map.next_value()?,
            Field::SubResource => {
                // Which sort of object it is has to be known before it is read.
                if [&self.object, &self.old_object]
                    .into_iter()
                    .any(|object| matches!(object, Pending::Read(_)))
                {
                    return Err(serde::de::Error::custom(SUB_RESOURCE_IS_LATE));
                }
                self.sub_resource = map.next_value()?;
            }
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

    /// If a field is there twice, each reader may take another one: the two webhooks, and an auditor of the request.
    fn once<E: serde::de::Error>(&mut self, field: Field) -> Result<(), E> {
        let bit = 1 << field as u16;
        if self.seen & bit != 0 && field != Field::Other {
            return Err(E::custom(format!("duplicate field: request.{field:?} is there twice")));
        }
        self.seen |= bit;
        Ok(())
    }

    /// The API server sends `resource` and `subResource` before the objects; another client need not.
    fn body<A: MapAccess<'de>>(&self, map: &mut A) -> Result<Pending<'de>, A::Error> {
        if self.resource.is_some() && (self.sub_resource.is_some() || !self.is_any_order) {
            Ok(Pending::Read(map.next_value_seed(BodyOf(self.what()))?))
        } else {
            Ok(Pending::Text(map.next_value()?))
        }
    }

    fn what(&self) -> Resource {
        let Some(GroupResource { group, resource }) = &self.resource else {
            return Resource::Other;
        };
        let sub_resource = self.sub_resource.as_ref().map_or("", Short::as_str);
        match (group.as_str(), resource.as_str(), sub_resource) {
            ("apps", "statefulsets", "") => Resource::StatefulSets,
            ("apps", "statefulsets", "scale") => Resource::Scale,
            ("apps", "deployments", "") => Resource::Deployments,
            ("apps", "deployments", "scale") => Resource::DeploymentScale,
            ("apps", "replicasets", "") => Resource::ReplicaSets,
            ("apps", "replicasets", "scale") => Resource::ReplicaSetScale,
            ("", "services", "") => Resource::Services,
            ("policy", "poddisruptionbudgets", "") => Resource::DisruptionBudgets,
            ("", "pods", "") => Resource::Pods,
            ("", "pods", "eviction") => Resource::Eviction,
            ("autoscaling", "horizontalpodautoscalers", "") => Resource::Autoscalers,
            ("keda.sh", "scaledobjects", "") => Resource::ScaledObjects,
            ("", "persistentvolumeclaims", "") => Resource::Claims,
            _ => Resource::Other,
        }
    }

    fn finish<E: serde::de::Error>(self) -> Result<WireRequest, E> {
        let resource = self.what();
        let UserInfo { username, groups } = self.user.unwrap_or_default();
        Ok(WireRequest {
            uid: self.uid.unwrap_or_default().into_string(),
            operation: self.operation.ok_or_else(|| E::missing_field("operation"))?,
            resource: if self.resource.is_some() {
                resource
            } else {
                return Err(E::missing_field("resource"));
            },
            kind: self.kind.unwrap_or_default().kind.into_string(),
            namespace: self.namespace.unwrap_or_default().into_box(),
            name: self.name.unwrap_or_default().into_box(),
            username: username.into_box(),
            groups: groups.unwrap_or_default().0,
            dry_run: self.dry_run.unwrap_or_default(),
            orphans: self.options.as_ref().is_some_and(Options::orphans),
            grace_period: self.options.and_then(|options| options.grace_period_seconds),
            object: self.object.into_body("object", resource)?,
            old_object: self.old_object.into_body("oldObject", resource)?,
        })
    }
}

impl Pending<'_> {
    fn into_body<E: serde::de::Error>(self, name: &str, what: Resource) -> Result<Body, E> {
        match self {
            Self::Absent => Ok(Body::Absent),
            Self::Read(body) => Ok(body),
            Self::Text(text) => {
                let mut deserializer = serde_json::Deserializer::from_str(text.get());
                let mut track = serde_path_to_error::Track::new();
                let traced = serde_path_to_error::Deserializer::new(&mut deserializer, &mut track);
                let body = BodyOf(what).deserialize(ObjectsOnly(traced));
                body.map_err(|error| {
                    let (path, error) = (track.path(), error.to_string());
                    // Such a review is refused, which its first words decide: the path has keys of the object.
                    E::custom(if error.starts_with(LIST_TOO_LONG) {
                        format!("{error} in {name}.{path}")
                    } else {
                        format!("{name}.{path}: {error}")
                    })
                })
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
            Resource::Scale | Resource::DeploymentScale | Resource::ReplicaSetScale => {
                object(deserializer)?.map(Body::Scale)
            }
            Resource::Deployments => workload(Kind::Deployment, deserializer)?,
            Resource::ReplicaSets => workload(Kind::ReplicaSet, deserializer)?,
            Resource::Services => object(deserializer)?.map(|service| Body::Service(Box::new(service))),
            Resource::DisruptionBudgets => {
                object(deserializer)?.map(|budget| Body::DisruptionBudget(Box::new(budget)))
            }
            Resource::Autoscalers => autoscaler(Kind::Autoscaler, deserializer)?,
            Resource::ScaledObjects => autoscaler(Kind::ScaledObject, deserializer)?,
            Resource::Pods => object(deserializer)?.map(|pod| Body::Pod(Box::new(pod))),
            Resource::Claims => object(deserializer)?.map(|claim| Body::Claim(Box::new(claim))),
            Resource::Eviction => object(deserializer)?.map(|eviction| Body::Eviction(Box::new(eviction))),
            Resource::Other => Option::<IgnoredAny>::deserialize(deserializer)?.map(|_| Body::Skipped),
        };
        Ok(body.unwrap_or(Body::Absent))
    }
}

fn workload<'de, D: Deserializer<'de>>(kind: Kind, deserializer: D) -> Result<Option<Body>, D::Error> {
    let found: Option<Workload> = object(deserializer)?;
    Ok(found.map(|workload| Body::Workload(Box::new(Workload { kind, ..workload }))))
}

fn autoscaler<'de, D: Deserializer<'de>>(kind: Kind, deserializer: D) -> Result<Option<Body>, D::Error> {
    let found: Option<Autoscaler> = object(deserializer)?;
    Ok(found.map(|scaler| Body::Autoscaler(Box::new(Autoscaler { kind, ..scaler }))))
}

/// An object or null. Left to itself, serde also takes a list for a struct.
fn object<'de, T: Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    struct ObjectOrNull<T>(PhantomData<T>);
    impl<'de, T: Deserialize<'de>> Visitor<'de> for ObjectOrNull<T> {
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
    deserializer.deserialize_any(ObjectOrNull(PhantomData))
}
