//! Something that is good for a time and costs a call: kept, and fetched again before its end, by one request at a time.
//!
//! Rule: while the old one is good, nobody waits for the new one but the request that fetches it, and a failure to fetch harms nobody.

use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Semaphore;

use crate::error::{GatewayError, Kind};

/// How long before its end a new one is fetched at most, in milliseconds; with a short life, at the last quarter of it.
const EARLY_MS: u64 = 300_000;
/// How long before its end it is no longer used, so that a request which carries it arrives in time.
const MARGIN_MS: u64 = 5_000;
/// How long a failure to fetch is left alone while the old one is good.
const PAUSE_MS: u64 = 10_000;
/// A younger one is not forgotten: fetching it again would give the same answer, and a provider that refuses all would cost two calls for
/// each request.
const LEAST_AGE_MS: u64 = 60_000;

/// What was fetched.
#[derive(Debug)]
pub(super) struct Fresh<T> {
    pub(super) value: T,
    /// When it ends, in Unix milliseconds.
    pub(super) end_ms: u64,
}

/// Keeps the value.
#[derive(Debug)]
pub(super) struct Refreshing<T> {
    /// Guards what is known; never held while something is awaited.
    state: Mutex<State<T>>,
    /// One permit: whoever holds it fetches.
    turn: Semaphore,
}

#[derive(Debug)]
struct State<T> {
    held: Option<Held<T>>,
    failure: Option<(u64, GatewayError)>,
    /// Fetches so far. Whoever waited for his turn and finds another number takes what that fetch gave.
    round: u64,
}

#[derive(Debug)]
struct Held<T> {
    value: Arc<T>,
    fetched_ms: u64,
    /// From when a new one is fetched.
    due_ms: u64,
    /// From when it is not used.
    stop_ms: u64,
}

impl<T> Default for Refreshing<T> {
    fn default() -> Self {
        Self { state: Mutex::new(State { held: None, failure: None, round: 0 }), turn: Semaphore::new(1) }
    }
}

impl<T> Refreshing<T> {
    /// Returns the value, good at `now_ms` (Unix milliseconds); runs `fetch` where it must, and drops it unpolled where it need not.
    ///
    /// Dropping the future stops the fetch; the next request starts another one.
    ///
    /// # Errors
    /// What `fetch` gives, where there is no value that is still good.
    pub(super) async fn get(
        &self,
        now_ms: u64,
        fetch: impl Future<Output = Result<Fresh<T>, GatewayError>>,
    ) -> Result<Arc<T>, GatewayError> {
        let (good, round) = {
            let state = self.lock();
            let good = state.held.as_ref().filter(|held| now_ms < held.stop_ms);
            let failed_lately = state.failure.as_ref().is_some_and(|(at, _)| now_ms.saturating_sub(*at) < PAUSE_MS);
            match good {
                Some(held) if now_ms < held.due_ms || failed_lately => return Ok(Arc::clone(&held.value)),
                good => (good.map(|held| Arc::clone(&held.value)), state.round),
            }
        };
        if let Some(good) = good {
            let Ok(_turn) = self.turn.try_acquire() else { return Ok(good) };
            if self.lock().round != round {
                return Ok(good);
            }
            return Ok(self.run(now_ms, fetch).await.unwrap_or(good));
        }
        let closed = |_| GatewayError::new(Kind::Internal, "the gateway could not sign the request").detail("nobody fetches any more");
        let _turn = self.turn.acquire().await.map_err(closed)?;
        if let Some(result) = self.result_since(round, now_ms) {
            return result;
        }
        self.run(now_ms, fetch).await
    }

    /// Forgets the value, because it was refused although it should be good. Returns whether there was one to forget.
    pub(super) fn forget(&self, now_ms: u64) -> bool {
        let is_old = |held: &mut Held<T>| now_ms.saturating_sub(held.fetched_ms) >= LEAST_AGE_MS;
        self.lock().held.take_if(is_old).is_some()
    }

    /// Returns what another request's fetch gave since `round`.
    fn result_since(&self, round: u64, now_ms: u64) -> Option<Result<Arc<T>, GatewayError>> {
        let state = self.lock();
        if state.round == round {
            return None;
        }
        match (&state.held, &state.failure) {
            (Some(held), _) if now_ms < held.stop_ms => Some(Ok(Arc::clone(&held.value))),
            (_, Some((_, failure))) => Some(Err(failure.clone())),
            (_, None) => None,
        }
    }

