//! The answer of the mutating webhook.

use super::texts::{Texts, parsed};
use super::{Invalid, Request, decode, encode_mutation};
use crate::cluster::Cluster;
use crate::mutate::{Mutation, mutate, patch};
use crate::policy::Policies;

/// A review and what is filled in.
#[derive(Debug)]
pub struct Mutated {
    /// The request.
    pub request: Request,
    /// The additions, and the warnings.
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
        additions => {
            Some(patch(parsed(Texts::read(body)?.object), additions)).filter(|patch| !patch.0.is_empty())
        }
    };
    let body = encode_mutation(&request, &mutation, patch.as_ref());
    Ok(Mutated { request, mutation, body })
}

/// Whether an update says anything else of the pods than what they are made from now. What cannot be read counts as the same:
/// then nothing is restarted.
fn template_changes(body: &[u8]) -> bool {
    let Ok(texts) = Texts::read(body) else { return false };
    let template = |text| parsed(text).pointer("/spec/template").cloned();
    template(texts.object) != template(texts.old_object)
}
