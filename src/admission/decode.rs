//! From the bytes of a review to a change, in one pass.

use serde::Deserialize;

use super::bounded::LONGEST_NAME;
use super::depth::{MAX_DEPTH, is_too_deep};
use super::request::{Operation, Request, Resource};
use super::wire::{AnyOrder, Body, Review, SUB_RESOURCE_IS_LATE, WireRequest};
use super::{json, texts};
use crate::change::{Action, Change, ObjectChange, PodDeletion, Requester, WorkloadScale};
use crate::model::{Kind, LIST_TOO_LONG, Metadata, ObjectsOnly, Scale, cut, may_be_object, printable};
use crate::policy::Policies;

/// Why a body is no review. Each says what to send instead.
#[derive(Debug, thiserror::Error)]
pub enum Invalid {
    /// Not JSON, or of other types than a review has.
    #[error("the body is not an AdmissionReview: {0}")]
    Malformed(String),
    /// Empty, a list, a string, or no JSON at all.
    #[error("the body is not a JSON object; send an AdmissionReview, apiVersion admission.k8s.io/v1")]
    NotAnObject,
    /// JSON that is nested absurdly.
    #[error("the body is nested more than {MAX_DEPTH} levels deep")]
    TooDeep,
    /// Another kind of object.
    #[error(
        "the body is apiVersion {api_version:?}, kind {kind:?}; send apiVersion admission.k8s.io/v1, kind AdmissionReview"
    )]
    NotAReview {
        /// The error message.
        api_version: String,
        /// The error message.
        kind: String,
    },
    /// A review without a question.
    #[error("the AdmissionReview has no request")]
    NoRequest,
    /// Without it the answer could not be matched.
    #[error("request.uid is missing or empty")]
    NoUid,
    /// No object in Kubernetes is named like this.
    #[error("metadata.name or metadata.namespace is longer than {LONGEST_NAME} bytes")]
    LongName,
    /// The operation needs an object that is not there.
    #[error("a review of {0} needs request.{1}")]
    NoObject(&'static str, &'static str),
}

/// Reads one review.
pub fn decode(body: &[u8]) -> Result<Request, Invalid> {
    if is_too_deep(body) {
        return Err(Invalid::TooDeep);
    }
    // One look at the whole body saves one at each string.
    let text = std::str::from_utf8(body)
        .map_err(|error| Invalid::Malformed(format!("byte {} is not UTF-8", error.valid_up_to())))?;
    let review: Result<Review<'_>, _> = json::from_str(text).or_else(|json::GaveUp| read(text));
    match review {
        Ok(review) => checked(review)?.into_request(),
        Err(error) => in_any_order(text, &error),
    }
}

/// Reads a review that cannot be read as the API server writes it: an object of a `subResource` that follows is taken for another.
fn in_any_order(text: &str, error: &serde_json::Error) -> Result<Request, Invalid> {
    match read::<AnyOrder>(text) {
        Ok(review) => checked(review)?.into_request(),
        // An error begins with its own words, and what it quotes of the body comes after.
        Err(other) if error.to_string().starts_with(SUB_RESOURCE_IS_LATE) => unread::<AnyOrder>(text, &other),
        Err(_) => unread::<WireRequest>(text, error),
    }
}

