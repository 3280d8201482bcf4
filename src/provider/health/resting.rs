//! The models that one credential is not used for just now, and until when.
//!
//! Clients that may name any model of a provider could name without end, so the list is bounded: only models that rest are in it, and of
//! too many the one that is back soonest is forgotten, which costs one attempt more. Rule: reading takes no lock.

use std::sync::Arc;

use arc_swap::ArcSwap;

use super::credential::Reason;

/// Most models of one credential that are remembered.
const MOST: usize = 256;
/// Longest name that is remembered, in bytes. No provider's is half as long.
const LONGEST: usize = 256;

/// One model that rests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Rest {
    pub(super) model: Arc<str>,
    /// Monotonic milliseconds.
    pub(super) until_ms: u64,
    pub(super) reason: Reason,
    /// When that was last confirmed. A success that began before then proves nothing.
    since_ms: u64,
}

/// The models that rest, sorted by name. What is over stays until the next change.
#[derive(Debug, Default)]
pub(super) struct Resting(ArcSwap<Vec<Rest>>);

impl Resting {
    /// Finds a model that rests. Two atomic operations, and as many comparisons of names as a binary search takes.
    pub(super) fn find(&self, model: &str, now_ms: u64) -> Option<(u64, Reason)> {
        let list = self.0.load();
        let rest = list.get(place(&list, model).ok()?)?;
        (rest.until_ms > now_ms).then_some((rest.until_ms, rest.reason))
    }

    /// Returns every model that rests.
    pub(super) fn list(&self, now_ms: u64) -> Vec<Rest> {
        self.0.load().iter().filter(|rest| rest.until_ms > now_ms).cloned().collect()
    }

    /// Lets a model rest; a longer wait that is known already stays.
    pub(super) fn add(&self, model: &str, now_ms: u64, until_ms: u64, reason: Reason) {
        if model.len() > LONGEST || until_ms <= now_ms {
            return;
        }
        let model: Arc<str> = Arc::from(model);
        self.0.rcu(|list| {
            let mut list: Vec<Rest> = list.iter().filter(|rest| rest.until_ms > now_ms).cloned().collect();
            let new = Rest { model: Arc::clone(&model), until_ms, reason, since_ms: now_ms };
            match place(&list, &model) {
                Ok(at) => {
                    if let Some(known) = list.get_mut(at) {
                        let since_ms = known.since_ms.max(now_ms);
                        *known = if until_ms > known.until_ms { new } else { Rest { since_ms, ..known.clone() } };
                    }
                }
                Err(_) => {
                    make_room(&mut list);
                    let at = place(&list, &model).unwrap_or_else(|at| at);
                    list.insert(at, new);
                }
            }
            list
        });
    }

    /// Ends the rest of a model, unless what is held against it was learnt after `started_ms`.
    pub(super) fn end(&self, model: &str, started_ms: u64) {
        let ends = |rest: &Rest| *rest.model == *model && rest.since_ms <= started_ms;
        if self.0.load().iter().any(ends) {
            self.0.rcu(|list| list.iter().filter(|rest| !ends(rest)).cloned().collect::<Vec<_>>());
        }
    }
}

fn place(list: &[Rest], model: &str) -> Result<usize, usize> {
    list.binary_search_by(|rest| (*rest.model).cmp(model))
}

/// Forgets whoever is back soonest, where there are too many.
fn make_room(list: &mut Vec<Rest>) {
    while list.len() >= MOST {
        let soonest = list.iter().enumerate().min_by_key(|(_, rest)| rest.until_ms).map_or(0, |(at, _)| at);
        list.remove(soonest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: Reason = Reason::RateLimit;

    fn names(resting: &Resting, now_ms: u64) -> Vec<String> {
        resting.list(now_ms).iter().map(|rest| rest.model.to_string()).collect()
    }

    #[test]
    fn a_model_rests_until_its_time_and_no_other_with_it() {
        let resting = Resting::default();
        resting.add("b", 10, 100, RATE);
        resting.add("a", 20, 50, Reason::Forbidden);
        assert_eq!((resting.find("a", 49), resting.find("b", 49)), (Some((50, Reason::Forbidden)), Some((100, RATE))));
        assert_eq!((resting.find("a", 50), resting.find("ab", 20), resting.find("", 20)), (None, None, None));
        assert_eq!((names(&resting, 20), names(&resting, 50)), (vec!["a".to_owned(), "b".to_owned()], vec!["b".to_owned()]));
    }

    #[test]
    fn the_longer_wait_stays_and_a_success_that_began_before_the_last_word_proves_nothing() {
        let resting = Resting::default();
        resting.add("a", 10, 100, RATE);
        resting.add("a", 20, 60, Reason::Forbidden);
        assert_eq!(resting.find("a", 20), Some((100, RATE)));
        resting.end("a", 19);
        assert_eq!(resting.find("a", 20), Some((100, RATE)));
        resting.end("b", 90);
        resting.end("a", 20);
        assert_eq!(resting.find("a", 20), None);
    }

    #[test]
    fn of_too_many_the_one_that_is_back_soonest_is_forgotten_and_what_is_over_goes_first() {
        let resting = Resting::default();
        resting.add("over", 0, 5, RATE);
        let most = u64::try_from(MOST).unwrap();
        for index in 0..most {
            resting.add(&format!("m{index}"), 10, 1_000 + index, RATE);
        }
        assert_eq!(resting.list(0).len(), MOST, "what is over made room");
        assert!(resting.find("m0", 10).is_some());
        resting.add("new", 10, 20, RATE);
        assert_eq!((resting.list(10).len(), resting.find("m0", 10)), (MOST, None));
        assert!(resting.find("new", 10).is_some() && resting.find("m1", 10).is_some());
        resting.add(&"x".repeat(LONGEST + 1), 10, 5_000, RATE);
        assert!(names(&resting, 10).iter().all(|name| name.len() <= LONGEST));
        assert!(names(&resting, 10).is_sorted());
    }
}
