//! The template of the Services of one set.

use std::collections::BTreeMap;
use std::ops::Range;

use serde_json::{Map, Value, json};

use super::problem::Problem;
use super::service::{MANAGED_BY, OWNER_LABEL, PerPodService, ServicePort, TargetPort};
use super::set::PerPodSet;
use super::settings::settings;
use crate::cluster::Cluster;
use crate::model::{
    MOST_PER_POD_SERVICES, PER_POD_APPLIED, PER_POD_LABEL, PER_POD_PORTS, PER_POD_SETTINGS, PER_POD_TYPE,
    POD_NAME_LABEL, PerPodType, PortPair, is_label_key, port_pairs,
};
use crate::policy::{PerPodServices, Policies};

/// The template of the Services of one set.
#[derive(Clone, Debug)]
pub struct Template {
    set: String,
    ordinals: Range<i64>,
    label: String,
    ports: Vec<PortPair>,
    kind: PerPodType,
    settings: PerPodServices,
    /// The settings as they are written on each Service.
    written: Option<String>,
    /// Why the settings are those of before.
    kept: Option<Problem>,
    /// The fields that all of them share, in the form of Metacontroller's answer.
    common: Value,
    /// The set as an owner.
    owner: Value,
    /// Tells this template from another one.
    fingerprint: String,
}

