//! Writes a stream: content and calls one behind the other, each with numbers of its own.

use crate::wire::Format;
use crate::wire::codec::{EncodeStream, Failure, Reply};
use crate::wire::cohere::answer::{finish_word, usage_members, write_citation};
use crate::wire::ir::{Citation, Delta, Event, Finish, PartStart, Usage};
use crate::wire::json::{Text, Writer};
use crate::wire::sequence::{Sequence, Step};

/// What the part whose turn it is is written as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Begins with its first character, because a block of nothing says nothing.
    Text,
    /// Likewise.
    Thinking,
    Call,
    /// What the format has no room for.
    Hidden,
}

/// Writes events.
#[derive(Debug)]
pub(in crate::wire::cohere) struct Encoder {
    sequence: Sequence,
    blocks: Blocks,
    usage: Usage,
    finish: Option<Finish<'static>>,
}

/// What is written of parts.
#[derive(Debug)]
struct Blocks {
    request_id: String,
    kind: Kind,
    /// The open part has begun.
    is_open: bool,
    contents: u64,
    calls: u64,
    citations: u64,
}

impl Encoder {
    pub(in crate::wire::cohere) fn new(reply: &Reply<'_>) -> Self {
        let request_id = reply.request_id.to_owned();
        let blocks = Blocks { request_id, kind: Kind::Hidden, is_open: false, contents: 0, calls: 0, citations: 0 };
        Self { sequence: Sequence::default(), blocks, usage: Usage::default(), finish: None }
    }

    fn start(&self, id: &Text<'_>, out: &mut Vec<u8>) {
        let reply = Reply { request_id: &self.blocks.request_id, ..Reply::default() };
        out.extend_from_slice(b"event: message-start\ndata: ");
        let mut writer = Writer::one_line(out);
        writer.begin_object();
        writer.key("id").text(&reply.id(id, ""));
        writer.key("type").text("message-start");
        writer.object("delta");
        writer.object("message");
        writer.key("role").text("assistant");
        for name in ["content", "tool_calls", "citations"] {
            writer.array(name);
            writer.end_array();
        }
        writer.key("tool_plan").text("");
        for _ in 0..3 {
            writer.end_object();
        }
        out.extend_from_slice(b"\n\n");
    }

    fn end(&mut self, out: &mut Vec<u8>) {
        let word = self.finish.take().map_or("COMPLETE", |finish| finish_word(finish.reason));
        event(out, "message-end", None, |writer| {
            writer.key("finish_reason").text(word);
            writer.object("usage");
            usage_members(writer, &self.usage);
            writer.end_object();
        });
        out.extend_from_slice(b"data: [DONE]\n\n");
    }
}

impl EncodeStream for Encoder {
    fn event(&mut self, event: &Event<'_>, out: &mut Vec<u8>) {
        let Self { sequence, blocks, .. } = self;
        match event {
            // The format has neither model nor time.
            Event::Start { id, model: _, created: _ } => self.start(id, out),
            Event::PartStart { choice: 0, part, start } => sequence.start(*part, start, &mut |step| blocks.step(step, out)),
            Event::Delta { choice: 0, part, delta } => sequence.delta(*part, delta, &mut |step| blocks.step(step, out)),
            Event::PartEnd { choice: 0, part } => sequence.end(*part, &mut |step| blocks.step(step, out)),
            Event::Finish { choice: 0, finish } => self.finish = Some(finish.clone().into_owned()),
            // The format has one answer.
            Event::PartStart { .. } | Event::Delta { .. } | Event::PartEnd { .. } | Event::Finish { .. } => {}
            // Nobody who speaks this format can have asked for either.
            Event::Logprobs { .. } | Event::ServiceTier(_) => {}
            Event::Usage(usage) => self.usage = *usage,
            Event::Ping => out.extend_from_slice(b": ping\n\n"),
            Event::End => self.end(out),
        }
    }

