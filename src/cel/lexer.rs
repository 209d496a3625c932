//! From text to tokens.

use super::CompileError;
use super::strings;

#[derive(Clone, Debug, PartialEq)]
pub(super) enum CelToken {
    Name(Box<str>),
    /// A field's name between backquotes.
    Quoted(Box<str>),
    Int(i64),
    /// 2⁶³, which is a number only with a minus before it.
    IntTooLarge,
    Double(f64),
    Text(Box<str>),
    Symbol(&'static str),
    End,
}

impl CelToken {
    /// The name in messages.
    pub(super) fn shown(&self) -> String {
        match self {
            Self::Name(name) | Self::Quoted(name) => format!("`{name}`"),
            Self::Int(number) => format!("{number}"),
            Self::IntTooLarge => "a number that is too large".to_owned(),
            Self::Double(number) => format!("{number}"),
            Self::Text(_) => "a text".to_owned(),
            Self::Symbol(symbol) => format!("`{symbol}`"),
            Self::End => "the end of the expression".to_owned(),
        }
    }
}

#[derive(Clone, Debug)]
pub(super) struct Spanned {
    pub(super) token: CelToken,
    pub(super) start: usize,
}

/// The longest first: `<=` before `<`.
const SYMBOLS: [&str; 25] = [
    "==", "!=", "<=", ">=", "&&", "||", ".", "?", ":", "(", ")", "[", "]", "{", "}", ",", "<", ">", "+", "-",
    "*", "/", "%", "!", "=",
];

/// All tokens, the last of which is the end.
pub(super) fn tokens(text: &str) -> Result<Vec<Spanned>, CompileError> {
    let mut lexer = Lexer { text, at: 0 };
    let mut tokens = Vec::new();
    loop {
        lexer.skip_space();
        let start = lexer.at;
        let token = lexer.next()?;
        let is_end = token == CelToken::End;
        tokens.push(Spanned { token, start });
        if is_end {
            return Ok(tokens);
        }
    }
}

struct Lexer<'t> {
    text: &'t str,
    at: usize,
}

impl<'t> Lexer<'t> {
    fn rest(&self) -> &'t str {
        &self.text[self.at..]
    }

    fn wrong<T>(&self, message: impl Into<String>) -> Result<T, CompileError> {
        Err(CompileError { offset: self.at, message: message.into() })
    }

    fn skip_space(&mut self) {
        loop {
            let rest = self.rest();
            let trimmed = rest.trim_start_matches([' ', '\t', '\n', '\r', '\u{c}']);
            let skipped = if trimmed.starts_with("//") {
                rest.len() - trimmed.len() + trimmed.find('\n').unwrap_or(trimmed.len())
            } else {
                rest.len() - trimmed.len()
            };
            self.at += skipped;
            if skipped == 0 {
                return;
            }
        }
    }

    fn next(&mut self) -> Result<CelToken, CompileError> {
        let rest = self.rest();
        let Some(first) = rest.chars().next() else { return Ok(CelToken::End) };
        if first == '`' {
            return self.quoted();
        }
        if first == '"' || first == '\'' {
            return self.string(false);
        }
        if first.is_ascii_digit() || (first == '.' && rest[1..].starts_with(|c: char| c.is_ascii_digit())) {
            return self.number();
        }
        if first.is_ascii_alphabetic() || first == '_' {
            return self.name();
        }
        match SYMBOLS.into_iter().find(|symbol| rest.starts_with(symbol)) {
            Some("=") => self.wrong("`=` is no operator; to compare write `==`"),
            Some(symbol) => {
                self.at += symbol.len();
                Ok(CelToken::Symbol(symbol))
            }
            None => self.wrong(format!("{first:?} has no meaning here")),
        }
    }

    fn take(&mut self, is_part: impl Fn(char) -> bool) -> &'t str {
        let rest = self.rest();
        let taken = &rest[..rest.find(|c| !is_part(c)).unwrap_or(rest.len())];
        self.at += taken.len();
        taken
    }

    fn name(&mut self) -> Result<CelToken, CompileError> {
        let start = self.at;
        let name = self.take(|c| c.is_ascii_alphanumeric() || c == '_');
        if !self.rest().starts_with(['"', '\'']) {
            return Ok(CelToken::Name(name.into()));
        }
        if name == "r" || name == "R" {
            return self.string(true);
        }
        self.at = start;
        self.wrong(format!("there are no texts of the form {name}\"…\""))
    }

    fn quoted(&mut self) -> Result<CelToken, CompileError> {
        let Some((name, _)) = self.rest()[1..].split_once('`') else {
            return self.wrong("the backquote is not closed");
        };
        self.at += name.len() + 2;
        Ok(CelToken::Quoted(name.into()))
    }

    fn string(&mut self, is_raw: bool) -> Result<CelToken, CompileError> {
        let rest = self.rest();
        let quote =
            ["\"\"\"", "'''", "\"", "'"].into_iter().find(|quote| rest.starts_with(quote)).unwrap_or("\"");
        let inner = &rest[quote.len()..];
        let Some(length) = strings::end(inner, quote, is_raw) else {
            return self.wrong("the text is not closed");
        };
        let raw = &inner[..length];
        let text = if is_raw {
            Ok(raw.to_owned())
        } else {
            strings::unescape(raw)
                .map_err(|(at, message)| CompileError { offset: self.at + quote.len() + at, message })
        };
        self.at += 2 * quote.len() + length;
        Ok(CelToken::Text(text?.into()))
    }

    fn number(&mut self) -> Result<CelToken, CompileError> {
        let start = self.at;
        if let Some(hex) = self.rest().strip_prefix("0x").or_else(|| self.rest().strip_prefix("0X")) {
            let digits = hex.len() - hex.trim_start_matches(|c: char| c.is_ascii_hexdigit()).len();
            self.at += 2 + digits;
            return i64::from_str_radix(&hex[..digits], 16).map(CelToken::Int).or_else(|_| {
                self.at = start;
                self.wrong("not a whole number of 64 bits")
            });
        }
        self.take(|c| c.is_ascii_digit());
        let is_fraction =
            self.rest().starts_with('.') && self.rest()[1..].starts_with(|c: char| c.is_ascii_digit());
        if is_fraction {
            self.at += 1;
            self.take(|c| c.is_ascii_digit());
        }
        let is_exponent = self.exponent();
        let text = &self.text[start..self.at];
        if self.rest().starts_with(['u', 'U']) {
            return self.wrong("there are no unsigned numbers here; leave the `u` out");
        }
        if is_fraction || is_exponent {
            return match text.parse() {
                Ok(number) if f64::is_finite(number) => Ok(CelToken::Double(number)),
                _ => self.wrong("the number is too large"),
            };
        }
        match text.parse() {
            Ok(number) => Ok(CelToken::Int(number)),
            Err(_) if text == "9223372036854775808" => Ok(CelToken::IntTooLarge),
            Err(_) => {
                self.at = start;
                self.wrong("not a whole number of 64 bits")
            }
        }
    }

    fn exponent(&mut self) -> bool {
        let Some(rest) = self.rest().strip_prefix(['e', 'E']) else { return false };
        let sign = usize::from(rest.starts_with(['+', '-']));
        if !rest[sign..].starts_with(|c: char| c.is_ascii_digit()) {
            return false;
        }
        self.at += 1 + sign;
        self.take(|c| c.is_ascii_digit());
        true
    }
}
