//! Splits a shell script into its simple commands, as far as that is possible without running it.

use std::collections::VecDeque;
use std::iter::Peekable;
use std::mem;
use std::str::Chars;

/// The words of each simple command of `script`, in order. Quotes are removed, expansions and substitutions are kept as
/// they are written, comments, redirections and here-documents are left out. Takes any text, in linear time.
pub(super) fn simple_commands(script: &str) -> Vec<Vec<String>> {
    Splitter::new(script).split().commands
}

/// The commands of a script, and its here-documents.
pub(super) fn commands_and_documents(script: &str) -> (Vec<Vec<String>>, Vec<String>) {
    let splitter = Splitter { documents: Some(Vec::new()), ..Splitter::new(script) }.split();
    (splitter.commands, splitter.documents.unwrap_or_default())
}

struct Splitter<'a> {
    rest: Peekable<Chars<'a>>,
    commands: Vec<Vec<String>>,
    words: Vec<String>,
    /// `None` between two words; a quoted word may be empty.
    word: Option<String>,
    next_word: NextWord,
    /// Delimiters of the here-documents that begin after the current line.
    here_documents: VecDeque<String>,
    /// The here-documents that were read, where they are wanted.
    documents: Option<Vec<String>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum NextWord {
    Argument,
    RedirectionTarget,
    Delimiter,
}

impl<'a> Splitter<'a> {
    fn new(script: &'a str) -> Self {
        Self {
            rest: script.chars().peekable(),
            commands: Vec::new(),
            words: Vec::new(),
            word: None,
            next_word: NextWord::Argument,
            here_documents: VecDeque::new(),
            documents: None,
        }
    }

    fn split(mut self) -> Self {
        while let Some(c) = self.rest.next() {
            self.read(c);
        }
        self.end_command();
        self
    }

    fn read(&mut self, c: char) {
        match c {
            '#' if self.word.is_none() => self.skip_comment(),
            '\n' => {
                self.end_command();
                self.skip_here_documents();
            }
            '&' if self.rest.peek() == Some(&'>') => self.end_word(),
            ';' | '&' | '|' | '(' | ')' => self.end_command(),
            '<' | '>' => self.redirect(c),
            c if c.is_whitespace() => self.end_word(),
            c => self.read_word(c),
        }
    }

    fn read_word(&mut self, c: char) {
        self.word.get_or_insert_default();
        match c {
            '\\' => self.read_escape(),
            '\'' => self.copy_until('\''),
            '"' => self.read_double_quoted(),
            _ => self.read_expansion(c),
        }
    }

    /// A character of a word, with the whole expansion or substitution that may begin there.
    fn read_expansion(&mut self, c: char) {
        self.push(c);
        match (c, self.rest.peek()) {
            ('`', _) => self.copy_substitution(),
            ('$', Some('(')) => self.copy_nested('(', ')'),
            ('$', Some('{')) => self.copy_nested('{', '}'),
            _ => {}
        }
    }

    fn push(&mut self, c: char) {
        self.word.get_or_insert_default().push(c);
    }

    /// A backslash before a newline continues the line.
    fn read_escape(&mut self) {
        match self.rest.next() {
            Some('\n') if self.word.as_ref().is_some_and(String::is_empty) => self.word = None,
            Some('\n') | None => {}
            Some(escaped) => self.push(escaped),
        }
    }

    fn copy_until(&mut self, end: char) {
        while let Some(c) = self.rest.next().filter(|c| *c != end) {
            self.push(c);
        }
    }

    /// The rest of a substitution in backquotes.
    fn copy_substitution(&mut self) {
        while let Some(c) = self.rest.next() {
            self.push(c);
            if c == '`' {
                return;
            }
        }
    }

    fn read_double_quoted(&mut self) {
        while let Some(c) = self.rest.next().filter(|c| *c != '"') {
            match (c, self.rest.peek()) {
                ('\\', Some('$' | '`' | '"' | '\\' | '\n') | None) => self.read_escape(),
                (c, _) => self.read_expansion(c),
            }
        }
    }

    /// Copies up to the `close` that belongs to the next `open`. Quotes within are not looked at: they are nested too.
    fn copy_nested(&mut self, open: char, close: char) {
        let mut depth = 0_usize;
        while let Some(c) = self.rest.next() {
            self.push(c);
            if c == open {
                depth += 1;
            } else if c == close {
                depth = depth.saturating_sub(1);
            }
            if depth == 0 {
                return;
            }
        }
    }

    fn skip_comment(&mut self) {
        while self.rest.next_if(|c| *c != '\n').is_some() {}
    }

