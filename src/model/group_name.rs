//! The consensus group of a StatefulSet, as its own configuration names it.

use core::net::IpAddr;
use std::collections::{BTreeMap, BTreeSet};

use super::arbiter::MODE_VARIABLE;
use super::{Container, EnvVar, StatefulSet};

const REPLICA_SET_VARIABLES: [&str; 2] = ["MONGODB_REPLICA_SET_NAME", "MONGO_REPLICA_SET_NAME"];
/// Settings of mongod.conf.
const REPLICA_SET_SETTINGS: [&str; 2] = ["replication.replSetName", "replSet"];
/// Variables of Elasticsearch and `OpenSearch`, by their own names and by Bitnami's.
const CLUSTER_VARIABLES: [&str; 4] =
    ["cluster.name", "ES_SETTING_CLUSTER_NAME", "ELASTICSEARCH_CLUSTER_NAME", "OPENSEARCH_CLUSTER_NAME"];
const REPLICA_SET_FLAGS: [&str; 2] = ["--replSet", "--replSetName"];
const ROLES_VARIABLES: [&str; 4] =
    ["node.roles", "ES_SETTING_NODE_ROLES", "ELASTICSEARCH_NODE_ROLES", "OPENSEARCH_NODE_ROLES"];
const INITIAL_CLUSTER_VARIABLES: [&str; 10] = [
    "ETCD_INITIAL_CLUSTER",
    "ZOO_SERVERS",
    "ZOOKEEPER_SERVERS",
    // Elasticsearch and OpenSearch, by their own names and by Bitnami's.
    "cluster.initial_master_nodes",
    "cluster.initial_cluster_manager_nodes",
    "discovery.seed_hosts",
    "ELASTICSEARCH_CLUSTER_MASTER_HOSTS",
    "OPENSEARCH_CLUSTER_MASTER_HOSTS",
    "KAFKA_CONTROLLER_QUORUM_VOTERS",
    "KAFKA_CFG_CONTROLLER_QUORUM_VOTERS",
];
/// Settings of the configuration files of etcd, ZooKeeper and Kafka.
const INITIAL_CLUSTER_SETTINGS: [&str; 3] = ["initial-cluster", "server.*", "controller.quorum.voters"];
const INITIAL_CLUSTER_FLAGS: [&str; 4] =
    ["--initial-cluster", "-initial-cluster", "--retry-join", "-retry-join"];
/// Lists of all `JournalNodes`, in the images of Apache and of Big Data Europe.
pub(super) const MEMBERS_VARIABLES: [&str; 2] =
    ["HDFS-SITE.XML_dfs.namenode.shared.edits.dir", "HDFS_CONF_dfs_namenode_shared_edits_dir"];
/// Settings of the configuration files of `ClickHouse` Keeper and of HDFS.
pub(super) const MEMBERS_SETTINGS: [&str; 2] =
    ["keeper_server.raft_configuration.server*.hostname", "dfs.namenode.shared.edits.dir"];
/// Flags of `YugabyteDB` and Kudu, and of `NebulaGraph`.
pub(super) const MEMBERS_FLAGS: [&str; 2] = ["--master_addresses", "--meta_server_addrs"];
/// Flags that name some members to join, not all of them.
const JOINED_FLAGS: [&str; 4] = ["--join", "-join", "--retry-join", "-retry-join"];
/// Settings of Vault, Consul and Nomad.
const JOINED_SETTINGS: [&str; 3] =
    ["storage.raft.retry_join*.leader_api_addr", "retry_join", "server.server_join.retry_join"];
/// Marks a cloud lookup of members: no host names follow.
const PROVIDER: &str = "provider=";
pub(super) const OBSERVER: &str = ":observer";
pub(super) const VOTERS_VARIABLES: [&str; 2] =
    ["KAFKA_CONTROLLER_QUORUM_VOTERS", "KAFKA_CFG_CONTROLLER_QUORUM_VOTERS"];
pub(super) const VOTERS_SETTINGS: [&str; 1] = ["controller.quorum.voters"];
/// Settings of Consul and of Nomad.
const EXPECT_SETTINGS: [&str; 2] = ["bootstrap_expect", "server.bootstrap_expect"];
const EXPECT_FLAGS: [&str; 2] = ["-bootstrap-expect", "--bootstrap-expect"];
const INSTANCE_LABEL: &str = "app.kubernetes.io/instance";

