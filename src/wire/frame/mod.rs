//! Bytes → frames, incrementally, for any split of the stream into pieces.

mod event_stream;
mod ndjson;
mod pending;
mod sse;

pub use event_stream::{EventStream, Telling, write as write_message};
pub use ndjson::Ndjson;
pub use sse::{Sse, SseError, fields, read_frame};

use bytes::Bytes;

use super::codec::{Failure, Frame};
use crate::error::Kind;

/// How a format's streams are framed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// Server-sent events.
    Sse,
    /// AWS event streams.
    EventStream,
    /// Lines of JSON.
    Ndjson,
}

impl Framing {
    /// Returns the media type of such a stream.
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Sse => "text/event-stream",
            Self::EventStream => "application/vnd.amazon.eventstream",
            Self::Ndjson => "application/x-ndjson",
        }
    }
}

/// Why a stream cannot be cut any further.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// A frame outgrows its cap.
    #[error("an event of the stream is too large")]
    TooLarge,
    /// A message whose lengths contradict each other.
    #[error("a message of the stream has a length that cannot be")]
    Length,
    /// A message that is not what was sent.
    #[error("a message of the stream does not fit its checksum")]
    Checksum,
    /// A message whose headers cannot be read.
    #[error("a message of the stream has headers that cannot be read")]
    Headers,
}

impl From<SseError> for FrameError {
    fn from(_: SseError) -> Self {
        Self::TooLarge
    }
}

impl From<FrameError> for Failure {
    fn from(error: FrameError) -> Self {
        Self::new(Kind::UpstreamMalformed, error.to_string())
    }
}

/// Cuts a stream of any framing: push pieces, pull whole frames.
#[derive(Debug)]
pub enum Cutter {
    /// Server-sent events.
    Sse(Sse),
    /// AWS event streams.
    EventStream(EventStream),
    /// Lines of JSON.
    Ndjson(Ndjson),
}

impl Cutter {
    /// Starts to cut.
    pub fn new(framing: Framing) -> Self {
        match framing {
            Framing::Sse => Self::Sse(Sse::default()),
            Framing::EventStream => Self::EventStream(EventStream::default()),
            Framing::Ndjson => Self::Ndjson(Ndjson::default()),
        }
    }

    /// Adds a piece of the stream.
    ///
    /// # Errors
    /// [`FrameError::TooLarge`].
    pub fn push(&mut self, piece: Bytes) -> Result<(), FrameError> {
        match self {
            Self::Sse(sse) => sse.push(piece)?,
            Self::EventStream(stream) => stream.push(piece),
            Self::Ndjson(ndjson) => ndjson.push(piece),
        }
        Ok(())
    }

    /// Takes the next whole frame as it came, if there is one.
    ///
    /// # Errors
    /// [`FrameError`], after which there is no next one.
    pub fn next_frame(&mut self) -> Result<Option<Bytes>, FrameError> {
        match self {
            Self::Sse(sse) => Ok(sse.next_event()),
            Self::EventStream(stream) => stream.next_message(),
            Self::Ndjson(ndjson) => ndjson.next_line(),
        }
    }

    /// Reads a frame that was cut here.
    ///
    /// # Errors
    /// [`FrameError::Headers`].
    pub fn read<'f>(&self, frame: &'f [u8]) -> Result<Frame<'f>, FrameError> {
        match self {
            Self::Sse(_) => Ok(read_frame(frame)),
            Self::EventStream(_) => event_stream::read(frame),
            Self::Ndjson(_) => Ok(ndjson::read(frame)),
        }
    }

    /// The body has ended: takes what is left after the last whole frame.
    pub fn rest(&mut self) -> Rest {
        let (bytes, may_be_frame, may_be_body) = match self {
            Self::Sse(sse) => (sse.rest(), true, true),
            Self::EventStream(stream) => (stream.rest(), false, true),
            Self::Ndjson(ndjson) => (ndjson.rest(), true, false),
        };
        if may_be_body && matches!(bytes.trim_ascii_start().first(), Some(b'{' | b'[')) {
            Rest::Body(bytes)
        } else if may_be_frame && !bytes.trim_ascii().is_empty() {
            Rest::Frame(bytes)
        } else {
            Rest::Nothing
        }
    }
}

/// What is left behind the last whole frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rest {
    /// Nothing that could be read.
    Nothing,
    /// A frame that lacks its end, or half of one.
    Frame(Bytes),
    /// JSON that is no frame: an error in place of a stream, if nothing came before it.
    Body(Bytes),
}
