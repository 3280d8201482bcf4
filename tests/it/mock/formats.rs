//! Bedrock's binary streams, Cohere's chat, vectors and order of documents, and Ollama's lines: their shapes, their errors, their faults.

use bifrostctl::mock::Mock;
use bifrostctl::wire::frame::{Cutter, FrameError, Framing};
use bytes::Bytes;
use serde_json::{Value, json};

use super::support::{Seen, exchange, get, mock, post, request};

const COHERE: &str = "/v2/chat";
const OLLAMA: &str = "/api/chat";

fn converse(model: &str) -> String {
    format!("/model/{model}/converse")
}

fn text() -> Value {
    json!({"messages": [{"role": "user", "content": [{"text": "say hello world"}]}]})
}

fn chat(model: &str, more: &Value) -> Value {
    let mut body = json!({"model": model, "stream": false, "messages": [{"role": "user", "content": "say hello world"}]});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    body
}

fn function(name: &str) -> Value {
    let schema = json!({"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]});
    json!({"type": "function", "function": {"name": name, "parameters": schema}})
}

async fn send(mock: &Mock, path: &str, body: &Value) -> Seen {
    exchange(mock.addr(), &request(path, &["Connection: close"], &body.to_string())).await
}

/// The messages of a binary stream, and what ended the reading.
fn messages(seen: &Seen) -> (Vec<(String, Value)>, Option<FrameError>) {
    let mut cutter = Cutter::new(Framing::EventStream);
    cutter.push(Bytes::from(seen.body().0)).unwrap();
    let mut told = Vec::new();
    loop {
        match cutter.next_frame() {
            Ok(Some(bytes)) => {
                let frame = cutter.read(&bytes).unwrap();
                told.push((String::from_utf8_lossy(frame.event).into_owned(), serde_json::from_slice(&frame.data).unwrap()));
            }
            Ok(None) => return (told, None),
            Err(error) => return (told, Some(error)),
        }
    }
}

fn names(seen: &Seen) -> Vec<String> {
    messages(seen).0.into_iter().map(|(name, _)| name).collect()
}

fn lines(seen: &Seen) -> Vec<Value> {
    seen.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test]
async fn converse_answers_with_the_model_in_the_path_whole_and_in_binary_messages() {
    let mock = mock().await;
    let (status, body) = post(mock.addr(), &converse("anthropic.claude-v1%3A0"), &text()).await;
    assert_eq!((status, &body["stopReason"]), (200, &json!("end_turn")), "{body}");
    assert_eq!(body["output"]["message"]["content"], json!([{"text": "mock: say hello world"}]));
    assert_eq!((&body["usage"]["inputTokens"], &body["usage"]["outputTokens"]), (&json!(10), &json!(4)));
    let seen = send(&mock, "/model/anthropic.claude-v1%3A0/converse-stream", &text()).await;
    assert_eq!(seen.header("content-type").unwrap(), "application/vnd.amazon.eventstream");
    assert!(seen.header("x-amzn-requestid").is_some());
    let (told, error) = messages(&seen);
    let said: String = told.iter().filter_map(|(_, event)| event["delta"]["text"].as_str()).collect();
    assert_eq!((said.as_str(), error), ("mock: say hello world", None));
    let order: Vec<&str> = told.iter().map(|(name, _)| name.as_str()).filter(|name| *name != "contentBlockDelta").collect();
    assert_eq!(order, ["messageStart", "contentBlockStop", "messageStop", "metadata"]);
    let count = json!({"input": {"converse": text()}});
    assert_eq!(post(mock.addr(), "/model/m/count-tokens", &count).await, (200, json!({"inputTokens": 10})));
}

#[tokio::test]
async fn converse_calls_tools_and_signs_its_thoughts() {
    let mock = mock().await;
    let tool = |name: &str| json!({"toolSpec": {"name": name, "inputSchema": {"json": function(name)["function"]["parameters"]}}});
    let mut body = text();
    body["toolConfig"] = json!({"tools": [tool("weather"), tool("clock")]});
    body["additionalModelRequestFields"] = json!({"thinking": {"type": "enabled", "budget_tokens": 1024}});
    let (_, answer) = post(mock.addr(), &converse("m@calls=2;thoughts=Let%20me%20see."), &body).await;
    let content = answer["output"]["message"]["content"].as_array().unwrap();
    let thought = &content[0]["reasoningContent"]["reasoningText"];
    assert_eq!((&thought["text"], thought["signature"].is_string()), (&json!("Let me see."), true));
    let calls: Vec<&str> = content[1..].iter().map(|block| block["toolUse"]["name"].as_str().unwrap()).collect();
    assert_eq!((calls, &answer["stopReason"]), (vec!["weather", "clock"], &json!("tool_use")));
    let result =
        |at: usize| json!({"toolResult": {"toolUseId": content[at]["toolUse"]["toolUseId"], "content": [{"text": format!("r{at}")}]}});
    body["messages"] = json!([
        {"role": "user", "content": [{"text": "?"}]},
        answer["output"]["message"],
        {"role": "user", "content": [result(1), result(2)]}
    ]);
    let (_, next) = post(mock.addr(), &converse("m"), &body).await;
    assert_eq!(next["output"]["message"]["content"], json!([{"text": "mock: r1 r2"}]));
    body["messages"][1]["content"][0]["reasoningContent"]["reasoningText"]["signature"] = json!("Zm9yZ2Vk");
    assert_eq!(post(mock.addr(), &converse("m"), &body).await.0, 400);
}

#[tokio::test]
async fn faults_break_binary_streams_between_and_within_messages() {
    let mock = mock().await;
    let streamed = async |fault: &str| send(&mock, &format!("/model/m%40{fault}/converse-stream"), &text()).await;
    let whole = names(&streamed("pings=3").await);
    assert_eq!((whole.len(), whole[0].as_str()), (8, "messageStart"));
    let seen = streamed("cut_at=event:2").await;
    assert_eq!((names(&seen).as_slice(), seen.body().1), (&whole[..2], false));
    let seen = streamed("cut_at=100").await;
    assert_eq!((names(&seen).as_slice(), seen.body().0.len()), (&["messageStart".to_owned()][..0], 100));
    let (told, error) = messages(&streamed("malformed_at=2").await);
    assert_eq!((told.len(), error), (2, Some(FrameError::Checksum)));
    let (told, error) = messages(&streamed("error_at=2;error=rate_limit").await);
    assert_eq!((told[2].0.as_str(), told.len(), error), ("throttlingException", 3, None));
    assert!(told[2].1["message"].as_str().unwrap().starts_with("Too many tokens"));
    assert_eq!(names(&streamed("no_done").await), whole[..7]);
    assert!(!names(&streamed("no_finish").await).contains(&"messageStop".to_owned()));
}

#[tokio::test]
async fn errors_of_converse_name_their_class_in_a_header() {
    let mock = mock().await;
    for (fault, status, class) in [
        ("status=401", 403, "UnrecognizedClientException"),
        ("error=permission", 403, "AccessDeniedException"),
        ("error=context_length", 400, "ValidationException"),
        ("error=model_not_found", 400, "ValidationException"),
        ("error=rate_limit", 429, "ThrottlingException"),
        ("error=overloaded", 503, "ServiceUnavailableException"),
        ("nonsense=1", 400, "ValidationException"),
    ] {
        let seen = send(&mock, &converse(&format!("m@{fault}")), &text()).await;
        // A status that is asked for is the status.
        let status = if fault == "status=401" { 401 } else { status };
        assert_eq!((seen.status(), seen.header("x-amzn-errortype").as_deref()), (status, Some(class)), "{fault}: {}", seen.text());
        assert!(seen.json()["message"].is_string());
    }
    assert_eq!(post(mock.addr(), &converse("m"), &json!({})).await.0, 400);
}

#[tokio::test]
async fn cohere_chats_thinks_calls_and_cites() {
    let mock = mock().await;
    let (status, body) = post(mock.addr(), COHERE, &chat("command@cites=https://example.com/a", &json!({}))).await;
    assert_eq!((status, &body["finish_reason"]), (200, &json!("COMPLETE")), "{body}");
    assert_eq!(body["message"]["content"], json!([{"type": "text", "text": "mock: say hello world"}]));
    assert_eq!(body["usage"]["tokens"], json!({"input_tokens": 10, "output_tokens": 4}));
    let citation = &body["message"]["citations"][0];
    assert_eq!(
        (&citation["start"], &citation["end"], &citation["sources"][0]["document"]["url"]),
        (&json!(0), &json!(21), &json!("https://example.com/a"))
    );
    let asks = json!({"stream": true, "tools": [function("weather")], "thinking": {"type": "enabled"}});
    let seen = send(&mock, COHERE, &chat("command@thoughts=Let me see.", &asks)).await;
    let types: Vec<String> = seen.events().iter().map(|event| event.lines().next().unwrap().to_owned()).collect();
    for name in ["content-start", "tool-call-start", "tool-call-delta", "tool-call-end", "message-end"] {
        assert!(types.contains(&format!("event: {name}")), "{name}: {types:?}");
    }
    assert_eq!(types.last().unwrap(), "[DONE]");
    let seen = send(&mock, COHERE, &chat("command@cites=https://example.com/a", &json!({"stream": true}))).await;
    assert!(seen.text().contains("event: citation-start\n"));
    assert!(seen.header("x-debug-trace-id").is_some());
}

#[tokio::test]
async fn faults_and_errors_of_cohere_are_its_own() {
    let mock = mock().await;
    let streamed = async |fault: &str| send(&mock, COHERE, &chat(&format!("command@{fault}"), &json!({"stream": true}))).await.text();
    assert!(!streamed("no_done").await.contains("[DONE]"));
    assert!(!streamed("no_finish").await.contains("message-end"));
    let failed = streamed("error_at=3;error=overloaded").await;
    assert!(failed.contains(r#""finish_reason":"ERROR""#) && !failed.contains("[DONE]"), "{failed}");
    assert!(streamed("pings=1").await.starts_with(": keep-alive\n\n"));
    for (fault, status, words) in [
        ("status=401", 401, "invalid api token"),
        ("error=context_length", 400, "too many tokens"),
        ("error=insufficient_quota", 429, "/ month"),
        ("error=overloaded", 503, ""),
        ("nonsense=1", 400, "nonsense"),
    ] {
        let (seen, body) = post(mock.addr(), COHERE, &chat(&format!("command@{fault}"), &json!({}))).await;
        assert_eq!((seen, body["message"].as_str().is_some_and(|message| message.contains(words))), (status, true), "{fault}: {body}");
    }
}

#[tokio::test]
async fn cohere_embeds_in_the_types_that_are_asked_for_and_ranks() {
    let mock = mock().await;
    let asks = |more: Value| {
        let mut body = json!({"model": "embed", "texts": ["a b", "c"], "input_type": "search_document", "output_dimension": 16});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        body
    };
    let (status, body) = post(mock.addr(), "/v2/embed", &asks(json!({}))).await;
    assert_eq!((status, &body["texts"], &body["meta"]["billed_units"]["input_tokens"]), (200, &json!(["a b", "c"]), &json!(3)));
    let floats = body["embeddings"]["float"][0].as_array().unwrap();
    let length: f64 = floats.iter().map(|value| value.as_f64().unwrap().powi(2)).sum();
    assert!(floats.len() == 16 && (length - 1.0).abs() < 1e-3, "{length}");
    let types = ["int8", "uint8", "binary", "ubinary", "base64"];
    let (_, body) = post(mock.addr(), "/v2/embed", &asks(json!({"embedding_types": types}))).await;
    let whole =
        |kind: &str| body["embeddings"][kind][1].as_array().unwrap().iter().map(|value| value.as_i64().unwrap()).collect::<Vec<_>>();
    let (int8, uint8, binary, ubinary) = (whole("int8"), whole("uint8"), whole("binary"), whole("ubinary"));
    assert_eq!(int8.iter().map(|value| value + 128).collect::<Vec<_>>(), uint8);
    assert_eq!((binary.len(), binary.iter().map(|value| value + 128).collect::<Vec<_>>()), (2, ubinary));
    assert!(body["embeddings"]["base64"][0].is_string());
    let asked = json!({"model": "rerank", "query": "q", "documents": ["a", "b", "c"], "top_n": 2});
    let (_, body) = post(mock.addr(), "/cohere/v2/rerank", &asked).await;
    assert_eq!(body["results"], json!([{"index": 0, "relevance_score": 1.0}, {"index": 1, "relevance_score": 0.5}]));
    assert!(body["id"].is_string());
    for (path, bad) in [
        ("/v2/embed", json!({"model": "e"})),
        ("/v2/embed", asks(json!({"embedding_types": ["x"]}))),
        ("/v2/rerank", json!({"model": "r"})),
        ("/v2/embed", json!("text")),
    ] {
        let (status, body) = post(mock.addr(), path, &bad).await;
        assert_eq!((status, body["message"].is_string()), (400, true), "{bad}: {body}");
    }
    let (status, body) = post(mock.addr(), "/v2/embed", &asks(json!({"model": "embed@error=rate_limit"}))).await;
    assert_eq!((status, body["message"].is_string()), (429, true));
}

#[tokio::test]
async fn ollama_streams_lines_by_default_and_lists_its_models() {
    let mock = mock().await;
    let (status, body) = post(mock.addr(), OLLAMA, &chat("llama", &json!({}))).await;
    assert_eq!(
        (status, &body["model"], &body["done"], &body["done_reason"]),
        (200, &json!("llama"), &json!(true), &json!("stop")),
        "{body}"
    );
    assert_eq!(
        (&body["message"]["content"], &body["prompt_eval_count"], &body["eval_count"]),
        (&json!("mock: say hello world"), &json!(10), &json!(4))
    );
    let mut asked = chat("llama@thoughts=Hm.;calls=2", &json!({"think": true, "tools": [function("weather")]}));
    asked.as_object_mut().unwrap().remove("stream");
    let seen = send(&mock, OLLAMA, &asked).await;
    assert_eq!(seen.header("content-type").unwrap(), "application/x-ndjson");
    let told = lines(&seen);
    assert_eq!(told[0]["message"]["thinking"], "Hm.");
    let calls: Vec<&Value> = told.iter().flat_map(|line| line["message"]["tool_calls"].as_array()).flatten().collect();
    assert_eq!((calls.len(), &calls[0]["function"]), (2, &json!({"name": "weather", "arguments": {"city": "mock"}})));
    assert_eq!(told.last().unwrap()["done"], true);
    // It thinks unasked, as models there do, and not where it must not.
    for (more, thought) in [(json!({}), json!("Hm.")), (json!({"think": false}), Value::Null)] {
        let (_, body) = post(mock.addr(), OLLAMA, &chat("llama@thoughts=Hm.", &more)).await;
        assert_eq!(body["message"]["thinking"], thought);
    }
    let embedded = json!({"model": "e", "input": ["a b", "c"], "dimensions": 4});
    let (_, body) = post(mock.addr(), "/api/embed", &embedded).await;
    assert_eq!((body["embeddings"][1].as_array().unwrap().len(), &body["prompt_eval_count"]), (4, &json!(3)));
    assert_eq!(get(mock.addr(), "/api/tags").await.1["models"][0]["name"], "mock-small");
}

#[tokio::test]
async fn faults_and_errors_of_ollama_are_its_own() {
    let mock = mock().await;
    let streamed = async |fault: &str| send(&mock, OLLAMA, &chat(&format!("llama@{fault}"), &json!({"stream": true}))).await;
    let whole = lines(&streamed("").await);
    // The last line is finish and terminator at once.
    for fault in ["no_done", "no_finish"] {
        assert_eq!(lines(&streamed(fault).await).len(), whole.len() - 1, "{fault}");
    }
    let seen = streamed("cut_at=event:2").await;
    assert_eq!((lines(&seen).len(), seen.body().1), (2, false));
    let text = streamed("malformed_at=1").await.text();
    assert!(serde_json::from_str::<Value>(text.lines().nth(1).unwrap()).is_err() && text.lines().count() == whole.len(), "{text}");
    let failed = lines(&streamed("error_at=2;error=overloaded").await);
    assert_eq!((failed.len(), failed[2]["error"].as_str().unwrap().starts_with("server busy")), (3, true));
    assert_eq!(lines(&streamed("pings=2").await).len(), whole.len() + 2);
    for (fault, status, words) in [
        ("error=context_length", 400, "context length"),
        ("error=model_not_found", 404, "llama"),
        ("error=insufficient_quota", 429, "usage limit"),
        ("status=503", 503, "server busy"),
    ] {
        let (seen, body) = post(mock.addr(), OLLAMA, &chat(&format!("llama@{fault}"), &json!({}))).await;
        assert_eq!((seen, body["error"].as_str().is_some_and(|error| error.contains(words))), (status, true), "{fault}: {body}");
    }
    let (status, body) = post(mock.addr(), "/api/embed", &json!({"model": "e", "input": 3})).await;
    assert_eq!((status, body["error"].is_string()), (400, true));
}

#[tokio::test]
async fn gemini_streams_one_array_to_those_who_ask_for_no_events() {
    let mock = mock().await;
    let ask = json!({"contents": [{"role": "user", "parts": [{"text": "say hello world"}]}]});
    let streamed = async |model: &str| send(&mock, &format!("/v1beta/models/{model}:streamGenerateContent"), &ask).await;
    let seen = streamed("gemini").await;
    assert_eq!(seen.header("content-type").unwrap(), "application/json; charset=UTF-8");
    let whole = seen.json();
    let said: String =
        whole.as_array().unwrap().iter().filter_map(|chunk| chunk["candidates"][0]["content"]["parts"][0]["text"].as_str()).collect();
    assert_eq!(said, "mock: say hello world");
    let failed = streamed("gemini@error_at=1;error=overloaded").await.json();
    assert_eq!((failed.as_array().unwrap().len(), &failed[1]["error"]["status"]), (2, &json!("UNAVAILABLE")));
    let first = streamed("gemini@error_at=0").await.json();
    assert_eq!(first.as_array().unwrap().len(), 1);
    for fault in ["no_done", "malformed_at=1", "cut_at=event:2"] {
        let text = streamed(&format!("gemini@{fault}")).await.text();
        assert!(serde_json::from_str::<Value>(&text).is_err(), "{fault}: {text}");
    }
}
