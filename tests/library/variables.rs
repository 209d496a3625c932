//! Variables in manifests: parameters of Templates, and what envsubst and Flux fill in.

use stateward::cluster::inventory::Inventory;
use stateward::manifest::{NoteKind, Source, SourceOrigin};

fn inventory(text: &str) -> Inventory {
    let mut inventory = Inventory::new(None);
    let text = text.to_owned();
    inventory.add(&Source::new("a.yaml", &text, SourceOrigin::Named));
    inventory
}

/// The replica counts of the sets, and what is said of the rest.
fn read(text: &str) -> (Vec<i32>, Vec<(NoteKind, u32, String)>) {
    let inventory = inventory(text);
    let notes = inventory.notes().iter().map(|note| (note.kind, note.line, note.message.clone()));
    (inventory.sets().filter_map(|(set, _)| set.spec.replicas).collect(), notes.collect())
}

fn set(name: &str, replicas: &str) -> String {
    format!(
        "apiVersion: apps/v1
kind: StatefulSet
metadata: {{name: {name}}}
spec:
  replicas: {replicas}
  selector: {{matchLabels: {{app: etcd}}}}
  template:
    metadata: {{labels: {{app: etcd}}}}
    spec:
      containers:
      - name: etcd
        image: etcd:3
        args: ['${{A:=x}}', $B]
        env: [{{name: E, value: '${{C:-3}}'}}]
"
    )
}

#[test]
fn a_number_that_is_a_variable_is_its_default() {
    for default in ["${N:=4}", "${N:-4}", "'${N:=4}'", "${N=4}"] {
        let (replicas, notes) = read(&set("etcd", default));
        let said = format!(
            "StatefulSet etcd: spec.replicas is {}: judged with its default, 4",
            default.trim_matches('\'')
        );
        assert_eq!((replicas, notes), (vec![4], vec![(NoteKind::Default, 5, said)]), "{default}");
    }
}

#[test]
fn without_a_default_the_object_is_named_and_the_others_are_read() {
    for variable in ["${N}", "$N", "${{N}}", "${N:?none}"] {
        let (replicas, notes) = read(&format!("{}---\n{}", set("a", variable), set("b", "3")));
        let [(kind, line, message)] = &notes[..] else { panic!("{notes:?}") };
        assert_eq!((&replicas[..], *kind, *line), (&[3][..], NoteKind::NotRendered, 5), "{variable}");
        let start =
            format!("StatefulSet a: spec.replicas is {variable}, and its value is not here: fill it in");
        assert!(message.starts_with(&start), "{message}");
    }
    let (replicas, notes) = read(&set("a", "${N:=many}"));
    assert!(replicas.is_empty() && notes.iter().any(|note| note.0 == NoteKind::Unreadable), "{notes:?}");
}

#[test]
fn texts_keep_their_variables() {
    let inventory = inventory(&set("etcd", "${N:=4}"));
    let (set, _) = inventory.sets().next().unwrap();
    let container = &set.spec.template.spec.containers[0];
    assert_eq!(container.args.iter().map(|arg| &**arg).collect::<Vec<_>>(), ["${A:=x}", "$B"]);
}

#[test]
fn a_limit_that_the_model_would_leave_out_is_its_default_too() {
    let strategy = "  updateStrategy: {rollingUpdate: {maxUnavailable: '${M:=2}'}}\n  selector";
    let (_, notes) = read(&set("etcd", "3").replace("  selector", strategy));
    assert_eq!((notes[0].0, notes.len()), (NoteKind::Default, 1));
    let budget = "apiVersion: policy/v1\nkind: PodDisruptionBudget\nmetadata: {name: b}\nspec: {maxUnavailable: '${M:-50%}'}\n";
    assert_eq!(read(budget).1[0].0, NoteKind::Default);
}

#[test]
fn a_template_is_filled_in_with_its_defaults() {
    let template = |parameter: &str, replicas: &str| {
        let object = set("etcd", replicas).replace('\n', "\n  ");
        format!(
            "apiVersion: template.openshift.io/v1\nkind: Template\nparameters:\n- {parameter}\nobjects:\n- {object}\n"
        )
    };
    assert_eq!(read(&template("{name: REPLICAS, value: '4'}", "${{REPLICAS}}")), (vec![4], Vec::new()));
    let (replicas, notes) = read(&template("{name: REPLICAS, required: true}", "${{REPLICAS}}"));
    assert_eq!((replicas.len(), notes.len(), notes[0].0), (0, 1, NoteKind::NotRendered));
    // To YAML an unquoted N is false, and oc refuses the Template.
    let (_, notes) = read(&template("{name: N, value: '4'}", "${{N}}"));
    assert_eq!((notes[0].0, notes[0].1), (NoteKind::Unreadable, 4), "{notes:?}");
    assert!(notes[0].2.contains("put it in quotes"), "{notes:?}");
}
