//! Who is next at a place that is taken: the most important first, of these each key in turn, of each key whoever came first.
//!
//! It knows nothing of places. Rule: nobody waits in a line for nothing; whoever leaves is taken out of it.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::oneshot::Sender;

use super::Place;
use crate::plan::Priority;

/// A request that waits, in one line or several.
#[derive(Debug)]
pub(super) struct Waiter {
    priority: Priority,
    /// Whose request it is.
    key: u64,
    /// Taken by the first place that comes free.
    sender: Mutex<Option<Sender<Place>>>,
}

impl Waiter {
    pub(super) const fn new(priority: Priority, key: u64, sender: Sender<Place>) -> Self {
        Self { priority, key, sender: Mutex::new(Some(sender)) }
    }

    /// Returns where the place is to be sent; none where another was, or nobody waits any longer.
    pub(super) fn claim(&self) -> Option<Sender<Place>> {
        let sender = self.sender.lock().unwrap_or_else(PoisonError::into_inner).take();
        sender.filter(|sender| !sender.is_closed())
    }
}

/// The requests of one key. Never empty.
#[derive(Debug)]
struct Group {
    key: u64,
    waiters: VecDeque<Arc<Waiter>>,
}

/// A line.
#[derive(Debug, Default)]
pub(super) struct Line {
    /// By importance; in each the keys, whose turn it is first.
    classes: [VecDeque<Group>; 3],
}

const fn class(priority: Priority) -> usize {
    match priority {
        Priority::Critical => 0,
        Priority::Normal => 1,
        Priority::Batch => 2,
    }
}

impl Line {
    /// Lets a request stand in line.
    pub(super) fn join(&mut self, waiter: Arc<Waiter>) {
        let Some(groups) = self.classes.get_mut(class(waiter.priority)) else { return };
        match groups.iter_mut().find(|group| group.key == waiter.key) {
            Some(group) => group.waiters.push_back(waiter),
            None => groups.push_back(Group { key: waiter.key, waiters: VecDeque::from([waiter]) }),
        }
    }

    /// Takes out whoever is next.
    pub(super) fn next(&mut self) -> Option<Arc<Waiter>> {
        let groups = self.classes.iter_mut().find(|groups| !groups.is_empty())?;
        let mut group = groups.pop_front()?;
        let next = group.waiters.pop_front();
        if !group.waiters.is_empty() {
            groups.push_back(group);
        }
        next
    }

    /// Takes out whoever leaves.
    pub(super) fn leave(&mut self, waiter: &Arc<Waiter>) {
        let Some(groups) = self.classes.get_mut(class(waiter.priority)) else { return };
        if let Some(group) = groups.iter_mut().find(|group| group.key == waiter.key) {
            group.waiters.retain(|known| !Arc::ptr_eq(known, waiter));
        }
        groups.retain(|group| !group.waiters.is_empty());
    }

    /// Returns how many wait.
    pub(super) fn len(&self) -> usize {
        self.classes.iter().flatten().map(|group| group.waiters.len()).sum()
    }

    /// Returns how many would come before a request that joined now, if nobody else joined.
    pub(super) fn ahead(&self, priority: Priority, key: u64) -> usize {
        let classes = self.classes.get(..class(priority)).unwrap_or_default();
        let better: usize = classes.iter().flatten().map(|group| group.waiters.len()).sum();
        let Some(groups) = self.classes.get(class(priority)) else { return better };
        let own = groups.iter().find(|group| group.key == key).map_or(0, |group| group.waiters.len());
        // Each other key has a turn before each of its own.
        let others = groups.iter().filter(|group| group.key != key).map(|group| group.waiters.len().min(own + 1));
        better + own + others.sum::<usize>()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tokio::sync::oneshot;

    use super::*;

    const ALL: [Priority; 3] = [Priority::Critical, Priority::Normal, Priority::Batch];

    fn waiter(priority: Priority, key: u64) -> Arc<Waiter> {
        Arc::new(Waiter::new(priority, key, oneshot::channel().0))
    }

    fn keys(line: &mut Line) -> Vec<u64> {
        std::iter::from_fn(|| line.next().map(|waiter| waiter.key)).collect()
    }

    #[test]
    fn the_most_important_go_first_and_keys_take_turns() {
        let mut line = Line::default();
        [1, 1, 1, 2, 3, 3].into_iter().for_each(|key| line.join(waiter(Priority::Normal, key)));
        line.join(waiter(Priority::Batch, 9));
        line.join(waiter(Priority::Critical, 8));
        assert_eq!(line.len(), 8);
        assert_eq!(keys(&mut line), [8, 1, 2, 3, 1, 3, 1, 9], "a key with many requests waits for those with few");
    }

    #[test]
    fn whoever_leaves_leaves_no_trace() {
        let mut line = Line::default();
        let (gone, stays) = (waiter(Priority::Normal, 1), waiter(Priority::Normal, 1));
        [&gone, &stays].into_iter().for_each(|waiter| line.join(Arc::clone(waiter)));
        line.leave(&gone);
        line.leave(&gone);
        assert_eq!(line.len(), 1);
        assert!(Arc::ptr_eq(&line.next().unwrap(), &stays) && line.next().is_none());
        line.join(Arc::clone(&gone));
        line.leave(&gone);
        assert!(line.classes.iter().all(VecDeque::is_empty));
    }

    #[test]
    fn one_that_waits_in_two_lines_gets_one_place() {
        let (sender, receiver) = oneshot::channel();
        let waiter = Waiter::new(Priority::Normal, 1, sender);
        assert!(waiter.claim().is_some() && waiter.claim().is_none());
        drop(receiver);
        let (sender, receiver) = oneshot::channel();
        let waiter = Waiter::new(Priority::Normal, 1, sender);
        drop(receiver);
        assert!(waiter.claim().is_none(), "it has gone");
    }

    proptest! {
        #[test]
        fn so_many_come_before_a_request_as_was_said(news in prop::collection::vec((0_usize..3, 0_u64..4), 0..40), own in (0_usize..3, 0_u64..4)) {
            let mut line = Line::default();
            news.iter().for_each(|(class, key)| line.join(waiter(ALL[*class], *key)));
            let said = line.ahead(ALL[own.0], own.1);
            let mine = waiter(ALL[own.0], own.1);
            line.join(Arc::clone(&mine));
            let before = std::iter::from_fn(|| line.next()).position(|next| Arc::ptr_eq(&next, &mine)).unwrap();
            // Whose turn it is first among the keys is not asked for.
            prop_assert!(before <= said && said - before <= 3, "{before} of {said}");
        }
    }
}
