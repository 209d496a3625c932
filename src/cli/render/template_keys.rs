//! Positions of rendered objects in the template of a chart that they come from.

use std::collections::HashMap;

use super::graft::{place, place_key};
use crate::manifest::{Node, NodeValue, Span};

/// Among more keys of one name the right one is not looked for.
const MOST_OF_ONE_NAME: usize = 64;

/// The keys of a template, and where the lines below each of them end.
pub(super) struct Keys {
    /// By line.
    by_name: HashMap<String, Vec<TemplateKey>>,
    /// The template as a whole.
    top: TemplateKey,
}

#[derive(Clone, Copy)]
struct TemplateKey {
    span: Span,
    /// The last line that is further in than the key.
    end: u32,
    /// The column of the keys right below it, `u32::MAX` without any.
    inner: u32,
}

impl Keys {
    /// Reads the lines of a template that have a key, whatever its actions make of them.
    pub(super) fn of(template: &str) -> Self {
        let lines = u32::try_from(template.lines().count()).unwrap_or(u32::MAX);
        // An object may begin on the first line.
        let top =
            TemplateKey { span: Span { line: 0, column: 1, end_column: 1 }, end: lines, inner: u32::MAX };
        let mut keys = Self { by_name: HashMap::new(), top };
        let mut found: Vec<(&str, TemplateKey)> = Vec::new();
        let mut open: Vec<usize> = Vec::new();
        for (name, span) in written(template) {
            while let Some(&above) = open.last()
                && found[above].1.span.column >= span.column
            {
                found[above].1.end = span.line - 1;
                open.pop();
            }
            if let Some(&above) = open.last() {
                let inner = &mut found[above].1.inner;
                *inner = span.column.min(*inner);
            }
            open.push(found.len());
            found.push((name, TemplateKey { span, end: lines, inner: u32::MAX }));
        }
        for (name, key) in found {
            keys.top.inner = key.span.column.min(keys.top.inner);
            keys.by_name.entry(name.to_owned()).or_default().push(key);
        }
        keys
    }

    /// The only key of this name below another: right below it, or else anywhere.
    fn below(&self, name: &str, above: TemplateKey) -> Option<TemplateKey> {
        let all = self.by_name.get(name)?;
        let start = all.partition_point(|key| key.span.line <= above.span.line);
        let end = all.partition_point(|key| key.span.line <= above.end);
        let inside = all.get(start..end)?;
        let only = |keys: &mut dyn Iterator<Item = &TemplateKey>| {
            keys.next().copied().filter(|_| keys.next().is_none())
        };
        let mut right_below =
            inside.iter().take(MOST_OF_ONE_NAME).filter(|key| key.span.column == above.inner);
        only(&mut right_below).or_else(|| only(&mut inside.iter()))
    }
}

/// The keys as they are written, in the order of their lines.
fn written(template: &str) -> impl Iterator<Item = (&str, Span)> {
    (1_u32..).zip(template.lines()).filter_map(|(line, text)| {
        let trimmed = text.trim_start_matches([' ', '-']);
        let (key, _) = trimmed.split_once(':')?;
        if key.is_empty() || key.contains(['{', '#', ' ']) {
            return None;
        }
        let count = |bytes: usize| u32::try_from(bytes).unwrap_or(u32::MAX).saturating_add(1);
        let column = count(text.len() - trimmed.len());
        Some((key, Span { line, column, end_column: column.saturating_add(count(key.len()) - 1) }))
    })
}

/// Gives every value the position of its key in a template, where the template has only one such key there; else that of what is
/// above.
pub(super) fn onto_template(node: &mut Node<'_>, keys: &Keys) {
    onto_block(node, keys, keys.top, Span { line: 1, column: 1, end_column: 1 });
}

fn onto_block(node: &mut Node<'_>, keys: &Keys, block: TemplateKey, at: Span) {
    place(node, at);
    match &mut node.value {
        NodeValue::Map(entries) => {
            for entry in entries {
                let found = keys.below(&entry.key, block);
                let (block, at) = found.map_or((block, at), |key| (key, key.span));
                place_key(entry, at);
                onto_block(&mut entry.value, keys, block, at);
            }
        }
        NodeValue::List(items) => items.iter_mut().for_each(|item| onto_block(item, keys, block, at)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::document;

    fn lines(template: &str, rendered: &str, pointers: &[&str]) -> Vec<u32> {
        let mut rendered = document(rendered).unwrap();
        onto_template(&mut rendered, &Keys::of(template));
        pointers.iter().map(|pointer| rendered.locate(pointer).line).collect()
    }

    #[test]
    fn a_key_is_where_its_block_has_it_once() {
        let template = "kind: X\nmetadata:\n  name: {{ .n }}\nspec:\n  {{- if .r }}\n  replicas: {{ .r }}\n  {{- end }}\n  \
                        template:\n    spec:\n      a:\n      - name: b\n        image: x\n      - name: c\n";
        let rendered = "kind: X\nmetadata: {name: n}\nspec:\n  replicas: 4\n  template:\n    spec:\n      a:\n      - {name: b, image: x}\n      - name: c\n";
        let pointers = [
            "/metadata/name",
            "/spec",
            "/spec/none",
            "/spec/replicas",
            "/spec/template/spec/a/0/image",
            "/spec/template/spec/a/0/name",
            "/none",
        ];
        assert_eq!(lines(template, rendered, &pointers), [3, 4, 4, 6, 12, 10, 1]);
    }

    #[test]
    fn of_two_objects_in_one_template_neither_is_pointed_into() {
        let template = "spec:\n  replicas: 1\n---\nspec:\n  replicas: 2\n";
        assert_eq!(lines(template, "spec: {replicas: 2}", &["/spec/replicas"]), [1]);
    }

    #[test]
    fn many_keys_of_one_name_take_no_more_than_linear_time() {
        let template = "a:\n".to_owned() + &"  b:\n    c: 1\n".repeat(50_000);
        let rendered = format!("a: [{}]", "{c: 1},".repeat(50_000));
        assert_eq!(lines(&template, &rendered, &["/a/7/c"]), [1]);
    }
}
