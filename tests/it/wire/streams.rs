//! Streams: every recording decodes, translates, splits anywhere, and is reported when it is cut.

use std::collections::BTreeMap;

use bifrostctl::error::Kind;
use bifrostctl::wire::Format;
use bifrostctl::wire::codec::Failure;
use bifrostctl::wire::driver::{Driver, Ended, Progress};
use bytes::Bytes;
use proptest::prelude::*;

use super::corpus::{REPLY, Recording, recordings};
use super::said::{as_heard_in, hear};
use super::{shape, shape_bedrock};

/// Recorded streams that end with an error, and what it is.
const FAILING: [(&str, Kind); 4] = [
    ("anthropic/reported-anthropic-overloaded-in-stream", Kind::UpstreamOverload),
    ("groq/chat-tool-use-failed-error-streaming", Kind::UpstreamRejected),
    ("groq/chat-tool-use-failed-error-streaming-with-text", Kind::UpstreamRejected),
    ("openai/vercel-openai-error-1-stream", Kind::UpstreamQuota),
];

/// Recorded streams without the terminator of their format.
const UNTERMINATED: [&str; 2] = [
    "bedrock/vercel-amazon-bedrock-json-with-tools-1-stream",
    "perplexity/chat-chat-streaming-responses-perplexity-sonar-supports-streaming-responses",
];

/// A recorded call of a tool that takes free text.
const FREE_TEXT: &str = "openai/vercel-openai-custom-tool-1-stream";

fn streams() -> Vec<Recording> {
    recordings().into_iter().filter(|recording| recording.is_stream && recording.status == 200).collect()
}

/// Runs a stream through the driver, in pieces.
pub(super) fn drive(from: Format, into: Format, pieces: &[&[u8]]) -> (Vec<u8>, Result<Ended, Failure>, Progress) {
    let mut driver = Driver::new(from, into, &REPLY, None);
    let mut out = Vec::new();
    for piece in pieces {
        if let Err(failure) = driver.push(Bytes::copy_from_slice(piece), &mut out) {
            return (out, Err(failure), driver.progress());
        }
    }
    let end = driver.end(&mut out);
    (out, end, driver.progress())
}

#[test]
fn every_recorded_stream_decodes_and_ends_as_it_should() {
    let mut failing = BTreeMap::new();
    let mut unterminated = Vec::new();
    let all = streams();
    for recording in &all {
        let heard = hear(recording.format, &[&recording.answer]);
        if let Some(failure) = heard.failure {
            assert!(!failure.message.is_empty(), "{}", recording.name);
            failing.insert(recording.name.as_str(), failure.kind);
            continue;
        }
        if !heard.has_ended {
            unterminated.push(recording.name.as_str());
        }
        assert!(heard.said.choices.values().all(|choice| choice.finish.is_some()), "{}", recording.name);
        for choice in heard.said.choices.values() {
            for (_, name, input) in &choice.calls {
                assert!(!name.is_empty(), "{}", recording.name);
                if recording.name == FREE_TEXT {
                    continue;
                }
                assert!(serde_json::from_str::<serde_json::Value>(input).unwrap().is_object(), "{}: {input}", recording.name);
            }
        }
    }
    assert_eq!(failing.into_iter().collect::<Vec<_>>(), FAILING);
    assert_eq!(unterminated, UNTERMINATED);
    assert!(all.len() > 35, "{}", all.len());
}

#[test]
fn every_recorded_stream_says_the_same_in_every_format() {
    for recording in streams().iter().filter(|recording| !FAILING.iter().any(|(name, _)| *name == recording.name)) {
        let said = hear(recording.format, &[&recording.answer]).said;
        for into in Format::ALL {
            let (out, end, progress) = drive(recording.format, into, &[&recording.answer]);
            assert!(end.is_ok(), "{} → {into:?}: {end:?}", recording.name);
            assert!(progress.has_content, "{}", recording.name);
            assert_eq!(progress.usage, said.usage, "{}", recording.name);
            shape::check(into, &out);
            let heard = hear(into, &[&out]);
            assert!(heard.has_ended && heard.failure.is_none(), "{} → {into:?}", recording.name);
            let (mut expected, mut told) = (as_heard_in(said.clone(), into), as_heard_in(heard.said, into));
            if expected.usage.is_none() {
                told.usage = None;
            }
            if matches!(into, Format::Anthropic | Format::Bedrock | Format::Cohere | Format::Ollama) || recording.format == Format::Gemini {
                // The form of a call without an id is the format's.
                expected.choices.values_mut().flat_map(|choice| &mut choice.calls).for_each(|call| call.0.clear());
                told.choices.values_mut().flat_map(|choice| &mut choice.calls).for_each(|call| call.0.clear());
            }
            assert_eq!(told, expected, "{} → {into:?}", recording.name);
        }
    }
}

/// Places to split a stream at: all of a short one, some of a long one.
fn splits(length: usize) -> Vec<usize> {
    let step = if length <= 3_000 { 1 } else { length / 60 };
    let mut state = 12_345_usize;
    (1..length)
        .step_by(step)
        .map(|at| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            if step == 1 { at } else { (at + (state >> 33) % step).min(length - 1) }
        })
        .collect()
}

