//! Quantities of Kubernetes: `500m`, `10Gi`, `1e3`.

use std::fmt;

/// A quantity in billionths, the finest that Kubernetes keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Quantity(i128);

const UNIT: i128 = 1_000_000_000;

/// Where larger ones end: 10²⁹, of whatever it is.
const LARGEST: i128 = i128::MAX;

/// Longer texts are not quantities.
const LONGEST: usize = 64;

impl Quantity {
    pub(crate) fn parse(text: &str) -> Option<Self> {
        if text.len() > LONGEST {
            return None;
        }
        let (sign, unsigned) = match text.strip_prefix('-') {
            Some(rest) => (-1, rest),
            None => (1, text.strip_prefix('+').unwrap_or(text)),
        };
        let is_number = |c: char| c.is_ascii_digit() || c == '.';
        let (number, suffix) = unsigned.split_at(unsigned.find(|c| !is_number(c)).unwrap_or(unsigned.len()));
        // A dot alone is none, to Kubernetes too.
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if number.is_empty() || fraction.contains('.') {
            return None;
        }
        Some(Self(sign * billionths(&format!("{whole}{fraction}"), fraction.len(), factor(suffix)?)))
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

/// A number with so many of its digits after the dot, times a factor. What is finer than a billionth is rounded up.
fn billionths(digits: &str, decimals: usize, (base, power): (i128, i32)) -> i128 {
    let digits = digits.trim_start_matches('0');
    if digits.is_empty() {
        return 0;
    }
    let decimals = i32::try_from(decimals).unwrap_or(i32::MAX);
    let (multiplier, divisor) = match base {
        2 => (raised(2, power), raised(10, decimals)),
        _ => (raised(10, power.saturating_sub(decimals)), raised(10, decimals.saturating_sub(power))),
    };
    let scaled =
        digits.parse::<i128>().ok().and_then(|digits| digits.checked_mul(multiplier?)?.checked_mul(UNIT));
    match (scaled, divisor) {
        (_, None) => 1,
        (None, _) => LARGEST,
        (Some(scaled), Some(divisor)) => scaled.div_euclid(divisor) + i128::from(scaled % divisor != 0),
    }
}

/// A power; 1 where the exponent is negative.
fn raised(base: i128, power: i32) -> Option<i128> {
    base.checked_pow(u32::try_from(power.max(0)).ok()?)
}

/// The base and the exponent of a suffix.
fn factor(suffix: &str) -> Option<(i128, i32)> {
    let place = |known: &[&str]| known.iter().position(|known| *known == suffix);
    if let Some(place) = place(&["Ki", "Mi", "Gi", "Ti", "Pi", "Ei"]) {
        return Some((2, 10 * (i32::try_from(place).ok()? + 1)));
    }
    if let Some(place) = place(&["n", "u", "m", "", "k", "M", "G", "T", "P", "E"]) {
        return Some((10, 3 * (i32::try_from(place).ok()? - 3)));
    }
    suffix.strip_prefix(['e', 'E'])?.parse().ok().map(|power| (10, power))
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.integer() {
            Some(whole) => write!(f, "{whole}"),
            None => write!(f, "{}", self.approximate()),
        }
    }
}
