//! Writes blocks of content.

use std::collections::BTreeSet;

use super::encode_media::MediaBlock;
use crate::base::Digest;
use crate::wire::Format;
use crate::wire::bedrock::media::Kind;
use crate::wire::bedrock::models::{Capabilities, Family};
use crate::wire::ir::{CacheMark, Citation, Content, Losses, Maker, Part, Signature, ToolCall, ToolResult};
use crate::wire::json::{self, Extras, Given, Place, Text, Writer};

/// Longest id of a call that is accepted.
const MAX_ID: usize = 64;

/// Where blocks are written to.
pub(super) struct BlockWriter<'w> {
    pub(super) writer: Writer<'w>,
    pub(super) losses: Losses,
    /// The client speaks this format too, so what nobody understood can pass.
    pub(super) is_same: bool,
    pub(super) capabilities: Capabilities,
    /// Names of documents so far: each may stand once.
    pub(super) documents: BTreeSet<String>,
}

impl<'w> BlockWriter<'w> {
    pub(super) const fn new(writer: Writer<'w>, losses: Losses, is_same: bool, capabilities: Capabilities) -> Self {
        Self { writer, losses, is_same, capabilities, documents: BTreeSet::new() }
    }

    /// Writes what nobody understood, where the client speaks this format.
    pub(super) fn extras(&mut self, extras: &Extras<'_>) {
        if !self.is_same {
            return self.losses.extras(extras);
        }
        for extra in extras {
            self.writer.key(&extra.name).json(&extra.value);
        }
    }

    /// Writes one block, and the mark behind it. Returns whether it was written.
    pub(super) fn block(&mut self, part: &Part<'_>, is_trimmed: bool) -> bool {
        let is_written = self.bare_block(part, is_trimmed);
        // What is lost whole is told whole.
        self.cache_mark(part.cache.as_ref().filter(|_| is_written));
        is_written
    }

