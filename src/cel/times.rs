//! Durations and times, as Go reads and writes them.

use std::fmt;

use jiff::SignedDuration;
use jiff::civil::{Date, DateTime, Time, datetime};

/// Longer texts are not durations.
const LONGEST: usize = 64;

const SECOND: i64 = 1_000_000_000;

/// By what a unit of a duration multiplies.
const UNITS: [(&str, i64); 8] = [
    ("ns", 1),
    ("us", 1000),
    ("µs", 1000),
    ("μs", 1000),
    ("ms", 1_000_000),
    ("s", SECOND),
    ("m", 60 * SECOND),
    ("h", 3600 * SECOND),
];

/// A duration in billionths of a second.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct CelDuration(pub(super) i64);

/// A time, and the offset that it was written with.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// In UTC.
    at: DateTime,
    offset: SignedDuration,
}

const EPOCH: DateTime = datetime(1970, 1, 1, 0, 0, 0, 0);

impl CelDuration {
    /// `1h30m`, `-1.5s`, `0`.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let is_negative = text.starts_with('-');
        let mut rest = text.strip_prefix(['-', '+']).unwrap_or(text);
        if rest == "0" {
            return Some(Self(0));
        }
        if rest.is_empty() || text.len() > LONGEST {
            return None;
        }
        let mut sum = 0_i128;
        while !rest.is_empty() {
            let (part, after) = part(rest)?;
            (sum, rest) = (sum.checked_add(part)?, after);
        }
        i64::try_from(if is_negative { -sum } else { sum }).ok().map(Self)
    }

    pub(super) fn whole(self, unit: i64) -> i64 {
        self.0 / unit
    }

    pub(super) fn plus(self, other: Self) -> Option<Self> {
        self.0.checked_add(other.0).map(Self)
    }

    pub(super) fn minus(self, other: Self) -> Option<Self> {
        self.0.checked_sub(other.0).map(Self)
    }
}

/// The first number with its unit, in billionths of a second, and what is after it.
fn part(text: &str) -> Option<(i128, &str)> {
    let digits = |text: &str| text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (whole, rest) = text.split_at(digits(text));
    let (fraction, rest) = rest.strip_prefix('.').map_or(("", rest), |rest| rest.split_at(digits(rest)));
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let (unit, rest) =
        rest.split_at(rest.find(|c: char| c == '.' || c.is_ascii_digit()).unwrap_or(rest.len()));
    let (_, unit) = UNITS.iter().find(|(name, _)| *name == unit)?;
    let number = |digits: &str| if digits.is_empty() { Some(0) } else { digits.parse::<i128>().ok() };
    // Finer fractions are not kept.
    let fraction = &fraction[..fraction.len().min(18)];
    let scale = 10_i128.checked_pow(u32::try_from(fraction.len()).ok()?)?;
    let finer = number(fraction)?.checked_mul(i128::from(*unit))? / scale;
    Some((number(whole)?.checked_mul(i128::from(*unit))?.checked_add(finer)?, rest))
}

impl fmt::Display for CelDuration {
    #[expect(clippy::cast_precision_loss, reason = "Go writes its seconds as a double")]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seconds, rest) = (self.0 / SECOND, self.0 % SECOND);
        write!(f, "{}s", seconds as f64 + rest as f64 / SECOND as f64)
    }
}

impl PartialEq for Moment {
    fn eq(&self, other: &Self) -> bool {
        self.at == other.at
    }
}

impl Moment {
    /// A time of whole seconds since 1970.
    pub(super) fn of_seconds(seconds: i64) -> Option<Self> {
        Self::new(EPOCH.checked_add(SignedDuration::from_secs(seconds)).ok()?, SignedDuration::ZERO)
    }

    /// Years have four digits.
    fn new(at: DateTime, offset: SignedDuration) -> Option<Self> {
        (1..=9999).contains(&at.year()).then_some(Self { at, offset })
    }

