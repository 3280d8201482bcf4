//! What a scope (a virtual key, a team, an alias, a provider) may use in a time or at once, and what of it is used.
//!
//! Not the caps of the process, which stand before all this (`gateway.limits`). Rule: time is an argument, in nanoseconds of one monotonic
//! clock; of several limits that apply to a request, all let it in or none is touched; what is taken is given back by a guard.
//!
//! What may be spent is a matter of its own: [`budget`].
//!
//! The limits belong to a table. The counters outlive it, by scope and name, so that no change of the spec refills any.

pub mod budget;
mod cell;
mod counter;
#[cfg(test)]
mod interleavings;
mod limiter;
mod meter;
mod pressure;
mod shared;

pub use cell::Cell;
pub use counter::{Counter, Counters, Identity, Permit, Scope, Sharing};
pub use limiter::{Grant, Limiter, Measure, Refused, Room, admit, check, room};
pub use meter::{Level, Meter, Rate, Taken};
pub use pressure::{Memory, places};
pub use shared::enter;
