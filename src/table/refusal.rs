//! What the client is told when a decision leaves nothing to try: for the data path that says it and for `explain` that shows it.
//!
//! Rule: each refusal names the blocker, and where to look.

use std::fmt::Write as _;

use super::by_provider::ProviderDenial;
use super::decide::{Denial, Excluded, Exclusion, seconds};
use super::entry::{Key, RoutingTable};
use crate::error::{GatewayError, Kind};
use crate::limit::budget::Short;
use crate::limit::{Measure, Refused, Scope};

/// A refusal with what its answer needs.
#[derive(Debug)]
pub struct Refusal {
    /// What went wrong.
    pub error: GatewayError,
    /// When another try makes sense.
    pub retry_after_ms: Option<u64>,
    /// In place of the kind's own status.
    pub status: Option<u16>,
    /// The alias that serves in place of what a budget has no room for.
    pub instead: Option<String>,
}

impl From<GatewayError> for Refusal {
    fn from(error: GatewayError) -> Self {
        Self { error, retry_after_ms: None, status: None, instead: None }
    }
}

/// A request that should carry a key and does not.
pub fn no_key() -> GatewayError {
    GatewayError::new(Kind::Unauthenticated, format!("No virtual key was sent. {SEND}"))
}

/// How a key is sent.
const SEND: &str = "Send one as `Authorization: Bearer`, `x-api-key`, `x-goog-api-key` or `api-key`.";

/// A request without a key, where keys are optional, for more than an alias; `why` begins a sentence.
fn needs_key(why: &str) -> GatewayError {
    let text = format!("{why}, which takes a virtual key: without one, only the aliases that `GET /v1/models` lists may be used. {SEND}");
    GatewayError::new(Kind::Unauthenticated, text)
}

/// A key that is not accepted. The text does not tell a wrong key from one that is disabled or over.
pub fn bad_key(carrier: &str) -> GatewayError {
    GatewayError::new(Kind::Unauthenticated, format!("The virtual key in `{carrier}` is unknown, disabled or over."))
}

/// A body that is not what it must be; `error` says how.
pub fn bad_body(error: &dyn std::fmt::Display) -> GatewayError {
    GatewayError::new(Kind::BadRequest, format!("The request was refused: {error}."))
}

/// A chat without a list of messages, where one is to be added to.
pub fn no_messages() -> GatewayError {
    GatewayError::new(Kind::BadRequest, "The member `messages` must be a list.")
}

/// A template of the spec that failed on the request; `place` is its path in the spec.
pub fn template_failed(place: &str, error: &dyn std::fmt::Display) -> GatewayError {
    GatewayError::new(Kind::TemplateFailed, format!("The template `{place}` of the gateway's spec failed on this request: {error}."))
}

/// A decision that left nothing to try.
pub fn denied(denial: &Denial, model: &str, table: &RoutingTable, key: Option<&Key>, now_ms: u64) -> Refusal {
    match denial {
        Denial::Forbidden => {
            let name = key.map_or("", |key| key.name.as_str());
            let text = format!("The virtual key `{name}` may not use `{model}`. `GET /v1/models` lists what it may use.");
            GatewayError::new(Kind::Forbidden, text).into()
        }
        Denial::NeedsKey => needs_key(&format!("`{model}` names a provider's model")).into(),
        Denial::Rule { name, status, message } => by_rule(name, *status, message),
        Denial::NoSuchModel => no_such_model(model, table, key),
        Denial::NoCandidate(excluded) => no_candidate(&format!("`{model}`"), excluded, now_ms),
    }
}

