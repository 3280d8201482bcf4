//! Writes the conversation: `instructions`, and the items of `input`.

use std::collections::BTreeSet;

use super::items::is_said;
use crate::wire::Format;
use crate::wire::ir::{Content, Losses, Maker, Message, Part, Role, Signature, ToolCall, ToolResult};
use crate::wire::json::{Extra, Place, Text, Writer};
use crate::wire::openai_responses::maker;
use crate::wire::quirks::{Quirks, ReasoningField};

/// Where items are written to, and what may be written.
pub(super) struct ItemWriter<'o, 'w> {
    pub(super) writer: &'o mut Writer<'w>,
    pub(super) losses: &'o mut Losses,
    pub(super) quirks: &'o Quirks,
    /// Whose thoughts the model takes back.
    pub(super) maker: Maker,
    pub(super) is_same: bool,
}

/// Writes the conversation.
pub(super) fn conversation(messages: &[Message<'_>], mut out: ItemWriter<'_, '_>) {
    let mut messages = messages;
    if let Some((first, rest)) = messages.split_first()
        && let Some(text) = out.instructions(first)
    {
        out.writer.key("instructions").text(text);
        messages = rest;
    }
    let parts = messages.iter().flat_map(|message| &message.parts);
    let customs: BTreeSet<&str> = parts.filter_map(as_custom).collect();
    out.writer.array("input");
    for message in messages {
        let Message { role, parts, name, extras, at } = message;
        out.losses.without(name.as_ref());
        match role {
            Role::Tool => {
                extras_of(out.writer, out.losses, extras, false);
                parts.iter().for_each(|part| out.result(part, &customs));
            }
            Role::Assistant => out.turn(parts, extras),
            // An item that stands for a whole message.
            Role::System | Role::Developer | Role::User if matches!(parts.as_slice(), [only] if only.at == *at && is_opaque(only)) => {
                parts.iter().for_each(|part| out.item(part));
            }
            Role::System => out.message("system", &parts.iter().collect::<Vec<_>>(), extras),
            Role::Developer => {
                let role = if out.quirks.has_developer_role || out.is_same { "developer" } else { "system" };
                out.message(role, &parts.iter().collect::<Vec<_>>(), extras);
            }
            Role::User => out.message("user", &parts.iter().collect::<Vec<_>>(), extras),
        }
    }
    out.writer.end_array();
}

const fn is_opaque(part: &Part<'_>) -> bool {
    matches!(part.content, Content::Opaque { .. })
}

/// Returns the id of a call of a tool that takes free text.
fn as_custom<'p>(part: &'p Part<'_>) -> Option<&'p str> {
    if let Content::ToolCall(ToolCall { id, is_custom: true, .. }) = &part.content { Some(id) } else { None }
}

/// Writes what nobody understood where the client speaks this format; otherwise it is lost.
pub(super) fn extras_of(writer: &mut Writer<'_>, losses: &mut Losses, extras: &[Extra<'_>], is_same: bool) {
    if !is_same {
        return losses.extras(extras);
    }
    for extra in extras {
        writer.key(&extra.name).json(&extra.value);
    }
}

/// Returns whether an item has an id that we made up.
fn is_our_id(extra: &Extra<'_>) -> bool {
    extra.name == "id" && extra.value.as_str().trim_start_matches('"').starts_with(maker::OUR_ID)
}

impl ItemWriter<'_, '_> {
    /// Returns the text of a message that is said as `instructions`: the client's own, or another format's first one if it is a bare text.
    fn instructions<'m>(&self, message: &'m Message<'_>) -> Option<&'m str> {
        let Message { role, parts, name, extras, at } = message;
        let [Part { content: Content::Text { text, citations }, cache, extras: part_extras, at: text_at }] = parts.as_slice() else {
            return None;
        };
        if self.is_same {
            return (*role == Role::System && at == text_at).then_some(text);
        }
        let is_bare = name.is_none() && extras.is_empty() && part_extras.is_empty() && citations.is_empty() && cache.is_none();
        (matches!(role, Role::System | Role::Developer) && is_bare).then_some(text)
    }

    pub(super) fn begin(&mut self, kind: &str) {
        self.writer.begin_object();
        self.writer.key("type").text(kind);
    }

