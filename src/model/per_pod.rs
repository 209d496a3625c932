//! The annotations for per-pod Services on a StatefulSet: those of Metacontroller's service-per-pod example and one of our own.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One port of a per-pod Service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PortPair {
    /// The Service's port.
    pub port: u16,
    /// The pod's port.
    pub target: u16,
}

/// The types that a per-pod Service can have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum PerPodType {
    /// An address outside of the cluster.
    #[default]
    LoadBalancer,
    /// A port of every node.
    NodePort,
    /// An address within the cluster.
    ClusterIP,
}

impl PerPodType {
    pub const ALL: [Self; 3] = [Self::LoadBalancer, Self::NodePort, Self::ClusterIP];

    /// The type's name in Kubernetes.
    pub fn name(self) -> &'static str {
        match self {
            Self::LoadBalancer => "LoadBalancer",
            Self::NodePort => "NodePort",
            Self::ClusterIP => "ClusterIP",
        }
    }

    /// The type with this name in Kubernetes.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// Reads `port:targetPort[,…]`: whole numbers from 1 to 65535 in digits, without blanks, and no port twice. The error lists a short text
/// for each invalid part.
pub fn port_pairs(ports: &str) -> Result<Vec<PortPair>, Vec<String>> {
    if ports.trim().is_empty() {
        return Err(vec!["it names no port".to_owned()]);
    }
    let (mut pairs, mut problems, mut seen) = (Vec::new(), Vec::new(), BTreeSet::new());
    for pair in ports.split(',') {
        let numbers: Vec<&str> = pair.split(':').collect();
        let &[port, target] = &*numbers else {
            problems.push(format!("{pair:?} is not port:targetPort"));
            continue;
        };
        let wrong = numbers.iter().filter(|text| number(text).is_none());
        problems.extend(wrong.map(|text| format!("{text:?} is not a number from 1 to 65535")));
        if let Some(port) = number(port)
            && !seen.insert(port)
        {
            problems.push(format!("port {port} is there twice"));
        }
        pairs.extend(number(port).zip(number(target)).map(|(port, target)| PortPair { port, target }));
    }
    if problems.is_empty() { Ok(pairs) } else { Err(problems) }
}

/// A port in digits; `+80` and `0x50` are invalid.
fn number(text: &str) -> Option<u16> {
    let is_written_in_digits = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|port| is_written_in_digits && *port > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_of_ports_in_digits() {
        for (ports, wrong) in [
            ("80:8080", 0),
            ("80:8080,443:8443", 0),
            ("80:8080,81:8080", 0),
            ("1:65535", 0),
            ("080:80", 0),
            ("", 1),
            (" ", 1),
            (",", 2),
            ("80", 1),
            ("80:81:82", 1),
            ("80:8080,", 1),
            ("80:http", 1),
            (":", 2),
            ("0:65536", 2),
            ("-1:+1", 2),
            ("80: 8080", 1),
            ("80:8080, 443:8443", 1),
            ("80:8080,080:81", 1),
            ("80:http,80:8080", 2),
            ("8０:80", 1),
            ("80;8080", 1),
            ("99999999999999999999:80", 1),
        ] {
            let read = port_pairs(ports);
            assert_eq!(read.as_ref().err().map_or(0, Vec::len), wrong, "{ports:?}: {read:?}");
        }
        let pair = |port, target| PortPair { port, target };
        assert_eq!(port_pairs("080:8080,443:8443").unwrap(), [pair(80, 8080), pair(443, 8443)]);
    }

    #[test]
    fn types_have_the_names_that_kubernetes_gives_them() {
        for kind in PerPodType::ALL {
            assert_eq!(PerPodType::named(kind.name()), Some(kind));
            assert_eq!(serde_json::from_value::<PerPodType>(kind.name().into()).unwrap(), kind);
        }
        assert_eq!(PerPodType::named("clusterip"), None);
    }
}
