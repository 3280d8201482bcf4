//! Reads parts: a request's, and an answer's.

use crate::wire::Format;
use crate::wire::gemini::members::Members;
use crate::wire::gemini::{media, signature};
use crate::wire::ir::{Content, Media, Part, Signature, ToolCall, ToolResult};
use crate::wire::json::{Extra, Extras, Fault, Given, Kind, Node, Place, Text, is_object};

type Fallible<T> = Result<T, Fault>;

/// Reads one part. A signature on anything but thoughts becomes a part of its own, in front: it belongs to what comes next.
pub(in crate::wire::gemini) fn part<'a>(node: Node<'_, 'a>, parts: &mut Vec<Part<'a>>) -> Fallible<()> {
    let mut members = Members::open(node)?;
    let is_thought = members.bool("thought")?.is_some_and(|thought| thought.value);
    let signed = members.text("thoughtSignature")?;
    let signature = signed.and_then(|given| signature::read(given.value).map(|value| Given::new(value, given.at)));
    let at = node.place();
    let Some((content, inner)) = content(&mut members, is_thought)? else {
        match signature {
            Some(signature) if members.extras().is_empty() => parts.push(redacted(signature)),
            _ if node.members().next().is_none() => {}
            _ => parts.push(Part::new(Content::Opaque { format: Format::Gemini, block: node.json() }, at)),
        }
        return Ok(());
    };
    let mut extras = members.extras();
    extras.extend(inner);
    match (content, signature) {
        (Content::Thinking { text, .. }, signature) => {
            let content = Content::Thinking { text, signature: signature.map(|signature| signature.value) };
            parts.push(Part { content, cache: None, extras, at });
        }
        // How a stream ends whose text was signed.
        (Content::Text { text, .. }, Some(signature)) if text.is_empty() && extras.is_empty() => parts.push(redacted(signature)),
        (content, signature) => {
            parts.extend(signature.map(redacted));
            parts.push(Part { content, cache: None, extras, at });
        }
    }
    Ok(())
}

fn redacted(signature: Given<Signature<'_>>) -> Part<'_> {
    Part::new(Content::RedactedThinking { data: signature.value }, signature.at)
}

/// Reads what a part is, and the leftovers from inside it; `None` where it is something that only this format has.
fn content<'a>(members: &mut Members<'_, 'a>, is_thought: bool) -> Fallible<Option<(Content<'a>, Extras<'a>)>> {
    if let Some(text) = members.text("text")? {
        let text = text.value;
        let content = if is_thought { Content::Thinking { text, signature: None } } else { Content::Text { text, citations: Vec::new() } };
        return Ok(Some((content, Vec::new())));
    }
    // A picture that was only thought of is nothing that another format could tell from an answer.
    if is_thought {
        return Ok(None);
    }
    if let Some(blob) = members.object("inlineData")? {
        return inline(blob).map(Some);
    }
    if let Some(file) = members.object("fileData")? {
        return by_uri(file).map(Some);
    }
    if let Some(call) = members.object("functionCall")? {
        return tool_call(call).map(Some);
    }
    if let Some(response) = members.object("functionResponse")? {
        return tool_result(response).map(Some);
    }
    Ok(None)
}

fn inline<'a>(mut blob: Members<'_, 'a>) -> Fallible<(Content<'a>, Extras<'a>)> {
    let media_type = blob.need_text("mimeType")?;
    let data = media::standard(blob.need_text("data")?);
    let mut content = media::content(&media_type, Media::Base64 { media_type: media_type.clone(), data });
    if let Content::Document { title, .. } = &mut content {
        *title = blob.text("displayName")?;
    }
    Ok((content, blob.extras_under("inlineData.").collect()))
}

fn by_uri<'a>(mut file: Members<'_, 'a>) -> Fallible<(Content<'a>, Extras<'a>)> {
    let uri = file.need_text("fileUri")?;
    let media_type = file.text("mimeType")?;
    let kind = media_type.as_ref().map_or_else(|| media::type_of_url(&uri, "image/*"), |given| &given.value).to_owned();
    // What the type says is in the kind of content; only this format wants it beside the address.
    let media_type = media_type.map(|given| {
        let value = quoted(&given.value);
        Extra { name: Text::Borrowed("fileData.mimeType"), value, at: Place::NOWHERE }
    });
    let media = if media::is_upload(&uri) { Media::File(uri) } else { Media::Url(uri) };
    let mut content = media::content(&kind, media);
    if let Content::Document { title, .. } = &mut content {
        *title = file.text("displayName")?;
    }
    Ok((content, media_type.into_iter().chain(file.extras_under("fileData.")).collect()))
}

fn quoted(text: &str) -> crate::wire::json::Json<'static> {
    let mut out = Vec::with_capacity(text.len() + 2);
    crate::wire::json::Writer::new(&mut out).text(text);
    crate::wire::json::Json::new(String::from_utf8(out).unwrap_or_default())
}

/// Reads a call. Its id may be missing, and is empty then.
fn tool_call<'a>(mut call: Members<'_, 'a>) -> Fallible<(Content<'a>, Extras<'a>)> {
    let id = call.text("id")?.map(|id| id.value).unwrap_or_default();
    let name = call.need_text("name")?;
    let input = match call.take("args")? {
        None => Text::Borrowed("{}"),
        Some(args) if args.kind() == Kind::Object => Text::Borrowed(args.raw()),
        Some(args) => return Err(args.fault("an object")),
    };
    Ok((Content::ToolCall(ToolCall { id, name, input, is_custom: false }), call.extras_under("functionCall.").collect()))
}

/// Reads a result. Its id may be missing, and is empty then.
fn tool_result<'a>(mut result: Members<'_, 'a>) -> Fallible<(Content<'a>, Extras<'a>)> {
    let id = result.text("id")?.map(|id| id.value).unwrap_or_default();
    let name = result.need_text("name")?;
    let mut parts = Vec::new();
    let mut is_error = None;
    if let Some(response) = result.take("response")? {
        if response.kind() != Kind::Object {
            return Err(response.fault("an object"));
        }
        is_error = said(response, &mut parts);
    }
    for node in result.array("parts")? {
        part(node, &mut parts)?;
    }
    let content = Content::ToolResult(ToolResult { id, name: Some(name), parts, is_error });
    Ok((content, result.extras_under("functionResponse.").collect()))
}

/// Reads what a function said. The API gives two names a meaning, `output` and `error`; any other object is the output as it stands.
fn said<'a>(response: Node<'_, 'a>, parts: &mut Vec<Part<'a>>) -> Option<Given<bool>> {
    let mut members = response.members();
    let only = members.next().filter(|_| members.next().is_none());
    let (word, value) = match only {
        Some((key, value)) if key.is("output") && value.text().is_some_and(|text| !is_object(&text)) => ("output", value),
        Some((key, value)) if key.is("error") && !value.is_null() => ("error", value),
        _ => ("", response),
    };
    let text = value.text().unwrap_or(Text::Borrowed(value.raw()));
    parts.push(Part::text(text, value.place()));
    (word == "error").then(|| Given::new(true, value.place()))
}
