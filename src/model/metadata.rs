//! The few fields of `metadata` that rules read.

use std::fmt;

use serde::de::{Deserialize, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};

use super::annotations::{
    ARGO_HOOK_DELETION, DOMAIN, HELM_HOOK_DELETION, OWN_ANNOTATIONS, PER_POD_APPLIED, PER_POD_LABEL,
    PER_POD_PORTS, POD_NAME_ANNOTATION, RESTARTED_AT, TOLERATE_UNREADY,
};
use super::release::is_release_annotation;
use super::{Labels, created, nullable};

/// The fields of `metadata` that rules read.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Metadata {
    /// Empty on a template, and before the API server generates a name.
    #[serde(deserialize_with = "nullable::field")]
    pub name: Box<str>,
    /// The prefix of a name that the API server makes; empty where the name is given. Only of objects that are being created: dropped in
    /// snapshots.
    #[serde(rename = "generateName", deserialize_with = "nullable::field")]
    pub generate_name: Box<str>,
    /// Empty if the namespace comes from the command line or the request.
    #[serde(deserialize_with = "nullable::field")]
    pub namespace: Box<str>,
    /// Empty before creation; dropped in snapshots.
    #[serde(deserialize_with = "nullable::field")]
    pub uid: Box<str>,
    /// The object's own labels.
    pub labels: Labels,
    /// The annotations that Stateward reads.
    pub annotations: Annotations,
    /// Whether `deletionTimestamp` is set.
    #[serde(rename = "deletionTimestamp", deserialize_with = "presence")]
    pub deleting: bool,
    /// The controller among its `ownerReferences`.
    #[serde(rename = "ownerReferences", deserialize_with = "controller")]
    pub owner: Option<Box<Owner>>,
    /// `creationTimestamp`, in seconds since 1970; 0 where it is absent or cannot be read.
    #[serde(rename = "creationTimestamp", deserialize_with = "created::seconds")]
    pub created: u32,
}

/// The controller that owns an object. Any client can write this reference: it is an explanation, not a proof.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Owner {
    /// `apps/v1`.
    #[serde(deserialize_with = "nullable::field")]
    pub api_version: Box<str>,
    /// `StatefulSet`.
    #[serde(deserialize_with = "nullable::field")]
    pub kind: Box<str>,
    /// The owner's name, in the object's namespace.
    #[serde(deserialize_with = "nullable::field")]
    pub name: Box<str>,
    #[serde(deserialize_with = "nullable::field")]
    controller: bool,
}

fn controller<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Box<Owner>>, D::Error> {
    let owners: Vec<Owner> = nullable::list(deserializer)?;
    Ok(owners.into_iter().find(|owner| owner.controller).map(Box::new))
}

impl Owner {
    /// Whether the owner is a StatefulSet.
    pub fn is_stateful_set(&self) -> bool {
        &*self.kind == "StatefulSet" && self.api_version.starts_with("apps/")
    }

    /// Whether the owner is a custom resource, whose operator manages the object. The group of a custom resource is a domain with a dot;
    /// the built-in kinds with such a group own no object that is judged.
    pub fn is_custom_resource(&self) -> bool {
        self.api_version.split_once('/').is_some_and(|(group, _)| group.contains('.'))
    }
}

/// The annotations that Stateward reads: `stateward.dev/…`, those of Metacontroller's service-per-pod example, those that name a release,
/// the time of a restart, the deletion of a hook, and one that Kubernetes no longer uses. All others are skipped: some are as large as the
/// object itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Annotations(Labels);

/// How many unknown keys that look like Stateward's are kept, so that a rule can report them.
const MOST_UNREAD: usize = 16;

/// The longest key that the API server accepts: a domain of 253 characters, a slash and a name of 63.
const LONGEST_KEY: usize = 317;

impl Annotations {
    /// Whether Stateward reads this annotation.
    fn reads(key: &str) -> bool {
        let is_own = |key: &str| OWN_ANNOTATIONS.contains(&key) || key == PER_POD_APPLIED;
        key.strip_prefix(DOMAIN).is_some_and(|_| is_own(key))
            || is_release_annotation(key)
            || matches!(
                key,
                PER_POD_LABEL
                    | PER_POD_PORTS
                    | POD_NAME_ANNOTATION
                    | RESTARTED_AT
                    | TOLERATE_UNREADY
                    | HELM_HOOK_DELETION
                    | ARGO_HOOK_DELETION
            )
    }

    /// The annotations without those that name a release.
    #[must_use]
    pub fn without_release(&self) -> Self {
        Self(self.0.iter().filter(|(key, _)| !is_release_annotation(key)).collect())
    }

    /// The value of `key`.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key)
    }

    /// The unknown keys that look like Stateward's: their domain is ours, or nearly.
    pub fn unread(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(key, _)| key).filter(|key| !Self::reads(key))
    }

    /// A copy with one more annotation, which replaces any of the same key.
    #[must_use]
    pub fn with(&self, key: &str, value: &str) -> Self {
        Self(self.0.iter().chain([(key, value)]).collect())
    }
}

