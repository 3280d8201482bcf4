//! What the mock does to one answer: when, which, how it is framed, and where it breaks.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Deserializer, de};

use crate::base::Span;

/// What the mock does with one request. The default is a whole, correct answer at once.
///
/// The fields are also the words of the fault grammar (`status=503;retry_after=2`) and of scripts. What stands in place of the answer is
/// the first of `garbage`, `empty`, `html`, `body`, `error`, `status` that is set.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Behaviour {
    /// Silence before the head.
    pub delay: Span,
    /// Silence between the head (with a role-only chunk, in a stream) and the first content.
    pub first_token_delay: Span,
    /// Silence before every event but the first.
    pub chunk_delay: Span,
    /// Silence after every segment; without `segment`, after every byte of the body.
    pub drip: Span,
    /// Writes the body in segments of so many bytes, each flushed.
    pub segment: Option<usize>,

    /// The status. From 400 on, an OpenAI error that fits takes the place of the answer.
    pub status: Option<u16>,
    /// A typical error answer, or the error of `error_at`.
    pub error: Option<Failure>,
    /// Headers, in place of the mock's own of the same name.
    pub headers: BTreeMap<String, String>,
    /// The body, as it is.
    #[serde(deserialize_with = "scalar")]
    pub body: Option<String>,
    /// A gateway's HTML page (502 unless `status` says otherwise).
    pub html: bool,
    /// An answer with an empty body.
    pub empty: bool,
    /// Bytes that are not HTTP, then the end.
    pub garbage: bool,

    /// `retry-after` as written: seconds or an HTTP date.
    #[serde(deserialize_with = "scalar")]
    pub retry_after: Option<String>,
    /// `retry-after` as the HTTP date so far from now.
    pub retry_after_date: Option<Span>,
    /// `retry-after-ms` as written.
    #[serde(deserialize_with = "scalar")]
    pub retry_after_ms: Option<String>,
    /// `x-ratelimit-reset-requests` as written, with none remaining.
    #[serde(deserialize_with = "scalar")]
    pub reset_requests: Option<String>,
    /// `x-ratelimit-reset-tokens` as written, with none remaining.
    #[serde(deserialize_with = "scalar")]
    pub reset_tokens: Option<String>,

    /// Ends the connection cleanly (FIN) there, without the terminator.
    pub cut_at: Option<At>,
    /// Resets the connection (RST) there.
    pub reset_at: Option<At>,
    /// Falls silent there, with the connection open until the client closes it.
    pub stall_at: Option<At>,
    /// Puts broken JSON in place of the event with this index; a whole body is cut in half, with the right length.
    pub malformed_at: Option<usize>,
    /// Puts an error event in place of the event with this index and of all that follow; a whole body becomes that error, with status 200.
    pub error_at: Option<usize>,
    /// The error event has an `event: error` line.
    pub error_named: bool,
    /// The stream has no `[DONE]`.
    pub no_done: bool,
    /// The stream has no finish reason.
    pub no_finish: bool,
    /// The answer has no usage.
    pub no_usage: bool,
    /// Comment lines before the first event.
    pub pings: usize,

    /// How the body's end is told.
    pub framing: Option<Framing>,
    /// `content-length` as told, right or wrong; the connection closes after the body.
    pub content_length: Option<u64>,
    /// Closes the connection right after the answer, which did not say so.
    pub close: bool,

    /// The answer's text, in place of the echo.
    #[serde(deserialize_with = "scalar")]
    pub text: Option<String>,
    /// The answer's text has exactly so many pieces (tokens); it is repeated or cut to that.
    pub chunks: Option<usize>,
    /// What the model thinks before it answers, where it is asked to think and to show it.
    #[serde(deserialize_with = "scalar")]
    pub thoughts: Option<String>,
    /// An address that the answer's text cites, all of it.
    #[serde(deserialize_with = "scalar")]
    pub cites: Option<String>,
    /// Where tools are offered, so many of them are called at once, in turn; by default one.
    pub calls: Option<usize>,
    /// The finish reason.
    pub finish_reason: Option<String>,
}

