//! Parts of a policy that are written correctly and have no effect.

use jiff::Timestamp;
use serde_json::Value;

use super::document::{
    ExemptionSpec, Expression, KnownOperator, Match, PolicySpec, RuleSetting, Selector, WholeDocument,
};
use crate::model::{Class, Kind};
use crate::rules;

/// A part of a policy that has no effect, and where it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyWarning {
    /// JSON pointer into the document.
    pub pointer: String,
    /// The part that has no effect, and the reason.
    pub message: String,
}

/// The parts that have no effect at this time, in the order of the document; none for a document that is not a policy.
pub fn lint(document: &Value, now: Timestamp) -> Vec<PolicyWarning> {
    let mut warnings = Warnings(Vec::new());
    if document["kind"] == Kind::Exemption.name() {
        warnings.of_exemption(document, now);
        return warnings.0;
    }
    let Ok(WholeDocument::<PolicySpec> { spec, .. }) = serde_json::from_value(document.clone()) else {
        return warnings.0;
    };
    let spec = spec.unwrap_or_default();
    if document.pointer("/spec").is_none_or(|spec| spec.as_object().is_none_or(serde_json::Map::is_empty)) {
        warnings.add("", "the policy has no spec, so it changes nothing");
    }
    warnings.of_scope(&spec.r#match, document);
    for (index, rule) in spec.classes.iter().enumerate() {
        warnings.of_images(&rule.images, &format!("/spec/classes/{index}/images"));
        warnings.of_selector(rule.selector.as_ref(), &format!("/spec/classes/{index}/selector"));
    }
    warnings.of_rules(&spec.rules, document);
    warnings.of_selector(spec.exemption_namespaces.as_ref(), "/spec/exemptionNamespaces");
    for (index, exemption) in spec.exemptions.iter().enumerate() {
        let at = |field: &str| format!("/spec/exemptions/{index}/{field}");
        for (field, list) in
            [("rules", &exemption.rules), ("namespaces", &exemption.namespaces), ("names", &exemption.names)]
        {
            if list.is_empty() {
                warnings.add(at(field), format!("`{field}` is empty, so the exemption exempts nothing"));
            }
        }
        warnings.of_patterns(&exemption.namespaces, &at("namespaces"), &NAMESPACE);
        warnings.of_patterns(&exemption.names, &at("names"), &NAME);
        warnings.of_end(exemption.expires_at, &at("expiresAt"), now);
    }
    warnings.0
}

struct Warnings(Vec<PolicyWarning>);

impl Warnings {
    fn add(&mut self, pointer: impl Into<String>, message: impl Into<String>) {
        self.0.push(PolicyWarning { pointer: pointer.into(), message: message.into() });
    }

    fn of_exemption(&mut self, document: &Value, now: Timestamp) {
        let Ok(WholeDocument::<ExemptionSpec> { spec: Some(spec), .. }) =
            serde_json::from_value(document.clone())
        else {
            return;
        };
        self.of_patterns(spec.names.as_deref().unwrap_or_default(), "/spec/names", &NAME);
        self.of_selector(spec.selector.as_ref(), "/spec/selector");
        self.of_end(spec.expires_at, "/spec/expiresAt", now);
    }

    fn of_end(&mut self, end: Option<Timestamp>, pointer: &str, now: Timestamp) {
        if let Some(end) = end.filter(|end| *end <= now) {
            self.add(pointer, format!("the exemption ended at {end}"));
        }
    }

    fn of_scope(&mut self, scope: &Match, document: &Value) {
        let (included, excluded) = (&scope.namespaces, &scope.exclude_namespaces);
        for (field, patterns) in [("namespaces", included), ("excludeNamespaces", excluded)] {
            let pointer = format!("/spec/match/{field}");
            if is_empty_list(document, &pointer) {
                self.add(&pointer, format!("`{field}` is empty, which is the same as leaving it out"));
            }
            self.of_patterns(patterns, &pointer, &NAMESPACE);
        }
        for (index, pattern) in included.iter().enumerate() {
            if excluded.contains(pattern) {
                let message = format!("{pattern:?} is in `excludeNamespaces` as well, so it matches nothing");
                self.add(format!("/spec/match/namespaces/{index}"), message);
            }
        }
        self.of_selector(scope.namespace_selector.as_ref(), "/spec/match/namespaceSelector");
        self.of_selector(scope.object_selector.as_ref(), "/spec/match/objectSelector");
    }

    fn of_rules(&mut self, settings: &[RuleSetting], document: &Value) {
        for (index, setting) in settings.iter().enumerate() {
            let at = |field: &str| format!("/spec/rules/{index}/{field}");
            if is_empty_list(document, &at("classes")) {
                self.add(
                    at("classes"),
                    "`classes` is empty, which is the same as leaving it out: all classes",
                );
            }
            let Some(rule) = rules::named(&setting.rule) else { continue };
            for (number, class) in setting.classes.iter().enumerate() {
                if !rule.classes.is_empty() && !rule.classes.contains(class) {
                    let message = format!("{} does not look at class {class}", rule.id);
                    self.add(format!("{}/{number}", at("classes")), message);
                }
            }
            let earlier = settings[..index].iter().filter(|other| other.rule == setting.rule);
            if is_covered(&setting.classes, earlier.map(|other| &*other.classes)) {
                let message =
                    format!("{} is set above for the same classes, and the first entry decides", rule.id);
                self.add(at("rule"), message);
            }
        }
    }

    fn of_patterns(&mut self, patterns: &[String], pointer: &str, wanted: &NameSyntax) {
        for (index, pattern) in patterns.iter().enumerate() {
            if !wanted.can_match(pattern) {
                let message = format!("no {} can match {pattern:?}: {}", wanted.what, wanted.syntax);
                self.add(format!("{pointer}/{index}"), message);
            }
        }
    }

    fn of_images(&mut self, patterns: &[String], pointer: &str) {
        for (index, pattern) in patterns.iter().enumerate() {
            if pattern.chars().any(|c| c.is_whitespace() || c.is_ascii_uppercase()) {
                let message = format!("no image can match {pattern:?}: names of images are in small letters");
                self.add(format!("{pointer}/{index}"), message);
            }
        }
    }

    fn of_selector(&mut self, selector: Option<&Selector>, pointer: &str) {
        let Some(selector) = selector else { return };
        if selector.match_labels.is_empty() && selector.match_expressions.is_empty() {
            self.add(pointer, "the selector is empty, so it selects everything");
        }
        for (index, Expression { operator, values, .. }) in selector.match_expressions.iter().enumerate() {
            let message = match (operator, values.is_empty()) {
                (KnownOperator::In, true) => "`In` without `values` selects nothing",
                (KnownOperator::NotIn, true) => "`NotIn` without `values` selects everything",
                (KnownOperator::Exists | KnownOperator::DoesNotExist, false) => {
                    "`Exists` and `DoesNotExist` do not look at `values`"
                }
                _ => continue,
            };
            self.add(format!("{pointer}/matchExpressions/{index}"), message);
        }
    }
}

/// Whether a list is written and has nothing in it.
fn is_empty_list(document: &Value, pointer: &str) -> bool {
    document.pointer(pointer).and_then(Value::as_array).is_some_and(Vec::is_empty)
}

/// Whether entries for `earlier` classes leave nothing to one for these; no class means every class.
pub(super) fn is_covered<'a>(classes: &[Class], earlier: impl Iterator<Item = &'a [Class]>) -> bool {
    const ALL: [Class; 3] = [Class::Quorum, Class::Singleton, Class::Replicated];
    let every = |classes: &[Class]| if classes.is_empty() { ALL.to_vec() } else { classes.to_vec() };
    let taken: Vec<Class> = earlier.flat_map(every).collect();
    every(classes).iter().all(|class| taken.contains(class))
}

