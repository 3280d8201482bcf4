//! Correct answers: the shapes that official SDKs parse, and the same answer for the same question.

use base64::Engine as _;
use bifrostctl::mock::{Behaviour, Config, Mock, Script};
use serde_json::{Value, json};

use super::support::{CHAT, Connection, ask, chat, exchange, get, mock, post, request, scripted};

fn hello(extra: Value) -> Value {
    let mut body = json!({"model": "gpt-4o", "messages": [
        {"role": "system", "content": "be brief"}, {"role": "user", "content": [{"type": "text", "text": "say hello world"}]}]});
    body.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
    body
}

#[tokio::test]
async fn a_chat_completion_echoes_the_last_user_message() {
    let mock = mock().await;
    let (status, body) = post(mock.addr(), CHAT, &hello(json!({"n": 2}))).await;
    assert_eq!(status, 200);
    assert!(body["id"].as_str().unwrap().starts_with("chatcmpl-") && body["id"].as_str().unwrap().len() == 38);
    assert_eq!((&body["object"], &body["created"], &body["model"]), (&json!("chat.completion"), &json!(1_700_000_000), &json!("gpt-4o")));
    assert_eq!(body["choices"][0]["message"]["content"], "mock: say hello world");
    assert_eq!(body["choices"][1]["message"]["content"], "mock 1: say hello world");
    assert_eq!((&body["choices"][1]["index"], &body["choices"][1]["finish_reason"]), (&json!(1), &json!("stop")));
    // 4 + 2 and 4 + 3 tokens of messages, 3 of the answer's frame; 4 + 5 tokens of text.
    let usage = &body["usage"];
    assert_eq!((&usage["prompt_tokens"], &usage["completion_tokens"], &usage["total_tokens"]), (&json!(16), &json!(9), &json!(25)));
    assert!(body["system_fingerprint"].is_string());
}

#[tokio::test]
async fn a_stream_has_role_content_finish_usage_and_done_in_this_order() {
    let mock = mock().await;
    let body = hello(json!({"stream": true, "stream_options": {"include_usage": true}}));
    let seen = exchange(mock.addr(), &request(CHAT, &["Connection: close"], &body.to_string())).await;
    assert_eq!(seen.header("content-type").unwrap(), "text/event-stream; charset=utf-8");
    let chunks = seen.chunks();
    assert_eq!(chunks[0]["choices"][0]["delta"], json!({"role": "assistant", "content": "", "refusal": null}));
    let text: String = chunks.iter().filter_map(|chunk| chunk["choices"][0]["delta"]["content"].as_str()).collect();
    assert_eq!(text, "mock: say hello world");
    let (usage, finish) = (&chunks[chunks.len() - 1], &chunks[chunks.len() - 2]);
    assert_eq!((&finish["choices"][0]["delta"], &finish["choices"][0]["finish_reason"]), (&json!({}), &json!("stop")));
    assert_eq!(usage["choices"], json!([]));
    assert_eq!(usage["usage"]["completion_tokens"], 4);
    assert!(chunks[..chunks.len() - 1].iter().all(|chunk| chunk.get("usage") == Some(&Value::Null)), "usage is null before");
    assert!(chunks.iter().all(|chunk| chunk["id"] == chunks[0]["id"] && chunk["object"] == "chat.completion.chunk"));
    assert!(seen.text().ends_with("data: [DONE]\n\n") && seen.body().1);

    let without = ask(mock.addr(), "gpt-4o", true).await;
    assert!(without.chunks().iter().all(|chunk| chunk.get("usage").is_none()));
}

#[tokio::test]
async fn choices_of_a_stream_are_interleaved() {
    let mock = mock().await;
    let body = hello(json!({"stream": true, "n": 2})).to_string();
    let chunks = exchange(mock.addr(), &request(CHAT, &["Connection: close"], &body)).await.chunks();
    let order: Vec<_> = chunks.iter().map(|chunk| chunk["choices"][0]["index"].as_u64().unwrap()).collect();
    assert_eq!(order, [0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 1, 0, 1]);
}

fn with_tool(extra: Value) -> Value {
    let schema = json!({"type": "object", "properties": {"city": {"type": "string"}, "days": {"type": "integer"}}, "required": ["city"]});
    let mut body = hello(json!({"tools": [{"type": "function", "function": {"name": "weather", "parameters": schema}}]}));
    body.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
    body
}

