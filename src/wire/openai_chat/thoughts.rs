//! Thoughts in messages, in all the spellings of the field: `reasoning_content`, `reasoning`, `reasoning_details`, `thinking_blocks`, and
//! Mistral's parts.

use std::collections::BTreeSet;

use crate::wire::gemini;
use crate::wire::ir::{Content, Losses, Maker, Part, Reason, Signature};
use crate::wire::json::{Fault, Fields, Node, Place, Text, Writer};
use crate::wire::quirks::ReasoningField;

/// Takes the thoughts of a message or an answer. Where they stand typed *and* plain, the typed ones count, for they have the signatures.
pub(super) fn take<'a>(fields: &mut Fields<'_, 'a>, losses: &mut Losses) -> Result<Vec<Part<'a>>, Fault> {
    let mut parts = Vec::new();
    for node in fields.array("reasoning_details")? {
        parts.extend(detail(node, losses)?);
    }
    for node in fields.array("thinking_blocks")? {
        parts.extend(block(node, losses)?);
    }
    let is_typed = !parts.is_empty();
    for node in [fields.take("reasoning_content")?, fields.take("reasoning")?].into_iter().flatten() {
        let text = node.text().ok_or_else(|| node.fault("a string"))?;
        let told = parts.iter().any(|part| matches!(&part.content, Content::Thinking { text: told, .. } if *told == text));
        if text.is_empty() || told {
            continue;
        }
        if is_typed || !parts.is_empty() {
            losses.approximated(node.place());
        } else {
            parts.push(Part::new(Content::Thinking { text, signature: None }, node.place()));
        }
    }
    Ok(parts)
}

/// Reads one of OpenRouter's `reasoning_details`.
fn detail<'a>(node: Node<'_, 'a>, losses: &mut Losses) -> Result<Option<Part<'a>>, Fault> {
    let mut fields = Fields::open(node)?;
    let kind = fields.need_text("type")?;
    let maker = fields.text("format")?.map_or(Maker::Unknown, |format| Maker::from_format_name(&format.value));
    fields.take("index")?;
    let content = match &*kind {
        "reasoning.text" => {
            let signature = fields.text("signature")?.map(|value| Signature { value: value.value, maker });
            Content::Thinking { text: fields.text("text")?.map(|text| text.value).unwrap_or_default(), signature }
        }
        "reasoning.summary" => Content::Thinking { text: fields.need_text("summary")?, signature: None },
        "reasoning.encrypted" => Content::RedactedThinking { data: Signature { value: fields.need_text("data")?, maker } },
        _ => {
            losses.add(node.place(), Reason::Unknown);
            return Ok(None);
        }
    };
    Ok(Some(Part { content, cache: None, extras: fields.extras(), at: node.place() }))
}

/// Reads one of LiteLLM's `thinking_blocks`, which are Anthropic's.
fn block<'a>(node: Node<'_, 'a>, losses: &mut Losses) -> Result<Option<Part<'a>>, Fault> {
    let mut fields = Fields::open(node)?;
    let kind = fields.need_text("type")?;
    let content = match &*kind {
        "thinking" => Content::Thinking {
            text: fields.text("thinking")?.map(|text| text.value).unwrap_or_default(),
            signature: fields.text("signature")?.map(|value| Signature::read(value.value, Maker::Anthropic)),
        },
        "redacted_thinking" => Content::RedactedThinking { data: Signature::read(fields.need_text("data")?, Maker::Anthropic) },
        _ => {
            losses.add(node.place(), Reason::Unknown);
            return Ok(None);
        }
    };
    Ok(Some(Part { content, cache: None, extras: fields.extras(), at: node.place() }))
}

/// Reads Mistral's part: `{type:thinking, thinking:[{type:text,text}], closed}`.
pub(super) fn mistral<'a>(fields: &mut Fields<'_, 'a>, losses: &mut Losses) -> Result<Content<'a>, Fault> {
    let mut whole = Text::Borrowed("");
    for node in fields.array("thinking")? {
        let mut piece = Fields::open(node)?;
        piece.take("type")?;
        let text = piece.need_text("text")?;
        losses.rest(&piece);
        if whole.is_empty() {
            whole = text;
        } else {
            whole.to_mut().push_str(&text);
        }
    }
    fields.take("closed")?;
    Ok(Content::Thinking { text: whole, signature: None })
}

