//! The atomic numbers that counters are made of, behind a trait, so that a test can put in those that try every interleaving.

use std::fmt::Debug;
use std::sync::atomic::{AtomicU64, Ordering};

/// An atomic number.
pub trait Cell: Debug + Default + Send + Sync {
    /// Reads it.
    fn read(&self) -> u64;
    /// Sets it to `new` if it is `current`; returns what it was.
    ///
    /// # Errors
    /// What the number is instead.
    fn exchange(&self, current: u64, new: u64) -> Result<u64, u64>;
    /// Adds, around the end of the numbers.
    fn add(&self, amount: u64);
    /// Replaces the number by what `by` makes of it, until that holds; returns what it was, or nothing where `by` gives nothing.
    fn change(&self, mut by: impl FnMut(u64) -> Option<u64>) -> Option<u64> {
        let mut current = self.read();
        loop {
            match self.exchange(current, by(current)?) {
                Ok(before) => return Some(before),
                Err(other) => current = other,
            }
        }
    }
}

impl Cell for AtomicU64 {
    fn read(&self) -> u64 {
        Self::load(self, Ordering::Acquire)
    }

    fn exchange(&self, current: u64, new: u64) -> Result<u64, u64> {
        self.compare_exchange(current, new, Ordering::AcqRel, Ordering::Acquire)
    }

    fn add(&self, amount: u64) {
        self.fetch_add(amount, Ordering::AcqRel);
    }
}

#[cfg(test)]
impl Cell for loom::sync::atomic::AtomicU64 {
    fn read(&self) -> u64 {
        Self::load(self, Ordering::Acquire)
    }

    fn exchange(&self, current: u64, new: u64) -> Result<u64, u64> {
        self.compare_exchange(current, new, Ordering::AcqRel, Ordering::Acquire)
    }

    fn add(&self, amount: u64) {
        self.fetch_add(amount, Ordering::AcqRel);
    }
}
