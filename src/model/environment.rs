//! The variables that the containers of a set take from ConfigMaps.

use std::sync::Arc;

use super::{ConfigMap, Container, EnvVar, StatefulSet};

/// Bytes of a value beyond which it says nothing of what a set is.
const LONGEST_VALUE: usize = 4_096;

/// For each main container, what it takes from ConfigMaps.
#[derive(Debug)]
pub struct TakenVariables(Vec<Vec<EnvVar>>);

impl TakenVariables {
    /// How many bytes of text they are.
    pub fn bytes(&self) -> usize {
        self.0.iter().flatten().map(|variable| variable.name.len() + variable.value.len()).sum()
    }
}

impl StatefulSet {
    /// Those of the variables called `names` that its main containers take from ConfigMaps which `config_map` knows; `None` where
    /// there are none.
    pub fn variables_taken<'c>(
        &self,
        names: &[&str],
        config_map: impl Fn(&str) -> Option<&'c ConfigMap>,
    ) -> Option<TakenVariables> {
        let containers = &self.spec.template.spec.containers;
        let takes = |container: &Container| {
            let mut from = container.env.iter().filter_map(|variable| variable.value_from.as_ref());
            !container.env_from.is_empty() || from.any(|from| !from.config_map_key_ref.name.is_empty())
        };
        if !containers.iter().any(takes) {
            return None;
        }
        let of = |container: &Container| {
            let values =
                names.iter().filter_map(|name| Some((*name, value_taken(container, name, &config_map)?)));
            let short = values.filter(|(_, value)| value.len() <= LONGEST_VALUE);
            short.map(|(name, value)| EnvVar::new(name, value)).collect()
        };
        let variables: Vec<Vec<EnvVar>> = containers.iter().map(of).collect();
        variables.iter().any(|variables| !variables.is_empty()).then_some(TakenVariables(variables))
    }

    /// The set as if these variables were written in it.
    #[must_use]
    pub fn with_variables(&self, taken: TakenVariables) -> Self {
        let mut set = self.clone();
        let containers = Arc::make_mut(&mut set.spec.template.spec.containers).iter_mut();
        for (container, variables) in containers.zip(taken.0) {
            container.env.retain(|old| !variables.iter().any(|new| new.name == old.name));
            container.env.extend(variables);
        }
        set
    }
}

/// The value that a container's variable has from a ConfigMap. What `env` says of it goes before `envFrom`, and of those the last.
fn value_taken<'c>(
    container: &Container,
    name: &str,
    config_map: &impl Fn(&str) -> Option<&'c ConfigMap>,
) -> Option<&'c str> {
    if let Some(variable) = container.env.iter().rev().find(|variable| &*variable.name == name) {
        let key = &variable.value_from.as_ref()?.config_map_key_ref;
        return config_map(&key.name)?.text(&key.key);
    }
    container.env_from.iter().rev().find_map(|from| {
        let key = name.strip_prefix(&*from.prefix)?;
        config_map(&from.config_map_ref.name)?.text(key)
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn taken_by(container: &Value) -> Vec<(String, String)> {
        let map: ConfigMap =
            serde_json::from_value(json!({"data": {"PEERS": "a,b", "ROLE": "x", "long": "y".repeat(5_000)}}))
                .unwrap();
        let set: StatefulSet =
            serde_json::from_value(json!({"spec": {"template": {"spec": {"containers": [container]}}}}))
                .unwrap();
        let taken = set.variables_taken(&["PEERS", "MY_ROLE", "LONG"], |name| (name == "m").then_some(&map));
        let Some(taken) = taken else { return Vec::new() };
        let set = set.with_variables(taken);
        let env = set.spec.template.spec.containers[0].env.iter();
        env.map(|variable| (variable.name.to_string(), variable.value.to_string())).collect()
    }

    #[test]
    fn variables_are_taken_as_the_kubelet_takes_them() {
        let key = |map: &str, key: &str| json!({"configMapKeyRef": {"name": map, "key": key}});
        let whole = |map: &str, prefix: &str| json!({"configMapRef": {"name": map}, "prefix": prefix});
        for (container, expected) in [
            (json!({"env": [{"name": "PEERS", "valueFrom": key("m", "ROLE")}]}), vec![("PEERS", "x")]),
            (json!({"env": [{"name": "PEERS", "valueFrom": key("other", "ROLE")}]}), vec![]),
            (json!({"env": [{"name": "PEERS", "valueFrom": key("m", "none")}]}), vec![]),
            (json!({"env": [{"name": "LONG", "valueFrom": key("m", "long")}]}), vec![]),
            (json!({"env": [{"name": "OTHER", "valueFrom": key("m", "ROLE")}]}), vec![]),
            (json!({"envFrom": [whole("m", "")]}), vec![("PEERS", "a,b")]),
            (json!({"envFrom": [whole("m", "MY_")]}), vec![("MY_ROLE", "x")]),
            (json!({"envFrom": [whole("m", ""), whole("other", "")]}), vec![("PEERS", "a,b")]),
            (json!({"envFrom": [{"secretRef": {"name": "m"}}]}), vec![]),
            (json!({"env": [{"name": "PEERS", "value": "own"}], "envFrom": [whole("m", "")]}), vec![]),
            (
                json!({"env": [{"name": "PEERS", "valueFrom": key("m", "ROLE")}], "envFrom": [whole("m", "")]}),
                vec![("PEERS", "x")],
            ),
        ] {
            let expected: Vec<_> =
                expected.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
            assert_eq!(taken_by(&container), expected, "{container}");
        }
    }
}