/// A request without a model that no provider can be found for.
pub fn denied_provider(denial: &ProviderDenial, named: Option<&str>, now_ms: u64) -> Refusal {
    let remedy = "Send the header `x-bifrost-provider` with one of";
    let list = |names: &[String]| names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    let (kind, text) = match denial {
        ProviderDenial::NeedsKey => return needs_key("This request names no model, so it is for a provider's account").into(),
        ProviderDenial::Ambiguous(names) => {
            (Kind::BadRequest, format!("This request names no model, so the provider must be named. {remedy} {}.", list(names)))
        }
        ProviderDenial::NoneAllowed => {
            let text = "This request names no model, so it needs a virtual key that may use every model of a provider, such as \
                        `models: [\"openai/*\"]` in the spec.";
            (Kind::Forbidden, text.to_owned())
        }
        ProviderDenial::Refused(names) => {
            let which = named.unwrap_or_default();
            let others = if names.is_empty() { "It covers none.".to_owned() } else { format!("{remedy} {}.", list(names)) };
            (Kind::Forbidden, format!("The virtual key does not cover a provider `{which}` as a whole. {others}"))
        }
        ProviderDenial::NoCandidate(excluded) => {
            let provider = excluded.target.split_once('/').map_or("", |(provider, _)| provider);
            return no_candidate(&format!("The provider `{provider}`"), std::slice::from_ref(excluded), now_ms);
        }
    };
    GatewayError::new(kind, text).into()
}

/// A limit that is reached. Says whose it is, what of it is left and when more is.
pub fn limited(refused: &Refused) -> Refusal {
    let Refused { scope, name, measure, limit, remaining, wait_ns } = refused;
    let wait_ms = wait_ns.div_ceil(1_000_000);
    let seconds = wait_ms.div_ceil(1_000);
    let (whose, section) = match scope {
        Scope::Key => ("The virtual key", "virtual_keys"),
        Scope::Team => ("The team", "teams"),
        Scope::Alias => ("The model", "models"),
        // Which one it is, is the operator's to know.
        Scope::Provider => {
            let words = refused.words();
            let text =
                format!("No target can be tried now: {words}; something is free in {seconds} s. `bifrostctl status` shows their state.");
            let detail = format!("`providers.{name}.limits.{}` ({limit}) is reached", measure.label());
            return Refusal { retry_after_ms: Some(wait_ms), ..GatewayError::new(Kind::RateLimited, text).detail(detail).into() };
        }
    };
    let reached = match measure {
        Measure::Requests => format!("has used its limit of requests ({limit}); the next one passes in {seconds} s"),
        Measure::Tokens => format!(
            "has used its limit of tokens ({limit}): {remaining} can be taken now, fewer than this request needs; it passes in {seconds} s"
        ),
        Measure::Concurrency => format!("has as many requests running as it may ({limit}); try again when one has ended"),
    };
    let text = format!("{whose} `{name}` {reached} (`{section}.{name}.limits.{}` in the gateway's spec).", measure.label());
    Refusal { retry_after_ms: Some(wait_ms), ..GatewayError::new(Kind::RateLimited, text).into() }
}

/// A model without a price, under a budget that serves none.
pub fn unpriced(budget: &str) -> GatewayError {
    let text = format!("Budget `{budget}` serves no model without a price, and this one has none. `prices` in the spec gives it one.");
    GatewayError::new(Kind::Unpriced, text)
}

/// Budgets that have no room for a request. Where nothing bounds what it may cost, it is the request that must change.
pub fn no_room(budgets: &[Short]) -> GatewayError {
    let kind = if budgets.iter().all(|short| short.needed.is_none()) { Kind::BadRequest } else { Kind::BudgetExceeded };
    GatewayError::new(kind, short(budgets))
}

/// Names every budget that is in the way, with its figures.
pub fn short(budgets: &[Short]) -> String {
    let one = |short: &Short| {
        let Short { budget, limit, spent, held, needed, ends_ms, when_exhausted: _ } = short;
        let needs = match needed {
            Some(needed) => format!("and this request may cost {needed}"),
            None => "and nothing bounds what this request may cost: send `max_tokens`, or leave out what the provider keeps".to_owned(),
        };
        let ends = ends_ms.and_then(|ms| jiff::Timestamp::from_millisecond(i64::try_from(ms).ok()?).ok());
        let ends = ends.map_or_else(String::new, |ends| format!("; its window ends {ends}"));
        format!("Budget `{budget}` has no room: {spent} of {limit} is spent, {held} is held by running requests, {needs}{ends}.")
    };
    budgets.iter().map(one).collect::<Vec<_>>().join(" ")
}

