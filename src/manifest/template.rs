//! `OpenShift` Templates, processed as `oc process` does without arguments.

use std::borrow::Cow;
use std::collections::HashMap;

use super::fault::Fault;
use super::json;
use super::limits::ParseLimits;
use super::node::{MapEntry, Node, NodeValue, Span};

/// The objects of a Template with its parameters' default values put in. A parameter without one stays as it is written.
pub(super) fn objects<'a>(mut template: Node<'a>, limits: &mut ParseLimits) -> Result<Vec<Node<'a>>, Fault> {
    let parameters = template.take_list("parameters");
    let values = parameters.iter().filter_map(default).collect();
    let mut objects = template.take_list("objects");
    let mut filler = Filler { values, limits };
    for object in &mut objects {
        filler.fill(object)?;
    }
    Ok(objects)
}

/// Where a parameter's name or value is something else than a string.
pub(super) fn malformed_parameters(template: &Node<'_>) -> Vec<Span> {
    let parameters = template.get("parameters").and_then(Node::as_list).unwrap_or_default();
    let fields = parameters.iter().flat_map(|parameter| ["name", "value"].map(|key| parameter.entry(key)));
    let malformed = fields.flatten().filter(|field| !field.value.is_null() && field.value.as_str().is_none());
    malformed.map(MapEntry::span).collect()
}

fn default<'n>(parameter: &'n Node<'_>) -> Option<(&'n str, &'n str)> {
    Some((parameter.get("name")?.as_str()?, parameter.get("value")?.as_str()?))
}

/// Puts values in the place of parameters, within the limits.
struct Filler<'a, 'b> {
    values: HashMap<&'a str, &'a str>,
    limits: &'b mut ParseLimits,
}

impl<'a> Filler<'a, '_> {
    fn fill(&mut self, node: &mut Node<'_>) -> Result<(), Fault> {
        let (line, column) = (node.line, node.column);
        match &mut node.value {
            NodeValue::String(text) => match self.whole(text, line, column)? {
                Some(value) => node.value = value,
                None => self.substitute(text, line, column)?,
            },
            NodeValue::List(items) => items.iter_mut().try_for_each(|item| self.fill(item))?,
            NodeValue::Map(entries) => {
                for MapEntry { key, line, column, value, .. } in entries {
                    self.substitute(key, *line, *column)?;
                    self.fill(value)?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// `${{NAME}}` alone stands for a value that need not be a string.
    fn whole(&mut self, text: &str, line: u32, column: u32) -> Result<Option<NodeValue<'static>>, Fault> {
        let name = text.strip_prefix("${{").and_then(|rest| rest.strip_suffix("}}"));
        let Some(text) = name.and_then(|name| self.values.get(name).copied()) else { return Ok(None) };
        self.limits.expand(text.len(), line, column)?;
        let parsed = json::stream(text, 1, &mut ParseLimits::default());
        Ok(match <[Node<'_>; 1]>::try_from(parsed.values) {
            Ok([node])
                if parsed.fault.is_none()
                    && !matches!(node.value, NodeValue::List(_) | NodeValue::Map(_)) =>
            {
                Some(node.into_owned().value)
            }
            _ => Some(NodeValue::String(text.to_owned().into())),
        })
    }

    /// Puts values in the place of `${NAME}`.
    fn substitute(&mut self, text: &mut Cow<'_, str>, line: u32, column: u32) -> Result<(), Fault> {
        if !text.contains("${") {
            return Ok(());
        }
        let mut filled = String::with_capacity(text.len());
        let mut rest = &**text;
        while let Some(start) = rest.find("${") {
            let (before, after) = (&rest[..start], &rest[start + 2..]);
            filled += before;
            let parameter = self.parameter(after);
            if let Some((value, _)) = parameter {
                self.limits.expand(value.len(), line, column)?;
            }
            let (value, after) = parameter.unwrap_or(("${", after));
            filled += value;
            rest = after;
        }
        *text = (filled + rest).into();
        Ok(())
    }

    /// The value of the parameter whose name stands here before a `}`, and what follows that.
    fn parameter<'t>(&self, text: &'t str) -> Option<(&'a str, &'t str)> {
        let length = text.bytes().take_while(|byte| byte.is_ascii_alphanumeric() || *byte == b'_').count();
        let (name, rest) = text.split_at(length);
        Some((*self.values.get(name)?, rest.strip_prefix('}')?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filler<'a>(values: &[(&'a str, &'a str)], limits: &'a mut ParseLimits) -> Filler<'a, 'a> {
        Filler { values: values.iter().copied().collect(), limits }
    }

    #[test]
    fn puts_values_in() {
        let mut limits = ParseLimits::default();
        let mut filler = filler(&[("A", "1"), ("B", "b")], &mut limits);
        for (text, expected) in [
            ("${A}-${B}", "1-b"),
            ("x${C}${A}", "x${C}1"),
            ("${A", "${A"),
            ("$${B}", "$b"),
            ("${${A}}", "${1}"),
        ] {
            let mut result = Cow::from(text);
            filler.substitute(&mut result, 1, 1).unwrap();
            assert_eq!(result, expected, "{text}");
        }
    }

    #[test]
    fn double_braces_change_the_type() {
        let mut limits = ParseLimits::default();
        let mut filler = filler(&[("N", "3"), ("T", "true"), ("S", "a b")], &mut limits);
        let mut whole = |text| filler.whole(text, 1, 1).unwrap();
        assert_eq!(whole("${{N}}"), Some(NodeValue::Number(3.into())));
        assert_eq!(whole("${{T}}"), Some(NodeValue::Bool(true)));
        assert_eq!(whole("${{S}}"), Some(NodeValue::String("a b".into())));
        assert_eq!(whole("${{X}}"), None);
        assert_eq!(whole("${N}"), None);
    }

    #[test]
    fn what_values_expand_to_is_limited() {
        let value = "x".repeat(100_000);
        let mut limits = ParseLimits::default();
        let mut filler = filler(&[("V", &value)], &mut limits);
        let fault = filler.substitute(&mut "${V}".repeat(50_000).into(), 7, 3).unwrap_err();
        assert!(fault.limit && fault.line == 7);
    }
}
