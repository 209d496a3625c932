//! What a policy may tell a rule.

use serde::Deserialize;

/// The parameters of a rule. Which of them a rule takes is in its [`crate::rules::Rule::params`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Params {
    /// The topology keys that count as a spread; absent means any.
    pub topology_keys: Option<Vec<String>>,
    /// The largest sensible number of members.
    pub max_members: Option<i32>,
}

impl Params {
    /// The names of the parameters that are given.
    pub(super) fn given(&self) -> Vec<&'static str> {
        let given =
            [("topologyKeys", self.topology_keys.is_some()), ("maxMembers", self.max_members.is_some())];
        given.into_iter().filter(|(_, given)| *given).map(|(name, _)| name).collect()
    }
}
