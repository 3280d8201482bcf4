//! What a format must be able to do, and what it is told. Pure: time and ids are arguments.

use std::borrow::Cow;

use super::ir::{Event, Loss, Request};
use super::json::{Fault, JsonError, Text};
use super::quirks::Quirks;
use crate::error::Kind;

/// A body that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadBody {
    /// Not JSON that is read.
    #[error("the body cannot be read: {0}")]
    Json(#[from] JsonError),
    /// JSON, but not what the format says.
    #[error("{0}")]
    Fault(#[from] Fault),
}

/// What a request's path says in formats that put it there (Gemini, Bedrock), and nothing in the others.
#[derive(Debug, Clone, Copy, Default)]
pub struct Route<'a> {
    /// The model.
    pub model: Option<&'a str>,
    /// Whether the answer is a stream.
    pub is_stream: Option<bool>,
}

/// For whom a request is encoded.
#[derive(Debug, Clone, Copy)]
pub struct Target<'t> {
    /// The upstream's name of the model.
    pub model: &'t str,
    /// The most tokens that an answer of the model may have, where it is known.
    pub max_output_tokens: Option<u64>,
    /// How the server differs from the format's own.
    pub quirks: &'t Quirks,
}

/// An encoded request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Encoded {
    /// The body.
    pub body: Vec<u8>,
    /// What it does not carry as the client wrote it.
    pub losses: Vec<Loss>,
    /// The tool whose call is the answer's content, where JSON output is emulated by a tool that must be called.
    pub unwrap_tool: Option<&'static str>,
}

/// For whom an answer is encoded.
#[derive(Debug, Clone, Copy)]
pub struct Reply<'r> {
    /// Our id of the request; stands in where the upstream gave the answer none.
    pub request_id: &'r str,
    /// The time, in seconds since 1970; stands in where the upstream does not say.
    pub created: u64,
    /// The model; stands in where the upstream does not say.
    pub model: &'r str,
    /// Whether a stream tells its usage, in formats where the client chooses.
    pub include_usage: bool,
}

/// An upstream's failure, or our own, told inside a stream or as a whole answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// What went wrong.
    pub kind: Kind,
    /// The upstream's own words, or ours; empty where there are none.
    pub message: String,
}

impl Failure {
    /// Makes a failure.
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }

    /// Makes the failure of a stream that is not what its format says.
    pub fn malformed(message: &'static str) -> Self {
        Self::new(Kind::UpstreamMalformed, message)
    }
}

/// One frame of a stream: an event of SSE, a line of NDJSON, a message of an AWS event stream.
#[derive(Debug, Clone)]
pub struct Frame<'f> {
    /// The event's name; empty where it has none.
    pub event: &'f [u8],
    /// The payload.
    pub data: Cow<'f, [u8]>,
}

/// Takes the events of a stream, one by one.
pub type Sink<'s> = dyn FnMut(Event<'_>) + 's;

/// Reads a stream. Keeps the laws of [`super::ir::event`] whatever the upstream sends; holds `Finish` back until the terminator or the
/// end of the body, because usage and repeated finish reasons may follow the first one.
pub trait DecodeStream: Send {
    /// Reads one frame. What the format does not know is skipped.
    ///
    /// # Errors
    /// A [`Failure`]: an error event, or something that is not what the format says. Nothing is read after that.
    fn frame(&mut self, frame: &Frame<'_>, sink: &mut Sink<'_>) -> Result<(), Failure>;

    /// The body has ended: gives what was held back. Never gives [`Event::End`], which only the terminator does.
    fn body_end(&mut self, sink: &mut Sink<'_>);
}

/// Writes a stream, frames and all.
pub trait EncodeStream: Send {
    /// Writes what an event comes to; nothing, where the format says it later or not at all.
    fn event(&mut self, event: &Event<'_>, out: &mut Vec<u8>);

    /// Writes a failure as the stream's last frame. It must not look like a clean end.
    fn failure(&mut self, failure: &Failure, request_id: &str, out: &mut Vec<u8>);

    /// Returns the bytes that are held back, because the format allows one open part and several are open.
    fn held_bytes(&self) -> usize {
        0
    }
}

/// A format, both ways.
pub trait Codec: Sync {
    /// Reads a client's request.
    ///
    /// # Errors
    /// [`BadBody`], whose text is for the client.
    fn decode_request<'a>(&self, body: &'a [u8], route: &Route<'a>) -> Result<Request<'a>, BadBody>;

    /// Writes a request for an upstream.
    fn encode_request(&self, request: &Request<'_>, target: &Target<'_>) -> Encoded;
}

/// Returns the text, or what stands in for an empty one.
pub fn or<'t>(text: &'t Text<'_>, instead: &'t str) -> &'t str {
    if text.is_empty() { instead } else { text }
}
