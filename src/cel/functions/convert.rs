//! Sizes, types and conversions.

#![allow(clippy::unnecessary_wraps, reason = "the table wants functions that can fail")]

use super::super::value::CelValue;
use super::super::{Failure, numbers, quantity::Quantity};
use super::{ArgumentKind, Call, Evaluated, Function, Gives, Style, global};

pub(super) const TABLE: &[Function] = &[
    Function { style: Style::Either, ..global("size", &[ArgumentKind::Text], Gives::Int, size) },
    Function { style: Style::Either, ..global("size", &[ArgumentKind::List], Gives::Int, size) },
    Function { style: Style::Either, ..global("size", &[ArgumentKind::Map], Gives::Int, size) },
    global("type", &[ArgumentKind::Any], Gives::Kind, kind),
    global("dyn", &[ArgumentKind::Any], Gives::Dyn, same),
    global("int", &[ArgumentKind::Int], Gives::Int, same),
    global("int", &[ArgumentKind::Double], Gives::Int, int_of_double),
    global("int", &[ArgumentKind::Text], Gives::Int, int_of_text),
    global("double", &[ArgumentKind::Double], Gives::Double, same),
    global("double", &[ArgumentKind::Int], Gives::Double, double_of_int),
    global("double", &[ArgumentKind::Text], Gives::Double, double_of_text),
    global("bool", &[ArgumentKind::Bool], Gives::Bool, same),
    global("bool", &[ArgumentKind::Text], Gives::Bool, bool_of_text),
    global("string", &[ArgumentKind::Text], Gives::Text, same),
    global("string", &[ArgumentKind::Int], Gives::Text, string),
    global("string", &[ArgumentKind::Double], Gives::Text, string),
    global("string", &[ArgumentKind::Bool], Gives::Text, string),
    global("string", &[ArgumentKind::Duration], Gives::Text, string),
    global("string", &[ArgumentKind::Timestamp], Gives::Text, string),
    global("string", &[ArgumentKind::Address], Gives::Text, string),
    global("string", &[ArgumentKind::Block], Gives::Text, string),
    global("quantity", &[ArgumentKind::Text], Gives::Quantity, quantity),
    global("quantity", &[ArgumentKind::Int], Gives::Quantity, quantity_of_int),
    global("isQuantity", &[ArgumentKind::Text], Gives::Bool, is_quantity),
];

fn first<'v>(call: &Call<'_, 'v>) -> CelValue<'v> {
    call.args.first().cloned().unwrap_or(CelValue::Null)
}

fn same<'v>(call: &mut Call<'_, 'v>) -> Evaluated<'v> {
    Ok(first(call))
}

fn kind<'v>(call: &mut Call<'_, 'v>) -> Evaluated<'v> {
    Ok(CelValue::Kind(first(call).kind()))
}

fn size<'v>(call: &mut Call<'_, 'v>) -> Evaluated<'v> {
    let size = match first(call) {
        CelValue::Text(text) => {
            call.meter.spend_bytes(text.as_str().len())?;
            text.as_str().chars().count()
        }
        CelValue::List(list) => list.len(),
        CelValue::Map(map) => {
            call.meter.spend(map.capacity())?;
            map.keys().len()
        }
        _ => 0,
    };
    Ok(CelValue::Int(i64::try_from(size).unwrap_or(i64::MAX)))
}

#[expect(clippy::cast_possible_truncation, reason = "the range is looked at")]
fn int_of_double<'v>(call: &mut Call<'_, 'v>) -> Evaluated<'v> {
    let CelValue::Double(number) = first(call) else { return Ok(CelValue::Int(0)) };
    if number > -9_223_372_036_854_775_808.0 && number < 9_223_372_036_854_775_808.0 {
        return Ok(CelValue::Int(number as i64));
    }
    Err(Failure::new("not a whole number of 64 bits"))
}

fn int_of_text<'v>(call: &mut Call<'_, 'v>) -> Evaluated<'v> {
    call.text(0).parse().map(CelValue::Int).map_err(|_| Failure::new("the text is not a whole number"))
}

#[expect(clippy::cast_precision_loss, reason = "asked for")]
fn double_of_int<'v>(call: &mut Call<'_, 'v>) -> Evaluated<'v> {
    Ok(CelValue::Double(call.int(0).unwrap_or_default() as f64))
}

fn double_of_text<'v>(call: &mut Call<'_, 'v>) -> Evaluated<'v> {
    // Hexadecimal and underscores, which Go takes as well, do not occur in manifests.
    call.text(0).parse().map(CelValue::Double).map_err(|_| Failure::new("the text is not a number"))
}

fn bool_of_text<'v>(call: &mut Call<'_, 'v>) -> Evaluated<'v> {
    match call.text(0) {
        "true" | "True" | "TRUE" | "t" | "T" | "1" => Ok(CelValue::Bool(true)),
        "false" | "False" | "FALSE" | "f" | "F" | "0" => Ok(CelValue::Bool(false)),
        _ => Err(Failure::new("the text is neither true nor false")),
    }
}

fn string<'v>(call: &mut Call<'_, 'v>) -> Evaluated<'v> {
    Ok(match first(call) {
        CelValue::Int(number) => CelValue::text(number.to_string()),
        CelValue::Double(number) => CelValue::text(numbers::shortest(number)),
        CelValue::Bool(value) => CelValue::text(value.to_string()),
        CelValue::Duration(span) => CelValue::text(span.to_string()),
        CelValue::Timestamp(moment) => CelValue::text(moment.to_string()),
        CelValue::Address(address) => CelValue::text(address.to_string()),
        CelValue::Block(block) => CelValue::text(block.to_string()),
        other => other,
    })
}

fn quantity<'v>(call: &mut Call<'_, 'v>) -> Evaluated<'v> {
    let quantity = Quantity::parse(call.text(0)).map(CelValue::Quantity);
    quantity.ok_or_else(|| Failure::new("the text is not a quantity, such as 10Gi"))
}

fn quantity_of_int<'v>(call: &mut Call<'_, 'v>) -> Evaluated<'v> {
    Ok(CelValue::Quantity(Quantity::of(call.int(0).unwrap_or_default())))
}

fn is_quantity<'v>(call: &mut Call<'_, 'v>) -> Evaluated<'v> {
    Ok(CelValue::Bool(Quantity::parse(call.text(0)).is_some()))
}
