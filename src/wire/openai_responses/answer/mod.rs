//! Whole answers, both ways, and what streams share with them.

mod decode;
mod encode;
mod envelope;
mod finish;
mod item;
mod usage;

pub(super) use decode::{decode, logprobs};
pub(super) use encode::{encode, entries};
pub(super) use envelope::{Envelope, echo, is_tier};
pub(super) use finish::{incomplete, read as read_finish};
pub(super) use item::{Head, call, message, picture, read_picture, reasoning, refusal, text};
pub(super) use usage::read as read_usage;
