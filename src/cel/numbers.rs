//! Numbers as texts, as Go writes them.

/// A double with as few digits as tell it from others: `1.5`, `1e+21`.
pub(super) fn shortest(number: f64) -> String {
    if let Some(text) = not_finite(number, "+Inf", "-Inf") {
        return text;
    }
    let written = format!("{number:e}");
    let (digits, exponent) = written.split_once('e').unwrap_or((&written, "0"));
    let exponent: i32 = exponent.parse().unwrap_or_default();
    if number == 0.0 || (-4..6).contains(&exponent) {
        return number.to_string();
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{digits}e{sign}{:02}", exponent.unsigned_abs())
}

/// With so many digits after the dot and commas between thousands.
pub(super) fn fixed(number: f64, precision: usize) -> String {
    if let Some(text) = not_finite(number, "∞", "-∞") {
        return text;
    }
    let written = format!("{number:.precision$}");
    let (sign, unsigned) = written.strip_prefix('-').map_or(("", &*written), |rest| ("-", rest));
    let (whole, fraction) = unsigned.split_at(unsigned.find('.').unwrap_or(unsigned.len()));
    let mut text = sign.to_owned();
    for (index, digit) in whole.char_indices() {
        let left = whole.len() - index;
        text.push_str(if index > 0 && left.is_multiple_of(3) { "," } else { "" });
        text.push(digit);
    }
    text + fraction
}

/// Formats a number like `1.234500×10⁰³`.
pub(super) fn scientific(number: f64) -> String {
    if let Some(text) = not_finite(number, "∞", "-∞") {
        return text;
    }
    let written = format!("{number:.6e}");
    let (digits, exponent) = written.split_once('e').unwrap_or((&written, "0"));
    let (sign, exponent) = exponent.strip_prefix('-').map_or(("", exponent), |rest| ("⁻", rest));
    let raised = |digit: char| digit.to_digit(10).and_then(|digit| "⁰¹²³⁴⁵⁶⁷⁸⁹".chars().nth(digit as usize));
    let exponent: String = format!("{exponent:0>2}").chars().filter_map(raised).collect();
    format!("{digits}×10{sign}{exponent}")
}

pub(super) fn not_finite(number: f64, infinite: &str, negative: &str) -> Option<String> {
    let text = match number {
        _ if number.is_nan() => "NaN",
        _ if number.is_finite() => return None,
        _ if number < 0.0 => negative,
        _ => infinite,
    };
    Some(text.to_owned())
}
