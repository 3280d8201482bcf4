//! Prices of the spec, laid over the catalogue's.
//!
//! Rule: of several entries that match a model, the one whose key says most holds, and it alone.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::entry::Capacity;
use super::known::{self, Known, Server};
use super::meter::Meter;
use super::price_list::PriceList;
use super::row::{Row, Tiered, compile};
use crate::base::Rate;
use crate::spec::{self, OtherRates, tokens};
use crate::wire::ir::Tier;

/// Returns whether a key of `prices` is one of `provider/model`. A star at its end stands for any rest.
pub fn matches(key: &str, provider: &str, model: &str) -> bool {
    let Some((of, pattern)) = key.split_once('/') else { return false };
    of == provider && pattern.strip_suffix('*').map_or(pattern == model, |beginning| model.starts_with(beginning))
}

/// Returns the entry that holds for a model: the one of exactly its name, else the one with the longest beginning of it.
pub fn find<'p>(prices: &'p BTreeMap<String, spec::Price>, provider: &str, model: &str) -> Option<(&'p str, &'p spec::Price)> {
    let all = prices.iter().filter(|(key, _)| matches(key, provider, model));
    all.max_by_key(|(key, _)| (!key.ends_with('*'), key.len())).map(|(key, price)| (key.as_str(), price))
}

/// Returns the catalogue's model that `as` means, for a model of the provider's. The vendor is the catalogue's or a preset's.
pub fn same_as(text: &str, model: &str) -> Option<Known> {
    let (vendor, named) = text.split_once('/')?;
    let vendor = match known::vendor(vendor) {
        Some((name, _)) => name,
        None => super::preset(vendor)?.prices.as_deref()?,
    };
    known::model(vendor, if named == "*" { model } else { named })
}

/// Returns what a model costs by an entry of the spec, over what the catalogue knows of it. None where nothing of it can be said.
pub fn price(entry: &spec::Price, model: &str, below: Option<&PriceList>) -> Option<Arc<PriceList>> {
    let from_ms = entry.from.as_deref().and_then(begins);
    let own = match (&entry.same_as, entry.free) {
        (Some(same_as), _) => (*self::same_as(same_as, model)?.prices?).clone(),
        (None, true) => PriceList::always(known::free()),
        (None, false) => compile(&rows(entry)?, 0),
    };
    let own = own.beginning(from_ms.unwrap_or_default());
    Some(Arc::new(below.map_or_else(|| own.clone(), |below| below.overlaid(&own))))
}

/// Returns what a model costs where a provider serves it, and its capacity: by the spec where that says so, else by the catalogue.
pub fn terms_of(
    prices: &BTreeMap<String, spec::Price>,
    (provider, server): (&str, Server<'_>),
    model: &str,
) -> (Option<Arc<PriceList>>, Capacity) {
    let (below, capacity) = known::terms_of(server, model);
    let Some((_, entry)) = find(prices, provider, model) else { return (below, capacity) };
    let capacity = match entry.same_as.as_deref().and_then(|same_as| self::same_as(same_as, model)) {
        Some(known) if capacity == Capacity::default() => known.entry.capacity,
        Some(_) | None => capacity,
    };
    (price(entry, model, below.as_deref()), capacity)
}

/// Returns the Unix millisecond of a day or a time of the spec.
pub fn begins(text: &str) -> Option<u64> {
    let day = super::text::day_ms(text);
    day.or_else(|| u64::try_from(text.parse::<jiff::Timestamp>().ok()?.as_millisecond()).ok())
}

/// Returns an entry's rates as published prices are; none where a step is no number of tokens.
pub fn rows(entry: &spec::Price) -> Option<Vec<Row>> {
    let mut rates: BTreeMap<Meter, Tiered> = by_meter(entry.rates());
    let mut steps = entry.above.iter().map(|(above, rates)| Some((tokens(above)?, rates))).collect::<Option<Vec<_>>>()?;
    steps.sort_by_key(|(above, _)| *above);
    for (above, step) in steps {
        for (meter, rate) in by_meter(step.rates()) {
            rates.entry(meter).or_insert_with(|| Tiered::flat(Rate::ZERO)).above.push((above, rate.base));
        }
    }
    let tiers = [(Tier::Batch, &entry.batch), (Tier::Flex, &entry.flex), (Tier::Priority, &entry.priority)];
    let other = |(tier, rates): (Tier, &Option<OtherRates>)| {
        rates.as_ref().map(|rates| Row { tier, rates: by_meter(rates.rates()), ..Row::default() })
    };
    let standard = Row { rates, ..Row::default() };
    Some(std::iter::once(standard).chain(tiers.into_iter().filter_map(other)).collect())
}

fn by_meter(rates: Vec<(&'static str, Rate)>) -> BTreeMap<Meter, Tiered> {
    rates.into_iter().filter_map(|(name, rate)| Some((Meter::by_name(name)?, Tiered::flat(rate)))).collect()
}
