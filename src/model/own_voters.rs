//! Lists of voters that name the pods of the set itself.

use std::collections::BTreeSet;

use super::StatefulSet;
use super::group_name::{
    MEMBERS_FLAGS, MEMBERS_SETTINGS, MEMBERS_VARIABLES, OBSERVER, VOTERS_SETTINGS, VOTERS_VARIABLES,
    host_of_member, hosts_of, members_of, set_of_pod,
};

/// Lists that servers of `ZooKeeper` take their configuration from.
const SERVERS_VARIABLES: [&str; 2] = ["ZOO_SERVERS", "ZOOKEEPER_SERVERS"];
const SERVERS_SETTINGS: [&str; 1] = ["server.*"];
/// Lists that etcd forms a group from: later its data say who is a member.
const FORMING_VARIABLES: [&str; 1] = ["ETCD_INITIAL_CLUSTER"];
const FORMING_SETTINGS: [&str; 1] = ["initial-cluster"];
/// Flags of etcd that form a group, and [`MEMBERS_FLAGS`].
const MEMBER_FLAGS: [&str; 4] = ["--initial-cluster", "-initial-cluster", MEMBERS_FLAGS[0], MEMBERS_FLAGS[1]];

/// Names of Services that several clusters share (KEP 1645): the pods behind them may run in another one.
const SHARED_DOMAIN: &str = "clusterset";

/// Pods of a set that have a vote and do not run, since the set has fewer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AbsentVoters {
    /// The variable or the setting that lists them.
    pub list: Box<str>,
    /// How many voters there are with them.
    pub voters: i32,
    pub pods: Vec<String>,
}

impl StatefulSet {
    /// The variable, the setting or the flag by which its containers are told of its own pods as members of their group.
    pub fn list_of_own_pods(&self) -> Option<&str> {
        let lists_own = |list: &str| hosts_of(list).any(|host| self.ordinal_of_host(host).is_some());
        self.spec.template.spec.containers.iter().find_map(|container| {
            let mut variables = container
                .env
                .iter()
                .filter(|variable| is_list_of_members(&variable.name, container.has_settings));
            let variable =
                variables.find(|variable| lists_own(&variable.value)).map(|variable| &*variable.name);
            variable.or_else(|| {
                // Hardly any container has one of the flags: all are looked for at once first.
                let has_any = container.given_by_flags(&MEMBER_FLAGS).into_iter().any(lists_own);
                let by_flag =
                    |flag: &&'static str| container.given_by_flags(&[*flag]).into_iter().any(lists_own);
                MEMBER_FLAGS.into_iter().filter(|_| has_any).find(by_flag)
            })
        })
    }

    /// The voters that a list names beside the `replicas` pods that there are. Only of Kafka and `ZooKeeper`, whose servers take the
    /// list as it is, and where every voter in it is a pod of this set: others may run elsewhere.
    pub fn absent_voters(&self, replicas: i32) -> Option<AbsentVoters> {
        let mut variables = self.spec.template.spec.containers.iter().flat_map(|container| {
            let has_settings = container.has_settings;
            container.env.iter().filter(move |variable| {
                let name = &&*variable.name;
                VOTERS_VARIABLES.contains(name)
                    || SERVERS_VARIABLES.contains(name)
                    || (has_settings && (VOTERS_SETTINGS.contains(name) || SERVERS_SETTINGS.contains(name)))
            })
        });
        let list = variables.find(|variable| !variable.value.is_empty())?;
        let voters = self.own_voters(&list.value)?;
        let there = self.ordinals(replicas);
        let absent: Vec<i64> = voters.iter().copied().filter(|ordinal| !there.contains(ordinal)).collect();
        // A pod without a vote, or one before the first, whose set may be in another cluster.
        let is_whole = voters.len() - absent.len() == usize::try_from(replicas).ok()?
            && absent.iter().all(|ordinal| *ordinal >= there.end);
        (is_whole && !absent.is_empty()).then(|| AbsentVoters {
            list: list.name.clone(),
            voters: i32::try_from(voters.len()).unwrap_or(i32::MAX),
            pods: absent.into_iter().map(|ordinal| self.pod_name(ordinal)).collect(),
        })
    }

    /// The ordinals in a list of voters; `None` where it names anything but pods of this set under one name of a Service.
    fn own_voters(&self, list: &str) -> Option<BTreeSet<i64>> {
        let (mut ordinals, mut domain) = (BTreeSet::new(), None);
        let voters = members_of(list).filter(|member| !member.ends_with(OBSERVER));
        for host in voters.filter_map(host_of_member) {
            let of_host = host.split_once('.').map_or("", |(_, domain)| domain);
            let is_elsewhere = of_host.contains(SHARED_DOMAIN) || *domain.get_or_insert(of_host) != of_host;
            ordinals.insert(self.ordinal_of_host(host).filter(|_| !is_elsewhere)?);
        }
        Some(ordinals)
    }

    /// The number of the pod of this set that a host is by its name.
    fn ordinal_of_host(&self, host: &str) -> Option<i64> {
        let pod = host.split('.').next()?;
        let set = set_of_pod(pod).filter(|set| **set == *self.metadata.name)?;
        pod[set.len() + 1..].parse().ok()
    }
}

