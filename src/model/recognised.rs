//! The catalogue's result for a set, looked up once.

use std::sync::{Arc, OnceLock};

use super::{Class, Software};

/// The software that the catalogue recognised in an object, valid as long as the object does not change. Objects of a snapshot are judged
/// again and again. The result is not part of the object: objects that differ only in it are equal, and a copy, which may be edited, starts
/// without it.
#[derive(Debug, Default)]
pub struct Recognised(OnceLock<Option<(Class, Arc<Software>)>>);

impl Recognised {
    /// The recognised software; calls `recognise` the first time.
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
