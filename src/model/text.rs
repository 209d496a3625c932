//! Text from requests: cut to a limit, and read without a copy; names of fields.

use std::borrow::Cow;
use std::fmt;
use std::fmt::Write as _;

use serde::de::{Deserialize, Deserializer, Visitor};

/// A string that is borrowed from the input if possible. (By default, serde makes each `Cow` owned.)
#[derive(Default)]
pub(super) struct BorrowedText<'a>(Cow<'a, str>);

impl AsRef<str> for BorrowedText<'_> {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl<'de> Deserialize<'de> for BorrowedText<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Borrowing;
        impl<'de> Visitor<'de> for Borrowing {
            type Value = BorrowedText<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<BorrowedText<'de>, E> {
                Ok(BorrowedText(Cow::Borrowed(text)))
            }

            fn visit_str<E>(self, text: &str) -> Result<BorrowedText<'de>, E> {
                Ok(BorrowedText(Cow::Owned(text.to_owned())))
            }

            fn visit_string<E>(self, text: String) -> Result<BorrowedText<'de>, E> {
                Ok(BorrowedText(Cow::Owned(text)))
            }
        }
        deserializer.deserialize_str(Borrowing)
    }
}

/// Cuts a text to at most `longest` bytes at a character boundary, and marks the cut with `…`.
pub fn cut(mut text: String, longest: usize) -> String {
    if text.len() > longest {
        let mut end = longest.saturating_sub('…'.len_utf8());
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        text.truncate(end);
        text.push('…');
        text.shrink_to_fit();
    }
    text
}

/// A key as one step of a JSON pointer.
pub fn pointer_step(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

/// The key that one step of a JSON pointer stands for.
pub fn pointer_key(step: &str) -> Cow<'_, str> {
    if step.contains('~') { step.replace("~1", "/").replace("~0", "~").into() } else { step.into() }
}

/// The keys of a JSON pointer.
pub fn pointer_keys(json_pointer: &str) -> impl Iterator<Item = Cow<'_, str>> {
    json_pointer.split('/').skip(1).map(pointer_key)
}

/// `/spec/template/spec/containers/0` in the form of Kubernetes' errors: `spec.template.spec.containers[0]`.
pub fn field_path(pointer: &str) -> String {
    let mut path = String::new();
    for part in pointer_keys(pointer) {
        let index = !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        if index || part.contains(['/', '.']) {
            let _ = write!(path, "[{part}]");
        } else {
            let dot = if path.is_empty() { "" } else { "." };
            let _ = write!(path, "{dot}{part}");
        }
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn field_paths_are_those_of_kubernetes() {
        for (pointer, path) in [
            ("/spec/replicas", "spec.replicas"),
            ("/spec/template/spec/containers/0/image", "spec.template.spec.containers[0].image"),
            ("/metadata/annotations/stateward.dev~1class", "metadata.annotations[stateward.dev/class]"),
            ("", ""),
        ] {
            assert_eq!(field_path(pointer), path);
        }
    }

    #[test]
    fn a_cut_keeps_characters_whole_and_the_limit() {
        assert_eq!(cut("abc".to_owned(), 3), "abc");
        assert_eq!(cut("abcd".to_owned(), 5), "abcd");
        for longest in 3..12 {
            let text = cut("é".repeat(20), longest);
            assert!(text.len() <= longest && text.ends_with('…'), "{text}");
        }
    }
}
