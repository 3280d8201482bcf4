//! What is known about credentials and targets from their answers. State, not spec: it outlives tables and is keyed by names.
//!
//! It decides nothing about who is tried; `decide` reads it, the pipeline reports to it. Rule: time and jitter are arguments; times are
//! monotonic milliseconds of one clock; reading takes no lock.

mod breaker;
mod credential;
mod resting;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub use breaker::{Admit, BreakerState, Probe, TargetHealth, TargetSnapshot};
pub use credential::{CredentialHealth, CredentialState, Reason};

use crate::base::Digest;

type Key = (String, String);

/// The health of every credential and target, for the life of the process.
#[derive(Debug, Default)]
pub struct Health {
    /// Guards the map alone; taken when a table is built, never for a request.
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
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
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
        assert_eq!(health.credential("openai", "main", first).overall(1), CredentialState::Out { until_ms: None, reason: Reason::Auth });
        assert_eq!(health.credential("openai", "main", Digest::of(b"two")).overall(1), CredentialState::Ready);
        assert_eq!(state.overall(1), CredentialState::Out { until_ms: None, reason: Reason::Auth }, "running requests keep what they know");

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
        assert_eq!(lock(&health.targets).keys().map(|(provider, _)| provider.as_str()).collect::<Vec<_>>(), ["a"]);
        assert!(lock(&health.credentials).is_empty());
        drop(held);
    }
}
