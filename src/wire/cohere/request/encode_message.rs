//! Writes messages and their blocks.

use crate::wire::Format;
use crate::wire::ir::{Content, Losses, Media, Message, Part, Role, ToolCall, ToolResult};
use crate::wire::json::{self, Extras, Given, Text, Writer};

/// Where messages are written to.
pub(super) struct MessageWriter<'w> {
    pub(super) writer: Writer<'w>,
    pub(super) losses: Losses,
    /// The client speaks this format too, so what nobody understood can pass.
    pub(super) is_same: bool,
}

impl MessageWriter<'_> {
    /// Writes what nobody understood, where the client speaks this format.
    pub(super) fn extras(&mut self, extras: &Extras<'_>) {
        if !self.is_same {
            return self.losses.extras(extras);
        }
        for extra in extras {
            self.writer.key(&extra.name).json(&extra.value);
        }
    }

    /// Writes one message; each result of a tool is one of its own.
    pub(super) fn message(&mut self, message: &Message<'_>) {
        let Message { role, parts, name, extras, at: _ } = message;
        self.losses.without(name.as_ref());
        match role {
            Role::System | Role::Developer => self.plain("system", parts, extras),
            Role::User => self.plain("user", parts, extras),
            Role::Assistant => self.assistant(parts, extras),
            Role::Tool => {
                let results = parts.iter().filter_map(|part| match &part.content {
                    Content::ToolResult(result) => Some((part, result)),
                    _ => None,
                });
                let none = Vec::new();
                for (number, (part, result)) in results.enumerate() {
                    self.losses.without(part.cache.as_ref());
                    self.losses.extras(&part.extras);
                    self.tool(result, if number == 0 { extras } else { &none });
                }
            }
        }
    }

    fn plain(&mut self, role: &str, parts: &[Part<'_>], extras: &Extras<'_>) {
        if !self.is_same && parts.iter().all(is_blank) {
            // Nothing was said, and a message of nothing is refused.
            parts.iter().for_each(|part| self.lost(part));
            return self.losses.extras(extras);
        }
        self.begin(role);
        self.content(parts, role == "user");
        self.extras(extras);
        self.writer.end_object();
    }

    fn begin(&mut self, role: &str) {
        self.writer.begin_object();
        self.writer.key("role").text(role);
    }

    /// Tells what hangs on a text of nothing.
    fn lost(&mut self, part: &Part<'_>) {
        self.losses.without(part.cache.as_ref());
        self.losses.extras(&part.extras);
        self.uncited(part);
    }

    /// What a text of a prompt cites has no place.
    fn uncited(&mut self, part: &Part<'_>) {
        if let Content::Text { text: _, citations } = &part.content {
            for citation in citations {
                self.losses.unsupported(citation.at);
            }
        }
    }

    /// Writes `content`: a string where one bare text is all there is.
    fn content(&mut self, parts: &[Part<'_>], takes_images: bool) {
        if let [only] = parts
            && let Content::Text { text, .. } = &only.content
            && only.extras.is_empty()
        {
            self.lost(only);
            return self.writer.key("content").text(text);
        }
        self.writer.array("content");
        let mut written = 0;
        for part in parts {
            written += u32::from(self.block(part, takes_images));
        }
        if written == 0 && !self.is_same {
            self.writer.begin_object();
            self.writer.key("type").text("text");
            self.writer.key("text").text(".");
            self.writer.end_object();
        }
        self.writer.end_array();
    }

    /// Writes one block. Returns whether it was written.
    fn block(&mut self, part: &Part<'_>, takes_images: bool) -> bool {
        let Part { content, cache, extras, at } = part;
        if is_blank(part) && !self.is_same {
            self.lost(part);
            return false;
        }
        let is_written = match content {
            Content::Text { text, .. } | Content::Refusal { text } => {
                if matches!(content, Content::Refusal { .. }) {
                    self.losses.approximated(*at);
                }
                self.uncited(part);
                self.writer.begin_object();
                self.writer.key("type").text("text");
                self.writer.key("text").text(text);
                true
            }
            Content::Thinking { text, signature: None } => {
                self.writer.begin_object();
                self.writer.key("type").text("thinking");
                self.writer.key("thinking").text(text);
                true
            }
            // Users alone show pictures.
            Content::Image { media, detail } => (takes_images || self.is_same) && self.image(media, detail.as_ref()),
            Content::Document { media, title, context, citations } => {
                self.losses.without(context.as_ref());
                self.losses.without(citations.as_ref());
                self.document(media, title.as_ref())
            }
            Content::Opaque { format: Format::Cohere, block } if self.is_same => {
                self.writer.json(block);
                return true;
            }
            // Signed thoughts are somebody else's.
            Content::Thinking { .. }
            | Content::RedactedThinking { .. }
            | Content::Opaque { .. }
            | Content::Audio { .. }
            | Content::Video { .. }
            | Content::ToolCall(_)
            | Content::ToolResult(_) => false,
        };
        if !is_written {
            self.losses.unsupported(*at);
            return false;
        }
        self.losses.without(cache.as_ref());
        self.extras(extras);
        self.writer.end_object();
        true
    }

    fn image(&mut self, media: &Media<'_>, detail: Option<&Given<Text<'_>>>) -> bool {
        let Some(url) = media.to_url() else { return false };
        self.writer.begin_object();
        image_url(&mut self.writer, &url, detail.map(|detail| &*detail.value));
        true
    }

    /// Writes a document as text, which is what one is here. In a tool's result it is a block of its own.
    fn document(&mut self, media: &Media<'_>, title: Option<&Given<Text<'_>>>) -> bool {
        let Media::Text(text) = media else {
            return false;
        };
        self.writer.begin_object();
        if self.is_same {
            self.writer.key("type").text("document");
            self.tool_document(text, title);
            return true;
        }
        self.writer.key("type").text("text");
        match title {
            Some(title) => self.writer.key("text").text(&format!("{}\n\n{text}", title.value)),
            None => self.writer.key("text").text(text),
        }
        true
    }

    fn tool_document(&mut self, text: &str, title: Option<&Given<Text<'_>>>) {
        self.writer.object("document");
        if let Some(title) = title {
            self.writer.key("id").text(&title.value);
        }
        if json::is_object(text) {
            self.writer.key("data").raw(text);
        } else {
            self.writer.object("data");
            self.writer.key("text").text(text);
            self.writer.end_object();
        }
        self.writer.end_object();
    }

    fn assistant(&mut self, parts: &[Part<'_>], extras: &Extras<'_>) {
        let calls: Vec<(&Part<'_>, &ToolCall<'_>)> =
            parts.iter().filter_map(|part| if let Content::ToolCall(call) = &part.content { Some((part, call)) } else { None }).collect();
        // What was thought before calls is their plan.
        let is_plan = |part: &&Part<'_>| !calls.is_empty() && matches!(&part.content, Content::Thinking { signature: None, .. });
        let plans: Vec<&Part<'_>> = parts.iter().filter(is_plan).collect();
        let said: Vec<Part<'_>> =
            parts.iter().filter(|part| !is_plan(part) && !matches!(part.content, Content::ToolCall(_))).cloned().collect();
        let says_nothing = said.iter().all(|part| is_blank(part) || is_unsayable(part, self.is_same));
        if says_nothing && calls.is_empty() && !self.is_same {
            for part in &said {
                if is_blank(part) { self.lost(part) } else { self.losses.unsupported(part.at) }
            }
            return self.losses.extras(extras);
        }
        self.begin("assistant");
        match said.as_slice() {
            [] => {}
            said if says_nothing && !self.is_same => {
                for part in said {
                    if is_blank(part) { self.lost(part) } else { self.losses.unsupported(part.at) }
                }
            }
            said => self.content(said, false),
        }
        if !plans.is_empty() {
            let texts: Vec<&str> = plans
                .iter()
                .filter_map(|part| if let Content::Thinking { text, .. } = &part.content { Some(&**text) } else { None })
                .collect();
            self.writer.key("tool_plan").text(&texts.join("\n"));
            plans.iter().for_each(|part| self.lost(part));
        }
        self.calls(&calls);
        self.extras(extras);
        self.writer.end_object();
    }

    fn calls(&mut self, calls: &[(&Part<'_>, &ToolCall<'_>)]) {
        let array = self.writer.optional_array("tool_calls");
        for (part, call) in calls {
            self.writer.begin_object();
            self.writer.key("id").text(if call.id.is_empty() { "call" } else { &call.id });
            self.writer.key("type").text("function");
            self.writer.object("function");
            self.writer.key("name").text(&call.name);
            if call.is_custom {
                self.losses.approximated(part.at);
            }
            self.writer.key("arguments").text(&arguments(call));
            self.writer.end_object();
            self.losses.without(part.cache.as_ref());
            self.extras(&part.extras);
            self.writer.end_object();
        }
        self.writer.end_optional(array);
    }

    fn tool(&mut self, result: &ToolResult<'_>, extras: &Extras<'_>) {
        // The name is the call's.
        let ToolResult { id, name: _, parts, is_error } = result;
        self.begin("tool");
        self.writer.key("tool_call_id").text(if id.is_empty() { "call" } else { id });
        // The format has no word for it.
        self.losses.without(is_error.filter(|is_error| is_error.value).as_ref());
        if parts.is_empty() {
            self.writer.key("content").text("");
        } else {
            self.content(parts, false);
        }
        self.extras(extras);
        self.writer.end_object();
    }
}

fn is_blank(part: &Part<'_>) -> bool {
    matches!(&part.content, Content::Text { text, .. } if text.trim().is_empty())
}

/// Returns whether nothing of a part can be said in an assistant's content.
fn is_unsayable(part: &Part<'_>, is_same: bool) -> bool {
    match &part.content {
        Content::Thinking { signature, .. } => signature.is_some(),
        Content::Opaque { .. } => !is_same,
        Content::RedactedThinking { .. } | Content::Audio { .. } | Content::Video { .. } => true,
        Content::Image { .. } => !is_same,
        Content::Document { media, .. } => !matches!(media, Media::Text(_)),
        Content::Text { .. } | Content::Refusal { .. } | Content::ToolCall(_) | Content::ToolResult(_) => false,
    }
}

/// Returns a call's arguments, which are JSON in a string; free text stands in an object.
pub(in crate::wire::cohere) fn arguments<'c>(call: &'c ToolCall<'_>) -> Text<'c> {
    if !call.is_custom {
        return Text::Borrowed(&call.input);
    }
    let mut out = Vec::new();
    let mut writer = Writer::new(&mut out);
    writer.begin_object();
    writer.key("input").text(&call.input);
    writer.end_object();
    Text::Owned(String::from_utf8_lossy(&out).into_owned())
}

/// Writes the members of a picture's block, which stays open.
pub(in crate::wire::cohere) fn image_url(writer: &mut Writer<'_>, url: &str, detail: Option<&str>) {
    writer.key("type").text("image_url");
    writer.object("image_url");
    writer.key("url").text(url);
    if let Some(detail) = detail {
        writer.key("detail").text(detail);
    }
    writer.end_object();
}
