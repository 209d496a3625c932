//! Settings of per-pod Services that a set's annotations do not give: `spec.servicePerPod`.

use core::net::IpAddr;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{Certainty, Policies, Policy, PolicyError, Subject};
use crate::model::{PerPodType, is_label_key, is_label_value, pointer_step};

/// Settings of the Services that are made for single pods. A setting that is absent is left to the API server and to other
/// controllers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", expecting = "a map", deny_unknown_fields, default)]
pub struct PerPodServices {
    /// The type of the Services whose StatefulSet does not name one.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<PerPodType>,
    /// Labels of each Service.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Annotations of each Service, which tell a cloud what load balancer to make.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// Which nodes' pods answer what comes to a node: Cluster for all, Local for its own. Not for a ClusterIP.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub external_traffic_policy: Option<TrafficPolicy>,
    /// Only for a LoadBalancer; it cannot be changed as long as the Service is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub load_balancer_class: Option<String>,
    /// The networks that a LoadBalancer lets in.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub load_balancer_source_ranges: Vec<String>,
    /// Whether a LoadBalancer takes node ports, of which a cluster has 2768.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allocate_load_balancer_node_ports: Option<bool>,
    /// Whether a pod is reached before it is ready.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub publish_not_ready_addresses: Option<bool>,
    /// Whether a pod that asks for the label that its Service selects by, and was created without it, gets it afterwards.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub label_pods: bool,
}

/// Which nodes' pods answer what comes to a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum TrafficPolicy {
    /// Every node's.
    Cluster,
    /// Its own.
    Local,
}

impl TrafficPolicy {
    /// The name in the Kubernetes API.
    pub fn name(self) -> &'static str {
        match self {
            Self::Cluster => "Cluster",
            Self::Local => "Local",
        }
    }
}

/// Why it is not known what policies say of the Services of a set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SettingsUnknown<'a> {
    /// Not all policies have been read.
    Policies,
    /// The policy of this name may apply: the labels of the namespace are not known.
    Labels(&'a str),
    /// The policy of this name has settings and cannot be used.
    Malformed(&'a str),
}

impl fmt::Display for SettingsUnknown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Policies => f.write_str("the policies are not known yet, as /readyz says"),
            Self::Labels(policy) => write!(
                f,
                "whether policy {policy} applies depends on the labels of the namespace, which are not known yet"
            ),
            Self::Malformed(policy) => {
                write!(f, "policy {policy} has servicePerPod and cannot be used; its status says why")
            }
        }
    }
}

impl Policies {
    /// The settings of the strongest policy that is about this set and has any.
    pub fn per_pod_services(
        &self,
        subject: Subject<'_>,
    ) -> Result<Option<&PerPodServices>, SettingsUnknown<'_>> {
        if self.is_partial {
            return Err(SettingsUnknown::Policies);
        }
        let strongest = self.by_strength.iter().find_map(|policy| {
            let settings = policy.per_pod_services.as_ref()?;
            Some((settings, policy, policy.scope.covers(subject)?))
        });
        let is_stronger = |policy: &Policy| {
            strongest.is_none_or(|(_, strongest, _)| policy.strength() < strongest.strength())
        };
        let unread = self
            .per_pod_unread
            .iter()
            .find(|policy| is_stronger(policy) && policy.scope.covers(subject).is_some());
        match (unread, strongest) {
            (Some(unread), _) => Err(SettingsUnknown::Malformed(&unread.name)),
            (None, Some((_, policy, Certainty::Unknown))) => Err(SettingsUnknown::Labels(&policy.name)),
            (None, Some((settings, _, Certainty::Certain))) => Ok(Some(settings)),
            (None, None) => Ok(None),
        }
    }

    /// Whether not all policies have been read yet.
    pub fn are_partial(&self) -> bool {
        self.is_partial
    }

    /// These, where not all policies have been read yet.
    #[must_use]
    pub fn partial(self) -> Self {
        Self { is_partial: true, ..self }
    }

    /// These, beside policies that have settings of per-pod Services and cannot be used: their names, strengths and scopes.
    #[must_use]
    pub fn with_unread(self, per_pod_unread: Vec<Arc<Policy>>) -> Self {
        Self { per_pod_unread, ..self }
    }
}

