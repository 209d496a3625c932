//! The checks of policies on one StatefulSet.

use std::cell::RefCell;
use std::collections::BTreeMap;

use serde_json::Value as Json;

use super::Evaluator;
use super::evaluation::{Evaluation, finding_of};
use super::facts::{CheckFacts, LookedUpObjects, request, scale};
use crate::cel::{CelValue, Failure, Meter, Program, VariableValues};
use crate::change::{RawObject, RawObjects};
use crate::model::Object;
use crate::policy::{Check, CheckedResource, Checks, FailurePolicy, Policy};
use crate::rules::{FieldPlace, SetContext, Trigger, Violation};
use crate::verdict::{Finding, Level};

/// The cost limit of one check: some 10 ms. No useful expression takes a hundredth of it.
const STEPS_OF_CHECK: u64 = 200_000;
/// The cost limit of all checks on one change together: some 100 ms.
const STEPS_OF_CHANGE: u64 = 2_000_000;

/// The result of a check.
enum CheckOutcome {
    Passes,
    Fails(String),
    /// An expression has no value.
    Failed(Failure),
    /// It depends on what is not known, and unknown never denies.
    NotJudged,
}

/// The parts of a request that are read, apart from its objects.
struct CheckRequest<'r> {
    resource: CheckedResource,
    raw: Option<&'r RawObjects>,
    request: Json,
    scales: [Option<Json>; 2],
}

impl<'a> Evaluator<'a> {
    /// The findings of all checks of policies that certainly apply.
    pub(super) fn checks(&self, evaluation: &Evaluation<'a>) -> Vec<Finding> {
        let resource = match evaluation.trigger {
            Trigger::Set => CheckedResource::Sets,
            Trigger::Scale => CheckedResource::Scale,
            _ => return Vec::new(),
        };
        let mut checks = evaluation.applicable.checks().peekable();
        if checks.peek().is_none() {
            return Vec::new();
        }
        let states = &evaluation.states;
        let is_scale = resource == CheckedResource::Scale;
        let set = states.after.set;
        let asked = CheckRequest {
            resource,
            raw: self.raw,
            request: request(set, evaluation.trigger, states.before.is_none(), self.requester, self.dry_run),
            scales: [states.before.as_ref(), Some(&states.after)]
                .map(|state| state.filter(|_| is_scale).map(scale)),
        };
        let mut steps = STEPS_OF_CHANGE;
        let looking =
            checks.filter(|(_, check)| check.level != Level::Off && check.resources.contains(&resource));
        looking
            .filter_map(|(policy, check)| self.check(policy, check, evaluation, &asked, &mut steps))
            .collect()
    }

    fn check(
        &self,
        policy: &Policy,
        check: &Check,
        evaluation: &Evaluation<'a>,
        asked: &CheckRequest<'_>,
        steps: &mut u64,
    ) -> Option<Finding> {
        let checks = policy.checks();
        let states = &evaluation.states;
        let (message, remedy, level) =
            match outcome(check, checks, &facts(&states.after, asked, checks, false), steps) {
                CheckOutcome::Passes | CheckOutcome::NotJudged => return None,
                CheckOutcome::Fails(message) => (message, check.remedy.to_string(), check.level),
                CheckOutcome::Failed(failure) => failed(policy, check, &failure),
            };
        let ratchets = level == Level::Deny && !check.is_about_step();
        let before = states.before.as_ref().filter(|_| ratchets);
        let already = before.is_some_and(|before| {
            !matches!(
                outcome(check, checks, &facts(before, asked, checks, true), steps),
                CheckOutcome::Passes
            )
        });
        let violation = Violation::new(FieldPlace::in_set(&*check.path), message, remedy);
        let subject = states.after.set.reference();
        let finding = finding_of(check.id.clone(), level, &subject, violation);
        let mut finding = evaluation.of_check(check, finding, already);
        let metadata = &states.after.set.metadata;
        finding.exempt_as(evaluation.applicable.exemption(check.id.as_str(), metadata, self.now));
        finding.may_be_exempted = evaluation.applicable.honours_annotations();
        Some(finding)
    }
}

