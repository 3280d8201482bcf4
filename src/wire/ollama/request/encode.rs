//! Writes a request.

use std::collections::{BTreeMap, BTreeSet};

use super::encode_message::MessageWriter;
use super::settings::Options;
use crate::wire::Format;
use crate::wire::anthropic::object_schema;
use crate::wire::codec::{Encoded, Target};
use crate::wire::ir::{Output, Request, Tool, ToolChoice, ToolKind};
use crate::wire::json::{Given, Json, Writer};

/// The tool that stands for JSON output beside tools: a model that is held to a schema can call none.
const OUTPUT_TOOL: &str = "json_output";

pub(in crate::wire::ollama) fn encode(request: &Request<'_>, target: &Target<'_>) -> Encoded {
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
    let is_same = *format == Format::Ollama;
    let mut body = Vec::with_capacity(source.len() + 256);
    let mut out = MessageWriter { writer: Writer::new(&mut body), losses: losses.clone(), is_same, names: BTreeMap::new() };
    out.losses.stored(stored, is_same);
    out.writer.begin_object();
    out.writer.key("model").text(target.model);
    out.writer.key("stream").bool(*is_stream);
    out.writer.array("messages");
    for message in messages {
        out.message(message);
    }
    out.writer.end_array();
    // The format cannot forbid several calls at once.
    out.losses.without(parallel_tool_calls.filter(|parallel| !parallel.value).as_ref());
    let sent = sent(&mut out, tools, tool_choice.as_ref());
    let emulated = output.as_ref().filter(|output| !sent.is_empty() && !is_same && matches!(output.value, Output::JsonSchema { .. }));
    tools_out(&mut out, &sent, emulated);
    output_out(&mut out, output.as_ref().filter(|_| emulated.is_none()), !sent.is_empty());
    out.think(reasoning, target.model);
    out.options(&Options { sampling, stop, limit: *max_output_tokens, most: target.max_output_tokens, extras });
    out.logprobs(logprobs);
    out.losses.beside(verbosity.as_ref(), caching, identity);
    out.losses.tier(service_tier.as_ref());
    out.top_level(extras);
    out.writer.end_object();
    Encoded { losses: out.losses.resolve(source), body, unwrap_tool: emulated.map(|_| OUTPUT_TOOL) }
}

/// Chooses the tools that are sent, and tells what becomes of the others and of the choice. The format has no choice: what must not be called
/// is left out, and nothing can be required.
fn sent<'r, 'a>(out: &mut MessageWriter<'_>, tools: &'r [Tool<'a>], choice: Option<&'r Given<ToolChoice<'a>>>) -> Vec<&'r Tool<'a>> {
    let allowed: Option<BTreeSet<&str>> = match choice.map(|choice| &choice.value) {
        Some(ToolChoice::Allowed { names, .. }) => Some(names.iter().map(|name| &**name).collect()),
        Some(ToolChoice::Tool(name)) => Some(BTreeSet::from([&**name])),
        Some(ToolChoice::None) => Some(BTreeSet::new()),
        Some(ToolChoice::Auto | ToolChoice::Required) | None => None,
    };
    let mut missing = allowed.clone().unwrap_or_default();
    let mut sent = Vec::with_capacity(tools.len());
    for tool in tools {
        match &tool.kind {
            ToolKind::Opaque { .. } if out.is_same => sent.push(tool),
            ToolKind::Opaque { .. } | ToolKind::Custom { .. } => out.losses.unsupported(tool.at),
            ToolKind::Function { name, .. } if allowed.as_ref().is_some_and(|names| !names.contains(&**name)) => {
                out.losses.approximated(tool.at);
            }
            ToolKind::Function { name, .. } => {
                missing.remove(&**name);
                sent.push(tool);
            }
        }
    }
    let Some(choice) = choice else { return sent };
    let is_required = match &choice.value {
        ToolChoice::Required | ToolChoice::Tool(_) | ToolChoice::Allowed { is_required: true, .. } => true,
        ToolChoice::Auto | ToolChoice::None | ToolChoice::Allowed { is_required: false, .. } => false,
    };
    if !missing.is_empty() || (is_required && sent.is_empty()) {
        out.losses.unsupported(choice.at);
    } else if is_required {
        out.losses.approximated(choice.at);
    }
    sent
}

fn tools_out(out: &mut MessageWriter<'_>, sent: &[&Tool<'_>], emulated: Option<&Given<Output<'_>>>) {
    let array = out.writer.optional_array("tools");
    for tool in sent {
        let Tool { kind, cache, extras, at: _ } = tool;
        out.losses.without(cache.as_ref());
        match kind {
            ToolKind::Function { name, description, parameters, strict } => {
                out.losses.without(strict.filter(|strict| strict.value).as_ref());
                function(out, name, description.as_ref().map(|description| &*description.value), parameters.as_ref());
                out.extras(extras);
                out.writer.end_object();
            }
            ToolKind::Opaque { definition } => out.writer.json(definition),
            // Never sent here; it was told.
            ToolKind::Custom { .. } => {}
        }
    }
    if let Some(Given { value: Output::JsonSchema { schema, .. }, at }) = emulated {
        out.losses.approximated(*at);
        let description = "Gives the final answer. Call it once, with the whole answer as its input.";
        function(out, OUTPUT_TOOL, Some(description), Some(schema));
        out.writer.end_object();
    }
    out.writer.end_optional(array);
}

/// Writes a function's definition, and leaves it open.
fn function(out: &mut MessageWriter<'_>, name: &str, description: Option<&str>, parameters: Option<&Json<'_>>) {
    out.writer.begin_object();
    out.writer.key("type").text("function");
    out.writer.object("function");
    out.writer.key("name").text(name);
    if let Some(description) = description {
        out.writer.key("description").text(description);
    }
    match parameters {
        Some(schema) if out.is_same => out.writer.key("parameters").json(schema),
        Some(schema) => out.writer.key("parameters").raw(&object_schema(schema.as_str())),
        None if out.is_same => {}
        // Templates of models look for the second member.
        None => out.writer.key("parameters").raw(r#"{"type":"object","properties":{}}"#),
    }
    out.writer.end_object();
}

fn output_out(out: &mut MessageWriter<'_>, output: Option<&Given<Output<'_>>>, has_tools: bool) {
    let Some(Given { value, at }) = output else { return };
    match value {
        Output::Text if out.is_same => out.writer.key("format").text(""),
        Output::Text => {}
        // A model that is held to JSON can call no tool.
        Output::JsonObject if has_tools && !out.is_same => out.losses.unsupported(*at),
        Output::JsonObject => out.writer.key("format").text("json"),
        Output::JsonSchema { name, description, schema, strict } => {
            for text in [name, description].into_iter().flatten() {
                out.losses.approximated(text.at);
            }
            // This format always keeps to the schema.
            if let Some(strict) = strict.filter(|strict| !strict.value) {
                out.losses.approximated(strict.at);
            }
            out.writer.key("format").json(schema);
        }
    }
}
