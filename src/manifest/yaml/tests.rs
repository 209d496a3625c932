use super::*;
use serde_json::json;
use std::fmt::Write;

fn read(text: &str) -> Result<Node, Fault> {
    first(text, 1, &mut Budget::default()).map(|first| first.node)
}

fn json(text: &str) -> serde_json::Value {
    read(text).unwrap_or_else(|fault| panic!("{text}: {fault:?}")).to_json()
}

fn fault(text: &str) -> (u32, u32, String) {
    let fault = read(text).unwrap_err();
    (fault.line, fault.column, fault.message)
}

#[test]
fn reads_what_libyaml_reads_and_stricter_parsers_do_not() {
    for (text, expected) in [
        ("a:\n  b: [\nx,\nz\n]\n", json!({"a": {"b": ["x", "z"]}})),
        ("a:\n  b: {\n  x: z\n}\n", json!({"a": {"b": {"x": "z"}}})),
        ("a:\n  b: \"foo\nbar\"\n", json!({"a": {"b": "foo bar"}})),
        ("a: {\n\t\"b\": 1\n}\n", json!({"a": {"b": 1}})),
        ("a:\tb\n", json!({"a": "b"})),
        ("a: \"b\"#c\n", json!({"a": "b"})),
    ] {
        assert_eq!(json(text), expected, "{text}");
    }
}

#[test]
fn block_scalars_with_a_comment_on_the_indicator() {
    assert_eq!(json("a: |- # why\n  x\n  y\nb: > # c\r\n  x\r\n  y\r\n"), json!({"a": "x\ny", "b": "x y\n"}));
}

#[test]
fn the_last_line_need_not_end() {
    assert_eq!(json("a: |\n  x"), json!({"a": "x\n"}));
}

#[test]
fn panics_of_the_parser_are_faults() {
    assert!(fault("a: 1\nb: [!x, 1]\n").2.contains("makes no sense"));
}

#[test]
fn quotes_make_strings() {
    assert_eq!(json("[yes, 'yes', \"0644\", 0644, !!str 0644]"), json!([true, "yes", "0644", 420, "0644"]));
}

#[test]
fn keys_become_strings() {
    assert_eq!(json("1: a\nyes: b\n1.10: c\n'y': d\n"), json!({"1": "a", "true": "b", "1.1": "c", "y": "d"}));
    assert_eq!(fault("a: b\n~: c\n").0, 2);
    assert_eq!(fault("a: b\n[x]: c\n").0, 2);
}

#[test]
fn aliases_and_merges() {
    let text = "base: &b {x: 1, w: 2}\nmore: &m {w: 3, z: 4}\none: {<<: *b, w: 5}\ntwo: {w: 5, <<: [*b, *m]}\n\
                name: &k copied\n*k : *b\n";
    let node = read(text).unwrap();
    let json = node.to_json();
    assert_eq!(json["one"], json!({"x": 1, "w": 5}));
    assert_eq!(json["two"], json!({"x": 1, "w": 2, "z": 4}), "in go-yaml a later merge wins");
    assert_eq!(json["copied"], json!({"x": 1, "w": 2}));
    assert_eq!(node.pointer("/one").and_then(|one| one.entry("w")).and_then(|entry| entry.shadows), None);
    assert_eq!(node.locate("/one/x").line, 1, "a merged field is where its anchor is");
    assert_eq!(fault("a: 1\nb: {<<: 3}").0, 2);
}

#[test]
fn anchors_may_be_defined_anew() {
    assert_eq!(json("a: &x 1\nb: *x\nc: &x 2\nd: *x\n"), json!({"a": 1, "b": 1, "c": 2, "d": 2}));
    assert_eq!(fault("a: *x\n"), (1, 4, "the anchor `x` is not defined in this document".to_owned()));
    assert_eq!(fault("a: &x [*x]\n").2, "the anchor `x` contains itself");
}

