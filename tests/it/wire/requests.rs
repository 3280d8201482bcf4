//! Requests: what goes in comes out, or is told.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bifrostctl::wire::Format;
use bifrostctl::wire::codec::{Encoded, Route, Target};
use bifrostctl::wire::quirks::{CacheMarks, Quirks, ReasoningField};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::corpus::{fullest_request, recordings, target};

/// Members whose values are words of a format, not the client's: each format says the same with its own. Unit tests watch those.
const STRUCTURE: [&str; 23] = [
    "tool_choice",
    "type",
    "role",
    "mode",
    "stream",
    "include_usage",
    "index",
    "format",
    "media_type",
    "enabled",
    "service_tier",
    "model",
    "ttl",
    "mimeType",
    "mime_type",
    "responseMimeType",
    "thought",
    "includeThoughts",
    "nullable",
    "is_error",
    "strict",
    "strict_tools",
    "status",
];

/// What does not come out as it was when a recorded request is read and written in its own format. The relay lane changes nothing; this is
/// about a chain that returns to the client's format.
///
/// GLM's `thinking` object becomes OpenAI's `reasoning_effort`, which GLM takes too; its member `clear_thinking` is GLM's own.
const LOST_TO_THE_SAME_FORMAT: [&str; 3] = [
    "zhipu-zai/chat-zai-preserved-thinking-round-trip-2 thinking",
    "zhipu-zai/chat-zai-preserved-thinking-round-trip-2 thinking.clear_thinking",
    "zhipu-zai/chat-zai-reasoning-effort thinking.clear_thinking",
];

fn translate(body: &str, from: Format, to: &Target<'_>, into: Format) -> Encoded {
    let request = from.codec().decode_request(body.as_bytes(), &Route::default()).unwrap_or_else(|bad| panic!("{bad}\n{body}"));
    into.codec().encode_request(&request, to)
}

/// A server that takes thoughts and cache marks in whatever spelling.
const RICH: Quirks = Quirks { reasoning_field: ReasoningField::ReasoningDetails, cache_marks: CacheMarks::CacheControl, ..Quirks::OPENAI };

/// Every leaf with its path.
fn leaves(value: &Value, path: &str, out: &mut Vec<(String, Value)>) {
    match value {
        Value::Object(members) => {
            for (key, value) in members {
                leaves(value, &if path.is_empty() { key.clone() } else { format!("{path}.{key}") }, out);
            }
        }
        Value::Array(elements) => {
            for (index, element) in elements.iter().enumerate() {
                leaves(element, &format!("{path}[{index}]"), out);
            }
        }
        leaf => out.push((path.to_owned(), leaf.clone())),
    }
}

fn covers(loss: &str, path: &str) -> bool {
    path.strip_prefix(loss).is_some_and(|rest| rest.is_empty() || rest.starts_with('.') || rest.starts_with('['))
}

/// Every leaf, those of JSON in strings too: arguments are text in one format and an object in another.
fn all_leaves(value: &Value) -> Vec<Value> {
    let mut found = Vec::new();
    leaves(value, "", &mut found);
    let inner = |leaf: &Value| leaf.as_str().and_then(|text| serde_json::from_str::<Value>(text).ok()).filter(|inner| !inner.is_string());
    let nested: Vec<Value> = found.iter().filter_map(|(_, leaf)| inner(leaf)).flat_map(|inner| all_leaves(&inner)).collect();
    found.into_iter().map(|(_, leaf)| leaf).chain(nested).collect()
}

/// Says what is so anyway, or what is said twice, so that leaving it out loses nothing.
fn is_neutral(path: &str, leaf: &Value) -> bool {
    let neutral = [
        ("n", json!(1)),
        ("reasoning_effort", json!("none")),
        ("store", json!(false)),
        // A boolean, in Gemini's words.
        (".display", json!("summarized")),
        (".display", json!("omitted")),
        (".detail", json!("auto")),
    ];
    // Servers that tell thoughts in two spellings tell the same in both.
    neutral.iter().any(|(end, value)| if end.len() > 1 { path.ends_with(end) && leaf == value } else { path == *end && leaf == value })
        || path.ends_with("].reasoning")
        // No arguments, in Cohere's words.
        || (path.ends_with(".function.arguments") && leaf == "null")
        // Text is what everybody answers with; where more is asked for, the loss is told, which another test watches.
        || (path == "generationConfig.responseModalities[0]" && leaf == "TEXT")
        // The call says it too, unless it is gone; then no format has a place for it.
        || path.ends_with(".functionResponse.name")
        || is_bookkeeping(path, leaf)
}

