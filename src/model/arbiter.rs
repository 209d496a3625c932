//! Voters that keep no data or run in no StatefulSet, and members without a vote.

use super::group_name::replica_set_named;
use super::{Container, PodTemplate, StatefulSet};

/// The variable of Bitnami's MongoDB image: `primary`, `secondary`, `hidden` or `arbiter`.
pub(super) const MODE_VARIABLE: &str = "MONGODB_REPLICA_SET_MODE";
const COMPONENT_LABEL: &str = "app.kubernetes.io/component";
/// What operators label pods with that follow a group without a vote: Percona's for MongoDB, and Oracle's for `MySQL`, whose read
/// replicas copy the group's writes afterwards.
const VOTELESS_LABELS: [(&str, &str); 2] =
    [(COMPONENT_LABEL, "nonVoting"), ("mysql.oracle.com/instance-type", "read-replica")];
/// The program that votes in a Galera cluster without keeping data.
const GALERA_ARBITRATOR: &str = "garbd";

impl StatefulSet {
    /// Whether the set's pods only vote: they keep no data.
    pub fn is_arbiter(&self) -> bool {
        let template = &self.spec.template;
        let mut variables = template.spec.containers.iter().flat_map(|container| &container.env);
        variables.any(|variable| &*variable.name == MODE_VARIABLE && &*variable.value == "arbiter")
            || template.labels().get(COMPONENT_LABEL) == Some("arbiter")
    }

    /// Whether the pods of `other` seem to vote with the set's own: both templates name the same MongoDB replica set.
    pub fn shares_replica_set(&self, other: &PodTemplate) -> bool {
        let name = self.replica_set_name();
        name.is_some() && replica_set_named(&other.spec.containers) == name
    }
}

impl PodTemplate {
    /// Whether the pods follow a group without a vote, by the label of their operator.
    pub fn has_no_vote(&self) -> bool {
        let labels = self.labels();
        VOTELESS_LABELS.iter().any(|(label, value)| labels.get(label) == Some(value))
    }

    /// Whether the template's pods are Galera arbitrators.
    pub fn is_galera_arbitrator(&self) -> bool {
        self.spec.containers.iter().any(Container::is_galera_arbitrator)
    }
}

impl Container {
    fn is_galera_arbitrator(&self) -> bool {
        let words = self.command.iter().chain(&self.args).flat_map(|text| text.split_whitespace());
        let image = self.repository().rsplit('/').next().unwrap_or_default();
        words.map(|word| word.rsplit('/').next()).any(|name| name == Some(GALERA_ARBITRATOR))
            || image.contains(GALERA_ARBITRATOR)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn set(container: &Value) -> StatefulSet {
        serde_json::from_value(json!({"spec": {"template": {"spec": {"containers": [container]}}}})).unwrap()
    }

    #[test]
    fn an_arbiter_says_so() {
        let mode = |value: &str| json!({"env": [{"name": "MONGODB_REPLICA_SET_MODE", "value": value}]});
        assert!(set(&mode("arbiter")).is_arbiter());
        assert!(!set(&mode("primary")).is_arbiter());
    }

    #[test]
    fn a_member_without_a_vote_is_known_by_its_label() {
        let labelled = |label: &str, value: &str| {
            let template = json!({"metadata": {"labels": {label: value}}});
            serde_json::from_value::<PodTemplate>(template).unwrap()
        };
        assert!(labelled("app.kubernetes.io/component", "nonVoting").has_no_vote());
        assert!(!labelled("app.kubernetes.io/component", "mongod").has_no_vote());
        assert!(labelled("mysql.oracle.com/instance-type", "read-replica").has_no_vote());
        assert!(!labelled("mysql.oracle.com/instance-type", "group-member").has_no_vote());
    }

    #[test]
    fn pods_that_name_the_same_replica_set_vote_together() {
        let mongod = |name: &str| set(&json!({"command": ["mongod", "--replSet", name]}));
        let votes = |mine: &str, theirs: &str| mongod(mine).shares_replica_set(&mongod(theirs).spec.template);
        assert!(votes("rs0", "rs0"));
        assert!(!votes("rs0", "rs1"));
        assert!(!set(&json!({})).shares_replica_set(&set(&json!({})).spec.template));
    }

    #[test]
    fn an_arbitrator_of_galera_is_known_by_its_program() {
        for (container, is_arbitrator) in [
            (json!({"command": ["/usr/bin/garbd", "--address=gcomm://pxc"]}), true),
            (json!({"command": ["sh", "-c", "exec garbd --group pxc"]}), true),
            (json!({"image": "example.com/garbd:1"}), true),
            (json!({"command": ["mysqld"], "image": "example.com/pxc:1"}), false),
        ] {
            assert_eq!(set(&container).spec.template.is_galera_arbitrator(), is_arbitrator, "{container}");
        }
    }
}
