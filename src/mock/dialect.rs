//! The other formats: a request of theirs is read as OpenAI's, and the answer to that is written in their words. Pure.
//!
//! A new format is a line in [`OPERATIONS`], and where it says something in words of its own, lines in [`WORDS`] and [`HEADERS`].
//! Rule: an answer is translated before anything is broken, so that a fault breaks the bytes that the client would have seen.

use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::Failure;
use super::grammar::unescape;
use super::http::Request;
use super::openai::{self, Ask, Body, Event, EventKind, Reply};
use crate::error::Kind;
use crate::wire::codec::{self, DecodeStream, Route, Target};
use crate::wire::driver::Driver;
use crate::wire::frame::Cutter;
use crate::wire::ir;
use crate::wire::quirks::Quirks;
use crate::wire::{Format, failure};

/// What a path asks for, by its method and its end; the more special first. Where the end is a verb, the model stands before it.
const OPERATIONS: [(&str, &str, Format, Operation); 6] = [
    ("POST", "/messages/count_tokens", Format::Anthropic, Operation::Count),
    ("POST", "/messages", Format::Anthropic, Operation::Answer),
    ("POST", "/responses", Format::OpenaiResponses, Operation::Answer),
    ("POST", ":generateContent", Format::Gemini, Operation::Answer),
    ("POST", ":streamGenerateContent", Format::Gemini, Operation::Stream),
    ("POST", ":countTokens", Format::Gemini, Operation::Count),
];

/// Who asks for the models, by a header that only clients of the format send.
const LISTS: [(&str, Format); 2] = [("anthropic-version", Format::Anthropic), ("x-goog-api-key", Format::Gemini)];

/// Formats whose errors are those of chats.
const SAME_ERRORS: [Format; 1] = [Format::OpenaiResponses];

/// Members that a request for an answer must have, where the codec is more patient than the provider.
const REQUIRED: [(Format, &str); 1] = [(Format::Anthropic, "max_tokens")];

/// Errors that are told by their words and not by their status, as the provider words them.
const WORDS: [(Format, Failure, u16, &str); 7] = [
    (Format::Anthropic, Failure::ContextLength, 400, "prompt is too long: 9001 tokens > 8192 maximum"),
    (Format::Anthropic, Failure::ContentFilter, 400, "Output blocked by content filtering policy"),
    (Format::Anthropic, Failure::Billing, 400, "Your credit balance is too low to access the API."),
    (Format::Anthropic, Failure::InsufficientQuota, 400, "Your credit balance is too low to access the API."),
    (Format::Gemini, Failure::ContextLength, 400, "The input token count (9001) exceeds the maximum number of tokens allowed (8192)."),
    (Format::Gemini, Failure::InvalidKey, 400, "API key not valid. Please pass a valid API key."),
    (Format::Gemini, Failure::InsufficientQuota, 429, "Your prepayment credits are depleted."),
];

/// Formats whose thoughts are signed, with OpenRouter's name of whoever signs them.
const SIGNED: [(Format, &str); 2] = [(Format::Anthropic, "anthropic-claude-v1"), (Format::Gemini, "google-gemini-v1")];

/// How the mock signs. It is base64, which one of the formats needs.
const SIGNATURE: &str = "bW9jayBzaWduYXR1cmU=";

/// Names of headers, where they are not OpenAI's.
const HEADERS: [(Format, Headers); 1] = [(
    Format::Anthropic,
    Headers {
        request_id: "request-id",
        limits: [
            ("anthropic-ratelimit-requests-remaining", "anthropic-ratelimit-requests-reset"),
            ("anthropic-ratelimit-tokens-remaining", "anthropic-ratelimit-tokens-reset"),
        ],
    },
)];

/// Names of headers.
#[derive(Debug, Clone, Copy)]
struct Headers {
    request_id: &'static str,
    /// How many requests and tokens are left, and when they are full again.
    limits: [(&'static str, &'static str); 2],
}

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operation {
    /// An answer, whole or, where the body says so, streamed.
    Answer,
    /// A stream, because the path says so.
    Stream,
    /// The tokens of a request.
    Count,
    /// The models.
    Models,
}

