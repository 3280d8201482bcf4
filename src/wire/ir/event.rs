//! A stream, as a grammar.
//!
//! ```text
//! stream := Start (Ping | Usage | part-event | Finish)* End
//! ```
//! For each choice: parts are numbered from 0 without gaps, in the order in which they open; a part is opened once, gets deltas of its own
//! kind, and is closed once. Several parts may be open at a time, because tool calls can interleave. `Finish` comes once, when every part
//! is closed. `Usage` is cumulative: a later one replaces an earlier one, and may come after `Finish`. [`super::laws::Laws`] checks all that.

use super::{Citation, Finish, Media, Signature, Usage};
use crate::wire::Format;
use crate::wire::json::{Json, Text};

/// One event of a stream, borrowed from the frame that it came in.
#[derive(Debug, Clone, PartialEq)]
pub enum Event<'a> {
    /// The answer begins.
    Start {
        /// The upstream's id of the answer; empty where it gave none.
        id: Text<'a>,
        /// The model that answers; empty where the upstream does not say.
        model: Text<'a>,
        /// When, in seconds since 1970.
        created: Option<u64>,
    },
    /// A part opens.
    PartStart {
        /// Of which answer.
        choice: u32,
        /// The part's number.
        part: u32,
        /// What it is.
        start: PartStart<'a>,
    },
    /// More of an open part.
    Delta {
        /// Of which answer.
        choice: u32,
        /// The part's number.
        part: u32,
        /// What is added.
        delta: Delta<'a>,
    },
    /// A part is whole.
    PartEnd {
        /// Of which answer.
        choice: u32,
        /// The part's number.
        part: u32,
    },
    /// How likely the last tokens were, in OpenAI's shape.
    Logprobs {
        /// Of which answer.
        choice: u32,
        /// The object `logprobs`.
        logprobs: Json<'a>,
    },
    /// What was used so far, all of it.
    Usage(Usage),
    /// How the request was queued and billed: in OpenAI's word where it has one, otherwise in the upstream's.
    ServiceTier(Text<'a>),
    /// An answer ends.
    Finish {
        /// Which answer.
        choice: u32,
        /// Why.
        finish: Finish<'a>,
    },
    /// The upstream is alive and says nothing.
    Ping,
    /// The protocol's own terminator: nothing follows.
    End,
}

/// What a part is that opens.
#[derive(Debug, Clone, PartialEq)]
pub enum PartStart<'a> {
    /// Text.
    Text,
    /// Thoughts.
    Thinking,
    /// Thoughts that only their maker can read, whole.
    RedactedThinking(Signature<'a>),
    /// The model declines.
    Refusal,
    /// A call of a tool of the client.
    ToolCall {
        /// Pairs the call with its result.
        id: Text<'a>,
        /// The tool's name.
        name: Text<'a>,
        /// A custom tool takes free text instead of a JSON object.
        is_custom: bool,
    },
    /// A picture that the model made, whole.
    Image(Media<'a>),
    /// What only one format has.
    Opaque {
        /// The format.
        format: Format,
        /// The block, as far as it is known.
        block: Json<'a>,
    },
}

/// What is added to a part.
#[derive(Debug, Clone, PartialEq)]
pub enum Delta<'a> {
    /// More text, of a text, a refusal or thoughts.
    Text(Text<'a>),
    /// More of a call's input.
    Input(Text<'a>),
    /// The signature of thoughts.
    Signature(Signature<'a>),
    /// The text cites something.
    Citation(Citation<'a>),
    /// A delta of an opaque part, whole.
    Opaque(Json<'a>),
}

impl PartStart<'_> {
    /// Copies what is borrowed.
    pub fn into_owned(self) -> PartStart<'static> {
        match self {
            Self::Text => PartStart::Text,
            Self::Thinking => PartStart::Thinking,
            Self::RedactedThinking(data) => PartStart::RedactedThinking(data.into_owned()),
            Self::Refusal => PartStart::Refusal,
            Self::ToolCall { id, name, is_custom } => {
                PartStart::ToolCall { id: Text::Owned(id.into_owned()), name: Text::Owned(name.into_owned()), is_custom }
            }
            Self::Image(media) => PartStart::Image(media.into_owned()),
            Self::Opaque { format, block } => PartStart::Opaque { format, block: block.into_owned() },
        }
    }
}

impl Delta<'_> {
    /// Copies what is borrowed.
    pub fn into_owned(self) -> Delta<'static> {
        match self {
            Self::Text(text) => Delta::Text(Text::Owned(text.into_owned())),
            Self::Input(text) => Delta::Input(Text::Owned(text.into_owned())),
            Self::Signature(signature) => Delta::Signature(signature.into_owned()),
            Self::Citation(citation) => Delta::Citation(citation.into_owned()),
            Self::Opaque(raw) => Delta::Opaque(raw.into_owned()),
        }
    }

    /// Returns the bytes of text that it holds.
    pub fn bytes(&self) -> usize {
        match self {
            Self::Text(text) | Self::Input(text) => text.len(),
            Self::Signature(signature) => signature.value.len(),
            Self::Citation(citation) => citation.origin.1.as_str().len(),
            Self::Opaque(raw) => raw.as_str().len(),
        }
    }
}

impl Event<'_> {
    /// Returns whether a user would see something of it; before that, another upstream may still take over.
    pub fn is_content(&self) -> bool {
        match self {
            Self::Start { .. } | Self::Usage(_) | Self::ServiceTier(_) | Self::Ping | Self::Logprobs { .. } => false,
            Self::PartStart { start, .. } => match start {
                PartStart::Text | PartStart::Thinking | PartStart::Refusal => false,
                PartStart::RedactedThinking(_) | PartStart::ToolCall { .. } | PartStart::Image(_) | PartStart::Opaque { .. } => true,
            },
            Self::Delta { .. } | Self::PartEnd { .. } | Self::Finish { .. } | Self::End => true,
        }
    }
}
