//! Manifests made to cost and to deceive.

use stateward::manifest::{Manifest, Note, NoteKind, Source, SourceOrigin, read};

fn read_text(text: &str) -> (Vec<Manifest<'static>>, Vec<Note>) {
    let source = Source::new("x.yaml", text, SourceOrigin::Named);
    let (manifests, notes) = read(&source, text);
    (manifests.into_iter().map(Manifest::into_owned).collect(), notes)
}

/// What a text becomes, in bytes of strings.
fn size(manifests: &[Manifest<'_>]) -> usize {
    manifests.iter().map(|manifest| manifest.node.to_json().to_string().len()).sum()
}

#[test]
fn what_a_text_expands_to_is_bounded_and_said() {
    let long = "x".repeat(100_000);
    let list = format!("apiVersion: {long}\nkind: ServiceList\nitems:\n{}", "- {}\n".repeat(16_000));
    let template = format!(
        "apiVersion: v1\nkind: Template\nparameters: [{{name: A, value: {long}}}]\nobjects:\n{}",
        "- {apiVersion: v1, kind: T, x: '${A}', '${A}': '${{A}}'}\n".repeat(5_000)
    );
    let aliases = format!("apiVersion: v1\nkind: T\na: &a {long}\nb: [{}]\n", vec!["*a"; 5_000].join(", "));
    for text in [list, template, aliases] {
        let start = text[200_000.min(text.len() - 100)..][..100].to_owned();
        let (manifests, notes) = read_text(&text);
        assert!(size(&manifests) < 64 << 20, "{start}");
        assert_eq!(notes.iter().map(|note| note.kind).collect::<Vec<_>>(), [NoteKind::TooLarge], "{start}");
        assert!(notes[0].hides.contains(&"StatefulSet") && notes[0].message.contains("left out"));
    }
}

#[test]
fn many_keys_written_twice_under_a_long_key_are_bounded() {
    let keys: Vec<String> = (0..2_000).map(|number| format!("  k{number}: 1\n  k{number}: 2\n")).collect();
    let (manifests, notes) =
        read_text(&format!("apiVersion: v1\nkind: T\n? {}\n:\n{}", "x".repeat(100_000), keys.concat()));
    let pointers: usize = manifests[0].duplicate_keys.iter().map(|key| key.pointer.len()).sum();
    assert!(pointers < 32 << 20);
    assert_eq!(notes[0].kind, NoteKind::TooLarge);
}

#[test]
fn messages_of_notes_are_printable() {
    let deceptive = "\u{1b}[2J\u{202e}\n::error::x\u{9b}";
    for text in [
        format!("apiVersion: v1\nkind: T\na: !!int {deceptive:?}\n"),
        "apiVersion: v1\nkind: T\na: *a\u{200b}\n".to_owned(),
        "apiVersion: v1\nkind: \"Sta\\e[31m\"\nitems: {}\n".to_owned(),
    ] {
        let (_, notes) = read_text(&text);
        assert_eq!(notes.len(), 1);
        let message = &notes[0].message;
        assert!(
            !message.contains(|c: char| c.is_control() || c == '\u{202e}' || c == '\u{200b}'),
            "{message:?}"
        );
    }
}
