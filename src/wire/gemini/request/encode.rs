//! Writes a request.

use super::encode_parts::{PartWriter, under};
use super::settings;
use super::signatures;
use super::tools::{self, Choice};
use super::turns::{self, Conversation, Speaker, Turn};
use crate::wire::Format;
use crate::wire::codec::{Encoded, Target};
use crate::wire::gemini::models;
use crate::wire::gemini::signature::SKIP_VALIDATION;
use crate::wire::ir::{Content, Losses, Maker, Output, Part, Request, ToolKind};
use crate::wire::json::{Extras, Place, Text, Writer};

/// Objects of a request whose unknown members are kept with the request's.
const INNER: [&str; 2] = ["generationConfig.", "toolConfig."];

pub(in crate::wire::gemini) fn encode(request: &Request<'_>, target: &Target<'_>) -> Encoded {
    let Request {
        format,
        source,
        // The path says the model, and whether it is a stream.
        model: _,
        is_stream: _,
        messages,
        tools,
        tool_choice,
        parallel_tool_calls,
        output,
        max_output_tokens,
        stop,
        sampling,
        logprobs,
        reasoning,
        verbosity,
        caching,
        identity,
        service_tier,
        // The format always tells the usage.
        include_usage: _,
        extras,
        stored,
        losses,
    } = request;
    let is_same = *format == Format::Gemini;
    let capabilities = models::capabilities(target.model);
    let mut losses = losses.clone();
    losses.stored(stored, is_same);
    let conversation = turns::conversation(messages, is_same, &mut losses);
    let has_functions = tools.iter().any(|tool| matches!(tool.kind, ToolKind::Function { .. }));
    let shape = settings::Shape::choose(output.as_ref(), is_same || capabilities.json_with_functions || !has_functions);
    let mut body = Vec::with_capacity(source.len() + 256);
    let mut out =
        PartWriter { writer: Writer::new(&mut body), losses, is_same, media_in_results: capabilities.media_in_results, is_answer: false };
    out.writer.begin_object();
    instructions(&mut out, &conversation, shape.instruction());
    contents(&mut out, &conversation, Signing { format: *format, is_required: capabilities.needs_signatures });
    let choice = Choice { choice: tool_choice.as_ref(), parallel: parallel_tool_calls.as_ref(), validated: capabilities.validated, extras };
    tools::write(&mut out, tools, &choice, shape.emulated());
    let mut settings = settings::Settings { out: &mut out, capabilities, extras };
    settings.open();
    settings.limit(max_output_tokens.as_ref(), target.max_output_tokens);
    settings.sampling(sampling, logprobs);
    settings.stop(stop);
    settings.output(&shape);
    settings.reasoning(reasoning);
    settings.close();
    settings.identity(identity, service_tier.as_ref());
    settings.caching(caching, verbosity.as_ref());
    request_extras(&mut out, extras);
    out.writer.end_object();
    Encoded { losses: out.losses.resolve(source), body, unwrap_tool: shape.emulated().map(|_| tools::OUTPUT_TOOL) }
}

/// Writes what nobody understood of the request; what belongs into objects inside has been written there.
fn request_extras(out: &mut PartWriter<'_>, extras: &Extras<'_>) {
    if !out.is_same {
        return out.losses.extras(extras);
    }
    for extra in extras.iter().filter(|extra| !INNER.iter().any(|path| extra.name.starts_with(path))) {
        out.writer.key(&extra.name).json(&extra.value);
    }
}

fn instructions(out: &mut PartWriter<'_>, conversation: &Conversation<'_, '_>, more: Option<&'static str>) {
    let more = more.map(|text| Part::text(Text::Borrowed(text), Place::NOWHERE));
    if conversation.system.is_empty() && more.is_none() && conversation.system_extras.is_none_or(Vec::is_empty) {
        return;
    }
    out.writer.object("systemInstruction");
    out.writer.array("parts");
    for part in conversation.system.iter().copied().chain(more.as_ref()) {
        out.part(part, None);
    }
    out.writer.end_array();
    if let Some(extras) = conversation.system_extras {
        out.extras(extras);
    }
    out.writer.end_object();
}

/// What decides about the signatures of a turn.
#[derive(Debug, Clone, Copy)]
struct Signing {
    /// The client's format.
    format: Format,
    /// The model refuses a call without one.
    is_required: bool,
}

fn contents(out: &mut PartWriter<'_>, conversation: &Conversation<'_, '_>, signing: Signing) {
    out.writer.array("contents");
    for turn in &conversation.turns {
        let Turn { speaker, parts, extras, at: _ } = turn;
        out.writer.begin_object();
        out.writer.key("role").text(if *speaker == Speaker::Model { "model" } else { "user" });
        out.writer.array("parts");
        let written = match speaker {
            Speaker::Model => model_turn(out, parts, signing),
            Speaker::User | Speaker::Functions => user_turn(out, parts, conversation),
        };
        if written == 0 && !out.is_same {
            // No content is refused, and the turn itself may still matter.
            out.part(&turns::PLACEHOLDER, None);
        }
        out.writer.end_array();
        if let Some(extras) = extras {
            out.extras(extras);
        }
        out.writer.end_object();
    }
    out.writer.end_array();
}

fn user_turn(out: &mut PartWriter<'_>, parts: &[&Part<'_>], conversation: &Conversation<'_, '_>) -> usize {
    let mut beside = Vec::new();
    let mut written = 0;
    for part in parts {
        if matches!(part.content, Content::ToolResult(_)) {
            out.tool_result(part, &conversation.names, &mut beside);
            written += 1;
        } else {
            written += usize::from(out.part(part, None));
        }
    }
    // Results come first, then what could not stand inside them.
    written + beside.into_iter().filter(|part| out.part(part, None)).count()
}

fn model_turn(out: &mut PartWriter<'_>, parts: &[&Part<'_>], signing: Signing) -> usize {
    let signatures = signatures::place(parts, signing.format);
    let mut written = 0;
    let mut needs_signature = signing.is_required;
    for (part, signature) in parts.iter().zip(signatures) {
        let mut signature = signature.as_deref();
        if let Content::RedactedThinking { data } = &part.content
            && data.maker == Maker::Gemini
        {
            lost_of_signature(&mut out.losses, part);
            if let Some(signature) = signature {
                out.bare_signature(signature);
                written += 1;
            }
            continue;
        }
        if matches!(part.content, Content::ToolCall(_)) && std::mem::take(&mut needs_signature) {
            signature = signature.or(Some(SKIP_VALIDATION));
        }
        written += usize::from(out.part(part, signature));
    }
    written
}

/// A signature is written with another part, which has no room for what else its own part said.
fn lost_of_signature(losses: &mut Losses, part: &Part<'_>) {
    losses.extras(&part.extras);
    losses.without(part.cache.as_ref());
}

/// Returns the client's own word for how calls are chosen, where this format has it and the middle form has not.
pub(super) fn own_mode<'e>(extras: &'e Extras<'_>) -> Option<&'e str> {
    let path = "toolConfig.functionCallingConfig.";
    under(path, extras).find(|(name, _)| *name == "mode").map(|(_, extra)| extra.value.as_str())
}

/// Returns whether an answer is JSON of a schema.
pub(super) const fn is_schema(output: &Output<'_>) -> bool {
    matches!(output, Output::JsonSchema { .. })
}
