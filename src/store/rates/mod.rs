//! How much of rates several gateways have used together: one number for each rate, in Redis, changed by scripts.
//!
//! It decides by its server's clock, so gateways need not agree on the time. It is no record of anything: what it forgets, by a restart or
//! a failover, is at most a burst more of each rate. Money is the business of [`super::book`].
//!
//! Rule: nobody waits for it longer than a quarter of a second; after a failure, nobody asks it for a second.

use std::sync::Arc;

#[cfg(feature = "redis")]
mod client;
#[cfg(not(feature = "redis"))]
mod none;

#[cfg(feature = "redis")]
pub use client::SharedRates;
#[cfg(not(feature = "redis"))]
pub use none::SharedRates;

/// What is to be taken from one rate. Times are microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wish<'a> {
    /// The rate: the same text in every gateway.
    pub rate: &'a str,
    /// What is taken.
    pub cost_us: u64,
    /// How far ahead of now it may be: the burst.
    pub tolerance_us: u64,
}

/// How one rate stands after a wish.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// Microseconds until it is worked off.
    pub ahead_us: u64,
    /// When that is, by the server's clock.
    ends_us: u64,
    /// What had been given back before.
    given_back_us: u64,
}

/// What became of wishes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// The rate that refused, by its place, and the microseconds until it would not; none where all was taken.
    pub refused: Option<(usize, u64)>,
    /// How each stands, in the order of the wishes.
    pub standings: Vec<Standing>,
}

/// What was taken turned out to be more or less. Microseconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Correction {
    /// The rate.
    pub rate: Arc<str>,
    /// Used beyond what was taken.
    pub more_us: u64,
    /// Taken and not used.
    pub less_us: u64,
    /// How it stood when it was taken; none where nothing was.
    pub standing: Option<Standing>,
}

/// The server does not answer, or says no.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the shared rates cannot be reached: {0}")]
pub struct Unreachable(String);