    pub(super) fn end(&mut self, extras: &[Extra<'_>]) {
        extras_of(self.writer, self.losses, extras, self.is_same);
        self.writer.end_object();
    }

    fn message(&mut self, role: &str, parts: &[&Part<'_>], extras: &[Extra<'_>]) {
        let carried = self.carried(parts);
        if carried.is_empty() && !self.is_same {
            return self.losses.extras(extras);
        }
        self.begin("message");
        self.writer.key("role").text(role);
        self.writer.key("content");
        self.content(&carried, role == "assistant");
        self.end(extras);
    }

    /// Writes the model's turn: what was said is gathered in messages, everything else is an item of its own.
    fn turn(&mut self, parts: &[Part<'_>], extras: &[Extra<'_>]) {
        let mut extras = Some(extras);
        let mut rest = parts;
        while let Some(first) = rest.first() {
            if !is_said(first) {
                self.item(first);
                rest = rest.get(1..).unwrap_or_default();
                continue;
            }
            let length = rest.iter().take_while(|part| is_said(part)).count();
            let (said, behind) = rest.split_at(length);
            self.message("assistant", &said.iter().collect::<Vec<_>>(), extras.take().unwrap_or_default());
            rest = behind;
        }
        match extras {
            Some(extras) if parts.is_empty() && self.is_same => self.message("assistant", &[], extras),
            Some(extras) => self.losses.extras(extras),
            None => {}
        }
    }

    /// Writes a part that is an item of its own.
    fn item(&mut self, part: &Part<'_>) {
        let Part { content, cache, extras, at } = part;
        let is_written = match content {
            Content::ToolCall(call) => {
                self.call(call);
                true
            }
            Content::Thinking { text, signature } => {
                let is_ours = signature.is_none() && extras.iter().any(is_our_id);
                self.thinking(text, signature.as_ref(), (*at, is_ours))
            }
            Content::RedactedThinking { data } => self.redacted(data),
            Content::Opaque { format: Format::OpenaiResponses, block } if self.is_same => return self.writer.json(block),
            // What is said is written in messages.
            _ => false,
        };
        if !is_written {
            return self.losses.unsupported(*at);
        }
        self.cache_mark(cache.as_ref(), false);
        if matches!(content, Content::Thinking { signature: None, .. }) && extras.iter().any(is_our_id) {
            // The server would look for an item of that id.
            self.losses.extras(extras);
            return self.writer.end_object();
        }
        self.end(extras);
    }

    fn call(&mut self, call: &ToolCall<'_>) {
        let ToolCall { id, name, input, is_custom } = call;
        let (kind, member) = if *is_custom { ("custom_tool_call", "input") } else { ("function_call", "arguments") };
        self.begin(kind);
        self.writer.key("call_id").text(id);
        self.writer.key("name").text(name);
        self.writer.key(member).text(input);
    }

    /// Writes thoughts where the model made them, or where its server takes anybody's; an OpenAI model takes none that it cannot decrypt.
    fn thinking(&mut self, text: &str, signature: Option<&Signature<'_>>, (at, is_ours): (Place, bool)) -> bool {
        if self.is_same && !is_ours && signature.is_none_or(|signature| signature.maker == maker::HOME) {
            // The texts are among the extras, as they were.
            self.begin("reasoning");
            self.encrypted(signature);
            return true;
        }
        let own = signature.filter(|signature| signature.maker == self.maker && self.maker != Maker::Unknown);
        let takes_text = self.quirks.reasoning_field != ReasoningField::None && !text.is_empty();
        if own.is_none() && !takes_text {
            return false;
        }
        if own.is_none() && signature.is_some() {
            self.losses.approximated(at);
        }
        self.begin("reasoning");
        let (list, piece) = if own.is_some() { ("summary", "summary_text") } else { ("content", "reasoning_text") };
        if own.is_none() {
            self.writer.key("summary").raw("[]");
        }
        self.writer.array(list);
        if !text.is_empty() {
            self.begin(piece);
            self.writer.key("text").text(text);
            self.writer.end_object();
        }
        self.writer.end_array();
        self.encrypted(own);
        true
    }

    fn redacted(&mut self, data: &Signature<'_>) -> bool {
        let is_own = data.maker == self.maker && self.maker != Maker::Unknown;
        if self.is_same && data.maker == maker::HOME {
            self.begin("reasoning");
        } else if is_own {
            self.begin("reasoning");
            self.writer.key("summary").raw("[]");
        } else {
            return false;
        }
        self.encrypted(Some(data));
        true
    }

    fn encrypted(&mut self, signature: Option<&Signature<'_>>) {
        if let Some(signature) = signature {
            self.writer.key("encrypted_content").text(&signature.value);
        }
    }

    /// Writes one result.
    fn result(&mut self, part: &Part<'_>, customs: &BTreeSet<&str>) {
        let Content::ToolResult(ToolResult { id, name: _, parts, is_error }) = &part.content else {
            return self.losses.unsupported(part.at);
        };
        let kind = if customs.contains(&**id) { "custom_tool_call_output" } else { "function_call_output" };
        self.writer.begin_object();
        if !(self.is_same && part.extras.iter().any(|extra| extra.name == "type")) {
            self.writer.key("type").text(kind);
        }
        self.writer.key("call_id").text(id);
        let mut carried = self.carried(&parts.iter().collect::<Vec<_>>());
        let failed = is_error.filter(|is_error| is_error.value);
        // The format has no word for a failure, so the text must say it.
        let prefix = Part::text(Text::Borrowed(if carried.is_empty() { "Error" } else { "Error:" }), Place::NOWHERE);
        if let Some(failed) = failed {
            self.losses.approximated(failed.at);
            carried.insert(0, &prefix);
        }
        self.writer.key("output");
        if carried.is_empty() {
            self.writer.text("")
        } else {
            self.content(&carried, false)
        }
        self.cache_mark(part.cache.as_ref(), false);
        self.end(&part.extras);
    }
}
