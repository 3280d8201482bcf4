//! Reads a request.

use super::items::Conversation;
use crate::wire::Format;
use crate::wire::codec::BadBody;
use crate::wire::ir::{
    Effort, Losses, Message, Output, Part, Reason, ReasoningMode, Request, Role, ServiceTier, Tool, ToolChoice, ToolKind,
};
use crate::wire::json::{Document, Extra, Fault, Fields, Given, Json, Kind, Node, Place, Text, Writer};

type Fallible<T> = Result<T, Fault>;

/// What asks for thoughts that can be sent back; formats that can do it do it anyway.
pub(super) const ENCRYPTED_REASONING: &str = "reasoning.encrypted_content";
/// What asks for log probabilities.
pub(super) const LOGPROBS: &str = "message.output_text.logprobs";

pub(in crate::wire::openai_responses) fn decode(body: &[u8]) -> Result<Request<'_>, BadBody> {
    let document = Document::parse(body)?;
    let mut fields = Fields::open(document.root())?;
    let mut request = Request::new(Format::OpenaiResponses, document.text());
    request.model = fields.need_text("model")?;
    stored(&fields, &mut request);
    if let Some(instructions) = fields.text("instructions")? {
        let parts = vec![Part::text(instructions.value, instructions.at)];
        // A message that stands where its text stands: only `instructions` and a bare `input` do.
        request.messages.push(Message { role: Role::System, parts, name: None, extras: Vec::new(), at: instructions.at });
    }
    input(&mut fields, &mut request)?;
    tools(&mut fields, &mut request)?;
    text(&mut fields, &mut request)?;
    reasoning(&mut fields, &mut request)?;
    settings(&mut fields, &mut request)?;
    include(&mut fields, &mut request)?;
    leftovers(&fields, &mut request);
    Ok(request)
}

pub(super) fn extra<'a>(name: &'static str, node: Node<'_, 'a>) -> Extra<'a> {
    Extra { name: Text::Borrowed(name), value: node.json(), at: node.place() }
}

/// Notes what leans on the memory of the client's provider. The members stay, for a target of the same format.
fn stored(fields: &Fields<'_, '_>, request: &mut Request<'_>) {
    for name in ["previous_response_id", "conversation", "prompt"] {
        request.stored.extend(fields.node().get(name).map(Node::place));
    }
    // Such an answer is fetched later.
    let background = fields.node().get("background").filter(|background| background.bool() == Some(true));
    request.stored.extend(background.map(Node::place));
}

fn input<'a>(fields: &mut Fields<'_, 'a>, request: &mut Request<'a>) -> Fallible<()> {
    // What is stored may be all that there is to say.
    let node = match fields.take("input")? {
        Some(node) => node,
        None if !request.stored.is_empty() => return Ok(()),
        None => fields.need("input", "a string or an array of items")?,
    };
    if let Some(text) = node.text() {
        let parts = vec![Part::text(text, node.place())];
        request.messages.push(Message { role: Role::User, parts, name: None, extras: Vec::new(), at: node.place() });
        return Ok(());
    }
    if node.kind() != Kind::Array {
        return Err(node.fault("a string or an array of items"));
    }
    let mut conversation = Conversation::default();
    for node in node.elements() {
        conversation.item(node, request)?;
    }
    Ok(())
}

