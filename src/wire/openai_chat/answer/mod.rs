//! Whole answers, both ways, and what streams share with them.

mod decode;
mod encode;
mod finish;
mod usage;

pub(super) use decode::{citation, decode};
pub(super) use encode::{annotation, encode, image};
pub(super) use finish::{read as read_finish, word as finish_word};
pub(super) use usage::{read as read_usage, write as write_usage};
