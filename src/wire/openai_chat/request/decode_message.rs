//! Reads messages and their parts.

use super::decode::cache_mark;
use crate::wire::Format;
use crate::wire::ir::{Content, Losses, Media, Message, Part, Request, Role, ToolCall, ToolResult};
use crate::wire::json::{Fault, Fields, Kind, Node, Text};
use crate::wire::openai_chat::thoughts;

type Fallible<T> = Result<T, Fault>;

/// Reads one message into the request.
pub(super) fn message<'a>(node: Node<'_, 'a>, request: &mut Request<'a>) -> Fallible<()> {
    let mut fields = Fields::open(node)?;
    let word = fields.need_text("role")?;
    let losses = &mut request.losses;
    let role = match &*word {
        "system" => Role::System,
        "developer" => Role::Developer,
        "user" => Role::User,
        "assistant" => Role::Assistant,
        "tool" | "function" => Role::Tool,
        _ => return Err(node.get("role").unwrap_or(node).fault("`system`, `developer`, `user`, `assistant` or `tool`")),
    };
    let parts = match role {
        Role::System | Role::Developer | Role::User => content(&mut fields, losses)?,
        Role::Assistant => assistant(&mut fields, losses)?,
        Role::Tool => vec![tool_result(&mut fields, losses)?],
    };
    let name = if role == Role::Tool { None } else { fields.text("name")? };
    let message = Message { role, parts, name, extras: fields.extras(), at: node.place() };
    request.messages.push(message);
    Ok(())
}

/// Reads `content`: a string, parts, or nothing.
pub(in crate::wire::openai_chat) fn content<'a>(fields: &mut Fields<'_, 'a>, losses: &mut Losses) -> Fallible<Vec<Part<'a>>> {
    let Some(node) = fields.take("content")? else { return Ok(Vec::new()) };
    if let Some(text) = node.text() {
        return Ok(vec![Part::text(text, node.place())]);
    }
    if node.kind() != Kind::Array {
        return Err(node.fault("a string or an array of parts"));
    }
    node.elements().map(|node| part(node, losses)).collect()
}

fn part<'a>(node: Node<'_, 'a>, losses: &mut Losses) -> Fallible<Part<'a>> {
    let mut fields = Fields::open(node)?;
    let kind = fields.need_text("type")?;
    let content = match &*kind {
        "text" => Content::Text { text: fields.need_text("text")?, citations: Vec::new() },
        "image_url" => image(&mut fields, losses)?,
        "input_audio" => audio(&mut fields, losses)?,
        "file" => file(&mut fields, losses)?,
        "video_url" => Content::Video { media: Media::from_url(url(&mut fields, "video_url", losses)?) },
        "refusal" => Content::Refusal { text: fields.need_text("refusal")? },
        "thinking" => thoughts::mistral(&mut fields, losses)?,
        _ => return Ok(Part::new(Content::Opaque { format: Format::OpenaiChat, block: node.json() }, node.place())),
    };
    let cache = cache_mark(&mut fields, losses)?;
    Ok(Part { content, cache, extras: fields.extras(), at: node.place() })
}

/// Reads `{url}` or, as Mistral has it, a bare string.
fn url<'a>(fields: &mut Fields<'_, 'a>, name: &str, losses: &mut Losses) -> Fallible<Text<'a>> {
    let node = fields.need(name, "an object with a `url`")?;
    if let Some(text) = node.text() {
        return Ok(text);
    }
    let mut inner = Fields::open(node)?;
    let url = inner.need_text("url")?;
    losses.rest(&inner);
    Ok(url)
}

fn image<'a>(fields: &mut Fields<'_, 'a>, losses: &mut Losses) -> Fallible<Content<'a>> {
    let node = fields.need("image_url", "an object with a `url`")?;
    if let Some(text) = node.text() {
        return Ok(Content::Image { media: Media::from_url(text), detail: None });
    }
    let mut inner = Fields::open(node)?;
    let media = Media::from_url(inner.need_text("url")?);
    let detail = inner.text("detail")?;
    losses.rest(&inner);
    Ok(Content::Image { media, detail })
}

fn audio<'a>(fields: &mut Fields<'_, 'a>, losses: &mut Losses) -> Fallible<Content<'a>> {
    let node = fields.need("input_audio", "an object with `data` and `format`")?;
    if let Some(data) = node.text() {
        // Mistral's form says no format; its own examples are MP3.
        return Ok(Content::Audio { media: Media::Base64 { media_type: "audio/mpeg".into(), data } });
    }
    let mut inner = Fields::open(node)?;
    let data = inner.need_text("data")?;
    let format = inner.need_text("format")?;
    losses.rest(&inner);
    let media_type = match &*format {
        "mp3" => Text::Borrowed("audio/mpeg"),
        other => Text::Owned(format!("audio/{other}")),
    };
    Ok(Content::Audio { media: Media::Base64 { media_type, data } })
}

