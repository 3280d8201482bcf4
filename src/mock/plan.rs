//! Turns an answer and a behaviour into what is written when: head, pieces, silences, and the place where it breaks. Pure.

use std::time::{Duration, SystemTime};

use bytes::Bytes;

use super::dialect::Dialect;
use super::openai::{self, Ask, Body, Event, EventKind, Reply};
use super::{At, Behaviour, Failure, Framing};

/// What is written for one request.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Plan {
    /// Silence before anything.
    pub(super) delay: Duration,
    /// Head with its empty line; for garbage, all there is.
    pub(super) head: Vec<u8>,
    pub(super) pieces: Vec<Piece>,
    pub(super) is_chunked: bool,
    /// Bytes per flush; without it, a piece at once.
    pub(super) segment: Option<usize>,
    /// Silence after each segment.
    pub(super) drip: Duration,
    pub(super) breaks: Option<Break>,
    /// The connection ends after the answer.
    pub(super) close: bool,
}

/// A part of the body that is written at once, after a silence.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) pause: Duration,
    pub(super) bytes: Bytes,
    /// It is one piece of a stream's text, which a provider bills as a token.
    pub(super) is_content: bool,
}

/// Where and how the answer breaks off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Break {
    pub(super) how: How,
    /// Bytes of the body; nothing at all, not even the head, without it.
    pub(super) at: Option<u64>,
}

/// How an answer breaks off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum How {
    Cut,
    Reset,
    Stall,
}

const GARBAGE: &[u8] = b"\x00\xff\x13\x37 this is not HTTP\r\n\r\n\x16\x03\x01";
const HTML: &str = "<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>\r\n<center><h1>502 Bad Gateway</h1></center>\r\n\
                    <hr><center>nginx</center>\r\n</body>\r\n</html>\r\n";

/// Plans the answer to one request.
pub(super) fn plan(ask: &Ask<'_>, now: SystemTime) -> Plan {
    let behaviour = ask.behaviour;
    let reply = edit(reply(ask), ask);
    let is_head = ask.request.method == "HEAD";
    let framing = framing(&reply.body, ask);
    let ends = ask.request.wants_close()
        || framing == Framing::Close
        || behaviour.close
        || behaviour.content_length.is_some()
        || behaviour.garbage
        || ends_with_error(&reply.body);
    let mut pieces = pieces(&reply, behaviour);
    let head = if behaviour.garbage { GARBAGE.to_vec() } else { head(ask, &reply, (framing, now)) };
    if behaviour.garbage || is_head {
        pieces.clear();
    }
    Plan {
        delay: behaviour.delay.get(),
        head,
        breaks: breaks(behaviour, &pieces),
        is_chunked: framing == Framing::Chunked && !behaviour.garbage && !is_head,
        segment: behaviour.segment.filter(|size| *size > 0).or((!behaviour.drip.get().is_zero()).then_some(1)),
        drip: behaviour.drip.get(),
        close: ends,
        pieces,
    }
}

/// Picks what stands in place of the answer, or the answer.
fn reply(ask: &Ask<'_>) -> Reply {
    let behaviour = ask.behaviour;
    if let Some(why) = ask.bad_fault {
        return match ask.dialect {
            Some(dialect) => dialect.refuse(400, &openai::bad_fault(why), ask),
            None => openai::refuse_fault(why),
        };
    }
    let text = |status: u16, content_type, body: Bytes| Reply { status, content_type, body: Body::Whole(body) };
    if behaviour.empty {
        return text(behaviour.status.unwrap_or(200), "application/json", Bytes::new());
    }
    if behaviour.html {
        return text(behaviour.status.unwrap_or(502), "text/html", Bytes::from_static(HTML.as_bytes()));
    }
    if let Some(body) = &behaviour.body {
        return text(behaviour.status.unwrap_or(200), "application/json", Bytes::from(body.clone()));
    }
    let failing = behaviour.error.filter(|_| behaviour.error_at.is_none()).or_else(|| behaviour.status.and_then(typical));
    let mut reply = match (ask.dialect, failing) {
        (None, None) => openai::answer(ask),
        (None, Some(failure)) => openai::failure(failure, ask.model),
        (Some(dialect), None) => dialect.answer(ask),
        (Some(dialect), Some(failure)) => dialect.failure(failure, ask),
    };
    if let Some(status) = behaviour.status {
        reply.status = status;
    }
    reply
}

