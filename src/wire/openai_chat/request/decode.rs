//! Reads a request.

use super::decode_message;
use crate::wire::Format;
use crate::wire::codec::BadBody;
use crate::wire::ir::{
    CacheMark, Effort, Losses, Output, Reasoning, ReasoningMode, Request, Sampling, ServiceTier, Tool, ToolChoice, ToolKind,
};
use crate::wire::json::{Document, Extra, Fault, Fields, Given, Kind, Node, Text};

type Fallible<T> = Result<T, Fault>;

pub(in crate::wire::openai_chat) fn decode(body: &[u8]) -> Result<Request<'_>, BadBody> {
    let document = Document::parse(body)?;
    let mut fields = Fields::open(document.root())?;
    let mut request = Request::new(Format::OpenaiChat, document.text());
    request.model = fields.need_text("model")?;
    messages(&mut fields, &mut request)?;
    tools(&mut fields, &mut request)?;
    output(&mut fields, &mut request)?;
    request.sampling = sampling(&mut fields)?;
    limits(&mut fields, &mut request)?;
    reasoning(&mut fields, &mut request)?;
    caching(&mut fields, &mut request)?;
    identity(&mut fields, &mut request)?;
    streaming(&mut fields, &mut request)?;
    request.extras.extend(fields.extras());
    Ok(request)
}

fn messages<'a>(fields: &mut Fields<'_, 'a>, request: &mut Request<'a>) -> Fallible<()> {
    let messages = fields.need("messages", "an array")?;
    if messages.kind() != Kind::Array {
        return Err(messages.fault("an array"));
    }
    for node in messages.elements() {
        decode_message::message(node, request)?;
    }
    Ok(())
}

fn tools<'a>(fields: &mut Fields<'_, 'a>, request: &mut Request<'a>) -> Fallible<()> {
    for node in fields.array("tools")? {
        let tool = tool(node, &mut request.losses)?;
        request.tools.push(tool);
    }
    request.parallel_tool_calls = fields.bool("parallel_tool_calls")?;
    if let Some(node) = fields.take("tool_choice")? {
        match tool_choice(node, &mut request.losses)? {
            Some(choice) => request.tool_choice = Some(Given::new(choice, node.place())),
            None => request.extras.push(extra("tool_choice", node)),
        }
    }
    Ok(())
}

/// Keeps a value that has a meaning we do not know.
pub(super) fn extra<'a>(name: &'static str, node: Node<'_, 'a>) -> Extra<'a> {
    Extra { name: Text::Borrowed(name), value: node.json(), at: node.place() }
}

/// Reads a cache mark in either spelling: Anthropic's, which many clients use here too, or OpenAI's.
pub(super) fn cache_mark<'a>(fields: &mut Fields<'_, 'a>, losses: &mut Losses) -> Fallible<Option<Given<CacheMark<'a>>>> {
    for name in ["cache_control", "prompt_cache_breakpoint"] {
        let Some(mut mark) = fields.object(name)? else { continue };
        // `ephemeral` and `explicit`: there is no other kind.
        mark.take("type")?;
        mark.take("mode")?;
        let ttl = mark.text("ttl")?.map(|ttl| ttl.value);
        losses.rest(&mark);
        return Ok(Some(Given::new(CacheMark { ttl }, mark.node().place())));
    }
    Ok(None)
}

fn tool<'a>(node: Node<'_, 'a>, losses: &mut Losses) -> Fallible<Tool<'a>> {
    let mut fields = Fields::open(node)?;
    let kind = fields.text("type")?;
    let kind = match kind.as_ref().map_or("function", |kind| &*kind.value) {
        "function" => {
            let mut function = Fields::open(fields.need("function", "an object")?)?;
            let kind = ToolKind::Function {
                name: function.need_text("name")?,
                description: function.text("description")?,
                parameters: function.json("parameters")?.map(|schema| schema.value),
                strict: function.bool("strict")?,
            };
            losses.rest(&function);
            kind
        }
        "custom" => {
            let mut custom = Fields::open(fields.need("custom", "an object")?)?;
            let kind = ToolKind::Custom {
                name: custom.need_text("name")?,
                description: custom.text("description")?,
                grammar: custom.json("format")?,
            };
            losses.rest(&custom);
            kind
        }
        _ => return Ok(Tool { kind: ToolKind::Opaque { definition: node.json() }, cache: None, extras: Vec::new(), at: node.place() }),
    };
    let cache = cache_mark(&mut fields, losses)?;
    Ok(Tool { kind, cache, extras: fields.extras(), at: node.place() })
}

