//! Semantic versions.

use std::cmp::Ordering;
use std::rc::Rc;

use super::super::Failure;
use super::super::value::CelValue;
use super::super::versions::Version;
use super::{ArgumentKind, Call, Evaluated, Function, Gives, Style};

const fn of_text(name: &'static str, gives: Gives, run: super::FunctionBody) -> Function {
    Function {
        name,
        style: Style::Global,
        takes: &[ArgumentKind::Text, ArgumentKind::Bool],
        optional: 1,
        gives,
        run,
    }
}

const fn number(name: &'static str, run: super::FunctionBody) -> Function {
    Function {
        name,
        style: Style::Method,
        takes: &[ArgumentKind::Version],
        optional: 0,
        gives: Gives::Int,
        run,
    }
}

const fn of_two(name: &'static str, gives: Gives, run: super::FunctionBody) -> Function {
    Function {
        name,
        style: Style::Method,
        takes: &[ArgumentKind::Version, ArgumentKind::Version],
        optional: 0,
        gives,
        run,
    }
}

pub(super) const TABLE: &[Function] = &[
    of_text("semver", Gives::Version, |call| {
        let version = parsed(call).map(|version| CelValue::Version(Rc::new(version)));
        version.ok_or_else(|| Failure::new("the text is not a version, such as 1.2.3"))
    }),
    of_text("isSemver", Gives::Bool, |call| Ok(CelValue::Bool(parsed(call).is_some()))),
    number("major", |call| numbered(call, 0)),
    number("minor", |call| numbered(call, 1)),
    number("patch", |call| numbered(call, 2)),
    of_two("isLessThan", Gives::Bool, |call| Ok(CelValue::Bool(order(call) == Ordering::Less))),
    of_two("isGreaterThan", Gives::Bool, |call| Ok(CelValue::Bool(order(call) == Ordering::Greater))),
    of_two("compareTo", Gives::Int, |call| Ok(CelValue::Int(i64::from(order(call) as i8)))),
];

/// The text, read leniently where the second argument says so.
fn parsed(call: &Call<'_, '_>) -> Option<Version> {
    Version::parse(call.text(0), matches!(call.args.get(1), Some(CelValue::Bool(true))))
}

fn version<'c>(call: &'c Call<'_, '_>, index: usize) -> Option<&'c Version> {
    match call.args.get(index) {
        Some(CelValue::Version(version)) => Some(version),
        _ => None,
    }
}

fn numbered<'v>(call: &Call<'_, 'v>, index: usize) -> Evaluated<'v> {
    let number = version(call, 0).and_then(|version| i64::try_from(version.numbers[index]).ok());
    number.map(CelValue::Int).ok_or_else(|| Failure::new("the number of the version is too large"))
}

fn order(call: &Call<'_, '_>) -> Ordering {
    let both = version(call, 0).zip(version(call, 1));
    both.map_or(Ordering::Equal, |(one, other)| one.order(other))
}
