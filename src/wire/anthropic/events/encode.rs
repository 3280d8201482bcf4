//! Writes a stream. The format has one answer and one open block at a time, so parts that open while another one is open wait for it.

use std::collections::VecDeque;

use crate::wire::Format;
use crate::wire::anthropic::answer::{empty_message, finish_word, usage_members};
use crate::wire::anthropic::error;
use crate::wire::codec::{EncodeStream, Failure, Reply};
use crate::wire::ir::{Delta, Event, Finish, Maker, PartStart, Usage};
use crate::wire::json::{Text, Writer};

/// What a waiting part counts for, besides what is said in it.
const PART_BYTES: usize = 256;

/// What decides how a part begins and how its text is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Begins with its first character, because an empty block would be refused when it comes back.
    Text,
    /// Likewise.
    Thinking,
    /// Begins at once.
    Whole,
    /// Another format's own: nothing of it is written.
    Hidden,
}

/// A part on its way out.
#[derive(Debug)]
struct Part {
    number: u32,
    kind: Kind,
    /// Taken when the block is written.
    start: Option<PartStart<'static>>,
    waiting: Vec<Delta<'static>>,
    has_ended: bool,
}

/// Writes events.
#[derive(Debug)]
pub(in crate::wire::anthropic) struct Encoder {
    request_id: String,
    model: String,
    /// The first event, held back until the usage of the input had a chance to come.
    start: Option<(String, String)>,
    /// Blocks that were written.
    blocks: u64,
    calls: usize,
    is_refusal: bool,
    /// The open part, and those that wait for it.
    parts: VecDeque<Part>,
    held: usize,
    usage: Usage,
    finish: Option<Finish<'static>>,
}

impl Encoder {
    pub(in crate::wire::anthropic) fn new(reply: &Reply<'_>) -> Self {
        Self {
            request_id: reply.request_id.to_owned(),
            model: reply.model.to_owned(),
            start: None,
            blocks: 0,
            calls: 0,
            is_refusal: false,
            parts: VecDeque::new(),
            held: 0,
            usage: Usage::default(),
            finish: None,
        }
    }

    fn reply(&self) -> Reply<'_> {
        Reply { request_id: &self.request_id, model: &self.model, ..Reply::default() }
    }

    fn message_start(&mut self, out: &mut Vec<u8>) {
        let Some((id, model)) = self.start.take() else { return };
        let (id, model) = (Text::Owned(id), Text::Owned(model));
        let reply = self.reply();
        event(out, "message_start", |writer| empty_message(writer, &reply.id(&id, "msg_"), reply.model_of(&model), &self.usage));
    }

    fn part_start(&mut self, number: u32, start: &PartStart<'_>, out: &mut Vec<u8>) {
        let kind = match start {
            PartStart::Text | PartStart::Refusal => Kind::Text,
            PartStart::Thinking => Kind::Thinking,
            PartStart::RedactedThinking(_) | PartStart::ToolCall { .. } | PartStart::Opaque { format: Format::Anthropic, .. } => {
                Kind::Whole
            }
            // The format's answers have no pictures.
            PartStart::Image(_) | PartStart::Opaque { .. } => Kind::Hidden,
        };
        let start = Some(start.clone().into_owned());
        self.parts.push_back(Part { number, kind, start, waiting: Vec::new(), has_ended: false });
        if self.parts.len() == 1 {
            self.open_at_once(out);
        } else {
            self.held += PART_BYTES;
        }
    }

    fn part_delta(&mut self, number: u32, delta: &Delta<'_>, out: &mut Vec<u8>) {
        if self.parts.front().is_some_and(|part| part.number == number) {
            self.write(delta, out);
        } else if let Some(part) = self.parts.iter_mut().find(|part| part.number == number) {
            self.held += delta.bytes();
            part.waiting.push(delta.clone().into_owned());
        }
    }

    fn part_end(&mut self, number: u32, out: &mut Vec<u8>) {
        if let Some(part) = self.parts.iter_mut().find(|part| part.number == number) {
            part.has_ended = true;
        }
        while let Some(part) = self.parts.pop_front_if(|part| part.has_ended) {
            if part.start.is_none() {
                let index = self.blocks.saturating_sub(1);
                event(out, "content_block_stop", |writer| writer.key("index").count(index));
            }
            if !self.parts.is_empty() {
                self.held = self.held.saturating_sub(PART_BYTES);
            }
            self.open_at_once(out);
            let waiting = self.parts.front_mut().map(|next| std::mem::take(&mut next.waiting)).unwrap_or_default();
            for delta in waiting {
                self.held = self.held.saturating_sub(delta.bytes());
                self.write(&delta, out);
            }
        }
    }

    /// Writes the start of the part whose turn it is, where it does not begin with its first character.
    fn open_at_once(&mut self, out: &mut Vec<u8>) {
        if self.parts.front().is_some_and(|part| part.kind == Kind::Whole) {
            self.open(out);
        }
    }

    fn open(&mut self, out: &mut Vec<u8>) {
        let Some(start) = self.parts.front_mut().and_then(|part| part.start.take()) else { return };
        self.message_start(out);
        let index = self.blocks;
        self.blocks += 1;
        let calls = self.calls;
        self.calls += usize::from(matches!(start, PartStart::ToolCall { .. }));
        self.is_refusal |= matches!(start, PartStart::Refusal);
        let reply = self.reply();
        event(out, "content_block_start", |writer| {
            writer.key("index").count(index);
            block_start(writer, &start, &reply, calls);
        });
    }

    fn write(&mut self, delta: &Delta<'_>, out: &mut Vec<u8>) {
        let Some(kind) = self.parts.front().map(|part| part.kind) else { return };
        let is_empty = matches!(delta, Delta::Text(text) if text.is_empty());
        // A citation of another format has no place here.
        let is_foreign = matches!(delta, Delta::Citation(citation) if citation.origin.0 != Format::Anthropic);
        if kind == Kind::Hidden || is_empty || is_foreign {
            return;
        }
        self.open(out);
        let index = self.blocks.saturating_sub(1);
        event(out, "content_block_delta", |writer| {
            writer.key("index").count(index);
            block_delta(writer, delta, kind == Kind::Thinking);
        });
    }

    fn end(&mut self, out: &mut Vec<u8>) {
        self.message_start(out);
        let finish = self.finish.take();
        let word = finish.as_ref().map_or("end_turn", |finish| finish_word(finish.reason, self.is_refusal));
        event(out, "message_delta", |writer| {
            writer.object("delta");
            writer.key("stop_reason").text(word);
            match finish.and_then(|finish| finish.stop_sequence) {
                Some(sequence) => writer.key("stop_sequence").text(&sequence),
                None => writer.key("stop_sequence").null(),
            }
            writer.end_object();
            writer.object("usage");
            usage_members(writer, &self.usage);
            writer.end_object();
        });
        event(out, "message_stop", |_| {});
    }
}

