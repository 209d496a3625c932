//! Expressions, and what a real API server makes of them: `tests/cel/answers.txt`.

use serde_json::Value as Json;
use stateward::cel::{CelValue, Failure, Meter, Program, Type, VariableTypes, VariableValues};

#[path = "../support/answers.rs"]
#[allow(dead_code, reason = "not every helper is needed here")]
mod answers;

use answers::{Answer, Asked, asked, shown};

/// A StatefulSet of which nothing is known when an expression is compiled, as in a `ValidatingAdmissionPolicy`.
struct Object(Json);

impl VariableTypes for Object {
    fn variable(&self, name: &str) -> Option<Type> {
        ["object", "oldObject", "request"].contains(&name).then_some(Type::Dyn)
    }

    fn derived(&self, _: &str) -> Option<Type> {
        None
    }

    fn all(&self) -> Vec<String> {
        vec!["object".to_owned()]
    }
}

impl<'v> VariableValues<'v> for &'v Object {
    fn variable(&self, name: &str, _: &mut Meter) -> Result<CelValue<'v>, Failure> {
        Ok(self.0.get(name).map_or(CelValue::Null, Into::into))
    }

    fn derived(&self, _: &str, _: &mut Meter) -> Result<CelValue<'v>, Failure> {
        Ok(CelValue::Null)
    }
}

/// What our own evaluation says.
fn answer(expression: &str) -> Answer {
    let object: Json = serde_json::from_str(include_str!("../cel/object.json")).unwrap();
    let request = serde_json::json!({"operation": "CREATE", "namespace": "default", "dryRun": true});
    let object = Object(serde_json::json!({"object": object, "request": request}));
    let Ok(program) = Program::compile(&shown(expression), &object, &Type::Text) else {
        return Answer::Refused;
    };
    match program.evaluate(&&object, &mut Meter::new(200_000)) {
        Ok(CelValue::Text(text)) => Answer::Value(text.as_str().to_owned()),
        Ok(other) => panic!("{expression}: {other:?}"),
        Err(_) => Answer::Error,
    }
}

/// A value is the same, and what has no value there has none here. Where we differ on purpose the file says what we answer.
#[test]
fn expressions_have_the_values_that_an_api_server_gives_them() {
    let mut wrong = String::new();
    for Asked { expression, theirs, ours } in asked() {
        let found = answer(&expression);
        let expected = ours.as_ref().unwrap_or(&theirs);
        let is_same = found == *expected || !(found.is_value() || expected.is_value());
        if !is_same {
            wrong += &format!("{expression}\n  {theirs}\n  ours: {found}\n");
        } else if ours.is_some() && !(theirs.is_value() || expected.is_value()) {
            wrong += &format!("{expression}\n  no difference any more\n");
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

/// A sequence that is the same in every run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % limit.max(1)
    }

    fn of<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.below(items.len())]
    }

    /// An expression of which parts are gone, doubled, or from another one.
    fn spoilt(&mut self, asked: &[Asked]) -> String {
        let mut text: Vec<char> = self.of(asked).expression.chars().collect();
        for _ in 0..=self.below(3) {
            let other: Vec<char> = self.of(asked).expression.chars().collect();
            let from = self.below(other.len());
            let part = &other[from..from + self.below(other.len() - from + 1)];
            let at = self.below(text.len() + 1);
            let end = at + self.below((text.len() - at).min(3) + 1);
            let keeps = self.below(2) == 0;
            text.splice(at..if keeps { at } else { end }, part.iter().copied());
        }
        text.into_iter().collect()
    }
}

/// Whatever is written, it is refused, or ends with a value or without one.
#[test]
fn no_expression_panics() {
    let (asked, mut dice, mut values) = (asked(), Dice(1), 0);
    for _ in 0..4_000 {
        values += usize::from(answer(&dice.spoilt(&asked)).is_value());
    }
    assert!(values > 50, "{values}");
}
