//! Readiness by named parts.

use std::sync::{
    Arc, Mutex, PoisonError, RwLock,
    atomic::{AtomicBool, Ordering},
};

/// The parts that must be ready before the API server may send reviews. Clones share the parts.
#[derive(Clone, Debug, Default)]
pub struct Readiness {
    parts: Arc<RwLock<Vec<ReadinessPart>>>,
    remarks: Arc<RwLock<Vec<Remark>>>,
}

#[derive(Debug)]
struct ReadinessPart {
    name: String,
    ready: Arc<AtomicBool>,
}

impl Readiness {
    /// Adds a part, which is not ready until its gate is opened. A gate that is dropped stays as it was.
    pub fn gate(&self, name: impl Into<String>) -> Gate {
        let gate = Gate(Arc::default());
        let part = ReadinessPart { name: name.into(), ready: Arc::clone(&gate.0) };
        self.parts.write().unwrap_or_else(PoisonError::into_inner).push(part);
        gate
    }

    /// Adds something that can be said beside, whether all is ready or not.
    pub fn remark(&self) -> Remark {
        let remark = Remark::default();
        self.remarks.write().unwrap_or_else(PoisonError::into_inner).push(remark.clone());
        remark
    }

    /// Remarks beside the state, in the order in which they were added.
    pub fn remarks(&self) -> Vec<String> {
        let remarks = self.remarks.read().unwrap_or_else(PoisonError::into_inner);
        let said =
            remarks.iter().map(|remark| remark.0.lock().unwrap_or_else(PoisonError::into_inner).clone());
        said.filter(|said| !said.is_empty()).collect()
    }

    /// The names of the parts that are not ready, in the order they were added.
    pub fn missing(&self) -> Vec<String> {
        let parts = self.parts.read().unwrap_or_else(PoisonError::into_inner);
        parts
            .iter()
            .filter(|part| !part.ready.load(Ordering::Acquire))
            .map(|part| part.name.clone())
            .collect()
    }
}

/// A line that `/readyz` shows and that does not decide readiness.
#[derive(Clone, Debug, Default)]
pub struct Remark(Arc<Mutex<String>>);

impl Remark {
    /// Says this, in one line.
    pub fn set(&self, text: impl Into<String>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = text.into().replace('\n', " ");
    }

    /// Says nothing.
    pub fn clear(&self) {
        self.set("");
    }
}

/// One part's say in readiness.
#[derive(Clone, Debug)]
pub struct Gate(Arc<AtomicBool>);

impl Gate {
    /// This part is ready.
    pub fn open(&self) {
        self.0.store(true, Ordering::Release);
    }

    /// This part is not ready, or no longer.
    pub fn close(&self) {
        self.0.store(false, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::Readiness;

    #[test]
    fn names_what_is_missing() {
        let readiness = Readiness::default();
        let (policies, cluster) = (readiness.gate("policies"), readiness.gate("cluster"));
        assert_eq!(readiness.missing(), ["policies", "cluster"]);
        policies.open();
        assert_eq!(readiness.missing(), ["cluster"]);
        cluster.open();
        policies.close();
        drop(policies);
        assert_eq!(readiness.missing(), ["policies"]);
    }
}
