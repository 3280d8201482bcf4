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

    /// Returns the models that the key may ask for by their own names, as far as the spec writes them: `provider/model`, and `*` where it may
    /// ask for every model of a provider, or for any whose name matches a pattern.
    pub(super) fn models(self, plan: &'p Plan) -> impl Iterator<Item = (&'p str, &'p str)> {
        let is_open = |pattern: &&'p String| pattern.contains(['*', '?']);
        let written = self.own.iter().chain(self.team.into_iter().flatten()).filter(move |pattern| !is_open(pattern));
        let written = written.filter(move |name| self.allows(name)).filter_map(|name| name.split_once('/'));
        let written = written.filter(|(provider, model)| plan.providers.contains_key(*provider) && !model.is_empty());
        let below = move |provider: &str| {
            let below = format!("{provider}/?*");
            self.own.iter().filter(is_open).any(|pattern| match self.team {
                None => glob::intersect(&[pattern, &below]),
                Some(team) => team.iter().filter(is_open).any(|other| glob::intersect(&[pattern, other, &below])),
            })
        };
        written.chain(plan.providers.keys().filter(move |provider| below(provider)).map(|provider| (provider.as_str(), "*")))
    }

    /// Returns whether the key may ask for anything at all.
    pub(super) fn allows_something(self, plan: &Plan) -> bool {
        plan.models.keys().any(|alias| self.allows(alias)) || plan.providers.keys().any(|provider| self.allows_below(provider))
    }
}