/// The environment variables that describe the group.
pub fn group_variables() -> impl Iterator<Item = &'static str> {
    let names = [MODE_VARIABLE].into_iter().chain(REPLICA_SET_VARIABLES).chain(CLUSTER_VARIABLES);
    names.chain(INITIAL_CLUSTER_VARIABLES).chain(MEMBERS_VARIABLES)
}

/// Whether the environment variable describes the group.
pub fn names_group(variable: &str) -> bool {
    group_variables().any(|name| name == variable)
}

/// The MongoDB replica set that the containers name.
pub(super) fn replica_set_named(containers: &[Container]) -> Option<&str> {
    let mut names = containers.iter().flat_map(|c| {
        c.given(&REPLICA_SET_VARIABLES, &REPLICA_SET_FLAGS).chain(c.given_by_files(&REPLICA_SET_SETTINGS))
    });
    names.find(|name| !name.is_empty() && !name.contains('$'))
}

impl StatefulSet {
    /// The replica set that the containers name, as MongoDB does; `None` if the name is only known at run time.
    pub fn replica_set_name(&self) -> Option<&str> {
        replica_set_named(&self.spec.template.spec.containers)
    }

    /// The cluster that the containers name, as Elasticsearch does; `None` if the name is only known at run time.
    pub fn cluster_name(&self) -> Option<&str> {
        let mut variables = self.spec.template.spec.containers.iter().flat_map(|container| &container.env);
        let named = variables.find(|variable| CLUSTER_VARIABLES.contains(&&*variable.name));
        named.map(|variable| &*variable.value).filter(|name| !name.is_empty() && !name.contains('$'))
    }

    /// Whether its Elasticsearch nodes have the master role, and so vote, whatever other roles they have.
    pub fn is_master_eligible(&self) -> bool {
        let mut variables = self.spec.template.spec.containers.iter().flat_map(|container| &container.env);
        variables.any(|variable| {
            ROLES_VARIABLES.contains(&&*variable.name)
                && (variable.value.contains("master") || variable.value.contains("cluster_manager"))
        })
    }

    /// The release that the set is part of, by the recommended label.
    pub fn instance(&self) -> Option<&str> {
        let labels = self.spec.template.labels().get(INSTANCE_LABEL);
        labels.or_else(|| self.metadata.labels.get(INSTANCE_LABEL))
    }

    /// The names of the StatefulSets whose pods are listed in its initial cluster.
    pub fn initial_members(&self) -> BTreeSet<&str> {
        let words = self
            .initial_clusters()
            .flat_map(|list| list.split(|c: char| !c.is_ascii_alphanumeric() && c != '-'));
        words.filter_map(set_of_pod).collect()
    }

    /// Whether the two sets are certainly not of one group: they name different replica sets, or each lists its own members and none of the
    /// other's.
    pub fn is_apart_from(&self, other: &Self) -> bool {
        let names = (self.replica_set_name(), other.replica_set_name());
        let are_named_apart = matches!(names, (Some(mine), Some(theirs)) if mine != theirs);
        are_named_apart || (self.lists_itself_without(other) && other.lists_itself_without(self))
    }

    fn lists_itself_without(&self, other: &Self) -> bool {
        let listed = self.initial_members();
        listed.contains(&*self.metadata.name) && !listed.contains(&*other.metadata.name)
    }

    /// A host in the set's list of members that is not one of its pods: a virtual machine that is being migrated, or a pod of another set.
    /// A list of all members counts if it has more than `replicas` hosts. In a list of members to join, only a host that is certainly
    /// outside counts.
    pub fn member_elsewhere(&self, replicas: i32) -> Option<&str> {
        let listed = |list: &&str| self.listed_elsewhere(list, replicas).is_some();
        let list = self.initial_clusters().chain(self.member_lists()).find(listed);
        match list {
            Some(list) => self.listed_elsewhere(list, replicas),
            None => self.joined_members().find(|host| self.is_outside(host)),
        }
    }

