//! The lists of pods that the controller goes by, each for a while.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::api::WriteError;
use super::reconcile::ReconcileContext;
use crate::per_pod::pods::PodsSeen;
use crate::per_pod::set::PerPodSet;
use crate::per_pod::template::Template;

/// How long a list is kept at most: a set that has gone is never asked about again.
const KEPT: Duration = Duration::from_secs(600);

/// The last list of the pods of each set, by the uid of the set.
#[derive(Debug, Default)]
pub(super) struct PodLists(Mutex<HashMap<Box<str>, PodList>>);

#[derive(Clone, Debug)]
struct PodList {
    at: Instant,
    /// The label that the pods were looked at for.
    label: String,
    /// How many there were, as the set's status said.
    replicas: i32,
    pods: Arc<PodsSeen>,
}

/// A list of pods, and how old it is.
pub(super) struct AgedPods {
    pub(super) pods: Arc<PodsSeen>,
    pub(super) age: Duration,
    /// Whether pods have come or gone since then.
    pub(super) is_outdated: bool,
}

impl PodLists {
    fn get(&self, set: &PerPodSet, label: &str) -> Option<PodList> {
        let lists = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        lists.get(&set.metadata.uid).filter(|list| list.label == label).cloned()
    }

    fn put(&self, set: &PerPodSet, label: &str, pods: PodsSeen) -> Arc<PodsSeen> {
        let (pods, replicas) = (Arc::new(pods), set.status.replicas);
        let list = PodList { at: Instant::now(), label: label.to_owned(), replicas, pods: Arc::clone(&pods) };
        let mut lists = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        lists.retain(|_, list| list.at.elapsed() < KEPT);
        lists.insert(set.metadata.uid.clone(), list);
        pods
    }

    /// The next round lists the pods of this set anew.
    pub(super) fn forget(&self, set: &PerPodSet) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&set.metadata.uid);
    }
}

impl ReconcileContext {
    /// The pods of a set, as a list has shown them less than `oldest` ago. Where they may not be read, it is as if none were there.
    pub(super) async fn pods_of(
        &self,
        set: &PerPodSet,
        template: &Template,
        oldest: Duration,
    ) -> Result<AgedPods, WriteError> {
        if let Some(list) = self.pods.get(set, template.label()) {
            let age = list.at.elapsed();
            let is_outdated = list.replicas != set.status.replicas;
            let oldest = match &*list.pods.unselected {
                _ if is_outdated => oldest.min(self.config.pods_fresh),
                [] => oldest,
                _ => oldest.min(self.config.retry),
            };
            if age < oldest {
                return Ok(AgedPods { pods: list.pods, age, is_outdated });
            }
        }
        let listed = match self.server.pods(set, template).await {
            Err(WriteError::Refused(reason)) => {
                let (namespace, name) = (&*set.metadata.namespace, &*set.metadata.name);
                tracing::warn!(
                    namespace,
                    set = name,
                    "the pods of a set with per-pod Services cannot be read: {reason}"
                );
                PodsSeen::none()
            }
            listed => listed?,
        };
        let pods = self.pods.put(set, template.label(), listed);
        Ok(AgedPods { pods, age: Duration::ZERO, is_outdated: false })
    }
}
