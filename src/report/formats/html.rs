//! One page that needs nothing else: no scripts, no fonts, no network.

mod picture;

use std::collections::HashMap;
use std::io;

use super::summary;
use crate::manifest::Note;
use crate::model::ObjectRef;
use crate::report::text::markup;
use crate::report::{Application, Located, Report};
use crate::verdict::Level;

const STYLE: &str = include_str!("html/page.css");

/// Findings by what they are about: context and subject.
type BySubject<'a> = HashMap<(Option<&'a str>, &'a ObjectRef), Vec<&'a Located>>;

pub(super) fn write(report: &Report, out: &mut dyn io::Write) -> io::Result<()> {
    write!(
        out,
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\
         <title>Stateward report</title><style>{STYLE}</style></head>\n<body><main>\n<h1>Stateward</h1>\n"
    )?;
    writeln!(out, "<p>{}</p>", markup(&summary::line(report)))?;
    write_counts(report, out)?;
    write_unread(report, out)?;
    let mut by_subject = BySubject::new();
    for located in report.gravest_first() {
        let key = (located.context.as_deref(), &located.finding.subject);
        by_subject.entry(key).or_default().push(located);
    }
    for application in gravest_first(report, &by_subject) {
        let findings = by_subject.remove(&(application.context.as_deref(), &application.object));
        write_application(application, &findings.unwrap_or_default(), out)?;
    }
    let others: Vec<&Located> = report
        .findings
        .iter()
        .filter(|located| by_subject.contains_key(&(located.context.as_deref(), &located.finding.subject)))
        .collect();
    if !others.is_empty() {
        writeln!(out, "<section class=\"card\"><h2>Other objects</h2>")?;
        write_findings(&others, out)?;
        writeln!(out, "</section>")?;
    }
    writeln!(out, "<p class=\"soft\">stateward {}</p>\n</main></body></html>", env!("CARGO_PKG_VERSION"))
}

fn write_counts(report: &Report, out: &mut dyn io::Write) -> io::Result<()> {
    let rules = report.by_rule();
    if rules.is_empty() {
        return Ok(());
    }
    writeln!(out, "<ul class=\"counts\">")?;
    for (rule, level, count) in rules {
        let rule = markup(rule);
        writeln!(out, "<li class=\"{level}\"><span class=\"level\">{level}</span> {count} × {rule}</li>")?;
    }
    writeln!(out, "</ul>")
}

fn write_unread(report: &Report, out: &mut dyn io::Write) -> io::Result<()> {
    let unread: Vec<&Note> = report.not_judged().collect();
    write_notes("Not judged", "deny", &unread, out)?;
    write_notes("Misspelt", "warn", &report.misspelt().collect::<Vec<_>>(), out)
}

fn write_notes(title: &str, class: &str, notes: &[&Note], out: &mut dyn io::Write) -> io::Result<()> {
    if notes.is_empty() {
        return Ok(());
    }
    writeln!(out, "<section class=\"card\"><h2>{title}</h2><ul class=\"findings\">")?;
    for note in notes {
        let (file, message) = (markup(&note.file.name), markup(&note.message));
        writeln!(out, "<li class=\"{class}\"><code>{file}:{}</code>: {message}</li>", note.line)?;
    }
    writeln!(out, "</ul></section>")
}

fn gravest_first<'a>(report: &'a Report, by_subject: &BySubject<'_>) -> Vec<&'a Application> {
    let mut applications: Vec<&Application> = report.applications.iter().collect();
    let grade = |application: &&Application| {
        let findings = by_subject.get(&(application.context.as_deref(), &application.object));
        let levels = findings.into_iter().flatten().filter(|located| located.counts());
        std::cmp::Reverse(levels.map(|located| located.finding.level).max())
    };
    applications.sort_by_key(grade);
    applications
}

fn write_application(
    application: &Application,
    findings: &[&Located],
    out: &mut dyn io::Write,
) -> io::Result<()> {
    let (object, class) = (application.object.to_string(), &application.class);
    let class = format!("{} ({})", class.class, class.because);
    writeln!(out, "<section class=\"card\"><h2>{}</h2>", markup(&object))?;
    let context = application.context.as_deref().unwrap_or_default();
    writeln!(out, "<p class=\"soft\">{} · {}</p>", markup(&class), markup(context))?;
    writeln!(out, "<div class=\"sides\"><div>{}", picture::svg(application))?;
    for (title, note) in application.facts() {
        writeln!(out, "<p class=\"soft\"><b>{title}:</b> {}</p>", markup(&note))?;
    }
    writeln!(out, "</div><div>")?;
    if findings.is_empty() {
        writeln!(out, "<p>Nothing found.</p>")?;
    }
    write_findings(findings, out)?;
    writeln!(out, "</div></div></section>")
}

fn write_findings(findings: &[&Located], out: &mut dyn io::Write) -> io::Result<()> {
    writeln!(out, "<ul class=\"findings\">")?;
    for located in findings {
        write_finding(located, out)?;
    }
    writeln!(out, "</ul>")
}

fn write_finding(located: &Located, out: &mut dyn io::Write) -> io::Result<()> {
    let finding = &located.finding;
    let place = located.position.as_ref().map_or_else(
        || format!("{} {}", finding.object, finding.path),
        |position| format!("{}:{}:{}", position.file.name, position.span.line, position.span.column),
    );
    let aside = match &finding.exempt {
        Some(exempt) => format!("Exempt {exempt}"),
        None if located.is_known => "Known from the baseline".to_owned(),
        None => String::new(),
    };
    let level = if finding.level == Level::Off { Level::Audit } else { finding.level };
    let class = if aside.is_empty() { "" } else { " set-aside" };
    writeln!(
        out,
        "<li class=\"{level}{class}\"><p><span class=\"level\">{level}</span> <code>{}</code></p>\
         <p>{}</p><p><b>Fix:</b> {}</p><p class=\"soft\"><code>{}</code></p>",
        markup(finding.rule.as_str()),
        markup(&finding.message),
        markup(&finding.remedy),
        markup(&place)
    )?;
    if !aside.is_empty() {
        writeln!(out, "<p class=\"soft\">{}</p>", markup(&aside))?;
    }
    writeln!(out, "</li>")
}
