//! Writes a whole answer.

use super::{finish_word, metrics, tier_word, usage_members};
use crate::wire::Format;
use crate::wire::bedrock::media::Kind;
use crate::wire::bedrock::request::{cited, encode_redacted, reasoning_text};
use crate::wire::codec::{Answer, Reply};
use crate::wire::ir::{Choice, Content, Finish, FinishReason, Losses, Maker, Media, Part, Response, ToolCall};
use crate::wire::json::{self, Extras, Place, Writer};

pub(in crate::wire::bedrock) fn encode(response: &Response<'_>, reply: &Reply<'_>) -> Answer {
    // The format has no id, no model and no time.
    let Response { format, source, id: _, model: _, created: _, choices, usage, service_tier, extras } = response;
    let mut body = Vec::with_capacity(source.len() + 256);
    let mut out = AnswerWriter { writer: Writer::new(&mut body), losses: Losses::default(), is_same: *format == Format::Bedrock, reply };
    out.writer.begin_object();
    let reason = match choices.split_first() {
        Some((first, others)) => {
            out.choice(first);
            // The format has one answer.
            for part in others.iter().flat_map(|choice| &choice.parts) {
                out.losses.unsupported(part.at);
            }
            let Finish { reason, raw, stop_sequence: _ } = &first.finish;
            raw.as_deref().filter(|_| out.is_same).unwrap_or(finish_word(*reason))
        }
        None => {
            out.choice(&Choice {
                parts: Vec::new(),
                finish: Finish::new(FinishReason::Stop),
                logprobs: None,
                extras: Vec::new(),
                message_extras: Vec::new(),
            });
            finish_word(FinishReason::Stop)
        }
    };
    out.writer.key("stopReason").text(reason);
    out.writer.object("usage");
    usage_members(&mut out.writer, &usage.unwrap_or_default());
    out.writer.end_object();
    if !out.is_same || extras.iter().all(|extra| extra.name != "metrics") {
        metrics(&mut out.writer, reply.latency_ms);
    }
    if let Some(tier) = service_tier.as_deref().and_then(tier_word) {
        out.writer.object("serviceTier");
        out.writer.key("type").text(tier);
        out.writer.end_object();
    }
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
        let Choice { parts, finish: _, logprobs: _, extras, message_extras } = choice;
        self.writer.object("output");
        self.writer.object("message");
        self.writer.key("role").text("assistant");
        self.writer.array("content");
        let mut calls = 0;
        for part in parts {
            self.block(part, calls);
            calls += usize::from(matches!(part.content, Content::ToolCall(_)));
        }
        self.writer.end_array();
        self.extras(message_extras);
        self.writer.end_object();
        self.extras(extras);
        self.writer.end_object();
    }

    fn block(&mut self, part: &Part<'_>, calls: usize) {
        let Part { content, cache: _, extras, at } = part;
        match content {
            // An empty block would be refused when it comes back.
            Content::Text { text, .. } | Content::Refusal { text } if text.is_empty() => return,
            Content::Text { text, citations } => {
                let own = |citation: &&crate::wire::ir::Citation<'_>| citation.origin.0 == Format::Bedrock;
                for foreign in citations.iter().filter(|citation| !own(citation)) {
                    self.losses.unsupported(foreign.at);
                }
                self.writer.begin_object();
                if citations.iter().any(|citation| own(&citation)) {
                    cited(&mut self.writer, text, citations.iter().filter(own));
                } else {
                    self.writer.key("text").text(text);
                }
            }
            Content::Refusal { text } => {
                self.writer.begin_object();
                self.writer.key("text").text(text);
            }
            Content::Thinking { text, signature } => {
                let signature = signature.as_ref().map(|signature| signature.spell(Maker::Anthropic));
                self.writer.begin_object();
                reasoning_text(&mut self.writer, text, signature.as_deref());
            }
            Content::RedactedThinking { data } => {
                self.writer.begin_object();
                self.writer.object("reasoningContent");
                self.writer.key("redactedContent").text(&encode_redacted(&data.spell(Maker::Anthropic)));
                self.writer.end_object();
            }
            Content::ToolCall(call) => self.tool_use(call, *at, calls),
            Content::Image { media: Media::Base64 { media_type, data }, detail: _ } if Kind::Image.format(media_type).is_some() => {
                self.writer.begin_object();
                self.writer.object("image");
                self.writer.key("format").text(Kind::Image.format(media_type).unwrap_or_default());
                self.writer.object("source");
                self.writer.key("bytes").text(data);
                self.writer.end_object();
                self.writer.end_object();
            }
            Content::Opaque { format: Format::Bedrock, block } if self.is_same => return self.writer.json(block),
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

    /// Writes a call, and leaves its block open.
    fn tool_use(&mut self, call: &ToolCall<'_>, at: Place, calls: usize) {
        self.writer.begin_object();
        self.writer.object("toolUse");
        self.writer.key("toolUseId").text(&self.reply.call_id(&call.id, "tooluse_", calls));
        self.writer.key("name").text(&call.name);
        if !call.is_custom && json::is_object(&call.input) {
            self.writer.key("input").raw(&call.input);
        } else {
            // Free text, or what the model broke: an object is required here.
            self.losses.approximated(at);
            self.writer.object("input");
            self.writer.key("input").text(&call.input);
            self.writer.end_object();
        }
        self.writer.end_object();
    }
}
