//! `immutable-on-upgrade`

use super::{FieldEdit, FieldPlace, Params, SetContext, Violations};
use crate::model::{LabelSelector, Labels, is_version_label, pointer_step};

rule! {
    /// ## What it checks
    ///
    /// A label that changes with each version of a chart or an application (`app.kubernetes.io/version`, and
    /// `helm.sh/chart`, `chart` or `version` with a version in the value) stands in `spec.selector` or in the labels of a template in
    /// `volumeClaimTemplates`.
    ///
    /// ## Why
    ///
    /// Neither field of a StatefulSet can be changed. The first installation works, and the next upgrade, which changes the
    /// label, is refused by the API server: "updates to statefulset spec for fields other than … are forbidden".
    ///
    /// ## How to fix
    ///
    /// Leave the label out of the selector and of the claim templates; on the set itself and on its pods it may stay. For a set
    /// that exists: `kubectl delete statefulset NAME --cascade=orphan` leaves pods and claims as they are, then apply the new
    /// manifest, which adopts them.
    ///
    /// ## Fails
    ///
    /// ```yaml
    /// apiVersion: apps/v1
    /// kind: StatefulSet
    /// metadata: {name: mariadb}
    /// spec:
    ///   serviceName: mariadb
    ///   selector: {matchLabels: {app: mariadb, helm.sh/chart: mariadb-4.1.0}}
    ///   template:
    ///     metadata: {labels: {app: mariadb, helm.sh/chart: mariadb-4.1.0}}
    ///     spec: {containers: [{name: mariadb, image: "mariadb:11.4"}]}
    /// ```
    ///
    /// ## Passes
    ///
    /// ```yaml
    /// apiVersion: apps/v1
    /// kind: StatefulSet
    /// metadata: {name: mariadb}
    /// spec:
    ///   serviceName: mariadb
    ///   selector: {matchLabels: {app: mariadb}}
    ///   template:
    ///     metadata: {labels: {app: mariadb, helm.sh/chart: mariadb-4.1.0}}
    ///     spec: {containers: [{name: mariadb, image: "mariadb:11.4"}]}
    /// ```
    "immutable-on-upgrade": "a version in a field that cannot be changed",
    triggers: [Set],
    check: State(check),
}

fn check(at: &SetContext<'_>, _: &Params, out: &mut Violations) {
    let LabelSelector { match_labels, match_expressions } = &at.set.spec.selector;
    let remains = match_labels.iter().any(|(key, value)| !is_version_label(key, value))
        || !match_expressions.is_empty();
    add(at, "/spec/selector/matchLabels", match_labels, remains, out);
    for (index, template) in at.set.spec.volume_claim_templates.iter().enumerate() {
        let path = format!("/spec/volumeClaimTemplates/{index}/metadata/labels");
        add(at, &path, &template.metadata.labels, true, out);
    }
}

/// One finding for all version labels of a field. An empty selector would be refused, so its last label is not to be removed.
fn add(at: &SetContext<'_>, path: &str, labels: &Labels, remains: bool, out: &mut Violations) {
    let versions: Labels = labels.iter().filter(|(key, value)| is_version_label(key, value)).collect();
    let Some((first, _)) = versions.iter().next() else { return };
    let field = if path.starts_with("/spec/selector") { "spec.selector" } else { "volumeClaimTemplates" };
    let message = format!(
        "{field} has {versions}, which the next upgrade changes, and the API server refuses every change of {field}"
    );
    let keys: Vec<&str> = versions.iter().map(|(key, _)| key).collect();
    let keys = keys.join(" and ");
    let instead = if remains {
        ""
    } else {
        " and select by a label that stays and that the pods have, such as app.kubernetes.io/name"
    };
    let remedy = format!(
        "remove {keys} from it{instead}; on a live set first run kubectl delete statefulset {} --cascade=orphan, which keeps pods \
         and claims",
        at.name()
    );
    let violation =
        out.add(FieldPlace::in_set(format!("{path}/{}", pointer_step(first))), message, remedy).keyed(path);
    if remains {
        for (key, _) in versions.iter() {
            let place = FieldPlace::in_set(format!("{path}/{}", pointer_step(key)));
            violation.edit(FieldEdit::remove(place).unsafe_to_apply());
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::testing::set;
    use super::*;

    #[test]
    fn versions_in_fields_that_cannot_be_changed() {
        let chart = json!({"app": "zk", "helm.sh/chart": "zk-1.2.3", "version": "3.9.1"});
        let scene = set(json!({"spec": {"selector": {"matchLabels": chart},
            "volumeClaimTemplates": [{"metadata": {"name": "a"}}, {"metadata": {"name": "b", "labels": chart}}]}}));
        let found = scene.found(&RULE);
        let paths: Vec<&str> = found.iter().map(|violation| &*violation.place.path).collect();
        assert_eq!(
            paths,
            [
                "/spec/selector/matchLabels/helm.sh~1chart",
                "/spec/volumeClaimTemplates/1/metadata/labels/helm.sh~1chart"
            ]
        );
        assert_eq!(found[0].edits.len(), 2);
        assert!(found[0].message.contains("helm.sh/chart=zk-1.2.3,version=3.9.1"));
        let only = set(json!({"spec": {"selector": {"matchLabels": {"app": null, "chart": "zk-1.2.3"}}}}));
        assert!(
            only.found(&RULE)[0].edits.is_empty()
                && only.says(&RULE).contains("select by a label that stays")
        );
    }

    #[test]
    fn labels_of_the_set_and_its_pods_may_change() {
        let chart = json!({"helm.sh/chart": "zk-1.2.3"});
        let scene = set(
            json!({"metadata": {"labels": chart}, "spec": {"template": {"metadata": {"labels": chart}}}}),
        );
        assert!(scene.found(&RULE).is_empty());
    }
}
