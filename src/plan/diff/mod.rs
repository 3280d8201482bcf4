//! Typed diff between two plans, on the normalised effective model: `60s` and `1m`, `[]` and nothing at all never differ.
//!
//! Every section takes its types apart field by field, so that a new field does not compile until somebody has said what
//! changing it means. Nothing here knows the clock or what is running; [`render`] makes text of it.
//!
//! Laws, held by property tests: a diff is empty exactly when the digests are equal; every leaf that differs lies under the
//! pointer of a change; the patch turns the base's model into the new one's.

mod access;
mod budget;
mod chain;
mod changes;
mod credential;
mod gateway;
mod hashes;
mod key;
mod limits;
mod model;
mod patch;
mod pattern;
mod place;
mod policy;
mod price;
mod provider;
pub mod render;
mod rule;
mod shown;
mod text;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::types::{Plan, Policy};
use crate::base::Usd;
use changes::Changes;
use place::Place;

/// What differs between two plans.
#[derive(Debug, Clone, PartialEq)]
pub struct Diff {
    /// The changes, in the order of the spec's sections.
    pub changes: Vec<Change>,
    patch: Value,
}

/// One change: an entry added or removed as a whole, or one value that differs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Change {
    /// JSON pointer into [`Plan::model`]: of the base for what was removed, else of the new plan.
    pub pointer: String,
    /// The same place for people: `models.fast.targets[openai/gpt-4o-mini].weight`.
    pub path: String,
    /// What happened to it.
    pub action: Action,
    /// The old value. Secrets are references, digests of keys are shortened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Value>,
    /// The new value, likewise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<Value>,
    /// What happened, in a few words: `1 → 3`, `removed`, `rotated (1 added, old one until 2026-12-01)`.
    pub summary: String,
    /// Whether a running gateway can take it.
    pub impact: Impact,
    /// How much can go wrong.
    pub risk: Risk,
    /// The consequence, where there is something to say. What the user wrote stands between backticks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// What happened to a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// It is new.
    Added,
    /// It is gone.
    Removed,
    /// It is another one, or stands elsewhere.
    Changed,
}

/// Whether a running gateway can take a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Impact {
    /// It takes effect with the swap of the table.
    Live,
    /// A running gateway refuses it; it takes effect with the next start.
    NeedsRestart,
}

/// How much can go wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Risk {
    /// Requests are served as before.
    None,
    /// Requests are served a little differently, or more are.
    Low,
    /// Requests may be served by something else, or fail where they did not.
    Medium,
    /// Clients are refused, or something is opened.
    High,
}

impl Risk {
    /// Returns the word: `none`, `low`, `medium` or `high`.
    pub const fn word(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
        }
    }
}

/// What a running gateway cannot change, as pointers into the model. The schema marks the same fields with `x-hot: false`.
pub const RESTART_ONLY: &[&str] = &["/gateway/listen", "/gateway/admin", "/gateway/state", "/gateway/tls", "/gateway/limits/connections"];

impl Change {
    /// Returns the pointer to this change's place in the spec, whose layout differs from the model's in few places.
    pub fn spec_pointer(&self) -> String {
        let pointer = self.pointer.replacen("/gateway/admin/tcp", "/gateway/admin", 1);
        let pointer = pointer.replacen("/telemetry/alert_webhook", "/telemetry/alerts/webhook", 1);
        match pointer.strip_prefix("/rules/").and_then(|rest| rest.split_once("/action")) {
            Some((index, inner)) => format!("/rules/{index}{inner}"),
            None => pointer,
        }
    }
}

