//! How a stream is read, by lane: passed and watched, where client and upstream speak one format; translated, where they do not.
//!
//! It decides nothing: it says what came, and the stream does with it what the failover rules say.

use std::collections::VecDeque;

use bytes::Bytes;

use crate::error::{GatewayError, Kind};
use crate::wire::Format;
use crate::wire::codec::{EncodeStream, Failure, Reply};
use crate::wire::driver::{Driver, Ended};
use crate::wire::frame::{self, Sse};
use crate::wire::ir::Metered;
use crate::wire::openai_chat::{self, Event, Watcher};
use crate::wire::tap::{self, Tap};

/// What came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Heard {
    /// Bytes for the client, and whether a user has seen something by now.
    Pass { bytes: Bytes, has_content: bool },
    /// Something that the client did not ask for.
    Hidden,
    /// The stream's own end; no bytes where they went before it.
    Done(Bytes),
    /// An error, with the client's bytes for it where it came in the client's format.
    Failed(Failure, Option<Bytes>),
}

/// Reads one stream.
#[derive(Debug)]
pub(super) enum Reader {
    /// OpenAI's chunks, judged without a decoder.
    Watch(Box<Watch>),
    /// Any other format, listened to.
    Tap { format: Format, tap: Box<Tap> },
    /// One format into another.
    Translate(Box<Translate>),
}

#[derive(Debug)]
pub(super) struct Watch {
    pub(super) sse: Sse,
    pub(super) watcher: Watcher,
    /// The client did not ask for the usage that we asked for.
    pub(super) hide_usage: bool,
    /// The upstream ends its streams with `[DONE]`.
    pub(super) done_marker: bool,
}

#[derive(Debug)]
pub(super) struct Translate {
    driver: Driver,
    heard: VecDeque<Heard>,
}

impl Reader {
    /// Passes a stream of one format.
    pub(super) fn relay(format: Format, hide_usage: bool, done_marker: bool) -> Self {
        match format {
            Format::OpenaiChat => {
                Self::Watch(Box::new(Watch { sse: Sse::default(), watcher: Watcher::default(), hide_usage, done_marker }))
            }
            other => Self::Tap { format: other, tap: Box::new(Tap::new(other)) },
        }
    }

    /// Translates a stream.
    pub(super) fn translate(from: Format, encoder: Box<dyn EncodeStream>, unwrap_tool: Option<&'static str>) -> Self {
        let driver = Driver::with_encoder(from, encoder, unwrap_tool);
        Self::Translate(Box::new(Translate { driver, heard: VecDeque::new() }))
    }

    /// Takes a piece of the upstream's body.
    ///
    /// # Errors
    /// [`Kind::UpstreamMalformed`].
    pub(super) fn push(&mut self, piece: Bytes) -> Result<(), GatewayError> {
        let oversized = |error: &dyn std::fmt::Display| {
            GatewayError::new(Kind::UpstreamMalformed, "The provider sent an oversized event.").detail(error)
        };
        match self {
            Self::Watch(watch) => watch.sse.push(piece).map_err(|error| oversized(&error)),
            Self::Tap { tap, .. } => tap.push(piece).map_err(|failure| oversized(&failure.message)),
            Self::Translate(translate) => {
                translate.push(piece);
                Ok(())
            }
        }
    }

    /// Returns the next thing that came.
    pub(super) fn next(&mut self) -> Option<Heard> {
        match self {
            Self::Watch(watch) => watch.next(),
            Self::Tap { tap, .. } => Some(match tap.next_event()? {
                // What follows the end (OpenRouter's `[DONE]`) passes as well: the body's own end is the stream's.
                tap::Heard::Event(bytes) | tap::Heard::End(bytes) => Heard::Pass { bytes, has_content: tap.progress().has_content },
                tap::Heard::Failure(failure, bytes) => Heard::Failed(failure, bytes),
            }),
            Self::Translate(translate) => translate.heard.pop_front(),
        }
    }

    /// The body has ended without the stream's own end. Returns the client's last bytes where the answer is whole all the same; nothing
    /// where it is cut.
    pub(super) fn end(&mut self) -> Option<Bytes> {
        match self {
            // A client's SDK waits for the terminator, whether or not this server forgot it.
            Self::Watch(watch) => {
                watch.watcher.complete().then(|| if watch.done_marker { terminator(Format::OpenaiChat) } else { Bytes::new() })
            }
            Self::Tap { format, tap } => {
                tap.end();
                let forgotten = if tap.has_ended() { Bytes::new() } else { terminator(*format) };
                (tap.has_ended() || tap.is_finished()).then_some(forgotten)
            }
            Self::Translate(translate) => {
                let mut out = Vec::new();
                match translate.driver.end(&mut out) {
                    Ok(Ended::Complete | Ended::WithoutTerminator) => Some(Bytes::from(out)),
                    Err(_) => None,
                }
            }
        }
    }

