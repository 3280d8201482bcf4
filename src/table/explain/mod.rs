//! Where a request would go, and why: the data path's own rules and decision, asked without sending anything.
//!
//! Rule: asking changes nothing (no probe is taken, no turn used up, nothing counted), and every refusal is worded by
//! [`super::refusal`], so that what is explained is what would happen. Values of headers and prompts are never shown: they may hold
//! what a client sent.

mod ask;
mod hedge;
mod human;
mod losses;
mod money;
mod share;
mod told;

use std::collections::BTreeMap;
use std::sync::Arc;

use minijinja::Value as Fact;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::by_provider::{ProviderDenial, decide_provider};
use super::decide::{Ask, Decision, Denial, Excluded, Standing, decide};
use super::entry::{Alias, Key, RoutingTable, Stage};
use super::facts::estimated_tokens;
use super::refusal::{self, Refusal};
use super::rules::{Rule, RuleAction};
use crate::base::glob;
use crate::limit::{Refused, check};
use ask::Asked;

pub use hedge::HedgeTold;
pub use human::human;
pub use told::{
    BudgetTold, CandidateTold, CostTold, CredentialTold, DenialTold, ExcludedTold, Explanation, FailedRule, HeaderTold, LimitTold,
    LossTold, Outcome, PriceTold, PromptTold, RuleTold,
};

/// What is asked, as `POST /v1/explain` takes it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Question {
    /// Name of the virtual key; without one, the request carries none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// The model as the client would name it; none where the request names none (files, batches), which goes to a provider as a whole:
    /// the one in the header `x-bifrost-provider`, or the only one that the key covers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Headers of the request. Those that carry keys are not looked at: `key` says who asks.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// Body of the request, for facts such as the size of the prompt. Its `model` is not looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<Value>,
    /// `chat` (the default), `responses`, `messages`, `generate_content`, `converse`, `cohere_chat`, `completions`, `embeddings` or `other`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    /// Whether the answer is streamed, where not the body but the path says so (`generate_content`, `converse`).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub stream: bool,
}

/// When it is asked, and with what luck.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// Milliseconds since the Unix epoch.
    pub unix_ms: u64,
    /// Monotonic milliseconds, of the clock that the health goes by.
    pub now_ms: u64,
    /// A random number; decides every weighted choice.
    pub roll: u64,
}

/// A question that cannot be answered, in one sentence that says what would be right.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unanswerable(String);

/// Answers from a table and the health that it is wired to; a table that was never served has no bad health.
///
/// # Errors
/// A key, a header or an endpoint that does not exist.
pub fn explain(table: &RoutingTable, question: &Question, at: Moment) -> Result<Explanation, Unanswerable> {
    let asked = Asked::read(table, question)?;
    let mut told = Explanation {
        revision: table.revision,
        key: question.key.clone(),
        model: question.model.clone(),
        endpoint: asked.endpoint.name().to_owned(),
        ..Explanation::default()
    };
    if let Err(refused) = answer(table, &asked, at, &mut told) {
        told.outcome = Outcome::Denied;
        told.instead.clone_from(&refused.instead);
        told.denial = Some(DenialTold::new(&refused, asked.format()));
        told.candidates.clear();
    }
    Ok(told)
}