/// Takes the tags off a signature: whether it is redacted, and who made it.
fn untagged(data: &str) -> &str {
    let mut inner = data;
    while let Some((_, rest)) = inner.strip_prefix("bifrost.").and_then(|rest| rest.split_once('.')) {
        inner = rest;
    }
    inner.strip_prefix("redacted.").unwrap_or(inner)
}

/// Says what items of a conversation are known by at their provider, or asks in its words for what other formats have a member for, or do
/// anyway.
fn is_bookkeeping(path: &str, leaf: &Value) -> bool {
    let of_item = path.strip_prefix("input[").and_then(|rest| rest.split_once("]."));
    let is_wish = leaf == "reasoning.encrypted_content" || leaf == "message.output_text.logprobs";
    of_item.is_some_and(|(_, name)| matches!(name, "id" | "status")) || (path.starts_with("include[") && is_wish)
}

/// Names every leaf of the request that is neither in the output nor told as a loss.
fn forgotten(body: &Value, encoded: &Encoded) -> Vec<String> {
    let output = std::str::from_utf8(&encoded.body).unwrap();
    let out = all_leaves(&serde_json::from_str(output).unwrap_or_else(|error| panic!("{error}\n{output}")));
    let mut leaves_in = Vec::new();
    leaves(body, "", &mut leaves_in);
    let is_told = |path: &str| encoded.losses.iter().any(|loss| covers(&loss.path, path));
    let is_there = |leaf: &Value| match leaf {
        Value::Null => true,
        Value::Bool(_) => out.iter().any(Value::is_boolean),
        Value::Number(_) => out.contains(leaf),
        Value::String(text) => {
            // Another format spells the maker of a signature, and the type of data, in fields of their own.
            let data = text.split_once(";base64,").map_or(text.as_str(), |(_, data)| data);
            let decoded = base64::engine::general_purpose::STANDARD.decode(data).ok().and_then(|bytes| String::from_utf8(bytes).ok());
            let data = untagged(decoded.as_deref().filter(|decoded| decoded.starts_with("bifrost.")).unwrap_or(data));
            // Base64 has two alphabets.
            let common = data.replace('-', "+").replace('_', "/");
            let inner = serde_json::from_str::<Value>(text).ok().filter(Value::is_object);
            // Some providers take only some characters in ids.
            let plain = data.replace(':', "_");
            // Words of enumerations are upper case in one format and lower case in the others; bytes are text elsewhere, and the other way
            // round.
            let bytes = STANDARD.encode(data);
            let decoded = STANDARD.decode(data).ok().and_then(|bytes| String::from_utf8(bytes).ok()).filter(|text| !text.is_empty());
            let is_same = |there: &str| there == plain || there == bytes || decoded.as_deref() == Some(there);
            let is_in = |there: &str| there.contains(data) || there.contains(&common) || is_same(there) || there.eq_ignore_ascii_case(data);
            out.iter().any(|there| there.as_str().is_some_and(is_in))
                || inner.is_some_and(|inner| all_leaves(&inner).iter().all(|leaf| out.contains(leaf)))
        }
        Value::Array(_) | Value::Object(_) => unreachable!("a leaf"),
    };
    let is_structure = |path: &str| STRUCTURE.contains(&path.rsplit('.').next().unwrap().split('[').next().unwrap());
    let is_fine = |path: &str, leaf: &Value| is_structure(path) || is_told(path) || is_neutral(path, leaf) || is_there(leaf);
    leaves_in.into_iter().filter(|(path, leaf)| !is_fine(path, leaf)).map(|(path, _)| path).collect()
}

fn fullest(format: Format) -> Value {
    serde_json::from_str(&fullest_request(format)).unwrap()
}

