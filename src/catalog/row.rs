//! One published price, as a source or a spec states it, and how several become a list over time.
//!
//! Not what is charged: that is [`PriceList`], into which rows are compiled. Rule: the newest row that has begun holds, whatever
//! its place; a row of certain hours holds on top of the rows before it.

use std::collections::{BTreeMap, BTreeSet};

use super::card::{RateCard, Sheet};
use super::meter::{Meter, Rates};
use super::price_list::{Hours, Period, PriceList};
use crate::base::Rate;
use crate::wire::ir::Tier;

/// A rate that may change with the length of the whole input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tiered {
    /// The rate of an input that is not long.
    pub base: Rate,
    /// Ascending: the number of input tokens above which the rate holds for all tokens.
    pub above: Vec<(u64, Rate)>,
}

impl Tiered {
    /// Makes a rate that never changes.
    pub const fn flat(rate: Rate) -> Self {
        Self { base: rate, above: Vec::new() }
    }

    fn at(&self, above: u64) -> Rate {
        self.above.iter().rev().find(|(step, _)| *step <= above).map_or(self.base, |(_, rate)| *rate)
    }
}

/// A published price.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Row {
    /// Unix millisecond from which it holds; none where it always has.
    pub from_ms: Option<u64>,
    /// Seconds of the day (UTC) between which it holds; none for all day.
    pub hours: Option<(u32, u32)>,
    /// For whom it holds. Rows of other tiers than the standard one say only what differs from it.
    pub tier: Tier,
    /// The rates.
    pub rates: BTreeMap<Meter, Tiered>,
}

impl Row {
    fn has_begun(&self, unix_ms: u64) -> bool {
        self.from_ms.unwrap_or_default() <= unix_ms
    }
}

/// Compiles rows into a list; `least_audio_ms` is that of [`RateCard`].
pub fn compile(rows: &[Row], least_audio_ms: u64) -> PriceList {
    let begins: BTreeSet<u64> = rows.iter().map(|row| row.from_ms.unwrap_or_default()).collect();
    let periods = begins.into_iter().filter_map(|from_ms| period(rows, from_ms, least_audio_ms));
    PriceList::new(periods.collect())
}

fn period(rows: &[Row], from_ms: u64, least_audio_ms: u64) -> Option<Period> {
    let begun = || rows.iter().enumerate().filter(|(_, row)| row.has_begun(from_ms));
    let standard = begun().filter(|(_, row)| row.tier == Tier::Standard);
    let (place, day) = standard.filter(|(_, row)| row.hours.is_none()).max_by_key(|(place, row)| (row.from_ms, *place))?;
    let card = |row: &Row| RateCard {
        standard: sheet(&row.rates),
        batch: variant(rows, row, from_ms, Tier::Batch),
        flex: variant(rows, row, from_ms, Tier::Flex),
        priority: variant(rows, row, from_ms, Tier::Priority),
        least_audio_ms,
    };
    let hours = begun().filter(|(at, row)| row.tier == Tier::Standard && *at > place);
    let hours = hours.filter_map(|(_, row)| row.hours.map(|(from_s, until_s)| Hours { from_s, until_s, card: card(row) }));
    Some(Period { from_ms, card: card(day), hours: hours.collect() })
}

/// Returns the rates of a tier: those of `standard`, and in their place what the tier's rows say, the newest first.
fn variant(rows: &[Row], standard: &Row, from_ms: u64, tier: Tier) -> Option<Sheet> {
    let mut own: Vec<&Row> = rows.iter().filter(|row| row.tier == tier && row.has_begun(from_ms)).collect();
    if own.is_empty() {
        return None;
    }
    own.sort_by_key(|row| std::cmp::Reverse(row.from_ms));
    let mut rates = BTreeMap::new();
    for (meter, rate) in own.iter().flat_map(|row| &row.rates) {
        rates.entry(*meter).or_insert_with(|| rate.clone());
    }
    for (meter, rate) in &standard.rates {
        rates.entry(*meter).or_insert_with(|| rate.clone());
    }
    Some(sheet(&rates))
}

fn sheet(rates: &BTreeMap<Meter, Tiered>) -> Sheet {
    let above: BTreeSet<u64> = rates.values().flat_map(|rate| rate.above.iter().map(|(above, _)| *above)).collect();
    let at = |pick: &dyn Fn(&Tiered) -> Rate| {
        let mut all = Rates::default();
        rates.iter().for_each(|(meter, rate)| all.set(*meter, pick(rate)));
        all
    };
    Sheet { base: at(&|rate| rate.base), steps: above.into_iter().map(|above| (above, at(&|rate| rate.at(above)))).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Usd;
    use crate::wire::ir::Usage;

    const DAY: u64 = 86_400_000;

    fn row(from_ms: Option<u64>, tier: Tier, rates: &[(Meter, u64)]) -> Row {
        let rates = rates.iter().map(|(meter, pico)| (*meter, Tiered::flat(Rate::from_pico(*pico)))).collect();
        Row { from_ms, tier, rates, hours: None }
    }

    fn cost(list: &PriceList, unix_ms: u64, usage: Usage, tier: Tier) -> Option<Usd> {
        list.at(unix_ms).map(|card| card.cost(&usage, tier))
    }

    #[test]
    fn rows_of_a_tier_take_the_place_of_what_they_name_and_from_their_day_on() {
        let rows = [
            row(Some(5 * DAY), Tier::Batch, &[(Meter::Input, 500)]),
            row(Some(9 * DAY), Tier::Standard, &[(Meter::Input, 4_000), (Meter::Output, 8_000)]),
            row(None, Tier::Standard, &[(Meter::Input, 1_000), (Meter::Output, 2_000)]),
        ];
        let list = compile(&rows, 0);
        let usage = Usage { input: 1_000, output: 1_000, ..Usage::default() };
        let nano = |day: u64, tier| cost(&list, day * DAY, usage, tier).map(Usd::nano);
        assert_eq!([nano(0, Tier::Standard), nano(9, Tier::Standard)], [Some(3_000), Some(12_000)]);
        assert_eq!([nano(4, Tier::Batch), nano(5, Tier::Batch), nano(9, Tier::Batch)], [Some(3_000), Some(2_500), Some(8_500)]);
    }

    #[test]
    fn steps_of_different_rates_are_told_apart() {
        let mut rates = BTreeMap::from([(Meter::Output, Tiered::flat(Rate::from_pico(1_000)))]);
        let above = vec![(100, Rate::from_pico(20)), (300, Rate::from_pico(30))];
        rates.insert(Meter::Input, Tiered { base: Rate::from_pico(10), above });
        rates.insert(Meter::CacheRead, Tiered { base: Rate::from_pico(1), above: vec![(200, Rate::from_pico(2))] });
        let sheet = sheet(&rates);
        let seen = [100, 101, 200, 201, 301].map(|input| {
            let rates = sheet.at(input);
            [Meter::Input, Meter::CacheRead, Meter::Output].map(|meter| rates.get(meter).unwrap().pico())
        });
        assert_eq!(seen, [[10, 1, 1_000], [20, 1, 1_000], [20, 1, 1_000], [20, 2, 1_000], [30, 2, 1_000]]);
    }

    #[test]
    fn a_price_that_begins_later_holds_for_nobody_before() {
        let list = compile(&[row(Some(DAY), Tier::Standard, &[(Meter::Input, 1)])], 0);
        assert!(list.at(DAY - 1).is_none() && list.at(DAY).is_some());
        assert!(compile(&[row(None, Tier::Batch, &[(Meter::Input, 1)])], 0).at(0).is_none());
    }
}
