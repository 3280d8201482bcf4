//! Requests, both ways.

mod decode;
mod encode;
mod encode_message;
mod settings;

pub(super) use decode::decode;
pub(super) use encode::encode;
