//! Methods of lists, and lists as sets.

use std::cmp::Ordering;
use std::rc::Rc;

use super::super::operators::{binary, contains, order, sorted, unordered};
use super::super::value::CelValue;
use super::super::{Failure, ast::CelOperator};
use super::{ArgumentKind, Call, Evaluated, Function, Gives, global, method};

const ONE: &[ArgumentKind] = &[ArgumentKind::List];
const TWO: &[ArgumentKind] = &[ArgumentKind::List, ArgumentKind::List];
const AND_ITEM: &[ArgumentKind] = &[ArgumentKind::List, ArgumentKind::Any];

pub(super) const TABLE: &[Function] = &[
    method("isSorted", ONE, Gives::Bool, is_sorted),
    method("sum", ONE, Gives::Item, sum),
    method("min", ONE, Gives::Item, |call| extreme(call, Ordering::Less)),
    method("max", ONE, Gives::Item, |call| extreme(call, Ordering::Greater)),
    method("indexOf", AND_ITEM, Gives::Int, |call| index_of(call, false)),
    method("lastIndexOf", AND_ITEM, Gives::Int, |call| index_of(call, true)),
    method("slice", &[ArgumentKind::List, ArgumentKind::Int, ArgumentKind::Int], Gives::First, slice),
    method("distinct", ONE, Gives::First, distinct),
    method("sort", ONE, Gives::First, sort),
    method("reverse", ONE, Gives::First, |call| {
        Ok(CelValue::list(call.items(0)?.into_iter().rev().collect()))
    }),
    Function {
        optional: 1,
        ..method("flatten", &[ArgumentKind::List, ArgumentKind::Int], Gives::Anys, flatten)
    },
    method("first", ONE, Gives::OptionalItem, |call| {
        Ok(CelValue::Optional(call.items(0)?.into_iter().next().map(Rc::new)))
    }),
    method("last", ONE, Gives::OptionalItem, |call| {
        Ok(CelValue::Optional(call.items(0)?.pop().map(Rc::new)))
    }),
    global("lists.range", &[ArgumentKind::Int], Gives::Ints, |call| {
        let end = call.int(0).unwrap_or_default().max(0);
        call.meter.spend(usize::try_from(end).unwrap_or(usize::MAX))?;
        Ok(CelValue::list((0..end).map(CelValue::Int).collect()))
    }),
    global("sets.contains", TWO, Gives::Bool, |call| is_part(call, 1, 0)),
    global("sets.equivalent", TWO, Gives::Bool, |call| match is_part(call, 1, 0)? {
        CelValue::Bool(true) => is_part(call, 0, 1),
        other => Ok(other),
    }),
    global("sets.intersects", TWO, Gives::Bool, intersects),
];

fn is_sorted<'v>(call: &mut Call<'_, 'v>) -> Evaluated<'v> {
    let items = call.items(0)?;
    for pair in items.windows(2) {
        let [one, next] = pair else { continue };
        match order(one, next, call.meter)? {
            Some(Ordering::Greater) => return Ok(CelValue::Bool(false)),
            Some(_) => {}
            None => return Err(unordered()),
        }
    }
    Ok(CelValue::Bool(true))
}

fn sum<'v>(call: &mut Call<'_, 'v>) -> Evaluated<'v> {
    let mut items = call.items(0)?.into_iter();
    let first = items.next().unwrap_or(CelValue::Int(0));
    items.try_fold(first, |sum, item| binary(CelOperator::Add, &sum, &item, call.meter))
}

fn extreme<'v>(call: &mut Call<'_, 'v>, wanted: Ordering) -> Evaluated<'v> {
    let mut items = call.items(0)?.into_iter();
    let mut extreme = items.next().ok_or_else(|| Failure::new("the list is empty"))?;
    for item in items {
        if order(&item, &extreme, call.meter)?.ok_or_else(unordered)? == wanted {
            extreme = item;
        }
    }
    Ok(extreme)
}

fn index_of<'v>(call: &mut Call<'_, 'v>, is_last: bool) -> Evaluated<'v> {
    let (items, wanted) = (call.items(0)?, call.args.get(1).cloned().unwrap_or(CelValue::Null));
    let mut found = -1;
    for (index, item) in (0_i64..).zip(&items) {
        if item.equals(&wanted, call.meter)? {
            found = index;
            if !is_last {
                break;
            }
        }
    }
    Ok(CelValue::Int(found))
}

fn slice<'v>(call: &mut Call<'_, 'v>) -> Evaluated<'v> {
    let items = call.items(0)?;
    let bound = |index: usize| call.int(index).and_then(|bound| usize::try_from(bound).ok());
    let part = bound(1).zip(bound(2)).and_then(|(from, to)| items.get(from..to));
    part.map(|part| CelValue::list(part.to_vec()))
        .ok_or_else(|| Failure::new("the slice is not within the list"))
}

fn sort<'v>(call: &mut Call<'_, 'v>) -> Evaluated<'v> {
    let items = call.items(0)?.into_iter().map(|item| (item, ())).collect();
    let items = sorted(items, call.meter)?;
    Ok(CelValue::list(items.into_iter().map(|(item, ())| item).collect()))
}

/// Lists in the list give their items, so many levels down.
fn flatten<'v>(call: &mut Call<'_, 'v>) -> Evaluated<'v> {
    let depth = call.int(1).unwrap_or(1);
    if depth < 0 {
        return Err(Failure::new("the depth is negative"));
    }
    let mut items = call.items(0)?;
    for _ in 0..depth {
        if !items.iter().any(|item| matches!(item, CelValue::List(_))) {
            break;
        }
        let mut flat = Vec::new();
        for item in items {
            match item {
                CelValue::List(list) => flat.extend(list.iter()),
                item => flat.push(item),
            }
        }
        call.meter.spend(flat.len())?;
        items = flat;
    }
    Ok(CelValue::list(items))
}

fn distinct<'v>(call: &mut Call<'_, 'v>) -> Evaluated<'v> {
    let mut kept: Vec<CelValue<'v>> = Vec::new();
    for item in call.items(0)? {
        let mut is_new = true;
        for known in &kept {
            is_new &= !known.equals(&item, call.meter)?;
        }
        if is_new {
            kept.push(item);
        }
    }
    Ok(CelValue::list(kept))
}

/// Whether all items of one list are in the other.
fn is_part<'v>(call: &mut Call<'_, 'v>, part: usize, whole: usize) -> Evaluated<'v> {
    let Some(whole) = call.args.get(whole) else { return Ok(CelValue::Bool(false)) };
    for item in call.items(part)? {
        if !contains(whole, &item, call.meter)? {
            return Ok(CelValue::Bool(false));
        }
    }
    Ok(CelValue::Bool(true))
}

fn intersects<'v>(call: &mut Call<'_, 'v>) -> Evaluated<'v> {
    let Some(other) = call.args.get(1) else { return Ok(CelValue::Bool(false)) };
    for item in call.items(0)? {
        if contains(other, &item, call.meter)? {
            return Ok(CelValue::Bool(true));
        }
    }
    Ok(CelValue::Bool(false))
}
