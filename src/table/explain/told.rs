//! The answer, as the admin API sends it and the command line shows it.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::HedgeTold;
use super::share;
use crate::base::Usd;
use crate::error::Kind;
use crate::limit::{Limiter, Measure, Refused};
use crate::plan::PromptPosition;
use crate::provider::PlacesSnapshot;
use crate::table::refusal::Refusal;
use crate::table::{Excluded, Exclusion, Rule, RuleAction, Target};
use crate::wire::Format;
use crate::wire::openai_chat::client_code;

/// Where a request would go, and why.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Explanation {
    /// The revision that answers.
    pub revision: u64,
    /// The virtual key that asks.
    pub key: Option<String>,
    /// The model that is asked for; none where none is named.
    pub model: Option<String>,
    /// The kind of request.
    pub endpoint: String,
    /// What would happen.
    pub outcome: Outcome,
    /// What the client would be told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub denial: Option<DenialTold>,
    /// The rule that decides.
    pub rule: Option<RuleTold>,
    /// Rules before it whose condition fails on the request, and so do not match.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failed_rules: Vec<FailedRule>,
    /// The alias that serves; none where a rule or the client names targets.
    pub alias: Option<String>,
    /// Limits that apply to the request, in requests and tokens in a time and requests at once.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub limits: Vec<LimitTold>,
    /// Budgets that must have room for the request.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub budgets: Vec<BudgetTold>,
    /// The alias that serves in place of what a budget has no room for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instead: Option<String>,
    /// Targets in the order in which they would be tried; empty when the request is denied.
    pub candidates: Vec<CandidateTold>,
    /// When a second target would be asked beside the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hedge: Option<HedgeTold>,
    /// Targets that would not be tried.
    pub excluded: Vec<ExcludedTold>,
    /// The system prompt that would be added.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prompt: Option<PromptTold>,
    /// Body members that are filled in where the client sends none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub defaults: Vec<String>,
    /// Body members that are set whatever the client sends.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub overrides: Vec<String>,
}

impl Explanation {
    /// Returns what may be tried first: of the first stage that has a target which does not refuse the request, those targets.
    pub fn first_choices(&self) -> impl Iterator<Item = &CandidateTold> {
        let tried = || self.candidates.iter().filter(|candidate| !candidate.is_refused);
        let first = tried().map(|candidate| candidate.stage).min();
        tried().filter(move |candidate| Some(candidate.stage) == first && candidate.share_percent > 0)
    }
}

/// A budget that must have room, and where it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BudgetTold {
    /// Its name.
    pub budget: String,
    /// Whose money it is: `key:NAME`, `team:NAME` or `budget:NAME`.
    pub account: String,
    /// `strict`, `progressive` or `soft`.
    pub mode: String,
    /// The most in one window.
    pub limit: Usd,
    /// The window.
    pub period: String,
    /// Whose calendar it follows.
    pub timezone: String,
    /// When the window ends, where it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ends: Option<String>,
    /// What is spent in it; known to a gateway that runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spent: Option<Usd>,
    /// What running requests hold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held: Option<Usd>,
    /// What other gateways hold that share the book, where they do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub others: Option<Usd>,
    /// What is left.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub left: Option<Usd>,
    /// The alias that serves what does not fit, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when_exhausted: Option<String>,
}

/// What a target costs, at this time and for an input of this length.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PriceTold {
    /// Whether a price is known at all; without one, the target is unpriced.
    pub is_known: bool,
    /// It costs nothing, and is known to.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_free: bool,
    /// Rates by their names, with their units: `$0.15/Mtok`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub rates: BTreeMap<String, String>,
}

/// What a request would cost at a target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CostTold {
    /// Its input alone, by our own count.
    pub input: Usd,
    /// The most that it can cost, which is what a strict budget reserves; none where nothing bounds it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub most: Option<Usd>,
}

