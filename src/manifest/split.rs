//! Cutting a file into documents where kubectl cuts it.
//!
//! kubectl looks for lines that start with `---` before any YAML is parsed, wherever they are, and hands each piece to
//! the parser by itself. That is why anchors end with their document and one broken document leaves the others alone.

use super::fault::Fault;

/// One document's text.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Document<'a> {
    pub(super) text: &'a str,
    /// The line of the file on which the text starts, from 1.
    pub(super) line: u32,
    /// A separator that kubectl does not accept.
    pub(super) fault: Option<Fault>,
}

/// The documents of a file, without those that hold nothing but blanks, comments and directives.
pub(super) fn documents(text: &str) -> Vec<Document<'_>> {
    let mut found = Vec::new();
    let (mut start, mut start_line, mut fault) = (0, 1, None);
    let (mut at, mut line) = (0, 1);
    for text_line in text.split_inclusive('\n') {
        match text_line.strip_prefix("---").map(str::trim) {
            Some(rest) if rest.is_empty() || rest.starts_with('#') => {
                push(&mut found, &text[start..at], start_line, fault.take());
                (start, start_line) = (at + text_line.len(), line + 1);
            }
            Some(_) => {
                let message = "kubectl accepts only blanks or a comment after `---` at the start of a line";
                fault.get_or_insert_with(|| Fault::syntax(line, 1, message));
            }
            None => {}
        }
        at += text_line.len();
        line += 1;
    }
    push(&mut found, &text[start..], start_line, fault);
    found
}

fn push<'a>(found: &mut Vec<Document<'a>>, text: &'a str, line: u32, fault: Option<Fault>) {
    if !is_blank(text) {
        found.push(Document { text, line, fault });
    }
}

/// Whether a text holds nothing but blanks, comments, directives and document ends.
pub(super) fn is_blank(text: &str) -> bool {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    text.lines().all(|line| {
        let line = line.trim_end();
        line.starts_with('%')
            || line == "..."
            || line.trim_start().is_empty()
            || line.trim_start().starts_with('#')
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> Vec<(&str, u32)> {
        documents(text).into_iter().map(|document| (document.text, document.line)).collect()
    }

    #[test]
    fn cuts_at_separators_with_blanks_or_comments() {
        assert_eq!(
            lines("a\n---\nb\n---  # c\nc\n--- \t\r\nd"),
            [("a\n", 1), ("b\n", 3), ("c\n", 5), ("d", 7)]
        );
    }

    #[test]
    fn leaves_empty_documents_out() {
        assert_eq!(lines(&"---\n# nothing\n\n".repeat(81)), []);
        assert_eq!(lines("%YAML 1.1\n---\na\n...\n"), [("a\n...\n", 3)]);
    }

    #[test]
    fn an_indented_separator_is_text() {
        assert_eq!(lines("a: |\n  ---\n  b\n").len(), 1);
    }

    #[test]
    fn a_separator_with_content_is_a_fault_of_its_document_only() {
        let found = documents("a: b\n---\nc: d\n--- {e: f}\n---\ng: h\n");
        let faults: Vec<_> =
            found.iter().map(|document| document.fault.as_ref().map(|fault| fault.line)).collect();
        assert_eq!(faults, [None, Some(4), None]);
    }
}
