//! Writes a request.

use std::collections::BTreeSet;

use super::encode_items::{self, ItemWriter};
use super::settings;
use crate::wire::Format;
use crate::wire::codec::{Encoded, Target};
use crate::wire::ir::{Losses, Output, Request, Tool, ToolChoice, ToolKind};
use crate::wire::json::{Document, Extra, Given, Json, Text, Writer};
use crate::wire::openai_responses::maker;
use crate::wire::strict::can_be_strict;

pub(in crate::wire::openai_responses) fn encode(request: &Request<'_>, target: &Target<'_>) -> Encoded {
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
    let is_same = *format == Format::OpenaiResponses;
    let mut body = Vec::with_capacity(source.len() + 256);
    let mut out = RequestWriter { writer: Writer::new(&mut body), losses: losses.clone(), target, format: *format, is_same, extras };
    out.writer.begin_object();
    out.writer.key("model").text(target.model);
    if *is_stream {
        out.writer.key("stream").bool(true);
    }
    let items = ItemWriter {
        writer: &mut out.writer,
        losses: &mut out.losses,
        quirks: target.quirks,
        maker: maker::of_model(target.model),
        is_same,
    };
    encode_items::conversation(messages, items);
    out.tools(tools);
    out.tool_choice(tool_choice.as_ref(), tools);
    if let Some(parallel) = parallel_tool_calls {
        out.writer.key("parallel_tool_calls").bool(parallel.value);
    }
    out.text(output.as_ref(), verbosity.as_ref());
    out.limit(max_output_tokens.as_ref());
    let reasons = settings::reasoning(&mut out, reasoning);
    settings::sampling(&mut out, sampling, reasons);
    settings::stop(&mut out, stop);
    settings::include(&mut out, logprobs);
    settings::caching(&mut out, caching);
    settings::identity(&mut out, identity, service_tier.as_ref());
    out.rest();
    out.losses.stored(stored, is_same);
    out.writer.end_object();
    let losses = out.losses.resolve(source);
    Encoded { body, losses, unwrap_tool: None }
}

/// Where a request is written to.
pub(super) struct RequestWriter<'w, 't> {
    pub(super) writer: Writer<'w>,
    pub(super) losses: Losses,
    pub(super) target: &'t Target<'t>,
    pub(super) format: Format,
    /// The client speaks this format too, so what nobody understood can pass.
    pub(super) is_same: bool,
    pub(super) extras: &'t [Extra<'t>],
}

impl RequestWriter<'_, '_> {
    /// Writes what nobody understood of an object inside the request, where the client speaks this format.
    pub(super) fn rest_of(&mut self, outer: &str) {
        for extra in self.extras.iter().filter(|_| self.is_same) {
            if let Some(name) = extra.name.strip_prefix(outer).and_then(|rest| rest.strip_prefix('.')) {
                self.writer.key(name).json(&extra.value);
            }
        }
    }

    /// Returns whether there is something of an object inside the request that nobody understood.
    pub(super) fn has_rest_of(&self, outer: &str) -> bool {
        let is_of = |extra: &Extra<'_>| extra.name.strip_prefix(outer).is_some_and(|rest| rest.starts_with('.'));
        self.is_same && self.extras.iter().any(is_of)
    }

    fn rest(&mut self) {
        for extra in self.extras {
            let is_inner = ["reasoning.", "text."].iter().any(|outer| extra.name.starts_with(outer));
            if !self.is_same {
                self.losses.extras(std::slice::from_ref(extra));
            } else if !is_inner {
                self.writer.key(&extra.name).json(&extra.value);
            }
        }
    }

