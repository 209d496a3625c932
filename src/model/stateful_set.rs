//! A StatefulSet, and its Scale.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::{
    Container, ENSEMBLE, IntOrPercent, LabelSelector, Labels, Metadata, Owner, PROTECTED, PodTemplate,
    Recognised, int_or_percent, is_given_by_controller, is_label_key, is_version_label, nullable,
};

/// The label with each pod's name; the controller adds it.
pub const POD_NAME_LABEL: &str = "statefulset.kubernetes.io/pod-name";
/// The label with each pod's ordinal; the controller adds it.
pub const POD_INDEX_LABEL: &str = "apps.kubernetes.io/pod-index";

/// The fields of a StatefulSet that rules read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct StatefulSet {
    #[serde(deserialize_with = "nullable::field")]
    pub metadata: Metadata,
    #[serde(deserialize_with = "nullable::field")]
    pub spec: StatefulSetSpec,
    #[serde(deserialize_with = "nullable::field")]
    pub status: StatefulSetStatus,
    /// The software that the catalogue recognised.
    #[serde(skip)]
    pub recognised: Recognised,
}

/// The fields of a StatefulSet's `status` that rules read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct StatefulSetStatus {
    /// How many pods exist, including those that are terminating.
    #[serde(deserialize_with = "nullable::field")]
    pub replicas: i32,
    /// How many pods are ready; `None` in manifests, and before the controller reports it.
    pub ready_replicas: Option<i32>,
}

/// The fields of a StatefulSet's `spec` that rules read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct StatefulSetSpec {
    /// Absent means 1.
    pub replicas: Option<i32>,
    /// The governing Service; may be empty.
    #[serde(deserialize_with = "nullable::field")]
    pub service_name: Box<str>,
    /// The pods that belong to the set.
    #[serde(deserialize_with = "nullable::field")]
    pub selector: LabelSelector,
    /// The template of its pods.
    #[serde(deserialize_with = "nullable::field")]
    pub template: PodTemplate,
    /// Each pod gets its own claim from each of these.
    #[serde(deserialize_with = "nullable::list")]
    pub volume_claim_templates: Vec<ClaimTemplate>,
    /// `Parallel`, or `OrderedReady`.
    #[serde(deserialize_with = "nullable::field")]
    pub pod_management_policy: Box<str>,
    /// How the pods are numbered.
    #[serde(deserialize_with = "nullable::field")]
    pub ordinals: Ordinals,
    /// How an edit of the template reaches the pods.
    #[serde(deserialize_with = "nullable::field")]
    pub update_strategy: UpdateStrategy,
    /// When the pods' claims are deleted.
    #[serde(deserialize_with = "nullable::field")]
    pub persistent_volume_claim_retention_policy: ClaimRetentionPolicy,
}

/// `updateStrategy`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct UpdateStrategy {
    #[serde(rename = "type", deserialize_with = "nullable::field")]
    pub kind: UpdateKind,
    /// Only of a rolling update.
    #[serde(deserialize_with = "nullable::field")]
    pub rolling_update: RollingUpdate,
}

/// `updateStrategy.type`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub enum UpdateKind {
    /// Each pod gets the new template when it is deleted by hand.
    OnDelete,
    /// The controller replaces the pods, the last one first.
    #[default]
    #[serde(other)]
    RollingUpdate,
}

/// `updateStrategy.rollingUpdate`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct RollingUpdate {
    /// The ordinal below which pods keep the old template.
    #[serde(deserialize_with = "nullable::field")]
    pub partition: i32,
    /// How many pods may be down at once; absent means 1.
    #[serde(deserialize_with = "int_or_percent::valid_or_absent")]
    pub max_unavailable: Option<IntOrPercent>,
}

