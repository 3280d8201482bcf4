//! What is known about credentials and targets from their answers. State, not spec: it outlives tables and is keyed by names.
//!
//! It decides nothing about who is tried; `decide` reads it, the pipeline reports to it. Rule: time and jitter are arguments; times are
//! monotonic milliseconds of one clock; reading takes no lock.

mod breaker;
mod credential;

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

pub use breaker::{Admit, BreakerState, Probe, TargetHealth, TargetSnapshot};
pub use credential::{CredentialHealth, CredentialSnapshot, CredentialState, Reason};

use crate::base::Digest;

type Key = (String, String);

/// The health of every credential and target, for the life of the process.
#[derive(Debug, Default)]
pub struct Health {
    /// Guards the map alone; taken when a table is built and for snapshots, never for a request.
    credentials: Mutex<HashMap<Key, (Digest, Arc<CredentialHealth>)>>,
    /// Guards the map alone, as above.
    targets: Mutex<HashMap<Key, Arc<TargetHealth>>>,
}

impl Health {
    /// Returns a credential's state. `fingerprint` covers what decides whether the upstream accepts it (see
    /// [`super::credential_fingerprint`]): when it differs, the state starts anew, so that a replaced secret is tried at once.
    pub fn credential(&self, provider: &str, credential: &str, fingerprint: Digest) -> Arc<CredentialHealth> {
        let mut credentials = lock(&self.credentials);
        let key = (provider.to_owned(), credential.to_owned());
        let (known, state) = credentials.entry(key).or_insert_with(|| (fingerprint, Arc::default()));
        if *known != fingerprint {
            *known = fingerprint;
            *state = Arc::default();
        }
        Arc::clone(state)
    }

    /// Returns a target's breaker.
    pub fn target(&self, provider: &str, model: &str) -> Arc<TargetHealth> {
        Arc::clone(lock(&self.targets).entry((provider.to_owned(), model.to_owned())).or_default())
    }

    /// Forgets what no table uses any more. Called after a change of the spec, so that removed targets leave status and metrics.
    pub fn sweep(&self) {
        lock(&self.credentials).retain(|_, (_, state)| Arc::strong_count(state) > 1);
        lock(&self.targets).retain(|_, state| Arc::strong_count(state) > 1);
    }

    /// Describes everything, sorted by name.
    pub fn snapshot(&self, now_ms: u64) -> HealthSnapshot {
        let credentials = sorted(&lock(&self.credentials), |(_, state)| state.snapshot(now_ms));
        let targets = sorted(&lock(&self.targets), |state| state.snapshot(now_ms));
        HealthSnapshot {
            credentials: credentials.into_iter().map(|((provider, name), state)| CredentialEntry { provider, name, state }).collect(),
            targets: targets.into_iter().map(|((provider, model), state)| TargetEntry { provider, model, state }).collect(),
        }
    }
}

fn sorted<K: Clone + Ord + Hash, V, S>(map: &HashMap<K, V>, describe: impl Fn(&V) -> S) -> Vec<(K, S)> {
    let mut all: Vec<(K, S)> = map.iter().map(|(key, value)| (key.clone(), describe(value))).collect();
    all.sort_by(|(left, _), (right, _)| left.cmp(right));
    all
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Everything that [`Health`] knows at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HealthSnapshot {
    /// Credentials.
    pub credentials: Vec<CredentialEntry>,
    /// Targets.
    pub targets: Vec<TargetEntry>,
}

/// One credential.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CredentialEntry {
    /// The provider's name.
    pub provider: String,
    /// The credential's name.
    pub name: String,
    /// Its state.
    #[serde(flatten)]
    pub state: CredentialSnapshot,
}

/// One target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TargetEntry {
    /// The provider's name.
    pub provider: String,
    /// The model's name upstream.
    pub model: String,
    /// Its state.
    #[serde(flatten)]
    pub state: TargetSnapshot,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn state_outlives_a_table_and_a_changed_fingerprint_starts_anew() {
        let health = Health::default();
        let first = Digest::of(b"one");
        let state = health.credential("openai", "main", first);
        state.refuse(0);
        assert_eq!(health.credential("openai", "main", first).state(1), CredentialState::Out { until_ms: None, reason: Reason::Auth });
        assert_eq!(health.credential("openai", "main", Digest::of(b"two")).state(1), CredentialState::Ready);
        assert_eq!(state.state(1), CredentialState::Out { until_ms: None, reason: Reason::Auth }, "running requests keep what they know");

        let target = health.target("openai", "gpt");
        for _ in 0..5 {
            target.failure(0, 1, 0.0);
        }
        assert!(matches!(health.target("openai", "gpt").admits(2), Admit::No { .. }));
        assert_eq!(health.target("groq", "gpt").admits(2), Admit::Yes, "keyed by provider and model");
    }

    #[test]
    fn a_sweep_forgets_only_what_nobody_holds() {
        let health = Health::default();
        let held = health.target("a", "m");
        drop(health.target("b", "m"));
        drop(health.credential("b", "k", Digest::of(b"x")));
        health.sweep();
        let snapshot = health.snapshot(0);
        assert_eq!(snapshot.targets.iter().map(|target| target.provider.as_str()).collect::<Vec<_>>(), ["a"]);
        assert!(snapshot.credentials.is_empty());
        drop(held);
    }

    #[test]
    fn the_snapshot_reads_as_status_shows_it() {
        let health = Health::default();
        health.credential("openai", "spare", Digest::of(b"x")).cool(1_000, Some(4_000));
        let target = health.target("openai", "gpt");
        for _ in 0..5 {
            target.failure(900, 1_000, 0.0);
        }
        let value = serde_json::to_value(health.snapshot(2_000)).unwrap();
        assert_eq!(
            value,
            serde_json::json!({
                "credentials": [{"provider": "openai", "name": "spare", "state": "cooling", "reason": "rate_limit", "for_ms": 3_000}],
                "targets": [{"provider": "openai", "model": "gpt", "state": "open", "for_ms": 4_000, "failures_in_a_row": 5,
                    "recent_successes": 0, "recent_failures": 5}]
            })
        );
    }
}