impl Template {
    /// The template that a set asks for; `made` are the Services that it has. `None` where it asks for no Services. With a problem
    /// the template is unknown, and existing Services stay.
    pub fn of<'s>(
        set: &PerPodSet,
        cluster: &Cluster,
        policies: &Policies,
        made: impl IntoIterator<Item = &'s PerPodService>,
    ) -> Result<Option<Self>, Problem> {
        let annotations = &set.metadata.annotations;
        let (Some(label), Some(ports)) = (annotations.get(PER_POD_LABEL), annotations.get(PER_POD_PORTS))
        else {
            return Ok(None);
        };
        let label = label_key(label)?;
        let ports = port_pairs(ports).map_err(|wrong| ports_problem(ports, &wrong))?;
        let (settings, kept) = settings(set, cluster, policies, made)?;
        let kind = match annotations.get(PER_POD_TYPE) {
            Some(name) => PerPodType::named(name).ok_or_else(|| type_problem(name))?,
            None => settings.kind.unwrap_or_default(),
        };
        let ordinals = set.ordinals();
        if ordinals.end - ordinals.start > i64::from(MOST_PER_POD_SERVICES) {
            return Err(too_many(&ordinals));
        }
        let name = set.metadata.name.to_string();
        let written = settings.to_text();
        let common = common(&ports, kind, &settings, written.as_deref());
        let fingerprint = fingerprint(&format!("{label}\n{common}"));
        let owner = owner(set);
        Ok(Some(Self {
            set: name,
            ordinals,
            label,
            ports,
            kind,
            settings,
            written,
            kept,
            common,
            owner,
            fingerprint,
        }))
    }

    /// Whether there are settings beyond the set's annotations.
    pub fn has_settings(&self) -> bool {
        self.written.is_some()
    }

    /// Why the settings are those of before, where a person should know.
    pub fn kept(&self) -> Option<&Problem> {
        self.kept.as_ref()
    }

    /// The names of the pods, each of which is to have a Service of its name.
    pub fn names(&self) -> impl Iterator<Item = String> {
        self.ordinals.clone().map(|ordinal| format!("{}-{ordinal}", self.set))
    }

    /// Whether a pod that is asked for has this name.
    pub fn is_wanted(&self, name: &str) -> bool {
        self.ordinal_of(name).is_some_and(|ordinal| self.ordinals.contains(&ordinal))
    }

    /// Whether this is the name of a pod of the set, of any ordinal.
    pub fn is_pod_name(&self, name: &str) -> bool {
        self.ordinal_of(name).is_some()
    }

    fn ordinal_of(&self, name: &str) -> Option<i64> {
        let text = name.strip_prefix(&*self.set)?.strip_prefix('-')?;
        text.parse::<i64>().ok().filter(|ordinal| ordinal.to_string() == text)
    }

    /// The label that the Services select pods by.
    pub fn label(&self) -> &str {
        &self.label
    }

    /// Whether pods can be without that label: the StatefulSet controller itself gives each only one.
    pub fn may_miss_pods(&self) -> bool {
        self.label != POD_NAME_LABEL
    }

    /// Whether pods that were created without that label get it afterwards.
    pub fn labels_pods(&self) -> bool {
        self.settings.label_pods
    }

    /// Whether a Service has a port that is not asked for. Server-side apply merges ports by number and protocol: it would leave
    /// that one, and is refused where it has the name of one of ours.
    pub fn has_other_ports(&self, seen: &PerPodService) -> bool {
        let is_wanted = |port: &ServicePort| {
            matches!(&*port.protocol, "TCP" | "") && self.ports.iter().any(|pair| pair.port == port.port)
        };
        !seen.spec.ports.iter().all(is_wanted)
    }

    /// All ports of a Service, in place of those that it has: `live`, as the API server writes them. A port keeps its node port, by
    /// its number or else by its name, as the API server does it.
    pub fn ports_in_place_of(&self, live: &[Value]) -> Value {
        let mut free: Vec<&Value> = live.iter().filter(|port| port["nodePort"].is_u64()).collect();
        let mut take = |is_it: &dyn Fn(&Value) -> bool| {
            let index = free.iter().position(|port| is_it(port))?;
            Some(free.swap_remove(index)["nodePort"].clone())
        };
        let is_tcp = |port: &Value| port["protocol"].as_str().is_none_or(|protocol| protocol == "TCP");
        let by_number: Vec<Option<Value>> =
            self.ports.iter().map(|pair| take(&|port| port["port"] == pair.port && is_tcp(port))).collect();
        let ports = self.ports.iter().zip(by_number).map(|(pair, node_port)| {
            let mut port = port(*pair);
            if let Some(node_port) = node_port.or_else(|| take(&|port| port["name"] == port_name(*pair))) {
                port["nodePort"] = node_port;
            }
            port
        });
        ports.collect()
    }

    /// The Service of a pod as Metacontroller is told it; `seen` is what there is of it. It selects by the one label only, as
    /// people know it from Metacontroller's example: a pod's name is its own within the namespace, so that the set's labels
    /// would exclude nothing, and a Service that is taken over selects what it did before.
    pub fn attachment(&self, name: &str, seen: Option<&PerPodService>) -> Value {
        let mut service = self.common.clone();
        service["metadata"]["name"] = json!(name);
        service["spec"]["selector"] = json!({&self.label: name});
        if let Some(class) = self.class(seen) {
            service["spec"]["loadBalancerClass"] = json!(class);
        }
        service
    }

    /// The Service of a pod as it is applied; `seen` is what there is of it.
    pub fn manifest(&self, name: &str, namespace: &str, seen: Option<&PerPodService>) -> Value {
        let mut service = self.attachment(name, seen);
        let metadata = &mut service["metadata"];
        metadata["namespace"] = json!(namespace);
        metadata["labels"][OWNER_LABEL] = json!(self.set);
        metadata["labels"][MANAGED_BY.0] = json!(MANAGED_BY.1);
        metadata["annotations"][PER_POD_APPLIED] = json!(self.fingerprint);
        metadata["ownerReferences"] = json!([self.owner]);
        if let Some(seen) = seen {
            metadata["uid"] = json!(seen.metadata.uid);
        }
        service
    }

    /// Whether a load balancer has another class than wanted; the class is immutable.
    pub fn is_class_fixed(&self, seen: &PerPodService) -> bool {
        let wanted = self.settings.load_balancer_class.as_deref();
        self.kind == PerPodType::LoadBalancer
            && seen.is_load_balancer()
            && wanted.is_some_and(|wanted| seen.spec.load_balancer_class.as_deref() != Some(wanted))
    }

    /// The class to apply: a load balancer keeps the one it has, who ever gave it that.
    fn class<'a>(&'a self, seen: Option<&'a PerPodService>) -> Option<&'a str> {
        match seen {
            _ if self.kind != PerPodType::LoadBalancer => None,
            Some(seen) if seen.is_load_balancer() => seen.spec.load_balancer_class.as_deref(),
            _ => self.settings.load_balancer_class.as_deref(),
        }
    }

    /// Whether applying would change nothing: all that was applied last is still there, and no other port. What else others have
    /// added is theirs.
    pub fn is_met_by(&self, set: &PerPodSet, seen: &PerPodService) -> bool {
        let metadata = &seen.metadata;
        let is_owned = metadata.owner.as_ref().is_some_and(|owner| owner.uid == set.metadata.uid);
        let has_labels =
            self.settings.labels.iter().all(|(key, value)| metadata.labels.get(key) == Some(value));
        let has_annotations =
            self.settings.annotations.iter().all(|(key, value)| metadata.annotations.get(key) == Some(value));
        is_owned
            && has_labels
            && has_annotations
            && self
                .written
                .as_deref()
                .is_none_or(|text| metadata.annotations.get(PER_POD_SETTINGS) == Some(text))
            && metadata.labels.get(OWNER_LABEL) == Some(&*self.set)
            && metadata.labels.get(MANAGED_BY.0) == Some(MANAGED_BY.1)
            && metadata.annotations.get(PER_POD_APPLIED) == Some(&*self.fingerprint)
            && self.has_spec(seen)
    }

    fn has_spec(&self, seen: &PerPodService) -> bool {
        let (spec, settings) = (&seen.spec, &self.settings);
        let selector = spec.selector.iter().eq([(&*self.label, &*seen.metadata.name)]);
        let has_port = |pair: &PortPair| spec.ports.iter().any(|port| is_pair(port, *pair));
        let is_balanced = self.kind == PerPodType::LoadBalancer;
        let reachable =
            settings.publish_not_ready_addresses.is_none_or(|on| spec.publish_not_ready_addresses == on);
        let traffic = settings.external_traffic_policy.filter(|_| self.kind != PerPodType::ClusterIP);
        let ranges = &settings.load_balancer_source_ranges;
        let node_ports = settings.allocate_load_balancer_node_ports.filter(|_| is_balanced);
        &*spec.kind == self.kind.name()
            && selector
            && self.ports.iter().all(has_port)
            && !self.has_other_ports(seen)
            && reachable
            && traffic.is_none_or(|policy| spec.external_traffic_policy.as_deref() == Some(policy.name()))
            && (!is_balanced || ranges.is_empty() || spec.load_balancer_source_ranges == *ranges)
            && node_ports.is_none_or(|on| spec.allocate_load_balancer_node_ports == Some(on))
    }
}

