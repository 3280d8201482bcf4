//! The ledger: what accounts spend and hold, against a reference that adds everything up anew each time.

mod guarantees;
mod model;
#[cfg(feature = "postgres")]
mod shared;
mod succession;
mod support;
