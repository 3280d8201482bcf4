//! What an attempt may cost before it is sent: for the data path that reserves it and for `explain` that shows it. Pure.
//!
//! Rule: what nothing bounds has no most; nothing is assumed of it.

use super::entry::Target;
use crate::base::Usd;
use crate::catalog::{Capacity, RateCard};
use crate::limit::budget::{Budget, Need, Payer};
use crate::plan::Unpriced;
use crate::wire::bound::{self, Bound};
use crate::wire::ir::{Tier, Usage};
use crate::wire::{Format, estimate, scan};

/// Output tokens that a budget which goes step by step reserves at a time.
pub const STEP: u64 = 1_024;

/// What the body that is sent says of its cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asked {
    /// The most that it can use.
    pub bound: Bound,
    /// Our own count of the input.
    pub tokens: u64,
    /// The tier that is asked for.
    pub tier: Tier,
    /// The tier is the provider's to choose.
    pub is_auto: bool,
    /// What the request says itself of what it uses.
    pub known: Usage,
    /// Something is asked for that no count of tokens bounds: searches, sound, pictures.
    pub is_unbounded: bool,
}

/// What kind of answer is asked for, as far as its cost depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Billed {
    /// An answer of a model, to a body in a format.
    Answer(Format),
    /// Something that costs by its input alone: vectors, orders of documents.
    Input,
    /// Anything else: sound, pictures, moderation.
    Other,
}

impl Asked {
    /// Reads a JSON body in the form in which it is sent.
    pub fn read(body: &[u8], billed: Billed, known: Usage) -> Self {
        // Whatever is looked for by name, a name that is masked by escapes is read as the provider reads it.
        let body = &*bound::unmasked(body);
        let names_tier = memchr::memmem::find(body, b"service_tier").is_some();
        let word = names_tier.then(|| scan::member(body, "service_tier").ok().flatten().and_then(scan::unquote)).flatten();
        let tier = word.as_deref().and_then(Tier::read).unwrap_or_default();
        let bound = match billed {
            Billed::Answer(format) => bound::of(format, body),
            Billed::Input => bound::input(body),
            Billed::Other => Self::NOTHING,
        };
        let is_unbounded = bound.searches || billed == Billed::Other;
        let tokens = estimate::delta(body.len());
        Self { bound, tokens, tier, is_auto: word.is_some_and(|word| word == "auto"), known, is_unbounded }
    }

    /// Makes what nobody needs to know more of than our count of its input, and what it says itself.
    pub const fn counted(tokens: u64, known: Usage) -> Self {
        Self { bound: Self::NOTHING, tokens, tier: Tier::Standard, is_auto: false, known, is_unbounded: false }
    }

    const NOTHING: Bound = Bound { input: Some(0), output: None, choices: 1, searches: false };

    /// Returns the tiers that may serve.
    fn tiers(&self) -> Vec<Tier> {
        match (self.is_auto, self.tier) {
            (true, _) => vec![Tier::Standard, Tier::Priority],
            (false, Tier::Standard) => vec![Tier::Standard],
            // A provider without room for the tier may serve as usual.
            (false, tier) => vec![Tier::Standard, tier],
        }
    }

    /// Returns what it may cost at a model's rates.
    pub fn need(&self, card: &RateCard, capacity: Capacity, is_stream: bool) -> Need {
        if card.is_free() {
            return Need::FREE;
        }
        let Bound { input, output, choices, searches: _ } = self.bound;
        let output = match (output, capacity.output) {
            (Some(asked), Some(ceiling)) => Some(asked.min(ceiling)),
            (asked, ceiling) => asked.or(ceiling),
        };
        let window = || capacity.input;
        let tiers = self.tiers();
        let costs = |input: u64, output: u64| tiers.iter().map(|tier| card.ceiling(input, output, *tier)).max().unwrap_or(Usd::MAX);
        let most = input
            .or_else(window)
            .zip(output)
            .filter(|_| !self.is_unbounded && tiers.iter().all(|tier| *tier != Tier::Priority || card.knows(*tier)));
        let most = most.map(|(input, output)| costs(input, output.saturating_mul(choices)));
        // Pictures and characters that are paid by the piece are known before.
        let by_piece = || Some(card.cost(&self.known, self.tier)).filter(|cost| *cost > Usd::ZERO);
        let most = most.or_else(by_piece);
        let step = match (is_stream, most) {
            // What is not streamed cannot be stopped.
            (false, Some(most)) => most,
            (_, _) => costs(self.tokens, output.map_or(STEP, |output| output.min(STEP)).saturating_mul(choices)),
        };
        Need { most, step }
    }
}

/// Says what an attempt may cost those who pay for it.
///
/// # Errors
/// The budget that serves nothing without a price, where the target has none.
pub fn need<'p>(
    payer: &'p Payer,
    (target, card): (&Target, Option<&RateCard>),
    asked: &Asked,
    is_stream: bool,
) -> Result<Need, &'p Budget> {
    let Some(card) = card.filter(|_| payer.is_limited()) else {
        let strict = payer.budgets.iter().find(|(_, budget)| budget.terms.unpriced == Unpriced::Deny);
        return match strict {
            Some((_, budget)) => Err(budget),
            None => Ok(Need::FREE),
        };
    };
    Ok(asked.need(card, target.capacity, is_stream))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tier_and_a_limit_that_are_masked_by_escapes_are_read_all_the_same() {
        let body = br#"{"max_tokens":1,"max\u005ftokens":900,"service\u005ftier":"pri\u006frity"}"#;
        let asked = Asked::read(body, Billed::Answer(Format::OpenaiChat), Usage::default());
        assert_eq!((asked.bound.output, asked.tier), (Some(900), Tier::Priority));
        let plain = Asked::read(br#"{"service_tier":"auto"}"#, Billed::Input, Usage::default());
        assert_eq!((plain.tier, plain.is_auto), (Tier::Standard, true));
    }
}
