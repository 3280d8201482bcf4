//! Newtypes that every other module speaks in. Rank 0: uses nothing of this crate.

mod clock;
mod destination;
mod digest;
pub mod glob;
mod hop_by_hop;
pub mod key_spelling;
mod money;
mod path_segment;
pub mod rate;
mod secret;
pub mod suspicion;
mod text_form;
mod unit;
mod visible;
mod zone;

pub use clock::{Clock, ManualClock, SystemClock};
pub use destination::{Destination, DestinationError, Origin, Policy, Refusal};
pub use digest::Digest;
pub use hop_by_hop::is_hop_by_hop;
pub use money::{MoneyError, Usd};
pub use path_segment::path_segment;
pub use rate::Rate;
pub use secret::Secret;
pub(crate) use text_form::text_form;
pub use unit::{ByteSize, Pace, Per, Span, UnitError};
pub use visible::visible;
pub use zone::zone;
