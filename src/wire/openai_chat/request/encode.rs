//! Writes a request.

use super::encode_message::{self, MessageWriter};
use crate::wire::Format;
use crate::wire::codec::{Encoded, Target};
use crate::wire::ir::{
    CacheMark, Caching, Identity, Logprobs, Losses, Output, Reasoning, Request, Sampling, ServiceTier, Tool, ToolChoice, ToolKind,
};
use crate::wire::json::{Extra, Extras, Given, Number, Writer};
use crate::wire::openai_chat::effort::{Said, Thinker};
use crate::wire::openai_chat::models::{self, Reasons};
use crate::wire::quirks::{CacheMarks, ReasoningField, TokenLimit};
use crate::wire::strict::can_be_strict;

pub(in crate::wire::openai_chat) fn encode(request: &Request<'_>, target: &Target<'_>) -> Encoded {
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
        // Asked of every upstream: what was used is for the gateway to know, whatever the client asked.
        include_usage: _,
        stored,
        extras,
        losses,
    } = request;
    let mut body = Vec::with_capacity(source.len() + 256);
    let mut out = RequestWriter { writer: Writer::new(&mut body), losses: losses.clone(), target, is_same: *format == Format::OpenaiChat };
    out.writer.begin_object();
    out.writer.key("model").text(target.model);
    out.streaming(*is_stream);
    let messages_out = MessageWriter { writer: &mut out.writer, losses: &mut out.losses, quirks: target.quirks, is_same: out.is_same };
    encode_message::messages(messages, messages_out);
    out.tools(tools);
    out.tool_choice(tool_choice.as_ref(), parallel_tool_calls.as_ref());
    out.output(output.as_ref());
    out.limit(max_output_tokens.as_ref());
    let reasons = out.reasoning(reasoning, extras);
    out.sampling(sampling, logprobs, reasons);
    out.stop(stop);
    out.caching(caching);
    out.identity(identity, service_tier.as_ref());
    if let Some(verbosity) = verbosity {
        out.writer.key("verbosity").text(&verbosity.value);
    }
    out.extras(extras);
    out.losses.stored(stored, out.is_same);
    out.writer.end_object();
    let losses = out.losses.resolve(source);
    Encoded { body, losses, unwrap_tool: None }
}

struct RequestWriter<'w, 't> {
    writer: Writer<'w>,
    losses: Losses,
    target: &'t Target<'t>,
    /// The client speaks this format too, so what nobody understood can pass.
    is_same: bool,
}

impl RequestWriter<'_, '_> {
    fn extras(&mut self, extras: &Extras<'_>) {
        extras_of(&mut self.writer, &mut self.losses, extras, self.is_same);
    }

    fn streaming(&mut self, is_stream: bool) {
        if is_stream {
            self.writer.key("stream").bool(true);
            if self.target.quirks.has_stream_options {
                self.writer.object("stream_options");
                self.writer.key("include_usage").bool(true);
                self.writer.end_object();
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
                writer.object("function");
                writer.key("name").text(name);
                if let Some(description) = description {
                    writer.key("description").text(&description.value);
                }
                if let Some(parameters) = parameters {
                    writer.key("parameters").json(parameters);
                }
                if let Some(strict) = strict {
                    writer.key("strict").bool(strict.value);
                }
                writer.end_object();
            }
            ToolKind::Custom { name, description, grammar } => {
                writer.begin_object();
                writer.key("type").text("custom");
                writer.object("custom");
                writer.key("name").text(name);
                if let Some(description) = description {
                    writer.key("description").text(&description.value);
                }
                if let Some(grammar) = grammar {
                    writer.key("format").json(&grammar.value);
                }
                writer.end_object();
            }
            ToolKind::Opaque { definition } => return writer.json(definition),
        }
        cache_mark(writer, &mut self.losses, self.target.quirks.cache_marks, cache.as_ref());
        self.extras(extras);
        self.writer.end_object();
    }

