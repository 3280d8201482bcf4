//! Provider formats, pure: bytes in, bytes and facts out. No tokio, no HTTP, no spec.
//!
//! Rule: in the relay lane a body is scanned once and edited by splicing; it is never parsed into a tree and written again.

pub mod edit;
pub mod frame;
pub mod multipart;
pub mod openai_chat;
pub mod scan;
