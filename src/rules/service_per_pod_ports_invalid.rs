//! `service-per-pod-ports-invalid`

use std::collections::BTreeSet;

use super::{Place, Situation, Violations};
use crate::policy::Params;

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
    /// and whoever is to reach the pods through them finds nothing. Only the decorator's log says why.
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

fn check(at: &Situation<'_>, _: &Params, out: &mut Violations) {
    let Some(ports) = at.set.metadata.annotations.get("service-per-pod-ports") else { return };
    let problems = problems(ports);
    if problems.is_empty() {
        return;
    }
    let message = format!(
        "no Service can be made for any pod of {} from {ports:?}: {}",
        at.name(),
        problems.join("; ")
    );
    let unspaced: String = ports.chars().filter(|c| !c.is_whitespace()).collect();
    let remedy = if self::problems(&unspaced).is_empty() {
        format!("remove the blanks: set the annotation service-per-pod-ports to {unspaced:?}")
    } else {
        "set the annotation service-per-pod-ports to port:targetPort pairs in numbers, such as \"80:8080,443:8443\"".to_owned()
    };
    // Another wrong value is another mistake, not the one that was already there.
    out.add(Place::in_set("/metadata/annotations/service-per-pod-ports"), message, remedy).keyed(ports);
}

/// What is wrong with each part, in a few words.
fn problems(ports: &str) -> Vec<String> {
    if ports.trim().is_empty() {
        return vec!["it names no port".to_owned()];
    }
    let (mut problems, mut seen) = (Vec::new(), BTreeSet::new());
    for pair in ports.split(',') {
        let numbers: Vec<&str> = pair.split(':').collect();
        if numbers.len() != 2 {
            problems.push(format!("{pair:?} is not port:targetPort"));
            continue;
        }
        let wrong = numbers.iter().filter(|text| number(text).is_none());
        problems.extend(wrong.map(|text| format!("{text:?} is no number from 1 to 65535")));
        if let Some(port) = number(numbers[0])
            && !seen.insert(port)
        {
            problems.push(format!("port {port} is there twice"));
        }
    }
    problems
}

/// A port in digits; `+80` and `0x50` are none.
fn number(text: &str) -> Option<u16> {
    let is_written_in_digits = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|port| is_written_in_digits && *port > 0)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::testing::set;
    use super::*;

    #[test]
    fn pairs_of_ports_in_digits() {
        for (ports, wrong) in [
            ("80:8080", 0),
            ("80:8080,443:8443", 0),
            ("80:8080,81:8080", 0),
            ("1:65535", 0),
            ("080:80", 0),
            ("", 1),
            (" ", 1),
            (",", 2),
            ("80", 1),
            ("80:81:82", 1),
            ("80:8080,", 1),
            ("80:http", 1),
            (":", 2),
            ("0:65536", 2),
            ("-1:+1", 2),
            ("80: 8080", 1),
            ("80:8080, 443:8443", 1),
            ("80:8080,080:81", 1),
            ("80:http,80:8080", 2),
            ("8０:80", 1),
            ("80;8080", 1),
            ("99999999999999999999:80", 1),
        ] {
            assert_eq!(problems(ports).len(), wrong, "{ports:?}: {:?}", problems(ports));
            let scene = set(json!({"metadata": {"annotations": {"service-per-pod-ports": ports}}}));
            assert_eq!(scene.found(&RULE).len(), usize::from(wrong > 0), "{ports:?}");
        }
        assert_eq!(set(json!({})).found(&RULE).len(), 0, "only where it is annotated");
    }

    #[test]
    fn says_which_and_what_to_write() {
        let says = |ports: &str| {
            set(json!({"metadata": {"annotations": {"service-per-pod-ports": ports}}})).says(&RULE)
        };
        assert_eq!(
            says("80:http,80:8080"),
            "no Service can be made for any pod of zk from \"80:http,80:8080\": \"http\" is no number from 1 to 65535; \
             port 80 is there twice -> set the annotation service-per-pod-ports to port:targetPort pairs in numbers, such as \
             \"80:8080,443:8443\""
        );
        assert!(
            says("80:81, 443:444 ")
                .ends_with("set the annotation service-per-pod-ports to \"80:81,443:444\"")
        );
    }
}
