//! Requests, both ways.

mod blocks;
mod decode;
mod encode;
mod encode_blocks;
mod settings;

pub(super) use blocks::{citation, content};
pub(super) use decode::decode;
pub(super) use encode::encode;
pub(in crate::wire) use encode::object_schema;
