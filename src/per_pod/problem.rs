//! Why a set does not have the Services it asks for, in words.

use serde::Deserialize;

use super::pods::{UnselectedPod, how_to_ask, how_to_label};
use crate::model::reason;

/// The type of the condition that says so on the set's status.
pub const CONDITION: &str = "stateward.dev/ServicePerPod";

/// Something that only a person can mend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The kind of problem, in kebab case.
    pub id: &'static str,
    /// The problem, and the edit that solves it.
    pub message: String,
}

/// The text of a condition.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct ConditionText {
    /// In camel case.
    pub reason: String,
    /// For people.
    pub message: String,
}

/// The problem of each Service that stands in the way of a pod's own.
pub const BLOCKED: &str = "service-per-pod-blocked";

/// A Service that was not made for the pod whose name it has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForeignService {
    pub name: String,
    pub uid: Box<str>,
}

/// Obstacles to single Services.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Blockers {
    /// Others' Services that have the names of pods.
    pub foreign: Vec<ForeignService>,
    /// The pods' names that no Service can have.
    pub unnamable: Vec<String>,
    /// The load balancers that keep the class they have.
    pub fixed_class: Vec<String>,
    /// Writes that the API server refuses, and its reasons.
    pub refused: Vec<(String, String)>,
    /// The pods that ask for the label that their Services select by and do not have it, and the label.
    pub unlabelled: Option<(Vec<String>, String)>,
    /// The pods that do not even ask for it.
    pub label_unset: Option<(Vec<String>, String)>,
    /// Why the API server does not let pods be labelled.
    pub label_refused: Option<String>,
}

impl Blockers {
    /// Adds what blocks another step.
    pub fn append(&mut self, other: Self) {
        let Self { foreign, unnamable, fixed_class, refused, unlabelled, label_unset, label_refused } = other;
        self.foreign.extend(foreign);
        self.unnamable.extend(unnamable);
        self.fixed_class.extend(fixed_class);
        self.refused.extend(refused);
        for (pods, more) in [(&mut self.unlabelled, unlabelled), (&mut self.label_unset, label_unset)] {
            match (pods, more) {
                (Some((names, _)), Some((more, _))) => names.extend(more),
                (pods, more @ Some(_)) => *pods = more,
                (_, None) => {}
            }
        }
        self.label_refused = self.label_refused.take().or(label_refused);
    }

    /// The problems they are.
    pub fn problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        let mut add = |id, names: &[String], message: &str| {
            if !names.is_empty() {
                problems.push(Problem { id, message: format!("Service {}: {message}", some(names)) });
            }
        };
        let foreign: Vec<String> = self.foreign.iter().map(|service| service.name.clone()).collect();
        add(
            BLOCKED,
            &foreign,
            "a Service of this name is there that was not made for the pod, and is left alone; delete it, and the pod's own \
             takes its place",
        );
        add(
            "service-per-pod-name-invalid",
            &self.unnamable,
            "no Service can have this pod's name, which has to have 63 characters at most, without dots; rename the set",
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
        problems.extend(self.pods_without_label());
        problems
    }

    /// Takes note of a pod that its Service does not select by `label`.
    pub fn add_unselected(&mut self, label: &str, pod: &UnselectedPod) {
        let pods = if pod.can_be_labelled { &mut self.unlabelled } else { &mut self.label_unset };
        let (names, _) = pods.get_or_insert_with(|| (Vec::new(), label.to_owned()));
        names.push(pod.name.clone());
    }

    /// Problems of pods: their Services exist and lead nowhere.
    fn pods_without_label(&self) -> impl Iterator<Item = Problem> {
        let unlabelled = self.unlabelled.iter().map(|(pods, label)| Problem {
            id: "service-per-pod-label-missing",
            message: format!(
                "Pod {}: its Service has no endpoint, because the pod does not have its name as the label {label}: it was created \
                 while Stateward's webhook was not called; {}{}",
                some(pods),
                how_to_label(label),
                self.label_refused.as_deref().map(|why| format!(" (it was refused: {why})")).unwrap_or_default()
            ),
        });
        let unset = self.label_unset.iter().map(|(pods, label)| Problem {
            id: "service-per-pod-label-unset",
            message: format!(
                "Pod {}: its Service has no endpoint, because the pod does not have its name as the label {label}; {}",
                some(pods),
                how_to_ask(label)
            ),
        });
        unlabelled.chain(unset)
    }
}

/// The Event's text for one foreign Service.
pub fn foreign_message(set: &str, service: &str) -> String {
    format!(
        "StatefulSet {set} asks for a Service of this name for its pod {service}; this one was not made for the pod and is left \
         alone, so that the pod has none of its own; delete it, and the pod's own takes its place"
    )
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
        None | Some(0) => shown,
        Some(more) => format!("{shown} and {more} more"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_blocks_two_steps_is_kept_of_both() {
        let blockers = |name: &str| Blockers {
            foreign: vec![ForeignService { name: name.to_owned(), uid: Box::default() }],
            unnamable: vec![name.to_owned()],
            fixed_class: vec![name.to_owned()],
            refused: vec![(name.to_owned(), "quota".to_owned())],
            unlabelled: Some((vec![name.to_owned()], "label".to_owned())),
            label_unset: Some((vec![name.to_owned()], "label".to_owned())),
            label_refused: Some("forbidden".to_owned()),
        };
        let mut both = Blockers::default();
        both.append(blockers("a"));
        assert_eq!(both, blockers("a"));
        both.append(blockers("b"));
        let problems = both.problems();
        assert_eq!(problems.len(), 6);
        assert!(problems.iter().all(|problem| problem.message.contains(" a, b: ")), "{problems:?}");
    }

    #[test]
    fn many_services_are_one_sentence() {
        let named = |ordinal| ForeignService { name: format!("web-{ordinal}"), uid: Box::default() };
        let blockers = Blockers { foreign: (0..7).map(named).collect(), ..Blockers::default() };
        let said = condition_text(&blockers.problems()).unwrap();
        assert_eq!(said.reason, "ServicePerPodBlocked");
        let start = "Service web-0, web-1, web-2, web-3, web-4 and 2 more: a Service of this name";
        assert!(said.message.starts_with(start), "{}", said.message);
        assert_eq!(super::condition_text(&[]), None);
    }
}