#[tokio::test]
async fn a_user_message_with_tools_is_answered_by_a_call_and_a_tool_message_by_text() {
    let mock = mock().await;
    let (_, body) = post(mock.addr(), CHAT, &with_tool(json!({}))).await;
    let choice = &body["choices"][0];
    assert_eq!((&choice["finish_reason"], &choice["message"]["content"]), (&json!("tool_calls"), &Value::Null));
    let call = &choice["message"]["tool_calls"][0];
    assert_eq!((&call["type"], &call["function"]), (&json!("function"), &json!({"name": "weather", "arguments": r#"{"city":"mock"}"#})));
    assert!(call["id"].as_str().unwrap().starts_with("call_"));

    let answered = with_tool(json!({"messages": [{"role": "user", "content": "?"}, {"role": "tool", "content": "sunny"}]}));
    let (_, body) = post(mock.addr(), CHAT, &answered).await;
    assert_eq!(body["choices"][0]["message"]["content"], "mock: sunny");
    let (_, body) = post(mock.addr(), CHAT, &with_tool(json!({"tool_choice": "none"}))).await;
    assert_eq!(body["choices"][0]["finish_reason"], "stop");
}

#[tokio::test]
async fn a_streamed_call_comes_as_a_head_and_fragments() {
    let mock = mock().await;
    let body = with_tool(json!({"stream": true})).to_string();
    let chunks = exchange(mock.addr(), &request(CHAT, &["Connection: close"], &body)).await.chunks();
    let calls: Vec<_> = chunks.iter().filter_map(|chunk| chunk["choices"][0]["delta"]["tool_calls"].get(0)).collect();
    assert_eq!((&calls[0]["index"], &calls[0]["function"]), (&json!(0), &json!({"name": "weather", "arguments": ""})));
    assert!(calls[1..].iter().all(|call| call.get("id").is_none() && call["index"] == 0) && calls.len() > 2);
    let arguments: String = calls.iter().map(|call| call["function"]["arguments"].as_str().unwrap()).collect();
    assert_eq!(arguments, r#"{"city":"mock"}"#);
    assert_eq!(chunks.last().unwrap()["choices"][0]["finish_reason"], "tool_calls");
}

#[tokio::test]
async fn a_limit_on_tokens_and_a_schema_are_honoured() {
    let mock = mock().await;
    let (_, body) = post(mock.addr(), CHAT, &hello(json!({"max_completion_tokens": 2}))).await;
    assert_eq!((&body["choices"][0]["message"]["content"], &body["choices"][0]["finish_reason"]), (&json!("mock: say"), &json!("length")));
    let schema = json!({"type": "object", "properties": {"ok": {"type": "boolean"}}, "required": ["ok"]});
    let format = json!({"type": "json_schema", "json_schema": {"name": "x", "schema": schema}});
    let (_, body) = post(mock.addr(), CHAT, &hello(json!({"response_format": format}))).await;
    assert_eq!(body["choices"][0]["message"]["content"], r#"{"ok":true}"#);
}

#[tokio::test]
async fn a_behaviour_may_say_what_and_how_much() {
    let mock = scripted(Script::always(Behaviour { chunks: Some(300), ..Behaviour::says("ab cd") })).await;
    let chunks = ask(mock.addr(), "m", true).await.chunks();
    assert_eq!(chunks.len(), 302, "role, 300 of content, finish");
    let (_, body) = post(mock.addr(), CHAT, &hello(json!({}))).await;
    assert_eq!(body["usage"]["completion_tokens"], 300);
    assert!(body["choices"][0]["message"]["content"].as_str().unwrap().starts_with("ab cdab cd"));
}

#[tokio::test]
async fn legacy_completions_echo_each_prompt() {
    let mock = mock().await;
    let (status, body) = post(mock.addr(), "/v1/completions", &json!({"model": "m", "prompt": ["one two", "three"]})).await;
    assert_eq!((status, &body["object"]), (200, &json!("text_completion")));
    assert!(body["id"].as_str().unwrap().starts_with("cmpl-"));
    assert_eq!((&body["choices"][0]["text"], &body["choices"][1]["text"]), (&json!("mock: one two"), &json!("mock: three")));
    assert_eq!(body["usage"], json!({"prompt_tokens": 3, "completion_tokens": 5, "total_tokens": 8}));

    let body = json!({"model": "m", "prompt": "one two", "stream": true, "stream_options": {"include_usage": true}}).to_string();
    let seen = exchange(mock.addr(), &request("/v1/completions", &["Connection: close"], &body)).await;
    let text: String = seen.chunks().iter().filter_map(|chunk| chunk["choices"][0]["text"].as_str().map(str::to_owned)).collect();
    assert_eq!(text, "mock: one two");
    assert_eq!(seen.chunks().last().unwrap()["usage"]["total_tokens"], 5);
    assert_eq!(seen.events().last().unwrap(), "[DONE]");
}

#[tokio::test]
async fn embeddings_are_unit_vectors_and_base64_says_the_same() {
    let mock = mock().await;
    let path = "/v1/embeddings";
    let ask = |input: Value, extra: Value| {
        let mut body = json!({"model": "e", "input": input});
        body.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        body
    };
    let (status, floats) = post(mock.addr(), path, &ask(json!(["a b", "c"]), json!({"dimensions": 48}))).await;
    assert_eq!((status, &floats["object"], &floats["usage"]), (200, &json!("list"), &json!({"prompt_tokens": 3, "total_tokens": 3})));
    let vector = |entry: &Value| -> Vec<f32> { serde_json::from_value(entry["embedding"].clone()).unwrap() };
    let (first, second) = (vector(&floats["data"][0]), vector(&floats["data"][1]));
    assert!((first.iter().map(|value| value * value).sum::<f32>() - 1.0).abs() < 1e-4);
    assert_eq!((first.len(), floats["data"][1]["index"].as_u64()), (48, Some(1)));
    assert_ne!(first, second);

    let (_, coded) = post(mock.addr(), path, &ask(json!("a b"), json!({"dimensions": 48, "encoding_format": "base64"}))).await;
    let bytes = base64::engine::general_purpose::STANDARD.decode(coded["data"][0]["embedding"].as_str().unwrap()).unwrap();
    let decoded: Vec<f32> = bytes.chunks_exact(4).map(|four| f32::from_le_bytes(four.try_into().unwrap())).collect();
    assert_eq!(decoded, first);
    let (_, tokens) = post(mock.addr(), path, &ask(json!([1, 2, 3]), json!({}))).await;
    assert_eq!((tokens["data"].as_array().unwrap().len(), &tokens["usage"]["total_tokens"]), (1, &json!(3)));
}

#[tokio::test]
async fn models_are_listed_and_found() {
    let mock = mock().await;
    let (status, list) = get(mock.addr(), "/v1/models").await;
    assert_eq!((status, list["data"].as_array().unwrap().len()), (200, 3));
    let (status, model) = get(mock.addr(), "/v1/models/mock-small").await;
    assert_eq!((status, model), (200, list["data"][0].clone()));
    let (status, missing) = get(mock.addr(), "/v1/models/nope").await;
    assert_eq!((status, &missing["error"]["code"]), (404, &json!("model_not_found")));
}

#[tokio::test]
async fn the_other_operations_answer_in_their_shape() {
    let mock = mock().await;
    let (_, body) = post(mock.addr(), "/v1/moderations", &json!({"model": "m", "input": ["a", "b"]})).await;
    assert_eq!(body["results"].as_array().unwrap().len(), 2);
    let (_, body) = post(mock.addr(), "/v1/rerank", &json!({"model": "m", "query": "q", "documents": ["a", "b", "c"], "top_n": 2})).await;
    assert_eq!(body["results"], json!([{"index": 0, "relevance_score": 1.0}, {"index": 1, "relevance_score": 0.5}]));
    let (_, body) = post(mock.addr(), "/v1/images/generations", &json!({"model": "m", "prompt": "p", "n": 2})).await;
    assert_eq!(body["data"].as_array().unwrap().len(), 2);
    let (_, body) = post(mock.addr(), "/v1/unheard/of", &json!({"model": "m"})).await;
    assert_eq!((&body["path"], &body["model"]), (&json!("/v1/unheard/of"), &json!("m")));

    let speech = json!({"model": "m", "input": "one two", "voice": "v"}).to_string();
    let seen = exchange(mock.addr(), &request("/v1/audio/speech", &["Connection: close"], &speech)).await;
    assert_eq!((seen.header("content-type").unwrap().as_str(), seen.body().0), ("audio/mpeg", vec![0xff, 0xfb, 0x90, 0, 0, 1]));
    let form = "--b\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nwhisper@status=503\r\n--b--\r\n";
    let head = "POST /v1/audio/transcriptions HTTP/1.1\r\nConnection: close\r\nContent-Type: multipart/form-data; boundary=b\r\n";
    let seen = exchange(mock.addr(), format!("{head}Content-Length: {}\r\n\r\n{form}", form.len()).as_bytes()).await;
    assert_eq!(seen.status(), 503, "the model of a form carries faults too");
    let form = form.replace("@status=503", "");
    let seen = exchange(mock.addr(), format!("{head}Content-Length: {}\r\n\r\n{form}", form.len()).as_bytes()).await;
    assert_eq!(seen.json()["text"], format!("mock: {} bytes", form.len()));
}

#[tokio::test]
async fn what_is_wrong_with_a_request_is_said_as_openai_says_it() {
    let mock = mock().await;
    let seen = exchange(mock.addr(), &request(CHAT, &["Connection: close"], "{nope")).await;
    assert_eq!((seen.status(), &seen.json()["error"]["type"]), (400, &json!("invalid_request_error")));
    let (status, body) = post(mock.addr(), CHAT, &json!({"messages": []})).await;
    assert_eq!((status, &body["error"]["message"]), (400, &json!("you must provide a model parameter")));
    let (status, body) = post(mock.addr(), CHAT, &json!({"model": "m"})).await;
    assert_eq!((status, &body["error"]["param"], &body["error"]["code"]), (400, &json!("messages"), &json!("missing_required_parameter")));
    let (status, body) = get(mock.addr(), "/v2/none").await;
    assert_eq!((status, &body["error"]["message"]), (404, &json!("Invalid URL (GET /v2/none)")));
    assert_eq!(get(mock.addr(), CHAT).await.0, 405);
    let (status, body) = post(mock.addr(), CHAT, &hello(json!({"model": "m@statsu=503"}))).await;
    assert_eq!((status, &body["error"]["code"]), (400, &json!("mock_fault")));
    assert!(body["error"]["message"].as_str().unwrap().contains("statsu"));
}

#[tokio::test]
async fn the_same_question_gets_the_same_bytes_and_a_seed_changes_the_ids_alone() {
    let (first, second) = (mock().await, mock().await);
    let other = Mock::start(Config { seed: 7, ..Config::default() }).await.unwrap();
    for is_stream in [false, true] {
        let answers = [ask(first.addr(), "m", is_stream).await.raw, ask(second.addr(), "m", is_stream).await.raw];
        assert_eq!(answers[0], answers[1]);
        let seeded = ask(other.addr(), "m", is_stream).await.raw;
        assert_ne!(answers[0], seeded);
        assert_eq!(answers[0].len(), seeded.len());
    }
}

#[tokio::test]
async fn a_connection_serves_many_requests_and_those_sent_ahead() {
    let mock = mock().await;
    let mut connection = Connection::open(mock.addr()).await;
    let both = [request(CHAT, &[], &chat("one", false)), request(CHAT, &["Connection: close"], &chat("two", true))].concat();
    connection.send(&both).await;
    let seen = connection.until_end().await;
    let text = String::from_utf8(seen.raw).unwrap();
    assert_eq!(text.matches("HTTP/1.1 200 OK").count(), 2);
    let records = mock.wait_ended(2).await;
    assert_eq!(records.iter().map(|record| record.connection).collect::<Vec<_>>(), [1, 1]);
}

#[tokio::test]
async fn thoughts_of_a_chat_are_plain_and_counted() {
    let mock = scripted(Script::always(Behaviour { thoughts: Some("Let me see.".to_owned()), ..Behaviour::default() })).await;
    let (_, body) = post(mock.addr(), CHAT, &hello(json!({"reasoning_effort": "low"}))).await;
    assert_eq!(body["choices"][0]["message"]["reasoning_content"], "Let me see.");
    assert_eq!(body["usage"]["completion_tokens_details"]["reasoning_tokens"], 3);
    for none in [json!({}), json!({"reasoning_effort": "none"})] {
        let (_, body) = post(mock.addr(), CHAT, &hello(none)).await;
        assert_eq!(body["choices"][0]["message"].get("reasoning_content"), None);
    }
    let body = hello(json!({"reasoning_effort": "low", "stream": true})).to_string();
    let chunks = exchange(mock.addr(), &request(CHAT, &["Connection: close"], &body)).await.chunks();
    let thoughts: String = chunks.iter().filter_map(|chunk| chunk["choices"][0]["delta"]["reasoning_content"].as_str()).collect();
    assert_eq!(thoughts, "Let me see.");
}
