//! The policies that are about one subject, and what they decide.

use std::mem;
use std::sync::Arc;

use super::scope::Certainty;
use super::{Check, CompiledRuleSetting, NamespaceExemption, OnMissingCompanion, OperatorMode, Policy};
use crate::change::Requester;
use crate::model::{Because, Class, Classified, Labels};
use crate::rules::{self, NO_PARAMS, Params, RuleCheck};
use crate::verdict::Level;

/// The policies that are about one subject.
#[derive(Debug)]
pub struct Applicable<'a> {
    pub(super) policies: Vec<(&'a Policy, Certainty)>,
    /// The exemptions of the namespace.
    pub(super) exemptions: &'a [Arc<NamespaceExemption>],
    pub(super) namespace_labels: Option<&'a Labels>,
    pub(super) asked_by: Option<AskedBy<'a>>,
}

/// Who asks for a change, where that is known.
#[derive(Clone, Copy, Debug)]
pub(super) struct AskedBy<'a> {
    pub(super) requester: &'a Requester,
    /// Whether the change adds or alters the exempting annotations.
    pub(super) sets_exemption: bool,
}

/// The level and parameters of one rule for one subject.
#[derive(Clone, Copy, Debug)]
pub struct Ruling<'a> {
    pub level: Level,
    pub params: &'a Params,
    /// The policy that decides the level; `None` where no policy names the rule.
    pub(super) policy: Option<&'a Policy>,
    /// The level that the policy gives, before its `enforcement` caps it.
    pub(super) uncapped: Level,
    /// The policy that would make it milder than `deny`, and of which it is not known whether it applies. The level is `warn`
    /// then.
    pub undecided: Option<&'a str>,
}

impl<'a> Ruling<'a> {
    const OFF: Self =
        Self { level: Level::Off, params: &NO_PARAMS, policy: None, uncapped: Level::Off, undecided: None };

    fn by(policy: &'a Policy, setting: &'a CompiledRuleSetting, only_likely: bool) -> Self {
        let uncapped = setting.when_likely.filter(|_| only_likely).unwrap_or(setting.level);
        let level = uncapped.min(policy.enforcement.level());
        Self { level, params: &setting.params, policy: Some(policy), uncapped, undecided: None }
    }
}

impl<'a> Applicable<'a> {
    /// The policies for a change, if the requesting user is known. `sets_exemption` is whether it adds or alters the
    /// exempting annotations: those that were there before were set by one who might.
    #[must_use]
    pub fn asked_by(self, requester: &'a Requester, sets_exemption: bool) -> Self {
        let is_known = !requester.username.is_empty();
        Self { asked_by: is_known.then_some(AskedBy { requester, sets_exemption }), ..self }
    }

    /// What applies to the rule at `index` of [`rules::ALL`] for a subject that was classified so, or has no class. Where a policy
    /// that may or may not apply decides the class, a rule that would deny under the one class and not under the other does not
    /// deny.
    pub fn ruling_for<'r>(&'r self, index: usize, class: Option<&'r Classified>) -> Ruling<'r> {
        let rule = &rules::ALL[index];
        // How a manifest is written is judged without a class.
        let Some(class) = class.filter(|_| !matches!(rule.check, RuleCheck::Text(_))) else {
            return self.ruling(index, Class::Replicated, false);
        };
        let under = |other: Class| self.ruling(index, other, class.is_only_likely());
        let ruling = under(class.class);
        let Because::Undecided { policy, alternative, .. } = &class.because else { return ruling };
        if ruling.level != Level::Deny || matches!(rule.check, RuleCheck::PodRemoval(_)) {
            return ruling;
        }
        let denies = rule.is_for_class(*alternative) && under(*alternative).level == Level::Deny;
        if denies { ruling } else { Ruling { level: Level::Warn, undecided: Some(policy), ..ruling } }
    }

    /// What policies say of the rule at `index` for this class, the strongest first, down to the policy that is certain to apply
    /// and not on trial.
    pub(super) fn settings(
        &self,
        index: usize,
        class: Class,
    ) -> impl Iterator<Item = (&'a Policy, Certainty, &'a CompiledRuleSetting)> {
        let mut is_decided = false;
        let settings = self.policies.iter().filter_map(move |(policy, certainty)| {
            let policy: &'a Policy = policy;
            Some((policy, *certainty, policy.setting(index, class)?))
        });
        settings.take_while(move |(policy, certainty, _)| {
            let decides = *certainty == Certainty::Certain && !policy.is_on_trial();
            !mem::replace(&mut is_decided, decides)
        })
    }

    /// What applies to the rule at `index` of [`rules::ALL`] for a subject of this class. The strongest policy that names the
    /// rule decides, after those on trial, of which the highest level counts where it is higher. A policy that may or may not apply
    /// never denies, and never switches off: it makes a denial a warning.
    pub fn ruling(&self, index: usize, class: Class, only_likely: bool) -> Ruling<'a> {
        let mut mildest: Option<(Level, &'a str)> = None;
        let mut decided = Ruling::OFF;
        // Nearly always there is the profile alone.
        if let [(policy, Certainty::Certain)] = self.policies[..]
            && !policy.is_on_trial()
        {
            let setting = policy.setting(index, class);
            return setting.map_or(decided, |setting| Ruling::by(policy, setting, only_likely));
        }
        for (policy, certainty, setting) in self.settings(index, class) {
            let ruling = Ruling::by(policy, setting, only_likely);
            match certainty {
                Certainty::Certain => {
                    if ruling.level > decided.level || decided.level == Level::Off {
                        decided = ruling;
                    }
                }
                Certainty::Unknown if policy.is_on_trial() => {}
                Certainty::Unknown if mildest.is_none_or(|(milder, _)| ruling.uncapped < milder) => {
                    mildest = Some((ruling.uncapped, &policy.name));
                }
                Certainty::Unknown => {}
            }
        }
        match mildest {
            Some((milder, policy)) if milder < Level::Deny && decided.level == Level::Deny => {
                Ruling { level: Level::Warn, undecided: Some(policy), ..decided }
            }
            _ => decided,
        }
    }

    /// The checks of the policies that certainly apply.
    pub fn checks(&self) -> impl Iterator<Item = (&'a Policy, &'a Check)> {
        let certain = self.policies.iter().filter(|(_, certainty)| *certainty == Certainty::Certain);
        certain.flat_map(|(policy, _)| {
            let policy: &'a Policy = policy;
            policy.checks.iter().map(move |check| (policy, check))
        })
    }

    /// Whether an operator may be denied what it asks for its own objects: `operated: enforce`.
    pub fn enforces_on_operators(&self) -> bool {
        self.decided(|policy| policy.operated) == Some(OperatorMode::Enforce)
    }

    /// Whether a set may be denied that is created before its companions, and a companion that is deleted before its set:
    /// `onMissingCompanion: deny`.
    pub fn denies_missing_companions(&self) -> bool {
        self.decided(|policy| policy.on_missing_companion) == Some(OnMissingCompanion::Deny)
    }

    /// The setting of the strongest policy that is certain to apply and not on trial.
    pub(super) fn decided<T>(&self, setting: impl Fn(&Policy) -> Option<T>) -> Option<T> {
        let mut certain = self
            .policies
            .iter()
            .filter(|(_, certainty)| *certainty == Certainty::Certain)
            .filter(|(policy, _)| !policy.is_on_trial());
        certain.find_map(|(policy, _)| setting(policy))
    }
}
