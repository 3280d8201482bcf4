//! The other formats: their shapes, their errors, and that faults break what their clients would see.

use bifrostctl::mock::{Mock, Script};
use serde_json::{Value, json};

use super::support::{Seen, exchange, mock, post, request};

const MESSAGES: &str = "/v1/messages";

fn ask(model: &str, more: &Value) -> Value {
    let mut body = json!({"model": model, "max_tokens": 50, "messages": [{"role": "user", "content": "say hello world"}]});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    body
}

fn tool() -> Value {
    let schema = json!({"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]});
    json!({"tools": [{"name": "weather", "input_schema": schema}]})
}

async fn stream(mock: &Mock, model: &str, more: &Value) -> Seen {
    let mut body = ask(model, more);
    body["stream"] = json!(true);
    exchange(mock.addr(), &request(MESSAGES, &["Connection: close"], &body.to_string())).await
}

/// The names of a stream's events, each of which its data repeats.
fn names(seen: &Seen) -> Vec<String> {
    let named = |event: String| {
        let (name, data) = event.strip_prefix("event: ").and_then(|event| event.split_once("\ndata: ")).unwrap();
        let data: Value = serde_json::from_str(data).unwrap_or_else(|_| json!({"type": name}));
        assert_eq!(data["type"], name);
        name.to_owned()
    };
    seen.events().into_iter().map(named).collect()
}

fn data(seen: &Seen) -> Vec<Value> {
    seen.text().lines().filter_map(|line| line.strip_prefix("data: ")).map(|data| serde_json::from_str(data).unwrap()).collect()
}

#[tokio::test]
async fn a_message_echoes_and_a_limit_is_honoured() {
    let mock = mock().await;
    let (status, body) = post(mock.addr(), MESSAGES, &ask("claude", &json!({}))).await;
    assert_eq!(status, 200);
    assert!(body["id"].as_str().unwrap().starts_with("msg_"), "{body}");
    assert_eq!((&body["type"], &body["role"], &body["model"]), (&json!("message"), &json!("assistant"), &json!("claude")));
    assert_eq!(body["content"], json!([{"type": "text", "text": "mock: say hello world"}]));
    assert_eq!((&body["stop_reason"], &body["stop_sequence"]), (&json!("end_turn"), &Value::Null));
    assert_eq!((&body["usage"]["input_tokens"], &body["usage"]["output_tokens"]), (&json!(10), &json!(4)));
    let (_, again) = post(self::mock().await.addr(), MESSAGES, &ask("claude", &json!({}))).await;
    assert_eq!(again, body, "the same request has the same answer");
    let (_, body) = post(mock.addr(), MESSAGES, &ask("claude", &json!({"max_tokens": 2}))).await;
    assert_eq!((&body["content"][0]["text"], &body["stop_reason"]), (&json!("mock: say"), &json!("max_tokens")));
}

#[tokio::test]
async fn tools_are_called_and_their_results_echoed() {
    let mock = mock().await;
    let (_, body) = post(mock.addr(), MESSAGES, &ask("claude", &tool())).await;
    let call = &body["content"][0];
    assert_eq!((&call["type"], &call["name"], &call["input"]), (&json!("tool_use"), &json!("weather"), &json!({"city": "mock"})));
    assert!(call["id"].as_str().unwrap().starts_with("toolu_"), "{body}");
    assert_eq!(body["stop_reason"], "tool_use");
    let mut next = ask("claude", &tool());
    next["messages"] = json!([
        {"role": "user", "content": "?"},
        {"role": "assistant", "content": body["content"]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": call["id"], "content": "sunny"}]},
    ]);
    assert_eq!(post(mock.addr(), MESSAGES, &next).await.1["content"][0]["text"], "mock: sunny");
    let seen = stream(&mock, "claude", &tool()).await;
    let data = data(&seen);
    let input: String = data.iter().filter_map(|event| event["delta"]["partial_json"].as_str()).collect();
    assert_eq!(input, r#"{"city":"mock"}"#);
    assert_eq!(data[1]["content_block"]["name"], "weather");
    assert_eq!(data[data.len() - 2]["delta"]["stop_reason"], "tool_use");
}

#[tokio::test]
async fn a_stream_has_the_events_of_the_format_and_tells_its_input_at_once() {
    let mock = mock().await;
    let seen = stream(&mock, "claude", &json!({})).await;
    assert_eq!(seen.header("content-type").unwrap(), "text/event-stream; charset=utf-8");
    assert_eq!(
        names(&seen),
        [
            "message_start",
            "content_block_start",
            "content_block_delta",
            "content_block_delta",
            "content_block_delta",
            "content_block_delta",
            "content_block_stop",
            "message_delta",
            "message_stop"
        ]
    );
    let data = data(&seen);
    assert_eq!((&data[0]["message"]["usage"]["input_tokens"], &data[0]["message"]["usage"]["output_tokens"]), (&json!(10), &json!(1)));
    assert_eq!(data[7]["usage"]["output_tokens"], 4);
    assert!(seen.body().1);
}

#[tokio::test]
async fn the_responses_api_is_spoken_with_the_errors_of_chats() {
    let mock = mock().await;
    let (status, body) = post(mock.addr(), "/v1/responses", &json!({"model": "gpt", "input": "say hello world"})).await;
    assert_eq!((status, &body["object"], &body["status"]), (200, &json!("response"), &json!("completed")), "{body}");
    assert_eq!(body["output"][0]["content"][0]["text"], "mock: say hello world");
    assert_eq!((&body["usage"]["input_tokens"], &body["usage"]["output_tokens"]), (&json!(10), &json!(4)));
    let streamed = async |model: &str| {
        let body = json!({"model": model, "input": "say hello world", "stream": true}).to_string();
        exchange(mock.addr(), &request("/v1/responses", &["Connection: close"], &body)).await
    };
    let all = names(&streamed("gpt").await);
    assert_eq!((all[0].as_str(), all.last().unwrap().as_str()), ("response.created", "response.completed"));
    assert_eq!(all.iter().filter(|name| *name == "response.output_text.delta").count(), 4);
    // The last event is finish and terminator at once.
    for fault in ["no_done", "no_finish"] {
        assert_eq!(names(&streamed(&format!("gpt@{fault}")).await), all[..all.len() - 1], "{fault}");
    }
    let (status, body) = post(mock.addr(), "/v1/responses", &json!({"model": "gpt@error=rate_limit", "input": "x"})).await;
    assert_eq!((status, &body["error"]["code"]), (429, &json!("rate_limit_exceeded")));
}

#[tokio::test]
async fn gemini_is_spoken_with_the_model_in_the_path() {
    let mock = mock().await;
    let ask = json!({"contents": [{"role": "user", "parts": [{"text": "say hello world"}]}]});
    let (status, body) = post(mock.addr(), "/v1beta/models/gemini-2.5-flash:generateContent", &ask).await;
    assert_eq!((status, &body["modelVersion"]), (200, &json!("gemini-2.5-flash")), "{body}");
    let answer = &body["candidates"][0];
    assert_eq!((&answer["content"]["parts"][0]["text"], &answer["finishReason"]), (&json!("mock: say hello world"), &json!("STOP")));
    assert_eq!((&body["usageMetadata"]["promptTokenCount"], &body["usageMetadata"]["candidatesTokenCount"]), (&json!(10), &json!(4)));
    let streamed = async |model: &str| {
        let path = format!("/v1beta/models/{model}:streamGenerateContent?alt=sse");
        exchange(mock.addr(), &request(&path, &["Connection: close"], &ask.to_string())).await.chunks()
    };
    let chunks = streamed("gemini-2.5-flash").await;
    let text: String = chunks.iter().filter_map(|chunk| chunk["candidates"][0]["content"]["parts"][0]["text"].as_str()).collect();
    assert_eq!((text.as_str(), &chunks.last().unwrap()["candidates"][0]["finishReason"]), ("mock: say hello world", &json!("STOP")));
    // The format has no terminator; its finish comes with the last chunk.
    assert_eq!(streamed("gemini@no_done").await.len(), chunks.len());
    let unfinished = streamed("gemini%40no_finish").await;
    assert!(unfinished.iter().all(|chunk| chunk["candidates"][0].get("finishReason").is_none()) && unfinished.len() > 2);
    let failed = streamed("gemini@error_at=2;error=overloaded").await;
    assert_eq!((failed.len(), &failed[2]["error"]["status"]), (3, &json!("UNAVAILABLE")));
    for (fault, status, word) in [
        ("error=rate_limit", 429, "RESOURCE_EXHAUSTED"),
        ("error=context_length", 400, "INVALID_ARGUMENT"),
        ("error=model_not_found", 404, "NOT_FOUND"),
        ("status=500", 500, "INTERNAL"),
    ] {
        let (seen, body) = post(mock.addr(), &format!("/v1beta/models/gemini@{fault}:generateContent"), &ask).await;
        assert_eq!((seen, &body["error"]["status"]), (status, &json!(word)), "{fault}: {body}");
    }
    let (_, body) = post(mock.addr(), "/v1beta/models/gemini:countTokens", &ask).await;
    assert_eq!(body, json!({"totalTokens": 10}));
    let head = "GET /v1beta/models HTTP/1.1\r\nHost: mock\r\nx-goog-api-key: k\r\nConnection: close\r\n\r\n";
    assert_eq!(exchange(mock.addr(), head.as_bytes()).await.json()["models"][0]["name"], "models/mock-small");
}

#[tokio::test]
async fn faults_break_what_clients_of_the_format_see() {
    let mock = mock().await;
    let has = |seen: &Seen, name: &str| names(seen).iter().any(|have| have == name);
    let seen = stream(&mock, "claude@no_done", &json!({})).await;
    assert!(has(&seen, "message_delta") && !has(&seen, "message_stop"));
    let seen = stream(&mock, "claude@no_finish", &json!({})).await;
    assert!(has(&seen, "message_stop") && !has(&seen, "message_delta"));
    // Two events of the format, and no third.
    let seen = stream(&mock, "claude@cut_at=event:2", &json!({})).await;
    assert_eq!((names(&seen).as_slice(), seen.body().1), (&["message_start".to_owned(), "content_block_start".to_owned()][..], false));
    let seen = stream(&mock, "claude@error_at=3;error=overloaded", &json!({})).await;
    assert_eq!(names(&seen).last().unwrap(), "error");
    assert_eq!(data(&seen).last().unwrap()["error"]["type"], "overloaded_error");
    let seen = stream(&mock, "claude@malformed_at=2", &json!({})).await;
    let broken = &seen.events()[2];
    let data = broken.split_once("data: ").unwrap().1;
    assert!(broken.starts_with("event: content_block_delta") && serde_json::from_str::<Value>(data).is_err(), "{broken}");
    let seen = stream(&mock, "claude@chunks=300", &json!({"max_tokens": 1000})).await;
    assert_eq!(seen.events().len(), 305);
}

#[tokio::test]
async fn errors_are_told_in_the_formats_own_words() {
    let mock = mock().await;
    for (fault, status, kind, words) in [
        ("status=401", 401, "authentication_error", "API key"),
        ("error=permission", 403, "permission_error", ""),
        ("error=model_not_found", 404, "not_found_error", "claude"),
        ("error=rate_limit", 429, "rate_limit_error", ""),
        ("error=overloaded", 529, "overloaded_error", ""),
        ("status=503", 503, "overloaded_error", ""),
        ("error=server_error", 500, "api_error", ""),
        ("error=timeout", 504, "timeout_error", ""),
        ("error=context_length", 400, "invalid_request_error", "prompt is too long"),
        ("error=insufficient_quota", 400, "invalid_request_error", "credit balance"),
        ("nonsense=1", 400, "invalid_request_error", "nonsense"),
    ] {
        let (seen, body) = post(mock.addr(), MESSAGES, &ask(&format!("claude@{fault}"), &json!({}))).await;
        assert_eq!((seen, body["type"].as_str(), body["error"]["type"].as_str()), (status, Some("error"), Some(kind)), "{fault}: {body}");
        assert!(body["error"]["message"].as_str().unwrap().contains(words), "{fault}: {body}");
    }
    let mut without = ask("claude", &json!({}));
    without.as_object_mut().unwrap().remove("max_tokens");
    for bad in [without, json!({"model": "claude", "max_tokens": 1}), json!("text")] {
        let (status, body) = post(mock.addr(), MESSAGES, &bad).await;
        assert_eq!((status, body["error"]["type"].as_str()), (400, Some("invalid_request_error")), "{bad}: {body}");
    }
    let limited = request(
        MESSAGES,
        &["Connection: close", "x-mock-fault: status=429;reset_tokens=2026-11-01T00:00:07Z"],
        &ask("claude", &json!({})).to_string(),
    );
    let seen = exchange(mock.addr(), &limited).await;
    assert_eq!(seen.header("anthropic-ratelimit-tokens-reset").unwrap(), "2026-11-01T00:00:07Z");
    assert!(seen.header("request-id").is_some() && seen.header("openai-version").is_none());
}

#[tokio::test]
async fn tokens_are_counted_and_models_listed() {
    let mock = mock().await;
    let count = json!({"model": "claude", "messages": [{"role": "user", "content": "say hello world"}]});
    assert_eq!(post(mock.addr(), "/v1/messages/count_tokens", &count).await, (200, json!({"input_tokens": 10})));
    let bare = json!({"contents": [{"parts": [{"text": "say hello world"}]}]});
    for body in [bare.clone(), json!({"generateContentRequest": bare})] {
        let counted = post(mock.addr(), "/v1beta/models/g:countTokens", &body).await;
        assert_eq!(counted, (200, json!({"totalTokens": 10})));
    }
    let get = async |path: &str| {
        let head = format!("GET {path} HTTP/1.1\r\nHost: mock\r\nanthropic-version: 2023-06-01\r\nConnection: close\r\n\r\n");
        exchange(mock.addr(), head.as_bytes()).await
    };
    let list = get("/v1/models").await.json();
    assert_eq!((&list["has_more"], &list["first_id"], &list["last_id"]), (&json!(false), &json!("mock-small"), &json!("mock-embedding")));
    assert_eq!((&list["data"][0]["type"], &list["data"][0]["display_name"]), (&json!("model"), &json!("mock-small")));
    assert_eq!(get("/v1/models/mock-large").await.json()["id"], "mock-large");
    let gone = get("/v1/models/none").await;
    assert_eq!((gone.status(), gone.json()["error"]["type"].as_str()), (404, Some("not_found_error")));
}

#[tokio::test]
async fn scripts_tell_the_formats_apart_by_path() {
    let script = Script::parse("rules: [{when: {path: '*/messages'}, then: [{error: rate_limit, retry_after: 3}]}]").unwrap();
    let mock = super::support::scripted(script).await;
    let seen = stream(&mock, "claude", &json!({})).await;
    assert_eq!((seen.status(), seen.header("retry-after").as_deref()), (429, Some("3")));
    assert_eq!(super::support::ask(mock.addr(), "gpt", false).await.status(), 200);
}

/// A question with two tools, in Anthropic's format.
fn two_tools(more: &Value) -> Value {
    let tool = |name: &str| json!({"name": name, "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}});
    let mut body = ask("claude@calls=2;thoughts=Let me see.", &json!({"tools": [tool("weather"), tool("clock")]}));
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    body
}

#[tokio::test]
async fn several_tools_are_called_at_once_and_their_results_echoed_in_order() {
    let mock = mock().await;
    let (_, body) = post(mock.addr(), MESSAGES, &two_tools(&json!({}))).await;
    let calls = body["content"].as_array().unwrap();
    assert_eq!(calls.iter().map(|call| call["name"].as_str().unwrap()).collect::<Vec<_>>(), ["weather", "clock"]);
    assert_ne!(calls[0]["id"], calls[1]["id"]);
    let result = |at: usize, said: Value| json!({"type": "tool_result", "tool_use_id": calls[at]["id"], "content": said});
    let source = json!({"type": "base64", "media_type": "image/png", "data": "AAAA"});
    let results = [result(0, json!("sunny")), result(1, json!([{"type": "text", "text": "noon"}, {"type": "image", "source": source}]))];
    let told = json!({"messages": [
        {"role": "user", "content": "?"}, {"role": "assistant", "content": calls}, {"role": "user", "content": results}]});
    let (_, body) = post(mock.addr(), MESSAGES, &two_tools(&told)).await;
    assert_eq!(body["content"][0]["text"], "mock: sunny noon", "a picture among the results is not another question");
    assert!(body["usage"]["input_tokens"].as_u64().unwrap() > 85, "a picture costs tokens");
}

#[tokio::test]
async fn thoughts_come_where_they_are_asked_for_and_go_back_only_with_their_signature() {
    let mock = mock().await;
    let (_, body) = post(mock.addr(), MESSAGES, &two_tools(&json!({}))).await;
    assert_eq!(body["content"][0]["type"], "tool_use", "nobody asked for thoughts");
    let thinking = json!({"thinking": {"type": "enabled", "budget_tokens": 1024}, "max_tokens": 2048});
    let (_, body) = post(mock.addr(), MESSAGES, &two_tools(&thinking)).await;
    let thought = &body["content"][0];
    assert_eq!((&thought["type"], &thought["thinking"]), (&json!("thinking"), &json!("Let me see.")));
    let mut next = two_tools(&thinking);
    next["messages"] =
        json!([{"role": "user", "content": "?"}, {"role": "assistant", "content": [thought]}, {"role": "user", "content": "!"}]);
    assert_eq!(post(mock.addr(), MESSAGES, &next).await.0, 200);
    next["messages"][1]["content"][0]["signature"] = json!("Zm9yZ2Vk");
    let (status, body) = post(mock.addr(), MESSAGES, &next).await;
    assert_eq!((status, body["error"]["message"].as_str().unwrap().contains("signature")), (400, true), "{body}");
    let seen = stream(&mock, "claude@thoughts=Let me see.", &thinking).await;
    let deltas = data(&seen).into_iter().filter_map(|event| event["delta"]["type"].as_str().map(str::to_owned)).collect::<Vec<_>>();
    assert_eq!(deltas[..4], ["thinking_delta", "thinking_delta", "thinking_delta", "signature_delta"]);
}
