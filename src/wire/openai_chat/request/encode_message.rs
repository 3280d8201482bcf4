//! Writes messages and their parts.

use super::encode::{cache_mark, extras_of};
use crate::wire::ir::{Content, Losses, Media, Message, Part, Role, ToolCall, ToolResult};
use crate::wire::json::{Given, Text, Writer};
use crate::wire::openai_chat::{call_ids, thoughts};
use crate::wire::quirks::{CacheMarks, Quirks, ReasoningField};

/// Where messages are written to, and what may be written.
pub(super) struct MessageWriter<'o, 'w> {
    pub(super) writer: &'o mut Writer<'w>,
    pub(super) losses: &'o mut Losses,
    pub(super) quirks: &'o Quirks,
    pub(super) is_same: bool,
}

/// Writes the conversation.
pub(super) fn messages(messages: &[Message<'_>], mut out: MessageWriter<'_, '_>) {
    out.writer.array("messages");
    let mut pending = Vec::new();
    for message in messages {
        let Message { role, parts, name, extras, at: _ } = message;
        if *role != Role::Tool {
            out.pictures_of_tools(&mut pending);
        }
        match role {
            // A turn of nothing is refused.
            Role::Assistant if out.is_silent(parts) => {
                parts.iter().for_each(|part| out.losses.unsupported(part.at));
                out.losses.without(name.as_ref());
                out.losses.extras(extras);
                continue;
            }
            Role::Tool => {
                out.losses.without(name.as_ref());
                for part in parts {
                    out.tool_message(part, extras, &mut pending);
                }
                continue;
            }
            Role::System => out.open("system"),
            Role::Developer => out.open(if out.quirks.has_developer_role { "developer" } else { "system" }),
            Role::User => out.open("user"),
            Role::Assistant => out.open("assistant"),
        }
        if let Some(name) = name {
            out.writer.key("name").text(&name.value);
        }
        if *role == Role::Assistant {
            out.assistant(parts)
        } else {
            out.content(&parts.iter().collect::<Vec<_>>())
        }
        extras_of(out.writer, out.losses, extras, out.is_same);
        out.writer.end_object();
    }
    out.pictures_of_tools(&mut pending);
    out.writer.end_array();
}

impl MessageWriter<'_, '_> {
    fn open(&mut self, role: &str) {
        self.writer.begin_object();
        self.writer.key("role").text(role);
    }

    /// Writes `content`: a string where one bare text is all there is, otherwise parts.
    fn content(&mut self, parts: &[&Part<'_>]) {
        let (carried, lost): (Vec<&Part<'_>>, Vec<&Part<'_>>) = parts.iter().partition(|part| self.carries(part));
        for part in lost {
            self.losses.unsupported(part.at);
        }
        self.carried(&carried);
    }

    fn carried(&mut self, parts: &[&Part<'_>]) {
        if let [only] = parts
            && let Content::Text { text, citations } = &only.content
            && (only.extras.is_empty() || !self.is_same)
            && self.cannot_mark(only)
        {
            // Many servers take nothing but a string from the model's side.
            citations.iter().for_each(|citation| self.losses.unsupported(citation.at));
            self.losses.extras(&only.extras);
            cache_mark(self.writer, self.losses, CacheMarks::None, only.cache.as_ref());
            return self.writer.key("content").text(text);
        }
        self.writer.array("content");
        let mut written = 0;
        for part in parts {
            written += u32::from(self.part(part));
        }
        if written == 0 {
            // An empty list is refused, and the rest of the message may still matter.
            self.begin("text");
            self.writer.key("text").text("");
            self.writer.end_object();
        }
        self.writer.end_array();
    }

    /// Returns whether nothing of the model's turn will be written.
    fn is_silent(&self, parts: &[Part<'_>]) -> bool {
        let is_lost = |part: &Part<'_>| match part.content {
            Content::Opaque { .. } => !self.is_same,
            Content::Thinking { .. } | Content::RedactedThinking { .. } => self.quirks.reasoning_field == ReasoningField::None,
            Content::ToolResult(_) => true,
            Content::Text { .. }
            | Content::Refusal { .. }
            | Content::Image { .. }
            | Content::Audio { .. }
            | Content::Video { .. }
            | Content::Document { .. }
            | Content::ToolCall(_) => false,
        };
        !parts.is_empty() && parts.iter().all(is_lost)
    }

    /// Returns whether the format has such parts at all.
    const fn carries(&self, part: &Part<'_>) -> bool {
        match part.content {
            Content::Opaque { .. } => self.is_same,
            Content::ToolCall(_) | Content::ToolResult(_) | Content::Thinking { .. } | Content::RedactedThinking { .. } => false,
            Content::Text { .. }
            | Content::Refusal { .. }
            | Content::Image { .. }
            | Content::Audio { .. }
            | Content::Video { .. }
            | Content::Document { .. } => true,
        }
    }

    /// Returns whether a part's cache mark, if it has one, will not be written anyway.
    fn cannot_mark(&self, part: &Part<'_>) -> bool {
        part.cache.is_none() || self.quirks.cache_marks == CacheMarks::None
    }

    /// Returns whether the part was written.
    fn part(&mut self, part: &Part<'_>) -> bool {
        let Part { content, cache, extras, at } = part;
        let is_written = match content {
            Content::Text { text, citations } => {
                for citation in citations {
                    self.losses.unsupported(citation.at);
                }
                self.begin("text");
                self.writer.key("text").text(text);
                true
            }
            Content::Refusal { text } => {
                self.begin("refusal");
                self.writer.key("refusal").text(text);
                true
            }
            Content::Image { media, detail } => self.image(media, detail.as_ref()),
            Content::Audio { media } => self.audio(media),
            Content::Video { media } => self.video(media),
            Content::Document { media, title, context, citations } => {
                self.losses.without(context.as_ref());
                self.losses.without(citations.as_ref());
                self.document(media, title.as_ref())
            }
            Content::Opaque { format: _, block } => {
                self.writer.json(block);
                return true;
            }
            // Not carried; the caller has told it.
            Content::ToolCall(_) | Content::ToolResult(_) | Content::Thinking { .. } | Content::RedactedThinking { .. } => false,
        };
        if !is_written {
            self.losses.unsupported(*at);
            return false;
        }
        cache_mark(self.writer, self.losses, self.quirks.cache_marks, cache.as_ref());
        extras_of(self.writer, self.losses, extras, self.is_same);
        self.writer.end_object();
        true
    }

    fn begin(&mut self, kind: &str) {
        self.writer.begin_object();
        self.writer.key("type").text(kind);
    }

    fn image(&mut self, media: &Media<'_>, detail: Option<&Given<Text<'_>>>) -> bool {
        let Some(url) = media.to_url() else { return false };
        self.begin("image_url");
        self.writer.object("image_url");
        self.writer.key("url").text(&url);
        if let Some(detail) = detail {
            self.writer.key("detail").text(&detail.value);
        }
        self.writer.end_object();
        true
    }

    fn audio(&mut self, media: &Media<'_>) -> bool {
        let Media::Base64 { media_type, data } = media else { return false };
        self.begin("input_audio");
        self.writer.object("input_audio");
        self.writer.key("data").text(data);
        let format = match media_type.strip_prefix("audio/").unwrap_or(media_type) {
            "mpeg" => "mp3",
            "x-wav" | "wave" => "wav",
            other => other,
        };
        self.writer.key("format").text(format);
        self.writer.end_object();
        true
    }

    fn video(&mut self, media: &Media<'_>) -> bool {
        // OpenAI itself has no such part; the servers that have it are reached by clients of this format.
        let url = match media {
            Media::Base64 { media_type, data } if self.is_same => Text::Owned(data_url(media_type, data)),
            Media::Url(url) if self.is_same => Text::Borrowed(&**url),
            Media::Base64 { .. } | Media::Url(_) | Media::File(_) | Media::Text(_) => return false,
        };
        self.begin("video_url");
        self.writer.object("video_url");
        self.writer.key("url").text(&url);
        self.writer.end_object();
        true
    }

    fn document(&mut self, media: &Media<'_>, title: Option<&Given<Text<'_>>>) -> bool {
        match media {
            Media::Base64 { media_type, data } => {
                self.begin("file");
                self.writer.object("file");
                // The name is required beside the data.
                self.writer.key("filename").text(title.map_or("document", |title| &*title.value));
                self.writer.key("file_data").text(&data_url(media_type, data));
                self.writer.end_object();
                true
            }
            Media::File(id) if self.is_same => {
                self.begin("file");
                self.writer.object("file");
                self.writer.key("file_id").text(id);
                if let Some(title) = title {
                    self.writer.key("filename").text(&title.value);
                }
                self.writer.end_object();
                true
            }
            Media::Text(text) => {
                self.begin("text");
                match title {
                    Some(title) => self.writer.key("text").text(&format!("{}\n\n{text}", title.value)),
                    None => self.writer.key("text").text(text),
                }
                true
            }
            Media::File(_) | Media::Url(_) => false,
        }
    }

    fn assistant(&mut self, parts: &[Part<'_>]) {
        thoughts::write(parts, self.writer, self.losses, self.quirks.reasoning_field);
        let is_call = |part: &&Part<'_>| matches!(part.content, Content::ToolCall(_));
        let is_said =
            |part: &&Part<'_>| !is_call(part) && !matches!(part.content, Content::Thinking { .. } | Content::RedactedThinking { .. });
        let said: Vec<&Part<'_>> = parts.iter().filter(is_said).collect();
        match said.as_slice() {
            // Null, not "": some servers and all prompt caches tell them apart.
            [] => self.writer.key("content").null(),
            // The member has no room for anything beside the words.
            [Part { content: Content::Refusal { text }, cache, extras, at: _ }] => {
                self.writer.key("content").null();
                self.writer.key("refusal").text(text);
                cache_mark(self.writer, self.losses, CacheMarks::None, cache.as_ref());
                self.losses.extras(extras);
            }
            said => self.content(said),
        }
        if !parts.iter().any(|part| is_call(&part)) {
            return;
        }
        self.writer.array("tool_calls");
        for part in parts {
            if let Content::ToolCall(call) = &part.content {
                self.tool_call(call, part);
            }
        }
        self.writer.end_array();
    }

    fn tool_call(&mut self, call: &ToolCall<'_>, part: &Part<'_>) {
        open_call(self.writer, &call_ids::sent(&call.id, self.quirks), call);
        cache_mark(self.writer, self.losses, self.quirks.cache_marks, part.cache.as_ref());
        extras_of(self.writer, self.losses, &part.extras, self.is_same);
        self.writer.end_object();
    }

    /// Writes one result. Pictures and documents wait, because a tool's message may hold nothing but text, and no other message may stand
    /// between the results of one turn.
    fn tool_message<'p>(&mut self, part: &'p Part<'p>, extras: &crate::wire::json::Extras<'_>, pending: &mut Vec<&'p Part<'p>>) {
        let Content::ToolResult(ToolResult { id, name: _, parts, is_error }) = &part.content else {
            return self.losses.unsupported(part.at);
        };
        self.open("tool");
        self.writer.key("tool_call_id").text(&call_ids::sent(id, self.quirks));
        let has_failed = is_error.is_some_and(|is_error| is_error.value);
        if let Some(is_error) = is_error.filter(|is_error| is_error.value) {
            self.losses.approximated(is_error.at);
        }
        let is_text = |part: &&Part<'_>| matches!(part.content, Content::Text { .. });
        let texts: Vec<&Part<'_>> = parts.iter().filter(is_text).collect();
        pending.extend(parts.iter().filter(|part| !is_text(part)));
        match texts.as_slice() {
            [] => self.writer.key("content").text(if has_failed { "Error" } else { "" }),
            [first, ..] if has_failed => {
                // The format has no word for a failure, so the text must say it.
                let prefix = Part::text(Text::Borrowed("Error:"), first.at);
                let mut all = vec![&prefix];
                all.extend(&texts);
                self.content(&all);
            }
            texts => self.content(texts),
        }
        cache_mark(self.writer, self.losses, self.quirks.cache_marks, part.cache.as_ref());
        extras_of(self.writer, self.losses, extras, self.is_same);
        extras_of(self.writer, self.losses, &part.extras, self.is_same);
        self.writer.end_object();
    }

    /// Writes what tools returned besides text as a message of the user, which is where OpenAI takes pictures.
    fn pictures_of_tools<'p>(&mut self, pending: &mut Vec<&'p Part<'p>>) {
        if pending.is_empty() {
            return;
        }
        let parts: Vec<&Part<'_>> = std::mem::take(pending);
        for part in &parts {
            self.losses.approximated(part.at);
        }
        self.open("user");
        self.content(&parts);
        self.writer.end_object();
    }
}

/// Writes a call, all but its closing brace.
pub(in crate::wire::openai_chat) fn open_call(writer: &mut Writer<'_>, id: &str, call: &ToolCall<'_>) {
    let ToolCall { id: _, name, input, is_custom } = call;
    let (kind, member) = if *is_custom { ("custom", "input") } else { ("function", "arguments") };
    writer.begin_object();
    writer.key("id").text(id);
    writer.key("type").text(kind);
    writer.object(kind);
    writer.key("name").text(name);
    writer.key(member).text(input);
    writer.end_object();
}

fn data_url(media_type: &str, data: &str) -> String {
    format!("data:{media_type};base64,{data}")
}
