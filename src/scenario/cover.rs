//! What of a spec its tests have used: rules that decided, aliases that served, keys that asked, links of chains that were tried.

use std::collections::BTreeMap;

use super::seen::Seen;
use crate::table::RoutingTable;

/// A part of a spec that a test may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Part {
    /// A rule that decides.
    Rules,
    /// An alias that serves.
    Models,
    /// A key that asks.
    Keys,
    /// A link of an alias's chain, one of whose targets is tried.
    Fallbacks,
}

impl Part {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Rules, Self::Models, Self::Keys, Self::Fallbacks];

    /// Returns what they are called.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Rules => "rules",
            Self::Models => "models",
            Self::Keys => "keys",
            Self::Fallbacks => "fallbacks",
        }
    }
}

/// What was used, and what was not.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Coverage(BTreeMap<(Part, String), bool>);

impl Coverage {
    /// Lists what a table has; nothing of it is used yet.
    pub(super) fn of(table: &RoutingTable) -> Self {
        let mut parts = BTreeMap::new();
        parts.extend(table.plan.rules.iter().map(|rule| ((Part::Rules, rule.name.clone()), false)));
        parts.extend(table.plan.virtual_keys.keys().map(|name| ((Part::Keys, name.clone()), false)));
        for (name, alias) in &table.aliases {
            parts.insert((Part::Models, name.clone()), false);
            parts.extend((1..alias.stages.len()).map(|place| ((Part::Fallbacks, link(table, name, place)), false)));
        }
        Self(parts)
    }

    /// Notes what a request used.
    pub(super) fn note(&mut self, table: &RoutingTable, seen: &Seen) {
        let parts = [(Part::Rules, &seen.rule), (Part::Models, &seen.alias), (Part::Keys, &seen.key)];
        for (part, name) in parts {
            self.touch(part, name.as_deref());
        }
        let Some((name, alias)) = seen.alias.as_ref().and_then(|name| Some((name, table.aliases.get(name)?))) else { return };
        for (place, stage) in alias.stages.iter().enumerate().skip(1) {
            let is_tried = |id: String| seen.attempts.iter().any(|tried| tried.target == id);
            if stage.targets.iter().any(|member| is_tried(member.target.id())) {
                self.touch(Part::Fallbacks, Some(&link(table, name, place)));
            }
        }
    }

    fn touch(&mut self, part: Part, name: Option<&str>) {
        if let Some(used) = name.and_then(|name| self.0.get_mut(&(part, name.to_owned()))) {
            *used = true;
        }
    }

    /// Adds what others have used of the same spec.
    pub fn add(&mut self, other: &Self) {
        for (part, used) in &other.0 {
            *self.0.entry(part.clone()).or_default() |= used;
        }
    }

    /// Returns how many of a part were used, and how many there are.
    pub fn count(&self, part: Part) -> (usize, usize) {
        let of = self.0.iter().filter(|((known, _), _)| *known == part);
        of.fold((0, 0), |(used, all), (_, is_used)| (used + usize::from(*is_used), all + 1))
    }

    /// Returns the percentage of everything that was used; 100 where there is nothing.
    pub fn percent(&self) -> usize {
        let used = self.0.values().filter(|used| **used).count();
        (used * 100).checked_div(self.0.len()).unwrap_or(100)
    }

    /// Lists what was not used.
    pub fn unused(&self, part: Part) -> impl Iterator<Item = &str> {
        self.0.iter().filter(move |((known, _), used)| *known == part && !**used).map(|((_, name), _)| name.as_str())
    }
}

/// Names a link of a chain by its targets.
fn link(table: &RoutingTable, alias: &str, place: usize) -> String {
    let stage = table.aliases.get(alias).and_then(|alias| alias.stages.get(place));
    let targets: Vec<String> = stage.iter().flat_map(|stage| &stage.targets).map(|member| member.target.id()).collect();
    format!("{alias} → {}", targets.join(" | "))
}
