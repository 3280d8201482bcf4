//! Reads blocks of content: a request's, and an answer's.

use crate::wire::Format;
use crate::wire::ir::{CacheMark, Citation, Content, Losses, Maker, Media, Part, Signature, ToolCall, ToolResult};
use crate::wire::json::{Fault, Fields, Given, Kind, Node, Text};

type Fallible<T> = Result<T, Fault>;

/// Reads content: a string, or blocks.
pub(in crate::wire::anthropic) fn content<'a>(node: Node<'_, 'a>, losses: &mut Losses) -> Fallible<Vec<Part<'a>>> {
    if let Some(text) = node.text() {
        return Ok(vec![Part::text(text, node.place())]);
    }
    if node.kind() != Kind::Array {
        return Err(node.fault("a string or an array of blocks"));
    }
    node.elements().map(|node| block(node, losses)).collect()
}

/// Reads `cache_control`.
pub(super) fn cache_mark<'a>(fields: &mut Fields<'_, 'a>, losses: &mut Losses) -> Fallible<Option<Given<CacheMark<'a>>>> {
    let Some(mut mark) = fields.object("cache_control")? else { return Ok(None) };
    // `ephemeral`: there is no other kind.
    mark.take("type")?;
    let ttl = mark.text("ttl")?.map(|ttl| ttl.value);
    losses.rest(&mark);
    Ok(Some(Given::new(CacheMark { ttl }, mark.node().place())))
}

fn block<'a>(node: Node<'_, 'a>, losses: &mut Losses) -> Fallible<Part<'a>> {
    let mut fields = Fields::open(node)?;
    let kind = fields.need_text("type")?;
    let content = match &*kind {
        "text" => Some(Content::Text { text: fields.need_text("text")?, citations: citations(&mut fields)? }),
        "image" => media(&mut fields, losses)?.map(|media| Content::Image { media, detail: None }),
        "document" => document(&mut fields, losses)?,
        "tool_use" => Some(tool_use(&mut fields)?),
        "tool_result" => Some(tool_result(&mut fields, losses)?),
        "thinking" => Some(thinking(&mut fields)?),
        "redacted_thinking" => Some(Content::RedactedThinking { data: Signature::read(fields.need_text("data")?, Maker::Anthropic) }),
        _ => None,
    };
    let Some(content) = content else {
        return Ok(Part::new(Content::Opaque { format: Format::Anthropic, block: node.json() }, node.place()));
    };
    let cache = cache_mark(&mut fields, losses)?;
    Ok(Part { content, cache, extras: fields.extras(), at: node.place() })
}

fn thinking<'a>(fields: &mut Fields<'_, 'a>) -> Fallible<Content<'a>> {
    let text = fields.text("thinking")?.map(|text| text.value).unwrap_or_default();
    let signature = fields.text("signature")?.filter(|signature| !signature.value.is_empty());
    Ok(Content::Thinking { text, signature: signature.map(|value| Signature::read(value.value, Maker::Anthropic)) })
}

fn tool_use<'a>(fields: &mut Fields<'_, 'a>) -> Fallible<Content<'a>> {
    let id = fields.need_text("id")?;
    let name = fields.need_text("name")?;
    let input = fields.json("input")?.map_or(Text::Borrowed("{}"), |input| input.value.into_text());
    Ok(Content::ToolCall(ToolCall { id, name, input, is_custom: false }))
}

fn tool_result<'a>(fields: &mut Fields<'_, 'a>, losses: &mut Losses) -> Fallible<Content<'a>> {
    let id = fields.need_text("tool_use_id")?;
    let parts = fields.take("content")?.map(|node| content(node, losses)).transpose()?.unwrap_or_default();
    Ok(Content::ToolResult(ToolResult { id, name: None, parts, is_error: fields.bool("is_error")? }))
}

fn document<'a>(fields: &mut Fields<'_, 'a>, losses: &mut Losses) -> Fallible<Option<Content<'a>>> {
    let Some(media) = media(fields, losses)? else { return Ok(None) };
    let citations = match fields.object("citations")? {
        Some(mut citations) => {
            let enabled = citations.bool("enabled")?;
            losses.rest(&citations);
            enabled
        }
        None => None,
    };
    Ok(Some(Content::Document { media, title: fields.text("title")?, context: fields.text("context")?, citations }))
}

/// Reads `source`; `None` where its kind is not known, so that the block passes whole.
fn media<'a>(fields: &mut Fields<'_, 'a>, losses: &mut Losses) -> Fallible<Option<Media<'a>>> {
    let mut source = Fields::open(fields.need("source", "an object")?)?;
    let kind = source.need_text("type")?;
    let media = match &*kind {
        "base64" => Media::Base64 { media_type: source.need_text("media_type")?, data: source.need_text("data")? },
        "url" => Media::Url(source.need_text("url")?),
        "file" => Media::File(source.need_text("file_id")?),
        "text" => {
            // `text/plain`: there is no other.
            source.take("media_type")?;
            Media::Text(source.need_text("data")?)
        }
        _ => return Ok(None),
    };
    losses.rest(&source);
    Ok(Some(media))
}

fn citations<'a>(fields: &mut Fields<'_, 'a>) -> Fallible<Vec<Citation<'a>>> {
    Ok(fields.array("citations")?.map(citation).collect())
}

/// Reads one citation; what it says beyond address, title and words stays in its original.
pub(in crate::wire::anthropic) fn citation<'a>(node: Node<'_, 'a>) -> Citation<'a> {
    let text = |name: &str| node.get(name).and_then(Node::text);
    Citation {
        url: text("url"),
        title: text("title").or_else(|| text("document_title")),
        cited: text("cited_text"),
        span: None,
        origin: (Format::Anthropic, node.json()),
        at: node.place(),
    }
}
