//! An absolute number or a percentage, with Kubernetes' rounding.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, Visitor};

/// `1` or `"25%"`. Neither is bounded here: the API server validates them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IntOrPercent {
    /// An absolute number.
    Int(i32),
    /// A percentage.
    Percent(i32),
}

impl IntOrPercent {
    /// The number of pods out of `total`, rounded up, as PodDisruptionBudgets round both fields
    /// (`GetScaledValueFromIntOrPercent(…, true)` in pkg/controller/disruption).
    pub fn of_rounded_up(self, total: i32) -> i32 {
        self.of(total, 99)
    }

    /// The number of pods out of `total`, rounded down, as a StatefulSet's rolling update rounds `maxUnavailable`. The update never stands
    /// still: it reads 0 as 1.
    pub fn of_rounded_down(self, total: i32) -> i32 {
        self.of(total, 0)
    }

    fn of(self, total: i32, round: i64) -> i32 {
        match self {
            Self::Int(number) => number,
            Self::Percent(percent) => {
                let scaled = (i64::from(percent) * i64::from(total) + round).div_euclid(100);
                i32::try_from(scaled.clamp(i32::MIN.into(), i32::MAX.into())).unwrap_or_default()
            }
        }
    }
}

impl fmt::Display for IntOrPercent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Int(number) => write!(f, "{number}"),
            Self::Percent(percent) => write!(f, "{percent}%"),
        }
    }
}

impl<'de> Deserialize<'de> for IntOrPercent {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match IntOrString::deserialize(deserializer)? {
            IntOrString::Int(number) => Ok(Self::Int(number)),
            IntOrString::String(text) => {
                percent(&text).ok_or_else(|| D::Error::custom(format!("{text:?} is no percentage")))
            }
        }
    }
}

/// Reads a field that the API server drops before validation unless its feature gate is on: a string that is no percentage counts as
/// absent.
pub(super) fn valid_or_absent<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<IntOrPercent>, D::Error> {
    Ok(match Option::<IntOrString>::deserialize(deserializer)? {
        Some(IntOrString::Int(number)) => Some(IntOrPercent::Int(number)),
        Some(IntOrString::String(text)) => percent(&text),
        None => None,
    })
}

fn percent(text: &str) -> Option<IntOrPercent> {
    text.strip_suffix('%').and_then(|digits| digits.parse().ok()).map(IntOrPercent::Percent)
}

/// Kubernetes' `IntOrString`, where every string has a valid type.
enum IntOrString {
    Int(i32),
    String(Box<str>),
}

impl<'de> Deserialize<'de> for IntOrString {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl Visitor<'_> for Either {
            type Value = IntOrString;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a whole number or a percentage such as \"50%\"")
            }

            fn visit_i64<E: Error>(self, number: i64) -> Result<IntOrString, E> {
                let number =
                    i32::try_from(number).map_err(|_| E::custom("the number does not fit 32 bits"))?;
                Ok(IntOrString::Int(number))
            }

            fn visit_u64<E: Error>(self, number: u64) -> Result<IntOrString, E> {
                self.visit_i64(i64::try_from(number).unwrap_or(i64::MAX))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<IntOrString, E> {
                Ok(IntOrString::String(text.into()))
            }
        }
        deserializer.deserialize_any(Either)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn percentages_round_up() {
        assert_eq!(IntOrPercent::Percent(50).of_rounded_up(3), 2);
        assert_eq!(IntOrPercent::Percent(34).of_rounded_up(3), 2);
        assert_eq!(IntOrPercent::Percent(0).of_rounded_up(3), 0);
        assert_eq!(IntOrPercent::Percent(100).of_rounded_up(3), 3);
        assert_eq!(IntOrPercent::Percent(50).of_rounded_down(3), 1);
        assert_eq!(IntOrPercent::Percent(2_000_000_000).of_rounded_up(2_000_000_000), i32::MAX);
        assert_eq!(IntOrPercent::Percent(-2_000_000_000).of_rounded_up(2_000_000_000), i32::MIN);
    }

    #[test]
    fn reads_both_spellings() {
        let read = |json: &str| serde_json::from_str::<IntOrPercent>(json);
        assert_eq!(read("2").unwrap(), IntOrPercent::Int(2));
        assert_eq!(read("\"25%\"").unwrap(), IntOrPercent::Percent(25));
        assert!(read("\"25\"").is_err());
        assert!(read("4294967296").is_err());
        assert!(read("1.5").is_err());
    }

    proptest! {
        #[test]
        fn rounding_is_exact(percent in 0..=100i32, total in 0..100_000i32) {
            let (up, down) = (IntOrPercent::Percent(percent).of_rounded_up(total), IntOrPercent::Percent(percent).of_rounded_down(total));
            let (hundredths, scaled) = (i64::from(percent) * i64::from(total), |value: i32| i64::from(value) * 100);
            prop_assert!(scaled(up) >= hundredths && scaled(up) < hundredths + 100);
            prop_assert!(scaled(down) <= hundredths && scaled(down) > hundredths - 100);
        }

        #[test]
        fn no_value_overflows(percent: i32, total: i32) {
            let _ = IntOrPercent::Percent(percent).of_rounded_up(total);
        }
    }
}