/// A request in another format than OpenAI's.
#[derive(Debug)]
pub(super) struct Dialect {
    pub(super) format: Format,
    operation: Operation,
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
        let is_list = request.method == "GET" && (path.ends_with("/models") || path.contains("/models/"));
        let (_, format) = LISTS.iter().find(|(header, _)| is_list && request.header(header).is_some())?;
        return Some((Dialect { format: *format, operation: Operation::Models, thinks: false, refusal: None }, None));
    };
    let verb = end.starts_with(':').then(|| path.strip_suffix(end)).flatten();
    let model = verb.and_then(|path| path.rsplit('/').next()).map(unescape);
    let route = Route { model: model.as_deref(), is_stream: verb.map(|_| *operation == Operation::Stream) };
    let dialect = |thinks, refusal| Dialect { format: *format, operation: *operation, thinks, refusal };
    let raw: Option<Map<String, Value>> = serde_json::from_slice(&request.body).ok();
    let read = format.codec().decode_request(&request.body, &route).map_err(|error| error.to_string());
    match read.and_then(|read| Ok((as_openai(&read)?, thinks(&read, *format), forged(&read, *format)))) {
        Ok((json, thinks, forged)) => {
            let has = |member: &str| raw.as_ref().is_some_and(|raw| raw.contains_key(member));
            let lacks = REQUIRED.iter().find(|(of, member)| of == format && *operation == Operation::Answer && !has(member));
            Some((dialect(thinks, lacks.map(|(_, member)| format!("{member}: Field required")).or(forged)), Some(json)))
        }
        Err(why) => Some((dialect(false, Some(why)), raw)),
    }
}

fn as_openai(read: &ir::Request<'_>) -> Result<Map<String, Value>, String> {
    let target = Target { model: &read.model, max_output_tokens: None, quirks: &Quirks::OPENAI };
    let encoded = Format::OpenaiChat.codec().encode_request(read, &target);
    serde_json::from_slice(&encoded.body).map_err(|error| error.to_string())
}

/// Returns whether the model is asked to think, and to show it.
fn thinks(read: &ir::Request<'_>, format: Format) -> bool {
    let ir::Reasoning { mode, effort, display } = &read.reasoning;
    if format == Format::Gemini {
        return display.as_ref().is_some_and(|display| display.value != "omitted");
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
                let member = if self.format == Format::Gemini { "totalTokens" } else { "input_tokens" };
                return Reply::json(200, &json!({member: openai::prompt_tokens(ask)}));
            }
            Operation::Models => openai::answer(ask),
            Operation::Answer | Operation::Stream => openai::chat(ask),
        };
        match reply.body {
            Body::Whole(_) if reply.status >= 400 && self.has_same_errors() => reply,
            Body::Whole(body) if reply.status >= 400 => self.refuse(reply.status, &failure::message(&body), ask),
            Body::Whole(body) if self.operation == Operation::Models => models(&body, self.format),
            Body::Whole(body) => self.whole(&body, ask),
            Body::Events(events) => Reply { body: Body::Events(self.stream(events, ask)), ..reply },
        }
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

    /// Writes a typical error as the last event of a stream.
    pub(super) fn failure_event(&self, failure: Failure, ask: &Ask<'_>) -> Bytes {
        let mut out = Vec::new();
        let id = request_id(ask);
        let mut encoder = self.format.codec().stream_encoder(&reply(ask, &id));
        encoder.failure(&self.told(failure, ask.model), &id, &mut out);
        out.into()
    }

    /// Returns the headers that every answer has.
    pub(super) fn headers(&self, ask: &Ask<'_>) -> Vec<(&'static str, String)> {
        self.names().map_or_else(|| openai::headers(ask).into(), |names| vec![(names.request_id, format!("req_mock_{}", ask.number))])
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
        let mut judge = Judge {
            cutter: Cutter::new(self.format.codec().framing()),
            decoder: self.format.codec().stream_decoder(),
            has_finish: false,
            no_finish: ask.behaviour.no_finish,
        };
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
        written
    }
}