fn tool_choice<'a>(node: Node<'_, 'a>, losses: &mut Losses) -> Fallible<Option<ToolChoice<'a>>> {
    if let Some(word) = node.text() {
        return Ok(match &*word {
            "auto" => Some(ToolChoice::Auto),
            "none" => Some(ToolChoice::None),
            // Mistral's word is `any`.
            "required" | "any" => Some(ToolChoice::Required),
            _ => None,
        });
    }
    let mut fields = Fields::open(node)?;
    fields.take("type")?;
    let choice = if let Some(mut allowed) = fields.object("allowed_tools")? {
        let is_required = allowed.text("mode")?.is_some_and(|mode| mode.value == "required");
        let mut names = Vec::new();
        for tool in allowed.array("tools")? {
            let mut tool = Fields::open(tool)?;
            tool.take("type")?;
            let Some(name) = named(&mut tool, losses)? else { return Ok(None) };
            losses.rest(&tool);
            names.push(name);
        }
        losses.rest(&allowed);
        ToolChoice::Allowed { is_required, names }
    } else {
        let Some(name) = named(&mut fields, losses)? else { return Ok(None) };
        ToolChoice::Tool(name)
    };
    losses.rest(&fields);
    Ok(Some(choice))
}

/// Reads `{function:{name}}` or `{custom:{name}}`.
fn named<'a>(fields: &mut Fields<'_, 'a>, losses: &mut Losses) -> Fallible<Option<Text<'a>>> {
    for kind in ["function", "custom"] {
        let Some(mut tool) = fields.object(kind)? else { continue };
        let name = tool.need_text("name")?;
        losses.rest(&tool);
        return Ok(Some(name));
    }
    Ok(None)
}

fn output<'a>(fields: &mut Fields<'_, 'a>, request: &mut Request<'a>) -> Fallible<()> {
    request.verbosity = fields.text("verbosity")?;
    let Some(node) = fields.take("response_format")? else { return Ok(()) };
    let mut format = Fields::open(node)?;
    let kind = format.need_text("type")?;
    let output = match &*kind {
        "text" => Output::Text,
        "json_object" => Output::JsonObject,
        "json_schema" => {
            let mut schema = Fields::open(format.need("json_schema", "an object")?)?;
            let output = Output::JsonSchema {
                name: schema.text("name")?,
                description: schema.text("description")?,
                schema: schema.need("schema", "a JSON schema")?.json(),
                strict: schema.bool("strict")?,
            };
            request.losses.rest(&schema);
            output
        }
        // Grammars and the like of compatible servers.
        _ => {
            request.extras.push(extra("response_format", node));
            return Ok(());
        }
    };
    request.losses.rest(&format);
    request.output = Some(Given::new(output, node.place()));
    Ok(())
}

fn sampling<'a>(fields: &mut Fields<'_, 'a>) -> Fallible<Sampling<'a>> {
    Ok(Sampling {
        temperature: fields.number("temperature")?,
        top_p: fields.number("top_p")?,
        top_k: fields.number("top_k")?,
        presence_penalty: fields.number("presence_penalty")?,
        frequency_penalty: fields.number("frequency_penalty")?,
        seed: fields.number("seed")?,
        logit_bias: fields.json("logit_bias")?,
        candidates: fields.count("n")?,
    })
}

fn limits<'a>(fields: &mut Fields<'_, 'a>, request: &mut Request<'a>) -> Fallible<()> {
    let old = fields.count("max_tokens")?;
    request.max_output_tokens = fields.count("max_completion_tokens")?;
    match (old, request.max_output_tokens) {
        (Some(old), Some(new)) if old.value != new.value => request.losses.approximated(old.at),
        (Some(old), None) => request.max_output_tokens = Some(old),
        (Some(_) | None, Some(_)) | (None, None) => {}
    }
    request.logprobs.is_wanted = fields.bool("logprobs")?;
    request.logprobs.top = fields.count("top_logprobs")?;
    if let Some(node) = fields.take("stop")? {
        let one = node.text().map(|text| Given::new(text, node.place()));
        let is_list = node.kind() == Kind::Array;
        if one.is_none() && !is_list {
            return Err(node.fault("a string or an array of strings"));
        }
        request.stop.extend(one);
        for node in node.elements() {
            request.stop.push(Given::new(node.text().ok_or_else(|| node.fault("a string"))?, node.place()));
        }
    }
    Ok(())
}

