//! What the catalogue says of a set, looked up once.

use std::sync::{Arc, OnceLock};

use super::{Class, Software};

/// What the catalogue has recognised in an object, which holds as long as the object is as it is. Objects of a snapshot are judged
/// again and again. It is no part of what an object says: two that differ only in it are equal, and a copy, which may be edited, begins
/// without.
#[derive(Debug, Default)]
pub struct Recognised(OnceLock<Option<(Class, Arc<Software>)>>);

impl Recognised {
    /// What was recognised; `recognise` is asked the first time.
    pub fn get_or_init(
        &self,
        recognise: impl FnOnce() -> Option<(Class, Arc<Software>)>,
    ) -> Option<(Class, Arc<Software>)> {
        self.0.get_or_init(recognise).clone()
    }
}

impl Clone for Recognised {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl PartialEq for Recognised {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Recognised {}
