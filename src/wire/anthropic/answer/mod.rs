//! Whole answers, both ways, and what streams share with them.

mod decode;
mod encode;
mod finish;
mod usage;

pub(super) use decode::decode;
pub(super) use encode::{empty_message, encode};
pub(super) use finish::{read as read_finish, word as finish_word};
pub(super) use usage::{Counts, members as usage_members, tier, tier_word};
