//! Writes blocks of content and tools.

use base64::Engine as _;

use super::encode::{OUTPUT_TOOL, object_schema};
use crate::wire::Format;
use crate::wire::ir::{CacheMark, Citation, Content, Losses, Maker, Media, Output, Part, Signature, Tool, ToolCall, ToolKind, ToolResult};
use crate::wire::json::{self, Extras, Given, Text, Writer};

/// Where blocks are written to.
pub(super) struct BlockWriter<'w> {
    pub(super) writer: Writer<'w>,
    pub(super) losses: Losses,
    /// The client speaks this format too, so what nobody understood can pass.
    pub(super) is_same: bool,
    /// The last text of the next blocks loses the space at its end.
    pub(super) trims_last: bool,
}

impl BlockWriter<'_> {
    /// Writes what nobody understood, where the client speaks this format.
    pub(super) fn extras(&mut self, extras: &Extras<'_>) {
        if !self.is_same {
            return self.losses.extras(extras);
        }
        for extra in extras {
            self.writer.key(&extra.name).json(&extra.value);
        }
    }

    /// Writes blocks under a name.
    pub(super) fn blocks(&mut self, name: &str, parts: &[&Part<'_>]) {
        self.writer.array(name);
        let mut written = 0;
        for (index, part) in parts.iter().enumerate() {
            let is_trimmed = self.trims_last && index + 1 == parts.len();
            written += u32::from(self.block(part, is_trimmed));
        }
        if written == 0 && !self.is_same {
            // No content is refused, and the turn itself may still matter.
            self.text(".");
            self.writer.end_object();
        }
        self.writer.end_array();
    }

    fn begin(&mut self, kind: &str) {
        self.writer.begin_object();
        self.writer.key("type").text(kind);
    }

    fn text(&mut self, text: &str) {
        self.begin("text");
        self.writer.key("text").text(text);
    }

    /// Writes one block. Returns whether it was written.
    fn block(&mut self, part: &Part<'_>, is_trimmed: bool) -> bool {
        let Part { content, cache, extras, at } = part;
        let is_written = match content {
            Content::Text { text, citations } => {
                let trimmed = if is_trimmed { text.trim_end() } else { text };
                if trimmed.len() != text.len() {
                    self.losses.approximated(*at);
                }
                self.text(trimmed);
                self.citations(citations);
                true
            }
            Content::Refusal { text } => {
                self.losses.approximated(*at);
                self.text(text);
                true
            }
            Content::Image { media, detail } => {
                self.losses.without(detail.as_ref());
                self.media("image", media)
            }
            Content::Document { media, title, context, citations } => {
                self.document(media, title.as_ref(), context.as_ref(), citations.as_ref())
            }
            Content::ToolCall(call) => {
                self.tool_use(call, *at);
                true
            }
            Content::ToolResult(result) => {
                self.tool_result(result);
                true
            }
            Content::Thinking { text, signature } => self.thinking(text, signature.as_ref()),
            Content::RedactedThinking { data } if data.maker == Maker::Anthropic => {
                self.begin("redacted_thinking");
                self.writer.key("data").text(&data.value);
                true
            }
            Content::Opaque { format: Format::Anthropic, block } if self.is_same => {
                self.writer.json(block);
                return true;
            }
            Content::Opaque { .. } | Content::RedactedThinking { .. } | Content::Audio { .. } | Content::Video { .. } => false,
        };
        if !is_written {
            self.losses.unsupported(*at);
            return false;
        }
        self.cache_mark(cache.as_ref());
        self.extras(extras);
        self.writer.end_object();
        true
    }

    /// Writes `cache_control`. This format knows two lifetimes; the nearest that is not shorter stands for another one.
    pub(super) fn cache_mark(&mut self, mark: Option<&Given<CacheMark<'_>>>) {
        let Some(mark) = mark else { return };
        self.writer.object("cache_control");
        self.writer.key("type").text("ephemeral");
        if let Some(ttl) = &mark.value.ttl {
            let is_known = self.is_same || matches!(&**ttl, "5m" | "1h");
            if !is_known {
                self.losses.approximated(mark.at);
            }
            self.writer.key("ttl").text(if is_known { ttl } else { "1h" });
        }
        self.writer.end_object();
    }

    fn citations(&mut self, citations: &[Citation<'_>]) {
        let own = |citation: &&Citation<'_>| citation.origin.0 == Format::Anthropic;
        for foreign in citations.iter().filter(|citation| !own(citation)) {
            self.losses.unsupported(foreign.at);
        }
        if !citations.iter().any(|citation| own(&citation)) {
            return;
        }
        self.writer.array("citations");
        for citation in citations.iter().filter(own) {
            self.writer.json(&citation.origin.1);
        }
        self.writer.end_array();
    }

    /// Writes thoughts where Claude made them: nobody else's signature is accepted, and none without.
    fn thinking(&mut self, text: &str, signature: Option<&Signature<'_>>) -> bool {
        let Some(signature) = signature.filter(|signature| signature.maker == Maker::Anthropic) else {
            return false;
        };
        self.begin("thinking");
        self.writer.key("thinking").text(text);
        self.writer.key("signature").text(&signature.value);
        true
    }

    /// Opens a block with a source; an upload of another provider's, or what has no bytes, cannot be written.
    fn media(&mut self, kind: &str, media: &Media<'_>) -> bool {
        let is_image = kind == "image";
        match media {
            Media::Base64 { media_type, data } => {
                let media_type = if media_type == "image/jpg" { "image/jpeg" } else { media_type };
                if !is_image && media_type.starts_with("text/") {
                    let bytes = base64::engine::general_purpose::STANDARD.decode(data.as_bytes());
                    let text = bytes.ok().and_then(|bytes| String::from_utf8(bytes).ok());
                    return text.is_some_and(|text| self.media(kind, &Media::Text(text.into())));
                }
                let fits = if is_image { media_type.starts_with("image/") } else { media_type == "application/pdf" };
                if !fits && !self.is_same {
                    return false;
                }
                self.source(kind, "base64");
                self.writer.key("media_type").text(media_type);
                self.writer.key("data").text(data);
            }
            Media::Url(url) if self.is_same || url.starts_with("http") => {
                self.source(kind, "url");
                self.writer.key("url").text(url);
            }
            Media::File(id) if self.is_same => {
                self.source(kind, "file");
                self.writer.key("file_id").text(id);
            }
            Media::Text(text) if !is_image => {
                self.source(kind, "text");
                self.writer.key("media_type").text("text/plain");
                self.writer.key("data").text(text);
            }
            Media::Url(_) | Media::File(_) | Media::Text(_) => return false,
        }
        self.writer.end_object();
        true
    }

    fn source(&mut self, kind: &str, source: &str) {
        self.begin(kind);
        self.writer.object("source");
        self.writer.key("type").text(source);
    }

    fn document(
        &mut self,
        media: &Media<'_>,
        title: Option<&Given<Text<'_>>>,
        context: Option<&Given<Text<'_>>>,
        citations: Option<&Given<bool>>,
    ) -> bool {
        if !self.media("document", media) {
            return false;
        }
        if let Some(title) = title {
            self.writer.key("title").text(&title.value);
        }
        if let Some(context) = context {
            self.writer.key("context").text(&context.value);
        }
        if let Some(citations) = citations {
            self.writer.object("citations");
            self.writer.key("enabled").bool(citations.value);
            self.writer.end_object();
        }
        true
    }

    fn tool_use(&mut self, call: &ToolCall<'_>, at: json::Place) {
        let ToolCall { id, name, input, is_custom } = call;
        self.begin("tool_use");
        self.writer.key("id").text(&tool_id(id));
        self.writer.key("name").text(name);
        if !is_custom && json::is_object(input) {
            return self.writer.key("input").raw(input);
        }
        // Free text, or what the model broke: an object is required here.
        self.losses.approximated(at);
        self.writer.object("input");
        self.writer.key("input").text(input);
        self.writer.end_object();
    }

    fn tool_result(&mut self, result: &ToolResult<'_>) {
        // The name is the call's.
        let ToolResult { id, name: _, parts, is_error } = result;
        self.begin("tool_result");
        self.writer.key("tool_use_id").text(&tool_id(id));
        match parts.as_slice() {
            [] => {}
            [Part { content: Content::Text { text, citations }, cache: None, extras, at: _ }]
                if citations.is_empty() && extras.is_empty() =>
            {
                self.writer.key("content").text(text);
            }
            parts => self.blocks("content", &parts.iter().collect::<Vec<_>>()),
        }
        if let Some(is_error) = is_error {
            self.writer.key("is_error").bool(is_error.value);
        }
    }

    /// Writes a tool.
    pub(super) fn tool(&mut self, tool: &Tool<'_>, knows_strict: bool) {
        let Tool { kind, cache, extras, at: _ } = tool;
        match kind {
            ToolKind::Function { name, description, parameters, strict } => {
                self.writer.begin_object();
                self.writer.key("name").text(name);
                if let Some(description) = description {
                    self.writer.key("description").text(&description.value);
                }
                match parameters {
                    Some(schema) if self.is_same => self.writer.key("input_schema").json(schema),
                    Some(schema) => self.writer.key("input_schema").raw(&object_schema(schema.as_str())),
                    None => self.writer.key("input_schema").raw(r#"{"type":"object"}"#),
                }
                match strict {
                    Some(strict) if knows_strict || self.is_same => self.writer.key("strict").bool(strict.value),
                    Some(strict) if strict.value => self.losses.unsupported(strict.at),
                    Some(_) | None => {}
                }
                self.cache_mark(cache.as_ref());
                self.extras(extras);
                self.writer.end_object();
            }
            ToolKind::Opaque { definition } => self.writer.json(definition),
            // Never sent here; the caller has told it.
            ToolKind::Custom { .. } => {}
        }
    }

    /// Writes the tool whose input is the answer that was asked for.
    pub(super) fn output_tool(&mut self, output: &Given<Output<'_>>) {
        let Output::JsonSchema { schema, .. } = &output.value else { return };
        self.losses.approximated(output.at);
        self.writer.begin_object();
        self.writer.key("name").text(OUTPUT_TOOL);
        self.writer.key("description").text("Gives the final answer. Call it once, with the whole answer as its input.");
        self.writer.key("input_schema").raw(&object_schema(schema.as_str()));
        self.writer.end_object();
    }
}

/// Returns an id that the provider takes (`[a-zA-Z0-9_-]+`); a call and its result get the same one.
fn tool_id<'i>(id: &'i Text<'_>) -> Text<'i> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    if !id.is_empty() && id.bytes().all(fits) {
        return Text::Borrowed(id);
    }
    if id.is_empty() {
        return Text::Borrowed("call");
    }
    Text::Owned(id.chars().map(|character| if character.is_ascii_alphanumeric() || character == '-' { character } else { '_' }).collect())
}
