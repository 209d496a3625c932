//! Reading manifests as they are found in the wild, a test for each way in which they surprise.

use std::path::Path;
use std::sync::Arc;

use serde_json::json;
use stateward::cli::sources;
use stateward::manifest::Manifest;
use stateward::manifest::Note;
use stateward::manifest::NoteKind;
use stateward::manifest::Source;
use stateward::manifest::SourceOrigin;
use stateward::manifest::read;

fn source(text: &str, origin: SourceOrigin) -> Arc<Source> {
    Source::new("test.yaml", text, origin)
}

fn read_text(text: &str) -> (Vec<Manifest<'static>>, Vec<Note>) {
    let source = source(text, SourceOrigin::Named);
    let (manifests, notes) = read(&source, text);
    (manifests.into_iter().map(Manifest::into_owned).collect(), notes)
}

fn manifests(text: &str) -> Vec<Manifest<'static>> {
    let (manifests, notes) = read_text(text);
    assert_eq!(notes, [], "{text}");
    manifests
}

fn names(manifests: &[Manifest<'_>]) -> Vec<String> {
    let name =
        |manifest: &Manifest<'_>| format!("{}/{}", manifest.kind, manifest.name.as_deref().unwrap_or("-"));
    manifests.iter().map(name).collect()
}

fn kinds(notes: &[Note]) -> Vec<(NoteKind, u32)> {
    notes.iter().map(|note| (note.kind, note.line)).collect()
}

fn service(name: &str) -> String {
    format!("apiVersion: v1\nkind: Service\nmetadata: {{name: {name}}}\n")
}

const STATEFUL_SET: &str = "\
apiVersion: apps/v1
kind: StatefulSet
metadata:
  name: db
  namespace:
  annotations:
spec:
  replicas: 4
  selector: {matchLabels: {app: db}}
  template:
    spec:
      volumes:
      containers:
      - name: db
        args: [~, x]
";

#[test]
fn null_means_absent() {
    let found = manifests(STATEFUL_SET).remove(0);
    assert_eq!((found.name.as_deref(), found.namespace.as_deref()), (Some("db"), None));
    assert_eq!(found.node.get("metadata").unwrap().to_json(), json!({"name": "db"}));
    assert!(found.node.pointer("/spec/template/spec/volumes").is_none());
    assert_eq!(
        found.node.pointer("/spec/template/spec/containers/0/args").unwrap().to_json(),
        json!([null, "x"])
    );
    assert_eq!(found.node.locate("/spec/replicas").line, 8);
    assert_eq!(found.node.locate("/spec/template/spec/affinity").line, 11);
    assert_eq!(found.node.locate("/metadata/namespace").line, 5, "the empty field is the place to fill in");
}

#[test]
fn the_last_of_equal_keys_wins_and_is_reported() {
    let text = format!("{STATEFUL_SET}  replicas: 5\nmetadata:\n  name: other\n");
    let found = manifests(&text).remove(0);
    assert_eq!(found.name.as_deref(), Some("other"));
    let duplicates: Vec<_> = found
        .duplicate_keys
        .iter()
        .map(|key| (key.pointer.as_str(), key.line, key.column, key.first_line))
        .collect();
    assert_eq!(duplicates, [("/metadata", 17, 1, 3), ("/spec/replicas", 16, 3, 8)]);
    let list = "kind: List\napiVersion: v1\nitems:\n- kind: Service\n  apiVersion: v1\n  a/b: {x: 1, x: 2}\n";
    assert_eq!(manifests(list)[0].duplicate_keys[0].pointer, "/a~1b/x");
}

#[test]
fn json_with_tabs_and_as_a_stream() {
    let text = "{\n\t\"apiVersion\": \"v1\",\n\t\"kind\": \"Service\",\n\t\"metadata\": {\n\t\t\"name\": \"a\"\n\t}\n}\n";
    let found = manifests(&format!("{text}{text}"));
    assert_eq!(names(&found), ["Service/a", "Service/a"]);
    assert_eq!(found[1].node.locate("/metadata/name").line, 12);
    assert_eq!(names(&manifests(&format!("{text}---\n{}", service("b")))), ["Service/a", "Service/b"]);
}

#[test]
fn yaml_that_starts_with_a_brace() {
    assert_eq!(names(&manifests("{apiVersion: v1, kind: Service,\n metadata: {name: a}}\n")), ["Service/a"]);
}

#[test]
fn carriage_returns_byte_order_marks_and_directives() {
    let text = format!("\u{feff}---\n{}---\n{}", service("a"), service("b")).replace('\n', "\r\n");
    let found = manifests(&text);
    assert_eq!(names(&found), ["Service/a", "Service/b"]);
    assert_eq!((found[1].node.line, found[1].node.column), (6, 1));
    let (found, notes) = read_text(&format!("%YAML 1.1\n---\n{}", service("a")));
    assert_eq!(
        (names(&found), kinds(&notes)),
        (vec!["Service/a".to_owned()], vec![(NoteKind::Unreadable, 1)])
    );
}

#[test]
fn empty_documents_are_nothing() {
    let empty = "---\n\n# a comment\n--- # another\n".repeat(81);
    assert_eq!(names(&manifests(&format!("{empty}{}{empty}", service("a")))), ["Service/a"]);
    assert_eq!(manifests(""), []);
    assert_eq!(manifests("null\n---\n~\n"), []);
}

#[test]
fn anchors_end_with_their_document() {
    let text = "apiVersion: v1\nkind: ConfigMap\na: &x 1\nb: *x\n";
    assert_eq!(manifests(&format!("{text}---\n{}", text.replace(": &x 1", ": &x 2"))).len(), 2);
    let (found, notes) = read_text(&format!("{text}---\n{}", text.replace("&x ", "")));
    assert_eq!((found.len(), kinds(&notes)), (1, vec![(NoteKind::Unreadable, 9)]));
}

#[test]
fn a_broken_document_hides_only_what_it_may_hold() {
    let text = format!("{}---\nkind: StatefulSet\nspec:\n  a: b\n c: d\n---\n{}", service("a"), service("b"));
    let (found, notes) = read_text(&text);
    assert_eq!(names(&found), ["Service/a", "Service/b"]);
    assert_eq!(kinds(&notes), [(NoteKind::Unreadable, 8)]);
    assert_eq!(notes[0].hides, ["StatefulSet"]);
    let (_, notes) = read_text("kind: Service\n--- {kind: Namespace}\n---\na: 1\n");
    assert_eq!(kinds(&notes), [(NoteKind::Unreadable, 2), (NoteKind::NotAManifest, 4)]);
    assert_eq!(notes[0].hides, ["Service", "Namespace"]);
}

#[test]
fn what_follows_a_document_end_is_ignored_aloud() {
    let (found, notes) = read_text(&format!("{}...\n{}", service("a"), service("b")));
    assert_eq!((names(&found), kinds(&notes)), (vec!["Service/a".to_owned()], vec![(NoteKind::Ignored, 5)]));
}

#[test]
fn lists_are_unwrapped() {
    let item = "{kind: Service, apiVersion: v1, metadata: {name: a}}";
    let list = format!(
        "apiVersion: v1\nkind: List\nitems:\n-\n- {item}\n- kind: List\n  apiVersion: v1\n  items: [{item}]\n"
    );
    let found = manifests(&list);
    assert_eq!(names(&found), ["Service/a", "Service/a"]);
    assert_eq!(found[1].node.locate("/metadata").line, 8);
    let (found, notes) = read_text("apiVersion: v1\nkind: List\nitems:\n");
    assert_eq!((found, kinds(&notes)), (Vec::new(), vec![(NoteKind::Ignored, 3)]));
}

#[test]
fn a_list_without_items_is_refused_as_kubectl_does() {
    let item = "- {apiVersion: apps/v1, kind: StatefulSet, metadata: {name: a}}";
    for (text, line, message, hides) in [
        (
            format!("apiVersion: v1\nkind: List\nitem:\n{item}\n"),
            3,
            "List: no API server knows the field item; did you mean items?",
            &["StatefulSet"][..],
        ),
        (
            "kind: List\nItems: []\n".to_owned(),
            2,
            "List: no API server knows the field Items; did you mean items?",
            &[],
        ),
        (
            "apiVersion: v1\nkind: ServiceList\nitesm:\n- metadata: {name: a}\n".to_owned(),
            3,
            "ServiceList: no API server knows the field itesm; did you mean items?",
            &["Service"],
        ),
        (
            "apiVersion: v1\nkind: List\nobjects: []\n".to_owned(),
            1,
            "List: it has no `items`, and kubectl refuses it",
            &[],
        ),
        (
            format!("apiVersion: template.openshift.io/v1\nkind: Template\nobject:\n{item}\n"),
            3,
            "Template: no API server knows the field object; did you mean objects?",
            &["StatefulSet"],
        ),
    ] {
        let (found, notes) = read_text(&text);
        assert_eq!((found, kinds(&notes)), (Vec::new(), vec![(NoteKind::Unreadable, line)]), "{text}");
        assert_eq!((notes[0].message.as_str(), &notes[0].hides[..]), (message, hides), "{text}");
    }
    let (found, notes) = read_text("apiVersion: v1\nkind: Template\nmetadata: {name: a}\n");
    assert_eq!((found, kinds(&notes)), (Vec::new(), vec![(NoteKind::Ignored, 1)]));
}

#[test]
fn items_of_typed_lists_inherit_what_they_are() {
    let list = "apiVersion: v1\nkind: ServiceList\nitems:\n- metadata: {name: a}\n- {kind: Pod, apiVersion: v1}\n- 3\n";
    let (found, notes) = read_text(list);
    assert_eq!(names(&found), ["Service/a", "Pod/-"]);
    assert_eq!(
        found[0].node.to_json(),
        json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "a"}})
    );
    assert_eq!(kinds(&notes), [(NoteKind::NotAManifest, 6)]);
    assert_eq!(names(&manifests("apiVersion: x/v1\nkind: AllowList\nspec: {}\n")), ["AllowList/-"]);
}

