//! Labels that pods get only while they run: from the StatefulSet controller, from operators and from the software itself.

/// A label that is set on running pods.
struct RunTimeLabel {
    key: &'static str,
    /// The values that are set at run time; empty means any. Other values come from manifests, because the key is in common use.
    values: &'static [&'static str],
}

const fn label(key: &'static str) -> RunTimeLabel {
    RunTimeLabel { key, values: &[] }
}

/// The labels, each with the operator or software that sets it.
const LABELS: [RunTimeLabel; 24] = [
    // Patroni's default `kubernetes.role_label`; also Percona's and Dragonfly's operators.
    RunTimeLabel {
        key: "role",
        values: &["master", "primary", "replica", "standby_leader", "sync_standby", "quorum_standby"],
    },
    // Zalando's Postgres operator; the second label during major upgrades.
    label("spilo-role"),
    label("critical-operation"),
    // CloudNativePG.
    label("cnpg.io/instanceRole"),
    // Crunchy's Postgres operator.
    label("postgres-operator.crunchydata.com/role"),
    // StackGres.
    label("stackgres.io/role"),
    // Spotahome's Redis operator.
    label("redisfailovers-role"),
    // OT Container Kit's Redis operator.
    label("redis-role"),
    // KubeDB.
    label("kubedb.com/role"),
    // KubeBlocks.
    label("kubeblocks.io/role"),
    label("apps.kubeblocks.io/role"),
    // Oracle's MySQL operator.
    label("mysql.oracle.com/cluster-role"),
    // MOCO.
    label("moco.cybozu.com/role"),
    // The MariaDB operator.
    label("k8s.mariadb.com/role"),
    // Vault's and OpenBao's service registration.
    label("vault-active"),
    label("vault-sealed"),
    label("vault-initialized"),
    label("vault-perf-standby"),
    label("vault-version"),
    label("openbao-active"),
    label("openbao-sealed"),
    label("openbao-initialized"),
    label("openbao-perf-standby"),
    label("openbao-version"),
];

/// Whether the StatefulSet controller adds this label to each pod.
pub fn is_given_by_controller(key: &str) -> bool {
    matches!(
        key,
        "statefulset.kubernetes.io/pod-name" | "apps.kubernetes.io/pod-index" | "controller-revision-hash"
    )
}

/// Whether operators or the software may set this label to one of these values on running pods; no values means any.
pub(super) fn is_given_at_run_time<'v>(key: &str, mut values: impl Iterator<Item = &'v str>) -> bool {
    let known = LABELS.iter().find(|label| label.key == key);
    known.is_some_and(|label| label.values.is_empty() || values.any(|value| label.values.contains(&value)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_common_key_counts_with_its_values_only() {
        let given = |key: &str, values: &[&str]| is_given_at_run_time(key, values.iter().copied());
        assert!(given("role", &["browser", "replica"]));
        assert!(!given("role", &["browser"]) && !given("role", &[]));
        assert!(given("spilo-role", &["master"]) && given("spilo-role", &[]));
        assert!(!given("app", &["master"]) && !given("statefulset.kubernetes.io/pod-name", &["a-0"]));
    }

    #[test]
    fn no_label_is_listed_twice() {
        for (index, label) in LABELS.iter().enumerate() {
            assert!(LABELS[..index].iter().all(|other| other.key != label.key), "{}", label.key);
            assert!(!is_given_by_controller(label.key));
        }
    }
}
