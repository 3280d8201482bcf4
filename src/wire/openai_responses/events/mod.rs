//! Streams, both ways.

mod decode;
mod encode;
mod items;
mod log;
mod messages;
mod opening;

pub(super) use decode::Decoder;
pub(super) use encode::Encoder;
