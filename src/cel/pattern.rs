//! Regular expressions: those of the API server's language, RE2, for the engine that there is here.
//!
//! Both take time in proportion to the text. They differ in what `\d`, `\s`, `\w` and `\b` match, which is ASCII there, and in
//! what a brace, a bracket or an ampersand means where it has no meaning to RE2.

use std::fmt::Write as _;
use std::iter::Peekable;
use std::str::CharIndices;

use regex::{Regex, RegexBuilder};

/// The largest compiled pattern, in bytes.
const LARGEST: usize = 1 << 16;

/// Compiles a pattern; the error says why it is none.
pub(super) fn compile(pattern: &str) -> Result<Regex, String> {
    let regex = RegexBuilder::new(&translated(pattern)).size_limit(LARGEST).build();
    regex.map_err(|error| error.to_string().lines().last().unwrap_or_default().to_owned())
}

/// Translates a pattern for the engine that is used here.
fn translated(pattern: &str) -> String {
    let mut made = String::with_capacity(pattern.len());
    let mut chars = pattern.char_indices().peekable();
    let mut is_class = false;
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' => escape(pattern, at, &mut chars, is_class, &mut made),
            '[' if is_class => class_bracket(pattern, at, &mut chars, &mut made),
            '[' => {
                is_class = true;
                open_class(&mut chars, &mut made);
            }
            ']' => {
                is_class = false;
                made.push(c);
            }
            '&' | '~' if is_class => made.extend(['\\', c]),
            '{' if !is_class && !is_repetition(&pattern[at..]) => made.push_str("\\{"),
            _ => made.push(c),
        }
    }
    made
}

type Chars<'p> = Peekable<CharIndices<'p>>;

/// `[`, `[^`, and a `]` that is meant as one because it comes first.
fn open_class(chars: &mut Chars<'_>, made: &mut String) {
    made.push('[');
    if chars.next_if(|(_, c)| *c == '^').is_some() {
        made.push('^');
    }
    if chars.next_if(|(_, c)| *c == ']').is_some() {
        made.push_str("\\]");
    }
}

/// Within a class, `[:alpha:]` has a meaning; any other bracket is one.
fn class_bracket(pattern: &str, at: usize, chars: &mut Chars<'_>, made: &mut String) {
    let named = pattern[at..].strip_prefix("[:").and_then(|rest| rest.split_once(":]"));
    let Some((name, _)) = named.filter(|(name, _)| name.chars().all(|c| c == '^' || c.is_ascii_alphabetic()))
    else {
        made.push_str("\\[");
        return;
    };
    let _ = write!(made, "[:{name}:]");
    // Its bracket is taken already.
    chars.nth(name.len() + 2);
}

fn escape(pattern: &str, at: usize, chars: &mut Chars<'_>, is_class: bool, made: &mut String) {
    let Some((_, c)) = chars.next() else {
        made.push('\\');
        return;
    };
    let class = match c {
        'd' | 'D' => "0-9",
        'w' | 'W' => "0-9A-Za-z_",
        's' | 'S' => "\\t\\n\\x0c\\r ",
        _ => "",
    };
    match c {
        'd' | 'w' | 's' if is_class => made.push_str(class),
        'd' | 'w' | 's' => made.extend(["[", class, "]"]),
        'D' | 'W' | 'S' => made.extend(["[^", class, "]"]),
        // A name in braces may follow.
        'p' | 'P' | 'x' => {
            made.extend(['\\', c]);
            made.extend(chars.next_if(|(_, c)| *c == '{').map(|(_, brace)| brace));
        }
        'b' | 'B' if !is_class => {
            let _ = write!(made, "(?-u:\\{c})");
        }
        'Q' if !is_class => {
            let quoted = &pattern[at + 2..];
            let quoted = quoted.split_once("\\E").map_or(quoted, |(quoted, _)| quoted);
            made.push_str(&regex::escape(quoted));
            let after = at + 2 + quoted.len() + 2;
            while chars.next_if(|(next, _)| *next < after).is_some() {}
        }
        // To the engine here they are the beginning and the end of a word.
        '<' | '>' => made.push(c),
        _ => made.extend(['\\', c]),
    }
}

/// Whether a brace begins `{2}`, `{2,}` or `{2,3}`, or the name after `\p` or `\x`.
fn is_repetition(rest: &str) -> bool {
    let Some((inner, _)) = rest[1..].split_once('}') else { return false };
    let (least, most) = inner.split_once(',').unwrap_or((inner, ""));
    let is_number = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    !least.is_empty() && is_number(least) && is_number(most)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_re2_means() {
        for (pattern, translation) in [
            ("a.b", "a.b"),
            (r"\d+[\w-]", r"[0-9]+[0-9A-Za-z_-]"),
            (r"[^\s]", r"[^\t\n\x0c\r ]"),
            (r"[\D]", r"[[^0-9]]"),
            (r"\bx\B", r"(?-u:\b)x(?-u:\B)"),
            ("[a[b]", r"[a\[b]"),
            ("[[:alpha:]_]", "[[:alpha:]_]"),
            ("[a&&b~~c]", r"[a\&\&b\~\~c]"),
            ("[]a]", r"[\]a]"),
            ("[^]a]", r"[^\]a]"),
            ("a{2}b{1,2}c{3,}", "a{2}b{1,2}c{3,}"),
            ("a{,2}b{x}{", r"a\{,2}b\{x}\{"),
            (r"\Q.*\E.*", r"\.\*.*"),
            (r"\Q.", r"\."),
            (r"\<a\>\/\_", r"<a>\/\_"),
            (r"\p{L}\x{41}", r"\p{L}\x{41}"),
            ("\\", "\\"),
        ] {
            assert_eq!(translated(pattern), translation, "{pattern}");
        }
    }
}
