//! Writes a request.

use super::additional;
use super::encode_blocks::BlockWriter;
use super::settings::Settings;
use super::tools::{Choice, Tools};
use crate::wire::Format;
use crate::wire::anthropic;
use crate::wire::bedrock::models::{self, Family};
use crate::wire::codec::{Encoded, Target};
use crate::wire::ir::{Content, Output, Part, Request};
use crate::wire::json::{Extras, Place, Text, Writer};
use crate::wire::turns::{self, Conversation, PLACEHOLDER, Rules, Speaker, Turn};

pub(in crate::wire::bedrock) fn encode(request: &Request<'_>, target: &Target<'_>) -> Encoded {
    let Request {
        format,
        source,
        // The path names the model and says whether the answer is a stream, which always tells its usage.
        model: _,
        is_stream: _,
        include_usage: _,
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
        stored,
        extras,
        losses,
    } = request;
    let is_same = *format == Format::Bedrock;
    let capabilities = models::capabilities(target.model);
    let mut losses = losses.clone();
    let conversation = turns::conversation(messages, Rules { keeps_system: false, is_same }, &mut losses);
    let mut body = Vec::with_capacity(source.len() + 256);
    let mut out = BlockWriter::new(Writer::new(&mut body), losses, is_same, capabilities);
    out.losses.stored(stored, is_same);
    out.writer.begin_object();
    let wants_schema = output.as_ref().filter(|output| matches!(output.value, Output::JsonSchema { .. }));
    let emulated = wants_schema.filter(|_| !capabilities.schema && !is_same);
    let wants_object = output.as_ref().filter(|output| output.value == Output::JsonObject).map(|output| output.at);
    conversation_out(&mut out, &conversation);
    instructions(&mut out, &conversation, wants_object);
    let claude = (capabilities.family == Family::Claude).then(|| anthropic::capabilities(target.model));
    let mut settings = Settings { out: &mut out, capabilities, claude, target, conversation: &conversation };
    let thinking = settings.plan(reasoning, max_output_tokens.as_ref());
    settings.inference(max_output_tokens.as_ref(), sampling, stop, thinking.thinks());
    let of_object = |name: &str| of_object(extras, name);
    settings.additional(reasoning, thinking, sampling, &of_object(additional::NAME));
    settings.output(wants_schema.filter(|_| emulated.is_none()));
    settings.beside(verbosity.as_ref(), caching, logprobs);
    settings.identity(identity, service_tier.as_ref());
    let can_force = is_same || !thinking.thinks();
    let tools = Tools { tools, conversation: &conversation, emulated, extras: &of_object("toolConfig") };
    tools.write(&mut out, &Choice { choice: tool_choice.as_ref(), parallel: parallel_tool_calls.as_ref(), can_force });
    let on_top = extras.iter().filter(|extra| !is_of_object(&extra.name)).cloned().collect();
    out.extras(&on_top);
    out.writer.end_object();
    Encoded { losses: out.losses.resolve(source), body, unwrap_tool: emulated.map(|_| super::tools::OUTPUT_TOOL) }
}

fn is_of_object(name: &str) -> bool {
    [additional::NAME, "toolConfig"].iter().any(|object| name.strip_prefix(object).is_some_and(|rest| rest.starts_with('.')))
}

/// Returns the extras that stand in an object, under their own names.
fn of_object<'a>(extras: &Extras<'a>, object: &str) -> Extras<'a> {
    let own = |name: &str| name.strip_prefix(object).and_then(|rest| rest.strip_prefix('.')).map(str::to_owned);
    let inside = extras.iter().filter_map(|extra| Some((own(&extra.name)?, extra.clone())));
    inside.map(|(name, extra)| crate::wire::json::Extra { name: Text::Owned(name), ..extra }).collect()
}

/// Writes `system`.
fn instructions(out: &mut BlockWriter<'_>, conversation: &Conversation<'_, '_>, wants_object: Option<Place>) {
    let mut parts = conversation.system.clone();
    let json = Part::text(Text::Borrowed("Answer with one JSON object and nothing else."), Place::NOWHERE);
    if let Some(at) = wants_object {
        out.losses.approximated(at);
        parts.push(&json);
    }
    if parts.is_empty() {
        return;
    }
    out.writer.array("system");
    for part in parts {
        let fits = matches!(part.content, Content::Text { .. } | Content::Refusal { .. }) || out.is_same;
        if fits {
            out.block(part, false);
        } else {
            out.losses.unsupported(part.at);
        }
    }
    out.writer.end_array();
}

fn conversation_out(out: &mut BlockWriter<'_>, conversation: &Conversation<'_, '_>) {
    out.writer.array("messages");
    if conversation.turns.first().is_none_or(|turn| turn.speaker != Speaker::User) && !out.is_same {
        turn_out(out, &Turn { speaker: Speaker::User, parts: vec![&PLACEHOLDER], extras: None, at: Place::NOWHERE }, false);
    }
    for (index, turn) in conversation.turns.iter().enumerate() {
        turn_out(out, turn, index + 1 == conversation.turns.len());
    }
    out.writer.end_array();
}

fn turn_out(out: &mut BlockWriter<'_>, turn: &Turn<'_, '_>, is_last: bool) {
    let Turn { speaker, parts, extras, at: _ } = turn;
    out.writer.begin_object();
    let role = match speaker {
        // Instructions in the middle were said to be the user's.
        Speaker::User | Speaker::System => "user",
        Speaker::Assistant => "assistant",
    };
    out.writer.key("role").text(role);
    out.writer.array("content");
    // What the model is to continue must not end with a space.
    let trims_last = is_last && *speaker == Speaker::Assistant && !out.is_same;
    let mut written = 0;
    for (index, part) in parts.iter().enumerate() {
        written += u32::from(out.block(part, trims_last && index + 1 == parts.len()));
    }
    let has_text = parts.iter().any(|part| matches!(part.content, Content::Text { .. } | Content::Refusal { .. }));
    let has_document = parts.iter().any(|part| matches!(part.content, Content::Document { .. }));
    if (written == 0 || (has_document && !has_text)) && !out.is_same {
        // No content is refused, and so is a document without a word; the turn itself may still matter.
        out.block(&PLACEHOLDER, false);
    }
    out.writer.end_array();
    if let Some(extras) = extras {
        out.extras(extras);
    }
    out.writer.end_object();
}
