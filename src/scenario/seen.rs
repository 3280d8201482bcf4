//! What came of a request: its line of the access log, what was sent to providers, and what was foretold.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::base::{Usd, suspicion};
use crate::mock::Recorded;
use crate::plan::expr::KEY_CARRIERS;
use crate::table::explain::Explanation;

/// A line of the access log, as far as tests look at it.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Seen {
    /// Status that the client saw.
    pub status: u16,
    /// Code of the error that the client saw.
    pub error: Option<String>,
    /// What is known of the error beyond that.
    pub detail: Option<String>,
    /// The virtual key.
    pub key: Option<String>,
    /// The alias that served.
    pub alias: Option<String>,
    /// The rule that decided.
    pub rule: Option<String>,
    /// The target that answered.
    pub target: Option<String>,
    /// Calls of providers, in order.
    pub attempts: Vec<Tried>,
    /// What the translation lost, as the log tells it.
    pub loss: Option<String>,
    /// How long it took.
    pub duration_ms: u64,
    /// What it cost.
    pub cost: Option<Usd>,
    /// Body of the last request that was sent to a provider, where it is JSON.
    #[serde(skip)]
    pub sent: Option<Map<String, Value>>,
    /// Headers of the last request that was sent to a provider, in small letters, without those that carry keys.
    #[serde(skip)]
    pub sent_headers: BTreeMap<String, String>,
    /// What `explain` said before.
    #[serde(skip)]
    pub foretold: Option<Explanation>,
}

/// One call of a provider.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Tried {
    /// `provider/model`.
    pub target: String,
    /// The credential.
    pub credential: Option<String>,
    /// `ok`, or the code of the error.
    pub outcome: String,
    /// The provider's status.
    pub status: Option<u16>,
    /// How long it took.
    pub ms: u64,
}

impl Seen {
    /// Reads lines of the access log, one for each request.
    pub(super) fn read(lines: &[u8]) -> Vec<Self> {
        lines.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok()).collect()
    }

    /// Adds what a provider was sent.
    pub(super) fn send(&mut self, request: &Recorded) {
        self.sent = serde_json::from_slice(&request.body).ok();
        let is_shown = |name: &str, value: &str| !KEY_CARRIERS.contains(&name) && suspicion::suspect(value).is_none();
        let headers = request.headers.iter().map(|(name, value)| (name.to_ascii_lowercase(), value.clone()));
        self.sent_headers = headers.filter(|(name, value)| is_shown(name, value)).collect();
    }

    /// Returns the paths that the translation lost.
    pub fn lost(&self) -> Vec<String> {
        let losses = self.loss.iter().flat_map(|loss| loss.split(", "));
        losses.map(|loss| loss.rsplit_once('=').map_or(loss, |(path, _)| path).to_owned()).collect()
    }

    /// Tells the way of the request in one line: each attempt with its outcome, and what the client saw.
    pub fn way(&self) -> String {
        let mut steps: Vec<String> = self.attempts.iter().map(Tried::told).collect();
        steps.push(match &self.error {
            Some(error) => format!("{} {error}", self.status),
            None => self.status.to_string(),
        });
        let by = [self.rule.as_ref().map(|rule| format!("rule {rule}")), self.alias.as_ref().map(|alias| format!("alias {alias}"))];
        let by: Vec<String> = by.into_iter().flatten().collect();
        let way = steps.join(" → ");
        if by.is_empty() { way } else { format!("{}: {way}", by.join(", ")) }
    }
}

impl Tried {
    fn told(&self) -> String {
        let outcome = match self.status {
            Some(status) if self.outcome != "ok" => format!("{} ({status})", self.outcome),
            Some(_) | None => self.outcome.clone(),
        };
        match self.ms {
            0 => format!("{} {outcome}", self.target),
            ms => format!("{} {outcome} after {:.1} s", self.target, ms as f64 / 1_000.0),
        }
    }
}