    /// `>`, `2>`, `>>`, `>&`, `<`, `<<`, `<<-`, `<<<`, `<(`: the next word is no argument.
    fn redirect(&mut self, first: char) {
        self.word.take_if(|word| word.chars().all(|c| c.is_ascii_digit()));
        self.end_word();
        let mut operator = String::from(first);
        while let Some(c) = self.rest.next_if(|c| matches!(c, '<' | '>' | '&' | '|')) {
            operator.push(c);
        }
        if operator == "<<" {
            self.rest.next_if_eq(&'-');
            self.next_word = NextWord::Delimiter;
            return;
        }
        self.next_word = NextWord::RedirectionTarget;
        if self.rest.peek() == Some(&'(') {
            self.copy_nested('(', ')');
        }
    }

    fn end_word(&mut self) {
        let Some(word) = self.word.take() else { return };
        match mem::replace(&mut self.next_word, NextWord::Argument) {
            NextWord::Argument => self.words.push(word),
            NextWord::RedirectionTarget => {}
            NextWord::Delimiter => self.here_documents.push_back(word),
        }
    }

    fn end_command(&mut self) {
        self.end_word();
        self.next_word = NextWord::Argument;
        if !self.words.is_empty() {
            self.commands.push(mem::take(&mut self.words));
        }
    }

    fn skip_here_documents(&mut self) {
        while let Some(delimiter) = self.here_documents.pop_front() {
            let mut document = String::new();
            while self.rest.peek().is_some() {
                let line = self.read_line();
                if line.trim() == delimiter {
                    break;
                }
                if self.documents.is_some() {
                    document.push_str(&line);
                    document.push('\n');
                }
            }
            if let Some(documents) = &mut self.documents {
                documents.push(document);
            }
        }
    }

    fn read_line(&mut self) -> String {
        self.rest.by_ref().take_while(|c| *c != '\n').collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Commands separated by ` / `, words by ` `.
    fn split(script: &str) -> String {
        simple_commands(script).iter().map(|words| words.join(" ")).collect::<Vec<_>>().join(" / ")
    }

    #[test]
    fn scripts_fall_into_simple_commands() {
        for (script, expected) in [
            ("", ""),
            ("a b", "a b"),
            ("a; b && c || d | e & f\ng", "a / b / c / d / e / f / g"),
            ("a 'b; c' \"d && e\" f\\ g", "a b; c d && e f g"),
            ("exec a \\\n  -b \\\n  -c\n", "exec a -b -c"),
            ("a # b; c\nd#e", "a / d#e"),
            ("a >/dev/null 2>&1; b &> c d; e >> f < g", "a / b d / e"),
            ("a <<EOF > f\nb; c\nEOF\nd", "a / d"),
            ("a <<-'EOF'\n\tb\n\tEOF\nd", "a / d"),
            ("a <<<'b c' d", "a d"),
            ("a $(b | c \"$(d \"e f\")\") g", "a $(b | c \"$(d \"e f\")\") g"),
            ("a \"$(b | c)\" `d; e`", "a $(b | c) `d; e`"),
            ("a ${B:-c d} $((1 + 2))", "a ${B:-c d} $((1 + 2))"),
            ("(a; b)", "a / b"),
            ("a ''", "a "),
            ("a \"b\\n\\\"c\\\\\" d\\n", "a b\\n\"c\\ dn"),
            ("cat <<EOF\nnever ends", "cat"),
            ("a 'never ends", "a never ends"),
        ] {
            assert_eq!(split(script), expected, "{script}");
        }
    }

    #[test]
    fn here_documents_are_kept_where_they_are_wanted() {
        for (script, expected) in [
            ("cat > a <<EOF\nb; c\nEOF\nd", vec!["b; c\n"]),
            ("cat <<-'E' <<F\n\ta\n\tE\nb\nF", vec!["\ta\n", "b\n"]),
            ("cat <<EOF\nnever ends", vec!["never ends\n"]),
            ("cat <<EOF", vec![]),
            ("echo '<<EOF'\na", vec![]),
        ] {
            let (commands, documents) = commands_and_documents(script);
            assert_eq!(documents, expected, "{script}");
            assert_eq!(commands, simple_commands(script), "{script}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_split_and_nothing_is_invented(script in "[ab;&|<>()'\"`$\\\\{}#\\n -]{0,80}|.{0,40}") {
            let length: usize = simple_commands(&script).iter().flatten().map(String::len).sum();
            prop_assert!(length <= script.len());
        }
    }

    /// Each of these made of half the size takes half the work: what is read is never read again.
    #[test]
    fn long_scripts_take_linear_time() {
        for unit in ["a <<E\n", "$(", "\"", "a;", "${", "`a", "a<(", "'\\\n"] {
            let script = unit.repeat(200_000);
            let length: usize = simple_commands(&script).iter().flatten().map(String::len).sum();
            assert!(length <= script.len(), "{unit}");
        }
    }
}
