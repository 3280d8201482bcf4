//! Whether what a budget is to pay for can be counted: the models that those who draw on it reach, and what is known of them.
//!
//! Rule: one finding for each budget, at the budget, whatever the number of keys and models; only models that are proved to be reached.

use std::collections::{BTreeMap, BTreeSet};

use super::reach::{Model, Reach};
use crate::catalog::{self, Meter};
use crate::plan::codes;
use crate::plan::finding::{Findings, On, pointer};
use crate::plan::types::{Budget, BudgetMode, BudgetRef, Plan, Unpriced, VirtualKey, WhenExhausted};
use crate::spec::Diagnostic;

/// Most models that one finding names.
const NAMED: usize = 5;

pub(super) fn check(found: &mut Findings<'_>, plan: &Plan) {
    // Where something decides what is reached that is not known here, nothing is proved.
    if ["/models", "/virtual_keys", "/teams", "/rules"].into_iter().any(|section| found.is_unsure(section)) {
        return;
    }
    let purses = purses(plan);
    let models: BTreeSet<Model<'_>> = purses.values().flat_map(|purse| purse.models.iter().copied()).collect();
    let known: BTreeMap<Model<'_>, Known> = models.into_iter().map(|model| (model, look(found, plan, model))).collect();
    for (at, purse) in &purses {
        let those = |is: fn(&Known) -> bool| -> Vec<Model<'_>> {
            purse.models.iter().copied().filter(|model| known.get(model).is_some_and(is)).collect()
        };
        let unpriced = those(|known| !known.is_priced);
        if !unpriced.is_empty() {
            found.add(On::Key, at.clone(), without_price(purse, &unpriced));
        }
        let unbounded = if purse.budget.mode == BudgetMode::Strict { those(|known| !known.is_bounded) } else { Vec::new() };
        if !unbounded.is_empty() {
            found.add(On::Key, at.clone(), without_ceiling(purse, &unbounded));
        }
    }
}

/// One budget, and the models that it may have to pay for.
struct Purse<'p> {
    who: String,
    budget: &'p Budget,
    models: BTreeSet<Model<'p>>,
}

/// Lists budgets that somebody draws on, by their places.
fn purses(plan: &Plan) -> BTreeMap<String, Purse<'_>> {
    let mut purses: BTreeMap<String, Purse<'_>> = BTreeMap::new();
    let mut reach = Reach::new(plan);
    for (name, key) in plan.virtual_keys.iter().filter(|(_, key)| !key.disabled) {
        let budgets = drawn_on(plan, name, key);
        if budgets.is_empty() {
            continue;
        }
        let moves = budgets.iter().filter_map(|(_, _, budget)| match &budget.when_exhausted {
            WhenExhausted::Use(alias) => Some(alias.as_str()),
            WhenExhausted::Deny => None,
        });
        let models = reach.of_key(name, key, &moves.collect::<Vec<_>>());
        for (at, who, budget) in budgets {
            purses.entry(at).or_insert_with(|| Purse { who, budget, models: BTreeSet::new() }).models.extend(&models);
        }
    }
    purses
}

/// Lists the budgets of a key and of its team, with their places and what to call them.
fn drawn_on<'p>(plan: &'p Plan, name: &str, key: &'p VirtualKey) -> Vec<(String, String, &'p Budget)> {
    let team = key.team.as_ref().and_then(|name| Some((name, plan.teams.get(name)?)));
    let own = key.budgets.iter().enumerate().map(|one| ("virtual_keys", "key", name, one));
    let of_team =
        team.into_iter().flat_map(|(name, team)| team.budgets.iter().enumerate().map(|one| ("teams", "team", name.as_str(), one)));
    let all = own.chain(of_team).filter_map(|(section, kind, owner, (index, reference))| match reference {
        BudgetRef::Own(own) => {
            let at = format!("{}/budgets/{index}", pointer(&[section, owner]));
            Some((at, format!("the budget of {kind} `{owner}` per {}", own.period), &**own))
        }
        BudgetRef::Shared(name) => plan.budgets.get(name).map(|budget| (pointer(&["budgets", name]), format!("budget `{name}`"), budget)),
    });
    all.collect()
}

/// What matters to a budget of a model.
#[derive(Clone, Copy)]
struct Known {
    is_priced: bool,
    /// Whether the most that a request can cost is known without its help, or does not depend on the length of its answer.
    is_bounded: bool,
}

impl Known {
    /// What nothing is said of.
    const GOOD: Self = Self { is_priced: true, is_bounded: true };
}

fn look(found: &Findings<'_>, plan: &Plan, (name, model): Model<'_>) -> Known {
    let is_unsure = || found.is_unsure(&pointer(&["providers", name])) || found.is_unsure("/prices");
    let Some(provider) = plan.providers.get(name).filter(|_| !is_unsure()) else { return Known::GOOD };
    if model == "*" {
        // Of a server that the catalogue does not know no model has a price but those that the spec gives one.
        let has_prices = || plan.prices.keys().any(|key| key.split_once('/').is_some_and(|(of, _)| of == name));
        let is_priced = provider.base_url == "mock:" || catalog::vendor_of(provider.server()).is_some() || has_prices();
        return Known { is_priced, ..Known::GOOD };
    }
    let (price, capacity) = plan.terms_of(name, model);
    let Some(price) = price else { return Known { is_priced: false, ..Known::GOOD } };
    // Models without a rate for output make vectors or orders of documents.
    let is_free = price.periods().iter().all(|period| period.card.is_free());
    let is_by_output = price.periods().iter().any(|period| period.card.standard.base.get(Meter::Output).is_some());
    Known { is_priced: true, is_bounded: is_free || !is_by_output || capacity.output.is_some() }
}

fn without_price(purse: &Purse<'_>, models: &[Model<'_>]) -> Diagnostic {
    let (list, have) = (listed(models), if models.len() == 1 { "has" } else { "have" });
    let first = models.first().map_or_else(String::new, |(provider, model)| format!("{provider}/{model}"));
    let problem = match purse.budget.unpriced {
        Unpriced::Deny => {
            let said = format!("{} serves no model without a price, and {list} {have} none", purse.who);
            Diagnostic::warning(codes::BUDGET_UNPRICED, said)
        }
        Unpriced::Allow => Diagnostic::info(codes::BUDGET_UNPRICED, format!("{} does not count {list}, which {have} no price", purse.who)),
    };
    problem.help(format!("write `prices: {{{first}: {{input: $0.10/Mtok, output: $0.40/Mtok}}}}`, or `free: true` if it costs nothing"))
}

fn without_ceiling(purse: &Purse<'_>, models: &[Model<'_>]) -> Diagnostic {
    let list = listed(models);
    let said = format!("{} is strict, and how long an answer of {list} can be is not known: requests must say `max_tokens`", purse.who);
    let (provider, model) = models.first().copied().unwrap_or_default();
    let help =
        format!("write `capacity: {{{model}: {{max_output_tokens: …}}}}` in provider `{provider}`, or `mode: progressive` in the budget");
    Diagnostic::warning(codes::CEILING_UNKNOWN, said).help(help)
}

/// Names models: some of them, and how many more there are.
fn listed(models: &[Model<'_>]) -> String {
    let named: Vec<String> = models.iter().take(NAMED).map(|(provider, model)| format!("`{provider}/{model}`")).collect();
    match (models.len().saturating_sub(NAMED), named.as_slice()) {
        (0, [rest @ .., before, last]) => rest.iter().map(|it| format!("{it}, ")).collect::<String>() + before + " and " + last,
        (0, _) => named.concat(),
        (more, _) => format!("{} and {more} more", named.join(", ")),
    }
}
