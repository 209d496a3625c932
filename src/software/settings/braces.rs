//! Languages with braces: HCL, JSON and what NATS reads. One reader takes them all, because files of either are mounted under any
//! name, and what it cannot read it steps over.

use std::borrow::Cow;

use super::Path;

/// Words of one statement, beyond which no more are kept.
const MOST_WORDS: usize = 4;

pub(super) fn read(text: &str, found: &mut dyn FnMut(&str, &str)) {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let last_end = text.rfind("*/").unwrap_or(0);
    let reader = BracesReader {
        text,
        at: 0,
        line_end: 0,
        last_end,
        path: Path::default(),
        around: Vec::new(),
        words: Vec::new(),
        assigned: false,
        found,
    };
    reader.read();
}

struct BracesReader<'t, 'f> {
    text: &'t str,
    at: usize,
    /// Where the line ends that was looked at last.
    line_end: usize,
    /// Where the last comment of several lines ends.
    last_end: usize,
    path: Path,
    around: Vec<Around>,
    /// The key and the labels of the statement.
    words: Vec<Cow<'t, str>>,
    /// Whether what follows is the value of the statement.
    assigned: bool,
    found: &'f mut dyn FnMut(&str, &str),
}

/// A block or a list that is open.
struct Around {
    /// The path outside.
    before: usize,
    /// The scalars of a list.
    list: Option<String>,
}

