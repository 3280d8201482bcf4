//! Reads blocks of content: a request's, and an answer's. A block is an object whose one member says what it is.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::wire::Format;
use crate::wire::bedrock::media::Kind as MediaKind;
use crate::wire::ir::{CacheMark, Citation, Content, Losses, Maker, Media, Part, Signature, ToolCall, ToolResult};
use crate::wire::json::{Fault, Fields, Given, Kind, Node, Text};

type Fallible<T> = Result<T, Fault>;

/// Reads blocks. `is_of_model` where the model said them: results among those are the provider's own tools'.
pub(in crate::wire::bedrock) fn content<'a>(node: Node<'_, 'a>, is_of_model: bool, losses: &mut Losses) -> Fallible<Vec<Part<'a>>> {
    if node.kind() != Kind::Array {
        return Err(node.fault("an array of blocks"));
    }
    let mut parts: Vec<Part<'a>> = Vec::new();
    // Text that is blank may be left out, with what hangs on it.
    let mut last_said: Option<usize> = None;
    for node in node.elements() {
        let mark = cache_mark(node, losses)?;
        // A mark stands behind what it closes.
        match (mark, last_said.and_then(|last| parts.get_mut(last))) {
            (Some(mark), Some(last)) if last.cache.is_none() && is_markable(last) => last.cache = Some(mark),
            (Some(_), _) => parts.push(opaque(node)),
            (None, _) => {
                let part = block(node, is_of_model, losses)?;
                if !is_blank(&part) {
                    last_said = Some(parts.len());
                }
                parts.push(part);
            }
        }
    }
    Ok(parts)
}

fn is_blank(part: &Part<'_>) -> bool {
    matches!(&part.content, Content::Text { text, .. } if text.trim().is_empty())
}

const fn is_markable(part: &Part<'_>) -> bool {
    !matches!(part.content, Content::Opaque { .. })
}

/// Reads a block that is nothing but a mark.
pub(super) fn cache_mark<'a>(node: Node<'_, 'a>, losses: &mut Losses) -> Fallible<Option<Given<CacheMark<'a>>>> {
    let Some(point) = node.get("cachePoint") else { return Ok(None) };
    if node.members().count() != 1 {
        return Ok(None);
    }
    let mut fields = Fields::open(point)?;
    // `default`: there is no other kind.
    fields.take("type")?;
    let ttl = fields.text("ttl")?.map(|ttl| ttl.value);
    losses.rest(&fields);
    Ok(Some(Given::new(CacheMark { ttl }, point.place())))
}

fn opaque<'a>(node: Node<'_, 'a>) -> Part<'a> {
    Part::new(Content::Opaque { format: Format::Bedrock, block: node.json() }, node.place())
}

fn block<'a>(node: Node<'_, 'a>, is_of_model: bool, losses: &mut Losses) -> Fallible<Part<'a>> {
    let mut fields = Fields::open(node)?;
    let mut inside = Losses::default();
    let Some(content) = known(&mut fields, is_of_model, &mut inside)? else {
        // The block passes whole, so nothing of it is lost here.
        return Ok(opaque(node));
    };
    losses.append(&inside);
    Ok(Part { content, cache: None, extras: fields.extras(), at: node.place() })
}

/// Reads what is known; `None` where the block must pass whole.
fn known<'a>(fields: &mut Fields<'_, 'a>, is_of_model: bool, losses: &mut Losses) -> Fallible<Option<Content<'a>>> {
    if let Some(text) = fields.text("text")? {
        return Ok(Some(Content::Text { text: text.value, citations: Vec::new() }));
    }
    for kind in MediaKind::ALL {
        if let Some(inner) = fields.object(kind.name())? {
            return media_block(kind, inner, losses);
        }
    }
    if let Some(inner) = fields.object("toolUse")? {
        return tool_use(inner, losses);
    }
    if let Some(inner) = fields.object("toolResult")? {
        return if is_of_model { Ok(None) } else { tool_result(inner, losses) };
    }
    if let Some(inner) = fields.object("reasoningContent")? {
        return reasoning(inner, losses);
    }
    if let Some(inner) = fields.object("citationsContent")? {
        return cited(inner, losses);
    }
    if let Some(json) = fields.json("json")? {
        // What a tool said, as data.
        return Ok(Some(Content::Text { text: json.value.into_text(), citations: Vec::new() }));
    }
    Ok(None)
}

