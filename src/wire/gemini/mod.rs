//! Gemini's generateContent, as AI Studio and Vertex speak it.

mod answer;
mod chunks;
mod codec;
mod count;
mod error;
mod media;
mod members;
mod models;
mod request;
mod schema;
mod signature;

pub(in crate::wire) use codec::resource;
pub(in crate::wire) use error::read as read_error;
pub(in crate::wire) use members::Members;
pub(in crate::wire) use request::bare_model;
pub(in crate::wire) use signature::read as read_signature;

pub use codec::{Gemini, path};
pub use count::{decode_count, decode_counted, encode_count, encode_counted};
pub use error::retry_delay;
