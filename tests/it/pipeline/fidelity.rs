//! Byte fidelity over recorded traffic: what goes up differs in the model and in injected options only, what comes down in nothing.
//!
//! What is expected is computed with serde_json's raw values, not with the scanner and the splicer that are under test.

use std::collections::BTreeSet;
use std::ops::Range;
use std::path::{Path, PathBuf};

use bifrostctl::mock::{Behaviour, Framing, Script};
use bytes::Bytes;
use serde::Deserializer as _;
use serde::de::{self, MapAccess};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::harness::{KEY, Rig, Seen};

/// Spellings that a parser would lose, written into every recorded body.
const ODD: &str = r#" "zz_unknown" : {"f":1.10,"i":12345678901234567890123,"e":1E+2,"z":-0.0,"\u0061b":"\ud83d\ude00 \/ é","d":[ ],"n":null},
  "Model":"not this one",	"1":true , "#;

struct Case {
    name: String,
    path: String,
    status: u16,
    content_type: String,
    request: String,
    response: String,
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/recorded")
}

fn cases() -> Vec<Case> {
    let read = |path: String| std::fs::read_to_string(folder().join(&path)).unwrap_or_else(|error| panic!("{path}: {error}"));
    let index = read("INDEX.tsv".to_owned());
    let case = |line: &str| {
        let columns: Vec<&str> = line.split('\t').collect();
        let [name, path, status, body, content_type, ..] = columns[..] else { panic!("{line}") };
        Case {
            name: name.to_owned(),
            path: path.to_owned(),
            status: status.parse().unwrap(),
            content_type: content_type.to_owned(),
            request: read(format!("{name}.request.json")),
            response: read(format!("{name}.response.{body}")),
        }
    };
    index.lines().skip(1).map(case).collect()
}

/// The members of the top-level object with the place of each value.
fn members(body: &str) -> Vec<(String, Range<usize>)> {
    struct Visitor;
    impl<'de> de::Visitor<'de> for Visitor {
        type Value = Vec<(String, &'de RawValue)>;
        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("an object")
        }
        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut all = Vec::new();
            while let Some(entry) = map.next_entry()? {
                all.push(entry);
            }
            Ok(all)
        }
    }
    let all = serde_json::Deserializer::from_str(body).deserialize_map(Visitor).unwrap();
    let place = |raw: &RawValue| {
        let start = raw.get().as_ptr() as usize - body.as_ptr() as usize;
        start..start + raw.get().len()
    };
    all.into_iter().map(|(name, raw)| (name, place(raw))).collect()
}

fn get<'b>(body: &'b str, name: &str) -> Option<&'b str> {
    members(body).into_iter().find(|(have, _)| have == name).map(|(_, place)| &body[place])
}

fn model(body: &str) -> String {
    serde_json::from_str(get(body, "model").unwrap()).unwrap()
}

/// Whether the client asked for usage itself: `None` where it does not stream.
fn asks_usage(case: &Case, body: &str) -> Option<bool> {
    let is_chat = matches!(case.path.as_str(), "/v1/chat/completions" | "/v1/completions");
    if !is_chat || get(body, "stream") != Some("true") {
        return None;
    }
    let options: Option<Value> = get(body, "stream_options").map(|raw| serde_json::from_str(raw).unwrap());
    Some(options.is_some_and(|options| options["include_usage"] == true))
}

/// What the upstream must get.
fn expected_request(case: &Case, body: &str) -> String {
    let place = members(body).into_iter().find(|(name, _)| name == "model").unwrap().1;
    let mut expected = format!("{}\"up/stream \\\"1\\\"\"{}", &body[..place.start], &body[place.end..]);
    if asks_usage(case, body) == Some(false) {
        assert_eq!(get(body, "stream_options"), None, "{}: a case that this test does not cover", case.name);
        let brace = expected.rfind('}').unwrap();
        expected.insert_str(brace, ",\"stream_options\":{\"include_usage\":true}");
    }
    expected
}

