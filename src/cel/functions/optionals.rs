//! Optional values.

use std::rc::Rc;

use super::super::Failure;
use super::super::value::CelValue;
use super::{ArgumentKind, Call, Evaluated, Function, Gives, global, method};

const ONE: &[ArgumentKind] = &[ArgumentKind::Optional];

pub(super) const TABLE: &[Function] = &[
    global("optional.of", &[ArgumentKind::Any], Gives::OptionalFirst, |call| Ok(some(argument(call, 0)))),
    global("optional.none", &[], Gives::OptionalFirst, |_| Ok(CelValue::Optional(None))),
    global("optional.ofNonZeroValue", &[ArgumentKind::Any], Gives::OptionalFirst, |call| {
        let value = argument(call, 0);
        Ok(if is_zero(&value) { CelValue::Optional(None) } else { some(value) })
    }),
    global("optional.unwrap", &[ArgumentKind::List], Gives::Held, unwrap),
    method("unwrapOpt", &[ArgumentKind::List], Gives::Held, unwrap),
    method("hasValue", ONE, Gives::Bool, |call| Ok(CelValue::Bool(held(call).is_some()))),
    method("value", ONE, Gives::Inner, |call| {
        held(call).ok_or_else(|| Failure::new("the optional is empty"))
    }),
    method("orValue", &[ArgumentKind::Optional, ArgumentKind::Any], Gives::Inner, |call| {
        Ok(held(call).unwrap_or_else(|| argument(call, 1)))
    }),
    method("or", &[ArgumentKind::Optional, ArgumentKind::Optional], Gives::First, |call| {
        Ok(argument(call, usize::from(held(call).is_none())))
    }),
];

fn argument<'v>(call: &Call<'_, 'v>, index: usize) -> CelValue<'v> {
    call.args.get(index).cloned().unwrap_or(CelValue::Null)
}

fn some(value: CelValue<'_>) -> CelValue<'_> {
    CelValue::Optional(Some(Rc::new(value)))
}

fn held<'v>(call: &Call<'_, 'v>) -> Option<CelValue<'v>> {
    match call.args.first() {
        Some(CelValue::Optional(Some(value))) => Some((**value).clone()),
        _ => None,
    }
}

/// The values of the optionals of a list that have one.
fn unwrap<'v>(call: &mut Call<'_, 'v>) -> Evaluated<'v> {
    let mut held = Vec::new();
    for item in call.items(0)? {
        match item {
            CelValue::Optional(value) => held.extend(value.map(|value| (*value).clone())),
            other => return Err(Failure::new(format!("expected an optional, found {}", other.kind()))),
        }
    }
    Ok(CelValue::list(held))
}

fn is_zero(value: &CelValue<'_>) -> bool {
    match value {
        CelValue::Null | CelValue::Bool(false) | CelValue::Int(0) => true,
        CelValue::Double(number) => *number == 0.0,
        CelValue::Text(text) => text.as_str().is_empty(),
        CelValue::Duration(span) => span.0 == 0,
        CelValue::List(list) => list.is_empty(),
        CelValue::Map(map) => map.capacity() == 0,
        _ => false,
    }
}
