//! Provider formats, pure: bytes in, bytes and facts out. No tokio, no HTTP, no spec.
//!
//! Rule: in the relay lane a body is scanned once and edited by splicing; it is never parsed into a tree and written again. In the other
//! lane it is read once into the middle form ([`ir`]) and written for each target.
//!
//! # How to write a codec
//! 1. **A folder** `wire/NAME/` with `request/`, `answer/`, a folder for its stream (`events/`, `chunks/`), `error.rs`, and `codec.rs` with the
//!    type that implements [`codec::Codec`] and delegates; a variant of [`Format`]. Then the compiler lists the places. What a model takes is
//!    a table by its name (`models.rs`); how a server differs is a field of [`quirks::Quirks`].
//! 2. **Reading.** [`json::Document::parse`] once, then [`json::Fields`]: *take* each member that you understand. What is left of the
//!    request, a message, a part or a tool goes into its `extras` ([`json::Fields::extras`]); what is left of an object further inside goes
//!    to [`ir::Losses::rest`]. A value that you cannot place (an unknown tool choice) is an extra too, never dropped. A wrong type is a
//!    [`json::Fault`]. Keep every [`json::Place`]: losses are told in the client's own spelling through it.
//! 3. **Writing.** Take structures of [`ir`] apart without `..`. For each field: write it, or note it in [`ir::Losses`] — `approximated`
//!    where something near it was sent, `unsupported` where nothing was. Extras and opaque parts are written where
//!    `request.format` is your own format and are losses elsewhere. Opaque JSON and numbers keep their text ([`json::Writer::raw`]).
//! 4. **Streams.** A decoder gives events that keep the laws of [`ir::event`], whatever the upstream sends: number parts without gaps,
//!    close them, hold the finish back until the terminator. An encoder takes any lawful order, so it holds parts back where the format
//!    allows only one open at a time. The driver runs both and owns the policy for what is broken or cut; a codec has none.
//! 5. **Never**: send a signature to anybody but its maker ([`ir::Signature::spell`]); invent an id or a time
//!    (they come with [`codec::Reply`]); give `""` as a call's input.
//! 6. **Tests.** Add the format's recordings to `tests/fixtures/recorded/TRANSLATION.tsv`, its fullest request to `tests/fixtures/requests`, and
//!    what its streams look like to `tests/it/wire/shape.rs`. The harness then runs over it: each recording decodes, says the same in every
//!    other format, splits anywhere, and is reported when cut; any lawful stream is written and read back; a property over pruned and
//!    salted requests finds the field that you forgot. Rules that no recording shows go to `tests/it/wire/rules.rs`.
//! 7. **Framing** other than SSE is a variant of [`frame::Framing`] and a cutter in [`frame`], and the codec's [`codec::Codec::framing`] names it.

pub mod anthropic;
pub mod bedrock;
pub mod bound;
mod calls;
pub mod codec;
pub mod cohere;
pub mod count;
pub mod driver;
pub mod edit;
pub mod embedding;
pub mod estimate;
pub mod failure;
pub mod format;
pub mod frame;
pub mod gemini;
pub mod ir;
pub mod json;
pub mod multipart;
pub mod ollama;
pub mod openai_chat;
pub mod openai_responses;
pub mod operation;
pub mod quirks;
pub mod relayed;
pub mod rerank;
pub mod scan;
mod sequence;
pub mod strict;
pub mod tap;
mod turns;

pub use format::Format;
pub use operation::{Demand, Operation};
