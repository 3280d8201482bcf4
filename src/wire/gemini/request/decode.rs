//! Reads a request.

use super::{decode_config, decode_parts};
use crate::wire::Format;
use crate::wire::calls;
use crate::wire::codec::{BadBody, Route};
use crate::wire::gemini::members::Members;
use crate::wire::gemini::schema;
use crate::wire::ir::{Content, Message, Part, Request, Role, ServiceTier, Tool, ToolChoice, ToolKind};
use crate::wire::json::{Document, Extra, Fault, Given, Json, Kind, Node, Text};

type Fallible<T> = Result<T, Fault>;

pub(in crate::wire::gemini) fn decode<'a>(body: &'a [u8], route: &Route<'a>) -> Result<Request<'a>, BadBody> {
    let document = Document::parse(body)?;
    Ok(decode_node(document.root(), document.text(), route)?)
}

/// Reads a request that stands in a body.
pub(in crate::wire::gemini) fn decode_node<'a>(node: Node<'_, 'a>, source: &'a str, route: &Route<'a>) -> Fallible<Request<'a>> {
    let mut members = Members::open(node)?;
    let mut request = Request::new(Format::Gemini, source);
    let model = members.text("model")?.map(|model| model.value);
    request.model = bare_model(route.model.map(Text::Borrowed).or(model).unwrap_or_default());
    request.is_stream = route.is_stream.unwrap_or_default();
    system(&mut members, &mut request)?;
    contents(&mut members, &mut request)?;
    tools(&mut members, &mut request)?;
    tool_config(&mut members, &mut request)?;
    decode_config::generation(&mut members, &mut request)?;
    request.identity.store = members.bool("store")?;
    service_tier(&mut members, &mut request)?;
    request.extras.extend(members.extras());
    let kept = |extra: &&Extra<'_>| matches!(&*extra.name, "cachedContent" | "cached_content") && extra.value.as_str() != "null";
    request.stored.extend(request.extras.iter().find(kept).map(|extra| extra.at));
    Ok(request)
}

/// Takes `models/` off a model's name.
pub(in crate::wire) fn bare_model(model: Text<'_>) -> Text<'_> {
    match (model.strip_prefix("models/"), &model) {
        (Some(_), Text::Borrowed(text)) => Text::Borrowed(text.trim_start_matches("models/")),
        (Some(bare), Text::Owned(_)) => Text::Owned(bare.to_owned()),
        (None, _) => model,
    }
}

/// Keeps a member whose meaning we cannot place.
pub(super) fn extra<'a>(path: &'static str, node: Node<'_, 'a>) -> Extra<'a> {
    Extra { name: Text::Borrowed(path), value: node.json(), at: node.place() }
}

fn system<'a>(members: &mut Members<'_, 'a>, request: &mut Request<'a>) -> Fallible<()> {
    let Some(node) = members.take("systemInstruction")? else { return Ok(()) };
    let mut parts = Vec::new();
    let mut extras = Vec::new();
    if let Some(text) = node.text() {
        parts.push(Part::text(text, node.place()));
    } else {
        let mut content = Members::open(node)?;
        // Whatever the client calls the operator.
        content.take("role")?;
        for part in content.array("parts")? {
            decode_parts::part(part, &mut parts)?;
        }
        extras = content.extras();
    }
    request.messages.push(Message { role: Role::System, parts, name: None, extras, at: node.place() });
    Ok(())
}

fn contents<'a>(members: &mut Members<'_, 'a>, request: &mut Request<'a>) -> Fallible<()> {
    let contents = members.take("contents")?;
    if let Some(node) = contents.filter(|node| node.kind() != Kind::Array) {
        return Err(node.fault("an array"));
    }
    for node in contents.into_iter().flat_map(Node::elements) {
        content(node, request)?;
    }
    calls::pair(&mut request.messages, calls::GEMINI);
    Ok(())
}

/// Reads one turn. Results of functions become a message of their own, before the rest, which is where they must stand everywhere.
fn content<'a>(node: Node<'_, 'a>, request: &mut Request<'a>) -> Fallible<()> {
    let mut members = Members::open(node)?;
    let word = members.text("role")?;
    let role = match word.as_ref().map(|word| &*word.value) {
        Some("model") => Role::Assistant,
        // The second is the role of results in the API's first years.
        None | Some("user" | "function") => Role::User,
        Some(_) => return Err(node.get("role").unwrap_or(node).fault("`user` or `model`")),
    };
    let mut parts = Vec::new();
    for part in members.array("parts")? {
        decode_parts::part(part, &mut parts)?;
    }
    let is_result = |part: &Part<'_>| matches!(part.content, Content::ToolResult(_));
    let (results, rest): (Vec<_>, Vec<_>) = parts.into_iter().partition(is_result);
    let at = node.place();
    let mut extras = members.extras();
    let is_empty = results.is_empty();
    if !is_empty {
        request.messages.push(Message { role: Role::Tool, parts: results, name: None, extras: std::mem::take(&mut extras), at });
    }
    if is_empty || !rest.is_empty() {
        request.messages.push(Message { role, parts: rest, name: None, extras, at });
    }
    Ok(())
}

