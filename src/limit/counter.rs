//! What scopes have used. State, not spec: it outlives tables and is keyed by what a scope is and its name.

use std::collections::HashMap;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use super::cell::Cell as _;
use super::meter::Meter;
use crate::base::Digest;

/// What limits can be set on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Scope {
    /// A virtual key.
    Key,
    /// All keys of a team together.
    Team,
    /// Everybody who asks for a model alias.
    Alias,
    /// All that is sent to a provider.
    Provider,
}

impl Scope {
    /// Every scope.
    pub const ALL: [Self; 4] = [Self::Key, Self::Team, Self::Alias, Self::Provider];

    /// Returns the scope's name in metrics and in ids: `key`, `team`, `alias`, `provider`.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Key => "key",
            Self::Team => "team",
            Self::Alias => "alias",
            Self::Provider => "provider",
        }
    }
}

/// What one scope has used.
#[derive(Debug, Default)]
pub struct Counter {
    pub(super) requests: Meter,
    pub(super) tokens: Meter,
    in_use: AtomicU64,
}

impl Counter {
    /// Returns how many requests run.
    pub fn in_use(&self) -> u64 {
        self.in_use.read()
    }

    /// Lets one more run, if fewer than `most` do.
    pub fn permit(self: &Arc<Self>, most: u64) -> Option<Permit> {
        self.in_use.change(|count| (count < most).then_some(count + 1))?;
        Some(Permit(Arc::clone(self)))
    }

    fn is_unused(&self, now_ns: u64) -> bool {
        self.in_use() == 0 && self.requests.is_full(now_ns) && self.tokens.is_full(now_ns)
    }
}

/// The right to run. Dropping it lets the next one run.
#[derive(Debug)]
pub struct Permit(Arc<Counter>);

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.in_use.change(|count| Some(count.saturating_sub(1)));
    }
}

/// What every scope has used, for the life of the process.
#[derive(Debug, Default)]
pub struct Counters(
    /// Guards the maps alone; taken when a table is built, never for a request.
    Mutex<Known>,
);

#[derive(Debug, Default)]
struct Known {
    /// By scope and name.
    named: HashMap<(Scope, String), Arc<Counter>>,
    /// By digest of a virtual key, so that one that is given another name is known again.
    digests: HashMap<Digest, Weak<Counter>>,
}

impl Counters {
    /// Returns what a scope has used.
    pub fn of(&self, scope: Scope, name: &str) -> Arc<Counter> {
        Arc::clone(self.known().named.entry((scope, name.to_owned())).or_default())
    }

    /// Returns what a virtual key has used. A name that is new, for a digest that was known by another, goes on with what that one has used.
    pub fn of_key(&self, name: &str, digests: &[Digest]) -> Arc<Counter> {
        let mut known = self.known();
        let Known { named, digests: by_digest } = &mut *known;
        let renamed = || digests.iter().find_map(|digest| by_digest.get(digest)?.upgrade()).unwrap_or_default();
        let counter = Arc::clone(named.entry((Scope::Key, name.to_owned())).or_insert_with(renamed));
        by_digest.extend(digests.iter().map(|digest| (*digest, Arc::downgrade(&counter))));
        counter
    }

    /// Returns how many requests hold a permit of a scope's limits, over all names.
    pub fn in_use(&self, scope: Scope) -> u64 {
        let known = self.known();
        let mut counters: Vec<_> = known.named.iter().filter(|((of, _), _)| *of == scope).map(|(_, counter)| counter).collect();
        counters.sort_unstable_by_key(|counter| Arc::as_ptr(counter));
        counters.dedup_by_key(|counter| Arc::as_ptr(counter));
        counters.into_iter().map(|counter| counter.in_use()).sum()
    }

    /// Forgets counters that nobody holds and that count nothing any more, which changes nothing for whoever asks for them again. One that
    /// still counts stays, whatever became of its scope: a key that is removed and added again finds what it has used.
    pub fn forget_unused(&self, now_ns: u64) {
        let mut known = self.known();
        let Known { named, digests } = &mut *known;
        let mut names: HashMap<*const Counter, usize> = HashMap::new();
        named.values().for_each(|counter| *names.entry(Arc::as_ptr(counter)).or_default() += 1);
        let is_held = |counter: &Arc<Counter>| Arc::strong_count(counter) > names.get(&Arc::as_ptr(counter)).copied().unwrap_or_default();
        let gone: Vec<_> =
            named.iter().filter(|(_, counter)| !is_held(counter) && counter.is_unused(now_ns)).map(|(id, _)| id.clone()).collect();
        gone.iter().for_each(|id| _ = named.remove(id));
        digests.retain(|_, counter| counter.strong_count() > 0);
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
