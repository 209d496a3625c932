//! The macros: methods whose arguments are names and expressions in which these have a value.

use super::CompileError;
use super::ast::{CelNode, Expr, Fold, Folding};

/// The macro of a name with so many arguments, and how many of these are names.
pub(super) fn macro_named(name: &str, arguments: usize) -> Option<(Fold, usize)> {
    Some(match (name, arguments) {
        ("all", 2) => (Fold::All, 1),
        ("all", 3) => (Fold::All, 2),
        ("exists", 2) => (Fold::Exists, 1),
        ("exists", 3) => (Fold::Exists, 2),
        ("exists_one" | "existsOne", 2) => (Fold::ExistsOne, 1),
        ("exists_one" | "existsOne", 3) => (Fold::ExistsOne, 2),
        ("map", 2 | 3) => (Fold::Map, 1),
        ("filter", 2) => (Fold::Filter, 1),
        ("sortBy", 2) => (Fold::SortBy, 1),
        ("transformList", 3 | 4) => (Fold::Map, 2),
        ("transformMap", 3 | 4) => (Fold::TransformMap, 2),
        ("transformMapEntry", 3 | 4) => (Fold::TransformMapEntry, 2),
        ("optMap", 2) => (Fold::OptMap, 1),
        ("optFlatMap", 2) => (Fold::OptFlatMap, 1),
        _ => return None,
    })
}

/// A macro with its arguments: one or two names, a condition where there is one more, and the body.
pub(super) fn folding(
    kind: Fold,
    names: usize,
    over: CelNode,
    args: Vec<CelNode>,
) -> Result<Folding, CompileError> {
    let (start, mut args) = (over.start, args.into_iter());
    let item = item_name(start, args.next())?;
    let second = if names == 2 { Some(item_name(start, args.next())?) } else { None };
    let wrong = |message: &str| Err(CompileError { offset: start, message: message.to_owned() });
    if second.as_ref() == Some(&item) {
        return wrong("the two names of a macro are the same");
    }
    let (condition, body) = match (args.next(), args.next()) {
        (condition, Some(body)) => (condition, body),
        (Some(body), None) => (None, body),
        (None, None) => return wrong("the macro has too few arguments"),
    };
    Ok(Folding { kind, over, item, second, condition, body })
}

/// The name that a macro gives to items.
fn item_name(start: usize, node: Option<CelNode>) -> Result<Box<str>, CompileError> {
    match node {
        Some(CelNode { expr: Expr::Name(name), .. }) => Ok(name),
        other => Err(CompileError {
            offset: other.map_or(start, |node| node.start),
            message: "the first argument is a name for the items, as in list.all(item, …)".to_owned(),
        }),
    }
}
