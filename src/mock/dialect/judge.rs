//! Says what faults must know of the events of a stream, by reading it as a client would.

use bytes::Bytes;
use serde_json::{Value, json};

use crate::mock::openai::{Event, EventKind};
use crate::wire::codec::{self, DecodeStream};
use crate::wire::frame::Cutter;
use crate::wire::{Format, ir};

/// Events that are the finish though they tell no usage.
const FINISHES: [(Format, &[u8]); 1] = [(Format::Bedrock, b"messageStop")];

/// Makes the usage of an answer that has just begun out of the usage of the whole one.
pub(super) fn early_usage(event: &Event) -> Option<Bytes> {
    let mut chunk: Value = serde_json::from_slice(event.bytes.strip_prefix(b"data: ")?).ok()?;
    let usage = chunk.get_mut("usage")?;
    let prompt = usage.get("prompt_tokens")?.as_u64()?;
    *usage = json!({"prompt_tokens": prompt, "completion_tokens": 1, "total_tokens": prompt + 1});
    Some(format!("data: {chunk}\n\n").into())
}

/// Says what faults must know of each event, by reading it as a client would.
pub(super) struct Judge {
    format: Format,
    cutter: Cutter,
    decoder: Box<dyn DecodeStream>,
    has_finish: bool,
    no_finish: bool,
}

/// What a client sees in one event.
#[derive(Default)]
struct Said {
    start: bool,
    content: bool,
    usage: bool,
    end: bool,
}

impl Judge {
    pub(super) fn new(format: Format, no_finish: bool) -> Self {
        let codec = format.codec();
        Self { format, cutter: Cutter::new(codec.framing()), decoder: codec.stream_decoder(), has_finish: false, no_finish }
    }

    /// Cuts what an event has become into events. `of` is the kind of the event that they come from.
    pub(super) fn frames(&mut self, of: EventKind, bytes: Vec<u8>, written: &mut Vec<Event>) {
        // The cutter refuses events beyond any size that the mock writes.
        let _ = self.cutter.push(bytes.into());
        while let Ok(Some(bytes)) = self.cutter.next_frame() {
            let mut said = Said::default();
            let decoder = &mut self.decoder;
            let frame = self.cutter.read(&bytes);
            let is_finish = frame.as_ref().is_ok_and(|frame| FINISHES.contains(&(self.format, frame.event)));
            let read = frame.map_err(codec::Failure::from).and_then(|frame| decoder.frame(&frame, &mut |event| said.note(&event)));
            let kind = match of {
                _ if read.is_err() => EventKind::Error,
                _ if is_finish => EventKind::Finish,
                // One event that is both: it is the finish if that is what is left out.
                _ if said.end && self.no_finish && !self.has_finish => EventKind::Finish,
                _ if said.end => EventKind::Done,
                _ if said.content => EventKind::Content,
                EventKind::Finish | EventKind::Usage | EventKind::Done if said.usage && !said.start => EventKind::Finish,
                _ => EventKind::Quiet,
            };
            self.has_finish |= kind == EventKind::Finish;
            written.push(Event { kind, bytes });
        }
    }
}

impl Said {
    fn note(&mut self, event: &ir::Event<'_>) {
        match event {
            ir::Event::Start { .. } => self.start = true,
            ir::Event::Usage(_) => self.usage = true,
            ir::Event::End => self.end = true,
            ir::Event::PartStart { .. } | ir::Event::Delta { .. } => self.content |= event.is_content(),
            ir::Event::PartEnd { .. }
            | ir::Event::Finish { .. }
            | ir::Event::Logprobs { .. }
            | ir::Event::ServiceTier(_)
            | ir::Event::Ping => {}
        }
    }
}
