//! The text of a configuration, in whichever of the usual languages.

/// After the opening of a block: whatever stands in the same block before what follows.
const IN_BLOCK: &str = "{*";

/// A text without what may stand in it or not: white space, comments, the escapes of a script.
pub(super) fn condensed(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let last_end = text.rfind("*/").unwrap_or(0);
    let (mut at, mut quoted, mut before) = (0, false, '\n');
    while let Some(c) = text[at..].chars().next() {
        // Elsewhere such characters are part of a path, an address or an expression of a shell.
        let may_begin = !quoted && (before.is_whitespace() || matches!(before, '}' | ']' | ')' | ','));
        let comment = if may_begin { comment_length(&text[at..], at < last_end) } else { 0 };
        if comment > 0 {
            (at, before) = (at + comment, ' ');
            continue;
        }
        quoted = match c {
            '"' => quoted != (before != '\\'),
            '\n' => false,
            _ => quoted,
        };
        if !c.is_whitespace() && c != '\\' {
            kept.push(c);
        }
        (at, before) = (at + c.len_utf8(), c);
    }
    kept
}

/// How long the comment is with which a text begins; 0 where it begins with none.
fn comment_length(text: &str, may_have_end: bool) -> usize {
    if text.starts_with('#') || text.starts_with("//") {
        return text.find('\n').unwrap_or(text.len());
    }
    let block = text.strip_prefix("/*").filter(|_| may_have_end);
    block.and_then(|block| block.find("*/")).map_or(0, |end| "/*".len() + end + "*/".len())
}

/// Whether a condensed text has a part.
pub(super) fn has(text: &str, part: &str) -> bool {
    match part.split_once(IN_BLOCK) {
        Some((opening, rest)) => has_in_block(text.as_bytes(), opening.as_bytes(), rest.as_bytes()),
        None => text.contains(part),
    }
}

fn has_in_block(text: &[u8], opening: &[u8], rest: &[u8]) -> bool {
    // Of each block around, whether it is opened so.
    let mut blocks = Vec::new();
    for (at, byte) in text.iter().enumerate() {
        if blocks.last() == Some(&true) && text[at..].starts_with(rest) {
            return true;
        }
        match byte {
            b'{' => blocks.push(text[..at].ends_with(opening)),
            b'}' => drop(blocks.pop()),
            _ => {}
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_white_space_are_left_out() {
        for (text, expected) in [
            ("a = 1 # b\nc", "a=1c"),
            ("a {} // b\nc", "a{}c"),
            ("a {}// b\nc", "a{}c"),
            ("/*\nserver = true\n*/ server = false /* c */\nd", "server=falsed"),
            ("a = \"x # y // z /* w */\" # b", "a=\"x#y//z/*w*/\""),
            ("a \\\"b\\\" # c", "a\"b\""),
            ("it's \"\n# c\nd", "it's\"d"),
            ("http://c:8500 ${HOSTNAME##*-} /data/* $#", "http://c:8500${HOSTNAME##*-}/data/*$#"),
            ("a /* b", "a/*b"),
        ] {
            assert_eq!(condensed(text), expected, "{text}");
        }
    }

    #[test]
    fn a_part_may_stand_anywhere_in_its_block() {
        for (text, expected) in [
            ("server{enabled=true}", true),
            ("server{a=1b{c=2}enabled=true}", true),
            ("server{a{enabled=true}}", false),
            ("server{enabled=false}client{enabled=true}", false),
            ("server{}}}enabled=true", false),
            ("server{", false),
        ] {
            assert_eq!(has(text, "server{*enabled=true"), expected, "{text}");
        }
        assert!(has("ab", "b") && !has("ab", "c"));
    }
}
