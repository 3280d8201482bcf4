//! Whole answers, both ways, and what streams share with them.

mod decode;
mod encode;
mod finish;
mod usage;

pub(super) use decode::{citation, decode};
pub(super) use encode::{encode, write_citation};
pub(super) use finish::{read as read_finish, word as finish_word};
pub(super) use usage::{members as usage_members, read as read_usage};
