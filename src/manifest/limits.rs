//! How much one file may cost. Real manifests stay far below; what exceeds these is reported, never a crash.

use super::fault::Fault;

/// How deep values may nest. Everything that walks a tree recurses, so this bounds the stack too.
pub(super) const MAX_DEPTH: usize = 200;

/// How many values one file may hold: a dump of 64 MiB has about three million.
const MAX_NODES: usize = 4_000_000;

/// How many bytes one file may hold beyond its text: through aliases, parameters of templates, and what the items of a
/// list take over from the list.
const MAX_EXPANDED: usize = 32 << 20;

/// The cost of one value beside its text when it is repeated.
const NODE_BYTES: usize = 64;

/// The rest of the limits while one file is read.
#[derive(Debug)]
pub(super) struct ParseLimits {
    nodes: usize,
    expanded: usize,
}

impl Default for ParseLimits {
    fn default() -> Self {
        ParseLimits { nodes: MAX_NODES, expanded: MAX_EXPANDED }
    }
}

impl ParseLimits {
    /// Counts one value read from the text.
    pub(super) fn node(&mut self, line: u32, column: u32) -> Result<(), Fault> {
        let Some(left) = self.nodes.checked_sub(1) else {
            return Err(Fault::limit(line, column, format!("more than {MAX_NODES} values in one file")));
        };
        self.nodes = left;
        Ok(())
    }

    /// Counts one value of so many bytes that is in memory once more than it is written.
    pub(super) fn expand(&mut self, bytes: usize, line: u32, column: u32) -> Result<(), Fault> {
        let Some(left) = self.expanded.checked_sub(bytes.saturating_add(NODE_BYTES)) else {
            let message = format!(
                "aliases, template parameters and list items of this file expand to more than {} MiB",
                MAX_EXPANDED >> 20
            );
            return Err(Fault::limit(line, column, message));
        };
        self.expanded = left;
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