    fn failure(&mut self, failure: &Failure, _request_id: &str, out: &mut Vec<u8>) {
        event(out, "message-end", None, |writer| {
            writer.key("finish_reason").text("ERROR");
            writer.key("error").text(&failure.message);
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
            Step::End => self.end(out),
        }
    }

    fn start(&mut self, start: &PartStart<'_>, out: &mut Vec<u8>) {
        match start {
            PartStart::Text | PartStart::Refusal => self.kind = Kind::Text,
            PartStart::Thinking => self.kind = Kind::Thinking,
            // Free text is no JSON; nobody who speaks this format can have offered a tool that takes it.
            PartStart::ToolCall { id, name, is_custom: _ } => {
                self.kind = Kind::Call;
                self.is_open = true;
                let number = usize::try_from(self.calls).unwrap_or_default();
                let reply = Reply { request_id: &self.request_id, ..Reply::default() };
                let id = reply.call_id(id, "call_", number).into_owned();
                message(out, "tool-call-start", self.calls, |writer| {
                    writer.object("tool_calls");
                    writer.key("id").text(&id);
                    writer.key("type").text("function");
                    writer.object("function");
                    writer.key("name").text(name);
                    writer.key("arguments").text("");
                    writer.end_object();
                    writer.end_object();
                });
            }
            PartStart::RedactedThinking(_) | PartStart::Image(_) | PartStart::Opaque { .. } => self.kind = Kind::Hidden,
        }
    }

    fn delta(&mut self, delta: &Delta<'_>, out: &mut Vec<u8>) {
        match (delta, self.kind) {
            (Delta::Text(text), Kind::Text | Kind::Thinking) if !text.is_empty() => {
                self.open_content(out);
                let name = if self.kind == Kind::Text { "text" } else { "thinking" };
                message(out, "content-delta", self.contents, |writer| {
                    writer.object("content");
                    writer.key(name).text(text);
                    writer.end_object();
                });
            }
            (Delta::Input(input), Kind::Call) => message(out, "tool-call-delta", self.calls, |writer| {
                writer.object("tool_calls");
                writer.object("function");
                writer.key("arguments").text(input);
                writer.end_object();
                writer.end_object();
            }),
            (Delta::Citation(citation), Kind::Text) if can_be_cited(citation) => {
                self.open_content(out);
                let number = self.contents;
                message(out, "citation-start", self.citations, |writer| {
                    write_citation(writer.key("citations"), citation, number);
                });
                bare(out, "citation-end", self.citations);
                self.citations += 1;
            }
            // Nothing is signed here.
            (Delta::Text(_) | Delta::Input(_) | Delta::Signature(_) | Delta::Citation(_) | Delta::Opaque(_), _) => {}
        }
    }

    fn open_content(&mut self, out: &mut Vec<u8>) {
        if self.is_open {
            return;
        }
        self.is_open = true;
        let name = if self.kind == Kind::Text { "text" } else { "thinking" };
        message(out, "content-start", self.contents, |writer| {
            writer.object("content");
            writer.key("type").text(name);
            writer.key(name).text("");
            writer.end_object();
        });
    }

    fn end(&mut self, out: &mut Vec<u8>) {
        if !std::mem::take(&mut self.is_open) {
            return;
        }
        match self.kind {
            Kind::Text | Kind::Thinking => {
                bare(out, "content-end", self.contents);
                self.contents += 1;
            }
            Kind::Call => {
                bare(out, "tool-call-end", self.calls);
                self.calls += 1;
            }
            Kind::Hidden => {}
        }
    }
}

/// Returns whether a citation says where in the text it is, and what of.
fn can_be_cited(citation: &Citation<'_>) -> bool {
    citation.origin.0 == Format::Cohere || (citation.span.is_some() && citation.url.is_some())
}

/// Writes an event with a message in its delta.
fn message(out: &mut Vec<u8>, name: &str, index: u64, members: impl FnOnce(&mut Writer<'_>)) {
    event(out, name, Some(index), |writer| {
        writer.object("message");
        members(writer);
        writer.end_object();
    });
}

/// Writes an event with a delta; its data repeats its name.
fn event(out: &mut Vec<u8>, name: &str, index: Option<u64>, members: impl FnOnce(&mut Writer<'_>)) {
    framed(out, name, index, |writer| {
        writer.object("delta");
        members(writer);
        writer.end_object();
    });
}

/// Writes an event that says no more than its number.
fn bare(out: &mut Vec<u8>, name: &str, index: u64) {
    framed(out, name, Some(index), |_| {});
}

fn framed(out: &mut Vec<u8>, name: &str, index: Option<u64>, members: impl FnOnce(&mut Writer<'_>)) {
    out.extend_from_slice(b"event: ");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\ndata: ");
    let mut writer = Writer::one_line(out);
    writer.begin_object();
    writer.key("type").text(name);
    if let Some(index) = index {
        writer.key("index").count(index);
    }
    members(&mut writer);
    writer.end_object();
    out.extend_from_slice(b"\n\n");
}
