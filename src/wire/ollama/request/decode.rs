//! Reads a request.

use crate::wire::Format;
use crate::wire::calls;
use crate::wire::codec::BadBody;
use crate::wire::ir::{Content, Effort, Message, Output, Part, ReasoningMode, Request, Role, Tool, ToolKind, ToolResult};
use crate::wire::json::{Document, Extra, Fault, Fields, Given, Kind, Node, Text};
use crate::wire::ollama::message::{assistant, content};

type Fallible<T> = Result<T, Fault>;

pub(in crate::wire::ollama) fn decode(body: &[u8]) -> Result<Request<'_>, BadBody> {
    let document = Document::parse(body)?;
    let mut fields = Fields::open(document.root())?;
    let mut request = Request::new(Format::Ollama, document.text());
    request.model = fields.need_text("model")?;
    // In pieces, unless the client says otherwise.
    request.is_stream = fields.bool("stream")?.is_none_or(|stream| stream.value);
    for node in fields.array("messages")? {
        message(node, &mut request)?;
    }
    calls::pair(&mut request.messages, calls::OLLAMA);
    for node in fields.array("tools")? {
        tool(node, &mut request)?;
    }
    output(&mut fields, &mut request)?;
    think(&mut fields, &mut request)?;
    options(&mut fields, &mut request)?;
    request.logprobs.is_wanted = fields.bool("logprobs")?;
    request.logprobs.top = fields.count("top_logprobs")?;
    request.extras.extend(fields.extras());
    Ok(request)
}

fn message<'a>(node: Node<'_, 'a>, request: &mut Request<'a>) -> Fallible<()> {
    let mut fields = Fields::open(node)?;
    let mut parts = Vec::new();
    let role = match fields.need_text("role")?.to_ascii_lowercase().as_str() {
        "system" => Role::System,
        "user" => Role::User,
        "assistant" => Role::Assistant,
        "tool" => Role::Tool,
        _ => return Err(node.get("role").unwrap_or(node).fault("`system`, `user`, `assistant` or `tool`")),
    };
    match role {
        Role::System | Role::Developer | Role::User => content(&mut fields, &mut parts)?,
        Role::Assistant => parts = assistant(&mut fields, &mut request.losses)?,
        Role::Tool => {
            let id = fields.text("tool_call_id")?.map(|id| id.value).unwrap_or_default();
            let name = fields.text("tool_name")?.map(|name| name.value);
            let mut said = Vec::new();
            content(&mut fields, &mut said)?;
            let result = ToolResult { id, name, parts: said, is_error: None };
            parts.push(Part::new(Content::ToolResult(result), node.place()));
        }
    }
    request.messages.push(Message { role, parts, name: None, extras: fields.extras(), at: node.place() });
    Ok(())
}

fn extra<'a>(name: &'static str, node: Node<'_, 'a>) -> Extra<'a> {
    Extra { name: Text::Borrowed(name), value: node.json(), at: node.place() }
}

fn tool<'a>(node: Node<'_, 'a>, request: &mut Request<'a>) -> Fallible<()> {
    let mut tool = Fields::open(node)?;
    let Some(mut function) = tool.object("function")? else {
        let kind = ToolKind::Opaque { definition: node.json() };
        request.tools.push(Tool { kind, cache: None, extras: Vec::new(), at: node.place() });
        return Ok(());
    };
    tool.take("type")?;
    let kind = ToolKind::Function {
        name: function.need_text("name")?,
        description: function.text("description")?,
        parameters: function.json("parameters")?.map(|schema| schema.value),
        strict: None,
    };
    request.losses.rest(&function);
    request.tools.push(Tool { kind, cache: None, extras: tool.extras(), at: node.place() });
    Ok(())
}

/// Reads `format`: a word, a schema, or as clients of the first years write it, nothing in a string.
fn output<'a>(fields: &mut Fields<'_, 'a>, request: &mut Request<'a>) -> Fallible<()> {
    let Some(node) = fields.take("format")? else { return Ok(()) };
    let output = match (node.kind(), node.text().as_deref()) {
        (_, Some("")) => Output::Text,
        (_, Some("json")) => Output::JsonObject,
        (Kind::Object, _) => Output::JsonSchema { name: None, description: None, schema: node.json(), strict: None },
        _ => {
            request.extras.push(extra("format", node));
            return Ok(());
        }
    };
    request.output = Some(Given::new(output, node.place()));
    Ok(())
}

/// Reads `think`: whether, or how hard.
fn think<'a>(fields: &mut Fields<'_, 'a>, request: &mut Request<'a>) -> Fallible<()> {
    let Some(node) = fields.take("think")? else { return Ok(()) };
    let effort = node.text().and_then(|word| Effort::from_word(&word));
    match (node.bool(), effort) {
        (Some(thinks), _) => {
            let mode = if thinks { ReasoningMode::Adaptive } else { ReasoningMode::Off };
            request.reasoning.mode = Some(Given::new(mode, node.place()));
        }
        (None, Some(effort)) => request.reasoning.effort = Some(Given::new(effort, node.place())),
        (None, None) => request.extras.push(extra("think", node)),
    }
    Ok(())
}

/// Reads `options`. Those that only this format has are extras under `options.`.
fn options<'a>(fields: &mut Fields<'_, 'a>, request: &mut Request<'a>) -> Fallible<()> {
    let Some(mut options) = fields.object("options")? else { return Ok(()) };
    let sampling = &mut request.sampling;
    sampling.temperature = options.number("temperature")?;
    sampling.top_p = options.number("top_p")?;
    sampling.top_k = options.number("top_k")?;
    sampling.presence_penalty = options.number("presence_penalty")?;
    sampling.frequency_penalty = options.number("frequency_penalty")?;
    sampling.seed = options.number("seed")?;
    if let Some(node) = options.take("num_predict")? {
        // What is below nought means "without a limit" and "as the window allows".
        match node.number().and_then(|number| number.as_u64()) {
            Some(count) => request.max_output_tokens = Some(Given::new(count, node.place())),
            None => request.extras.push(extra("options.num_predict", node)),
        }
    }
    if let Some(node) = options.take("stop")? {
        match node.text() {
            Some(only) => request.stop.push(Given::new(only, node.place())),
            None if node.kind() == Kind::Array => {
                for node in node.elements() {
                    request.stop.push(Given::new(node.text().ok_or_else(|| node.fault("a string"))?, node.place()));
                }
            }
            None => return Err(node.fault("a string or an array of strings")),
        }
    }
    let own = options.extras().into_iter().map(|extra| Extra { name: Text::Owned(format!("options.{}", extra.name)), ..extra });
    request.extras.extend(own);
    Ok(())
}