    /// `2020-01-01T00:00:00.5+02:00`: RFC 3339.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (date, rest) = (text.get(..10)?, text.get(10..)?.strip_prefix('T')?);
        let end = rest.find(['Z', '+', '-'])?;
        let (time, zone) = rest.split_at(end);
        let [year, month, day] = numbers(date, '-', [4, 2, 2])?;
        let (time, fraction) =
            time.split_once(['.', ',']).map_or((time, "0"), |(time, fraction)| (time, fraction));
        // Go takes one digit of an hour.
        let [hour, minute, second] =
            numbers(time, ':', [2, 2, 2]).or_else(|| numbers(time, ':', [1, 2, 2]))?;
        let date = Date::new(year, i8::try_from(month).ok()?, i8::try_from(day).ok()?).ok()?;
        let part = |part: i16| i8::try_from(part).ok();
        let time = Time::new(part(hour)?, part(minute)?, part(second)?, nanoseconds(fraction)?).ok()?;
        let offset = if zone == "Z" { SignedDuration::ZERO } else { offset(zone)? };
        Self::new(DateTime::from_parts(date, time).checked_sub(offset).ok()?, offset)
    }

    /// Whole seconds since 1970.
    pub(super) fn seconds(self) -> i64 {
        let since = self.at.duration_since(EPOCH);
        since.as_secs() - i64::from(since.subsec_nanos() < 0)
    }

    pub(super) fn order(self, other: Self) -> std::cmp::Ordering {
        self.at.cmp(&other.at)
    }

    pub(super) fn plus(self, span: CelDuration) -> Option<Self> {
        Self::new(self.at.checked_add(SignedDuration::from_nanos(span.0)).ok()?, self.offset)
    }

    pub(super) fn minus(self, span: CelDuration) -> Option<Self> {
        self.plus(CelDuration(span.0.checked_neg()?))
    }

    pub(super) fn since(self, other: Self) -> Option<CelDuration> {
        i64::try_from(self.at.duration_since(other.at).as_nanos()).ok().map(CelDuration)
    }

    /// Its parts in a zone: `UTC`, or an offset as `+02:00`. The names of zones need a data base, which is not here.
    pub(super) fn in_zone(self, zone: &str) -> Option<DateTime> {
        let offset = match zone {
            "" | "UTC" => SignedDuration::ZERO,
            zone if zone.starts_with(['+', '-']) => offset(zone)?,
            zone => offset(&format!("+{zone}"))?,
        };
        self.at.checked_add(offset).ok()
    }
}

/// Numbers of so many digits with something between.
fn numbers(text: &str, between: char, digits: [usize; 3]) -> Option<[i16; 3]> {
    let mut numbers = [0; 3];
    let mut parts = text.split(between);
    for (number, digits) in numbers.iter_mut().zip(digits) {
        let part =
            parts.next().filter(|part| part.len() == digits && part.bytes().all(|b| b.is_ascii_digit()))?;
        *number = part.parse().ok()?;
    }
    parts.next().is_none().then_some(numbers)
}

/// The digits after the dot, of which nine count.
fn nanoseconds(fraction: &str) -> Option<i32> {
    if fraction.is_empty() || !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let nine: String = fraction.chars().chain("000000000".chars()).take(9).collect();
    nine.parse().ok()
}

/// `+02:00`, up to a day.
fn offset(text: &str) -> Option<SignedDuration> {
    let (sign, rest) = (if text.starts_with('-') { -1 } else { 1 }, text.strip_prefix(['+', '-'])?);
    let (hours, minutes) = rest.split_once(':')?;
    let number = |text: &str, most: i64| {
        let is_plain = text.len() == 2 && text.bytes().all(|b| b.is_ascii_digit());
        text.parse::<i64>().ok().filter(|number| is_plain && *number <= most)
    };
    let (hours, minutes) = (number(hours, 24)?, number(minutes, 59)?);
    Some(SignedDuration::from_mins(sign * (hours * 60 + minutes)))
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.at.checked_add(self.offset).unwrap_or(self.at))?;
        let minutes = self.offset.as_mins();
        if minutes == 0 {
            return f.write_str("Z");
        }
        let (sign, minutes) = (if minutes < 0 { '-' } else { '+' }, minutes.abs());
        write!(f, "{sign}{:02}:{:02}", minutes / 60, minutes % 60)
    }
}
