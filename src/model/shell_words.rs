//! Labels and variables in command lines, as shells and Kubernetes write them: `$(NAME)`, `${NAME}`, `$NAME`.

use std::collections::BTreeMap;

/// How many bytes before the dot are searched for a name: more than the longest label.
const WINDOW: usize = 128;
/// How many bytes the values of variables may add to a text.
const MAX_GROWTH: usize = 64 * 1024;

/// Expands the variables with known values in `text`: `$(NAME)`, `${NAME}` and `$NAME`.
pub(super) fn expand(text: &str, environment: &BTreeMap<&str, &str>) -> String {
    let (mut expanded, mut rest) = (String::with_capacity(text.len()), text);
    while let Some(dollar) = rest.find('$') {
        expanded.push_str(&rest[..dollar]);
        rest = &rest[dollar..];
        let reference = first_label(rest);
        let value = plain_variable(reference).and_then(|name| environment.get(name));
        match value {
            Some(value) if expanded.len() + value.len() <= text.len() + MAX_GROWTH => {
                expanded.push_str(value);
            }
            _ if reference.is_empty() => expanded.push('$'),
            _ => expanded.push_str(reference),
        }
        rest = &rest[reference.len().max(1)..];
    }
    expanded + rest
}

/// The name in `$(NAME)`, `${NAME}` or `$NAME`.
fn plain_variable(reference: &str) -> Option<&str> {
    let name = reference.strip_prefix('$')?;
    let name = name.strip_prefix('(').and_then(|name| name.strip_suffix(')')).unwrap_or(name);
    let name = name.strip_prefix('{').and_then(|name| name.strip_suffix('}')).unwrap_or(name);
    (!name.is_empty() && name.bytes().all(is_word)).then_some(name)
}

/// The variable at the start of a label, unless the label uses only its last part (`${HOSTNAME##*-}`). The command `hostname` counts as the
/// variable.
pub(super) fn variable(label: &str) -> Option<&str> {
    let inner = label.strip_prefix('$').or_else(|| label.strip_prefix('`'))?;
    let inner = inner.strip_prefix(['(', '{']).unwrap_or(inner);
    let length = inner.bytes().take_while(|byte| is_word(*byte)).count();
    let (name, rest) = inner.split_at(length);
    if rest.starts_with('#') {
        return None;
    }
    let is_command = label.starts_with("$(") || label.starts_with('`');
    let is_short = matches!(rest.trim_end_matches([')', '`']).trim(), "" | "-s");
    match name {
        "hostname" if is_command => is_short.then_some("HOSTNAME"),
        _ => Some(name),
    }
}

/// The label or variable at the start of a text.
pub(super) fn first_label(text: &str) -> &str {
    let closing = match text.as_bytes() {
        [b'$', b'(', ..] => ')',
        [b'$', b'{', ..] => '}',
        _ => {
            let start = usize::from(text.starts_with('$'));
            let rest = text[start..].bytes();
            let is_part = |byte: &u8| is_word(*byte) || (start == 0 && *byte == b'-');
            return match rest.take_while(is_part).count() {
                0 => "",
                length => &text[..start + length],
            };
        }
    };
    let end = text.bytes().take(WINDOW).position(|byte| byte == closing as u8);
    end.map_or("", |end| &text[..=end])
}

/// The start of the label that ends before `dot`: letters, digits, hyphens, variables and text in brackets.
pub(super) fn label_before(line: &str, dot: usize) -> usize {
    let (bytes, mut start, mut depth) = (line.as_bytes(), dot, 0_usize);
    let mut in_quotes = false;
    while start > 0 && dot - start < WINDOW {
        let byte = bytes[start - 1];
        match byte {
            b'`' => in_quotes = !in_quotes,
            b')' | b'}' => depth += 1,
            b'(' | b'{' if depth > 0 => depth -= 1,
            b'-' | b'$' | b'%' => {}
            _ if depth > 0 || in_quotes || is_word(byte) => {}
            _ => break,
        }
        start -= 1;
    }
    (start..=dot).find(|at| line.is_char_boundary(*at)).unwrap_or(dot)
}

/// Whether a name starts with a variable that is a whole label.
pub(super) fn is_one_variable(name: &str) -> bool {
    name.starts_with('`') || (name.starts_with('$') && name[first_label(name).len()..].starts_with('.'))
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}
