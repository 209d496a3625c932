//! Values as YAML text.

use serde_json::Value;

/// Words that YAML 1.1 takes for something else than a string.
const WORDS: [&str; 9] = ["y", "n", "yes", "no", "on", "off", "true", "false", "null"];

/// How lists in maps are indented.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lists {
    /// The dash stands below the key.
    Flush,
    /// The dash stands two columns further.
    Indented,
}

impl Lists {
    /// The indentation of the lists of a text; flush, as kubectl writes them, where it has none.
    pub(super) fn of(text: &str) -> Self {
        let lines = text.lines().filter(|line| !line.trim_start().starts_with('#')).collect::<Vec<_>>();
        let indents = lines.windows(2).filter_map(|pair| {
            let [key, item] = pair else { return None };
            let is_list = key.trim_end().ends_with(':') && item.trim_start().starts_with("- ");
            is_list.then(|| indent_of(item) > indent_of(key.trim_start_matches("- ")))
        });
        let indented = indents.clone().filter(|is_indented| *is_indented).count();
        if indented * 2 > indents.count() { Self::Indented } else { Self::Flush }
    }
}

fn indent_of(line: &str) -> usize {
    line.len() - line.trim_start().len()
}

/// A value as block YAML; every line ends with a line break.
pub(super) fn block(value: &Value, lists: Lists) -> String {
    let mut out = String::new();
    write(value, 0, lists, &mut out);
    out
}

fn write(value: &Value, indent: usize, lists: Lists, out: &mut String) {
    match value {
        Value::Object(map) if !map.is_empty() => {
            for (index, (key, value)) in map.iter().enumerate() {
                // The first key stands where the caller is: at the start of a line or after a dash.
                if index > 0 {
                    out.extend(std::iter::repeat_n(' ', indent));
                }
                *out += &scalar_text(key);
                out.push(':');
                write_below(value, indent, lists, out);
            }
        }
        Value::Array(items) if !items.is_empty() => {
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.extend(std::iter::repeat_n(' ', indent));
                }
                *out += "- ";
                write(item, indent + 2, lists, out);
            }
        }
        other => {
            *out += &scalar(other);
            out.push('\n');
        }
    }
}

/// The value of a key: on its line, or below it.
fn write_below(value: &Value, indent: usize, lists: Lists, out: &mut String) {
    let below = match value {
        Value::Object(map) if !map.is_empty() => indent + 2,
        Value::Array(items) if !items.is_empty() && lists == Lists::Flush => indent,
        Value::Array(items) if !items.is_empty() => indent + 2,
        other => {
            out.push(' ');
            *out += &scalar(other);
            out.push('\n');
            return;
        }
    };
    out.push('\n');
    out.extend(std::iter::repeat_n(' ', below));
    write(value, below, lists, out);
}

/// A value as JSON on one line.
pub(super) fn json(value: &Value) -> String {
    match value {
        Value::Object(map) => {
            let fields: Vec<_> = map
                .iter()
                .map(|(key, value)| format!("{}: {}", json(&key.as_str().into()), json(value)))
                .collect();
            format!("{{{}}}", fields.join(", "))
        }
        Value::Array(items) => format!("[{}]", items.iter().map(json).collect::<Vec<_>>().join(", ")),
        other => other.to_string(),
    }
}

/// A scalar, or an empty map or list.
pub(super) fn scalar(value: &Value) -> String {
    match value {
        Value::String(text) => scalar_text(text),
        other => other.to_string(),
    }
}

/// A string as YAML 1.1 and 1.2 read it: in quotes, unless nothing about it is special.
fn scalar_text(text: &str) -> String {
    let starts_plain = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/');
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '/' | '-' | '_');
    if starts_plain && text.chars().all(is_plain) && !WORDS.contains(&&*text.to_ascii_lowercase()) {
        text.to_owned()
    } else {
        Value::from(text).to_string()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::manifest;

    #[test]
    fn reads_back_as_it_was() {
        let value = json!({
            "apiVersion": "v1", "none": "None", "empty": {}, "list": [], "number": 3, "on": true, "7": "7", "no": "no",
            "ports": "80:80", "text": "a \"b\"\n# c", "deep": {"list": [{"a": 1, "b": [1, [2, {"x": "y"}]]}, "z"]},
        });
        for lists in [Lists::Flush, Lists::Indented] {
            let text = block(&value, lists);
            assert_eq!(manifest::document(&text).unwrap().to_json(), value, "{text}");
        }
    }

    #[test]
    fn lists_as_in_the_text() {
        assert_eq!(block(&json!({"a": [{"b": 1, "c": 2}]}), Lists::Flush), "a:\n- b: 1\n  c: 2\n");
        assert_eq!(block(&json!({"a": [{"b": 1, "c": 2}]}), Lists::Indented), "a:\n  - b: 1\n    c: 2\n");
        assert_eq!(Lists::of("a:\n  - b\nc:\n  - d\n"), Lists::Indented);
        assert_eq!(Lists::of("a:\n# x\n- b\nc: d\n"), Lists::Flush);
        assert_eq!(Lists::of("a: b\n"), Lists::Flush);
    }
}