/// `persistentVolumeClaimRetentionPolicy`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ClaimRetentionPolicy {
    /// The fate of all claims when the set is deleted.
    #[serde(deserialize_with = "nullable::field")]
    pub when_deleted: ClaimRetention,
    /// The fate of the removed pods' claims when the set shrinks.
    #[serde(deserialize_with = "nullable::field")]
    pub when_scaled: ClaimRetention,
}

/// The fate of a claim whose pod was removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub enum ClaimRetention {
    /// The claim is deleted, and so is its data unless the storage class retains it.
    Delete,
    /// The claim is kept until the pod comes back.
    #[default]
    #[serde(other)]
    Retain,
}

/// One of `volumeClaimTemplates`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct ClaimTemplate {
    /// Its name is a volume's name in the pod.
    #[serde(deserialize_with = "nullable::field")]
    pub metadata: Metadata,
}

/// `ordinals`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Ordinals {
    /// The first pod's ordinal.
    #[serde(deserialize_with = "nullable::field")]
    pub start: i32,
}

impl StatefulSet {
    /// The desired replica count.
    pub fn replicas(&self) -> i32 {
        self.spec.replicas.unwrap_or(1)
    }

    /// The settings of its rolling update; `None` if pods are only replaced by hand.
    pub fn rolling_update(&self) -> Option<RollingUpdate> {
        let UpdateStrategy { kind, rolling_update } = self.spec.update_strategy;
        (kind == UpdateKind::RollingUpdate).then_some(rolling_update)
    }

    /// The ordinal of the pod that an update from `old` deletes at once, of `replicas` pods: the last pod, or, if only the partition is
    /// lowered, the last pod that it held back. `None` unless pods are managed in `Parallel`: otherwise the controller waits for each pod
    /// before it does anything.
    pub fn replaced_first(&self, old: &Self, replicas: i32) -> Option<i64> {
        if &*self.spec.pod_management_policy != "Parallel" {
            return None;
        }
        let partition = self.rolling_update().map(|update| update.partition).filter(|new| *new < replicas)?;
        let reached = if self.spec.template == old.spec.template {
            old.rolling_update()
                .map(|update| update.partition.min(replicas))
                .filter(|held| *held > partition)?
        } else {
            replicas
        };
        Some(self.ordinals(reached).end - 1)
    }

    /// The ordinals of its pods, given `replicas` of them.
    pub fn ordinals(&self, replicas: i32) -> std::ops::Range<i64> {
        let start = i64::from(self.spec.ordinals.start);
        start..start + i64::from(replicas.max(0))
    }

    /// The name of the pod with this ordinal.
    pub fn pod_name(&self, ordinal: i64) -> String {
        format!("{}-{ordinal}", self.metadata.name)
    }

    /// The ordinal of the pod of this name, if it is one of `replicas` pods.
    pub fn ordinal_of_pod(&self, pod: &str, replicas: i32) -> Option<i64> {
        let ordinal = pod.strip_prefix(&*self.metadata.name)?.strip_prefix('-')?;
        let number = ordinal.parse().ok().filter(|number: &i64| number.to_string() == ordinal);
        number.filter(|number| self.ordinals(replicas).contains(number))
    }

    /// The numbers of existing and of ready pods in `status`; `None` if the controller has not reported them.
    pub fn observed(&self) -> Option<(i32, i32)> {
        let StatefulSetStatus { replicas, ready_replicas } = self.status;
        // `readyReplicas` is omitted when it is 0.
        (replicas > 0 || ready_replicas.is_some()).then(|| (replicas, ready_replicas.unwrap_or(0)))
    }

    /// Whether an annotation forbids deleting the set, its governing Service, its budgets and its claims.
    pub fn is_protected(&self) -> bool {
        self.metadata.annotations.get(PROTECTED).is_some_and(|value| value.trim() == "true")
    }

    /// The name of the claim that the pod with this ordinal has from the first claim template.
    pub fn claim_name(&self, ordinal: i64) -> Option<String> {
        let template = &self.spec.volume_claim_templates.first()?.metadata.name;
        Some(format!("{template}-{}-{ordinal}", self.metadata.name))
    }