/// Reads what Gemini signed of a call, where Google's endpoint for this format has it: `extra_content.google.thought_signature`.
pub(super) fn of_call<'a>(call: Node<'_, 'a>) -> Option<Signature<'a>> {
    let google = call.get("extra_content").and_then(|extra| extra.get("google"))?;
    google.get("thought_signature").and_then(Node::text).and_then(gemini::read_signature)
}

/// Puts what was signed of a call in front of it, unless the thoughts of the message have told it already. The member stays with the call's
/// extras, so nothing of it is lost to a server of this format.
pub(super) fn sign<'a>(call: Node<'_, 'a>, parts: &mut Vec<Part<'a>>, known: &mut BTreeSet<String>) {
    if let Some(data) = of_call(call).filter(|data| known.insert(data.value.clone().into_owned())) {
        parts.push(Part::new(Content::RedactedThinking { data }, Place::NOWHERE));
    }
}

/// Returns the signatures that stand for themselves.
pub(super) fn signatures(parts: &[Part<'_>]) -> BTreeSet<String> {
    let value = |part: &Part<'_>| match &part.content {
        Content::RedactedThinking { data } => Some(data.value.clone().into_owned()),
        _ => None,
    };
    parts.iter().filter_map(value).collect()
}

/// Writes `extra_content`.
pub(super) fn write_of_call(writer: &mut Writer<'_>, signature: &str) {
    writer.object("extra_content");
    writer.object("google");
    writer.key("thought_signature").text(signature);
    writer.end_object();
    writer.end_object();
}

/// Writes the thoughts of a message in the server's spelling; without one, they are lost.
pub(super) fn write(parts: &[Part<'_>], writer: &mut Writer<'_>, losses: &mut Losses, field: ReasoningField) {
    for part in parts.iter().filter(|part| is_thought(part)) {
        losses.extras(&part.extras);
        losses.without(part.cache.as_ref());
    }
    let name = match field {
        ReasoningField::None => {
            for part in parts.iter().filter(|part| is_thought(part)) {
                losses.unsupported(part.at);
            }
            return;
        }
        ReasoningField::ReasoningContent => "reasoning_content",
        ReasoningField::Reasoning => "reasoning",
        ReasoningField::ReasoningDetails => return write_details(parts, writer),
    };
    let mut whole = String::new();
    for part in parts {
        match &part.content {
            Content::Thinking { text, signature } => {
                if signature.is_some() {
                    losses.approximated(part.at);
                }
                whole.push_str(text);
            }
            Content::RedactedThinking { .. } => losses.unsupported(part.at),
            _ => {}
        }
    }
    if !whole.is_empty() {
        writer.key(name).text(&whole);
    }
}

const fn is_thought(part: &Part<'_>) -> bool {
    matches!(part.content, Content::Thinking { .. } | Content::RedactedThinking { .. })
}

/// Writes the thoughts in OpenRouter's typed form, which has room for signatures and names their maker.
pub(super) fn write_details(parts: &[Part<'_>], writer: &mut Writer<'_>) {
    if !parts.iter().any(is_thought) {
        return;
    }
    writer.array("reasoning_details");
    for (index, part) in (0..).zip(parts.iter().filter(|part| is_thought(part))) {
        match &part.content {
            Content::Thinking { text, signature } => {
                writer.begin_object();
                writer.key("type").text("reasoning.text");
                writer.key("text").text(text);
                if let Some(signature) = signature {
                    writer.key("signature").text(&signature.value);
                }
                writer.key("format").text(signature.as_ref().map_or(Maker::Unknown, |signature| signature.maker).format_name());
            }
            Content::RedactedThinking { data } => {
                writer.begin_object();
                writer.key("type").text("reasoning.encrypted");
                writer.key("data").text(&data.value);
                writer.key("format").text(data.maker.format_name());
            }
            _ => continue,
        }
        writer.key("index").count(index);
        writer.end_object();
    }
    writer.end_array();
}

/// Writes the thoughts of an answer: plain, as most clients read them, and typed where a signature must come back.
pub(super) fn answer(parts: &[Part<'_>], writer: &mut Writer<'_>) {
    let mut whole = String::new();
    let mut is_signed = false;
    for part in parts {
        match &part.content {
            Content::Thinking { text, signature } => {
                whole.push_str(text);
                is_signed |= signature.is_some();
            }
            Content::RedactedThinking { .. } => is_signed = true,
            _ => {}
        }
    }
    if !whole.is_empty() {
        writer.key("reasoning_content").text(&whole);
    }
    if is_signed {
        write_details(parts, writer);
    }
}
