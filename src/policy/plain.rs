//! Serde's errors about a document, in the words of the people who write one.

use crate::model::{did_you_mean, nearest};

/// Says it without the names of this program's types, and with what was probably meant.
pub fn plain(message: &str) -> String {
    let Some((what, expected)) = message.split_once(", expected ") else {
        return match message.strip_prefix("missing field ") {
            Some(field) => format!("the field {field} is missing"),
            None => message.to_owned(),
        };
    };
    if let Some(field) = what.strip_prefix("unknown field ") {
        return unknown("field", field, expected);
    }
    if let Some(value) = what.strip_prefix("unknown variant ") {
        return unknown("value", value, expected);
    }
    let found = what.strip_prefix("invalid type: ").or_else(|| what.strip_prefix("invalid value: "));
    found.map_or_else(
        || message.to_owned(),
        |found| format!("expected {}, found {}", wanted(expected), seen(found)),
    )
}

/// `expected` is of the form ``one of `a`, `b` ``.
fn unknown(what: &str, typed: &str, expected: &str) -> String {
    let typed = typed.trim_matches('`');
    let known: Vec<&str> = expected.split('`').skip(1).step_by(2).collect();
    match nearest(typed, known.iter().copied()) {
        Some(_) => format!("there is no {what} {typed:?}{}", did_you_mean(typed, known)),
        None => format!("there is no {what} {typed:?}; there are {}", known.join(", ")),
    }
}

fn wanted(expected: &str) -> &str {
    match expected {
        "a sequence" => "a list",
        "a boolean" => "true or false",
        "i32" | "i64" | "u32" | "u64" => "a whole number",
        "string or map" | "map with a single key" => "a word",
        other => other,
    }
}

fn seen(found: &str) -> &str {
    match found {
        "sequence" => "a list",
        "map" => "a map",
        "null" | "unit value" => "nothing",
        // ``integer `3` ``, `string "x"`
        other => other.split_once(' ').map_or(other, |(_, value)| value).trim_matches('`'),
    }
}

#[cfg(test)]
mod tests {
    use super::plain;

    #[test]
    fn in_plain_words() {
        for (message, said) in [
            ("invalid type: sequence, expected a map", "expected a map, found a list"),
            ("invalid type: map, expected a sequence", "expected a list, found a map"),
            ("invalid type: null, expected a sequence", "expected a list, found nothing"),
            ("invalid type: boolean `true`, expected a string", "expected a string, found true"),
            ("invalid type: string \"10\", expected i32", "expected a whole number, found \"10\""),
            (
                "invalid value: integer `9999999999`, expected i32",
                "expected a whole number, found 9999999999",
            ),
            (
                "unknown field `ruels`, expected one of `rules`, `classes`",
                "there is no field \"ruels\"; did you mean \"rules\"?",
            ),
            (
                "unknown field `x`, expected `rules` or `classes`",
                "there is no field \"x\"; there are rules, classes",
            ),
            (
                "unknown variant `Near`, expected one of `In`, `NotIn`",
                "there is no value \"Near\"; there are In, NotIn",
            ),
            ("missing field `reason`", "the field `reason` is missing"),
            ("something else", "something else"),
        ] {
            assert_eq!(plain(message), said);
        }
    }
}
