//! `"%s of %d".format([…])`, and texts in quotes.

use std::fmt::Write as _;

use super::super::numbers::{fixed, not_finite, scientific, shortest};
use super::super::value::CelValue;
use super::super::{Failure, Meter};
use super::{ArgumentKind, Call, Evaluated, Function, Gives, Style};

pub(super) const TABLE: &[Function] = &[
    Function {
        name: "format",
        style: Style::Method,
        takes: &[ArgumentKind::Text, ArgumentKind::List],
        optional: 0,
        gives: Gives::Text,
        run: format,
    },
    Function {
        name: "strings.quote",
        style: Style::Global,
        takes: &[ArgumentKind::Text],
        optional: 0,
        gives: Gives::Text,
        run: |call| {
            call.meter.spend_bytes(call.text(0).len())?;
            Ok(CelValue::text(quoted(call.text(0))))
        },
    },
];

/// More digits after the dot are not written.
const MOST_DIGITS: usize = 100;

fn format<'v>(call: &mut Call<'_, 'v>) -> Evaluated<'v> {
    call.meter.spend_bytes(call.text(0).len())?;
    let mut items = call.items(1)?.into_iter();
    let text = call.text(0).to_owned();
    let (mut made, mut rest) = (String::new(), &*text);
    while let Some((before, after)) = rest.split_once('%') {
        made.push_str(before);
        let (precision, after) = precision(after)?;
        let verb = after.chars().next().ok_or_else(|| Failure::new("a `%` ends the format"))?;
        if verb == '%' {
            made.push('%');
        } else {
            let item = items.next().ok_or_else(|| Failure::new("the format has more parts than the list"))?;
            formatted(verb, precision, &item, &mut made, call.meter)?;
        }
        rest = &after[verb.len_utf8()..];
    }
    if items.next().is_some() {
        return Err(Failure::new("the list has more items than the format has parts"));
    }
    made.push_str(rest);
    Ok(CelValue::text(made))
}

/// The `.2` of `%.2f`; six digits without it.
fn precision(text: &str) -> Result<(usize, &str), Failure> {
    let Some(rest) = text.strip_prefix('.') else { return Ok((6, text)) };
    let (digits, rest) = rest.split_at(rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len()));
    let digits = digits.parse().ok().filter(|digits| *digits <= MOST_DIGITS);
    digits.map(|digits| (digits, rest)).ok_or_else(|| Failure::new("the precision is not a number up to 100"))
}

fn formatted(
    verb: char,
    precision: usize,
    item: &CelValue<'_>,
    made: &mut String,
    meter: &mut Meter,
) -> Result<(), Failure> {
    meter.spend_bytes(precision)?;
    let text = match (verb, item) {
        ('s', _) => return show(item, made, meter),
        ('d', CelValue::Int(number)) => number.to_string(),
        ('f', CelValue::Double(number)) => fixed(*number, precision),
        ('e', CelValue::Double(number)) => scientific(*number),
        ('b', CelValue::Bool(value)) => u8::from(*value).to_string(),
        ('b', CelValue::Int(number)) => signed(*number, &format!("{:b}", number.unsigned_abs())),
        ('o', CelValue::Int(number)) => signed(*number, &format!("{:o}", number.unsigned_abs())),
        ('x', CelValue::Int(number)) => signed(*number, &format!("{:x}", number.unsigned_abs())),
        ('X', CelValue::Int(number)) => signed(*number, &format!("{:X}", number.unsigned_abs())),
        ('x', CelValue::Text(text)) => coded(text.as_str(), meter)?,
        ('X', CelValue::Text(text)) => coded(text.as_str(), meter)?.to_ascii_uppercase(),
        _ => return Err(Failure::new(format!("%{verb} does not take {}", item.kind()))),
    };
    made.push_str(&text);
    Ok(())
}

fn signed(number: i64, digits: &str) -> String {
    format!("{}{digits}", if number < 0 { "-" } else { "" })
}

/// The bytes of a text.
fn coded(text: &str, meter: &mut Meter) -> Result<String, Failure> {
    meter.spend_bytes(text.len().saturating_mul(2))?;
    let mut made = String::with_capacity(text.len() * 2);
    for byte in text.bytes() {
        let _ = write!(made, "{byte:02x}");
    }
    Ok(made)
}

/// A value as a part of a text.
fn show(value: &CelValue<'_>, made: &mut String, meter: &mut Meter) -> Result<(), Failure> {
    match value {
        CelValue::Text(text) => {
            meter.spend_bytes(text.as_str().len())?;
            made.push_str(text.as_str());
            Ok(())
        }
        CelValue::Double(number) => {
            made.push_str(&shortest(*number));
            Ok(())
        }
        CelValue::Duration(span) => write!(made, "{span}").map_err(|_| unformatted(value)),
        CelValue::Timestamp(moment) => write!(made, "{moment}").map_err(|_| unformatted(value)),
        value => show_within(value, made, meter),
    }
}

fn unformatted(value: &CelValue<'_>) -> Failure {
    Failure::new(format!("%s does not take {}", value.kind()))
}

/// A value within a list or a map: what it is can be told.
fn show_within(value: &CelValue<'_>, made: &mut String, meter: &mut Meter) -> Result<(), Failure> {
    meter.spend(1)?;
    let text = match value {
        CelValue::Null => "null".to_owned(),
        CelValue::Bool(value) => value.to_string(),
        CelValue::Int(number) => number.to_string(),
        CelValue::Double(number) => not_finite(*number, "\"+Inf\"", "\"-Inf\"")
            .map_or_else(|| format!("{number:.6}"), |text| text.replace("NaN", "\"NaN\"")),
        CelValue::Text(text) => {
            meter.spend_bytes(text.as_str().len())?;
            quoted(text.as_str())
        }
        CelValue::Kind(kind) => (*kind).to_owned(),
        CelValue::Duration(span) => format!("duration(\"{span}\")"),
        CelValue::Timestamp(moment) => format!("timestamp(\"{moment}\")"),
        CelValue::List(list) => {
            let items = list.iter().map(|item| shown_within(&item, meter)).collect::<Result<Vec<_>, _>>()?;
            format!("[{}]", items.join(", "))
        }
        CelValue::Map(map) => {
            let mut entries = Vec::new();
            for key in map.keys() {
                let value = map.find(&key).unwrap_or(CelValue::Null);
                entries.push(format!("{}:{}", shown_within(&key, meter)?, shown_within(&value, meter)?));
            }
            entries.sort_unstable();
            format!("{{{}}}", entries.join(", "))
        }
        other => return Err(unformatted(other)),
    };
    meter.spend_bytes(text.len())?;
    made.push_str(&text);
    Ok(())
}

fn shown_within(value: &CelValue<'_>, meter: &mut Meter) -> Result<String, Failure> {
    let mut made = String::new();
    show_within(value, &mut made, meter)?;
    Ok(made)
}

fn quoted(text: &str) -> String {
    let mut made = String::from('"');
    for c in text.chars() {
        let escape = match c {
            '\u{7}' => "\\a",
            '\u{8}' => "\\b",
            '\u{c}' => "\\f",
            '\n' => "\\n",
            '\r' => "\\r",
            '\t' => "\\t",
            '\u{b}' => "\\v",
            '\\' => "\\\\",
            '"' => "\\\"",
            c => {
                made.push(c);
                continue;
            }
        };
        made.push_str(escape);
    }
    made + "\""
}
