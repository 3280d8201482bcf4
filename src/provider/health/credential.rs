//! One credential: what it may be used for now.
//!
//! Providers limit rates by model, and grant models one by one: a 429 and a 403 speak of the credential *with a model*. A 401 and an empty
//! account speak of the whole credential.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::breaker::Breaker;
use super::resting::Resting;

/// Cooling after a 429 that names no delay.
const COOL_DEFAULT_MS: u64 = 10_000;
/// Longest cooling: a provider that asks for an hour is asked again sooner, once.
const COOL_CAP_MS: u64 = 300_000;
/// How long a credential without money is left alone.
const QUOTA_MS: u64 = 600_000;
/// How long a credential is not used for a model that it was refused for. Not for ever: what the provider's account may use changes
/// without the spec, and firewalls in front of providers answer 403 in passing.
const FORBIDDEN_MS: u64 = 600_000;
/// How long a credential is not used that the gateway could not sign in with. Short, for a file may be back or a role mended at any time;
/// not nothing, for every request would ask in vain first.
const UNSIGNED_MS: u64 = 30_000;

/// Why a credential is not ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reason {
    /// The upstream answered 429 to the model.
    RateLimit,
    /// The upstream answered 403 to the model, or the gateway could not sign in for it.
    Forbidden,
    /// The upstream's account has no money left.
    Quota,
    /// The upstream refused the credential.
    Auth,
}

/// What a credential can do now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CredentialState {
    /// Use it.
    Ready,
    /// Not before `until_ms`.
    Cooling {
        /// Monotonic milliseconds.
        until_ms: u64,
        /// Why.
        reason: Reason,
    },
    /// Not before `until_ms`; `None`: not before the spec or the secret changes.
    Out {
        /// Monotonic milliseconds.
        until_ms: Option<u64>,
        /// Why.
        reason: Reason,
    },
}

/// The state of one credential. Reading takes no lock: the state of the whole is one word, so that a reader never sees half of a change.
#[derive(Debug, Default)]
pub struct CredentialHealth {
    /// `until_ms << 1 | is_auth`; 0 is ready.
    word: AtomicU64,
    /// When the state was last made worse. A success that began before then proves nothing.
    since_ms: AtomicU64,
    /// Models that it is not used for, while it is ready for others.
    models: Resting,
    /// Whether its account fails where others of the same provider do not. It keeps the credential behind those, never out.
    pub breaker: Arc<Breaker>,
}

/// The largest time that fits beside a reason; stands for "until the spec or the secret changes".
const FOREVER_MS: u64 = u64::MAX >> 1;

const fn state_of(until_ms: u64, reason: Reason) -> CredentialState {
    match reason {
        Reason::RateLimit => CredentialState::Cooling { until_ms, reason },
        Reason::Forbidden | Reason::Quota => CredentialState::Out { until_ms: Some(until_ms), reason },
        Reason::Auth => CredentialState::Out { until_ms: None, reason },
    }
}

impl CredentialHealth {
    /// Returns what the credential can do now for a model. A few atomic loads.
    pub fn state(&self, model: &str, now_ms: u64) -> CredentialState {
        let whole = self.whole(now_ms);
        match (self.models.find(model, now_ms), whole) {
            (None, _) => whole.map_or(CredentialState::Ready, |(until_ms, reason)| state_of(until_ms, reason)),
            // The longer wait is told.
            (Some((until_ms, _)), Some((whole_ms, reason))) if whole_ms >= until_ms => state_of(whole_ms, reason),
            (Some((until_ms, reason)), _) => state_of(until_ms, reason),
        }
    }

    /// Returns what the credential can do now, whatever the model.
    pub fn overall(&self, now_ms: u64) -> CredentialState {
        self.whole(now_ms).map_or(CredentialState::Ready, |(until_ms, reason)| state_of(until_ms, reason))
    }

    /// Lists the models that the credential is not used for now, sorted, whatever its state as a whole.
    pub fn resting(&self, now_ms: u64) -> Vec<(Arc<str>, CredentialState)> {
        self.models.list(now_ms).into_iter().map(|rest| (rest.model, state_of(rest.until_ms, rest.reason))).collect()
    }

    fn whole(&self, now_ms: u64) -> Option<(u64, Reason)> {
        let word = self.word.load(Ordering::Acquire);
        let (until_ms, reason) = (word >> 1, if word & 1 == 0 { Reason::Quota } else { Reason::Auth });
        (until_ms > now_ms).then_some((until_ms, reason))
    }

    /// Cools the credential for a model after a 429, for what the upstream asked (10 s when it did not say; at most 300 s). Never shortens a
    /// wait.
    pub fn cool(&self, model: &str, now_ms: u64, retry_after_ms: Option<u64>) {
        let wait = retry_after_ms.unwrap_or(COOL_DEFAULT_MS).min(COOL_CAP_MS);
        self.models.add(model, now_ms, now_ms.saturating_add(wait), Reason::RateLimit);
    }

