//! `stateward policy test`

mod document;
mod judge;

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use jiff::Timestamp;

use self::document::{Case, Expected, TestFile};
use super::streams::stdout;
use super::{UNUSABLE, explained, policies, sources};
use crate::manifest;
use crate::model::printable_lines;
use crate::policy::{Policies, Policy, plain};
use crate::report::text::markup;
use crate::verdict::Finding;

/// Judge cases in files, and compare what is found with what they expect
///
/// Reads every file `*.test.yaml`: `policies` (files beside it) and `profile`, and `tests`, each with a `name`, `objects`, a `change`
/// (`create`, `update`, `scale` or `delete`), and the findings to `expect`. Compared are the rules and checks that the policies or the
/// cases name. Exits with 0 where all is as expected, with 1 where it is not, and with 2 where a file cannot be used.
#[derive(Debug, clap::Args)]
pub(super) struct TestArgs {
    /// Files and folders of cases
    #[arg(required = true, value_name = "DIR")]
    paths: Vec<PathBuf>,
    /// Also write the results for a CI system, in the format of junit
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
}

/// The result of one case: the differences of the findings, line by line.
struct CaseResult {
    file: String,
    name: String,
    differences: Vec<String>,
}

impl TestArgs {
    pub(super) fn run(&self) -> anyhow::Result<ExitCode> {
        let (mut results, mut failures) = (Vec::new(), Vec::new());
        for path in &self.paths {
            let before = results.len() + failures.len();
            run_path(path, &mut results, &mut failures);
            // A file of a shell's `*` may be anything; a folder is named for its cases.
            if path.is_dir() && results.len() + failures.len() == before {
                failures.push(format!("{}: there are no files *.test.yaml", path.display()));
            }
        }
        if results.is_empty() && failures.is_empty() {
            failures.push("no file is named *.test.yaml, as files of cases are".to_owned());
        }
        if let Some(path) = &self.junit {
            fs::write(path, junit(&results)).with_context(|| format!("cannot write {}", path.display()))?;
        }
        show(&results, &failures)
    }
}

fn run_path(path: &PathBuf, results: &mut Vec<CaseResult>, failures: &mut Vec<String>) {
    for source in sources::open(std::slice::from_ref(path)) {
        match source {
            Ok(source) if policies::is_of_cases(&source.name) => {
                let judged = run_file(&source.name, &source.text());
                match judged.with_context(|| source.name.clone()) {
                    Ok(judged) => results.extend(judged),
                    Err(error) => failures.push(explained(&error)),
                }
            }
            Ok(_) => {}
            Err(note) => failures.push(format!("{}: {}", note.place(), note.message)),
        }
    }
}

fn show(results: &[CaseResult], failures: &[String]) -> anyhow::Result<ExitCode> {
    let mut out = stdout();
    for CaseResult { file, name, differences } in results {
        let verdict = if differences.is_empty() { "ok  " } else { "FAIL" };
        writeln!(out, "{verdict} {file}: {name}")?;
        for difference in differences {
            writeln!(out, "       {}", printable_lines(difference))?;
        }
    }
    for failure in failures {
        writeln!(out, "error: {}", printable_lines(failure))?;
    }
    let failed = results.iter().filter(|result| !result.differences.is_empty()).count();
    writeln!(out, "{} passed, {failed} failed, {} unusable", results.len() - failed, failures.len())?;
    Ok(match (failures.is_empty(), failed) {
        (false, _) => ExitCode::from(UNUSABLE),
        (true, 0) => ExitCode::SUCCESS,
        (true, _) => ExitCode::FAILURE,
    })
}

fn run_file(name: &str, text: &str) -> anyhow::Result<Vec<CaseResult>> {
    let document = manifest::only_document(text).map_err(|fault| anyhow::anyhow!("{fault}"))?;
    let read = serde_path_to_error::deserialize(&document);
    let TestFile { policies: paths, profile, tests } = read.map_err(|error| {
        let line = document.locate(&manifest::pointer_of(error.path())).line;
        anyhow::anyhow!("line {line}: {}: {}", error.path(), plain(&error.inner().to_string()))
    })?;
    let folder = Path::new(name).parent().unwrap_or(Path::new(""));
    let paths: Vec<PathBuf> = paths.into_iter().map(|path| folder.join(path)).collect();
    let now = Timestamp::now();
    let loaded = policies::load(&paths, now).or_error()?;
    let own = loaded
        .policies
        .iter()
        .flat_map(|policy| Policy::named_rules(policy))
        .chain(tests.iter().flat_map(|case| &case.expect).map(|expected| expected.rule.clone()));
    let compared: BTreeSet<String> = own.collect();
    let policies = Policies::with_exemptions(profile.into(), loaded.policies, loaded.exemptions)?;
    tests.iter().map(|case| run_case(name, case, &policies, &compared, now)).collect()
}

fn run_case(
    file: &str,
    case: &Case,
    policies: &Policies,
    compared: &BTreeSet<String>,
    now: Timestamp,
) -> anyhow::Result<CaseResult> {
    let findings = judge::findings(case, policies, now).with_context(|| case.name.clone())?;
    let mut found: Vec<Finding> =
        findings.into_iter().filter(|finding| compared.contains(finding.rule.as_str())).collect();
    let mut differences = Vec::new();
    for expected in &case.expect {
        match found.iter().position(|finding| fits(finding, expected)) {
            Some(index) => drop(found.remove(index)),
            None => differences.push(format!("- {}", expected_line(expected))),
        }
    }
    differences.extend(found.iter().map(|finding| format!("+ {}", found_line(finding))));
    Ok(CaseResult { file: file.to_owned(), name: case.name.clone(), differences })
}

fn fits(finding: &Finding, expected: &Expected) -> bool {
    finding.rule.as_str() == expected.rule
        && finding.level == expected.level
        && finding.counts() != expected.exempt
        && expected.message.as_ref().is_none_or(|part| finding.message.contains(part))
}

fn expected_line(Expected { rule, level, message, exempt }: &Expected) -> String {
    let message = message.as_ref().map_or_else(String::new, |message| format!(": … {message} …"));
    format!("expected {level} {rule}{}{message}", if *exempt { " (exempt)" } else { "" })
}

fn found_line(finding: &Finding) -> String {
    let exempt = if finding.counts() { "" } else { " (exempt)" };
    format!("found {} {}{exempt}: {}", finding.level, finding.rule, finding.message)
}

/// The results as XML, as `JUnit` does.
fn junit(results: &[CaseResult]) -> String {
    let escaped = |text: &str| markup(text).replace('\n', "&#10;");
    let failed = results.iter().filter(|result| !result.differences.is_empty()).count();
    let mut xml = vec![
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>".to_owned(),
        format!(
            "<testsuite name=\"stateward policy test\" tests=\"{}\" failures=\"{failed}\">",
            results.len()
        ),
    ];
    for CaseResult { file, name, differences } in results {
        let case = format!("<testcase classname=\"{}\" name=\"{}\"", escaped(file), escaped(name));
        xml.push(if differences.is_empty() {
            format!("  {case}/>")
        } else {
            format!("  {case}><failure message=\"{}\"/></testcase>", escaped(&differences.join("\n")))
        });
    }
    xml.push("</testsuite>\n".to_owned());
    xml.join("\n")
}
