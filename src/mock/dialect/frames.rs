//! How the events of a stream are framed: what breaks one, what says nothing, and how a list of them is written.

use bytes::Bytes;

use crate::mock::openai::{Event, EventKind};
use crate::wire::codec::Reply;
use crate::wire::frame::Framing;
use crate::wire::{Format, ir};

/// How a stream is framed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::mock) enum Frames {
    /// As server-sent events.
    Events,
    /// As lines.
    Lines,
    /// As binary messages.
    Messages,
    /// As the elements of one array, which clients of Gemini get that ask for nothing else.
    Array,
}

impl Frames {
    /// Returns how a format's streams are framed.
    pub(super) fn of(format: Format) -> Self {
        match format.codec().framing() {
            Framing::Sse => Self::Events,
            Framing::Ndjson => Self::Lines,
            Framing::EventStream => Self::Messages,
        }
    }

    /// Returns the media type.
    pub(super) const fn content_type(self) -> &'static str {
        match self {
            Self::Events => "text/event-stream; charset=utf-8",
            Self::Lines => "application/x-ndjson",
            Self::Messages => "application/vnd.amazon.eventstream",
            Self::Array => "application/json; charset=UTF-8",
        }
    }

    /// Breaks an event and leaves its frame whole: half of its JSON. A binary message keeps its length, and does not fit its checksum.
    pub(in crate::mock) fn broken(self, event: &Bytes) -> Bytes {
        let mut broken = event.to_vec();
        if self == Self::Messages {
            // The last byte of what the checksum behind it is about.
            let at = broken.len().saturating_sub(5);
            broken.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= 1);
            return broken.into();
        }
        broken.truncate(event.len() / 2);
        broken.extend_from_slice(match self {
            Self::Events => b"\n\n",
            Self::Lines => b"\n",
            Self::Messages | Self::Array => b"",
        });
        broken.into()
    }

    /// Makes an event that says nothing, where there is one.
    pub(in crate::mock) fn ping(self, format: Format, reply: &Reply<'_>) -> Bytes {
        match self {
            Self::Events => Bytes::from_static(b": keep-alive\n\n"),
            Self::Lines | Self::Messages => {
                let mut out = Vec::new();
                format.codec().stream_encoder(reply).event(&ir::Event::Ping, &mut out);
                out.into()
            }
            Self::Array => Bytes::from_static(b" "),
        }
    }

    /// Turns server-sent events into what this framing makes of them. `number` is that of the first one.
    pub(super) fn reframe(self, events: Vec<Event>, number: usize) -> Vec<Event> {
        if self != Self::Array {
            return events;
        }
        let ends = events.last().is_none_or(|event| event.kind != EventKind::Error);
        let element = |(at, event): (usize, Event)| {
            let data = event.bytes.strip_prefix(b"data: ").unwrap_or(&event.bytes).trim_ascii();
            let before: &[u8] = if at == 0 { b"[" } else { b",\n" };
            let after: &[u8] = if event.kind == EventKind::Error { b"]" } else { b"" };
            Event { bytes: [before, data, after].concat().into(), ..event }
        };
        let mut out: Vec<Event> = (number..).zip(events).map(element).collect();
        if ends {
            out.push(Event { kind: EventKind::Done, bytes: Bytes::from_static(b"]") });
        }
        out
    }
}
