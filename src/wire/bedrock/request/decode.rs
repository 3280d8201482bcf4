//! Reads a request.

use super::{additional, blocks};
use crate::wire::Format;
use crate::wire::codec::{BadBody, Route};
use crate::wire::ir::{Content, Losses, Message, Output, Part, Request, Role, ServiceTier, Tool, ToolChoice, ToolKind};
use crate::wire::json::{Document, Extra, Fault, Fields, Given, Json, Kind, Node, Text};

type Fallible<T> = Result<T, Fault>;

pub(in crate::wire::bedrock) fn decode<'a>(body: &'a [u8], route: &Route<'a>) -> Result<Request<'a>, BadBody> {
    let document = Document::parse(body)?;
    Ok(decode_node(document.root(), document.text(), route)?)
}

/// Reads a request that is to be counted: the one inside `input.converse`.
pub(in crate::wire) fn decode_count<'a>(body: &'a [u8], route: &Route<'a>) -> Result<Request<'a>, BadBody> {
    let document = Document::parse(body)?;
    let root = document.root();
    let converse = root.get("input").and_then(|input| input.get("converse"));
    let inner = converse.ok_or_else(|| root.get("input").unwrap_or(root).fault("an object with `converse`"))?;
    Ok(decode_node(inner, document.text(), route)?)
}

fn decode_node<'a>(node: Node<'_, 'a>, source: &'a str, route: &Route<'a>) -> Fallible<Request<'a>> {
    let mut fields = Fields::open(node)?;
    let mut request = Request::new(Format::Bedrock, source);
    request.model = Text::Borrowed(route.model.unwrap_or_default());
    request.is_stream = route.is_stream.unwrap_or_default();
    system(&mut fields, &mut request)?;
    messages(&mut fields, &mut request)?;
    inference(&mut fields, &mut request)?;
    tools(&mut fields, &mut request)?;
    additional::read(&mut fields, &mut request)?;
    output(&mut fields, &mut request)?;
    settings(&mut fields, &mut request)?;
    request.extras.extend(fields.extras());
    Ok(request)
}

fn system<'a>(fields: &mut Fields<'_, 'a>, request: &mut Request<'a>) -> Fallible<()> {
    let Some(node) = fields.take("system")? else { return Ok(()) };
    let parts = blocks::content(node, false, &mut request.losses)?;
    if !parts.is_empty() {
        request.messages.push(Message { role: Role::System, parts, name: None, extras: Vec::new(), at: node.place() });
    }
    Ok(())
}

fn messages<'a>(fields: &mut Fields<'_, 'a>, request: &mut Request<'a>) -> Fallible<()> {
    for node in fields.array("messages")? {
        message(node, request)?;
    }
    Ok(())
}

/// Reads one message. Results of tools become a message of their own, before the rest, which is where they must stand everywhere.
fn message<'a>(node: Node<'_, 'a>, request: &mut Request<'a>) -> Fallible<()> {
    let mut fields = Fields::open(node)?;
    let role = match &*fields.need_text("role")? {
        "user" => Role::User,
        "assistant" => Role::Assistant,
        _ => return Err(node.get("role").unwrap_or(node).fault("`user` or `assistant`")),
    };
    let content = fields.need("content", "an array of blocks")?;
    let parts = blocks::content(content, role == Role::Assistant, &mut request.losses)?;
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

fn inference<'a>(fields: &mut Fields<'_, 'a>, request: &mut Request<'a>) -> Fallible<()> {
    let Some(mut config) = fields.object("inferenceConfig")? else { return Ok(()) };
    request.max_output_tokens = config.count("maxTokens")?;
    request.sampling.temperature = config.number("temperature")?;
    request.sampling.top_p = config.number("topP")?;
    for node in config.array("stopSequences")? {
        request.stop.push(Given::new(node.text().ok_or_else(|| node.fault("a string"))?, node.place()));
    }
    request.losses.rest(&config);
    Ok(())
}

fn tools<'a>(fields: &mut Fields<'_, 'a>, request: &mut Request<'a>) -> Fallible<()> {
    let Some(mut config) = fields.object("toolConfig")? else { return Ok(()) };
    for node in config.array("tools")? {
        let mark = blocks::cache_mark(node, &mut request.losses)?;
        match (mark, request.tools.last_mut()) {
            (Some(mark), Some(last)) if last.cache.is_none() && matches!(last.kind, ToolKind::Function { .. }) => last.cache = Some(mark),
            (Some(_), _) => request.tools.push(opaque(node)),
            (None, _) => {
                let tool = tool(node, request)?;
                request.tools.push(tool);
            }
        }
    }
    if let Some(node) = config.take("toolChoice")? {
        match choice(node)? {
            Some(choice) => request.tool_choice = Some(Given::new(choice, node.place())),
            None => {
                let extra = Extra { name: Text::Borrowed("toolConfig.toolChoice"), value: node.json(), at: node.place() };
                request.extras.push(extra);
            }
        }
    }
    request.losses.rest(&config);
    Ok(())
}

