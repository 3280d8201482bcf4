//! The other formats: a request of theirs is read as OpenAI's, and the answer to that is written in their words. Pure.
//!
//! A new format is a line in `tables::OPERATIONS`, and where it says something in words of its own, lines in the tables beside it.
//! Rule: an answer is translated before anything is broken, so that a fault breaks the bytes that the client would have seen.

mod frames;
mod judge;
mod lists;
mod tables;
mod vectors;

use bytes::Bytes;
use serde_json::{Map, Value, json};

use self::frames::Frames;
use self::judge::{Judge, early_usage};
use self::tables::{HEADERS, Headers, LISTS, MODEL_IN_PATH, OPERATIONS, Operation, REQUIRED, SAME_ERRORS, SIGNATURE, SIGNED, TAGS, WORDS};
use super::Failure;
use super::grammar::unescape;
use super::http::Request;
use super::openai::{self, Ask, Body, Event, EventKind, Reply};
use crate::error::Kind;
use crate::wire::codec::{self, Route, Target};
use crate::wire::driver::Driver;
use crate::wire::ir;
use crate::wire::quirks::Quirks;
use crate::wire::{Format, failure};

/// A request in another format than OpenAI's.
#[derive(Debug)]
pub(super) struct Dialect {
    pub(super) format: Format,
    operation: Operation,
    frames: Frames,
    /// Whether the model is asked to think, and to show it.
    pub(super) thinks: bool,
    /// Why the request is none of its format.
    refusal: Option<String>,
}

/// Finds the format of a request that is not OpenAI's, and reads the request as OpenAI's.
pub(super) fn read(request: &Request) -> Option<(Dialect, Option<Map<String, Value>>)> {
    let path = request.path();
    let found = OPERATIONS.iter().find(|(method, end, ..)| request.method == *method && path.ends_with(end));
    let Some((_, end, format, operation)) = found else {
        let dialect =
            Dialect { format: list(request)?, operation: Operation::Models, frames: Frames::Events, thinks: false, refusal: None };
        return Some((dialect, None));
    };
    let before = MODEL_IN_PATH.contains(format).then(|| path.strip_suffix(end)).flatten();
    let model = before.and_then(|path| path.rsplit('/').next()).map(unescape);
    let route = Route { model: model.as_deref(), is_stream: before.map(|_| *operation == Operation::Stream) };
    let is_array = *format == Format::Gemini && !request.target.contains("alt=sse");
    let frames = if is_array { Frames::Array } else { Frames::of(*format) };
    let dialect = |thinks, refusal| Dialect { format: *format, operation: *operation, frames, thinks, refusal };
    let raw: Option<Map<String, Value>> = serde_json::from_slice(&request.body).ok();
    if matches!(operation, Operation::Embed | Operation::Rerank) {
        let refusal = raw.is_none().then(|| "invalid request: the body is not a JSON object".to_owned());
        return Some((dialect(false, refusal), raw));
    }
    let body = question(request, (*format, *operation), raw.as_ref());
    let read = format.codec().decode_request(&body, &route).map_err(|error| error.to_string());
    match read.and_then(|read| Ok((as_openai(&read)?, thinks(&read, *format), forged(&read, *format)))) {
        Ok((json, thinks, forged)) => {
            let has = |member: &str| raw.as_ref().is_some_and(|raw| raw.contains_key(member));
            let asks = matches!(operation, Operation::Answer | Operation::Stream);
            let lacks = REQUIRED.iter().find(|(of, member)| of == format && asks && !has(member));
            Some((dialect(thinks, lacks.map(|(_, member)| format!("{member}: Field required")).or(forged)), Some(json)))
        }
        Err(why) => Some((dialect(false, Some(why)), raw)),
    }
}

/// Returns the format whose list of models is asked for.
fn list(request: &Request) -> Option<Format> {
    let path = request.path();
    if request.method != "GET" {
        return None;
    }
    if path.ends_with(TAGS) {
        return Some(Format::Ollama);
    }
    let is_list = path.ends_with("/models") || path.contains("/models/");
    LISTS.iter().find(|(header, _)| is_list && request.header(header).is_some()).map(|(_, format)| *format)
}

/// Returns the request for an answer, which a request for a count has inside.
fn question(request: &Request, what: (Format, Operation), raw: Option<&Map<String, Value>>) -> Bytes {
    let inside = raw.and_then(|raw| match what {
        (Format::Bedrock, Operation::Count) => raw.get("input")?.get("converse"),
        (Format::Gemini, Operation::Count) => raw.get("generateContentRequest"),
        _ => None,
    });
    inside.map_or_else(|| request.body.clone(), |inside| inside.to_string().into())
}

