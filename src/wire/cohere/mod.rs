//! Cohere's chat, version 2.
//!
//! Source: the types of the provider's SDK 7.3, and recorded traffic. Not version 1, which is another format.

mod answer;
mod codec;
mod error;
mod events;
mod request;

pub use codec::Cohere;
