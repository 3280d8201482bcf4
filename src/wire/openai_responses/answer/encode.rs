//! Writes a whole answer.

use super::{Envelope, Head, item};
use crate::wire::Format;
use crate::wire::codec::{Answer, Reply};
use crate::wire::ir::{Choice, Citation, Content, Finish, Losses, Media, Part, Response, ToolCall};
use crate::wire::json::{Document, Extra, Json, Node, Place, Text, Writer};
use crate::wire::openai_responses::{annotation, maker};

/// What an item's members are kept under with the first part of its message.
const MESSAGE: &str = "message.";

pub(in crate::wire::openai_responses) fn encode(response: &Response<'_>, reply: &Reply<'_>) -> Answer {
    let Response { format, source, id, model, created, choices, usage, service_tier, extras } = response;
    let is_same = *format == Format::OpenaiResponses;
    let mut body = Vec::with_capacity(source.len() + 1_024);
    let mut losses = Losses::default();
    if !is_same {
        losses.extras(extras);
    }
    let (first, others) = match choices.split_first() {
        Some((first, others)) => (Some(first), others),
        None => (None, &[][..]),
    };
    // The format has one answer.
    for part in others.iter().flat_map(|choice| &choice.parts) {
        losses.unsupported(part.at);
    }
    let echo = super::echo(if is_same { "" } else { reply.asked });
    let envelope = Envelope {
        id: &reply.id(id, "resp_"),
        created: created.unwrap_or(reply.created),
        model: reply.model_of(model),
        finish: Some(first.map_or(crate::wire::ir::FinishReason::Stop, |choice| choice.finish.reason)),
        failure: None,
        usage: usage.as_ref(),
        service_tier: service_tier.as_deref().filter(|tier| is_same || super::is_tier(tier)),
        kept: if is_same { extras } else { &echo },
    };
    let mut writer = Writer::new(&mut body);
    writer.begin_object();
    envelope.write(&mut writer, |writer| {
        let Some(choice) = first else { return };
        let mut out = ItemWriter { writer, losses: &mut losses, is_same, reply, items: 0, calls: 0 };
        out.choice(choice);
    });
    writer.end_object();
    Answer { losses: losses.resolve(source), body }
}

struct ItemWriter<'o, 'w> {
    writer: &'o mut Writer<'w>,
    losses: &'o mut Losses,
    is_same: bool,
    reply: &'o Reply<'o>,
    items: usize,
    calls: usize,
}

impl ItemWriter<'_, '_> {
    fn choice(&mut self, choice: &Choice<'_>) {
        let Choice { parts, finish, logprobs, extras, message_extras } = choice;
        // What this format's own answers have is kept elsewhere.
        self.losses.extras(extras);
        self.losses.extras(message_extras);
        let Finish { reason, raw: _, stop_sequence: _ } = finish;
        let mut logprobs = logprobs.as_ref().filter(|_| !self.is_same).map(entries);
        let mut rest = parts.as_slice();
        while let Some(first) = rest.first() {
            let begins = |part: &Part<'_>| self.is_same && part.extras.iter().any(|extra| extra.name.starts_with(MESSAGE));
            let more = rest.iter().skip(1).take_while(|part| is_said(part) && !begins(part)).count();
            let length = if is_said(first) { more + 1 } else { 1 };
            let (now, behind) = rest.split_at(length);
            let is_cut = behind.is_empty() && super::incomplete(*reason).is_some();
            let status = if is_cut { "incomplete" } else { "completed" };
            if is_said(first) {
                self.message(now, status, &mut logprobs)
            } else {
                self.item(first, status)
            }
            rest = behind;
        }
    }

    /// Makes the id of the next item.
    fn next_id(&mut self, prefix: &str) -> String {
        self.items += 1;
        format!("{prefix}{}_{}", self.reply.request_id, self.items - 1)
    }

