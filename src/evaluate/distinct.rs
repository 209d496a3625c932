//! Findings without repetition, and not more than a person reads.

use std::collections::{BTreeMap, HashSet};

use crate::verdict::{Finding, RuleId};

/// Findings of one rule in one review. The others are counted in the message of the last one.
const MOST_OF_A_RULE: usize = 20;
/// From here on the number itself says nothing more.
const MANY: usize = 500;

/// Each finding once, and the first [`MOST_OF_A_RULE`] of each rule. One budget can be wrong in the same way for a thousand
/// sets, and one annotation can name forty thousand rules that do not exist.
pub(super) fn distinct(findings: Vec<Finding>) -> Vec<Finding> {
    if findings.len() < 2 {
        return findings;
    }
    let is_new = {
        let mut seen = HashSet::with_capacity(findings.len());
        let mut groups = HashSet::new();
        let is_new = findings.iter().map(|finding| {
            let is_first_of_group = finding.group_identity().is_none_or(|group| groups.insert(group));
            seen.insert(finding.identity()) && is_first_of_group
        });
        is_new.collect::<Vec<bool>>()
    };
    let mut kept: Vec<Finding> = Vec::new();
    // Exempt findings must not push out those that count.
    let mut tallies: BTreeMap<(RuleId, bool), Tally> = BTreeMap::new();
    for (finding, _) in findings.into_iter().zip(is_new).filter(|(_, is_new)| *is_new) {
        let tally = tallies.entry((finding.rule.clone(), finding.counts())).or_default();
        if tally.kept == MOST_OF_A_RULE {
            tally.omitted += 1;
        } else {
            (tally.kept, tally.last) = (tally.kept + 1, kept.len());
            kept.push(finding);
        }
    }
    for tally in tallies.values().filter(|tally| tally.omitted > 0) {
        kept[tally.last].message.push_str(&tally.more());
    }
    kept
}

/// How many findings of one rule there are.
#[derive(Default)]
struct Tally {
    kept: usize,
    /// Where the last one is that was kept.
    last: usize,
    omitted: usize,
}

impl Tally {
    fn more(&self) -> String {
        match self.omitted {
            omitted @ ..MANY => format!(" (and {omitted} more like it)"),
            _ => format!(" (and more than {MANY} more like it)"),
        }
    }
}