fn tools<'a>(fields: &mut Fields<'_, 'a>, request: &mut Request<'a>) -> Fallible<()> {
    for node in fields.array("tools")? {
        let tool = tool(node)?;
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

fn tool<'a>(node: Node<'_, 'a>) -> Fallible<Tool<'a>> {
    let mut fields = Fields::open(node)?;
    let kind = fields.text("type")?;
    let kind = match kind.as_ref().map_or("function", |kind| &*kind.value) {
        "function" => ToolKind::Function {
            name: fields.need_text("name")?,
            description: fields.text("description")?,
            parameters: fields.json("parameters")?.map(|schema| schema.value),
            strict: fields.bool("strict")?,
        },
        "custom" => ToolKind::Custom {
            name: fields.need_text("name")?,
            description: fields.text("description")?,
            grammar: fields.take("format")?.map(|node| Given::new(nested_grammar(node), node.place())),
        },
        _ => return Ok(Tool { kind: ToolKind::Opaque { definition: node.json() }, cache: None, extras: Vec::new(), at: node.place() }),
    };
    Ok(Tool { kind, cache: None, extras: fields.extras(), at: node.place() })
}

/// Puts a grammar into the shape of the chat format, which the middle form has: `{type, syntax, definition}` → `{type, grammar: {…}}`.
fn nested_grammar<'a>(node: Node<'_, 'a>) -> Json<'a> {
    let inner = ["syntax", "definition"];
    if !inner.iter().any(|name| node.get(name).is_some()) {
        return node.json();
    }
    let mut out = Vec::new();
    let mut writer = Writer::new(&mut out);
    let is_inner = |key: &Node<'_, '_>| inner.iter().any(|name| key.is(name));
    writer.begin_object();
    for (key, value) in node.members().filter(|(key, _)| !is_inner(key)) {
        writer.key(&key.text().unwrap_or_default()).raw(value.raw());
    }
    writer.object("grammar");
    for (key, value) in node.members().filter(|(key, _)| is_inner(key)) {
        writer.key(&key.text().unwrap_or_default()).raw(value.raw());
    }
    writer.end_object();
    writer.end_object();
    Json::new(String::from_utf8(out).unwrap_or_default())
}

fn tool_choice<'a>(node: Node<'_, 'a>, losses: &mut Losses) -> Fallible<Option<ToolChoice<'a>>> {
    if let Some(word) = node.text() {
        return Ok(match &*word {
            "auto" => Some(ToolChoice::Auto),
            "none" => Some(ToolChoice::None),
            "required" => Some(ToolChoice::Required),
            _ => None,
        });
    }
    let mut fields = Fields::open(node)?;
    let kind = fields.need_text("type")?;
    let choice = match &*kind {
        "function" | "custom" => ToolChoice::Tool(fields.need_text("name")?),
        "allowed_tools" => {
            let is_required = fields.text("mode")?.is_some_and(|mode| mode.value == "required");
            let mut names = Vec::new();
            for tool in fields.array("tools")? {
                let mut tool = Fields::open(tool)?;
                let kind = tool.text("type")?;
                // Tools that the provider runs are known by other things than a name.
                if kind.is_some_and(|kind| !matches!(&*kind.value, "function" | "custom")) {
                    return Ok(None);
                }
                names.push(tool.need_text("name")?);
                losses.rest(&tool);
            }
            ToolChoice::Allowed { is_required, names }
        }
        _ => return Ok(None),
    };
    losses.rest(&fields);
    Ok(Some(choice))
}

/// Keeps what nobody took of an object inside the request, under its dotted name.
fn rest_of<'a>(outer: &str, fields: &Fields<'_, 'a>, request: &mut Request<'a>) {
    for (name, value) in fields.rest() {
        request.extras.push(Extra { name: Text::Owned(format!("{outer}.{name}")), value: value.json(), at: value.place() });
    }
}

fn text<'a>(fields: &mut Fields<'_, 'a>, request: &mut Request<'a>) -> Fallible<()> {
    let Some(mut text) = fields.object("text")? else { return Ok(()) };
    request.verbosity = text.text("verbosity")?;
    if let Some(node) = text.take("format")? {
        let mut format = Fields::open(node)?;
        let kind = format.need_text("type")?;
        let output = match &*kind {
            "text" => Output::Text,
            "json_object" => Output::JsonObject,
            "json_schema" => Output::JsonSchema {
                name: format.text("name")?,
                description: format.text("description")?,
                schema: format.need("schema", "a JSON schema")?.json(),
                strict: format.bool("strict")?,
            },
            // Grammars and the like.
            _ => {
                request.extras.push(extra("text.format", node));
                rest_of("text", &text, request);
                return Ok(());
            }
        };
        request.losses.rest(&format);
        request.output = Some(Given::new(output, node.place()));
    }
    rest_of("text", &text, request);
    Ok(())
}