    /// The ordinal of the pod that a claim of this name belongs to, if one of the claim templates makes such a claim.
    pub fn ordinal_of_claim(&self, claim: &str) -> Option<i64> {
        self.spec.volume_claim_templates.iter().find_map(|template| {
            let rest = claim.strip_prefix(&*template.metadata.name)?.strip_prefix('-')?;
            let ordinal = rest.strip_prefix(&*self.metadata.name)?.strip_prefix('-')?;
            ordinal.parse().ok().filter(|number: &i64| number.to_string() == ordinal)
        })
    }

    /// The labels of the pod with this ordinal: the template's, and those the controller adds.
    pub fn pod_labels(&self, ordinal: i64) -> Labels {
        let own = [(POD_NAME_LABEL, self.pod_name(ordinal)), (POD_INDEX_LABEL, ordinal.to_string())];
        let template = self.spec.template.labels().iter();
        template.map(|(key, value)| (key, value.to_owned())).chain(own).collect()
    }

    /// Whether each pod has its own name as the value of this label, if `pod-name-label` on the template is `asked`. A label that the
    /// template or the controller sets is never overwritten.
    pub fn names_pods_by(&self, label: &str, asked: Option<&str>) -> bool {
        let is_free = self.spec.template.labels().get(label).is_none() && !is_given_by_controller(label);
        label == POD_NAME_LABEL || (asked == Some(label) && is_free && is_label_key(label))
    }

    /// The labels to select its pods by: those of its own selector, or else all of the template's. A Service selects by labels only, so a
    /// selector with expressions is not used. Labels that change with each version are left out.
    pub fn selecting_labels(&self) -> Labels {
        let labels = self.spec.template.labels();
        let LabelSelector { match_labels, match_expressions } = &self.spec.selector;
        let is_own =
            !match_labels.is_empty() && match_expressions.is_empty() && match_labels.is_subset_of(labels);
        let chosen = if is_own { match_labels } else { labels };
        let lasting: Labels = chosen.iter().filter(|(key, value)| !is_version_label(key, value)).collect();
        if lasting.is_empty() { chosen.clone() } else { lasting }
    }

    /// [`Self::selecting_labels`] as text for a message.
    pub fn selecting(&self) -> String {
        let labels = self.selecting_labels();
        if labels.is_empty() { "their labels (they have none yet)".to_owned() } else { labels.to_string() }
    }

    /// Whether `other` names no ensemble and has the same images as this set, or one of the two has the other's and more.
    pub fn resembles(&self, other: &Self) -> bool {
        let (mine, others) = (self.images(), other.images());
        let contains = |many: &BTreeSet<&str>, few: &BTreeSet<&str>| !few.is_empty() && few.is_subset(many);
        other.ensemble().is_none() && (contains(&mine, &others) || contains(&others, &mine))
    }

    /// The images of its main containers, without tags and digests.
    fn images(&self) -> BTreeSet<&str> {
        let containers = self.spec.template.spec.containers.iter();
        containers.map(Container::repository).filter(|image| !image.is_empty()).collect()
    }

    /// The custom resource whose operator manages the set.
    pub fn operator(&self) -> Option<&Owner> {
        self.metadata.owner.as_deref().filter(|owner| owner.is_custom_resource())
    }

    /// The release and the replica set that it names, if it names both.
    pub fn named_group(&self) -> Option<(&str, &str)> {
        Some((self.instance()?, self.replica_set_name()?))
    }

    /// The ensemble that its annotation names.
    pub fn ensemble(&self) -> Option<&str> {
        self.metadata.annotations.get(ENSEMBLE).filter(|name| !name.is_empty())
    }
}

/// An `autoscaling/v1` Scale: the whole content of a scale request.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Scale {
    /// The name and namespace of the scaled object, without its labels and annotations.
    #[serde(deserialize_with = "nullable::field")]
    pub metadata: Metadata,
    #[serde(deserialize_with = "nullable::field")]
    pub spec: ScaleSpec,
}

