//! Reads a stream.

use std::collections::BTreeMap;

use crate::wire::Format;
use crate::wire::anthropic::answer::{Counts, read_finish, tier};
use crate::wire::anthropic::{error, request};
use crate::wire::codec::{DecodeStream, Failure, Frame, Sink};
use crate::wire::ir::{Delta, Event, Finish, FinishReason, Maker, PartStart, Signature};
use crate::wire::json::{Document, Json, Node, Text};

/// The format has one answer.
const CHOICE: u32 = 0;

#[derive(Debug, Clone, PartialEq, Eq)]
enum Kind {
    Text,
    Thinking,
    Redacted,
    /// A call, with the input that came with its start and counts only where no other does.
    Call {
        input: Option<String>,
    },
    Opaque,
}

#[derive(Debug)]
struct Block {
    part: u32,
    kind: Kind,
}

/// Reads events.
#[derive(Debug, Default)]
pub(in crate::wire::anthropic) struct Decoder {
    has_started: bool,
    parts: u32,
    /// Open blocks by the upstream's number.
    open: BTreeMap<u64, Block>,
    calls_tools: bool,
    counts: Counts,
    finish: Option<Finish<'static>>,
}

impl DecodeStream for Decoder {
    fn frame(&mut self, frame: &Frame<'_>, sink: &mut Sink<'_>) -> Result<(), Failure> {
        let data = frame.data.trim_ascii();
        if data.is_empty() {
            sink(Event::Ping);
            return Ok(());
        }
        let document = Document::parse(data).map_err(|_| Failure::malformed("an event is not JSON"))?;
        let event = document.root();
        // The data repeats the name, and some servers leave the name out.
        let kind = event.get("type").and_then(Node::text).unwrap_or_default();
        if kind == "error" || frame.event == b"error" {
            return Err(error::read(200, data));
        }
        match &*kind {
            "message_start" => self.start(event, sink),
            "ping" => {
                sink(Event::Ping);
                Ok(())
            }
            _ if !self.has_started => Err(Failure::malformed("the stream does not begin with a message")),
            "content_block_start" => self.block_start(event, sink),
            "content_block_delta" => self.block_delta(event, sink),
            "content_block_stop" => self.block_stop(number(event), sink),
            "message_delta" => {
                self.message_delta(event, sink);
                Ok(())
            }
            "message_stop" => {
                self.close(sink);
                sink(Event::End);
                Ok(())
            }
            // The provider adds events as it likes, and says that clients must skip them.
            _ => Ok(()),
        }
    }

    fn body_end(&mut self, sink: &mut Sink<'_>) {
        if self.finish.is_some() {
            self.close(sink);
        }
    }
}

fn number(event: Node<'_, '_>) -> u64 {
    event.get("index").and_then(Node::number).and_then(|number| number.as_u64()).unwrap_or_default()
}

fn text<'a>(node: Node<'_, 'a>, name: &str) -> Text<'a> {
    node.get(name).and_then(Node::text).unwrap_or_default()
}

impl Decoder {
    fn start(&mut self, event: Node<'_, '_>, sink: &mut Sink<'_>) -> Result<(), Failure> {
        let message = event.get("message").ok_or_else(|| Failure::malformed("the stream begins with no message"))?;
        // Some middleboxes send it twice.
        if !self.has_started {
            self.has_started = true;
            sink(Event::Start { id: text(message, "id"), model: text(message, "model"), created: None });
        }
        if let Some(usage) = message.get("usage") {
            if let Some(tier) = tier(usage) {
                sink(Event::ServiceTier(tier));
            }
            self.usage(usage, sink);
        }
        Ok(())
    }

    fn usage(&mut self, usage: Node<'_, '_>, sink: &mut Sink<'_>) {
        self.counts.read(usage);
        if let Some(usage) = self.counts.usage() {
            sink(Event::Usage(usage));
        }
    }

    fn add(part: u32, delta: Delta<'_>, sink: &mut Sink<'_>) {
        sink(Event::Delta { choice: CHOICE, part, delta });
    }

    fn add_text(part: u32, text: Text<'_>, sink: &mut Sink<'_>) {
        if !text.is_empty() {
            Self::add(part, Delta::Text(text), sink);
        }
    }