    /// Returns what passes of the members that nobody understood.
    fn kept<'e, 'a>(&mut self, extras: &'e [Extra<'a>]) -> &'e [Extra<'a>] {
        if self.is_same {
            return extras;
        }
        self.losses.extras(extras);
        &[]
    }

    /// Writes what was said in a row as one message.
    fn message(&mut self, parts: &[Part<'_>], status: &str, logprobs: &mut Option<String>) {
        // A text of nothing says nothing.
        let is_empty = |part: &Part<'_>| {
            matches!(&part.content, Content::Text { text, citations } if text.is_empty() && citations.is_empty()) && !self.is_same
        };
        let said: Vec<&Part<'_>> = parts.iter().filter(|part| !is_empty(part)).collect();
        let Some(first) = said.first() else { return };
        let inner = first.extras.iter().filter(|_| self.is_same);
        let kept: Vec<Extra<'_>> = inner
            .filter_map(|extra| {
                let name = extra.name.strip_prefix(MESSAGE)?;
                Some(Extra { name: Text::Borrowed(name), value: Json::new(extra.value.as_str()), at: Place::NOWHERE })
            })
            .collect();
        let id = self.next_id("msg_");
        let head = Head { id: &id, status, kept: &kept };
        let losses = &mut *self.losses;
        let is_same = self.is_same;
        item::message(self.writer, head, |writer| {
            for part in said {
                piece(writer, losses, part, logprobs.take(), is_same);
            }
        });
    }

    fn item(&mut self, part: &Part<'_>, status: &str) {
        let Part { content, cache: _, extras, at } = part;
        match content {
            Content::ToolCall(call) => self.call(call, extras, status),
            Content::Thinking { text, signature } => {
                let encrypted = signature.as_ref().map(maker::spell);
                if text.is_empty() && encrypted.is_none() {
                    return;
                }
                self.thoughts(text, encrypted.as_deref(), extras);
            }
            Content::RedactedThinking { data } => self.thoughts("", Some(&maker::spell_redacted(data)), extras),
            Content::Image { media: Media::Base64 { media_type, data }, detail: _ } => {
                let id = self.next_id("ig_");
                let kept = self.kept(extras);
                item::picture(self.writer, Head { id: &id, status: "completed", kept }, media_type, Some(data));
            }
            Content::Opaque { format: Format::OpenaiResponses, block } if self.is_same => {
                self.items += 1;
                self.writer.json(block);
            }
            // Messages are written elsewhere; the others are nothing that this format's models answer with.
            _ => self.losses.unsupported(*at),
        }
    }

    fn call(&mut self, call: &ToolCall<'_>, extras: &[Extra<'_>], status: &str) {
        let id = self.next_id(if call.is_custom { "ctc_" } else { "fc_" });
        let call_id = self.reply.call_id(&call.id, "call_", self.calls);
        self.calls += 1;
        let kept = self.kept(extras);
        item::call(self.writer, Head { id: &id, status, kept }, &call_id, call);
    }

    fn thoughts(&mut self, text: &str, encrypted: Option<&str>, extras: &[Extra<'_>]) {
        let id = self.next_id(maker::OUR_ID);
        let kept = self.kept(extras);
        item::reasoning(self.writer, Head { id: &id, status: "completed", kept }, text, encrypted);
    }
}

const fn is_said(part: &Part<'_>) -> bool {
    matches!(part.content, Content::Text { .. } | Content::Refusal { .. })
}

/// Writes a part of a message.
fn piece(writer: &mut Writer<'_>, losses: &mut Losses, part: &Part<'_>, logprobs: Option<String>, is_same: bool) {
    let Part { content, cache: _, extras, at: _ } = part;
    let has_logprobs = is_same && extras.iter().any(|extra| extra.name == "logprobs");
    match content {
        Content::Text { text, citations } => {
            let logprobs = logprobs.unwrap_or_default();
            let annotations = annotations(losses, citations, text.chars().count() as u64);
            item::text(writer, text, &annotations, (!has_logprobs).then_some(&*logprobs));
        }
        Content::Refusal { text } => item::refusal(writer, text),
        // Not said.
        _ => return,
    }
    if !is_same {
        losses.extras(extras);
    }
    for extra in extras.iter().filter(|extra| is_same && !extra.name.starts_with(MESSAGE)) {
        writer.key(&extra.name).json(&extra.value);
    }
    writer.end_object();
}

/// Writes a list of annotations; empty where there are none.
fn annotations(losses: &mut Losses, citations: &[Citation<'_>], length: u64) -> String {
    let mut out = Vec::new();
    let mut writer = Writer::one_line(&mut out);
    for citation in citations {
        if annotation::carries(citation) {
            annotation::write(&mut writer, citation, (0, length));
        } else {
            losses.unsupported(citation.at);
        }
    }
    if out.is_empty() { String::new() } else { format!("[{}]", String::from_utf8(out).unwrap_or_default()) }
}

/// Takes the list of entries out of the chat format's object.
pub(in crate::wire::openai_responses) fn entries(logprobs: &Json<'_>) -> String {
    let document = Document::parse(logprobs.as_str().as_bytes());
    let list = document.ok().and_then(|document| document.root().get("content").map(Node::raw).map(str::to_owned));
    list.unwrap_or_default()
}
