//! Why a set does not have the Services it asks for, in words.

use serde::Deserialize;

use crate::model::reason;

/// The type of the condition that says so on the set's status.
pub const CONDITION: &str = "stateward.dev/ServicePerPod";

/// Something that only a person can mend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// What kind of problem, in kebab case.
    pub id: &'static str,
    /// What is wrong, and the edit that mends it.
    pub message: String,
}

/// What a condition says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct ConditionText {
    /// In camel case.
    pub reason: String,
    /// For people.
    pub message: String,
}

/// What stands in the way of single Services.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Blockers {
    /// The names that others' Services have.
    pub foreign: Vec<String>,
    /// The pods' names that no Service can have.
    pub unnamable: Vec<String>,
    /// The load balancers that keep the class they have.
    pub fixed_class: Vec<String>,
    /// What the API server will not do, and why.
    pub refused: Vec<(String, String)>,
}

impl Blockers {
    /// The problems they are.
    pub fn problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        let mut add = |id, names: &[String], message: &str| {
            if !names.is_empty() {
                problems.push(Problem { id, message: format!("{}: {message}", some(names)) });
            }
        };
        add(
            "service-per-pod-blocked",
            &self.foreign,
            "a Service of this name is there that was not made for the pod, and is left alone; delete it, and the pod's own \
             takes its place",
        );
        add(
            "service-per-pod-name-invalid",
            &self.unnamable,
            "no Service can have this pod's name, which has to begin with a letter and have 63 characters at most, without \
             dots; rename the set",
        );
        add(
            "service-per-pod-class-fixed",
            &self.fixed_class,
            "a load balancer keeps the loadBalancerClass it was made with; delete the Service, and it is made anew with the \
             policy's",
        );
        if let Some((_, reason)) = self.refused.first() {
            let names: Vec<String> = self.refused.iter().map(|(name, _)| name.clone()).collect();
            add("service-per-pod-refused", &names, &format!("the API server refuses it: {reason}"));
        }
        problems
    }
}

/// All problems as one condition; `None` where there are none.
pub fn condition_text(problems: &[Problem]) -> Option<ConditionText> {
    let first = problems.first()?;
    let messages: Vec<&str> = problems.iter().map(|problem| &*problem.message).collect();
    let message = messages.join("; ").chars().take(LONGEST).collect();
    Some(ConditionText { reason: reason(first.id), message })
}

/// Far less than the API server allows.
const LONGEST: usize = 2000;

/// The first few of many names.
fn some(names: &[String]) -> String {
    const FEW: usize = 5;
    let shown = names.iter().take(FEW).map(String::as_str).collect::<Vec<_>>().join(", ");
    match names.len().checked_sub(FEW) {
        None | Some(0) => format!("Service {shown}"),
        Some(more) => format!("Service {shown} and {more} more"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_services_are_one_sentence() {
        let names: Vec<String> = (0..7).map(|ordinal| format!("web-{ordinal}")).collect();
        let blockers = Blockers { foreign: names, ..Blockers::default() };
        let said = condition_text(&blockers.problems()).unwrap();
        assert_eq!(said.reason, "ServicePerPodBlocked");
        let start = "Service web-0, web-1, web-2, web-3, web-4 and 2 more: a Service of this name";
        assert!(said.message.starts_with(start), "{}", said.message);
        assert_eq!(super::condition_text(&[]), None);
    }
}