    fn bare_block(&mut self, part: &Part<'_>, is_trimmed: bool) -> bool {
        let Part { content, cache: _, extras, at } = part;
        if let Content::Opaque { format, block } = content {
            if *format == Format::Bedrock && self.is_same {
                self.writer.json(block);
                return true;
            }
            self.losses.unsupported(*at);
            return false;
        }
        let is_written = match content {
            Content::Text { text, citations } => {
                let trimmed = if is_trimmed { text.trim_end() } else { text };
                if trimmed.len() != text.len() {
                    self.losses.approximated(*at);
                }
                self.text(trimmed, citations);
                true
            }
            Content::Refusal { text } => {
                self.losses.approximated(*at);
                self.text(text, &[]);
                true
            }
            Content::Image { media, detail } => {
                self.losses.without(detail.as_ref());
                self.media(&MediaBlock::bare(Kind::Image, media))
            }
            Content::Audio { media } => self.media(&MediaBlock::bare(Kind::Audio, media)),
            Content::Video { media } => self.media(&MediaBlock::bare(Kind::Video, media)),
            Content::Document { media, title, context, citations } => {
                let (title, context, citations) = (title.as_ref(), context.as_ref(), citations.as_ref());
                self.media(&MediaBlock { kind: Kind::Document, media, title, context, citations })
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
            Content::RedactedThinking { data } if data.maker == Maker::Anthropic && self.takes_thoughts() => {
                self.writer.begin_object();
                self.writer.object("reasoningContent");
                self.writer.key("redactedContent").text(&super::encode_redacted(&data.value));
                self.writer.end_object();
                true
            }
            Content::RedactedThinking { .. } | Content::Opaque { .. } => false,
        };
        if !is_written {
            self.losses.unsupported(*at);
            return false;
        }
        self.extras(extras);
        self.writer.end_object();
        true
    }

    /// Writes a block that is nothing but a mark. This format knows two lifetimes; the nearest that is not shorter stands for another one.
    pub(super) fn cache_mark(&mut self, mark: Option<&Given<CacheMark<'_>>>) {
        let Some(mark) = mark else { return };
        if !self.capabilities.cache_points && !self.is_same {
            return self.losses.unsupported(mark.at);
        }
        self.writer.begin_object();
        self.writer.object("cachePoint");
        self.writer.key("type").text("default");
        if let Some(ttl) = &mark.value.ttl {
            let is_known = self.is_same || matches!(&**ttl, "5m" | "1h");
            if !is_known {
                self.losses.approximated(mark.at);
            }
            self.writer.key("ttl").text(if is_known { ttl } else { "1h" });
        }
        self.writer.end_object();
        self.writer.end_object();
    }

    fn text(&mut self, text: &str, citations: &[Citation<'_>]) {
        let own = |citation: &&Citation<'_>| citation.origin.0 == Format::Bedrock;
        for foreign in citations.iter().filter(|citation| !own(citation)) {
            self.losses.unsupported(foreign.at);
        }
        self.writer.begin_object();
        if !citations.iter().any(|citation| own(&citation)) {
            return self.writer.key("text").text(text);
        }
        cited(&mut self.writer, text, citations.iter().filter(own));
    }

    fn takes_thoughts(&self) -> bool {
        self.is_same || self.capabilities.family == Family::Claude
    }

    /// Writes thoughts: to Claude those that Claude made, since nobody else's signature is accepted, and none without; to models that sign
    /// nothing what a client of this format sends back.
    fn thinking(&mut self, text: &str, signature: Option<&Signature<'_>>) -> bool {
        let fits = match signature {
            Some(signature) => signature.maker == Maker::Anthropic && self.takes_thoughts(),
            None => self.is_same,
        };
        if fits {
            self.writer.begin_object();
            reasoning_text(&mut self.writer, text, signature.map(|signature| &*signature.value));
        }
        fits
    }

    fn tool_use(&mut self, call: &ToolCall<'_>, at: Place) {
        let ToolCall { id, name, input, is_custom } = call;
        self.writer.begin_object();
        self.writer.object("toolUse");
        self.writer.key("toolUseId").text(&tool_id(id));
        self.writer.key("name").text(name);
        if !is_custom && json::is_object(input) {
            self.writer.key("input").raw(input);
        } else {
            // Free text, or what the model broke: an object is required here.
            self.losses.approximated(at);
            self.writer.object("input");
            self.writer.key("input").text(input);
            self.writer.end_object();
        }
        self.writer.end_object();
    }

    fn tool_result(&mut self, result: &ToolResult<'_>) {
        // The name is the call's.
        let ToolResult { id, name: _, parts, is_error } = result;
        self.writer.begin_object();
        self.writer.object("toolResult");
        self.writer.key("toolUseId").text(&tool_id(id));
        self.writer.array("content");
        let mut written = 0;
        for part in parts {
            written += u32::from(self.result_part(part));
        }
        if written == 0 && !self.is_same {
            // An empty result is refused.
            self.text("(no output)", &[]);
            self.writer.end_object();
        }
        self.writer.end_array();
        if let Some(is_error) = is_error {
            self.writer.key("status").text(if is_error.value { "error" } else { "success" });
        }
        self.writer.end_object();
    }

    /// Writes a part of a result; not every block may stand there.
    fn result_part(&mut self, part: &Part<'_>) -> bool {
        let is_blank = matches!(&part.content, Content::Text { text, .. } if text.trim().is_empty());
        let fits = match part.content {
            Content::Text { .. } => !is_blank || self.is_same,
            Content::Image { .. } | Content::Document { .. } | Content::Video { .. } | Content::Opaque { .. } | Content::Refusal { .. } => {
                true
            }
            Content::Audio { .. }
            | Content::ToolCall(_)
            | Content::ToolResult(_)
            | Content::Thinking { .. }
            | Content::RedactedThinking { .. } => false,
        };
        if !fits {
            if is_blank { self.losses.approximated(part.at) } else { self.losses.unsupported(part.at) }
        }
        // Nothing in a result may be marked.
        self.losses.without(part.cache.as_ref().filter(|_| fits));
        fits && self.bare_block(part, false)
    }
}

/// Writes text with what it cites; the block stays open.
pub(in crate::wire::bedrock) fn cited<'c, 'a: 'c>(writer: &mut Writer<'_>, text: &str, citations: impl Iterator<Item = &'c Citation<'a>>) {
    writer.object("citationsContent");
    writer.array("content");
    writer.begin_object();
    writer.key("text").text(text);
    writer.end_object();
    writer.end_array();
    writer.array("citations");
    citations.for_each(|citation| writer.json(&citation.origin.1));
    writer.end_array();
    writer.end_object();
}

/// Writes thoughts; the block stays open.
pub(in crate::wire::bedrock) fn reasoning_text(writer: &mut Writer<'_>, text: &str, signature: Option<&str>) {
    writer.object("reasoningContent");
    writer.object("reasoningText");
    writer.key("text").text(text);
    if let Some(signature) = signature {
        writer.key("signature").text(signature);
    }
    writer.end_object();
    writer.end_object();
}

/// Returns an id that the provider takes (`[a-zA-Z0-9_.:-]{1,64}`); a call and its result get the same one.
fn tool_id<'i>(id: &'i Text<'_>) -> Text<'i> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b':');
    if id.is_empty() {
        return Text::Borrowed("call");
    }
    if id.len() <= MAX_ID && id.bytes().all(fits) {
        return Text::Borrowed(id);
    }
    if id.len() > MAX_ID {
        // Two long ids may begin alike.
        let digest = hex::encode(Digest::of(id.as_bytes()).as_bytes());
        return Text::Owned(format!("call_{}", digest.get(..32).unwrap_or_default()));
    }
    let plain = |character: char| u8::try_from(character).ok().filter(|byte| fits(*byte)).map_or('_', char::from);
    Text::Owned(id.chars().map(plain).collect())
}
