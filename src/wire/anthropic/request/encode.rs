//! Writes a request.

use std::collections::BTreeSet;

use super::encode_blocks::BlockWriter;
use super::settings::Settings;
use crate::wire::Format;
use crate::wire::anthropic::models;
use crate::wire::codec::{Encoded, Target};
use crate::wire::ir::{Content, Output, Part, Request, Tool, ToolChoice, ToolKind};
use crate::wire::json::{self, Given, Place, Text, Writer};
use crate::wire::turns::{self, Conversation, PLACEHOLDER, Rules, Speaker, Turn};

/// The tool that stands for JSON output where a model has none of its own.
pub(super) const OUTPUT_TOOL: &str = "json_output";

pub(in crate::wire::anthropic) fn encode(request: &Request<'_>, target: &Target<'_>) -> Encoded {
    let Request {
        format,
        source,
        model: _,
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
        is_stream,
        // The format always tells the usage.
        include_usage: _,
        stored,
        extras,
        losses,
    } = request;
    let is_same = *format == Format::Anthropic;
    let capabilities = models::capabilities(target.model);
    let mut losses = losses.clone();
    let conversation = turns::conversation(messages, Rules { keeps_system: capabilities.system_messages || is_same, is_same }, &mut losses);
    let mut body = Vec::with_capacity(source.len() + 256);
    let mut out = BlockWriter { writer: Writer::new(&mut body), losses, is_same, trims_last: false };
    out.writer.begin_object();
    out.writer.key("model").text(target.model);
    let emulates =
        output.as_ref().is_some_and(|output| matches!(output.value, Output::JsonSchema { .. })) && !capabilities.schema && !is_same;
    let wants_object = output.as_ref().filter(|output| output.value == Output::JsonObject).map(|output| output.at);
    instructions(&mut out, &conversation, wants_object);
    conversation_out(&mut out, &conversation);
    let mut settings = Settings { out: &mut out, capabilities, target, conversation: &conversation };
    let limit = settings.limit(max_output_tokens.as_ref());
    let thinks = settings.thinking(reasoning, limit, output.as_ref());
    settings.sampling(sampling, logprobs, thinks);
    settings.stop(stop);
    settings.caching(caching, verbosity.as_ref());
    settings.identity(identity, service_tier.as_ref());
    if *is_stream {
        out.writer.key("stream").bool(true);
    }
    let choice =
        Choice { choice: tool_choice.as_ref(), parallel: parallel_tool_calls.as_ref(), can_force: capabilities.forced_tools && !thinks };
    let emulated = output.as_ref().filter(|_| emulates);
    tools_out(&mut out, &Tools { tools, strict: capabilities.schema, conversation: &conversation, emulated }, &choice);
    out.extras(extras);
    out.losses.stored(stored, is_same);
    out.writer.end_object();
    Encoded { losses: out.losses.resolve(source), body, unwrap_tool: emulated.map(|_| OUTPUT_TOOL) }
}

/// Writes `system`: a string where one bare text is all there is.
fn instructions(out: &mut BlockWriter<'_>, conversation: &Conversation<'_, '_>, wants_object: Option<Place>) {
    let mut parts = conversation.system.clone();
    let json = Part::text(Text::Borrowed("Answer with one JSON object and nothing else."), Place::NOWHERE);
    if let Some(at) = wants_object {
        out.losses.approximated(at);
        parts.push(&json);
    }
    match parts.as_slice() {
        [] => {}
        [only] if only.cache.is_none() && only.extras.is_empty() => {
            if let Content::Text { text, citations } = &only.content
                && citations.is_empty()
            {
                return out.writer.key("system").text(text);
            }
            out.blocks("system", &parts);
        }
        parts => out.blocks("system", parts),
    }
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
        Speaker::User => "user",
        Speaker::Assistant => "assistant",
        Speaker::System => "system",
    };
    out.writer.key("role").text(role);
    // What the model is to continue must not end with a space.
    out.trims_last = is_last && *speaker == Speaker::Assistant && !out.is_same;
    out.blocks("content", parts);
    out.trims_last = false;
    if let Some(extras) = extras {
        out.extras(extras);
    }
    out.writer.end_object();
}

struct Tools<'r, 'a> {
    tools: &'r [Tool<'a>],
    strict: bool,
    conversation: &'r Conversation<'r, 'a>,
    emulated: Option<&'r Given<Output<'a>>>,
}

struct Choice<'r, 'a> {
    choice: Option<&'r Given<ToolChoice<'a>>>,
    parallel: Option<&'r Given<bool>>,
    /// A forced call is accepted.
    can_force: bool,
}