/// Targets of a format that differ in what they take.
fn targets(format: Format) -> Vec<Target<'static>> {
    let models: &[&str] = match format {
        Format::OpenaiChat => &["gpt-4.1", "gpt-5", "gpt-5.1", "gpt-5.6", "mistral-large"],
        Format::OpenaiResponses => &["gpt-4.1", "gpt-5", "gpt-5.1", "gpt-5.6", "grok-4.3"],
        Format::Bedrock => &[
            "us.anthropic.claude-sonnet-4-5-20250929-v1:0",
            "anthropic.claude-3-haiku-20240307-v1:0",
            "anthropic.claude-opus-4-8",
            "amazon.nova-lite-v1:0",
            "us.amazon.nova-2-lite-v1:0",
            "openai.gpt-oss-120b-1:0",
            "meta.llama3-3-70b-instruct-v1:0",
            "arn:aws:bedrock:us-east-1:1:application-inference-profile/abc",
        ],
        Format::Ollama => &["gpt-oss:20b", "qwen3:0.6b", "llama3.1"],
        Format::Cohere => &["command-a-03-2025", "command-a-reasoning-08-2025", "command-r7b-12-2024"],
        Format::Anthropic => {
            &["claude-3-haiku", "claude-sonnet-4", "claude-sonnet-4-5", "claude-sonnet-4-6", "claude-opus-4-8", "claude-fable-5"]
        }
        Format::Gemini => &["gemini-2.0-flash", "gemini-2.5-pro", "gemini-2.5-flash", "gemini-3-pro-preview", "gemini-3-flash-preview"],
    };
    let quirks = [&Quirks::OPENAI, &Quirks::COMPATIBLE, &RICH];
    models.iter().flat_map(|model| quirks.map(|quirks| Target { model, max_output_tokens: None, quirks })).collect()
}

#[test]
fn every_field_of_the_fullest_request_comes_out_or_is_told() {
    for from in Format::ALL {
        let body = fullest(from);
        for into in Format::ALL {
            for target in targets(into) {
                let encoded = translate(&fullest_request(from), from, &target, into);
                assert_eq!(forgotten(&body, &encoded), [""; 0], "{from:?} → {into:?} {}", target.model);
                let paths: BTreeSet<&str> = encoded.losses.iter().map(|loss| loss.path.as_str()).collect();
                assert_eq!(paths.len(), encoded.losses.len(), "each field is told once");
                assert!(!paths.contains(""), "a loss without a place");
            }
        }
    }
}

#[test]
fn numbers_and_opaque_json_keep_their_spelling() {
    for from in Format::ALL {
        for into in Format::ALL {
            let encoded = translate(&fullest_request(from), from, &target(into), into);
            let output = String::from_utf8(encoded.body).unwrap();
            assert!(output.contains("12345678901234567890123"), "{from:?} → {into:?}");
            assert!(output.contains("1.10"), "{from:?} → {into:?}");
        }
    }
}

#[test]
fn losses_of_the_fullest_requests_are_these() {
    let pairs = [
        (Format::OpenaiChat, Format::Anthropic),
        (Format::Anthropic, Format::OpenaiChat),
        (Format::OpenaiChat, Format::Gemini),
        (Format::Gemini, Format::Anthropic),
        (Format::Gemini, Format::OpenaiChat),
        (Format::OpenaiResponses, Format::OpenaiChat),
        (Format::OpenaiResponses, Format::Anthropic),
        (Format::OpenaiChat, Format::OpenaiResponses),
        (Format::Anthropic, Format::OpenaiResponses),
        (Format::OpenaiChat, Format::Bedrock),
        (Format::Anthropic, Format::Bedrock),
        (Format::Bedrock, Format::OpenaiChat),
        (Format::Bedrock, Format::Anthropic),
        (Format::OpenaiChat, Format::Cohere),
        (Format::Anthropic, Format::Cohere),
        (Format::Cohere, Format::OpenaiChat),
        (Format::Cohere, Format::Anthropic),
        (Format::OpenaiChat, Format::Ollama),
        (Format::Anthropic, Format::Ollama),
        (Format::Ollama, Format::OpenaiChat),
        (Format::Ollama, Format::Anthropic),
    ];
    for (from, into) in pairs {
        let encoded = translate(&fullest_request(from), from, &target(into), into);
        let told: Vec<String> = encoded.losses.iter().map(|loss| format!("{}: {}", loss.reason.as_str(), loss.path)).collect();
        insta::assert_snapshot!(format!("losses_{}_to_{}", from.as_str(), into.as_str()), told.join("\n"));
        let value: Value = serde_json::from_slice(&encoded.body).unwrap();
        insta::assert_snapshot!(format!("request_{}_to_{}", from.as_str(), into.as_str()), serde_json::to_string_pretty(&value).unwrap());
    }
}

