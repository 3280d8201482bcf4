//! What an answer says, whole or in pieces, so that two can be compared.

use std::collections::BTreeMap;

use bifrostctl::wire::Format;
use bifrostctl::wire::codec::Failure;
use bifrostctl::wire::frame::Cutter;
use bifrostctl::wire::ir::laws::Laws;
use bifrostctl::wire::ir::{Content, Delta, Event, FinishReason, PartStart, Response, Usage};
use bytes::Bytes;

/// A call: id, name, input.
pub(super) type Call = (String, String, String);

/// What one answer says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Choice {
    pub(super) text: String,
    pub(super) thinking: String,
    pub(super) signatures: Vec<String>,
    pub(super) refusal: String,
    pub(super) calls: Vec<Call>,
    pub(super) finish: Option<FinishReason>,
}

/// What is told.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Said {
    pub(super) choices: BTreeMap<u32, Choice>,
    pub(super) usage: Option<Usage>,
}

/// Reads a stream in the pieces given, and checks its laws. Returns every event as text, what they say, and how they ended.
pub(super) struct Heard {
    pub(super) events: Vec<String>,
    pub(super) said: Said,
    pub(super) has_ended: bool,
    pub(super) failure: Option<Failure>,
}

pub(super) fn hear(format: Format, pieces: &[&[u8]]) -> Heard {
    let mut decoder = format.codec().stream_decoder();
    let mut cutter = Cutter::new(format.codec().framing());
    let mut laws = Laws::default();
    let mut listener = Listener::default();
    let mut events = Vec::new();
    let mut failure = None;
    let mut take = |event: Event<'_>| {
        laws.observe(&event).unwrap_or_else(|breach| panic!("{format:?}: {breach}: {event:?} after {events:#?}"));
        events.push(format!("{event:?}"));
        listener.event(&event);
    };
    'pieces: for piece in pieces {
        cutter.push(Bytes::copy_from_slice(piece)).unwrap();
        while let Some(bytes) = cutter.next_frame().unwrap() {
            let frame = cutter.read(&bytes).unwrap();
            if let Err(failed) = decoder.frame(&frame, &mut take) {
                failure = Some(failed);
                break 'pieces;
            }
        }
    }
    if failure.is_none() {
        decoder.body_end(&mut |event| take(event));
    }
    let has_ended = if format.codec().has_terminator() {
        events.last().is_some_and(|event| event == "End")
    } else {
        !listener.said.choices.is_empty() && listener.said.choices.values().all(|choice| choice.finish.is_some())
    };
    Heard { events, said: listener.said, has_ended, failure }
}

/// Hears events.
#[derive(Default)]
pub(super) struct Listener {
    pub(super) said: Said,
    kinds: BTreeMap<(u32, u32), &'static str>,
}

impl Listener {
    pub(super) fn event(&mut self, event: &Event<'_>) {
        match event {
            Event::PartStart { choice, part, start } => {
                let said = self.said.choices.entry(*choice).or_default();
                let kind = match start {
                    PartStart::Text => "text",
                    PartStart::Thinking => "thinking",
                    PartStart::Refusal => "refusal",
                    PartStart::RedactedThinking(data) => {
                        said.signatures.push(data.value.to_string());
                        "whole"
                    }
                    PartStart::ToolCall { id, name, .. } => {
                        said.calls.push((id.to_string(), name.to_string(), String::new()));
                        "call"
                    }
                    PartStart::Image(_) => "whole",
                    PartStart::Opaque { .. } => "opaque",
                };
                self.kinds.insert((*choice, *part), kind);
            }
            Event::Delta { choice, part, delta } => self.delta(*choice, *part, delta),
            Event::Usage(usage) => self.said.usage = Some(*usage),
            Event::Finish { choice, finish } => self.said.choices.entry(*choice).or_default().finish = Some(finish.reason),
            Event::Start { .. } | Event::PartEnd { .. } | Event::Logprobs { .. } | Event::ServiceTier(_) | Event::Ping | Event::End => {}
        }
    }

    fn delta(&mut self, choice: u32, part: u32, delta: &Delta<'_>) {
        let number = self.kinds.range((choice, 0)..=(choice, part)).filter(|(_, kind)| **kind == "call").count();
        let said = self.said.choices.entry(choice).or_default();
        match (delta, self.kinds[&(choice, part)]) {
            (Delta::Text(text), "thinking") => said.thinking.push_str(text),
            (Delta::Text(text), "refusal") => said.refusal.push_str(text),
            (Delta::Text(text), _) => said.text.push_str(text),
            (Delta::Input(input), _) => said.calls[number - 1].2.push_str(input),
            (Delta::Signature(signature), _) => said.signatures.push(signature.value.to_string()),
            (Delta::Citation(_) | Delta::Opaque(_), _) => {}
        }
    }
}

