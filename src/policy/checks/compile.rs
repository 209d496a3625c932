//! From the checks of a document to compiled ones.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::document::{CheckDocument, CheckVariable, CheckedResource};
use super::names::CheckNames;
use super::{Check, Checks};
use crate::cel::{CompileError, Program, Type, type_of_json};
use crate::policy::PolicyError;
use crate::verdict::{Level, RuleId};

/// Bounds on what one policy holds, so that its checks cannot cost more than a review may take.
const MOST_CHECKS: usize = 100;
const MOST_VARIABLES: usize = 32;
const MOST_CONDITIONS: usize = 16;
/// How deep an expression may be with the variables that it reads, and the variables that these read.
const MAX_DEPTH: usize = 128;

/// The checks of a policy, as written.
pub(in crate::policy) struct Written<'p> {
    pub(in crate::policy) policy: &'p str,
    pub(in crate::policy) cap: Level,
    pub(in crate::policy) variables: Vec<CheckVariable>,
    pub(in crate::policy) params: Map<String, Value>,
    pub(in crate::policy) checks: Vec<CheckDocument>,
}

/// Compiles them. An error names the field, and the place in the expression that is its value.
pub(in crate::policy) fn compile(written: Written<'_>) -> Result<Checks, PolicyError> {
    let Written { policy, cap, variables, params, checks } = written;
    bounded("/spec/checks", checks.len(), MOST_CHECKS)?;
    bounded("/spec/variables", variables.len(), MOST_VARIABLES)?;
    let params = Value::Object(params);
    let params_type = type_of_json(&params, "params");
    let resources: BTreeSet<CheckedResource> =
        checks.iter().flat_map(|check| &check.resources).copied().collect();
    let names = |resource| CheckNames { resource, params: &params_type, variables: BTreeMap::new() };
    let mut all: Vec<CheckNames<'_>> = resources.into_iter().map(names).collect();
    if all.is_empty() {
        all.push(names(CheckedResource::Sets));
    }
    let variables = compile_variables(&variables, &mut all)?;
    let mut list = Vec::new();
    for (index, document) in checks.into_iter().enumerate() {
        let at = format!("/spec/checks/{index}");
        if list.iter().any(|other: &Check| other.id.as_str() == format!("{policy}/{}", document.name)) {
            return Err(error(format!("{at}/name"), format!("there are two checks {:?}", document.name)));
        }
        let names = all.iter().filter(|of| document.resources.contains(&of.resource)).collect();
        let compiler = CheckCompiler { at, names, variables: &variables };
        list.push(compiler.check(policy, cap, document)?);
    }
    let read_raw_sets = list.iter().any(Check::reads_raw_set);
    Ok(Checks { variables, params, list, read_raw_sets })
}

fn error(pointer: impl Into<String>, message: impl Into<String>) -> PolicyError {
    PolicyError { pointer: pointer.into(), message: message.into(), offset: None }
}

fn bounded(pointer: &str, length: usize, most: usize) -> Result<(), PolicyError> {
    if length <= most {
        return Ok(());
    }
    Err(error(pointer, format!("a policy has at most {most}; this one has {length}")))
}

