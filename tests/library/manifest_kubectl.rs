//! Manifests read as kubectl reads them: what it takes for objects is judged, what it passes over is noted, and what it
//! refuses is unreadable. The expectations are those of its `YAMLOrJSONDecoder`, go-yaml and unstructured decoder.

use serde_json::{Value, json};
use stateward::manifest::{NoteKind, Source, SourceOrigin, read};

/// The names of the objects and the kinds of the notes.
fn read_text(text: &str) -> (Vec<String>, Vec<NoteKind>) {
    let (manifests, notes) = objects(text);
    let names = manifests.iter().map(|object| {
        let name = object.pointer("/metadata/name").and_then(Value::as_str).unwrap_or("-");
        format!("{}/{name}", object["kind"].as_str().unwrap_or("-"))
    });
    (names.collect(), notes)
}

fn objects(text: &str) -> (Vec<Value>, Vec<NoteKind>) {
    let source = Source::new("x.yaml", text, SourceOrigin::Named);
    let (manifests, notes) = read(&source, text);
    let objects = manifests.iter().map(|manifest| manifest.node.to_json()).collect();
    (objects, notes.iter().map(|note| note.kind).collect())
}

fn yaml(name: &str) -> String {
    format!("apiVersion: v1\nkind: Service\nmetadata: {{name: {name}}}\n")
}

fn json(name: &str) -> String {
    json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}}).to_string()
}

#[test]
fn documents_are_cut_where_kubectl_cuts_them() {
    use NoteKind::{Ignored, NotAManifest, Unreadable};
    let (a, b, c) = (yaml("a"), yaml("b"), yaml("c"));
    let (ja, jb, jc) = (json("a"), json("b"), json("c"));
    let far = " ".repeat(5000);
    let cases: &[(String, &str, &[NoteKind])] = &[
        (format!("{a}---\n{b}"), "a b", &[]),
        (format!("---\n---\n{a}---  # next\n\n---\n{b}---\n"), "a b", &[]),
        (format!("{a}...\n{b}"), "a", &[Ignored]),
        (format!("{a}...\n---\n{b}"), "a b", &[]),
        (format!("{a}--- {b}"), "", &[Unreadable]),
        (format!("---\n%YAML 1.1\n---\n{a}"), "a", &[Ignored]),
        (format!("%YAML 1.1\n---\n{a}"), "a", &[Unreadable]),
        (format!("{a}---\n%YAML 1.1\n---\n{b}"), "a b", &[Unreadable]),
        (format!("{ja}{jb}\n{jc}"), "a b c", &[]),
        (format!("---\n{ja}\n{jb}"), "a", &[Ignored]),
        (format!("{ja}\n---\n{jb}\n{jc}"), "a b", &[Ignored]),
        (format!("{ja}\n---\n{b}---\n{c}"), "a b c", &[]),
        (format!("{ja}\n{jb}\n---\n{c}"), "a b", &[Unreadable]),
        (format!("{ja}\n{b}"), "a b", &[]),
        (format!("{ja}\n{jb},"), "a b", &[Unreadable]),
        (format!("\n{far}{ja}\n{jb}"), "a", &[Ignored]),
        (format!("# a comment\n{ja}\n{jb}"), "a", &[Ignored]),
        (format!("{}---\n{b}", a.replace('\n', "\r")), "a", &[Ignored]),
        (format!("---\r{}", a.replace('\n', "\r")), "", &[Unreadable]),
        (a.replace('\n', "\r"), "a", &[]),
        (format!("# a comment\r{}", a.replace('\n', "\r")), "a", &[]),
        (a.replace('\n', "\u{85}"), "a", &[]),
        (a.replace('\n', "\u{2028}"), "a", &[]),
        (a.replace('\n', "\u{2029}"), "a", &[]),
        (format!("%\r{}", a.replace('\n', "\r")), "", &[Unreadable]),
        (format!("[{ja}]"), "", &[NotAManifest]),
    ];
    for (text, names, notes) in cases {
        let names: Vec<String> = names.split_whitespace().map(|name| format!("Service/{name}")).collect();
        assert_eq!(read_text(text), (names, notes.to_vec()), "{text:.200?}");
    }
}

