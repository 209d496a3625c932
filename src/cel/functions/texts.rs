//! Methods of texts. Positions count characters.

use regex::Regex;

use super::super::value::CelValue;
use super::super::{Failure, pattern as patterns};
use super::{ArgumentKind, Call, Evaluated, Function, Gives, Style, method};

const ONE: &[ArgumentKind] = &[ArgumentKind::Text];
const TWO: &[ArgumentKind] = &[ArgumentKind::Text, ArgumentKind::Text];
const AND_INT: &[ArgumentKind] = &[ArgumentKind::Text, ArgumentKind::Int];
const AND_INTS: &[ArgumentKind] = &[ArgumentKind::Text, ArgumentKind::Int, ArgumentKind::Int];
const TWO_AND_INT: &[ArgumentKind] = &[ArgumentKind::Text, ArgumentKind::Text, ArgumentKind::Int];

pub(super) const TABLE: &[Function] = &[
    method("contains", TWO, Gives::Bool, |call| tested(call, |text, part| text.contains(part))),
    method("startsWith", TWO, Gives::Bool, |call| tested(call, |text, part| text.starts_with(part))),
    method("endsWith", TWO, Gives::Bool, |call| tested(call, |text, part| text.ends_with(part))),
    Function { style: Style::Either, ..method("matches", TWO, Gives::Bool, matches) },
    method("find", TWO, Gives::Text, find),
    Function { optional: 1, ..method("findAll", TWO_AND_INT, Gives::Texts, find_all) },
    method("charAt", AND_INT, Gives::Text, char_at),
    Function { optional: 1, ..method("indexOf", TWO_AND_INT, Gives::Int, index_of) },
    Function { optional: 1, ..method("lastIndexOf", TWO_AND_INT, Gives::Int, last_index_of) },
    method("lowerAscii", ONE, Gives::Text, |call| made(call, str::to_ascii_lowercase)),
    method("upperAscii", ONE, Gives::Text, |call| made(call, str::to_ascii_uppercase)),
    method("trim", ONE, Gives::Text, |call| made(call, |text| text.trim().to_owned())),
    method("reverse", ONE, Gives::Text, |call| made(call, |text| text.chars().rev().collect())),
    Function {
        optional: 1,
        ..method(
            "replace",
            &[ArgumentKind::Text, ArgumentKind::Text, ArgumentKind::Text, ArgumentKind::Int],
            Gives::Text,
            replace,
        )
    },
    Function { optional: 1, ..method("split", TWO_AND_INT, Gives::Texts, split) },
    Function { optional: 1, ..method("substring", AND_INTS, Gives::Text, substring) },
    Function { optional: 1, ..method("join", &[ArgumentKind::List, ArgumentKind::Text], Gives::Text, join) },
];

/// Pays for looking through the receiver, and gives it.
fn receiver<'c>(call: &'c mut Call<'_, '_>) -> Result<&'c str, Failure> {
    let length = call.text(0).len();
    call.meter.spend_bytes(length)?;
    Ok(call.text(0))
}

fn tested<'v>(call: &mut Call<'_, 'v>, test: impl Fn(&str, &str) -> bool) -> Evaluated<'v> {
    receiver(call)?;
    Ok(CelValue::Bool(test(call.text(0), call.text(1))))
}

fn made<'v>(call: &mut Call<'_, 'v>, make: impl Fn(&str) -> String) -> Evaluated<'v> {
    receiver(call).map(|text| CelValue::text(make(text)))
}

/// The longest pattern that is made by an expression, and what it costs to compile one.
const LONGEST_PATTERN: usize = 1024;
const COMPILING: usize = 20_000;

/// The pattern of a call. Matching takes time in proportion to the text and to the size of the pattern.
fn pattern(call: &mut Call<'_, '_>) -> Result<Regex, Failure> {
    let (text, pattern) = (call.text(0).len(), call.text(1).len());
    call.meter.spend(text.saturating_mul(pattern / 16 + 1) / 4 + 1)?;
    if let Some(regex) = call.regex {
        return Ok(regex.clone());
    }
    if pattern > LONGEST_PATTERN {
        return Err(Failure::new(format!("a pattern may be {LONGEST_PATTERN} bytes long")));
    }
    call.meter.spend(COMPILING)?;
    patterns::compile(call.text(1)).map_err(|_| Failure::new("the text is not a pattern, or too large a one"))
}

fn matches<'v>(call: &mut Call<'_, 'v>) -> Evaluated<'v> {
    let regex = pattern(call)?;
    Ok(CelValue::Bool(regex.is_match(call.text(0))))
}

fn find<'v>(call: &mut Call<'_, 'v>) -> Evaluated<'v> {
    let regex = pattern(call)?;
    let found = regex.find(call.text(0)).map(|found| found.as_str().to_owned());
    Ok(CelValue::text(found.unwrap_or_default()))
}

fn find_all<'v>(call: &mut Call<'_, 'v>) -> Evaluated<'v> {
    let regex = pattern(call)?;
    let most = limit(call, 2);
    let mut found = Vec::new();
    for part in regex.find_iter(call.text(0)).take(most) {
        found.push(CelValue::text(part.as_str()));
    }
    call.meter.spend(found.len())?;
    Ok(CelValue::list(found))
}