/// The form of names.
struct NameSyntax {
    what: &'static str,
    syntax: &'static str,
    longest: usize,
    has_dots: bool,
}

const NAMESPACE: NameSyntax = NameSyntax {
    what: "namespace",
    syntax: "names of namespaces are small letters, digits and `-`, at most 63",
    longest: 63,
    has_dots: false,
};

const NAME: NameSyntax = NameSyntax {
    what: "name",
    syntax: "names are small letters, digits, `-` and `.`, at most 253",
    longest: 253,
    has_dots: true,
};

impl NameSyntax {
    /// Whether some name may match. Patterns with alternatives or sets of characters are not examined.
    fn can_match(&self, pattern: &str) -> bool {
        if pattern.contains(['[', '{', '\\']) {
            return true;
        }
        let fits = |c: char| {
            c.is_ascii_lowercase() || c.is_ascii_digit() || "-*?".contains(c) || (self.has_dots && c == '.')
        };
        let length = pattern.chars().filter(|c| *c != '*').count();
        !pattern.is_empty() && length <= self.longest && pattern.chars().all(fits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(spec: &str) -> Vec<String> {
        let head = "apiVersion: stateward.dev/v1alpha1\nkind: StatefulSetPolicy\nmetadata: {name: p}\n";
        let document = crate::manifest::document(&format!("{head}spec: {spec}\n")).unwrap().to_json();
        super::super::Policy::from_json(&document).unwrap();
        let now = "2026-11-21T12:00:00Z".parse().unwrap();
        lint(&document, now).into_iter().map(|w| format!("{}: {}", w.pointer, w.message)).collect()
    }

    #[test]
    fn nothing_is_said_of_what_has_an_effect() {
        for spec in [
            "{match: {namespaces: ['prod-*', 'a?', '[ab]*', '{a,b}'], excludeNamespaces: [prod-x]}}",
            "{classes: [{class: quorum, images: ['*/our-raft-db', 'registry.example:5000/a/*']}]}",
            "{rules: [{rule: pdb-missing, classes: [quorum], level: deny}, {rule: pdb-missing, level: warn}]}",
            "{rules: [{rule: quorum-even, classes: [quorum], level: 'off'}]}",
            "{exemptions: [{rules: ['*'], names: ['my.set-*'], reason: x, expiresAt: '2026-11-21T12:00:01Z'}]}",
            "{match: {objectSelector: {matchExpressions: [{key: a, operator: Exists}]}}}",
            "{annotationExemptions: false}",
        ] {
            assert_eq!(said(spec), Vec::<String>::new(), "{spec}");
        }
    }

    #[test]
    fn what_has_no_effect_is_named_with_its_place() {
        for (spec, expected) in [
            ("{}", ": the policy has no spec"),
            ("{match: {namespaces: []}}", "/spec/match/namespaces: `namespaces` is empty"),
            ("{match: {namespaces: [a, Prod]}}", "/spec/match/namespaces/1: no namespace can match \"Prod\""),
            ("{match: {namespaces: ['a.b']}}", "/spec/match/namespaces/0: no namespace"),
            ("{match: {namespaces: ['']}}", "/spec/match/namespaces/0: no namespace"),
            ("{match: {namespaces: [a], excludeNamespaces: [a]}}", "/spec/match/namespaces/0: \"a\" is in"),
            ("{match: {namespaceSelector: {}}}", "/spec/match/namespaceSelector: the selector is empty"),
            (
                "{match: {objectSelector: {matchExpressions: [{key: a, operator: In}]}}}",
                "/spec/match/objectSelector/matchExpressions/0: `In` without",
            ),
            (
                "{match: {objectSelector: {matchExpressions: [{key: a, operator: Exists, values: [b]}]}}}",
                "/spec/match/objectSelector/matchExpressions/0: `Exists` and",
            ),
            ("{classes: [{class: quorum, images: ['My/db']}]}", "/spec/classes/0/images/0: no image can"),
            (
                "{rules: [{rule: pdb-missing, classes: [], level: warn}]}",
                "/spec/rules/0/classes: `classes` is",
            ),
            (
                "{rules: [{rule: quorum-even, classes: [singleton], level: warn}]}",
                "/spec/rules/0/classes/0: quorum-even does not look at class singleton",
            ),
            (
                "{rules: [{rule: pdb-missing, level: warn}, {rule: pdb-missing, classes: [quorum], level: deny}]}",
                "/spec/rules/1/rule: pdb-missing is set above",
            ),
            ("{exemptions: [{rules: [], reason: x}]}", "/spec/exemptions/0/rules: `rules` is empty"),
            (
                "{exemptions: [{rules: ['*'], namespaces: [], reason: x}]}",
                "/spec/exemptions/0/namespaces: `namespaces` is empty",
            ),
            (
                "{exemptions: [{rules: ['*'], names: ['A*'], reason: x}]}",
                "/spec/exemptions/0/names/0: no name",
            ),
            (
                "{exemptions: [{rules: ['*'], reason: x, expiresAt: '2026-11-21T12:00:00Z'}]}",
                "/spec/exemptions/0/expiresAt: the exemption ended at 2026-11-21T12:00:00Z",
            ),
        ] {
            let said = said(spec);
            assert!(said.len() == 1 && said[0].starts_with(expected), "{spec}: {said:?}");
        }
    }
}