    /// The foreign host in one list of all members; see [`Self::member_elsewhere`].
    fn listed_elsewhere<'l>(&self, list: &'l str, replicas: i32) -> Option<&'l str> {
        let hosts: Vec<&str> = hosts_of(list).collect();
        let are_more = hosts.len() > usize::try_from(replicas).unwrap_or(0);
        let mut elsewhere = hosts.iter().copied().filter(|host| are_more && self.is_elsewhere(host));
        elsewhere.next().or_else(|| namesake(&hosts).filter(|_| are_more))
    }

    /// The variable of the member list, if its value is in an object that is not known.
    pub fn list_elsewhere(&self) -> Option<&'static str> {
        let containers = self.spec.template.spec.containers.iter();
        let mut unread = containers.flat_map(|container| &container.env).filter(|variable| {
            let from = variable.value_from.as_ref().filter(|_| variable.value.is_empty());
            from.is_some_and(|from| from.field_ref.field_path.is_empty())
        });
        unread
            .find_map(|variable| INITIAL_CLUSTER_VARIABLES.into_iter().find(|name| *name == &*variable.name))
    }

    /// How many servers Consul or Nomad await before the first election, if the command line or a configuration file sets it.
    pub fn expected_members(&self) -> Option<i32> {
        let mut containers = self.spec.template.spec.containers.iter();
        containers.find_map(|container| {
            let mut given =
                container.given(&[], &EXPECT_FLAGS).chain(container.given_by_files(&EXPECT_SETTINGS));
            given.next()?.parse().ok()
        })
    }

    /// A pod of the set that the list of ZooKeeper servers has as an observer, which has no vote.
    pub fn pod_without_vote(&self) -> Option<&str> {
        self.initial_clusters().find_map(|list| {
            let mut hosts =
                members_of(list).filter(|member| member.ends_with(OBSERVER)).filter_map(host_of_member);
            hosts.find(|host| !self.is_elsewhere(host))
        })
    }

    /// How many voters the list of Kafka's controller quorum has. The list is the same in all pods, and only listed controllers vote.
    pub fn listed_voters(&self) -> Option<i32> {
        let containers = self.spec.template.spec.containers.iter();
        let lists = containers
            .flat_map(|c| c.given(&VOTERS_VARIABLES, &[]).chain(c.given_by_files(&VOTERS_SETTINGS)));
        let mut counts = lists.filter(|list| !list.contains('$')).map(|list| list.matches('@').count());
        counts.find(|count| *count > 0).and_then(|count| i32::try_from(count).ok())
    }

    fn initial_clusters(&self) -> impl Iterator<Item = &str> {
        let containers = self.spec.template.spec.containers.iter();
        containers.flat_map(|c| {
            let given = c.given(&INITIAL_CLUSTER_VARIABLES, &INITIAL_CLUSTER_FLAGS);
            given.chain(c.given_by_files(&INITIAL_CLUSTER_SETTINGS))
        })
    }

    /// The lists of all members that are not used to find the sets of one group.
    fn member_lists(&self) -> impl Iterator<Item = &str> {
        let containers = self.spec.template.spec.containers.iter();
        containers.flat_map(|c| {
            c.given(&MEMBERS_VARIABLES, &MEMBERS_FLAGS).chain(c.given_by_files(&MEMBERS_SETTINGS))
        })
    }

    /// The hosts that its pods join.
    fn joined_members(&self) -> impl Iterator<Item = &str> {
        let containers = self.spec.template.spec.containers.iter();
        let lists =
            containers.flat_map(|c| c.given(&[], &JOINED_FLAGS).chain(c.given_by_files(&JOINED_SETTINGS)));
        lists.filter(|list| !list.contains(PROVIDER)).flat_map(hosts_of)
    }

    /// Whether a host is certainly neither a pod of the set nor a Service in front of its pods, whose name can be anything. True for an
    /// address, a pod of another set, or a host of another domain.
    fn is_outside(&self, host: &str) -> bool {
        let labels = || host.split('.');
        let is_pod = labels().next().and_then(set_of_pod).is_some();
        let is_of_cluster = labels().count() <= 2 || labels().any(|label| label == "svc");
        self.is_elsewhere(host) && (host.parse::<IpAddr>().is_ok() || is_pod || !is_of_cluster)
    }

    /// Whether a host is certainly not a pod of the set. A host that is only known at run time may be one.
    fn is_elsewhere(&self, host: &str) -> bool {
        if let Ok(address) = host.parse::<IpAddr>() {
            return !address.is_loopback() && !address.is_unspecified();
        }
        let label = host.split('.').next().unwrap_or_default();
        let (name, service) = (&*self.metadata.name, &*self.spec.service_name);
        let is_known = host.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.'));
        let is_own = ["", "localhost", name, service].contains(&label) || set_of_pod(label) == Some(name);
        is_known && !is_own
    }
}

