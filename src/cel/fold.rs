//! Macros that go through lists and maps.

use super::Failure;
use super::ast::{Fold, Folding};
use super::evaluate::{Evaluated, Evaluator, Failures};
use super::value::{List, Value};

impl<'v> Evaluator<'_, 'v> {
    pub(super) fn fold(&mut self, folding: &'v Folding) -> Evaluated<'v> {
        let over = self.items_of(&folding.over)?;
        match folding.kind {
            Fold::All => self.any(folding, &over, false),
            Fold::Exists => self.any(folding, &over, true),
            Fold::ExistsOne => self.exactly_one(folding, &over),
            Fold::Map => self.mapped(folding, &over),
            Fold::Filter => self.filtered(folding, &over),
        }
    }

    /// Evaluates with `item` in scope.
    fn with<T>(
        &mut self,
        folding: &'v Folding,
        item: Value<'v>,
        evaluate: impl FnOnce(&mut Self) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        self.meter.spend(1)?;
        self.items.push((&folding.item, item));
        let evaluated = evaluate(self);
        self.items.pop();
        evaluated
    }

    /// Whether the body is `deciding` for one item, which then decides, whatever is wrong with the others.
    fn any(&mut self, folding: &'v Folding, over: &List<'v>, deciding: bool) -> Evaluated<'v> {
        let mut failures = Failures::default();
        for item in over.iter() {
            match self.with(folding, item, |evaluator| evaluator.truth(&folding.body)) {
                Ok(value) if value == deciding => return Ok(Value::Bool(deciding)),
                Ok(_) => {}
                Err(failure) => failures.note(failure)?,
            }
        }
        failures.unless_any(Value::Bool(!deciding))
    }

    fn exactly_one(&mut self, folding: &'v Folding, over: &List<'v>) -> Evaluated<'v> {
        let mut found = 0;
        for item in over.iter() {
            found += u64::from(self.with(folding, item, |evaluator| evaluator.truth(&folding.body))?);
        }
        Ok(Value::Bool(found == 1))
    }

    fn mapped(&mut self, folding: &'v Folding, over: &List<'v>) -> Evaluated<'v> {
        let mut made = Vec::new();
        for item in over.iter() {
            let value = self.with(folding, item, |evaluator| {
                let is_taken = folding.condition.as_ref().map(|condition| evaluator.truth(condition));
                if is_taken.transpose()? == Some(false) {
                    return Ok(None);
                }
                evaluator.value(&folding.body).map(Some)
            });
            made.extend(value?);
        }
        Ok(Value::list(made))
    }

    fn filtered(&mut self, folding: &'v Folding, over: &List<'v>) -> Evaluated<'v> {
        let mut made = Vec::new();
        for item in over.iter() {
            if self.with(folding, item.clone(), |evaluator| evaluator.truth(&folding.body))? {
                made.push(item);
            }
        }
        Ok(Value::list(made))
    }
}
