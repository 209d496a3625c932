//! Keeping a panic inside the one review that caused it.

use std::{
    cell::{Cell, RefCell},
    future::{Future, poll_fn},
    panic::{AssertUnwindSafe, PanicHookInfo, catch_unwind, set_hook, take_hook},
    pin::Pin,
    sync::Once,
    task::Poll,
};

thread_local! {
    static CONTAINED: Cell<bool> = const { Cell::new(false) };
    static PLACE: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// A panic that was caught. Its message is left out: it may quote the body.
#[derive(Debug)]
pub(super) struct Panicked {
    /// File, line and column.
    pub(super) place: String,
}

/// Runs `work`; a panic in it ends here.
pub(super) fn catch_panic<T>(work: impl FnOnce() -> T) -> Result<T, Panicked> {
    install_hook();
    CONTAINED.set(true);
    let result = catch_unwind(AssertUnwindSafe(work));
    CONTAINED.set(false);
    result.map_err(|_| Panicked { place: PLACE.take().unwrap_or_default() })
}

/// Runs a future to its end; a panic in one of its polls ends here.
pub(super) async fn catch_panic_in<T>(
    mut work: Pin<Box<dyn Future<Output = T> + Send>>,
) -> Result<T, Panicked> {
    poll_fn(|cx| match catch_panic(|| work.as_mut().poll(cx)) {
        Ok(poll) => poll.map(Ok),
        Err(panicked) => Poll::Ready(Err(panicked)),
    })
    .await
}

/// The default hook would print the message, past the log and perhaps with parts of the body.
fn install_hook() {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let previous = take_hook();
        set_hook(Box::new(move |panic| {
            if CONTAINED.get() {
                PLACE.set(place_of(panic));
            } else {
                previous(panic);
            }
        }));
    });
}

fn place_of(panic: &PanicHookInfo<'_>) -> Option<String> {
    panic.location().map(ToString::to_string)
}
