//! What the catalogue's commands share: prices as text and JSON, and the models that a spec asks for.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use crate::catalog::{Entry, Meter, PriceList, RateCard, Rates, Sheet, Vendor, vendor_of};
use crate::cli::context::{Context, DEFAULT_FILE};
use crate::cli::exit::CommandError;
use crate::cli::input::{Checked, NoEnvironment, Source, refused};
use crate::plan::{FallbackRef, Plan, RuleAction};
use crate::wire::ir::Tier;

/// Returns what a model costs at a time.
pub(super) fn card(vendor: &Vendor, entry: &Entry, unix_ms: u64) -> Option<RateCard> {
    vendor.prices(entry)?.at(unix_ms).cloned()
}

/// Writes rates as the spec does, by their names.
pub(super) fn rates_json(rates: &Rates) -> Value {
    Value::Object(rates.iter().map(|(meter, rate)| (meter.name().to_owned(), json!(meter.written(rate)))).collect())
}

/// Writes a price as an entry of `prices` has it. None where an entry cannot say it: a least time.
pub(super) fn entry_of(card: &RateCard) -> Option<Value> {
    if card.is_free() {
        return Some(json!({"free": true}));
    }
    if card.least_audio_ms > 0 {
        return None;
    }
    let mut entry = members(&card.standard.base, None);
    let above: Map<String, Value> = card
        .standard
        .steps
        .iter()
        .map(|(above, rates)| (above.to_string(), Value::Object(members(rates, Some(&card.standard.base)))))
        .filter(|(_, rates)| rates.as_object().is_some_and(|rates| !rates.is_empty()))
        .collect();
    if !above.is_empty() {
        entry.insert("above".to_owned(), Value::Object(above));
    }
    for (tier, sheet) in [(Tier::Batch, &card.batch), (Tier::Flex, &card.flex), (Tier::Priority, &card.priority)] {
        let Some(sheet) = sheet else { continue };
        let different = members(&sheet.base, Some(&card.standard.base));
        if !different.is_empty() {
            entry.insert(tier.as_str().to_owned(), Value::Object(different));
        }
    }
    Some(Value::Object(entry))
}

/// Writes the rates that are not those of `usual`.
fn members(rates: &Rates, usual: Option<&Rates>) -> Map<String, Value> {
    let is_own = |meter: Meter| usual.is_none_or(|usual| usual.get(meter) != rates.get(meter) && usual.get(meter).is_some());
    rates.iter().filter(|(meter, _)| is_own(*meter)).map(|(meter, rate)| (meter.name().to_owned(), json!(meter.written(rate)))).collect()
}

/// Writes a price as lines for people: one for each rate, then what is different in a step or a tier.
pub(super) fn lines(card: &RateCard) -> Vec<Vec<String>> {
    let mut rows = Vec::new();
    if card.is_free() {
        rows.push(vec!["price".to_owned(), "free".to_owned()]);
        return rows;
    }
    sheet_lines(&card.standard, "", None, &mut rows);
    for (tier, sheet) in [(Tier::Batch, &card.batch), (Tier::Flex, &card.flex), (Tier::Priority, &card.priority)] {
        let Some(sheet) = sheet else { continue };
        sheet_lines(sheet, tier.as_str(), Some(&card.standard), &mut rows);
    }
    rows
}

fn sheet_lines(sheet: &Sheet, tier: &str, usual: Option<&Sheet>, rows: &mut Vec<Vec<String>>) {
    let tag = if tier.is_empty() { String::new() } else { format!(" ({tier})") };
    for (meter, rate) in sheet.base.iter().filter(|(meter, rate)| usual.is_none_or(|usual| usual.base.get(*meter) != Some(*rate))) {
        rows.push(vec![format!("{}{tag}", meter.title()), meter.written(rate)]);
    }
    for (above, rates) in sheet.steps.iter().filter(|_| usual.is_none()) {
        for (meter, rate) in rates.iter().filter(|(meter, rate)| sheet.base.get(*meter) != Some(*rate)) {
            rows.push(vec![meter.title().to_owned(), format!("{} above {above} input tokens", meter.written(rate))]);
        }
    }
}

/// Reads the spec, where one is named or lies here.
pub(super) fn spec(context: &mut Context<'_>) -> Result<Option<(String, Checked)>, CommandError> {
    let is_named = !context.global.file.is_empty() || context.global.env.is_some();
    if !is_named && !std::path::Path::new(DEFAULT_FILE).exists() {
        return Ok(None);
    }
    let source = Source::open(context)?;
    let checked = source.check(&NoEnvironment, false).map_err(|rejected| refused(&source.name(), &rejected, context))?;
    Ok(Some((source.name(), checked)))
}

/// Lists the upstream models that a spec names, as provider and model.
pub(super) fn named(plan: &Plan) -> BTreeSet<(String, String)> {
    let mut named = BTreeSet::new();
    for model in plan.models.values() {
        named.extend(model.targets.iter().map(|target| (target.provider.clone(), target.model.clone())));
        for link in &model.fallbacks {
            if let FallbackRef::Target { provider, model } = link {
                named.insert((provider.clone(), model.clone()));
            }
        }
    }
    for rule in &plan.rules {
        if let RuleAction::Targets(targets) = &rule.action {
            named.extend(targets.iter().map(|target| (target.provider.clone(), target.model.clone())));
        }
    }
    for pattern in plan.virtual_keys.values().flat_map(|key| &key.models).filter(|pattern| !pattern.contains(['*', '?'])) {
        if let Some((provider, model)) = pattern.split_once('/') {
            named.insert((provider.to_owned(), model.to_owned()));
        }
    }
    named
}

/// Returns the vendor that serves each provider of a spec, where it is known.
pub(super) fn vendors(plan: &Plan) -> BTreeMap<String, &'static str> {
    plan.providers.iter().filter_map(|(name, provider)| Some((name.clone(), vendor_of(provider.server())?))).collect()
}

/// Returns the change of a rate in words: `$2.50/Mtok → $2/Mtok`.
pub(super) fn changes(before: Option<&RateCard>, after: Option<&RateCard>) -> Vec<(Meter, String)> {
    let rate = |card: Option<&RateCard>, meter: Meter| card.and_then(|card| card.standard.base.get(meter));
    let shown = |meter: Meter, rate: Option<crate::base::Rate>| rate.map_or_else(|| "none".to_owned(), |rate| meter.written(rate));
    let differs = |meter: &&Meter| rate(before, **meter) != rate(after, **meter);
    let line = |meter: &Meter| (*meter, format!("{} → {}", shown(*meter, rate(before, *meter)), shown(*meter, rate(after, *meter))));
    Meter::ALL.iter().filter(differs).map(line).collect()
}

/// Returns what a list says at a time.
pub(super) fn at(prices: Option<&PriceList>, unix_ms: u64) -> Option<&RateCard> {
    prices.and_then(|prices| prices.at(unix_ms))
}
