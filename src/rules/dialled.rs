//! Whether the set's own pods are dialled by the names that its governing Service should give them.

use std::collections::{BTreeMap, BTreeSet};

use super::SetContext;
use crate::cluster::Lookup;
use crate::model::{DialledName, OwnNames, Service, mentions_host};
use crate::verdict::Level;

/// Beside the governing Service, so many are looked at.
pub(super) const MOST_SERVICES: usize = 8;

/// Keys of a ConfigMap; `None` means all.
type ReadKeys<'a> = Option<BTreeSet<&'a str>>;

/// A name of one of the set's own pods under a Service that does not govern them.
pub(super) struct DialledElsewhere<'a> {
    pub(super) under: Box<str>,
    /// `None` where it does not exist.
    pub(super) service: Option<&'a Service>,
    pub(super) name: DialledName,
}

/// The text under one key of a ConfigMap.
struct ConfigMapText<'a> {
    config_map: &'a str,
    key: &'a str,
    text: &'a str,
}

impl<'a> SetContext<'a> {
    /// A name of one of the set's own pods that it dials: in its template, or, in manifests, in a ConfigMap that its pods read.
    /// A pod finds its own full name in its `/etc/hosts`: that one proves nothing.
    pub(super) fn dialled_name(&self) -> Option<DialledName> {
        let counts = |name: &DialledName| {
            !(name.is_full && (name.is_own || self.replicas <= 1))
                && !self.may_name_a_service(name, &self.set.spec.service_name)
        };
        let names = || self.set.own_names().map(|names| self.in_config_maps(&names)).unwrap_or_default();
        self.set.dialled_name().filter(counts).or_else(|| names().into_iter().find(counts))
    }

