//! Writes a whole answer.

use super::{finish_word, usage_members};
use crate::wire::Format;
use crate::wire::codec::{Answer, Reply};
use crate::wire::cohere::request::{arguments, image_url};
use crate::wire::ir::{Choice, Citation, Content, Finish, FinishReason, Losses, Part, Response};
use crate::wire::json::{Extras, Writer};

pub(in crate::wire::cohere) fn encode(response: &Response<'_>, reply: &Reply<'_>) -> Answer {
    // The format has neither model nor time nor tier.
    let Response { format, source, id, model: _, created: _, choices, usage, service_tier: _, extras } = response;
    let mut body = Vec::with_capacity(source.len() + 256);
    let mut out = AnswerWriter { writer: Writer::new(&mut body), losses: Losses::default(), is_same: *format == Format::Cohere, reply };
    out.writer.begin_object();
    out.writer.key("id").text(&reply.id(id, ""));
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
            out.writer.object("message");
            out.writer.key("role").text("assistant");
            out.writer.end_object();
            finish_word(FinishReason::Stop)
        }
    };
    out.writer.key("finish_reason").text(reason);
    out.writer.object("usage");
    usage_members(&mut out.writer, &usage.unwrap_or_default());
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
        // The format's own log probabilities are of another shape, and nobody who speaks it can have asked for these.
        let Choice { parts, finish: _, logprobs: _, extras, message_extras } = choice;
        self.writer.object("message");
        self.writer.key("role").text("assistant");
        let array = self.writer.optional_array("content");
        let mut cited = Vec::new();
        let mut written: u64 = 0;
        for part in parts {
            if let Content::Text { text, citations } = &part.content
                && !text.is_empty()
            {
                cited.extend(citations.iter().map(|citation| (written, citation)));
            }
            written += u64::from(self.block(part));
        }
        self.writer.end_optional(array);
        self.calls(parts);
        self.citations(&cited);
        self.extras(message_extras);
        self.writer.end_object();
        self.extras(extras);
    }

    /// Writes a block of content. Returns whether it is one.
    fn block(&mut self, part: &Part<'_>) -> bool {
        let Part { content, cache: _, extras, at } = part;
        match content {
            // Calls have a place of their own.
            Content::ToolCall(_) => return false,
            Content::Text { text, .. } | Content::Refusal { text } if text.is_empty() => return false,
            Content::Text { text, citations: _ } | Content::Refusal { text } => {
                self.writer.begin_object();
                self.writer.key("type").text("text");
                self.writer.key("text").text(text);
            }
            // Nothing is signed here.
            Content::Thinking { text, .. } if text.is_empty() => return false,
            Content::Thinking { text, signature } => {
                if signature.is_some() {
                    self.losses.approximated(*at);
                }
                self.writer.begin_object();
                self.writer.key("type").text("thinking");
                self.writer.key("thinking").text(text);
            }
            Content::Image { media, detail: _ } if media.to_url().is_some() => {
                self.writer.begin_object();
                image_url(&mut self.writer, &media.to_url().unwrap_or_default(), None);
            }
            Content::Opaque { format: Format::Cohere, block } if self.is_same => {
                self.writer.json(block);
                return true;
            }
            Content::Opaque { .. }
            | Content::RedactedThinking { .. }
            | Content::Image { .. }
            | Content::Audio { .. }
            | Content::Video { .. }
            | Content::Document { .. }
            | Content::ToolResult(_) => {
                self.losses.unsupported(*at);
                return false;
            }
        }
        self.extras(extras);
        self.writer.end_object();
        true
    }

    fn calls(&mut self, parts: &[Part<'_>]) {
        let calls = parts.iter().filter_map(|part| if let Content::ToolCall(call) = &part.content { Some((part, call)) } else { None });
        let array = self.writer.optional_array("tool_calls");
        for (number, (part, call)) in calls.enumerate() {
            self.writer.begin_object();
            self.writer.key("id").text(&self.reply.call_id(&call.id, "call_", number));
            self.writer.key("type").text("function");
            self.writer.object("function");
            self.writer.key("name").text(&call.name);
            if call.is_custom {
                self.losses.approximated(part.at);
            }
            self.writer.key("arguments").text(&arguments(call));
            self.writer.end_object();
            self.extras(&part.extras);
            self.writer.end_object();
        }
        self.writer.end_optional(array);
    }

    fn citations(&mut self, cited: &[(u64, &Citation<'_>)]) {
        let array = self.writer.optional_array("citations");
        for (number, citation) in cited {
            if !write_citation(&mut self.writer, citation, *number) {
                self.losses.unsupported(citation.at);
            }
        }
        self.writer.end_optional(array);
    }
}

/// Writes a citation of the text with a number. Where in the text, and what of it, is the heart of one here: without that it is not written.
/// Returns whether it was.
pub(in crate::wire::cohere) fn write_citation(writer: &mut Writer<'_>, citation: &Citation<'_>, number: u64) -> bool {
    let Citation { url, title, cited, span, origin, at: _ } = citation;
    if origin.0 == Format::Cohere {
        writer.json(&origin.1);
        return true;
    }
    let (Some((start, end)), Some(url)) = (span, url) else { return false };
    writer.begin_object();
    writer.key("start").count(*start);
    writer.key("end").count(*end);
    writer.array("sources");
    writer.begin_object();
    writer.key("type").text("document");
    writer.key("id").text(url);
    writer.object("document");
    writer.key("url").text(url);
    for (key, text) in [("title", title), ("text", cited)] {
        if let Some(text) = text {
            writer.key(key).text(text);
        }
    }
    writer.end_object();
    writer.end_object();
    writer.end_array();
    writer.key("type").text("TEXT_CONTENT");
    writer.key("content_index").count(number);
    writer.end_object();
    true
}