/// Lists the models, or shows one, in the format's words.
fn models(body: &[u8], format: Format) -> Reply {
    let list: Value = serde_json::from_slice(body).unwrap_or_default();
    let is_gemini = format == Format::Gemini;
    let entry = |model: &Value| {
        let id = model.get("id").and_then(Value::as_str).unwrap_or_default();
        if is_gemini {
            json!({"name": format!("models/{id}"), "displayName": id, "supportedGenerationMethods": ["generateContent", "countTokens"]})
        } else {
            json!({"type": "model", "id": id, "display_name": id, "created_at": "2023-11-14T22:13:20Z"})
        }
    };
    let Some(data) = list.get("data").and_then(Value::as_array) else { return Reply::json(200, &entry(&list)) };
    let told: Vec<Value> = data.iter().map(entry).collect();
    let id = |model: Option<&Value>| model.and_then(|model| model.get("id")).cloned();
    Reply::json(
        200,
        &if is_gemini {
            json!({"models": told})
        } else {
            json!({"data": told, "has_more": false, "first_id": id(data.first()), "last_id": id(data.last())})
        },
    )
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
        429 => Kind::RateLimited,
        503 | 529 => Kind::UpstreamOverload,
        400..=499 => Kind::BadRequest,
        _ => Kind::Internal,
    }
}

/// Makes the usage of an answer that has just begun out of the usage of the whole one.
fn early_usage(event: &Event) -> Option<Bytes> {
    let mut chunk: Value = serde_json::from_slice(event.bytes.strip_prefix(b"data: ")?).ok()?;
    let usage = chunk.get_mut("usage")?;
    let prompt = usage.get("prompt_tokens")?.as_u64()?;
    *usage = json!({"prompt_tokens": prompt, "completion_tokens": 1, "total_tokens": prompt + 1});
    Some(format!("data: {chunk}\n\n").into())
}

/// Says what faults must know of each event, by reading it as a client would.
struct Judge {
    cutter: Cutter,
    decoder: Box<dyn DecodeStream>,
    has_finish: bool,
    no_finish: bool,
}

/// What a client sees in one event.
#[derive(Default)]
struct Said {
    start: bool,
    content: bool,
    usage: bool,
    end: bool,
}

impl Judge {
    /// Cuts what an event has become into events. `of` is the kind of the event that they come from.
    fn frames(&mut self, of: EventKind, bytes: Vec<u8>, written: &mut Vec<Event>) {
        // The cutter refuses events beyond any size that the mock writes.
        let _ = self.cutter.push(bytes.into());
        while let Ok(Some(bytes)) = self.cutter.next_frame() {
            let mut said = Said::default();
            let decoder = &mut self.decoder;
            let read = self
                .cutter
                .read(&bytes)
                .map_err(codec::Failure::from)
                .and_then(|frame| decoder.frame(&frame, &mut |event| said.note(&event)));
            let kind = match of {
                _ if read.is_err() => EventKind::Error,
                // One event that is both: it is the finish if that is what is left out.
                _ if said.end && self.no_finish && !self.has_finish => EventKind::Finish,
                _ if said.end => EventKind::Done,
                _ if said.content => EventKind::Content,
                EventKind::Finish | EventKind::Usage | EventKind::Done if said.usage && !said.start => EventKind::Finish,
                _ => EventKind::Quiet,
            };
            self.has_finish |= kind == EventKind::Finish;
            written.push(Event { kind, bytes });
        }
    }
}

impl Said {
    fn note(&mut self, event: &ir::Event<'_>) {
        match event {
            ir::Event::Start { .. } => self.start = true,
            ir::Event::Usage(_) => self.usage = true,
            ir::Event::End => self.end = true,
            ir::Event::PartStart { .. } | ir::Event::Delta { .. } => self.content |= event.is_content(),
            ir::Event::PartEnd { .. }
            | ir::Event::Finish { .. }
            | ir::Event::Logprobs { .. }
            | ir::Event::ServiceTier(_)
            | ir::Event::Ping => {}
        }
    }
}