    async fn run(&self, now_ms: u64, fetch: impl Future<Output = Result<Fresh<T>, GatewayError>>) -> Result<Arc<T>, GatewayError> {
        let fetched = fetch.await;
        let mut state = self.lock();
        state.round += 1;
        match fetched {
            Ok(Fresh { value, end_ms }) => {
                let value = Arc::new(value);
                let early = (end_ms.saturating_sub(now_ms) / 4).min(EARLY_MS);
                state.failure = None;
                state.held = Some(Held {
                    value: Arc::clone(&value),
                    fetched_ms: now_ms,
                    due_ms: end_ms.saturating_sub(early),
                    stop_ms: end_ms.saturating_sub(MARGIN_MS),
                });
                Ok(value)
            }
            Err(failure) => {
                state.failure = Some((now_ms, failure.clone()));
                Err(failure)
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use tokio::sync::Notify;

    use super::*;

    const HOUR: u64 = 3_600_000;

    async fn fresh(value: u64, end_ms: u64) -> Result<Fresh<u64>, GatewayError> {
        Ok(Fresh { value, end_ms })
    }

    async fn failing() -> Result<Fresh<u64>, GatewayError> {
        Err(GatewayError::new(Kind::UpstreamConnect, "no"))
    }

    async fn never() -> Result<Fresh<u64>, GatewayError> {
        panic!("nothing is fetched");
    }

    #[tokio::test]
    async fn a_value_is_kept_and_fetched_again_five_minutes_before_its_end() {
        let kept = Refreshing::default();
        assert_eq!(*kept.get(0, fresh(1, HOUR)).await.unwrap(), 1);
        assert_eq!(*kept.get(HOUR - 300_001, never()).await.unwrap(), 1);
        assert_eq!(*kept.get(HOUR - 300_000, fresh(2, 2 * HOUR)).await.unwrap(), 2);
        assert_eq!(*kept.get(HOUR, never()).await.unwrap(), 2);
    }

    #[tokio::test]
    async fn a_failure_harms_nobody_while_the_old_value_is_good_and_is_left_alone_for_a_while() {
        let kept = Refreshing::default();
        kept.get(0, fresh(1, HOUR)).await.unwrap();
        let due = HOUR - 300_000;
        assert_eq!(*kept.get(due, failing()).await.unwrap(), 1);
        assert_eq!(*kept.get(due + 9_999, never()).await.unwrap(), 1);
        assert_eq!(*kept.get(due + 10_000, fresh(2, 2 * HOUR)).await.unwrap(), 2);
        // Near its end it is not used, whatever happens.
        assert_eq!(kept.get(2 * HOUR - 5_000, failing()).await.unwrap_err().kind, Kind::UpstreamConnect);
    }

    #[tokio::test]
    async fn a_short_life_is_not_fetched_for_every_request() {
        let kept = Refreshing::default();
        kept.get(0, fresh(1, 60_000)).await.unwrap();
        assert_eq!(*kept.get(44_999, never()).await.unwrap(), 1);
        assert_eq!(*kept.get(45_000, fresh(2, 120_000)).await.unwrap(), 2);
    }

    #[tokio::test]
    async fn what_was_refused_is_forgotten_unless_it_is_new() {
        let kept = Refreshing::default();
        kept.get(0, fresh(1, HOUR)).await.unwrap();
        assert!(!kept.forget(59_999));
        assert_eq!(*kept.get(59_999, never()).await.unwrap(), 1);
        assert!(kept.forget(60_000));
        assert_eq!(*kept.get(60_000, fresh(2, HOUR)).await.unwrap(), 2);
    }

    /// Starts ten requests at once, the first of which fetches until it is let go.
    async fn together(fetched: impl Fn(u64) -> Result<Fresh<u64>, GatewayError>) -> (u64, Vec<Result<u64, Kind>>) {
        let (kept, calls, go) = (Refreshing::default(), AtomicU64::new(0), Notify::new());
        let one = |_| async {
            let fetch = async {
                let number = calls.fetch_add(1, Ordering::SeqCst);
                go.notified().await;
                fetched(number)
            };
            kept.get(0, fetch).await.map(|value| *value).map_err(|failure| failure.kind)
        };
        let all = futures_util::future::join_all((0..10).map(one));
        let release = async { go.notify_one() };
        let (told, ()) = tokio::join!(all, release);
        (calls.load(Ordering::SeqCst), told)
    }

    #[tokio::test]
    async fn requests_that_come_together_share_one_fetch_and_one_failure() {
        assert_eq!(together(|value| Ok(Fresh { value, end_ms: HOUR })).await, (1, vec![Ok(0); 10]));
        let failed = together(|_| Err(GatewayError::new(Kind::UpstreamConnect, "no"))).await;
        assert_eq!(failed, (1, vec![Err(Kind::UpstreamConnect); 10]));
    }

    #[tokio::test]
    async fn a_request_that_leaves_does_not_keep_the_others_from_fetching() {
        let kept = Refreshing::default();
        let leaves = tokio::time::timeout(std::time::Duration::ZERO, kept.get(0, std::future::pending()));
        assert!(leaves.await.is_err());
        assert_eq!(*kept.get(0, fresh(1, HOUR)).await.unwrap(), 1);
    }
}
