//! What scopes have used. State, not spec: it outlives tables and is keyed by what a scope is and its name.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};

use super::cell::Cell as _;
use super::meter::Meter;
use super::pressure::Memory;
use crate::base::Digest;
use crate::store::rates::SharedRates;

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
pub struct Counters {
    /// Guards the maps alone; taken when a table is built, never for a request.
    known: Mutex<Known>,
    sharing: Arc<OnceLock<Sharing>>,
    memory: Memory,
}

/// With whom limits are shared.
#[derive(Debug, Clone, Default)]
pub struct Sharing {
    /// How many gateways there are; 0 and 1 are this one alone.
    pub gateways: u32,
    /// Where they count together. Without it, each keeps to its part of every limit.
    pub rates: Option<Arc<SharedRates>>,
}

#[derive(Debug, Default)]
struct Known {
    /// By scope and name.
    named: HashMap<(Scope, String), Arc<Counter>>,
    /// By digest of a virtual key, so that one that is given another name is known again.
    digests: HashMap<Digest, Weak<Counter>>,
}

/// What a scope is known by.
#[derive(Debug, Clone, Copy)]
pub struct Identity<'a> {
    /// What it is.
    pub scope: Scope,
    /// Its name.
    pub name: &'a str,
    /// The name that it had before, where the spec says so.
    pub renamed_from: Option<&'a str>,
    /// Digests of a virtual key.
    pub digests: &'a [Digest],
}

impl<'a> Identity<'a> {
    /// Names a scope that is known by its name alone.
    pub const fn new(scope: Scope, name: &'a str) -> Self {
        Self { scope, name, renamed_from: None, digests: &[] }
    }
}

impl Counters {
    /// Says with whom they are shared; the first one stays. Before that, they are this gateway's alone.
    pub fn share(&self, sharing: Sharing) {
        drop(self.sharing.set(sharing));
    }

    /// Returns how much memory is in use.
    pub const fn memory(&self) -> &Memory {
        &self.memory
    }

    /// Returns where it is known with whom they are shared.
    pub(super) fn sharing(&self) -> Arc<OnceLock<Sharing>> {
        Arc::clone(&self.sharing)
    }

    /// Returns what a scope has used. A name that is new goes on with what its old one has used; that of a virtual key, also with what
    /// another name of one of its digests has.
    pub fn of(&self, identity: Identity<'_>) -> Arc<Counter> {
        let Identity { scope, name, renamed_from, digests } = identity;
        let mut known = self.known();
        let Known { named, digests: by_digest } = &mut *known;
        let old = renamed_from.and_then(|old| named.get(&(scope, old.to_owned())).map(Arc::clone));
        let old = || old.or_else(|| digests.iter().find_map(|digest| by_digest.get(digest)?.upgrade())).unwrap_or_default();
        let counter = Arc::clone(named.entry((scope, name.to_owned())).or_insert_with(old));
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
    /// still counts stays, whatever became of its scope: a key that is removed and added again finds what it has used. `is_there` says
    /// which scopes the running table has: the old name of what was renamed is free for somebody else.
    pub fn forget_unused(&self, is_there: impl Fn(Scope, &str) -> bool, now_ns: u64) {
        let mut known = self.known();
        let Known { named, digests } = &mut *known;
        let there = named.iter().filter(|((scope, name), _)| is_there(*scope, name));
        let mut kept: HashSet<*const Counter> = there.map(|(_, counter)| Arc::as_ptr(counter)).collect();
        // One name for each, then only those that matter.
        named.retain(|(scope, name), counter| is_there(*scope, name) || kept.insert(Arc::as_ptr(counter)));
        named.retain(|_, counter| Arc::strong_count(counter) > 1 || !counter.is_unused(now_ns));
        digests.retain(|_, counter| counter.strong_count() > 0);
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
