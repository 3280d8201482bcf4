//! What a model costs at one time, and what an answer of it comes to. Integers only: pico-USD, rounded up once to nano-USD.
//!
//! Not which price holds when, which is [`super::PriceList`]. Rule: no count is ever left out for want of a rate of its own where
//! what it is a kind of has one.

use super::meter::{Meter, Rates};
use crate::base::Usd;
use crate::wire::ir::{Tier, Usage};

/// Pico-USD in a nano-USD, times the milliseconds of an hour: amounts are summed in units so fine that a rate per hour stays exact.
const FINE: u128 = MS_PER_HOUR * 1_000;
const MS_PER_HOUR: u128 = 3_600_000;

/// Rates, and those that take their place where the whole input is long.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Sheet {
    /// The rates of an input that is not long.
    pub base: Rates,
    /// Ascending: the number of input tokens above which the rates hold for all tokens, and all of these rates.
    pub steps: Vec<(u64, Rates)>,
}

impl Sheet {
    /// Returns the rates for an input of so many tokens, cached ones included.
    pub fn at(&self, input_tokens: u64) -> &Rates {
        self.steps.iter().rev().find(|(above, _)| input_tokens > *above).map_or(&self.base, |(_, rates)| rates)
    }

    fn all(&self) -> impl Iterator<Item = &Rates> {
        std::iter::once(&self.base).chain(self.steps.iter().map(|(_, rates)| rates))
    }
}

/// All that a model costs at one time.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RateCard {
    /// For requests that are served as everybody's are.
    pub standard: Sheet,
    /// Where the model has rates of its own for [`Tier::Batch`].
    pub batch: Option<Sheet>,
    /// Where the model has rates of its own for [`Tier::Flex`].
    pub flex: Option<Sheet>,
    /// Where the model has rates of its own for [`Tier::Priority`].
    pub priority: Option<Sheet>,
    /// The least time that is paid for where sound is paid by time, in milliseconds.
    pub least_audio_ms: u64,
}

impl RateCard {
    /// Returns the cost of an answer, rounded up once to nano-USD.
    ///
    /// The whole input decides the step. A count without a rate of its own costs what it is a kind of: what was read from or written to a
    /// cache costs as input, sound and pictures as text, reasoning as output, an hour's cache as five minutes'. A token that is two kinds
    /// at once, such as cached sound, takes the rate for both, else the dearer of the two. A tier without rates costs as
    /// [`Tier::Standard`], see [`RateCard::knows`]. Counts that cannot be, such as more sound than there are tokens, are cut.
    pub fn cost(&self, usage: &Usage, tier: Tier) -> Usd {
        let rates = self.sheet(tier).at(usage.whole_input());
        let tokens = input(usage, rates).saturating_add(output(usage, rates)).saturating_add(others(usage, rates));
        let fine = tokens.saturating_mul(MS_PER_HOUR).saturating_add(self.audio(usage, rates));
        rounded_up(fine)
    }

    /// Returns the most that so many tokens can cost, however they are billed: as text, sound, pictures or reasoning, read from or written
    /// to a cache, with any input up to that length. The request itself is included. What is counted otherwise is not (searches, time,
    /// characters, pictures, pages), for tokens say nothing about it: see [`RateCard::counts_beyond_tokens`].
    pub fn ceiling(&self, input_tokens: u64, output_tokens: u64, tier: Tier) -> Usd {
        let sheet = self.sheet(tier);
        let reachable =
            std::iter::once(&sheet.base).chain(sheet.steps.iter().filter(|(above, _)| input_tokens > *above).map(|(_, rates)| rates));
        let most = reachable.map(|rates| {
            let input = u128::from(input_tokens).saturating_mul(rates.dearest(&INPUT));
            let output = u128::from(output_tokens).saturating_mul(rates.dearest(&OUTPUT));
            input.saturating_add(output).saturating_add(rates.first(&[Meter::Request]))
        });
        rounded_up(most.max().unwrap_or_default().saturating_mul(MS_PER_HOUR))
    }

