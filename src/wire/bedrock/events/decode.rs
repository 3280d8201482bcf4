//! Reads a stream. Blocks of text and thoughts begin with their first delta; only others are announced.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::wire::Format;
use crate::wire::bedrock::answer::{read_finish, read_usage, tier};
use crate::wire::bedrock::media;
use crate::wire::bedrock::{error, request};
use crate::wire::codec::{DecodeStream, Failure, Frame, Sink};
use crate::wire::ir::{Delta, Event, Finish, Maker, Media, PartStart, Signature};
use crate::wire::json::{Document, Json, Node, Text};

/// The format has one answer.
const CHOICE: u32 = 0;
/// Blocks that may be open at once: every delta is looked up among them.
const MAX_OPEN: usize = 1_024;
/// Bytes of pictures that are gathered at once.
const MAX_PICTURE: usize = 32 << 20;

#[derive(Debug)]
enum Kind {
    Text,
    Thinking,
    Redacted,
    /// A call, and whether any of its input has come.
    Call {
        has_input: bool,
    },
    /// A picture, gathered until it is whole.
    Picture {
        format: String,
        bytes: Vec<u8>,
    },
    Opaque,
}

impl Kind {
    /// Returns whether two blocks are the same kind of thing.
    fn is_like(&self, other: &Self) -> bool {
        std::mem::discriminant(self) == std::mem::discriminant(other)
    }
}

#[derive(Debug)]
struct Block {
    part: u32,
    kind: Kind,
}

/// Reads events.
#[derive(Debug, Default)]
pub(in crate::wire::bedrock) struct Decoder {
    has_started: bool,
    parts: u32,
    /// Open blocks by the upstream's number, which may skip some.
    open: BTreeMap<u64, Block>,
    calls_tools: bool,
    finish: Option<Finish<'static>>,
}

impl DecodeStream for Decoder {
    fn frame(&mut self, frame: &Frame<'_>, sink: &mut Sink<'_>) -> Result<(), Failure> {
        if frame.is_error {
            return Err(error::exception(frame.event, &frame.data));
        }
        let is_known = [&b"messageStart"[..], b"contentBlockStart", b"contentBlockDelta", b"contentBlockStop", b"messageStop", b"metadata"];
        if !is_known.contains(&frame.event) {
            return Ok(());
        }
        let document = Document::parse(&frame.data).map_err(|_| Failure::malformed("an event is not JSON"))?;
        let event = document.root();
        // The first event says nothing that is not known, so that nothing is lost where it is missing.
        if !self.has_started {
            self.has_started = true;
            // The format has neither id nor model nor time.
            sink(Event::Start { id: "".into(), model: "".into(), created: None });
        }
        match frame.event {
            b"contentBlockStart" => return self.block_start(event, sink),
            b"contentBlockDelta" => return self.block_delta(event, sink),
            // Text without a delta has never begun.
            b"contentBlockStop" => self.block_stop(number(event), sink),
            b"messageStop" => self.finish = event.get("stopReason").and_then(Node::text).map(|word| read_finish(word).into_owned()),
            b"metadata" => self.metadata(event, sink),
            _ => {}
        }
        Ok(())
    }

    fn body_end(&mut self, sink: &mut Sink<'_>) {
        self.close(sink);
    }
}

fn number(event: Node<'_, '_>) -> u64 {
    event.get("contentBlockIndex").and_then(Node::number).and_then(|number| number.as_u64()).unwrap_or_default()
}

fn text<'a>(node: Node<'_, 'a>, name: &str) -> Text<'a> {
    node.get(name).and_then(Node::text).unwrap_or_default()
}

fn add(part: u32, delta: Delta<'_>, sink: &mut Sink<'_>) {
    sink(Event::Delta { choice: CHOICE, part, delta });
}

impl Decoder {
    fn block_start(&mut self, event: Node<'_, '_>, sink: &mut Sink<'_>) -> Result<(), Failure> {
        let start = event.get("start").ok_or_else(|| Failure::malformed("a block starts with nothing"))?;
        let index = number(event);
        if self.open.contains_key(&index) {
            return Err(Failure::malformed("a block starts twice"));
        }
        let call = start.get("toolUse").filter(|call| call.get("type").is_none_or(|kind| kind.is("tool_use")));
        if let Some(call) = call {
            self.calls_tools = true;
            let start = PartStart::ToolCall { id: text(call, "toolUseId"), name: text(call, "name"), is_custom: false };
            return self.begin(index, Kind::Call { has_input: false }, start, sink).map(drop);
        }
        if let Some(picture) = start.get("image") {
            let kind = Kind::Picture { format: text(picture, "format").into_owned(), bytes: Vec::new() };
            // It is told when it is whole, and gets its number then.
            self.open.insert(index, Block { part: 0, kind });
            return Ok(());
        }
        let start = PartStart::Opaque { format: Format::Bedrock, block: start.json() };
        self.begin(index, Kind::Opaque, start, sink).map(drop)
    }

    /// Opens a part. Returns its number.
    fn begin(&mut self, index: u64, kind: Kind, start: PartStart<'_>, sink: &mut Sink<'_>) -> Result<u32, Failure> {
        if self.open.len() >= MAX_OPEN {
            return Err(Failure::malformed("too many blocks are open"));
        }
        let part = self.parts;
        self.parts += 1;
        sink(Event::PartStart { choice: CHOICE, part, start });
        self.open.insert(index, Block { part, kind });
        Ok(part)
    }

