//! `grace-period-zero`

use super::{FieldEdit, FieldPlace, Params, SetContext, Violations};
use crate::model::Class;

rule! {
    /// ## What it checks
    ///
    /// `terminationGracePeriodSeconds: 0` in the pod template, whatever the replica count.
    ///
    /// ## Why
    ///
    /// With a grace period of 0 a deleted pod is taken off the API server at once, without waiting for its node to say that
    /// the process has ended; with any other value it is waited for. The controller then starts the next pod of the same name:
    /// where the node is slow or cut off, two processes with one identity and perhaps one volume run side by side.
    /// Every deletion is then a forced one, a rolling update's included, and the process is killed without a chance to hand
    /// over, flush or leave its group.
    ///
    /// ## How to fix
    ///
    /// Remove the field, which means 30 seconds, or give the time that the software takes to shut down. A process that ignores
    /// TERM ends sooner with 1 than with 30, and is still waited for. Pods that run already keep their 0 until they are replaced.
    ///
    /// ## Fails
    ///
    /// ```yaml
    /// apiVersion: apps/v1
    /// kind: StatefulSet
    /// metadata: {name: zk}
    /// spec:
    ///   replicas: 3
    ///   serviceName: zk
    ///   selector: {matchLabels: {app: zk}}
    ///   template:
    ///     metadata: {labels: {app: zk}}
    ///     spec:
    ///       terminationGracePeriodSeconds: 0
    ///       containers: [{name: zk, image: "zookeeper:3.9"}]
    /// ```
    ///
    /// ## Passes
    ///
    /// ```yaml
    /// apiVersion: apps/v1
    /// kind: StatefulSet
    /// metadata: {name: zk}
    /// spec:
    ///   replicas: 3
    ///   serviceName: zk
    ///   selector: {matchLabels: {app: zk}}
    ///   template:
    ///     metadata: {labels: {app: zk}}
    ///     spec:
    ///       terminationGracePeriodSeconds: 10
    ///       containers: [{name: zk, image: "zookeeper:3.9"}]
    /// ```
    "grace-period-zero": "pods are replaced before they have ended",
    triggers: [Set],
    check: State(check),
}

fn check(at: &SetContext<'_>, _: &Params, out: &mut Violations) {
    if at.set.spec.template.spec.termination_grace_period_seconds != Some(0) {
        return;
    }
    let pod = at.first_pod();
    let consequence = match at.class.class {
        Class::Quorum => "two members of one identity can vote",
        Class::Singleton => "two instances can run at once",
        Class::Replicated => "two can write the same data",
    };
    let message = format!(
        "a deleted {pod} is forgotten before its process has ended and the next {pod} starts beside it: {consequence}"
    );
    let remedy = "set spec.template.spec.terminationGracePeriodSeconds to 30, or remove it";
    let place = FieldPlace::in_set("/spec/template/spec/terminationGracePeriodSeconds");
    out.add(place.clone(), message, remedy).edit(FieldEdit::set(place, 30));
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::RULE;
    use crate::model::Class;
    use crate::rules::testing::set;

    #[test]
    fn only_an_explicit_zero() {
        for (seconds, found) in
            [(json!(0), 1), (Value::Null, 0), (json!(1), 0), (json!(30), 0), (json!(-1), 0)]
        {
            let spec = json!({"terminationGracePeriodSeconds": seconds});
            let scene = set(json!({"spec": {"template": {"spec": spec}}})).scaled_to(0);
            for class in [Class::Quorum, Class::Singleton, Class::Replicated] {
                assert_eq!(scene.clone().class(class).found(&RULE).len(), found, "{seconds}");
            }
        }
    }
}
