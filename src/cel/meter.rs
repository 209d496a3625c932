//! The cost limit of an evaluation.

use super::Failure;

/// Counts the steps of evaluations: one for each operation, and one for each item or sixteen bytes that an operation reads or makes.
/// A step takes some 50 ns. Memory is bounded as well, because what is made is paid for.
#[derive(Clone, Debug)]
pub struct Meter {
    left: u64,
}

impl Meter {
    pub fn new(steps: u64) -> Self {
        Self { left: steps }
    }

    /// How many steps are left.
    pub fn left(&self) -> u64 {
        self.left
    }

    pub(super) fn spend(&mut self, steps: usize) -> Result<(), Failure> {
        let left = self.left.checked_sub(u64::try_from(steps).unwrap_or(u64::MAX));
        self.left = left.unwrap_or(0);
        left.map(|_| ()).ok_or(Failure::TooCostly)
    }

    /// For reading or making a text of so many bytes.
    pub(super) fn spend_bytes(&mut self, bytes: usize) -> Result<(), Failure> {
        self.spend(bytes / 16 + 1)
    }
}
