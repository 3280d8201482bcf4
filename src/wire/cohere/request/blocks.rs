//! Reads content: of the user, of the model, of tools.

use crate::wire::Format;
use crate::wire::ir::{Content, Losses, Media, Part, ToolCall, ToolResult};
use crate::wire::json::{Fault, Fields, Kind, Node, Text};

type Fallible<T> = Result<T, Fault>;

/// Reads `content`: a string, blocks, or nothing.
pub(super) fn content<'a>(fields: &mut Fields<'_, 'a>, losses: &mut Losses) -> Fallible<Vec<Part<'a>>> {
    let Some(node) = fields.take("content")? else { return Ok(Vec::new()) };
    if let Some(text) = node.text() {
        return Ok(vec![Part::text(text, node.place())]);
    }
    if node.kind() != Kind::Array {
        return Err(node.fault("a string or an array of blocks"));
    }
    node.elements().map(|node| block(node, losses)).collect()
}

fn block<'a>(node: Node<'_, 'a>, losses: &mut Losses) -> Fallible<Part<'a>> {
    let mut fields = Fields::open(node)?;
    let content = match &*fields.need_text("type")? {
        "text" => Content::Text { text: fields.need_text("text")?, citations: Vec::new() },
        "thinking" => Content::Thinking { text: fields.need_text("thinking")?, signature: None },
        "image_url" => image(&mut fields, losses)?,
        "document" => document(&mut fields, losses)?,
        _ => return Ok(Part::new(Content::Opaque { format: Format::Cohere, block: node.json() }, node.place())),
    };
    Ok(Part { content, cache: None, extras: fields.extras(), at: node.place() })
}

fn image<'a>(fields: &mut Fields<'_, 'a>, losses: &mut Losses) -> Fallible<Content<'a>> {
    let mut inner = Fields::open(fields.need("image_url", "an object with a `url`")?)?;
    let media = Media::from_url(inner.need_text("url")?);
    let detail = inner.text("detail")?;
    losses.rest(&inner);
    Ok(Content::Image { media, detail })
}

/// Reads a document of a tool: its data is an object of the tool's choice, or text.
fn document<'a>(fields: &mut Fields<'_, 'a>, losses: &mut Losses) -> Fallible<Content<'a>> {
    let mut inner = Fields::open(fields.need("document", "an object with `data`")?)?;
    let data = inner.need("data", "an object or a string")?;
    let text = data.text().unwrap_or_else(|| Text::Borrowed(data.raw()));
    let title = inner.text("id")?;
    losses.rest(&inner);
    Ok(Content::Document { media: Media::Text(text), title, context: None, citations: None })
}

/// Reads what the model said: its content, its plan, its calls.
pub(in crate::wire::cohere) fn assistant<'a>(fields: &mut Fields<'_, 'a>, losses: &mut Losses) -> Fallible<Vec<Part<'a>>> {
    let mut parts = content(fields, losses)?;
    // A plan is what the model thought before it called.
    if let Some(plan) = fields.text("tool_plan")?.filter(|plan| !plan.value.is_empty()) {
        parts.push(Part::new(Content::Thinking { text: plan.value, signature: None }, plan.at));
    }
    for node in fields.array("tool_calls")? {
        parts.push(call(node, losses)?);
    }
    Ok(parts)
}

fn call<'a>(node: Node<'_, 'a>, losses: &mut Losses) -> Fallible<Part<'a>> {
    let mut fields = Fields::open(node)?;
    let id = fields.need_text("id")?;
    fields.take("type")?;
    let mut function = Fields::open(fields.need("function", "an object with a `name`")?)?;
    let name = function.need_text("name")?;
    let input = function.text("arguments")?.map(|arguments| arguments.value).unwrap_or_default();
    // Calls without arguments come as "", as null and as "null".
    let input = if matches!(input.trim(), "" | "null") { Text::Borrowed("{}") } else { input };
    losses.rest(&function);
    let content = Content::ToolCall(ToolCall { id, name, input, is_custom: false });
    Ok(Part { content, cache: None, extras: fields.extras(), at: node.place() })
}

/// Reads what a tool said.
pub(super) fn tool_result<'a>(fields: &mut Fields<'_, 'a>, losses: &mut Losses) -> Fallible<Part<'a>> {
    let at = fields.node().place();
    let id = fields.need_text("tool_call_id")?;
    let parts = content(fields, losses)?;
    Ok(Part::new(Content::ToolResult(ToolResult { id, name: None, parts, is_error: None }), at))
}
