//! Newtypes that every other module speaks in. Rank 0: uses nothing of this crate.

mod clock;
mod digest;
pub mod glob;
mod secret;
mod unit;

pub use clock::{Clock, ManualClock, SystemClock};
pub use digest::Digest;
pub use secret::Secret;
pub use unit::{ByteSize, Span, UnitError};
