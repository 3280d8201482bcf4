//! Writes a stream: every chunk an answer of its own with what is new, the last one with why it ended and what was used.
//!
//! A heartbeat is nothing: Google's own clients take a comment of SSE for an answer, and fail.

use std::collections::{BTreeMap, VecDeque};

use crate::wire::Format;
use crate::wire::codec::{EncodeStream, Failure, Reply};
use crate::wire::gemini::{answer, error, media, signature};
use crate::wire::ir::{Citation, Delta, Event, Finish, Maker, Media, PartStart, Usage};
use crate::wire::json::{self, Writer};

/// What an open call counts for, besides what is said in it.
const CALL_BYTES: usize = 256;

/// How chunks are told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::wire::gemini) enum Framing {
    /// As events, for `alt=sse`.
    Sse,
    /// As elements of one array, which is what clients get that ask for nothing.
    Array,
}

/// What becomes of a part's deltas.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text,
    Thinking,
    Call,
    Hidden,
}

/// A call on its way out; it is written when it is whole.
#[derive(Debug)]
struct Call {
    part: u32,
    id: String,
    name: String,
    is_custom: bool,
    input: String,
    signature: Option<String>,
    has_ended: bool,
}

#[derive(Debug, Default)]
struct Choice {
    parts: BTreeMap<u32, Kind>,
    /// Calls that are open, or wait for one in front of them.
    calls: VecDeque<Call>,
    /// A signature that belongs to the next part.
    signature: Option<String>,
    /// All of the text, which what it cites is counted in.
    text: String,
    citations: Vec<Citation<'static>>,
    finish: Option<Finish<'static>>,
}

/// Writes chunks.
#[derive(Debug)]
pub(in crate::wire::gemini) struct Encoder {
    framing: Framing,
    request_id: String,
    model: String,
    id: String,
    has_written: bool,
    choices: BTreeMap<u32, Choice>,
    held: usize,
    usage: Option<Usage>,
    service_tier: Option<String>,
}

impl Encoder {
    pub(in crate::wire::gemini) fn new(reply: &Reply<'_>, framing: Framing) -> Self {
        Self {
            framing,
            request_id: reply.request_id.to_owned(),
            model: reply.model.to_owned(),
            id: String::new(),
            has_written: false,
            choices: BTreeMap::from([(0, Choice::default())]),
            held: 0,
            usage: None,
            service_tier: None,
        }
    }

