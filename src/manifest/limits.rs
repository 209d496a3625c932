//! How much one file may cost. Real manifests stay far below; what exceeds these is an error, never a crash.

use super::fault::Fault;

/// How deep values may nest. Everything that walks a tree recurses, so this bounds the stack too.
pub(super) const MAX_DEPTH: usize = 200;

/// How many values one file may hold: a dump of 64 MiB has about three million.
const MAX_NODES: usize = 4_000_000;

/// How many bytes the aliases of one file may expand to.
const MAX_ALIASED: usize = 32 << 20;

/// What one value costs beside its text, when it is repeated through an alias.
const NODE_BYTES: usize = 64;

/// What is left of the limits while one file is read.
#[derive(Debug)]
pub(super) struct Budget {
    nodes: usize,
    aliased: usize,
}

impl Default for Budget {
    fn default() -> Self {
        Budget { nodes: MAX_NODES, aliased: MAX_ALIASED }
    }
}

impl Budget {
    /// Pays for one value read from the text.
    pub(super) fn node(&mut self, line: u32, column: u32) -> Result<(), Fault> {
        match self.nodes.checked_sub(1) {
            Some(left) => self.nodes = left,
            None => {
                return Err(Fault::limit(line, column, format!("more than {MAX_NODES} values in one file")));
            }
        }
        Ok(())
    }

    /// Pays for one value repeated through an alias.
    pub(super) fn aliased(&mut self, bytes: usize, line: u32, column: u32) -> Result<(), Fault> {
        match self.aliased.checked_sub(bytes.saturating_add(NODE_BYTES)) {
            Some(left) => self.aliased = left,
            None => {
                return Err(Fault::limit(line, column, "the aliases of this file expand to too much"));
            }
        }
        Ok(())
    }
}

/// Checks how deep a value lies.
pub(super) fn depth(depth: usize, line: u32, column: u32) -> Result<(), Fault> {
    if depth > MAX_DEPTH {
        return Err(Fault::limit(line, column, format!("values nest deeper than {MAX_DEPTH} levels")));
    }
    Ok(())
}
