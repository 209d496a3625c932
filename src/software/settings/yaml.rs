//! YAML, read as manifests are.

use super::{Path, lines};
use crate::manifest::{self, Node, NodeValue};

pub(super) fn read(text: &str, found: &mut dyn FnMut(&str, &str)) {
    let Ok(document) = manifest::document(text) else { return };
    match document.value {
        NodeValue::Map(_) => below(&document, &mut Path::default(), found),
        _ => lines::read(text, found),
    }
}

fn below(node: &Node<'_>, path: &mut Path, found: &mut dyn FnMut(&str, &str)) {
    match &node.value {
        NodeValue::Map(entries) => {
            for entry in entries {
                let before = path.enter([&*entry.key]);
                if matches!(entry.value.value, NodeValue::Map(_)) {
                    path.give("", found);
                }
                below(&entry.value, path, found);
                path.leave(before);
            }
        }
        NodeValue::List(items) => {
            let scalars: Vec<String> = items.iter().filter_map(scalar).collect();
            path.give(&scalars.join(","), found);
            items
                .iter()
                .filter(|item| matches!(item.value, NodeValue::Map(_)))
                .for_each(|item| below(item, path, found));
        }
        _ => path.give(&scalar(node).unwrap_or_default(), found),
    }
}

fn scalar(node: &Node<'_>) -> Option<String> {
    match &node.value {
        NodeValue::Bool(value) => Some(value.to_string()),
        NodeValue::Number(number) => Some(number.to_string()),
        NodeValue::String(text) => Some(text.to_string()),
        NodeValue::Null | NodeValue::List(_) | NodeValue::Map(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::Language;
    use super::super::tests::seen;

    #[test]
    fn a_path_may_be_nested_or_written_with_dots() {
        for (text, expected) in [
            ("storage:\n  dbPath: /store # data\n", "storage= storage.dbPath=/store"),
            ("storage.dbPath: \"/a # b\"", "storage.dbPath=/a # b"),
            ("node.roles: [ master, data ]", "node.roles=master,data"),
            ("node.roles: [\"master\"]", "node.roles=master"),
            ("node:\n  roles:\n  - master\n  - voting_only", "node= node.roles=master,voting_only"),
            ("node.roles: []", "node.roles="),
            ("# node.roles: [master]\nnode.name: ${HOSTNAME}", "node.name=${HOSTNAME}"),
            ("a: {b: true, c: 1, d: null}", "a= a.b=true a.c=1 a.d="),
            ("a:\n- b: 1\n- b: 2", "a= a.b=1 a.b=2"),
            ("{\"replication\": {\"replSetName\": \"rs0\"}}", "replication= replication.replSetName=rs0"),
            ("# old\nreplSet = rs0\ndbpath=/data", "replSet=rs0 dbpath=/data"),
            ("a: {{ template }}", ""),
            ("", ""),
        ] {
            assert_eq!(seen(Language::Yaml, text), expected, "{text}");
        }
    }
}