    /// Writes one chunk, all but what `members` writes in front of its head.
    fn chunk(&mut self, out: &mut Vec<u8>, members: impl FnOnce(&Self, &mut Writer<'_>)) {
        self.open_frame(out);
        let mut writer = Writer::one_line(out);
        writer.begin_object();
        members(self, &mut writer);
        writer.key("modelVersion").text(&self.model);
        writer.key("responseId").text(if self.id.is_empty() { &self.request_id } else { &self.id });
        writer.end_object();
        self.close_frame(out);
    }

    fn open_frame(&mut self, out: &mut Vec<u8>) {
        let opening: &[u8] = match (self.framing, self.has_written) {
            (Framing::Sse, _) => b"data: ",
            (Framing::Array, false) => b"[",
            (Framing::Array, true) => b",\n",
        };
        out.extend_from_slice(opening);
        self.has_written = true;
    }

    fn close_frame(&self, out: &mut Vec<u8>) {
        if self.framing == Framing::Sse {
            out.extend_from_slice(b"\n\n");
        }
    }

    /// Writes a chunk of one answer with one part, whose members `members` writes.
    fn part(&mut self, out: &mut Vec<u8>, choice: u32, members: impl FnOnce(&mut Writer<'_>)) {
        self.whole_part(out, choice, |writer| {
            writer.begin_object();
            members(writer);
            writer.end_object();
        });
    }

    fn whole_part(&mut self, out: &mut Vec<u8>, choice: u32, part: impl FnOnce(&mut Writer<'_>)) {
        self.chunk(out, |_, writer| {
            writer.array("candidates");
            writer.begin_object();
            writer.object("content");
            writer.array("parts");
            part(writer);
            writer.end_array();
            writer.key("role").text("model");
            writer.end_object();
            writer.key("index").count(u64::from(choice));
            writer.end_object();
            writer.end_array();
        });
    }

    fn text(&mut self, out: &mut Vec<u8>, choice: u32, text: &str, is_thought: bool) {
        let signature = if is_thought { None } else { self.take_signature(choice) };
        self.part(out, choice, |writer| {
            writer.key("text").text(text);
            if is_thought {
                writer.key("thought").bool(true);
            }
            if let Some(signature) = signature {
                writer.key("thoughtSignature").text(&signature);
            }
        });
    }

    fn take_signature(&mut self, choice: u32) -> Option<String> {
        self.choices.get_mut(&choice).and_then(|choice| choice.signature.take())
    }

    /// Writes a signature whose part did not come.
    fn flush_signature(&mut self, out: &mut Vec<u8>, choice: u32) {
        if let Some(signature) = self.take_signature(choice) {
            self.signature(out, choice, &signature, false);
        }
    }

    fn signature(&mut self, out: &mut Vec<u8>, choice: u32, signature: &str, is_thought: bool) {
        self.part(out, choice, |writer| {
            writer.key("text").text("");
            if is_thought {
                writer.key("thought").bool(true);
            }
            writer.key("thoughtSignature").text(signature);
        });
    }

    fn picture(&mut self, out: &mut Vec<u8>, choice: u32, media: &Media<'_>) {
        let signature = self.take_signature(choice);
        self.part(out, choice, |writer| {
            match media {
                Media::Base64 { media_type, data } => {
                    writer.object("inlineData");
                    writer.key("mimeType").text(media_type);
                    writer.key("data").text(data);
                }
                Media::Url(uri) | Media::File(uri) | Media::Text(uri) => {
                    writer.object("fileData");
                    writer.key("mimeType").text(media::type_of_url(uri, "image/png"));
                    writer.key("fileUri").text(uri);
                }
            }
            writer.end_object();
            if let Some(signature) = signature {
                writer.key("thoughtSignature").text(&signature);
            }
        });
    }

    fn part_start(&mut self, choice: u32, part: u32, start: &PartStart<'_>, out: &mut Vec<u8>) {
        if !matches!(start, PartStart::Text | PartStart::Refusal | PartStart::ToolCall { .. } | PartStart::Image(_)) {
            self.flush_signature(out, choice);
        }
        let state = self.choices.entry(choice).or_default();
        let kind = match start {
            PartStart::Text | PartStart::Refusal => Kind::Text,
            PartStart::Thinking => Kind::Thinking,
            PartStart::ToolCall { id, name, is_custom } => {
                let signature = state.signature.take();
                let (id, name) = (id.clone().into_owned(), name.clone().into_owned());
                let call = Call { part, id, name, is_custom: *is_custom, input: String::new(), signature, has_ended: false };
                state.calls.push_back(call);
                self.held += CALL_BYTES;
                Kind::Call
            }
            PartStart::RedactedThinking(_) | PartStart::Image(_) | PartStart::Opaque { .. } => Kind::Hidden,
        };
        state.parts.insert(part, kind);
        match start {
            PartStart::RedactedThinking(data) if data.maker == Maker::Gemini => state.signature = Some(data.value.clone().into_owned()),
            PartStart::RedactedThinking(data) => self.signature(out, choice, &signature::spell(data), false),
            PartStart::Image(media) => self.picture(out, choice, media),
            PartStart::Opaque { format: Format::Gemini, block } => self.whole_part(out, choice, |writer| writer.json(block)),
            _ => {}
        }
    }

    fn part_delta(&mut self, choice: u32, part: u32, delta: &Delta<'_>, out: &mut Vec<u8>) {
        let Some(state) = self.choices.get_mut(&choice) else { return };
        let Some(kind) = state.parts.get(&part).copied() else { return };
        match (delta, kind) {
            (Delta::Text(text), Kind::Text) if !text.is_empty() => {
                state.text.push_str(text);
                self.text(out, choice, text, false);
            }
            (Delta::Text(text), Kind::Thinking) if !text.is_empty() => self.text(out, choice, text, true),
            (Delta::Signature(signature), Kind::Thinking) => self.signature(out, choice, &signature::spell(signature), true),
            (Delta::Input(input), Kind::Call) => {
                if let Some(call) = state.calls.iter_mut().find(|call| call.part == part) {
                    call.input.push_str(input);
                    self.held += input.len();
                }
            }
            (Delta::Citation(citation), Kind::Text) if citation.url.is_some() => state.citations.push(citation.clone().into_owned()),
            (Delta::Text(_) | Delta::Signature(_) | Delta::Input(_) | Delta::Citation(_) | Delta::Opaque(_), _) => {}
        }
    }

    /// Writes the calls that are whole, in the order in which they began.
    fn part_end(&mut self, choice: u32, part: u32, out: &mut Vec<u8>) {
        let Some(state) = self.choices.get_mut(&choice) else { return };
        if let Some(call) = state.calls.iter_mut().find(|call| call.part == part) {
            call.has_ended = true;
        }
        let mut whole = Vec::new();
        while let Some(call) = state.calls.pop_front_if(|call| call.has_ended) {
            whole.push(call);
        }
        for call in whole {
            self.held = self.held.saturating_sub(call.input.len() + CALL_BYTES);
            self.part(out, choice, |writer| call_out(writer, &call));
        }
    }

    fn end(&mut self, out: &mut Vec<u8>) {
        let choices = std::mem::take(&mut self.choices);
        self.chunk(out, |own, writer| {
            writer.array("candidates");
            for (number, choice) in &choices {
                last_candidate(writer, *number, choice);
            }
            writer.end_array();
            if let Some(usage) = &own.usage {
                answer::write_usage(writer, usage, own.service_tier.as_deref());
            }
        });
        if self.framing == Framing::Array {
            out.push(b']');
        }
    }
}

impl EncodeStream for Encoder {
    fn event(&mut self, event: &Event<'_>, out: &mut Vec<u8>) {
        match event {
            // Only one of the API's two services tells the time.
            Event::Start { id, model, created: _ } => {
                (**id).clone_into(&mut self.id);
                if !model.is_empty() {
                    (**model).clone_into(&mut self.model);
                }
            }
            Event::PartStart { choice, part, start } => self.part_start(*choice, *part, start, out),
            Event::Delta { choice, part, delta } => self.part_delta(*choice, *part, delta, out),
            Event::PartEnd { choice, part } => self.part_end(*choice, *part, out),
            Event::Logprobs { choice, logprobs } => self.chunk(out, |_, writer| {
                writer.array("candidates");
                writer.begin_object();
                writer.key("index").count(u64::from(*choice));
                answer::write_logprobs(writer, logprobs);
                writer.end_object();
                writer.end_array();
            }),
            Event::Usage(usage) => self.usage = Some(*usage),
            Event::ServiceTier(tier) => self.service_tier = Some(tier.clone().into_owned()),
            Event::Finish { choice, finish } => {
                self.flush_signature(out, *choice);
                self.choices.entry(*choice).or_default().finish = Some(finish.clone().into_owned());
            }
            Event::Ping => {}
            Event::End => self.end(out),
        }
    }

    fn failure(&mut self, failure: &Failure, request_id: &str, out: &mut Vec<u8>) {
        self.open_frame(out);
        error::write(failure, request_id, &mut Writer::one_line(out));
        self.close_frame(out);
        if self.framing == Framing::Array {
            out.push(b']');
        }
    }

    fn held_bytes(&self) -> usize {
        self.held
    }
}

fn call_out(writer: &mut Writer<'_>, call: &Call) {
    let Call { part: _, id, name, is_custom, input, signature, has_ended: _ } = call;
    writer.object("functionCall");
    if !id.is_empty() {
        writer.key("id").text(id);
    }
    writer.key("name").text(name);
    if !is_custom && json::is_object(input) {
        writer.key("args").raw(input);
    } else {
        // Free text, or what the model broke: an object is required here.
        writer.object("args");
        writer.key("input").text(input);
        writer.end_object();
    }
    writer.end_object();
    if let Some(signature) = signature {
        writer.key("thoughtSignature").text(signature);
    }
}

fn last_candidate(writer: &mut Writer<'_>, number: u32, choice: &Choice) {
    writer.begin_object();
    writer.object("content");
    writer.array("parts");
    writer.begin_object();
    writer.key("text").text("");
    writer.end_object();
    writer.end_array();
    writer.key("role").text("model");
    writer.end_object();
    let word = choice.finish.as_ref().map_or("OTHER", |finish| answer::finish_word(finish));
    writer.key("finishReason").text(word);
    writer.key("index").count(u64::from(number));
    let cited: Vec<_> = choice.citations.iter().map(|citation| (citation, choice.text.as_str(), 0)).collect();
    answer::write_citations(writer, &cited);
    writer.end_object();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_array_is_one_json_value() {
        let reply = Reply { request_id: "r1", model: "m", include_usage: true, ..Reply::default() };
        let mut encoder = Encoder::new(&reply, Framing::Array);
        let mut out = Vec::new();
        for event in [
            Event::Start { id: "a".into(), model: "".into(), created: None },
            Event::PartStart { choice: 0, part: 0, start: PartStart::Text },
            Event::Delta { choice: 0, part: 0, delta: Delta::Text("x".into()) },
            Event::Ping,
            Event::PartEnd { choice: 0, part: 0 },
            Event::Finish { choice: 0, finish: Finish::new(crate::wire::ir::FinishReason::Stop) },
            Event::End,
        ] {
            encoder.event(&event, &mut out);
        }
        let document = json::Document::parse(&out).unwrap();
        assert_eq!(document.root().elements().count(), 2);

        let mut failed = Encoder::new(&reply, Framing::Array);
        let mut out = Vec::new();
        failed.failure(&Failure::malformed("no"), "r1", &mut out);
        assert!(json::Document::parse(&out).unwrap().root().elements().next().unwrap().get("error").is_some());
    }
}
