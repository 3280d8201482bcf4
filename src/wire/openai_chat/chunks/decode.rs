//! Reads a stream.

use std::collections::BTreeMap;

use super::choice::{Choice, Running};
use crate::wire::codec::{DecodeStream, Failure, Frame, Sink};
use crate::wire::ir::{Event, FinishReason, Maker, Media, PartStart, Signature};
use crate::wire::json::{Document, Kind, Node, Text};
use crate::wire::openai_chat::answer::{read_finish, read_usage};
use crate::wire::openai_chat::error::classify_event;

/// Answers that one stream may interleave; more is not what anybody asked for.
const MAX_CHOICES: u64 = 128;

/// Reads chunks.
#[derive(Debug, Default)]
pub(in crate::wire::openai_chat) struct Decoder {
    has_started: bool,
    choices: BTreeMap<u32, Choice>,
}

impl DecodeStream for Decoder {
    fn frame(&mut self, frame: &Frame<'_>, sink: &mut Sink<'_>) -> Result<(), Failure> {
        let data = frame.data.trim_ascii();
        if data.is_empty() {
            sink(Event::Ping);
            return Ok(());
        }
        if data == b"[DONE]" {
            return self.done(sink);
        }
        if frame.event == b"error" {
            return Err(error(data));
        }
        let document = Document::parse(data).map_err(|_| Failure::malformed("a chunk is not JSON"))?;
        let chunk = document.root();
        if chunk.kind() != Kind::Object {
            return Err(Failure::malformed("a chunk is not an object"));
        }
        if chunk.get("error").is_some_and(|error| !matches!(error.raw(), "{}" | "\"\"" | "[]")) {
            return Err(error(data));
        }
        self.chunk(chunk, sink)
    }

    fn body_end(&mut self, sink: &mut Sink<'_>) {
        // An answer without a finish is cut, and then none is given.
        if self.choices.values().all(|choice| choice.finish.is_some()) {
            self.close(sink);
        }
    }
}

fn error(data: &[u8]) -> Failure {
    Failure::new(classify_event(data), crate::wire::failure::message(data))
}

impl Decoder {
    fn close(&mut self, sink: &mut Sink<'_>) {
        for choice in std::mem::take(&mut self.choices).values_mut() {
            choice.close(sink);
        }
    }

    fn done(&mut self, sink: &mut Sink<'_>) -> Result<(), Failure> {
        if self.choices.is_empty() {
            return Err(Failure::malformed("the stream ends without an answer"));
        }
        self.close(sink);
        sink(Event::End);
        Ok(())
    }

    fn chunk(&mut self, chunk: Node<'_, '_>, sink: &mut Sink<'_>) -> Result<(), Failure> {
        let text = |name: &str| chunk.get(name).and_then(Node::text).unwrap_or_default();
        let choices = chunk.get("choices");
        if choices.is_some_and(|choices| choices.kind() != Kind::Array) {
            return Err(Failure::malformed("`choices` is not an array"));
        }
        // Azure begins with a chunk of filter results that has neither an id nor an answer.
        if !self.has_started && (choices.is_some_and(|choices| choices.elements().next().is_some()) || !text("id").is_empty()) {
            self.has_started = true;
            let created = chunk.get("created").and_then(Node::number).and_then(|number| number.as_u64());
            sink(Event::Start { id: text("id"), model: text("model"), created });
            if !text("service_tier").is_empty() {
                sink(Event::ServiceTier(text("service_tier")));
            }
        }
        for node in choices.into_iter().flat_map(Node::elements) {
            self.choice(node, sink)?;
        }
        // Groq tells it in a member of its own too, with the same counts.
        if let Some(usage) = chunk.get("usage").filter(|usage| usage.kind() == Kind::Object && self.has_started) {
            sink(Event::Usage(read_usage(usage)));
        }
        Ok(())
    }

