//! The DNS names of a set's own pods under a Service that appear in the set's own configuration.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::shell_words::{expand, first_label, is_one_variable, label_before, variable};
use super::{Container, StatefulSet};

/// A name of one of the set's own pods, and where it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DialledName {
    /// The name as written: `zk-0.zk`, `$(POD_NAME).zk.default.svc`.
    pub name: Box<str>,
    /// `variable ZOO_SERVERS of container zk`.
    pub source: Box<str>,
    /// Whether the name has the cluster's domain. The kubelet writes a pod's own full name into its `/etc/hosts`, so the pod resolves it
    /// without DNS.
    pub is_full: bool,
    /// Whether the name is that of the pod whose container it is written in.
    pub is_own: bool,
}

/// The DNS names that the pods of a set have under a Service.
#[derive(Clone, Debug)]
pub struct OwnNames<'a> {
    set: &'a str,
    namespace: &'a str,
    /// The Service: `.zk`
    under_service: String,
    /// Variables that hold the pod's own name, in any container.
    pod_variables: Vec<&'a str>,
}

/// Variables that hold the pod's own name practically everywhere.
const POD_VARIABLES: [&str; 4] = ["HOSTNAME", "POD_NAME", "MY_POD_NAME", "K8S_POD_NAME"];

impl StatefulSet {
    /// The DNS names of the set's own pods; `None` without a governing Service.
    pub fn own_names(&self) -> Option<OwnNames<'_>> {
        self.names_under(&self.spec.service_name)
    }

    /// The DNS names that the set's pods have under a Service, or would have if it governed them.
    pub fn names_under(&self, service: &str) -> Option<OwnNames<'_>> {
        if service.is_empty() || self.metadata.name.is_empty() {
            return None;
        }
        let variables = self.spec.template.spec.all_containers().flat_map(|container| &container.env);
        let pod_variables = variables.filter(|variable| {
            variable.value_from.as_ref().is_some_and(|from| &*from.field_ref.field_path == "metadata.name")
        });
        Some(OwnNames {
            set: &self.metadata.name,
            namespace: &self.metadata.namespace,
            under_service: format!(".{service}"),
            pod_variables: pod_variables.map(|variable| &*variable.name).collect(),
        })
    }

    /// The first DNS name of the set's own pods in the environment, command, arguments, probes and hooks of its containers. Prefers a name
    /// that only DNS can resolve.
    pub fn dialled_name(&self) -> Option<DialledName> {
        if let Some(known) = &self.spec.template.spec.dialled {
            return Some((**known).clone());
        }
        let found = self.own_names()?.in_template(self);
        found.into_iter().min_by_key(|name| (name.is_full && name.is_own, name.is_full))
    }

    /// Whether the environment, command, arguments, probes or hooks of a container name the Service by itself, not behind a pod's name.
    pub fn mentions_service(&self, service: &str) -> bool {
        let mut containers = self.spec.template.spec.all_containers();
        containers.any(|container| {
            texts(container).any(|(place, text)| mentions_host(text, service) && !place.only_lists(text))
        })
    }

    /// The Services, other than the governing one, in DNS names of the set's own pods in its containers; see [`OwnNames::other_services`].
    pub fn other_services(&self) -> BTreeSet<Box<str>> {
        let Some(names) = self.own_names() else { return BTreeSet::new() };
        let mut found = BTreeSet::new();
        for container in self.spec.template.spec.all_containers() {
            let variables =
                container.env.iter().map(|variable| (TextPlace::Variable(&variable.name), &*variable.value));
            let words = words(container);
            // Most texts name no pod: variables are expanded only in those that may.
            let mut texts = variables
                .chain(words)
                .filter(|(place, text)| names.may_stand_in(text) && !place.only_lists(text))
                .peekable();
            if texts.peek().is_some() {
                let environment = names.environment(container);
                found.extend(texts.flat_map(|(_, text)| names.other_services(&expand(text, &environment))));
            }
        }
        found
    }
}

