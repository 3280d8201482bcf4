//! Writes tools, and which of them are called.

use std::collections::BTreeSet;

use super::encode_blocks::BlockWriter;
use crate::wire::anthropic::object_schema;
use crate::wire::ir::{Content, Output, Tool, ToolChoice, ToolKind};
use crate::wire::json::{Extras, Given, Place, Text};
use crate::wire::turns::Conversation;

/// The tool that stands for JSON output where a model has none of its own.
pub(super) const OUTPUT_TOOL: &str = "json_output";

pub(super) struct Tools<'r, 'a> {
    pub(super) tools: &'r [Tool<'a>],
    pub(super) conversation: &'r Conversation<'r, 'a>,
    pub(super) emulated: Option<&'r Given<Output<'a>>>,
    /// What nobody understood of `toolConfig`.
    pub(super) extras: &'r Extras<'a>,
}

#[derive(Clone, Copy)]
pub(super) struct Choice<'r, 'a> {
    pub(super) choice: Option<&'r Given<ToolChoice<'a>>>,
    pub(super) parallel: Option<&'r Given<bool>>,
    /// A forced call is accepted.
    pub(super) can_force: bool,
}

impl<'r> Tools<'r, '_> {
    /// Writes `toolConfig`, where there is anything to say.
    pub(super) fn write(&self, out: &mut BlockWriter<'_>, choice: &Choice<'_, '_>) {
        // The format cannot forbid several calls at once.
        if let Some(parallel) = choice.parallel.filter(|parallel| !parallel.value) {
            out.losses.unsupported(parallel.at);
        }
        let called = if out.is_same { BTreeSet::new() } else { self.called() };
        let is_none = choice.choice.is_some_and(|choice| choice.value == ToolChoice::None);
        let sent = self.sent(out, choice, is_none && called.is_empty());
        if sent.is_empty() && called.is_empty() && self.emulated.is_none() && self.extras.is_empty() {
            // A choice among no tools is refused.
            if let Some(choice) = choice.choice.filter(|choice| !matches!(choice.value, ToolChoice::Auto | ToolChoice::None)) {
                out.losses.unsupported(choice.at);
            }
            return;
        }
        out.writer.object("toolConfig");
        out.writer.array("tools");
        for tool in &sent {
            tool_out(out, tool);
        }
        if sent.is_empty() && self.emulated.is_none() {
            // A history of calls without definitions is refused.
            for name in &called {
                spec_out(out, name, None, r#"{"type":"object"}"#);
                out.writer.end_object();
                out.writer.end_object();
            }
        }
        if let Some(output) = self.emulated {
            output_tool(out, output);
        }
        out.writer.end_array();
        self.choice_out(out, choice, sent.is_empty());
        out.extras(self.extras);
        out.writer.end_object();
    }

    /// Chooses the tools that are sent, and tells what becomes of the others.
    fn sent(&self, out: &mut BlockWriter<'_>, choice: &Choice<'_, '_>, is_none: bool) -> Vec<&'r Tool<'r>> {
        let allowed: Option<BTreeSet<&str>> = match choice.choice.map(|choice| &choice.value) {
            Some(ToolChoice::Allowed { names, .. }) => Some(names.iter().map(|name| &**name).collect()),
            Some(ToolChoice::Auto | ToolChoice::None | ToolChoice::Required | ToolChoice::Tool(_)) | None => None,
        };
        let mut missing = allowed.clone().unwrap_or_default();
        let mut sent = Vec::with_capacity(self.tools.len());
        for tool in self.tools {
            match &tool.kind {
                ToolKind::Opaque { .. } if out.is_same => sent.push(tool),
                ToolKind::Opaque { .. } | ToolKind::Custom { .. } => out.losses.unsupported(tool.at),
                // The format has no word for "none": what must not be called is left out.
                ToolKind::Function { .. } if is_none => out.losses.approximated(tool.at),
                ToolKind::Function { name, .. } if allowed.as_ref().is_some_and(|names| !names.contains(&**name)) => {
                    out.losses.approximated(tool.at);
                }
                ToolKind::Function { name, .. } => {
                    missing.remove(&**name);
                    sent.push(tool);
                }
            }
        }
        if let Some(choice) = choice.choice.filter(|_| !missing.is_empty()) {
            out.losses.unsupported(choice.at);
        }
        sent
    }

    /// Names the tools that the history calls.
    fn called(&self) -> BTreeSet<&'r str> {
        let parts = self.conversation.turns.iter().flat_map(|turn| &turn.parts);
        parts.filter_map(|part| if let Content::ToolCall(call) = &part.content { Some(&*call.name) } else { None }).collect()
    }

    fn choice_out(&self, out: &mut BlockWriter<'_>, choice: &Choice<'_, '_>, has_no_tools: bool) {
        if self.emulated.is_some() {
            // With tools of the client's own, the model must stay free to call those first.
            let forced = if has_no_tools { ToolChoice::Tool(Text::Borrowed(OUTPUT_TOOL)) } else { ToolChoice::Required };
            if let Some(choice) = choice.choice {
                out.losses.approximated(choice.at);
            }
            return choice_out(out, &forced, Place::NOWHERE, choice.can_force);
        }
        let Some(Given { value, at }) = choice.choice else { return };
        if has_no_tools && !out.is_same {
            if !matches!(value, ToolChoice::Auto | ToolChoice::None) {
                out.losses.unsupported(*at);
            }
            return;
        }
        choice_out(out, value, *at, choice.can_force);
    }
}

