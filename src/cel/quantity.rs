//! Quantities of Kubernetes: `500m`, `10Gi`, `1e3`.

use std::fmt;

/// A quantity in billionths, the finest that Kubernetes keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Quantity(i128);

const UNIT: i128 = 1_000_000_000;

/// The largest number that Kubernetes keeps without rounding it down, and more than enough for bytes.
const LARGEST: i128 = i64::MAX as i128 * UNIT;

/// Longer texts are no quantities that anyone writes.
const LONGEST: usize = 64;

impl Quantity {
    pub(super) fn parse(text: &str) -> Option<Self> {
        if text.len() > LONGEST {
            return None;
        }
        let (sign, unsigned) = match text.strip_prefix('-') {
            Some(rest) => (-1, rest),
            None => (1, text.strip_prefix('+').unwrap_or(text)),
        };
        let is_number = |c: char| c.is_ascii_digit() || c == '.';
        let (number, suffix) = unsigned.split_at(unsigned.find(|c| !is_number(c)).unwrap_or(unsigned.len()));
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') {
            return None;
        }
        let digits: i128 = format!("{whole}{fraction}0").parse::<i128>().ok()? / 10;
        let (multiplier, divisor) = factor(suffix)?;
        let divisor = divisor.checked_mul(10_i128.checked_pow(u32::try_from(fraction.len()).ok()?)?)?;
        let scaled = digits.checked_mul(multiplier)?.checked_mul(UNIT)?;
        // What is finer than a billionth is rounded up.
        let rounded = scaled.checked_add(divisor - 1)? / divisor;
        (rounded <= LARGEST).then_some(Self(sign * rounded))
    }

    pub(super) fn of(number: i64) -> Self {
        Self(i128::from(number) * UNIT)
    }

    pub(super) fn plus(self, other: Self) -> Option<Self> {
        self.0.checked_add(other.0).map(Self)
    }

    pub(super) fn minus(self, other: Self) -> Option<Self> {
        self.0.checked_sub(other.0).map(Self)
    }

    pub(super) fn integer(self) -> Option<i64> {
        (self.0 % UNIT == 0).then(|| i64::try_from(self.0 / UNIT).ok()).flatten()
    }

    #[expect(clippy::cast_precision_loss, reason = "asked for")]
    pub(super) fn approximate(self) -> f64 {
        self.0 as f64 / UNIT as f64
    }

    pub(super) fn sign(self) -> i64 {
        i64::try_from(self.0.signum()).unwrap_or_default()
    }
}

/// By what a suffix multiplies and divides.
fn factor(suffix: &str) -> Option<(i128, i128)> {
    let binary = ["Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];
    if let Some(power) = binary.iter().position(|known| *known == suffix) {
        return Some((1 << (10 * (power + 1)), 1));
    }
    let decimal = ["k", "M", "G", "T", "P", "E"];
    if let Some(power) = decimal.iter().position(|known| *known == suffix) {
        return Some((1000_i128.pow(u32::try_from(power).ok()? + 1), 1));
    }
    match suffix {
        "" => Some((1, 1)),
        "m" => Some((1, 1000)),
        "u" => Some((1, 1_000_000)),
        "n" => Some((1, UNIT)),
        _ => {
            let exponent: i32 = suffix.strip_prefix(['e', 'E'])?.parse().ok()?;
            let power = 10_i128.checked_pow(exponent.unsigned_abs())?;
            Some(if exponent < 0 { (1, power) } else { (power, 1) })
        }
    }
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.integer() {
            Some(whole) => write!(f, "{whole}"),
            None => write!(f, "{}", self.approximate()),
        }
    }
}
