//! Requests, both ways.

mod blocks;
mod decode;
mod encode;
mod encode_blocks;
mod settings;
mod turns;

pub(super) use blocks::{citation, content};
pub(super) use decode::decode;
pub(super) use encode::encode;
