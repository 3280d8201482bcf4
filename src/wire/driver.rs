//! Runs a stream's decoder into another format's encoder, and owns the policy for what is unknown, corrupt or cut.
//!
//! - Unknown events are skipped by decoders. What is not what the format says ends the stream as malformed: what was sent is kept, nothing is
//!   guessed.
//! - A stream is whole when its terminator came. Where terminators go missing and every answer has its finish, it is taken as whole, and
//!   counted ([`Ended::WithoutTerminator`]). Everything else is cut, and never a clean end.
//! - What stands behind the terminator is not read.

use bytes::Bytes;

use super::Format;
use super::codec::{DecodeStream, EncodeStream, Failure, Reply};
use super::estimate;
use super::frame::{Cutter, Rest};
use super::ir::laws::Laws;
use super::ir::{Delta, Event, FinishReason, Metered, PartStart, Tier, Usage};
use crate::error::Kind;

/// Most bytes that an encoder may hold back; a stream that opens parts and never closes them must not become memory.
const MAX_HELD: usize = 16 << 20;

/// How a stream ended well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// With the terminator of its format, or with every answer finished where the format has none.
    Complete,
    /// With every answer finished, and no terminator.
    WithoutTerminator,
}

/// What a stream has told so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Progress {
    /// A user would have seen something; before that, another upstream may still take over.
    pub has_content: bool,
    /// What was used, in the last words of the upstream.
    pub usage: Option<Usage>,
    /// The tier that serves, where the upstream says so.
    pub tier: Option<Tier>,
    /// Our own count of the output tokens that passed, which stands for the upstream's where that does not come.
    pub content_tokens: u64,
    /// The same, when the upstream last said what was used.
    usage_at: u64,
}

impl Progress {
    /// Returns what the upstream has said of the cost.
    pub const fn metered(&self) -> Metered {
        Metered { usage: self.usage, tier: self.tier }
    }

    /// Takes what the upstream says was used by now.
    pub(super) const fn hear(&mut self, usage: Usage) {
        (self.usage, self.usage_at) = (Some(usage), self.content_tokens);
    }

    /// Returns whether content came after the upstream last said what was used, so that its count is not of all of it.
    pub const fn outran_its_usage(&self) -> bool {
        self.usage_at < self.content_tokens
    }
}

/// One stream on its way from an upstream's format to a client's.
pub struct Driver {
    from: Format,
    cutter: Cutter,
    decoder: Box<dyn DecodeStream>,
    run: Run,
}

/// What stands behind the decoder. Apart from it, so that both can be borrowed.
struct Run {
    encoder: Box<dyn EncodeStream>,
    progress: Progress,
    unwrap: Option<Unwrap>,
    has_started: bool,
    finished: u32,
    has_ended: bool,
    laws: Laws,
    breach: Option<String>,
}

impl Driver {
    /// Makes a driver. `unwrap_tool` is what the request's encoder said ([`super::codec::Encoded::unwrap_tool`]).
    pub fn new(from: Format, into: Format, reply: &Reply<'_>, unwrap_tool: Option<&'static str>) -> Self {
        Self::with_encoder(from, into.codec().stream_encoder(reply), unwrap_tool)
    }

    /// Makes a driver that writes with an encoder of the caller's, where the client's format has more than one framing.
    pub fn with_encoder(from: Format, encoder: Box<dyn EncodeStream>, unwrap_tool: Option<&'static str>) -> Self {
        let run = Run {
            encoder,
            progress: Progress::default(),
            unwrap: unwrap_tool.map(|name| Unwrap { name, part: None, other_calls: false }),
            has_started: false,
            finished: 0,
            has_ended: false,
            laws: Laws::default(),
            breach: None,
        };
        Self { from, cutter: Cutter::new(from.codec().framing()), decoder: from.codec().stream_decoder(), run }
    }

    /// Returns what the stream has told so far.
    pub const fn progress(&self) -> Progress {
        self.run.progress
    }

    /// Returns whether the stream's own end came: nothing behind it is read.
    pub const fn has_ended(&self) -> bool {
        self.run.has_ended
    }

    /// Returns whether an answer was finished, so that a missing terminator is no cut.
    pub const fn is_finished(&self) -> bool {
        self.run.finished > 0
    }

    /// Reads a piece of the upstream's body, of any length, and writes what it comes to.
    ///
    /// # Errors
    /// A [`Failure`], after which nothing more may be pushed. What was written to `out` before it is good.
    pub fn push(&mut self, piece: Bytes, out: &mut Vec<u8>) -> Result<(), Failure> {
        self.cutter.push(piece)?;
        while let Some(frame) = self.cutter.next_frame()? {
            self.frame(&frame, out)?;
        }
        Ok(())
    }

