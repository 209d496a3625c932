//! The objects of a review as they were sent. Only few reviews need more of them than the models keep.

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::Invalid;
use super::decode::LONGEST_ERROR;
use crate::change::RawObjects;
use crate::model::cut;

/// The JSON texts of both objects.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Texts<'a> {
    #[serde(borrow)]
    pub(super) object: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) old_object: Option<&'a RawValue>,
}

impl<'a> Texts<'a> {
    pub(super) fn read(body: &'a [u8]) -> Result<Self, Invalid> {
        #[derive(Deserialize)]
        struct ReviewTexts<'a> {
            #[serde(borrow)]
            request: Texts<'a>,
        }
        let review: Result<ReviewTexts<'_>, _> = serde_json::from_slice(body);
        review
            .map(|review| review.request)
            .map_err(|error| Invalid::Malformed(cut(error.to_string(), LONGEST_ERROR)))
    }
}

/// An object, or null where there is none.
pub(super) fn parsed(text: Option<&RawValue>) -> Value {
    text.and_then(|text| serde_json::from_str(text.get()).ok()).unwrap_or_default()
}

/// The largest StatefulSet that checks read, in bytes: etcd takes no larger one.
const LARGEST_RAW: usize = 3 << 19;

/// The objects of a review that has been decoded, for checks.
pub(super) fn raw_objects(body: &[u8]) -> Option<RawObjects> {
    let Texts { object, old_object } = Texts::read(body).ok()?;
    let (object, old_object) = (object?.get(), old_object.map(RawValue::get));
    if object.len().max(old_object.map_or(0, str::len)) > LARGEST_RAW {
        return Some(RawObjects::too_large());
    }
    let old = old_object.map(serde_json::from_str).transpose().ok()?;
    Some(RawObjects::new(old, serde_json::from_str(object).ok()?))
}
