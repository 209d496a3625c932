//! The admission protocol: the bytes of a review to a [`Change`](crate::change::Change), a
//! [`Verdict`] or a [`Mutation`](crate::mutate::Mutation) to the bytes of the answer. Pure; `serve` and `review` both come
//! through here.

mod bounded;
mod decode;
mod depth;
mod encode;
mod json;
mod mutate;
mod request;
mod texts;
mod wire;

use jiff::Timestamp;

use crate::cluster::Cluster;
use crate::evaluate::evaluate;
use crate::policy::Policies;
use crate::verdict::Verdict;
pub use decode::{Invalid, decode, decode_for};
pub use encode::{encode, encode_mutation};
pub use mutate::{Mutated, mutate_review};
pub use request::{Operation, Request, Resource};

/// A review and what became of it.
#[derive(Debug)]
pub struct Reviewed {
    /// The request.
    pub request: Request,
    /// The findings.
    pub verdict: Verdict,
    /// The answer, as JSON.
    pub body: Vec<u8>,
}

/// Decodes a review, judges it and encodes the answer.
pub fn review(
    body: &[u8],
    cluster: &Cluster,
    policies: &Policies,
    now: Timestamp,
) -> Result<Reviewed, Invalid> {
    let request = decode_for(body, policies)?;
    let verdict = evaluate(&request.change, cluster, policies, now);
    let body = encode(&request, &verdict);
    Ok(Reviewed { request, verdict, body })
}
