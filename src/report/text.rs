//! Values of manifests as text of the formats. Names and annotations are written by strangers.

use std::borrow::Cow;
use std::fmt::Write as _;

use crate::model::is_deceptive;

/// `1 object`, `2 objects`, `2 policies`.
pub fn count(number: usize, noun: &str) -> String {
    match noun.strip_suffix('y') {
        _ if number == 1 => format!("1 {noun}"),
        Some(stem) => format!("{number} {stem}ies"),
        None => format!("{number} {noun}s"),
    }
}

/// Text of HTML and XML, also within quotes.
pub fn markup(text: &str) -> Cow<'_, str> {
    escaped(text, &|character| {
        Some(match character {
            '&' => "&amp;".to_owned(),
            '<' => "&lt;".to_owned(),
            '>' => "&gt;".to_owned(),
            '"' => "&quot;".to_owned(),
            '\'' => "&#39;".to_owned(),
            _ if is_deceptive(character) || !is_in_xml(character) => character.escape_unicode().to_string(),
            _ => return None,
        })
    })
}

/// XML 1.0 has no way to write some characters.
fn is_in_xml(character: char) -> bool {
    !matches!(character, '\u{fffe}' | '\u{ffff}')
}

/// Text of GitHub's Markdown, also within a table.
pub fn markdown(text: &str) -> Cow<'_, str> {
    // Addresses become links by themselves.
    let has_address = text.contains("://") || text.contains("www.");
    escaped(text, &|character| {
        Some(match character {
            '&' => "&amp;".to_owned(),
            '<' => "&lt;".to_owned(),
            '>' => "&gt;".to_owned(),
            // A mention sends mail.
            '@' => "&#64;".to_owned(),
            '#' => "&#35;".to_owned(),
            ':' if has_address => "&#58;".to_owned(),
            '.' if has_address => "&#46;".to_owned(),
            '\\' | '`' | '*' | '_' | '{' | '}' | '[' | ']' | '(' | ')' | '!' | '|' | '~' => {
                format!("\\{character}")
            }
            _ if is_deceptive(character) => {
                format!("\\\\{}", character.escape_unicode().skip(1).collect::<String>())
            }
            _ => return None,
        })
    })
}

/// The message of a GitHub workflow command.
pub fn workflow_message(text: &str) -> Cow<'_, str> {
    escaped(text, &|character| match character {
        '%' | '\r' | '\n' => Some(percent(character)),
        _ if is_deceptive(character) => Some(character.escape_unicode().to_string()),
        _ => None,
    })
}

/// A property of a GitHub workflow command, where `:` and `,` end it.
pub fn workflow_property(text: &str) -> Cow<'_, str> {
    escaped(text, &|character| match character {
        '%' | '\r' | '\n' | ':' | ',' => Some(percent(character)),
        _ if is_deceptive(character) => Some(character.escape_unicode().to_string()),
        _ => None,
    })
}

/// A path as a relative URI reference.
pub fn uri(path: &str) -> String {
    let mut uri = String::with_capacity(path.len());
    for byte in path.replace('\\', "/").bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'-' | b'.' | b'_' | b'~' => {
                uri.push(char::from(byte));
            }
            _ => {
                let _ = write!(uri, "%{byte:02X}");
            }
        }
    }
    uri
}

fn percent(character: char) -> String {
    let mut bytes = [0; 4];
    character.encode_utf8(&mut bytes).bytes().fold(String::new(), |text, byte| text + &format!("%{byte:02X}"))
}

fn escaped<'a>(text: &'a str, escape: &dyn Fn(char) -> Option<String>) -> Cow<'a, str> {
    let Some(first) = text.find(|character| escape(character).is_some()) else { return Cow::Borrowed(text) };
    let mut out = text[..first].to_owned();
    for character in text[first..].chars() {
        match escape(character) {
            Some(escape) => out += &escape,
            None => out.push(character),
        }
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_and_markdown_stay_text() {
        assert_eq!(markup("<a b='\"&'>\u{0}\u{fffe}"), r"&lt;a b=&#39;&quot;&amp;&#39;&gt;\u{0}\u{fffe}");
        let shown = markdown("|`<img>` @team #1 [x](y) https://z\n");
        assert_eq!(shown, r"\|\`&lt;img&gt;\` &#64;team &#35;1 \[x\]\(y\) https&#58;//z\\u{a}");
    }

    #[test]
    fn workflow_commands_do_not_end_early() {
        assert_eq!(workflow_message("100%\n::error::x"), "100%25%0A::error::x");
        assert_eq!(workflow_property("a,b:c%\r"), "a%2Cb%3Ac%25%0D");
    }

    #[test]
    fn paths_are_relative_uris() {
        assert_eq!(uri("a b/é:#.yaml"), "a%20b/%C3%A9%3A%23.yaml");
    }
}