impl PerPodServices {
    /// These settings as text; `None` where nothing is set.
    pub fn to_text(&self) -> Option<String> {
        if *self == Self::default() { None } else { serde_json::to_string(self).ok() }
    }

    /// Reads the text of [`to_text`](Self::to_text); `None` where a policy could not say the same.
    pub fn from_text(text: &str) -> Option<Self> {
        // A list would be read as the fields in their order.
        let fields: Map<String, Value> = serde_json::from_str(text).ok()?;
        compile(serde_json::from_value(fields.into()).ok()?).ok()
    }
}

/// Refuses what the API server would refuse on every Service, and what is not a policy's to set.
pub(super) fn compile(settings: PerPodServices) -> Result<PerPodServices, PolicyError> {
    for (key, value) in &settings.labels {
        own_key("labels", key)?;
        if !is_label_value(value) {
            return wrong(&["labels", key], format!("{value:?} is not a valid label value"));
        }
    }
    for key in settings.annotations.keys() {
        own_key("annotations", key)?;
    }
    if let Some(class) = settings.load_balancer_class.as_deref().filter(|class| !is_label_key(class)) {
        let message =
            format!("{class:?} is not a valid load balancer class; one is `example.com/internal-vip`");
        return wrong(&["loadBalancerClass"], message);
    }
    for (index, range) in settings.load_balancer_source_ranges.iter().enumerate() {
        if !is_range(range) {
            let message = format!("{range:?} is not a range of addresses; one is `203.0.113.0/24`");
            return wrong(&["loadBalancerSourceRanges", &index.to_string()], message);
        }
    }
    Ok(settings)
}

/// A key that the controllers of Services do not know.
fn own_key(map: &str, key: &str) -> Result<(), PolicyError> {
    let ours = ["stateward.dev", "metacontroller.k8s.io"];
    let prefix = key.split_once('/').map(|(prefix, _)| prefix);
    if prefix.is_some_and(|prefix| ours.contains(&prefix)) || key == "app.kubernetes.io/managed-by" {
        return wrong(&[map, key], format!("{key} says who makes the Service, which no policy decides"));
    }
    // The API server converts an annotation's key to lower case before it validates it.
    let is_key = is_label_key(key) || (map == "annotations" && is_label_key(&key.to_ascii_lowercase()));
    if is_key { Ok(()) } else { wrong(&[map, key], format!("{key:?} is not a valid key")) }
}

/// A network as the API server takes it: nothing is set where the network ends.
fn is_range(text: &str) -> bool {
    let Some((address, bits)) = text.split_once('/') else { return false };
    let Ok(address) = address.parse::<IpAddr>() else { return false };
    let most = if address.is_ipv4() { 32 } else { 128 };
    let is_number = bits.bytes().all(|byte| byte.is_ascii_digit()) && (bits == "0" || !bits.starts_with('0'));
    let Some(bits) = bits.parse::<u32>().ok().filter(|bits| is_number && *bits <= most) else { return false };
    match address {
        IpAddr::V4(address) => (address.to_bits().checked_shl(bits)).is_none_or(|host| host == 0),
        // An IPv4 address in disguise is refused, too.
        IpAddr::V6(address) => {
            address.to_ipv4_mapped().is_none()
                && address.to_bits().checked_shl(bits).is_none_or(|host| host == 0)
        }
    }
}

