//! Macros that go through lists, maps and optionals.

use std::collections::BTreeMap;
use std::rc::Rc;

use super::ast::{Fold, Folding};
use super::evaluate::{CelEvaluator, Evaluated, Failures};
use super::operators::sorted;
use super::value::{CelMap, CelValue};
use super::{Failure, Meter};

/// The variables of a macro in one step: the item of a list or the key of a map; where it has two names, the index and the item, or
/// the key and its value.
type FoldStep<'v> = (CelValue<'v>, Option<CelValue<'v>>);

impl<'v> CelEvaluator<'_, 'v> {
    pub(super) fn fold(&mut self, folding: &'v Folding) -> Evaluated<'v> {
        let over = self.value(&folding.over)?;
        if matches!(folding.kind, Fold::OptMap | Fold::OptFlatMap) {
            return self.within(folding, &over);
        }
        let steps = steps(&over, folding.second.is_some(), self.meter)?;
        match folding.kind {
            Fold::All => self.any(folding, steps, false),
            Fold::Exists => self.any(folding, steps, true),
            Fold::ExistsOne => self.exactly_one(folding, steps),
            Fold::Filter => self.filtered(folding, steps),
            Fold::SortBy => self.sorted_by(folding, steps),
            Fold::TransformMap => self.transformed(folding, steps),
            Fold::TransformMapEntry => self.entries(folding, steps),
            Fold::Map | Fold::OptMap | Fold::OptFlatMap => self.mapped(folding, steps),
        }
    }

    /// Evaluates with the names of the macro in scope.
    fn with<T>(
        &mut self,
        folding: &'v Folding,
        (first, second): FoldStep<'v>,
        evaluate: impl FnOnce(&mut Self) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        self.meter.spend(1)?;
        let names = self.items.len();
        self.items.push((&folding.item, first));
        self.items.extend(folding.second.as_deref().zip(second));
        let evaluated = evaluate(self);
        self.items.truncate(names);
        evaluated
    }

    /// Whether the body is `deciding` for one step, which then decides, whatever is wrong with the others.
    fn any(&mut self, folding: &'v Folding, steps: Vec<FoldStep<'v>>, deciding: bool) -> Evaluated<'v> {
        let mut failures = Failures::default();
        for step in steps {
            match self.with(folding, step, |evaluator| evaluator.truth(&folding.body)) {
                Ok(value) if value == deciding => return Ok(CelValue::Bool(deciding)),
                Ok(_) => {}
                Err(failure) => failures.note(failure)?,
            }
        }
        failures.unless_any(CelValue::Bool(!deciding))
    }

    fn exactly_one(&mut self, folding: &'v Folding, steps: Vec<FoldStep<'v>>) -> Evaluated<'v> {
        let mut found = 0;
        for step in steps {
            found += u64::from(self.with(folding, step, |evaluator| evaluator.truth(&folding.body))?);
        }
        Ok(CelValue::Bool(found == 1))
    }

    /// The value of the body, unless the condition is false.
    fn body(&mut self, folding: &'v Folding, step: FoldStep<'v>) -> Result<Option<CelValue<'v>>, Failure> {
        self.with(folding, step, |evaluator| {
            let is_taken = folding.condition.as_ref().map(|condition| evaluator.truth(condition));
            if is_taken.transpose()? == Some(false) {
                return Ok(None);
            }
            evaluator.value(&folding.body).map(Some)
        })
    }

    fn mapped(&mut self, folding: &'v Folding, steps: Vec<FoldStep<'v>>) -> Evaluated<'v> {
        let mut made = Vec::new();
        for step in steps {
            made.extend(self.body(folding, step)?);
        }
        Ok(CelValue::list(made))
    }

    fn filtered(&mut self, folding: &'v Folding, steps: Vec<FoldStep<'v>>) -> Evaluated<'v> {
        let mut made = Vec::new();
        for step in steps {
            let item = step.0.clone();
            if self.with(folding, step, |evaluator| evaluator.truth(&folding.body))? {
                made.push(item);
            }
        }
        Ok(CelValue::list(made))
    }

    fn sorted_by(&mut self, folding: &'v Folding, steps: Vec<FoldStep<'v>>) -> Evaluated<'v> {
        let mut made = Vec::new();
        for step in steps {
            let item = step.0.clone();
            made.push((self.with(folding, step, |evaluator| evaluator.value(&folding.body))?, item));
        }
        let made = sorted(made, self.meter)?;
        Ok(CelValue::list(made.into_iter().map(|(_, item)| item).collect()))
    }

    fn transformed(&mut self, folding: &'v Folding, steps: Vec<FoldStep<'v>>) -> Evaluated<'v> {
        let mut made = BTreeMap::new();
        for step in steps {
            let key = self.key(&step.0)?;
            if let Some(value) = self.body(folding, step)? {
                made.insert(key, value);
            }
        }
        Ok(CelValue::Map(CelMap::made(made)))
    }

    fn entries(&mut self, folding: &'v Folding, steps: Vec<FoldStep<'v>>) -> Evaluated<'v> {
        let mut made = BTreeMap::new();
        for step in steps {
            let Some(entries) = self.body(folding, step)? else { continue };
            for (key, value) in self::steps(&entries, true, self.meter)? {
                let key = self.key(&key)?;
                if made.insert(key, value.unwrap_or(CelValue::Null)).is_some() {
                    return Err(Failure::new("transformMapEntry() makes one key twice"));
                }
            }
        }
        Ok(CelValue::Map(CelMap::made(made)))
    }

    /// `optional.optMap(item, …)`
    fn within(&mut self, folding: &'v Folding, over: &CelValue<'v>) -> Evaluated<'v> {
        let item = match over {
            CelValue::Optional(Some(item)) => (**item).clone(),
            CelValue::Optional(None) => return Ok(CelValue::Optional(None)),
            other => return Err(Failure::new(format!("expected an optional, found {}", other.kind()))),
        };
        let value = self.with(folding, (item, None), |evaluator| evaluator.value(&folding.body))?;
        match (folding.kind, value) {
            (Fold::OptMap, value) => Ok(CelValue::Optional(Some(Rc::new(value)))),
            (_, value @ CelValue::Optional(_)) => Ok(value),
            (_, other) => Err(Failure::new(format!("optFlatMap() takes an optional, not {}", other.kind()))),
        }
    }
}

/// The elements that a macro iterates over, with their cost charged.
fn steps<'v>(over: &CelValue<'v>, both: bool, meter: &mut Meter) -> Result<Vec<FoldStep<'v>>, Failure> {
    match over {
        CelValue::List(list) => {
            meter.spend(list.len())?;
            let indexed = (0_i64..).map(CelValue::Int).zip(list.iter());
            let step = |(index, item)| if both { (index, Some(item)) } else { (item, None) };
            Ok(indexed.map(step).collect())
        }
        CelValue::Map(map) => {
            meter.spend(map.capacity())?;
            let value = |key: &CelValue<'v>| both.then(|| map.find(key)).flatten();
            Ok(map.keys().into_iter().map(|key| (key.clone(), value(&key))).collect())
        }
        other => Err(Failure::new(format!("expected a list or a map, found {}", other.kind()))),
    }
}
