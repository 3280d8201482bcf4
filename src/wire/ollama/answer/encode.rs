//! Writes a whole answer.

use super::{finish_word, write_time, write_usage};
use crate::wire::Format;
use crate::wire::codec::{Answer, Reply};
use crate::wire::ir::{Choice, Content, Finish, FinishReason, Losses, Media, Part, Response};
use crate::wire::json::{Extras, Writer};
use crate::wire::ollama::message::{function, write_logprobs};

pub(in crate::wire::ollama) fn encode(response: &Response<'_>, reply: &Reply<'_>) -> Answer {
    // The format has neither an id nor a tier.
    let Response { format, source, id: _, model, created, choices, usage, service_tier: _, extras } = response;
    let mut body = Vec::with_capacity(source.len() + 256);
    let mut out = AnswerWriter { writer: Writer::new(&mut body), losses: Losses::default(), is_same: *format == Format::Ollama, reply };
    out.writer.begin_object();
    out.writer.key("model").text(reply.model_of(model));
    out.writer.key("created_at").text(&write_time(created.unwrap_or(reply.created)));
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
            out.writer.key("content").text("");
            out.writer.end_object();
            finish_word(FinishReason::Stop)
        }
    };
    out.writer.key("done").bool(true);
    out.writer.key("done_reason").text(reason);
    write_usage(&mut out.writer, &usage.unwrap_or_default());
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
        let Choice { parts, finish: _, logprobs, extras, message_extras } = choice;
        self.writer.object("message");
        self.writer.key("role").text("assistant");
        let (mut text, mut thoughts, mut pictures) = (String::new(), String::new(), Vec::new());
        for Part { content, cache: _, extras, at } in parts {
            match content {
                // Calls have a place of their own.
                Content::ToolCall(_) => continue,
                Content::Text { text: said, citations } => {
                    for citation in citations {
                        self.losses.unsupported(citation.at);
                    }
                    text.push_str(said);
                }
                Content::Refusal { text: said } => text.push_str(said),
                Content::Thinking { text: said, signature } => {
                    // Nothing is signed here.
                    if signature.is_some() {
                        self.losses.approximated(*at);
                    }
                    thoughts.push_str(said);
                }
                Content::Image { media: Media::Base64 { media_type: _, data }, detail: _ } => pictures.push(data),
                Content::RedactedThinking { .. }
                | Content::Image { .. }
                | Content::Audio { .. }
                | Content::Video { .. }
                | Content::Document { .. }
                | Content::ToolResult(_)
                | Content::Opaque { .. } => self.losses.unsupported(*at),
            }
            self.losses.extras(extras);
        }
        self.writer.key("content").text(&text);
        if !thoughts.is_empty() {
            self.writer.key("thinking").text(&thoughts);
        }
        let array = self.writer.optional_array("images");
        pictures.iter().for_each(|picture| self.writer.text(picture));
        self.writer.end_optional(array);
        self.calls(parts);
        self.extras(message_extras);
        self.writer.end_object();
        if let Some(logprobs) = logprobs {
            write_logprobs(&mut self.writer, logprobs);
        }
        self.extras(extras);
    }

    fn calls(&mut self, parts: &[Part<'_>]) {
        let calls = parts.iter().filter_map(|part| if let Content::ToolCall(call) = &part.content { Some((part, call)) } else { None });
        let array = self.writer.optional_array("tool_calls");
        for (number, (part, call)) in calls.enumerate() {
            self.writer.begin_object();
            if !self.is_same || !call.id.is_empty() {
                self.writer.key("id").text(&self.reply.call_id(&call.id, "call_", number));
            }
            if !function(&mut self.writer, &call.name, &call.input, call.is_custom) {
                self.losses.approximated(part.at);
            }
            self.extras(&part.extras);
            self.writer.end_object();
        }
        self.writer.end_optional(array);
    }
}
