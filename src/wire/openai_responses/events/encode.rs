//! Writes a stream. Several items may be open at a time, so nothing is held back; but everything is kept, because the last event repeats the
//! whole answer.

use std::collections::BTreeMap;

use super::log::{Log, place};
use super::opening::{Message, Part, Thoughts};
use crate::wire::Format;
use crate::wire::codec::{EncodeStream, Failure, Reply};
use crate::wire::ir::{Delta, Event, Finish, FinishReason, Media, PartStart, Signature, ToolCall, Usage};
use crate::wire::json::{Document, Extra, Json, Node, Text, Writer};
use crate::wire::openai_chat::error_type;
use crate::wire::openai_responses::answer::{self, Envelope, Head};
use crate::wire::openai_responses::{error, maker};

/// What an item or a piece counts for, besides what is said in it.
pub(super) const ITEM_BYTES: usize = 256;

/// Writes events.
#[derive(Debug)]
pub(in crate::wire::openai_responses) struct Encoder {
    request_id: String,
    id: String,
    created: u64,
    model: String,
    pub(super) log: Log,
    has_started: bool,
    /// Items that were opened.
    items: u64,
    /// What the answer repeats of the request.
    echo: Vec<Extra<'static>>,
    calls: usize,
    parts: BTreeMap<u32, Part>,
    pub(super) messages: Vec<Message>,
    /// Items that are whole, by their number.
    whole: BTreeMap<u64, Vec<u8>>,
    pub(super) kept: usize,
    usage: Option<Usage>,
    service_tier: Option<String>,
    finish: Option<Finish<'static>>,
}

impl Encoder {
    pub(in crate::wire::openai_responses) fn new(reply: &Reply<'_>) -> Self {
        Self {
            request_id: reply.request_id.to_owned(),
            id: reply.id(&Text::Borrowed(""), "resp_").into_owned(),
            created: reply.created,
            model: reply.model.to_owned(),
            log: Log::default(),
            has_started: false,
            items: 0,
            echo: answer::echo(reply.asked),
            calls: 0,
            parts: BTreeMap::new(),
            messages: Vec::new(),
            whole: BTreeMap::new(),
            kept: 0,
            usage: None,
            service_tier: None,
            finish: None,
        }
    }

    pub(super) fn item_id(&self, prefix: &str, index: u64) -> String {
        format!("{prefix}{}_{index}", self.request_id)
    }

    /// Writes an event that repeats the answer as far as it is whole.
    fn response(&mut self, out: &mut Vec<u8>, name: &str, finish: Option<FinishReason>, failure: Option<&Failure>) {
        let has_ended = finish.is_some() || failure.is_some();
        let envelope = Envelope {
            id: &self.id,
            created: self.created,
            model: &self.model,
            finish,
            failure,
            usage: self.usage.as_ref().filter(|_| has_ended),
            service_tier: self.service_tier.as_deref().filter(|tier| answer::is_tier(tier)),
            kept: &self.echo,
        };
        let whole = &self.whole;
        self.log.event(out, name, |writer| {
            writer.object("response");
            envelope.write(writer, |writer| {
                for item in whole.values() {
                    writer.raw(std::str::from_utf8(item).unwrap_or_default());
                }
            });
            writer.end_object();
        });
    }

    fn start(&mut self, out: &mut Vec<u8>) {
        if !self.has_started {
            self.has_started = true;
            self.response(out, "response.created", None, None);
            self.response(out, "response.in_progress", None, None);
        }
    }

    /// Takes the next number of an item; what is said before it and behind it is not one message.
    pub(super) fn open_item(&mut self, out: &mut Vec<u8>) -> u64 {
        for message in &mut self.messages {
            message.is_current = false;
        }
        self.close_messages("completed", out);
        self.items += 1;
        self.kept += ITEM_BYTES;
        self.items - 1
    }

