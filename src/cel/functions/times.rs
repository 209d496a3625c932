//! Times and durations.

use jiff::civil::DateTime;

use super::super::Failure;
use super::super::times::{CelDuration, Moment};
use super::super::value::CelValue;
use super::{ArgumentKind, Call, Evaluated, Function, Gives, global, method};

const fn part(name: &'static str, run: super::FunctionBody) -> Function {
    Function { optional: 1, ..method(name, &[ArgumentKind::Timestamp, ArgumentKind::Text], Gives::Int, run) }
}

const fn length(name: &'static str, run: super::FunctionBody) -> Function {
    method(name, &[ArgumentKind::Duration], Gives::Int, run)
}

const SECOND: i64 = 1_000_000_000;

pub(super) const TABLE: &[Function] = &[
    global("duration", &[ArgumentKind::Text], Gives::Duration, duration),
    global("duration", &[ArgumentKind::Duration], Gives::Duration, same),
    global("timestamp", &[ArgumentKind::Text], Gives::Timestamp, timestamp),
    global("timestamp", &[ArgumentKind::Int], Gives::Timestamp, timestamp_of_int),
    global("timestamp", &[ArgumentKind::Timestamp], Gives::Timestamp, same),
    global("int", &[ArgumentKind::Duration], Gives::Int, |call| whole(call, 1)),
    global("int", &[ArgumentKind::Timestamp], Gives::Int, seconds),
    length("getHours", |call| whole(call, 3600 * SECOND)),
    length("getMinutes", |call| whole(call, 60 * SECOND)),
    length("getSeconds", |call| whole(call, SECOND)),
    length("getMilliseconds", |call| whole(call, SECOND / 1000)),
    part("getFullYear", |call| get(call, |time| time.year().into())),
    part("getMonth", |call| get(call, |time| i64::from(time.month()) - 1)),
    part("getDate", |call| get(call, |time| time.day().into())),
    part("getDayOfMonth", |call| get(call, |time| i64::from(time.day()) - 1)),
    part("getDayOfWeek", |call| get(call, |time| time.weekday().to_sunday_zero_offset().into())),
    part("getDayOfYear", |call| get(call, |time| i64::from(time.day_of_year()) - 1)),
    part("getHours", |call| get(call, |time| time.hour().into())),
    part("getMinutes", |call| get(call, |time| time.minute().into())),
    part("getSeconds", |call| get(call, |time| time.second().into())),
    part("getMilliseconds", |call| get(call, |time| i64::from(time.subsec_nanosecond()) / 1_000_000)),
];

#[expect(clippy::unnecessary_wraps, reason = "the table wants functions that can fail")]
fn same<'v>(call: &mut Call<'_, 'v>) -> Evaluated<'v> {
    Ok(call.args.first().cloned().unwrap_or(CelValue::Null))
}

fn duration<'v>(call: &mut Call<'_, 'v>) -> Evaluated<'v> {
    let span = CelDuration::parse(call.text(0)).map(CelValue::Duration);
    span.ok_or_else(|| Failure::new("the text is not a duration, such as 1h30m"))
}

fn timestamp<'v>(call: &mut Call<'_, 'v>) -> Evaluated<'v> {
    let moment = Moment::parse(call.text(0)).map(CelValue::Timestamp);
    moment.ok_or_else(|| Failure::new("the text is not a time, such as 2027-01-31T00:00:00Z"))
}

fn timestamp_of_int<'v>(call: &mut Call<'_, 'v>) -> Evaluated<'v> {
    let moment = Moment::of_seconds(call.int(0).unwrap_or_default()).map(CelValue::Timestamp);
    moment.ok_or_else(|| Failure::new("the time is beyond what there is"))
}

#[expect(clippy::unnecessary_wraps, reason = "the table wants functions that can fail")]
fn whole<'v>(call: &mut Call<'_, 'v>, unit: i64) -> Evaluated<'v> {
    Ok(match call.args.first() {
        Some(CelValue::Duration(span)) => CelValue::Int(span.whole(unit)),
        _ => CelValue::Null,
    })
}

#[expect(clippy::unnecessary_wraps, reason = "the table wants functions that can fail")]
fn seconds<'v>(call: &mut Call<'_, 'v>) -> Evaluated<'v> {
    Ok(match call.args.first() {
        Some(CelValue::Timestamp(moment)) => CelValue::Int(moment.seconds()),
        _ => CelValue::Null,
    })
}

/// A part of a time in the zone that is asked for; without one, UTC.
fn get<'v>(call: &mut Call<'_, 'v>, part: impl Fn(DateTime) -> i64) -> Evaluated<'v> {
    let Some(CelValue::Timestamp(moment)) = call.args.first() else { return Ok(CelValue::Null) };
    let time = moment.in_zone(call.text(1));
    time.map(|time| CelValue::Int(part(time)))
        .ok_or_else(|| Failure::new("the zone is neither UTC nor an offset such as +02:00"))
}
