//! Requests, both ways.

mod decode;
mod decode_message;
mod encode;
mod encode_message;

pub(super) use decode::decode;
pub(super) use encode::encode;
