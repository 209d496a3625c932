//! Text that others have written, made fit to be shown.

use std::borrow::Cow;
use std::fmt::Write as _;

/// Cuts a text to at most `longest` bytes, at the boundary of a character, and marks the cut with `…`.
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

/// Writes control characters, line separators and the characters that change the direction of text as escapes: they forge log
/// lines, reach terminals, and the API server drops a warning that has one.
pub fn escaped(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_unfit) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for character in text.chars() {
        if is_unfit(character) {
            let _ = write!(shown, "{}", character.escape_default());
        } else {
            shown.push(character);
        }
    }
    Cow::Owned(shown)
}

fn is_unfit(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cut_keeps_characters_whole_and_the_limit() {
        assert_eq!(cut("abc".to_owned(), 3), "abc");
        assert_eq!(cut("abcd".to_owned(), 5), "abcd");
        for longest in 3..12 {
            let text = cut("é".repeat(20), longest);
            assert!(text.len() <= longest && text.ends_with('…'), "{text}");
        }
    }

    #[test]
    fn what_acts_on_a_reader_is_written_out() {
        assert!(matches!(escaped("plain é 漢"), Cow::Borrowed(_)));
        for (text, shown) in [
            ("a\nb\r\tc", r"a\nb\r\tc"),
            ("\u{1b}[31m", r"\u{1b}[31m"),
            ("a\u{202e}b\u{2028}\u{85}\u{2066}", r"a\u{202e}b\u{2028}\u{85}\u{2066}"),
        ] {
            assert_eq!(escaped(text), shown);
        }
    }
}