/// Whether a variable of this name lists the members of a group; where a container `has_settings`, a setting too.
fn is_list_of_members(name: &str, has_settings: bool) -> bool {
    let variables = [&SERVERS_VARIABLES[..], &FORMING_VARIABLES, &VOTERS_VARIABLES, &MEMBERS_VARIABLES];
    let settings = [&SERVERS_SETTINGS[..], &FORMING_SETTINGS, &VOTERS_SETTINGS, &MEMBERS_SETTINGS];
    variables.iter().any(|names| names.contains(&name))
        || (has_settings && settings.iter().any(|names| names.contains(&name)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn set(variable: &str, list: &str, replicas: i32) -> StatefulSet {
        let env = json!([{"name": variable, "value": list}]);
        serde_json::from_value(json!({"metadata": {"name": "zk"},
            "spec": {"replicas": replicas, "template": {"spec": {"containers": [{"env": env}]}}}}))
        .unwrap()
    }

    #[test]
    fn pods_that_are_listed_and_do_not_run() {
        let absent = |variable: &str, list: &str, replicas: i32| {
            let absent = set(variable, list, replicas).absent_voters(replicas)?;
            Some((absent.voters, absent.pods.join(" ")))
        };
        let zookeeper =
            "server.1=zk-0.zk:2888:3888;2181 server.2=zk-1.zk:2888:3888;2181 server.3=zk-2.zk:2888:3888;2181";
        let kafka = "0@zk-0.zk:9093,1@zk-1.zk:9093,2@zk-2.zk:9093";
        for (variable, list, replicas, expected) in [
            ("ZOO_SERVERS", zookeeper, 3, None),
            ("ZOO_SERVERS", zookeeper, 2, Some((3, "zk-2"))),
            ("ZOO_SERVERS", zookeeper, 1, Some((3, "zk-1 zk-2"))),
            ("ZOO_SERVERS", zookeeper, 4, None),
            ("ZOO_SERVERS", "zk-0.zk:2888:3888::1,zk-1.zk:2888:3888::2", 1, Some((2, "zk-1"))),
            ("ZOOKEEPER_SERVERS", "zk-0.zk:2888:3888;zk-1.zk:2888:3888", 1, Some((2, "zk-1"))),
            ("KAFKA_CONTROLLER_QUORUM_VOTERS", kafka, 2, Some((3, "zk-2"))),
            ("KAFKA_CFG_CONTROLLER_QUORUM_VOTERS", kafka, 2, Some((3, "zk-2"))),
            // Its data say who is a member, and the list is what it was once.
            ("ETCD_INITIAL_CLUSTER", "a=http://zk-0.zk:2380,b=http://zk-1.zk:2380", 1, None),
            ("SERVERS", kafka, 2, None),
            ("ZOO_SERVERS", "server.1=zk-0.zk:2888:3888 server.2=zk-1.zk:2888:3888:observer", 1, None),
            // The others may run elsewhere.
            ("KAFKA_CONTROLLER_QUORUM_VOTERS", "0@zk-0.zk:9093,1@other-1.zk:9093", 1, None),
            ("KAFKA_CONTROLLER_QUORUM_VOTERS", "0@zk-0.zk:9093,1@10.0.0.1:9093", 1, None),
            ("KAFKA_CONTROLLER_QUORUM_VOTERS", "0@zk-0.zk:9093,1@zk-1.zk.other.svc:9093", 1, None),
            (
                "KAFKA_CONTROLLER_QUORUM_VOTERS",
                "0@zk-0.zk.a.svc.clusterset.local:9093,1@zk-1.zk.a.svc.clusterset.local:9093",
                1,
                None,
            ),
            ("KAFKA_CONTROLLER_QUORUM_VOTERS", "0@$(POD).zk:9093,1@zk-1.zk:9093", 1, None),
        ] {
            let expected = expected.map(|(voters, pods)| (voters, pods.to_owned()));
            assert_eq!(absent(variable, list, replicas), expected, "{variable} {list} {replicas}");
        }
        let mut moved = set("KAFKA_CONTROLLER_QUORUM_VOTERS", kafka, 2);
        moved.spec.ordinals.start = 1;
        assert_eq!(moved.absent_voters(2), None, "zk-0 may run in another cluster");
    }

    #[test]
    fn what_lists_its_own_pods() {
        for (variable, list, expected) in [
            ("ZOO_SERVERS", "server.1=zk-0.zk:2888:3888", Some("ZOO_SERVERS")),
            ("ETCD_INITIAL_CLUSTER", "a=http://zk-0.zk:2380", Some("ETCD_INITIAL_CLUSTER")),
            ("discovery.seed_hosts", "zk-0.zk", None),
            ("ZOO_SERVERS", "server.1=other-0.zk:2888:3888", None),
            ("server.*", "server.1=zk-0.zk:2888:3888", None),
        ] {
            assert_eq!(set(variable, list, 3).list_of_own_pods(), expected, "{variable} {list}");
        }
        let args = json!(["--initial-cluster=a=http://zk-0.zk:2380"]);
        let etcd: StatefulSet = serde_json::from_value(json!({"metadata": {"name": "zk"},
            "spec": {"template": {"spec": {"containers": [{"args": args}]}}}}))
        .unwrap();
        assert_eq!(etcd.list_of_own_pods(), Some("--initial-cluster"));
    }
}
