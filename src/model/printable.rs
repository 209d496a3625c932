//! Escapes foreign values for display.

use std::borrow::Cow;
use std::fmt::Write as _;

/// How many characters of a value are shown.
const MAX_SHOWN: usize = 1024;

/// Makes a value of a manifest or a request safe to show in a terminal, a CI log or a message of one line.
///
/// Line breaks, control and format characters are escaped: they move the cursor, change colours, turn the direction of text, or hide. CI
/// log commands are escaped too: `::` at the start of a line, and `##[`, `##vso[` and `##teamcity[` anywhere. Values longer than 1024
/// characters are cut.
pub fn printable(text: &str) -> Cow<'_, str> {
    if is_plain(text) {
        return Cow::Borrowed(text);
    }
    let end = text.char_indices().nth(MAX_SHOWN).map_or(text.len(), |(at, _)| at);
    let shown = &text[..end];
    let starts_command = shown.trim_start().starts_with("::");
    let has_command = starts_command || (shown.contains("##") && shown.contains('['));
    if end == text.len() && !has_command && !shown.contains(is_deceptive) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(shown.len() + 16);
    for character in shown.chars() {
        if starts_command && character == ':' && escaped.ends_with(':') {
            push_escape(&mut escaped, character);
        } else {
            push_printable(&mut escaped, character);
        }
    }
    if end < text.len() {
        escaped.push('…');
    }
    Cow::Owned(escaped)
}

/// Whether a text is short and of visible ASCII characters that start no command. Nearly every text is, and this test is many times faster
/// than looking at each character.
fn is_plain(text: &str) -> bool {
    let bytes = text.as_bytes();
    let visible =
        bytes.len() <= MAX_SHOWN && bytes.iter().fold(true, |all, byte| all & matches!(byte, b' '..=b'~'));
    visible && !bytes.contains(&b'#') && !text.trim_ascii_start().starts_with("::")
}

/// The prefixes of commands in CI logs: of Azure and GitHub, and of `TeamCity`.
const BEFORE_COMMANDS: [&str; 3] = ["##", "##vso", "##teamcity"];

/// Adds one character to a text, escaped if necessary.
pub fn push_printable(into: &mut String, character: char) {
    if is_deceptive(character) || (character == '[' && begins_command(into)) {
        push_escape(into, character);
    } else {
        into.push(character);
    }
}

fn begins_command(before: &str) -> bool {
    let ends_with = |end: &str| {
        let tail = before.len().checked_sub(end.len()).and_then(|start| before.get(start..));
        tail.is_some_and(|tail| tail.eq_ignore_ascii_case(end))
    };
    BEFORE_COMMANDS.into_iter().any(ends_with)
}

fn push_escape(into: &mut String, character: char) {
    let _ = write!(into, "\\u{{{:x}}}", u32::from(character));
}

/// Like [`printable`], but keeps the lines of the text; the limit of length applies to each line.
pub fn printable_lines(text: &str) -> Cow<'_, str> {
    if !text.contains('\n') {
        return printable(text);
    }
    let lines: Vec<Cow<'_, str>> = text.split('\n').map(printable).collect();
    Cow::Owned(lines.join("\n"))
}

/// Whether a character is invisible or changes how others are shown.
pub fn is_deceptive(character: char) -> bool {
    character.is_control()
        || matches!(u32::from(character),
            0xad | 0x61c | 0x115f | 0x1160 | 0x180e | 0x3164 | 0xfeff | 0xffa0
            | 0x200b..=0x200f | 0x2028..=0x202e | 0x2060..=0x206f | 0xfe00..=0xfe0f | 0xfff0..=0xfffb
            | 0xe0000..=0xe0fff)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_text_is_not_copied() {
        for text in ["", "db-0", "grün 数据 😀 a::b # c", "a\\b", "#### a ###"] {
            assert!(matches!(printable(text), Cow::Borrowed(shown) if shown == text), "{text}");
        }
    }

    #[test]
    fn what_moves_hides_or_commands_is_escaped() {
        for (text, shown) in [
            ("a\u{1b}[31mb\u{9b}c", "a\\u{1b}[31mb\\u{9b}c"),
            ("a\nb\r\tc\0", "a\\u{a}b\\u{d}\\u{9}c\\u{0}"),
            ("\u{202e}txt\u{2066}\u{2028}", "\\u{202e}txt\\u{2066}\\u{2028}"),
            ("a\u{200b}b\u{feff}\u{e0041}", "a\\u{200b}b\\u{feff}\\u{e0041}"),
            ("::error::x", ":\\u{3a}error:\\u{3a}x"),
            ("  ::error::x", "  :\\u{3a}error:\\u{3a}x"),
            ("a ##vso[task.x]", "a ##vso\\u{5b}task.x]"),
            ("a ##[error]x ##TeamCity[x", "a ##\\u{5b}error]x ##TeamCity\\u{5b}x"),
            ("\n::error::x", "\\u{a}:\\u{3a}error:\\u{3a}x"),
        ] {
            assert_eq!(printable(text), shown, "{text:?}");
        }
    }

    #[test]
    fn long_text_is_cut() {
        assert_eq!(printable(&"é".repeat(5000)).chars().count(), MAX_SHOWN + 1);
        assert_eq!(printable(&"\u{1b}".repeat(5000)).matches("1b").count(), MAX_SHOWN);
    }

    #[test]
    fn lines_are_kept_and_escaped_one_by_one() {
        assert_eq!(printable_lines("a\n::error::b\r\n"), "a\n:\\u{3a}error:\\u{3a}b\\u{d}\n");
    }
}