fn choice_out(out: &mut BlockWriter<'_>, choice: &ToolChoice<'_>, at: Place, can_force: bool) {
    let capabilities = out.capabilities;
    let takes_any = (capabilities.any_tool && can_force) || out.is_same;
    let takes_named = (capabilities.named_tool && can_force) || out.is_same;
    let (kind, name) = match choice {
        ToolChoice::Auto | ToolChoice::Allowed { is_required: false, .. } => ("auto", None),
        ToolChoice::Required | ToolChoice::Allowed { is_required: true, .. } if takes_any => ("any", None),
        ToolChoice::Tool(name) if takes_named => ("tool", Some(name)),
        ToolChoice::Tool(_) if takes_any => {
            out.losses.approximated(at);
            ("any", None)
        }
        ToolChoice::Required | ToolChoice::Allowed { .. } | ToolChoice::Tool(_) => {
            out.losses.approximated(at);
            ("auto", None)
        }
        // The tools must stay, because the history calls them.
        ToolChoice::None => return out.losses.unsupported(at),
    };
    out.writer.object("toolChoice");
    out.writer.object(kind);
    if let Some(name) = name {
        out.writer.key("name").text(name);
    }
    out.writer.end_object();
    out.writer.end_object();
}

/// Writes a tool's definition, and leaves it open.
fn spec_out(out: &mut BlockWriter<'_>, name: &str, description: Option<&str>, schema: &str) {
    out.writer.begin_object();
    out.writer.object("toolSpec");
    out.writer.key("name").text(name);
    // An empty one is refused.
    if let Some(description) = description.filter(|description| !description.is_empty() || out.is_same) {
        out.writer.key("description").text(description);
    }
    out.writer.object("inputSchema");
    out.writer.key("json").raw(schema);
    out.writer.end_object();
}

fn tool_out(out: &mut BlockWriter<'_>, tool: &Tool<'_>) {
    let Tool { kind, cache, extras, at: _ } = tool;
    match kind {
        ToolKind::Function { name, description, parameters, strict } => {
            let schema = match parameters {
                Some(schema) if out.is_same => schema.as_str().to_owned(),
                Some(schema) => object_schema(schema.as_str()),
                None => r#"{"type":"object"}"#.to_owned(),
            };
            spec_out(out, name, description.as_ref().map(|description| &*description.value), &schema);
            match strict {
                Some(strict) if out.capabilities.schema || out.is_same => out.writer.key("strict").bool(strict.value),
                Some(strict) if strict.value => out.losses.unsupported(strict.at),
                Some(_) | None => {}
            }
            out.extras(extras);
            out.writer.end_object();
            out.writer.end_object();
            out.cache_mark(cache.as_ref());
        }
        ToolKind::Opaque { definition } => out.writer.json(definition),
        // Never sent here; it was told.
        ToolKind::Custom { .. } => {}
    }
}

/// Writes the tool whose input is the answer that was asked for.
fn output_tool(out: &mut BlockWriter<'_>, output: &Given<Output<'_>>) {
    let Output::JsonSchema { schema, .. } = &output.value else { return };
    out.losses.approximated(output.at);
    let description = "Gives the final answer. Call it once, with the whole answer as its input.";
    spec_out(out, OUTPUT_TOOL, Some(description), &object_schema(schema.as_str()));
    out.writer.end_object();
    out.writer.end_object();
}