    fn tools(&mut self, tools: &[Tool<'_>]) {
        let carries = |tool: &&Tool<'_>| self.is_same || !matches!(tool.kind, ToolKind::Opaque { .. });
        let carried: Vec<&Tool<'_>> = tools.iter().filter(carries).collect();
        for lost in tools.iter().filter(|tool| !carries(tool)) {
            self.losses.unsupported(lost.at);
        }
        if carried.is_empty() {
            return;
        }
        self.writer.array("tools");
        for tool in carried {
            self.tool(tool);
        }
        self.writer.end_array();
    }

    fn tool(&mut self, tool: &Tool<'_>) {
        let Tool { kind, cache, extras, at: _ } = tool;
        let writer = &mut self.writer;
        match kind {
            ToolKind::Function { name, description, parameters, strict } => {
                writer.begin_object();
                writer.key("type").text("function");
                writer.key("name").text(name);
                if let Some(description) = description {
                    writer.key("description").text(&description.value);
                }
                match parameters {
                    Some(parameters) => writer.key("parameters").json(parameters),
                    None => writer.key("parameters").raw(r#"{"type":"object","properties":{}}"#),
                }
                match strict {
                    Some(strict) => writer.key("strict").bool(strict.value),
                    // This format is strict unless it is told otherwise, the others are not.
                    None if !self.is_same => writer.key("strict").bool(false),
                    None => {}
                }
            }
            ToolKind::Custom { name, description, grammar } => {
                writer.begin_object();
                writer.key("type").text("custom");
                writer.key("name").text(name);
                if let Some(description) = description {
                    writer.key("description").text(&description.value);
                }
                if let Some(grammar) = grammar {
                    flat_grammar(writer, &grammar.value);
                }
            }
            ToolKind::Opaque { definition } => return writer.json(definition),
        }
        // Tools are cached with what stands behind them.
        if let Some(cache) = cache {
            self.losses.approximated(cache.at);
        }
        encode_items::extras_of(&mut self.writer, &mut self.losses, extras, self.is_same);
        self.writer.end_object();
    }

    fn tool_choice(&mut self, choice: Option<&Given<ToolChoice<'_>>>, tools: &[Tool<'_>]) {
        let customs: BTreeSet<&str> = tools.iter().filter_map(as_custom).collect();
        let writer = &mut self.writer;
        match choice.map(|choice| &choice.value) {
            None => {}
            Some(ToolChoice::Auto) => writer.key("tool_choice").text("auto"),
            Some(ToolChoice::None) => writer.key("tool_choice").text("none"),
            Some(ToolChoice::Required) => writer.key("tool_choice").text("required"),
            Some(ToolChoice::Tool(name)) => {
                writer.object("tool_choice");
                tool_name(writer, name, &customs);
                writer.end_object();
            }
            Some(ToolChoice::Allowed { is_required, names }) => {
                writer.object("tool_choice");
                writer.key("type").text("allowed_tools");
                writer.key("mode").text(if *is_required { "required" } else { "auto" });
                writer.array("tools");
                for name in names {
                    writer.begin_object();
                    tool_name(writer, name, &customs);
                    writer.end_object();
                }
                writer.end_array();
                writer.end_object();
            }
        }
    }

    /// Writes `text`: the shape of the answer, and how chatty it is.
    fn text(&mut self, output: Option<&Given<Output<'_>>>, verbosity: Option<&Given<Text<'_>>>) {
        if output.is_none() && verbosity.is_none() && !self.has_rest_of("text") {
            return;
        }
        self.writer.object("text");
        if let Some(output) = output {
            self.writer.object("format");
            self.output(output);
            self.writer.end_object();
        }
        if let Some(verbosity) = verbosity {
            self.writer.key("verbosity").text(&verbosity.value);
        }
        self.rest_of("text");
        self.writer.end_object();
    }

    fn output(&mut self, output: &Given<Output<'_>>) {
        let writer = &mut self.writer;
        match &output.value {
            Output::Text => writer.key("type").text("text"),
            Output::JsonObject => writer.key("type").text("json_object"),
            Output::JsonSchema { name, description, schema, strict } => {
                writer.key("type").text("json_schema");
                // The name is required here and says nothing.
                writer.key("name").text(name.as_ref().map_or("answer", |name| &*name.value));
                if let Some(description) = description {
                    writer.key("description").text(&description.value);
                }
                writer.key("schema").json(schema);
                match (strict, self.format) {
                    (Some(strict), _) => writer.key("strict").bool(strict.value),
                    // Both of OpenAI's formats keep to the schema only where they are told to.
                    (None, Format::OpenaiResponses | Format::OpenaiChat) => {}
                    // The others always do, and take schemas that OpenAI refuses as strict.
                    (None, Format::Anthropic | Format::Gemini | Format::Bedrock | Format::Cohere | Format::Ollama)
                        if can_be_strict(schema) =>
                    {
                        writer.key("strict").bool(true)
                    }
                    (None, Format::Anthropic | Format::Gemini | Format::Bedrock | Format::Cohere | Format::Ollama) => {
                        self.losses.approximated(output.at)
                    }
                }
            }
        }
    }

    /// Writes the limit. OpenAI refuses less than 16 tokens, and a refusal is worse than a few tokens more.
    fn limit(&mut self, limit: Option<&Given<u64>>) {
        let Some(limit) = limit else { return };
        let least = if self.is_same { 0 } else { 16 };
        let sent = limit.value.max(least).min(self.target.max_output_tokens.unwrap_or(u64::MAX));
        if sent != limit.value {
            self.losses.approximated(limit.at);
        }
        self.writer.key("max_output_tokens").count(sent);
    }
}

/// Returns the name of a tool that takes free text.
fn as_custom<'t>(tool: &'t Tool<'_>) -> Option<&'t str> {
    if let ToolKind::Custom { name, .. } = &tool.kind { Some(name) } else { None }
}

fn tool_name(writer: &mut Writer<'_>, name: &str, customs: &BTreeSet<&str>) {
    writer.key("type").text(if customs.contains(name) { "custom" } else { "function" });
    writer.key("name").text(name);
}

/// Writes `format` in this format's shape: `{type, grammar: {syntax, definition}}` → `{type, syntax, definition}`.
fn flat_grammar(writer: &mut Writer<'_>, grammar: &Json<'_>) {
    let document = Document::parse(grammar.as_str().as_bytes());
    let Some((document, inner)) = document.as_ref().ok().and_then(|document| Some((document, document.root().get("grammar")?))) else {
        return writer.key("format").json(grammar);
    };
    writer.object("format");
    let outer = document.root().members().filter(|(key, _)| !key.is("grammar"));
    for (key, value) in outer.chain(inner.members()) {
        writer.key(&key.text().unwrap_or_default()).raw(value.raw());
    }
    writer.end_object();
}
