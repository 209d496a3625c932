//! Standard output and standard error, whose reader may have had enough.

use std::io::{self, ErrorKind, StderrLock, StdoutLock, Write};

use anstream::AutoStream;

/// A stream whose reader may be gone, as in `stateward explain | head`. What is written then goes nowhere: what else the command does
/// and its exit code do not depend on who reads.
pub(super) struct UntilClosed<W>(W);

/// Standard output, as it is.
pub(super) fn stdout() -> UntilClosed<StdoutLock<'static>> {
    UntilClosed(io::stdout().lock())
}

/// Standard output, without the colours where they are not wanted.
pub(super) fn styled_stdout() -> UntilClosed<AutoStream<StdoutLock<'static>>> {
    UntilClosed(anstream::stdout().lock())
}

/// Standard error, as it is.
pub(super) fn stderr() -> UntilClosed<StderrLock<'static>> {
    UntilClosed(io::stderr().lock())
}

impl<W: Write> Write for UntilClosed<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.0.write(bytes) {
            Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(bytes.len()),
            done => done,
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self.0.flush() {
            Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
            done => done,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Fails(ErrorKind);

    impl Write for Fails {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(self.0.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Err(self.0.into())
        }
    }

    #[test]
    fn only_a_closed_pipe_is_no_failure() {
        let written = |kind| {
            let mut stream = UntilClosed(Fails(kind));
            (stream.write_all(b"x").is_ok(), stream.flush().is_ok())
        };
        assert_eq!(written(ErrorKind::BrokenPipe), (true, true));
        assert_eq!(written(ErrorKind::StorageFull), (false, false));
    }
}