/// Whether a text has a host name whose first label is `host`: `etcd`, `etcd.db.svc:2379`, `_peer._tcp.etcd`.
pub fn mentions_host(text: &str, host: &str) -> bool {
    let is_whole = |(start, found): (usize, &str)| {
        let (before, after) = (&text[..start], &text[start + found.len()..]);
        let record = before.strip_suffix("._tcp.").or_else(|| before.strip_suffix("._udp."));
        !after.starts_with(goes_on) && (record.is_some() || !before.ends_with(|c| c == '.' || goes_on(c)))
    };
    !host.is_empty() && text.match_indices(host).any(is_whole)
}

impl OwnNames<'_> {
    /// The DNS names of own pods in the environment, command, arguments, probes and hooks of all containers.
    pub fn in_template(&self, set: &StatefulSet) -> Vec<DialledName> {
        let containers = set.spec.template.spec.all_containers();
        containers.flat_map(|container| self.in_container(container)).collect()
    }

    /// The Services, other than this one, in DNS names of the set's pods in a text. Accepts only names that are unlikely to be a file, an
    /// outside domain or a namespace: `zk-0.zk.NAMESPACE.svc`, or `zk-0.zk:2888` if the Service's name resembles the set's or this one's.
    pub fn other_services(&self, text: &str) -> BTreeSet<Box<str>> {
        let found = lines(text).flat_map(|line| {
            let found = self.other_services_in_line(line);
            if found.is_empty() { found } else { self.other_services_in_line(without_comment(line)) }
        });
        found.map(Into::into).collect()
    }

    fn may_stand_in(&self, text: &str) -> bool {
        text.contains('.') && (text.contains('$') || text.contains(self.set))
    }

    fn other_services_in_line<'t>(&self, line: &'t str) -> Vec<&'t str> {
        let found = line.match_indices('.').filter_map(|(dot, _)| {
            let service = self.other_service(&line[dot + 1..])?;
            let start = label_before(line, dot);
            self.is_pod(&line[start..dot], &line[..start], false).then_some(service)
        });
        found.collect()
    }

    /// The Service in a text that starts behind a pod's name.
    fn other_service<'t>(&self, text: &'t str) -> Option<&'t str> {
        let service = first_label(text);
        let (own, rest) = (&self.under_service[1..], &text[service.len()..]);
        if service.is_empty() || service == own || service.contains(['$', '_']) {
            return None;
        }
        let is_full = || {
            let rest = rest.strip_prefix('.').and_then(|rest| rest.strip_prefix(self.namespace));
            rest.and_then(|rest| rest.strip_prefix(".svc")).is_some_and(|rest| !rest.starts_with(goes_on))
        };
        let has_port =
            || rest.strip_prefix(':').is_some_and(|port| port.starts_with(|c: char| c.is_ascii_digit()));
        let is_alike = || is_called_like(service, own) || is_called_like(service, self.set);
        (is_full() || (has_port() && is_alike())).then_some(service)
    }

    /// The variables of a container with known values, except those that hold the pod's name.
    fn environment<'c>(&self, container: &'c Container) -> BTreeMap<&'c str, &'c str> {
        let variables = container.env.iter();
        let known = variables
            .filter(|variable| !variable.value.is_empty() && !self.is_pod_variable(&variable.name))
            .map(|variable| (&*variable.name, &*variable.value));
        known.collect()
    }

    fn in_container(&self, container: &Container) -> Vec<DialledName> {
        let environment = self.environment(container);
        let mut found = Vec::new();
        for (place, text) in texts(container) {
            let source = || format!("{place} of container {}", container.name);
            let names = self.in_text(&expand(text, &environment), source);
            if !names.is_empty() && !place.only_lists(text) {
                found.extend(names);
            }
        }
        found
    }

    /// The DNS names of own pods in a text, without its comments.
    pub fn in_text(&self, text: &str, source: impl Fn() -> String) -> Vec<DialledName> {
        let names = lines(text).flat_map(|line| {
            let found = self.in_line(line);
            if found.is_empty() { found } else { self.in_line(without_comment(line)) }
        });
        names
            .map(|(name, is_full)| DialledName {
                name: name.into(),
                source: source().into(),
                is_full,
                is_own: is_one_variable(name),
            })
            .collect()
    }

    fn in_line<'t>(&self, line: &'t str) -> Vec<(&'t str, bool)> {
        let at = line.match_indices(self.under_service.as_str());
        let names = at.filter_map(|(dot, service)| {
            let end = dot + service.len();
            let (domain, is_full) = self.domain(&line[end..])?;
            let start = label_before(line, dot);
            self.is_pod(&line[start..dot], &line[..start], is_full)
                .then_some((&line[start..end + domain], is_full))
        });
        names.collect()
    }

    /// The length of the rest of a name behind the Service, and whether it continues with the cluster's domain; `None` if it is another
    /// name.
    fn domain(&self, after: &str) -> Option<(usize, bool)> {
        let Some(rest) = after.strip_prefix('.') else {
            return (!after.starts_with(goes_on)).then_some((0, false));
        };
        let namespace = first_label(rest);
        if namespace.is_empty() {
            return Some((0, false));
        }
        let is_variable = namespace.starts_with('$');
        if !is_variable && namespace != self.namespace {
            return None;
        }
        let (end, rest) = (1 + namespace.len(), &rest[namespace.len()..]);
        match rest.strip_prefix(".svc") {
            Some(rest) if !rest.starts_with(goes_on) => Some((end + ".svc".len(), rest.starts_with('.'))),
            _ if is_variable => Some((end, true)),
            _ => (!rest.starts_with('.') && !rest.starts_with(goes_on)).then_some((end, false)),
        }
    }

    /// Whether a label names a pod of the set: by its name, or by a variable that holds it. Before the cluster's domain, any variable
    /// counts as a pod's name.
    fn is_pod(&self, label: &str, before: &str, is_full: bool) -> bool {
        if before.ends_with('.') {
            return false;
        }
        if let Some(ordinal) = label.strip_prefix(self.set).and_then(|rest| rest.strip_prefix('-')) {
            return is_ordinal(ordinal);
        }
        let Some(variable) = variable(label) else { return false };
        self.is_pod_variable(variable) || is_full
    }

    fn is_pod_variable(&self, name: &str) -> bool {
        POD_VARIABLES.contains(&name) || self.pod_variables.contains(&name)
    }
}

