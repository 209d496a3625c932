use super::*;
use serde_json::json;
use std::fmt::Write;

fn read(text: &str) -> Result<Node<'_>, Fault> {
    first(text, 1, &mut ParseLimits::default()).map(|first| first.node)
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
fn what_go_yaml_reads_and_libyaml_does_not() {
    for (text, expected) in [
        ("[fd00:db8::, a:]", json!(["fd00:db8::", "a:"])),
        ("{a:b, c: d}", json!({"c": "d"})),
        ("[a: b, c]", json!([{"a": "b"}, "c"])),
        ("[? a : b]", json!([{"a": "b"}])),
        ("{a, b: }", json!({})),
        ("? a\n: b\n", json!({"a": "b"})),
        ("a: !x,y z", json!({"a": "z"})),
        ("[!x, 1]", json!(["1"])),
        ("a:\r  b: 1\r  c: 2\r", json!({"a": {"b": 1, "c": 2}})),
        ("a: 1\u{85}b: 2\u{2028}c: 3\u{2029}", json!({"a": 1, "b": 2, "c": 3})),
        ("a: x\r\r\n  y\r\n", json!({"a": "x y"})),
        ("a: \"x\\\n  y\\/\"", json!(null)),
        ("a: \"x\\\n  \\ty\"", json!({"a": "x\ty"})),
        ("a: 'it''s\n\n\n  so'", json!({"a": "it's\n\nso"})),
        ("a: >\n  b\n  c\n\n   d\n  e\n", json!({"a": "b c\n\n d\ne\n"})),
        ("a: |+2\n    b\n\n\nc: |-\n\n  d\n", json!({"a": "  b\n\n\n", "c": "\nd"})),
    ] {
        match read(text) {
            Ok(node) => assert_eq!(node.to_json(), expected, "{text:?}"),
            Err(fault) => assert_eq!(expected, json!(null), "{text:?}: {fault}"),
        }
    }
}

#[test]
fn what_go_yaml_refuses() {
    for (text, line, message) in [
        ("a: [!,", 1, "did not find expected ',' or ']'"),
        ("%YAML 1.1\n", 1, "kubectl refuses"),
        ("%YAML 1.2\n--- a\n", 1, "kubectl reads only YAML 1.1"),
        ("%FOO\n--- a\n", 1, "found unknown directive name"),
        ("...\na: b\n", 1, "did not find expected node content"),
        ("a: \"\\ud800\"\n", 1, "found invalid Unicode character escape code"),
        ("a: \"\\q\"\n", 1, "found unknown escape character"),
        ("a: !y!x b\n", 1, "found undefined tag handle"),
        ("a: !!int b\n", 1, "does not fit its tag"),
        ("a: !!binary b\n", 1, "no valid base64"),
        ("18446744073709551615: a\n", 1, "is too large"),
        ("a: b\n- c\n", 2, "did not find expected key"),
        ("- a\nb: c\n", 2, "did not find expected '-' indicator"),
        ("a: |0\n", 1, "indicator equal to 0"),
        ("a: 'b\n", 1, "unexpected end of stream"),
        ("a: @b\n", 1, "cannot start any token"),
        ("x: &l [{a: 1}]\n<<: *l\n", 1, "takes a map or a list of maps"),
        (&format!("{}: a\n", "k".repeat(1025)), 1, "mapping values are not allowed"),
        (&format!("a: b\n{}: c\n", "k".repeat(1025)), 2, "could not find expected ':'"),
    ] {
        let (found, _, why) = fault(text);
        assert!(found == line && why.contains(message), "{text:.40?}: {found}, {why}");
    }
}

#[test]
fn tags_and_directives() {
    let text = "%TAG !y! tag:yaml.org,2002:\n%YAML 1.1 # why\n--- {a: !y!str 1, b: !<tag:yaml.org,2002:str> 2, c: ! 3}\n";
    assert_eq!(json(text), json!({"a": "1", "b": "2", "c": "3"}));
    let text = "a: !!binary aGVs\n\nb: !!binary /w==\n!!binary aw== : !!str\nc: !!null\n";
    assert_eq!(json(text), json!({"a": "hel", "b": "\u{fffd}", "k": ""}));
    assert_eq!(
        json("a: &a {b: 1}\nc: {! <<: *a}\nd: {!!merge <<: *a}\ne: {'<<': 1}\n")["d"],
        json!({"b": 1})
    );
}

#[test]
fn what_follows_the_document_is_not_parsed() {
    let first = |text| first(text, 1, &mut ParseLimits::default()).map(|first| first.ignored);
    assert_eq!(first("{a: 1}\n[? a : b]`x"), Ok(Some((2, 1))));
    assert_eq!(first("{a: 1}\n...\n@"), Ok(Some((3, 1))));
    assert!(first("{a: 1}\n@").is_err(), "go-yaml looks at the next token");
    assert!(first("{a: 1}\n...\n\u{7}").is_err(), "go-yaml reads ahead");
    let far = format!("{{a: 1}}\n...\n{}\u{7}", " ".repeat(600));
    assert!(first(&far).is_ok());
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
    let node =
        first("spec:\n  'replicas': 4\n  args:\n  - \"ü\"\n  - name: x\n", 10, &mut ParseLimits::default())
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
    let ignored = |text| first(text, 1, &mut ParseLimits::default()).unwrap().ignored;
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
