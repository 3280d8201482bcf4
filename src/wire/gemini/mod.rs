//! Gemini's generateContent, as AI Studio and Vertex speak it.

mod answer;
mod chunks;
mod codec;
mod error;
mod media;
mod members;
mod models;
mod request;
mod schema;
mod signature;

pub(in crate::wire) use signature::read as read_signature;

pub use codec::Gemini;
pub use error::retry_delay;
