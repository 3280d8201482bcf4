//! Requests, both ways.

mod additional;
mod blocks;
mod decode;
mod encode;
mod encode_blocks;
mod encode_media;
mod settings;
mod tools;

pub(super) use blocks::{citation, content, redacted};
pub(super) use decode::decode;
pub(in crate::wire) use decode::decode_count;
pub(super) use encode::encode;
pub(super) use encode_blocks::{cited, reasoning_text};
pub(super) use encode_media::encode_redacted;