#[test]
fn duplicates_are_recorded() {
    let node = read("a: 1\nb:\n  c: 1\n  c: 2\na: 3\n").unwrap();
    assert_eq!(node.to_json(), json!({"a": 3, "b": {"c": 2}}));
    let shadows = |pointer: &str, key| node.pointer(pointer).and_then(|map| map.entry(key)?.shadows);
    assert_eq!((shadows("", "a"), shadows("/b", "c"), shadows("", "b")), (Some(1), Some(3), None));
}

#[test]
fn nulls() {
    let node = read("a:\nb: ~\nc: [null, ]\nd: {e: }\n").unwrap();
    assert_eq!(node.to_json(), json!({"c": [null], "d": {}}));
    assert!(node.get("a").is_none() && node.pointer("/d/e").is_none());
    assert_eq!(node.locate("/a").line, 1);
    assert_eq!(node.locate("/d/e/f").column, 5);
}

#[test]
fn spans() {
    let node = first("spec:\n  'replicas': 4\n  args:\n  - \"ü\"\n  - name: x\n", 10, &mut Budget::default())
        .unwrap()
        .node;
    let span =
        |pointer| (node.locate(pointer).line, node.locate(pointer).column, node.locate(pointer).end_column);
    assert_eq!(span("/spec/replicas"), (11, 3, 13));
    assert_eq!(span("/spec/args/0"), (13, 5, 8));
    assert_eq!(span("/spec/args/1"), (14, 5, 9));
    assert_eq!(span("/spec/args/1/value"), (14, 5, 9));
    assert_eq!(span("/spec/missing/x"), (10, 1, 5));
    assert_eq!(span(""), (10, 1, 5));
}

#[test]
fn the_rest_of_a_text_is_reported() {
    let ignored = |text| first(text, 1, &mut Budget::default()).unwrap().ignored;
    assert_eq!(ignored("a: b\n"), None);
    assert_eq!(ignored("a: b\n...\n# c\n"), None);
    assert_eq!(ignored("a: b\n...\nc: d\n"), Some((3, 1)));
    assert_eq!(ignored("{a: b} c\n"), Some((1, 8)));
}

#[test]
fn faults_have_positions() {
    assert_eq!(fault("a:\n\tb: c\n"), (2, 1, "a tab where YAML allows only spaces".to_owned()));
    assert_eq!(fault("a: b\nc: d: e\n").0, 2);
    assert_eq!(fault("a: b\nc: \"x\u{7}\"\n"), (2, 6, "control characters are not allowed".to_owned()));
    assert_eq!(fault("a: b\n c: d\n").0, 2);
    assert_eq!(fault("a: .inf\n"), (1, 4, "`.inf` has no form in JSON".to_owned()));
}

#[test]
fn a_text_may_start_with_any_character() {
    assert_eq!(json("ﬁle: x\n"), json!({"ﬁle": "x"}));
}

#[test]
fn aliases_cannot_explode() {
    let mut text = String::from("a: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol, lol]\n");
    for level in 1..10 {
        let previous = format!("*a{}", level - 1);
        writeln!(text, "b{level}: &a{level} [{}]", [previous.as_str(); 10].join(", ")).unwrap();
    }
    assert!(read(&text).unwrap_err().limit);
    let long = format!("a: &a {}\nb: [{}]\n", "x".repeat(1 << 20), ["*a"; 100].join(", "));
    assert!(read(&long).unwrap_err().limit);
}

#[test]
fn depth_is_limited() {
    assert!(read(&"[".repeat(100_000)).unwrap_err().limit);
    assert!(read(&"- ".repeat(100_000)).unwrap_err().limit);
    let aliased = (1..20).fold("a0: &a0 [[[[[[[[[[[[[x]]]]]]]]]]]]]\n".to_owned(), |text, level| {
        format!("{text}a{level}: &a{level} [[[[[[[[[[[[*a{}]]]]]]]]]]]]\n", level - 1)
    });
    assert!(read(&aliased).unwrap_err().limit);
}