fn file<'a>(fields: &mut Fields<'_, 'a>, losses: &mut Losses) -> Fallible<Content<'a>> {
    let node = fields.need("file", "an object")?;
    let mut inner = Fields::open(node)?;
    let title = inner.text("filename")?;
    let media = match (inner.text("file_data")?, inner.text("file_id")?) {
        (Some(data), _) => match Media::from_url(data.value) {
            // Some SDKs send bare base64; a PDF is what the field was made for.
            Media::Url(bare) if !bare.contains(':') => Media::Base64 { media_type: "application/pdf".into(), data: bare },
            media => media,
        },
        (None, Some(id)) => Media::File(id.value),
        (None, None) => return Err(node.fault("an object with `file_data` or `file_id`")),
    };
    losses.rest(&inner);
    Ok(Content::Document { media, title, context: None, citations: None })
}

/// Reads what the model said: thoughts, then text, then calls, which is the order that every provider wants them back in.
fn assistant<'a>(fields: &mut Fields<'_, 'a>, losses: &mut Losses) -> Fallible<Vec<Part<'a>>> {
    let mut parts = thoughts::take(fields, losses)?;
    parts.extend(content(fields, losses)?);
    if let Some(refusal) = fields.text("refusal")? {
        parts.push(Part::new(Content::Refusal { text: refusal.value }, refusal.at));
    }
    let mut known = thoughts::signatures(&parts);
    for node in fields.array("tool_calls")? {
        thoughts::sign(node, &mut parts, &mut known);
        parts.push(tool_call(node, losses)?);
    }
    parts.extend(function_call(fields, losses)?);
    Ok(parts)
}

/// Reads `function_call`, the form before `tool_calls`. It has no ids; its result names the function.
pub(in crate::wire::openai_chat) fn function_call<'a>(fields: &mut Fields<'_, 'a>, losses: &mut Losses) -> Fallible<Option<Part<'a>>> {
    let Some(node) = fields.take("function_call")? else { return Ok(None) };
    let mut function = Fields::open(node)?;
    let name = function.need_text("name")?;
    let input = input(&mut function)?;
    losses.rest(&function);
    let id = Text::Owned(legacy_id(&name));
    Ok(Some(Part::new(Content::ToolCall(ToolCall { id, name, input, is_custom: false }), node.place())))
}

/// Makes the id of a call that has none and is known by its function's name.
pub(in crate::wire::openai_chat) fn legacy_id(name: &str) -> String {
    format!("call_{name}")
}

/// Reads `arguments`; nothing, null and the text `null` mean no arguments.
pub(in crate::wire::openai_chat) fn input<'a>(function: &mut Fields<'_, 'a>) -> Fallible<Text<'a>> {
    let Some(node) = function.take("arguments")? else { return Ok(Text::Borrowed("{}")) };
    let text = match node.kind() {
        // Some servers forget that it is a string.
        Kind::Object => Text::Borrowed(node.raw()),
        Kind::Text => node.text().unwrap_or_default(),
        Kind::Null | Kind::Bool | Kind::Number | Kind::Array => return Err(node.fault("a string")),
    };
    Ok(if matches!(text.trim(), "" | "null") { Text::Borrowed("{}") } else { text })
}

pub(in crate::wire::openai_chat) fn tool_call<'a>(node: Node<'_, 'a>, losses: &mut Losses) -> Fallible<Part<'a>> {
    let mut fields = Fields::open(node)?;
    let id = fields.text("id")?.map(|id| id.value).unwrap_or_default();
    fields.take("type")?;
    // Only streams need it.
    fields.take("index")?;
    let call = if let Some(mut custom) = fields.object("custom")? {
        let name = custom.need_text("name")?;
        let input = custom.need_text("input")?;
        losses.rest(&custom);
        ToolCall { id, name, input, is_custom: true }
    } else {
        let mut function = Fields::open(fields.need("function", "an object")?)?;
        let name = function.need_text("name")?;
        let input = input(&mut function)?;
        losses.rest(&function);
        ToolCall { id, name, input, is_custom: false }
    };
    let cache = cache_mark(&mut fields, losses)?;
    Ok(Part { content: Content::ToolCall(call), cache, extras: fields.extras(), at: node.place() })
}

fn tool_result<'a>(fields: &mut Fields<'_, 'a>, losses: &mut Losses) -> Fallible<Part<'a>> {
    let id = fields.text("tool_call_id")?;
    let name = fields.text("name")?.map(|name| name.value);
    let id = match (id, &name) {
        (Some(id), _) => id.value,
        (None, Some(name)) => Text::Owned(legacy_id(name)),
        (None, None) => {
            return Err(fields.need("tool_call_id", "a string").err().unwrap_or_else(|| fields.node().fault("a tool's result")));
        }
    };
    let parts = content(fields, losses)?;
    let cache = cache_mark(fields, losses)?;
    let result = ToolResult { id, name, parts, is_error: None };
    Ok(Part { content: Content::ToolResult(result), cache, extras: Vec::new(), at: fields.node().place() })
}
