//! Semantic versions: `1.2.3-rc.1`.

use std::cmp::Ordering;

/// Longer texts are no versions that anyone writes.
const LONGEST: usize = 256;

/// A version. What stands after a `+` says nothing about which is newer, and is not kept.
#[derive(Debug, PartialEq, Eq)]
pub struct Version {
    pub(super) numbers: [u64; 3],
    /// A version with one comes before that without.
    before: Option<Vec<Part>>,
}

/// A part between dots: numbers come before texts.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    Number(u64),
    Text(Box<str>),
}

impl Version {
    /// The version that a text is. A lenient reading takes a `v` before it, zeros before a number, and fewer than three of these.
    pub(super) fn parse(text: &str, is_lenient: bool) -> Option<Self> {
        if text.len() > LONGEST {
            return None;
        }
        let text = text.strip_prefix('v').filter(|_| is_lenient).unwrap_or(text);
        let (text, build) = text.split_once('+').map_or((text, None), |(text, build)| (text, Some(build)));
        let (core, before) = text.split_once('-').map_or((text, None), |(core, rest)| (core, Some(rest)));
        let mut numbers = [0; 3];
        let written: Vec<&str> = core.split('.').collect();
        let may_be_short = is_lenient && before.is_none() && build.is_none();
        if written.len() > 3 || (written.len() < 3 && !may_be_short) {
            return None;
        }
        for (number, written) in numbers.iter_mut().zip(written) {
            *number = whole(written, is_lenient)?;
        }
        if build.is_some_and(|build| !build.split('.').all(is_identifier)) {
            return None;
        }
        let before = match before {
            Some(before) => Some(before.split('.').map(Part::parse).collect::<Option<_>>()?),
            None => None,
        };
        Some(Self { numbers, before })
    }

    /// How two versions compare.
    pub(super) fn order(&self, other: &Self) -> Ordering {
        let numbers = self.numbers.cmp(&other.numbers);
        numbers.then_with(|| match (&self.before, &other.before) {
            (None, Some(_)) => Ordering::Greater,
            (Some(_), None) => Ordering::Less,
            (one, other) => one.cmp(other),
        })
    }
}

impl Part {
    fn parse(text: &str) -> Option<Self> {
        if text.bytes().all(|b| b.is_ascii_digit()) {
            return whole(text, false).map(Self::Number);
        }
        is_identifier(text).then(|| Self::Text(text.into()))
    }
}

fn is_identifier(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

fn whole(text: &str, may_begin_with_zero: bool) -> Option<u64> {
    let is_plain = may_begin_with_zero || text == "0" || !text.starts_with('0');
    (is_plain && text.bytes().all(|b| b.is_ascii_digit())).then(|| text.parse().ok())?
}