    fn tool_choice(&mut self, choice: Option<&Given<ToolChoice<'_>>>, parallel: Option<&Given<bool>>) {
        let writer = &mut self.writer;
        match choice.map(|choice| &choice.value) {
            None => {}
            Some(ToolChoice::Auto) => writer.key("tool_choice").text("auto"),
            Some(ToolChoice::None) => writer.key("tool_choice").text("none"),
            Some(ToolChoice::Required) => writer.key("tool_choice").text("required"),
            Some(ToolChoice::Tool(name)) => {
                writer.object("tool_choice");
                function_name(writer, name);
                writer.end_object();
            }
            Some(ToolChoice::Allowed { is_required, names }) => {
                writer.object("tool_choice");
                writer.key("type").text("allowed_tools");
                writer.object("allowed_tools");
                writer.key("mode").text(if *is_required { "required" } else { "auto" });
                writer.array("tools");
                for name in names {
                    writer.begin_object();
                    function_name(writer, name);
                    writer.end_object();
                }
                writer.end_array();
                writer.end_object();
                writer.end_object();
            }
        }
        if let Some(parallel) = parallel {
            writer.key("parallel_tool_calls").bool(parallel.value);
        }
    }

    fn output(&mut self, output: Option<&Given<Output<'_>>>) {
        let Some(output) = output else { return };
        let writer = &mut self.writer;
        writer.object("response_format");
        match &output.value {
            Output::Text => writer.key("type").text("text"),
            Output::JsonObject => writer.key("type").text("json_object"),
            Output::JsonSchema { name, description, schema, strict } => {
                writer.key("type").text("json_schema");
                writer.object("json_schema");
                // The name is required here and says nothing.
                writer.key("name").text(name.as_ref().map_or("answer", |name| &*name.value));
                if let Some(description) = description {
                    writer.key("description").text(&description.value);
                }
                writer.key("schema").json(schema);
                match strict {
                    Some(strict) => writer.key("strict").bool(strict.value),
                    None if self.is_same => {}
                    // The others always keep to the schema, and take some that OpenAI refuses as strict.
                    None if can_be_strict(schema) => writer.key("strict").bool(true),
                    None => self.losses.approximated(output.at),
                }
                writer.end_object();
            }
        }
        writer.end_object();
    }

    fn limit(&mut self, limit: Option<&Given<u64>>) {
        let Some(limit) = limit else { return };
        let name = match self.target.quirks.token_limit {
            TokenLimit::MaxCompletionTokens => "max_completion_tokens",
            TokenLimit::MaxTokens => "max_tokens",
        };
        let most = self.target.max_output_tokens.unwrap_or(u64::MAX);
        if limit.value > most {
            self.losses.approximated(limit.at);
        }
        self.writer.key(name).count(limit.value.min(most));
    }

