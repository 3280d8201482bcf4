//! Letting a request in by limits that several gateways count together.
//!
//! The shared count decides, in one question for all limits of a request; our own counters hear how it stands, so that what clients are told
//! and what is known before is right. Where the shared count does not answer, each gateway goes on from there with its own part of each rate:
//! together they let in no more.

use std::sync::Arc;

use super::limiter::{Grant, Limiter, Measure, Refused, Share, admit};
use crate::store::rates::{Correction, SharedRates, Wish};

/// Lets a request in by every limit that applies, or touches none of them, as [`admit`] does; asks other gateways' count, where there is one.
///
/// # Errors
/// A limit that keeps it out: of those that are counted together, the one that does so for the longest.
pub async fn enter(limiters: &[Arc<Limiter>], tokens: Option<u64>, now_ns: u64) -> Result<Grant, Refused> {
    match limiters.iter().find_map(|limiter| limiter.shared()) {
        None => admit(limiters, tokens, now_ns),
        Some(rates) => together(rates, limiters, tokens, now_ns).await,
    }
}

/// What one limit asks of the shared count.
struct Asked<'a> {
    place: usize,
    measure: Measure,
    wish: Wish<'a>,
}

async fn together(rates: &SharedRates, limiters: &[Arc<Limiter>], tokens: Option<u64>, now_ns: u64) -> Result<Grant, Refused> {
    // Places first: they are given back of themselves.
    let mut shares = limiters.iter().map(|limiter| limiter.enter(now_ns)).collect::<Result<Vec<_>, _>>()?;
    shares.iter_mut().for_each(|share| share.is_alone = false);
    let asked: Vec<_> = limiters.iter().enumerate().flat_map(|(place, limiter)| asked(place, limiter, tokens)).collect();
    if asked.is_empty() {
        return Ok(Grant(shares));
    }
    let wishes: Vec<_> = asked.iter().map(|asked| asked.wish).collect();
    let Ok(outcome) = rates.take(&wishes).await else {
        drop(shares);
        return admit(limiters, tokens, now_ns);
    };
    for (Asked { place, measure, .. }, standing) in asked.iter().zip(&outcome.standings) {
        let (Some(limiter), Some(share)) = (limiters.get(*place), shares.get_mut(*place)) else { continue };
        let ahead_ns = standing.ahead_us.saturating_mul(1_000);
        match measure {
            Measure::Requests => limiter.counter.requests.hear(ahead_ns, now_ns),
            Measure::Tokens => {
                limiter.counter.tokens.hear(ahead_ns, now_ns);
                share.standing = tokens.map(|tokens| (*standing, tokens));
            }
            Measure::Concurrency => {}
        }
    }
    let refused = outcome.refused.and_then(|(refused, wait_us)| Some((asked.get(refused)?, wait_us)));
    match refused.and_then(|(asked, wait_us)| Some((limiters.get(asked.place)?, asked.measure, wait_us))) {
        Some((limiter, measure, wait_us)) => Err(limiter.refused(measure, wait_us.saturating_mul(1_000), now_ns)),
        None => Ok(Grant(shares)),
    }
}

/// Returns what the limits of one scope ask of the shared count.
fn asked(place: usize, limiter: &Limiter, tokens: Option<u64>) -> impl Iterator<Item = Asked<'_>> {
    let one = move |measure, units: Option<u64>| {
        let (rate, units) = (limiter.rate(measure, false)?, units?);
        let wish = Wish { rate: limiter.shared_name(measure), cost_us: rate.cost_us(units), tolerance_us: rate.tolerance_us() };
        Some(Asked { place, measure, wish })
    };
    one(Measure::Requests, Some(1)).into_iter().chain(one(Measure::Tokens, tokens))
}

/// Corrects what requests took of shared rates of tokens; does not wait for that.
pub(super) fn settle(shares: &[Share], used_tokens: u64) {
    let of = |share: &Share| {
        let (shared, rate) = (share.limiter.shared()?, share.limiter.rate(Measure::Tokens, false)?);
        let taken = share.standing.map_or(0, |(_, taken)| taken);
        let (more, less) = (used_tokens.saturating_sub(taken), taken.saturating_sub(used_tokens));
        let correction = Correction {
            rate: Arc::clone(share.limiter.shared_name(Measure::Tokens)),
            more_us: if more == 0 { 0 } else { rate.cost_us(more) },
            less_us: rate.cost_us(taken).saturating_sub(rate.cost_us(used_tokens)),
            standing: share.standing.map(|(standing, _)| standing),
        };
        (more > 0 || less > 0).then(|| (Arc::clone(shared), correction))
    };
    let corrections = shares.iter().filter(|share| !share.is_alone).filter_map(of);
    let (rates, corrections): (Vec<_>, Vec<_>) = corrections.unzip();
    if let (Some(rates), Ok(runtime)) = (rates.into_iter().next(), tokio::runtime::Handle::try_current()) {
        // Where it fails, what was taken stays taken.
        runtime.spawn(async move { rates.correct(&corrections).await.ok() });
    }
}
