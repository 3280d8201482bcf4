//! Requests for vectors, and for the length of a prompt.

use std::collections::BTreeMap;
use std::path::Path;

use bifrostctl::error::Kind;
use bifrostctl::wire::Format;
use bifrostctl::wire::codec::{Route, Target};
use bifrostctl::wire::embedding::{self, Shape, Vectors, gemini, openai};
use bifrostctl::wire::gemini::{decode_count, decode_counted, encode_count, encode_counted};
use bifrostctl::wire::quirks::Quirks;
use bifrostctl::wire::rerank;
use serde_json::{Value, json};

fn read(path: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/recorded").join(path);
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn value(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).unwrap()
}

/// One recorded exchange: its name, the provider's format, the status, the request where it is known, and the answer.
type Case = (String, Format, u16, Option<Vec<u8>>, Vec<u8>);

fn cases(index: &str) -> Vec<Case> {
    let index = String::from_utf8(read(index)).unwrap();
    let case = |line: &str| {
        let columns: Vec<&str> = line.split('\t').collect();
        let [name, format, has_request, status, ..] = columns[..] else { panic!("{line}") };
        let format = Format::ALL.into_iter().find(|known| known.as_str() == format).unwrap();
        let request = (has_request == "yes").then(|| read(&format!("{name}.request.json")));
        (name.to_owned(), format, status.parse().unwrap(), request, read(&format!("{name}.response.json")))
    };
    index.lines().skip(1).map(case).collect()
}

/// Formats with vectors, and a model of each.
const EMBEDDERS: [(Format, &str); 4] = [
    (Format::OpenaiChat, "text-embedding-3-small"),
    (Format::Gemini, "gemini-embedding-001"),
    (Format::Cohere, "embed-v4.0"),
    (Format::Bedrock, "us.cohere.embed-v4:0"),
];

fn numbers(vectors: &Vectors<'_>) -> Vec<Vec<f64>> {
    vectors.vectors.iter().map(|vector| serde_json::from_str(vector.as_str()).unwrap()).collect()
}

#[test]
fn recorded_requests_for_vectors_say_the_same_in_every_format_and_so_do_their_answers() {
    let mut told = BTreeMap::new();
    for (name, format, status, request, answer) in cases("EMBEDDINGS.tsv") {
        if status != 200 {
            let kind = format.codec().decode_error(status, &answer).kind;
            assert_eq!(kind, if status == 401 { Kind::UpstreamAuth } else { Kind::UpstreamRejected }, "{name}");
            *told.entry("error").or_insert(0) += 1;
            continue;
        }
        let vectors = if name.starts_with("vertex/predict") {
            embedding::vertex::decode_answer(&answer).unwrap()
        } else {
            embedding::decode_answer(format, &answer).unwrap()
        };
        assert!(!vectors.vectors.is_empty(), "{name}");
        for (into, _) in EMBEDDERS {
            let written = embedding::encode_answer(into, &vectors, ("m", "id"), Shape::default());
            let again = embedding::decode_answer(into, &written).unwrap();
            assert_eq!(numbers(&again), numbers(&vectors), "{name} in {into:?}");
            assert_eq!(again.input_tokens.unwrap_or_default(), vectors.input_tokens.unwrap_or_default(), "{name} in {into:?}");
        }
        let Some(request) = request else {
            *told.entry("answer alone").or_insert(0) += 1;
            continue;
        };
        let asked = match embedding::decode(format, &request, &Route::default()) {
            Ok(asked) => asked,
            Err(bad) => {
                assert!(bad.to_string().contains("requests[0].content.parts[1]"), "{bad}");
                *told.entry("picture").or_insert(0) += 1;
                continue;
            }
        };
        assert_eq!(asked.inputs.len(), vectors.vectors.len(), "{name}");
        let dimensions = asked.dimensions.as_ref().map(|it| it.value);
        for (into, model) in EMBEDDERS {
            let written = embedding::encode(into, &asked, model).unwrap();
            let again = embedding::decode(into, &written.body, &Route { model: Some(model), is_stream: None }).unwrap();
            assert_eq!(again.inputs, asked.inputs, "{name} in {into:?}");
            assert_eq!((again.dimensions.map(|it| it.value), again.model.as_ref()), (dimensions, model), "{name} in {into:?}");
        }
        *told.entry("text").or_insert(0) += 1;
    }
    assert_eq!(told, BTreeMap::from([("answer alone", 1), ("error", 5), ("picture", 1), ("text", 8)]));
}

#[test]
fn recorded_orders_come_back_in_one_shape() {
    let mut told = 0;
    for (name, format, status, request, answer) in cases("RERANK.tsv") {
        assert_eq!(status, 200, "{name}");
        let ranking = rerank::decode_answer(&answer).unwrap();
        assert!(ranking.results.len() >= 2 && (ranking.tokens.is_some() || ranking.search_units.is_some()), "{name}: {ranking:?}");
        // One was recorded without its request.
        let request = request.unwrap_or_else(|| json!({"model": "m", "query": "q", "documents": vec!["d"; 6]}).to_string().into_bytes());
        let asked = rerank::decode(&request).unwrap();
        let body = rerank::encode_answer(&ranking, &asked, "ours");
        let again = rerank::decode_answer(&body).unwrap();
        assert_eq!((&again.results, again.tokens), (&ranking.results, ranking.tokens), "{name}");
        let target = Target { model: "up", max_output_tokens: None, quirks: &Quirks::COMPATIBLE };
        let written = rerank::encode(format, &asked, &target);
        assert_eq!(value(&written.body)["documents"].as_array().unwrap().len(), asked.documents.len(), "{name}");
        told += 1;
    }
    assert_eq!(told, 4);
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
    assert_eq!((losses, asked.shape.as_base64), (vec!["user", "zz"], true));
    assert_eq!(gemini::encode(&asked, "gemini-embedding-001").path, "/models/gemini-embedding-001:batchEmbedContents");
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