#[test]
fn a_stream_is_the_same_however_it_is_split() {
    for recording in streams() {
        let answer = &recording.answer;
        let whole = hear(recording.format, &[answer]).events;
        for at in splits(answer.len()) {
            let split = hear(recording.format, &[&answer[..at], &answer[at..]]).events;
            assert!(split == whole, "{} at {at}", recording.name);
        }
        let bytes: Vec<&[u8]> = answer.chunks(1).collect();
        assert!(hear(recording.format, &bytes).events == whole, "{} byte by byte", recording.name);
    }
}

/// Returns the end of the line that holds the finish, and of the terminator's, found without the code under test.
fn ends(recording: &Recording) -> (usize, Option<usize>) {
    if recording.format == Format::Bedrock {
        let messages = shape_bedrock::messages(&recording.answer);
        let end = |name: &str| messages.iter().find(|message| message.name == name).map(|message| message.end);
        return (end("messageStop").unwrap_or(usize::MAX), end("metadata"));
    }
    let mut at = 0;
    let (mut finish, mut terminator) = (usize::MAX, None);
    for line in recording.answer.split_inclusive(|byte| *byte == b'\n') {
        at += line.len();
        let data = if recording.format == Format::Ollama { Some(line) } else { line.strip_prefix(b"data:") };
        let Some(data) = data.map(<[u8]>::trim_ascii) else { continue };
        let value: serde_json::Value = serde_json::from_slice(data).unwrap_or_default();
        let is_finish = match recording.format {
            Format::OpenaiChat => value["choices"][0]["finish_reason"].as_str().is_some_and(|word| !word.is_empty()),
            Format::OpenaiResponses => matches!(value["type"].as_str(), Some("response.completed" | "response.incomplete")),
            Format::Anthropic => value["delta"]["stop_reason"].is_string(),
            Format::Gemini => value["candidates"][0]["finishReason"].is_string(),
            Format::Cohere => value["delta"]["finish_reason"].is_string(),
            Format::Ollama => value["done"] == true,
            Format::Bedrock => unreachable!("no lines"),
        };
        if is_finish && finish == usize::MAX {
            finish = at;
        }
        let ends_itself = matches!(recording.format, Format::OpenaiResponses | Format::Ollama);
        let is_end = data == b"[DONE]" || value["type"] == "message_stop" || (is_finish && ends_itself);
        if is_end || (is_finish && !recording.format.codec().has_terminator()) {
            terminator = terminator.or(Some(at));
        }
    }
    (finish, terminator)
}

#[test]
fn every_cut_stream_is_reported_as_cut() {
    let mut cuts = 0;
    for recording in streams().iter().filter(|recording| !FAILING.iter().any(|(name, _)| *name == recording.name)) {
        let (finish, terminator) = ends(recording);
        for at in splits(recording.answer.len()) {
            let (_, end, _) = drive(recording.format, Format::OpenaiChat, &[&recording.answer[..at]]);
            // The white space behind a frame is no part of what it says; binary frames have none.
            let slack = if recording.format == Format::Bedrock { 0 } else { 8 };
            let near = |end: usize| at + slack >= end;
            match end {
                Ok(Ended::Complete) => assert!(terminator.is_some_and(near), "{} at {at}: whole", recording.name),
                Ok(Ended::WithoutTerminator) => assert!(near(finish), "{} at {at}: finished", recording.name),
                Err(failure) => {
                    assert_eq!(failure.kind, Kind::UpstreamTruncated, "{} at {at}", recording.name);
                    assert!(
                        at < finish || recording.name == "openai/chat-chat-completion-multiple-choices-streaming",
                        "{} at {at}: cut",
                        recording.name
                    );
                    cuts += 1;
                }
            }
        }
    }
    assert!(cuts > 1_000, "{cuts}");
}

#[test]
fn a_failure_is_told_in_the_clients_format_and_is_no_clean_end() {
    for recording in streams().iter().filter(|recording| FAILING.iter().any(|(name, _)| *name == recording.name)) {
        for into in Format::ALL {
            let mut driver = Driver::new(recording.format, into, &REPLY, None);
            let mut out = Vec::new();
            let failure = driver.push(Bytes::copy_from_slice(&recording.answer), &mut out).unwrap_err();
            driver.fail(&failure, "r1", &mut out);
            let heard = hear(into, &[&out]);
            let told = heard.failure.unwrap_or_else(|| panic!("{} → {into:?}", recording.name));
            assert_eq!(told.message, failure.message);
            assert!(!heard.has_ended);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn no_bytes_make_a_stream_panic(which in any::<prop::sample::Index>(), at in any::<prop::sample::Index>(), bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
        let all = streams();
        let recording = which.get(&all);
        let mut body = recording.answer.clone();
        let at = at.index(body.len());
        body.splice(at..(at + bytes.len() / 2).min(body.len()), bytes.iter().copied());
        for from in Format::ALL {
            for into in Format::ALL {
                let (_, end, _) = drive(from, into, &[&body]);
                prop_assert!(!matches!(end, Err(Failure { kind: Kind::Internal, .. })), "{:?}", end);
            }
        }
    }
}