/// A rule that refuses.
pub fn by_rule(name: &str, status: u16, message: &str) -> Refusal {
    let error = GatewayError::new(Kind::Denied, format!("{message} (refused by the rule `{name}`)"));
    Refusal { status: Some(status), ..error.into() }
}

/// A model that the key cannot see, with the nearest that it can.
pub fn no_such_model(model: &str, table: &RoutingTable, key: Option<&Key>) -> Refusal {
    let near = usable(table, key).map(|name| (strsim::damerau_levenshtein(name, model), name)).min();
    let hint = match near.filter(|(distance, _)| *distance <= (model.len() / 3).max(2)) {
        Some((_, name)) => format!("Did you mean `{name}`?"),
        None if key.is_some() => "`GET /v1/models` lists what it may use.".to_owned(),
        None => "`GET /v1/models` lists the aliases.".to_owned(),
    };
    let whose = if key.is_some() { " for this key" } else { "" };
    GatewayError::new(Kind::NotFound, format!("There is no model `{model}`{whose}. {hint}")).into()
}

/// Refuses because of what is left out. It is a rate limit to the client where waiting for one helps first: then 429, which clients know
/// how to wait for. `what` names what was asked for, as a sentence begins.
fn no_candidate(what: &str, excluded: &[Excluded], now_ms: u64) -> Refusal {
    let mut text = match excluded {
        [only] => format!("{what} cannot be tried now: {}", only.why.words()),
        _ => format!("No target of {what} can be tried now: {}", counted(excluded)),
    };
    let back = excluded.iter().filter_map(|excluded| excluded.why.back()).min();
    let retry_after_ms = back.map(|back| back.until_ms.saturating_sub(now_ms));
    if let Some(back) = back {
        let first = if excluded.len() > 1 { "; the first is back in" } else { "; it is back in" };
        let _ = write!(text, "{first} {} s", seconds(back.until_ms, now_ms));
    }
    text.push_str(". `bifrostctl status` shows their state.");
    let detail =
        excluded.iter().map(|excluded| format!("{}: {}", excluded.target, excluded.why.text(now_ms))).collect::<Vec<_>>().join("; ");
    if !excluded.is_empty() && excluded.iter().all(|excluded| matches!(excluded.why, Exclusion::Format(_))) {
        let text = format!("{what} cannot serve this request: {}.", counted(excluded));
        return GatewayError::new(Kind::BadRequest, text).detail(detail).into();
    }
    let kind = if back.is_some_and(|back| !back.is_other) { Kind::RateLimited } else { Kind::NoCandidate };
    Refusal { retry_after_ms, ..GatewayError::new(kind, text).detail(detail).into() }
}

/// Counts what keeps targets out, in the order in which they would be tried.
fn counted(excluded: &[Excluded]) -> String {
    let mut counts: Vec<(&str, u32)> = Vec::new();
    for words in excluded.iter().map(|excluded| excluded.why.words()) {
        match counts.iter_mut().find(|(known, _)| *known == words) {
            Some((_, count)) => *count += 1,
            None => counts.push((words, 1)),
        }
    }
    let told = |(words, count): &(&str, u32)| format!("{words} ({count} target{})", if *count == 1 { "" } else { "s" });
    counts.iter().map(told).collect::<Vec<_>>().join(", ")
}

/// Lists the aliases that a key may use, sorted.
pub fn usable<'t>(table: &'t RoutingTable, key: Option<&'t Key>) -> impl Iterator<Item = &'t str> {
    table.plan.models.keys().map(String::as_str).filter(move |name| key.is_none_or(|key| key.may_use(name)))
}
