//! Writes a whole answer.

use super::{finish_word, tier_word, usage_members};
use crate::wire::Format;
use crate::wire::codec::{Answer, Reply};
use crate::wire::ir::{Choice, Content, Finish, Losses, Maker, Part, Response, Usage};
use crate::wire::json::{self, Extras, Writer};

pub(in crate::wire::anthropic) fn encode(response: &Response<'_>, reply: &Reply<'_>) -> Answer {
    // The format has no time.
    let Response { format, source, id, model, created: _, choices, usage, service_tier, extras } = response;
    let mut body = Vec::with_capacity(source.len() + 256);
    let mut out = AnswerWriter { writer: Writer::new(&mut body), losses: Losses::default(), is_same: *format == Format::Anthropic, reply };
    out.writer.begin_object();
    out.writer.key("id").text(&reply.id(id, "msg_"));
    out.writer.key("type").text("message");
    out.writer.key("role").text("assistant");
    out.writer.key("model").text(reply.model_of(model));
    match choices.split_first() {
        Some((first, others)) => {
            out.choice(first);
            // The format has one answer.
            for part in others.iter().flat_map(|choice| &choice.parts) {
                out.losses.unsupported(part.at);
            }
        }
        None => {
            out.writer.array("content");
            out.writer.end_array();
        }
    }
    out.writer.object("usage");
    usage_members(&mut out.writer, &usage.unwrap_or_default());
    if let Some(tier) = service_tier.as_deref().and_then(tier_word) {
        out.writer.key("service_tier").text(tier);
    }
    out.writer.end_object();
    out.extras(extras);
    out.writer.end_object();
    let losses = out.losses.resolve(source);
    Answer { body, losses }
}

struct AnswerWriter<'w, 'r> {
    writer: Writer<'w>,
    losses: Losses,
    is_same: bool,
    reply: &'r Reply<'r>,
}

impl AnswerWriter<'_, '_> {
    fn extras(&mut self, extras: &Extras<'_>) {
        if !self.is_same {
            return self.losses.extras(extras);
        }
        for extra in extras {
            self.writer.key(&extra.name).json(&extra.value);
        }
    }

    fn choice(&mut self, choice: &Choice<'_>) {
        // Log probabilities have no place here, and nobody who speaks this format can have asked for them.
        let Choice { parts, finish, logprobs: _, extras, message_extras } = choice;
        self.losses.extras(extras);
        self.losses.extras(message_extras);
        self.writer.array("content");
        let mut calls = 0;
        for part in parts {
            self.block(part, calls);
            calls += usize::from(matches!(part.content, Content::ToolCall(_)));
        }
        self.writer.end_array();
        let is_refusal = parts.iter().any(|part| matches!(part.content, Content::Refusal { .. }));
        let Finish { reason, raw: _, stop_sequence } = finish;
        self.writer.key("stop_reason").text(finish_word(*reason, is_refusal));
        match stop_sequence {
            Some(sequence) => self.writer.key("stop_sequence").text(sequence),
            None => self.writer.key("stop_sequence").null(),
        }
    }

    fn begin(&mut self, kind: &str) {
        self.writer.begin_object();
        self.writer.key("type").text(kind);
    }

    fn block(&mut self, part: &Part<'_>, calls: usize) {
        let Part { content, cache: _, extras, at } = part;
        match content {
            // An empty block would be refused when it comes back.
            Content::Text { text, .. } | Content::Refusal { text } if text.is_empty() => return,
            Content::Text { text, citations } => {
                self.begin("text");
                self.writer.key("text").text(text);
                let own = citations.iter().filter(|citation| citation.origin.0 == Format::Anthropic);
                if own.clone().count() > 0 {
                    self.writer.array("citations");
                    own.for_each(|citation| self.writer.json(&citation.origin.1));
                    self.writer.end_array();
                }
                for citation in citations.iter().filter(|citation| citation.origin.0 != Format::Anthropic) {
                    self.losses.unsupported(citation.at);
                }
            }
            Content::Refusal { text } => {
                self.begin("text");
                self.writer.key("text").text(text);
            }
            Content::Thinking { text, signature } => {
                self.begin("thinking");
                self.writer.key("thinking").text(text);
                // Required here; an empty one is read back as none.
                self.writer
                    .key("signature")
                    .text(&signature.as_ref().map(|signature| signature.spell(Maker::Anthropic)).unwrap_or_default());
            }
            Content::RedactedThinking { data } => {
                self.begin("redacted_thinking");
                self.writer.key("data").text(&data.spell(Maker::Anthropic));
            }
            Content::ToolCall(call) => {
                self.begin("tool_use");
                self.writer.key("id").text(&self.reply.call_id(&call.id, "toolu_", calls));
                self.writer.key("name").text(&call.name);
                if !call.is_custom && json::is_object(&call.input) {
                    self.writer.key("input").raw(&call.input);
                } else {
                    // Free text, or what the model broke: an object is required here.
                    self.losses.approximated(*at);
                    self.writer.object("input");
                    self.writer.key("input").text(&call.input);
                    self.writer.end_object();
                }
            }
            Content::Opaque { format: Format::Anthropic, block } if self.is_same => return self.writer.json(block),
            Content::Opaque { .. }
            | Content::Image { .. }
            | Content::Audio { .. }
            | Content::Video { .. }
            | Content::Document { .. }
            | Content::ToolResult(_) => return self.losses.unsupported(*at),
        }
        self.extras(extras);
        self.writer.end_object();
    }
}

/// Writes the first, empty `message` of a stream.
pub(in crate::wire::anthropic) fn empty_message(writer: &mut Writer<'_>, id: &str, model: &str, usage: &Usage) {
    writer.object("message");
    writer.key("id").text(id);
    writer.key("type").text("message");
    writer.key("role").text("assistant");
    writer.key("model").text(model);
    writer.array("content");
    writer.end_array();
    writer.key("stop_reason").null();
    writer.key("stop_sequence").null();
    writer.object("usage");
    usage_members(writer, usage);
    writer.end_object();
    writer.end_object();
}