/// `spec` of a Scale.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct ScaleSpec {
    /// The count; unlike a StatefulSet's, absent means 0 (it is omitted when 0).
    #[serde(deserialize_with = "nullable::field")]
    pub replicas: i32,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn set(selector: &serde_json::Value, labels: &serde_json::Value, images: &[&str]) -> StatefulSet {
        let containers: Vec<_> = images.iter().map(|image| json!({"image": image})).collect();
        let template = json!({"metadata": {"labels": labels}, "spec": {"containers": containers}});
        serde_json::from_value(json!({"spec": {"selector": selector, "template": template}})).unwrap()
    }

    #[test]
    fn strategies_are_read_as_the_api_server_defaults_them() {
        let strategy = |json: serde_json::Value| {
            let set: StatefulSet = serde_json::from_value(json!({"spec": {"updateStrategy": json}})).unwrap();
            set.rolling_update().map(|rolling| (rolling.partition, rolling.max_unavailable))
        };
        let percent = Some(IntOrPercent::Percent(50));
        for (json, read) in [
            (json!(null), Some((0, None))),
            (json!({"type": null, "rollingUpdate": null}), Some((0, None))),
            (
                json!({"type": "", "rollingUpdate": {"partition": null, "maxUnavailable": null}}),
                Some((0, None)),
            ),
            (json!({"type": "RollingUpdate", "rollingUpdate": {"partition": 2}}), Some((2, None))),
            (json!({"rollingUpdate": {"maxUnavailable": "50%"}}), Some((0, percent))),
            (json!({"type": "OnDelete", "rollingUpdate": {"partition": 2}}), None),
        ] {
            assert_eq!(strategy(json.clone()), read, "{json}");
        }
        assert!(size_of::<UpdateStrategy>() <= 16, "there are ten thousand");
    }

    #[test]
    fn selecting_is_by_labels_that_the_pods_have() {
        let (own, both) = (json!({"app": "zk"}), json!({"app": "zk", "tier": "a"}));
        let expression = json!({"matchExpressions": [{"key": "app", "operator": "Exists"}]});
        for (selector, labels, selecting) in [
            (json!({"matchLabels": own}), both.clone(), "app=zk"),
            (json!({"matchLabels": {"app": "other"}}), both.clone(), "app=zk,tier=a"),
            (expression, both.clone(), "app=zk,tier=a"),
            (json!({}), both, "app=zk,tier=a"),
            (json!({}), json!(null), "their labels (they have none yet)"),
            (
                json!({"matchLabels": {"app": "zk", "chart": "zk-1.2.3"}}),
                json!({"app": "zk", "chart": "zk-1.2.3"}),
                "app=zk",
            ),
            (json!({}), json!({"app": "zk", "helm.sh/chart": "zk-1.2.3"}), "app=zk"),
            (json!({}), json!({"helm.sh/chart": "zk-1.2.3"}), "helm.sh/chart=zk-1.2.3"),
        ] {
            assert_eq!(set(&selector, &labels, &[]).selecting(), selecting);
        }
    }

    #[test]
    fn a_shared_sidecar_is_no_resemblance() {
        let of = |images: &[&str]| set(&json!({}), &json!({}), images);
        for (one, other, resembles) in [
            (&["zookeeper:3.8"][..], &["zookeeper:3.9"][..], true),
            (&["mongo", "exporter"], &["mongo"], true),
            (&["zookeeper", "exporter"], &["kafka", "exporter"], false),
            (&["zookeeper"], &["kafka"], false),
            (&[""], &[""], false),
            (&[], &["kafka"], false),
        ] {
            assert_eq!(of(one).resembles(&of(other)), resembles, "{one:?} {other:?}");
            assert_eq!(of(other).resembles(&of(one)), resembles, "{other:?} {one:?}");
        }
    }
}
