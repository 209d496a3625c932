//! Results of lookups that many StatefulSets share.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ptr;
use std::rc::Rc;

use crate::model::{DisruptionBudget, Service};

/// Answers that cost a look at every StatefulSet of a namespace, kept while many of them are judged: without it one budget over
/// a thousand sets is a million looks. It holds for one snapshot, whose objects it tells apart by where they are in memory.
#[derive(Debug, Default)]
pub struct ViewMemory {
    expected: RefCell<BTreeMap<*const DisruptionBudget, i32>>,
    groups: RefCell<BTreeMap<*const Service, Names>>,
}

/// Names of StatefulSets.
type Names = Rc<[Box<str>]>;

impl ViewMemory {
    pub(super) fn expected_pods(&self, budget: &DisruptionBudget, count: impl FnOnce() -> i32) -> i32 {
        let key = ptr::from_ref(budget);
        if let Some(known) = self.expected.borrow().get(&key) {
            return *known;
        }
        let pods = count();
        self.expected.borrow_mut().insert(key, pods);
        pods
    }

    pub(super) fn group_behind(&self, service: &Service, find: impl FnOnce() -> Names) -> Names {
        let key = ptr::from_ref(service);
        if let Some(known) = self.groups.borrow().get(&key) {
            return Rc::clone(known);
        }
        let names = find();
        self.groups.borrow_mut().insert(key, Rc::clone(&names));
        names
    }
}
