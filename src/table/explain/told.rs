//! The answer, as the admin API sends it and the command line shows it.

use serde::{Deserialize, Serialize};

use super::share;
use crate::error::Kind;
use crate::plan::PromptPosition;
use crate::table::refusal::Refusal;
use crate::table::{Excluded, Exclusion, Rule, RuleAction, Target};
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
    /// Targets in the order in which they would be tried; empty when the request is denied.
    pub candidates: Vec<CandidateTold>,
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
}

/// A target that would not be tried.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExcludedTold {
    /// `provider/model`.
    pub target: String,
    /// `breaker_open`, `no_credential`, `rate_limited` (what ends first is a provider's rate limit) or `credentials_out`.
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
    pub(super) fn new(refused: &Refusal) -> Self {
        Self {
            status: refused.status.unwrap_or(refused.error.kind.status()),
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
    pub(super) fn new(excluded: &Excluded, target: Option<&Target>, now_ms: u64) -> Self {
        let wait_ms = excluded.why.back().map(|back| back.until_ms.saturating_sub(now_ms));
        let credentials = || target.map(|target| share::left_out(target, &[], now_ms)).unwrap_or_default();
        let (code, reason, credentials) = match &excluded.why {
            Exclusion::BreakerOpen { .. } => ("breaker_open", excluded.why.words(), Vec::new()),
            Exclusion::Format(_) => ("format", excluded.why.words(), Vec::new()),
            Exclusion::NoCredential(reason) => ("no_credential", share::fact(reason), credentials()),
            Exclusion::CredentialsOut(_) => {
                let code = if excluded.why.back().is_some_and(|back| !back.is_other) { "rate_limited" } else { "credentials_out" };
                (code, excluded.why.words(), credentials())
            }
        };
        Self { target: excluded.target.clone(), code: code.to_owned(), reason: reason.to_owned(), wait_ms, credentials }
    }
}
