//! Laws that hold for any bytes, for each format's decoders: requests, whole answers, streams in any pieces.
//!
//! What a decoder takes, every encoder writes, and the written is read again. A stream comes to the same however it is cut into pieces, and
//! one that ended well is written as one that ends well. The first byte says what is read, the second the other format, the third where a
//! stream is cut.

use bifrostctl::wire::codec::{Failure, Reply, Route, Target};
use bifrostctl::wire::driver::{Driver, Ended};
use bifrostctl::wire::json::Document;
use bifrostctl::wire::quirks::{CacheMarks, Quirks, ReasoningField};
use bifrostctl::wire::tap::{Heard, Tap};
use bifrostctl::wire::{Format, count, embedding, estimate, rerank};
use bytes::Bytes;

use super::said;

/// A client that wants everything it can have.
fn reply() -> Reply<'static> {
    Reply { request_id: "r1", created: 1_700_000_000, model: "alias", include_usage: true, ..Reply::default() }
}

/// A server that takes the most.
const RICH: Quirks =
    Quirks { reasoning_field: ReasoningField::ReasoningDetails, cache_marks: CacheMarks::CacheControl, has_top_k: true, ..Quirks::OPENAI };

fn target(format: Format) -> Target<'static> {
    let model = match format {
        Format::OpenaiChat | Format::OpenaiResponses => "gpt-5.1",
        Format::Anthropic => "claude-sonnet-4-5",
        Format::Gemini => "gemini-3-flash-preview",
        Format::Bedrock => "us.anthropic.claude-sonnet-4-5-20250929-v1:0",
        Format::Cohere => "command-a-03-2025",
        Format::Ollama => "qwen3",
    };
    Target { model, max_output_tokens: None, quirks: &RICH }
}

/// Holds one format to its laws.
///
/// # Panics
/// Where one is broken.
#[allow(unreachable_pub)]
pub fn hold(from: Format, data: &[u8]) {
    let [what, other, cut, body @ ..] = data else { return };
    let into = Format::ALL[usize::from(*other) % Format::ALL.len()];
    match what % 4 {
        0 => request(from, into, body),
        1 => answer(from, into, body),
        _ => stream(from, into, *cut, body),
    }
}

fn request(from: Format, into: Format, body: &[u8]) {
    let route = Route { model: Some("m"), is_stream: Some(false) };
    let _ = embedding::decode(from, body, &route).map(|asked| embedding::encode(into, &asked, "titan-embed"));
    let _ = rerank::decode(body).map(|asked| rerank::encode(into, &asked, &target(into)));
    let _ = count::decode(from, body, &route);
    let Ok(request) = from.codec().decode_request(body, &route) else { return };
    let _ = estimate::request(&request);
    let _ = count::encode(into, &request, &target(into));
    let written = into.codec().encode_request(&request, &target(into)).body;
    assert!(Document::parse(&written).is_ok(), "{from:?} → {into:?}: no JSON: {}", String::from_utf8_lossy(&written));
    let again = into.codec().decode_request(&written, &route);
    assert!(again.is_ok(), "{from:?} → {into:?}: {again:?}: {}", String::from_utf8_lossy(&written));
}

fn answer(from: Format, into: Format, body: &[u8]) {
    let _ = from.codec().decode_error(400, body);
    let _ = embedding::decode_answer(from, body)
        .map(|vectors| embedding::encode_answer(into, &vectors, ("m", "i"), embedding::Shape::default()));
    let _ = count::decode_answer(from, body);
    let _ = rerank::decode_answer(body);
    let Ok(response) = from.codec().decode_response(body) else { return };
    let written = into.codec().encode_response(&response, &reply()).body;
    let again = into.codec().decode_response(&written);
    assert!(again.is_ok(), "{from:?} → {into:?}: {again:?}: {}", String::from_utf8_lossy(&written));
}

fn drive<'p>(from: Format, into: Format, pieces: impl Iterator<Item = &'p [u8]>) -> (Vec<u8>, Result<Ended, Failure>) {
    let mut driver = Driver::new(from, into, &reply(), None);
    let mut out = Vec::new();
    for piece in pieces {
        if let Err(failure) = driver.push(Bytes::copy_from_slice(piece), &mut out) {
            return (out, Err(failure));
        }
    }
    let end = driver.end(&mut out);
    (out, end)
}

/// Listens to a stream that passes. Returns the bytes that pass, and whether it failed.
fn listen<'p>(format: Format, pieces: impl Iterator<Item = &'p [u8]>) -> (Vec<u8>, bool) {
    let mut tap = Tap::new(format);
    let mut passed = Vec::new();
    for piece in pieces {
        if tap.push(Bytes::copy_from_slice(piece)).is_err() {
            return (passed, true);
        }
        while let Some(heard) = tap.next_event() {
            match heard {
                Heard::Event(bytes) | Heard::End(bytes) => passed.extend_from_slice(&bytes),
                Heard::Failure(..) => return (passed, true),
            }
        }
    }
    (passed, false)
}

fn stream(from: Format, into: Format, cut: u8, body: &[u8]) {
    let whole = drive(from, into, std::iter::once(body));
    let step = usize::from(cut).max(1);
    let split = drive(from, into, body.chunks(step));
    assert!(whole == split, "{from:?} → {into:?} in pieces of {step}: {whole:?} is not {split:?}");
    assert!(listen(from, std::iter::once(body)) == listen(from, body.chunks(step)), "{from:?} in pieces of {step}");
    if whole.1.is_ok() {
        let heard = said::hear(into, &[&whole.0]);
        assert!(heard.failure.is_none(), "{from:?} → {into:?}: {:?}", heard.failure);
        assert!(heard.has_ended || !into.codec().has_terminator(), "{from:?} → {into:?} has no end");
    }
}