fn opaque<'a>(node: Node<'_, 'a>) -> Tool<'a> {
    Tool { kind: ToolKind::Opaque { definition: node.json() }, cache: None, extras: Vec::new(), at: node.place() }
}

fn tool<'a>(node: Node<'_, 'a>, request: &mut Request<'a>) -> Fallible<Tool<'a>> {
    let mut fields = Fields::open(node)?;
    let Some(mut spec) = fields.object("toolSpec")? else { return Ok(opaque(node)) };
    let name = spec.need_text("name")?;
    let description = spec.text("description")?;
    let parameters = match spec.object("inputSchema")? {
        Some(mut schema) => {
            let json = schema.json("json")?.map(|schema| schema.value);
            request.losses.rest(&schema);
            json
        }
        None => None,
    };
    let kind = ToolKind::Function { name, description, parameters, strict: spec.bool("strict")? };
    request.losses.rest(&fields);
    Ok(Tool { kind, cache: None, extras: spec.extras(), at: node.place() })
}

/// Reads a choice of tools; `None` for one that is not known.
fn choice<'a>(node: Node<'_, 'a>) -> Fallible<Option<ToolChoice<'a>>> {
    let only = |name: &str| node.get(name).filter(|_| node.members().count() == 1);
    Ok(match (only("auto"), only("any"), only("tool")) {
        (Some(inner), _, _) if inner.members().next().is_none() => Some(ToolChoice::Auto),
        (_, Some(inner), _) if inner.members().next().is_none() => Some(ToolChoice::Required),
        (_, _, Some(inner)) if inner.members().count() == 1 => {
            let name = inner.get("name").and_then(Node::text);
            Some(ToolChoice::Tool(name.ok_or_else(|| inner.fault("an object with a `name`"))?))
        }
        _ => None,
    })
}

fn output<'a>(fields: &mut Fields<'_, 'a>, request: &mut Request<'a>) -> Fallible<()> {
    let Some(node) = fields.take("outputConfig")? else { return Ok(()) };
    let mut config = Fields::open(node)?;
    let mut inside = Losses::default();
    match schema(&mut config, &mut inside)? {
        Some(output) => {
            request.losses.append(&inside);
            request.losses.rest(&config);
            request.output = Some(output);
        }
        None => {
            request.extras.push(Extra { name: Text::Borrowed("outputConfig"), value: node.json(), at: node.place() });
        }
    }
    Ok(())
}

/// Reads the shape of the answer; `None` where it must pass whole. The schema is JSON in a string.
fn schema<'a>(config: &mut Fields<'_, 'a>, losses: &mut Losses) -> Fallible<Option<Given<Output<'a>>>> {
    let Some(mut format) = config.object("textFormat")? else { return Ok(None) };
    if format.text("type")?.is_some_and(|kind| kind.value != "json_schema") {
        return Ok(None);
    }
    let at = format.node().place();
    let Some(mut structure) = format.object("structure")? else { return Ok(None) };
    let Some(mut inner) = structure.object("jsonSchema")? else { return Ok(None) };
    let schema = inner.text("schema")?.filter(|schema| Document::parse(schema.value.as_bytes()).is_ok_and(is_object));
    let Some(schema) = schema else { return Ok(None) };
    let (name, description) = (inner.text("name")?, inner.text("description")?);
    for fields in [&inner, &structure, &format] {
        losses.rest(fields);
    }
    let output = Output::JsonSchema { name, description, schema: Json::new(schema.value), strict: None };
    Ok(Some(Given::new(output, at)))
}

fn is_object(document: Document<'_>) -> bool {
    document.root().kind() == Kind::Object
}

fn settings<'a>(fields: &mut Fields<'_, 'a>, request: &mut Request<'a>) -> Fallible<()> {
    request.identity.metadata = fields.json("requestMetadata")?;
    let Some(mut tier) = fields.object("serviceTier")? else { return Ok(()) };
    request.service_tier = tier.text("type")?.map(|tier| {
        tier.map(|word| match &*word {
            "default" => ServiceTier::Standard,
            "flex" => ServiceTier::Flex,
            "priority" => ServiceTier::Priority,
            _ => ServiceTier::Other(word),
        })
    });
    request.losses.rest(&tier);
    Ok(())
}
