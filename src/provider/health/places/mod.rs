//! How many attempts run at once at one target with one credential, how many may, and who waits for one to end.
//!
//! How many may is fixed, or found: one more for as many good answers as may run, a tenth fewer when the upstream is overloaded, and no more
//! than it says that it still takes. Rule: more never run than may, except for those that ran already when it became fewer; what comes free
//! goes to whoever waits, so that nobody who comes later takes it.

mod line;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};
use tokio::sync::oneshot::{self, Receiver, Sender};
use tokio::time::Instant;

use self::line::{Line, Waiter};
use crate::plan::{Concurrency, Priority};

/// Where a search begins.
const FIRST: f64 = 20.0;
/// What is left of the number after a sign of overload.
const LESS: f64 = 0.9;
/// Share of one attempt in how long they take.
const ONE: f64 = 0.1;

/// The attempts at one target with one credential.
#[derive(Debug)]
pub struct Places {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    bounds: Concurrency,
    /// What the search has found.
    found: f64,
    /// When it last became less. Monotonic milliseconds.
    less_ms: u64,
    /// What the upstream said it still takes, and until when that holds.
    told: Option<(u32, u64)>,
    running: u32,
    /// How long attempts take of late, in milliseconds.
    takes_ms: Option<f64>,
    line: Line,
}

impl State {
    /// Returns how many may run.
    fn allowed(&self, now_ms: u64) -> u32 {
        let Concurrency { min, max } = self.bounds;
        let told = self.told.filter(|(_, until_ms)| now_ms < *until_ms).map_or(max, |(spare, _)| spare);
        whole(self.found).min(told).clamp(min, max)
    }

    /// Returns whether so many run that one more would be news, and whether news is wanted.
    fn terms(&self, now_ms: u64) -> (bool, bool) {
        (self.running.saturating_mul(2) >= self.allowed(now_ms), self.bounds.is_adaptive())
    }

    /// Takes out of the line whoever may run now.
    fn next(&mut self, now_ms: u64) -> Vec<(Sender<Place>, (bool, bool))> {
        let mut next = Vec::new();
        while self.running < self.allowed(now_ms)
            && let Some(waiter) = self.line.next()
        {
            if let Some(sender) = waiter.claim() {
                self.running += 1;
                next.push((sender, self.terms(now_ms)));
            }
        }
        next
    }

