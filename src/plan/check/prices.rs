//! Prices, and the models that are about to be gone.

use std::collections::BTreeSet;

use super::access::Access;
use super::references::{Meant, missing_provider, named};
use crate::base::Usd;
use crate::catalog::{self, overlay};
use crate::plan::codes;
use crate::plan::finding::{Findings, On, nearest, pointer, suggest};
use crate::plan::types::{Plan, Price};
use crate::spec::{Diagnostic, OtherRates, tokens};

pub(super) fn check(found: &mut Findings<'_>, plan: &Plan, meant: &mut Meant) {
    for (key, price) in &plan.prices {
        if placed(found, plan, meant, key) {
            used(found, plan, key);
        }
        if said(found, key, price) {
            steps(found, key, price);
        }
        if let Some(same_as) = &price.same_as {
            self::same_as(found, plan, key, same_as);
        }
    }
}

/// Checks that a key is `provider/model` of a provider that there is.
fn placed(found: &mut Findings<'_>, plan: &Plan, meant: &mut Meant, key: &str) -> bool {
    let at = pointer(&["prices", key]);
    let Some((provider, model)) = key.split_once('/').filter(|(provider, model)| !provider.is_empty() && !model.is_empty()) else {
        let problem = Diagnostic::error(codes::PRICE_KEY, format!("`{key}` is no `provider/model`"))
            .help("prices are keyed by provider and model, such as `local-vllm/qwen3`; `local-vllm/*` is every model of the provider");
        found.add(On::Key, at, problem);
        return false;
    };
    if provider.contains(['*', '?']) || model.strip_suffix('*').unwrap_or(model).contains('*') {
        let problem = Diagnostic::error(codes::PRICE_KEY, format!("the star of `{key}` does not stand at the end"))
            .help("a price is for one provider, and a star at the end of the model's name stands for any rest of it");
        found.add(On::Key, at, problem);
        return false;
    }
    if !plan.providers.contains_key(provider) {
        let problem =
            Diagnostic::error(codes::UNKNOWN_PROVIDER, format!("the price of `{key}` names provider `{provider}`, which does not exist"))
                .help(missing_provider(plan, provider));
        found.add(On::Key, at, problem);
        meant.providers.extend(nearest(provider, plan.providers.keys().map(String::as_str)).map(str::to_owned));
        return false;
    }
    true
}

/// Reports a price of models that nothing asks for.
fn used(found: &mut Findings<'_>, plan: &Plan, key: &str) {
    let holds = |provider: &str, model: &str| overlay::find(&plan.prices, provider, model).is_some_and(|(holding, _)| holding == key);
    let is_target = named(plan).iter().any(|target| holds(target.provider, target.model));
    let provider = key.split_once('/').map_or(key, |(provider, _)| provider);
    let asks = |pattern: &String| crate::base::glob::intersect(&[pattern, key]) && pattern.contains('/');
    let is_asked = plan.virtual_keys.values().any(|key| key.models.iter().any(asks) && Access::of(plan, key).allows_below(provider))
        || plan.virtual_keys.values().any(|key| key.models.iter().any(|pattern| pattern == "*"));
    if !is_target && !is_asked {
        let problem = Diagnostic::warning(codes::PRICE_UNUSED, format!("nothing of this spec asks for `{key}`"))
            .help("remove the price, or correct the model's name");
        found.add(On::Key, pointer(&["prices", key]), problem);
    }
}

/// Checks that an entry says one thing: that a model is free, whose price holds, or rates.
fn said(found: &mut Findings<'_>, key: &str, price: &Price) -> bool {
    let has_rates = !price.rates().is_empty();
    let has_more = has_rates || !price.above.is_empty() || price.batch.is_some() || price.flex.is_some() || price.priority.is_some();
    let at = pointer(&["prices", key]);
    match (price.free, price.same_as.is_some(), has_more) {
        (true, true, _) | (true, _, true) | (_, true, true) => {
            let problem = Diagnostic::error(codes::PRICE_CONFLICT, format!("the price of `{key}` says two things"))
                .help("write `free: true`, or `as: VENDOR/MODEL`, or rates");
            found.add(On::Value, at, problem);
            false
        }
        (false, false, _) if !has_rates => {
            let problem = Diagnostic::error(codes::PRICE_EMPTY, format!("the price of `{key}` has no rate"))
                .help("write rates, such as `input: $0.10/Mtok`; what costs nothing is `free: true`");
            found.add(On::Value, at, problem);
            false
        }
        (_, _, true) => {
            let is_zero = price.rates().iter().all(|(_, rate)| rate.pico() == 0);
            if is_zero {
                let problem = Diagnostic::error(codes::PRICE_EMPTY, format!("every rate of `{key}` is {}", Usd::ZERO))
                    .help("what costs nothing is `free: true`");
                found.add(On::Value, at, problem);
            }
            true
        }
        (_, _, false) => true,
    }
}

