//! Forgets lines of the book that are older than the spec keeps them.
//!
//! Rule: never much at once, and never by a clock that went wrong while the process ran: what is forgotten does not come back.

use std::sync::{Arc, Weak};
use std::time::Duration;

use super::shared::Shared;

/// How often it is looked for old lines.
const EVERY: Duration = Duration::from_secs(60);
/// Between two steps, in which others write.
const PAUSE: Duration = Duration::from_millis(20);
/// How far the clock may have moved by itself since the start: more than time zones are apart.
const DRIFT_MS: u64 = 26 * 3_600_000;

/// Forgets, step by step, as long as the gateway runs.
pub(super) async fn run(shared: Weak<Shared>) {
    loop {
        tokio::time::sleep(EVERY).await;
        while let Some(shared) = shared.upgrade() {
            match step(&shared).await {
                Ok(true) => {}
                Ok(false) => break,
                Err(error) => {
                    tracing::warn!(%error, "old lines of the book could not be folded; it is tried again");
                    break;
                }
            }
            drop(shared);
            tokio::time::sleep(PAUSE).await;
        }
        if shared.strong_count() == 0 {
            return;
        }
    }
}

/// Folds some lines; says whether there may be more.
async fn step(shared: &Arc<Shared>) -> Result<bool, crate::store::book::BookError> {
    let keeps_ms = shared.current().plan.gateway.retention.as_millis();
    let before_ms = horizon(shared.started, (shared.clock.unix_ms(), shared.clock.monotonic_ms()), keeps_ms);
    shared.book.forget(before_ms).await
}

/// Returns the time before which lines are forgotten. Both moments: by the calendar, and monotonic. Milliseconds.
fn horizon(started: (u64, u64), now: (u64, u64), keeps_ms: u64) -> u64 {
    let by_running = started.0.saturating_add(now.1.saturating_sub(started.1)).saturating_add(DRIFT_MS);
    now.0.min(by_running).saturating_sub(keeps_ms)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_jumps_ahead_forgets_nothing_that_is_kept() {
        const DAY: u64 = 86_400_000;
        let started = (1_000 * DAY, 5);
        assert_eq!(horizon(started, (1_010 * DAY, 5 + 10 * DAY), 400 * DAY), 610 * DAY);
        assert_eq!(horizon(started, (9_999 * DAY, 5 + 10 * DAY), 400 * DAY), 610 * DAY + DRIFT_MS);
        assert_eq!(horizon(started, (0, 5), 400 * DAY), 0);
    }
}