fn is_pair(port: &ServicePort, pair: PortPair) -> bool {
    port.port == pair.port
        && matches!(&*port.protocol, "TCP" | "")
        && port.target_port == TargetPort::Number(pair.target)
        && *port.name == *port_name(pair)
}

/// The annotation of Metacontroller's example.
fn port_name(pair: PortPair) -> String {
    format!("port-{}", pair.port)
}

fn port(pair: PortPair) -> Value {
    json!({"name": port_name(pair), "port": pair.port, "protocol": "TCP", "targetPort": pair.target})
}

/// All but what differs from pod to pod.
fn common(ports: &[PortPair], kind: PerPodType, settings: &PerPodServices, written: Option<&str>) -> Value {
    let ports: Vec<Value> = ports.iter().map(|pair| port(*pair)).collect();
    let mut spec = json!({"type": kind.name(), "ports": ports});
    let mut set = |key: &str, value: Option<Value>| {
        if let Some(value) = value {
            spec[key] = value;
        }
    };
    set("publishNotReadyAddresses", settings.publish_not_ready_addresses.map(Value::from));
    if kind != PerPodType::ClusterIP {
        let traffic = settings.external_traffic_policy;
        set("externalTrafficPolicy", traffic.map(|policy| policy.name().into()));
    }
    if kind == PerPodType::LoadBalancer {
        let ranges = &settings.load_balancer_source_ranges;
        set("loadBalancerSourceRanges", (!ranges.is_empty()).then(|| json!(ranges)));
        set("allocateLoadBalancerNodePorts", settings.allocate_load_balancer_node_ports.map(Value::from));
    }
    let mut metadata = Map::new();
    for (key, map) in [("labels", &settings.labels), ("annotations", &settings.annotations)] {
        let map: &BTreeMap<String, String> = map;
        if !map.is_empty() {
            metadata.insert(key.to_owned(), json!(map));
        }
    }
    if let Some(written) = written {
        metadata.entry("annotations").or_insert_with(|| json!({}))[PER_POD_SETTINGS] = json!(written);
    }
    json!({"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec})
}

/// The set as the controller of a Service. It blocks nothing: a deletion of the set in the foreground does not wait until the
/// cloud has taken its load balancers down, and no right to the set's finalizers is needed.
fn owner(set: &PerPodSet) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "StatefulSet", "name": set.metadata.name, "uid": set.metadata.uid,
        "controller": true, "blockOwnerDeletion": false,
    })
}

