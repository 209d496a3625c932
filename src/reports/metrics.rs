//! Findings about existing objects as gauges, and the progress of the reports.

use std::borrow::Cow;
use std::collections::BTreeMap;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::{counter::Counter, family::Family, gauge::Gauge};
use prometheus_client::registry::Registry;

use crate::report::Located;
use crate::verdict::{Level, RuleId};

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct FindingGaugeLabels {
    rule: Cow<'static, str>,
    level: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct WriteLabels {
    outcome: &'static str,
}

/// How a write of a report ends.
const OUTCOMES: [&str; 3] = ["written", "deleted", "failed"];

/// The metrics of the background reports. Clones share them.
#[derive(Clone, Debug, Default)]
pub(super) struct ReportMetrics {
    findings: Family<FindingGaugeLabels, Gauge>,
    writes: Family<WriteLabels, Counter>,
    last_round: Gauge,
}

/// How many findings that count there are of a rule at a level.
pub(super) type Counts = BTreeMap<(RuleId, Level), i64>;

impl ReportMetrics {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        for outcome in OUTCOMES {
            drop(metrics.writes.get_or_create(&WriteLabels { outcome }));
        }
        let help = "Findings in what exists, on the replica that leads";
        registry.register("findings", help, metrics.findings.clone());
        registry.register("report_writes", "Reports written, deleted, or not", metrics.writes.clone());
        let help = "When the replica that leads last knew every namespace; 0 where it does not lead";
        registry.register("reports_last_round_timestamp_seconds", help, metrics.last_round.clone());
        metrics
    }

    pub(super) fn count_write(&self, outcome: &'static str) {
        self.writes.get_or_create(&WriteLabels { outcome }).inc();
    }

    /// Shows these numbers and no others. What is found no more stays at 0: a line that ends looks like a scrape that failed.
    pub(super) fn show(&self, counts: &Counts, shown: &mut Counts) {
        for count in shown.values_mut() {
            *count = 0;
        }
        shown.extend(counts.iter().map(|(key, count)| (key.clone(), *count)));
        for ((rule, level), count) in &*shown {
            let labels = FindingGaugeLabels { rule: rule.label(), level: level.name() };
            self.findings.get_or_create(&labels).set(*count);
        }
        self.last_round.set(jiff::Timestamp::now().as_second());
    }

    /// Shows nothing: another replica leads.
    pub(super) fn clear(&self) {
        self.findings.clear();
        self.last_round.set(0);
    }
}

/// Counts the findings that no exemption covers.
pub(super) fn count(findings: &[Located]) -> Counts {
    let mut counts = Counts::new();
    for located in findings.iter().filter(|located| located.counts()) {
        *counts.entry((located.finding.rule.clone(), located.finding.level)).or_default() += 1;
    }
    counts
}