/// Goes through the stages of a request in their order; stops where the request would.
fn answer(table: &RoutingTable, asked: &Asked<'_>, at: Moment, told: &mut Explanation) -> Result<(), Refusal> {
    let key = asked.authenticated(table, at.unix_ms)?;
    let bytes = asked.body_bytes();
    let object = asked.object(&bytes)?;
    let facts = asked.facts(table, key, object.as_ref(), at.unix_ms);
    let verdict = table.verdict(&facts);
    told.failed_rules =
        verdict.failed.iter().map(|(rule, error)| FailedRule { name: rule.name.clone(), error: error.to_string() }).collect();
    let key = key.map(|key| &**key);
    let payer = key.map_or(&table.nobody, |key| &key.payer);
    told.budgets = money::budgets(table, payer, at.unix_ms);
    let Some(model) = asked.model else {
        let mut decision = by_provider(table, asked, key, (verdict.rule, at.now_ms), told)?;
        limits((key, &mut decision), None, at.now_ms, told)?;
        let bill = money::Bill { asked, body: &bytes, alias: None, prompt_bytes: 0, payer, unix_ms: at.unix_ms };
        told.candidates = candidates(&decision, (None, None), (&facts, &bill), at.now_ms);
        // Not by weight: what one account keeps, another does not know.
        for (place, credential) in told.candidates.iter_mut().flat_map(|candidate| candidate.credentials.iter_mut().enumerate()) {
            credential.share_percent = (place == 0).then_some(100);
        }
        return Ok(());
    };
    let ask = asked.ask((table, model, key), (verdict.rule, object.as_ref(), &bytes), at);
    let decided = decide(table, &ask);
    // A rule matters only to a key that may ask for the model at all.
    if let (Some(rule), Ok(_) | Err(Denial::Rule { .. } | Denial::NoCandidate(_))) = (verdict.rule, &decided) {
        told.rule = Some(RuleTold::new(rule));
    }
    let mut decision = decided.map_err(|denial| denied(table, &denial, &ask, told))?;
    told.excluded = left_out(table, &decision.excluded, at.now_ms);
    if let Some(alias) = &decision.alias {
        told.alias = Some(alias.name.clone());
        told.defaults = alias.defaults.iter().map(|(name, _)| name.clone()).collect();
        told.overrides = alias.overrides.iter().map(|(name, _)| name.clone()).collect();
        told.prompt = prompt(alias, asked, object.is_some_and(|object| ask::has_messages(&object)), &facts)?;
    }
    limits((ask.key, &mut decision), asked.is_metered().then(|| estimated_tokens(&bytes)), at.now_ms, told)?;
    let alias = decision.alias.clone();
    let prompt_bytes = told.prompt.as_ref().map_or(0, |prompt| prompt.bytes);
    let bill = money::Bill { asked, body: &bytes, alias: alias.as_ref(), prompt_bytes, payer, unix_ms: at.unix_ms };
    bill.keep_payable(&mut decision.candidates, &mut told.excluded)?;
    told.hedge = hedge::hedge(&decision, asked, at.now_ms);
    told.candidates = candidates(&decision, (verdict.rule, Some(&ask)), (&facts, &bill), at.now_ms);
    Ok(())
}

/// Words a denial, with what only the operator may know.
fn denied(table: &RoutingTable, denial: &Denial, ask: &Ask<'_>, told: &mut Explanation) -> Refusal {
    if let Denial::NoCandidate(excluded) = denial {
        told.excluded = left_out(table, excluded, ask.now_ms);
    }
    let refused = refusal::denied(denial, ask.model, table, ask.key, ask.now_ms);
    match (denial, ask.key) {
        (Denial::Forbidden, Some(key)) => Refusal { error: refused.error.detail(why_not(key, ask.model)), ..refused },
        (Denial::Forbidden, None) | (Denial::NeedsKey | Denial::Rule { .. } | Denial::NoSuchModel | Denial::NoCandidate(_), _) => refused,
    }
}

/// Lists the limits that apply, those of the chain's aliases and of providers last, and refuses as those of the caller would. What the limits
/// of an alias of the chain keep out is left out.
fn limits((key, decision): (Option<&Key>, &mut Decision), tokens: Option<u64>, now_ms: u64, told: &mut Explanation) -> Result<(), Refusal> {
    let now_ns = now_ms.saturating_mul(1_000_000);
    let own = key.into_iter().flat_map(|key| key.limiters.iter());
    let own: Vec<_> = own.chain(decision.alias.iter().filter_map(|alias| alias.limiter.as_ref())).cloned().collect();
    let mut all = own.clone();
    let of_chain = decision.candidates.iter().filter_map(|candidate| candidate.via.as_ref()).flat_map(|via| via.iter());
    let of_providers = decision.candidates.iter().filter_map(|candidate| candidate.target.provider.limiter.as_ref());
    for limiter in of_chain.chain(of_providers) {
        if !all.iter().any(|known| Arc::ptr_eq(known, limiter)) {
            all.push(Arc::clone(limiter));
        }
    }
    told.limits = LimitTold::list(&all, now_ns);
    check(&own, tokens, now_ns).map_err(|refused| refusal::limited(&refused))?;
    let mut first: Option<Refused> = None;
    decision.candidates.retain(|candidate| {
        let Some(Err(refused)) = candidate.via.as_ref().map(|via| check(via, tokens, now_ns)) else { return true };
        told.excluded.push(ExcludedTold::by_alias(&candidate.target, &refused));
        first = first.take().into_iter().chain([refused]).min_by_key(|refused| refused.wait_ns);
        false
    });
    match first {
        Some(refused) if decision.candidates.is_empty() => Err(refusal::limited(&refused)),
        Some(_) | None => Ok(()),
    }
}

