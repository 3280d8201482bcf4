//! Writes a whole answer.

use super::{citations, finish_word, write_logprobs, write_usage};
use crate::wire::Format;
use crate::wire::codec::{Answer, Reply};
use crate::wire::gemini::request::{PartWriter, place_signatures};
use crate::wire::gemini::signature;
use crate::wire::ir::{Choice, Citation, Content, FinishReason, Maker, Part, Response};
use crate::wire::json::{Extras, Text, Writer};

pub(in crate::wire::gemini) fn encode(response: &Response<'_>, reply: &Reply<'_>) -> Answer {
    // Only one of the API's two services tells the time.
    let Response { format, source, id, model, created: _, choices, usage, service_tier, extras } = response;
    let is_same = *format == Format::Gemini;
    let mut body = Vec::with_capacity(source.len() + 256);
    let mut out = PartWriter::answer(Writer::new(&mut body), is_same);
    out.writer.begin_object();
    let is_blocked = is_same && has(extras, "promptFeedback") && choices.iter().all(says_nothing);
    if !is_blocked {
        out.writer.array("candidates");
        for (index, choice) in choices.iter().enumerate() {
            candidate(&mut out, index, choice, *format);
        }
        out.writer.end_array();
    }
    if let Some(usage) = usage.as_ref().filter(|_| !(is_same && has(extras, "usageMetadata"))) {
        write_usage(&mut out.writer, usage, service_tier.as_deref());
    }
    out.writer.key("modelVersion").text(reply.model_of(model));
    out.writer.key("responseId").text(&reply.id(id, ""));
    out.extras(extras);
    out.writer.end_object();
    let losses = out.losses.resolve(source);
    Answer { body, losses }
}

fn has(extras: &Extras<'_>, name: &str) -> bool {
    extras.iter().any(|extra| extra.name == name)
}

fn says_nothing(choice: &Choice<'_>) -> bool {
    choice.parts.is_empty() && choice.finish.reason == FinishReason::ContentFilter
}

fn candidate(out: &mut PartWriter<'_>, index: usize, choice: &Choice<'_>, format: Format) {
    let Choice { parts, finish, logprobs, extras, message_extras } = choice;
    out.writer.begin_object();
    out.writer.object("content");
    out.writer.array("parts");
    let written = content(out, parts, format);
    out.writer.end_array();
    out.writer.key("role").text("model");
    out.extras(message_extras);
    out.writer.end_object();
    out.writer.key("finishReason").text(finish_word(finish));
    out.writer.key("index").count(index as u64);
    if let Some(logprobs) = logprobs {
        write_logprobs(&mut out.writer, logprobs);
    }
    citations::write(&mut out.writer, &written);
    out.extras(extras);
    out.writer.end_object();
}

/// Writes the parts. Returns what they cite that is written beside them: each citation with its text and the number of its part.
fn content<'p>(out: &mut PartWriter<'_>, parts: &'p [Part<'p>], format: Format) -> Vec<(&'p Citation<'p>, &'p str, usize)> {
    let all: Vec<&Part<'_>> = parts.iter().collect();
    let mut written = 0;
    let mut cited = Vec::new();
    for (part, signature) in parts.iter().zip(place_signatures(&all, format)) {
        if let Content::RedactedThinking { data } = &part.content {
            out.losses.extras(&part.extras);
            let alone = if data.maker == Maker::Gemini { signature } else { Some(signature::spell(data)) };
            if let Some(alone) = alone {
                out.bare_signature(&alone);
                written += 1;
            }
            continue;
        }
        if let Content::Text { text, citations } = &part.content {
            let own = citations.iter().filter(|citation| citations::can_write(citation));
            cited.extend(own.map(|citation| (citation, &**text, written)));
        }
        written += usize::from(out.part(part, signature.as_ref().map(Text::as_ref)));
    }
    cited
}
