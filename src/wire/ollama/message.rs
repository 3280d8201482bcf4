//! What the model says, whole: in a history, in an answer, in a line of a stream.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::wire::ir::{Content, Losses, Media, Part, ToolCall};
use crate::wire::json::{self, Document, Fault, Fields, Json, Kind, Node, Text, Writer};

type Fallible<T> = Result<T, Fault>;

/// Takes thoughts, pictures, text and calls out of a message of the model's.
pub(super) fn assistant<'a>(fields: &mut Fields<'_, 'a>, losses: &mut Losses) -> Fallible<Vec<Part<'a>>> {
    let mut parts = Vec::new();
    if let Some(thinking) = fields.text("thinking")?.filter(|thinking| !thinking.value.is_empty()) {
        parts.push(Part::new(Content::Thinking { text: thinking.value, signature: None }, thinking.at));
    }
    content(fields, &mut parts)?;
    for node in fields.array("tool_calls")? {
        parts.push(call(node, losses)?);
    }
    Ok(parts)
}

/// Takes pictures and text, which stand in this order in the prompt.
pub(super) fn content<'a>(fields: &mut Fields<'_, 'a>, parts: &mut Vec<Part<'a>>) -> Fallible<()> {
    for node in fields.array("images")? {
        let data = node.text().ok_or_else(|| node.fault("a picture in base64"))?;
        parts.push(Part::new(Content::Image { media: picture(data), detail: None }, node.place()));
    }
    if let Some(text) = fields.text("content")?.filter(|text| !text.value.is_empty()) {
        parts.push(Part::text(text.value, text.at));
    }
    Ok(())
}

/// Makes a picture of its bytes in base64. The format does not say of which type they are, so that the first of them must.
pub(super) fn picture(data: Text<'_>) -> Media<'_> {
    let head: String = data.chars().take(16).collect();
    let head = STANDARD.decode(head).unwrap_or_default();
    let media_type = match head.as_slice() {
        [0xff, 0xd8, ..] => "image/jpeg",
        [b'G', b'I', b'F', ..] => "image/gif",
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => "image/webp",
        [b'B', b'M', ..] => "image/bmp",
        _ => "image/png",
    };
    Media::Base64 { media_type: Text::Borrowed(media_type), data }
}

fn call<'a>(node: Node<'_, 'a>, losses: &mut Losses) -> Fallible<Part<'a>> {
    let mut fields = Fields::open(node)?;
    let id = fields.text("id")?.map(|id| id.value).unwrap_or_default();
    fields.take("type")?;
    let mut function = Fields::open(fields.need("function", "an object with a `name`")?)?;
    let name = function.need_text("name")?;
    // Calls stand in their order.
    function.take("index")?;
    let input = input(function.take("arguments")?);
    losses.rest(&function);
    let content = Content::ToolCall(ToolCall { id, name, input, is_custom: false });
    Ok(Part { content, cache: None, extras: fields.extras(), at: node.place() })
}

/// Reads arguments: an object, or as some clients write them, its text.
pub(super) fn input<'a>(arguments: Option<Node<'_, 'a>>) -> Text<'a> {
    let text = arguments.map(|arguments| arguments.text().unwrap_or(Text::Borrowed(arguments.raw()))).unwrap_or_default();
    if matches!(text.trim(), "" | "null") { Text::Borrowed("{}") } else { text }
}

/// Writes a call's function. Its arguments must be an object, so that free text, or what the model broke, is put into one. Returns whether
/// they were one.
pub(super) fn function(writer: &mut Writer<'_>, name: &str, input: &str, is_custom: bool) -> bool {
    let is_object = !is_custom && json::is_object(input);
    writer.object("function");
    writer.key("name").text(name);
    if is_object {
        writer.key("arguments").raw(input);
    } else {
        writer.object("arguments");
        writer.key("input").text(input);
        writer.end_object();
    }
    writer.end_object();
    is_object
}

/// Finds the log probabilities in OpenAI's shape, whose elements are this format's too.
pub(super) fn write_logprobs(writer: &mut Writer<'_>, logprobs: &Json<'_>) {
    let document = Document::parse(logprobs.as_str().as_bytes());
    if let Ok(document) = document
        && let Some(content) = document.root().get("content").filter(|content| content.kind() == Kind::Array)
    {
        writer.key("logprobs").raw(content.raw());
    }
}

/// Reads log probabilities into OpenAI's shape.
pub(super) fn read_logprobs(logprobs: Option<Node<'_, '_>>) -> Option<Json<'static>> {
    let logprobs = logprobs.filter(|logprobs| logprobs.kind() == Kind::Array && logprobs.elements().next().is_some())?;
    Some(Json::new(format!(r#"{{"content":{}}}"#, logprobs.raw())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_says_what_it_is_by_its_first_bytes() {
        for (data, expected) in [
            ("/9j/4AAQSkZJRgABAQAAAQ==", "image/jpeg"),
            ("iVBORw0KGgoAAAANSUhEUg==", "image/png"),
            ("R0lGODlhAQABAIAAAAAAAA==", "image/gif"),
            ("UklGRhIAAABXRUJQVlA4TA==", "image/webp"),
            ("no base64", "image/png"),
            ("", "image/png"),
        ] {
            let Media::Base64 { media_type, .. } = picture(data.into()) else { panic!("{data}") };
            assert_eq!(media_type, expected, "{data}");
        }
    }
}
