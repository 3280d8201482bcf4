//! Writes tools, and whether and which of them are called.

use std::collections::BTreeSet;

use super::encode::own_mode;
use super::encode_parts::{PartWriter, under};
use crate::wire::ir::{Output, Tool, ToolChoice, ToolKind};
use crate::wire::json::{Extras, Given, Json, Text};

/// The function that stands for JSON output where a model has that only without functions.
pub(super) const OUTPUT_TOOL: &str = "json_output";

/// What decides about calls.
pub(super) struct Choice<'r, 'a> {
    pub(super) choice: Option<&'r Given<ToolChoice<'a>>>,
    pub(super) parallel: Option<&'r Given<bool>>,
    /// The model knows the mode that keeps calls to their schema.
    pub(super) validated: bool,
    pub(super) extras: &'r Extras<'a>,
}

pub(super) fn write(out: &mut PartWriter<'_>, tools: &[Tool<'_>], choice: &Choice<'_, '_>, emulated: Option<&Given<Output<'_>>>) {
    if let Some(parallel) = choice.parallel.filter(|parallel| !parallel.value) {
        // There is no such knob.
        out.losses.unsupported(parallel.at);
    }
    let sent = sent(out, tools, choice);
    let (functions, others): (Vec<&Tool<'_>>, Vec<&Tool<'_>>) =
        sent.into_iter().partition(|tool| matches!(tool.kind, ToolKind::Function { .. }));
    if !functions.is_empty() || !others.is_empty() || emulated.is_some() {
        out.writer.array("tools");
        if !functions.is_empty() || emulated.is_some() {
            out.writer.begin_object();
            out.writer.array("functionDeclarations");
            functions.iter().for_each(|tool| function(out, tool));
            if let Some(output) = emulated {
                output_tool(out, output);
            }
            out.writer.end_array();
            out.writer.end_object();
        }
        for tool in others {
            if let ToolKind::Opaque { definition } = &tool.kind {
                out.writer.json(definition);
            }
        }
        out.writer.end_array();
    }
    let keeps_to_schema = strict(out, &functions, choice);
    tool_config(out, &functions, choice, Mode { keeps_to_schema, is_emulated: emulated.is_some() });
}

/// Chooses the tools that are sent, and tells what becomes of the others.
fn sent<'r, 'a>(out: &mut PartWriter<'_>, tools: &'r [Tool<'a>], choice: &Choice<'_, '_>) -> Vec<&'r Tool<'a>> {
    // Where no call is required, what is not allowed is left out, which is how this format says it.
    let allowed = match choice.choice.map(|choice| &choice.value) {
        Some(ToolChoice::Allowed { is_required: false, names }) if !out.is_same => {
            Some(names.iter().map(|name| &**name).collect::<BTreeSet<&str>>())
        }
        _ => None,
    };
    let mut sent = Vec::with_capacity(tools.len());
    for tool in tools {
        match &tool.kind {
            ToolKind::Function { name, .. } if allowed.as_ref().is_some_and(|names| !names.contains(&**name)) => {
                out.losses.approximated(tool.at);
            }
            ToolKind::Function { .. } => sent.push(tool),
            ToolKind::Opaque { .. } if out.is_same => sent.push(tool),
            ToolKind::Opaque { .. } | ToolKind::Custom { .. } => out.losses.unsupported(tool.at),
        }
    }
    sent
}

fn function(out: &mut PartWriter<'_>, tool: &Tool<'_>) {
    let Tool { kind, cache, extras, at: _ } = tool;
    // `strict` is told for all functions at once.
    let ToolKind::Function { name, description, parameters, strict: _ } = kind else { return };
    out.writer.begin_object();
    out.writer.key("name").text(name);
    if let Some(description) = description {
        out.writer.key("description").text(&description.value);
    }
    if let Some(schema) = parameters.as_ref().filter(|schema| !is_empty(schema)) {
        out.writer.key("parametersJsonSchema").json(schema);
    }
    if let Some(cache) = cache {
        out.losses.approximated(cache.at);
    }
    out.extras(extras);
    out.writer.end_object();
}

fn is_empty(schema: &Json<'_>) -> bool {
    schema.as_str().strip_prefix('{').is_some_and(|rest| rest.trim_start() == "}")
}

/// Writes the function whose input is the answer that was asked for.
fn output_tool(out: &mut PartWriter<'_>, output: &Given<Output<'_>>) {
    let Output::JsonSchema { schema, .. } = &output.value else { return };
    out.losses.approximated(output.at);
    out.writer.begin_object();
    out.writer.key("name").text(OUTPUT_TOOL);
    out.writer.key("description").text("Gives the final answer. Call it once, with the whole answer as its input.");
    out.writer.key("parametersJsonSchema").json(schema);
    out.writer.end_object();
}

/// Returns whether calls shall keep to their schema, which this format says for all functions or for none.
fn strict(out: &mut PartWriter<'_>, functions: &[&Tool<'_>], choice: &Choice<'_, '_>) -> bool {
    let of = |tool: &Tool<'_>| match &tool.kind {
        ToolKind::Function { strict, .. } => *strict,
        ToolKind::Custom { .. } | ToolKind::Opaque { .. } => None,
    };
    let wishes: Vec<Given<bool>> = functions.iter().filter_map(|tool| of(tool)).filter(|strict| strict.value).collect();
    let is_kept = choice.validated && !wishes.is_empty() && wishes.len() == functions.len();
    if !is_kept {
        wishes.iter().for_each(|strict| out.losses.unsupported(strict.at));
    }
    is_kept
}