    fn choice(&mut self, node: Node<'_, '_>, sink: &mut Sink<'_>) -> Result<(), Failure> {
        let number = node.get("index").and_then(Node::number).and_then(|number| number.as_u64()).unwrap_or_default();
        let number = u32::try_from(number).ok().filter(|number| u64::from(*number) < MAX_CHOICES);
        let number = number.ok_or_else(|| Failure::malformed("the number of an answer is too large"))?;
        let choice = self.choices.entry(number).or_insert_with(|| Choice::new(number));
        if let Some(delta) = node.get("delta") {
            delta_of(delta, choice, sink)?;
        }
        if let Some(logprobs) = node.get("logprobs") {
            sink(Event::Logprobs { choice: number, logprobs: logprobs.json() });
        }
        let word = node.get("finish_reason").and_then(Node::text).filter(|word| !word.is_empty());
        if let Some(word) = word {
            // Zhipu ends a stream that failed with such a word.
            if matches!(&*word, "network_error" | "error") {
                return Err(Failure::new(crate::error::Kind::UpstreamServerError, "the upstream failed in the middle of its answer"));
            }
            // OpenRouter says it twice; the first one counts.
            let choice_finish = choice.finish.get_or_insert_with(|| read_finish(word).into_owned());
            if let Some(sequence) = node.get("stop_reason").and_then(Node::text)
                && choice_finish.reason == FinishReason::Stop
            {
                choice_finish.reason = FinishReason::StopSequence;
                choice_finish.stop_sequence = Some(Text::Owned(sequence.into_owned()));
            }
        }
        Ok(())
    }
}

fn delta_of(delta: Node<'_, '_>, choice: &mut Choice, sink: &mut Sink<'_>) -> Result<(), Failure> {
    let details = delta.get("reasoning_details").filter(|details| details.elements().next().is_some());
    if let Some(details) = details {
        details.elements().for_each(|detail| thought(detail, choice, sink));
    } else {
        let plain = delta.get("reasoning_content").or_else(|| delta.get("reasoning"));
        choice.text(Running::Thinking, plain.and_then(Node::text).unwrap_or_default(), sink);
    }
    if let Some(content) = delta.get("content") {
        match content.kind() {
            Kind::Text => choice.text(Running::Text, content.text().unwrap_or_default(), sink),
            Kind::Array => content.elements().for_each(|piece| mistral(piece, choice, sink)),
            Kind::Null | Kind::Bool | Kind::Number | Kind::Object => return Err(Failure::malformed("the content of a delta is no text")),
        }
    }
    choice.text(Running::Refusal, delta.get("refusal").and_then(Node::text).unwrap_or_default(), sink);
    for annotation in delta.get("annotations").into_iter().flat_map(Node::elements) {
        choice.citation(annotation, sink);
    }
    for picture in delta.get("images").into_iter().flat_map(Node::elements) {
        if let Some(url) = picture.get("image_url").and_then(|image| image.get("url")).and_then(Node::text) {
            choice.whole(PartStart::Image(Media::from_url(url)), sink);
        }
    }
    for fragment in delta.get("tool_calls").into_iter().flat_map(Node::elements) {
        choice.fragment(fragment, sink)?;
    }
    if let Some(call) = delta.get("function_call").filter(|call| call.kind() == Kind::Object) {
        choice.function_call(call, sink);
    }
    Ok(())
}

/// Reads one of OpenRouter's `reasoning_details`: text and signature in pieces, encrypted thoughts whole.
fn thought(detail: Node<'_, '_>, choice: &mut Choice, sink: &mut Sink<'_>) {
    let text = |name: &str| detail.get(name).and_then(Node::text).filter(|text| !text.is_empty());
    let maker = text("format").map_or(Maker::Unknown, |name| Maker::from_format_name(&name));
    for name in ["text", "summary"] {
        choice.text(Running::Thinking, text(name).unwrap_or_default(), sink);
    }
    if let Some(value) = text("signature") {
        choice.signature(Signature { value, maker }, sink);
    }
    if let Some(value) = text("data") {
        choice.whole(PartStart::RedactedThinking(Signature { value, maker }), sink);
    }
}

/// Reads a piece of Mistral's content: `{type:text, text}` or `{type:thinking, thinking:[{type:text, text}]}`.
fn mistral(piece: Node<'_, '_>, choice: &mut Choice, sink: &mut Sink<'_>) {
    for thought in piece.get("thinking").into_iter().flat_map(Node::elements) {
        choice.text(Running::Thinking, thought.get("text").and_then(Node::text).unwrap_or_default(), sink);
    }
    choice.text(Running::Text, piece.get("text").and_then(Node::text).unwrap_or_default(), sink);
}
