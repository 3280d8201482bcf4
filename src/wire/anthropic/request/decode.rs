//! Reads a request.

use super::blocks;
use crate::wire::Format;
use crate::wire::codec::BadBody;
use crate::wire::ir::{
    Content, Effort, Losses, Message, Output, Part, ReasoningMode, Request, Role, ServiceTier, Tool, ToolChoice, ToolKind,
};
use crate::wire::json::{Document, Extra, Fault, Fields, Given, Kind, Node, Text};

type Fallible<T> = Result<T, Fault>;

pub(in crate::wire::anthropic) fn decode(body: &[u8]) -> Result<Request<'_>, BadBody> {
    let document = Document::parse(body)?;
    let mut fields = Fields::open(document.root())?;
    let mut request = Request::new(Format::Anthropic, document.text());
    request.model = fields.need_text("model")?;
    system(&mut fields, &mut request)?;
    messages(&mut fields, &mut request)?;
    tools(&mut fields, &mut request)?;
    thinking(&mut fields, &mut request)?;
    output(&mut fields, &mut request)?;
    settings(&mut fields, &mut request)?;
    request.extras.extend(fields.extras());
    Ok(request)
}

fn extra<'a>(name: &'static str, node: Node<'_, 'a>) -> Extra<'a> {
    Extra { name: Text::Borrowed(name), value: node.json(), at: node.place() }
}

fn system<'a>(fields: &mut Fields<'_, 'a>, request: &mut Request<'a>) -> Fallible<()> {
    let Some(node) = fields.take("system")? else { return Ok(()) };
    let parts = blocks::content(node, &mut request.losses)?;
    request.messages.push(Message { role: Role::System, parts, name: None, extras: Vec::new(), at: node.place() });
    Ok(())
}

fn messages<'a>(fields: &mut Fields<'_, 'a>, request: &mut Request<'a>) -> Fallible<()> {
    let messages = fields.need("messages", "an array")?;
    if messages.kind() != Kind::Array {
        return Err(messages.fault("an array"));
    }
    for node in messages.elements() {
        message(node, request)?;
    }
    Ok(())
}

/// Reads one message. Results of tools become a message of their own, before the rest, which is where they must stand everywhere.
fn message<'a>(node: Node<'_, 'a>, request: &mut Request<'a>) -> Fallible<()> {
    let mut fields = Fields::open(node)?;
    let word = fields.need_text("role")?;
    let role = match &*word {
        "user" => Role::User,
        "assistant" => Role::Assistant,
        "system" => Role::System,
        _ => return Err(node.get("role").unwrap_or(node).fault("`user`, `assistant` or `system`")),
    };
    let content = fields.need("content", "a string or an array of blocks")?;
    let parts = blocks::content(content, &mut request.losses)?;
    let is_result = |part: &Part<'_>| matches!(part.content, Content::ToolResult(_));
    let (results, rest): (Vec<_>, Vec<_>) = parts.into_iter().partition(is_result);
    let at = node.place();
    let mut extras = fields.extras();
    let is_empty = results.is_empty();
    if !is_empty {
        request.messages.push(Message { role: Role::Tool, parts: results, name: None, extras: std::mem::take(&mut extras), at });
    }
    if is_empty || !rest.is_empty() {
        request.messages.push(Message { role, parts: rest, name: None, extras, at });
    }
    Ok(())
}

fn tools<'a>(fields: &mut Fields<'_, 'a>, request: &mut Request<'a>) -> Fallible<()> {
    for node in fields.array("tools")? {
        let tool = tool(node, &mut request.losses)?;
        request.tools.push(tool);
    }
    let Some(node) = fields.take("tool_choice")? else { return Ok(()) };
    let mut choice = Fields::open(node)?;
    let kind = choice.need_text("type")?;
    let value = match &*kind {
        "auto" => ToolChoice::Auto,
        "none" => ToolChoice::None,
        "any" => ToolChoice::Required,
        "tool" => ToolChoice::Tool(choice.need_text("name")?),
        _ => {
            request.extras.push(extra("tool_choice", node));
            return Ok(());
        }
    };
    request.parallel_tool_calls = choice.bool("disable_parallel_tool_use")?.map(|disable| disable.map(|disable| !disable));
    request.losses.rest(&choice);
    request.tool_choice = Some(Given::new(value, node.place()));
    Ok(())
}

