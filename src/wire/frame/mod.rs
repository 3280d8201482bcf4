//! Bytes → frames, incrementally, for any split of the stream into pieces.

mod sse;

pub use sse::{Sse, SseError, fields, read_frame};
