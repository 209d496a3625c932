//! What StatefulSets say themselves of the consensus group that they are in.

use std::collections::BTreeSet;

use super::{Container, StatefulSet};

const REPLICA_SET_VARIABLES: [&str; 2] = ["MONGODB_REPLICA_SET_NAME", "MONGO_REPLICA_SET_NAME"];
const REPLICA_SET_FLAGS: [&str; 2] = ["--replSet", "--replSetName"];
const INITIAL_CLUSTER_VARIABLES: [&str; 2] = ["ETCD_INITIAL_CLUSTER", "ZOO_SERVERS"];
const INITIAL_CLUSTER_FLAGS: [&str; 2] = ["--initial-cluster", "-initial-cluster"];
/// Of Bitnami's MongoDB image: `primary`, `secondary`, `hidden` or `arbiter`.
const MODE_VARIABLE: &str = "MONGODB_REPLICA_SET_MODE";
const INSTANCE_LABEL: &str = "app.kubernetes.io/instance";
const COMPONENT_LABEL: &str = "app.kubernetes.io/component";

/// Whether the environment variable says something of the group.
pub fn names_group(variable: &str) -> bool {
    variable == MODE_VARIABLE
        || REPLICA_SET_VARIABLES.contains(&variable)
        || INITIAL_CLUSTER_VARIABLES.contains(&variable)
}

impl StatefulSet {
    /// The replica set that its containers name, as MongoDB does; `None` where the name is only known at run time.
    pub fn replica_set_name(&self) -> Option<&str> {
        let containers = self.spec.template.spec.containers.iter();
        let mut names = containers.flat_map(|c| given(c, REPLICA_SET_VARIABLES, REPLICA_SET_FLAGS));
        names.find(|name| !name.is_empty() && !name.contains('$'))
    }

    /// The release it is a part of, by the recommended label.
    pub fn instance(&self) -> Option<&str> {
        let labels = self.spec.template.labels().get(INSTANCE_LABEL);
        labels.or_else(|| self.metadata.labels.get(INSTANCE_LABEL))
    }

    /// The names of the StatefulSets whose pods its initial cluster lists.
    pub fn initial_members(&self) -> BTreeSet<&str> {
        let containers = self.spec.template.spec.containers.iter();
        let lists = containers.flat_map(|c| given(c, INITIAL_CLUSTER_VARIABLES, INITIAL_CLUSTER_FLAGS));
        let words = lists.flat_map(|list| list.split(|c: char| !c.is_ascii_alphanumeric() && c != '-'));
        let sets = words.filter_map(|pod| {
            let (set, ordinal) = pod.rsplit_once('-')?;
            let is_ordinal = !ordinal.is_empty() && ordinal.bytes().all(|byte| byte.is_ascii_digit());
            is_ordinal.then_some(set)
        });
        sets.filter(|set| !set.is_empty()).collect()
    }

    /// Whether its pods only vote: they keep no data.
    pub fn is_arbiter(&self) -> bool {
        let template = &self.spec.template;
        let mut variables = template.spec.containers.iter().flat_map(|container| &container.env);
        variables.any(|variable| &*variable.name == MODE_VARIABLE && &*variable.value == "arbiter")
            || template.labels().get(COMPONENT_LABEL) == Some("arbiter")
    }
}

/// What a container gives as one of these variables, or after one of these flags.
fn given<'a>(
    container: &'a Container,
    variables: [&'a str; 2],
    flags: [&'a str; 2],
) -> impl Iterator<Item = &'a str> {
    let variables = container.env.iter().filter(move |variable| variables.contains(&&*variable.name));
    let words: Vec<&str> =
        container.command.iter().chain(&container.args).flat_map(|text| text.split_whitespace()).collect();
    let flagged: Vec<&str> = words
        .iter()
        .enumerate()
        .filter_map(|(index, word)| match word.split_once('=') {
            Some((flag, value)) => flags.contains(&flag).then_some(value),
            None => flags.contains(word).then(|| words.get(index + 1).copied()).flatten(),
        })
        .collect();
    variables.map(|variable| &*variable.value).chain(flagged)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn set(container: &Value) -> StatefulSet {
        serde_json::from_value(json!({"spec": {"template": {"spec": {"containers": [container]}}}})).unwrap()
    }

    #[test]
    fn a_replica_set_is_named_by_variable_or_flag() {
        for (container, name) in [
            (json!({"env": [{"name": "MONGODB_REPLICA_SET_NAME", "value": "rs0"}]}), Some("rs0")),
            (json!({"env": [{"name": "MONGODB_REPLICA_SET_NAME"}]}), None),
            (json!({"args": ["--replSet", "rs0"]}), Some("rs0")),
            (json!({"args": ["--replSet=rs0"]}), Some("rs0")),
            (json!({"args": ["--replSet"]}), None),
            (json!({"command": ["sh", "-c", "exec mongod --replSet rs0 --bind_ip_all"]}), Some("rs0")),
            (json!({"args": ["--replSetName", "rs0"]}), Some("rs0")),
            (json!({"args": ["--replSet", "$(NAME)"]}), None),
            (json!({"args": ["mongod", "rs0"]}), None),
        ] {
            assert_eq!(set(&container).replica_set_name(), name, "{container}");
        }
    }

    #[test]
    fn an_initial_cluster_lists_pods() {
        let etcd = set(&json!({"args": [
            "--initial-cluster=m1=http://etcd-a-0.etcd-a:2380,m2=http://etcd-b-0.etcd-b.ns.svc:2380"]}));
        assert_eq!(etcd.initial_members().into_iter().collect::<Vec<_>>(), ["etcd-a", "etcd-b"]);
        let servers = "server.1=zk-a-0.zk:2888:3888;2181 server.2=zk-b-1.zk:2888:3888";
        let zookeeper = set(&json!({"env": [{"name": "ZOO_SERVERS", "value": servers}]}));
        assert_eq!(zookeeper.initial_members().into_iter().collect::<Vec<_>>(), ["zk-a", "zk-b"]);
        assert!(set(&json!({"args": ["--peers=etcd-a-0", "-3"]})).initial_members().is_empty());
    }

    #[test]
    fn an_arbiter_says_so() {
        let mode = |value: &str| json!({"env": [{"name": "MONGODB_REPLICA_SET_MODE", "value": value}]});
        assert!(set(&mode("arbiter")).is_arbiter());
        assert!(!set(&mode("primary")).is_arbiter());
    }
}
