//! `tests/cel/answers.txt`: expressions, each with the answer of a real API server on the next line, and ours where it differs.

use std::fmt;

/// What becomes of an expression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It is not taken.
    Refused,
    /// It is taken, and has no value.
    Error,
    /// The type and the value, as text.
    Value(String),
}

/// One expression of the file.
pub struct Asked {
    pub expression: String,
    pub theirs: Answer,
    /// Where it is not theirs.
    pub ours: Option<Answer>,
}

impl Answer {
    pub fn read(line: &str) -> Self {
        match line {
            "refused" => Self::Refused,
            "error" => Self::Error,
            value => Self::Value(value.to_owned()),
        }
    }

    pub fn is_value(&self) -> bool {
        matches!(self, Self::Value(_))
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Refused => "refused",
            Self::Error => "error",
            Self::Value(value) => value,
        })
    }
}

/// An expression for the type and the value of another one.
pub fn shown(expression: &str) -> String {
    let value = format!("dyn({expression}\n)");
    format!("'%s <%s>'.format([type({value}), {value}]).replace('\\n', '\\\\n').replace('\\t', '\\\\t')")
}

pub fn asked() -> Vec<Asked> {
    let mut all: Vec<Asked> = Vec::new();
    for line in include_str!("../cel/answers.txt").lines() {
        if let (Some(answer), Some(last)) = (line.strip_prefix("  "), all.last_mut()) {
            match answer.strip_prefix("ours: ") {
                Some(ours) => last.ours = Some(Answer::read(ours)),
                None => last.theirs = Answer::read(answer),
            }
        } else if !line.is_empty() && !line.starts_with('#') {
            all.push(Asked { expression: line.to_owned(), theirs: Answer::Refused, ours: None });
        }
    }
    all
}

/// The file with these answers in place of the recorded ones.
pub fn rewritten(answers: &[Answer]) -> String {
    let (mut made, mut answers) = (String::new(), answers.iter());
    for line in include_str!("../cel/answers.txt").lines() {
        let is_ours = line.starts_with("  ours: ");
        if is_ours || !line.starts_with("  ") {
            made += &format!("{line}\n");
        }
        if !is_ours && !line.starts_with(' ') && !line.is_empty() && !line.starts_with('#') {
            made += &format!("  {}\n", answers.next().unwrap());
        }
    }
    made
}
