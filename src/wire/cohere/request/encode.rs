//! Writes a request.

use std::collections::BTreeSet;

use super::encode_message::MessageWriter;
use crate::wire::Format;
use crate::wire::anthropic::object_schema;
use crate::wire::codec::{Encoded, Target};
use crate::wire::ir::{Output, Request, Tool, ToolChoice, ToolKind};
use crate::wire::json::{Given, Json, Writer};

/// The tool that stands for JSON output beside tools, where the format takes no schema.
const OUTPUT_TOOL: &str = "json_output";

pub(in crate::wire::cohere) fn encode(request: &Request<'_>, target: &Target<'_>) -> Encoded {
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
    let is_same = *format == Format::Cohere;
    let mut body = Vec::with_capacity(source.len() + 256);
    let mut out = MessageWriter { writer: Writer::new(&mut body), losses: losses.clone(), is_same };
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
    choice_out(&mut out, tool_choice.as_ref(), sent.is_empty(), emulated.is_some());
    output_out(&mut out, output.as_ref().filter(|_| emulated.is_none()), !sent.is_empty());
    if let Some(limit) = max_output_tokens {
        let most = target.max_output_tokens.filter(|_| !is_same).unwrap_or(u64::MAX);
        if limit.value > most {
            out.losses.approximated(limit.at);
        }
        out.writer.key("max_tokens").count(limit.value.min(most));
    }
    out.stop(stop);
    out.sampling(sampling, logprobs);
    out.thinking(reasoning, target.model);
    out.losses.beside(verbosity.as_ref(), caching, identity);
    out.losses.tier(service_tier.as_ref());
    out.extras(extras);
    out.writer.end_object();
    Encoded { losses: out.losses.resolve(source), body, unwrap_tool: emulated.map(|_| OUTPUT_TOOL) }
}

/// Chooses the tools that are sent, and tells what becomes of the others: a choice among them is made by leaving the others out.
fn sent<'r, 'a>(out: &mut MessageWriter<'_>, tools: &'r [Tool<'a>], choice: Option<&'r Given<ToolChoice<'a>>>) -> Vec<&'r Tool<'a>> {
    let allowed: Option<BTreeSet<&str>> = match choice.map(|choice| &choice.value) {
        Some(ToolChoice::Allowed { names, .. }) => Some(names.iter().map(|name| &**name).collect()),
        Some(ToolChoice::Tool(name)) => Some(BTreeSet::from([&**name])),
        Some(ToolChoice::Auto | ToolChoice::None | ToolChoice::Required) | None => None,
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
    if let Some(choice) = choice.filter(|_| !missing.is_empty()) {
        out.losses.unsupported(choice.at);
    }
    sent
}

fn tools_out(out: &mut MessageWriter<'_>, sent: &[&Tool<'_>], emulated: Option<&Given<Output<'_>>>) {
    let array = out.writer.optional_array("tools");
    for tool in sent {
        let Tool { kind, cache, extras, at: _ } = tool;
        out.losses.without(cache.as_ref());
        match kind {
            ToolKind::Function { name, description, parameters, strict: _ } => {
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
    strict(out, sent, emulated.is_some());
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
        None => out.writer.key("parameters").raw(r#"{"type":"object"}"#),
    }
    out.writer.end_object();
}

/// Writes `strict_tools`, which is said for all tools or for none.
fn strict(out: &mut MessageWriter<'_>, sent: &[&Tool<'_>], is_emulated: bool) {
    let strict: Vec<Option<Given<bool>>> = sent
        .iter()
        .filter_map(|tool| match &tool.kind {
            ToolKind::Function { strict, .. } => Some(*strict),
            ToolKind::Custom { .. } | ToolKind::Opaque { .. } => None,
        })
        .collect();
    let wants = |strict: &Option<Given<bool>>| strict.is_some_and(|strict| strict.value);
    if out.is_same {
        if let Some(Some(strict)) = strict.first() {
            out.writer.key("strict_tools").bool(strict.value);
        }
    } else if strict.iter().all(wants) && !strict.is_empty() && !is_emulated {
        out.writer.key("strict_tools").bool(true);
    } else {
        for strict in strict.into_iter().flatten().filter(|strict| strict.value) {
            out.losses.unsupported(strict.at);
        }
    }
}

fn choice_out(out: &mut MessageWriter<'_>, choice: Option<&Given<ToolChoice<'_>>>, has_no_tools: bool, is_emulated: bool) {
    if is_emulated {
        if let Some(choice) = choice {
            out.losses.approximated(choice.at);
        }
        return out.writer.key("tool_choice").text("REQUIRED");
    }
    let Some(Given { value, at }) = choice else { return };
    let word = match value {
        ToolChoice::Auto | ToolChoice::Allowed { is_required: false, .. } => return,
        ToolChoice::None if has_no_tools && !out.is_same => return,
        ToolChoice::None => "NONE",
        ToolChoice::Required | ToolChoice::Allowed { is_required: true, .. } | ToolChoice::Tool(_) => "REQUIRED",
    };
    if has_no_tools && !out.is_same {
        // A choice among no tools is refused.
        return out.losses.unsupported(*at);
    }
    out.writer.key("tool_choice").text(word);
}

fn output_out(out: &mut MessageWriter<'_>, output: Option<&Given<Output<'_>>>, has_tools: bool) {
    let Some(Given { value, at }) = output else { return };
    let schema = match value {
        Output::Text if !out.is_same => return,
        Output::Text | Output::JsonObject => None,
        Output::JsonSchema { name, description, schema, strict } => {
            for text in [name, description].into_iter().flatten() {
                out.losses.approximated(text.at);
            }
            // This format always keeps to the schema.
            if let Some(strict) = strict.filter(|strict| !strict.value) {
                out.losses.approximated(strict.at);
            }
            Some(schema)
        }
    };
    if has_tools && !out.is_same {
        // The format takes no shape of the answer beside tools.
        return out.losses.unsupported(*at);
    }
    out.writer.object("response_format");
    out.writer.key("type").text(if *value == Output::Text { "text" } else { "json_object" });
    if let Some(schema) = schema {
        out.writer.key("json_schema").json(schema);
    }
    out.writer.end_object();
}
