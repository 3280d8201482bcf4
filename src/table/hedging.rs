//! How often an alias may ask twice: a count of what its requests have earned and its second tries have used.

use std::sync::atomic::{AtomicU32, Ordering};

use crate::plan::TrafficShare;

/// What one second try costs; a request earns the share of it that the spec allows, in hundredths of a percent.
const ONE: u32 = TrafficShare::ALL as u32;
/// The most that is saved up: ten second tries.
const MOST: u32 = 10 * ONE;

/// What the requests of one alias have earned. By no chance: of any N requests in a row, at most the share of N, and ten, are asked twice.
#[derive(Debug, Default)]
pub struct Hedging(AtomicU32);

impl Hedging {
    /// Counts a request.
    pub fn earn(&self, share: TrafficShare) {
        self.add(u32::from(share.basis_points()));
    }

    /// Takes what a second try costs, if that is there.
    pub fn spend(&self) -> bool {
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |earned| earned.checked_sub(ONE)).is_ok()
    }

    /// Gives back what was taken for a second try that was not made.
    pub fn give_back(&self) {
        self.add(ONE);
    }

    fn add(&self, earned: u32) {
        // It always has a next value.
        let _ = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |known| Some(known.saturating_add(earned).min(MOST)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_any_run_of_requests_no_more_than_the_share_and_ten_are_asked_twice() {
        for (points, requests) in [(200_u16, 1_000), (1, 30_000), (5_000, 100)] {
            let (share, hedging) = (TrafficShare::from_basis_points(points), Hedging::default());
            let ask = |wants: bool| {
                hedging.earn(share);
                usize::from(wants && hedging.spend())
            };
            let slow: usize = (0..requests).map(|_| ask(true)).sum();
            assert_eq!(slow, requests * usize::from(points) / 10_000, "from the first request on");
            (0..100_000).for_each(|_| _ = ask(false));
            let after_a_quiet_time: usize = (0..requests).map(|_| ask(true)).sum();
            assert!(after_a_quiet_time <= requests * usize::from(points) / 10_000 + 10, "{after_a_quiet_time} of {requests}");
        }
    }

    #[test]
    fn what_was_not_made_is_given_back() {
        let hedging = Hedging::default();
        assert!(!hedging.spend());
        (0..50).for_each(|_| hedging.earn(TrafficShare::from_basis_points(200)));
        assert!(hedging.spend() && !hedging.spend());
        hedging.give_back();
        assert!(hedging.spend());
    }
}
