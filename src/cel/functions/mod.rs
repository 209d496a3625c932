//! The functions: one table, by which they are checked and called.

mod addresses;
mod convert;
mod format;
mod lists;
mod optionals;
mod quantities;
mod texts;
mod times;
mod versions;

use regex::Regex;

use super::evaluate::Evaluated;
use super::types::Type;
use super::value::CelValue;
use super::{Failure, Meter};
use crate::model::did_you_mean;

/// One form of a function. The receiver of a method is its first argument.
pub(super) struct Function {
    name: &'static str,
    style: Style,
    takes: &'static [ArgumentKind],
    /// How many of the last arguments may be left out.
    optional: usize,
    gives: Gives,
    run: FunctionBody,
}

type FunctionBody = for<'v> fn(&mut Call<'_, 'v>) -> Evaluated<'v>;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Style {
    Method,
    Global,
    Either,
}

/// The types that an argument may have.
#[derive(Clone, Copy, PartialEq, Eq)]
enum ArgumentKind {
    Any,
    Bool,
    Int,
    Double,
    Text,
    List,
    Map,
    Quantity,
    Duration,
    Timestamp,
    Address,
    Block,
    Version,
    Optional,
}

/// The type of what a function gives.
#[derive(Clone, Copy)]
enum Gives {
    Dyn,
    Bool,
    Int,
    Double,
    Text,
    Texts,
    Quantity,
    Duration,
    Timestamp,
    Address,
    Block,
    Version,
    Kind,
    /// The type of the first argument.
    First,
    /// That of an item of the first argument.
    Item,
    /// The type of the optional's value.
    Inner,
    /// An optional of the first argument.
    OptionalFirst,
    /// An optional of an item of the first argument.
    OptionalItem,
    /// A list of what the optionals in the first argument hold.
    Held,
    Ints,
    /// A list of anything.
    Anys,
}

/// The arguments of one call.
pub(super) struct Call<'c, 'v> {
    args: &'c [CelValue<'v>],
    /// The compiled pattern, where the expression has it as a literal.
    regex: Option<&'c Regex>,
    meter: &'c mut Meter,
}

const TABLES: [&[Function]; 9] = [
    convert::TABLE,
    texts::TABLE,
    format::TABLE,
    lists::TABLE,
    quantities::TABLE,
    optionals::TABLE,
    times::TABLE,
    addresses::TABLE,
    versions::TABLE,
];

/// The types that expressions can name.
const KINDS: [&str; 15] = [
    "bool",
    "int",
    "double",
    "string",
    "list",
    "map",
    "null_type",
    "type",
    "optional_type",
    "google.protobuf.Duration",
    "google.protobuf.Timestamp",
    "kubernetes.Quantity",
    "kubernetes.Semver",
    "net.IP",
    "net.CIDR",
];

pub(super) fn kind(name: &str) -> Option<&'static str> {
    KINDS.into_iter().find(|kind| *kind == name)
}

pub(super) fn is_kind(name: &str) -> bool {
    kind(name).is_some()
}

fn all() -> impl Iterator<Item = &'static Function> {
    TABLES.into_iter().flatten()
}

/// Whether there is a function of this name, in whatever form.
pub(super) fn is_known(name: &str) -> bool {
    all().any(|function| function.name == name)
}

fn forms(name: &str, is_method: bool) -> impl Iterator<Item = &'static Function> + '_ {
    let style = if is_method { Style::Method } else { Style::Global };
    all().filter(move |form| form.name == name && (form.style == style || form.style == Style::Either))
}

/// The type of what a call gives; the error says why there is no such call.
pub(super) fn check(name: &str, is_method: bool, args: &[Type]) -> Result<Type, String> {
    let fitting: Vec<&Function> = forms(name, is_method).filter(|form| form.may_take(args)).collect();
    let mut types = fitting.iter().map(|form| form.gives.given(args));
    if let Some(first) = types.next() {
        return Ok(types.fold(first, |joined, next| joined.joined(&next)));
    }
    let given: Vec<String> = args.iter().map(ToString::to_string).collect();
    if forms(name, is_method).next().is_some() {
        return Err(format!(
            "{name}() does not take {}",
            if given.is_empty() { "nothing".to_owned() } else { given.join(", ") }
        ));
    }
    let (other, meant) = (forms(name, !is_method).next(), did_you_mean(name, all().map(|form| form.name)));
    Err(match other {
        Some(_) if is_method => format!("{name}() is no method: write {name}(…)"),
        Some(_) => format!("{name}() is a method: write value.{name}(…)"),
        None => format!("there is no function {name}(){meant}"),
    })
}

/// Calls the form of a function that fits the values.
pub(super) fn call<'v>(
    name: &str,
    is_method: bool,
    args: &[CelValue<'v>],
    regex: Option<&Regex>,
    meter: &mut Meter,
) -> Evaluated<'v> {
    meter.spend(args.len())?;
    let Some(form) = forms(name, is_method).find(|form| form.takes(args)) else {
        let kinds: Vec<&str> = args.iter().map(CelValue::kind).collect();
        return Err(Failure::new(format!("{name}() does not take {}", kinds.join(", "))));
    };
    (form.run)(&mut Call { args, regex, meter })
}