/// Reads OpenAI's `reasoning_effort`, OpenRouter's `reasoning` and the `thinking` of DeepSeek, Kimi and GLM.
fn reasoning<'a>(fields: &mut Fields<'_, 'a>, request: &mut Request<'a>) -> Fallible<()> {
    if let Some(effort) = fields.take("reasoning_effort")?
        && !set_effort(effort, &mut request.reasoning)
    {
        request.extras.push(extra("reasoning_effort", effort));
    }
    if let Some(mut open_router) = fields.object("reasoning")? {
        if let Some(effort) = open_router.take("effort")?
            && !set_effort(effort, &mut request.reasoning)
        {
            request.losses.add(effort.place(), crate::wire::ir::Reason::Unknown);
        }
        if let Some(budget) = open_router.count("max_tokens")? {
            request.reasoning.mode = Some(budget.map(ReasoningMode::Budget));
        }
        if let Some(enabled) = open_router.bool("enabled")? {
            let mode = if enabled.value { ReasoningMode::Adaptive } else { ReasoningMode::Off };
            request.reasoning.mode.get_or_insert(Given::new(mode, enabled.at));
        }
        request.losses.rest(&open_router);
    }
    if let Some(node) = fields.take("thinking")? {
        let mut thinking = Fields::open(node)?;
        let kind = thinking.text("type")?;
        let budget = thinking.count("budget_tokens")?;
        let mode = match (kind.as_ref().map(|kind| &*kind.value), budget) {
            (Some("disabled"), _) => ReasoningMode::Off,
            (_, Some(budget)) => ReasoningMode::Budget(budget.value),
            (_, None) => ReasoningMode::Adaptive,
        };
        request.reasoning.mode = Some(Given::new(mode, node.place()));
        request.losses.rest(&thinking);
    }
    Ok(())
}

/// Returns whether the word is known.
fn set_effort(node: Node<'_, '_>, reasoning: &mut Reasoning<'_>) -> bool {
    let word = node.text().unwrap_or_default();
    if word == "none" {
        reasoning.mode = Some(Given::new(ReasoningMode::Off, node.place()));
        return true;
    }
    let effort = Effort::from_word(&word);
    if let Some(effort) = effort {
        reasoning.effort = Some(Given::new(effort, node.place()));
    }
    effort.is_some()
}

fn caching<'a>(fields: &mut Fields<'_, 'a>, request: &mut Request<'a>) -> Fallible<()> {
    request.caching.automatic = cache_mark(fields, &mut request.losses)?;
    request.caching.key = fields.text("prompt_cache_key")?;
    request.caching.retention = fields.text("prompt_cache_retention")?;
    request.caching.options = fields.json("prompt_cache_options")?;
    Ok(())
}

fn identity<'a>(fields: &mut Fields<'_, 'a>, request: &mut Request<'a>) -> Fallible<()> {
    request.identity.user = fields.text("user")?;
    request.identity.safety_id = fields.text("safety_identifier")?;
    request.identity.metadata = fields.json("metadata")?;
    request.identity.store = fields.bool("store")?;
    request.service_tier = fields.text("service_tier")?.map(|tier| {
        tier.map(|word| match &*word {
            "auto" => ServiceTier::Auto,
            "default" => ServiceTier::Standard,
            "flex" => ServiceTier::Flex,
            "priority" => ServiceTier::Priority,
            _ => ServiceTier::Other(word),
        })
    });
    Ok(())
}

fn streaming<'a>(fields: &mut Fields<'_, 'a>, request: &mut Request<'a>) -> Fallible<()> {
    request.is_stream = fields.bool("stream")?.is_some_and(|stream| stream.value);
    if let Some(mut options) = fields.object("stream_options")? {
        request.include_usage = options.bool("include_usage")?;
        request.losses.rest(&options);
    }
    Ok(())
}
