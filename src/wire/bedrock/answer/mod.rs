//! Whole answers, both ways, and what streams share with them.

mod decode;
mod encode;
mod finish;
mod usage;

pub(super) use decode::decode;
pub(super) use encode::encode;
pub(super) use finish::{read as read_finish, word as finish_word};
pub(super) use usage::{members as usage_members, metrics, read as read_usage, tier, tier_word};