/// A line without the comment at its end: `#` or `//` behind white space and outside quotes.
fn without_comment(line: &str) -> &str {
    let (mut quote, mut before) = (None, ' ');
    for (at, c) in line.char_indices() {
        let begins = c == '#' || (c == '/' && line[at..].starts_with("//"));
        match quote {
            None if begins && before.is_whitespace() => return &line[..at],
            None if matches!(c, '"' | '\'') => quote = Some(c),
            Some(open) if c == open && (open == '\'' || before != '\\') => quote = None,
            _ => {}
        }
        before = c;
    }
    line
}

/// The lines of a text without comment lines.
fn lines(text: &str) -> impl Iterator<Item = &str> {
    let is_comment =
        |line: &&str| line.trim_start().starts_with(['#', ';']) || line.trim_start().starts_with("//");
    text.lines().filter(move |line| !is_comment(line))
}

/// Whether two names are the same, or one is the other with a hyphen and a suffix: `etcd` and `etcd-headless`.
fn is_called_like(one: &str, other: &str) -> bool {
    let goes_on_from = |long: &str, short: &str| {
        !short.is_empty()
            && long.strip_prefix(short).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
    };
    goes_on_from(one, other) || goes_on_from(other, one)
}

/// The place of a text in a container.
#[derive(Clone, Copy)]
enum TextPlace<'a> {
    Variable(&'a str),
    /// A command line: `args`, `preStop hook`.
    Words(&'static str),
}

impl fmt::Display for TextPlace<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Variable(name) => write!(f, "variable {name}"),
            Self::Words(what) => f.write_str(what),
        }
    }
}

/// Parts of names of settings that list hosts without contacting them: exceptions for proxies, accepted hosts, names in certificates.
const HOST_LISTS: [&str; 8] =
    ["no_proxy", "non_proxy", "allowed_", "allow_origin", "trusted_", "alt_name", "common_name", "cors_"];

