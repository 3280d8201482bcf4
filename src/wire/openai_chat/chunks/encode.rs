//! Writes a stream.

use std::collections::BTreeMap;

use crate::wire::Format;
use crate::wire::codec::{EncodeStream, Failure, Reply};
use crate::wire::ir::{Delta, Event, Finish, FinishReason, Maker, PartStart, Usage};
use crate::wire::json::{Text, Writer};
use crate::wire::openai_chat::answer::{annotation, finish_word, image, write_usage};
use crate::wire::openai_chat::error::{TOO_LONG, error_event};
use crate::wire::openai_chat::thoughts;

/// What becomes of a part's deltas.
#[derive(Debug, Clone, Copy)]
enum Part {
    Text,
    Thinking,
    Refusal,
    Call { number: u64, is_custom: bool },
    Hidden,
}

#[derive(Debug, Default)]
struct Choice {
    parts: BTreeMap<u32, Part>,
    calls: u64,
    thoughts: u64,
    /// Characters of text so far, which citations count in.
    characters: u64,
    /// What Gemini signed of the part that opens next.
    signature: Option<String>,
}

/// Writes chunks.
#[derive(Debug)]
pub(in crate::wire::openai_chat) struct Encoder {
    request_id: String,
    created: u64,
    model: String,
    includes_usage: bool,
    /// What every chunk begins with.
    prefix: Vec<u8>,
    service_tier: Option<String>,
    choices: BTreeMap<u32, Choice>,
    usage: Option<Usage>,
}

impl Encoder {
    pub(in crate::wire::openai_chat) fn new(reply: &Reply<'_>) -> Self {
        Self {
            request_id: reply.request_id.to_owned(),
            created: reply.created,
            model: reply.model.to_owned(),
            includes_usage: reply.include_usage,
            prefix: Vec::new(),
            service_tier: None,
            choices: BTreeMap::new(),
            usage: None,
        }
    }

    fn start(&mut self, id: &Text<'_>, model: &Text<'_>, created: Option<u64>) {
        let reply = Reply { request_id: &self.request_id, created: self.created, model: &self.model, ..Reply::default() };
        let mut prefix = b"data: ".to_vec();
        let mut writer = Writer::one_line(&mut prefix);
        writer.begin_object();
        writer.key("id").text(&reply.id(id, "chatcmpl-"));
        writer.key("object").text("chat.completion.chunk");
        writer.key("created").count(created.unwrap_or(self.created));
        writer.key("model").text(reply.model_of(model));
        self.prefix = prefix;
    }

    /// Writes a chunk of one choice: what `delta` writes into the delta, and what `beside` writes next to it.
    fn chunk(&self, out: &mut Vec<u8>, choice: u32, delta: impl FnOnce(&mut Writer<'_>), beside: impl FnOnce(&mut Writer<'_>)) {
        out.extend_from_slice(&self.prefix);
        let mut writer = Writer::one_line(out);
        writer.array("choices");
        writer.begin_object();
        writer.key("index").count(u64::from(choice));
        writer.object("delta");
        delta(&mut writer);
        writer.end_object();
        beside(&mut writer);
        writer.end_object();
        writer.end_array();
        if let Some(tier) = &self.service_tier {
            writer.key("service_tier").text(tier);
        }
        writer.end_object();
        out.extend_from_slice(b"\n\n");
    }

