//! Methods of quantities.

use std::cmp::Ordering;

use super::super::Failure;
use super::super::quantity::Quantity;
use super::super::value::CelValue;
use super::{ArgumentKind, Call, Evaluated, Function, Gives, method};

const TWO: &[ArgumentKind] = &[ArgumentKind::Quantity, ArgumentKind::Quantity];
const ONE: &[ArgumentKind] = &[ArgumentKind::Quantity];
const AND_INT: &[ArgumentKind] = &[ArgumentKind::Quantity, ArgumentKind::Int];

pub(super) const TABLE: &[Function] = &[
    method("isGreaterThan", TWO, Gives::Bool, |call| Ok(CelValue::Bool(order(call) == Ordering::Greater))),
    method("isLessThan", TWO, Gives::Bool, |call| Ok(CelValue::Bool(order(call) == Ordering::Less))),
    method("compareTo", TWO, Gives::Int, |call| Ok(CelValue::Int(i64::from(order(call) as i8)))),
    method("add", TWO, Gives::Quantity, |call| sum(operand(call, 0).plus(operand(call, 1)))),
    method("add", AND_INT, Gives::Quantity, |call| sum(operand(call, 0).plus(operand(call, 1)))),
    method("sub", TWO, Gives::Quantity, |call| sum(operand(call, 0).minus(operand(call, 1)))),
    method("sub", AND_INT, Gives::Quantity, |call| sum(operand(call, 0).minus(operand(call, 1)))),
    method("sign", ONE, Gives::Int, |call| Ok(CelValue::Int(operand(call, 0).sign()))),
    method("isInteger", ONE, Gives::Bool, |call| Ok(CelValue::Bool(operand(call, 0).integer().is_some()))),
    method("asInteger", ONE, Gives::Int, |call| {
        let integer = operand(call, 0).integer().map(CelValue::Int);
        integer.ok_or_else(|| Failure::new("the quantity is not a whole number of 64 bits"))
    }),
    method("asApproximateFloat", ONE, Gives::Double, |call| {
        Ok(CelValue::Double(operand(call, 0).approximate()))
    }),
];

fn operand(call: &Call<'_, '_>, index: usize) -> Quantity {
    match call.args.get(index) {
        Some(CelValue::Quantity(quantity)) => *quantity,
        _ => Quantity::of(call.int(index).unwrap_or_default()),
    }
}

fn order(call: &Call<'_, '_>) -> Ordering {
    operand(call, 0).cmp(&operand(call, 1))
}

fn sum<'v>(sum: Option<Quantity>) -> Evaluated<'v> {
    sum.map(CelValue::Quantity).ok_or_else(|| Failure::new("the quantity overflows"))
}
