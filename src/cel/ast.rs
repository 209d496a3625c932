//! Expressions as trees.

use std::collections::BTreeSet;

use regex::Regex;

use super::Type;

/// The longest expression, in bytes.
pub const LONGEST: usize = 8192;

/// How deep a tree may be: checks and evaluations recurse as deep.
pub(super) const MAX_HEIGHT: u16 = 64;

/// A compiled expression.
#[derive(Debug)]
pub struct Program {
    pub(super) root: CelNode,
    pub(super) gives: Type,
}

#[derive(Debug)]
pub(super) struct CelNode {
    /// Where it begins in the text, in bytes.
    pub(super) start: usize,
    pub(super) height: u16,
    pub(super) expr: Expr,
}

#[derive(Debug)]
pub(super) enum Expr {
    Null,
    Bool(bool),
    Int(i64),
    Double(f64),
    Text(Box<str>),
    /// A variable, or the item of a macro.
    Name(Box<str>),
    /// `variables.NAME`.
    Derived(Box<str>),
    Select {
        of: Box<CelNode>,
        field: Box<str>,
        mode: Access,
    },
    Index {
        of: Box<CelNode>,
        key: Box<CelNode>,
        mode: Access,
    },
    Not(Box<CelNode>),
    Negate(Box<CelNode>),
    And(Vec<CelNode>),
    Or(Vec<CelNode>),
    Conditional(Box<[CelNode; 3]>),
    Binary(CelOperator, Box<[CelNode; 2]>),
    List(Vec<CelNode>),
    /// `?value` in a list or a map: it is left out where the optional is empty.
    IfPresent(Box<CelNode>),
    Map(Vec<(CelNode, CelNode)>),
    /// The receiver is the first argument of a method.
    Call {
        function: Box<str>,
        is_method: bool,
        args: Vec<CelNode>,
        /// The compiled pattern, where it is a literal.
        regex: Option<Box<Regex>>,
    },
    Fold(Box<Folding>),
}

/// How a field or an item is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    /// It is an error where it is missing.
    Plain,
    /// `has(…)`
    Test,
    /// `.?` and `[?…]`
    Optional,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CelOperator {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    In,
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
}

/// `LIST.all(item, body)` and the other macros that go through a list, a map or an optional.
#[derive(Debug)]
pub(super) struct Folding {
    pub(super) kind: Fold,
    pub(super) over: CelNode,
    pub(super) item: Box<str>,
    /// Where a macro has two names, the second: `list.all(index, item, …)`, `map.all(key, value, …)`.
    pub(super) second: Option<Box<str>>,
    /// The filter that `map`, `transformList` and similar macros may have before their last argument.
    pub(super) condition: Option<CelNode>,
    pub(super) body: CelNode,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fold {
    All,
    Exists,
    ExistsOne,
    Map,
    Filter,
    SortBy,
    TransformMap,
    TransformMapEntry,
    OptMap,
    OptFlatMap,
}

impl CelOperator {
    pub(super) fn symbol(self) -> &'static str {
        match self {
            Self::Equal => "==",
            Self::NotEqual => "!=",
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
            Self::In => "in",
            Self::Add => "+",
            Self::Subtract => "-",
            Self::Multiply => "*",
            Self::Divide => "/",
            Self::Remainder => "%",
        }
    }
}

impl CelNode {
    pub(super) fn new(start: usize, expr: Expr) -> Self {
        let mut node = Self { start, height: 0, expr };
        let mut height = 0;
        node.for_each_child(|child| height = height.max(child.height));
        node.height = height.saturating_add(1);
        node
    }

    pub(super) fn for_each_child<'n>(&'n self, mut each: impl FnMut(&'n Self)) {
        match &self.expr {
            Expr::Null
            | Expr::Bool(_)
            | Expr::Int(_)
            | Expr::Double(_)
            | Expr::Text(_)
            | Expr::Name(_)
            | Expr::Derived(_) => {}
            Expr::Select { of, .. } | Expr::Not(of) | Expr::Negate(of) | Expr::IfPresent(of) => each(of),
            Expr::Index { of, key, .. } => {
                each(of);
                each(key);
            }
            Expr::And(nodes) | Expr::Or(nodes) | Expr::List(nodes) | Expr::Call { args: nodes, .. } => {
                nodes.iter().for_each(each);
            }
            Expr::Conditional(nodes) => nodes.iter().for_each(each),
            Expr::Binary(_, nodes) => nodes.iter().for_each(each),
            Expr::Map(entries) => entries.iter().for_each(|(key, value)| {
                each(key);
                each(value);
            }),
            Expr::Fold(folding) => {
                each(&folding.over);
                folding.condition.iter().for_each(&mut each);
                each(&folding.body);
            }
        }
    }

    /// The variables that are read, apart from the items of macros.
    pub(super) fn collect_reads<'n>(&'n self, items: &mut Vec<&'n str>, reads: &mut BTreeSet<String>) {
        match &self.expr {
            Expr::Name(name) if !items.contains(&&**name) => drop(reads.insert(name.to_string())),
            Expr::Derived(name) => drop(reads.insert(format!("variables.{name}"))),
            Expr::Fold(folding) => {
                folding.over.collect_reads(items, reads);
                let names = items.len();
                items.push(&folding.item);
                items.extend(folding.second.as_deref());
                folding.condition.iter().for_each(|condition| condition.collect_reads(items, reads));
                folding.body.collect_reads(items, reads);
                items.truncate(names);
            }
            _ => self.for_each_child(|child| child.collect_reads(items, reads)),
        }
    }
}
