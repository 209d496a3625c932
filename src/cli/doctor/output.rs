//! The result, for people and for programs.

use std::io;

use serde_json::{Value, json};

use super::checks::{CheckStatus, DoctorCheck};
use crate::model::printable_lines;

/// Grows by one when a name changes its meaning or goes; new names do not count.
const SCHEMA_VERSION: u32 = 1;

/// One line a check, what to do below it, and the sum.
pub(super) fn human(checks: &[DoctorCheck], out: &mut dyn io::Write) -> io::Result<()> {
    for check in checks {
        writeln!(out, "{:<8} {:<20} {}", check.status.name(), check.about, printable_lines(&check.message))?;
        if !check.edit.is_empty() && check.status != CheckStatus::Ok {
            writeln!(out, "{:<29} do: {}", "", printable_lines(&check.edit))?;
        }
    }
    let sums = CheckStatus::ALL.map(|status| {
        let count = checks.iter().filter(|check| check.status == status).count();
        format!("{}: {count}", status.name())
    });
    writeln!(out, "\n{}", sums.join(", "))
}

pub(super) fn to_json(checks: &[DoctorCheck]) -> Value {
    let items = checks.iter().map(|check| {
        json!({"check": check.about, "status": check.status.name(), "message": check.message, "edit": check.edit})
    });
    json!({
        "schemaVersion": SCHEMA_VERSION,
        "statewardVersion": env!("CARGO_PKG_VERSION"),
        "checks": items.collect::<Vec<_>>(),
    })
}

pub(super) fn json(checks: &[DoctorCheck], out: &mut dyn io::Write) -> io::Result<()> {
    serde_json::to_writer_pretty(&mut *out, &to_json(checks))?;
    writeln!(out)
}