/// The set that a pod's name belongs to: `etcd-a` for `etcd-a-0`.
pub(super) fn set_of_pod(pod: &str) -> Option<&str> {
    let (set, ordinal) = pod.rsplit_once('-')?;
    let is_ordinal = !ordinal.is_empty() && ordinal.bytes().all(|byte| byte.is_ascii_digit());
    (is_ordinal && !set.is_empty()).then_some(set)
}

/// The members of a list.
pub(super) fn members_of(list: &str) -> impl Iterator<Item = &str> {
    list.split(|c: char| matches!(c, ',' | ';') || c.is_whitespace())
}

pub(super) fn hosts_of(list: &str) -> impl Iterator<Item = &str> {
    members_of(list).filter_map(host_of_member)
}

/// A host with the same pod name as an earlier host of the list, in another domain: one of them is in another namespace or cluster.
fn namesake<'l>(hosts: &[&'l str]) -> Option<&'l str> {
    let mut before: BTreeMap<&str, &str> = BTreeMap::new();
    hosts.iter().copied().find(|host| {
        let pod = host.split('.').next().unwrap_or_default();
        set_of_pod(pod).is_some() && *before.entry(pod).or_insert(host) != *host
    })
}

/// The host of `m1=http://HOST:2380`, `server.1=HOST:2888:3888;2181` or `1@HOST:9093`.
pub(super) fn host_of_member(member: &str) -> Option<&str> {
    let address = member.rsplit(['=', '@']).next().unwrap_or(member);
    let address = address.split_once("//").map_or(address, |(_, rest)| rest);
    let host = match address.strip_prefix('[') {
        Some(rest) => rest.split(']').next(),
        None => address.split([':', '/', ';']).next(),
    };
    // Behind a semicolon follows another member, or the port for clients.
    host.filter(|host| host.bytes().any(|byte| !byte.is_ascii_digit()))
}

