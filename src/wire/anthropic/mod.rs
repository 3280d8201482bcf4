//! Anthropic's messages.

mod answer;
mod codec;
mod error;
mod events;
mod models;
mod request;

pub use codec::Anthropic;
