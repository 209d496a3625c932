//! The text of an Event. Pure.

use std::borrow::Cow;
use std::hash::BuildHasher;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::throttle::{EventKey, NamespaceKey};
use crate::admission::{Operation, Request};
use crate::model::{ObjectRef, cut, printable, reason};
use crate::verdict::{Finding, Level, Verdict};

/// The API server refuses a longer note, in bytes.
const LONGEST_NOTE: usize = 1024;

/// An Event before it is sent.
#[derive(Clone, Debug)]
pub(super) struct EventToSend {
    rule: Cow<'static, str>,
    level: Level,
    action: &'static str,
    /// The object that was to be changed.
    object: ObjectRef,
    /// Empty where the object does not exist or its UID is unknown.
    uid: Box<str>,
    /// The StatefulSet that it affects, where that is another object.
    affected: Option<ObjectRef>,
    note: String,
    known_by: Evidence,
}

/// How it is known that there is such an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Evidence {
    /// Only a review says so, which can be made up.
    Review,
    /// Stateward has seen it.
    Seen,
    /// Stateward has seen it in the snapshot, which keeps no uid.
    Snapshot,
}

/// The Events of a verdict: none for a dry run, nor for findings that are only recorded.
pub(super) fn events_of(request: &Request, verdict: &Verdict) -> Vec<EventToSend> {
    let Some(object) = object_of(request).filter(|_| !request.change.dry_run) else { return Vec::new() };
    let never_existed = request.operation == Operation::Create && verdict.is_denied();
    let uid = || if never_existed { Box::default() } else { request.object_uid.clone() };
    // Warnings about a change that was refused are not worth an Event.
    let (level, action) =
        if verdict.is_denied() { (Level::Deny, "Refused") } else { (Level::Warn, "Warned") };
    let events = verdict.at(level).map(|finding| EventToSend {
        rule: finding.rule.label(),
        level: finding.level,
        action,
        object: object.clone(),
        uid: uid(),
        affected: Some(finding.subject.clone()).filter(|subject| *subject != object),
        note: note(finding),
        known_by: Evidence::Review,
    });
    events.collect()
}

fn object_of(request: &Request) -> Option<ObjectRef> {
    let (namespace, name) = (&*request.namespace, &*request.name);
    let kind = request.resource.kind().filter(|_| !namespace.is_empty() && !name.is_empty())?;
    Some(kind.reference(namespace, name))
}

fn note(finding: &Finding) -> String {
    let done = match finding.level {
        Level::Deny => "refused",
        _ => "warned",
    };
    cut(format!("{done}: {}; {}", finding.message, finding.remedy), LONGEST_NOTE)
}

impl EventToSend {
    /// Something that could not be done for an object; for the sake of another one, where that is so.
    pub(super) fn undone(
        object: ObjectRef,
        uid: &str,
        affected: Option<ObjectRef>,
        reason: &'static str,
        note: &str,
    ) -> Self {
        let (uid, note) = (uid.into(), cut(printable(note).into_owned(), LONGEST_NOTE));
        Self {
            rule: Cow::Borrowed(reason),
            level: Level::Warn,
            action: "Skipped",
            object,
            uid,
            affected,
            note,
            known_by: Evidence::Seen,
        }
    }

    /// The Event about the object that a StatefulSet still lacks a minute after `what`.
    pub(super) fn still_missing(finding: &Finding, what: &str) -> Self {
        let note = format!("still so a minute after {what}: {}; {}", finding.message, finding.remedy);
        Self {
            rule: finding.rule.label(),
            level: finding.level,
            action: "Checked",
            object: finding.subject.clone(),
            uid: Box::default(),
            affected: None,
            note: cut(note, LONGEST_NOTE),
            known_by: Evidence::Snapshot,
        }
    }

    /// The namespace of the Event; for an object without a namespace it is the one in which Kubernetes looks for it.
    pub(super) fn namespace(&self) -> &str {
        if self.object.namespace.is_empty() { "default" } else { &self.object.namespace }
    }

    /// The identity of the Event and its namespace, as hashes.
    pub(super) fn keys(&self, hasher: &impl BuildHasher) -> (EventKey, NamespaceKey) {
        (
            hasher.hash_one((&self.object, &self.rule, self.level, self.action)),
            hasher.hash_one(self.namespace()),
        )
    }

    pub(super) fn object(&self) -> &ObjectRef {
        &self.object
    }

    pub(super) fn known_by(&self) -> Evidence {
        self.known_by
    }

    pub(super) fn has_uid(&self, uid: &str) -> bool {
        !uid.is_empty() && *self.uid == *uid
    }

    #[must_use]
    pub(super) fn with_uid(self, uid: String) -> Self {
        Self { uid: uid.into(), ..self }
    }

    /// The event, as `events.k8s.io/v1` has it.
    pub(super) fn to_json(&self, instance: &str, now: Timestamp) -> Value {
        let mut regarding = json!(self.object);
        if !self.uid.is_empty() {
            regarding["uid"] = json!(self.uid);
        }
        if self.object.namespace.is_empty() {
            regarding.as_object_mut().and_then(|regarding| regarding.remove("namespace"));
        }
        json!({
            "apiVersion": "events.k8s.io/v1",
            "kind": "Event",
            "metadata": {"generateName": format!("{}-", self.object.name), "namespace": self.namespace()},
            "eventTime": now.strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string(),
            "type": "Warning",
            "reason": reason(&self.rule),
            "action": self.action,
            "note": self.note,
            "regarding": regarding,
            "related": self.affected,
            "reportingController": "stateward.dev/stateward",
            "reportingInstance": instance,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_the_rules_ids_in_reason() {
        assert_eq!(reason("pdb-below-quorum"), "PdbBelowQuorum");
        let valid = |reason: &str| reason.len() <= 128 && reason.chars().all(char::is_alphanumeric);
        assert!(crate::rules::ALL.iter().all(|rule| valid(&reason(rule.id))));
    }
}
