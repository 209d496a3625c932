//! The lists of pods that the controller goes by, each for a while.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::api::WriteError;
use super::reconcile::Context;
use crate::per_pod::pods::PodsSeen;
use crate::per_pod::set::PerPodSet;
use crate::per_pod::template::Template;

/// How long a list is kept at most: a set that has gone is never asked about again.
const KEPT: Duration = Duration::from_secs(120);

/// The last list of the pods of each set, by the uid of the set.
#[derive(Debug, Default)]
pub(super) struct PodLists(Mutex<HashMap<Box<str>, PodList>>);

#[derive(Clone, Debug)]
struct PodList {
    at: Instant,
    /// The label that the pods were looked at for.
    label: String,
    pods: Arc<PodsSeen>,
}

/// A list of pods, and how old it is.
pub(super) struct AgedPods {
    pub(super) pods: Arc<PodsSeen>,
    pub(super) age: Duration,
}

impl PodLists {
    /// The last list, if it is younger than `oldest`; than `of_trouble` where something is wrong with a pod in it.
    fn get(&self, set: &PerPodSet, label: &str, oldest: Duration, of_trouble: Duration) -> Option<AgedPods> {
        let lists = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let list = lists.get(&set.metadata.uid).filter(|list| list.label == label)?;
        let age = list.at.elapsed();
        let oldest = if list.pods.unselected.is_empty() { oldest } else { oldest.min(of_trouble) };
        (age < oldest).then(|| AgedPods { pods: Arc::clone(&list.pods), age })
    }

    fn put(&self, set: &PerPodSet, label: &str, pods: PodsSeen) -> Arc<PodsSeen> {
        let pods = Arc::new(pods);
        let list = PodList { at: Instant::now(), label: label.to_owned(), pods: Arc::clone(&pods) };
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

impl Context {
    /// The pods of a set, as a list has shown them less than `oldest` ago. Where they may not be read, it is as if none were there.
    pub(super) async fn pods_of(
        &self,
        set: &PerPodSet,
        template: &Template,
        oldest: Duration,
    ) -> Result<AgedPods, WriteError> {
        if let Some(known) = self.pods.get(set, template.label(), oldest, self.config.retry) {
            return Ok(known);
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
        Ok(AgedPods { pods: self.pods.put(set, template.label(), listed), age: Duration::ZERO })
    }
}
