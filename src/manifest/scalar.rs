//! The meaning of an unquoted YAML word: go-yaml v2's table, which is YAML 1.1 with changes of its own.

use std::borrow::Cow;

use base64::Engine;
use base64::alphabet;
use base64::engine::{GeneralPurpose, GeneralPurposeConfig};
use serde_json::Number;

use super::node::NodeValue;

/// A resolved word.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Scalar {
    Null,
    Bool(bool),
    Int(i64),
    Uint(u64),
    Float(f64),
    /// The decoded bytes.
    Binary(String),
    Text,
}

/// The tags that change how a word is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tag {
    /// No tag on a plain word.
    Implicit,
    /// `!`, which makes a string of a word but leaves `<<` what it is.
    NonSpecific,
    /// `!!str`, an unknown tag, or quotes.
    Text,
    Bool,
    Int,
    Float,
    Null,
    Binary,
    Merge,
}

impl Tag {
    /// The tag of a scalar in full, empty where it has none.
    pub(super) fn of(tag: &str, is_plain: bool) -> Self {
        if tag.is_empty() {
            return if is_plain { Tag::Implicit } else { Tag::Text };
        }
        match tag.strip_prefix("tag:yaml.org,2002:").unwrap_or(tag) {
            "" if is_plain => Tag::Implicit,
            "!" => Tag::NonSpecific,
            _ if !tag.starts_with("tag:") => Tag::Text,
            "bool" => Tag::Bool,
            "int" => Tag::Int,
            "float" => Tag::Float,
            "null" => Tag::Null,
            "binary" => Tag::Binary,
            "merge" => Tag::Merge,
            _ => Tag::Text,
        }
    }
}

/// Whether a key brings in another map.
pub(super) fn is_merge(text: &str, tag: Tag) -> bool {
    text == "<<" && matches!(tag, Tag::Implicit | Tag::NonSpecific | Tag::Merge)
}

/// The meaning of a word under a tag, or the error in it.
pub(super) fn resolve(text: &str, tag: Tag) -> Result<Scalar, String> {
    let scalar = match tag {
        Tag::Binary => return decode_binary(text).map(Scalar::Binary),
        Tag::NonSpecific | Tag::Text | Tag::Merge => Scalar::Text,
        Tag::Implicit | Tag::Bool | Tag::Int | Tag::Float | Tag::Null => plain(text),
    };
    match (tag, &scalar) {
        (Tag::Bool, Scalar::Bool(_))
        | (Tag::Int, Scalar::Int(_) | Scalar::Uint(_))
        | (Tag::Float, Scalar::Float(_))
        | (Tag::Null, Scalar::Null) => Ok(scalar),
        #[allow(clippy::cast_precision_loss)] // go-yaml converts alike
        (Tag::Float, Scalar::Int(value)) => Ok(Scalar::Float(*value as f64)),
        (Tag::Bool | Tag::Int | Tag::Float | Tag::Null, _) => Err(format!("`{text}` does not fit its tag")),
        _ => Ok(scalar),
    }
}

/// The content of `!!binary`, as a string: bytes that are no UTF-8 are replaced one by one, as Go's JSON does.
fn decode_binary(text: &str) -> Result<String, String> {
    const LENIENT: GeneralPurpose = GeneralPurpose::new(
        &alphabet::STANDARD,
        GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true),
    );
    let base64 = text.replace(['\r', '\n'], "");
    let bytes = LENIENT.decode(base64).map_err(|_| "`!!binary` holds no valid base64".to_owned())?;
    let mut decoded = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        decoded.push_str(chunk.valid());
        decoded.extend(chunk.invalid().iter().map(|_| char::REPLACEMENT_CHARACTER));
    }
    Ok(decoded)
}

