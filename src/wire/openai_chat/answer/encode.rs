//! Writes a whole answer.

use super::{finish_word, write_usage};
use crate::wire::Format;
use crate::wire::codec::{Answer, Reply};
use crate::wire::ir::{Choice, Citation, Content, Finish, FinishReason, Losses, Maker, Part, Response};
use crate::wire::json::{Extras, Text, Writer};
use crate::wire::openai_chat::{request, thoughts};

pub(in crate::wire::openai_chat) fn encode(response: &Response<'_>, reply: &Reply<'_>) -> Answer {
    let Response { format, source, id, model, created, choices, usage, service_tier, extras } = response;
    let mut body = Vec::with_capacity(source.len() + 256);
    let mut out = AnswerWriter { writer: Writer::new(&mut body), losses: Losses::default(), is_same: *format == Format::OpenaiChat, reply };
    out.writer.begin_object();
    out.writer.key("id").text(&reply.id(id, "chatcmpl-"));
    out.writer.key("object").text("chat.completion");
    out.writer.key("created").count(created.unwrap_or(reply.created));
    out.writer.key("model").text(reply.model_of(model));
    out.writer.array("choices");
    for (index, choice) in choices.iter().enumerate() {
        out.choice(index, choice);
    }
    out.writer.end_array();
    if let Some(usage) = usage {
        write_usage(&mut out.writer, usage);
    }
    if let Some(tier) = service_tier {
        out.writer.key("service_tier").text(tier);
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
        request::extras_of(&mut self.writer, &mut self.losses, extras, self.is_same);
    }

    fn choice(&mut self, index: usize, choice: &Choice<'_>) {
        let Choice { parts, finish, logprobs, extras, message_extras } = choice;
        self.writer.begin_object();
        self.writer.key("index").count(index as u64);
        self.message(parts, message_extras);
        match logprobs {
            Some(logprobs) => self.writer.key("logprobs").json(logprobs),
            None => self.writer.key("logprobs").null(),
        }
        finish_out(&mut self.writer, finish);
        self.extras(extras);
        self.writer.end_object();
    }

    fn message(&mut self, parts: &[Part<'_>], extras: &Extras<'_>) {
        self.writer.object("message");
        self.writer.key("role").text("assistant");
        let (text, citations) = self.texts(parts);
        match text {
            Some(text) => self.writer.key("content").text(&text),
            None => self.writer.key("content").null(),
        }
        let refusal = parts.iter().find_map(|part| if let Content::Refusal { text } = &part.content { Some(text) } else { None });
        match refusal {
            Some(refusal) => self.writer.key("refusal").text(refusal),
            None => self.writer.key("refusal").null(),
        }
        thoughts::answer(parts, &mut self.writer);
        self.pictures(parts);
        self.tool_calls(parts);
        if !citations.is_empty() {
            self.writer.array("annotations");
            for (citation, from, to) in citations {
                annotation(&mut self.writer, citation, (from, to));
            }
            self.writer.end_array();
        }
        self.extras(extras);
        self.writer.end_object();
    }

    /// Joins the texts; what they cite rests on the characters of its own piece, unless the citation says better.
    fn texts<'p>(&mut self, parts: &'p [Part<'p>]) -> (Option<String>, Vec<(&'p Citation<'p>, u64, u64)>) {
        let mut whole: Option<String> = None;
        let mut all = Vec::new();
        for part in parts {
            let Part { content, cache: _, extras, at } = part;
            match content {
                Content::Text { text, citations } => {
                    let whole = whole.get_or_insert_default();
                    let from = if citations.is_empty() { 0 } else { whole.chars().count() as u64 };
                    for citation in citations {
                        let piece = (from, from + text.chars().count() as u64);
                        let (from, to) = citation.span.map_or(piece, |(start, end)| (from + start, from + end));
                        // This format cites addresses alone.
                        if citation.url.is_some() || citation.origin.0 == Format::OpenaiChat {
                            all.push((citation, from, to));
                        } else {
                            self.losses.unsupported(citation.at);
                        }
                    }
                    whole.push_str(text);
                }
                Content::Opaque { .. }
                | Content::Audio { .. }
                | Content::Video { .. }
                | Content::Document { .. }
                | Content::ToolResult(_) => self.losses.unsupported(*at),
                Content::Refusal { .. }
                | Content::Image { .. }
                | Content::ToolCall(_)
                | Content::Thinking { .. }
                | Content::RedactedThinking { .. } => {}
            }
            if !matches!(content, Content::ToolCall(_)) {
                self.losses.extras(extras);
            }
        }
        (whole, all)
    }

    /// Writes pictures that the model made, in OpenRouter's form: OpenAI's own has none.
    fn pictures(&mut self, parts: &[Part<'_>]) {
        if !parts.iter().any(|part| picture(part).is_some()) {
            return;
        }
        self.writer.array("images");
        for url in parts.iter().filter_map(picture) {
            image(&mut self.writer, &url);
        }
        self.writer.end_array();
    }

    fn tool_calls(&mut self, parts: &[Part<'_>]) {
        let mut written = 0;
        let mut signature = None;
        for part in parts {
            let Content::ToolCall(call) = &part.content else {
                signature = google_signature(part);
                continue;
            };
            if written == 0 {
                self.writer.array("tool_calls");
            }
            let id = self.reply.call_id(&call.id, "call_", written);
            request::open_call(&mut self.writer, &id, call);
            let has_own = self.is_same && part.extras.iter().any(|extra| extra.name == "extra_content");
            if let Some(signature) = signature.take().filter(|_| !has_own) {
                thoughts::write_of_call(&mut self.writer, signature);
            }
            self.extras(&part.extras);
            self.writer.end_object();
            written += 1;
        }
        if written > 0 {
            self.writer.end_array();
        }
    }
}

/// Returns what Gemini signed of the part behind this one.
fn google_signature<'p>(part: &'p Part<'_>) -> Option<&'p str> {
    match &part.content {
        Content::RedactedThinking { data } if data.maker == Maker::Gemini => Some(&data.value),
        _ => None,
    }
}

fn picture<'p>(part: &'p Part<'_>) -> Option<Text<'p>> {
    if let Content::Image { media, detail: _ } = &part.content { media.to_url() } else { None }
}

/// Writes one of `images`.
pub(in crate::wire::openai_chat) fn image(writer: &mut Writer<'_>, url: &str) {
    writer.begin_object();
    writer.key("type").text("image_url");
    writer.object("image_url");
    writer.key("url").text(url);
    writer.end_object();
    writer.end_object();
}

/// Writes `finish_reason`, and beside it what the word leaves out.
fn finish_out(writer: &mut Writer<'_>, finish: &Finish<'_>) {
    let Finish { reason, raw, stop_sequence } = finish;
    writer.key("finish_reason").text(finish_word(*reason));
    // As vLLM and OpenRouter have it.
    if let Some(sequence) = stop_sequence {
        writer.key("stop_reason").text(sequence);
    }
    if let Some(raw) = raw.as_ref().filter(|_| !matches!(reason, FinishReason::Stop)) {
        writer.key("native_finish_reason").text(raw);
    }
}

/// Writes an annotation for characters of the text.
pub(in crate::wire::openai_chat) fn annotation(writer: &mut Writer<'_>, citation: &Citation<'_>, span: (u64, u64)) {
    let Citation { url, title, cited: _, span: _, origin, at: _ } = citation;
    if origin.0 == Format::OpenaiChat {
        return writer.json(&origin.1);
    }
    writer.begin_object();
    writer.key("type").text("url_citation");
    writer.object("url_citation");
    writer.key("url").text(url.as_deref().unwrap_or_default());
    writer.key("title").text(title.as_deref().unwrap_or_default());
    writer.key("start_index").count(span.0);
    writer.key("end_index").count(span.1);
    writer.end_object();
    writer.end_object();
}