/// A limit that applies, and how it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LimitTold {
    /// `key`, `team`, `alias` or `provider`.
    pub scope: String,
    /// Its name.
    pub name: String,
    /// `requests`, `tokens` or `concurrency`.
    pub measure: String,
    /// The limit: `600/min, 60 at once`.
    pub limit: String,
    /// What could be taken at once, now.
    pub remaining: u64,
}

impl LimitTold {
    /// Lists what is limited by each of some limiters.
    pub(super) fn list<'l>(limiters: impl IntoIterator<Item = &'l Arc<Limiter>>, now_ns: u64) -> Vec<Self> {
        let mut told = Vec::new();
        for limiter in limiters {
            let spec = limiter.spec();
            let left = |measure| limiter.level(measure, now_ns).map_or(0, |room| room.remaining);
            let at_once = |most: u32| (format!("{most} at once"), u64::from(most).saturating_sub(limiter.in_use().unwrap_or_default()));
            let all = [
                (Measure::Requests, spec.requests.map(|limit| (limit.to_string(), left(Measure::Requests)))),
                (Measure::Tokens, spec.tokens.map(|limit| (limit.to_string(), left(Measure::Tokens)))),
                (Measure::Concurrency, spec.concurrency.map(at_once)),
            ];
            told.extend(all.into_iter().filter_map(|(measure, limit)| {
                let (limit, remaining) = limit?;
                let (scope, name) = (limiter.scope().label().to_owned(), limiter.name().to_owned());
                Some(Self { scope, name, measure: measure.label().to_owned(), limit, remaining })
            }));
        }
        told
    }
}

/// What would happen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The candidates are tried.
    #[default]
    Routed,
    /// The gateway itself says no.
    Denied,
}

/// What the client would be told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DenialTold {
    /// HTTP status.
    pub status: u16,
    /// The error's code, as OpenAI's dialect spells it.
    pub code: String,
    /// The error's message.
    pub message: String,
    /// What the client is not told: why the key is not accepted, or may not use the model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// Milliseconds after which another try makes sense.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
}

/// A rule that decides.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleTold {
    /// Its name.
    pub name: String,
    /// What it does: `use fast`, `targets`, `deny 403`.
    pub does: String,
}

/// A rule whose condition fails.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailedRule {
    /// Its name.
    pub name: String,
    /// What is wrong.
    pub error: String,
}

/// A target that would be tried.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CandidateTold {
    /// `provider/model`.
    pub target: String,
    /// From 1: the targets of the alias, then each link of its chain.
    pub stage: usize,
    /// How many of a hundred requests that reach the stage try this one first, as things stand.
    pub share_percent: u64,
    /// `closed`; `half_open`: one request at a time probes; `last_resort`: its breaker is open, but nobody else is left.
    pub standing: String,
    /// What it costs; none where what is asked for is not paid for by the model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub price: Option<PriceTold>,
    /// What this request would cost there, where its body is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost: Option<CostTold>,
    /// Credentials in the order in which they would be tried.
    pub credentials: Vec<CredentialTold>,
    /// Credentials that would not be tried.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<CredentialTold>,
    /// Headers that the provider's requests carry.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<HeaderTold>,
    /// What the target cannot be told as the client wrote it, because it speaks another format.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub losses: Vec<LossTold>,
    /// The alias is strict, and the losses keep the target from being tried.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_refused: bool,
}

/// A field that a translation cannot carry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LossTold {
    /// Its path in the request.
    pub path: String,
    /// `approximated`, `unsupported` or `unknown`.
    pub reason: String,
}

/// A credential: with its share where it is tried, with a reason where it is not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CredentialTold {
    /// Its name.
    pub name: String,
    /// How many of a hundred requests to the target try this one first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub share_percent: Option<u64>,
    /// What runs with it at the target, where that is limited. Where as many run as may, another is tried, or the request waits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub concurrency: Option<PlacesSnapshot>,
    /// What keeps it out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Milliseconds until it is back, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait_ms: Option<u64>,
}

/// A header by its name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeaderTold {
    /// Its name.
    pub name: String,
    /// Why its template fails on this request, which then ends with an error.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
}

