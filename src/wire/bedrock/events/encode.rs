//! Writes a stream: blocks one behind the other, and the usage behind the finish.

use crate::wire::Format;
use crate::wire::bedrock::answer::{finish_word, metrics, tier_word, usage_members};
use crate::wire::bedrock::error;
use crate::wire::bedrock::media::Kind as MediaKind;
use crate::wire::bedrock::request::encode_redacted;
use crate::wire::codec::{EncodeStream, Failure, Reply};
use crate::wire::frame::{Telling, write_message};
use crate::wire::ir::{Delta, Event, Finish, Maker, Media, PartStart, Usage};
use crate::wire::json::Writer;
use crate::wire::sequence::{Sequence, Step};

/// What decides how the part whose turn it is goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Begins with its first character, unannounced.
    Text,
    /// Likewise.
    Thinking,
    /// Has begun.
    Whole,
    /// Another format's own: nothing of it is written.
    Hidden,
}

/// Writes events.
#[derive(Debug)]
pub(in crate::wire::bedrock) struct Encoder {
    sequence: Sequence,
    blocks: Blocks,
    usage: Usage,
    tier: Option<String>,
    finish: Option<Finish<'static>>,
    latency_ms: u64,
}

/// What is written of blocks.
#[derive(Debug)]
struct Blocks {
    request_id: String,
    kind: Kind,
    /// The open block's number, once it has begun.
    open: Option<u64>,
    next: u64,
    calls: usize,
}

impl Encoder {
    pub(in crate::wire::bedrock) fn new(reply: &Reply<'_>) -> Self {
        let blocks = Blocks { request_id: reply.request_id.to_owned(), kind: Kind::Hidden, open: None, next: 0, calls: 0 };
        Self { sequence: Sequence::default(), blocks, usage: Usage::default(), tier: None, finish: None, latency_ms: reply.latency_ms }
    }

    fn end(&mut self, out: &mut Vec<u8>) {
        let word = self.finish.take().map_or("end_turn", |finish| finish_word(finish.reason));
        event(out, "messageStop", |writer| writer.key("stopReason").text(word));
        event(out, "metadata", |writer| {
            writer.object("usage");
            usage_members(writer, &self.usage);
            writer.end_object();
            metrics(writer, self.latency_ms);
            if let Some(tier) = self.tier.as_deref().and_then(tier_word) {
                writer.object("serviceTier");
                writer.key("type").text(tier);
                writer.end_object();
            }
        });
    }
}

impl EncodeStream for Encoder {
    fn event(&mut self, event: &Event<'_>, out: &mut Vec<u8>) {
        let Self { sequence, blocks, .. } = self;
        match event {
            Event::Start { .. } => self::event(out, "messageStart", |writer| writer.key("role").text("assistant")),
            Event::PartStart { choice: 0, part, start } => sequence.start(*part, start, &mut |step| blocks.step(step, out)),
            Event::Delta { choice: 0, part, delta } => sequence.delta(*part, delta, &mut |step| blocks.step(step, out)),
            Event::PartEnd { choice: 0, part } => sequence.end(*part, &mut |step| blocks.step(step, out)),
            Event::Finish { choice: 0, finish } => self.finish = Some(finish.clone().into_owned()),
            // The format has one answer.
            Event::PartStart { .. } | Event::Delta { .. } | Event::PartEnd { .. } | Event::Finish { .. } => {}
            // Nobody who speaks this format can have asked for the one; and there is no other sign of life.
            Event::Logprobs { .. } | Event::Ping => {}
            Event::ServiceTier(tier) => self.tier = Some(tier.clone().into_owned()),
            Event::Usage(usage) => self.usage = *usage,
            Event::End => self.end(out),
        }
    }

    fn failure(&mut self, failure: &Failure, _request_id: &str, out: &mut Vec<u8>) {
        write_message(Telling::Exception(error::exception_name(failure.kind)), out, |out| {
            let mut writer = Writer::fresh(out);
            writer.begin_object();
            writer.key("message").text(&failure.told(&error::TOO_LONG));
            writer.end_object();
        });
    }

    fn held_bytes(&self) -> usize {
        self.sequence.held_bytes()
    }
}

impl Blocks {
    fn step(&mut self, step: Step<'_, '_>, out: &mut Vec<u8>) {
        match step {
            Step::Start(start) => self.start(start, out),
            Step::Delta(delta) => self.delta(delta, out),
            Step::End => {
                if let Some(index) = self.open.take() {
                    event(out, "contentBlockStop", |writer| writer.key("contentBlockIndex").count(index));
                }
            }
        }
    }

