//! An application as a picture: its members, the majority, and what a drain and a rollout may take.

use std::fmt::Write as _;

use crate::model::quorum::majority;
use crate::model::{Class, quorum::tolerated};
use crate::report::Application;
use crate::report::text::markup;

/// How many members are drawn; of more, the count says the rest.
const MOST_DRAWN: i32 = 11;
const WIDTH: i32 = 340;
const STEP: i32 = 28;
const ROW: i32 = 62;

/// One row: so many of the members stay up.
struct Row {
    title: String,
    note: String,
    down: i32,
    is_bad: bool,
}

pub(super) fn svg(application: &Application) -> String {
    let members = application.members.unwrap_or(application.replicas).max(0);
    let needed = (application.class.class == Class::Quorum && members > 0).then(|| majority(members));
    let rows = [
        members_row(application, members, needed),
        drain(application, members, needed),
        rollout(application, members, needed),
    ];
    let height = i32::try_from(rows.len()).unwrap_or(1) * ROW + 24;
    let label = rows.iter().map(|row| format!("{}: {}", row.title, row.note)).collect::<Vec<_>>().join(". ");
    let mut svg = format!(
        r#"<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{}" xmlns="http://www.w3.org/2000/svg">"#,
        markup(&label)
    );
    for (number, row) in (0..).zip(&rows) {
        draw(&mut svg, row, number * ROW, members, needed.filter(|_| number == 0));
    }
    let y = height - 6;
    let _ = write!(svg, r#"<text class="soft" x="4" y="{y}">{}</text></svg>"#, markup(&spread(application)));
    svg
}

fn members_row(application: &Application, members: i32, needed: Option<i32>) -> Row {
    let split = if members == application.replicas { "" } else { " over several sets" };
    let note = match needed {
        Some(needed) => format!("{needed} of {members} must stay up, {} may fail", tolerated(members)),
        None => format!("{members} replica{}", if members == 1 { "" } else { "s" }),
    };
    Row { title: format!("Members{split}"), note, down: 0, is_bad: false }
}

fn drain(application: &Application, members: i32, needed: Option<i32>) -> Row {
    let title = "Node drain".to_owned();
    let own = application.replicas.clamp(0, members);
    let (down, note) = match &application.budgets[..] {
        [] => (own, format!("no budget: all {own} at once")),
        [budget] => {
            (budget.allows.clamp(0, members), format!("{} at once by {}", budget.allows, budget.limit))
        }
        several => (0, format!("{} budgets overlap: every eviction fails", several.len())),
    };
    let is_stuck = application.budgets.len() > 1 || (down == 0 && members > 0);
    Row { title, note, down, is_bad: is_stuck || loses_majority(members, down, needed) }
}

fn rollout(application: &Application, members: i32, needed: Option<i32>) -> Row {
    let title = "Rollout".to_owned();
    let Some(limit) = application.rollout else {
        return Row { title, note: "pods are replaced by hand".to_owned(), down: 0, is_bad: false };
    };
    let down = limit.clamp(0, application.replicas.clamp(0, members));
    Row {
        title,
        note: format!("{down} at once"),
        down,
        is_bad: down > 1 && loses_majority(members, down, needed),
    }
}

fn loses_majority(members: i32, down: i32, needed: Option<i32>) -> bool {
    needed.is_some_and(|needed| members - down < needed && members > 1)
}

fn draw(svg: &mut String, row: &Row, top: i32, members: i32, needed: Option<i32>) {
    let class = if row.is_bad { "bad" } else { "soft" };
    let (title, note) = (markup(&row.title), shortened(&row.note));
    let (text, middle) = (top + 16, top + 38);
    let _ = write!(
        svg,
        r#"<text x="4" y="{text}">{title}: <tspan class="{class}">{}</tspan></text>"#,
        markup(&note)
    );
    let drawn = members.min(MOST_DRAWN);
    // Of those that are drawn, as many are down as there is room to show.
    let first_down = (members - row.down).min(drawn - i32::from(row.down > 0));
    for index in 0..drawn {
        let x = 16 + index * STEP;
        let kind = match (index < first_down, row.is_bad) {
            (true, _) => "up",
            (false, true) => "lost",
            (false, false) => "down",
        };
        let _ = write!(svg, r#"<circle class="{kind}" cx="{x}" cy="{middle}" r="10"/>"#);
    }
    if members > drawn {
        let x = 8 + drawn * STEP;
        let _ = write!(svg, r#"<text class="soft" x="{x}" y="{}">+{}</text>"#, middle + 4, members - drawn);
    }
    if let Some(needed) = needed.filter(|needed| *needed <= drawn) {
        let (end, y) = (26 + (needed - 1) * STEP, middle + 14);
        let _ = write!(svg, r#"<path class="line" d="M6 {y}v4H{end}v-4"/>"#);
    }
}

/// What fits beside a title, where letters may be bold.
fn shortened(text: &str) -> String {
    const MOST: usize = 36;
    match text.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

fn spread(application: &Application) -> String {
    let spread = &application.spread;
    let list = |keys: &[Box<str>]| keys.iter().map(|key| &**key).collect::<Vec<_>>().join(", ");
    let text = match (&spread.required[..], &spread.preferred[..]) {
        ([], []) => "may all be on one node".to_owned(),
        ([], preferred) => format!("spread if possible over {}", list(preferred)),
        (required, _) => format!("spread over {}", list(required)),
    };
    shortened(&text)
}
