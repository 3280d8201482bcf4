//! Requests, both ways.

mod decode;
mod decode_config;
mod decode_parts;
mod encode;
mod encode_parts;
mod settings;
mod signatures;
mod tools;
mod turns;

pub(in crate::wire) use decode::bare_model;
pub(super) use decode::{decode, decode_node};
pub(super) use decode_parts::part;
pub(super) use encode::encode;
pub(super) use encode_parts::PartWriter;
pub(super) use signatures::place as place_signatures;