    /// Returns whether all of it costs nothing, and is known to.
    pub fn is_free(&self) -> bool {
        let mut sheets = [Some(&self.standard), self.batch.as_ref(), self.flex.as_ref(), self.priority.as_ref()].into_iter().flatten();
        !self.standard.base.is_empty() && sheets.all(|sheet| sheet.all().all(|rates| rates.iter().all(|(_, rate)| rate.pico() == 0)))
    }

    /// Returns whether the model has rates of its own for a tier. Where it has none, [`RateCard::cost`] takes those of
    /// [`Tier::Standard`], which are too high for batches and flex, and too low for priority.
    pub fn knows(&self, tier: Tier) -> bool {
        match tier {
            Tier::Standard => true,
            Tier::Batch => self.batch.is_some(),
            Tier::Flex => self.flex.is_some(),
            Tier::Priority => self.priority.is_some(),
        }
    }

    /// Returns whether it says what an answer costs that used this: a card without any rate for the tokens, the time or the characters
    /// that were counted would call it free.
    pub fn covers(&self, usage: &Usage, tier: Tier) -> bool {
        if self.is_free() {
            return true;
        }
        let rates = self.sheet(tier).at(usage.whole_input());
        let has = |meters: &[Meter]| meters.iter().any(|meter| rates.get(*meter).is_some());
        let by_work = has(&[Meter::Audio, Meter::Character, Meter::Image, Meter::Page]);
        let input = usage.whole_input() == 0 || has(&INPUT) || by_work;
        // Models that make vectors or orders of documents have no rate for output, and none is counted.
        let output = usage.output == 0 || has(&OUTPUT) || by_work;
        input && output
    }

    /// Returns whether anything of it is counted otherwise than in tokens and requests: searches, time, characters, pictures, pages.
    pub fn counts_beyond_tokens(&self) -> bool {
        BEYOND.iter().any(|meter| self.standard.base.get(*meter).is_some_and(|rate| rate.pico() > 0))
    }

    /// Returns the rates of a tier, or those of [`Tier::Standard`] where it has none.
    pub fn sheet(&self, tier: Tier) -> &Sheet {
        let own = match tier {
            Tier::Standard => None,
            Tier::Batch => self.batch.as_ref(),
            Tier::Flex => self.flex.as_ref(),
            Tier::Priority => self.priority.as_ref(),
        };
        own.unwrap_or(&self.standard)
    }

    /// Returns this card with every rate of tokens at so many hundredths, rounded up to a pico-USD.
    #[must_use]
    pub fn scaled(&self, percent: u64) -> Self {
        let sheet = |sheet: &Sheet| Sheet {
            base: sheet.base.scaled(percent),
            steps: sheet.steps.iter().map(|(above, rates)| (*above, rates.scaled(percent))).collect(),
        };
        Self {
            standard: sheet(&self.standard),
            batch: self.batch.as_ref().map(sheet),
            flex: self.flex.as_ref().map(sheet),
            priority: self.priority.as_ref().map(sheet),
            least_audio_ms: self.least_audio_ms,
        }
    }

    /// Returns the cost of time, in [`FINE`] parts.
    fn audio(&self, usage: &Usage, rates: &Rates) -> u128 {
        let ms = u64::from(usage.other.audio_ms);
        let paid = if ms == 0 { 0 } else { ms.max(self.least_audio_ms) };
        u128::from(paid).saturating_mul(rates.first(&[Meter::Audio]))
    }
}

/// Every meter that a token of the input can be billed by.
const INPUT: [Meter; 9] = [
    Meter::Input,
    Meter::CacheRead,
    Meter::CacheWrite,
    Meter::CacheWrite1h,
    Meter::InputAudio,
    Meter::CacheReadAudio,
    Meter::InputImage,
    Meter::CacheReadImage,
    Meter::InputVideo,
];

/// Every meter that a token of the output can be billed by.
const OUTPUT: [Meter; 6] = [Meter::Output, Meter::OutputAudio, Meter::OutputImage, Meter::OutputVideo, Meter::Reasoning, Meter::Citation];

/// Every meter that counts neither tokens nor requests.
const BEYOND: [Meter; 7] =
    [Meter::WebSearch, Meter::FileSearch, Meter::Audio, Meter::Character, Meter::Image, Meter::Page, Meter::AnnotatedPage];

