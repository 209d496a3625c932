//! Texts as they are written in an expression.

/// Where a text that begins with `quote` ends.
pub(super) fn end(inner: &str, quote: &str, is_raw: bool) -> Option<usize> {
    let mut chars = inner.char_indices();
    while let Some((at, c)) = chars.next() {
        if inner[at..].starts_with(quote) {
            return Some(at);
        }
        match c {
            '\\' if !is_raw => drop(chars.next()),
            '\n' | '\r' if quote.len() == 1 => return None,
            _ => {}
        }
    }
    None
}

/// A text without its escapes; the error is where one is not understood, in bytes, and why.
pub(super) fn unescape(raw: &str) -> Result<String, (usize, String)> {
    let mut text = String::with_capacity(raw.len());
    let mut rest = raw;
    while let Some((before, after)) = rest.split_once('\\') {
        text.push_str(before);
        let at = raw.len() - after.len() - 1;
        let (c, length) = escape(after).ok_or_else(|| (at, unknown(after)))?;
        text.push(c);
        rest = &after[length..];
    }
    text.push_str(rest);
    Ok(text)
}

fn unknown(after: &str) -> String {
    let c = after.chars().next().unwrap_or_default();
    format!("`\\{c}` is not an escape; write `\\\\` for a backslash, or r\"…\" for a text without escapes")
}

/// The character that an escape stands for, and how long it is after the backslash.
fn escape(after: &str) -> Option<(char, usize)> {
    let first = after.chars().next()?;
    let simple = match first {
        'a' => '\u{7}',
        'b' => '\u{8}',
        'f' => '\u{c}',
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        'v' => '\u{b}',
        '\\' | '?' | '"' | '\'' | '`' => first,
        'x' | 'X' => return coded(after, 1, 2, 16),
        'u' => return coded(after, 1, 4, 16),
        'U' => return coded(after, 1, 8, 16),
        '0'..='3' => return coded(after, 0, 3, 8),
        _ => return None,
    };
    Some((simple, 1))
}

fn coded(after: &str, skip: usize, digits: usize, radix: u32) -> Option<(char, usize)> {
    let code = after.get(skip..skip + digits).filter(|code| code.chars().all(|c| c.is_digit(radix)))?;
    let c = char::from_u32(u32::from_str_radix(code, radix).ok()?)?;
    Some((c, skip + digits))
}