/// Compares two plans. About a microsecond per entry, more for what differs.
pub fn diff(base: &Plan, new: &Plan) -> Diff {
    let mut out = Changes::new(base, new);
    // Taken apart, so that a new section cannot be forgotten.
    let Plan { gateway, providers, models, rules, teams, virtual_keys, budgets, prices, telemetry, policy } = base;
    gateway::gateway(&mut out, gateway, &new.gateway);
    out.entries(&Place::section("providers"), providers, &new.providers);
    out.entries(&Place::section("models"), models, &new.models);
    rule::rules(&mut out, rules, &new.rules);
    out.entries(&Place::section("teams"), teams, &new.teams);
    out.entries(&Place::section("virtual_keys"), virtual_keys, &new.virtual_keys);
    out.entries(&Place::section("budgets"), budgets, &new.budgets);
    out.entries(&Place::section("prices"), prices, &new.prices);
    gateway::telemetry(&mut out, telemetry, &new.telemetry);
    policy::policy(&mut out, policy, &new.policy);
    let mut diff = Diff { changes: out.into_list(), patch: patch::patch(&base.model(), &new.model()) };
    diff.judge(policy);
    diff
}

impl Diff {
    /// Gives changes the risk that a policy says they have; its first rule that fits holds. What is said of the policy itself stays.
    pub fn judge(&mut self, policy: &Policy) {
        policy::judge(policy, &mut self.changes);
    }

    /// Says of budgets that become smaller what is spent of them in the running window, by their names as `budget status` has them: a shared
    /// one's own, or `key:NAME per PERIOD` and `team:NAME per PERIOD`.
    pub fn note_spent(&mut self, spent: impl Fn(&str) -> Option<Usd>) {
        budget::note_spent(&mut self.changes, spent);
    }

    /// Returns whether nothing differs.
    pub const fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// Returns the changes that a running gateway refuses.
    pub fn needs_restart(&self) -> Vec<&Change> {
        self.changes.iter().filter(|change| change.impact == Impact::NeedsRestart).collect()
    }

    /// Returns the highest risk among the changes; [`Risk::None`] without any.
    pub fn risk(&self) -> Risk {
        self.changes.iter().map(|change| change.risk).max().unwrap_or(Risk::None)
    }

    /// Counts the changes of one kind.
    pub fn count(&self, action: Action) -> usize {
        self.changes.iter().filter(|change| change.action == action).count()
    }

    /// Returns one line: `0 to add, 3 to change, 1 to remove`.
    pub fn summary(&self) -> String {
        let [added, changed, removed] = [Action::Added, Action::Changed, Action::Removed].map(|action| self.count(action));
        format!("{added} to add, {changed} to change, {removed} to remove")
    }

    /// Returns the diff for machines: `{version, changes, risk, summary, counts, needs_restart}`. `risk` is null without changes.
    pub fn json(&self) -> Value {
        json!({
            "version": 1,
            "changes": self.changes,
            "risk": if self.is_empty() { None } else { Some(self.risk()) },
            "summary": self.summary(),
            "counts": {
                "add": self.count(Action::Added),
                "change": self.count(Action::Changed),
                "remove": self.count(Action::Removed),
            },
            "needs_restart": self.needs_restart().iter().map(|change| &change.path).collect::<Vec<_>>(),
        })
    }

    /// Reads what [`Diff::json`] wrote, as the admin API sends it. Such a diff has no patch.
    ///
    /// # Errors
    /// What is not a diff of version 1.
    pub fn from_json(value: &Value) -> Result<Self, serde_json::Error> {
        #[derive(Deserialize)]
        struct Wire {
            version: u32,
            changes: Vec<Change>,
        }
        let wire = Wire::deserialize(value)?;
        if wire.version != 1 {
            return Err(serde::de::Error::custom(format!("a diff of version {} is from a newer gateway", wire.version)));
        }
        Ok(Self { changes: wire.changes, patch: Value::Null })
    }

    /// Returns the RFC 6902 patch from the base's [`Plan::model`] to the new one's; null for a diff that was read from JSON.
    ///
    /// It is exact, down to order that means nothing, so it may hold operations where there are no changes; and it holds the digests of
    /// keys in full, so it is for machines.
    pub fn patch(&self) -> Value {
        self.patch.clone()
    }
}
