//! What is known about credentials and targets from their answers. State, not spec: it outlives tables and is keyed by names.
//!
//! It decides nothing about who is tried; `decide` reads it, the pipeline reports to it. Rule: time and jitter are arguments; times are
//! monotonic milliseconds of one clock; reading takes no lock.

mod breaker;
mod credential;
mod load;
mod places;
mod reach;
mod resting;
mod times;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

pub use breaker::{Admit, Breaker, BreakerSnapshot, BreakerState, Probe};
pub use credential::{CredentialHealth, CredentialState, Reason};
pub use load::{Answered, Load, LoadSnapshot, Running};
pub use places::{Ear, InVain, Place, Places, PlacesSnapshot, Ticket, Whose};
pub use reach::Reach;
pub use times::{Timed, Times};

use crate::base::Digest;
use crate::plan::Concurrency;

/// The health of every credential and target, for the life of the process.
///
/// Asking for a state that is not known yet makes it, beside those that are: a table that is built and never served changes nothing for
/// the one that runs, and leaves with the next [`Health::retain`].
#[derive(Debug, Default)]
pub struct Health {
    /// By provider, name and fingerprint. Guards the map alone; taken when a table is built, never for a request.
    credentials: Mutex<HashMap<(String, String, Digest), Arc<CredentialHealth>>>,
    /// By provider and model. Guards the map alone, as above.
    targets: Mutex<HashMap<(String, String), Arc<TargetHealth>>>,
    /// By provider and address, for as long as a table holds it. Guards the map alone, as above.
    reaches: Mutex<HashMap<String, Weak<Reach>>>,
}

/// What is known of one target.
#[derive(Debug, Default)]
pub struct TargetHealth {
    /// Whether it takes requests.
    pub breaker: Arc<Breaker>,
    /// How busy, how quick and how good it is.
    pub load: Arc<Load>,
    /// How long its answers take, where somebody wants to know.
    pub times: Times,
    /// The attempts that run with each credential, by its name, where their number is limited. Guards the map alone; taken when a table is built.
    places: Mutex<HashMap<String, Arc<Places>>>,
}

impl TargetHealth {
    /// Returns the places of attempts with a credential; those that are known already, whatever their bounds were. Those that neither a table nor an
    /// attempt holds are forgotten.
    pub fn places(&self, credential: &str, bounds: Concurrency) -> Arc<Places> {
        let mut known = lock(&self.places);
        known.retain(|_, places| Arc::strong_count(places) > 1);
        Arc::clone(known.entry(credential.to_owned()).or_insert_with(|| Arc::new(Places::new(bounds))))
    }
}

impl Health {
    /// Returns a credential's state. `fingerprint` covers what decides whether the upstream accepts it (see
    /// [`super::Ready::fingerprint`]): with another one the state is another, so that a replaced secret is tried at once.
    pub fn credential(&self, provider: &str, credential: &str, fingerprint: Digest) -> Arc<CredentialHealth> {
        Arc::clone(lock(&self.credentials).entry((provider.to_owned(), credential.to_owned(), fingerprint)).or_default())
    }

    /// Returns a target's state.
    pub fn target(&self, provider: &str, model: &str) -> Arc<TargetHealth> {
        Arc::clone(lock(&self.targets).entry((provider.to_owned(), model.to_owned())).or_default())
    }

    /// Returns what checks of a provider at an address have found.
    pub fn reach(&self, provider: &str) -> Arc<Reach> {
        let mut reaches = lock(&self.reaches);
        reaches.retain(|_, reach| reach.strong_count() > 0);
        let known = reaches.get(provider).and_then(Weak::upgrade);
        known.unwrap_or_else(|| {
            let new = Arc::default();
            reaches.insert(provider.to_owned(), Arc::downgrade(&new));
            new
        })
    }

    /// Forgets what is not kept: credentials by provider, name and state, targets by provider and model. Whoever still holds a state keeps
    /// it for itself; when the same is asked for again, it starts anew.
    pub fn retain(&self, keep_credential: impl Fn(&str, &str, &Arc<CredentialHealth>) -> bool, keep_target: impl Fn(&str, &str) -> bool) {
        lock(&self.credentials).retain(|(provider, name, _), state| keep_credential(provider, name, state));
        lock(&self.targets).retain(|(provider, model), _| keep_target(provider, model));
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
            target.breaker.failure(0, 1, 0.0);
        }
        assert!(matches!(health.target("openai", "gpt").breaker.admits(2), Admit::No { .. }));
        assert_eq!(health.target("groq", "gpt").breaker.admits(2), Admit::Yes, "keyed by provider and model");
    }

    #[test]
    fn what_checks_found_lasts_as_long_as_a_table_holds_it() {
        let health = Health::default();
        let (first, again) = (health.reach("far"), health.reach("far"));
        assert!(Arc::ptr_eq(&first, &again) && !Arc::ptr_eq(&first, &health.reach("elsewhere")));
        (0..2).for_each(|_| _ = first.note(false));
        assert!(health.reach("far").is_away());
        drop((first, again));
        assert!(!health.reach("far").is_away(), "nobody held it: it begins anew");
        assert_eq!(lock(&health.reaches).len(), 1, "and nothing else is kept");
    }

    #[test]
    fn places_last_as_long_as_a_table_or_an_attempt_holds_them() {
        let (target, bounds) = (TargetHealth::default(), Concurrency { min: 1, max: 1 });
        let (of_one, of_other) = (target.places("one", bounds), target.places("other", bounds));
        let attempt = of_other.take(bounds, 0).unwrap();
        drop((of_one, of_other));
        assert_eq!(target.places("other", bounds).snapshot(0).running, 1, "its table is gone, and it still runs");
        assert_eq!(lock(&target.places).len(), 1);
        drop(attempt);
        assert_eq!(target.places("other", bounds).snapshot(0).running, 0);
    }

    #[test]
    fn what_is_asked_for_changes_nothing_for_others_and_what_is_not_kept_starts_anew() {
        let health = Health::default();
        let (first, second) = (Digest::of(b"one"), Digest::of(b"two"));
        let running = health.credential("openai", "main", first);
        running.refuse(0);
        drop(health.credential("openai", "main", second));
        assert!(Arc::ptr_eq(&health.credential("openai", "main", first), &running), "as if nobody had asked for another");
        let target = health.target("openai", "gpt");
        drop(health.target("openai", "mini"));

        health.retain(|_, _, state| Arc::ptr_eq(state, &running), |_, model| model == "gpt");
        assert_eq!((lock(&health.credentials).len(), lock(&health.targets).len()), (1, 1));
        assert!(Arc::ptr_eq(&health.credential("openai", "main", first), &running));
        assert!(Arc::ptr_eq(&health.target("openai", "gpt"), &target));

        health.retain(|_, _, _| false, |_, _| false);
        assert_eq!(health.credential("openai", "main", first).overall(1), CredentialState::Ready);
        assert!(!Arc::ptr_eq(&health.target("openai", "gpt"), &target));
    }
}
