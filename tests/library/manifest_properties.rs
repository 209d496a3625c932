//! What holds of reading manifests whatever the text.

use proptest::prelude::*;
use serde_json::{Value, json};
use stateward::manifest::Manifest;
use stateward::manifest::Note;
use stateward::manifest::Source;
use stateward::manifest::SourceOrigin;
use stateward::manifest::read;

fn read_text(text: &str) -> (Vec<Manifest<'static>>, Vec<Note>) {
    let source = Source::new("test.yaml", text, SourceOrigin::Named);
    let (manifests, notes) = read(&source, text);
    (manifests.into_iter().map(Manifest::into_owned).collect(), notes)
}

/// Values whose floats are not integral: those become integers, as they do in Go.
fn any_json() -> impl Strategy<Value = Value> {
    let float = any::<f64>().prop_filter("integral", |value| value.is_finite() && value.fract() != 0.0);
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        float.prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 64, 8, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..8).prop_map(Value::from),
            prop::collection::hash_map(any::<String>(), inner, 0..8)
                .prop_map(|map| Value::from(serde_json::Map::from_iter(map))),
        ]
    })
}

fn without_nulls(value: Value) -> Value {
    match value {
        Value::Array(items) => items.into_iter().map(without_nulls).collect(),
        Value::Object(map) => map
            .into_iter()
            .filter(|(_, value)| !value.is_null())
            .map(|(k, v)| (k, without_nulls(v)))
            .collect(),
        other => other,
    }
}

fn pretty(value: &Value, indent: &[u8]) -> String {
    let mut bytes = Vec::new();
    let formatter = serde_json::ser::PrettyFormatter::with_indent(indent);
    serde::Serialize::serialize(value, &mut serde_json::Serializer::with_formatter(&mut bytes, formatter))
        .unwrap();
    String::from_utf8(bytes).unwrap()
}

/// Pieces that matter to the parsers, to put texts together from.
fn any_manifest_like_text() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "a",
        "b: ",
        ": ",
        "- ",
        "  ",
        "\n",
        "\n  ",
        "\n- ",
        "---\n",
        "...\n",
        "{",
        "}",
        "[",
        "]",
        ",",
        "\"",
        "'",
        "|\n",
        ">-",
        "&a ",
        "*a",
        "<<: ",
        "!!str ",
        "!x",
        "? ",
        "#",
        "\t",
        "\r\n",
        "%YAML",
        "null",
        "0x1",
        "\u{feff}",
        "\u{85}",
        "\u{2028}",
        "é",
        "\\",
        "\\u00",
        "apiVersion: v1\n",
        "kind: List\n",
        "items:\n",
        "\"a\":",
        "1",
        "${A}",
        "{{",
        "---",
        "\0",
    ]);
    prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn json_reads_back(value in any_json(), tabs in any::<bool>()) {
        let object = json!({"apiVersion": "v1", "kind": "Thing", "spec": value});
        let text = pretty(&object, if tabs { b"\t" } else { b"   " });
        prop_assume!(!text.contains("\"$"));
        let (found, notes) = read_text(&text);
        prop_assert_eq!(notes, []);
        prop_assert_eq!(found[0].node.to_json(), without_nulls(object));
    }

    #[test]
    fn any_text_is_read_without_panic(text in any::<String>()) {
        read_text(&text);
    }

    #[test]
    fn any_text_like_a_manifest_is_read_without_panic(text in any_manifest_like_text()) {
        let (manifests, notes) = read_text(&text);
        let lines = u32::try_from(text.split('\n').count()).unwrap();
        for manifest in manifests {
            prop_assert!(manifest.node.line <= lines);
        }
        for note in notes {
            prop_assert!(note.line <= lines && note.line > 0 && note.column > 0, "{note:?}");
        }
    }
}
