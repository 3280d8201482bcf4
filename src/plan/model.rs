//! Aliases of a compiled spec: what clients ask for, and who serves it.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::types::{Balance, FallbackOn, FallbackRef, HedgeAfter, PromptPosition, RateLimits, Sticky, TrafficShare};

/// One alias.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Model {
    /// What it is for.
    pub description: Option<String>,
    /// Targets; never empty.
    pub targets: Vec<Target>,
    /// How one is picked.
    pub balance: Balance,
    /// What keeps a session with one target.
    #[serde(default)]
    pub sticky: Option<Sticky>,
    /// When, and how often, a second target is asked beside the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hedge: Option<Hedge>,
    /// The chain.
    pub fallbacks: Vec<FallbackRef>,
    /// Failures that move on.
    pub fallback_on: BTreeSet<FallbackOn>,
    /// System prompt.
    pub prompt: Option<Prompt>,
    /// Whether a translation that loses something is refused.
    #[serde(default)]
    pub strict_translation: bool,
    /// Members filled in.
    pub defaults: BTreeMap<String, Value>,
    /// Members set.
    pub overrides: BTreeMap<String, Value>,
    /// What may be used through it in a time, and at once.
    #[serde(default)]
    pub limits: RateLimits,
}

/// A second try beside a first one that takes long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hedge {
    /// How long the first is waited for.
    pub after: HedgeAfter,
    /// The most of the alias's requests that are asked twice.
    pub max_share: TrafficShare,
}

/// One target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Target {
    /// The provider's name.
    pub provider: String,
    /// The model's name upstream.
    pub model: String,
    /// Share of traffic among those without a fixed one.
    pub weight: u32,
    /// A fixed share of all traffic.
    #[serde(default)]
    pub share: Option<TrafficShare>,
}

/// A system prompt with its text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Prompt {
    /// The template's text; its file's content where it is a file.
    pub system: String,
    /// Where it goes.
    pub position: PromptPosition,
}
