//! What a key may ask for: its own patterns and its team's.

use crate::base::glob;
use crate::plan::types::{Plan, VirtualKey};

/// The patterns of a key and, where its team limits them, of the team.
#[derive(Clone, Copy)]
pub(super) struct Access<'p> {
    own: &'p [String],
    team: Option<&'p [String]>,
}

impl<'p> Access<'p> {
    pub(super) fn of(plan: &'p Plan, key: &'p VirtualKey) -> Self {
        let team = key.team.as_ref().and_then(|team| plan.teams.get(team));
        Self { own: &key.models, team: team.and_then(|team| team.models.as_deref()) }
    }

    /// Returns the same without the team's limits.
    pub(super) const fn without_team(self) -> Self {
        Self { own: self.own, team: None }
    }

    /// Returns what the team alone allows, where it limits the key.
    pub(super) fn of_team(self) -> Option<Self> {
        self.team.map(|team| Self { own: team, team: None })
    }

    /// Returns whether nothing is listed.
    pub(super) const fn is_empty(self) -> bool {
        self.own.is_empty()
    }

    /// Returns whether the key may ask for an alias.
    pub(super) fn allows(self, alias: &str) -> bool {
        glob::any(self.own, alias) && self.team.is_none_or(|team| glob::any(team, alias))
    }

    /// Returns whether the key may ask for any model of a provider by its name.
    pub(super) fn allows_below(self, provider: &str) -> bool {
        let below = format!("{provider}/?*");
        self.own.iter().any(|pattern| match self.team {
            None => glob::intersect(&[pattern, &below]),
            Some(team) => team.iter().any(|other| glob::intersect(&[pattern, other, &below])),
        })
    }

    /// Returns whether the key may ask for anything at all.
    pub(super) fn allows_something(self, plan: &Plan) -> bool {
        plan.models.keys().any(|alias| self.allows(alias)) || plan.providers.keys().any(|provider| self.allows_below(provider))
    }
}
