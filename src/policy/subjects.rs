//! Requesters of changes: users, groups and service accounts.

use super::document;
use crate::change::Requester;
use crate::software::Patterns;

/// Users, groups and service accounts that a policy names.
#[derive(Debug)]
pub(super) struct SubjectPatterns {
    pub(super) users: Patterns,
    pub(super) groups: Patterns,
    /// By the names that they have as users.
    pub(super) service_accounts: Patterns,
    /// The name that people use.
    pub(super) names: Vec<String>,
}

impl SubjectPatterns {
    pub(super) fn include(&self, requester: &Requester) -> bool {
        self.users.matches(&requester.username)
            || self.service_accounts.matches(&requester.username)
            || requester.groups.iter().any(|group| self.groups.matches(group))
    }
}

/// The name that a service account has as a user.
pub(super) fn service_account(namespace: &str, name: &str) -> String {
    format!("system:serviceaccount:{namespace}:{name}")
}

pub(super) fn names(subjects: &document::SubjectLists) -> Vec<String> {
    let users = subjects.users.iter().map(|user| format!("user {user}"));
    let groups = subjects.groups.iter().map(|group| format!("group {group}"));
    let accounts = subjects
        .service_accounts
        .iter()
        .map(|account| format!("service account {}/{}", account.namespace, account.name));
    users.chain(groups).chain(accounts).collect()
}
