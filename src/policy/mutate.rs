//! The additions that a policy asks for: `spec.mutate`.

use super::{Applicable, Certainty, Policies, Policy, PolicyError, document};
use crate::model::{POD_NAME_LABEL, is_given_by_controller, is_label_key, port_pairs};

/// `spec.mutate` of one policy.
#[derive(Debug)]
pub(super) struct PolicyMutation {
    service_per_pod: Option<ServicePerPodAnnotations>,
    pod_name_label: Option<String>,
}

/// The values of the annotations for one Service per pod.
#[derive(Debug, PartialEq, Eq)]
pub struct ServicePerPodAnnotations {
    /// `service-per-pod-label`: the label with each pod's name.
    pub label: String,
    /// `service-per-pod-ports`: `port:targetPort`, more after a comma.
    pub ports: String,
}

/// An addition, and the name of the policy that asks for it.
#[derive(Debug, PartialEq, Eq)]
pub struct PolicyValue<'a, T: ?Sized> {
    /// The addition.
    pub value: &'a T,
    /// The policy's name.
    pub policy: &'a str,
}

impl PolicyMutation {
    fn adds_to_sets(&self) -> bool {
        self.service_per_pod.is_some() || self.pod_name_label.is_some()
    }
}

impl Policies {
    /// Whether a policy has something added to StatefulSets, to which ones ever.
    pub fn add_to_sets(&self) -> bool {
        self.by_strength.iter().any(|policy| policy.mutate.adds_to_sets())
    }
}

impl<'a> Applicable<'a> {
    /// The annotations of a set.
    pub fn service_per_pod(&self) -> Option<PolicyValue<'a, ServicePerPodAnnotations>> {
        self.asked(|mutate| mutate.service_per_pod.as_ref())
    }

    /// The key of the label with each pod's name.
    pub fn pod_name_label(&self) -> Option<PolicyValue<'a, str>> {
        self.asked(|mutate| mutate.pod_name_label.as_deref())
    }

    /// The setting of the strongest policy that has one. Nothing is injected where it is unknown whether that policy applies.
    fn asked<T: ?Sized>(
        &self,
        part: impl Fn(&'a PolicyMutation) -> Option<&'a T>,
    ) -> Option<PolicyValue<'a, T>> {
        let mut policies = self.policies.iter();
        let (value, policy, certainty) = policies.find_map(|(policy, certainty)| {
            let policy: &'a Policy = policy;
            Some((part(&policy.mutate)?, &*policy.name, *certainty))
        })?;
        (certainty == Certainty::Certain).then_some(PolicyValue { value, policy })
    }
}

pub(super) fn compile(mutate: document::Mutate) -> Result<PolicyMutation, PolicyError> {
    let document::Mutate { service_per_pod, pod_name_label } = mutate;
    if let Some(wanted) = &service_per_pod {
        label_key(&wanted.label, "/spec/mutate/servicePerPod/label")?;
        ports(&wanted.ports, "/spec/mutate/servicePerPod/ports")?;
    }
    if let Some(label) = &pod_name_label {
        label_key(label, "/spec/mutate/podNameLabel")?;
        if is_given_by_controller(label) && label != POD_NAME_LABEL {
            let message = format!("the StatefulSet controller sets {label:?} itself; choose another label");
            return Err(PolicyError {
                pointer: "/spec/mutate/podNameLabel".to_owned(),
                message,
                offset: None,
            });
        }
    }
    let service_per_pod = service_per_pod
        .map(|document::ServicePerPod { label, ports }| ServicePerPodAnnotations { label, ports });
    Ok(PolicyMutation { service_per_pod, pod_name_label })
}

fn label_key(text: &str, pointer: &str) -> Result<(), PolicyError> {
    if is_label_key(text) {
        return Ok(());
    }
    let message = format!(
        "{text:?} is not a valid label key; valid are for example `pod-name` or `example.com/pod-name`"
    );
    Err(PolicyError { pointer: pointer.to_owned(), message, offset: None })
}

fn ports(text: &str, pointer: &str) -> Result<(), PolicyError> {
    port_pairs(text).map(drop).map_err(|problems| PolicyError {
        pointer: pointer.to_owned(),
        message: format!(
            "{}; ports are port:targetPort pairs such as \"80:8080,443:8443\"",
            problems.join("; ")
        ),
        offset: None,
    })
}
