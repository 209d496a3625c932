//! One application at a glance.

use std::collections::BTreeMap;
use std::io;

use super::placement::{Placement, PodPlace};
use super::{json, text};
use crate::report::{Application, Located, Report};

/// A StatefulSet, what was found about it, and where its pods are.
#[derive(Debug)]
pub struct Glance<'a> {
    pub application: &'a Application,
    /// The gravest first.
    pub findings: Vec<&'a Located>,
    /// `None` where it cannot be known, as of manifests.
    pub placement: Option<&'a Placement>,
}

/// Members that are lost together.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct SharedFate<'a> {
    /// `node` or `zone`.
    pub(super) kind: &'static str,
    pub(super) name: &'a str,
    pub(super) members: i32,
}

impl<'a> Glance<'a> {
    /// The picture of each StatefulSet of this name in the report: one in a cluster, one a context in manifests.
    pub fn of(
        report: &'a Report,
        namespace: &str,
        name: &str,
        placement: Option<&'a Placement>,
    ) -> Vec<Self> {
        let is_named = |at: &&Application| *at.object.namespace == *namespace && *at.object.name == *name;
        let glances = report.applications.iter().filter(is_named).map(|application| {
            let mut findings = report.gravest_first();
            findings.retain(|located| {
                located.finding.subject == application.object
                    && located.context.as_deref() == application.context.as_deref()
            });
            Self { application, findings, placement }
        });
        glances.collect()
    }

    pub fn write_text(&self, out: &mut dyn io::Write) -> io::Result<()> {
        text::application(self, out)
    }

    pub fn write_json(glances: &[Self], out: &mut dyn io::Write) -> io::Result<()> {
        json::applications(glances, out)
    }

    /// The pods of the group, by set and number.
    pub(super) fn pods(&self) -> Vec<&'a PodPlace> {
        let Some(Placement { pods: Ok(pods), .. }) = self.placement else { return Vec::new() };
        let application = self.application;
        let is_member = |pod: &&PodPlace| {
            *pod.namespace == *application.object.namespace
                && pod.set.as_ref().is_some_and(|set| application.sets.contains(set))
        };
        let mut pods: Vec<&PodPlace> = pods.iter().filter(is_member).collect();
        pods.sort_by_key(|pod| (&pod.set, pod.number(), &pod.name));
        pods
    }

    /// The nodes and zones without which there is no majority, though there is one now.
    pub(super) fn fatal(&self) -> Vec<SharedFate<'a>> {
        let Some(needed) = self.application.needed() else { return Vec::new() };
        let pods = self.pods();
        let ready: Vec<&PodPlace> = pods.iter().copied().filter(|pod| pod.is_up()).collect();
        let count = i32::try_from(ready.len()).unwrap_or(i32::MAX);
        let (mut nodes, mut zones): (BTreeMap<&str, i32>, BTreeMap<&str, i32>) = Default::default();
        for pod in ready.into_iter().filter(|pod| !pod.node.is_empty()) {
            *nodes.entry(&pod.node).or_default() += 1;
            let node = self.placement.and_then(|placement| placement.node(&pod.node));
            if let Some(zone) = node.map(|node| &*node.zone).filter(|zone| !zone.is_empty()) {
                *zones.entry(zone).or_default() += 1;
            }
        }
        let is_fatal = |members: &i32| *members > 1 && count >= needed && count - members < needed;
        let fates = |kind, places: BTreeMap<&'a str, i32>| {
            let fatal = places.into_iter().filter(|(_, members)| is_fatal(members));
            fatal.map(|(name, members)| SharedFate { kind, name, members }).collect::<Vec<_>>()
        };
        let mut fatal = fates("node", nodes);
        fatal.extend(fates("zone", zones));
        fatal
    }
}

impl PodPlace {
    /// Whether it serves now and is to go on.
    pub(super) fn is_up(&self) -> bool {
        self.is_ready && !self.is_deleting
    }

    pub(super) fn state(&self) -> &'static str {
        match (self.is_deleting, self.is_ready, self.node.is_empty()) {
            (true, _, _) => "being deleted",
            (false, true, _) => "ready",
            (false, false, true) => "not scheduled",
            (false, false, false) => "not ready",
        }
    }

    fn number(&self) -> Option<i64> {
        self.name.rsplit_once('-')?.1.parse().ok()
    }
}
