//! Work on several threads whose results are in order.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// How many jobs a thread takes at once.
const JOBS: usize = 256;

/// Does jobs on some threads. The results are in the order of the jobs.
pub(super) fn in_order<J: Sync, R: Default + Send + Sync>(
    jobs: &[J],
    threads: usize,
    work: impl Fn(&J, &mut R) + Sync,
) -> impl Iterator<Item = R> {
    let parts: Vec<&[J]> = jobs.chunks(JOBS).collect();
    let results: Vec<OnceLock<R>> = parts.iter().map(|_| OnceLock::new()).collect();
    let next = AtomicUsize::new(0);
    let take_parts = || {
        while let Some(number) =
            Some(next.fetch_add(1, Ordering::Relaxed)).filter(|number| *number < parts.len())
        {
            results[number].get_or_init(|| {
                let mut result = R::default();
                parts[number].iter().for_each(|job| work(job, &mut result));
                result
            });
        }
    };
    thread::scope(|scope| {
        for _ in 1..threads.min(parts.len()) {
            scope.spawn(take_parts);
        }
        take_parts();
    });
    results.into_iter().filter_map(OnceLock::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_in_the_order_of_the_jobs() {
        let jobs: Vec<usize> = (0..JOBS * 5 + 3).collect();
        for threads in [0, 1, 3, 64] {
            let results = in_order(&jobs, threads, |job, done: &mut Vec<usize>| done.push(*job));
            assert_eq!(results.flatten().collect::<Vec<_>>(), jobs, "{threads}");
        }
        assert_eq!(in_order(&[], 4, |(): &(), (): &mut ()| ()).count(), 0);
    }
}