fn label_key(label: &str) -> Result<String, Problem> {
    if is_label_key(label) {
        return Ok(label.to_owned());
    }
    let message = format!(
        "the Services are left as they are: {label:?} is not a valid label key; set the annotation {PER_POD_LABEL} to \
         statefulset.kubernetes.io/pod-name"
    );
    Err(Problem { id: "service-per-pod-label-invalid", message })
}

fn ports_problem(ports: &str, wrong: &[String]) -> Problem {
    let message = format!(
        "the Services are left as they are: {ports:?} cannot be read ({}); set the annotation {PER_POD_PORTS} to \
         port:targetPort pairs in numbers, such as \"80:8080,443:8443\"",
        wrong.join("; ")
    );
    Problem { id: "service-per-pod-ports-invalid", message }
}

fn type_problem(name: &str) -> Problem {
    let names = PerPodType::ALL.map(PerPodType::name).join(", ");
    let message = format!(
        "the Services are left as they are: {name:?} is not a type of Service that they can have; set the annotation {PER_POD_TYPE} to one of {names}, \
         or remove it"
    );
    Problem { id: "service-per-pod-type-invalid", message }
}

fn too_many(ordinals: &Range<i64>) -> Problem {
    let message = format!(
        "the Services are left as they are: {} pods are more than the {MOST_PER_POD_SERVICES} that can have one each; remove the annotation \
         {PER_POD_PORTS}, or scale the set down",
        ordinals.end - ordinals.start
    );
    Problem { id: "service-per-pod-too-many", message }
}

/// FNV-1a: the same in every build, unlike the standard library's.
fn fingerprint(text: &str) -> String {
    let hash = text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    format!("{hash:016x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fingerprints_stay_the_same() {
        assert_eq!(fingerprint(""), "cbf29ce484222325");
        assert_eq!(fingerprint("foobar"), "85944171f73967e8");
    }

    #[test]
    fn ports_are_replaced_and_keep_their_node_ports() {
        let set: PerPodSet = serde_json::from_value(json!({"metadata": {"name": "web", "annotations": {
            "service-per-pod-label": "pod-name", "service-per-pod-ports": "80:8080,81:8081,443:8443",
        }}}))
        .unwrap();
        let policies = Policies::new(crate::policy::Profile::Baseline, Vec::new()).unwrap();
        let template = Template::of(&set, &Cluster::default(), &policies, []).unwrap().unwrap();
        let port = |name: &str, port: u16, protocol: &str, node_port: u32| {
            json!({"name": name, "port": port,
            "protocol": protocol, "targetPort": 1, "nodePort": node_port})
        };
        // The first was 80 and is edited to 81, the second is of another protocol, the third is renamed.
        let live = [port("port-80", 81, "TCP", 1), port("dns", 81, "UDP", 2), port("https", 443, "TCP", 3)];
        let ports = template.ports_in_place_of(&live);
        let node_ports: Vec<&Value> =
            ports.as_array().unwrap().iter().map(|port| &port["nodePort"]).collect();
        assert_eq!(node_ports, [&Value::Null, &json!(1), &json!(3)]);
        let ports = template.ports_in_place_of(&[port("port-80", 8000, "TCP", 1)]);
        assert_eq!((&ports[0]["nodePort"], &ports[0]["targetPort"]), (&json!(1), &json!(8080)));
    }
}