#[test]
fn openshift_templates_are_processed() {
    let text = "\
apiVersion: template.openshift.io/v1
kind: Template
objects:
- apiVersion: apps/v1
  kind: StatefulSet
  metadata: {name: \"${NAME}-db\"}
  spec:
    replicas: ${{REPLICAS}}
    selector: {matchLabels: {app: \"${OTHER}\"}}
    template: {spec: {containers: [{name: x}]}}
parameters:
- {name: NAME, value: a}
- {name: REPLICAS, value: '3'}
- {name: OTHER}
";
    let found = manifests(text).remove(0);
    assert_eq!(found.name.as_deref(), Some("a-db"));
    assert_eq!(found.node.pointer("/spec/replicas").unwrap().to_json(), json!(3));
    assert_eq!(found.node.locate("/spec/replicas").line, 8);
    assert_eq!(found.node.pointer("/spec/selector/matchLabels/app").unwrap().to_json(), json!("${OTHER}"));
}

#[test]
fn other_yaml_is_passed_over() {
    let (found, notes) = read_text("replicaCount: 3\nimage: x\n---\n- a\n---\n[1, 2]\n---\njust words\n");
    assert_eq!(found, []);
    assert!(
        notes.iter().all(|note| note.kind == NoteKind::NotAManifest && note.hides.is_empty()),
        "{notes:?}"
    );
    assert_eq!(notes.len(), 4);
}

#[test]
fn broken_text_that_is_no_manifest_matters_only_where_it_was_named() {
    let text = "{\n  // a comment\n  \"compilerOptions\": {}\n}\n";
    let kind = |origin| read(&source(text, origin), text).1.remove(0).kind;
    assert_eq!(kind(SourceOrigin::Named), NoteKind::Unreadable);
    assert_eq!(kind(SourceOrigin::Found), NoteKind::NotAManifest);
}

#[test]
fn unrendered_templates_are_passed_over() {
    for text in [
        "kind: StatefulSet\nmetadata:\n  name: {{ .Values.name }}\n",
        "{{- if .Values.x }}\nkind: StatefulSet\n{{- end }}\n",
        "apiVersion: v1\nkind: Service\nmetadata: {name: \"{{ .Values.name }}\"}\n",
    ] {
        let (found, notes) = read_text(text);
        assert_eq!((found.len(), notes.len(), notes[0].kind), (0, 1, NoteKind::Template), "{text}");
        assert_eq!(notes[0].hides, Vec::<&str>::new());
    }
}

#[test]
fn the_code_of_ytt_is_not_taken_for_comments() {
    let text = "kind: StatefulSet\nspec:\n  replicas: #@ data.values.replicas\n";
    let (found, notes) = read_text(&format!("{}---\n{text}", service("a")));
    assert_eq!((names(&found), kinds(&notes)), (vec!["Service/a".to_owned()], vec![(NoteKind::Template, 5)]));
    assert_eq!(notes[0].hides, ["StatefulSet"]);
}

#[test]
fn a_chart_that_a_controller_installs_is_named() {
    for (api_version, kind, spec, count) in [
        ("helm.toolkit.fluxcd.io/v2", "HelmRelease", "{}", 1),
        ("helm.cattle.io/v1", "HelmChart", "{}", 1),
        ("argoproj.io/v1alpha1", "Application", "{source: {chart: x}}", 1),
        ("argoproj.io/v1alpha1", "Application", "{sources: [{path: a}, {chart: x}]}", 1),
        ("argoproj.io/v1alpha1", "Application", "{source: {path: a}}", 0),
        ("argoproj.io/v1alpha1", "ApplicationSet", "{template: {spec: {source: {chart: x}}}}", 1),
        ("x/v1", "HelmRelease", "{}", 0),
    ] {
        let (found, notes) = read_text(&format!("apiVersion: {api_version}\nkind: {kind}\nspec: {spec}\n"));
        assert_eq!((found.len(), kinds(&notes)), (1, vec![(NoteKind::Template, 1); count]), "{kind} {spec}");
    }
}

#[test]
fn patches_are_no_objects() {
    for text in [
        "apiVersion: apps/v1\nkind: StatefulSet\nmetadata: {name: db}\nspec: {replicas: 3}\n".to_owned(),
        STATEFUL_SET.replace("containers:", "initContainers:"),
        STATEFUL_SET.replace("selector:", "other:"),
        format!("{}$setElementOrder/ports: []\n", service("a")),
    ] {
        let (found, notes) = read_text(&text);
        assert_eq!((found.len(), notes.len(), notes[0].kind), (0, 1, NoteKind::Partial), "{text}");
    }
    let whole = format!("{STATEFUL_SET}  $patch: replace\n");
    assert_eq!(names(&manifests(&whole)), ["StatefulSet/db"], "kubectl applies it");
    let revision =
        "apiVersion: apps/v1\nkind: ControllerRevision\ndata: {spec: {template: {$patch: replace}}}\n";
    assert_eq!(
        names(&manifests(revision)),
        ["ControllerRevision/-"],
        "its data is a patch, itself it is none"
    );
    let old = STATEFUL_SET.replace("apps/v1", "apps/v1beta1").replace("selector:", "other:");
    assert_eq!(names(&manifests(&old)), ["StatefulSet/db"], "v1beta1 made a selector of the labels");
}

#[test]
fn other_groups_are_the_callers_matter() {
    let text = "apiVersion: apps.kruise.io/v1beta1\nkind: StatefulSet\nmetadata: {name: a}\n";
    assert_eq!(manifests(text)[0].api_version, "apps.kruise.io/v1beta1");
}

#[test]
fn large_files_are_read_in_reasonable_time() {
    let item =
        "{\"apiVersion\":\"v1\",\"kind\":\"Service\",\"metadata\":{\"name\":\"a\",\"labels\":{\"a\":\"b\"}}}";
    let text =
        format!("{{\"apiVersion\":\"v1\",\"kind\":\"List\",\"items\":[{}]}}", vec![item; 25_000].join(","));
    assert!(text.len() > 2_000_000);
    assert_eq!(manifests(&text).len(), 25_000);
    assert_eq!(manifests(&format!("---\n{}", service("a")).repeat(25_000)).len(), 25_000);
    let keys = (0..50_000).map(|key| format!("  key{key}: value")).collect::<Vec<_>>().join("\n");
    assert_eq!(manifests(&format!("apiVersion: v1\nkind: ConfigMap\ndata:\n{keys}")).len(), 1);
}

#[test]
fn the_corpus_reads() {
    let here = env!("CARGO_MANIFEST_DIR");
    let places = ["../shared/corpus", "../../shared/corpus"].map(|place| Path::new(here).join(place));
    let Some(corpus) = places.into_iter().find(|place| place.is_dir()) else {
        println!("SKIPPED: no ../shared/corpus here");
        return;
    };
    let mut stateful_sets = 0;
    for source in sources::open(&[corpus]) {
        let source = source.unwrap();
        let text = source.text();
        let (manifests, notes) = read(&source, &text);
        let bad: Vec<_> = notes.iter().filter(|note| note.kind != NoteKind::NotAManifest).collect();
        for note in &bad {
            println!("{}:{}:{} {:?} {}", note.file.name, note.line, note.column, note.kind, note.message);
        }
        assert!(bad.iter().all(|note| !matches!(note.kind, NoteKind::Unreadable | NoteKind::TooLarge)));
        stateful_sets += manifests.iter().filter(|manifest| manifest.kind == "StatefulSet").count();
    }
    println!("{stateful_sets} StatefulSets");
    assert!(stateful_sets >= 158, "{stateful_sets}");
}
