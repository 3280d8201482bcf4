//! Requests, both ways.

mod blocks;
mod decode;
mod encode;
mod encode_message;
mod settings;

pub(super) use blocks::assistant;
pub(super) use decode::decode;
pub(super) use encode::encode;
pub(super) use encode_message::{arguments, image_url};
