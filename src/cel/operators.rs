//! Operators on values.

use std::cmp::Ordering;

use super::ast::CelOperator;
use super::evaluate::Evaluated;
use super::value::{CelList, CelText, CelValue};
use super::{Failure, Meter};

pub(super) fn negate<'v>(value: &CelValue<'v>) -> Evaluated<'v> {
    match value {
        CelValue::Int(number) => number.checked_neg().map(CelValue::Int).ok_or_else(overflow),
        CelValue::Double(number) => Ok(CelValue::Double(-number)),
        other => Err(Failure::new(format!("`-` takes a number, not {}", other.kind()))),
    }
}

fn overflow() -> Failure {
    Failure::new("a whole number of 64 bits overflows")
}

pub(super) fn binary<'v>(
    operator: CelOperator,
    left: &CelValue<'v>,
    right: &CelValue<'v>,
    meter: &mut Meter,
) -> Evaluated<'v> {
    match operator {
        CelOperator::Equal => left.equals(right, meter).map(CelValue::Bool),
        CelOperator::NotEqual => left.equals(right, meter).map(|equal| CelValue::Bool(!equal)),
        CelOperator::In => contains(right, left, meter).map(CelValue::Bool),
        CelOperator::Less => compare(operator, left, right, meter, Ordering::is_lt),
        CelOperator::LessOrEqual => compare(operator, left, right, meter, Ordering::is_le),
        CelOperator::Greater => compare(operator, left, right, meter, Ordering::is_gt),
        CelOperator::GreaterOrEqual => compare(operator, left, right, meter, Ordering::is_ge),
        CelOperator::Add => add(left, right, meter),
        CelOperator::Subtract | CelOperator::Multiply | CelOperator::Divide | CelOperator::Remainder => {
            arithmetic(operator, left, right)
        }
    }
}

fn unsupported(operator: CelOperator, left: &CelValue<'_>, right: &CelValue<'_>) -> Failure {
    Failure::new(format!("`{}` does not work on {} and {}", operator.symbol(), left.kind(), right.kind()))
}

fn compare<'v>(
    operator: CelOperator,
    left: &CelValue<'v>,
    right: &CelValue<'v>,
    meter: &mut Meter,
    holds: impl Fn(Ordering) -> bool,
) -> Evaluated<'v> {
    let ordering = order(left, right, meter)?.ok_or_else(|| unsupported(operator, left, right))?;
    Ok(CelValue::Bool(holds(ordering)))
}

/// Sorts by the first of each pair, for what it costs. By merging, which bears with an order that contradicts itself: beyond 2⁵³ two
/// whole numbers may be equal to one double and not to each other.
pub(super) fn sorted<'v, T>(
    mut pairs: Vec<(CelValue<'v>, T)>,
    meter: &mut Meter,
) -> Result<Vec<(CelValue<'v>, T)>, Failure> {
    if pairs.len() < 2 {
        return Ok(pairs);
    }
    let mut merged = Vec::with_capacity(pairs.len());
    let right = sorted(pairs.split_off(pairs.len() / 2), meter)?;
    let (mut left, mut right) = (sorted(pairs, meter)?.into_iter().peekable(), right.into_iter().peekable());
    while let (Some((one, _)), Some((other, _))) = (left.peek(), right.peek()) {
        let ordering = order(one, other, meter)?.ok_or_else(unordered)?;
        merged.extend(if ordering.is_gt() { right.next() } else { left.next() });
    }
    merged.extend(left.chain(right));
    Ok(merged)
}

pub(super) fn unordered() -> Failure {
    Failure::new("the items of the list have no order")
}

/// How two values are ordered; `None` where they are not, as what is not a number.
pub(super) fn order(
    left: &CelValue<'_>,
    right: &CelValue<'_>,
    meter: &mut Meter,
) -> Result<Option<Ordering>, Failure> {
    meter.spend(1)?;
    Ok(match (left, right) {
        (CelValue::Text(one), CelValue::Text(other)) => {
            meter.spend_bytes(one.as_str().len().min(other.as_str().len()))?;
            Some(one.cmp(other))
        }
        (CelValue::Bool(one), CelValue::Bool(other)) => Some(one.cmp(other)),
        (CelValue::Duration(one), CelValue::Duration(other)) => Some(one.cmp(other)),
        (CelValue::Timestamp(one), CelValue::Timestamp(other)) => Some(one.order(*other)),
        (one, other) => one.compare_numbers(other),
    })
}

