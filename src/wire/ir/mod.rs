//! The middle form: what a request, an answer and a stream say, whatever the format they came in.
//!
//! Not a provider's types: no serde, no defaults of any provider, nothing resolved. Text is borrowed from the body that was read; JSON
//! that is nobody's business (schemas, unknown members) stays text. Rule: whoever *encodes* a structure of this module takes it apart
//! without `..`, so that a new field does not compile until every format has said what becomes of it: written, or told as a [`Loss`].

pub mod event;
pub mod laws;
pub mod loss;
mod merge;
pub mod part;
pub mod request;
pub mod response;
pub mod usage;

pub use event::{Delta, Event, PartStart};
pub use loss::{Loss, Losses, Reason};
pub use part::{CacheMark, Citation, Content, Maker, Media, Part, Signature, ToolCall, ToolResult};
pub use request::{
    Caching, Effort, Identity, Logprobs, Message, Output, Reasoning, ReasoningMode, Request, Role, Sampling, ServiceTier, Tool, ToolChoice,
    ToolKind,
};
pub use response::{Choice, Finish, FinishReason, Response};
pub use usage::{Metered, OtherCounts, Tier, Usage};