fn tools<'a>(members: &mut Members<'_, 'a>, request: &mut Request<'a>) -> Fallible<()> {
    for node in members.array("tools")? {
        let mut tool = Members::open(node)?;
        for declaration in tool.array("functionDeclarations")? {
            request.tools.push(function(declaration)?);
        }
        // One object may hold several tools that the provider runs itself.
        for (name, value) in tool.fields().rest() {
            let definition = Json::new(format!("{{{}:{}}}", quoted(&name), value.raw()));
            request.tools.push(Tool { kind: ToolKind::Opaque { definition }, cache: None, extras: Vec::new(), at: value.place() });
        }
    }
    Ok(())
}

fn quoted(name: &str) -> String {
    let mut out = Vec::with_capacity(name.len() + 2);
    crate::wire::json::Writer::new(&mut out).text(name);
    String::from_utf8(out).unwrap_or_default()
}

fn function<'a>(node: Node<'_, 'a>) -> Fallible<Tool<'a>> {
    let mut declaration = Members::open(node)?;
    let name = declaration.need_text("name")?;
    let description = declaration.text("description")?;
    let own = declaration.take("parameters")?.map(schema::to_json_schema);
    let parameters = declaration.json("parametersJsonSchema")?.map(|schema| schema.value).or(own);
    let kind = ToolKind::Function { name, description, parameters, strict: None };
    Ok(Tool { kind, cache: None, extras: declaration.extras(), at: node.place() })
}

/// The mode that keeps calls to their schema, which others tell tool by tool.
pub(super) const MODE: &str = "toolConfig.functionCallingConfig.mode";

fn tool_config<'a>(members: &mut Members<'_, 'a>, request: &mut Request<'a>) -> Fallible<()> {
    let Some(mut config) = members.object("toolConfig")? else { return Ok(()) };
    if let Some(mut calling) = config.object("functionCallingConfig")? {
        function_calling(&mut calling, request)?;
        request.extras.extend(calling.extras_under("toolConfig.functionCallingConfig."));
    }
    request.extras.extend(config.extras_under("toolConfig."));
    Ok(())
}

fn function_calling<'a>(calling: &mut Members<'_, 'a>, request: &mut Request<'a>) -> Fallible<()> {
    let at = calling.node().place();
    let Some(node) = calling.take("mode")? else { return Ok(()) };
    let word = node.text().unwrap_or_default().to_ascii_uppercase();
    // In the other modes the names mean nothing, and are left.
    let mut names = if matches!(&*word, "ANY" | "VALIDATED") { allowed(calling)? } else { Vec::new() };
    let choice = match (&*word, names.len()) {
        ("AUTO" | "MODE_UNSPECIFIED", _) => ToolChoice::Auto,
        ("NONE", _) => ToolChoice::None,
        ("ANY", 0) => ToolChoice::Required,
        ("ANY", 1) => ToolChoice::Tool(names.pop().unwrap_or_default()),
        ("ANY", _) => ToolChoice::Allowed { is_required: true, names },
        ("VALIDATED", 0) => {
            request.extras.push(extra(MODE, node));
            ToolChoice::Auto
        }
        ("VALIDATED", _) => {
            request.extras.push(extra(MODE, node));
            ToolChoice::Allowed { is_required: false, names }
        }
        _ => {
            request.extras.push(extra(MODE, node));
            return Ok(());
        }
    };
    request.tool_choice = Some(Given::new(choice, at));
    Ok(())
}

fn allowed<'a>(calling: &mut Members<'_, 'a>) -> Fallible<Vec<Text<'a>>> {
    calling.array("allowedFunctionNames")?.map(|name| name.text().ok_or_else(|| name.fault("a string"))).collect()
}

fn service_tier<'a>(members: &mut Members<'_, 'a>, request: &mut Request<'a>) -> Fallible<()> {
    request.service_tier = members.text("serviceTier")?.map(|tier| {
        tier.map(|word| match &*word.to_ascii_lowercase() {
            "unspecified" | "standard" => ServiceTier::Standard,
            "flex" => ServiceTier::Flex,
            "priority" => ServiceTier::Priority,
            _ => ServiceTier::Other(word),
        })
    });
    Ok(())
}