impl TextPlace<'_> {
    /// Whether a text here only lists hosts, by the name of its variable or of its flag: `--tls-san` of `--tls-san=zk-0.zk`.
    fn only_lists(self, text: &str) -> bool {
        let setting = match self {
            Self::Variable(name) => name,
            Self::Words(_) if text.starts_with('-') => text.split('=').next().unwrap_or_default(),
            Self::Words(_) => "",
        };
        let setting = setting.to_ascii_lowercase().replace(['-', '.'], "_");
        HOST_LISTS.iter().any(|part| setting.contains(part))
            || setting.split('_').any(|word| matches!(word, "san" | "sans"))
    }
}

/// The texts of a container.
fn texts(container: &Container) -> impl Iterator<Item = (TextPlace<'_>, &str)> {
    // Names from a ConfigMap are found in the ConfigMap itself.
    let variables = container.env.iter().filter(|variable| variable.config_map().is_none());
    let variables = variables.map(|variable| (TextPlace::Variable(&variable.name), &*variable.value));
    variables.chain(words(container))
}

fn words(container: &Container) -> impl Iterator<Item = (TextPlace<'_>, &str)> {
    let lines = command_lines(container).into_iter();
    lines.flat_map(|(what, words)| words.iter().map(move |word| (TextPlace::Words(what), &**word)))
}

fn command_lines(container: &Container) -> Vec<(&'static str, &[Box<str>])> {
    let mut lines = vec![("command", &*container.command), ("args", &*container.args)];
    lines.extend(container.probes().map(|(field, probe)| (field, &*probe.exec.command)));
    if let Some(lifecycle) = &container.lifecycle {
        lines.push(("postStart hook", &*lifecycle.post_start.exec.command));
        lines.push(("preStop hook", &*lifecycle.pre_stop.exec.command));
    }
    lines
}

/// A number, or a placeholder for one: `$i`, `{0..2}`, `%d`.
fn is_ordinal(text: &str) -> bool {
    !text.is_empty()
        && (text.bytes().all(|byte| byte.is_ascii_digit())
            || text.starts_with(['$', '`', '{'])
            || matches!(text, "%d" | "%s" | "%i"))
}