impl Scalar {
    /// The value in JSON, which knows neither infinity nor NaN.
    pub(super) fn into_value(self, text: Cow<'_, str>) -> Result<NodeValue<'_>, String> {
        Ok(match self {
            Scalar::Null => NodeValue::Null,
            Scalar::Bool(value) => NodeValue::Bool(value),
            Scalar::Int(value) => NodeValue::Number(value.into()),
            Scalar::Uint(value) => NodeValue::Number(value.into()),
            Scalar::Float(value) => match number(value) {
                Some(number) => NodeValue::Number(number),
                None => return Err(format!("`{text}` has no form in JSON")),
            },
            Scalar::Binary(decoded) => NodeValue::String(decoded.into()),
            Scalar::Text => NodeValue::String(text),
        })
    }

    /// The word as a map key, as sigs.k8s.io/yaml makes strings of keys.
    pub(super) fn into_key(self, text: Cow<'_, str>) -> Result<Cow<'_, str>, String> {
        Ok(match self {
            Scalar::Null => return Err("a key is null".to_owned()),
            Scalar::Bool(value) => value.to_string().into(),
            Scalar::Int(value) => value.to_string().into(),
            // sigs.k8s.io/yaml knows only keys that fit Go's int.
            Scalar::Uint(value) => return Err(format!("the key `{value}` is too large")),
            Scalar::Float(value) => float_key(value).into(),
            Scalar::Binary(decoded) => decoded.into(),
            Scalar::Text => text,
        })
    }
}

/// A float as a JSON number; integral ones become integers, as they do on their way through Go's encoder.
pub(super) fn number(value: f64) -> Option<Number> {
    const EXACT: f64 = 9_223_372_036_854_775_807.0;
    #[allow(clippy::cast_possible_truncation)] // integral and within range
    if value.fract() == 0.0 && value.abs() < EXACT {
        return Some((value as i64).into());
    }
    Number::from_f64(value)
}

/// The longest word that is no text: `false`.
const LONGEST_WORD: usize = 5;

fn plain(text: &str) -> Scalar {
    let may_be_number = text.starts_with(|first: char| matches!(first, '0'..='9' | '+' | '-' | '.'));
    if text.len() > LONGEST_WORD && !may_be_number {
        return Scalar::Text;
    }
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Scalar::Null,
        "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => {
            Scalar::Bool(true)
        }
        "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => {
            Scalar::Bool(false)
        }
        ".nan" | ".NaN" | ".NAN" => Scalar::Float(f64::NAN),
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => Scalar::Float(f64::INFINITY),
        "-.inf" | "-.Inf" | "-.INF" => Scalar::Float(f64::NEG_INFINITY),
        _ => match text.as_bytes().first() {
            Some(b'.') if has_digits_around_underscores(text) => float(&text.replace('_', "")),
            Some(b'0'..=b'9' | b'+' | b'-') => {
                let digits = text.replace('_', "");
                int(&digits).or_else(|| signed_binary(&digits)).unwrap_or_else(|| float(&digits))
            }
            _ => Scalar::Text,
        },
    }
}

/// Go's `ParseFloat` wants it so; go-yaml removes underscores itself only from numbers that start with a digit or a sign.
fn has_digits_around_underscores(text: &str) -> bool {
    let is_digit = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_digit);
    let bytes = text.as_bytes();
    let underscores = bytes.iter().enumerate().filter(|(_, byte)| **byte == b'_').map(|(at, _)| at);
    underscores.into_iter().all(|at| is_digit(bytes.get(at - 1)) && is_digit(bytes.get(at + 1)))
}

/// Go's `ParseInt` and `ParseUint` with base 0: the prefix tells the base, and a leading zero means octal.
fn int(text: &str) -> Option<Scalar> {
    let (negative, unsigned) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let (base, digits) = match unsigned.as_bytes() {
        [b'0', b'x' | b'X', ..] => (16, &unsigned[2..]),
        [b'0', b'o' | b'O', ..] => (8, &unsigned[2..]),
        [b'0', b'b' | b'B', ..] => (2, &unsigned[2..]),
        [b'0', _, ..] => (8, &unsigned[1..]),
        _ => (10, unsigned),
    };
    if !digits.bytes().all(|digit| digit.is_ascii_alphanumeric()) {
        return None;
    }
    let magnitude = u64::from_str_radix(digits, base).ok()?;
    match i64::try_from(if negative { -i128::from(magnitude) } else { i128::from(magnitude) }) {
        Ok(value) => Some(Scalar::Int(value)),
        Err(_) if unsigned.len() == text.len() => Some(Scalar::Uint(magnitude)),
        Err(_) => None,
    }
}

/// `0b-1`, which go-yaml takes for a number because it cuts the prefix off.
fn signed_binary(text: &str) -> Option<Scalar> {
    let digits = text.strip_prefix("0b")?;
    let is_signed = digits.starts_with(['-', '+']);
    is_signed.then(|| i64::from_str_radix(digits, 2).ok())?.map(Scalar::Int)
}

fn float(text: &str) -> Scalar {
    let looks_right = text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'.' | b'e' | b'E' | b'+' | b'-'));
    match text.parse::<f64>() {
        Ok(value) if looks_right && value.is_finite() => Scalar::Float(value),
        _ => Scalar::Text,
    }
}