/// The message about an expression that has no value.
fn failed(policy: &Policy, check: &Check, failure: &Failure) -> (String, String, Level) {
    let level = match check.failure_policy {
        FailurePolicy::Fail => check.level,
        FailurePolicy::Ignore => check.level.min(Level::Audit),
    };
    let message = format!("the check could not be evaluated: {failure}");
    let remedy = format!(
        "correct the check in policy {} (`has(…)` and `.?` ask for a field that may be missing), or the object",
        policy.name()
    );
    (message, remedy, level)
}

/// The facts before a change or after it. Before it there is no older object.
fn facts<'f, 'a>(
    context: &'f SetContext<'a>,
    asked: &'f CheckRequest<'_>,
    checks: &'f Checks,
    is_before: bool,
) -> CheckFacts<'f, 'a> {
    let [old, new] = match asked.resource {
        CheckedResource::Scale => {
            asked.scales.each_ref().map(|scale| scale.as_ref().map_or(RawObject::Absent, RawObject::Known))
        }
        CheckedResource::Sets => asked.raw.map_or([RawObject::Unknown; 2], RawObjects::both),
    };
    let (object, old_object) = if is_before { (old, RawObject::Absent) } else { (new, old) };
    CheckFacts {
        context,
        object,
        old_object,
        request: &asked.request,
        params: checks.params(),
        known: LookedUpObjects::default(),
    }
}

/// The variables of an expression, and those of its policy that have been evaluated.
struct CheckScope<'f, 'a> {
    facts: &'f CheckFacts<'f, 'a>,
    checks: &'f Checks,
    evaluated: RefCell<BTreeMap<String, CelValue<'f>>>,
}

impl<'f> VariableValues<'f> for CheckScope<'f, '_> {
    fn variable(&self, name: &str, _: &mut Meter) -> Result<CelValue<'f>, Failure> {
        self.facts.value(name)
    }

    fn derived(&self, name: &str, meter: &mut Meter) -> Result<CelValue<'f>, Failure> {
        if let Some(known) = self.evaluated.borrow().get(name) {
            return Ok(known.clone());
        }
        let Some(program) = self.checks.variable(name) else { return Ok(CelValue::Null) };
        let value = program.evaluate(self, meter)?;
        self.evaluated.borrow_mut().insert(name.to_owned(), value.clone());
        Ok(value)
    }
}

fn outcome<'f>(
    check: &'f Check,
    checks: &'f Checks,
    facts: &'f CheckFacts<'f, '_>,
    steps: &mut u64,
) -> CheckOutcome {
    let mut meter = Meter::new(STEPS_OF_CHECK.min(*steps));
    let allowed = meter.left();
    let scope = CheckScope { facts, checks, evaluated: RefCell::default() };
    let outcome = judged(check, &scope, &mut meter).unwrap_or_else(|failure| match failure {
        Failure::Unknown(_) => CheckOutcome::NotJudged,
        failure => CheckOutcome::Failed(failure),
    });
    *steps = steps.saturating_sub(allowed - meter.left());
    outcome
}

fn judged<'f>(
    check: &'f Check,
    scope: &CheckScope<'f, '_>,
    meter: &mut Meter,
) -> Result<CheckOutcome, Failure> {
    let mut failure = None;
    for condition in &check.conditions {
        match is_true(condition, scope, meter) {
            Ok(true) => {}
            Ok(false) => return Ok(CheckOutcome::Passes),
            Err(error) => failure = failure.or(Some(error)),
        }
    }
    if let Some(failure) = failure {
        return Err(failure);
    }
    if is_true(&check.expression, scope, meter)? {
        return Ok(CheckOutcome::Passes);
    }
    Ok(CheckOutcome::Fails(message(check, scope, meter)))
}

fn is_true<'f>(program: &'f Program, scope: &CheckScope<'f, '_>, meter: &mut Meter) -> Result<bool, Failure> {
    match program.evaluate(scope, meter)? {
        CelValue::Bool(value) => Ok(value),
        other => Err(Failure::Error(format!("the expression gives {}, not true or false", other.kind()))),
    }
}

/// The message of the expression for it, or the written one where that gives none.
fn message<'f>(check: &'f Check, scope: &CheckScope<'f, '_>, meter: &mut Meter) -> String {
    let made = check.message_expression.as_ref().map(|program| program.evaluate(scope, meter));
    match made {
        Some(Ok(CelValue::Text(text))) if !text.as_str().trim().is_empty() => text.as_str().trim().to_owned(),
        _ => check.message.to_string(),
    }
}
