//! Which price of a model holds when.
//!
//! Rule: the date decides. The newest price that has begun holds; within its day, an hour's own price goes before it.

use super::card::RateCard;

/// The prices of a model over time.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PriceList {
    /// Ascending by `from_ms`.
    periods: Vec<Period>,
}

/// The price from one day on, until the next.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Period {
    /// Unix millisecond from which it holds; 0 where it always has.
    pub from_ms: u64,
    /// The price.
    pub card: RateCard,
    /// Prices of certain hours of the day (UTC), which go before it; of several, the last.
    pub hours: Vec<Hours>,
}

/// The price of certain hours of the day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hours {
    /// Second of the day (UTC) from which it holds.
    pub from_s: u32,
    /// Second of the day from which it no longer holds; past midnight where it is before `from_s`.
    pub until_s: u32,
    /// The price.
    pub card: RateCard,
}

const DAY_MS: u64 = 86_400_000;

impl PriceList {
    /// Makes a list of periods in any order; of two that begin at once, the later one in the list holds.
    pub fn new(mut periods: Vec<Period>) -> Self {
        periods.sort_by_key(|period| period.from_ms);
        Self { periods }
    }

    /// Makes a list of one price that holds always.
    pub fn always(card: RateCard) -> Self {
        Self::new(vec![Period { from_ms: 0, card, hours: Vec::new() }])
    }

    /// Returns what a request costs that was admitted at this Unix millisecond; none where no price had begun yet.
    pub fn at(&self, unix_ms: u64) -> Option<&RateCard> {
        let period = self.period(unix_ms)?;
        let second = u32::try_from(unix_ms % DAY_MS / 1_000).unwrap_or_default();
        Some(period.hours.iter().rev().find(|hours| hours.holds(second)).map_or(&period.card, |hours| &hours.card))
    }

    /// Returns the period that a Unix millisecond lies in.
    pub fn period(&self, unix_ms: u64) -> Option<&Period> {
        self.periods.iter().rev().find(|period| period.from_ms <= unix_ms)
    }

    /// Returns all periods, the oldest first.
    pub fn periods(&self) -> &[Period] {
        &self.periods
    }

    /// Returns this list without what held before a Unix millisecond, so that it begins there.
    #[must_use]
    pub fn beginning(&self, from_ms: u64) -> Self {
        let first = self.period(from_ms).map(|period| Period { from_ms, ..period.clone() });
        let later = self.periods.iter().filter(|period| period.from_ms > from_ms).cloned();
        Self { periods: first.into_iter().chain(later).collect() }
    }

    /// Returns this list with every rate of tokens at so many hundredths, rounded up to a pico-USD.
    #[must_use]
    pub fn scaled(&self, percent: u64) -> Self {
        let period = |period: &Period| Period {
            from_ms: period.from_ms,
            card: period.card.scaled(percent),
            hours: period.hours.iter().map(|hours| Hours { card: hours.card.scaled(percent), ..hours.clone() }).collect(),
        };
        Self { periods: self.periods.iter().map(period).collect() }
    }

    /// Returns this list with another's periods laid over it: from where the first of them begins, only they hold.
    #[must_use]
    pub fn overlaid(&self, over: &Self) -> Self {
        let from = over.periods.first().map_or(u64::MAX, |period| period.from_ms);
        let kept = self.periods.iter().filter(|period| period.from_ms < from);
        Self::new(kept.chain(&over.periods).cloned().collect())
    }
}

impl Hours {
    fn holds(&self, second: u32) -> bool {
        if self.until_s < self.from_s {
            return second >= self.from_s || second < self.until_s;
        }
        (self.from_s..self.until_s).contains(&second)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Rate;
    use crate::catalog::Meter;

    fn card(pico: u64) -> RateCard {
        let mut card = RateCard::default();
        card.standard.base.set(Meter::Input, Rate::from_pico(pico));
        card
    }

    fn period(from_ms: u64, pico: u64) -> Period {
        Period { from_ms, card: card(pico), hours: Vec::new() }
    }

    #[test]
    fn the_date_decides_and_not_the_order() {
        let list = PriceList::new(vec![period(5 * DAY_MS, 3), period(2 * DAY_MS, 1), period(4 * DAY_MS, 2)]);
        let at = |ms: u64| list.at(ms).map(|card| card.standard.base.get(Meter::Input).unwrap().pico());
        assert_eq!([at(0), at(2 * DAY_MS - 1)], [None, None]);
        assert_eq!([at(2 * DAY_MS), at(4 * DAY_MS - 1), at(4 * DAY_MS), at(u64::MAX)], [Some(1), Some(1), Some(2), Some(3)]);
    }

    #[test]
    fn hours_go_before_the_day_also_past_midnight() {
        let mut always = period(0, 1);
        always.hours =
            vec![Hours { from_s: 3_600, until_s: 7_200, card: card(2) }, Hours { from_s: 82_800, until_s: 1_800, card: card(3) }];
        let list = PriceList::new(vec![always]);
        let at = |second: u64| list.at(9 * DAY_MS + second * 1_000).unwrap().standard.base.get(Meter::Input).unwrap().pico();
        assert_eq!([at(3_599), at(3_600), at(7_199), at(7_200)], [1, 2, 2, 1]);
        assert_eq!([at(82_799), at(82_800), at(86_399), at(0), at(1_799), at(1_800)], [1, 3, 3, 3, 3, 1]);
    }

    #[test]
    fn an_overlay_holds_alone_from_its_first_day_on() {
        let below = PriceList::new(vec![period(0, 1), period(6 * DAY_MS, 2)]);
        let over = PriceList::new(vec![period(4 * DAY_MS, 9)]);
        let both = below.overlaid(&over);
        let at = |ms: u64| both.at(ms).map(|card| card.standard.base.get(Meter::Input).unwrap().pico());
        assert_eq!([at(0), at(4 * DAY_MS), at(7 * DAY_MS)], [Some(1), Some(9), Some(9)]);
        assert_eq!(below.overlaid(&PriceList::default()), below);
    }
}