fn tool<'a>(node: Node<'_, 'a>, losses: &mut Losses) -> Fallible<Tool<'a>> {
    let mut fields = Fields::open(node)?;
    let kind = fields.text("type")?;
    if kind.is_some_and(|kind| kind.value != "custom") {
        return Ok(Tool { kind: ToolKind::Opaque { definition: node.json() }, cache: None, extras: Vec::new(), at: node.place() });
    }
    let kind = ToolKind::Function {
        name: fields.need_text("name")?,
        description: fields.text("description")?,
        parameters: fields.json("input_schema")?.map(|schema| schema.value),
        strict: fields.bool("strict")?,
    };
    let cache = blocks::cache_mark(&mut fields, losses)?;
    Ok(Tool { kind, cache, extras: fields.extras(), at: node.place() })
}

fn thinking<'a>(fields: &mut Fields<'_, 'a>, request: &mut Request<'a>) -> Fallible<()> {
    let Some(node) = fields.take("thinking")? else { return Ok(()) };
    let mut thinking = Fields::open(node)?;
    let kind = thinking.need_text("type")?;
    let mode = match &*kind {
        "disabled" => ReasoningMode::Off,
        "adaptive" => ReasoningMode::Adaptive,
        "enabled" => ReasoningMode::Budget(
            thinking.count("budget_tokens")?.ok_or_else(|| node.fault("given with `budget_tokens`, if it is enabled"))?.value,
        ),
        _ => {
            request.extras.push(extra("thinking", node));
            return Ok(());
        }
    };
    request.reasoning.mode = Some(Given::new(mode, node.place()));
    request.reasoning.display = thinking.text("display")?;
    request.losses.rest(&thinking);
    Ok(())
}

/// Reads `output_config`, and `output_format`, which an older beta had in its place.
fn output<'a>(fields: &mut Fields<'_, 'a>, request: &mut Request<'a>) -> Fallible<()> {
    let mut format = fields.take("output_format")?;
    if let Some(mut config) = fields.object("output_config")? {
        if let Some(node) = config.take("effort")? {
            let effort = node.text().and_then(|word| Effort::from_word(&word));
            let effort = effort.ok_or_else(|| node.fault("`low`, `medium`, `high`, `xhigh` or `max`"))?;
            request.reasoning.effort = Some(Given::new(effort, node.place()));
        }
        format = config.take("format")?.or(format);
        request.losses.rest(&config);
    }
    let Some(node) = format else { return Ok(()) };
    let mut format = Fields::open(node)?;
    format.take("type")?;
    let schema = format.need("schema", "a JSON schema")?.json();
    request.losses.rest(&format);
    let output = Output::JsonSchema { name: None, description: None, schema, strict: None };
    request.output = Some(Given::new(output, node.place()));
    Ok(())
}

fn settings<'a>(fields: &mut Fields<'_, 'a>, request: &mut Request<'a>) -> Fallible<()> {
    request.max_output_tokens = fields.count("max_tokens")?;
    for node in fields.array("stop_sequences")? {
        request.stop.push(Given::new(node.text().ok_or_else(|| node.fault("a string"))?, node.place()));
    }
    request.sampling.temperature = fields.number("temperature")?;
    request.sampling.top_p = fields.number("top_p")?;
    request.sampling.top_k = fields.number("top_k")?;
    request.is_stream = fields.bool("stream")?.is_some_and(|stream| stream.value);
    request.caching.automatic = blocks::cache_mark(fields, &mut request.losses)?;
    if let Some(mut metadata) = fields.object("metadata")? {
        request.identity.user = metadata.text("user_id")?;
        request.losses.rest(&metadata);
    }
    request.service_tier = fields.text("service_tier")?.map(|tier| {
        tier.map(|word| match &*word {
            "auto" => ServiceTier::Auto,
            "standard_only" => ServiceTier::Standard,
            _ => ServiceTier::Other(word),
        })
    });
    Ok(())
}
