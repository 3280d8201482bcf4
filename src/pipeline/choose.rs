//! Who serves: the rules first, then the decision; both noted in the record.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use http::HeaderMap;

use super::Gateway;
use super::affinity::Home;
use super::exchange::Exchange;
use super::facts::LazyFacts;
use super::payload::Payload;
use super::refusal::{self, Refusal};
use crate::plan::Balance;
use crate::table::{
    self, Alias, Ask, Decision, Denial, Key, RoutingTable, Rule, RuleAction, Size, Stage, decide, decide_alias, decide_provider,
    estimated_tokens, max_output_tokens,
};
use crate::wire::Demand;

/// What a request wants of whoever serves it.
pub(super) struct Wish {
    pub(super) demand: Demand,
    /// The provider that it names, where it names no model.
    pub(super) provider: Option<String>,
    /// Who keeps what it goes on from.
    pub(super) home: Option<Home>,
}

/// What of a request the order of targets may depend on.
#[derive(Clone, Copy)]
pub(super) struct Traits<'r> {
    pub(super) headers: &'r HeaderMap,
    pub(super) payload: &'r Payload<'r>,
    pub(super) stream: bool,
}

impl Traits<'_> {
    /// Returns what tells the session from others, where the alias keeps sessions together.
    fn session(&self, alias: Option<&Alias>, key: Option<&Key>) -> Option<u64> {
        table::session(alias?, key, self.headers, self.payload.object())
    }

    /// Returns how long the request is, where somebody looks at it.
    fn size(&self, stages: &[Stage]) -> Size {
        match self.payload {
            Payload::Json { whole, .. } if stages.iter().any(|stage| stage.balance == Balance::Cheapest) => {
                Size { input: estimated_tokens(whole), max_output: self.payload.object().and_then(max_output_tokens) }
            }
            Payload::Json { .. } | Payload::Form { .. } | Payload::Empty => Size::default(),
        }
    }
}

/// A decision, and the chance that it and its attempts are made with.
pub(super) struct Chosen {
    pub(super) decision: Decision,
    pub(super) roll: u64,
}

impl Gateway {
    /// Decides who serves a request: for the model that it names, or for the provider where it names none.
    pub(super) fn choose(
        &self,
        table: &RoutingTable,
        facts: &LazyFacts<'_>,
        (wish, traits): (Wish, Traits<'_>),
        exchange: &mut Exchange,
    ) -> Result<Chosen, Refusal> {
        let Wish { demand, provider, home } = wish;
        let rule = first_true(table, facts);
        let roll = self.seed.fetch_add(0x9E37_79B9_7F4A_7C15, Ordering::Relaxed);
        let named = provider.as_deref().or(home.as_ref().map(|home| &*home.provider));
        let mut decision = match exchange.model.clone() {
            Some(model) => self.by_model(table, &model, (rule, roll, demand, traits), exchange),
            None => self.by_provider(table, (named, demand), rule, exchange),
        }?;
        if let Some(home) = home {
            decision.keep_to(&home.provider, &home.credential);
        }
        exchange.metrics = match &decision.alias {
            Some(alias) => alias.metrics.clone(),
            None => table.unnamed.direct.clone(),
        };
        exchange.alias.clone_from(&decision.alias);
        exchange.limits.apply(decision.alias.iter().filter_map(|alias| alias.limiter.as_ref()));
        Ok(Chosen { decision, roll })
    }

    /// Decides who serves in place of what a budget has no room for: an alias that the budget names.
    pub(super) fn instead(
        &self,
        table: &RoutingTable,
        alias: &Arc<Alias>,
        (demand, roll, traits): (Demand, u64, Traits<'_>),
        exchange: &mut Exchange,
    ) -> Result<Decision, Refusal> {
        let key = exchange.key.clone();
        let ask = self.ask(Some(alias), (key.as_deref(), &alias.name, None), (roll, demand, traits), exchange);
        let now_ms = ask.now_ms;
        let decided = decide_alias(alias, &ask);
        exchange.metrics = alias.metrics.clone();
        exchange.alias = Some(Arc::clone(alias));
        decided.map_err(|denial| refusal::denied(&denial, &alias.name, table, key.as_deref(), now_ms))
    }

    /// Says what the decision depends on; uses up a turn of the alias that serves.
    fn ask<'a>(
        &self,
        alias: Option<&Arc<Alias>>,
        (key, model, rule): (Option<&'a Key>, &'a str, Option<&'a Rule>),
        (roll, demand, traits): (u64, Demand, Traits<'_>),
        exchange: &Exchange,
    ) -> Ask<'a> {
        Ask {
            key,
            model,
            rule,
            demand,
            now_ms: self.clock.monotonic_ms(),
            unix_ms: exchange.arrived_unix_ms,
            roll,
            turn: alias.map_or(0, |alias| alias.turn.fetch_add(1, Ordering::Relaxed)),
            size: alias.map_or_else(Size::default, |alias| traits.size(&alias.stages)),
            stream: traits.stream,
            session: traits.session(alias.map(Arc::as_ref), key),
        }
    }

    fn by_model(
        &self,
        table: &RoutingTable,
        model: &str,
        (rule, roll, demand, traits): (Option<&Rule>, u64, Demand, Traits<'_>),
        exchange: &mut Exchange,
    ) -> Result<Decision, Refusal> {
        let key = exchange.key.clone();
        let key = key.as_deref();
        let ask = self.ask(table.serving(model, rule), (key, model, rule), (roll, demand, traits), exchange);
        let now_ms = ask.now_ms;
        let decided = decide(table, &ask);
        if let (Some(rule), Ok(_) | Err(Denial::Rule { .. } | Denial::NoCandidate(_))) = (rule, &decided) {
            note(rule, exchange);
        }
        decided.map_err(|denial| refusal::denied(&denial, model, table, key, now_ms))
    }

    /// A rule cannot move what names no model; it can refuse it.
    fn by_provider(
        &self,
        table: &RoutingTable,
        (named, demand): (Option<&str>, Demand),
        rule: Option<&Rule>,
        exchange: &mut Exchange,
    ) -> Result<Decision, Refusal> {
        if let Some(rule) = rule
            && let RuleAction::Deny { status, message } = &rule.action
        {
            note(rule, exchange);
            return Err(refusal::by_rule(&rule.name, *status, message));
        }
        let now_ms = self.clock.monotonic_ms();
        decide_provider(table, exchange.key.as_deref(), (named, demand), now_ms)
            .map_err(|denial| refusal::denied_provider(&denial, named, now_ms))
    }
}

/// Finds the first rule whose condition is true; counts and logs those that failed before it.
fn first_true<'t>(table: &'t RoutingTable, facts: &LazyFacts<'_>) -> Option<&'t Rule> {
    if table.rules.is_empty() {
        return None;
    }
    let verdict = table.verdict(&facts.get());
    for (rule, error) in &verdict.failed {
        rule.report_failure(error);
    }
    verdict.rule
}

fn note(rule: &Rule, exchange: &mut Exchange) {
    rule.metrics.matched();
    exchange.rule = Some(rule.name.clone());
}