struct Mode {
    keeps_to_schema: bool,
    is_emulated: bool,
}

fn tool_config(out: &mut PartWriter<'_>, functions: &[&Tool<'_>], choice: &Choice<'_, '_>, mode: Mode) {
    let beside: Vec<_> = under("toolConfig.", choice.extras).filter(|_| out.is_same).collect();
    let inside: Vec<_> = under("toolConfig.functionCallingConfig.", choice.extras).filter(|_| out.is_same).collect();
    let called = called(out, functions, choice, &mode);
    if called.is_none() && beside.is_empty() && inside.is_empty() {
        return;
    }
    out.writer.object("toolConfig");
    if called.is_some() || !inside.is_empty() {
        out.writer.object("functionCallingConfig");
        if let Some((word, names)) = called {
            out.writer.key("mode").raw(&word);
            if !names.is_empty() {
                out.writer.array("allowedFunctionNames");
                names.iter().for_each(|name| out.writer.text(name));
                out.writer.end_array();
            }
        }
        for (name, extra) in inside.iter().filter(|(name, _)| *name != "mode") {
            out.writer.key(name).json(&extra.value);
        }
        out.writer.end_object();
    }
    for (name, extra) in beside {
        out.writer.key(name).json(&extra.value);
    }
    out.writer.end_object();
}

/// Returns the mode, as JSON, and the names that are allowed.
fn called<'r>(
    out: &mut PartWriter<'_>,
    functions: &[&Tool<'_>],
    choice: &'r Choice<'_, '_>,
    mode: &Mode,
) -> Option<(String, Vec<&'r Text<'r>>)> {
    let plain = |word: &str| format!("\"{word}\"");
    let free = if mode.keeps_to_schema { "VALIDATED" } else { "AUTO" };
    if mode.is_emulated {
        // The answer is a call too, and the model must stay free to make the client's calls first.
        if let Some(choice) = choice.choice {
            out.losses.approximated(choice.at);
        }
        return Some((plain("ANY"), Vec::new()));
    }
    let own = own_mode(choice.extras).filter(|_| out.is_same);
    let Some(choice) = choice.choice else {
        return own.map(|own| (own.to_owned(), Vec::new())).or_else(|| mode.keeps_to_schema.then(|| (plain(free), Vec::new())));
    };
    if functions.is_empty() && !out.is_same {
        // A choice among no functions is refused.
        if !matches!(choice.value, ToolChoice::Auto | ToolChoice::None) {
            out.losses.unsupported(choice.at);
        }
        return None;
    }
    let (word, names) = match &choice.value {
        ToolChoice::Auto => (free, Vec::new()),
        ToolChoice::None => ("NONE", Vec::new()),
        ToolChoice::Required => ("ANY", Vec::new()),
        ToolChoice::Tool(name) => ("ANY", vec![name]),
        ToolChoice::Allowed { is_required: true, names } => ("ANY", names.iter().collect()),
        ToolChoice::Allowed { is_required: false, names } if out.is_same => ("VALIDATED", names.iter().collect()),
        ToolChoice::Allowed { is_required: false, .. } => (free, Vec::new()),
    };
    Some((own.map_or_else(|| plain(word), str::to_owned), names))
}