/// Takes what is left of a number of tokens, kind by kind, so that none is billed twice.
struct Left(u64);

impl Left {
    /// Takes at most `count`.
    fn take(&mut self, count: u64) -> u128 {
        let taken = count.min(self.0);
        self.0 -= taken;
        u128::from(taken)
    }
}

/// Returns the cost of the input's tokens, in pico-USD.
fn input(usage: &Usage, rates: &Rates) -> u128 {
    let other = &usage.other;
    let mut cached = Left(usage.cache_read);
    let cached_audio = cached.take(u64::from(other.cache_read_audio).min(usage.input_audio));
    let cached_image = cached.take(u64::from(other.cache_read_image).min(usage.input_image));
    let cached_text = u128::from(cached.0);
    // What of the sound and the pictures was not cached is part of what was not cached.
    let rest = |all: u64, cached: u128| all.saturating_sub(u64::try_from(cached).unwrap_or(u64::MAX));
    let mut fresh = Left(usage.input);
    let audio = fresh.take(rest(usage.input_audio, cached_audio));
    let image = fresh.take(rest(usage.input_image, cached_image));
    let video = fresh.take(u64::from(other.input_video));
    let text = u128::from(fresh.0);
    // Of two kinds at once: the rate for both, else the dearer of the two, else that of any input.
    let both = |own: Meter, kinds: [Meter; 2]| match rates.get(own) {
        Some(rate) => u128::from(rate.pico()),
        None if kinds.iter().any(|kind| rates.get(*kind).is_some()) => rates.dearest(&kinds),
        None => rates.first(&[Meter::Input]),
    };
    [
        (text, rates.first(&[Meter::Input])),
        (audio, rates.first(&[Meter::InputAudio, Meter::Input])),
        (image, rates.first(&[Meter::InputImage, Meter::Input])),
        (video, rates.first(&[Meter::InputVideo, Meter::Input])),
        (cached_text, rates.first(&[Meter::CacheRead, Meter::Input])),
        (cached_audio, both(Meter::CacheReadAudio, [Meter::CacheRead, Meter::InputAudio])),
        (cached_image, both(Meter::CacheReadImage, [Meter::CacheRead, Meter::InputImage])),
        (u128::from(usage.cache_write), rates.first(&[Meter::CacheWrite, Meter::Input])),
        (u128::from(usage.cache_write_1h), rates.first(&[Meter::CacheWrite1h, Meter::CacheWrite, Meter::Input])),
    ]
    .into_iter()
    .fold(0, add)
}

/// Returns the cost of the output's tokens, in pico-USD.
fn output(usage: &Usage, rates: &Rates) -> u128 {
    let other = &usage.other;
    let mut left = Left(usage.output);
    let mut kind = |count: u64, meter: Meter| (left.take(count), rates.first(&[meter, Meter::Output]));
    let kinds = [
        kind(usage.output_audio, Meter::OutputAudio),
        kind(u64::from(other.output_image), Meter::OutputImage),
        kind(u64::from(other.output_video), Meter::OutputVideo),
        kind(usage.reasoning, Meter::Reasoning),
        kind(u64::from(other.citation), Meter::Citation),
    ];
    kinds.into_iter().fold(u128::from(left.0).saturating_mul(rates.first(&[Meter::Output])), add)
}

/// Returns the cost of what is counted neither in tokens nor in time, in pico-USD.
fn others(usage: &Usage, rates: &Rates) -> u128 {
    let other = &usage.other;
    let mut pages = Left(u64::from(other.pages.max(other.annotated_pages)));
    let annotated = pages.take(u64::from(other.annotated_pages));
    [
        (1, rates.first(&[Meter::Request])),
        (u128::from(other.web_searches), rates.first(&[Meter::WebSearch])),
        (u128::from(other.file_searches), rates.first(&[Meter::FileSearch])),
        (u128::from(other.characters), rates.first(&[Meter::Character])),
        (u128::from(other.images), rates.first(&[Meter::Image])),
        (u128::from(pages.0), rates.first(&[Meter::Page])),
        (annotated, rates.first(&[Meter::AnnotatedPage, Meter::Page])),
    ]
    .into_iter()
    .fold(0, add)
}

