//! The answer of the mutating webhook.

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::decode::LONGEST_ERROR;
use super::{Invalid, Request, decode, encode_mutation};
use crate::cluster::Cluster;
use crate::model::cut;
use crate::mutate::{Mutation, mutate, patch};
use crate::policy::Policies;

/// A review and what is filled in.
#[derive(Debug)]
pub struct Mutated {
    /// What was asked.
    pub request: Request,
    /// What is added, and what was said.
    pub mutation: Mutation,
    /// The answer, as JSON.
    pub body: Vec<u8>,
}

/// Decodes a review, says what is to be filled in and encodes the answer.
pub fn mutate_review(body: &[u8], cluster: &Cluster, policies: &Policies) -> Result<Mutated, Invalid> {
    let request = decode(body)?;
    let mutation = mutate(&request.change, cluster, policies, || template_changes(body));
    let patch = match mutation.additions.as_slice() {
        [] => None,
        additions => Some(patch(Texts::read(body)?.object(), additions)).filter(|patch| !patch.0.is_empty()),
    };
    let body = encode_mutation(&request, &mutation, patch.as_ref());
    Ok(Mutated { request, mutation, body })
}

/// The objects as they were sent: a patch is about all of one, of which little else is read. Only few reviews need it.
#[derive(Deserialize)]
struct Texts<'a> {
    #[serde(borrow)]
    request: Objects<'a>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Objects<'a> {
    #[serde(borrow)]
    object: Option<&'a RawValue>,
    #[serde(borrow)]
    old_object: Option<&'a RawValue>,
}

impl<'a> Texts<'a> {
    fn read(body: &'a [u8]) -> Result<Self, Invalid> {
        serde_json::from_slice(body)
            .map_err(|error| Invalid::Malformed(cut(error.to_string(), LONGEST_ERROR)))
    }

    fn object(&self) -> Value {
        parsed(self.request.object)
    }
}

fn parsed(text: Option<&RawValue>) -> Value {
    text.and_then(|text| serde_json::from_str(text.get()).ok()).unwrap_or_default()
}

/// Whether an update says anything else of the pods than what they are made from now. What cannot be read counts as the same:
/// then nothing is restarted.
fn template_changes(body: &[u8]) -> bool {
    let Ok(Texts { request }) = Texts::read(body) else { return false };
    let template = |text| parsed(text).pointer("/spec/template").cloned();
    template(request.object) != template(request.old_object)
}
