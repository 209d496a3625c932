//! Edits in the text of one document, which keep its comments, order, anchors and style.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::str::FromStr;

use serde_json::{Map, Value};
use yaml_edit::{AsYaml, Document, Mapping, MappingEntry, Sequence, YamlFile, YamlNode};

use super::render::{self, Lists};
use crate::manifest;

/// The text of a document that says `old`, changed so that it says `new`. Whether it does is read back: what is written in a way
/// that cannot be edited safely, such as an anchor that other fields share, is refused.
pub(super) fn edit(text: &str, old: &Value, new: &Value) -> Result<String, String> {
    let edited = catch_unwind(AssertUnwindSafe(|| rewrite(text, old, new)));
    let mut edited = edited.unwrap_or_else(|_| Err("its YAML cannot be edited".to_owned()))?;
    if serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok() {
        edited = without_dangling_commas(&edited);
    }
    cut_dangling_indent(&mut edited);
    let read =
        manifest::document(&edited).map_err(|fault| format!("it would not be YAML: {}", fault.message))?;
    if read.to_json() == *new {
        Ok(edited)
    } else if text.contains('&') {
        Err("other fields would change with it, because they share an anchor".to_owned())
    } else {
        Err("it is written in a way that cannot be edited in place".to_owned())
    }
}

fn rewrite(text: &str, old: &Value, new: &Value) -> Result<String, String> {
    let file = YamlFile::from_str(text).map_err(|error| format!("its YAML cannot be edited: {error}"))?;
    let root = file.document().and_then(|document| document.as_mapping());
    let (Some(root), Value::Object(old), Value::Object(new)) = (root, old, new) else {
        return Err("it is no map".to_owned());
    };
    let writer = DocumentWriter { lists: Lists::of(text), is_json: is_json(text) };
    writer.map(&root, old, new)?;
    Ok(file.to_string())
}

/// Whether a document is JSON, or YAML that begins like it.
pub(super) fn is_json(text: &str) -> bool {
    text.trim_start().starts_with(['{', '['])
}

/// Cuts the indentation that is left after the last line where the last fields of a document were removed: the `---` that follows
/// would not begin its line, and the next document would be a part of this one.
fn cut_dangling_indent(text: &mut String) {
    let end = text.trim_end_matches(' ').len();
    if text[..end].ends_with('\n') {
        text.truncate(end);
    }
}

/// JSON without the comma that is left before a closing bracket where the last field was removed.
fn without_dangling_commas(text: &str) -> String {
    let (mut in_string, mut is_escape) = (false, false);
    let mut kept = String::with_capacity(text.len());
    for (at, character) in text.char_indices() {
        let is_dangling = || {
            character == ',' && text[at + 1..].trim_start_matches(char::is_whitespace).starts_with(['}', ']'])
        };
        if in_string || !is_dangling() {
            kept.push(character);
        }
        in_string ^= character == '"' && !is_escape;
        is_escape = in_string && character == '\\' && !is_escape;
    }
    kept
}

struct DocumentWriter {
    lists: Lists,
    is_json: bool,
}

impl DocumentWriter {
    fn map(&self, at: &Mapping, old: &Map<String, Value>, new: &Map<String, Value>) -> Result<(), String> {
        let gone: Vec<&String> = old.keys().filter(|key| !new.contains_key(*key)).collect();
        let come: Vec<&String> = new.keys().filter(|key| !old.contains_key(*key)).collect();
        if let ([gone], [come]) = (&gone[..], &come[..])
            && is_scalar(old.get(*gone))
            && is_scalar(new.get(*come))
            && entries(at, gone).len() == 1
        {
            // One field in place of another: `minAvailable` becomes `maxUnavailable` on its line.
            at.rename_key(gone.as_str(), come.as_str());
        }
        for (key, value) in new {
            match (entries(at, key).pop(), old.get(key)) {
                (_, Some(old)) if old == value => {}
                (Some(entry), old) => self.entry(&entry, old.unwrap_or(&Value::Null), value)?,
                (None, _) => at.set(key.as_str(), self.node(value)?),
            }
        }
        for entry in gone.into_iter().flat_map(|key| entries(at, key)) {
            entry.remove();
        }
        Ok(())
    }

    fn entry(&self, entry: &MappingEntry, old: &Value, new: &Value) -> Result<(), String> {
        match (entry.value_node(), old, new) {
            (Some(YamlNode::Mapping(at)), Value::Object(old), Value::Object(new)) => self.map(&at, old, new),
            (Some(YamlNode::Sequence(at)), Value::Array(old), Value::Array(new)) => self.list(&at, old, new),
            (Some(YamlNode::Alias(_)), ..) => Err("it is written through an alias".to_owned()),
            (Some(YamlNode::TaggedNode(_)), ..) => Err("it is written with a tag".to_owned()),
            _ => {
                entry.set_value(self.node(new)?, false);
                Ok(())
            }
        }
    }

    /// Items are changed where they stand, removed, or added at the end.
    fn list(&self, at: &Sequence, old: &[Value], new: &[Value]) -> Result<(), String> {
        let mut surplus = old.len().saturating_sub(new.len());
        let (mut kept, mut removed) = (new.iter(), Vec::new());
        for (index, item) in old.iter().enumerate() {
            let next = kept.as_slice().first();
            if surplus > 0 && next != Some(item) {
                surplus -= 1;
                removed.push(index);
                continue;
            }
            let Some(next) = kept.next().filter(|next| *next != item) else { continue };
            match (at.get(index), item, next) {
                (Some(YamlNode::Mapping(inner)), Value::Object(old), Value::Object(new)) => {
                    self.map(&inner, old, new)?;
                }
                (Some(YamlNode::Scalar(_)), ..) => drop(at.set(index, self.node(next)?)),
                _ => return Err("an item of a list cannot be edited in place".to_owned()),
            }
        }
        for item in kept {
            at.push(self.node(item)?);
        }
        for index in removed.into_iter().rev() {
            at.remove(index);
        }
        Ok(())
    }

    fn node(&self, value: &Value) -> Result<impl AsYaml + use<>, String> {
        let text = if self.is_json {
            format!("value: {}\n", render::json(value))
        } else if is_scalar(Some(value)) {
            format!("value: {}\n", render::scalar(value))
        } else {
            let lines = render::block(value, self.lists);
            let indented: String = lines.split_inclusive('\n').flat_map(|line| ["  ", line]).collect();
            format!("value:\n{indented}")
        };
        let document = Document::from_str(&text).map_err(|error| error.to_string())?;
        document.get("value").ok_or_else(|| "it cannot be written".to_owned())
    }
}

/// The entries of a key: more than one where it is written twice, and then the last counts.
fn entries(at: &Mapping, key: &str) -> Vec<MappingEntry> {
    at.find_all_entries_by_key(key).collect()
}

fn is_scalar(value: Option<&Value>) -> bool {
    match value {
        Some(Value::Object(map)) => map.is_empty(),
        Some(Value::Array(items)) => items.is_empty(),
        _ => true,
    }
}
