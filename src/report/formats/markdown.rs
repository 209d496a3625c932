//! Markdown for the comment of a pull request, or the summary of a job.

use std::fmt::Write as _;
use std::io;

use super::summary;
use crate::manifest::Note;
use crate::report::text::markdown;
use crate::report::{Located, Report};
use crate::verdict::Level;

/// GitHub refuses a comment of more than 65,536 characters.
const MOST_BYTES: usize = 60_000;

/// How many texts that were not judged are named, and how many misspelt fields; of the others there is the number.
const MOST_NOTES: usize = 20;

pub(super) fn write(report: &Report, out: &mut dyn io::Write) -> io::Result<()> {
    let mut text = format!("### Stateward\n\n{}\n", markdown(&summary::line(report)));
    let unread = report.not_judged();
    write_notes(report, "Not judged", unread, &mut text);
    write_notes(report, "Misspelt", report.misspelt(), &mut text);
    let counting: Vec<&Located> =
        report.gravest_first().into_iter().filter(|located| located.counts()).collect();
    if !counting.is_empty() {
        text += "\n| | Where | What | Fix |\n|---|---|---|---|\n";
    }
    for (number, located) in counting.iter().enumerate() {
        let row = row(report, located);
        if text.len() + row.len() > MOST_BYTES {
            let _ = write!(text, "\n… and {} more, which did not fit.\n", counting.len() - number);
            break;
        }
        text += &row;
    }
    if report.contexts.len() > 1 {
        let _ = write!(text, "\n<sub>{} groups of objects were judged apart.</sub>\n", report.contexts.len());
    }
    out.write_all(text.as_bytes())
}

fn write_notes<'a>(
    report: &Report,
    what: &str,
    mut notes: impl Iterator<Item = &'a Note>,
    text: &mut String,
) {
    for note in notes.by_ref().take(MOST_NOTES) {
        let place = format!("{}:{}", report.paths.within(&note.file.name), note.line);
        let _ = write!(text, "\n**{what}**: {}: {}\n", markdown(&place), markdown(&note.message));
    }
    let more = notes.count();
    if more > 0 {
        let _ = write!(text, "\n**{what}**: and {more} more.\n");
    }
}

fn row(report: &Report, located: &Located) -> String {
    let finding = &located.finding;
    let icon = match finding.level {
        Level::Deny => "❌",
        Level::Warn => "⚠️",
        Level::Audit | Level::Off => "ℹ️",
    };
    let place = located.position.as_ref().map_or_else(
        || markdown(&finding.path).into_owned(),
        |position| {
            let path = report.paths.within(&position.file.name);
            markdown(&format!("{path}:{}", position.span.line)).into_owned()
        },
    );
    let object = finding.object.to_string();
    format!(
        "| {icon} {} | {place}<br>{} | {} | {} |\n",
        markdown(finding.rule.as_str()),
        markdown(&object),
        markdown(&finding.message),
        markdown(&finding.remedy)
    )
}
