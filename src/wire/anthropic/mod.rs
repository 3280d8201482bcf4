//! Anthropic's messages.

mod answer;
mod codec;
mod error;
mod events;
mod models;
mod request;
mod thinking;

pub use codec::Anthropic;
pub(in crate::wire) use models::{Capabilities, capabilities};
pub(in crate::wire) use request::object_schema;
pub(in crate::wire) use thinking::{Planner, Thinking};
