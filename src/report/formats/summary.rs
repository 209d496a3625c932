//! The outcome in one line, the same in every format for people.

use std::fmt::Write as _;

use crate::report::Report;
use crate::report::text::count;
use crate::verdict::Level;

pub(super) fn line(report: &Report) -> String {
    let looked =
        format!("{} in {}", count(report.stateful_sets, "StatefulSet"), count(report.objects, "object"));
    let [deny, warn, audit] = [Level::Deny, Level::Warn, Level::Audit].map(|level| report.count(level));
    let unread = match report.not_judged().count() {
        0 => String::new(),
        number => format!(" (and {number} not judged)"),
    };
    if report.is_empty() && unread.is_empty() {
        return "nothing was judged: no Kubernetes object was found".to_owned();
    }
    if deny + warn + audit + report.exempt() + report.known() == 0 {
        return format!("{looked}{unread}: nothing found");
    }
    let mut text = format!("{looked}{unread}: {deny} denied, {}", count(warn, "warning"));
    for (number, what) in
        [(audit, "audit"), (report.exempt(), "exempt"), (report.known(), "known from the baseline")]
    {
        if number > 0 {
            let _ = write!(text, ", {number} {what}");
        }
    }
    text
}
