//! Listens to a stream that passes unchanged, because client and upstream speak the same format.
//!
//! A decoder reads a copy of each event; what passes is what came. Rule: the same judgement as [`super::driver`]'s, without its encoder.

use bytes::Bytes;

use super::Format;
use super::codec::{DecodeStream, Failure};
use super::driver::Progress;
use super::estimate;
use super::frame::Cutter;
use super::ir::{Event, Tier};
use crate::error::Kind;

/// What one event of the stream means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    /// It passes.
    Event(Bytes),
    /// It passes, and it is the stream's own end.
    End(Bytes),
    /// It is an error in the upstream's own words; or it is not what the format says, and then there are no bytes to pass.
    Failure(Failure, Option<Bytes>),
}

/// One stream that is listened to.
pub struct Tap {
    cutter: Cutter,
    decoder: Box<dyn DecodeStream>,
    seen: Seen,
}

/// What the events have told. Apart from the decoder, so that both can be borrowed.
#[derive(Debug, Default)]
struct Seen {
    progress: Progress,
    finished: u32,
    has_ended: bool,
}

impl Tap {
    /// Starts to listen to a stream of a format.
    pub fn new(format: Format) -> Self {
        Self { cutter: Cutter::new(format.codec().framing()), decoder: format.codec().stream_decoder(), seen: Seen::default() }
    }

    /// Returns what the stream has told so far.
    pub const fn progress(&self) -> Progress {
        self.seen.progress
    }

    /// Returns whether an answer was finished, so that a missing terminator is no cut.
    pub const fn is_finished(&self) -> bool {
        self.seen.finished > 0
    }

    /// Returns whether the stream's own end has come.
    pub const fn has_ended(&self) -> bool {
        self.seen.has_ended
    }

    /// Takes a piece of the stream.
    ///
    /// # Errors
    /// A [`Failure`], where an event is too large.
    pub fn push(&mut self, piece: Bytes) -> Result<(), Failure> {
        Ok(self.cutter.push(piece)?)
    }

    /// Returns the next whole event, if there is one.
    pub fn next_event(&mut self) -> Option<Heard> {
        match self.cutter.next_frame() {
            Ok(frame) => frame.map(|frame| self.judge(frame)),
            Err(error) => Some(Heard::Failure(error.into(), None)),
        }
    }

    /// The body has ended: judges what the decoder held back.
    pub fn end(&mut self) {
        let seen = &mut self.seen;
        self.decoder.body_end(&mut |event| seen.take(&event));
    }

    fn judge(&mut self, frame: Bytes) -> Heard {
        // What stands behind the end passes, and is nobody's to judge.
        if self.seen.has_ended {
            return Heard::Event(frame);
        }
        let seen = &mut self.seen;
        let judged = match self.cutter.read(&frame) {
            Ok(read) => self.decoder.frame(&read, &mut |event| seen.take(&event)),
            Err(error) => return Heard::Failure(error.into(), None),
        };
        match judged {
            // What is broken is no last word for a client.
            Err(failure) => Heard::Failure(failure.clone(), Some(frame).filter(|_| failure.kind != Kind::UpstreamMalformed)),
            Ok(()) if seen.has_ended => Heard::End(frame),
            Ok(()) => Heard::Event(frame),
        }
    }
}

impl std::fmt::Debug for Tap {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tap").field("seen", &self.seen).finish_non_exhaustive()
    }
}

impl Seen {
    fn take(&mut self, event: &Event<'_>) {
        match event {
            Event::Usage(usage) => self.progress.hear(*usage),
            Event::Finish { .. } => self.finished += 1,
            Event::End => self.has_ended = true,
            Event::Delta { .. } | Event::PartStart { .. } => self.progress.content_tokens += estimate::event(event),
            Event::Start { .. } | Event::PartEnd { .. } | Event::Logprobs { .. } | Event::Ping => {}
            Event::ServiceTier(tier) => self.progress.tier = Tier::read(tier).or(self.progress.tier),
        }
        self.progress.has_content |= event.is_content();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::frame::Framing;

    const STREAM: &str = concat!(
        "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"m\",\"type\":\"message\",\"role\":\"assistant\",\"content\":[],\"model\":\"c\",\"stop_reason\":null,\"stop_sequence\":null,\"usage\":{\"input_tokens\":3,\"output_tokens\":1}}}\n\n",
        "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n",
        "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"hi\"}}\n\n",
        "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\n",
        "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\",\"stop_sequence\":null},\"usage\":{\"output_tokens\":5}}\n\n",
        "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
    );

    #[test]
    fn what_passes_is_what_came_and_content_usage_and_end_are_heard() {
        let mut tap = Tap::new(Format::Anthropic);
        tap.push(Bytes::from_static(STREAM.as_bytes())).unwrap();
        let (mut passed, mut content_at, mut ends) = (Vec::new(), None, 0);
        for number in 0.. {
            let Some(heard) = tap.next_event() else { break };
            match heard {
                Heard::Event(bytes) => passed.extend_from_slice(&bytes),
                Heard::End(bytes) => {
                    ends += 1;
                    passed.extend_from_slice(&bytes);
                }
                Heard::Failure(failure, _) => panic!("{failure:?}"),
            }
            if tap.progress().has_content {
                content_at.get_or_insert(number);
            }
        }
        assert_eq!((passed, content_at, ends), (STREAM.as_bytes().to_vec(), Some(2), 1));
        let usage = tap.progress().usage.unwrap();
        assert_eq!((usage.whole_input(), usage.output), (3, 5));
    }

    #[test]
    fn what_cannot_be_cut_is_a_failure_without_bytes() {
        let mut tap = Tap { cutter: Cutter::new(Framing::EventStream), ..Tap::new(Format::Anthropic) };
        tap.push(Bytes::from_static(&[0; 16])).unwrap();
        let Some(Heard::Failure(failure, None)) = tap.next_event() else { panic!("no failure") };
        assert_eq!(failure.kind, Kind::UpstreamMalformed);
    }

    #[test]
    fn a_broken_event_is_a_failure_that_does_not_pass() {
        let mut tap = Tap::new(Format::Anthropic);
        tap.push(Bytes::from_static(b"event: content_block_delta\ndata: {\"type\":\"content_blo\n\n")).unwrap();
        let Some(Heard::Failure(failure, None)) = tap.next_event() else { panic!("no failure, or its bytes") };
        assert_eq!(failure.kind, Kind::UpstreamMalformed);
    }

    #[test]
    fn an_error_event_is_heard_with_its_own_words() {
        let mut tap = Tap::new(Format::Anthropic);
        let event = "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"busy\"}}\n\n";
        tap.push(Bytes::from_static(event.as_bytes())).unwrap();
        let Some(Heard::Failure(failure, bytes)) = tap.next_event() else { panic!("no failure") };
        assert_eq!(
            (failure.kind, failure.message.as_str(), bytes),
            (Kind::UpstreamOverload, "busy", Some(Bytes::from_static(event.as_bytes())))
        );
    }
}