fn media_block<'a>(kind: MediaKind, mut fields: Fields<'_, 'a>, losses: &mut Losses) -> Fallible<Option<Content<'a>>> {
    let format = fields.text("format")?.map(|format| format.value).unwrap_or_default();
    let mut source = Fields::open(fields.need("source", "an object")?)?;
    let media = if let Some(data) = source.text("bytes")? {
        Media::Base64 { media_type: kind.media_type(format), data: data.value }
    } else if let (MediaKind::Document, Some(text)) = (kind, source.text("text")?) {
        Media::Text(text.value)
    } else {
        // In S3, which only this provider reads; or a document that is made of blocks.
        return Ok(None);
    };
    losses.rest(&source);
    let content = match kind {
        MediaKind::Image => Content::Image { media, detail: None },
        MediaKind::Video => Content::Video { media },
        MediaKind::Audio => Content::Audio { media },
        MediaKind::Document => {
            let citations = match fields.object("citations")? {
                Some(mut citations) => {
                    let enabled = citations.bool("enabled")?;
                    losses.rest(&citations);
                    enabled
                }
                None => None,
            };
            Content::Document { media, title: fields.text("name")?, context: fields.text("context")?, citations }
        }
    };
    losses.rest(&fields);
    Ok(Some(content))
}

fn tool_use<'a>(mut fields: Fields<'_, 'a>, losses: &mut Losses) -> Fallible<Option<Content<'a>>> {
    if fields.text("type")?.is_some_and(|kind| kind.value != "tool_use") {
        return Ok(None);
    }
    let id = fields.need_text("toolUseId")?;
    let name = fields.need_text("name")?;
    let input = fields.json("input")?.map_or(Text::Borrowed("{}"), |input| input.value.into_text());
    losses.rest(&fields);
    Ok(Some(Content::ToolCall(ToolCall { id, name, input, is_custom: false })))
}

fn tool_result<'a>(mut fields: Fields<'_, 'a>, losses: &mut Losses) -> Fallible<Option<Content<'a>>> {
    if fields.take("type")?.is_some() {
        return Ok(None);
    }
    let id = fields.need_text("toolUseId")?;
    let parts = fields.take("content")?.map(|node| content(node, false, losses)).transpose()?.unwrap_or_default();
    let is_error = fields.text("status")?.map(|status| status.map(|word| word == "error"));
    losses.rest(&fields);
    Ok(Some(Content::ToolResult(ToolResult { id, name: None, parts, is_error })))
}

fn reasoning<'a>(mut fields: Fields<'_, 'a>, losses: &mut Losses) -> Fallible<Option<Content<'a>>> {
    let content = if let Some(mut inner) = fields.object("reasoningText")? {
        let text = inner.text("text")?.map(|text| text.value).unwrap_or_default();
        let signature = inner.text("signature")?.filter(|signature| !signature.value.is_empty());
        losses.rest(&inner);
        let signature = signature.map(|signature| Signature::read(signature.value, Maker::Anthropic));
        Some(Content::Thinking { text, signature })
    } else {
        fields.text("redactedContent")?.and_then(|data| redacted(&data.value)).map(|data| Content::RedactedThinking { data })
    };
    if content.is_some() {
        losses.rest(&fields);
    }
    Ok(content)
}

/// Reads redacted thoughts. Claude's own data is text; this format carries it as bytes, in base64. `None` where it is not Claude's.
pub(in crate::wire::bedrock) fn redacted(data: &str) -> Option<Signature<'static>> {
    let text = String::from_utf8(STANDARD.decode(data).ok()?).ok()?;
    let is_claudes = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
    is_claudes.then(|| Signature::read(Text::Owned(text), Maker::Anthropic))
}

fn cited<'a>(mut fields: Fields<'_, 'a>, losses: &mut Losses) -> Fallible<Option<Content<'a>>> {
    let mut text = String::new();
    for node in fields.array("content")? {
        let mut inner = Fields::open(node)?;
        // What the future has besides text passes whole.
        let Some(said) = inner.text("text")? else { return Ok(None) };
        text.push_str(&said.value);
        losses.rest(&inner);
    }
    if text.trim().is_empty() {
        // What cites nothing at all says nothing elsewhere.
        return Ok(None);
    }
    let citations = fields.array("citations")?.map(citation).collect();
    losses.rest(&fields);
    Ok(Some(Content::Text { text: Text::Owned(text), citations }))
}

/// Reads one citation; what it says beyond address, title and words stays in its original.
pub(in crate::wire::bedrock) fn citation<'a>(node: Node<'_, 'a>) -> Citation<'a> {
    let text = |node: Node<'_, 'a>, name: &str| node.get(name).and_then(Node::text);
    let web = node.get("location").and_then(|location| location.get("web"));
    let cited: Vec<Text<'a>> =
        node.get("sourceContent").into_iter().flat_map(Node::elements).filter_map(|piece| text(piece, "text")).collect();
    Citation {
        url: web.and_then(|web| text(web, "url")),
        title: text(node, "title"),
        cited: (!cited.is_empty()).then(|| Text::Owned(cited.concat())),
        span: None,
        origin: (Format::Bedrock, node.json()),
        at: node.place(),
    }
}
