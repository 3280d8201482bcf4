//! Whether what is named exists.

use std::collections::BTreeSet;

use crate::base::glob;
use crate::catalog;
use crate::plan::codes;
use crate::plan::finding::{Findings, On, nearest, pointer, suggest};
use crate::plan::types::{FallbackRef, Plan, RuleAction, Target};
use crate::spec::Diagnostic;

/// Names that a misspelt reference probably meant: they are not unused, only misspelt elsewhere.
#[derive(Debug, Default)]
pub(super) struct Meant {
    pub(super) providers: BTreeSet<String>,
    pub(super) teams: BTreeSet<String>,
}

/// One place that names an upstream model.
pub(super) struct Named<'p> {
    pub(super) at: String,
    /// The alias or the rule, in words.
    pub(super) who: String,
    pub(super) provider: &'p str,
    pub(super) model: &'p str,
}

/// Lists every place that names an upstream model.
pub(super) fn named(plan: &Plan) -> Vec<Named<'_>> {
    let mut list = Vec::new();
    for (name, model) in &plan.models {
        let (at, who) = (pointer(&["models", name]), format!("alias `{name}`"));
        own(&mut list, &format!("{at}/targets"), &who, &model.targets);
        for (index, link) in model.fallbacks.iter().enumerate() {
            if let FallbackRef::Target { provider, model } = link {
                list.push(Named { at: format!("{at}/fallbacks/{index}"), who: who.clone(), provider, model });
            }
        }
    }
    for (index, rule) in plan.rules.iter().enumerate() {
        if let RuleAction::Targets(targets) = &rule.action {
            own(&mut list, &format!("/rules/{index}/targets"), &format!("rule `{}`", rule.name), targets);
        }
    }
    list
}

fn own<'p>(list: &mut Vec<Named<'p>>, at: &str, who: &str, targets: &'p [Target]) {
    let named = |(index, target): (usize, &'p Target)| Named {
        at: format!("{at}/{index}"),
        who: who.to_owned(),
        provider: &target.provider,
        model: &target.model,
    };
    list.extend(targets.iter().enumerate().map(named));
}

pub(super) fn check(found: &mut Findings<'_>, plan: &Plan) -> Meant {
    let mut meant = Meant::default();
    for target in named(plan) {
        if !plan.providers.contains_key(target.provider) {
            let problem = format!("{} targets provider `{}`, which does not exist", target.who, target.provider);
            let problem = Diagnostic::error(codes::UNKNOWN_PROVIDER, problem).help(missing_provider(plan, target.provider));
            found.add(On::Value, format!("{}/provider", target.at), problem);
            meant.providers.extend(nearest(target.provider, plan.providers.keys().map(String::as_str)).map(str::to_owned));
        }
    }
    aliases(found, plan);
    for (name, key) in &plan.virtual_keys {
        patterns(found, plan, &mut meant, &["virtual_keys", name], &key.models);
        let Some(team) = key.team.as_ref().filter(|team| !plan.teams.contains_key(*team)) else { continue };
        let teams = || plan.teams.keys().map(String::as_str);
        let problem = Diagnostic::error(codes::UNKNOWN_TEAM, format!("key `{name}` belongs to team `{team}`, which does not exist"))
            .help(suggest(team, "teams", teams()));
        found.add(On::Value, pointer(&["virtual_keys", name, "team"]), problem);
        meant.teams.extend(nearest(team, teams()).map(str::to_owned));
    }
    for (name, team) in &plan.teams {
        patterns(found, plan, &mut meant, &["teams", name], team.models.as_deref().unwrap_or_default());
    }
    meant
}

pub(super) fn missing_provider(plan: &Plan, wrong: &str) -> String {
    match catalog::preset(wrong) {
        Some(preset) if nearest(wrong, plan.providers.keys().map(String::as_str)).is_none() => {
            format!("add it: `providers: {{{wrong}: {}}}`", preset.entry())
        }
        _ => suggest(wrong, "providers", plan.providers.keys().map(String::as_str)),
    }
}

fn aliases(found: &mut Findings<'_>, plan: &Plan) {
    let unknown = |who: &str, alias: &str| {
        let help = if plan.providers.contains_key(alias) {
            format!("an upstream model is written `{alias}/MODEL`")
        } else {
            suggest(alias, "aliases", plan.models.keys().map(String::as_str))
        };
        Diagnostic::error(codes::UNKNOWN_ALIAS, format!("{who} names alias `{alias}`, which does not exist")).help(help)
    };
    for (name, model) in &plan.models {
        for (index, link) in model.fallbacks.iter().enumerate() {
            if let FallbackRef::Alias(alias) = link
                && !plan.models.contains_key(alias)
            {
                let at = pointer(&["models", name, "fallbacks", &index.to_string()]);
                found.add(On::Value, at, unknown(&format!("the fallback chain of alias `{name}`"), alias));
            }
        }
    }
    for (index, rule) in plan.rules.iter().enumerate() {
        if let RuleAction::Use(alias) = &rule.action
            && !plan.models.contains_key(alias)
        {
            found.add(On::Value, format!("/rules/{index}/use"), unknown(&format!("rule `{}`", rule.name), alias));
        }
    }
}

/// Checks the patterns of a key or a team.
fn patterns(found: &mut Findings<'_>, plan: &Plan, meant: &mut Meant, at: &[&str], patterns: &[String]) {
    for (index, pattern) in patterns.iter().enumerate() {
        let matches = plan.models.keys().any(|alias| glob::matches(pattern, alias))
            || plan.providers.keys().any(|provider| glob::may_match_below(pattern, &format!("{provider}/")));
        if matches {
            continue;
        }
        let help = match pattern.split_once('/') {
            Some((provider, _)) => {
                meant.providers.extend(nearest(provider, plan.providers.keys().map(String::as_str)).map(str::to_owned));
                missing_provider(plan, provider)
            }
            None if plan.providers.contains_key(pattern) => format!("all models of the provider are `{pattern}/*`"),
            None => suggest(pattern, "aliases", plan.models.keys().map(String::as_str)),
        };
        let problem = Diagnostic::warning(codes::PATTERN_MATCHES_NOTHING, format!("`{pattern}` matches no alias and no provider's models"))
            .help(help);
        found.add(On::Value, format!("{}/models/{index}", pointer(at)), problem);
    }
}