/// A variable is typed for each resource; one that makes no sense for one of them is only not there for its checks.
fn compile_variables(
    variables: &[CheckVariable],
    all: &mut [CheckNames<'_>],
) -> Result<Vec<(Box<str>, Program)>, PolicyError> {
    let mut compiled: Vec<(Box<str>, Program)> = Vec::new();
    for (index, variable) in variables.iter().enumerate() {
        let at = |field: &str| format!("/spec/variables/{index}/{field}");
        named(&variable.name, at("name"))?;
        if compiled.iter().any(|(name, _)| **name == *variable.name) {
            return Err(error(at("name"), format!("there are two variables {:?}", variable.name)));
        }
        let mut first_error = None;
        let mut program = None;
        for names in &mut *all {
            match Program::compile(&variable.expression, names, &Type::Dyn) {
                Ok(typed) => {
                    names.variables.insert(variable.name.as_str().into(), typed.gives().clone());
                    program = Some(typed);
                }
                Err(error) => first_error = first_error.or(Some(error)),
            }
        }
        match (program, first_error) {
            (Some(program), _) => {
                shallow(&program, &compiled, at("expression"))?;
                compiled.push((variable.name.as_str().into(), program));
            }
            (None, Some(error)) => return Err(located(error, at("expression"))),
            (None, None) => {}
        }
    }
    Ok(compiled)
}

/// Refuses an expression whose evaluation would recurse too deep.
fn shallow(program: &Program, variables: &[(Box<str>, Program)], pointer: String) -> Result<(), PolicyError> {
    let mut depths: BTreeMap<String, usize> = BTreeMap::new();
    let depth = |program: &Program, depths: &BTreeMap<String, usize>| {
        let read = program.reads();
        program.height() + read.iter().filter_map(|name| depths.get(name)).max().copied().unwrap_or_default()
    };
    for (name, variable) in variables {
        let of_variable = depth(variable, &depths);
        depths.insert(format!("variables.{name}"), of_variable);
    }
    if depth(program, &depths) <= MAX_DEPTH {
        return Ok(());
    }
    Err(error(pointer, format!("with its variables the expression is more than {MAX_DEPTH} operations deep")))
}

fn named(name: &str, pointer: String) -> Result<(), PolicyError> {
    let is_name = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if is_name {
        return Ok(());
    }
    Err(error(pointer, format!("{name:?} is not a name for a variable; one is `claimSize`")))
}

fn located(CompileError { offset, message }: CompileError, pointer: String) -> PolicyError {
    PolicyError { pointer, message, offset: Some(offset) }
}

/// Compiles one check, for each resource that it looks at.
struct CheckCompiler<'c, 'p> {
    at: String,
    names: Vec<&'c CheckNames<'p>>,
    variables: &'c [(Box<str>, Program)],
}

impl CheckCompiler<'_, '_> {
    fn check(&self, policy: &str, cap: Level, document: CheckDocument) -> Result<Check, PolicyError> {
        let at = |field: &str| format!("{}/{field}", self.at);
        self.check_name(&document.name)?;
        if document.resources.is_empty() {
            return Err(error(at("resources"), "`resources` is empty, so the check looks at nothing"));
        }
        bounded(&at("matchConditions"), document.match_conditions.len(), MOST_CONDITIONS)?;
        let expression = self.program(&document.expression, "expression", &Type::Bool)?;
        let conditions = document
            .match_conditions
            .iter()
            .enumerate()
            .map(|(index, condition)| {
                self.program(
                    &condition.expression,
                    &format!("matchConditions/{index}/expression"),
                    &Type::Bool,
                )
            })
            .collect::<Result<Vec<_>, _>>()?;
        let message_expression = document.message_expression.as_deref();
        let message_expression =
            message_expression.map(|text| self.program(text, "messageExpression", &Type::Text));
        let message_expression = message_expression.transpose()?;
        let path = document.path.unwrap_or_else(|| "/spec".to_owned());
        if !path.is_empty() && !path.starts_with('/') {
            let message = format!("{path:?} is not a JSON pointer; one is /spec/replicas");
            return Err(error(at("path"), message));
        }
        let programs = conditions.iter().chain([&expression]).chain(&message_expression);
        let reads = reads(programs, self.variables);
        let holds = format!("change it so that this holds: {}", document.expression.trim());
        let fails = format!("the check {} of policy {policy} fails", document.name);
        Ok(Check {
            id: RuleId::of_check(policy, &document.name),
            resources: document.resources,
            conditions,
            expression,
            message: document.message.unwrap_or(fails).into(),
            message_expression,
            remedy: document.remedy.unwrap_or(holds).into(),
            path: path.into(),
            level: document.level.min(cap),
            failure_policy: document.failure_policy,
            reads,
        })
    }

    fn check_name(&self, name: &str) -> Result<(), PolicyError> {
        let is_part = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        let is_name = (1..=63).contains(&name.len()) && name.chars().all(is_part) && !name.starts_with('-');
        if is_name && !name.ends_with('-') {
            return Ok(());
        }
        let message = format!("{name:?} is not a name for a check; one is `storage-class`");
        Err(error(format!("{}/name", self.at), message))
    }

    fn program(&self, text: &str, field: &str, wanted: &Type) -> Result<Program, PolicyError> {
        let mut compiled = None;
        for names in &self.names {
            let program = Program::compile(text, *names, wanted);
            compiled = Some(program.map_err(|error| located(error, format!("{}/{field}", self.at)))?);
        }
        let program = compiled.ok_or_else(|| error(self.at.clone(), "the check looks at no resource"))?;
        shallow(&program, self.variables, format!("{}/{field}", self.at))?;
        Ok(program)
    }
}

/// The variables that some programs read, also through other variables. A variable reads only variables before it.
fn reads<'p>(
    programs: impl Iterator<Item = &'p Program>,
    variables: &[(Box<str>, Program)],
) -> BTreeSet<String> {
    let mut reads: BTreeSet<String> = programs.flat_map(Program::reads).collect();
    for (name, program) in variables.iter().rev() {
        if reads.contains(&format!("variables.{name}")) {
            reads.extend(program.reads());
        }
    }
    reads
}