    pub(super) fn added(&mut self, out: &mut Vec<u8>, index: u64, item: impl FnOnce(&mut Writer<'_>)) {
        self.log.event(out, "response.output_item.added", |writer| {
            writer.key("output_index").count(index);
            writer.key("item");
            item(writer);
        });
    }

    /// Writes the end of an item, and keeps it.
    pub(super) fn done(&mut self, out: &mut Vec<u8>, index: u64, item: Vec<u8>) {
        self.log.event(out, "response.output_item.done", |writer| {
            writer.key("output_index").count(index);
            writer.key("item").raw(std::str::from_utf8(&item).unwrap_or_default());
        });
        self.whole.insert(index, item);
    }

    fn part_start(&mut self, number: u32, start: &PartStart<'_>, out: &mut Vec<u8>) {
        let part = match start {
            PartStart::Text => Part::Silent { is_refusal: false },
            PartStart::Refusal => Part::Silent { is_refusal: true },
            PartStart::Thinking => Part::Unthought,
            PartStart::RedactedThinking(data) => {
                let thoughts = self.open_thoughts(out);
                let encrypted = Some(maker::spell_redacted(data).into_owned());
                self.close_thoughts(Thoughts { encrypted, ..thoughts }, out);
                Part::Hidden
            }
            PartStart::ToolCall { id, name, is_custom } => self.open_call(id, name, *is_custom, out),
            PartStart::Image(media) => {
                self.picture(media, out);
                Part::Hidden
            }
            PartStart::Opaque { format: Format::OpenaiResponses, block } => {
                let index = self.open_item(out);
                self.added(out, index, |writer| writer.json(block));
                Part::Opaque { index, item: block.as_str().to_owned() }
            }
            PartStart::Opaque { .. } => Part::Hidden,
        };
        self.parts.insert(number, part);
    }

    fn open_call(&mut self, id: &Text<'_>, name: &Text<'_>, is_custom: bool, out: &mut Vec<u8>) -> Part {
        let reply = Reply { request_id: &self.request_id, ..Reply::default() };
        let call_id = reply.call_id(id, "call_", self.calls).into_owned();
        self.calls += 1;
        let index = self.open_item(out);
        let id = self.item_id(if is_custom { "ctc_" } else { "fc_" }, index);
        let (name, input) = (Text::Owned(name.clone().into_owned()), Text::Borrowed(""));
        let call = ToolCall { id: Text::Owned(call_id), name, input, is_custom };
        self.added(out, index, |writer| answer::call(writer, Head { id: &id, status: "in_progress", kept: &[] }, &call.id, &call));
        Part::Call { index, call, id }
    }

    /// Writes a picture that the model made, which comes whole; one that is elsewhere has no place here.
    fn picture(&mut self, media: &Media<'_>, out: &mut Vec<u8>) {
        let Media::Base64 { media_type, data } = media else { return };
        let index = self.open_item(out);
        let id = self.item_id("ig_", index);
        self.added(out, index, |writer| {
            answer::picture(writer, Head { id: &id, status: "in_progress", kept: &[] }, media_type, None);
        });
        let mut item = Vec::new();
        answer::picture(&mut Writer::one_line(&mut item), Head { id: &id, status: "completed", kept: &[] }, media_type, Some(data));
        self.kept += item.len();
        self.done(out, index, item);
    }

    fn open_thoughts(&mut self, out: &mut Vec<u8>) -> Thoughts {
        let index = self.open_item(out);
        let id = self.item_id(maker::OUR_ID, index);
        self.added(out, index, |writer| {
            answer::reasoning(writer, Head { id: &id, status: "in_progress", kept: &[] }, "", None);
        });
        Thoughts { index, text: String::new(), encrypted: None }
    }

    fn close_thoughts(&mut self, thoughts: Thoughts, out: &mut Vec<u8>) {
        let Thoughts { index, text, encrypted } = thoughts;
        let id = self.item_id(maker::OUR_ID, index);
        if !text.is_empty() {
            self.log.event(out, "response.reasoning_summary_text.done", |writer| {
                place(writer, &id, index);
                writer.key("summary_index").count(0);
                writer.key("text").text(&text);
            });
            self.log.event(out, "response.reasoning_summary_part.done", |writer| summary_part(writer, &id, index, &text));
        }
        let mut item = Vec::new();
        let head = Head { id: &id, status: "completed", kept: &[] };
        answer::reasoning(&mut Writer::one_line(&mut item), head, &text, encrypted.as_deref());
        self.done(out, index, item);
    }

    fn part_delta(&mut self, number: u32, delta: &Delta<'_>, out: &mut Vec<u8>) {
        if matches!(delta, Delta::Text(text) | Delta::Input(text) if text.is_empty()) {
            return;
        }
        let Some(part) = self.parts.remove(&number) else { return };
        self.kept += delta.bytes();
        let part = match (part, delta) {
            (Part::Silent { is_refusal }, Delta::Text(text)) => {
                let (message, content) = self.open_piece(is_refusal, out);
                self.said(message, content, text, out);
                Part::Piece { message, content }
            }
            // A citation of nothing.
            (part @ Part::Silent { .. }, _) => part,
            (Part::Piece { message, content }, Delta::Text(text)) => {
                self.said(message, content, text, out);
                Part::Piece { message, content }
            }
            (Part::Piece { message, content }, Delta::Citation(citation)) => {
                self.cited(message, content, citation, out);
                Part::Piece { message, content }
            }
            (Part::Unthought, Delta::Text(_) | Delta::Signature(_)) => {
                let mut thoughts = self.open_thoughts(out);
                self.thought(&mut thoughts, delta, out);
                Part::Thoughts(thoughts)
            }
            (Part::Thoughts(mut thoughts), delta) => {
                self.thought(&mut thoughts, delta, out);
                Part::Thoughts(thoughts)
            }
            (Part::Call { index, mut call, id }, Delta::Input(input)) => {
                let name = if call.is_custom { "response.custom_tool_call_input.delta" } else { "response.function_call_arguments.delta" };
                self.log.event(out, name, |writer| {
                    place(writer, &id, index);
                    writer.key("delta").text(input);
                });
                call.input.to_mut().push_str(input);
                Part::Call { index, call, id }
            }
            (Part::Opaque { index, item }, Delta::Opaque(raw)) => {
                let item = self.opaque(index, item, raw, out);
                Part::Opaque { index, item }
            }
            (part, _) => part,
        };
        self.parts.insert(number, part);
    }

    fn thought(&mut self, thoughts: &mut Thoughts, delta: &Delta<'_>, out: &mut Vec<u8>) {
        let (id, index) = (self.item_id(maker::OUR_ID, thoughts.index), thoughts.index);
        match delta {
            Delta::Text(text) => {
                if thoughts.text.is_empty() {
                    self.log.event(out, "response.reasoning_summary_part.added", |writer| summary_part(writer, &id, index, ""));
                }
                thoughts.text.push_str(text);
                self.log.event(out, "response.reasoning_summary_text.delta", |writer| {
                    place(writer, &id, index);
                    writer.key("summary_index").count(0);
                    writer.key("delta").text(text);
                });
            }
            Delta::Signature(signature) => thoughts.encrypted = Some(spelt(signature)),
            Delta::Input(_) | Delta::Citation(_) | Delta::Opaque(_) => {}
        }
    }

    /// Writes an event of an item that only this format has, with our numbers. Returns the item as far as it is known.
    fn opaque(&mut self, index: u64, item: String, raw: &Json<'_>, out: &mut Vec<u8>) -> String {
        let Ok(document) = Document::parse(raw.as_str().as_bytes()) else { return item };
        let root = document.root();
        let name = root.get("type").and_then(Node::text).unwrap_or_default();
        if name == "response.output_item.done" {
            return root.get("item").map_or(item, |item| item.raw().to_owned());
        }
        // The name becomes a line of the stream.
        if !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_')) {
            return item;
        }
        self.log.event(out, &name, |writer| {
            writer.key("output_index").count(index);
            let is_ours = |key: &Node<'_, '_>| ["type", "sequence_number", "output_index"].iter().any(|name| key.is(name));
            for (key, value) in root.members().filter(|(key, _)| !is_ours(key)) {
                writer.key(&key.text().unwrap_or_default()).raw(value.raw());
            }
        });
        item
    }