fn reasoning<'a>(fields: &mut Fields<'_, 'a>, request: &mut Request<'a>) -> Fallible<()> {
    let Some(mut reasoning) = fields.object("reasoning")? else { return Ok(()) };
    if let Some(node) = reasoning.take("effort")? {
        let word = node.text().ok_or_else(|| node.fault("a string"))?;
        match Effort::from_word(&word) {
            Some(effort) => request.reasoning.effort = Some(Given::new(effort, node.place())),
            None if word == "none" => request.reasoning.mode = Some(Given::new(ReasoningMode::Off, node.place())),
            None => request.extras.push(extra("reasoning.effort", node)),
        }
    }
    request.reasoning.display = reasoning.text("summary")?;
    if request.reasoning.display.is_none() {
        // The member's first name.
        request.reasoning.display = reasoning.text("generate_summary")?;
    }
    rest_of("reasoning", &reasoning, request);
    Ok(())
}

fn settings<'a>(fields: &mut Fields<'_, 'a>, request: &mut Request<'a>) -> Fallible<()> {
    request.max_output_tokens = fields.count("max_output_tokens")?;
    request.sampling.temperature = fields.number("temperature")?;
    request.sampling.top_p = fields.number("top_p")?;
    request.logprobs.top = fields.count("top_logprobs")?;
    request.caching.key = fields.text("prompt_cache_key")?;
    request.caching.retention = fields.text("prompt_cache_retention")?;
    request.caching.options = fields.json("prompt_cache_options")?;
    request.identity.user = fields.text("user")?;
    request.identity.safety_id = fields.text("safety_identifier")?;
    request.identity.metadata = fields.json("metadata")?;
    request.identity.store = fields.bool("store")?;
    request.is_stream = fields.bool("stream")?.is_some_and(|stream| stream.value);
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

/// Reads `include`. The list is kept whole for a target of the same format; it is a loss only where it asks for what no other format has.
fn include<'a>(fields: &mut Fields<'_, 'a>, request: &mut Request<'a>) -> Fallible<()> {
    let Some(node) = fields.take("include")? else { return Ok(()) };
    if node.kind() != Kind::Array {
        return Err(node.fault("an array of strings"));
    }
    let logprobs = node.elements().find(|element| element.is(LOGPROBS));
    request.logprobs.is_wanted = logprobs.map(|element| Given::new(true, element.place()));
    let is_known = |element: Node<'_, '_>| element.is(LOGPROBS) || element.is(ENCRYPTED_REASONING);
    let at = if node.elements().all(is_known) { Place::NOWHERE } else { node.place() };
    request.extras.push(Extra { at, ..extra("include", node) });
    Ok(())
}

/// Keeps what nobody took. What says only what is so everywhere is no loss.
fn leftovers<'a>(fields: &Fields<'_, 'a>, request: &mut Request<'a>) {
    for (name, value) in fields.rest() {
        // Such a name would become a member of the object.
        if name.starts_with("reasoning.") || name.starts_with("text.") {
            request.losses.add(value.place(), Reason::Unknown);
            continue;
        }
        let is_usual = match &*name {
            "background" => value.bool() == Some(false),
            "truncation" => value.is("disabled"),
            // Padding against eavesdroppers, which nobody else adds.
            "stream_options" => value.members().all(|(key, value)| key.is("include_obfuscation") && value.bool() == Some(false)),
            _ => false,
        };
        let at = if is_usual { Place::NOWHERE } else { value.place() };
        request.extras.push(Extra { name, value: value.json(), at });
    }
    // Servers of the chat format refuse the number without the wish.
    match (request.logprobs.is_wanted, request.logprobs.top) {
        (None, Some(Given { value: 0, .. })) => request.logprobs.top = None,
        (None, Some(_)) => request.logprobs.is_wanted = Some(Given::new(true, Place::NOWHERE)),
        (Some(_), _) | (None, None) => {}
    }
}