/// Chooses the tools that are sent, and tells what becomes of the others.
fn sent<'r, 'a>(out: &mut BlockWriter<'_>, tools: &Tools<'r, 'a>, choice: &Choice<'_, '_>) -> Vec<&'r Tool<'a>> {
    let allowed: Option<BTreeSet<&str>> = match choice.choice.map(|choice| &choice.value) {
        Some(ToolChoice::Allowed { names, .. }) => Some(names.iter().map(|name| &**name).collect()),
        Some(ToolChoice::Auto | ToolChoice::None | ToolChoice::Required | ToolChoice::Tool(_)) | None => None,
    };
    let mut missing = allowed.clone().unwrap_or_default();
    let mut sent = Vec::with_capacity(tools.tools.len());
    for tool in tools.tools {
        match &tool.kind {
            // What is not allowed is left out, which is how this format says it.
            ToolKind::Function { name, .. } if allowed.as_ref().is_some_and(|names| !names.contains(&**name)) => {
                out.losses.approximated(tool.at);
            }
            ToolKind::Function { name, .. } => {
                missing.remove(&**name);
                sent.push(tool);
            }
            ToolKind::Opaque { .. } if out.is_same => sent.push(tool),
            ToolKind::Opaque { .. } | ToolKind::Custom { .. } => out.losses.unsupported(tool.at),
        }
    }
    if let Some(choice) = choice.choice.filter(|_| !missing.is_empty()) {
        out.losses.unsupported(choice.at);
    }
    sent
}

fn tools_out(out: &mut BlockWriter<'_>, tools: &Tools<'_, '_>, choice: &Choice<'_, '_>) {
    let sent = sent(out, tools, choice);
    let called = if sent.is_empty() && tools.emulated.is_none() && !out.is_same { called(tools.conversation) } else { BTreeSet::new() };
    if sent.is_empty() && called.is_empty() && tools.emulated.is_none() {
        // A choice among no tools is refused.
        if out.is_same {
            choice_out(out, choice)
        } else {
            choice_lost(out, choice)
        }
        return;
    }
    out.writer.array("tools");
    for tool in sent {
        out.tool(tool, tools.strict);
    }
    for name in &called {
        out.writer.begin_object();
        out.writer.key("name").text(name);
        out.writer.key("input_schema").raw(r#"{"type":"object"}"#);
        out.writer.end_object();
    }
    if let Some(output) = tools.emulated {
        out.output_tool(output);
    }
    out.writer.end_array();
    if tools.emulated.is_some() {
        // With tools of the client's own, the model must stay free to call those first.
        let is_only = tools.tools.is_empty();
        let forced = if is_only { ToolChoice::Tool(Text::Borrowed(OUTPUT_TOOL)) } else { ToolChoice::Required };
        if let Some(choice) = choice.choice {
            out.losses.approximated(choice.at);
        }
        choice_out(out, &Choice { choice: Some(&Given::new(forced, Place::NOWHERE)), ..*choice });
    } else if called.is_empty() {
        choice_out(out, choice);
    } else {
        choice_lost(out, choice);
        out.writer.object("tool_choice");
        out.writer.key("type").text("none");
        out.writer.end_object();
    }
}

/// Names the tools that the history calls. A history of calls without definitions is refused, so they are defined, and forbidden.
fn called<'r>(conversation: &Conversation<'r, '_>) -> BTreeSet<&'r str> {
    let parts = conversation.turns.iter().flat_map(|turn| &turn.parts);
    parts.filter_map(|part| if let Content::ToolCall(call) = &part.content { Some(&*call.name) } else { None }).collect()
}

fn choice_lost(out: &mut BlockWriter<'_>, choice: &Choice<'_, '_>) {
    if let Some(choice) = choice.choice.filter(|choice| !matches!(choice.value, ToolChoice::Auto | ToolChoice::None)) {
        out.losses.unsupported(choice.at);
    }
    if let Some(parallel) = choice.parallel.filter(|parallel| !parallel.value) {
        out.losses.unsupported(parallel.at);
    }
}

fn choice_out(out: &mut BlockWriter<'_>, choice: &Choice<'_, '_>) {
    let disables = choice.parallel.is_some_and(|parallel| !parallel.value);
    let wanted = choice.choice.map(|choice| (&choice.value, choice.at));
    let can_force = choice.can_force || out.is_same;
    let (kind, name) = match wanted {
        None if !disables => return,
        None | Some((ToolChoice::Auto | ToolChoice::Allowed { is_required: false, .. }, _)) => ("auto", None),
        Some((ToolChoice::None, _)) => ("none", None),
        Some((ToolChoice::Required | ToolChoice::Allowed { is_required: true, .. } | ToolChoice::Tool(_), at)) if !can_force => {
            out.losses.approximated(at);
            ("auto", None)
        }
        Some((ToolChoice::Required | ToolChoice::Allowed { is_required: true, .. }, _)) => ("any", None),
        Some((ToolChoice::Tool(name), _)) => ("tool", Some(name)),
    };
    out.writer.object("tool_choice");
    out.writer.key("type").text(kind);
    if let Some(name) = name {
        out.writer.key("name").text(name);
    }
    if disables && kind != "none" {
        out.writer.key("disable_parallel_tool_use").bool(true);
    }
    out.writer.end_object();
}

/// Returns a schema that says `type: object`, which is required here and often left out elsewhere.
pub(in crate::wire) fn object_schema(schema: &str) -> String {
    let document = json::Document::parse(schema.as_bytes());
    let has_type = document.is_ok_and(|document| document.root().get("type").is_some());
    match schema.trim().strip_prefix('{') {
        Some(_) if has_type => schema.to_owned(),
        Some(rest) if rest.trim_start().starts_with('}') => r#"{"type":"object"}"#.to_owned(),
        Some(rest) => format!(r#"{{"type":"object",{rest}"#),
        None => r#"{"type":"object"}"#.to_owned(),
    }
}