    fn delta(&self, out: &mut Vec<u8>, choice: u32, delta: impl FnOnce(&mut Writer<'_>)) {
        self.chunk(out, choice, delta, |writer| writer.key("finish_reason").null());
    }

    /// Introduces an answer with its role, once.
    fn introduce(&mut self, choice: u32, out: &mut Vec<u8>) {
        if self.choices.contains_key(&choice) {
            return;
        }
        self.choices.insert(choice, Choice::default());
        self.delta(out, choice, |writer| {
            writer.key("role").text("assistant");
            writer.key("content").text("");
        });
    }

    fn part_start(&mut self, choice: u32, part: u32, start: &PartStart<'_>, out: &mut Vec<u8>) {
        self.introduce(choice, out);
        let state = self.choices.entry(choice).or_default();
        let kind = match start {
            PartStart::Text => Part::Text,
            PartStart::Thinking => Part::Thinking,
            PartStart::Refusal => Part::Refusal,
            PartStart::ToolCall { is_custom, .. } => {
                state.calls += 1;
                Part::Call { number: state.calls - 1, is_custom: *is_custom }
            }
            PartStart::RedactedThinking(_) => {
                state.thoughts += 1;
                Part::Hidden
            }
            // What only one format has is never shown as a call: the client could not answer it.
            PartStart::Image(_) | PartStart::Opaque { .. } => Part::Hidden,
        };
        state.parts.insert(part, kind);
        let signature = state.signature.take();
        if let PartStart::RedactedThinking(data) = start
            && data.maker == Maker::Gemini
        {
            state.signature = Some(data.value.clone().into_owned());
        }
        let thought = state.thoughts.saturating_sub(1);
        match (start, kind) {
            (PartStart::ToolCall { id, name, .. }, Part::Call { number, is_custom }) => {
                let reply = Reply { request_id: &self.request_id, ..Reply::default() };
                let id = reply.call_id(id, "call_", usize::try_from(number).unwrap_or_default());
                let head = Head { id: &id, name, signature: signature.as_deref() };
                self.delta(out, choice, |writer| fragment(writer, number, is_custom, Some(head), ""));
            }
            (PartStart::RedactedThinking(data), _) => {
                self.delta(out, choice, |writer| detail(writer, "reasoning.encrypted", ("data", &data.value), data.maker, thought));
            }
            (PartStart::Image(media), _) => {
                if let Some(url) = media.to_url() {
                    self.delta(out, choice, |writer| {
                        writer.array("images");
                        image(writer, &url);
                        writer.end_array();
                    });
                }
            }
            _ => {}
        }
    }

    fn part_delta(&mut self, choice: u32, part: u32, delta: &Delta<'_>, out: &mut Vec<u8>) {
        let Some(state) = self.choices.get_mut(&choice) else { return };
        let Some(kind) = state.parts.get(&part).copied() else { return };
        let (thought, from) = (state.thoughts, state.characters);
        match (delta, kind) {
            (Delta::Text(text), Part::Text) => {
                state.characters += text.chars().count() as u64;
                self.delta(out, choice, |writer| writer.key("content").text(text));
            }
            (Delta::Text(text), Part::Thinking) => self.delta(out, choice, |writer| writer.key("reasoning_content").text(text)),
            (Delta::Text(text), Part::Refusal) => self.delta(out, choice, |writer| writer.key("refusal").text(text)),
            (Delta::Signature(signature), Part::Thinking) => {
                state.thoughts += 1;
                let value = ("signature", &signature.value);
                self.delta(out, choice, |writer| detail(writer, "reasoning.text", value, signature.maker, thought));
            }
            (Delta::Input(input), Part::Call { number, is_custom }) => {
                self.delta(out, choice, |writer| fragment(writer, number, is_custom, None, input));
            }
            // This format cites addresses alone.
            (Delta::Citation(citation), Part::Text) if citation.url.is_some() || citation.origin.0 == Format::OpenaiChat => {
                let span = citation.span.unwrap_or((from, from));
                self.delta(out, choice, |writer| {
                    writer.array("annotations");
                    annotation(writer, citation, span);
                    writer.end_array();
                });
            }
            (Delta::Text(_) | Delta::Signature(_) | Delta::Input(_) | Delta::Citation(_) | Delta::Opaque(_), _) => {}
        }
    }

    fn finish(&mut self, choice: u32, finish: &Finish<'_>, out: &mut Vec<u8>) {
        self.introduce(choice, out);
        let Finish { reason, raw, stop_sequence } = finish;
        self.chunk(
            out,
            choice,
            |_| {},
            |writer| {
                writer.key("finish_reason").text(finish_word(*reason));
                if let Some(sequence) = stop_sequence {
                    writer.key("stop_reason").text(sequence);
                }
                if let Some(raw) = raw.as_ref().filter(|_| *reason != FinishReason::Stop) {
                    writer.key("native_finish_reason").text(raw);
                }
            },
        );
    }

    fn done(&self, out: &mut Vec<u8>) {
        if let Some(usage) = self.usage.filter(|_| self.includes_usage) {
            out.extend_from_slice(&self.prefix);
            let mut writer = Writer::one_line(out);
            writer.array("choices");
            writer.end_array();
            write_usage(&mut writer, &usage);
            writer.end_object();
            out.extend_from_slice(b"\n\n");
        }
        out.extend_from_slice(b"data: [DONE]\n\n");
    }
}

impl EncodeStream for Encoder {
    fn event(&mut self, event: &Event<'_>, out: &mut Vec<u8>) {
        match event {
            Event::Start { id, model, created } => {
                self.start(id, model, *created);
                self.introduce(0, out);
            }
            Event::PartStart { choice, part, start } => self.part_start(*choice, *part, start, out),
            Event::Delta { choice, part, delta } => self.part_delta(*choice, *part, delta, out),
            // The format does not say where a part ends.
            Event::PartEnd { .. } => {}
            Event::Logprobs { choice, logprobs } => {
                self.introduce(*choice, out);
                self.chunk(
                    out,
                    *choice,
                    |_| {},
                    |writer| {
                        writer.key("logprobs").json(logprobs);
                        writer.key("finish_reason").null();
                    },
                );
            }
            Event::Usage(usage) => self.usage = Some(*usage),
            Event::ServiceTier(tier) => self.service_tier = Some(tier.clone().into_owned()),
            Event::Finish { choice, finish } => self.finish(*choice, finish, out),
            Event::Ping => out.extend_from_slice(b": ping\n\n"),
            Event::End => self.done(out),
        }
    }

