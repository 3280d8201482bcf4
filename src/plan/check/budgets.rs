//! Budgets: whether they exist, are used, can be counted, and lead somewhere at their end.

use std::collections::{BTreeMap, BTreeSet};

use crate::base::{Usd, zone};
use crate::plan::codes;
use crate::plan::finding::{Findings, On, pointer, suggest};
use crate::plan::types::{Budget, BudgetRef, Plan, VirtualKey, WhenExhausted};
use crate::spec::Diagnostic;

pub(super) fn check(found: &mut Findings<'_>, plan: &Plan) {
    let mut used = BTreeSet::new();
    for (name, team) in &plan.teams {
        list(found, plan, &pointer(&["teams", name]), &format!("team `{name}`"), &team.budgets);
        used.extend(shared(&team.budgets));
    }
    for (name, key) in &plan.virtual_keys {
        list(found, plan, &pointer(&["virtual_keys", name]), &format!("key `{name}`"), &key.budgets);
        used.extend(shared(&key.budgets));
    }
    unlimited(found, plan);
    let olds = |name: &String, old: &Option<String>| old.clone().map(|old| (name.clone(), old));
    renamed(found, "teams", &plan.teams, plan.teams.iter().filter_map(|(name, it)| olds(name, &it.renamed_from)));
    renamed(found, "virtual_keys", &plan.virtual_keys, plan.virtual_keys.iter().filter_map(|(name, it)| olds(name, &it.renamed_from)));
    renamed(found, "budgets", &plan.budgets, plan.budgets.iter().filter_map(|(name, it)| olds(name, &it.renamed_from)));
    let is_unsure = found.is_unsure("/virtual_keys") || found.is_unsure("/teams");
    for (name, budget) in &plan.budgets {
        let at = pointer(&["budgets", name]);
        one(found, plan, &at, &format!("budget `{name}`"), budget);
        if !is_unsure && !used.contains(name.as_str()) {
            let problem = Diagnostic::warning(codes::BUDGET_UNUSED, format!("no key and no team draws on budget `{name}`"))
                .help(format!("write `budgets: [{name}]` in a key or a team, or remove the budget"));
            found.add(On::Key, at, problem);
        }
    }
}

/// An old name is nobody's any more, and becomes one's.
fn renamed<T>(found: &mut Findings<'_>, section: &str, all: &BTreeMap<String, T>, olds: impl Iterator<Item = (String, String)>) {
    let mut claimed = BTreeSet::new();
    for (name, old) in olds {
        let problem = match (all.contains_key(&old), claimed.insert(old.clone())) {
            (true, _) => format!("`{name}` was renamed from `{old}`, which is still there"),
            (false, false) => format!("`{name}` was renamed from `{old}`, as another one was"),
            (false, true) => continue,
        };
        let problem = Diagnostic::error(codes::STILL_THERE, problem).help("remove `renamed_from`, or the old entry");
        found.add(On::Value, pointer(&[section, &name, "renamed_from"]), problem);
    }
}

/// Where some have budgets, those who have none may have been forgotten.
fn unlimited(found: &mut Findings<'_>, plan: &Plan) {
    let matters = plan.virtual_keys.values().any(|key| !key.budgets.is_empty()) || plan.teams.values().any(|team| !team.budgets.is_empty());
    let of_team = |key: &VirtualKey| key.team.as_ref().and_then(|team| plan.teams.get(team)).is_some_and(|team| !team.budgets.is_empty());
    for (name, _) in plan.virtual_keys.iter().filter(|(_, key)| matters && key.budgets.is_empty() && !key.disabled && !of_team(key)) {
        let problem = Diagnostic::warning(codes::NO_BUDGET, format!("nothing limits what key `{name}` spends"))
            .help("write `budgets: [{limit: $50, period: month}]`, or name a shared one");
        found.add(On::Key, pointer(&["virtual_keys", name]), problem);
    }
}

fn shared(list: &[BudgetRef]) -> impl Iterator<Item = &str> {
    list.iter().filter_map(|reference| match reference {
        BudgetRef::Shared(name) => Some(name.as_str()),
        BudgetRef::Own(_) => None,
    })
}

fn list(found: &mut Findings<'_>, plan: &Plan, at: &str, who: &str, list: &[BudgetRef]) {
    let mut seen = BTreeSet::new();
    for (index, reference) in list.iter().enumerate() {
        let at = format!("{at}/budgets/{index}");
        let identity = match reference {
            BudgetRef::Shared(name) => {
                if !plan.budgets.contains_key(name) {
                    let problem = format!("{who} draws on budget `{name}`, which does not exist");
                    let help = suggest(name, "budgets", plan.budgets.keys().map(String::as_str));
                    found.add(On::Value, at.clone(), Diagnostic::error(codes::UNKNOWN_BUDGET, problem).help(help));
                }
                name.clone()
            }
            BudgetRef::Own(own) => {
                if own.renamed_from.is_some() {
                    let problem = Diagnostic::error(codes::STILL_THERE, format!("a budget of {who} has no name that could have changed"))
                        .help("what was spent is the key's or the team's: write `renamed_from` there");
                    found.add(On::Value, format!("{at}/renamed_from"), problem);
                }
                one(found, plan, &at, &format!("a budget of {who}"), own);
                format!(" {} {}", own.period, own.timezone)
            }
        };
        if !seen.insert(identity) {
            let what = match reference {
                BudgetRef::Shared(name) => format!("{who} lists budget `{name}` twice"),
                BudgetRef::Own(own) => format!("{who} has two budgets for one window, `{}`", own.period),
            };
            let problem = Diagnostic::error(codes::BUDGET_TWICE, what).help("keep the one that is meant; the smaller of two would hold");
            found.add(On::Value, at, problem);
        }
    }
}

fn one(found: &mut Findings<'_>, plan: &Plan, at: &str, who: &str, budget: &Budget) {
    if budget.limit == Usd::ZERO {
        let problem = Diagnostic::warning(codes::BUDGET_ZERO, format!("{who} allows nothing that costs money"))
            .help("where nothing may be asked for at all, `disabled: true` in the key says so");
        found.add(On::Value, format!("{at}/limit"), problem);
    }
    if zone(&budget.timezone).is_none() {
        let problem = Diagnostic::error(codes::UNKNOWN_TIMEZONE, format!("{who} names a time zone that does not exist"))
            .help("write a name of the IANA database, such as `UTC`, `Europe/Berlin` or `America/New_York`");
        found.add(On::Value, format!("{at}/timezone"), problem);
    }
    match &budget.when_exhausted {
        WhenExhausted::Deny => {}
        WhenExhausted::Use(alias) if plan.models.contains_key(alias) => {}
        WhenExhausted::Use(alias) => {
            let problem = format!("{who} moves requests to alias `{alias}`, which does not exist");
            let help = suggest(alias, "aliases", plan.models.keys().map(String::as_str));
            found.add(On::Value, format!("{at}/when_exhausted/use"), Diagnostic::error(codes::UNKNOWN_ALIAS, problem).help(help));
        }
    }
}
