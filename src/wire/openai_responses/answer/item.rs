//! The items of an answer. Shared by whole answers and streams, so that both write the same.

use crate::wire::ir::{Media, ToolCall};
use crate::wire::json::{Extra, Node, Text, Writer};

/// What an item is known by, and the members that come back as they were.
#[derive(Debug, Clone, Copy)]
pub(in crate::wire::openai_responses) struct Head<'h> {
    pub(in crate::wire::openai_responses) id: &'h str,
    pub(in crate::wire::openai_responses) status: &'h str,
    /// Members that replace those of the same name.
    pub(in crate::wire::openai_responses) kept: &'h [Extra<'h>],
}

impl Head<'_> {
    fn begin(&self, writer: &mut Writer<'_>, kind: &str) {
        writer.begin_object();
        writer.key("type").text(kind);
        if self.lacks("id") {
            writer.key("id").text(self.id);
        }
        if self.lacks("status") {
            writer.key("status").text(self.status);
        }
    }

    fn lacks(&self, name: &str) -> bool {
        !self.kept.iter().any(|extra| extra.name == name)
    }
}

/// Closes an item or a part.
pub(super) fn end(writer: &mut Writer<'_>, kept: &[Extra<'_>]) {
    for extra in kept {
        writer.key(&extra.name).json(&extra.value);
    }
    writer.end_object();
}

/// Writes a message; `content` writes its parts.
pub(in crate::wire::openai_responses) fn message(writer: &mut Writer<'_>, head: Head<'_>, content: impl FnOnce(&mut Writer<'_>)) {
    head.begin(writer, "message");
    writer.key("role").text("assistant");
    writer.array("content");
    content(writer);
    writer.end_array();
    end(writer, head.kept);
}

/// Writes a text as a part of a message, all but its closing brace. The lists are JSON; an empty text stands for an empty list.
pub(in crate::wire::openai_responses) fn text(writer: &mut Writer<'_>, text: &str, annotations: &str, logprobs: Option<&str>) {
    writer.begin_object();
    writer.key("type").text("output_text");
    writer.key("text").text(text);
    writer.key("annotations").raw(if annotations.is_empty() { "[]" } else { annotations });
    if let Some(logprobs) = logprobs {
        writer.key("logprobs").raw(if logprobs.is_empty() { "[]" } else { logprobs });
    }
}

/// Writes a refusal as a part of a message, all but its closing brace.
pub(in crate::wire::openai_responses) fn refusal(writer: &mut Writer<'_>, text: &str) {
    writer.begin_object();
    writer.key("type").text("refusal");
    writer.key("refusal").text(text);
}

/// Writes a call, by whose `id` its result is told.
pub(in crate::wire::openai_responses) fn call(writer: &mut Writer<'_>, head: Head<'_>, id: &str, call: &ToolCall<'_>) {
    let ToolCall { id: _, name, input, is_custom } = call;
    let (kind, member) = if *is_custom { ("custom_tool_call", "input") } else { ("function_call", "arguments") };
    head.begin(writer, kind);
    writer.key("call_id").text(id);
    writer.key("name").text(name);
    writer.key(member).text(input);
    end(writer, head.kept);
}

/// Writes a picture that a model made, once there is one.
pub(in crate::wire::openai_responses) fn picture(writer: &mut Writer<'_>, head: Head<'_>, media_type: &str, data: Option<&str>) {
    head.begin(writer, "image_generation_call");
    if head.lacks("output_format") {
        writer.key("output_format").text(media_type.strip_prefix("image/").unwrap_or("png"));
    }
    match data {
        Some(data) => writer.key("result").text(data),
        None => writer.key("result").null(),
    }
    end(writer, head.kept);
}

/// Reads a picture that a model made; none where it made none, or where the format has not got it.
pub(in crate::wire::openai_responses) fn read_picture<'a>(item: Node<'_, 'a>) -> Option<Media<'a>> {
    let data = item.get("result").and_then(Node::text).filter(|data| !data.is_empty())?;
    let format = item.get("output_format").and_then(Node::text).unwrap_or(Text::Borrowed("png"));
    Some(Media::Base64 { media_type: Text::Owned(format!("image/{format}")), data })
}

/// Writes thoughts.
pub(in crate::wire::openai_responses) fn reasoning(writer: &mut Writer<'_>, head: Head<'_>, text: &str, encrypted: Option<&str>) {
    head.begin(writer, "reasoning");
    if head.lacks("summary") {
        writer.array("summary");
        if !text.is_empty() {
            writer.begin_object();
            writer.key("type").text("summary_text");
            writer.key("text").text(text);
            writer.end_object();
        }
        writer.end_array();
    }
    if let Some(encrypted) = encrypted {
        writer.key("encrypted_content").text(encrypted);
    }
    end(writer, head.kept);
}