#[test]
fn whatever_has_items_is_a_list() {
    use NoteKind::{Ignored, NotAManifest, Unreadable};
    let typed = "{apiVersion: v1, kind: Service, metadata: {name: a}}";
    let bare = "{metadata: {name: a}}";
    let cases: &[(String, &[&str], &[NoteKind])] = &[
        (
            format!("apiVersion: v1\nkind: Bundle\nitems:\n- {typed}\n- {bare}\n"),
            &["Service/a", "Bundle/a"],
            &[],
        ),
        (format!("kind: ConfigMap\nitems: [{typed}]\n"), &["Service/a"], &[]),
        (format!("apiVersion: v1\nkind: ServiceList\nitems: [{bare}]\n"), &["Service/a"], &[]),
        (format!("apiVersion: v1\nkind: List\nitems: [{bare}]\n"), &[], &[NotAManifest]),
        (
            "apiVersion: v1\nkind: ServiceList\nitems: [{kind: Pod, metadata: {name: a}}]\n".to_owned(),
            &[],
            &[NotAManifest],
        ),
        (format!("items: [{typed}]\n"), &[], &[NotAManifest]),
        ("apiVersion: v1\nkind: Service\nmetadata: {name: a}\nitems:\n".to_owned(), &[], &[Ignored]),
        ("apiVersion: v1\nkind: Service\nmetadata: {name: a}\nitems: {}\n".to_owned(), &[], &[Unreadable]),
        (
            format!("apiVersion: v1\nkind: X\nitems: [{{kind: Z, apiVersion: v1, items: [{typed}]}}]\n"),
            &["Service/a"],
            &[],
        ),
    ];
    for (text, names, notes) in cases {
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        assert_eq!(read_text(text), (names, notes.to_vec()), "{text}");
    }
}

#[test]
fn values_are_those_kubectl_sends() {
    for (value, expected) in [
        ("[fd00:db8::, a:]", json!(["fd00:db8::", "a:"])),
        ("!!binary aGVsbG8=", json!("hello")),
        ("!!binary /w==", json!("\u{fffd}")),
        ("! 5", json!("5")),
        ("0b-1", json!(-1)),
        (".1_5", json!(0.15)),
        ("1e3", json!(1000)),
        ("0o17", json!(15)),
        ("2001-01-01", json!("2001-01-01")),
        ("{1: a, yes: b, 1.10: c}", json!({"1": "a", "true": "b", "1.1": "c"})),
    ] {
        let (found, notes) = objects(&format!("apiVersion: v1\nkind: T\nx: {value}\n"));
        assert_eq!((found[0]["x"].clone(), notes), (expected, vec![]), "{value}");
    }
    let (found, _) = objects(r#"{"apiVersion": "v1", "kind": "T", "x": "\ud800y\ud83d\ude00"}"#);
    assert_eq!(found[0]["x"], "\u{fffd}y😀", "in JSON half a surrogate pair is replaced");
    let (found, notes) = objects("apiVersion: v1\nkind: T\nx: \"\\ud800\"\n");
    assert_eq!((found, notes), (vec![], vec![NoteKind::Unreadable]), "in YAML it is refused");
}

#[test]
fn a_directive_of_patches_hides_no_object_that_is_complete() {
    let set = "apiVersion: apps/v1\nkind: StatefulSet\nmetadata: {name: a, annotations: {$patch: x}}\nspec:\n  selector: \
               {matchLabels: {a: b}}\n  template: {spec: {containers: [{name: x, $patch: delete}]}}\n$patch: delete\n";
    assert_eq!(read_text(set), (vec!["StatefulSet/a".to_owned()], vec![]));
    for complete in [
        "apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec: {selector: {a: b}, ports: [{port: 1}]}\n$patch: merge\n",
        "apiVersion: policy/v1\nkind: PodDisruptionBudget\nspec: {selector: {}, minAvailable: 1}\n$patch: merge\n",
    ] {
        assert_eq!(read_text(complete).1, [], "{complete}");
    }
    let patch =
        "apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec: {ports: [{port: 1, $patch: delete}]}\n";
    assert_eq!(read_text(patch), (vec![], vec![NoteKind::Partial]));
}