    /// Keeps the credential from a model for ten minutes: the upstream refused it with a 403.
    pub fn forbid(&self, model: &str, now_ms: u64) {
        self.models.add(model, now_ms, now_ms.saturating_add(FORBIDDEN_MS), Reason::Forbidden);
    }

    /// Keeps the credential from a model for half a minute: the gateway could not sign in with it.
    pub fn rest(&self, model: &str, now_ms: u64) {
        self.models.add(model, now_ms, now_ms.saturating_add(UNSIGNED_MS), Reason::Forbidden);
    }

    /// Takes the credential out for ten minutes: its account has no money left.
    pub fn exhaust(&self, now_ms: u64) {
        self.worsen(now_ms, now_ms.saturating_add(QUOTA_MS).min(FOREVER_MS) << 1);
    }

    /// Takes the credential out until the spec or the secret changes: the upstream refused it.
    pub fn refuse(&self, now_ms: u64) {
        self.worsen(now_ms, FOREVER_MS << 1 | 1);
    }

    /// Records that the upstream accepted a request for a model that began at `started_ms`: whatever was held against the credential, and
    /// against it with this model, before then is over. What was learnt since stays.
    pub fn success(&self, model: &str, started_ms: u64) {
        self.models.end(model, started_ms);
        let word = self.word.load(Ordering::Acquire);
        if word != 0 && self.since_ms.load(Ordering::Acquire) <= started_ms {
            // A change for the worse that came in between keeps its word.
            let _ = self.word.compare_exchange(word, 0, Ordering::AcqRel, Ordering::Acquire);
        }
    }

    fn worsen(&self, now_ms: u64, word: u64) {
        self.since_ms.fetch_max(now_ms, Ordering::AcqRel);
        // Words order by time first: the longer wait wins, whatever its reason.
        self.word.fetch_max(word, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: Reason = Reason::RateLimit;

    fn out(until_ms: Option<u64>, reason: Reason) -> CredentialState {
        CredentialState::Out { until_ms, reason }
    }

    #[test]
    fn cooling_lasts_as_long_as_the_upstream_asked_within_its_bounds() {
        for (asked, waits) in [(None, 10_000), (Some(0), 0), (Some(2_500), 2_500), (Some(9_000_000), 300_000), (Some(u64::MAX), 300_000)] {
            let health = CredentialHealth::default();
            health.cool("m", 1_000, asked);
            if waits > 0 {
                let cooling = CredentialState::Cooling { until_ms: 1_000 + waits, reason: RATE };
                assert_eq!(health.state("m", 1_000 + waits - 1), cooling, "{asked:?}");
            }
            assert_eq!(health.state("m", 1_000 + waits), CredentialState::Ready, "{asked:?}");
        }
    }

    #[test]
    fn a_429_and_a_403_keep_one_model_out_and_a_401_and_an_empty_account_all() {
        let health = CredentialHealth::default();
        health.cool("a", 0, Some(5_000));
        health.forbid("b", 0);
        assert_eq!(health.state("a", 1), CredentialState::Cooling { until_ms: 5_000, reason: RATE });
        assert_eq!(health.state("b", 1), out(Some(600_000), Reason::Forbidden));
        assert_eq!((health.state("c", 1), health.overall(1)), (CredentialState::Ready, CredentialState::Ready));
        assert_eq!(health.resting(1).iter().map(|(model, _)| &**model).collect::<Vec<_>>(), ["a", "b"]);
        health.exhaust(10);
        for model in ["a", "b", "c"] {
            assert_eq!(health.state(model, 11), out(Some(600_010), Reason::Quota), "{model}");
        }
        assert_eq!(health.state("b", 600_009), out(Some(600_010), Reason::Quota));
        assert_eq!(health.overall(600_010), CredentialState::Ready);
    }

    #[test]
    fn the_longer_wait_wins_and_a_refusal_outlives_everything_but_success() {
        let health = CredentialHealth::default();
        health.exhaust(0);
        health.forbid("m", 10);
        assert_eq!(health.state("m", 20), out(Some(600_010), Reason::Forbidden));
        health.refuse(30);
        health.exhaust(40);
        assert_eq!(health.state("m", u64::MAX >> 3), out(None, Reason::Auth));
        assert_eq!(health.state("m", 50), out(None, Reason::Auth));
        health.success("other", 40);
        assert_eq!((health.state("other", 50), health.state("m", 50)), (CredentialState::Ready, out(Some(600_010), Reason::Forbidden)));
    }

    #[test]
    fn a_success_that_began_before_the_429_does_not_end_the_cooling() {
        let health = CredentialHealth::default();
        health.cool("m", 1_000, Some(60_000));
        health.success("m", 900);
        assert!(matches!(health.state("m", 1_100), CredentialState::Cooling { .. }));
        health.success("m", 1_000);
        assert_eq!(health.state("m", 1_100), CredentialState::Ready);
        health.refuse(2_000);
        health.success("m", 1_900);
        assert_eq!(health.overall(2_100), out(None, Reason::Auth));
    }
}
