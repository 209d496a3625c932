//! Names and types, before an expression is evaluated.

use std::sync::Arc;

use super::ast::{Access, CelNode, CelOperator, Expr, Fold, Folding};
use super::types::{ObjectFields, Type};
use super::{CompileError, VariableTypes, functions};
use crate::model::did_you_mean;

type TypeResult = Result<Type, CompileError>;

/// The type of what the tree gives.
pub(super) fn check(root: &CelNode, names: &dyn VariableTypes) -> TypeResult {
    Checker { names, items: Vec::new() }.of(root)
}

struct Checker<'n> {
    names: &'n dyn VariableTypes,
    /// The items of the macros around, the innermost last.
    items: Vec<(&'n str, Type)>,
}

fn wrong<T>(node: &CelNode, message: impl Into<String>) -> Result<T, CompileError> {
    Err(CompileError { offset: node.start, message: message.into() })
}

impl<'n> Checker<'n> {
    fn of(&mut self, node: &'n CelNode) -> TypeResult {
        match &node.expr {
            Expr::Null => Ok(Type::Null),
            Expr::Bool(_) => Ok(Type::Bool),
            Expr::Int(_) => Ok(Type::Int),
            Expr::Double(_) => Ok(Type::Double),
            Expr::Text(_) => Ok(Type::Text),
            Expr::Name(name) => self.named(node, name),
            Expr::Derived(name) => self.derived(node, name),
            Expr::Select { of, field, mode } => self.select(node, of, field, *mode),
            Expr::Index { of, key, mode } => self.index(node, of, key, *mode),
            Expr::Not(of) => self.expect_bool(of, "`!`").map(|()| Type::Bool),
            Expr::Negate(of) => {
                let found = self.of(of)?;
                let is_number = found.may_be(&Type::Int) || found.may_be(&Type::Double);
                if is_number { Ok(found) } else { wrong(of, format!("`-` takes a number, not {found}")) }
            }
            Expr::And(nodes) => self.all_bool(nodes, "`&&`"),
            Expr::Or(nodes) => self.all_bool(nodes, "`||`"),
            Expr::Conditional(nodes) => {
                let [condition, yes, no] = &**nodes;
                self.expect_bool(condition, "the condition before `?`")?;
                let (yes, no) = (self.of(yes)?, self.of(no)?);
                Ok(yes.joined(&no))
            }
            Expr::Binary(operator, nodes) => {
                let (left, right) = (self.of(&nodes[0])?, self.of(&nodes[1])?);
                binary(node, *operator, &left, &right)
            }
            Expr::List(nodes) => self.list(nodes),
            Expr::IfPresent(of) => match self.of(of)? {
                Type::Optional(inner) => Ok((*inner).clone()),
                Type::Dyn => Ok(Type::Dyn),
                other => wrong(of, format!("`?` takes an optional, not {other}")),
            },
            Expr::Map(entries) => self.map(entries),
            Expr::Call { function, is_method, args, .. } => {
                let args = args.iter().map(|arg| self.of(arg)).collect::<Result<Vec<_>, _>>()?;
                let given = functions::check(function, *is_method, &args);
                given.map_err(|message| CompileError { offset: node.start, message })
            }
            Expr::Fold(folding) => self.fold(folding),
        }
    }

    fn named(&self, node: &CelNode, name: &str) -> TypeResult {
        if let Some((_, found)) = self.items.iter().rev().find(|(item, _)| *item == name) {
            return Ok(found.clone());
        }
        if functions::is_kind(name) {
            return Ok(Type::Kind);
        }
        self.names.variable(name).map_or_else(
            || {
                let all = self.names.all();
                let meant = did_you_mean(name, all.iter().map(String::as_str));
                let message = format!("there is no variable `{name}`{meant}; there are {}", all.join(", "));
                wrong(node, message)
            },
            Ok,
        )
    }

    fn derived(&self, node: &CelNode, name: &str) -> TypeResult {
        let message = || format!("the policy defines no variable `{name}` in `variables` before this");
        self.names.derived(name).map_or_else(|| wrong(node, message()), Ok)
    }

    fn select(&mut self, node: &CelNode, of: &'n CelNode, field: &str, mode: Access) -> TypeResult {
        let found = self.of(of)?;
        let (found, is_optional) = match found {
            Type::Optional(inner) => ((*inner).clone(), true),
            found => (found, mode == Access::Optional),
        };
        let value = match &found {
            Type::Dyn => Type::Dyn,
            Type::Map(value) => (**value).clone(),
            Type::Object(fields) => member(node, fields, field)?,
            other => return wrong(node, format!("{other} has no fields, so there is no `{field}`")),
        };
        Ok(match mode {
            Access::Test => Type::Bool,
            _ if is_optional => Type::optional(value),
            _ => value,
        })
    }