/// Decides for a request that names no model: a rule can refuse it, and cannot move it.
fn by_provider(
    table: &RoutingTable,
    asked: &Asked<'_>,
    key: Option<&Key>,
    (rule, now_ms): (Option<&Rule>, u64),
    told: &mut Explanation,
) -> Result<Decision, Refusal> {
    if let Some(rule) = rule
        && let RuleAction::Deny { status, message } = &rule.action
    {
        told.rule = Some(RuleTold::new(rule));
        return Err(refusal::by_rule(&rule.name, *status, message));
    }
    let named = asked.provider();
    decide_provider(table, key, (named, asked.demand()), now_ms).map_err(|denial| {
        if let ProviderDenial::NoCandidate(excluded) = &denial {
            told.excluded = left_out(table, std::slice::from_ref(excluded), now_ms);
        }
        refusal::denied_provider(&denial, named, now_ms)
    })
}

fn prompt(alias: &Alias, asked: &Asked<'_>, has_messages: bool, facts: &Fact) -> Result<Option<PromptTold>, Refusal> {
    let Some(prompt) = alias.prompt.as_ref().filter(|_| asked.is_chat()) else { return Ok(None) };
    if asked.has_body() && !has_messages {
        return Err(refusal::no_messages().into());
    }
    let place = format!("models.{}.prompt", alias.name);
    match prompt.message(|| facts.clone()) {
        Ok(raw) => Ok(Some(PromptTold { name: place, position: prompt.position, is_blank: raw.is_empty(), bytes: raw.len() })),
        Err(error) => Err(refusal::template_failed(&place, &error).into()),
    }
}

fn candidates(
    decision: &Decision,
    (rule, ask): (Option<&Rule>, Option<&Ask<'_>>),
    (facts, bill): (&Fact, &money::Bill<'_>),
    now_ms: u64,
) -> Vec<CandidateTold> {
    let is_strict = decision.alias.as_ref().is_some_and(|alias| alias.spec.strict_translation);
    let stages: &[Stage] = match (&decision.alias, rule.map(|rule| &rule.action)) {
        (Some(alias), _) => &alias.stages,
        (None, Some(RuleAction::Targets(stages))) => stages,
        (None, Some(RuleAction::Use(_) | RuleAction::Deny { .. }) | None) => &[],
    };
    let all = decision.candidates.iter();
    all.map(|candidate| {
        let provider = &candidate.target.provider;
        let header = |line: &super::HeaderLine| HeaderTold {
            name: line.name.to_string(),
            failure: line.value(|| facts.clone()).err().map(|error| error.to_string()),
        };
        let place = share::place(stages, candidate, &decision.candidates, ask);
        let losses = losses::losses(bill.asked, bill.body, &candidate.target);
        let (price, cost) = bill.price(&candidate.target);
        CandidateTold {
            target: candidate.target.id(),
            stage: place.stage,
            share_percent: place.percent,
            standing: match candidate.standing {
                Standing::Closed => "closed",
                Standing::HalfOpen => "half_open",
                Standing::LastResort => "last_resort",
            }
            .to_owned(),
            price,
            cost,
            credentials: share::credentials(candidate, ask.is_some_and(|ask| ask.session.is_some()), now_ms),
            left_out: share::left_out(&candidate.target, &candidate.credentials, now_ms),
            headers: provider.headers.iter().map(header).collect(),
            is_refused: losses.iter().any(|loss| losses::is_refused(loss, is_strict)),
            losses,
        }
    })
    .collect()
}

/// Says which of a key's lists does not hold a model.
fn why_not(key: &Key, model: &str) -> String {
    let own = &key.spec.models;
    match (&key.spec.team, &key.team_models) {
        (Some(team), Some(models)) if glob::any(own, model) => format!("its team `{team}` allows {}", models.join(", ")),
        (_, _) if own.is_empty() => "the key's list of models is empty".to_owned(),
        (_, _) => format!("the key allows {}", own.join(", ")),
    }
}

fn left_out(table: &RoutingTable, excluded: &[Excluded], now_ms: u64) -> Vec<ExcludedTold> {
    let target = |id: &str| table.targets.get(id).or_else(|| table.accounts.get(id.split_once('/')?.0));
    excluded.iter().map(|excluded| ExcludedTold::new(excluded, target(&excluded.target).map(Arc::as_ref), now_ms)).collect()
}

/// Finds a key by its name. In a rotation, the digest that lasts longest speaks for it.
fn key_named<'t>(table: &'t RoutingTable, name: &str) -> Result<&'t Arc<Key>, Unanswerable> {
    let digests = table.keys.values().filter(|key| key.name == name);
    digests.max_by_key(|key| (key.not_after_ms.unwrap_or(u64::MAX), key.digest)).ok_or_else(|| {
        let help = crate::spec::suggest::suggest(name, "virtual keys", table.plan.virtual_keys.keys().map(String::as_str));
        Unanswerable(format!("there is no virtual key `{name}`; {help}"))
    })
}
