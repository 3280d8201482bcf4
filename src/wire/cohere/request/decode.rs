//! Reads a request.

use super::blocks;
use crate::wire::Format;
use crate::wire::codec::BadBody;
use crate::wire::ir::{Message, Output, ReasoningMode, Request, Role, Tool, ToolChoice, ToolKind};
use crate::wire::json::{Document, Extra, Fault, Fields, Given, Kind, Node, Text};

type Fallible<T> = Result<T, Fault>;

pub(in crate::wire::cohere) fn decode(body: &[u8]) -> Result<Request<'_>, BadBody> {
    let document = Document::parse(body)?;
    let mut fields = Fields::open(document.root())?;
    let mut request = Request::new(Format::Cohere, document.text());
    request.model = fields.need_text("model")?;
    request.is_stream = fields.bool("stream")?.is_some_and(|stream| stream.value);
    let messages = fields.need("messages", "an array")?;
    if messages.kind() != Kind::Array {
        return Err(messages.fault("an array").into());
    }
    for node in messages.elements() {
        message(node, &mut request)?;
    }
    tools(&mut fields, &mut request)?;
    output(&mut fields, &mut request)?;
    thinking(&mut fields, &mut request)?;
    settings(&mut fields, &mut request)?;
    request.extras.extend(fields.extras());
    Ok(request)
}

fn message<'a>(node: Node<'_, 'a>, request: &mut Request<'a>) -> Fallible<()> {
    let mut fields = Fields::open(node)?;
    let losses = &mut request.losses;
    let (role, parts) = match &*fields.need_text("role")? {
        "system" => (Role::System, blocks::content(&mut fields, losses)?),
        "user" => (Role::User, blocks::content(&mut fields, losses)?),
        "assistant" => (Role::Assistant, blocks::assistant(&mut fields, losses)?),
        "tool" => (Role::Tool, vec![blocks::tool_result(&mut fields, losses)?]),
        _ => return Err(node.get("role").unwrap_or(node).fault("`system`, `user`, `assistant` or `tool`")),
    };
    request.messages.push(Message { role, parts, name: None, extras: fields.extras(), at: node.place() });
    Ok(())
}

fn extra<'a>(name: &'static str, node: Node<'_, 'a>) -> Extra<'a> {
    Extra { name: Text::Borrowed(name), value: node.json(), at: node.place() }
}

fn tools<'a>(fields: &mut Fields<'_, 'a>, request: &mut Request<'a>) -> Fallible<()> {
    // Said once for all tools; where there are none, of nothing.
    let strict_node = fields.node().get("strict_tools");
    let strict = fields.bool("strict_tools")?;
    for node in fields.array("tools")? {
        let mut tool = Fields::open(node)?;
        let kind = match tool.object("function")? {
            Some(mut function) => {
                tool.take("type")?;
                let kind = ToolKind::Function {
                    name: function.need_text("name")?,
                    description: function.text("description")?,
                    parameters: function.json("parameters")?.map(|schema| schema.value),
                    strict,
                };
                request.losses.rest(&function);
                kind
            }
            None => ToolKind::Opaque { definition: node.json() },
        };
        let extras = if matches!(kind, ToolKind::Opaque { .. }) { Vec::new() } else { tool.extras() };
        request.tools.push(Tool { kind, cache: None, extras, at: node.place() });
    }
    if let Some(node) = strict_node.filter(|_| !request.tools.iter().any(|tool| matches!(tool.kind, ToolKind::Function { .. }))) {
        request.extras.push(extra("strict_tools", node));
    }
    if let Some(node) = fields.take("tool_choice")? {
        match node.text().as_deref() {
            Some("REQUIRED") => request.tool_choice = Some(Given::new(ToolChoice::Required, node.place())),
            Some("NONE") => request.tool_choice = Some(Given::new(ToolChoice::None, node.place())),
            _ => request.extras.push(extra("tool_choice", node)),
        }
    }
    Ok(())
}

fn output<'a>(fields: &mut Fields<'_, 'a>, request: &mut Request<'a>) -> Fallible<()> {
    let Some(node) = fields.take("response_format")? else { return Ok(()) };
    let mut format = Fields::open(node)?;
    let kind = format.need_text("type")?;
    // The second is the older spelling.
    let schema = format.json("json_schema")?.or(format.json("schema")?);
    let output = match (&*kind, schema) {
        ("text", None) => Output::Text,
        ("json_object", None) => Output::JsonObject,
        ("json_object", Some(schema)) => Output::JsonSchema { name: None, description: None, schema: schema.value, strict: None },
        _ => {
            request.extras.push(extra("response_format", node));
            return Ok(());
        }
    };
    request.losses.rest(&format);
    request.output = Some(Given::new(output, node.place()));
    Ok(())
}

fn thinking<'a>(fields: &mut Fields<'_, 'a>, request: &mut Request<'a>) -> Fallible<()> {
    let Some(node) = fields.take("thinking")? else { return Ok(()) };
    let mut thinking = Fields::open(node)?;
    let kind = thinking.need_text("type")?;
    let mode = match (&*kind, thinking.count("token_budget")?) {
        ("disabled", None) => ReasoningMode::Off,
        ("enabled", None) => ReasoningMode::Adaptive,
        ("enabled", Some(budget)) => ReasoningMode::Budget(budget.value),
        _ => {
            request.extras.push(extra("thinking", node));
            return Ok(());
        }
    };
    request.losses.rest(&thinking);
    request.reasoning.mode = Some(Given::new(mode, node.place()));
    Ok(())
}

fn settings<'a>(fields: &mut Fields<'_, 'a>, request: &mut Request<'a>) -> Fallible<()> {
    request.max_output_tokens = fields.count("max_tokens")?;
    for node in fields.array("stop_sequences")? {
        request.stop.push(Given::new(node.text().ok_or_else(|| node.fault("a string"))?, node.place()));
    }
    request.sampling.temperature = fields.number("temperature")?;
    request.sampling.seed = fields.number("seed")?;
    request.sampling.frequency_penalty = fields.number("frequency_penalty")?;
    request.sampling.presence_penalty = fields.number("presence_penalty")?;
    request.sampling.top_k = fields.number("k")?;
    request.sampling.top_p = fields.number("p")?;
    request.logprobs.is_wanted = fields.bool("logprobs")?;
    Ok(())
}