fn read<'a, R: Deserialize<'a>>(text: &'a str) -> Result<Review<'a, R>, serde_json::Error> {
    let mut json = serde_json::Deserializer::from_str(text);
    let review = Review::deserialize(ObjectsOnly(&mut json))?;
    json.end()?;
    Ok(review)
}

/// Reads one review, with all fields of a StatefulSet where the policies' checks read them.
pub fn decode_for(body: &[u8], policies: &Policies) -> Result<Request, Invalid> {
    let mut request = decode(body)?;
    if policies.read_raw_sets() && matches!(request.change.action, Action::StatefulSet(_)) {
        request.change.raw = texts::raw_objects(body).map(Box::new);
    }
    Ok(request)
}

/// The request of a review, if it is one.
fn checked<R: Into<WireRequest>>(review: Review<'_, R>) -> Result<WireRequest, Invalid> {
    if review.kind != "AdmissionReview" || review.api_version != "admission.k8s.io/v1" {
        let [api_version, kind] =
            [review.api_version, review.kind].map(|text| cut(text.into_owned(), LONGEST_NAME));
        return Err(Invalid::NotAReview { api_version, kind });
    }
    review.request.map(Into::into).ok_or(Invalid::NoRequest)
}

/// The answer to a review that cannot be read as a whole.
fn unread<'a, R: Deserialize<'a>>(text: &'a str, error: &serde_json::Error) -> Result<Request, Invalid> {
    if !may_be_object(text.as_bytes()) {
        return Err(Invalid::NotAnObject);
    }
    let MalformedBody { message, cause } = malformed::<R>(text, error);
    // A list that is too long is refused: the API server might take the object, and it would pass unjudged.
    let is_refused = cause.starts_with(LIST_TOO_LONG);
    let rest = if is_refused { None } else { without_objects(text, &message) };
    rest.ok_or(Invalid::Malformed(message))
}

/// Why a body cannot be read.
struct MalformedBody {
    /// With the path of the field. It may quote the body.
    message: String,
    /// Without it: it begins with the words of the error itself.
    cause: String,
}

/// Reads a review whose objects have a field of another type or form than Kubernetes', without the objects. An answer
/// other than "allowed" would hide the API server's own message from the person who made the mistake.
fn without_objects(text: &str, message: &str) -> Option<Request> {
    let reason = message.strip_prefix("request.").or(message.strip_prefix("request: "))?;
    if !reason.starts_with("object.") && !reason.starts_with("oldObject.") {
        return None;
    }
    let mut review: serde_json::Value = serde_json::from_str(text).ok()?;
    let request = review.get_mut("request")?.as_object_mut()?;
    for object in ["object", "oldObject"] {
        if let Some(object) = request.get_mut(object).filter(|object| object.is_object()) {
            *object = serde_json::Value::Object(serde_json::Map::new());
        }
    }
    let rest = serde_json::to_vec(&review).ok()?;
    let mut request =
        checked::<WireRequest>(serde_json::from_slice(&rest).ok()?).ok()?.into_request().ok()?;
    request.change.action = Action::Other;
    request.unread = Some(format!("not judged by stateward: {}", printable(reason)));
    Some(request)
}

/// Reads the body again, only to say where it is wrong.
fn malformed<'a, R: Deserialize<'a>>(text: &'a str, error: &serde_json::Error) -> MalformedBody {
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let traced: Result<Review<'a, R>, _> = serde_path_to_error::deserialize(ObjectsOnly(&mut deserializer));
    let (message, cause) = match traced {
        Err(traced) if traced.path().iter().next().is_some() => {
            (traced.to_string(), traced.inner().to_string())
        }
        _ => (error.to_string(), error.to_string()),
    };
    MalformedBody { message: cut(message, LONGEST_ERROR), cause }
}

/// It may quote the body.
pub(super) const LONGEST_ERROR: usize = 1024;

impl WireRequest {
    fn into_request(self) -> Result<Request, Invalid> {
        if self.uid.is_empty() {
            return Err(Invalid::NoUid);
        }
        let (mut old, mut new) = (self.old_object, self.object);
        let metadata = [new.metadata(), old.metadata()].into_iter().flatten();
        if metadata.flat_map(|it| [&it.name, &it.namespace]).any(|name| name.len() > LONGEST_NAME) {
            return Err(Invalid::LongName);
        }
        let name =
            [new.metadata(), old.metadata()].into_iter().flatten().map(|metadata| metadata.name.clone());
        let name = Some(self.name).into_iter().chain(name).find(|name| !name.is_empty()).unwrap_or_default();
        let metadata = old.metadata().or(new.metadata());
        let object_uid = metadata.map(|metadata| metadata.uid.clone()).unwrap_or_default();
        let dry_run = self.dry_run || matches!(&new, Body::Eviction(eviction) if eviction.is_dry_run());
        let is_creation = self.operation == Operation::Create;
        let is_name_generated =
            is_creation && new.metadata().is_some_and(|metadata| !metadata.generate_name.is_empty());
        for body in [&mut old, &mut new] {
            body.belong_to(&self.namespace, &name, is_creation);
        }
        Ok(Request {
            uid: self.uid,
            operation: self.operation,
            resource: self.resource,
            kind: self.kind,
            namespace: self.namespace.into(),
            name: name.into(),
            is_name_generated,
            object_uid,
            change: Change {
                action: action(self.operation, self.resource, old, new, self.grace_period)?,
                requester: Requester { username: self.username, groups: self.groups },
                dry_run,
                orphans: self.orphans,
                raw: None,
                has_all_objects: false,
            },
            unread: None,
        })
    }
}

impl Body {
    fn metadata(&self) -> Option<&Metadata> {
        match self {
            Self::StatefulSet(set) => Some(&set.metadata),
            Self::Scale(scale) => Some(&scale.metadata),
            Self::Workload(workload) => Some(&workload.metadata),
            Self::Service(service) => Some(&service.metadata),
            Self::DisruptionBudget(budget) => Some(&budget.metadata),
            Self::Autoscaler(scaler) => Some(&scaler.metadata),
            Self::Pod(pod) => Some(&pod.metadata),
            Self::Claim(claim) => Some(&claim.metadata),
            Self::Eviction(eviction) => Some(&eviction.metadata),
            Self::Skipped | Self::Absent => None,
        }
    }

    /// The request's namespace and name hold where the object leaves them out. What exists keeps the name that was generated.
    fn belong_to(&mut self, namespace: &str, name: &str, is_creation: bool) {
        let metadata = match self {
            Self::StatefulSet(set) => &mut set.metadata,
            Self::Scale(scale) => &mut scale.metadata,
            Self::Workload(workload) => &mut workload.metadata,
            Self::Service(service) => &mut service.metadata,
            Self::DisruptionBudget(budget) => &mut budget.metadata,
            Self::Autoscaler(scaler) => &mut scaler.metadata,
            Self::Pod(pod) => &mut pod.metadata,
            Self::Claim(claim) => &mut claim.metadata,
            Self::Eviction(eviction) => &mut eviction.metadata,
            Self::Skipped | Self::Absent => return,
        };
        if !is_creation {
            metadata.generate_name = Box::default();
        }
        if metadata.namespace.is_empty() {
            metadata.namespace = namespace.into();
        }
        if metadata.name.is_empty() {
            metadata.name = name.into();
        }
    }
}

fn action(
    operation: Operation,
    resource: Resource,
    old: Body,
    new: Body,
    grace_period: Option<i64>,
) -> Result<Action, Invalid> {
    match (operation, old, new) {
        (Operation::Create | Operation::Update, _, Body::Absent) => {
            Err(Invalid::NoObject(operation.name(), "object"))
        }
        (Operation::Update | Operation::Delete, Body::Absent, _) => {
            Err(Invalid::NoObject(operation.name(), "oldObject"))
        }
        (Operation::Create, _, Body::StatefulSet(new)) => Ok(Action::StatefulSet(ObjectChange::Create(*new))),
        (Operation::Update, Body::StatefulSet(old), Body::StatefulSet(new)) => {
            Ok(Action::StatefulSet(ObjectChange::Update { old: *old, new: *new }))
        }
        (Operation::Delete, Body::StatefulSet(old), _) => Ok(Action::StatefulSet(ObjectChange::Delete(*old))),
        (Operation::Update, Body::Scale(old), Body::Scale(new)) => Ok(scale(resource, &old, new)),
        (Operation::Create, _, Body::Workload(new)) => Ok(Action::Workload(ObjectChange::Create(*new))),
        (Operation::Update, Body::Workload(old), Body::Workload(new)) => {
            Ok(Action::Workload(ObjectChange::Update { old: *old, new: *new }))
        }
        (Operation::Create, _, Body::Service(new)) => Ok(Action::Service(ObjectChange::Create(*new))),
        (Operation::Update, Body::Service(old), Body::Service(new)) => {
            Ok(Action::Service(ObjectChange::Update { old: *old, new: *new }))
        }
        (Operation::Delete, Body::Service(old), _) => Ok(Action::Service(ObjectChange::Delete(*old))),
        (Operation::Create, _, Body::DisruptionBudget(new)) => {
            Ok(Action::DisruptionBudget(ObjectChange::Create(*new)))
        }
        (Operation::Update, Body::DisruptionBudget(old), Body::DisruptionBudget(new)) => {
            Ok(Action::DisruptionBudget(ObjectChange::Update { old: *old, new: *new }))
        }
        (Operation::Delete, Body::DisruptionBudget(old), _) => {
            Ok(Action::DisruptionBudget(ObjectChange::Delete(*old)))
        }
        (Operation::Create, _, Body::Autoscaler(new)) => Ok(Action::Autoscaler(ObjectChange::Create(*new))),
        (Operation::Update, Body::Autoscaler(old), Body::Autoscaler(new)) => {
            Ok(Action::Autoscaler(ObjectChange::Update { old: *old, new: *new }))
        }
        (Operation::Delete, Body::Claim(claim), _) => Ok(Action::ClaimDeletion(*claim)),
        (Operation::Create, _, Body::Eviction(eviction)) => Ok(Action::Eviction(*eviction)),
        (Operation::Create, _, Body::Pod(pod)) => Ok(Action::PodCreation(*pod)),
        (Operation::Delete, Body::Pod(pod), _) => {
            Ok(Action::PodDeletion(PodDeletion { pod: *pod, grace_period }))
        }
        _ => Ok(Action::Other),
    }
}

fn scale(resource: Resource, old: &Scale, new: Scale) -> Action {
    let (namespace, name) = (new.metadata.namespace, new.metadata.name);
    let (old, new) = (old.spec.replicas, new.spec.replicas);
    let kind = match resource {
        Resource::DeploymentScale => Kind::Deployment,
        Resource::ReplicaSetScale => Kind::ReplicaSet,
        _ => return Action::Scale { namespace, name, old, new },
    };
    Action::WorkloadScale(WorkloadScale { kind, namespace, name, old, new })
}