fn wrong<T>(path: &[&str], message: String) -> Result<T, PolicyError> {
    let escaped = path.iter().map(|part| pointer_step(part));
    let pointer = escaped.fold("/spec/servicePerPod".to_owned(), |pointer, part| pointer + "/" + &part);
    Err(PolicyError { pointer, message, offset: None })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn compiled(settings: Value) -> Result<PerPodServices, PolicyError> {
        compile(serde_json::from_value(settings).unwrap())
    }

    #[test]
    fn settings_are_the_same_after_they_were_written_and_read() {
        for settings in [
            json!({}),
            json!({"type": "ClusterIP", "labels": {"a": "b"}, "labelPods": true}),
            json!({"annotations": {"a": "b\n\"c"}, "externalTrafficPolicy": "Local", "loadBalancerClass": "a/b",
                "loadBalancerSourceRanges": ["10.0.0.0/8"], "allocateLoadBalancerNodePorts": false,
                "publishNotReadyAddresses": false}),
        ] {
            let read = compiled(settings.clone()).unwrap();
            let text = read.to_text();
            assert_eq!(text.is_none(), settings == json!({}), "{settings}");
            assert!(text.is_none_or(|text| PerPodServices::from_text(&text) == Some(read)), "{settings}");
        }
        for text in ["", "[]", "{\"type\":\"x\"}", "{\"labels\":{\"stateward.dev/x\":\"\"}}"] {
            assert_eq!(PerPodServices::from_text(text), None, "{text}");
        }
    }

    #[test]
    fn what_every_service_would_be_refused_for_is_refused_here() {
        for (settings, pointer) in [
            (json!({}), ""),
            (json!({"type": "ClusterIP", "labels": {"example.com/team": "web"}}), ""),
            (json!({"loadBalancerClass": "service.k8s.aws/nlb", "externalTrafficPolicy": "Local"}), ""),
            (json!({"loadBalancerSourceRanges": ["10.0.0.0/8", "2001:db8::/32", "0.0.0.0/0"]}), ""),
            (json!({"annotations": {"service.beta.kubernetes.io/aws-load-balancer-type": "nlb"}}), ""),
            (json!({"annotations": {"Example.com/Team": "any text, even\nthis"}}), ""),
            (json!({"labels": {"Example.com/team": "web"}}), "/labels/Example.com~1team"),
            (json!({"labels": {"a b": ""}}), "/labels/a b"),
            (json!({"labels": {"team": "a b"}}), "/labels/team"),
            (
                json!({"labels": {"app.kubernetes.io/managed-by": "me"}}),
                "/labels/app.kubernetes.io~1managed-by",
            ),
            (json!({"labels": {"stateward.dev/x": "me"}}), "/labels/stateward.dev~1x"),
            (json!({"annotations": {"/": ""}}), "/annotations/~1"),
            (
                json!({"annotations": {"metacontroller.k8s.io/x": ""}}),
                "/annotations/metacontroller.k8s.io~1x",
            ),
            (json!({"loadBalancerClass": "a b"}), "/loadBalancerClass"),
            (json!({"loadBalancerSourceRanges": ["10.0.0.0/8", "10.0.0.0"]}), "/loadBalancerSourceRanges/1"),
            (json!({"loadBalancerSourceRanges": ["10.0.0.0/33"]}), "/loadBalancerSourceRanges/0"),
            (json!({"loadBalancerSourceRanges": ["10.0.0.0/+8"]}), "/loadBalancerSourceRanges/0"),
            (json!({"loadBalancerSourceRanges": ["host/8"]}), "/loadBalancerSourceRanges/0"),
            (json!({"loadBalancerSourceRanges": ["10.0.0.5/8"]}), "/loadBalancerSourceRanges/0"),
            (json!({"loadBalancerSourceRanges": ["10.0.0.5/32", "::1/128", "::/0"]}), ""),
            (json!({"loadBalancerSourceRanges": ["10.0.0.0/08"]}), "/loadBalancerSourceRanges/0"),
            (json!({"loadBalancerSourceRanges": ["::ffff:1.2.3.0/120"]}), "/loadBalancerSourceRanges/0"),
        ] {
            let compiled = compiled(settings.clone());
            let at = compiled.as_ref().err().map_or("", |error| &error.pointer);
            assert_eq!(at.strip_prefix("/spec/servicePerPod").unwrap_or(at), pointer, "{settings}");
        }
    }
}
