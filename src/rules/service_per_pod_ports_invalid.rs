//! `service-per-pod-ports-invalid`

use super::{FieldEdit, FieldPlace, Params, SetContext, Violations};
use crate::model::{PER_POD_PORTS, port_pairs};

rule! {
    /// ## What it checks
    ///
    /// The annotation `service-per-pod-ports` of a StatefulSet is not a list of `port:targetPort`, joined by commas: each a whole
    /// number from 1 to 65535 in digits, without blanks, and no port twice (two ports may have one target). A set without the
    /// annotation is not looked at.
    ///
    /// It is the annotation of Metacontroller's service-per-pod decorator, which makes one Service for each pod. That splits at commas
    /// and colons and reads numbers: names of ports and blanks stop it, and a third number would be ignored.
    ///
    /// ## Why
    ///
    /// The decorator fails on the whole set, not on the one port: no pod gets its Service, or the API server refuses each of them,
    /// and clients that connect to the pods through them fail. Only the decorator's log says why.
    ///
    /// ## How to fix
    ///
    /// Correct the annotation: `"80:8080,443:8443"`. Write the container's port number where its name stood.
    ///
    /// ## Fails
    ///
    /// ```yaml
    /// apiVersion: apps/v1
    /// kind: StatefulSet
    /// metadata: {name: web, annotations: {service-per-pod-ports: "80:http,80:8080"}}
    /// spec:
    ///   replicas: 3
    ///   serviceName: web
    ///   selector: {matchLabels: {app: web}}
    ///   template:
    ///     metadata: {labels: {app: web}}
    ///     spec:
    ///       containers: [{name: web, image: "nginx:1.27"}]
    /// ```
    ///
    /// ## Passes
    ///
    /// ```yaml
    /// apiVersion: apps/v1
    /// kind: StatefulSet
    /// metadata: {name: web, annotations: {service-per-pod-ports: "80:8080,443:8443"}}
    /// spec:
    ///   replicas: 3
    ///   serviceName: web
    ///   selector: {matchLabels: {app: web}}
    ///   template:
    ///     metadata: {labels: {app: web}}
    ///     spec:
    ///       containers: [{name: web, image: "nginx:1.27"}]
    /// ```
    "service-per-pod-ports-invalid": "the ports of the per-pod Services are not understood",
    triggers: [Set],
    check: State(check),
}

fn check(at: &SetContext<'_>, _: &Params, out: &mut Violations) {
    let Some(ports) = at.set.metadata.annotations.get(PER_POD_PORTS) else { return };
    let Err(problems) = port_pairs(ports) else { return };
    let message = format!(
        "no Service can be made for any pod of {} from {ports:?}: {}",
        at.name(),
        problems.join("; ")
    );
    let unspaced: String = ports.chars().filter(|c| !c.is_whitespace()).collect();
    let place = FieldPlace::in_set("/metadata/annotations/service-per-pod-ports");
    let edit = port_pairs(&unspaced).is_ok().then(|| FieldEdit::set(place.clone(), &*unspaced));
    let remedy = if edit.is_some() {
        format!("remove the blanks: set the annotation service-per-pod-ports to {unspaced:?}")
    } else {
        "set the annotation service-per-pod-ports to port:targetPort pairs in numbers, such as \"80:8080,443:8443\"".to_owned()
    };
    // Another wrong value is another mistake, not the one that was already there.
    out.add(place, message, remedy).edits(edit).keyed(ports);
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::testing::set;
    use super::*;

    #[test]
    fn only_where_it_is_annotated() {
        assert_eq!(set(json!({})).found(&RULE).len(), 0);
        let right = json!({"metadata": {"annotations": {"service-per-pod-ports": "80:80"}}});
        assert_eq!(set(right).found(&RULE).len(), 0);
    }

    #[test]
    fn says_which_and_what_to_write() {
        let says = |ports: &str| {
            set(json!({"metadata": {"annotations": {"service-per-pod-ports": ports}}})).says(&RULE)
        };
        assert_eq!(
            says("80:http,80:8080"),
            "no Service can be made for any pod of zk from \"80:http,80:8080\": \"http\" is not a number from 1 to 65535; \
             port 80 is there twice -> set the annotation service-per-pod-ports to port:targetPort pairs in numbers, such as \
             \"80:8080,443:8443\""
        );
        assert!(
            says("80:81, 443:444 ")
                .ends_with("set the annotation service-per-pod-ports to \"80:81,443:444\"")
        );
    }
}