/// The error that a status usually comes with.
const fn typical(status: u16) -> Option<Failure> {
    match status {
        401 => Some(Failure::InvalidKey),
        402 => Some(Failure::Billing),
        403 => Some(Failure::Permission),
        404 => Some(Failure::ModelNotFound),
        408 | 504 => Some(Failure::Timeout),
        429 => Some(Failure::RateLimit),
        400..=499 => Some(Failure::BadRequest),
        503 | 529 => Some(Failure::Overloaded),
        500..=599 => Some(Failure::ServerError),
        _ => None,
    }
}

/// Applies the faults that change a body.
fn edit(mut reply: Reply, ask: &Ask<'_>) -> Reply {
    let behaviour = ask.behaviour;
    let failure = behaviour.error.unwrap_or(Failure::ServerError);
    match &mut reply.body {
        Body::Whole(bytes) => {
            if behaviour.error_at.is_some() {
                *bytes = match ask.dialect.map(|dialect| dialect.failure(failure, ask).body) {
                    Some(Body::Whole(bytes)) => bytes,
                    Some(Body::Events(_)) | None => openai::failure_json(failure, ask.model).to_string().into(),
                };
            }
            if behaviour.malformed_at.is_some() {
                bytes.truncate(bytes.len() / 2);
            }
        }
        Body::Events(events) => {
            events.retain(|event| {
                !(behaviour.no_done && event.kind == EventKind::Done || behaviour.no_finish && event.kind == EventKind::Finish)
            });
            if let Some(event) = behaviour.malformed_at.and_then(|at| events.get_mut(at)) {
                event.bytes = match ask.dialect {
                    Some(dialect) => dialect.broken(&event.bytes),
                    None => broken(&event.bytes),
                };
            }
            if let Some(at) = behaviour.error_at {
                let end = events.iter().position(|event| event.kind == EventKind::Done).unwrap_or(events.len());
                events.truncate(at.min(end));
                events.push(match ask.dialect {
                    Some(dialect) => dialect.failure_event(failure, ask, events.len()),
                    None => {
                        let name = if behaviour.error_named { "event: error\n" } else { "" };
                        let bytes = format!("{name}data: {}\n\n", openai::failure_json(failure, ask.model)).into();
                        Event { kind: EventKind::Error, bytes }
                    }
                });
            }
            let bytes = ask.dialect.map_or(Bytes::from_static(b": keep-alive\n\n"), |dialect| dialect.ping(ask));
            let ping = Event { kind: EventKind::Quiet, bytes };
            let pings = if ping.bytes.is_empty() { 0 } else { behaviour.pings };
            events.splice(0..0, std::iter::repeat_n(ping, pings));
        }
    }
    reply
}

/// Cuts an event's data in half and ends it as an event.
fn broken(event: &Bytes) -> Bytes {
    let mut half = event.slice(..event.len() / 2).to_vec();
    half.extend_from_slice(b"\n\n");
    half.into()
}

fn ends_with_error(body: &Body) -> bool {
    matches!(body, Body::Events(events) if events.last().is_some_and(|event| event.kind == EventKind::Error))
}

fn framing(body: &Body, ask: &Ask<'_>) -> Framing {
    let default = if matches!(body, Body::Events(_)) { Framing::Chunked } else { Framing::Length };
    match ask.behaviour.framing.unwrap_or(default) {
        Framing::Chunked if ask.request.is_http10 => Framing::Close,
        framing => framing,
    }
}

