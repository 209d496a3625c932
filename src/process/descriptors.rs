//! How many files and sockets the process may have open.

/// The file descriptors beside the connections of clients: listeners, watches, live reads, files.
const OTHERS: u64 = 96;

/// Raises the limit as far as the system allows, and says how many connections of clients fit below it.
///
/// Shells and container runtimes give 1024 or fewer where the system allows a million; at the limit `accept` fails for probes too.
pub fn raise_limit() -> usize {
    let limit = rlimit::increase_nofile_limit(u64::MAX).unwrap_or_else(|error| {
        tracing::warn!(%error, "the limit of open files could not be raised");
        rlimit::Resource::NOFILE.get_soft().unwrap_or(1024)
    });
    usize::try_from(limit.saturating_sub(OTHERS)).unwrap_or(usize::MAX)
}
