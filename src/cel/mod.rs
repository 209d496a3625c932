//! The Common Expression Language, as far as policies need it: parsed, typed and metered.
//!
//! An expression is checked when it is compiled: syntax, names, fields and types, each error with its place. It is evaluated over
//! JSON without copying it, and a [`Meter`] ends what costs too much.
//!
//! Neither crate for CEL does this. `cel` has no meter, so that nested comprehensions over an object that users write can take
//! hours, knows no types before it runs, and its parser recurses as deep as an expression is long; `kube-cel` rests on an old
//! version of it.
//!
//! What it says of an expression is what an API server says: `tests/cel/answers.txt` has the answers of one. Left out: bytes,
//! unsigned numbers, URLs, protobuf messages, the names of time zones.

mod addresses;
mod ast;
mod check;
mod errors;
mod estimate;
mod evaluate;
mod fold;
mod functions;
mod lexer;
mod macros;
mod meter;
mod numbers;
mod operators;
mod parser;
mod pattern;
mod quantity;
mod strings;
mod times;
mod types;
mod value;
mod versions;

use std::collections::BTreeSet;

pub use ast::{LONGEST, Program};
pub use errors::{CompileError, Failure};
pub use meter::Meter;
pub(crate) use quantity::Quantity;
pub use types::{ObjectFields, Type, type_of_json};
pub use value::CelValue;

/// The variables that an expression may use, with their types.
pub trait VariableTypes {
    /// The type of a variable; `None` where there is none of this name.
    fn variable(&self, name: &str) -> Option<Type>;
    /// The type of `variables.NAME`.
    fn derived(&self, name: &str) -> Option<Type>;
    /// All variables, for messages.
    fn all(&self) -> Vec<String>;
}

/// The values of variables, each asked for only where an expression comes to it.
pub trait VariableValues<'v> {
    fn variable(&self, name: &str, meter: &mut Meter) -> Result<CelValue<'v>, Failure>;
    fn derived(&self, name: &str, meter: &mut Meter) -> Result<CelValue<'v>, Failure>;
}

impl Program {
    /// Compiles an expression that is to give a value of type `wanted`.
    pub fn compile(text: &str, names: &dyn VariableTypes, wanted: &Type) -> Result<Self, CompileError> {
        let root = parser::parse(text)?;
        let found = check::check(&root, names)?;
        if !found.may_be(wanted) {
            let message = format!("the expression is to give {wanted}, and gives {found}");
            return Err(CompileError { offset: root.start, message });
        }
        estimate::check(&root)?;
        Ok(Self { root, gives: found })
    }

    /// How deep its evaluation recurses.
    pub fn height(&self) -> usize {
        self.root.height.into()
    }

    /// The type of the result.
    pub fn gives(&self) -> &Type {
        &self.gives
    }

    /// The value of the expression.
    pub fn evaluate<'v>(
        &'v self,
        scope: &dyn VariableValues<'v>,
        meter: &mut Meter,
    ) -> Result<CelValue<'v>, Failure> {
        evaluate::evaluate(&self.root, scope, meter)
    }

    /// The variables that it reads, and as `variables.NAME` those that the policy defines.
    pub fn reads(&self) -> BTreeSet<String> {
        let mut reads = BTreeSet::new();
        self.root.collect_reads(&mut Vec::new(), &mut reads);
        reads
    }
}

#[cfg(test)]
mod tests;
