//! How long a review may take.

use std::time::Duration;

use tokio::time::Instant;

/// The API server's timeout for a webhook configuration that sets none.
const DEFAULT: Duration = Duration::from_secs(10);
/// The most that a webhook configuration can say.
const LONGEST: Duration = Duration::from_secs(30);
/// The most time that is reserved for writing and sending the answer.
const MARGIN: Duration = Duration::from_secs(1);

/// When the answer to a request that arrived at `arrived` must be ready, by the `timeout` in its query.
pub(super) fn deadline(query: Option<&str>, arrived: Instant) -> Instant {
    let given =
        query.into_iter().flat_map(|query| query.split('&')).find_map(|pair| pair.strip_prefix("timeout="));
    let granted = given.and_then(go_duration).unwrap_or(DEFAULT).min(LONGEST);
    arrived + granted.saturating_sub(MARGIN.min(granted / 5))
}

/// A duration as Go writes it: `10s`, `1m30s`, `2.5s`, `300ms`. `kube::core::Duration` reads the same, and panics on what does
/// not fit into a `Duration` (5.0); a stranger who reaches the port may write anything here.
fn go_duration(text: &str) -> Option<Duration> {
    let (mut rest, mut seconds) = (text, 0.0);
    while !rest.is_empty() {
        let number = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (value, after) = rest.split_at(number);
        let unit = after.find(|c: char| c.is_ascii_digit()).unwrap_or(after.len());
        let (unit, after) = after.split_at(unit);
        seconds += value.parse::<f64>().ok()? * in_seconds(unit)?;
        rest = after;
    }
    Duration::try_from_secs_f64(seconds).ok().filter(|duration| !duration.is_zero())
}

fn in_seconds(unit: &str) -> Option<f64> {
    Some(match unit {
        "h" => 3600.0,
        "m" => 60.0,
        "s" => 1.0,
        "ms" => 1e-3,
        "us" | "%C2%B5s" | "µs" => 1e-6,
        "ns" => 1e-9,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn go_durations() {
        for (text, millis) in
            [("10s", 10_000), ("1m30s", 90_000), ("2.5s", 2_500), ("300ms", 300), ("1h", 3_600_000)]
        {
            assert_eq!(go_duration(text), Some(Duration::from_millis(millis)), "{text}");
        }
        for text in ["", "10", "s", "-1s", "1x", "0s", "1..5s", "1e9999h", "99999999999999999999999h"] {
            assert_eq!(go_duration(text), None, "{text}");
        }
    }

    #[test]
    fn the_budget_ends_before_the_api_server_gives_up() {
        let now = Instant::now();
        for (query, millis) in [
            (None, 9_000),
            (Some("timeout=10s"), 9_000),
            (Some("a=b&timeout=5s"), 4_000),
            (Some("timeout=1s"), 800),
            (Some("timeout=10m"), 29_000),
            (Some("timeout=soon"), 9_000),
        ] {
            assert_eq!(deadline(query, now) - now, Duration::from_millis(millis), "{query:?}");
        }
    }
}