fn as_openai(read: &ir::Request<'_>) -> Result<Map<String, Value>, String> {
    let target = Target { model: &read.model, max_output_tokens: None, quirks: &Quirks::OPENAI };
    let encoded = Format::OpenaiChat.codec().encode_request(read, &target);
    serde_json::from_slice(&encoded.body).map_err(|error| error.to_string())
}

/// Returns whether the model thinks, and shows it: because it is asked to, or where the format has it so, unasked.
fn thinks(read: &ir::Request<'_>, format: Format) -> bool {
    let ir::Reasoning { mode, effort, display } = &read.reasoning;
    if format == Format::Gemini {
        return display.as_ref().is_some_and(|display| display.value != "omitted");
    }
    if format == Format::Ollama {
        // Unasked, unless it is told not to.
        return mode.is_none_or(|mode| mode.value != ir::ReasoningMode::Off);
    }
    mode.as_ref().map_or(effort.is_some(), |mode| mode.value != ir::ReasoningMode::Off)
}

/// Says where thoughts are told that the mock has not signed, as a provider that makes signatures would.
fn forged(read: &ir::Request<'_>, format: Format) -> Option<String> {
    SIGNED.iter().find(|(of, _)| *of == format)?;
    let parts = read.messages.iter().flat_map(|message| &message.parts);
    let mut signatures = parts.filter_map(|part| match &part.content {
        ir::Content::Thinking { signature, .. } => signature.as_ref(),
        ir::Content::RedactedThinking { data } => Some(data),
        _ => None,
    });
    signatures.any(|signature| signature.value != SIGNATURE).then(|| "Invalid `signature` in `thinking` block".to_owned())
}

impl Dialect {
    /// Answers in the format.
    pub(super) fn answer(&self, ask: &Ask<'_>) -> Reply {
        if let Some(why) = &self.refusal {
            return self.refuse(400, why, ask);
        }
        let reply = match self.operation {
            Operation::Count => {
                let member = match self.format {
                    Format::Gemini => "totalTokens",
                    Format::Bedrock => "inputTokens",
                    Format::OpenaiChat | Format::OpenaiResponses | Format::Anthropic | Format::Cohere | Format::Ollama => "input_tokens",
                };
                return Reply::json(200, &json!({member: openai::prompt_tokens(ask)}));
            }
            Operation::Embed => return self.told_or_refused(vectors::embed(ask, self.format, &request_id(ask)), ask),
            Operation::Rerank => return self.told_or_refused(vectors::rerank(ask, &request_id(ask)), ask),
            Operation::Models if self.format == Format::Ollama => openai::models(ask),
            Operation::Models => openai::answer(ask),
            Operation::Answer | Operation::Stream => openai::chat(ask),
        };
        match reply.body {
            Body::Whole(_) if reply.status >= 400 && self.has_same_errors() => reply,
            Body::Whole(body) if reply.status >= 400 => self.refuse(reply.status, &failure::message(&body), ask),
            Body::Whole(body) if self.operation == Operation::Models => lists::models(&body, self.format),
            Body::Whole(body) => self.whole(&body, ask),
            Body::Events(events) => {
                Reply { status: reply.status, content_type: self.frames.content_type(), body: Body::Events(self.stream(events, ask)) }
            }
        }
    }

    fn told_or_refused(&self, told: Result<Reply, String>, ask: &Ask<'_>) -> Reply {
        told.unwrap_or_else(|why| self.refuse(400, &why, ask))
    }

    /// Breaks an event, and leaves its frame whole.
    pub(super) fn broken(&self, event: &Bytes) -> Bytes {
        self.frames.broken(event)
    }

    /// Makes an event that says nothing; nothing, where there is none.
    pub(super) fn ping(&self, ask: &Ask<'_>) -> Bytes {
        let id = request_id(ask);
        self.frames.ping(self.format, &reply(ask, &id))
    }

    /// Answers with a typical error.
    pub(super) fn failure(&self, failure: Failure, ask: &Ask<'_>) -> Reply {
        if self.has_same_errors() {
            return openai::failure(failure, ask.model);
        }
        self.told_whole(&self.told(failure, ask.model), ask)
    }

    /// Returns how thoughts are signed.
    pub(super) fn signature(&self) -> Option<openai::Signature> {
        let signed = SIGNED.iter().find(|(of, _)| *of == self.format)?;
        Some(openai::Signature { format: signed.1, value: SIGNATURE })
    }

    fn has_same_errors(&self) -> bool {
        SAME_ERRORS.contains(&self.format)
    }

    /// Writes a typical error as the last event of a stream, behind so many others.
    pub(super) fn failure_event(&self, failure: Failure, ask: &Ask<'_>, others: usize) -> Event {
        let mut out = Vec::new();
        let id = request_id(ask);
        let mut encoder = self.format.codec().stream_encoder(&reply(ask, &id));
        encoder.failure(&self.told(failure, ask.model), &id, &mut out);
        let event = Event { kind: EventKind::Error, bytes: out.into() };
        let written = self.frames.reframe(vec![event.clone()], others).into_iter().next();
        written.unwrap_or(event)
    }

