//! What scopes have used. State, not spec: it outlives tables and is keyed by what a scope is and its name.

use std::collections::HashMap;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::cell::Cell as _;
use super::meter::Meter;

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
    /// By scope and name. Guards the map alone; taken when a table is built, never for a request.
    Mutex<HashMap<(Scope, String), Arc<Counter>>>,
);

impl Counters {
    /// Returns what a scope has used.
    pub fn of(&self, scope: Scope, name: &str) -> Arc<Counter> {
        Arc::clone(self.map().entry((scope, name.to_owned())).or_default())
    }

    /// Forgets counters that nobody holds and that count nothing any more, which changes nothing for whoever asks for them again. One that
    /// still counts stays, whatever became of its scope: a key that is removed and added again finds what it has used.
    pub fn forget_unused(&self, now_ns: u64) {
        self.map().retain(|_, counter| Arc::strong_count(counter) > 1 || !counter.is_unused(now_ns));
    }

    fn map(&self) -> MutexGuard<'_, HashMap<(Scope, String), Arc<Counter>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