impl Container {
    /// The values that the container gives to these variables or flags.
    pub(super) fn given(
        &self,
        variables: &'static [&'static str],
        flags: &'static [&'static str],
    ) -> impl Iterator<Item = &str> {
        let variables = self.env.iter().filter(move |variable| variables.contains(&&*variable.name));
        variables.map(|variable| &*variable.value).chain(self.given_by_flags(flags))
    }

    /// The values of these settings in the container's configuration files; empty if the files were not read.
    pub(super) fn given_by_files(&self, settings: &'static [&'static str]) -> impl Iterator<Item = &str> {
        let env: &[EnvVar] = if self.has_settings { &self.env } else { &[] };
        env.iter().filter(|variable| settings.contains(&&*variable.name)).map(|variable| &*variable.value)
    }

    /// The values that the command line gives to these flags.
    pub fn given_by_flags(&self, flags: &[impl AsRef<str>]) -> Vec<&str> {
        let words: Vec<&str> =
            self.command.iter().chain(&self.args).flat_map(|text| text.split_whitespace()).collect();
        let is_flag = |word: &str| flags.iter().any(|flag| flag.as_ref() == word);
        let given = words.iter().enumerate().filter_map(|(index, word)| match word.split_once('=') {
            Some((flag, value)) => is_flag(flag).then_some(value),
            None => is_flag(word).then(|| words.get(index + 1).copied()).flatten(),
        });
        given.collect()
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
    fn what_both_say_may_show_that_they_are_apart() {
        let set = |name: &str, container: Value| {
            let mut set = set(&container);
            set.metadata.name = name.into();
            set
        };
        let named = |name| json!({"env": [{"name": "MONGODB_REPLICA_SET_NAME", "value": name}]});
        let listed = |list| json!({"args": [format!("--initial-cluster={list}")]});
        for (mine, theirs, apart) in [
            (named("shard-0"), named("shard-1"), true),
            (named("rs0"), named("rs0"), false),
            (named("rs0"), json!({}), false),
            (listed("a=http://a-0.a:2380"), listed("b=http://b-0.b:2380"), true),
            // A set that joined later lists both.
            (listed("a=http://a-0.a:2380"), listed("a=http://a-0.a:2380,b=http://b-0.b:2380"), false),
            (listed("a=http://a-0.a:2380"), json!({}), false),
            (listed("a=http://10.0.0.1:2380"), listed("b=http://10.0.0.2:2380"), false),
            (json!({}), json!({}), false),
        ] {
            let (one, other) = (set("a", mine.clone()), set("b", theirs.clone()));
            assert_eq!(one.is_apart_from(&other), apart, "{mine} {theirs}");
            assert_eq!(other.is_apart_from(&one), apart, "{theirs} {mine}");
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
    fn configuration_files_say_the_same_where_they_were_read() {
        let mut set = set(&json!({"env": [
            {"name": "server.*", "value": "server.1=zk-a-0.zk:2888:3888 server.2=zk-b-0.zk:2888:3888"},
            {"name": "replication.replSetName", "value": "rs0"}]}));
        assert_eq!((set.initial_members().len(), set.replica_set_name()), (0, None));
        let container = &mut std::sync::Arc::make_mut(&mut set.spec.template.spec.containers)[0];
        container.has_settings = true;
        assert_eq!((set.initial_members().len(), set.replica_set_name()), (2, Some("rs0")));
    }

    #[test]
    fn a_cluster_is_named_by_a_variable_and_so_are_roles() {
        for (variable, value, name) in [
            ("cluster.name", "logs", Some("logs")),
            ("ELASTICSEARCH_CLUSTER_NAME", "logs", Some("logs")),
            ("OPENSEARCH_CLUSTER_NAME", "logs", Some("logs")),
            ("CLUSTER_NAME", "logs", None),
            ("cluster.name", "${NAME}", None),
            ("cluster.name", "", None),
        ] {
            let set = set(&json!({"env": [{"name": variable, "value": value}]}));
            assert_eq!(set.cluster_name(), name, "{variable} {value}");
        }
        for (variable, value, is_eligible) in [
            ("node.roles", "[ data, master, voting_only ]", true),
            ("node.roles", "cluster_manager", true),
            ("OPENSEARCH_NODE_ROLES", "master", true),
            ("node.roles", "[ data ]", false),
            ("node.roles", "", false),
            ("ROLES", "master", false),
        ] {
            let set = set(&json!({"env": [{"name": variable, "value": value}]}));
            assert_eq!(set.is_master_eligible(), is_eligible, "{variable} {value}");
        }
    }

    #[test]
    fn a_member_elsewhere_is_one_that_is_no_pod_of_the_set() {
        let elsewhere = |variable: &str, list: &str, replicas| {
            let mut set = set(&json!({"env": [{"name": variable, "value": list}]}));
            set.metadata.name = "zk".into();
            set.spec.service_name = "zk-headless".into();
            set.member_elsewhere(replicas).map(ToOwned::to_owned)
        };
        for (list, replicas, found) in [
            ("m1=http://zk-0.zk:2380,vm1=https://10.0.0.1:2380,m2=http://zk-1.zk:2380", 2, Some("10.0.0.1")),
            ("m1=http://zk-0.zk:2380,vm1=https://10.0.0.1:2380,m2=http://zk-1.zk:2380", 3, None),
            ("m1=http://[::1]:2380,vm1=https://[2001:db8::1]:2380", 1, Some("2001:db8::1")),
            ("server.1=zk-0.zk:2888:3888;2181 server.2=zk-b-0.zk-b:2888:3888;2181", 1, Some("zk-b-0.zk-b")),
            ("zk-0.zk:2888:3888::1,old.example.com:2888:3888::2", 1, Some("old.example.com")),
            ("1@zk-0.zk:9093,2@zk-1.zk:9093,3@zk-2.zk:9093", 2, None),
            ("server.1=0.0.0.0:2888:3888 server.2=zk-1.zk:2888:3888 server.3=localhost:2888:3888", 1, None),
            (
                "m=http://$(POD_NAME).zk:2380,n=http://$(OTHER):2380,o=http://zk-headless:2380,p=http://zk:2380",
                1,
                None,
            ),
            ("zk-0.zk:2888:3888;vm.example.com:2888:3888", 1, Some("vm.example.com")),
            ("server.1=zk-0.zk:2888:3888;2181 server.2=zk-1.zk:2888:3888;2181", 1, None),
            ("", 0, None),
            (",,=,@,//,[", 0, None),
        ] {
            assert_eq!(elsewhere("ETCD_INITIAL_CLUSTER", list, replicas).as_deref(), found, "{list}");
        }
        assert_eq!(
            elsewhere("KAFKA_CONTROLLER_QUORUM_VOTERS", "1@zk-0.zk:1,2@vm:1", 1).as_deref(),
            Some("vm")
        );
        assert_eq!(elsewhere("PEERS", "1@zk-0.zk:1,2@vm:1", 1), None);
        assert_eq!(
            elsewhere(
                "HDFS-SITE.XML_dfs.namenode.shared.edits.dir",
                "qjournal://zk-0.zk:8485;zk-1.zk:8485;vm:8485/x",
                2
            )
            .as_deref(),
            Some("vm")
        );
        // The same name in other namespaces or clusters.
        for (list, found) in [
            ("a=http://zk-0.zk.a.svc:1,b=http://zk-0.zk.b.svc:1", Some("zk-0.zk.b.svc")),
            ("zk-0.zk:1,zk-1.zk:1,zk-0.zk.b.svc.clusterset.local:1", Some("zk-0.zk.b.svc.clusterset.local")),
            ("zk-0.zk:1,zk-1.zk:1,zk-2.zk:1", None),
            ("zk-0.zk:1,zk-0.zk:1", None),
        ] {
            assert_eq!(elsewhere("ZOO_SERVERS", list, 1).as_deref(), found, "{list}");
        }
    }

    #[test]
    fn what_is_joined_is_elsewhere_where_it_can_be_no_service_of_the_set() {
        let joins = |container: Value| {
            let mut set = set(&container);
            set.metadata.name = "pd".into();
            set.spec.service_name = "pd-peer".into();
            let container = &mut std::sync::Arc::make_mut(&mut set.spec.template.spec.containers)[0];
            container.has_settings = true;
            set.member_elsewhere(2).map(ToOwned::to_owned)
        };
        for (host, is_elsewhere) in [
            ("http://pd-dc1-0.acme.com:2379", true),
            ("vm.example.com:2379", true),
            ("10.0.0.5:2379", true),
            ("etcd-0.etcd:2379", true),
            ("pd-0.pd-peer:2379", false),
            ("http://pd:2379", false),
            ("http://pd-client:2379", false),
            ("http://pd-client.tidb:2379", false),
            ("http://pd-client.tidb.svc.cluster.local:2379", false),
            ("$(HOST).example.com:2379", false),
            ("\"provider=aws secret_access_key=a.b.c\"", false),
        ] {
            let found = joins(json!({"args": [format!("--join={host}")]}));
            assert_eq!(found.is_some(), is_elsewhere, "{host}: {found:?}");
            let setting =
                json!({"name": "storage.raft.retry_join*.leader_api_addr", "value": format!("a={host}")});
            assert_eq!(joins(json!({"env": [setting]})).is_some(), is_elsewhere, "{host}");
        }
        let masters = "--master_addresses=pd-0.pd:1,pd-1.pd:1,other:1";
        assert_eq!(joins(json!({"args": [masters]})).as_deref(), Some("other"));
        assert_eq!(joins(json!({"args": ["--master_addresses=pd-0.pd:1,other:1"]})), None);
    }

    #[test]
    fn not_all_members_vote() {
        let container = |variable: &str, list: &str| {
            let mut set = set(&json!({"env": [{"name": variable, "value": list}]}));
            set.metadata.name = "zk".into();
            set
        };
        for (list, observer) in [
            ("server.1=zk-0.zk:2888:3888;2181 server.4=zk-3.zk:2888:3888:observer;2181", Some("zk-3.zk")),
            ("server.1=zk-0.zk:2888:3888:participant server.2=zk-1.zk:2888:3888", None),
            ("server.1=observer:2888:3888", None),
            ("server.4=zk-b-0.zk-b:2888:3888:observer", None),
            ("server.4=$HOST:2888:3888:observer", Some("$HOST")),
            (":observer", None),
        ] {
            assert_eq!(container("ZOO_SERVERS", list).pod_without_vote(), observer, "{list}");
        }
        for (variable, list, voters) in [
            ("KAFKA_CONTROLLER_QUORUM_VOTERS", "0@k-0.k:9093,1@k-1.k:9093,2@k-2.k:9093", Some(3)),
            ("KAFKA_CFG_CONTROLLER_QUORUM_VOTERS", "0@k-0.k:9093", Some(1)),
            ("KAFKA_CONTROLLER_QUORUM_VOTERS", "$(VOTERS)@", None),
            ("KAFKA_CONTROLLER_QUORUM_VOTERS", "", None),
            ("ZOO_SERVERS", "0@k-0.k:9093", None),
        ] {
            assert_eq!(container(variable, list).listed_voters(), voters, "{list}");
        }
    }
}