/// What a whole answer says.
pub(super) fn of_response(response: &Response<'_>) -> Said {
    let mut said = Said { usage: response.usage, ..Said::default() };
    for (number, choice) in (0..).zip(&response.choices) {
        let mut told = Choice { finish: Some(choice.finish.reason), ..Choice::default() };
        for part in &choice.parts {
            match &part.content {
                Content::Text { text, .. } => told.text.push_str(text),
                Content::Refusal { text } => told.refusal.push_str(text),
                Content::Thinking { text, signature } => {
                    told.thinking.push_str(text);
                    told.signatures.extend(signature.iter().map(|signature| signature.value.to_string()));
                }
                Content::RedactedThinking { data } => told.signatures.push(data.value.to_string()),
                Content::ToolCall(call) => told.calls.push((call.id.to_string(), call.name.to_string(), call.input.to_string())),
                Content::Image { .. }
                | Content::Audio { .. }
                | Content::Video { .. }
                | Content::Document { .. }
                | Content::ToolResult(_)
                | Content::Opaque { .. } => {}
            }
        }
        said.choices.insert(number, told);
    }
    said
}

/// Brings what was said to what `into` can say, and nothing finer: the coarser reasons, the counts that it has, one answer where it has no
/// more, refusals as text but for OpenAI, for Gemini and Cohere what is written to a cache as any other input, for Ollama all
/// that a cache had to do with, for Bedrock and Ollama no count of thoughts, and for Cohere and Ollama no signatures and no word for an answer
/// that was filtered.
pub(super) fn as_heard_in(mut said: Said, into: Format) -> Said {
    if matches!(into, Format::Anthropic | Format::OpenaiResponses | Format::Bedrock | Format::Cohere | Format::Ollama) {
        said.choices.retain(|number, _| *number == 0);
    }
    let is_plain = matches!(into, Format::Cohere | Format::Ollama);
    for choice in said.choices.values_mut() {
        if matches!(into, Format::Bedrock | Format::Cohere | Format::Ollama) {
            choice.text.push_str(&std::mem::take(&mut choice.refusal));
        }
        if is_plain {
            choice.signatures.clear();
        }
        if into == Format::Gemini {
            choice.text.push_str(&std::mem::take(&mut choice.refusal));
        }
        if matches!(into, Format::Gemini | Format::Ollama) {
            // Free text, or what the model broke, stands in an object there.
            for (_, _, input) in choice.calls.iter_mut().filter(|(_, _, input)| !bifrostctl::wire::json::is_object(input)) {
                *input = serde_json::json!({ "input": input }).to_string();
            }
        }
        if into == Format::Anthropic && !choice.refusal.is_empty() {
            choice.text.push_str(&std::mem::take(&mut choice.refusal));
            choice.finish = choice.finish.map(|reason| if reason == FinishReason::Stop { FinishReason::Refusal } else { reason });
        }
        choice.finish = choice.finish.map(|reason| match reason {
            FinishReason::Stop | FinishReason::StopSequence | FinishReason::Pause | FinishReason::Other => FinishReason::Stop,
            FinishReason::Length | FinishReason::ContextWindow => FinishReason::Length,
            FinishReason::ToolCalls => FinishReason::ToolCalls,
            FinishReason::ContentFilter | FinishReason::Refusal if is_plain => FinishReason::Stop,
            FinishReason::ContentFilter | FinishReason::Refusal => FinishReason::Refusal,
        });
    }
    let counts_writes = !matches!(into, Format::Gemini | Format::Cohere | Format::Ollama);
    let counts_reads = into != Format::Ollama;
    said.usage = said.usage.map(|usage| Usage {
        input: usage.input + if counts_writes { 0 } else { usage.cache_write() } + if counts_reads { 0 } else { usage.cache_read },
        cache_read: if counts_reads { usage.cache_read } else { 0 },
        cache_write: if counts_writes { usage.cache_write() } else { 0 },
        output: usage.output,
        reasoning: if matches!(into, Format::Bedrock | Format::Ollama) { 0 } else { usage.reasoning },
        ..Usage::default()
    });
    said
}
