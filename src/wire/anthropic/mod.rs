//! Anthropic's messages.

mod codec;
mod models;
mod request;

pub use codec::Anthropic;
