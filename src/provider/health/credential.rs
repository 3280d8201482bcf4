//! One credential: ready, cooling after a 429, or out.

use std::sync::atomic::{AtomicU64, Ordering};

use serde::{Deserialize, Serialize};

/// Cooling after a 429 that names no delay.
const COOL_DEFAULT_MS: u64 = 10_000;
/// Longest cooling: a provider that asks for an hour is asked again sooner, once.
const COOL_CAP_MS: u64 = 300_000;
/// How long a credential without money is left alone.
const QUOTA_MS: u64 = 600_000;

/// Why a credential is not ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// The upstream answered 429.
    RateLimit,
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

/// The state of one credential. Lock-free: the state is one word, so that a reader never sees half of a change.
#[derive(Debug, Default)]
pub struct CredentialHealth {
    /// `until_ms << 2 | reason`; 0 is ready.
    word: AtomicU64,
    /// When the state was last made worse. A success that began before then proves nothing.
    since_ms: AtomicU64,
}

/// The largest time that fits beside a reason; stands for "until the spec or the secret changes".
const FOREVER_MS: u64 = u64::MAX >> 2;

const fn pack(until_ms: u64, reason: Reason) -> u64 {
    let until_ms = if until_ms > FOREVER_MS { FOREVER_MS } else { until_ms };
    let code = match reason {
        Reason::RateLimit => 1,
        Reason::Quota => 2,
        Reason::Auth => 3,
    };
    until_ms << 2 | code
}

impl CredentialHealth {
    /// Returns what the credential can do now. One atomic load.
    pub fn state(&self, now_ms: u64) -> CredentialState {
        let word = self.word.load(Ordering::Acquire);
        let until_ms = word >> 2;
        if until_ms <= now_ms {
            return CredentialState::Ready;
        }
        match word & 3 {
            1 => CredentialState::Cooling { until_ms, reason: Reason::RateLimit },
            2 => CredentialState::Out { until_ms: Some(until_ms), reason: Reason::Quota },
            3 => CredentialState::Out { until_ms: None, reason: Reason::Auth },
            _ => CredentialState::Ready,
        }
    }

    /// Cools the credential after a 429, for what the upstream asked (10 s when it did not say; at most 300 s). Never shortens a wait.
    pub fn cool(&self, now_ms: u64, retry_after_ms: Option<u64>) {
        let wait = retry_after_ms.unwrap_or(COOL_DEFAULT_MS).min(COOL_CAP_MS);
        self.worsen(now_ms, pack(now_ms.saturating_add(wait), Reason::RateLimit));
    }

    /// Takes the credential out for ten minutes: its account has no money left.
    pub fn exhaust(&self, now_ms: u64) {
        self.worsen(now_ms, pack(now_ms.saturating_add(QUOTA_MS), Reason::Quota));
    }

    /// Takes the credential out until the spec or the secret changes: the upstream refused it.
    pub fn refuse(&self, now_ms: u64) {
        self.worsen(now_ms, pack(FOREVER_MS, Reason::Auth));
    }

    /// Records that the upstream accepted a request that began at `started_ms`: whatever was held against the credential before then is
    /// over. What was learnt since stays.
    pub fn success(&self, started_ms: u64) {
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

    /// Describes the state for status and metrics.
    pub fn snapshot(&self, now_ms: u64) -> CredentialSnapshot {
        let left = |until_ms: u64| Some(until_ms.saturating_sub(now_ms));
        match self.state(now_ms) {
            CredentialState::Ready => CredentialSnapshot::Ready,
            CredentialState::Cooling { until_ms, reason } => CredentialSnapshot::Cooling { reason, for_ms: left(until_ms) },
            CredentialState::Out { until_ms, reason } => CredentialSnapshot::Out { reason, for_ms: until_ms.and_then(left) },
        }
    }
}

/// A credential's state as `status` shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum CredentialSnapshot {
    /// In use.
    Ready,
    /// Waiting after a 429.
    Cooling {
        /// Why.
        reason: Reason,
        /// Milliseconds left.
        for_ms: Option<u64>,
    },
    /// Not in use.
    Out {
        /// Why.
        reason: Reason,
        /// Milliseconds left; absent when only a change of the spec or the secret helps.
        #[serde(skip_serializing_if = "Option::is_none")]
        for_ms: Option<u64>,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: Reason = Reason::RateLimit;

    #[test]
    fn cooling_lasts_as_long_as_the_upstream_asked_within_its_bounds() {
        for (asked, waits) in [(None, 10_000), (Some(0), 0), (Some(2_500), 2_500), (Some(9_000_000), 300_000), (Some(u64::MAX), 300_000)] {
            let health = CredentialHealth::default();
            health.cool(1_000, asked);
            if waits > 0 {
                assert_eq!(
                    health.state(1_000 + waits - 1),
                    CredentialState::Cooling { until_ms: 1_000 + waits, reason: RATE },
                    "{asked:?}"
                );
            }
            assert_eq!(health.state(1_000 + waits), CredentialState::Ready, "{asked:?}");
        }
    }

    #[test]
    fn the_longer_wait_wins_and_a_refusal_outlives_everything_but_success() {
        let health = CredentialHealth::default();
        health.exhaust(0);
        health.cool(10, Some(1_000));
        assert_eq!(health.state(20), CredentialState::Out { until_ms: Some(600_000), reason: Reason::Quota });
        health.refuse(30);
        health.exhaust(40);
        assert_eq!(health.state(u64::MAX >> 3), CredentialState::Out { until_ms: None, reason: Reason::Auth });
        health.success(40);
        assert_eq!(health.state(50), CredentialState::Ready);
    }

    #[test]
    fn a_success_that_began_before_the_429_does_not_end_the_cooling() {
        let health = CredentialHealth::default();
        health.cool(1_000, Some(60_000));
        health.success(900);
        assert!(matches!(health.state(1_100), CredentialState::Cooling { .. }));
        health.success(1_000);
        assert_eq!(health.state(1_100), CredentialState::Ready);
    }
}