    /// A name of one of the set's own pods under a Service that does not govern them. A Service gives a pod a name only where the
    /// pod's `subdomain` is the Service's name (`ShouldSetHostname` of the endpoint controllers), and the StatefulSet controller sets
    /// that to `spec.serviceName`.
    pub(super) fn dialled_elsewhere(&self) -> Option<DialledElsewhere<'a>> {
        self.dialled_under_another().or_else(|| self.dialled_under_none())
    }

    /// Looks among the Services that select the pods.
    fn dialled_under_another(&self) -> Option<DialledElsewhere<'a>> {
        let services = self.view.services_selecting(self.namespace(), self.set.spec.template.labels());
        let others = services.into_iter().filter(|service| {
            !service.is_external_name()
                && !service.metadata.deleting
                && service.metadata.name != self.set.spec.service_name
        });
        others.take(MOST_SERVICES).find_map(|service| {
            let name = self.dialled_under(&service.metadata.name, self.governs_others(service))?;
            let under = service.metadata.name.clone();
            Some(DialledElsewhere { under, service: Some(service), name })
        })
    }

    /// Looks for names under Services that do not exist.
    fn dialled_under_none(&self) -> Option<DialledElsewhere<'a>> {
        let mut services = self.set.other_services();
        let texts = self.config_map_texts();
        if let Some(names) = (!texts.is_empty()).then(|| self.set.own_names()).flatten() {
            services.extend(texts.iter().flat_map(|read| names.other_services(read.text)));
        }
        let is_absent = |name: &str| matches!(self.view.service(self.namespace(), name), Lookup::Absent);
        // A Service for each pod may be meant, in the namespace that the manifests are for.
        if services.is_empty() || !is_absent(&self.first_pod()) {
            return None;
        }
        services.into_iter().take(MOST_SERVICES).find_map(|under| {
            let name = is_absent(&under).then(|| self.dialled_under(&under, false)).flatten()?;
            Some(DialledElsewhere { under, service: None, name })
        })
    }

    fn dialled_under(&self, service: &str, governs_others: bool) -> Option<DialledName> {
        let names = self.set.names_under(service)?;
        let counts = |name: &DialledName| {
            !self.may_name_a_service(name, service)
                && !leads_elsewhere(name, service)
                && (!governs_others || name.name.starts_with(&*self.set.metadata.name))
        };
        let in_template = names.in_template(self.set).into_iter().find(counts);
        in_template.or_else(|| self.in_config_maps(&names).into_iter().find(counts))
    }

    /// Whether pods of another set have names under a Service: a variable before it may stand for one of those.
    fn governs_others(&self, service: &Service) -> bool {
        let governed = self.view.sets_governed_by(self.namespace(), &service.metadata.name);
        governed.iter().any(|(set, _)| set.metadata.name != self.set.metadata.name)
    }

    /// Whether a Service stands by its name alone in the template or in a ConfigMap that its pods read.
    pub(super) fn mentions_service(&self, service: &str) -> bool {
        self.set.mentions_service(service)
            || self.config_map_texts().iter().any(|text| mentions_host(text.text, service))
    }

    fn in_config_maps(&self, names: &OwnNames<'_>) -> Vec<DialledName> {
        let source = |read: &ConfigMapText<'_>| format!("{} of ConfigMap {}", read.key, read.config_map);
        self.config_map_texts().iter().flat_map(|read| names.in_text(read.text, || source(read))).collect()
    }

    /// The texts of known ConfigMaps that the pods read.
    fn config_map_texts(&self) -> Vec<ConfigMapText<'_>> {
        let config_maps = self.config_maps_read().into_iter();
        config_maps.flat_map(|(name, keys)| self.config_map_text(name, &keys)).collect()
    }

    /// Whether a name may be that of a Service of one pod: `kafka-0.kafka` is one in a namespace `kafka` that has a Service
    /// `kafka-0`, because the search domains of a pod begin with its namespace and go on with `svc`.
    fn may_name_a_service(&self, name: &DialledName, under: &str) -> bool {
        let Some((pod, domain)) = name.name.split_once('.') else { return false };
        let is_plain = pod.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        domain == self.namespace()
            && domain == under
            && !(is_plain && matches!(self.view.service(domain, pod), Lookup::Absent))
    }

    /// The highest level of a fault of the governing Service: with a single pod that dials no name there is nothing to find.
    pub(super) fn service_level(&self) -> Level {
        if self.replicas <= 1 && self.dialled_name().is_none() { Level::Audit } else { Level::Deny }
    }

    fn config_map_text<'s>(&'s self, name: &'s str, keys: &ReadKeys<'_>) -> Vec<ConfigMapText<'s>> {
        let Some(config_map) = self.view.config_map(self.namespace(), name) else { return Vec::new() };
        let read =
            config_map.data.iter().filter(|(key, _)| keys.as_ref().is_none_or(|keys| keys.contains(&***key)));
        let texts = read
            .filter_map(|(key, text)| Some(ConfigMapText { config_map: name, key, text: text.as_deref()? }));
        texts.collect()
    }

    /// The ConfigMaps that the pods read, as files or as environment, each with the keys they read.
    fn config_maps_read(&self) -> BTreeMap<&str, ReadKeys<'_>> {
        let spec = &self.set.spec.template.spec;
        let variables = spec
            .all_containers()
            .flat_map(|container| &container.env)
            .filter_map(|variable| variable.value_from.as_ref());
        let variables =
            variables.map(|from| (&*from.config_map_key_ref.name, Some(&*from.config_map_key_ref.key)));
        let whole = spec
            .all_containers()
            .flat_map(|container| &container.env_from)
            .map(|from| (&*from.config_map_ref.name, None));
        let files = spec.config_map_files().flat_map(|files| {
            let items = files.items.iter().map(|item| (&*files.name, Some(&*item.key)));
            items.chain(files.items.is_empty().then_some((&*files.name, None)))
        });
        let mut read: BTreeMap<&str, ReadKeys<'_>> = BTreeMap::new();
        for (name, key) in variables.chain(whole).chain(files) {
            let keys = read.entry(name).or_insert_with(|| Some(BTreeSet::new()));
            match key {
                Some(key) => keys.iter_mut().for_each(|keys| {
                    keys.insert(key);
                }),
                None => *keys = None,
            }
        }
        read
    }
}
/// Whether a name may be one outside the cluster: what follows the Service is a variable, and not a namespace before `svc`.
fn leads_elsewhere(name: &DialledName, service: &str) -> bool {
    let behind = name.name.rsplit_once(&format!(".{service}.")).map_or("", |(_, behind)| behind);
    behind.starts_with('$') && !behind.contains(".svc")
}