impl<'t> BracesReader<'t, '_> {
    fn read(mut self) {
        while let Some(c) = self.rest().chars().next() {
            self.at += c.len_utf8();
            match c {
                '\n' => self.end_line(),
                c if c.is_whitespace() => {}
                '#' => self.skip_line(),
                '/' if self.rest().starts_with('/') => self.skip_line(),
                '/' if self.rest().starts_with('*') && self.at < self.last_end => self.skip_comment(),
                '{' | '(' => self.open(None),
                '[' => self.open(Some(String::new())),
                '}' | ')' => self.close(false),
                ']' => self.close(true),
                ',' | ';' => self.end(),
                '=' | ':' => self.assigned |= !self.words.is_empty(),
                '<' if self.rest().starts_with('<') => self.skip_here_document(),
                c => {
                    let word = self.word(c);
                    self.take(word);
                }
            }
        }
        self.end();
    }

    fn rest(&self) -> &'t str {
        &self.text[self.at..]
    }

    fn is_in_list(&self) -> bool {
        self.around.last().is_some_and(|around| around.list.is_some())
    }

    fn take(&mut self, word: Cow<'t, str>) {
        if let Some(list) = self.around.last_mut().and_then(|around| around.list.as_mut()) {
            if !list.is_empty() {
                list.push(',');
            }
            list.push_str(&word);
        } else if self.assigned {
            self.give(&word);
        } else if self.words.len() < MOST_WORDS {
            self.words.push(word);
        }
    }

    /// Gives the setting that the statement is. Whatever else stands in it is no setting.
    fn give(&mut self, value: &str) {
        let before = self.path.enter(self.words.iter().map(|word| &**word));
        self.path.give(value, self.found);
        self.path.leave(before);
        self.words.clear();
        self.assigned = false;
    }

    /// A line ends a statement, unless its value or its block is still to come.
    fn end_line(&mut self) {
        let goes_on = self.assigned || self.is_in_list() || self.words.is_empty();
        if !goes_on && !self.rest().trim_start().starts_with('{') {
            self.end();
        }
    }

    /// Where nothing is assigned, the second of two words is the value.
    fn end(&mut self) {
        if !self.assigned && self.words.len() == 2 {
            let value = self.words.pop().unwrap_or_default();
            self.give(&value);
        }
        self.words.clear();
        self.assigned = false;
    }

    /// Objects in a list, and one without a key, are a part of what is around.
    fn open(&mut self, list: Option<String>) {
        let before = self.path.enter(self.words.iter().map(|word| &**word));
        if list.is_none() && !self.words.is_empty() {
            self.path.give("", self.found);
        }
        self.around.push(Around { before, list });
        self.words.clear();
        self.assigned = false;
    }

    /// Closes the block or the list that is open; a bracket that fits neither is stepped over.
    fn close(&mut self, is_list: bool) {
        if self.is_in_list() != is_list {
            return;
        }
        self.end();
        let Some(around) = self.around.pop() else { return };
        if let Some(list) = around.list {
            self.path.give(&list, self.found);
        }
        self.path.leave(around.before);
    }

    fn word(&mut self, first: char) -> Cow<'t, str> {
        let is_quoted = first == '"' || (first == '\'' && self.line().contains('\''));
        if is_quoted { self.quoted(first) } else { self.bare(self.at - first.len_utf8()) }
    }

    /// The rest of the line.
    fn line(&mut self) -> &'t str {
        if self.line_end < self.at {
            self.line_end = self.rest().find('\n').map_or(self.text.len(), |end| self.at + end);
        }
        &self.text[self.at..self.line_end]
    }

    /// A string, which ends with its line at the latest. Quotes within an expression `${…}` do not end it.
    fn quoted(&mut self, quote: char) -> Cow<'t, str> {
        let line = self.line();
        let end = end_of_string(line, quote);
        self.at += end.map_or(line.len(), |end| end + quote.len_utf8());
        // Where an expression is not closed, the rest of the line is not known.
        let text = &line[..end.or_else(|| line.find(quote)).unwrap_or(line.len())];
        if text.contains('\\') { text.replace('\\', "").into() } else { text.into() }
    }

    /// A word without quotes. As a value it may hold what would end a key.
    fn bare(&mut self, start: usize) -> Cow<'t, str> {
        let is_value = self.assigned || self.is_in_list();
        let mut depth = 0_usize;
        let mut before = ' ';
        for (offset, c) in self.text[start..].char_indices() {
            let at = start + offset;
            let ends = match c {
                '\n' => true,
                '{' if before == '$' || depth > 0 => {
                    depth += 1;
                    false
                }
                '}' if depth > 0 => {
                    depth -= 1;
                    false
                }
                _ if depth > 0 => false,
                '{' | '}' | '[' | ']' | '(' | ')' | ',' | ';' | '"' | '#' => true,
                '=' | ':' => !is_value,
                '/' => before != ':' && self.text[at..].starts_with("//"),
                c => c.is_whitespace(),
            };
            if ends && at > start {
                self.at = at;
                return self.text[start..at].into();
            }
            before = c;
        }
        self.at = self.text.len();
        self.text[start..].into()
    }

    fn skip_line(&mut self) {
        self.at += self.line().len();
    }

    fn skip_comment(&mut self) {
        self.at += self.rest().find("*/").map_or(0, |end| end + "*/".len());
    }

    /// `<<EOF` up to the line that is `EOF`.
    fn skip_here_document(&mut self) {
        let line = self.line();
        let delimiter = line.trim_start_matches(['<', '-', '~']).trim();
        self.at += line.len();
        while !delimiter.is_empty() && !self.rest().is_empty() {
            self.at += '\n'.len_utf8();
            let line = self.line();
            self.at += line.len();
            if line.trim() == delimiter {
                break;
            }
        }
        self.take(Cow::Borrowed(""));
    }
}

