//! Whole answers and errors.

use bifrostctl::error::Kind;
use bifrostctl::wire::Format;
use bifrostctl::wire::json::Document;
use proptest::prelude::*;
use serde_json::Value;

use super::corpus::{REPLY, Recording, recordings};
use super::said::{as_heard_in, of_response};

fn answers() -> Vec<Recording> {
    let is_answer = |recording: &Recording| !recording.is_stream && recording.status == 200 && !recording.name.contains("count-tokens");
    recordings().into_iter().filter(is_answer).collect()
}

#[test]
fn every_recorded_answer_says_the_same_in_every_format() {
    let all = answers();
    for recording in &all {
        let response =
            recording.format.codec().decode_response(&recording.answer).unwrap_or_else(|bad| panic!("{}: {bad:?}", recording.name));
        let said = of_response(&response);
        for into in Format::ALL {
            let answer = into.codec().encode_response(&response, &REPLY);
            let again = into.codec().decode_response(&answer.body).unwrap_or_else(|bad| panic!("{} → {into:?}: {bad:?}", recording.name));
            let (mut expected, mut told) = (as_heard_in(said.clone(), into), as_heard_in(of_response(&again), into));
            if expected.usage.is_none() {
                told.usage = None;
            }
            if recording.format == Format::Gemini {
                // Calls without ids get some in formats that need them.
                expected.choices.values_mut().flat_map(|choice| &mut choice.calls).for_each(|call| call.0.clear());
                told.choices.values_mut().flat_map(|choice| &mut choice.calls).for_each(|call| call.0.clear());
            }
            assert_eq!(told, expected, "{} → {into:?}", recording.name);
            if into == recording.format {
                assert_eq!(answer.losses, [], "{}", recording.name);
            }
        }
    }
    assert!(all.len() > 75, "{}", all.len());
}

#[test]
fn an_answer_of_the_same_format_keeps_every_member_once() {
    for recording in answers() {
        let response = recording.format.codec().decode_response(&recording.answer).unwrap();
        let again = recording.format.codec().encode_response(&response, &REPLY).body;
        let (before, after): (Value, Value) = (serde_json::from_slice(&recording.answer).unwrap(), serde_json::from_slice(&again).unwrap());
        let document = Document::parse(&again).unwrap();
        let mut names: Vec<_> = document.root().members().filter_map(|(name, _)| name.text()).collect();
        names.sort();
        assert!(names.windows(2).all(|pair| pair[0] != pair[1]), "{}: a member stands twice: {names:?}", recording.name);
        for (name, value) in before.as_object().unwrap() {
            let is_kept = value.is_null() || name == "usage" || after.get(name).is_some();
            assert!(is_kept, "{}: {name}", recording.name);
        }
    }
}

#[test]
fn recorded_errors_are_these() {
    let mut told = Vec::new();
    for recording in recordings().iter().filter(|recording| recording.status != 200) {
        let failure = recording.format.codec().decode_error(recording.status, &recording.answer);
        let head: String = failure.message.chars().take(60).collect();
        told.push(format!("{} {} {}: {head}", recording.status, recording.name, failure.kind.code()));
        for into in Format::ALL {
            let status = into.codec().error_status(failure.kind);
            let body = into.codec().encode_error(&failure, "r1");
            let again = into.codec().decode_error(status, &body);
            // What is too long is told in the format's own words first.
            let is_told = again.message == failure.message
                || failure.kind == Kind::ContextWindow && again.message.ends_with(&failure.message) && again.kind == failure.kind;
            assert!(is_told, "{} → {into:?}: {}", recording.name, again.message);
        }
    }
    assert!(told.len() > 25, "{}", told.len());
    insta::assert_snapshot!("recorded_errors", told.join("\n"));
}

#[test]
fn every_error_of_ours_has_an_envelope_in_every_format() {
    for kind in Kind::ALL {
        for format in Format::ALL {
            let failure = bifrostctl::wire::codec::Failure::new(kind, "no");
            let body: Value = serde_json::from_slice(&format.codec().encode_error(&failure, "r1")).unwrap();
            let (message, class) = match format {
                Format::OpenaiChat | Format::OpenaiResponses | Format::Anthropic => (&body["error"]["message"], &body["error"]["type"]),
                Format::Gemini => (&body["error"]["message"], &body["error"]["status"]),
                Format::Bedrock => (&body["message"], &body["__type"]),
                // No class in the last two.
                Format::Cohere => (&body["message"], &body["id"]),
                Format::Ollama => (&body["error"], &body["error"]),
            };
            assert!(message.as_str().unwrap().ends_with("no"), "{format:?} {kind:?}");
            assert!(class.is_string());
            assert!((400..600).contains(&format.codec().error_status(kind)));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]
    #[test]
    fn no_bytes_make_a_decoder_of_answers_panic(which in any::<prop::sample::Index>(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let all = answers();
        let mut body = which.get(&all).answer.clone();
        let at = at.index(body.len());
        body[at] = byte;
        for from in Format::ALL {
            if let Ok(response) = from.codec().decode_response(&body) {
                for into in Format::ALL {
                    let answer = into.codec().encode_response(&response, &REPLY);
                    prop_assert!(serde_json::from_slice::<Value>(&answer.body).is_ok());
                }
            }
            let _ = from.codec().decode_error(400, &body);
        }
    }
}