/// Whether this character continues a name that seems to end before it.
fn goes_on(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '-' | '_' | '$' | '{' | '%' | '`')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn set(containers: &serde_json::Value) -> StatefulSet {
        serde_json::from_value(json!({"metadata": {"name": "zk", "namespace": "db"},
            "spec": {"serviceName": "zk-hs", "template": {"spec": {"containers": containers}}}}))
        .unwrap()
    }

    fn names(text: &str) -> String {
        let set = set(
            &json!([{"env": [{"name": "ME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}]}]),
        );
        let names = set.own_names().unwrap().in_text(text, String::new);
        names.iter().map(|name| &*name.name).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn names_of_own_pods_under_the_governing_service() {
        for (text, expected) in [
            ("zk-0.zk-hs", "zk-0.zk-hs"),
            ("server.1=zk-0.zk-hs:2888:3888;server.2=zk-1.zk-hs.db:2888", "zk-0.zk-hs zk-1.zk-hs.db"),
            ("http://zk-10.zk-hs.db.svc.cluster.local:2380/", "zk-10.zk-hs.db.svc"),
            ("zk-0.zk-hs.$(NAMESPACE).svc.cluster.local", "zk-0.zk-hs.$(NAMESPACE).svc"),
            ("zk-0.zk-hs.${DOMAIN}", "zk-0.zk-hs.${DOMAIN}"),
            ("rabbit@$(POD_NAME).zk-hs", "$(POD_NAME).zk-hs"),
            ("$(ME).zk-hs ${ME}.zk-hs $ME.zk-hs", "$(ME).zk-hs ${ME}.zk-hs $ME.zk-hs"),
            ("$HOSTNAME.zk-hs ${HOSTNAME}.zk-hs", "$HOSTNAME.zk-hs ${HOSTNAME}.zk-hs"),
            ("$(hostname).zk-hs `hostname -s`.zk-hs", "$(hostname).zk-hs `hostname -s`.zk-hs"),
            ("${HOSTNAME%-*}-0.zk-hs", "${HOSTNAME%-*}-0.zk-hs"),
            ("for i in 0 1 2; do x zk-$i.zk-hs zk-$((i - 1)).zk-hs; done", "zk-$i.zk-hs zk-$((i - 1)).zk-hs"),
            ("http://zk-{0...3}.zk-hs.db.svc.cluster.local/export", "zk-{0...3}.zk-hs.db.svc"),
            ("printf zk-%d.zk-hs", "zk-%d.zk-hs"),
            ("$NODE.zk-hs.db.svc.cluster.local", "$NODE.zk-hs.db.svc"),
            ("join zk-0.zk-hs.", "zk-0.zk-hs"),
            ("\"a # b\" zk-0.zk-hs # zk-1.zk-hs", "zk-0.zk-hs"),
            ("url = \"http://zk-0.zk-hs//#x\"", "zk-0.zk-hs"),
            ("'# zk-0.zk-hs' a#zk-1.zk-hs", "zk-0.zk-hs zk-1.zk-hs"),
            ("for i in ${A#x-} $#; do x zk-$i.zk-hs; done", "zk-$i.zk-hs"),
        ] {
            assert_eq!(names(text), expected, "{text}");
        }
    }

    #[test]
    fn other_names_are_no_proof() {
        for text in [
            "",
            "zk-hs",
            "zk-hs:2181",
            "zk-hs.db.svc.cluster.local",
            "zk-0.zk-hs-client",
            "zk-0.zk-hsx",
            "zk-0.zk-hs$X",
            "zk-0.zk",
            "my-zk-0.zk-hs",
            "a.zk-0.zk-hs",
            "zk-a.zk-hs",
            "zk-.zk-hs",
            "zk.zk-hs",
            "zk-0.zk-hs.example.com",
            "zk-0.zk-hs.other.svc.cluster.local",
            "zk-0.zk-hs.svc.cluster.local",
            "*.zk-hs.db.svc.cluster.local",
            "$NODE.zk-hs",
            "${HOSTNAME##*-}.zk-hs",
            "$(hostname -f).zk-hs",
            "_peer._tcp.zk-hs.db.svc.cluster.local",
            "# zk-0.zk-hs",
            "  // zk-0.zk-hs",
            "dir=/data # zk-0.zk-hs",
            "url = \"http://a:1\" // zk-0.zk-hs",
            "'a # b' # zk-0.zk-hs",
            "a='\\' # zk-0.zk-hs",
            "ä)}`.zk-hs",
        ] {
            assert_eq!(names(text), "", "{text}");
        }
    }

    #[test]
    fn names_under_another_service_are_found_by_its_name() {
        let set = set(&json!([{"args": ["zk-0.zk-hs", "zk-1.zk-other", "zk-2.zk"]}]));
        let names = |service: &str| {
            let found = set.names_under(service).map(|names| names.in_template(&set)).unwrap_or_default();
            found.iter().map(|found| &*found.name).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(names("zk-other"), "zk-1.zk-other");
        assert_eq!(names("zk"), "zk-2.zk");
        assert_eq!(names(""), "");
    }

    #[test]
    fn other_services_are_those_that_are_surely_meant() {
        for (text, expected) in [
            ("zk-0.zk:2888,zk-1.zk:2888,zk-2.zk-hs:2888", "zk"),
            ("http://$(POD_NAME).zk-old:2888", "zk-old"),
            ("zk-0.any.db.svc.cluster.local", "any"),
            ("zk-0.any.db.svc zk-1.other.db.svc:1", "any other"),
            ("a=zk-${i}.zk:1", "zk"),
            ("zk-0.zk", ""),
            ("zk-0.any:2888", ""),
            ("zk-0.any.db", ""),
            ("zk-0.any.other.svc", ""),
            ("zk-0.any.$(NAMESPACE).svc", ""),
            ("zk-0.db.svc.cluster.local:2888", ""),
            ("zk-0.zk.example.com:2888", ""),
            ("zk-0.zk-hs:2888", ""),
            ("other-0.zk:2888", ""),
            ("zk.zk:2888", ""),
            ("a.zk-0.zk:2888", ""),
            ("zk-0.zk:data", ""),
            ("zk-0.pem:1 zk-0.zkx:1", ""),
            ("# zk-0.zk:2888", ""),
            ("servers: x # zk-0.zk:2888", ""),
            ("zk-0.$X:1 zk-0.:1 .zk:1 ä.zk:1", ""),
        ] {
            let found: Vec<_> = set(&json!([{"args": [text]}])).other_services().into_iter().collect();
            assert_eq!(found.join(" "), expected, "{text}");
        }
        let by_variable = json!([{"env": [{"name": "SVC", "value": "zk"}], "args": ["zk-0.$(SVC):1"]}]);
        assert_eq!(set(&by_variable).other_services().len(), 1);
    }

    #[test]
    fn a_service_stands_alone() {
        for (text, expected) in [
            ("zk", true),
            ("gcomm://zk.db.svc.cluster.local", true),
            ("seeds=a,zk:2181", true),
            ("_peer._tcp.zk.db.svc", true),
            ("zk-unready", false),
            ("my-zk", false),
            ("zk-0.zk", false),
            ("$(POD_NAME).zk.db.svc", false),
            ("zkx", false),
            ("äzk zk_", false),
            ("", false),
        ] {
            assert_eq!(mentions_host(text, "zk"), expected, "{text}");
        }
        assert!(!mentions_host("a", "") && set(&json!([{"args": ["--join=zk"]}])).mentions_service("zk"));
    }

    #[test]
    fn every_place_in_a_container_counts() {
        let exec = json!({"exec": {"command": ["sh", "-c", "nc zk-0.zk-hs 1"]}});
        for (container, source) in [
            (json!({"env": [{"name": "PEERS", "value": "zk-0.zk-hs"}]}), "variable PEERS of container c"),
            (json!({"command": ["a", "zk-0.zk-hs"]}), "command of container c"),
            (json!({"args": ["zk-0.zk-hs"]}), "args of container c"),
            (json!({"livenessProbe": exec}), "livenessProbe of container c"),
            (json!({"lifecycle": {"postStart": exec}}), "postStart hook of container c"),
            (
                json!({"env": [{"name": "S", "value": "zk-hs"}], "args": ["$(POD_NAME).$(S)"]}),
                "args of container c",
            ),
            (
                json!({"env": [{"name": "S", "value": "zk"}], "args": ["${S}-0.zk-hs", "$$x"]}),
                "args of container c",
            ),
        ] {
            let mut named = container.clone();
            named["name"] = "c".into();
            let found = set(&json!([named])).dialled_name();
            assert_eq!(found.map(|found| found.source).as_deref(), Some(source), "{container}");
        }
        let mut init = set(&json!([]));
        init.spec.template.spec.init_containers =
            vec![Container { args: vec!["zk-0.zk-hs".into()], ..Container::default() }];
        assert!(init.dialled_name().is_some());
        init.spec.service_name = "".into();
        assert!(init.dialled_name().is_none());
    }

    #[test]
    fn a_name_that_only_dns_can_answer_is_preferred() {
        let found = set(&json!([{"args": ["$HOSTNAME.zk-hs.db.svc.cluster.local", "zk-1.zk-hs"]}]))
            .dialled_name()
            .unwrap();
        assert_eq!((&*found.name, found.is_full, found.is_own), ("zk-1.zk-hs", false, false));
        for (text, is_own) in [
            ("$(POD_NAME).zk-hs", true),
            ("`hostname`.zk-hs", true),
            ("${HOSTNAME%-*}-0.zk-hs", false),
            ("zk-$i.zk-hs", false),
        ] {
            assert_eq!(set(&json!([{"args": [text]}])).dialled_name().unwrap().is_own, is_own, "{text}");
        }
    }

    #[test]
    fn variables_cannot_blow_a_text_up() {
        let value = "x".repeat(60_000);
        let environment = [("A", value.as_str())].into_iter().collect();
        assert!(expand(&"$A".repeat(10_000), &environment).len() < 200_000);
    }

    proptest! {
        #[test]
        fn any_text_is_read(text in "[zk.hs0$(){}`ä%# -]{0,40}|.{0,40}") {
            for name in set(&json!([])).own_names().unwrap().in_text(&text, String::new) {
                prop_assert!(text.contains(&*name.name));
            }
            for service in set(&json!([])).own_names().unwrap().other_services(&text) {
                prop_assert!(text.contains(&*service));
            }
        }
    }
}
