//! An application as a picture: its members, the majority, and what a drain and a rollout may take.

use std::fmt::Write as _;

use crate::report::text::markup;
use crate::report::{Allowance, Application};

/// How many members are drawn; of more, the count says the rest.
const MOST_DRAWN: i32 = 11;
const WIDTH: i32 = 340;
const STEP: i32 = 28;
const ROW: i32 = 62;

pub(super) fn svg(application: &Application) -> String {
    let members = application.count();
    let rows = [application.membership(), application.drain(), application.rolling_update()];
    let height = i32::try_from(rows.len()).unwrap_or(1) * ROW + 24;
    let label = rows.iter().map(|row| format!("{}: {}", row.title, row.note)).collect::<Vec<_>>().join(". ");
    let mut svg = format!(
        r#"<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{}" xmlns="http://www.w3.org/2000/svg">"#,
        markup(&label)
    );
    for (number, row) in (0..).zip(&rows) {
        draw(&mut svg, row, number * ROW, members, application.needed().filter(|_| number == 0));
    }
    let (y, spread) = (height - 6, shortened(&application.spread_note()));
    let _ = write!(svg, r#"<text class="soft" x="4" y="{y}">{}</text></svg>"#, markup(&spread));
    svg
}

fn draw(svg: &mut String, row: &Allowance, top: i32, members: i32, needed: Option<i32>) {
    let class = if row.is_bad { "bad" } else { "soft" };
    let (title, note) = (markup(row.title), shortened(&row.note));
    let (text, middle) = (top + 16, top + 38);
    let _ = write!(
        svg,
        r#"<text x="4" y="{text}">{title}: <tspan class="{class}">{}</tspan></text>"#,
        markup(&note)
    );
    let drawn = members.min(MOST_DRAWN);
    // Among the drawn members, as many are shown as down as there is room for.
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

/// The characters that fit beside a title, where letters may be bold.
fn shortened(text: &str) -> String {
    const MOST: usize = 36;
    match text.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