/// Go's `FormatFloat(value, 'g', -1, 32)`.
fn float_key(value: f64) -> String {
    #[allow(clippy::cast_possible_truncation)] // it is what sigs.k8s.io/yaml does
    let value = value as f32;
    if !value.is_finite() {
        let infinite = if value > 0.0 { ".inf" } else { "-.inf" };
        return if value.is_nan() { ".nan" } else { infinite }.to_owned();
    }
    let scientific = format!("{value:e}");
    match scientific
        .split_once('e')
        .and_then(|(mantissa, exponent)| Some((mantissa, exponent.parse::<i32>().ok()?)))
    {
        Some((mantissa, exponent)) if !(-4..6).contains(&exponent) => {
            format!("{mantissa}e{}{:02}", if exponent < 0 { '-' } else { '+' }, exponent.abs())
        }
        _ => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(text: &str) -> serde_json::Value {
        match resolve(text, Tag::Implicit).and_then(|scalar| scalar.into_value(text.into())) {
            Ok(NodeValue::Null) => json!(null),
            Ok(NodeValue::Bool(value)) => json!(value),
            Ok(NodeValue::Number(value)) => value.into(),
            Ok(NodeValue::String(value)) => value.into_owned().into(),
            other => panic!("{text}: {other:?}"),
        }
    }

    fn key(text: &str) -> String {
        resolve(text, Tag::Implicit).and_then(|scalar| scalar.into_key(text.into())).unwrap().into_owned()
    }

    #[test]
    fn resolves_as_go_yaml_does() {
        for (text, expected) in [
            ("", json!(null)),
            ("~", json!(null)),
            ("NULL", json!(null)),
            ("nUll", json!("nUll")),
            ("y", json!(true)),
            ("Off", json!(false)),
            ("oN", json!("oN")),
            ("0644", json!(420)),
            ("0o644", json!(420)),
            ("0x1F", json!(31)),
            ("0b101", json!(5)),
            ("-0b101", json!(-5)),
            ("0b-101", json!(-5)),
            ("0b+1", json!(1)),
            ("-0b-1", json!("-0b-1")),
            ("-0x10", json!(-16)),
            ("1_000", json!(1000)),
            ("_1", json!("_1")),
            ("08", json!(8)),
            ("0o8", json!("0o8")),
            ("0x", json!("0x")),
            ("+5", json!(5)),
            ("-", json!("-")),
            ("--1", json!("--1")),
            ("3.0", json!(3)),
            ("1e3", json!(1000)),
            ("1.5e-3", json!(0.0015)),
            ("+.5", json!(0.5)),
            (".5", json!(0.5)),
            (".1_5", json!(0.15)),
            ("._5", json!("._5")),
            (".5_", json!(".5_")),
            (".", json!(".")),
            ("1.", json!(1)),
            ("1.2.3", json!("1.2.3")),
            ("1e999", json!("1e999")),
            ("-0", json!(0)),
            ("1:30", json!("1:30")),
            ("2001-12-14", json!("2001-12-14")),
            ("9223372036854775807", json!(i64::MAX)),
            ("18446744073709551615", json!(u64::MAX)),
            ("-9223372036854775808", json!(i64::MIN)),
            ("+18446744073709551615", json!(18_446_744_073_709_551_615.0)),
            ("100000000000000000000", json!(1e20)),
            ("infinity", json!("infinity")),
            ("0xfg", json!("0xfg")),
            ("<<", json!("<<")),
        ] {
            assert_eq!(read(text), expected, "{text}");
        }
    }

    #[test]
    fn infinity_has_no_form_in_json() {
        for text in [".inf", "-.Inf", ".nan"] {
            assert!(resolve(text, Tag::Implicit).unwrap().into_value(text.into()).is_err());
        }
    }

    #[test]
    fn tags_force_a_kind() {
        assert_eq!(resolve("5", Tag::Text), Ok(Scalar::Text));
        assert_eq!(resolve("5", Tag::Float), Ok(Scalar::Float(5.0)));
        assert_eq!(resolve("5", Tag::of("!custom", true)), Ok(Scalar::Text));
        assert_eq!(resolve("5", Tag::of("tag:yaml.org,2002:int", false)), Ok(Scalar::Int(5)));
        assert!(resolve("five", Tag::Int).is_err());
    }

    #[test]
    fn keys_become_strings() {
        for (text, expected) in [
            ("yes", "true"),
            ("n", "false"),
            ("010", "8"),
            ("1.10", "1.1"),
            ("3.0", "3"),
            ("1e6", "1e+06"),
            ("0.00001", "1e-05"),
            ("1234567.5", "1.2345675e+06"),
            (".inf", ".inf"),
            ("a", "a"),
        ] {
            assert_eq!(key(text), expected, "{text}");
        }
        assert!(resolve("~", Tag::Implicit).unwrap().into_key("~".into()).is_err());
    }
}
