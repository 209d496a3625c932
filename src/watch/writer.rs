//! The writer: the only place that changes the snapshot.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::sync::mpsc::Receiver;

use super::{Gauges, KindReadiness};
use crate::cluster::{Cluster, Kind, ObjectRead, SharedParts, Unreadable};
use crate::model::Metadata;

/// One event of a list or watch of one kind.
#[derive(Debug)]
pub enum WatchEvent {
    /// A list begins: what was known stays until it is complete.
    Listing,
    /// An object of the list.
    Listed(ObjectRead),
    /// The list is complete: what is not in it does not exist.
    Complete,
    /// An object is new or different.
    Changed(ObjectRead),
    /// An object is gone.
    Deleted { namespace: Box<str>, name: Box<str> },
    /// The API server will not say; why.
    Refused(String),
}

/// Owns the working copy and publishes it.
#[derive(Debug)]
pub struct SnapshotWriter {
    cluster: Cluster,
    published: Arc<ArcSwap<Cluster>>,
    /// The lists that are not complete yet.
    staged: BTreeMap<Kind, Staged>,
    shared: SharedParts,
    parts: BTreeMap<Kind, KindReadiness>,
    gauges: Gauges,
    /// The versions of unreadable objects that have been logged.
    logged: BTreeMap<(Kind, Box<str>, Box<str>), Box<str>>,
}

/// A list that is not complete yet.
#[derive(Debug)]
enum Staged {
    /// The first list of a kind: kept apart until it is complete.
    First(Box<Cluster>),
    /// A further list of a kind. Its objects are taken over as they come, as those of a watch are: to keep all of the old ones
    /// until all of the new ones are there would take twice the memory. Namespace and name of those that came.
    Again(HashSet<(Box<str>, Box<str>)>),
}

/// Events applied between two publications, at most: a snapshot is never much older than what is known.
const BATCH: usize = 1024;

impl SnapshotWriter {
    /// Creates a writer that publishes to `published`.
    pub fn new(
        published: Arc<ArcSwap<Cluster>>,
        parts: BTreeMap<Kind, KindReadiness>,
        gauges: Gauges,
    ) -> Self {
        let cluster = Cluster::clone(&published.load());
        let (staged, shared) = (BTreeMap::new(), SharedParts::default());
        Self { cluster, published, staged, shared, parts, gauges, logged: BTreeMap::new() }
    }

    /// Applies events until all senders are gone.
    pub(super) async fn run(mut self, mut events: Receiver<(Kind, WatchEvent)>) {
        while let Some((kind, event)) = events.recv().await {
            let mut visible = self.apply(kind, event);
            for _ in 1..BATCH {
                let Ok((kind, event)) = events.try_recv() else { break };
                visible |= self.apply(kind, event);
            }
            if visible {
                self.publish();
            }
        }
    }

    /// Applies one event to the working copy; whether that changes what lookups answer.
    pub fn apply(&mut self, kind: Kind, event: WatchEvent) -> bool {
        match event {
            WatchEvent::Listing => {
                let is_known = self.cluster.is_complete(kind);
                let staged =
                    if is_known { Staged::Again(HashSet::new()) } else { Staged::First(Box::default()) };
                self.staged.insert(kind, staged);
            }
            WatchEvent::Listed(item) => return self.stage(kind, item),
            WatchEvent::Complete => self.complete(kind),
            // Most events are about a status, which is not kept.
            WatchEvent::Changed(Ok(object)) if self.cluster.contains(&object) => return false,
            WatchEvent::Changed(mut item) => {
                self.note(&item);
                self.share(&mut item);
                self.cluster.insert_read(item);
            }
            WatchEvent::Deleted { namespace, name } => {
                self.cluster.remove(kind, &namespace, &name);
                self.logged.remove(&(kind, namespace, name));
            }
            WatchEvent::Refused(reason) => self.refused(kind, &reason),
        }
        !self.staged.contains_key(&kind)
    }

    /// Publishes the working copy.
    pub fn publish(&self) {
        self.gauges.show(&self.cluster);
        self.published.store(Arc::new(self.cluster.clone()));
        for (kind, part) in &self.parts {
            if self.cluster.is_complete(*kind) || part.is_refused {
                part.gate.open();
            }
        }
    }

