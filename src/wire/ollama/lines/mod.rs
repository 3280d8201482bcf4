//! Streams, both ways: a line holds what is new, and the last one says why the answer ended.

mod decode;
mod encode;

pub(super) use decode::Decoder;
pub(super) use encode::Encoder;