    fn frame(&mut self, frame: &[u8], out: &mut Vec<u8>) -> Result<(), Failure> {
        if self.run.has_ended {
            return Ok(());
        }
        let run = &mut self.run;
        self.decoder.frame(&self.cutter.read(frame)?, &mut |event| run.take(event, out))?;
        run.check()
    }

    /// The upstream's body has ended. Writes the end, if it is one.
    ///
    /// # Errors
    /// [`Kind::UpstreamTruncated`] where the stream is cut; the error itself where an error came in place of a stream.
    pub fn end(&mut self, out: &mut Vec<u8>) -> Result<Ended, Failure> {
        match self.cutter.rest() {
            Rest::Body(body) if !self.run.has_started => return Err(self.from.codec().decode_error(200, &body)),
            Rest::Body(_) | Rest::Nothing => {}
            // The last frame may lack its end. Half a frame does not parse; it is what a cut looks like, and what came before decides.
            Rest::Frame(frame) => {
                let last = self.frame(&frame, out);
                last.or_else(|failure| if failure.kind == Kind::UpstreamMalformed { Ok(()) } else { Err(failure) })?;
            }
        }
        if self.run.has_ended {
            return Ok(Ended::Complete);
        }
        let run = &mut self.run;
        self.decoder.body_end(&mut |event| run.take(event, out));
        run.check()?;
        if run.finished == 0 {
            return Err(truncated());
        }
        run.take(Event::End, out);
        run.check()?;
        Ok(if self.from.codec().has_terminator() { Ended::WithoutTerminator } else { Ended::Complete })
    }

    /// Writes a failure as the last frame of the client's stream.
    pub fn fail(&mut self, failure: &Failure, request_id: &str, out: &mut Vec<u8>) {
        self.run.encoder.failure(failure, request_id, out);
    }
}

impl std::fmt::Debug for Driver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Driver").field("from", &self.from).field("progress", &self.run.progress).finish_non_exhaustive()
    }
}

fn truncated() -> Failure {
    Failure::new(Kind::UpstreamTruncated, "the upstream's stream ended before its end")
}

impl Run {
    fn take(&mut self, event: Event<'_>, out: &mut Vec<u8>) {
        let event = match &mut self.unwrap {
            Some(unwrap) => unwrap.event(event),
            None => event,
        };
        if cfg!(debug_assertions)
            && self.breach.is_none()
            && let Err(breach) = self.laws.observe(&event)
        {
            self.breach = Some(format!("{breach}: {event:?}"));
        }
        match &event {
            Event::Start { .. } => self.has_started = true,
            Event::Usage(usage) => self.progress.hear(*usage),
            Event::Finish { .. } => self.finished += 1,
            Event::End => self.has_ended = true,
            Event::Delta { .. } | Event::PartStart { .. } => self.progress.content_tokens += estimate::event(&event),
            Event::PartEnd { .. } | Event::Logprobs { .. } | Event::Ping => {}
            Event::ServiceTier(tier) => self.progress.tier = Tier::read(tier).or(self.progress.tier),
        }
        self.progress.has_content |= event.is_content();
        self.encoder.event(&event, out);
    }

    fn check(&self) -> Result<(), Failure> {
        if let Some(breach) = &self.breach {
            return Err(Failure::new(Kind::Internal, breach.clone()));
        }
        if self.encoder.held_bytes() > MAX_HELD {
            return Err(Failure::malformed("the stream leaves too many parts open"));
        }
        Ok(())
    }
}

/// Turns the call of the tool that stands for JSON output back into the text that was asked for.
struct Unwrap {
    name: &'static str,
    part: Option<u32>,
    other_calls: bool,
}

impl Unwrap {
    fn event<'e>(&mut self, event: Event<'e>) -> Event<'e> {
        match event {
            Event::PartStart { choice, part, start: PartStart::ToolCall { name, .. } } if name == self.name => {
                self.part = Some(part);
                Event::PartStart { choice, part, start: PartStart::Text }
            }
            Event::PartStart { start: PartStart::ToolCall { .. }, .. } => {
                self.other_calls = true;
                event
            }
            Event::Delta { choice, part, delta: Delta::Input(text) } if self.part == Some(part) => {
                Event::Delta { choice, part, delta: Delta::Text(text) }
            }
            Event::Finish { choice, mut finish } => {
                if finish.reason == FinishReason::ToolCalls && self.part.is_some() && !self.other_calls {
                    finish.reason = FinishReason::Stop;
                }
                Event::Finish { choice, finish }
            }
            other => other,
        }
    }
}
