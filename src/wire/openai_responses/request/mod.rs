//! Requests, both ways.

mod content;
mod decode;
mod encode;
mod encode_content;
mod encode_items;
mod items;
mod settings;

pub(super) use content::{citation, content, kept};
pub(super) use decode::decode;
pub(super) use encode::encode;
pub(super) use items::{call, reasoning};
