//! Writes messages. Each has one text, pictures beside it, and nothing else.

use std::collections::BTreeMap;

use crate::wire::calls;
use crate::wire::ir::{Content, Losses, Media, Message, Part, Role, ToolCall, ToolResult};
use crate::wire::json::{Extras, Writer};
use crate::wire::ollama::message::function;

/// Where messages are written to.
pub(super) struct MessageWriter<'w> {
    pub(super) writer: Writer<'w>,
    pub(super) losses: Losses,
    /// The client speaks this format too, so what nobody understood can pass.
    pub(super) is_same: bool,
    /// The names of tools, by the ids of their calls.
    pub(super) names: BTreeMap<String, String>,
}

/// What a message comes to.
#[derive(Default)]
struct Said {
    texts: Vec<String>,
    thoughts: Vec<String>,
    pictures: Vec<String>,
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
        let said = self.said(parts, false);
        if said.texts.is_empty() && said.pictures.is_empty() && !self.is_same {
            // Nothing is left to be said.
            return self.losses.extras(extras);
        }
        self.begin(role);
        self.content(&said, "\n");
        self.extras(extras);
        self.writer.end_object();
    }

    fn begin(&mut self, role: &str) {
        self.writer.begin_object();
        self.writer.key("role").text(role);
    }

    fn content(&mut self, said: &Said, between: &str) {
        self.writer.key("content").text(&said.texts.join(between));
        let array = self.writer.optional_array("images");
        for picture in &said.pictures {
            self.writer.text(picture);
        }
        self.writer.end_optional(array);
    }

    fn assistant(&mut self, parts: &[Part<'_>], extras: &Extras<'_>) {
        let (calls, others): (Vec<&Part<'_>>, Vec<&Part<'_>>) = parts.iter().partition(|part| matches!(part.content, Content::ToolCall(_)));
        let said = self.said(others, true);
        let is_empty = said.texts.is_empty() && said.pictures.is_empty() && said.thoughts.is_empty() && calls.is_empty();
        if is_empty && !self.is_same {
            return self.losses.extras(extras);
        }
        self.begin("assistant");
        // What the model said in pieces was one text.
        self.content(&said, "");
        if !said.thoughts.is_empty() {
            self.writer.key("thinking").text(&said.thoughts.join("\n"));
        }
        let array = self.writer.optional_array("tool_calls");
        for part in calls {
            self.call(part);
        }
        self.writer.end_optional(array);
        self.extras(extras);
        self.writer.end_object();
    }

    fn call(&mut self, part: &Part<'_>) {
        let Part { content: Content::ToolCall(call), cache, extras, at } = part else { return };
        let ToolCall { id, name, input, is_custom } = call;
        self.losses.without(cache.as_ref());
        self.names.insert(id.clone().into_owned(), name.clone().into_owned());
        self.writer.begin_object();
        if !id.is_empty() && !calls::is_missing(id) {
            self.writer.key("id").text(id);
        }
        if !function(&mut self.writer, name, input, *is_custom) {
            self.losses.approximated(*at);
        }
        self.extras(extras);
        self.writer.end_object();
    }

    fn tool(&mut self, result: &ToolResult<'_>, extras: &Extras<'_>) {
        let ToolResult { id, name, parts, is_error } = result;
        let said = self.said(parts, false);
        self.begin("tool");
        self.content(&said, "\n");
        if let Some(name) = self.names.get(&**id).map(String::as_str).or(name.as_deref()) {
            self.writer.key("tool_name").text(name);
        }
        if !id.is_empty() && !calls::is_missing(id) {
            self.writer.key("tool_call_id").text(id);
        }
        // The format has no word for it.
        self.losses.without(is_error.filter(|is_error| is_error.value).as_ref());
        self.extras(extras);
        self.writer.end_object();
    }

    /// Gathers what can be said of parts, and tells the rest.
    fn said<'p, 'a: 'p>(&mut self, parts: impl IntoIterator<Item = &'p Part<'a>>, may_think: bool) -> Said {
        let mut said = Said::default();
        for Part { content, cache, extras, at } in parts {
            self.losses.without(cache.as_ref());
            self.losses.extras(extras);
            match content {
                Content::Text { text, citations } => {
                    for citation in citations {
                        self.losses.unsupported(citation.at);
                    }
                    if self.is_same || !text.trim().is_empty() {
                        said.texts.push(text.clone().into_owned());
                    }
                }
                Content::Refusal { text } => {
                    self.losses.approximated(*at);
                    said.texts.push(text.clone().into_owned());
                }
                Content::Thinking { text, signature: None } if may_think => said.thoughts.push(text.clone().into_owned()),
                Content::Image { media: Media::Base64 { media_type: _, data }, detail } => {
                    self.losses.without(detail.as_ref());
                    said.pictures.push(data.clone().into_owned());
                }
                Content::Document { media: Media::Text(text), title, context, citations } => {
                    self.losses.without(context.as_ref());
                    self.losses.without(citations.as_ref());
                    let title = title.as_ref().map(|title| format!("{}\n\n", title.value)).unwrap_or_default();
                    said.texts.push(format!("{title}{text}"));
                }
                // Signed thoughts are somebody else's, and the server fetches nothing.
                Content::Thinking { .. }
                | Content::RedactedThinking { .. }
                | Content::Image { .. }
                | Content::Document { .. }
                | Content::Audio { .. }
                | Content::Video { .. }
                | Content::Opaque { .. }
                | Content::ToolCall(_)
                | Content::ToolResult(_) => self.losses.unsupported(*at),
            }
        }
        said
    }
}