impl Behaviour {
    /// Makes the behaviour that answers with a status and the OpenAI error that fits.
    #[must_use]
    pub fn status(status: u16) -> Self {
        Self { status: Some(status), ..Self::default() }
    }

    /// Makes the behaviour that answers with a typical error.
    #[must_use]
    pub fn error(error: Failure) -> Self {
        Self { error: Some(error), ..Self::default() }
    }

    /// Makes the behaviour that answers 429 with `retry-after` as written.
    #[must_use]
    pub fn rate_limited(retry_after: impl fmt::Display) -> Self {
        Self { error: Some(Failure::RateLimit), retry_after: Some(retry_after.to_string()), ..Self::default() }
    }

    /// Makes the behaviour that answers with a text of one's own.
    #[must_use]
    pub fn says(text: impl Into<String>) -> Self {
        Self { text: Some(text.into()), ..Self::default() }
    }

    /// Makes the behaviour that ends the connection cleanly at a place.
    #[must_use]
    pub fn cut(at: At) -> Self {
        Self { cut_at: Some(at), ..Self::default() }
    }

    /// Makes the behaviour that resets the connection at a place.
    #[must_use]
    pub fn reset(at: At) -> Self {
        Self { reset_at: Some(at), ..Self::default() }
    }

    /// Makes the behaviour that falls silent at a place.
    #[must_use]
    pub fn stall(at: At) -> Self {
        Self { stall_at: Some(at), ..Self::default() }
    }
}

/// A place in the answer, written `start`, `17` or `event:3`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum At {
    /// Before any byte.
    Start,
    /// After the head and so many bytes of the body (as the client sees it: chunk framing does not count).
    Byte(u64),
    /// After the head and so many whole events, comments included.
    Event(usize),
}

impl std::str::FromStr for At {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const EXPECTED: &str = "expected a place in the answer: `start`, a number of body bytes such as `17`, or `event:3`";
        if text == "start" {
            return Ok(Self::Start);
        }
        match text.strip_prefix("event:") {
            Some(count) => count.parse().map(Self::Event).map_err(|_| EXPECTED),
            None => text.parse().map(Self::Byte).map_err(|_| EXPECTED),
        }
    }
}

impl<'de> Deserialize<'de> for At {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = scalar(deserializer)?.unwrap_or_default();
        text.parse().map_err(de::Error::custom)
    }
}

/// How the end of a body is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Framing {
    /// `content-length`; the default of whole bodies.
    Length,
    /// `transfer-encoding: chunked`, one chunk per event; the default of streams.
    Chunked,
    /// The connection's end.
    Close,
}

/// A typical error of OpenAI's API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Failure {
    /// 400, a request that is not understood.
    BadRequest,
    /// 400, `context_length_exceeded`.
    ContextLength,
    /// 400, `content_filter`.
    ContentFilter,
    /// 401, `invalid_api_key`.
    InvalidKey,
    /// 402, an account without balance.
    Billing,
    /// 403.
    Permission,
    /// 404, `model_not_found`.
    ModelNotFound,
    /// 408.
    Timeout,
    /// 429, `rate_limit_exceeded`.
    RateLimit,
    /// 429, `insufficient_quota`.
    InsufficientQuota,
    /// 500.
    ServerError,
    /// 503.
    Overloaded,
}

/// Reads text that may be written as a number or a boolean: `retry_after: 2`.
fn scalar<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    struct Visitor;
    impl de::Visitor<'_> for Visitor {
        type Value = Option<String>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a text or a number")
        }
        fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
            Ok(Some(text.to_owned()))
        }
        fn visit_u64<E>(self, number: u64) -> Result<Self::Value, E> {
            Ok(Some(number.to_string()))
        }
        fn visit_i64<E>(self, number: i64) -> Result<Self::Value, E> {
            Ok(Some(number.to_string()))
        }
        fn visit_f64<E>(self, number: f64) -> Result<Self::Value, E> {
            Ok(Some(number.to_string()))
        }
        fn visit_bool<E>(self, flag: bool) -> Result<Self::Value, E> {
            Ok(Some(flag.to_string()))
        }
        fn visit_unit<E>(self) -> Result<Self::Value, E> {
            Ok(None)
        }
    }
    deserializer.deserialize_any(Visitor)
}