    /// Returns the open part of a kind that begins with its first delta.
    fn part(&mut self, index: u64, kind: Kind, start: PartStart<'_>, sink: &mut Sink<'_>) -> Result<u32, Failure> {
        match self.open.get(&index) {
            Some(block) if block.kind.is_like(&kind) => return Ok(block.part),
            // One block may hold thoughts that can be read and others.
            Some(_) => self.block_stop(index, sink),
            None => {}
        }
        self.begin(index, kind, start, sink)
    }

    fn block_delta(&mut self, event: Node<'_, '_>, sink: &mut Sink<'_>) -> Result<(), Failure> {
        let delta = event.get("delta").ok_or_else(|| Failure::malformed("a delta has no delta"))?;
        let index = number(event);
        if let Some(Block { part, kind: Kind::Opaque }) = self.open.get(&index) {
            add(*part, Delta::Opaque(Json::new(delta.raw())), sink);
            return Ok(());
        }
        if let Some(more) = delta.get("text").and_then(Node::text) {
            // Guardrails leave empty ones.
            if !more.is_empty() {
                let part = self.part(index, Kind::Text, PartStart::Text, sink)?;
                add(part, Delta::Text(more), sink);
            }
        } else if let Some(call) = delta.get("toolUse") {
            let Some(Block { part, kind: Kind::Call { has_input } }) = self.open.get_mut(&index) else {
                return Err(Failure::malformed("input comes for a call that is not open"));
            };
            let more = text(call, "input");
            if !more.is_empty() {
                *has_input = true;
                add(*part, Delta::Input(more), sink);
            }
        } else if let Some(reasoning) = delta.get("reasoningContent") {
            self.reasoning(index, reasoning, sink)?;
        } else if let Some(citation) = delta.get("citation") {
            let part = self.part(index, Kind::Text, PartStart::Text, sink)?;
            add(part, Delta::Citation(request::citation(citation)), sink);
        } else if let Some(picture) = delta.get("image") {
            self.picture(index, picture)?;
        }
        Ok(())
    }

    fn reasoning(&mut self, index: u64, delta: Node<'_, '_>, sink: &mut Sink<'_>) -> Result<(), Failure> {
        if let Some(data) = delta.get("redactedContent").and_then(Node::text) {
            // Each piece is whole: it can be read by itself.
            self.block_stop(index, sink);
            let (kind, start) = match request::redacted(&data) {
                Some(data) => (Kind::Redacted, PartStart::RedactedThinking(data)),
                None => (Kind::Opaque, PartStart::Opaque { format: Format::Bedrock, block: delta.json() }),
            };
            return self.begin(index, kind, start, sink).map(drop);
        }
        let (more, signature) = (text(delta, "text"), text(delta, "signature"));
        if more.is_empty() && signature.is_empty() {
            return Ok(());
        }
        let part = self.part(index, Kind::Thinking, PartStart::Thinking, sink)?;
        if !more.is_empty() {
            add(part, Delta::Text(more), sink);
        }
        if !signature.is_empty() {
            add(part, Delta::Signature(Signature::read(signature, Maker::Anthropic)), sink);
        }
        Ok(())
    }

    fn picture(&mut self, index: u64, delta: Node<'_, '_>) -> Result<(), Failure> {
        let Some(Block { kind: Kind::Picture { bytes, .. }, .. }) = self.open.get_mut(&index) else {
            return Err(Failure::malformed("a picture goes on that has not begun"));
        };
        let data = delta.get("source").map(|source| text(source, "bytes")).unwrap_or_default();
        STANDARD.decode_vec(data.as_bytes(), bytes).map_err(|_| Failure::malformed("a picture is not in base64"))?;
        if bytes.len() > MAX_PICTURE { Err(Failure::malformed("a picture is too large")) } else { Ok(()) }
    }

    fn block_stop(&mut self, index: u64, sink: &mut Sink<'_>) {
        let Some(Block { mut part, kind }) = self.open.remove(&index) else { return };
        match kind {
            Kind::Call { has_input: false } => add(part, Delta::Input(Text::Borrowed("{}")), sink),
            Kind::Picture { format, bytes } => {
                part = self.parts;
                self.parts += 1;
                let media_type = media::Kind::Image.media_type(Text::Owned(format));
                let media = Media::Base64 { media_type, data: Text::Owned(STANDARD.encode(bytes)) };
                sink(Event::PartStart { choice: CHOICE, part, start: PartStart::Image(media) });
            }
            Kind::Call { has_input: true } | Kind::Text | Kind::Thinking | Kind::Redacted | Kind::Opaque => {}
        }
        sink(Event::PartEnd { choice: CHOICE, part });
    }

    /// The last event, which stands behind the finish: nothing follows.
    fn metadata(&mut self, event: Node<'_, '_>, sink: &mut Sink<'_>) {
        if let Some(usage) = event.get("usage") {
            sink(Event::Usage(read_usage(usage)));
        }
        if let Some(tier) = event.get("serviceTier").and_then(tier) {
            sink(Event::ServiceTier(tier));
        }
        if self.close(sink) {
            sink(Event::End);
        }
    }

    /// Closes everything and gives the finish, where there is one to give. Returns whether there was.
    fn close(&mut self, sink: &mut Sink<'_>) -> bool {
        let Some(finish) = self.finish.take() else { return false };
        while let Some(index) = self.open.keys().next().copied() {
            self.block_stop(index, sink);
        }
        sink(Event::Finish { choice: CHOICE, finish: finish.with_tool_calls(self.calls_tools) });
        true
    }
}
