//! The estimated cost of an expression, before it is evaluated.

use super::CompileError;
use super::ast::{CelNode, Expr, Fold};

/// How many items a list is taken to have.
const ITEMS: u64 = 30;

/// With lists of that length a check has to stay well below what it may cost.
const MOST: u64 = 1_000_000;

/// Refuses an expression that goes through lists in lists in lists, whatever it may do there. What gets by is metered.
pub(super) fn check(root: &CelNode) -> Result<(), CompileError> {
    if cost(root) <= MOST {
        return Ok(());
    }
    let message = format!(
        "too costly: with {ITEMS} items in each list it would take more than {MOST} steps; nest fewer macros"
    );
    Err(CompileError { offset: root.start, message })
}

fn cost(node: &CelNode) -> u64 {
    let Expr::Fold(folding) = &node.expr else {
        let mut sum = 1_u64;
        node.for_each_child(|child| sum = sum.saturating_add(cost(child)));
        return sum;
    };
    let items = match &folding.over.expr {
        _ if matches!(folding.kind, Fold::OptMap | Fold::OptFlatMap) => 1,
        Expr::List(items) => u64::try_from(items.len()).unwrap_or(u64::MAX),
        _ => ITEMS,
    };
    let condition = folding.condition.as_ref().map_or(0, cost);
    let each = cost(&folding.body).saturating_add(condition);
    cost(&folding.over).saturating_add(items.saturating_mul(each)).saturating_add(1)
}