    /// Returns the headers that an answer has.
    pub(super) fn headers(&self, ask: &Ask<'_>, reply: &Reply) -> Vec<(&'static str, String)> {
        let Some(names) = self.names() else { return openai::headers(ask).into() };
        let mut headers: Vec<_> = names.request_id.map(|name| (name, format!("req_mock_{}", ask.number))).into_iter().collect();
        if let (Format::Bedrock, Body::Whole(body)) = (self.format, &reply.body) {
            // The class of an error stands here first.
            let body: Value = serde_json::from_slice(body).unwrap_or_default();
            headers.extend(body.get("__type").and_then(Value::as_str).map(|name| ("x-amzn-errortype", name.to_owned())));
        }
        headers
    }

    /// Returns the names of the headers about limits of requests and of tokens.
    pub(super) fn limits(&self) -> [(&'static str, &'static str); 2] {
        self.names().map_or(openai::LIMITS, |names| names.limits)
    }

    fn names(&self) -> Option<Headers> {
        HEADERS.iter().find(|(of, _)| *of == self.format).map(|(_, names)| *names)
    }

    fn told(&self, failure: Failure, model: &str) -> codec::Failure {
        if let Some((_, _, status, words)) = WORDS.iter().find(|(of, named, ..)| *of == self.format && *named == failure) {
            return codec::Failure::new(kind(*status), *words);
        }
        let reply = openai::failure(failure, model);
        let message = openai::failure_json(failure, model);
        codec::Failure::new(kind(reply.status), message.pointer("/error/message").and_then(Value::as_str).unwrap_or_default())
    }

    fn told_whole(&self, told: &codec::Failure, ask: &Ask<'_>) -> Reply {
        let codec = self.format.codec();
        let body = Body::Whole(codec.encode_error(told, &request_id(ask)).into());
        Reply { status: codec.error_status(told.kind), content_type: "application/json", body }
    }

    /// Refuses a request.
    pub(super) fn refuse(&self, status: u16, message: &str, ask: &Ask<'_>) -> Reply {
        Reply { status, ..self.told_whole(&codec::Failure::new(kind(status), message), ask) }
    }

    fn whole(&self, body: &[u8], ask: &Ask<'_>) -> Reply {
        let id = request_id(ask);
        match Format::OpenaiChat.codec().decode_response(body) {
            Ok(response) => {
                let body = self.format.codec().encode_response(&response, &reply(ask, &id)).body;
                Reply { status: 200, content_type: "application/json", body: Body::Whole(body.into()) }
            }
            Err(failure) => self.refuse(500, &failure.message, ask),
        }
    }

    /// Writes a stream, event by event, so that each keeps its kind.
    fn stream(&self, events: Vec<Event>, ask: &Ask<'_>) -> Vec<Event> {
        let id = request_id(ask);
        let mut driver = Driver::new(Format::OpenaiChat, self.format, &reply(ask, &id), None);
        let mut judge = Judge::new(self.format, ask.behaviour.no_finish);
        // What the request used is known before the answer, and formats that can say so at once do.
        let early = events.iter().find(|event| event.kind == EventKind::Usage).and_then(early_usage);
        let mut early = early.map(|bytes| Event { kind: EventKind::Quiet, bytes });
        let mut written = Vec::new();
        for event in events {
            let before = if event.kind == EventKind::Quiet { None } else { early.take() };
            for event in before.into_iter().chain([event]) {
                let mut out = Vec::new();
                if let Err(failure) = driver.push(event.bytes, &mut out) {
                    driver.fail(&failure, &id, &mut out);
                }
                judge.frames(event.kind, out, &mut written);
            }
        }
        self.frames.reframe(written, 0)
    }
}

fn request_id(ask: &Ask<'_>) -> String {
    ask.name(24)
}

fn reply<'r>(ask: &'r Ask<'_>, id: &'r str) -> codec::Reply<'r> {
    codec::Reply {
        request_id: id,
        created: ask.created,
        model: ask.model,
        include_usage: !ask.behaviour.no_usage,
        latency_ms: 1,
        asked: "",
    }
}

/// The kind whose word is the provider's for a status.
const fn kind(status: u16) -> Kind {
    match status {
        401 => Kind::Unauthenticated,
        403 => Kind::Forbidden,
        404 => Kind::NotFound,
        408 | 504 => Kind::UpstreamTimeout,
        413 => Kind::TooLarge,
        429 => Kind::UpstreamRateLimit,
        503 | 529 => Kind::UpstreamOverload,
        400..=499 => Kind::BadRequest,
        _ => Kind::Internal,
    }
}