/// A system prompt by its place in the spec.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PromptTold {
    /// Its place: `models.fast.prompt`.
    pub name: String,
    /// Where it goes.
    pub position: PromptPosition,
    /// It renders to nothing on this request, so nothing is added.
    pub is_blank: bool,
    /// How many bytes are added to the body.
    #[serde(default)]
    pub bytes: usize,
}

/// A target that would not be tried.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExcludedTold {
    /// `provider/model`.
    pub target: String,
    /// `breaker_open`, `provider_away`, `format`, `no_credential`, `rate_limited` (what ends first is a provider's rate limit), `credentials_out`,
    /// `provider_limit` or `alias_limit` (what the spec lets the provider, or an alias of the chain, have is used up), or by a budget `unpriced`, `unbounded` (nothing bounds what the
    /// request may cost) or `no_room`.
    pub code: String,
    /// The same in words.
    pub reason: String,
    /// Milliseconds until that may change by itself, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait_ms: Option<u64>,
    /// What keeps each credential of the provider out, where the credentials are the reason.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub credentials: Vec<CredentialTold>,
}

impl DenialTold {
    /// `format` is the client's, whose clients may expect a status of their own.
    pub(super) fn new(refused: &Refusal, format: Option<Format>) -> Self {
        let kind = refused.error.kind;
        let status = || format.map_or(kind.status(), |format| format.codec().error_status(kind));
        Self {
            status: refused.status.unwrap_or_else(status),
            code: client_code(refused.error.kind).to_owned(),
            message: refused.error.public.clone(),
            // Of targets, the explanation says more, and in its own place.
            detail: refused.error.detail.clone().filter(|_| !matches!(refused.error.kind, Kind::NoCandidate | Kind::RateLimited)),
            retry_after_ms: refused.retry_after_ms,
        }
    }
}

impl RuleTold {
    pub(super) fn new(rule: &Rule) -> Self {
        let does = match &rule.action {
            RuleAction::Use(alias) => format!("use {}", alias.name),
            RuleAction::Targets(_) => "targets".to_owned(),
            RuleAction::Deny { status, .. } => format!("deny {status}"),
        };
        Self { name: rule.name.clone(), does }
    }
}

impl ExcludedTold {
    /// Tells of a target that the limit of an alias keeps out, through which the chain comes to it.
    pub(super) fn by_alias(target: &Target, refused: &Refused) -> Self {
        Self {
            target: target.id(),
            code: "alias_limit".to_owned(),
            reason: format!("the limit of {} of alias {} is reached", refused.measure.label(), refused.name),
            wait_ms: Some(refused.wait_ns.div_ceil(1_000_000)),
            credentials: Vec::new(),
        }
    }

    pub(super) fn new(excluded: &Excluded, target: Option<&Target>, now_ms: u64) -> Self {
        let wait_ms = excluded.why.back().map(|back| back.until_ms.saturating_sub(now_ms));
        let credentials = || target.map(|target| share::left_out(target, &[], now_ms)).unwrap_or_default();
        let (code, reason, credentials) = match &excluded.why {
            Exclusion::BreakerOpen { .. } => ("breaker_open", excluded.why.words(), Vec::new()),
            Exclusion::Away => ("provider_away", excluded.why.words(), Vec::new()),
            Exclusion::Format(_) => ("format", excluded.why.words(), Vec::new()),
            Exclusion::NoCredential(reason) => ("no_credential", share::fact(reason), credentials()),
            Exclusion::ProviderLimit { .. } => ("provider_limit", excluded.why.words(), Vec::new()),
            Exclusion::CredentialsOut(_) => {
                let code = if excluded.why.back().is_some_and(|back| !back.is_other) { "rate_limited" } else { "credentials_out" };
                (code, excluded.why.words(), credentials())
            }
        };
        Self { target: excluded.target.clone(), code: code.to_owned(), reason: reason.to_owned(), wait_ms, credentials }
    }
}
