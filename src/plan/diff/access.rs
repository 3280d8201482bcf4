//! Who uses a provider or an alias, and which aliases a key may ask for: what the reasons of a diff speak of.

use super::shown;
use crate::base::glob;
use crate::plan::types::{Auth, FallbackRef, Plan, RuleAction, Target, VirtualKey};

/// Returns what names a provider or may call it, in words: "alias `cheap`", "rule `night`", "key `web-app`".
pub(super) fn users_of_provider(plan: &Plan, provider: &str) -> Vec<String> {
    let named = |targets: &[Target]| targets.iter().any(|target| target.provider == provider);
    let mut users = Vec::new();
    for (name, model) in &plan.models {
        let linked = model.fallbacks.iter().any(|link| match link {
            FallbackRef::Alias(_) => false,
            FallbackRef::Target { provider: named, .. } => named == provider,
        });
        if named(&model.targets) || linked {
            users.push(format!("alias {}", shown::name(name)));
        }
    }
    for rule in &plan.rules {
        match &rule.action {
            RuleAction::Targets(targets) if named(targets) => users.push(format!("rule {}", shown::name(&rule.name))),
            RuleAction::Targets(_) | RuleAction::Use(_) | RuleAction::Deny { .. } => {}
        }
    }
    let below = format!("{provider}/");
    for (name, key) in &plan.virtual_keys {
        let by_key = key.models.iter().any(|pattern| glob::may_match_below(pattern, &below));
        let by_team = team_models(plan, key).is_none_or(|models| models.iter().any(|pattern| glob::may_match_below(pattern, &below)));
        if by_key && by_team && !key.disabled {
            users.push(format!("key {}", shown::name(name)));
        }
    }
    if plan.gateway.auth != Auth::Required {
        users.push("requests without a key".to_owned());
    }
    users
}

/// Returns who may ask for an alias by its name, in words.
pub(super) fn callers_of_alias(plan: &Plan, alias: &str) -> Vec<String> {
    let keys = plan.virtual_keys.iter().filter(|(_, key)| may_use(plan, key, alias));
    let mut callers: Vec<String> = keys.map(|(name, _)| format!("key {}", shown::name(name))).collect();
    if plan.gateway.auth != Auth::Required {
        callers.push("requests without a key".to_owned());
    }
    callers
}

/// Returns what leads to an alias without asking for it by its name: chains and rules.
pub(super) fn links_to_alias(plan: &Plan, alias: &str) -> Vec<String> {
    let mut links = Vec::new();
    for (name, model) in &plan.models {
        if model.fallbacks.contains(&FallbackRef::Alias(alias.to_owned())) {
            links.push(format!("the chain of alias {}", shown::name(name)));
        }
    }
    for rule in &plan.rules {
        match &rule.action {
            RuleAction::Use(used) if used == alias => links.push(format!("rule {}", shown::name(&rule.name))),
            RuleAction::Use(_) | RuleAction::Targets(_) | RuleAction::Deny { .. } => {}
        }
    }
    links
}

/// Returns the aliases of both plans that a key may use in `base` and not in `new`.
pub(super) fn lost_aliases<'a>(base: (&'a Plan, &VirtualKey), new: (&Plan, &VirtualKey)) -> Vec<&'a str> {
    let common = base.0.models.keys().filter(|alias| new.0.models.contains_key(*alias));
    common.map(String::as_str).filter(|alias| may_use(base.0, base.1, alias) && !may_use(new.0, new.1, alias)).collect()
}

/// Returns the keys of a team.
pub(super) fn keys_of_team<'a>(plan: &'a Plan, team: &str) -> Vec<&'a str> {
    plan.virtual_keys.iter().filter(|(_, key)| key.team.as_deref() == Some(team)).map(|(name, _)| name.as_str()).collect()
}

/// Returns the first rule or template that looks at labels of keys, in words; judged by its text.
pub(super) fn reader_of_labels(plan: &Plan) -> Option<String> {
    let reads = |text: &str| text.contains("labels");
    let rule = plan.rules.iter().find(|rule| reads(&rule.when)).map(|rule| format!("rule {}", shown::name(&rule.name)));
    let header = || {
        let all = plan.providers.iter().flat_map(|(provider, it)| it.headers.iter().map(move |(header, text)| (provider, header, text)));
        let found = all.into_iter().find(|(_, _, text)| reads(text));
        found.map(|(provider, header, _)| format!("header {} of provider {}", shown::name(header), shown::name(provider)))
    };
    let prompt = || {
        let found = plan.models.iter().find(|(_, model)| model.prompt.as_ref().is_some_and(|prompt| reads(&prompt.system)));
        found.map(|(alias, _)| format!("the prompt of alias {}", shown::name(alias)))
    };
    rule.or_else(header).or_else(prompt)
}

/// Joins up to three phrases, and says how many more there are.
pub(super) fn phrase(all: &[String]) -> String {
    let shown = all.get(..3).unwrap_or(all).join(", ");
    match all.len().saturating_sub(3) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

fn may_use(plan: &Plan, key: &VirtualKey, alias: &str) -> bool {
    !key.disabled && glob::any(&key.models, alias) && team_models(plan, key).is_none_or(|models| glob::any(models, alias))
}

fn team_models<'a>(plan: &'a Plan, key: &VirtualKey) -> Option<&'a Vec<String>> {
    key.team.as_ref().and_then(|team| plan.teams.get(team)).and_then(|team| team.models.as_ref())
}