/// Checks the rates of long inputs.
fn steps(found: &mut Findings<'_>, key: &str, price: &Price) {
    let usual: BTreeSet<&str> = price.rates().into_iter().map(|(name, _)| name).collect();
    let mut seen = BTreeSet::new();
    for (above, rates) in &price.above {
        let at = pointer(&["prices", key, "above", above]);
        match tokens(above) {
            None => {
                let problem = Diagnostic::error(codes::PRICE_STEP, format!("`{above}` is no number of tokens"))
                    .help("write it as `200000` or `200k`");
                found.add(On::Key, at.clone(), problem);
            }
            Some(count) if !seen.insert(count) => {
                let problem = Diagnostic::error(codes::PRICE_STEP, format!("two steps above {count} tokens"));
                found.add(On::Key, at.clone(), problem);
            }
            Some(_) => {}
        }
        other_rates(found, &at, rates, &usual);
    }
    for (tier, rates) in [("batch", &price.batch), ("flex", &price.flex), ("priority", &price.priority)] {
        let Some(rates) = rates else { continue };
        other_rates(found, &pointer(&["prices", key, tier]), rates, &usual);
    }
}

/// Checks that what is different is something that has a usual rate.
fn other_rates(found: &mut Findings<'_>, at: &str, rates: &OtherRates, usual: &BTreeSet<&str>) {
    if rates.rates().is_empty() {
        let problem = Diagnostic::error(codes::PRICE_EMPTY, "no rate is different here").help("write the rates that are, or remove it");
        found.add(On::Value, at.to_owned(), problem);
    }
    for (name, _) in rates.rates().into_iter().filter(|(name, _)| !usual.contains(name)) {
        let problem =
            Diagnostic::error(codes::PRICE_STEP, format!("`{name}` has no usual rate")).help(format!("write `{name}` beside it, too"));
        found.add(On::Key, format!("{at}/{name}"), problem);
    }
}

fn same_as(found: &mut Findings<'_>, plan: &Plan, key: &str, same_as: &str) {
    let at = pointer(&["prices", key, "as"]);
    let (vendor, model) = same_as.split_once('/').unwrap_or((same_as, ""));
    let known = catalog::vendor(vendor).is_some() || catalog::preset(vendor).is_some_and(|preset| preset.prices.is_some());
    if !known {
        let vendors = catalog::catalogue().vendors.keys().map(String::as_str);
        let problem = Diagnostic::error(codes::PRICE_UNKNOWN_AS, format!("the catalogue has no vendor `{vendor}`"))
            .help(suggest(vendor, "vendors", vendors));
        found.add(On::Value, at, problem);
        return;
    }
    if model == "*" && !key.ends_with('*') {
        let own = key.split_once('/').map_or(key, |(_, model)| model);
        if overlay::same_as(same_as, own).is_none_or(|known| known.prices.is_none()) {
            unpriced(found, at, &format!("{vendor}/{own}"));
        }
        return;
    }
    if model == "*" {
        // Each model that is asked for is looked up by its own name; those that are not found are unpriced, and reported as such.
        let all = named(plan);
        let mut held =
            all.iter().filter(|target| overlay::find(&plan.prices, target.provider, target.model).is_some_and(|(it, _)| it == key));
        let missing = held.find(|target| overlay::same_as(same_as, target.model).is_none_or(|known| known.prices.is_none()));
        if let Some(target) = missing {
            unpriced(found, at, &format!("{vendor}/{}", target.model));
        }
        return;
    }
    if overlay::same_as(same_as, model).is_none_or(|known| known.prices.is_none()) {
        unpriced(found, at, same_as);
    }
}

fn unpriced(found: &mut Findings<'_>, at: String, model: &str) {
    let problem = Diagnostic::error(codes::PRICE_UNKNOWN_AS, format!("the catalogue has no price of `{model}`"))
        .help("`bifrostctl catalog list --provider VENDOR` lists those that it has");
    found.add(On::Value, at, problem);
}

/// Days before its end from which a model's use is reported.
const SOON_DAYS: u64 = 90;
const DAY_MS: u64 = 86_400_000;

/// Reports models that are gone, or will be soon.
pub(in crate::plan) fn retired(found: &mut Findings<'_>, plan: &Plan, now_unix_ms: u64) {
    for target in named(plan) {
        let Some(provider) = plan.providers.get(target.provider) else { continue };
        let Some(known) = catalog::known(provider.server(), target.model) else { continue };
        let Some(day) = known.entry.retires.as_deref() else { continue };
        let Some(end) = overlay::begins(day) else { continue };
        let name = format!("`{}/{}`", target.provider, target.model);
        let (code, said) = if end <= now_unix_ms {
            (codes::MODEL_RETIRED, format!("{} targets {name}, which may have been retired on {day}", target.who))
        } else if end <= now_unix_ms.saturating_add(SOON_DAYS * DAY_MS) {
            (codes::MODEL_RETIRES_SOON, format!("{} targets {name}, which is retired on {day}", target.who))
        } else {
            continue;
        };
        let problem = Diagnostic::warning(code, said).help("its provider's list of deprecations names what takes its place");
        found.add(On::Value, format!("{}/model", target.at), problem);
    }
}
