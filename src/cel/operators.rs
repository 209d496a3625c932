//! Operators on values.

use std::cmp::Ordering;

use super::ast::Operator;
use super::evaluate::Evaluated;
use super::value::{List, Text, Value};
use super::{Failure, Meter};

pub(super) fn negate<'v>(value: &Value<'v>) -> Evaluated<'v> {
    match value {
        Value::Int(number) => number.checked_neg().map(Value::Int).ok_or_else(overflow),
        Value::Double(number) => Ok(Value::Double(-number)),
        other => Err(Failure::new(format!("`-` takes a number, not {}", other.kind()))),
    }
}

fn overflow() -> Failure {
    Failure::new("a whole number of 64 bits overflows")
}

pub(super) fn binary<'v>(
    operator: Operator,
    left: &Value<'v>,
    right: &Value<'v>,
    meter: &mut Meter,
) -> Evaluated<'v> {
    match operator {
        Operator::Equal => left.equals(right, meter).map(Value::Bool),
        Operator::NotEqual => left.equals(right, meter).map(|equal| Value::Bool(!equal)),
        Operator::In => contains(right, left, meter).map(Value::Bool),
        Operator::Less => compare(operator, left, right, meter, Ordering::is_lt),
        Operator::LessOrEqual => compare(operator, left, right, meter, Ordering::is_le),
        Operator::Greater => compare(operator, left, right, meter, Ordering::is_gt),
        Operator::GreaterOrEqual => compare(operator, left, right, meter, Ordering::is_ge),
        Operator::Add => add(left, right, meter),
        Operator::Subtract | Operator::Multiply | Operator::Divide | Operator::Remainder => {
            arithmetic(operator, left, right)
        }
    }
}

fn unsupported(operator: Operator, left: &Value<'_>, right: &Value<'_>) -> Failure {
    Failure::new(format!("`{}` does not work on {} and {}", operator.symbol(), left.kind(), right.kind()))
}

fn compare<'v>(
    operator: Operator,
    left: &Value<'v>,
    right: &Value<'v>,
    meter: &mut Meter,
    holds: impl Fn(Ordering) -> bool,
) -> Evaluated<'v> {
    let is_number = |value: &Value<'_>| matches!(value, Value::Int(_) | Value::Double(_));
    match order(left, right, meter)? {
        Some(ordering) => Ok(Value::Bool(holds(ordering))),
        // Not a number is neither less nor more.
        None if is_number(left) && is_number(right) => Ok(Value::Bool(false)),
        None => Err(unsupported(operator, left, right)),
    }
}

/// How two values are ordered; `None` where they are not.
pub(super) fn order(
    left: &Value<'_>,
    right: &Value<'_>,
    meter: &mut Meter,
) -> Result<Option<Ordering>, Failure> {
    Ok(match (left, right) {
        (Value::Text(one), Value::Text(other)) => {
            meter.spend_bytes(one.as_str().len().min(other.as_str().len()))?;
            Some(one.cmp(other))
        }
        (Value::Bool(one), Value::Bool(other)) => Some(one.cmp(other)),
        (Value::Quantity(one), Value::Quantity(other)) => Some(one.cmp(other)),
        (one, other) => one.compare_numbers(other),
    })
}

/// `value in container`
pub(super) fn contains(container: &Value<'_>, value: &Value<'_>, meter: &mut Meter) -> Result<bool, Failure> {
    match (container, value) {
        (Value::List(list), _) => {
            for item in list.iter() {
                if item.equals(value, meter)? {
                    return Ok(true);
                }
            }
            Ok(false)
        }
        (Value::Map(map), Value::Text(key)) => {
            meter.spend_bytes(key.as_str().len())?;
            Ok(map.get(key.as_str()).is_some())
        }
        _ => Err(unsupported(Operator::In, value, container)),
    }
}

fn add<'v>(left: &Value<'v>, right: &Value<'v>, meter: &mut Meter) -> Evaluated<'v> {
    match (left, right) {
        (Value::Text(one), Value::Text(other)) => concatenate(one, other, meter),
        (Value::List(one), Value::List(other)) => {
            meter.spend(one.len().saturating_add(other.len()))?;
            Ok(Value::List(List::Made(one.iter().chain(other.iter()).collect())))
        }
        _ => arithmetic(Operator::Add, left, right),
    }
}

fn concatenate<'v>(one: &Text<'v>, other: &Text<'v>, meter: &mut Meter) -> Evaluated<'v> {
    let (one, other) = (one.as_str(), other.as_str());
    meter.spend_bytes(one.len().saturating_add(other.len()))?;
    Ok(Value::text([one, other].concat()))
}

fn arithmetic<'v>(operator: Operator, left: &Value<'v>, right: &Value<'v>) -> Evaluated<'v> {
    match (left, right) {
        (Value::Int(one), Value::Int(other)) => whole(operator, *one, *other).map(Value::Int),
        (Value::Double(one), Value::Double(other)) => match operator {
            Operator::Add => Ok(Value::Double(one + other)),
            Operator::Subtract => Ok(Value::Double(one - other)),
            Operator::Multiply => Ok(Value::Double(one * other)),
            Operator::Divide => Ok(Value::Double(one / other)),
            _ => Err(unsupported(operator, left, right)),
        },
        _ => Err(unsupported(operator, left, right)),
    }
}

fn whole(operator: Operator, one: i64, other: i64) -> Result<i64, Failure> {
    let divides = matches!(operator, Operator::Divide | Operator::Remainder);
    if divides && other == 0 {
        return Err(Failure::new("a division by zero"));
    }
    let result = match operator {
        Operator::Add => one.checked_add(other),
        Operator::Subtract => one.checked_sub(other),
        Operator::Multiply => one.checked_mul(other),
        Operator::Divide => one.checked_div(other),
        _ => one.checked_rem(other),
    };
    result.ok_or_else(overflow)
}