    fn block_start(&mut self, event: Node<'_, '_>, sink: &mut Sink<'_>) -> Result<(), Failure> {
        let block = event.get("content_block").ok_or_else(|| Failure::malformed("a block starts with no content"))?;
        let index = number(event);
        if self.open.contains_key(&index) {
            return Err(Failure::malformed("a block starts twice"));
        }
        let part = self.parts;
        self.parts += 1;
        let kind = text(block, "type");
        let (kind, start) = match &*kind {
            "text" => (Kind::Text, PartStart::Text),
            "thinking" => (Kind::Thinking, PartStart::Thinking),
            "redacted_thinking" => (Kind::Redacted, PartStart::RedactedThinking(Signature::read(text(block, "data"), Maker::Anthropic))),
            "tool_use" => {
                self.calls_tools = true;
                let input = block.get("input").filter(|input| input.members().next().is_some());
                let start = PartStart::ToolCall { id: text(block, "id"), name: text(block, "name"), is_custom: false };
                (Kind::Call { input: Some(input.map_or("{}", Node::raw).to_owned()) }, start)
            }
            _ => (Kind::Opaque, PartStart::Opaque { format: Format::Anthropic, block: block.json() }),
        };
        sink(Event::PartStart { choice: CHOICE, part, start });
        match kind {
            Kind::Text => Self::add_text(part, text(block, "text"), sink),
            Kind::Thinking => {
                Self::add_text(part, text(block, "thinking"), sink);
                Self::add_signature(part, text(block, "signature"), sink);
            }
            Kind::Redacted | Kind::Call { .. } | Kind::Opaque => {}
        }
        self.open.insert(index, Block { part, kind });
        Ok(())
    }

    fn add_signature(part: u32, value: Text<'_>, sink: &mut Sink<'_>) {
        if !value.is_empty() {
            Self::add(part, Delta::Signature(Signature::read(value, Maker::Anthropic)), sink);
        }
    }

    fn block_delta(&mut self, event: Node<'_, '_>, sink: &mut Sink<'_>) -> Result<(), Failure> {
        let delta = event.get("delta").ok_or_else(|| Failure::malformed("a delta has no delta"))?;
        let Some(Block { part, kind }) = self.open.get_mut(&number(event)) else {
            return Err(Failure::malformed("a delta is for a block that is not open"));
        };
        let part = *part;
        let word = text(delta, "type");
        match (&*word, kind) {
            (_, Kind::Opaque) => Self::add(part, Delta::Opaque(Json::new(delta.raw())), sink),
            ("text_delta", Kind::Text) => Self::add_text(part, text(delta, "text"), sink),
            ("thinking_delta", Kind::Thinking) => Self::add_text(part, text(delta, "thinking"), sink),
            ("signature_delta", Kind::Thinking) => Self::add_signature(part, text(delta, "signature"), sink),
            ("citations_delta", Kind::Text) => {
                if let Some(citation) = delta.get("citation") {
                    Self::add(part, Delta::Citation(request::citation(citation)), sink);
                }
            }
            ("input_json_delta", Kind::Call { input }) => {
                let more = text(delta, "partial_json");
                if !more.is_empty() {
                    *input = None;
                    Self::add(part, Delta::Input(more), sink);
                }
            }
            ("text_delta" | "thinking_delta" | "signature_delta" | "citations_delta" | "input_json_delta", _) => {
                return Err(Failure::malformed("a delta is of another kind than its block"));
            }
            _ => {}
        }
        Ok(())
    }

    fn block_stop(&mut self, index: u64, sink: &mut Sink<'_>) -> Result<(), Failure> {
        let block = self.open.remove(&index).ok_or_else(|| Failure::malformed("a block stops that is not open"))?;
        Self::end(block, sink);
        Ok(())
    }

    fn end(block: Block, sink: &mut Sink<'_>) {
        if let Kind::Call { input: Some(input) } = block.kind {
            Self::add(block.part, Delta::Input(Text::Owned(input)), sink);
        }
        sink(Event::PartEnd { choice: CHOICE, part: block.part });
    }

    fn message_delta(&mut self, event: Node<'_, '_>, sink: &mut Sink<'_>) {
        if let Some(delta) = event.get("delta")
            && let Some(word) = delta.get("stop_reason").and_then(Node::text)
        {
            let sequence = delta.get("stop_sequence").and_then(Node::text);
            self.finish = Some(read_finish(word, sequence).into_owned());
        }
        if let Some(usage) = event.get("usage") {
            self.usage(usage, sink);
        }
    }

    /// Closes everything and gives the finish.
    fn close(&mut self, sink: &mut Sink<'_>) {
        for block in std::mem::take(&mut self.open).into_values() {
            Self::end(block, sink);
        }
        let finish = self.finish.take().unwrap_or_else(|| Finish::new(FinishReason::Stop));
        sink(Event::Finish { choice: CHOICE, finish: finish.with_tool_calls(self.calls_tools) });
    }
}
