//! Fields that Kubernetes does not know and that look like one it knows.

use super::node::{MapEntry, Node};
use crate::model::{Fields, KUBERNETES_VERSION, Kind, field_path, misspelt, pointer_step};

/// The largest number of fields of one object that are compared: so many unknown fields are not misspelt.
const MOST_UNKNOWN: usize = 64;

/// The fields that only the API server sets. They are not compared with the fields people write: their content is not applied.
const OF_SERVER: [&str; 9] = [
    "creationTimestamp",
    "deletionGracePeriodSeconds",
    "deletionTimestamp",
    "generation",
    "managedFields",
    "resourceVersion",
    "selfLink",
    "status",
    "uid",
];

/// A field that is most likely misspelt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MisspeltField {
    /// Its JSON pointer within the object.
    pub pointer: String,
    /// The field that Kubernetes knows.
    pub meant: &'static str,
}

impl MisspeltField {
    /// The message.
    pub fn message(&self, kind: &str) -> String {
        let (field, meant) = (field_path(&self.pointer), self.meant);
        format!(
            "{field} is not a field of a {kind} in Kubernetes {KUBERNETES_VERSION}: kubectl refuses it, and clients without \
             strict validation drop it silently; did you mean {meant}?"
        )
    }
}

/// The fields of an object that its kind does not have, where it has one of nearly the same name.
pub fn misspelt_fields(node: &Node<'_>, api_version: &str, kind: &str) -> Vec<MisspeltField> {
    let fields = Kind::of_manifest(api_version, kind).and_then(|kind| Fields::of_kind(kind, api_version));
    let Some(fields) = fields else { return Vec::new() };
    let mut search = Search { found: Vec::new(), unknown: 0, path: Vec::new() };
    search.value(node, fields);
    search.found
}

struct Search<'n> {
    found: Vec<MisspeltField>,
    /// How many fields were compared.
    unknown: usize,
    /// Where the search is. Hardly ever is it spelt out.
    path: Vec<PathSegment<'n>>,
}

#[derive(Clone, Copy)]
enum PathSegment<'n> {
    Key(&'n str),
    Index(usize),
}

impl<'n> Search<'n> {
    fn value(&mut self, node: &'n Node<'_>, fields: &'static Fields) {
        if fields.is_open() {
            return;
        }
        for (index, item) in node.as_list().unwrap_or_default().iter().enumerate() {
            self.below(PathSegment::Index(index), item, fields);
        }
        for MapEntry { key, value, .. } in node.as_map().unwrap_or_default() {
            match fields.get(key) {
                Some(inside) if !inside.is_open() && is_of_server(key) => {}
                Some(inside) => self.below(PathSegment::Key(key), value, inside),
                // A directive of a patch, such as `$patch`.
                None if key.starts_with('$') => {}
                None => self.unknown(key, fields),
            }
        }
    }

    fn below(&mut self, step: PathSegment<'n>, node: &'n Node<'_>, fields: &'static Fields) {
        self.path.push(step);
        self.value(node, fields);
        self.path.pop();
    }

    fn unknown(&mut self, key: &'n str, fields: &'static Fields) {
        if self.unknown == MOST_UNKNOWN {
            return;
        }
        self.unknown += 1;
        if let Some(meant) = misspelt(key, fields.names().filter(|name| !is_of_server(name))) {
            let steps = self.path.iter().copied().chain([PathSegment::Key(key)]);
            let pointer = steps.fold(String::new(), |pointer, step| match step {
                PathSegment::Key(key) => pointer + "/" + &pointer_step(key),
                PathSegment::Index(index) => format!("{pointer}/{index}"),
            });
            self.found.push(MisspeltField { pointer, meant });
        }
    }
}

fn is_of_server(field: &str) -> bool {
    OF_SERVER.contains(&field)
}

#[cfg(test)]
mod tests {
    use super::super::document;
    use super::*;

    fn found(kind: &str, api_version: &str, text: &str) -> Vec<(String, &'static str)> {
        let found = misspelt_fields(&document(text).unwrap(), api_version, kind);
        found.into_iter().map(|field| (field_path(&field.pointer), field.meant)).collect()
    }

    #[test]
    fn a_field_that_is_nearly_one_of_its_struct_is_found_where_it_is() {
        for (text, field, meant) in [
            ("sepc: {}", "sepc", "spec"),
            ("spec: {replica: 3}", "spec.replica", "replicas"),
            ("spec: {replica: 3, replicas: 3}", "spec.replica", "replicas"),
            ("spec: {servicename: a}", "spec.servicename", "serviceName"),
            ("spec: {volumeClaimTemplate: []}", "spec.volumeClaimTemplate", "volumeClaimTemplates"),
            ("spec: {selector: {matchLables: {}}}", "spec.selector.matchLables", "matchLabels"),
            (
                "spec: {template: {spec: {affinity: {podAntiAfinity: {}}}}}",
                "spec.template.spec.affinity.podAntiAfinity",
                "podAntiAffinity",
            ),
            (
                "spec: {template: {spec: {containers: [{}, {imag: a}]}}}",
                "spec.template.spec.containers[1].imag",
                "image",
            ),
        ] {
            assert_eq!(found("StatefulSet", "apps/v1", text), [(field.to_owned(), meant)], "{text}");
        }
        assert_eq!(
            found("Service", "v1", "spec: {clusterIp: None}"),
            [("spec.clusterIp".into(), "clusterIP")]
        );
        let budget = found("PodDisruptionBudget", "policy/v1", "spec: {minavailable: 1}");
        assert_eq!(budget, [("spec.minavailable".into(), "minAvailable")]);
    }

    #[test]
    fn nothing_is_said_where_another_thing_may_be_meant() {
        for (kind, api_version, text) in [
            ("StatefulSet", "apps/v1", "spec: {template: {spec: {volumes: [{hostPath: {$patch: delete}}]}}}"),
            ("StatefulSet", "apps/v1", "spec: {replicationFactor: 3}"),
            ("StatefulSet", "apps/v1", "metadata: {labels: {replica: a}, annotations: {sepc: a}}"),
            ("StatefulSet", "apps/v1", "spec: [replica]"),
            (
                "StatefulSet",
                "apps/v1",
                "metadata: {id: a, selfLnk: a, generatoin: 1}\nstatuz: {}\nstatus: {replica: 1}",
            ),
            ("StatefulSet", "apps/v1", "spec: {template: {metadata: {id: a}}}"),
            ("StatefulSet", "apps/v1beta1", "spec: {replica: 3}"),
            ("StatefulSet", "apps.kruise.io/v1beta1", "spec: {replica: 3}"),
            ("Service", "v1", "spec: {selector: {prot: a}}"),
            ("ConfigMap", "v1", "data: {dat: a}"),
            ("Widget", "example.com/v1", "sepc: {}"),
        ] {
            assert_eq!(found(kind, api_version, text), [], "{text}");
        }
    }

    #[test]
    fn an_object_with_many_unknown_fields_costs_no_more_than_one_with_few() {
        let keys: Vec<String> = (0..100_000).map(|number| format!("sp{number}")).collect();
        let text = format!("{}: 1\n", keys.join(": 1\n"));
        assert!(found("StatefulSet", "apps/v1", &text).len() <= MOST_UNKNOWN);
    }
}