impl EncodeStream for Encoder {
    fn event(&mut self, event: &Event<'_>, out: &mut Vec<u8>) {
        match event {
            // The format has no time.
            Event::Start { id, model, created: _ } => self.start = Some((id.clone().into_owned(), model.clone().into_owned())),
            Event::PartStart { choice: 0, part, start } => self.part_start(*part, start, out),
            Event::Delta { choice: 0, part, delta } => self.part_delta(*part, delta, out),
            Event::PartEnd { choice: 0, part } => self.part_end(*part, out),
            Event::Finish { choice: 0, finish } => self.finish = Some(finish.clone().into_owned()),
            // The format has one answer.
            Event::PartStart { .. } | Event::Delta { .. } | Event::PartEnd { .. } | Event::Finish { .. } => {}
            // Nobody who speaks this format can have asked for either.
            Event::Logprobs { .. } | Event::ServiceTier(_) => {}
            Event::Usage(usage) => self.usage = *usage,
            Event::Ping => {
                self.message_start(out);
                if self.blocks > 0 { self::event(out, "ping", |_| {}) } else { out.extend_from_slice(b": ping\n\n") }
            }
            Event::End => self.end(out),
        }
    }

    fn failure(&mut self, failure: &Failure, request_id: &str, out: &mut Vec<u8>) {
        out.extend_from_slice(b"event: error\ndata: ");
        error::write(failure, request_id, &mut Writer::one_line(out));
        out.extend_from_slice(b"\n\n");
    }

    fn held_bytes(&self) -> usize {
        self.held
    }
}

/// Writes one event; its data repeats its name.
fn event(out: &mut Vec<u8>, name: &str, members: impl FnOnce(&mut Writer<'_>)) {
    out.extend_from_slice(b"event: ");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\ndata: ");
    let mut writer = Writer::one_line(out);
    writer.begin_object();
    writer.key("type").text(name);
    members(&mut writer);
    writer.end_object();
    out.extend_from_slice(b"\n\n");
}

fn block_start(writer: &mut Writer<'_>, start: &PartStart<'_>, reply: &Reply<'_>, calls: usize) {
    if let PartStart::Opaque { format: _, block } = start {
        return writer.key("content_block").json(block);
    }
    writer.object("content_block");
    match start {
        PartStart::Text | PartStart::Refusal => {
            writer.key("type").text("text");
            writer.key("text").text("");
        }
        PartStart::Thinking => {
            writer.key("type").text("thinking");
            writer.key("thinking").text("");
            writer.key("signature").text("");
        }
        PartStart::RedactedThinking(data) => {
            writer.key("type").text("redacted_thinking");
            writer.key("data").text(&data.spell(Maker::Anthropic));
        }
        // Free text is no JSON; nobody who speaks this format can have offered a tool that takes it.
        PartStart::ToolCall { id, name, is_custom: _ } => {
            writer.key("type").text("tool_use");
            writer.key("id").text(&reply.call_id(id, "toolu_", calls));
            writer.key("name").text(name);
            writer.object("input");
            writer.end_object();
        }
        PartStart::Image(_) | PartStart::Opaque { .. } => {}
    }
    writer.end_object();
}

fn block_delta(writer: &mut Writer<'_>, delta: &Delta<'_>, thinks: bool) {
    if let Delta::Opaque(raw) = delta {
        return writer.key("delta").json(raw);
    }
    writer.object("delta");
    match delta {
        Delta::Text(text) if thinks => {
            writer.key("type").text("thinking_delta");
            writer.key("thinking").text(text);
        }
        Delta::Text(text) => {
            writer.key("type").text("text_delta");
            writer.key("text").text(text);
        }
        Delta::Input(input) => {
            writer.key("type").text("input_json_delta");
            writer.key("partial_json").text(input);
        }
        Delta::Signature(signature) => {
            writer.key("type").text("signature_delta");
            writer.key("signature").text(&signature.spell(Maker::Anthropic));
        }
        Delta::Citation(citation) => {
            writer.key("type").text("citations_delta");
            writer.key("citation").json(&citation.origin.1);
        }
        Delta::Opaque(_) => {}
    }
    writer.end_object();
}