    fn failure(&mut self, failure: &Failure, request_id: &str, out: &mut Vec<u8>) {
        out.extend_from_slice(&error_event(failure.kind, &failure.told(&TOO_LONG), request_id));
    }
}

/// How a call begins.
#[derive(Debug, Clone, Copy)]
struct Head<'h> {
    id: &'h str,
    name: &'h str,
    /// What Gemini signed of it.
    signature: Option<&'h str>,
}

/// Writes `tool_calls` with one fragment: the head of a call, or more of its input.
fn fragment(writer: &mut Writer<'_>, number: u64, is_custom: bool, head: Option<Head<'_>>, input: &str) {
    let (kind, member) = if is_custom { ("custom", "input") } else { ("function", "arguments") };
    writer.array("tool_calls");
    writer.begin_object();
    writer.key("index").count(number);
    if let Some(head) = head {
        writer.key("id").text(head.id);
        writer.key("type").text(kind);
    }
    writer.object(kind);
    if let Some(head) = head {
        writer.key("name").text(head.name);
    }
    writer.key(member).text(input);
    writer.end_object();
    if let Some(signature) = head.and_then(|head| head.signature) {
        thoughts::write_of_call(writer, signature);
    }
    writer.end_object();
    writer.end_array();
}

/// Writes `reasoning_details` with one entry.
fn detail(writer: &mut Writer<'_>, kind: &str, value: (&str, &Text<'_>), maker: Maker, index: u64) {
    writer.array("reasoning_details");
    writer.begin_object();
    writer.key("type").text(kind);
    writer.key(value.0).text(value.1);
    writer.key("format").text(maker.format_name());
    writer.key("index").count(index);
    writer.end_object();
    writer.end_array();
}