    fn start(&mut self, start: &PartStart<'_>, out: &mut Vec<u8>) {
        self.kind = Kind::Whole;
        match start {
            PartStart::Text | PartStart::Refusal => self.kind = Kind::Text,
            PartStart::Thinking => self.kind = Kind::Thinking,
            PartStart::RedactedThinking(data) => self.block_delta(out, |writer| {
                writer.object("reasoningContent");
                writer.key("redactedContent").text(&encode_redacted(&data.spell(Maker::Anthropic)));
                writer.end_object();
            }),
            // Free text is no JSON; nobody who speaks this format can have offered a tool that takes it.
            PartStart::ToolCall { id, name, is_custom: _ } => {
                let reply = Reply { request_id: &self.request_id, include_usage: true, ..Reply::default() };
                let id = reply.call_id(id, "tooluse_", self.calls).into_owned();
                self.calls += 1;
                self.block_start(out, |writer| {
                    writer.object("start");
                    writer.object("toolUse");
                    writer.key("toolUseId").text(&id);
                    writer.key("name").text(name);
                    writer.end_object();
                    writer.end_object();
                });
            }
            PartStart::Image(Media::Base64 { media_type, data }) if MediaKind::Image.format(media_type).is_some() => {
                self.block_start(out, |writer| {
                    writer.object("start");
                    writer.object("image");
                    writer.key("format").text(MediaKind::Image.format(media_type).unwrap_or_default());
                    writer.end_object();
                    writer.end_object();
                });
                self.block_delta(out, |writer| {
                    writer.object("image");
                    writer.object("source");
                    writer.key("bytes").text(data);
                    writer.end_object();
                    writer.end_object();
                });
            }
            PartStart::Opaque { format: Format::Bedrock, block } => self.block_start(out, |writer| writer.key("start").json(block)),
            PartStart::Image(_) | PartStart::Opaque { .. } => self.kind = Kind::Hidden,
        }
    }

    fn delta(&mut self, delta: &Delta<'_>, out: &mut Vec<u8>) {
        let thinks = self.kind == Kind::Thinking;
        let is_empty = matches!(delta, Delta::Text(text) if text.is_empty());
        // A citation of another format has no place here.
        let is_foreign = matches!(delta, Delta::Citation(citation) if citation.origin.0 != Format::Bedrock);
        if self.kind == Kind::Hidden || is_empty || is_foreign {
            return;
        }
        if let Delta::Opaque(raw) = delta {
            let index = self.index();
            return event(out, "contentBlockDelta", |writer| {
                writer.key("contentBlockIndex").count(index);
                writer.key("delta").json(raw);
            });
        }
        self.block_delta(out, |writer| match delta {
            Delta::Text(text) if thinks => {
                writer.object("reasoningContent");
                writer.key("text").text(text);
                writer.end_object();
            }
            Delta::Text(text) => writer.key("text").text(text),
            Delta::Input(input) => {
                writer.object("toolUse");
                writer.key("input").text(input);
                writer.end_object();
            }
            Delta::Signature(signature) => {
                writer.object("reasoningContent");
                writer.key("signature").text(&signature.spell(Maker::Anthropic));
                writer.end_object();
            }
            Delta::Citation(citation) => writer.key("citation").json(&citation.origin.1),
            Delta::Opaque(_) => {}
        });
    }

    /// Returns the number of the block whose turn it is, which begins now if it has not.
    fn index(&mut self) -> u64 {
        let next = self.next;
        *self.open.get_or_insert_with(|| {
            self.next = next + 1;
            next
        })
    }

    fn block_start(&mut self, out: &mut Vec<u8>, members: impl FnOnce(&mut Writer<'_>)) {
        let index = self.index();
        event(out, "contentBlockStart", |writer| {
            members(writer);
            writer.key("contentBlockIndex").count(index);
        });
    }

    fn block_delta(&mut self, out: &mut Vec<u8>, members: impl FnOnce(&mut Writer<'_>)) {
        let index = self.index();
        event(out, "contentBlockDelta", |writer| {
            writer.key("contentBlockIndex").count(index);
            writer.object("delta");
            members(writer);
            writer.end_object();
        });
    }
}

/// Writes one event.
fn event(out: &mut Vec<u8>, name: &'static str, members: impl FnOnce(&mut Writer<'_>)) {
    write_message(Telling::Event(name), out, |out| {
        let mut writer = Writer::fresh(out);
        writer.begin_object();
        members(&mut writer);
        writer.end_object();
    });
}
