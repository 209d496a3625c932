//! The edits of findings: applied, each ends its finding and causes no other.

use crate::case;

use serde_json::{Value, json};
use stateward::fix::{ValueEdit, apply, steps};
use stateward::manifest;
use stateward::rules;
use stateward::verdict::{Edit, EditOperation, Finding, Level};

/// A fixture as data: what happens, and the objects.
struct Fixture {
    case: Option<Value>,
    objects: Vec<Value>,
}

impl Fixture {
    fn read(text: &str) -> Self {
        let (header, rest) = case::split_header(text);
        let case = header.map(|header| manifest::document(header).unwrap().to_json()["case"].clone());
        Self { case, objects: case::objects(rest) }
    }

    fn text(&self) -> String {
        let header = self.case.iter().map(|case| format!("case:\n  {case}\n"));
        let objects = self.objects.iter().map(|object| format!("{object:#}\n"));
        header.chain(objects).collect::<Vec<_>>().join("---\n")
    }

    /// The object that counts is the last of its name: where a set is written twice, its new state.
    fn find(&self, edit: &Edit) -> Option<usize> {
        let is_it = |object: &Value| {
            let namespace = object["metadata"]["namespace"].as_str().unwrap_or("default");
            object["kind"] == edit.object.kind
                && object["metadata"]["name"] == *edit.object.name
                && namespace == &*edit.object.namespace
        };
        self.objects.iter().rposition(is_it)
    }

    fn apply(&mut self, edits: &[Edit]) {
        // In the order in which `apply` wants them, over all objects.
        let (last, first): (Vec<&Edit>, Vec<&Edit>) =
            edits.iter().partition(|edit| edit.operation == EditOperation::Remove);
        for edit in first.into_iter().chain(last) {
            self.apply_one(edit);
        }
    }

    fn apply_one(&mut self, edit: &Edit) {
        let Edit { path, operation, value, .. } = edit;
        if *operation == EditOperation::Create {
            assert!(self.find(edit).is_none(), "{} exists", edit.object);
            return self.objects.push(value.clone());
        }
        let index = self.find(edit).unwrap_or_else(|| panic!("{} is not there", edit.object));
        if path.is_empty() {
            assert_eq!(*operation, EditOperation::Remove);
            self.objects.remove(index);
            return;
        }
        if path == "/spec/replicas"
            && let Some(scale) = self.case.as_mut().and_then(|case| case.get_mut("scale"))
        {
            scale["to"] = value.clone();
        }
        let edit = ValueEdit { path: steps(path), operation: *operation, value: value.clone() };
        apply(&mut self.objects[index], [&edit]).unwrap();
    }

    /// Whether what happens is about an object that is no more.
    fn is_moot(&self) -> bool {
        let Some(case) = &self.case else { return false };
        ["create", "update"].iter().filter_map(|what| case.get(what)).any(|about| {
            let kind = about["kind"].as_str().unwrap_or("StatefulSet");
            !self
                .objects
                .iter()
                .any(|object| object["kind"] == kind && object["metadata"]["name"] == about["name"])
        })
    }
}

fn is_same(one: &Finding, other: &Finding) -> bool {
    (&one.rule, &one.subject, &one.object, &one.path)
        == (&other.rule, &other.subject, &other.object, &other.path)
}

/// The level of a finding that is only a warning because it was there before the change.
fn level(finding: &Finding) -> Level {
    if finding.message.contains("(it was so before this change)") { Level::Deny } else { finding.level }
}

/// What is wrong after the edits of `finding` are made in `text`.
fn complaints(text: &str, before: &[Finding], finding: &Finding) -> String {
    let mut fixture = Fixture::read(text);
    fixture.apply(&finding.edits);
    if fixture.is_moot() {
        return String::new();
    }
    let after = case::findings(&fixture.text(), &case::strict());
    let is_new =
        |found: &&Finding| !before.iter().any(|known| is_same(known, found) && known.level >= found.level);
    let bad = after.iter().filter(|found| {
        is_same(found, finding)
            || (found.level >= level(finding) && found.level > Level::Off && is_new(found))
    });
    bad.map(case::render).collect()
}

fn texts() -> Vec<(String, String)> {
    let mut texts = Vec::new();
    for rule in rules::ALL {
        for fixture in case::fixtures(rule.id) {
            texts.push((format!("{} of {}", fixture.name, rule.id), fixture.text));
        }
        for (index, part) in rules::markdown(rule).split("```yaml\n").enumerate().skip(1) {
            let text = part.split("```").next().unwrap().to_owned();
            texts.push((format!("example {index} of {}", rule.id), text));
        }
    }
    texts
}

#[test]
fn every_edit_ends_its_finding_and_causes_no_other() {
    let (mut wrong, mut applied) = (String::new(), 0);
    for (name, text) in texts() {
        let before = case::findings(&text, &case::strict());
        for finding in before.iter().filter(|finding| !finding.edits.is_empty()) {
            applied += 1;
            let bad = complaints(&text, &before, finding);
            if !bad.is_empty() {
                let edits = json!(finding.edits);
                wrong += &format!("# {name}\n{}  edits: {edits}\nthen:\n{bad}\n", case::render(finding));
            }
        }
    }
    assert!(applied > 200, "only {applied} edits");
    assert!(wrong.is_empty(), "{wrong}");
}