    /// Takes one object of a list; whether that changes what lookups answer.
    fn stage(&mut self, kind: Kind, mut item: ObjectRead) -> bool {
        self.note(&item);
        self.share(&mut item);
        match (self.staged.get_mut(&kind), item) {
            (Some(Staged::First(listed)), Ok(object)) => listed.take_over(&self.cluster, object),
            (Some(Staged::First(listed)), unreadable) => listed.insert_read(unreadable),
            (Some(Staged::Again(names)), item) => {
                names.insert(name_of(&item));
                let is_new = item.as_ref().map_or(true, |object| !self.cluster.contains(object));
                if is_new {
                    self.cluster.insert_read(item);
                }
                return is_new;
            }
            (None, _) => {}
        }
        false
    }

    fn share(&mut self, item: &mut ObjectRead) {
        if let Ok(object) = item {
            self.shared.share(object);
        }
    }

    fn complete(&mut self, kind: Kind) {
        let again = match self.staged.remove(&kind) {
            Some(Staged::First(listed)) => {
                self.cluster.replace(kind, *listed);
                false
            }
            Some(Staged::Again(names)) => {
                self.cluster.retain(kind, |namespace, name| names.contains(&(namespace.into(), name.into())));
                true
            }
            None => return,
        };
        self.cluster.set_complete(kind, true);
        let cluster = &self.cluster;
        self.logged
            .retain(|(of, namespace, name), _| *of != kind || cluster.is_unreadable(kind, namespace, name));
        let (name, objects) = (kind.name(), self.cluster.count(kind));
        // A kind that the cluster does not have is looked for again and again.
        if again {
            tracing::debug!(kind = name, objects, "listed completely again");
        } else {
            tracing::info!(kind = name, objects, "listed completely");
        }
        if let Some(part) = self.parts.get_mut(&kind) {
            (part.is_refused, part.was_listed) = (false, true);
            part.remark.clear();
        }
    }

    /// The known objects of the kind are kept, but no conclusion is drawn from a missing one.
    fn refused(&mut self, kind: Kind, reason: &str) {
        self.staged.remove(&kind);
        self.cluster.set_complete(kind, false);
        let Some(part) = self.parts.get_mut(&kind) else { return };
        let name = kind.name();
        part.remark.set(if kind.is_policy() && part.was_listed {
            format!("{name}: those known before are in force ({reason})")
        } else {
            format!("{name} unknown ({reason})")
        });
        if !part.is_refused {
            part.is_refused = true;
            tracing::warn!(
                kind = kind.name(),
                "{reason}; until then rules deny nothing for what this kind may lack"
            );
        }
    }

    /// Logs an unreadable object, each version once, and forgets one that can be read.
    fn note(&mut self, item: &ObjectRead) {
        let Unreadable { kind, namespace, name, version, reason } = match item {
            Err(unreadable) => unreadable,
            Ok(object) => {
                if !self.logged.is_empty() {
                    let Metadata { namespace, name, .. } = object.metadata();
                    self.logged.remove(&(object.kind(), namespace.clone(), name.clone()));
                }
                return;
            }
        };
        let key = (*kind, namespace.clone(), name.clone());
        if self.logged.insert(key, version.clone()).as_ref() != Some(version) {
            let kind = kind.name();
            tracing::warn!(
                kind,
                namespace = &**namespace,
                name = &**name,
                "an object cannot be read: {reason}"
            );
        }
    }
}

