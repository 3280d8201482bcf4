//! Requests, both ways.

mod decode;
mod decode_message;
mod encode;
mod encode_message;

pub(super) use decode::decode;
pub(super) use decode_message::{content, function_call, legacy_id, tool_call};
pub(super) use encode::{encode, extras_of};
pub(super) use encode_message::open_call;
