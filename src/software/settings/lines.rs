//! A setting a line: Java's properties, and files with sections.

use super::Path;

/// Starts of lines that set nothing.
const COMMENTS: [char; 3] = ['#', '!', ';'];

pub(super) fn read(text: &str, found: &mut dyn FnMut(&str, &str)) {
    let mut path = Path::default();
    for line in text.lines().map(str::trim) {
        if line.starts_with(COMMENTS) {
            continue;
        }
        if let Some(section) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            path.leave(0);
            path.enter([section.trim()]);
            continue;
        }
        let key = line.split(|c: char| c.is_whitespace() || c == '=' || c == ':').next().unwrap_or_default();
        let rest = line[key.len()..].trim_start();
        let rest = rest.strip_prefix(['=', ':']).unwrap_or(rest).trim_start();
        if !key.is_empty() {
            let before = path.enter([key]);
            path.give(value(rest), found);
            path.leave(before);
        }
    }
}

/// The text between quotes, or before a comment.
fn value(rest: &str) -> &str {
    let quote = rest.chars().next().filter(|c| matches!(c, '"' | '\''));
    match quote.and_then(|quote| rest[1..].split_once(quote)) {
        Some((quoted, _)) => quoted,
        None => rest.split(" #").next().unwrap_or_default().trim_end(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Language;
    use super::super::tests::seen;

    #[test]
    fn a_line_is_a_setting() {
        for (text, expected) in [
            ("dataDir=/data\ndataLogDir = /log", "dataDir=/data dataLogDir=/log"),
            ("# dataDir=/old\n  ! a=b\n; c=d\ndataDir: /data", "dataDir=/data"),
            ("server.1=zk-0.zk:2888:3888;2181", "server.1=zk-0.zk:2888:3888;2181"),
            ("[mysqld]\ndatadir = \"/a # b\" # c\n[ client ]\nport 1", "mysqld.datadir=/a # b client.port=1"),
            ("a='x # y'\nb=x#y\nc=x # y\nd='x", "a=x # y b=x#y c=x d='x"),
            ("url=http://a/b=c", "url=http://a/b=c"),
            ("alone\n=\n", "alone="),
            ("dir /data", "dir=/data"),
        ] {
            assert_eq!(seen(Language::Lines, text), expected, "{text}");
        }
    }
}
