//! Ending the lines of a process that has gone.

use std::sync::{Mutex, PoisonError};

use super::write::Recovered;

/// When, and what came of it.
#[derive(Debug)]
pub(super) struct Expiring {
    now_ms: u64,
    /// Guards what came of it; known once it is on the disk.
    recovered: Mutex<Recovered>,
}

impl Expiring {
    pub(super) fn at(now_ms: u64) -> Self {
        Self { now_ms, recovered: Mutex::default() }
    }

    pub(super) const fn now_ms(&self) -> u64 {
        self.now_ms
    }

    /// Notes what came of it.
    pub(super) fn note(&self, recovered: Recovered) {
        *self.recovered.lock().unwrap_or_else(PoisonError::into_inner) = recovered;
    }

    pub(super) fn recovered(&self) -> Recovered {
        *self.recovered.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