const fn method(
    name: &'static str,
    takes: &'static [ArgumentKind],
    gives: Gives,
    run: FunctionBody,
) -> Function {
    Function { name, style: Style::Method, takes, optional: 0, gives, run }
}

const fn global(
    name: &'static str,
    takes: &'static [ArgumentKind],
    gives: Gives,
    run: FunctionBody,
) -> Function {
    Function { name, style: Style::Global, takes, optional: 0, gives, run }
}

impl Function {
    fn has_arity(&self, arguments: usize) -> bool {
        (self.takes.len() - self.optional..=self.takes.len()).contains(&arguments)
    }

    fn may_take(&self, args: &[Type]) -> bool {
        self.has_arity(args.len()) && self.takes.iter().zip(args).all(|(kind, found)| kind.may_be(found))
    }

    fn takes(&self, args: &[CelValue<'_>]) -> bool {
        self.has_arity(args.len()) && self.takes.iter().zip(args).all(|(kind, value)| kind.is(value))
    }
}

impl ArgumentKind {
    fn may_be(self, found: &Type) -> bool {
        matches!(
            (self, found),
            (Self::Any, _)
                | (_, Type::Dyn)
                | (Self::Bool, Type::Bool)
                | (Self::Int, Type::Int)
                | (Self::Double, Type::Double)
                | (Self::Text, Type::Text)
                | (Self::List, Type::List(_))
                | (Self::Map, Type::Map(_) | Type::Object(_))
                | (Self::Quantity, Type::Quantity)
                | (Self::Duration, Type::Duration)
                | (Self::Timestamp, Type::Timestamp)
                | (Self::Address, Type::Address)
                | (Self::Block, Type::Block)
                | (Self::Version, Type::Version)
                | (Self::Optional, Type::Optional(_))
        )
    }

    fn is(self, value: &CelValue<'_>) -> bool {
        matches!(
            (self, value),
            (Self::Any, _)
                | (Self::Bool, CelValue::Bool(_))
                | (Self::Int, CelValue::Int(_))
                | (Self::Double, CelValue::Double(_))
                | (Self::Text, CelValue::Text(_))
                | (Self::List, CelValue::List(_))
                | (Self::Map, CelValue::Map(_))
                | (Self::Quantity, CelValue::Quantity(_))
                | (Self::Duration, CelValue::Duration(_))
                | (Self::Timestamp, CelValue::Timestamp(_))
                | (Self::Address, CelValue::Address(_))
                | (Self::Block, CelValue::Block(_))
                | (Self::Version, CelValue::Version(_))
                | (Self::Optional, CelValue::Optional(_))
        )
    }
}

impl Gives {
    fn given(self, args: &[Type]) -> Type {
        let first = args.first().cloned().unwrap_or(Type::Dyn);
        match (self, first) {
            (Self::Bool, _) => Type::Bool,
            (Self::Int, _) => Type::Int,
            (Self::Double, _) => Type::Double,
            (Self::Text, _) => Type::Text,
            (Self::Texts, _) => Type::list(Type::Text),
            (Self::Quantity, _) => Type::Quantity,
            (Self::Duration, _) => Type::Duration,
            (Self::Timestamp, _) => Type::Timestamp,
            (Self::Address, _) => Type::Address,
            (Self::Block, _) => Type::Block,
            (Self::Version, _) => Type::Version,
            (Self::Ints, _) => Type::list(Type::Int),
            (Self::Kind, _) => Type::Kind,
            (Self::First, first) => first,
            (Self::Item, Type::List(item)) => (*item).clone(),
            (Self::Inner, Type::Optional(inner)) => {
                let fits = args.get(1).is_none_or(|other| other.may_be(&inner));
                if fits { (*inner).clone() } else { Type::Dyn }
            }
            (Self::OptionalFirst, first) => Type::optional(first),
            (Self::OptionalItem, Type::List(item)) => Type::optional((*item).clone()),
            (Self::OptionalItem, _) => Type::optional(Type::Dyn),
            (Self::Held, Type::List(item)) => match &*item {
                Type::Optional(held) => Type::list((**held).clone()),
                _ => Type::list(Type::Dyn),
            },
            (Self::Held | Self::Anys, _) => Type::list(Type::Dyn),
            (Self::Dyn | Self::Item | Self::Inner, _) => Type::Dyn,
        }
    }
}

impl<'v> Call<'_, 'v> {
    /// The argument at an index; the table has made sure that it is a text.
    fn text(&self, index: usize) -> &str {
        match self.args.get(index) {
            Some(CelValue::Text(text)) => text.as_str(),
            _ => "",
        }
    }

    fn int(&self, index: usize) -> Option<i64> {
        match self.args.get(index) {
            Some(CelValue::Int(number)) => Some(*number),
            _ => None,
        }
    }

    /// The items of a list, paid for.
    fn items(&mut self, index: usize) -> Result<Vec<CelValue<'v>>, Failure> {
        match self.args.get(index) {
            Some(CelValue::List(list)) => {
                self.meter.spend(list.len())?;
                Ok(list.iter().collect())
            }
            _ => Ok(Vec::new()),
        }
    }
}
