//! The bytes of answers, and how many of them may be in memory.

use std::sync::Arc;

use bytes::BytesMut;
use http_body_util::BodyExt;
use kube::client::Body;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::error::{ApiError, chain};

/// Bytes of one answer where nothing else is set. A page of 250 StatefulSets of usual size has a tenth; one object, whose bytes can
/// become six each as JSON, at most a third.
const LARGEST: usize = 32 << 20;
/// Bytes up to which an answer is read without a turn. Some fifty StatefulSets as kubectl shows them.
const SMALL: usize = 1 << 20;

/// How many bytes answers may take in memory. Clones share the turns.
#[derive(Clone, Debug)]
pub(crate) struct AnswerLimits {
    /// Bytes of one answer.
    largest: usize,
    /// Turns for answers that are not small; `None` where any number may be in memory at a time.
    turns: Option<Arc<Semaphore>>,
}

impl Default for AnswerLimits {
    fn default() -> Self {
        Self { largest: LARGEST, turns: None }
    }
}

impl AnswerLimits {
    /// Answers of at most `largest` bytes. Of those over a mebibyte `at_once` are in memory at a time, the others wait: a waiting
    /// answer holds no turn, so answers cannot wait for each other.
    pub(crate) fn new(largest: usize, at_once: usize) -> Self {
        Self { largest, turns: Some(Arc::new(Semaphore::new(at_once))) }
    }

    /// Reads a body to its end.
    pub(super) async fn collect(&self, mut body: Body) -> Result<ResponseBody, ApiError> {
        let mut answer = ResponseBody { bytes: BytesMut::new(), turn: None };
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|error| ApiError::Transport(chain(&error)))?;
            let Some(data) = frame.data_ref() else { continue };
            let size = answer.bytes.len() + data.len();
            if size > self.largest {
                return Err(ApiError::TooLarge(self.largest));
            }
            if size > SMALL && answer.turn.is_none() {
                answer.turn = self.turn().await;
            }
            answer.bytes.extend_from_slice(data);
        }
        Ok(answer)
    }

    async fn turn(&self) -> Option<OwnedSemaphorePermit> {
        // The semaphore is never closed.
        Arc::clone(self.turns.as_ref()?).acquire_owned().await.ok()
    }
}

/// A whole body. It keeps its turn until it is dropped.
pub(super) struct ResponseBody {
    pub(super) bytes: BytesMut,
    turn: Option<OwnedSemaphorePermit>,
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    fn body(size: usize) -> Body {
        Body::from(vec![b'x'; size])
    }

    #[tokio::test]
    async fn an_answer_over_the_limit_is_given_up() {
        let limits = AnswerLimits::new(100, 1);
        assert_eq!(limits.collect(body(100)).await.map(|answer| answer.bytes.len()).ok(), Some(100));
        let error = limits.collect(body(101)).await.err().unwrap();
        assert_eq!(error.to_string(), "the answer has more than 100 bytes");
    }

    #[tokio::test]
    async fn large_answers_take_turns_and_small_ones_do_not() {
        let limits = AnswerLimits::new(3 * SMALL, 1);
        let first = limits.collect(body(2 * SMALL)).await.unwrap();
        let mut second = Box::pin(limits.collect(body(2 * SMALL)));
        assert!(second.as_mut().now_or_never().is_none(), "it waits for the first");
        assert!(limits.collect(body(SMALL)).now_or_never().is_some_and(|answer| answer.is_ok()));
        drop(first);
        assert!(second.await.is_ok());
    }
}
