//! What was logged, on this thread, while this is alive.

use std::{
    io,
    sync::{Arc, LazyLock, Mutex},
};

use tracing::{Dispatch, subscriber::DefaultGuard};
use tracing_subscriber::fmt::MakeWriter;

pub struct Logs {
    written: Buffer,
    _default: DefaultGuard,
}

/// As long as there is only one subscriber, `tracing` asks the thread that comes first to a place in the code whether anything there
/// is of interest, and remembers the answer for all: a test of another thread, which captures nothing, would say no.
static SECOND: LazyLock<Dispatch> = LazyLock::new(|| {
    let nowhere = tracing_subscriber::fmt().with_max_level(tracing::Level::DEBUG).with_writer(io::sink);
    Dispatch::new(nowhere.finish())
});

#[derive(Clone, Default)]
struct Buffer(Arc<Mutex<Vec<u8>>>);

impl Logs {
    /// Everything from debug up; the test's runtime must be of one thread.
    pub fn capture() -> Self {
        LazyLock::force(&SECOND);
        let written = Buffer::default();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(tracing::Level::DEBUG)
            .with_ansi(false)
            .with_writer(written.clone())
            .finish();
        Self { written, _default: tracing::subscriber::set_default(subscriber) }
    }

    pub fn text(&self) -> String {
        String::from_utf8(self.written.0.lock().unwrap().clone()).unwrap()
    }

    pub fn lines_with(&self, part: &str) -> Vec<String> {
        self.text().lines().filter(|line| line.contains(part)).map(str::to_owned).collect()
    }
}

impl io::Write for Buffer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Buffer {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}