    /// Returns whether the model will reason.
    fn reasoning(&mut self, reasoning: &Reasoning<'_>, extras: &[Extra<'_>]) -> bool {
        let Reasoning { mode, effort, display } = reasoning;
        self.losses.without(display.as_ref());
        // OpenRouter, which has the typed field, takes budgets too.
        let takes_budgets = self.target.quirks.reasoning_field == ReasoningField::ReasoningDetails;
        let thinker = Thinker { model: self.target.model, is_same: self.is_same, takes_budgets };
        let plan = thinker.plan(mode.as_ref(), effort.as_ref(), &mut self.losses);
        match plan.said {
            // The client's own word, which we do not know, stands among the extras.
            Some(Said::Effort(_)) if self.is_same && extras.iter().any(|extra| extra.name == "reasoning_effort") => {}
            Some(Said::Effort(word)) => self.writer.key("reasoning_effort").text(word),
            Some(Said::Budget(tokens)) => {
                self.writer.object("reasoning");
                self.writer.key("max_tokens").count(tokens);
                self.writer.end_object();
            }
            None => {}
        }
        plan.reasons
    }

    fn sampling(&mut self, sampling: &Sampling<'_>, logprobs: &Logprobs, reasons: bool) {
        let Sampling { temperature, top_p, top_k, presence_penalty, frequency_penalty, seed, logit_bias, candidates } = sampling;
        let Logprobs { is_wanted, top } = logprobs;
        // OpenAI's reasoning models refuse the request where any of these is given.
        let accepts = !reasons || models::reasons(self.target.model) == Reasons::Unknown;
        self.number("temperature", temperature.as_ref(), accepts);
        self.number("top_p", top_p.as_ref(), accepts);
        self.number("presence_penalty", presence_penalty.as_ref(), accepts);
        self.number("frequency_penalty", frequency_penalty.as_ref(), accepts);
        self.number("top_k", top_k.as_ref(), self.is_same || self.target.quirks.has_top_k);
        self.number("seed", seed.as_ref(), true);
        if let Some(candidates) = candidates {
            self.writer.key("n").count(candidates.value);
        }
        if accepts {
            if let Some(bias) = logit_bias {
                self.writer.key("logit_bias").json(&bias.value);
            }
            if let Some(wanted) = is_wanted {
                self.writer.key("logprobs").bool(wanted.value);
            }
            if let Some(top) = top {
                self.writer.key("top_logprobs").count(top.value);
            }
        } else {
            self.losses.without(logit_bias.as_ref());
            self.losses.without(is_wanted.as_ref());
            self.losses.without(top.as_ref());
        }
    }

    fn number(&mut self, name: &str, number: Option<&Given<Number<'_>>>, accepts: bool) {
        match number {
            Some(number) if accepts => self.writer.key(name).number(number.value),
            Some(number) => self.losses.unsupported(number.at),
            None => {}
        }
    }

    fn stop(&mut self, stop: &[Given<crate::wire::json::Text<'_>>]) {
        if stop.is_empty() {
            return;
        }
        self.writer.array("stop");
        for (index, text) in stop.iter().enumerate() {
            // OpenAI takes four; another client's fifth must not sink the request.
            if index < 4 || self.is_same {
                self.writer.text(&text.value);
            } else {
                self.losses.unsupported(text.at);
            }
        }
        self.writer.end_array();
    }

    fn caching(&mut self, caching: &Caching<'_>) {
        let Caching { automatic, key, retention, options } = caching;
        if let Some(automatic) = automatic {
            match self.target.quirks.cache_marks {
                CacheMarks::CacheControl => cache_mark(&mut self.writer, &mut self.losses, CacheMarks::CacheControl, Some(automatic)),
                // It caches on its own, which is what was asked for.
                CacheMarks::None | CacheMarks::Breakpoint => self.losses.approximated(automatic.at),
            }
        }
        if let Some(key) = key {
            self.writer.key("prompt_cache_key").text(&key.value);
        }
        if let Some(retention) = retention {
            self.writer.key("prompt_cache_retention").text(&retention.value);
        }
        if let Some(options) = options {
            self.writer.key("prompt_cache_options").json(&options.value);
        }
    }

    fn identity(&mut self, identity: &Identity<'_>, tier: Option<&Given<ServiceTier<'_>>>) {
        let Identity { user, safety_id, metadata, store } = identity;
        for (name, value) in [("user", user), ("safety_identifier", safety_id)] {
            if let Some(value) = value {
                self.writer.key(name).text(&value.value);
            }
        }
        if let Some(metadata) = metadata {
            self.writer.key("metadata").json(&metadata.value);
        }
        if let Some(store) = store {
            self.writer.key("store").bool(store.value);
        }
        match tier.map(|tier| (&tier.value, tier.at)) {
            None => {}
            Some((ServiceTier::Auto, _)) => self.writer.key("service_tier").text("auto"),
            Some((ServiceTier::Standard, _)) => self.writer.key("service_tier").text("default"),
            Some((ServiceTier::Flex, _)) => self.writer.key("service_tier").text("flex"),
            Some((ServiceTier::Priority, _)) => self.writer.key("service_tier").text("priority"),
            Some((ServiceTier::Other(word), _)) if self.is_same => self.writer.key("service_tier").text(word),
            Some((ServiceTier::Other(_), at)) => self.losses.unsupported(at),
        }
    }
}

fn function_name(writer: &mut Writer<'_>, name: &str) {
    writer.key("type").text("function");
    writer.object("function");
    writer.key("name").text(name);
    writer.end_object();
}

/// Writes what nobody understood where the client speaks this format; otherwise it is lost.
pub(in crate::wire::openai_chat) fn extras_of(writer: &mut Writer<'_>, losses: &mut Losses, extras: &Extras<'_>, is_same: bool) {
    if !is_same {
        return losses.extras(extras);
    }
    for extra in extras {
        writer.key(&extra.name).json(&extra.value);
    }
}

/// Writes a cache mark in the server's spelling.
pub(super) fn cache_mark(writer: &mut Writer<'_>, losses: &mut Losses, marks: CacheMarks, mark: Option<&Given<CacheMark<'_>>>) {
    let Some(mark) = mark else { return };
    let (name, member, value) = match marks {
        // A server without marks caches on its own, or not at all.
        CacheMarks::None => return losses.approximated(mark.at),
        CacheMarks::CacheControl => ("cache_control", "type", "ephemeral"),
        CacheMarks::Breakpoint => ("prompt_cache_breakpoint", "mode", "explicit"),
    };
    writer.object(name);
    writer.key(member).text(value);
    if let Some(ttl) = &mark.value.ttl {
        writer.key("ttl").text(ttl);
    }
    writer.end_object();
}