#[test]
fn every_recorded_request_translates_and_forgets_nothing() {
    let mut seen = 0;
    let mut lost = Vec::new();
    for recording in recordings().iter().filter(|recording| recording.status == 200) {
        let Some(body) = &recording.request else { continue };
        seen += 1;
        let own: Value = serde_json::from_str(body).unwrap();
        for into in Format::ALL {
            // To the same format it goes to the model that was asked, as a relay would have it.
            let model = own["model"].as_str().filter(|_| into == recording.format).unwrap_or(target(into).model);
            let encoded = translate(body, recording.format, &Target { model, quirks: &RICH, ..target(into) }, into);
            let forgotten = forgotten(&own, &encoded);
            assert_eq!(forgotten, [""; 0], "{} → {into:?}", recording.name);
            let again = into.codec().decode_request(&encoded.body, &Route::default());
            assert!(again.is_ok(), "{} → {into:?}: {:?}", recording.name, again.err());
            if into == recording.format {
                lost.extend(encoded.losses.iter().map(|loss| format!("{} {}", recording.name, loss.path)));
            }
        }
    }
    assert!(seen > 90, "{seen}");
    assert_eq!(lost, LOST_TO_THE_SAME_FORMAT);
}

/// Takes a member or an element away, anywhere; the choice is a number.
fn prune(value: &mut Value, choice: &mut u32) {
    let keeps = [
        "model",
        "messages",
        "type",
        "role",
        "function",
        "url",
        "text",
        "source",
        "name",
        "content",
        "data",
        "input",
        "call_id",
        "toolUseId",
        "toolUse",
        "toolResult",
        "toolSpec",
    ];
    match value {
        Value::Object(members) => {
            members.retain(|key, _| {
                *choice = choice.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                keeps.contains(&key.as_str()) || *choice >> 28 != 0
            });
            members.values_mut().for_each(|member| prune(member, choice));
        }
        Value::Array(elements) => {
            elements.retain(|_| {
                *choice = choice.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                *choice >> 28 != 0
            });
            elements.iter_mut().for_each(|element| prune(element, choice));
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Puts an unknown member into every object, anywhere.
fn salt(value: &mut Value, count: &mut u32) {
    match value {
        Value::Object(members) => {
            members.values_mut().for_each(|member| salt(member, count));
            *count += 1;
            members.insert("zz_salt".to_owned(), json!(format!("s-{count}-s")));
        }
        Value::Array(elements) => elements.iter_mut().for_each(|element| salt(element, count)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

proptest! {
    #[test]
    fn any_part_of_a_request_comes_out_or_is_told(choice in any::<u32>(), salted in any::<bool>(), which in any::<prop::sample::Index>()) {
        for from in Format::ALL {
            let mut body = fullest(from);
            let mut choice = choice;
            prune(&mut body, &mut choice);
            if salted {
                salt(&mut body, &mut 0);
            }
            let text = body.to_string();
            let Ok(request) = from.codec().decode_request(text.as_bytes(), &Route::default()) else { continue };
            for into in Format::ALL {
                let targets = targets(into);
                let target = which.get(&targets);
                let encoded = into.codec().encode_request(&request, target);
                let forgotten = forgotten(&body, &encoded);
                prop_assert!(forgotten.is_empty(), "{:?} → {:?} {}: {:?}\n{}", from, into, target.model, forgotten, text);
                let again = into.codec().decode_request(&encoded.body, &Route::default());
                prop_assert!(again.is_ok(), "{:?}", again.err());
            }
        }
    }

    #[test]
    fn no_bytes_make_a_decoder_of_requests_panic(bytes in proptest::collection::vec(any::<u8>(), 0..64), cut in any::<prop::sample::Index>()) {
        for format in Format::ALL {
            let _ = format.codec().decode_request(&bytes, &Route::default());
            let full = fullest_request(format);
            let mut body = full.into_bytes();
            let at = cut.index(body.len());
            body[at] = bytes.first().copied().unwrap_or(b'0');
            if let Ok(request) = format.codec().decode_request(&body, &Route::default()) {
                for into in Format::ALL {
                    let encoded = into.codec().encode_request(&request, &target(into));
                    // Not a value: `1E99999` is JSON, and passes as it was written, but no double.
                    prop_assert!(serde_json::from_slice::<serde::de::IgnoredAny>(&encoded.body).is_ok());
                }
            }
        }
    }
}