    fn index(&mut self, node: &CelNode, of: &'n CelNode, key: &'n CelNode, mode: Access) -> TypeResult {
        let (found, key_type) = (self.of(of)?, self.of(key)?);
        let (found, is_optional) = match found {
            Type::Optional(inner) => ((*inner).clone(), true),
            found => (found, mode == Access::Optional),
        };
        let (value, wanted) = match &found {
            Type::Dyn => (Type::Dyn, Type::Dyn),
            Type::List(item) => ((**item).clone(), Type::Int),
            Type::Map(value) => ((**value).clone(), Type::Text),
            Type::Object(fields) => match &key.expr {
                Expr::Text(field) => (member(key, fields, field)?, Type::Text),
                _ => (Type::Dyn, Type::Text),
            },
            other => return wrong(node, format!("{other} has no items")),
        };
        if !key_type.may_be(&wanted) {
            return wrong(key, format!("an item of {found} is named by {wanted}, not by {key_type}"));
        }
        Ok(if is_optional { Type::optional(value) } else { value })
    }

    fn all_bool(&mut self, nodes: &'n [CelNode], operator: &str) -> TypeResult {
        for node in nodes {
            self.expect_bool(node, operator)?;
        }
        Ok(Type::Bool)
    }

    fn expect_bool(&mut self, node: &'n CelNode, what: &str) -> Result<(), CompileError> {
        let found = self.of(node)?;
        if found.may_be(&Type::Bool) {
            return Ok(());
        }
        wrong(node, format!("{what} takes true or false, not {found}"))
    }

    fn list(&mut self, nodes: &'n [CelNode]) -> TypeResult {
        let mut joined: Option<Type> = None;
        for node in nodes {
            let found = self.of(node)?;
            joined = Some(joined.map_or_else(|| found.clone(), |joined| joined.joined(&found)));
        }
        Ok(Type::list(joined.unwrap_or(Type::Dyn)))
    }

    fn map(&mut self, entries: &'n [(CelNode, CelNode)]) -> TypeResult {
        let (mut joined, mut are_texts) = (None::<Type>, true);
        for (key, value) in entries {
            let key_type = self.of(key)?;
            are_texts &= key_type == Type::Text;
            if ![Type::Text, Type::Int, Type::Bool].iter().any(|wanted| key_type.may_be(wanted)) {
                return wrong(key, format!("{key_type} is not the key of a map"));
            }
            let found = self.of(value)?;
            joined = Some(joined.map_or_else(|| found.clone(), |joined| joined.joined(&found)));
        }
        // The value types of maps with other keys are not followed.
        Ok(if are_texts { Type::map(joined.unwrap_or(Type::Dyn)) } else { Type::Dyn })
    }

    fn fold(&mut self, folding: &'n Folding) -> TypeResult {
        let over = self.of(&folding.over)?;
        let (first, second) = match (folding.kind, &over) {
            (_, Type::Dyn) => (Type::Dyn, Type::Dyn),
            (Fold::OptMap | Fold::OptFlatMap, Type::Optional(item)) => ((**item).clone(), Type::Dyn),
            (Fold::OptMap | Fold::OptFlatMap, other) => {
                return wrong(&folding.over, format!("expected an optional, found {other}"));
            }
            (_, Type::List(item)) if folding.second.is_some() => (Type::Int, (**item).clone()),
            (_, Type::List(item)) => ((**item).clone(), Type::Dyn),
            (_, Type::Map(value)) => (Type::Text, (**value).clone()),
            (_, Type::Object(_)) => (Type::Text, Type::Dyn),
            (_, other) => {
                return wrong(&folding.over, format!("expected a list or a map, found {other}"));
            }
        };
        let names = self.items.len();
        self.items.push((&folding.item, first.clone()));
        self.items.extend(folding.second.as_deref().map(|name| (name, second)));
        let given = self.folded(folding, first);
        self.items.truncate(names);
        given
    }

