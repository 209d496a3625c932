//! The value of a tree.

use std::collections::BTreeMap;
use std::rc::Rc;

use super::ast::{Access, CelNode, Expr};
use super::value::{CelKey, CelMap, CelText, CelValue, whole};
use super::{Failure, Meter, VariableValues, functions, operators};

pub(super) type Evaluated<'v> = Result<CelValue<'v>, Failure>;

/// The value of a tree in a scope.
pub(super) fn evaluate<'v>(
    root: &'v CelNode,
    scope: &dyn VariableValues<'v>,
    meter: &mut Meter,
) -> Evaluated<'v> {
    CelEvaluator { scope, meter, items: Vec::new() }.value(root)
}

pub(super) struct CelEvaluator<'e, 'v> {
    scope: &'e dyn VariableValues<'v>,
    pub(super) meter: &'e mut Meter,
    /// The items of the macros around, the innermost last.
    pub(super) items: Vec<(&'v str, CelValue<'v>)>,
}

impl<'v> CelEvaluator<'_, 'v> {
    pub(super) fn value(&mut self, node: &'v CelNode) -> Evaluated<'v> {
        self.meter.spend(1)?;
        match &node.expr {
            Expr::Null => Ok(CelValue::Null),
            Expr::Bool(value) => Ok(CelValue::Bool(*value)),
            Expr::Int(number) => Ok(CelValue::Int(*number)),
            Expr::Double(number) => Ok(CelValue::Double(*number)),
            Expr::Text(text) => Ok(CelValue::Text(CelText::Borrowed(text))),
            Expr::Name(name) => self.named(name),
            Expr::Derived(name) => self.scope.derived(name, self.meter),
            Expr::Select { of, field, mode } => self.select(of, field, *mode),
            Expr::Index { of, key, mode } => self.index(of, key, *mode),
            Expr::Not(of) => Ok(CelValue::Bool(!self.truth(of)?)),
            Expr::Negate(of) => operators::negate(&self.value(of)?),
            Expr::And(nodes) => self.absorb(nodes, false),
            Expr::Or(nodes) => self.absorb(nodes, true),
            Expr::Conditional(nodes) => {
                let [condition, yes, no] = &**nodes;
                if self.truth(condition)? { self.value(yes) } else { self.value(no) }
            }
            Expr::Binary(operator, nodes) => {
                let (left, right) = (self.value(&nodes[0])?, self.value(&nodes[1])?);
                operators::binary(*operator, &left, &right, self.meter)
            }
            Expr::List(nodes) => self.list(nodes),
            Expr::IfPresent(of) => self.value(of),
            Expr::Map(entries) => self.map(entries),
            Expr::Call { function, is_method, args, regex } => {
                let args = args.iter().map(|arg| self.value(arg)).collect::<Result<Vec<_>, _>>()?;
                functions::call(function, *is_method, &args, regex.as_deref(), self.meter)
            }
            Expr::Fold(folding) => self.fold(folding),
        }
    }

    pub(super) fn truth(&mut self, node: &'v CelNode) -> Result<bool, Failure> {
        match self.value(node)? {
            CelValue::Bool(value) => Ok(value),
            other => Err(Failure::new(format!("expected true or false, found {}", other.kind()))),
        }
    }

    fn named(&mut self, name: &'v str) -> Evaluated<'v> {
        if let Some((_, value)) = self.items.iter().rev().find(|(item, _)| *item == name) {
            return Ok(value.clone());
        }
        if let Some(kind) = functions::kind(name) {
            return Ok(CelValue::Kind(kind));
        }
        self.scope.variable(name, self.meter)
    }

    /// `&&` where `absorbing` is false, `||` where it is true: one such operand decides, whatever is wrong with the others.
    fn absorb(&mut self, nodes: &'v [CelNode], absorbing: bool) -> Evaluated<'v> {
        let mut failures = Failures::default();
        for node in nodes {
            match self.truth(node) {
                Ok(value) if value == absorbing => return Ok(CelValue::Bool(absorbing)),
                Ok(_) => {}
                Err(failure) => failures.note(failure)?,
            }
        }
        failures.unless_any(CelValue::Bool(!absorbing))
    }

    /// An item of a list or a map: none where it is an optional that is empty.
    fn present(&mut self, node: &'v CelNode) -> Result<Option<CelValue<'v>>, Failure> {
        match (&node.expr, self.value(node)?) {
            (Expr::IfPresent(_), CelValue::Optional(value)) => Ok(value.map(|value| (*value).clone())),
            (Expr::IfPresent(_), other) => {
                Err(Failure::new(format!("`?` takes an optional, not {}", other.kind())))
            }
            (_, value) => Ok(Some(value)),
        }
    }

    fn list(&mut self, nodes: &'v [CelNode]) -> Evaluated<'v> {
        let mut items = Vec::with_capacity(nodes.len());
        for node in nodes {
            items.extend(self.present(node)?);
        }
        Ok(CelValue::list(items))
    }

    fn map(&mut self, entries: &'v [(CelNode, CelNode)]) -> Evaluated<'v> {
        let mut map = BTreeMap::new();
        for (key, value) in entries {
            let key = self.value(key)?;
            let key = self.key(&key)?;
            if let Some(value) = self.present(value)? {
                map.insert(key, value);
            }
        }
        Ok(CelValue::Map(CelMap::made(map)))
    }

    /// The key that a value is for a map that is made.
    pub(super) fn key(&mut self, value: &CelValue<'v>) -> Result<CelKey<'v>, Failure> {
        if let CelValue::Text(text) = value {
            self.meter.spend_bytes(text.as_str().len())?;
        }
        CelKey::of(value).ok_or_else(|| Failure::new(format!("{} is not the key of a map", value.kind())))
    }

    fn select(&mut self, of: &'v CelNode, field: &str, mode: Access) -> Evaluated<'v> {
        let value = self.value(of)?;
        let (value, mode) = match unwrapped(value, mode) {
            Ok(unwrapped) => unwrapped,
            Err(nothing) => return Ok(nothing),
        };
        match &value {
            CelValue::Map(map) => found(map.get(field), mode, || format!("no field `{field}`")),
            // Only a list that is asked for a field is an error where it is asked whether there is one.
            CelValue::List(_) => Err(Failure::new(format!("{} has no field `{field}`", value.kind()))),
            _ => found(None, mode, || format!("{} has no field `{field}`", value.kind())),
        }
    }

    fn index(&mut self, of: &'v CelNode, key: &'v CelNode, mode: Access) -> Evaluated<'v> {
        let (value, key) = (self.value(of)?, self.value(key)?);
        let (value, mode) = match unwrapped(value, mode) {
            Ok(unwrapped) => unwrapped,
            Err(nothing) => return Ok(nothing),
        };
        if let CelValue::Map(map) = &value {
            if let CelValue::Text(key) = &key {
                self.meter.spend_bytes(key.as_str().len())?;
            }
            return found(map.find(&key), mode, || "no such key".to_owned());
        }
        match (&value, position(&key)) {
            (CelValue::List(list), Some(index)) => {
                let item = usize::try_from(index).ok().and_then(|index| list.get(index));
                found(item, mode, || format!("no item {index} in a list of {}", list.len()))
            }
            _ => Err(Failure::new(format!("no item of {} is named by {}", value.kind(), key.kind()))),
        }
    }
}

/// Reads a value as a position in a list.
fn position(value: &CelValue<'_>) -> Option<i64> {
    match value {
        CelValue::Int(index) => Some(*index),
        CelValue::Double(number) => whole(*number),
        _ => None,
    }
}

/// The value in an optional, from which what is selected is optional, too; the error is the value of one that is empty.
fn unwrapped(value: CelValue<'_>, mode: Access) -> Result<(CelValue<'_>, Access), CelValue<'_>> {
    match value {
        CelValue::Optional(None) if mode == Access::Test => Err(CelValue::Bool(false)),
        CelValue::Optional(None) => Err(CelValue::Optional(None)),
        CelValue::Optional(Some(inner)) => {
            Ok(((*inner).clone(), if mode == Access::Test { mode } else { Access::Optional }))
        }
        value => Ok((value, mode)),
    }
}

fn found(value: Option<CelValue<'_>>, mode: Access, missing: impl Fn() -> String) -> Evaluated<'_> {
    match (mode, value) {
        (Access::Test, value) => Ok(CelValue::Bool(value.is_some())),
        (Access::Optional, value) => Ok(CelValue::Optional(value.map(Rc::new))),
        (Access::Plain, Some(value)) => Ok(value),
        (Access::Plain, None) => Err(Failure::new(missing())),
    }
}

/// The failure of operands that do not decide the result. An unknown value counts for more than an error: it may still decide.
#[derive(Default)]
pub(super) struct Failures(Option<Failure>);

impl Failures {
    /// An evaluation that has become too costly ends at once.
    pub(super) fn note(&mut self, failure: Failure) -> Result<(), Failure> {
        match (&failure, &self.0) {
            (Failure::TooCostly, _) => return Err(failure),
            (Failure::Unknown(_), Some(Failure::Error(_))) | (_, None) => self.0 = Some(failure),
            _ => {}
        }
        Ok(())
    }

    pub(super) fn unless_any(self, value: CelValue<'_>) -> Evaluated<'_> {
        self.0.map_or(Ok(value), Err)
    }
}