fn name_of(item: &ObjectRead) -> (Box<str>, Box<str>) {
    let (namespace, name) = match item {
        Ok(object) => (&object.metadata().namespace, &object.metadata().name),
        Err(Unreadable { namespace, name, .. }) => (namespace, name),
    };
    (namespace.clone(), name.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::{ClusterObject, ClusterView, Lookup, PendingChange};

    #[expect(clippy::unnecessary_wraps, reason = "an item may be unreadable")]
    fn service(name: &str, address: &str) -> ObjectRead {
        let json = format!(
            r#"{{"metadata":{{"namespace":"n","name":"{name}"}},"spec":{{"clusterIP":"{address}"}}}}"#
        );
        Ok(ClusterObject::from_json(Kind::Service, &json).unwrap())
    }

    fn unreadable(name: &str) -> ObjectRead {
        let (namespace, name, version) = ("n".into(), name.into(), "1".into());
        Err(Unreadable { kind: Kind::Service, namespace, name, version, reason: "x".to_owned() })
    }

    /// A writer that knows the Service `a`.
    fn writer() -> SnapshotWriter {
        let mut writer = SnapshotWriter::new(Arc::default(), BTreeMap::new(), Gauges::default());
        apply(&mut writer, [WatchEvent::Listing, WatchEvent::Listed(service("a", "1"))]);
        assert_eq!(address(&writer, "a"), Lookup::Unknown, "a list is seen when it is complete");
        apply(&mut writer, [WatchEvent::Complete]);
        writer
    }

    fn apply(writer: &mut SnapshotWriter, events: impl IntoIterator<Item = WatchEvent>) {
        for event in events {
            if writer.apply(Kind::Service, event) {
                writer.publish();
            }
        }
    }

    fn address(writer: &SnapshotWriter, name: &str) -> Lookup<String> {
        let cluster = writer.published.load();
        match ClusterView::new(&cluster, PendingChange::Nothing).service("n", name) {
            Lookup::Present(service) => Lookup::Present(service.spec.cluster_ip.to_string()),
            Lookup::Absent => Lookup::Absent,
            Lookup::Unknown => Lookup::Unknown,
        }
    }

    #[test]
    fn a_list_that_breaks_off_and_begins_again_leaves_nothing_behind() {
        let mut writer = writer();
        apply(&mut writer, [WatchEvent::Listing, WatchEvent::Listed(service("half", "1"))]);
        apply(&mut writer, [WatchEvent::Listing, WatchEvent::Listed(service("b", "1"))]);
        assert_eq!(address(&writer, "a"), Lookup::Present("1".to_owned()), "it may still be listed");
        assert_eq!(address(&writer, "b"), Lookup::Present("1".to_owned()), "as soon as it is known");
        apply(&mut writer, [WatchEvent::Complete]);
        assert_eq!(["a", "half"].map(|name| address(&writer, name)), [Lookup::Absent, Lookup::Absent]);
        assert_eq!(address(&writer, "b"), Lookup::Present("1".to_owned()));
    }

    #[test]
    fn an_event_that_changes_nothing_read_publishes_nothing() {
        let mut writer = writer();
        assert!(!writer.apply(Kind::Service, WatchEvent::Changed(service("a", "1"))));
        assert!(writer.apply(Kind::Service, WatchEvent::Changed(service("a", "2"))));
    }

    #[test]
    fn an_unreadable_object_is_unknown_until_it_is_mended_or_gone() {
        for (ending, expected) in [
            (vec![WatchEvent::Changed(service("a", "2"))], Lookup::Present("2".to_owned())),
            (vec![WatchEvent::Changed(service("a", "1"))], Lookup::Present("1".to_owned())),
            (vec![WatchEvent::Deleted { namespace: "n".into(), name: "a".into() }], Lookup::Absent),
            (vec![WatchEvent::Listing, WatchEvent::Complete], Lookup::Absent),
            (
                vec![WatchEvent::Listing, WatchEvent::Listed(service("a", "1")), WatchEvent::Complete],
                Lookup::Present("1".to_owned()),
            ),
            (
                vec![WatchEvent::Listing, WatchEvent::Listed(unreadable("a")), WatchEvent::Complete],
                Lookup::Unknown,
            ),
        ] {
            let mut writer = writer();
            apply(&mut writer, [WatchEvent::Changed(unreadable("a"))]);
            assert_eq!(address(&writer, "a"), Lookup::Unknown);
            apply(&mut writer, ending);
            assert_eq!(address(&writer, "a"), expected);
        }
    }

    #[test]
    fn what_was_logged_of_an_unreadable_object_is_forgotten_with_it() {
        for ending in [
            vec![WatchEvent::Changed(service("a", "2"))],
            vec![WatchEvent::Deleted { namespace: "n".into(), name: "a".into() }],
            vec![WatchEvent::Listing, WatchEvent::Complete],
            vec![WatchEvent::Refused("no".to_owned()), WatchEvent::Listing, WatchEvent::Complete],
        ] {
            let mut writer = writer();
            apply(&mut writer, [WatchEvent::Changed(unreadable("a"))]);
            apply(
                &mut writer,
                [WatchEvent::Listing, WatchEvent::Listed(unreadable("a")), WatchEvent::Complete],
            );
            assert_eq!(writer.logged.len(), 1);
            apply(&mut writer, ending);
            assert_eq!(writer.logged.len(), 0);
        }
    }

    #[test]
    fn a_refused_kind_is_unknown_but_what_was_known_is_found() {
        let mut writer = writer();
        apply(&mut writer, [WatchEvent::Refused("no".to_owned())]);
        assert_eq!(address(&writer, "a"), Lookup::Present("1".to_owned()));
        assert_eq!(address(&writer, "b"), Lookup::Unknown);
    }
}
