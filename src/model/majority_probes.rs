//! Probes that fail until a majority of the group runs.

use serde::Deserialize;

/// The probes of a software that succeed only while a majority of its group runs. With `podManagementPolicy: OrderedReady`, pods that wait
/// for such a readiness or startup probe never start again after all of them were stopped.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct MajorityProbes {
    /// Whether the software opens its ports only with a majority, so that every probe that connects counts.
    pub connections: bool,
    /// Paths of `httpGet`, with their query; a path that ends in `*` matches every path with that prefix.
    pub paths: Vec<Box<str>>,
    /// Texts that an `exec` probe's command contains: one is enough.
    pub commands: Vec<Box<str>>,
    /// Texts in the path or command of a probe that succeeds without a majority.
    pub except: Vec<Box<str>>,
}

impl MajorityProbes {
    /// Whether a probe that only connects needs a majority: `tcpSocket` or `grpc`.
    pub fn connection(&self) -> bool {
        self.connections
    }

    /// Whether an `httpGet` of this path needs a majority.
    pub fn path(&self, path: &str) -> bool {
        let listed = self.paths.iter().any(|pattern| match pattern.strip_suffix('*') {
            Some(start) => path.starts_with(start),
            None => path == &**pattern,
        });
        (listed || self.connections) && !self.is_excepted(path)
    }

    /// Whether an `exec` probe of this command needs a majority.
    pub fn command(&self, words: &[Box<str>]) -> bool {
        let command = words.join(" ");
        self.commands.iter().any(|text| command.contains(&**text)) && !self.is_excepted(&command)
    }

    fn is_excepted(&self, text: &str) -> bool {
        self.except.iter().any(|exception| text.contains(&**exception))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_listed_needs_a_majority() {
        let json = r#"{"paths": ["/health", "/ready*"], "commands": ["etcdctl endpoint health"], "except": ["--local"]}"#;
        let probes: MajorityProbes = serde_json::from_str(json).unwrap();
        let command = |text: &str| probes.command(&text.split(' ').map(Into::into).collect::<Vec<_>>());
        assert!(probes.path("/health") && probes.path("/readyz?verbose"));
        assert!(
            !probes.path("/health?serializable=true") && !probes.path("/") && !probes.path("/ready?--local")
        );
        assert!(command("sh -c exec etcdctl endpoint health"));
        assert!(!command("etcdctl version") && !command("etcdctl endpoint health --local"));
        assert!(!probes.connection());
        let probes = MajorityProbes { connections: true, ..MajorityProbes::default() };
        assert!(probes.connection() && probes.path("/x") && !probes.command(&["x".into()]));
    }
}
