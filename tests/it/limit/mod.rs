//! Rates and permits: what an adversary can get of them, what comes back, and what outlives a change of the spec.

mod admission;
mod adversary;
mod reload;
#[cfg(feature = "redis")]
mod shared;
mod worked_off;
