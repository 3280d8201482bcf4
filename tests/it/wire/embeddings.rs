//! Requests for vectors, and for the length of a prompt.

use std::path::Path;

use bifrostctl::error::Kind;
use bifrostctl::wire::Format;
use bifrostctl::wire::codec::{Route, Target};
use bifrostctl::wire::embedding::{gemini, openai};
use bifrostctl::wire::gemini::{decode_count, decode_counted, encode_count, encode_counted};
use bifrostctl::wire::quirks::Quirks;
use serde_json::{Value, json};

fn read(path: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/recorded").join(path);
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn value(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).unwrap()
}

#[test]
fn recorded_requests_for_vectors_go_to_openai_and_their_answers_to_its_clients() {
    let index = String::from_utf8(read("EMBEDDINGS.tsv")).unwrap();
    let mut told = Vec::new();
    for line in index.lines().skip(1) {
        let columns: Vec<&str> = line.split('\t').collect();
        let (name, status) = (columns[0], columns[3]);
        let (request, answer) = (read(&format!("{name}.request.json")), read(&format!("{name}.response.json")));
        if status != "200" {
            assert_eq!(Format::Gemini.codec().decode_error(404, &answer).kind, Kind::UpstreamRejected);
            told.push("error");
            continue;
        }
        let vectors = gemini::decode_answer(&answer).unwrap();
        let body = value(&openai::encode_answer(&vectors, "alias", false));
        let own = value(&answer);
        for (entry, vector) in body["data"].as_array().unwrap().iter().zip(own["embeddings"].as_array().unwrap()) {
            assert_eq!(entry["embedding"], vector["values"], "{name}");
        }
        assert_eq!(body["usage"]["prompt_tokens"], own["usageMetadata"]["promptTokenCount"].as_u64().unwrap_or_default());
        assert_eq!(value(&gemini::encode_answer(&vectors, true))["embeddings"], own["embeddings"], "{name}");
        match gemini::decode(&request, &Route::default()) {
            Ok(asked) => {
                let sent = value(&openai::encode(&asked, "text-embedding-3-small").body);
                assert_eq!(sent["input"], json!(["Ruby", "Python", "JavaScript"]));
                assert_eq!((&sent["dimensions"], asked.model.as_ref()), (&json!(768), "gemini-embedding-001"));
                told.push("text");
            }
            Err(bad) => {
                assert!(bad.to_string().contains("requests[0].content.parts[1]"), "{bad}");
                told.push("picture");
            }
        }
    }
    told.sort_unstable();
    assert_eq!(told, ["error", "picture", "text"]);
}

#[test]
fn a_request_of_openai_is_a_batch_of_gemini_and_back() {
    let body =
        json!({"model": "alias", "input": ["a", "b"], "dimensions": 3, "encoding_format": "base64", "user": "u", "zz": 1}).to_string();
    let asked = openai::decode(body.as_bytes()).unwrap();
    let encoded = gemini::encode(&asked, "gemini-embedding-001");
    let one =
        |text: &str| json!({"model": "models/gemini-embedding-001", "content": {"parts": [{"text": text}]}, "outputDimensionality": 3});
    assert_eq!(value(&encoded.body), json!({"requests": [one("a"), one("b")]}));
    let losses: Vec<&str> = encoded.losses.iter().map(|loss| loss.path.as_str()).collect();
    assert_eq!((losses, asked.as_base64), (vec!["user", "zz"], true));
    assert_eq!(gemini::path("gemini-embedding-001"), "/models/gemini-embedding-001:batchEmbedContents");
    let vectors = gemini::decode_answer(br#"{"embeddings":[{"values":[1.0,-2.0]}]}"#).unwrap();
    assert_eq!(value(&openai::encode_answer(&vectors, "alias", true))["data"][0]["embedding"], "AACAPwAAAMA=");

    let single = br#"{"content":{"parts":[{"text":"a"},{"text":"b"}]},"taskType":"RETRIEVAL_QUERY","title":"t"}"#;
    let asked = gemini::decode(single, &Route { model: Some("models/m"), is_stream: None }).unwrap();
    let encoded = openai::encode(&asked, "e");
    assert_eq!(value(&encoded.body), json!({"model": "e", "input": ["a\nb"], "encoding_format": "float"}));
    assert_eq!((asked.model.as_ref(), encoded.losses.len()), ("m", 2));
    let answer = br#"{"data":[{"index":1,"embedding":[2]},{"index":0,"embedding":"AACAPwAAAMA="}],"usage":{"prompt_tokens":4}}"#;
    let vectors = openai::decode_answer(answer).unwrap();
    assert_eq!(
        value(&gemini::encode_answer(&vectors, false)),
        json!({"embedding": {"values": [1, -2]}, "usageMetadata": {"promptTokenCount": 4}})
    );
    assert!(openai::decode(br#"{"model":"m","input":[1,2]}"#).is_err());
    assert!(openai::decode_answer(br#"{"data":[{"embedding":"?"}]}"#).is_err());
}

#[test]
fn what_is_to_be_counted_is_a_request_in_either_form() {
    let inner = json!({"contents": [{"role": "user", "parts": [{"text": "hi"}]}], "systemInstruction": {"parts": [{"text": "s"}]}});
    let target = Target { model: "gemini-2.5-flash", max_output_tokens: None, quirks: &Quirks::OPENAI };
    for body in [inner.to_string(), json!({"generateContentRequest": inner}).to_string()] {
        let request = decode_count(body.as_bytes(), &Route { model: Some("m"), is_stream: None }).unwrap();
        assert_eq!((request.messages.len(), request.model.as_ref()), (2, "m"));
        let sent = value(&encode_count(&request, &target, true));
        assert_eq!(sent["generateContentRequest"]["model"], "models/gemini-2.5-flash");
        assert_eq!(sent["generateContentRequest"]["contents"], inner["contents"]);
        assert_eq!(value(&encode_count(&request, &target, false))["contents"], inner["contents"]);
    }
    assert_eq!(decode_counted(&read("vertex/count-tokens-google-vertexai-count-tokens-forwards-native-tools.response.json")).unwrap(), 13);
    assert_eq!(
        decode_counted(br#"{"error":{"code":429,"status":"RESOURCE_EXHAUSTED","message":"x"}}"#).unwrap_err().kind,
        Kind::UpstreamRateLimit
    );
    assert_eq!(value(&encode_counted(7)), json!({"totalTokens": 7}));
}