    /// Returns how long one who joined now would wait, in milliseconds, if all that run take as long as others of late; none where nothing
    /// is known.
    fn wait_ms(&self, whose: Whose, now_ms: u64) -> Option<u64> {
        let turns = self.line.ahead(whose.priority, whose.key) + 1;
        Some(ceil(self.takes_ms? * as_f64(turns) / f64::from(self.allowed(now_ms))))
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 1 to the largest limit that may be written")]
const fn whole(found: f64) -> u32 {
    found as u32
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a time, which saturates")]
fn ceil(ms: f64) -> u64 {
    ms.ceil() as u64
}

#[expect(clippy::cast_precision_loss, reason = "a count of requests in one process")]
const fn as_f64(count: usize) -> f64 {
    count as f64
}

/// Whose request waits.
#[derive(Debug, Clone, Copy)]
pub struct Whose {
    /// How important it is.
    pub priority: Priority,
    /// What tells its key from others.
    pub key: u64,
}

impl Places {
    /// Nothing runs yet.
    pub fn new(bounds: Concurrency) -> Self {
        let found = FIRST.clamp(f64::from(bounds.min), f64::from(bounds.max));
        let state = State { bounds, found, less_ms: 0, told: None, running: 0, takes_ms: None, line: Line::default() };
        Self { state: Mutex::new(state) }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes something, and lets those run who may then.
    fn change<T>(self: &Arc<Self>, now: Moment, change: impl FnOnce(&mut State) -> T) -> T {
        let (result, next) = {
            let mut state = self.lock();
            let result = change(&mut state);
            (result, state.next(now.ms()))
        };
        for (sender, terms) in next {
            // One who left meanwhile gives it back, now that nothing is locked.
            drop(sender.send(self.place(now, terms)));
        }
        result
    }

    /// Takes a place, if one is free. Nobody waits while one is.
    pub fn take(self: &Arc<Self>, bounds: Concurrency, now_ms: u64) -> Option<Place> {
        let now = Moment::at(now_ms);
        self.change(now, |state| {
            state.bound(bounds);
            let is_free = state.running < state.allowed(now_ms) && state.line.len() == 0;
            state.running += u32::from(is_free);
            is_free.then(|| state.terms(now_ms))
        })
        .map(|terms| self.place(now, terms))
    }

    fn place(self: &Arc<Self>, clock: Moment, (was_busy, is_adaptive): (bool, bool)) -> Place {
        Place { places: Arc::clone(self), clock, began: Instant::now(), was_busy, is_adaptive, is_used: false }
    }

    /// Notes a good answer to what began while so many ran that more would be news.
    fn good(self: &Arc<Self>, was_busy: bool, now_ms: u64) {
        self.change(Moment::at(now_ms), |state| {
            if was_busy && state.bounds.is_adaptive() {
                state.found = (state.found + 1.0 / state.found.max(1.0)).min(f64::from(state.bounds.max));
            }
        });
    }

    /// Notes that what began at a moment found the upstream overloaded. What ran at the same time found the same overload.
    fn overloaded(&self, began_ms: u64, now_ms: u64) {
        let mut state = self.lock();
        if began_ms >= state.less_ms && state.bounds.is_adaptive() {
            state.found = (state.found * LESS).max(f64::from(state.bounds.min));
            state.less_ms = now_ms;
        }
    }

    /// Notes how many more requests the upstream says that it takes, and until when that holds.
    fn told(&self, spare: u32, until_ms: u64) {
        self.lock().told = Some((spare, until_ms));
    }

    /// Lets those run who may by now.
    pub fn look(self: &Arc<Self>, now_ms: u64) {
        self.change(Moment::at(now_ms), |_| ());
    }

    /// Describes the state for status, metrics and `explain`.
    pub fn snapshot(&self, now_ms: u64) -> PlacesSnapshot {
        let state = self.lock();
        PlacesSnapshot {
            limit: state.allowed(now_ms),
            running: state.running,
            waiting: u32::try_from(state.line.len()).unwrap_or(u32::MAX),
        }
    }
}

impl State {
    /// Keeps to the bounds of the spec that serves now.
    fn bound(&mut self, bounds: Concurrency) {
        if self.bounds != bounds {
            self.bounds = bounds;
            self.found = self.found.clamp(f64::from(bounds.min), f64::from(bounds.max));
        }
    }
}

/// What runs at a target with a credential, as it is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlacesSnapshot {
    /// How many may run.
    pub limit: u32,
    /// How many run.
    pub running: u32,
    /// How many requests wait.
    pub waiting: u32,
}

/// A place, until it is dropped.
#[derive(Debug)]
pub struct Place {
    places: Arc<Places>,
    /// Tells the time when it is given back.
    clock: Moment,
    began: Instant,
    was_busy: bool,
    is_adaptive: bool,
    /// Something was sent, so that how long it took is news.
    is_used: bool,
}

/// A reading of the clock, from which later ones are reckoned: handed on with a place, so that none of them lags.
#[derive(Debug, Clone, Copy)]
struct Moment {
    ms: u64,
    at: Instant,
}

impl Moment {
    fn at(ms: u64) -> Self {
        Self { ms, at: Instant::now() }
    }

    /// Monotonic milliseconds, now.
    fn ms(self) -> u64 {
        self.ms.saturating_add(u64::try_from(self.at.elapsed().as_millis()).unwrap_or(u64::MAX))
    }
}

impl Place {
    /// Returns whether it is one of these.
    pub fn is_of(&self, places: &Arc<Places>) -> bool {
        Arc::ptr_eq(&self.places, places)
    }

    /// Returns what hears of the upstream's own words, where the number of places is looked for, so that they matter.
    pub fn ear(&self) -> Option<Ear> {
        self.is_adaptive.then(|| Ear(Arc::clone(&self.places)))
    }

    /// Notes a good answer.
    pub fn good(&self, now_ms: u64) {
        self.places.good(self.was_busy, now_ms);
    }

    /// Notes that an attempt that began at a moment found the upstream overloaded.
    pub fn overloaded(&self, began_ms: u64, now_ms: u64) {
        self.places.overloaded(began_ms, now_ms);
    }

    /// An attempt begins in it.
    #[must_use]
    pub const fn used(mut self) -> Self {
        self.is_used = true;
        self
    }
}

/// Hears what an upstream says of how much it takes, from an attempt that has a place.
#[derive(Debug)]
pub struct Ear(Arc<Places>);

impl Ear {
    /// Notes how many more requests the upstream says that it takes, and until when that holds. Those that run are known to it.
    pub fn told(&self, spare: u32, until_ms: u64) {
        let running = self.0.lock().running.saturating_sub(1);
        self.0.told(spare.saturating_add(running), until_ms);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.places.change(self.clock, |state| {
            state.running = state.running.saturating_sub(1);
            if !self.is_used {
                return;
            }
            let took_ms = self.began.elapsed().as_secs_f64() * 1_000.0;
            state.takes_ms = Some(state.takes_ms.map_or(took_ms, |takes| takes + ONE * (took_ms - takes)));
        });
    }
}

/// A wait for a place at any of several. Left when it is dropped.
#[derive(Debug)]
pub struct Ticket {
    waiter: Arc<Waiter>,
    at: Vec<Arc<Places>>,
    place: Receiver<Place>,
}

/// Waiting is in vain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InVain {
    /// How long it would take, in milliseconds.
    pub wait_ms: u64,
}

impl Ticket {
    /// Stands in line for a place at any of these; `most_ms`: the longest that one waits.
    ///
    /// # Errors
    /// [`InVain`] where those before it are likely to take twice as long or longer.
    pub fn draw(at: Vec<Arc<Places>>, whose: Whose, (most_ms, now_ms): (u64, u64)) -> Result<Self, InVain> {
        let waits = at.iter().map(|places| places.lock().wait_ms(whose, now_ms));
        // Where nothing is known of one, it may be quick.
        let shortest = waits.min().flatten().filter(|wait_ms| *wait_ms > most_ms.saturating_mul(2));
        if let Some(wait_ms) = shortest {
            return Err(InVain { wait_ms });
        }
        let (sender, place) = oneshot::channel();
        let waiter = Arc::new(Waiter::new(whose.priority, whose.key, sender));
        for places in &at {
            // Where one came free meanwhile, whoever is next gets it.
            places.change(Moment::at(now_ms), |state| state.line.join(Arc::clone(&waiter)));
        }
        Ok(Self { waiter, at, place })
    }

    /// Waits for the place. Whoever gives up drops the ticket.
    pub async fn place(&mut self) -> Option<Place> {
        // It ends without a place only where the sender is lost, which is claimed once and used.
        (&mut self.place).await.ok()
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        for places in &self.at {
            places.lock().line.leave(&self.waiter);
        }
    }
}

#[cfg(test)]
mod tests;
