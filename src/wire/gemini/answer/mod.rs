//! Whole answers, both ways, and what streams share with them.

mod citations;
mod decode;
mod encode;
mod finish;
mod logprobs;
mod usage;

pub(super) use citations::{is_kept, read as read_citations, write as write_citations};
pub(super) use decode::{decode, seconds};
pub(super) use encode::encode;
pub(super) use finish::{blocked, read as read_finish, word as finish_word};
pub(super) use logprobs::{to_openai as read_logprobs, write as write_logprobs};
pub(super) use usage::{read as read_usage, tier as read_tier, write as write_usage};
