//! Whether a provider answers when it is only asked whether it is there.

use std::sync::atomic::{AtomicU32, Ordering};

/// Checks in a row that fail before a provider counts as away; one that succeeds ends it.
const IN_A_ROW: u32 = 2;

/// What checks have found. A provider that is not checked is there.
#[derive(Debug, Default)]
pub struct Reach {
    failures: AtomicU32,
}

impl Reach {
    /// Returns whether the provider is away.
    pub fn is_away(&self) -> bool {
        self.failures.load(Ordering::Acquire) >= IN_A_ROW
    }

    /// Notes a check; returns whether that changed anything.
    pub fn note(&self, answered: bool) -> bool {
        let before = match answered {
            true => self.failures.swap(0, Ordering::AcqRel),
            false => {
                self.failures.fetch_update(Ordering::AcqRel, Ordering::Acquire, |count| Some(count.saturating_add(1))).unwrap_or_default()
            }
        };
        (before >= IN_A_ROW) != self.is_away()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_failures_in_a_row_mean_away_and_one_answer_means_there() {
        let reach = Reach::default();
        assert_eq!([false, true, false].map(|answered| reach.note(answered)), [false; 3]);
        assert!(!reach.is_away());
        assert!(reach.note(false) && reach.is_away(), "the second in a row");
        assert!(!reach.note(false) && reach.is_away());
        assert!(reach.note(true) && !reach.is_away());
    }
}
