//! `service-per-pod-removed`

use super::{FieldPlace, Params, SetContext, Transition, Violations};
use crate::model::{
    MOST_PER_POD_SERVICES, PER_POD_APPLIED, PER_POD_LABEL, PER_POD_PORTS, PER_POD_TYPE, PerPodType, Service,
    annotation_pointer,
};

rule! {
    /// ## What it checks
    ///
    /// An update of a StatefulSet after which it asks for no per-pod Services any more, because the annotation
    /// `service-per-pod-label` or `service-per-pod-ports` is gone, or for none that are load balancers, because
    /// `stateward.dev/service-per-pod-type` says so.
    ///
    /// ## Why
    ///
    /// The Services of all pods are deleted within seconds, and each load balancer with its address. Clients that use them are cut
    /// off, and the annotation, set again, brings other addresses.
    ///
    /// ## How to fix
    ///
    /// Keep the annotation, unless the Services are to go.
    ///
    /// ## Fails
    ///
    /// ```yaml
    /// apiVersion: v1
    /// kind: Service
    /// metadata: {name: web-0, annotations: {stateward.dev/service-per-pod-applied: 1a}}
    /// spec: {type: LoadBalancer, selector: {statefulset.kubernetes.io/pod-name: web-0}, ports: [{port: 80}]}
    /// ---
    /// apiVersion: apps/v1
    /// kind: StatefulSet
    /// metadata:
    ///   name: web
    ///   annotations: {service-per-pod-label: statefulset.kubernetes.io/pod-name, service-per-pod-ports: "80:80"}
    /// spec:
    ///   replicas: 1
    ///   serviceName: web
    ///   selector: {matchLabels: {app: web}}
    ///   template:
    ///     metadata: {labels: {app: web}}
    ///     spec: {containers: [{name: web, image: "nginx:1.27"}]}
    /// ---
    /// apiVersion: apps/v1
    /// kind: StatefulSet
    /// metadata: {name: web}
    /// spec:
    ///   replicas: 1
    ///   serviceName: web
    ///   selector: {matchLabels: {app: web}}
    ///   template:
    ///     metadata: {labels: {app: web}}
    ///     spec: {containers: [{name: web, image: "nginx:1.27"}]}
    /// ```
    ///
    /// ## Passes
    ///
    /// ```yaml
    /// apiVersion: v1
    /// kind: Service
    /// metadata: {name: web-0, annotations: {stateward.dev/service-per-pod-applied: 1a}}
    /// spec: {type: LoadBalancer, selector: {statefulset.kubernetes.io/pod-name: web-0}, ports: [{port: 80}]}
    /// ---
    /// apiVersion: apps/v1
    /// kind: StatefulSet
    /// metadata:
    ///   name: web
    ///   annotations: {service-per-pod-label: statefulset.kubernetes.io/pod-name, service-per-pod-ports: "80:80"}
    /// spec:
    ///   replicas: 1
    ///   serviceName: web
    ///   selector: {matchLabels: {app: web}}
    ///   template:
    ///     metadata: {labels: {app: web}}
    ///     spec: {containers: [{name: web, image: "nginx:1.27"}]}
    /// ---
    /// apiVersion: apps/v1
    /// kind: StatefulSet
    /// metadata:
    ///   name: web
    ///   annotations: {service-per-pod-label: statefulset.kubernetes.io/pod-name, service-per-pod-ports: "80:80,443:443"}
    /// spec:
    ///   replicas: 1
    ///   serviceName: web
    ///   selector: {matchLabels: {app: web}}
    ///   template:
    ///     metadata: {labels: {app: web}}
    ///     spec: {containers: [{name: web, image: "nginx:1.27"}]}
    /// ```
    "service-per-pod-removed": "an update takes the Services of the pods away",
    triggers: [Set],
    reads: [Service],
    check: Step(check),
}

fn check(step: &Transition<'_, '_>, _: &Params, out: &mut Violations) {
    let (Some(before), after) = (step.before, step.after) else { return };
    let keys = [PER_POD_LABEL, PER_POD_PORTS];
    let is_set = |at: &SetContext<'_>, key: &str| at.set.metadata.annotations.get(key).is_some();
    if !keys.iter().all(|key| is_set(before, key)) {
        return;
    }
    if let Some(removed) = keys.into_iter().find(|key| !is_set(after, key)) {
        let services = services(before);
        let balancers = load_balancers(&services);
        let consequence = match (services.len(), balancers) {
            (0, _) => return,
            (all, 0) => format!("the Services of {all} pods are deleted"),
            (all, balancers) => format!(
                "the Services of {all} pods are deleted, with {balancers} load {} and their addresses",
                plural(balancers)
            ),
        };
        let message = format!(
            "{consequence}: without {removed} the set asks for none, and clients that use them are cut off"
        );
        let remedy = format!("keep the annotation {removed}, unless the Services are to go");
        out.add(FieldPlace::in_set(annotation_pointer(removed)), message, remedy);
        return;
    }
    let kind =
        |at: &SetContext<'_>| at.set.metadata.annotations.get(PER_POD_TYPE).and_then(PerPodType::named);
    let other =
        kind(after).filter(|other| *other != PerPodType::LoadBalancer && kind(before) != Some(*other));
    let Some(other) = other else { return };
    let balancers = load_balancers(&services(before));
    if balancers > 0 {
        let message = format!(
            "{balancers} load {} of its pods become Services of type {}: their addresses are given up, and clients that use them \
             are cut off",
            plural(balancers),
            other.name()
        );
        let remedy =
            format!("keep the annotation {PER_POD_TYPE} as it is, unless the load balancers are to go");
        out.add(FieldPlace::in_set(annotation_pointer(PER_POD_TYPE)), message, remedy);
    }
}

fn plural(balancers: usize) -> &'static str {
    if balancers == 1 { "balancer" } else { "balancers" }
}

/// The known Services that were made for its pods.
fn services<'a>(at: &SetContext<'a>) -> Vec<&'a Service> {
    let named =
        at.set.ordinals(at.replicas).take(MOST_PER_POD_SERVICES.into()).filter_map(|ordinal| {
            at.view.service(at.namespace(), &format!("{}-{ordinal}", at.name())).present()
        });
    named.filter(|service| is_made_for(service, at.name())).collect()
}

/// By Stateward's own controller, or by Metacontroller.
fn is_made_for(service: &Service, set: &str) -> bool {
    let metadata = &service.metadata;
    let owner = metadata.owner.as_deref();
    metadata.annotations.get(PER_POD_APPLIED).is_some()
        || owner.is_some_and(|owner| &*owner.kind == "StatefulSet" && &*owner.name == set)
}

fn load_balancers(services: &[&Service]) -> usize {
    services.iter().filter(|service| &*service.spec.type_ == "LoadBalancer").count()
}