/// How many an argument allows: all where it is absent or negative.
fn limit(call: &Call<'_, '_>, index: usize) -> usize {
    call.int(index).and_then(|limit| usize::try_from(limit).ok()).unwrap_or(usize::MAX)
}

fn outside() -> Failure {
    Failure::new("the position is not within the text")
}

fn char_at<'v>(call: &mut Call<'_, 'v>) -> Evaluated<'v> {
    let text = receiver(call)?.to_owned();
    let at = call.int(1).and_then(|at| usize::try_from(at).ok()).ok_or_else(outside)?;
    match text.chars().nth(at) {
        Some(c) => Ok(CelValue::text(c.to_string())),
        None if at == text.chars().count() => Ok(CelValue::text("")),
        None => Err(outside()),
    }
}

/// The position in characters of a position in bytes.
fn position<'v>(text: &str, found: Option<usize>) -> CelValue<'v> {
    let at = found.map(|found| text[..found].chars().count());
    CelValue::Int(at.and_then(|at| i64::try_from(at).ok()).unwrap_or(-1))
}

/// The position in bytes of a position in characters.
fn offset(text: &str, position: i64) -> Result<usize, Failure> {
    let position = usize::try_from(position).map_err(|_| outside())?;
    let ends = text.char_indices().map(|(at, _)| at).chain([text.len()]);
    ends.into_iter().nth(position).ok_or_else(outside)
}

/// From a position on. One beyond the end finds nothing, but where nothing is looked for it is found everywhere.
fn index_of<'v>(call: &mut Call<'_, 'v>) -> Evaluated<'v> {
    receiver(call)?;
    let (text, part, from) = (call.text(0), call.text(1), call.int(2).unwrap_or_default());
    if part.is_empty() {
        return Ok(CelValue::Int(from));
    }
    if from < 0 {
        return Err(outside());
    }
    let Ok(from) = offset(text, from) else { return Ok(CelValue::Int(-1)) };
    Ok(position(text, text[from..].find(part).map(|found| from + found)))
}

/// The last one that begins at a position or before it, with the same exceptions.
fn last_index_of<'v>(call: &mut Call<'_, 'v>) -> Evaluated<'v> {
    receiver(call)?;
    let (text, part) = (call.text(0), call.text(1));
    let Some(from) = call.int(2) else { return Ok(position(text, text.rfind(part))) };
    if part.is_empty() {
        return Ok(CelValue::Int(from));
    }
    if from < 0 {
        return Err(outside());
    }
    let Some(from) = offset(text, from).ok().filter(|from| *from < text.len()) else {
        return Ok(CelValue::Int(-1));
    };
    let end = text.len().min(from + part.len());
    let end = (end..=text.len()).find(|end| text.is_char_boundary(*end)).unwrap_or(text.len());
    Ok(position(text, text[..end].rfind(part).filter(|found| *found <= from)))
}

fn substring<'v>(call: &mut Call<'_, 'v>) -> Evaluated<'v> {
    receiver(call)?;
    let text = call.text(0);
    let from = offset(text, call.int(1).unwrap_or_default())?;
    let to = call.int(2).map_or(Ok(text.len()), |to| offset(text, to))?;
    text.get(from..to).map(CelValue::text).ok_or_else(outside)
}

fn replace<'v>(call: &mut Call<'_, 'v>) -> Evaluated<'v> {
    receiver(call)?;
    let most = limit(call, 3);
    let count = call.text(0).matches(call.text(1)).take(most).count();
    let size = count.saturating_mul(call.text(2).len()).saturating_add(call.text(0).len());
    call.meter.spend_bytes(size)?;
    Ok(CelValue::text(call.text(0).replacen(call.text(1), call.text(2), most)))
}

fn split<'v>(call: &mut Call<'_, 'v>) -> Evaluated<'v> {
    receiver(call)?;
    let (text, by) = (call.text(0), call.text(1));
    let parts: Vec<CelValue<'v>> = match limit(call, 2) {
        0 => Vec::new(),
        // Between two characters each, and not before the first.
        most if by.is_empty() => {
            let mut parts: Vec<&str> = text.splitn(most.saturating_add(1), "").skip(1).collect();
            parts.pop_if(|last| last.is_empty());
            parts.into_iter().map(CelValue::text).collect()
        }
        most => text.splitn(most, by).map(CelValue::text).collect(),
    };
    call.meter.spend(parts.len())?;
    Ok(CelValue::list(parts))
}

fn join<'v>(call: &mut Call<'_, 'v>) -> Evaluated<'v> {
    let (items, by) = (call.items(0)?, call.text(1).to_owned());
    let mut joined = String::new();
    for (index, item) in items.iter().enumerate() {
        let CelValue::Text(text) = item else { return Err(Failure::new("join() takes a list of texts")) };
        call.meter.spend_bytes(by.len() + text.as_str().len())?;
        joined.push_str(if index == 0 { "" } else { &by });
        joined.push_str(text.as_str());
    }
    Ok(CelValue::text(joined))
}
