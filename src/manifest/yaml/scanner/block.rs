//! Block scalars: `|` and `>`.

use super::super::super::fault::Fault;
use super::super::cursor::{LineColumn, Mark};
use super::super::token::{TokenKind, YamlToken};
use super::Scanner;

const CONTEXT: &str = "while scanning a block scalar";

/// The treatment of the line breaks at the end.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Chomp {
    Clip,
    Strip,
    Keep,
}

impl Scanner<'_> {
    pub(super) fn fetch_block_scalar(&mut self) -> Result<(), Fault> {
        self.remove_key()?;
        self.may_start_key = true;
        let start = self.cursor.mark;
        let is_literal = self.cursor.peek() == b'|';
        self.cursor.skip();
        let (chomp, increment) = self.scan_block_header(start)?;
        let indent = increment.map(|increment| self.indent.max(0) + increment);
        let mut lines = BlockLines { indent, breaks: String::new(), end: self.cursor.mark.place };
        self.scan_block_breaks(&mut lines, start)?;
        let text = self.scan_block_lines(&mut lines, start, is_literal, chomp)?;
        let kind = TokenKind::Scalar { text: text.into(), is_plain: false };
        self.tokens.push_back(YamlToken { start: start.place, end: lines.end, kind });
        Ok(())
    }

    /// The indicators after `|` or `>`, and the rest of the line.
    fn scan_block_header(&mut self, start: Mark) -> Result<(Chomp, Option<isize>), Fault> {
        let mut chomp = self.scan_chomp();
        let increment = match self.cursor.peek() {
            b'0' => return Err(self.fault("found an indentation indicator equal to 0", CONTEXT, start)),
            digit @ b'1'..=b'9' => {
                self.cursor.skip();
                Some(isize::from(digit - b'0'))
            }
            _ => None,
        };
        if increment.is_some() && chomp.is_none() {
            chomp = self.scan_chomp();
        }
        self.cursor.skip_blanks();
        self.cursor.skip_comment();
        if !self.cursor.is_line_end() {
            return Err(self.fault("did not find expected comment or line break", CONTEXT, start));
        }
        self.cursor.skip_line();
        Ok((chomp.unwrap_or(Chomp::Clip), increment))
    }

    fn scan_chomp(&mut self) -> Option<Chomp> {
        let chomp = match self.cursor.peek() {
            b'+' => Chomp::Keep,
            b'-' => Chomp::Strip,
            _ => return None,
        };
        self.cursor.skip();
        Some(chomp)
    }

    fn scan_block_lines(
        &mut self,
        lines: &mut BlockLines,
        start: Mark,
        is_literal: bool,
        chomp: Chomp,
    ) -> Result<String, Fault> {
        let (mut text, mut last_break) = (String::new(), "");
        let mut was_indented = false;
        while Some(self.cursor.mark.indent) == lines.indent && !self.cursor.is_end() {
            let is_indented = self.cursor.is_blank();
            if !is_literal && last_break == "\n" && !was_indented && !is_indented {
                if lines.breaks.is_empty() {
                    text.push(' ');
                }
            } else {
                text.push_str(last_break);
            }
            text.push_str(&lines.breaks);
            lines.breaks.clear();
            was_indented = is_indented;
            text.push_str(self.cursor.skip_to_line_end());
            last_break = self.cursor.skip_line();
            self.scan_block_breaks(lines, start)?;
        }
        if chomp != Chomp::Strip {
            text.push_str(last_break);
        }
        if chomp == Chomp::Keep {
            text.push_str(&lines.breaks);
        }
        Ok(text)
    }

    /// Reads empty lines and the indentation of the next line. Where no indentation is set yet, the deepest of these sets it.
    fn scan_block_breaks(&mut self, lines: &mut BlockLines, start: Mark) -> Result<(), Fault> {
        lines.end = self.cursor.mark.place;
        let mut deepest = 0;
        loop {
            let is_outside = |column: isize| lines.indent.is_none_or(|indent| column < indent);
            while is_outside(self.cursor.mark.indent) && self.cursor.peek() == b' ' {
                self.cursor.skip();
            }
            deepest = deepest.max(self.cursor.mark.indent);
            if is_outside(self.cursor.mark.indent) && self.cursor.peek() == b'\t' {
                let message = "found a tab character where an indentation space is expected";
                return Err(self.fault(message, CONTEXT, start));
            }
            if !self.cursor.is_break() {
                break;
            }
            lines.breaks.push_str(self.cursor.skip_line());
            lines.end = self.cursor.mark.place;
        }
        lines.indent.get_or_insert(deepest.max(self.indent + 1).max(1));
        Ok(())
    }
}

struct BlockLines {
    indent: Option<isize>,
    /// The line breaks since the last line that is not empty.
    breaks: String,
    /// Where the scalar ends as far as is known.
    end: LineColumn,
}