fn add(sum: u128, (count, rate): (u128, u128)) -> u128 {
    sum.saturating_add(count.saturating_mul(rate))
}

/// Rounds [`FINE`] parts up to nano-USD; what is more than money can be becomes the most it can.
fn rounded_up(fine: u128) -> Usd {
    i64::try_from(fine.div_ceil(FINE)).map_or(Usd::MAX, Usd::from_nano)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::base::Rate;
    use crate::wire::ir::OtherCounts;

    fn rates(list: &[(Meter, u64)]) -> Rates {
        let mut rates = Rates::default();
        for (meter, pico) in list {
            rates.set(*meter, Rate::from_pico(*pico));
        }
        rates
    }

    fn card(list: &[(Meter, u64)]) -> RateCard {
        RateCard { standard: Sheet { base: rates(list), steps: Vec::new() }, ..RateCard::default() }
    }

    fn nano(card: &RateCard, usage: Usage) -> i64 {
        card.cost(&usage, Tier::Standard).nano()
    }

    #[test]
    fn a_cost_is_rounded_up_once_and_not_for_each_count() {
        let card = card(&[(Meter::Input, 400), (Meter::Output, 400)]);
        assert_eq!(nano(&card, Usage { input: 1, output: 1, ..Usage::default() }), 1);
        assert_eq!(nano(&card, Usage { input: 2, output: 1, ..Usage::default() }), 2);
        assert_eq!(nano(&card, Usage::default()), 0);
    }

    #[test]
    fn a_count_without_a_rate_of_its_own_costs_what_it_is_a_kind_of() {
        let plain = card(&[(Meter::Input, 1_000), (Meter::Output, 10_000)]);
        let other = OtherCounts { cache_read_audio: 1, input_video: 1, output_image: 1, ..OtherCounts::default() };
        let usage = Usage {
            input: 3,
            cache_read: 2,
            cache_write: 1,
            cache_write_1h: 1,
            output: 5,
            reasoning: 2,
            input_audio: 2,
            input_image: 1,
            output_audio: 1,
            other,
        };
        assert_eq!(nano(&plain, usage), 7 + 50);
        let special = card(&[
            (Meter::Input, 1_000),
            (Meter::Output, 10_000),
            (Meter::CacheRead, 100),
            (Meter::CacheWrite, 2_000),
            (Meter::InputAudio, 5_000),
            (Meter::Reasoning, 20_000),
        ]);
        // Cached sound has no rate for both, so it takes the dearer of the two: 5 and not 0.1.
        assert_eq!(nano(&special, usage), (5 + 1 + 1) + (5 + 1) + (2 + 2) + (20 + 20 + 10 + 10 + 10));
    }

    #[test]
    fn the_whole_input_decides_the_step() {
        let mut long = card(&[(Meter::Input, 1_000), (Meter::CacheRead, 100)]);
        long.standard.steps = vec![(100, rates(&[(Meter::Input, 2_000), (Meter::CacheRead, 200)])), (200, rates(&[(Meter::Input, 3_000)]))];
        assert_eq!(nano(&long, Usage { input: 100, ..Usage::default() }), 100);
        assert_eq!(nano(&long, Usage { input: 1, cache_read: 100, ..Usage::default() }), 2 + 20);
        assert_eq!(nano(&long, Usage { input: 201, ..Usage::default() }), 603);
    }

    #[test]
    fn a_tier_without_rates_costs_as_the_standard_one_and_says_so() {
        let mut card = card(&[(Meter::Input, 1_000)]);
        card.batch = Some(Sheet { base: rates(&[(Meter::Input, 500)]), steps: Vec::new() });
        let usage = Usage { input: 10, ..Usage::default() };
        let costs = Tier::ALL.map(|tier| (card.cost(&usage, tier).nano(), card.knows(tier)));
        assert_eq!(costs, [(10, true), (5, true), (10, false), (10, false)]);
    }

    #[test]
    fn what_is_not_counted_in_tokens_is_exact_too() {
        let card = RateCard {
            least_audio_ms: 10_000,
            ..card(&[
                (Meter::Audio, 111_000_000_000),
                (Meter::WebSearch, 10_000_000_000),
                (Meter::Request, 12_000_000_000),
                (Meter::Page, 1_000_000_000),
                (Meter::AnnotatedPage, 3_000_000_000),
            ])
        };
        let usage = |other: OtherCounts| Usage { other, ..Usage::default() };
        assert_eq!(nano(&card, usage(OtherCounts { audio_ms: 3_600_000, ..OtherCounts::default() })), 111_000_000 + 12_000_000);
        // 0.111 / 3600 dollars a second for ten seconds is 308,333 nano-USD and a third.
        assert_eq!(nano(&card, usage(OtherCounts { audio_ms: 1, ..OtherCounts::default() })), 308_334 + 12_000_000);
        assert_eq!(nano(&card, usage(OtherCounts { web_searches: 3, ..OtherCounts::default() })), 42_000_000);
        assert_eq!(nano(&card, usage(OtherCounts { pages: 5, annotated_pages: 2, ..OtherCounts::default() })), 21_000_000);
    }

    #[test]
    fn only_a_card_that_says_so_is_free() {
        assert!(!RateCard::default().is_free());
        assert!(card(&[(Meter::Request, 0)]).is_free());
        assert!(!card(&[(Meter::Input, 0), (Meter::Output, 1)]).is_free());
        let usage = Usage { input: 1, output: 1, ..Usage::default() };
        let covers = |list: &[(Meter, u64)]| card(list).covers(&usage, Tier::Standard);
        assert!(covers(&[(Meter::Request, 0)]) && covers(&[(Meter::Input, 1), (Meter::Output, 1)]) && covers(&[(Meter::Audio, 1)]));
        assert!(!covers(&[(Meter::Input, 1)]) && !covers(&[(Meter::Request, 1)]) && !RateCard::default().covers(&usage, Tier::Batch));
    }

    fn any_rates() -> impl Strategy<Value = Rates> {
        prop::collection::vec(prop::option::of(0_u64..200_000_000), Meter::ALL.len()).prop_map(|list| {
            let mut rates = Rates::default();
            for (meter, pico) in Meter::ALL.iter().zip(list) {
                pico.into_iter().for_each(|pico| rates.set(*meter, Rate::from_pico(pico)));
            }
            rates
        })
    }

    proptest! {
        #[test]
        fn no_usage_of_so_many_tokens_costs_more_than_the_ceiling(
            base in any_rates(), step in any_rates(), above in 0_u64..2_000, counts in prop::collection::vec(0_u64..1_000, 13),
        ) {
            let [input, cache_read, cache_write, cache_write_1h, output, reasoning, input_audio, input_image, output_audio,
                cache_read_audio, cache_read_image, input_video, output_image] = counts.try_into().unwrap();
            let [cache_read_audio, cache_read_image, input_video, output_image] =
                [cache_read_audio, cache_read_image, input_video, output_image].map(|count| u32::try_from(count).unwrap());
            let other = OtherCounts { cache_read_audio, cache_read_image, input_video, output_image, citation: output_image, ..OtherCounts::default() };
            let usage = Usage { input, cache_read, cache_write, cache_write_1h, output, reasoning, input_audio, input_image, output_audio, other };
            let card = RateCard { standard: Sheet { base, steps: vec![(above, step)] }, ..RateCard::default() };
            let cost = card.cost(&usage, Tier::Standard);
            prop_assert!(cost <= card.ceiling(usage.whole_input(), output, Tier::Standard));
            prop_assert!(cost <= card.ceiling(usage.whole_input() + 500, output + 7, Tier::Flex));
        }

        #[test]
        fn absurd_counts_cost_as_much_as_money_can_be(input in 1_u64 << 60..u64::MAX, pico in 1_u64 << 40..u64::MAX) {
            let card = card(&[(Meter::Input, pico)]);
            prop_assert_eq!(nano(&card, Usage { input, ..Usage::default() }), i64::MAX);
            prop_assert_eq!(card.ceiling(input, input, Tier::Standard), Usd::MAX);
        }
    }
}
