//! The correct answers: OpenAI's shapes, with texts, ids and numbers that follow from the request. Pure.

mod chat;
mod choice;
mod completion;
mod embedding;
mod error;
mod other;
mod sample;
mod text;

use bytes::Bytes;
use serde_json::{Map, Value};

use super::Behaviour;
use super::dialect::Dialect;
use super::http::Request;

pub(super) use choice::Signature;
pub(super) use embedding::vector;
pub(super) use error::{bad_fault, failure, failure_json, refuse_fault};
pub(super) use other::{models, rerank};
pub(super) use text::tokens;

/// The headers about limits of requests and of tokens: how many are left, and when they are full again.
pub(super) const LIMITS: [(&str, &str); 2] =
    [("x-ratelimit-remaining-requests", "x-ratelimit-reset-requests"), ("x-ratelimit-remaining-tokens", "x-ratelimit-reset-tokens")];

/// The headers that every answer has.
pub(super) fn headers(ask: &Ask<'_>) -> [(&'static str, String); 4] {
    [
        ("x-request-id", format!("req_mock_{}", ask.number)),
        ("openai-organization", "org-mock".to_owned()),
        ("openai-processing-ms", "1".to_owned()),
        ("openai-version", "2020-10-01".to_owned()),
    ]
}

/// What an answer is made from.
#[derive(Debug)]
pub(super) struct Ask<'a> {
    pub(super) request: &'a Request,
    /// The format that is spoken, where it is not OpenAI's.
    pub(super) dialect: Option<&'a Dialect>,
    /// Why the faults asked for are not understood.
    pub(super) bad_fault: Option<&'a str>,
    /// The body, where it is a JSON object: OpenAI's, whatever is spoken.
    pub(super) json: Option<&'a Map<String, Value>>,
    /// The model's name without faults; empty where there is none.
    pub(super) model: &'a str,
    pub(super) behaviour: &'a Behaviour,
    pub(super) number: u64,
    pub(super) seed: u64,
    /// Seconds since the Unix epoch.
    pub(super) created: u64,
    pub(super) models: &'a [String],
}

/// An answer without its framing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) content_type: &'static str,
    pub(super) body: Body,
}

/// The body of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Body {
    Whole(Bytes),
    Events(Vec<Event>),
}

/// One event of a stream, with its lines and its empty line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Event {
    pub(super) bytes: Bytes,
    pub(super) kind: EventKind,
}

/// What faults must know of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum EventKind {
    /// Nothing that a user would see: a comment, a role.
    Quiet,
    Content,
    Finish,
    Usage,
    Done,
    Error,
}

impl Reply {
    pub(super) fn json(status: u16, body: &Value) -> Self {
        Self { status, content_type: "application/json", body: Body::Whole(body.to_string().into()) }
    }

    fn events(events: Vec<Event>) -> Self {
        Self { status: 200, content_type: "text/event-stream; charset=utf-8", body: Body::Events(events) }
    }
}

impl Event {
    fn data(kind: EventKind, data: &Value) -> Self {
        Self { kind, bytes: format!("data: {data}\n\n").into() }
    }

    fn done() -> Self {
        Self { kind: EventKind::Done, bytes: Bytes::from_static(b"data: [DONE]\n\n") }
    }
}

impl Ask<'_> {
    /// Returns a member of the body; null where there is none.
    pub(super) fn get(&self, member: &str) -> &Value {
        self.json.and_then(|json| json.get(member)).unwrap_or(&Value::Null)
    }

    fn is_stream(&self) -> bool {
        self.get("stream") == &Value::Bool(true)
    }

    /// Returns whether the model is asked to think, and to show it.
    fn thinks(&self) -> bool {
        let effort = self.get("reasoning_effort");
        self.dialect.map_or(!effort.is_null() && effort != "none", |dialect| dialect.thinks)
    }

    fn wants_usage(&self) -> bool {
        !self.behaviour.no_usage && (!self.is_stream() || self.get("stream_options").get("include_usage") == Some(&Value::Bool(true)))
    }

    fn choices(&self) -> u64 {
        self.get("n").as_u64().unwrap_or(1).clamp(1, 128)
    }

    /// Makes an id; none where another format makes its own.
    fn id(&self, prefix: &str, length: usize) -> String {
        if self.dialect.is_some() { String::new() } else { format!("{prefix}{}", self.name(length)) }
    }

    /// Makes a name that follows from the seed and the request's number.
    pub(super) fn name(&self, length: usize) -> String {
        text::name(&[&self.seed.to_be_bytes(), &self.number.to_be_bytes()], length)
    }
}

/// Answers a chat.
pub(super) fn chat(ask: &Ask<'_>) -> Reply {
    chat::answer(ask).unwrap_or_else(|refusal| *refusal)
}

/// Counts the tokens of a chat's messages.
pub(super) fn prompt_tokens(ask: &Ask<'_>) -> u64 {
    chat::prompt_tokens(ask.get("messages").as_array().map_or(&[], Vec::as_slice))
}

/// Answers as a correct OpenAI-compatible server would. Any prefix before the operation's path is fine (`/v1`, `/openai/v1`).
pub(super) fn answer(ask: &Ask<'_>) -> Reply {
    let path = ask.request.path();
    let is_operation = |operation: &str| path.ends_with(operation);
    match ask.request.method.as_str() {
        "GET" if is_operation("/models") => other::models(ask),
        "GET" if path.contains("/models/") => other::model(ask, path),
        "POST" if ask.json.is_none() && !other::takes_multipart(ask) => error::not_json(),
        "POST" if is_operation("/chat/completions") => chat(ask),
        "POST" if is_operation("/completions") => completion::answer(ask).unwrap_or_else(|refusal| *refusal),
        "POST" if is_operation("/embeddings") => embedding::answer(ask).unwrap_or_else(|refusal| *refusal),
        "POST" => other::answer(ask),
        "GET" if is_operation("/completions") || is_operation("/embeddings") => error::wrong_method(ask),
        _ => error::no_path(ask),
    }
}