/// What the client must get of a stream: all of it, but for a usage that it did not ask for; closed by `[DONE]` where it was forgotten,
/// unless it ends with an error.
fn expected_stream(case: &Case, body: &str) -> String {
    let is_usage = |event: &str| {
        let data = event.lines().find_map(|line| line.strip_prefix("data:")).unwrap_or_default();
        let chunk: Value = serde_json::from_str(data).unwrap_or_default();
        chunk["usage"].is_object() && chunk["choices"].as_array().is_some_and(Vec::is_empty)
    };
    match asks_usage(case, body) {
        None => case.response.clone(),
        Some(asked) => {
            let events = case.response.split_inclusive("\n\n").filter(|event| asked || !is_usage(event));
            let mut expected: String = events.collect();
            if !expected.contains("[DONE]") && !expected.contains("event: error") {
                expected.push_str("data: [DONE]\n\n");
            }
            expected
        }
    }
}

async fn rig(models: &BTreeSet<String>) -> Rig {
    Rig::start_with(|plan| {
        let mut alias = plan["models"]["fast"].clone();
        alias["targets"][0]["model"] = json!("up/stream \"1\"");
        alias["fallbacks"] = json!([]);
        plan["models"] = models.iter().map(|name| (name.clone(), alias.clone())).collect();
        plan["virtual_keys"]["web"]["models"] = json!(["*"]);
        plan["providers"]["one"]["quirks"]["responses"] = json!(true);
        plan["providers"]["one"]["retries"]["max"] = json!(0);
        plan["providers"]["one"]["credentials"].as_object_mut().unwrap().remove("b");
    })
    .await
}

async fn exchange(rig: &Rig, case: &Case, body: &str) -> Seen {
    let behaviour = Behaviour {
        status: Some(case.status),
        body: Some(case.response.clone()),
        headers: [("content-type".to_owned(), case.content_type.clone())].into(),
        framing: Some(Framing::Chunked),
        // Cuts events and characters in two.
        segment: Some(1021),
        ..Behaviour::default()
    };
    rig.mock.script(Script::always(behaviour));
    rig.call("POST", &case.path, &[("x-api-key", KEY)], Bytes::from(body.to_owned())).await
}

async fn check(rig: &Rig, case: &Case, body: &str) {
    let seen = exchange(rig, case, body).await;
    let sent = rig.mock.requests().pop().expect("the request went up");
    assert_eq!(String::from_utf8_lossy(&sent.body), expected_request(case, body), "{}: the request", case.name);
    assert_eq!(sent.header("content-type"), Some("application/json"), "{}", case.name);
    // An upstream's 401 or 429 is about our account, and never the client's to read.
    if !matches!(case.status, 401 | 403 | 429) {
        assert_eq!(seen.status.as_u16(), case.status, "{}: {}", case.name, seen.text());
        let expected = if case.status == 200 { expected_stream(case, body) } else { case.response.clone() };
        assert_eq!(seen.text(), expected, "{}: the answer", case.name);
        assert_eq!(seen.headers["content-type"], case.content_type.as_str(), "{}", case.name);
    }
}

#[tokio::test]
async fn recorded_traffic_passes_byte_for_byte() {
    let cases = cases();
    assert!(cases.len() > 120, "the corpus is there");
    let models = cases.iter().map(|case| model(&case.request)).collect();
    let shared = rig(&models).await;
    let mut streams = 0;
    for case in &cases {
        let odd = case.request.replacen('{', &format!("{{{ODD}"), 1);
        streams += usize::from(asks_usage(case, &odd).is_some());
        for body in [&case.request, &odd] {
            // A credential that was refused stays out, so each failure has a gateway of its own.
            if case.status == 200 { check(&shared, case, body).await } else { check(&rig(&models).await, case, body).await }
        }
    }
    assert!(streams > 15, "streams of chats are among them: {streams}");
}

#[tokio::test]
async fn a_stream_passes_byte_for_byte_however_it_is_cut() {
    let cases = cases();
    let models = cases.iter().map(|case| model(&case.request)).collect();
    let shared = rig(&models).await;
    let streams = cases.iter().filter(|case| case.status == 200 && asks_usage(case, &case.request).is_some());
    let case = streams.min_by_key(|case| case.response.len()).unwrap();
    for size in [1, 2, 3, 5, 64] {
        let behaviour = Behaviour {
            body: Some(case.response.clone()),
            headers: [("content-type".to_owned(), case.content_type.clone())].into(),
            segment: Some(size),
            ..Behaviour::default()
        };
        shared.mock.script(Script::always(behaviour));
        let seen = shared.call("POST", &case.path, &[("x-api-key", KEY)], Bytes::from(case.request.clone())).await;
        assert_eq!(seen.text(), expected_stream(case, &case.request), "{} in pieces of {size}", case.name);
    }
}
