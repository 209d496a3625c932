//! `OpenShift` Templates, processed as `oc process` does without arguments.

use std::collections::HashMap;

use super::json;
use super::limits::Budget;
use super::node::{Entry, Node, Value};
use super::unwrap::take_list;

/// The objects of a Template with its parameters' default values put in. A parameter without one stays as it is written.
pub(super) fn objects(mut template: Node) -> Vec<Node> {
    let parameters = take_list(&mut template, "parameters");
    let values: HashMap<&str, &str> = parameters.iter().filter_map(default).collect();
    let mut objects = take_list(&mut template, "objects");
    for object in &mut objects {
        fill(object, &values);
    }
    objects
}

fn default(parameter: &Node) -> Option<(&str, &str)> {
    Some((parameter.get("name")?.as_str()?, parameter.get("value")?.as_str()?))
}

fn fill(node: &mut Node, values: &HashMap<&str, &str>) {
    match &mut node.value {
        Value::String(text) => match whole(text, values) {
            Some(value) => node.value = value,
            None => *text = substitute(text, values),
        },
        Value::List(items) => items.iter_mut().for_each(|item| fill(item, values)),
        Value::Map(entries) => {
            for Entry { key, value, .. } in entries {
                *key = substitute(key, values);
                fill(value, values);
            }
        }
        _ => {}
    }
}

/// `${{NAME}}` alone stands for a value that need not be a string.
fn whole(text: &str, values: &HashMap<&str, &str>) -> Option<Value> {
    let name = text.strip_prefix("${{")?.strip_suffix("}}")?;
    let text = *values.get(name)?;
    let parsed = json::stream(text, 1, &mut Budget::default());
    match <[Node; 1]>::try_from(parsed.values) {
        Ok([node]) if parsed.fault.is_none() && !matches!(node.value, Value::List(_) | Value::Map(_)) => {
            Some(node.value)
        }
        _ => Some(Value::String(text.to_owned())),
    }
}

/// Puts values in the place of `${NAME}`.
fn substitute(text: &str, values: &HashMap<&str, &str>) -> String {
    let mut filled = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find("${") {
        let (before, after) = (&rest[..start], &rest[start + 2..]);
        filled += before;
        let value = after.find('}').and_then(|end| Some((*values.get(&after[..end])?, &after[end + 1..])));
        let (value, after) = value.unwrap_or(("${", after));
        filled += value;
        rest = after;
    }
    filled + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn puts_values_in() {
        let values = HashMap::from([("A", "1"), ("B", "b")]);
        for (text, expected) in [
            ("${A}-${B}", "1-b"),
            ("x${C}${A}", "x${C}1"),
            ("${A", "${A"),
            ("$${B}", "$b"),
            ("${${A}}", "${1}"),
        ] {
            assert_eq!(substitute(text, &values), expected, "{text}");
        }
    }

    #[test]
    fn double_braces_change_the_type() {
        let values = HashMap::from([("N", "3"), ("T", "true"), ("S", "a b")]);
        assert_eq!(whole("${{N}}", &values), Some(Value::Number(3.into())));
        assert_eq!(whole("${{T}}", &values), Some(Value::Bool(true)));
        assert_eq!(whole("${{S}}", &values), Some(Value::String("a b".to_owned())));
        assert_eq!(whole("${{X}}", &values), None);
        assert_eq!(whole("${N}", &values), None);
    }
}
