//! What a format must be able to do, and what it is told. Pure: time and ids are arguments.

use std::borrow::Cow;

use super::frame::Framing;
use super::ir::{Event, Loss, Request, Response};
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

/// An encoded answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The body.
    pub body: Vec<u8>,
    /// What it does not carry of the upstream's answer, with paths in the upstream's spelling.
    pub losses: Vec<Loss>,
}

/// For whom an answer is encoded.
#[derive(Debug, Clone, Copy, Default)]
pub struct Reply<'r> {
    /// Our id of the request; stands in where the upstream gave the answer none.
    pub request_id: &'r str,
    /// The time, in seconds since 1970; stands in where the upstream does not say.
    pub created: u64,
    /// The model; stands in where the upstream does not say.
    pub model: &'r str,
    /// Whether a stream tells its usage, in formats where the client chooses.
    pub include_usage: bool,
    /// How long the answer took, or its beginning where it is a stream, in milliseconds.
    pub latency_ms: u64,
    /// The client's own request, whose settings some formats repeat in every answer; empty where it is not known.
    pub asked: &'r str,
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

    /// Returns the message in the words by which clients of a format know it: agents shorten their history and go on where they are told that
    /// it is too long, and by far not all of them look at a code.
    pub fn told(&self, too_long: &TooLong) -> Cow<'_, str> {
        let lower = self.message.to_ascii_lowercase();
        if self.kind != Kind::ContextWindow || too_long.known.iter().any(|known| lower.contains(known)) {
            return Cow::Borrowed(&self.message);
        }
        let joint = if self.message.is_empty() { "" } else { ": " };
        Cow::Owned(format!("{}{joint}{}", too_long.words, self.message))
    }

    /// Makes the failure of a stream that is not what its format says.
    pub fn malformed(message: &'static str) -> Self {
        Self::new(Kind::UpstreamMalformed, message)
    }
}

/// How a format says that a prompt is too long for the model.
#[derive(Debug, Clone, Copy)]
pub struct TooLong {
    /// What its provider says, in lower case; any of these is understood.
    pub known: &'static [&'static str],
    /// What is put in front of words that are none of these.
    pub words: &'static str,
}

/// One frame of a stream: an event of SSE, a line of NDJSON, a message of an AWS event stream.
#[derive(Debug, Clone)]
pub struct Frame<'f> {
    /// The event's name; empty where it has none.
    pub event: &'f [u8],
    /// The payload.
    pub data: Cow<'f, [u8]>,
    /// The framing itself says that this is an error; `event` is its name.
    pub is_error: bool,
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

    /// Returns where requests for answers go, below the upstream's root.
    fn path(&self, target: &Target<'_>, is_stream: bool) -> Cow<'static, str>;

    /// Writes a request for an upstream.
    fn encode_request(&self, request: &Request<'_>, target: &Target<'_>) -> Encoded;

    /// Reads an upstream's whole answer.
    ///
    /// # Errors
    /// A [`Failure`], where it is not what the format says, or an error in spite of its status.
    fn decode_response<'a>(&self, body: &'a [u8]) -> Result<Response<'a>, Failure>;

    /// Writes a whole answer for a client.
    fn encode_response(&self, response: &Response<'_>, reply: &Reply<'_>) -> Answer;

    /// Returns how its streams are framed.
    fn framing(&self) -> Framing {
        Framing::Sse
    }

    /// Makes a reader of one stream.
    fn stream_decoder(&self) -> Box<dyn DecodeStream>;

    /// Makes a writer of one stream.
    fn stream_encoder(&self, reply: &Reply<'_>) -> Box<dyn EncodeStream>;

    /// Returns whether streams of the format end with a terminator; where they do not, one is whole when every answer says why it ended.
    fn has_terminator(&self) -> bool {
        true
    }

    /// Reads an upstream's error: its class, and its own words. `status` is 200 where an error came in place of an answer.
    fn decode_error(&self, status: u16, body: &[u8]) -> Failure;

    /// Writes an error as a whole answer.
    fn encode_error(&self, failure: &Failure, request_id: &str) -> Vec<u8>;

    /// Returns the status that clients of the format expect of a failure.
    fn error_status(&self, kind: Kind) -> u16 {
        kind.status()
    }
}

impl From<BadBody> for Failure {
    fn from(bad: BadBody) -> Self {
        Self::new(Kind::UpstreamMalformed, bad.to_string())
    }
}

impl Reply<'_> {
    /// Returns the answer's id: the upstream's, or one made of ours.
    pub fn id<'i>(&self, id: &'i Text<'_>, prefix: &str) -> Text<'i> {
        if id.is_empty() { Text::Owned(format!("{prefix}{}", self.request_id)) } else { Text::Borrowed(id) }
    }

    /// Returns a call's id: the upstream's, or one made of ours and the call's number.
    pub fn call_id<'i>(&self, id: &'i Text<'_>, prefix: &str, number: usize) -> Text<'i> {
        if id.is_empty() { Text::Owned(format!("{prefix}{}_{number}", self.request_id)) } else { Text::Borrowed(id) }
    }

    /// Returns the model: the upstream's name of it, or ours.
    pub fn model_of<'m>(&'m self, model: &'m Text<'_>) -> &'m str {
        if model.is_empty() { self.model } else { model }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Format;

    #[test]
    fn a_prompt_that_is_too_long_is_told_in_the_words_that_clients_of_the_format_know() {
        let says = |format: Format, kind: Kind, words: &str| {
            let body = format.codec().encode_error(&Failure::new(kind, words), "r1");
            crate::wire::failure::message(&body)
        };
        let theirs = [
            (Format::OpenaiChat, "this model's maximum context length is"),
            (Format::OpenaiResponses, "this model's maximum context length is"),
            (Format::Anthropic, "prompt is too long"),
            (Format::Gemini, "exceeds the maximum number of tokens allowed"),
            (Format::Bedrock, "input is too long"),
        ];
        for (format, words) in theirs {
            for (_, foreign) in theirs {
                let told = says(format, Kind::ContextWindow, foreign).to_ascii_lowercase();
                assert!(told.contains(words) && told.ends_with(foreign), "{format:?}: {told}");
                assert_eq!(told.matches(words).count(), 1, "{told}");
            }
            assert!(says(format, Kind::ContextWindow, "").to_ascii_lowercase().contains(words));
            assert_eq!(says(format, Kind::UpstreamRejected, "no"), "no");
        }
    }
}