fn end_of_string(line: &str, quote: char) -> Option<usize> {
    let (mut depth, mut escaped, mut before) = (0_usize, false, ' ');
    for (at, c) in line.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quote == '"' => escaped = true,
            '{' if matches!(before, '$' | '%') || depth > 0 => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            c if c == quote && depth == 0 => return Some(at),
            _ => {}
        }
        before = c;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::super::Language;
    use super::super::tests::seen;

    fn braces(text: &str) -> String {
        seen(Language::Braces, text)
    }

    #[test]
    fn settings_have_the_path_of_their_blocks() {
        for (text, expected) in [
            ("server = true", "server=true"),
            ("\"server\" = true\nui=false", "server=true ui=false"),
            ("{\"server\": true, \"bootstrap_expect\": 3}", "server=true bootstrap_expect=3"),
            ("{\n  \"server\" :\n    true\n}", "server=true"),
            (
                "storage \"raft\" {\n  path = \"/vault/data\"\n}",
                "storage.raft= storage.raft.path=/vault/data",
            ),
            ("storage \"raft\"\n{\n}", "storage.raft="),
            ("storage = { raft = { path = \"/d\" } }", "storage= storage.raft= storage.raft.path=/d"),
            (
                "{\"storage\": [{\"raft\": {\"path\": \"/d\"}}]}",
                "storage.raft= storage.raft.path=/d storage=",
            ),
            (
                "service { name = \"a\" tags = [\"server=true\", \"x\"] }",
                "service= service.name=a service.tags=server=true,x",
            ),
            (
                "{\"services\": [{\"tags\": [\"server=true\"], \"meta\": {\"server\": \"true\"}}]}",
                "services.tags=server=true services.meta= services.meta.server=true services=",
            ),
            (
                "server { server_join { retry_join = [1] } enabled = true }",
                "server= server.server_join= server.server_join.retry_join=1 server.enabled=true",
            ),
            (
                "client { enabled = true }\nserver { enabled = false }",
                "client= client.enabled=true server= server.enabled=false",
            ),
            (
                "jetstream {\n  store_dir: /data\n  max_mem: 1G\n}\nport: 4222",
                "jetstream= jetstream.store_dir=/data jetstream.max_mem=1G port=4222",
            ),
            (
                "jetstream: enabled\nroutes = [\n nats://a:6222 # b\n nats://c:6222\n]",
                "jetstream=enabled routes=nats://a:6222,nats://c:6222",
            ),
            ("server_name $POD_NAME\npid_file: '/a # b'", "server_name=$POD_NAME pid_file=/a # b"),
            ("a = upper(b)\nserver = true", "a=upper server=true"),
        ] {
            assert_eq!(braces(text), expected, "{text}");
        }
    }

    #[test]
    fn comments_set_nothing_and_quotes_hold_what_looks_like_one() {
        for (text, expected) in [
            ("# server = true\n// server = true\nserver = false # server = true", "server=false"),
            ("/*\nserver = true\n*/ server = false /* c */\nd = 1", "server=false d=1"),
            ("a = \"x # y // z /* w */\" # b\nc = 1", "a=x # y // z /* w */ c=1"),
            ("a = 'x # y' // b\nc = 1", "a=x # y c=1"),
            ("a = \"http://b:8500/#c\"\nserver = true", "a=http://b:8500/#c server=true"),
            ("a = http://b:8500\nserver = true", "a=http://b:8500 server=true"),
            ("a = true# b\nc = 5// d", "a=true c=5"),
            ("a = \"it's\"\nb = \"say \\\"server = true\\\"\"", "a=it's b=say \"server = true\""),
            ("a = it's # b\nc = 1", "a=it's c=1"),
            ("a = \"never ends\nserver = true", "a=never ends server=true"),
            ("a = \"${env(\"B\")} # c\"\nd = 1", "a=${env(\"B\")} # c d=1"),
            ("a = \"${b\" # c\nd = 1", "a=${b d=1"),
            ("a = ${HOSTNAME##*-}\nb = 1", "a=${HOSTNAME##*-} b=1"),
            ("a = /data/* # b", "a=/data/*"),
            ("a /* b\nc = 1", "c=1"),
            ("a = <<-EOF\n server = true\n  EOF\nb = 1", "a= b=1"),
            ("a = <<EOF\nserver = true", "a="),
            ("Starting with server = true", "Starting.with.server=true"),
        ] {
            assert_eq!(braces(text), expected, "{text}");
        }
    }

    #[test]
    fn what_does_not_fit_is_stepped_over() {
        for (text, expected) in [
            ("}}] server = true", "server=true"),
            ("a = [ } ]\nb = 1", "a= b=1"),
            ("server {", "server="),
            ("= true", ""),
            (",,;:=", ""),
            ("a b c d e f = 1", "a.b.c.d=1"),
        ] {
            assert_eq!(braces(text), expected, "{text}");
        }
        let deep = format!("{}server = true", "a {".repeat(1_000));
        assert!(!braces(&deep).contains("server"));
    }
}
