//! Cutting a file into documents where kubectl cuts it.
//!
//! kubectl looks for lines that start with `---` before any YAML is parsed, wherever they are, and hands each piece to
//! the parser by itself. That is why anchors end with their document and one broken document leaves the others alone.
//! A line ends with LF here, with or without a CR before it, and with nothing else.

use memchr::memmem;

use super::fault::Fault;

/// One document's text.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct DocumentText<'a> {
    pub(super) text: &'a str,
    /// The byte of the file at which the text starts.
    pub(super) start: usize,
    /// The line of the file on which the text starts, from 1.
    pub(super) line: u32,
    /// A separator that kubectl does not accept.
    pub(super) fault: Option<Fault>,
}

/// The documents of a text that starts on line `line` of its file.
///
/// A separator with nothing before it stays a part of its document, as in kubectl. So the parser sees it, and `%YAML`
/// after it is not what it is before it.
pub(super) fn documents(text: &str, mut line: u32) -> Vec<DocumentText<'_>> {
    let mut found = Vec::new();
    let (mut start, mut start_line, mut fault) = (0, line, None);
    let mut last = 0;
    for at in lines_of_dashes(text) {
        line = line.saturating_add(count_lines(&text[last..at]));
        last = at;
        let text_line = text[at..].split_inclusive('\n').next().unwrap_or_default();
        match text_line.strip_prefix("---").map(str::trim) {
            Some(rest) if !rest.is_empty() && !rest.starts_with('#') => {
                let message = "kubectl accepts only blanks or a comment after `---` at the start of a line";
                fault.get_or_insert_with(|| Fault::syntax(line, 1, message));
            }
            Some(_) if start < at => {
                found.push(DocumentText {
                    text: &text[start..at],
                    start,
                    line: start_line,
                    fault: fault.take(),
                });
                (start, start_line) = (at + text_line.len(), line + 1);
            }
            _ => {}
        }
    }
    if start < text.len() {
        found.push(DocumentText { text: &text[start..], start, line: start_line, fault });
    }
    found
}

/// The bytes at which lines start that begin with `---`.
fn lines_of_dashes(text: &str) -> impl Iterator<Item = usize> {
    let first = text.starts_with("---").then_some(0);
    first.into_iter().chain(memmem::find_iter(text.as_bytes(), "\n---").map(|at| at + 1))
}

fn count_lines(text: &str) -> u32 {
    u32::try_from(memchr::memchr_iter(b'\n', text.as_bytes()).count()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> Vec<(&str, u32)> {
        documents(text, 1).into_iter().map(|document| (document.text, document.line)).collect()
    }

    #[test]
    fn cuts_at_separators_with_blanks_or_comments() {
        assert_eq!(
            lines("a\n---\nb\n---  # c\nc\n--- \t\r\nd"),
            [("a\n", 1), ("b\n", 3), ("c\n", 5), ("d", 7)]
        );
    }

    #[test]
    fn a_separator_with_nothing_before_it_stays() {
        assert_eq!(lines("---\na\n---\n---\nb\n"), [("---\na\n", 1), ("---\nb\n", 4)]);
        assert_eq!(lines("%YAML 1.1\n---\na\n...\n"), [("%YAML 1.1\n", 1), ("a\n...\n", 3)]);
    }

    #[test]
    fn an_indented_separator_is_text() {
        assert_eq!(lines("a: |\n  ---\n  b\n").len(), 1);
        assert_eq!(lines("a: 1\r---\rb: 1").len(), 1);
    }

    #[test]
    fn a_separator_with_content_is_a_fault_of_its_document_only() {
        let found = documents("a: b\n---\nc: d\n--- {e: f}\n---\ng: h\n", 1);
        let faults: Vec<_> =
            found.iter().map(|document| document.fault.as_ref().map(|fault| fault.line)).collect();
        assert_eq!(faults, [None, Some(4), None]);
    }
}