impl<'de> Deserialize<'de> for Annotations {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnnotationsVisitor)
    }
}

struct AnnotationsVisitor;

impl<'de> Visitor<'de> for AnnotationsVisitor {
    type Value = Annotations;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map of strings")
    }

    fn visit_unit<E>(self) -> Result<Annotations, E> {
        Ok(Annotations::default())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Annotations, A::Error> {
        let (mut kept, mut unread) = (Vec::new(), 0);
        while let Some(key) = map.next_key_seed(KeyIfKept)? {
            match key {
                Some(key) if Annotations::reads(&key) => {
                    kept.push((key, map.next_value::<Option<Box<str>>>()?.unwrap_or_default()));
                }
                Some(key) if unread < MOST_UNREAD => {
                    unread += 1;
                    let IgnoredAny = map.next_value()?;
                    kept.push((key, Box::default()));
                }
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(Annotations(kept.into_iter().collect()))
    }
}

/// Reads an annotation's key, and stores it only if the annotation is kept.
struct KeyIfKept;

impl<'de> DeserializeSeed<'de> for KeyIfKept {
    type Value = Option<Box<str>>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for KeyIfKept {
    type Value = Option<Box<str>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an annotation's name")
    }

    fn visit_str<E>(self, key: &str) -> Result<Self::Value, E> {
        Ok((Annotations::reads(key) || is_nearly_ours(key)).then(|| key.into()))
    }
}

/// Whether a key looks like one of Stateward's: `stateward.dev/clas`, `statward.dev/class`, `service-per-pod-port`.
fn is_nearly_ours(key: &str) -> bool {
    if key.len() > LONGEST_KEY {
        return false;
    }
    let Some((domain, _)) = key.split_once('/') else { return key.starts_with("service-per-pod-") };
    // Nearly all keys end here: the comparison below goes letter by letter.
    let begins = domain.as_bytes().first().is_some_and(|first| first.eq_ignore_ascii_case(&b's'));
    if !begins || domain.len().abs_diff(DOMAIN.len()) > MOST_TYPOS {
        return false;
    }
    strsim::osa_distance(&domain.to_ascii_lowercase(), DOMAIN) <= MOST_TYPOS
}

/// How many letters of a domain may be wrong, missing or added for it to count as ours.
const MOST_TYPOS: usize = 2;

/// Whether a field is present and not null.
pub(super) fn presence<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    Ok(Option::<IgnoredAny>::deserialize(deserializer)?.is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_annotations_that_mean_something_are_kept() {
        let metadata: Metadata = serde_json::from_str(
            r#"{"name":"a","annotations":{"kubectl.kubernetes.io/last-applied-configuration":"{}",
                "note":null,"stateward.dev/class":"quorum","pod-name-label":null},"deletionTimestamp":null}"#,
        )
        .unwrap();
        assert_eq!(metadata.annotations.get("stateward.dev/class"), Some("quorum"));
        assert_eq!(metadata.annotations.get("pod-name-label"), Some(""));
        assert_eq!(metadata.annotations.get("note"), None);
        assert!(!metadata.deleting);
    }

    #[test]
    fn keys_that_are_nearly_ours_are_kept_without_their_values() {
        let of = |keys: &[&str]| {
            let all: serde_json::Map<_, _> =
                keys.iter().map(|key| ((*key).to_owned(), "quorum".into())).collect();
            serde_json::from_value::<Annotations>(all.into()).unwrap()
        };
        let keys = [
            "stateward.dev/clas",
            "statward.dev/class",
            "Stateward.dev/class",
            "statewrad.dev/x",
            "stateward.de/x",
            "service-per-pod-port",
        ];
        assert_eq!(of(&keys).unread().count(), keys.len());
        assert_eq!(of(&keys).get("stateward.dev/clas"), Some(""));
        let others = [
            "stateward.dev/class",
            "pod-name-label",
            "sidecar.istio.io/inject",
            "sward.dev/x",
            "stateward.dev",
            "x/stateward.dev",
        ];
        assert_eq!(of(&others).unread().collect::<Vec<_>>(), Vec::<&str>::new());
        let many: Vec<String> = (0..100).map(|n| format!("stateward.dev/x{n}")).collect();
        let many: Vec<&str> = many.iter().map(|key| &**key).chain(["stateward.dev/ensemble"]).collect();
        assert_eq!(
            (of(&many).unread().count(), of(&many).get("stateward.dev/ensemble")),
            (MOST_UNREAD, Some("quorum"))
        );
        assert_eq!(of(&[&format!("stateward.dev/{}", "x".repeat(400))]).unread().count(), 0);
    }

    #[test]
    fn a_deletion_timestamp_means_deleting() {
        let metadata: Metadata =
            serde_json::from_str(r#"{"name":"a","deletionTimestamp":"2026-01-01T00:00:00Z"}"#).unwrap();
        assert!(metadata.deleting);
    }
}