fn pieces(reply: &Reply, behaviour: &Behaviour) -> Vec<Piece> {
    let first_token = behaviour.first_token_delay.get();
    match &reply.body {
        Body::Whole(bytes) if bytes.is_empty() => Vec::new(),
        Body::Whole(bytes) => vec![Piece { pause: first_token, bytes: bytes.clone(), is_content: false }],
        Body::Events(events) => {
            let first = events.iter().position(|event| event.kind != EventKind::Quiet);
            let pause = |index: usize| {
                let every = if index == 0 { Duration::ZERO } else { behaviour.chunk_delay.get() };
                if Some(index) == first { every.saturating_add(first_token) } else { every }
            };
            events
                .iter()
                .enumerate()
                .map(|(index, event)| Piece {
                    pause: pause(index),
                    bytes: event.bytes.clone(),
                    is_content: event.kind == EventKind::Content,
                })
                .collect()
        }
    }
}

fn breaks(behaviour: &Behaviour, pieces: &[Piece]) -> Option<Break> {
    let places = [(How::Cut, behaviour.cut_at), (How::Reset, behaviour.reset_at), (How::Stall, behaviour.stall_at)];
    let bytes = |at: At| match at {
        At::Start => None,
        At::Byte(at) => Some(at),
        At::Event(count) => Some(pieces.iter().take(count).map(|piece| piece.bytes.len() as u64).sum()),
    };
    let all = places.into_iter().filter_map(|(how, at)| at.map(|at| Break { how, at: bytes(at) }));
    // `None` (before anything) sorts before every byte.
    all.min_by_key(|place| place.at)
}

fn head(ask: &Ask<'_>, reply: &Reply, (framing, now): (Framing, SystemTime)) -> Vec<u8> {
    let behaviour = ask.behaviour;
    let mut headers = vec![("content-type", reply.content_type.to_owned())];
    match ask.dialect {
        Some(dialect) => headers.extend(dialect.headers(ask, reply)),
        None => headers.extend(openai::headers(ask)),
    }
    let mut add = |name, value: &Option<String>| headers.extend(value.iter().map(|value| (name, value.clone())));
    add("retry-after", &behaviour.retry_after);
    add("retry-after", &behaviour.retry_after_date.map(|span| httpdate::fmt_http_date(now + span.get())));
    add("retry-after-ms", &behaviour.retry_after_ms);
    let names = ask.dialect.map_or(openai::LIMITS, Dialect::limits);
    for ((remaining, reset), until) in names.into_iter().zip([&behaviour.reset_requests, &behaviour.reset_tokens]) {
        add(remaining, &until.as_ref().map(|_| "0".to_owned()));
        add(reset, until);
    }
    headers.retain(|(name, _)| !behaviour.headers.keys().any(|own| own.eq_ignore_ascii_case(name)));
    headers.extend(behaviour.headers.iter().map(|(name, value)| (name.as_str(), value.clone())));
    match framing {
        Framing::Length => {
            let length = match &reply.body {
                Body::Whole(bytes) => bytes.len() as u64,
                Body::Events(events) => events.iter().map(|event| event.bytes.len() as u64).sum(),
            };
            headers.push(("content-length", behaviour.content_length.unwrap_or(length).to_string()));
        }
        Framing::Chunked => headers.push(("transfer-encoding", "chunked".to_owned())),
        Framing::Close => {}
    }
    if ask.request.wants_close() || framing == Framing::Close {
        headers.push(("connection", "close".to_owned()));
    }
    let reason = ::http::StatusCode::from_u16(reply.status).ok().and_then(|status| status.canonical_reason()).unwrap_or("Mock");
    let mut head = format!("HTTP/1.1 {} {reason}\r\n", reply.status);
    for (name, value) in &headers {
        head.extend([name, ": ", value, "\r\n"]);
    }
    head.push_str("\r\n");
    head.into_bytes()
}