    /// Returns whether the stream's own end has passed, so that nothing that happens to the connection matters any more.
    pub(super) fn has_ended(&self) -> bool {
        match self {
            Self::Watch(watch) => watch.watcher.done,
            Self::Tap { tap, .. } => tap.has_ended(),
            Self::Translate(translate) => translate.driver.has_ended(),
        }
    }

    /// Returns whether a user has seen something by now.
    pub(super) fn has_content(&self) -> bool {
        match self {
            Self::Watch(watch) => watch.watcher.content_tokens > 0 || watch.watcher.finished,
            Self::Tap { tap, .. } => tap.progress().has_content,
            Self::Translate(translate) => translate.driver.progress().has_content,
        }
    }

    /// Returns what the upstream has said of the cost so far.
    pub(super) fn metered(&self) -> Metered {
        match self {
            Self::Watch(watch) => watch.watcher.metered,
            Self::Tap { tap, .. } => tap.progress().metered(),
            Self::Translate(translate) => translate.driver.progress().metered(),
        }
    }

    /// Returns whether content came after the upstream last said what was used. One that speaks chat completions says it at the end, or never.
    pub(super) fn outran_its_usage(&self) -> bool {
        match self {
            Self::Watch(_) => false,
            Self::Tap { tap, .. } => tap.progress().outran_its_usage(),
            Self::Translate(translate) => translate.driver.progress().outran_its_usage(),
        }
    }

    /// Returns our own count of the output tokens so far.
    pub(super) fn content_tokens(&self) -> u64 {
        match self {
            Self::Watch(watch) => watch.watcher.content_tokens,
            Self::Tap { tap, .. } => tap.progress().content_tokens,
            Self::Translate(translate) => translate.driver.progress().content_tokens,
        }
    }

    /// Writes an error as the client's last event.
    pub(super) fn failure(&mut self, error: &GatewayError, request_id: &str) -> Bytes {
        let failure = Failure::new(error.kind, error.public.clone());
        let mut out = Vec::new();
        match self {
            Self::Watch(_) => out = openai_chat::error_event(error.kind, &error.public, request_id),
            Self::Tap { format, .. } => {
                let reply = Reply { request_id, ..Reply::default() };
                format.codec().stream_encoder(&reply).failure(&failure, request_id, &mut out);
            }
            Self::Translate(translate) => translate.driver.fail(&failure, request_id, &mut out),
        }
        Bytes::from(out)
    }
}

impl Watch {
    fn next(&mut self) -> Option<Heard> {
        let event = self.sse.next_event()?;
        Some(match self.watcher.observe(&event) {
            Event::Usage if self.hide_usage => Heard::Hidden,
            Event::Quiet | Event::Usage => Heard::Pass { bytes: event, has_content: false },
            Event::Content => Heard::Pass { bytes: event, has_content: true },
            Event::Done => Heard::Done(event),
            Event::Error => {
                let data = data(&event);
                Heard::Failed(Failure::new(openai_chat::classify_event(&data), ""), Some(event))
            }
            Event::Malformed => Heard::Failed(Failure::malformed("a malformed event"), None),
        })
    }
}

impl Translate {
    fn push(&mut self, piece: Bytes) {
        let mut out = Vec::new();
        let result = self.driver.push(piece, &mut out);
        let bytes = Bytes::from(out);
        let has_content = self.driver.progress().has_content;
        if self.driver.has_ended() {
            self.heard.push_back(Heard::Done(bytes));
            return;
        }
        if !bytes.is_empty() {
            self.heard.push_back(Heard::Pass { bytes, has_content });
        }
        if let Err(failure) = result {
            self.heard.push_back(Heard::Failed(failure, None));
        }
    }
}

/// Returns the event that ends a stream of a format and says nothing else; nothing, where the finish is the end.
const fn terminator(format: Format) -> Bytes {
    match format {
        Format::OpenaiChat => Bytes::from_static(b"data: [DONE]\n\n"),
        Format::Anthropic => Bytes::from_static(b"event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n"),
        Format::OpenaiResponses | Format::Gemini | Format::Bedrock | Format::Cohere | Format::Ollama => Bytes::new(),
    }
}

/// Returns the data of an event, as it stands in it.
pub(super) fn data(event: &Bytes) -> Bytes {
    let mut found: &[u8] = &[];
    frame::fields(event, |line| found = line);
    event.slice_ref(found)
}
