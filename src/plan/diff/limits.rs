//! Rate limits, on whatever they are set.

use super::changes::{Changes, Meaning};
use super::place::Place;
use crate::plan::types::{RateLimit, RateLimits};

/// Whom a limit stops, and what then happens to them: the words of a reason.
#[derive(Debug, Clone, Copy)]
pub(super) enum Stops {
    /// `clients of this key`: they are refused.
    Clients(&'static str),
    /// What goes to a provider: it goes elsewhere first.
    Provider,
}

pub(super) fn limits(out: &mut Changes<'_>, place: &Place, (base, new): (&RateLimits, &RateLimits), stops: Stops) {
    let RateLimits { requests, tokens, concurrency } = base;
    out.field(place.member("requests"), requests, &new.requests, || rate(stops, "requests", *requests, new.requests));
    out.field(place.member("tokens"), tokens, &new.tokens, || rate(stops, "tokens", *tokens, new.tokens));
    out.field(place.member("concurrency"), concurrency, &new.concurrency, || {
        meaning(stops, "requests at once", &step(*concurrency, new.concurrency, |base, new| new < base))
    });
}

/// What becomes of a limit.
enum Step {
    New,
    Tighter,
    Wider,
    Gone,
}

fn step<T: Copy>(base: Option<T>, new: Option<T>, is_tighter: impl FnOnce(T, T) -> bool) -> Step {
    match (base, new) {
        (None, _) => Step::New,
        (Some(_), None) => Step::Gone,
        (Some(base), Some(new)) if is_tighter(base, new) => Step::Tighter,
        (Some(_), Some(_)) => Step::Wider,
    }
}

/// Judges a rate in the long run, and what may come at once.
fn rate(stops: Stops, what: &str, base: Option<RateLimit>, new: Option<RateLimit>) -> Meaning {
    let words = |limit: Option<RateLimit>| match limit {
        None => "unset".to_owned(),
        Some(RateLimit { rate, burst: None }) => rate.to_string(),
        Some(limit) => limit.to_string(),
    };
    let is_tighter = |base: RateLimit, new: RateLimit| base.rate.is_faster_than(new.rate) || new.at_once() < base.at_once();
    meaning(stops, what, &step(base, new, is_tighter)).saying(format!("{} → {}", words(base), words(new)))
}

fn meaning(stops: Stops, what: &str, step: &Step) -> Meaning {
    match (stops, step) {
        (Stops::Clients(who), Step::New) => Meaning::medium(format!("{who} get 429 beyond it")),
        (Stops::Clients(who), Step::Tighter) => {
            Meaning::medium(format!("{who} get 429 sooner; what they have used counts on in proportion"))
        }
        (Stops::Provider, Step::New | Step::Tighter) => Meaning::medium("requests beyond it go to the next target, or get 429"),
        (_, Step::Wider) => Meaning::low(format!("more {what} pass; what is used counts on in proportion")),
        (_, Step::Gone) => Meaning::medium(format!("nothing limits {what} here any longer")),
    }
}