    fn folded(&mut self, folding: &'n Folding, first: Type) -> TypeResult {
        if let Some(condition) = &folding.condition {
            self.expect_bool(condition, "the condition of the macro")?;
        }
        Ok(match folding.kind {
            Fold::All | Fold::Exists | Fold::ExistsOne | Fold::Filter => {
                self.expect_bool(&folding.body, "the last argument of the macro")?;
                if folding.kind == Fold::Filter { Type::list(first) } else { Type::Bool }
            }
            Fold::Map => Type::list(self.of(&folding.body)?),
            Fold::SortBy => {
                self.of(&folding.body)?;
                Type::list(first)
            }
            Fold::TransformMap if first == Type::Text => Type::map(self.of(&folding.body)?),
            Fold::TransformMap => {
                self.of(&folding.body)?;
                Type::Dyn
            }
            Fold::OptMap => Type::optional(self.of(&folding.body)?),
            Fold::TransformMapEntry | Fold::OptFlatMap => self.of(&folding.body)?,
        })
    }
}

/// The type of a field. A newer version of Kubernetes may have more: `dyn()` leaves fields unchecked.
fn member(node: &CelNode, fields: &Arc<ObjectFields>, field: &str) -> TypeResult {
    fields.fields.get(field).cloned().map_or_else(
        || {
            let meant = did_you_mean(field, fields.fields.keys().map(|key| &**key));
            wrong(node, format!("{} has no field `{field}`{meant}", fields.name))
        },
        Ok,
    )
}

fn binary(node: &CelNode, operator: CelOperator, left: &Type, right: &Type) -> TypeResult {
    let refuse = || wrong(node, format!("`{}` does not work on {left} and {right}", operator.symbol()));
    let is_number = |found: &Type| matches!(found, Type::Int | Type::Double | Type::Dyn);
    let are_numbers = is_number(left) && is_number(right);
    match operator {
        // Numbers of both sorts are compared, and whatever may be null is compared with null.
        CelOperator::Equal | CelOperator::NotEqual => {
            let may_be_equal = are_numbers
                || left.may_be(right)
                || [left, right].into_iter().any(|side| *side == Type::Null);
            if may_be_equal { Ok(Type::Bool) } else { refuse() }
        }
        CelOperator::Less | CelOperator::LessOrEqual | CelOperator::Greater | CelOperator::GreaterOrEqual => {
            let is_ordered = |found: &Type| {
                matches!(found, Type::Text | Type::Bool | Type::Duration | Type::Timestamp | Type::Dyn)
            };
            let are_ordered = are_numbers || (is_ordered(left) && is_ordered(right) && left.may_be(right));
            if are_ordered { Ok(Type::Bool) } else { refuse() }
        }
        CelOperator::In => match right {
            Type::Dyn => Ok(Type::Bool),
            Type::List(item) if left.may_be(item) || (is_number(left) && is_number(item)) => Ok(Type::Bool),
            Type::Map(_) | Type::Object(_) if left.may_be(&Type::Text) => Ok(Type::Bool),
            _ => refuse(),
        },
        CelOperator::Add => match (left, right) {
            (Type::Text, Type::Text | Type::Dyn) | (Type::Dyn, Type::Text) => Ok(Type::Text),
            (Type::List(_), Type::List(_)) => Ok(left.clone().joined(right)),
            (Type::List(_), Type::Dyn) | (Type::Dyn, Type::List(_)) => Ok(Type::list(Type::Dyn)),
            _ => arithmetic(left, right).or_else(|| times(operator, left, right)).map_or_else(refuse, Ok),
        },
        CelOperator::Subtract => {
            arithmetic(left, right).or_else(|| times(operator, left, right)).map_or_else(refuse, Ok)
        }
        CelOperator::Remainder if *left == Type::Double || *right == Type::Double => refuse(),
        _ => arithmetic(left, right).map_or_else(refuse, Ok),
    }
}

/// Whole numbers and others do not mix in sums, as in every CEL.
fn arithmetic(left: &Type, right: &Type) -> Option<Type> {
    match (left, right) {
        (Type::Int, Type::Int | Type::Dyn) | (Type::Dyn, Type::Int) => Some(Type::Int),
        (Type::Double, Type::Double | Type::Dyn) | (Type::Dyn, Type::Double) => Some(Type::Double),
        (Type::Dyn, Type::Dyn) => Some(Type::Dyn),
        _ => None,
    }
}

/// Sums and differences of times and durations.
fn times(operator: CelOperator, left: &Type, right: &Type) -> Option<Type> {
    match (operator, left, right) {
        (_, Type::Duration, Type::Duration) | (CelOperator::Subtract, Type::Timestamp, Type::Timestamp) => {
            Some(Type::Duration)
        }
        (_, Type::Timestamp, Type::Duration) | (CelOperator::Add, Type::Duration, Type::Timestamp) => {
            Some(Type::Timestamp)
        }
        (_, Type::Duration | Type::Timestamp, Type::Dyn)
        | (_, Type::Dyn, Type::Duration | Type::Timestamp) => Some(Type::Dyn),
        _ => None,
    }
}