/// `value in container`
pub(super) fn contains<'v>(
    container: &CelValue<'v>,
    value: &CelValue<'v>,
    meter: &mut Meter,
) -> Result<bool, Failure> {
    match (container, value) {
        (CelValue::List(list), _) => {
            for item in list.iter() {
                if item.equals(value, meter)? {
                    return Ok(true);
                }
            }
            Ok(false)
        }
        (CelValue::Map(map), key) => {
            if let CelValue::Text(key) = key {
                meter.spend_bytes(key.as_str().len())?;
            }
            Ok(map.find(key).is_some())
        }
        _ => Err(unsupported(CelOperator::In, value, container)),
    }
}

fn add<'v>(left: &CelValue<'v>, right: &CelValue<'v>, meter: &mut Meter) -> Evaluated<'v> {
    match (left, right) {
        (CelValue::Text(one), CelValue::Text(other)) => concatenate(one, other, meter),
        (CelValue::List(one), CelValue::List(other)) => {
            meter.spend(one.len().saturating_add(other.len()))?;
            Ok(CelValue::List(CelList::Made(one.iter().chain(other.iter()).collect())))
        }
        _ => arithmetic(CelOperator::Add, left, right),
    }
}

fn concatenate<'v>(one: &CelText<'v>, other: &CelText<'v>, meter: &mut Meter) -> Evaluated<'v> {
    let (one, other) = (one.as_str(), other.as_str());
    meter.spend_bytes(one.len().saturating_add(other.len()))?;
    Ok(CelValue::text([one, other].concat()))
}

fn arithmetic<'v>(operator: CelOperator, left: &CelValue<'v>, right: &CelValue<'v>) -> Evaluated<'v> {
    match (left, right) {
        (CelValue::Int(one), CelValue::Int(other)) => whole(operator, *one, *other).map(CelValue::Int),
        (CelValue::Double(one), CelValue::Double(other)) => match operator {
            CelOperator::Add => Ok(CelValue::Double(one + other)),
            CelOperator::Subtract => Ok(CelValue::Double(one - other)),
            CelOperator::Multiply => Ok(CelValue::Double(one * other)),
            CelOperator::Divide => Ok(CelValue::Double(one / other)),
            _ => Err(unsupported(operator, left, right)),
        },
        _ => times(operator, left, right).unwrap_or_else(|| Err(unsupported(operator, left, right))),
    }
}

/// Sums and differences of times and durations.
fn times<'v>(operator: CelOperator, left: &CelValue<'v>, right: &CelValue<'v>) -> Option<Evaluated<'v>> {
    let time = |moment: Option<_>| moment.map(CelValue::Timestamp);
    let found = match (operator, left, right) {
        (CelOperator::Add, CelValue::Duration(one), CelValue::Duration(other)) => {
            one.plus(*other).map(CelValue::Duration)
        }
        (CelOperator::Subtract, CelValue::Duration(one), CelValue::Duration(other)) => {
            one.minus(*other).map(CelValue::Duration)
        }
        (CelOperator::Add, CelValue::Timestamp(moment), CelValue::Duration(span))
        | (CelOperator::Add, CelValue::Duration(span), CelValue::Timestamp(moment)) => {
            time(moment.plus(*span))
        }
        (CelOperator::Subtract, CelValue::Timestamp(moment), CelValue::Duration(span)) => {
            time(moment.minus(*span))
        }
        (CelOperator::Subtract, CelValue::Timestamp(one), CelValue::Timestamp(other)) => {
            one.since(*other).map(CelValue::Duration)
        }
        _ => return None,
    };
    Some(found.ok_or_else(|| Failure::new("the duration or the time is beyond what there is")))
}

fn whole(operator: CelOperator, one: i64, other: i64) -> Result<i64, Failure> {
    let divides = matches!(operator, CelOperator::Divide | CelOperator::Remainder);
    if divides && other == 0 {
        return Err(Failure::new("a division by zero"));
    }
    let result = match operator {
        CelOperator::Add => one.checked_add(other),
        CelOperator::Subtract => one.checked_sub(other),
        CelOperator::Multiply => one.checked_mul(other),
        CelOperator::Divide => one.checked_div(other),
        _ => one.checked_rem(other),
    };
    result.ok_or_else(overflow)
}
