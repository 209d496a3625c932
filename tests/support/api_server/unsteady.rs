//! An API server on a bad day: by chance, but the same chance each time.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::Response;
use serde_json::Value;
use tokio::sync::mpsc;

use super::{Answer, Entry, Inner, Lines, status};

/// What becomes of a request.
pub(super) enum Misfortune {
    None,
    Slow(Duration),
    Status(u16),
    /// The connection is closed in the middle of the answer.
    Truncated,
}

impl Inner {
    pub(super) fn misfortune(&mut self, is_watch: bool) -> Misfortune {
        match self.draw(10) {
            0 => Misfortune::Status(500),
            1 => Misfortune::Status(429),
            2 => Misfortune::Status(503),
            3 if !is_watch => Misfortune::Truncated,
            4 | 5 => Misfortune::Slow(Duration::from_millis(20 + 20 * self.draw(8))),
            _ => Misfortune::None,
        }
    }

    /// Events twice, in the wrong order or not at all, and whether the watch then breaks off in the middle of a line.
    pub(super) fn garbled(&mut self, news: Vec<Entry>) -> (Vec<Entry>, bool) {
        let mut garbled: Vec<Entry> = Vec::new();
        for entry in news {
            match self.draw(8) {
                0 => garbled.extend([entry.clone(), entry]),
                1 => {
                    let place = garbled.len().saturating_sub(1);
                    garbled.insert(place, entry);
                }
                2 => {}
                // It is gone, says the watch, and it is not.
                3 if entry.event == "MODIFIED" => garbled.push(Entry { event: "DELETED", ..entry }),
                _ => garbled.push(entry),
            }
        }
        let breaks_off = self.draw(20) == 0;
        (garbled, breaks_off)
    }

    /// A number below `sides`.
    fn draw(&mut self, sides: u64) -> u64 {
        self.draws = self.draws.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.draws ^ (self.draws >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        ((mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb) >> 33) % sides
    }
}

impl Misfortune {
    /// Waits, or gives the answer that goes wrong.
    pub(super) async fn happen(self, right: impl FnOnce() -> Option<Value>) -> Option<Answer> {
        match self {
            Self::None => None,
            Self::Slow(time) => {
                tokio::time::sleep(time).await;
                None
            }
            Self::Status(code) => {
                let mut answer = status(code, "on a bad day");
                answer.headers_mut().insert("retry-after", "1".parse().unwrap());
                Some(answer)
            }
            Self::Truncated => right().map(|value| truncated(&value.to_string())),
        }
    }
}

/// Half of an answer that promises to be whole.
fn truncated(text: &str) -> Answer {
    let (lines, body) = mpsc::channel(1);
    let half = Bytes::copy_from_slice(&text.as_bytes()[..text.len() / 2]);
    lines.try_send(half).unwrap();
    let answer = Response::builder().header("content-length", text.len());
    answer.body(Lines(body).boxed()).unwrap()
}