    fn part_end(&mut self, number: u32, out: &mut Vec<u8>) {
        match self.parts.remove(&number) {
            Some(Part::Piece { message, content }) => self.piece_end(message, content, out),
            Some(Part::Thoughts(thoughts)) => self.close_thoughts(thoughts, out),
            Some(Part::Call { index, call, id }) => {
                let (name, member) = if call.is_custom {
                    ("response.custom_tool_call_input.done", "input")
                } else {
                    ("response.function_call_arguments.done", "arguments")
                };
                self.log.event(out, name, |writer| {
                    place(writer, &id, index);
                    writer.key(member).text(&call.input);
                });
                let mut item = Vec::new();
                let head = Head { id: &id, status: "completed", kept: &[] };
                answer::call(&mut Writer::one_line(&mut item), head, &call.id, &call);
                self.done(out, index, item);
            }
            Some(Part::Opaque { index, item }) => {
                let mut whole = Vec::new();
                Writer::one_line(&mut whole).raw(&item);
                self.done(out, index, whole);
            }
            Some(Part::Silent { .. } | Part::Unthought | Part::Hidden) | None => {}
        }
    }

    fn end(&mut self, out: &mut Vec<u8>) {
        self.start(out);
        let reason = self.finish.take().map_or(FinishReason::Stop, |finish| finish.reason);
        let is_cut = answer::incomplete(reason).is_some();
        for message in &mut self.messages {
            message.is_current = false;
        }
        self.close_messages(if is_cut { "incomplete" } else { "completed" }, out);
        let name = if is_cut { "response.incomplete" } else { "response.completed" };
        self.response(out, name, Some(reason), None);
        self.kept = 0;
    }
}

fn spelt(signature: &Signature<'_>) -> String {
    maker::spell(signature).into_owned()
}

fn summary_part(writer: &mut Writer<'_>, id: &str, index: u64, text: &str) {
    place(writer, id, index);
    writer.key("summary_index").count(0);
    writer.object("part");
    writer.key("type").text("summary_text");
    writer.key("text").text(text);
    writer.end_object();
}

impl EncodeStream for Encoder {
    fn event(&mut self, event: &Event<'_>, out: &mut Vec<u8>) {
        match event {
            Event::Start { id, model, created } => {
                let reply = Reply { request_id: &self.request_id, model: &self.model, ..Reply::default() };
                let (id, model) = (reply.id(id, "resp_").into_owned(), reply.model_of(model).to_owned());
                self.created = created.unwrap_or(self.created);
                (self.id, self.model) = (id, model);
                self.start(out);
            }
            Event::PartStart { choice: 0, part, start } => self.part_start(*part, start, out),
            Event::Delta { choice: 0, part, delta } => self.part_delta(*part, delta, out),
            Event::PartEnd { choice: 0, part } => self.part_end(*part, out),
            Event::Logprobs { choice: 0, logprobs } => self.likely(logprobs),
            Event::Finish { choice: 0, finish } => self.finish = Some(finish.clone().into_owned()),
            // The format has one answer.
            Event::PartStart { .. } | Event::Delta { .. } | Event::PartEnd { .. } | Event::Logprobs { .. } | Event::Finish { .. } => {}
            Event::Usage(usage) => self.usage = Some(*usage),
            Event::ServiceTier(tier) => self.service_tier = Some(tier.clone().into_owned()),
            Event::Ping => out.extend_from_slice(b": ping\n\n"),
            Event::End => self.end(out),
        }
    }

    fn failure(&mut self, failure: &Failure, request_id: &str, out: &mut Vec<u8>) {
        self.start(out);
        let code = error::code(failure.kind);
        let message = failure.told(&error::TOO_LONG);
        // Flat as the API's description has it, and nested as the API sends it and official clients raise it.
        self.log.event(out, "error", |writer| {
            writer.key("code").text(code);
            writer.key("message").text(&message);
            writer.key("param").null();
            writer.object("error");
            writer.key("type").text(error_type(failure.kind));
            writer.key("code").text(code);
            writer.key("message").text(&message);
            writer.key("param").null();
            writer.key("request_id").text(request_id);
            writer.end_object();
        });
        self.response(out, "response.failed", None, Some(failure));
    }

    fn held_bytes(&self) -> usize {
        self.kept
    }
}
