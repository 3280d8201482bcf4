//! The lanes between formats: clients and upstreams of each format meet, whole and streamed, and every failure is told in the client's own.

use std::sync::{Arc, Mutex};

use bifrostctl::table::explain::{Moment, Question, explain};
use bytes::Bytes;
use http::StatusCode;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::harness::{KEY, Rig, Seen};

/// An upstream that answers with what it was given, in order, and keeps what it was asked. The last answer is repeated.
pub(super) struct Upstream {
    pub(super) url: String,
    asked: Arc<Mutex<Vec<(String, Value)>>>,
    _task: JoinSet<()>,
}

impl Upstream {
    pub(super) async fn start(answers: Vec<String>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/v1", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&asked);
        let mut task = JoinSet::new();
        task.spawn(async move {
            for number in 0.. {
                let (mut stream, _) = listener.accept().await.unwrap();
                let (head, body) = read(&mut stream).await;
                kept.lock().unwrap().push((head, body));
                let answer = answers.get(number).or(answers.last()).unwrap();
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
        });
        Self { url, asked, _task: task }
    }

    pub(super) fn asked(&self) -> Vec<(String, Value)> {
        self.asked.lock().unwrap().clone()
    }
}

async fn read(stream: &mut tokio::net::TcpStream) -> (String, Value) {
    let (mut bytes, mut buffer) = (Vec::new(), [0; 4096]);
    loop {
        let count = stream.read(&mut buffer).await.unwrap();
        bytes.extend_from_slice(&buffer[..count]);
        let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") else { continue };
        let head = String::from_utf8(bytes[..end].to_vec()).unwrap().to_ascii_lowercase();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).map_or(0, |value| value.parse().unwrap());
        if bytes.len() >= end + 4 + length {
            return (head, serde_json::from_slice(&bytes[end + 4..]).unwrap());
        }
    }
}

pub(super) fn answer(status: u16, content_type: &str, body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 {status} X\r\ncontent-type: {content_type}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}")
}

pub(super) const JSON: &str = "application/json";
const SSE: &str = "text/event-stream";

/// Provider `one` speaks Anthropic at `url`; `two` is the mock, which speaks OpenAI.
async fn rig(url: &str, change: impl FnOnce(&mut Value)) -> Rig {
    Rig::start_with(|plan| {
        let one = &mut plan["providers"]["one"];
        one["api"] = json!("anthropic");
        one["base_url"] = json!(url);
        one["auth"] = json!({"header": "x-api-key"});
        change(plan);
    })
    .await
}

async fn messages(rig: &Rig, body: &Value) -> Seen {
    rig.call("POST", "/v1/messages", &[("x-api-key", KEY), ("anthropic-beta", "b-1")], Bytes::from(body.to_string())).await
}

const MESSAGE: &str = r#"{"id":"msg_1","type":"message","role":"assistant","model":"claude","content":[{"type":"text","text":"It is "},{"type":"tool_use","id":"toolu_1","name":"weather","input":{"city":"Paris"}}],"stop_reason":"tool_use","stop_sequence":null,"usage":{"input_tokens":10,"cache_read_input_tokens":5,"cache_creation_input_tokens":0,"output_tokens":7}}"#;

const STREAM: &str = concat!(
    "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"msg_1\",\"type\":\"message\",\"role\":\"assistant\",\"content\":[],\"model\":\"claude\",\"stop_reason\":null,\"stop_sequence\":null,\"usage\":{\"input_tokens\":3,\"output_tokens\":1}}}\n\n",
    "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n",
    "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"Hello\"}}\n\n",
    "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\n",
    "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\",\"stop_sequence\":null},\"usage\":{\"output_tokens\":5}}\n\n",
    "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
);

fn chat(more: &Value) -> Value {
    let mut body =
        json!({"model": "fast", "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Weather?"}]});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    body
}

#[tokio::test]
async fn a_chat_is_served_by_an_upstream_that_speaks_anthropic() {
    let upstream = Upstream::start(vec![answer(200, JSON, MESSAGE)]).await;
    let rig = rig(&upstream.url, |_| {}).await;
    let seen = rig.chat(chat(&json!({"max_tokens": 50, "temperature": 0.5})).to_string()).await;
    assert_eq!(seen.status, StatusCode::OK, "{}", seen.text());
    let told = seen.json();
    assert_eq!((&told["object"], &told["choices"][0]["finish_reason"]), (&json!("chat.completion"), &json!("tool_calls")));
    assert_eq!(told["choices"][0]["message"]["tool_calls"][0]["function"], json!({"name": "weather", "arguments": "{\"city\":\"Paris\"}"}));
    assert_eq!((&told["usage"]["prompt_tokens"], &told["usage"]["completion_tokens"]), (&json!(15), &json!(7)));
    assert_eq!((&seen.headers["x-bifrost-target"], &seen.headers["content-type"]), (&"one/m".parse().unwrap(), &JSON.parse().unwrap()));
    let (head, body) = &upstream.asked()[0];
    assert!(head.starts_with("post /v1/messages http/1.1") && head.contains("x-api-key: secret-"), "{head}");
    assert!(head.contains("anthropic-version: 2023-06-01") && !head.contains("authorization"), "{head}");
    assert_eq!((&body["model"], &body["max_tokens"], &body["temperature"]), (&json!("m"), &json!(50), &json!(0.5)));
    assert!(body["system"].to_string().contains("Be brief."), "{body}");
}

#[tokio::test]
async fn a_stream_of_anthropics_becomes_chunks_and_hides_the_usage_that_was_not_asked_for() {
    let upstream = Upstream::start(vec![answer(200, SSE, STREAM)]).await;
    let rig = rig(&upstream.url, |_| {}).await;
    let seen = rig.chat(chat(&json!({"stream": true})).to_string()).await;
    let text = seen.text();
    assert!(seen.headers["content-type"].to_str().unwrap().starts_with(SSE));
    assert!(text.contains("\"content\":\"Hello\"") && text.ends_with("data: [DONE]\n\n"), "{text}");
    assert!(!text.contains("prompt_tokens"), "{text}");
    let seen = rig.chat(chat(&json!({"stream": true, "stream_options": {"include_usage": true}})).to_string()).await;
    assert!(seen.text().contains("\"prompt_tokens\":3,\"completion_tokens\":5"), "{}", seen.text());
    assert_eq!(upstream.asked()[0].1["stream"], true);
}

#[tokio::test]
async fn a_client_of_anthropics_is_served_by_an_upstream_that_speaks_openai() {
    let rig = rig("http://127.0.0.1:9/v1", |plan| plan["models"]["fast"]["targets"][0]["provider"] = json!("two")).await;
    let ask = json!({"model": "fast", "max_tokens": 20, "system": "Be brief.", "messages": [{"role": "user", "content": "Hi"}]});
    let seen = messages(&rig, &ask).await;
    assert_eq!(seen.status, StatusCode::OK, "{}", seen.text());
    let told = seen.json();
    assert_eq!((&told["type"], &told["role"], &told["stop_reason"]), (&json!("message"), &json!("assistant"), &json!("end_turn")));
    assert!(told["content"][0]["text"].is_string() && told["usage"]["input_tokens"].is_u64(), "{told}");
    let recorded = rig.mock.requests();
    assert_eq!(recorded[0].path(), "/v1/chat/completions");
    assert_eq!(recorded[0].header("anthropic-beta"), None);
    let body = recorded[0].json();
    assert_eq!((&body["messages"][0]["role"], &body["messages"][1]["content"]), (&json!("system"), &json!("Hi")));

    let mut ask = ask;
    ask["stream"] = json!(true);
    let text = messages(&rig, &ask).await.text();
    assert!(text.starts_with("event: message_start\n") && text.trim_end().ends_with("data: {\"type\":\"message_stop\"}"), "{text}");
    assert!(text.contains("text_delta"), "{text}");
}

#[tokio::test]
async fn one_format_on_both_sides_passes_byte_for_byte() {
    let upstream = Upstream::start(vec![answer(200, JSON, MESSAGE), answer(200, SSE, STREAM)]).await;
    let rig = rig(&upstream.url, |_| {}).await;
    let ask = json!({"model": "fast", "max_tokens": 20, "messages": [{"role": "user", "content": "Hi"}], "unknown": {"n": 1}});
    assert_eq!(messages(&rig, &ask).await.text(), MESSAGE);
    let mut streamed = ask;
    streamed["stream"] = json!(true);
    let seen = rig
        .call("POST", "/anthropic/v1/messages", &[("x-api-key", KEY), ("anthropic-beta", "b-1")], Bytes::from(streamed.to_string()))
        .await;
    assert_eq!(seen.text(), STREAM);
    let (head, body) = &upstream.asked()[1];
    assert!(head.contains("anthropic-beta: b-1") && head.contains("anthropic-version: 2023-06-01"), "{head}");
    streamed["model"] = json!("m");
    assert_eq!(*body, streamed);
}

#[tokio::test]
async fn the_chain_goes_on_in_another_format_and_streams_too() {
    let overloaded = answer(529, JSON, r#"{"type":"error","error":{"type":"overloaded_error","message":"busy"}}"#);
    let early = "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"busy\"}}\n\n";
    let upstream = Upstream::start(vec![overloaded, answer(200, SSE, early)]).await;
    let rig = rig(&upstream.url, |plan| plan["providers"]["one"]["retries"]["max"] = json!(0)).await;
    let ask = json!({"model": "fast", "max_tokens": 20, "messages": [{"role": "user", "content": "Hi"}]});
    let seen = messages(&rig, &ask).await;
    assert_eq!((seen.status, seen.json()["type"].as_str()), (StatusCode::OK, Some("message")));
    assert_eq!(
        (&seen.headers["x-bifrost-target"], &seen.headers["x-bifrost-attempts"]),
        (&"two/m".parse().unwrap(), &"2".parse().unwrap())
    );
    let mut streamed = ask;
    streamed["stream"] = json!(true);
    let text = messages(&rig, &streamed).await.text();
    assert!(text.contains("text_delta") && text.trim_end().ends_with("data: {\"type\":\"message_stop\"}"), "{text}");
    assert_eq!(upstream.asked().len(), 2);
}

#[tokio::test]
async fn failures_are_told_in_the_clients_own_format() {
    let refusal = r#"{"type":"error","error":{"type":"invalid_request_error","message":"max_tokens: too large"}}"#;
    let upstream = Upstream::start(vec![answer(400, JSON, refusal)]).await;
    let rig = rig(&upstream.url, |_| {}).await;
    // The upstream refuses a chat: OpenAI's envelope, with the provider's words.
    let seen = rig.chat(chat(&json!({})).to_string()).await;
    assert_eq!((seen.status, seen.json()["error"]["message"].as_str()), (StatusCode::BAD_REQUEST, Some("max_tokens: too large")));
    // Its own client gets its own words, untouched.
    let ask = json!({"model": "fast", "max_tokens": 20, "messages": [{"role": "user", "content": "Hi"}]});
    assert_eq!(messages(&rig, &ask).await.text(), refusal);
    // The gateway's own refusals.
    for (body, headers, status, kind) in [
        (json!({"model": "nope", "max_tokens": 1, "messages": []}), vec![("x-api-key", KEY)], 404, "not_found_error"),
        (json!({"model": "fast"}), vec![("x-api-key", "wrong")], 401, "authentication_error"),
        (json!({"max_tokens": 1}), vec![("x-api-key", KEY)], 400, "invalid_request_error"),
    ] {
        let seen = rig.call("POST", "/v1/messages", &headers, Bytes::from(body.to_string())).await;
        assert_eq!((seen.status.as_u16(), seen.json()["error"]["type"].as_str()), (status, Some(kind)), "{body}");
        assert_eq!(seen.json()["type"], "error");
    }
    let seen = rig.call("POST", "/anthropic/v1/nothing", &[], Bytes::new()).await;
    assert_eq!((seen.status.as_u16(), seen.json()["error"]["type"].as_str()), (404, Some("not_found_error")));
}

#[tokio::test]
async fn a_stream_that_breaks_after_content_ends_with_the_clients_own_error() {
    let cut = STREAM.split("event: content_block_stop").next().unwrap();
    let broken = format!("{cut}event: error\ndata: {{\"type\":\"error\",\"error\":{{\"type\":\"api_error\",\"message\":\"oops\"}}}}\n\n");
    let upstream = Upstream::start(vec![answer(200, SSE, cut), answer(200, SSE, &broken), answer(200, SSE, cut)]).await;
    let rig = rig(&upstream.url, |_| {}).await;
    for _ in 0..2 {
        let text = rig.chat(chat(&json!({"stream": true})).to_string()).await.text();
        assert!(text.contains("Hello") && text.contains("\"error\":{") && !text.contains("[DONE]"), "{text}");
    }
    let ask = json!({"model": "fast", "max_tokens": 20, "stream": true, "messages": [{"role": "user", "content": "Hi"}]});
    let text = messages(&rig, &ask).await.text();
    assert!(text.contains("event: error\n") && !text.contains("message_stop"), "{text}");
}

#[tokio::test]
async fn losses_are_told_and_a_strict_alias_refuses_them_before_anything_is_sent() {
    let upstream = Upstream::start(vec![answer(200, JSON, MESSAGE)]).await;
    let ask = chat(&json!({"seed": 7, "frequency_penalty": 0.1}));
    let told = rig(&upstream.url, |_| {}).await;
    let seen = told.chat(ask.to_string()).await;
    assert_eq!(seen.headers["x-bifrost-loss"], "seed=unsupported, frequency_penalty=unsupported");
    let strict = |plan: &mut Value| {
        plan["models"]["fast"]["strict_translation"] = json!(true);
        plan["models"]["fast"]["fallbacks"] = json!([]);
    };
    let strictly = rig(&upstream.url, strict).await;
    let seen = strictly.chat(ask.to_string()).await;
    assert_eq!((seen.status, seen.json()["error"]["code"].as_str()), (StatusCode::BAD_REQUEST, Some("lossy_translation")));
    assert!(seen.text().contains("`seed` (unsupported)"), "{}", seen.text());
    assert_eq!(upstream.asked().len(), 1, "nothing was sent");
    // A target of the chain that can express it serves.
    let chain = rig(&upstream.url, |plan| plan["models"]["fast"]["strict_translation"] = json!(true)).await;
    assert_eq!(chain.chat(ask.to_string()).await.headers["x-bifrost-target"], "two/m");
}

#[tokio::test]
async fn an_alias_sets_its_members_and_prompt_whatever_is_spoken() {
    let upstream = Upstream::start(vec![answer(200, JSON, MESSAGE)]).await;
    let rig = rig(&upstream.url, |plan| {
        let fast = &mut plan["models"]["fast"];
        fast["defaults"] = json!({"temperature": 0.25, "top_p": 0.5});
        fast["overrides"] = json!({"max_completion_tokens": 33});
        fast["prompt"] = json!({"system": "House rules.", "position": "prepend"});
    })
    .await;
    let ask = json!({"model": "fast", "max_tokens": 20, "temperature": 1, "messages": [{"role": "user", "content": "Hi"}]});
    messages(&rig, &ask).await;
    rig.chat(chat(&json!({"temperature": 1})).to_string()).await;
    for (_, body) in upstream.asked() {
        assert_eq!((&body["temperature"], &body["top_p"], &body["max_tokens"]), (&json!(1), &json!(0.5), &json!(33)), "{body}");
        assert!(body["system"].to_string().contains("House rules."), "{body}");
    }
}

#[tokio::test]
async fn endpoints_that_cannot_be_translated_go_only_where_they_exist() {
    let upstream = Upstream::start(vec![answer(200, JSON, r#"{"input_tokens":9}"#)]).await;
    let rig = rig(&upstream.url, |plan| {
        plan["models"]["fast"]["fallbacks"] = json!([]);
        plan["virtual_keys"]["web"]["models"] = json!(["*"]);
    })
    .await;
    let auth: &[(&str, &str)] = &[("x-api-key", KEY)];
    let seen = rig.call("POST", "/v1/embeddings", auth, Bytes::from_static(br#"{"model":"fast","input":"x"}"#)).await;
    assert_eq!((seen.status, seen.json()["error"]["code"].as_str()), (StatusCode::BAD_REQUEST, Some("bad_request")));
    assert!(seen.text().contains("no such endpoint") && upstream.asked().is_empty(), "{}", seen.text());
    let count = Bytes::from_static(br#"{"model":"fast","messages":[]}"#);
    assert_eq!(rig.call("POST", "/v1/messages/count_tokens", auth, count.clone()).await.text(), r#"{"input_tokens":9}"#);
    assert!(upstream.asked()[0].0.starts_with("post /v1/messages/count_tokens "));
    let seen = rig.call("POST", "/v1/completions", auth, Bytes::from_static(br#"{"model":"fast","prompt":"x"}"#)).await;
    assert_eq!((seen.status, seen.json()["error"]["type"].as_str()), (StatusCode::BAD_REQUEST, Some("invalid_request_error")));
}

#[tokio::test]
async fn explain_tells_the_losses_that_the_request_would_have() {
    let upstream = Upstream::start(vec![answer(200, JSON, MESSAGE)]).await;
    let rig = rig(&upstream.url, |plan| plan["models"]["fast"]["strict_translation"] = json!(true)).await;
    let ask = chat(&json!({"seed": 7}));
    let question = Question { key: Some("web".to_owned()), model: Some("fast".to_owned()), body: Some(ask.clone()), ..Question::default() };
    let at = Moment { unix_ms: rig.gateway.clock.unix_ms(), now_ms: rig.gateway.clock.monotonic_ms(), roll: 1 };
    let told = explain(&rig.gateway.live.load(), &question, at).unwrap();
    let told: Vec<_> = told.candidates.iter().map(|it| (it.target.as_str(), it.is_refused, it.losses.len())).collect();
    assert_eq!(told, [("one/m", true, 1), ("two/m", false, 0)]);
    assert_eq!(rig.chat(ask.to_string()).await.headers["x-bifrost-target"], "two/m");
    assert!(upstream.asked().is_empty());
    let question = Question { endpoint: Some("messages".to_owned()), ..question };
    let told = explain(&rig.gateway.live.load(), &question, at).unwrap();
    assert!(told.candidates[0].losses.is_empty(), "one speaks the client's format");
}

const RESPONSES: &str = include_str!("../../fixtures/recorded/openai/responses-music-composer-handoff-hierarchy-3.response.sse");

/// Provider `two` has `/responses` beside its chat completions.
async fn native(url: &str) -> Rig {
    Rig::start_with(|plan| {
        plan["providers"]["one"]["base_url"] = json!(url);
        plan["providers"]["one"]["quirks"]["responses"] = json!(true);
    })
    .await
}

fn bearer() -> String {
    format!("Bearer {KEY}")
}

#[tokio::test]
async fn responses_pass_where_the_upstream_has_them() {
    let odd = r#"{"id":"resp_1","object":"response","status":"in_progress","background":true,"output":"later"}"#;
    let upstream = Upstream::start(vec![answer(200, SSE, RESPONSES), answer(200, JSON, odd)]).await;
    let rig = native(&upstream.url).await;
    let auth = bearer();
    let auth: &[(&str, &str)] = &[("authorization", &auth)];
    let ask = r#"{"stream":true,"model":"fast","input":"hi","store":true,"zz":1.10}"#;
    let seen = rig.call("POST", "/v1/responses", auth, Bytes::from(ask)).await;
    assert_eq!(seen.text(), RESPONSES);
    assert!(upstream.asked()[0].0.starts_with("post /v1/responses "));
    // What our reader does not know is its client's to read.
    let seen =
        rig.call("POST", "/openai/v1/responses", auth, Bytes::from_static(br#"{"model":"fast","input":"hi","background":true}"#)).await;
    assert_eq!((seen.status, seen.text().as_str()), (StatusCode::OK, odd));
}

#[tokio::test]
async fn responses_are_translated_where_the_upstream_has_only_chats() {
    let rig = Rig::start().await;
    let auth = bearer();
    let auth: &[(&str, &str)] = &[("authorization", &auth)];
    let ask = json!({"model": "fast", "instructions": "Be brief.", "input": "Hi", "truncation": "auto"});
    let seen = rig.call("POST", "/v1/responses", auth, Bytes::from(ask.to_string())).await;
    assert_eq!(seen.status, StatusCode::OK, "{}", seen.text());
    let told = seen.json();
    assert_eq!(
        (&told["object"], &told["status"], &told["output"][0]["type"]),
        (&json!("response"), &json!("completed"), &json!("message"))
    );
    assert!(seen.headers["x-bifrost-loss"].to_str().unwrap().contains("truncation=unknown"), "{:?}", seen.headers);
    let sent = rig.mock.requests()[0].json();
    assert_eq!((&sent["messages"][0]["content"], &sent["messages"][1]["content"]), (&json!("Be brief."), &json!("Hi")));
    let streamed = json!({"model": "fast", "input": [{"role": "user", "content": "Hi"}], "stream": true});
    let text = rig.call("POST", "/v1/responses", auth, Bytes::from(streamed.to_string())).await.text();
    assert!(text.starts_with("event: response.created\n") && text.contains("response.output_text.delta"), "{text}");
    assert!(text.trim_end().lines().rev().nth(1).is_some_and(|line| line == "event: response.completed"), "{text}");
    let refused = rig.call("POST", "/v1/responses", auth, Bytes::from_static(br#"{"model":"nope","input":"x"}"#)).await;
    assert_eq!((refused.status.as_u16(), refused.json()["error"]["code"].as_str()), (404, Some("model_not_found")));
}

#[tokio::test]
async fn thoughts_that_another_target_signed_do_not_reach_this_one() {
    let upstream = Upstream::start(vec![answer(200, SSE, RESPONSES)]).await;
    let rig = native(&upstream.url).await;
    let auth = bearer();
    let auth: &[(&str, &str)] = &[("authorization", &auth)];
    let own = json!({"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "sealed"});
    let foreign = json!({"type": "reasoning", "id": "rs_2", "summary": [], "encrypted_content": "bifrost.anthropic-claude-v1.sealed"});
    let ours = json!({"type": "reasoning", "id": "rs_bifrost_1_0", "summary": [{"type": "summary_text", "text": "hm"}]});
    let ask = json!({"model": "fast", "stream": true, "input": [own, foreign, ours, {"role": "user", "content": "Hi"}]});
    let seen = rig.call("POST", "/v1/responses", auth, Bytes::from(ask.to_string())).await;
    assert_eq!(seen.status, StatusCode::OK);
    assert!(seen.text().contains("response.completed"), "{}", seen.text());
    let asked = &upstream.asked()[0].1["input"];
    assert_eq!((&asked[0], asked.as_array().unwrap().len()), (&own, 2), "{asked}");
}

#[tokio::test]
async fn responses_that_lean_on_a_memory_go_only_to_whom_has_it() {
    let rig = Rig::start().await;
    let auth = bearer();
    let auth: &[(&str, &str)] = &[("authorization", &auth)];
    let ask = Bytes::from_static(br#"{"model":"fast","input":[{"type":"item_reference","id":"msg_1"}],"previous_response_id":"resp_0"}"#);
    let seen = rig.call("POST", "/v1/responses", auth, ask.clone()).await;
    assert_eq!((seen.status, seen.json()["error"]["code"].as_str()), (StatusCode::BAD_REQUEST, Some("lossy_translation")));
    let message = seen.json()["error"]["message"].as_str().unwrap().to_owned();
    assert!(message.contains("`input[0]`, `previous_response_id`. Send the whole conversation."), "{message}");
    assert!(rig.mock.requests().is_empty());
    // The second target of the chain has it.
    let upstream = Upstream::start(vec![answer(200, SSE, RESPONSES)]).await;
    let rig = Rig::start_with(|plan| {
        plan["providers"]["two"]["base_url"] = json!(upstream.url);
        plan["providers"]["two"]["quirks"]["responses"] = json!(true);
    })
    .await;
    assert_eq!(rig.call("POST", "/v1/responses", auth, ask).await.headers["x-bifrost-target"], "two/m");
}

#[tokio::test]
async fn responses_reach_an_upstream_that_speaks_anthropic() {
    let upstream = Upstream::start(vec![answer(200, JSON, MESSAGE), answer(200, SSE, STREAM)]).await;
    let rig = rig(&upstream.url, |_| {}).await;
    let auth = bearer();
    let auth: &[(&str, &str)] = &[("authorization", &auth)];
    let seen = rig.call("POST", "/v1/responses", auth, Bytes::from_static(br#"{"model":"fast","input":"Weather?"}"#)).await;
    let told = seen.json();
    let call = told["output"].as_array().unwrap().iter().find(|item| item["type"] == "function_call").unwrap();
    assert_eq!((&call["name"], &call["call_id"], &told["usage"]["input_tokens"]), (&json!("weather"), &json!("toolu_1"), &json!(15)));
    let seen = rig.call("POST", "/v1/responses", auth, Bytes::from_static(br#"{"model":"fast","input":"Hi","stream":true}"#)).await;
    assert!(seen.text().contains("\"delta\":\"Hello\""), "{}", seen.text());
}

const GENERATED: &str = r#"{"candidates":[{"content":{"parts":[{"text":"Bonjour"}],"role":"model"},"finishReason":"STOP","index":0}],"usageMetadata":{"promptTokenCount":4,"candidatesTokenCount":2,"totalTokenCount":6},"modelVersion":"gemini-x","responseId":"r1"}"#;

/// Provider `one` speaks Gemini at `url`.
async fn gemini(url: &str) -> Rig {
    Rig::start_with(|plan| {
        let one = &mut plan["providers"]["one"];
        one["api"] = json!("gemini");
        one["base_url"] = json!(url);
        one["auth"] = json!({"header": "x-goog-api-key"});
    })
    .await
}

const GOOG: &[(&str, &str)] = &[("x-goog-api-key", KEY)];

#[tokio::test]
async fn gemini_serves_a_chat_and_its_own_clients() {
    let event = format!("data: {GENERATED}\r\n\r\n");
    let upstream = Upstream::start(vec![
        answer(200, JSON, GENERATED),
        answer(200, JSON, GENERATED),
        answer(200, SSE, &event),
        answer(200, SSE, &event),
    ])
    .await;
    let rig = gemini(&upstream.url).await;
    let told = rig.chat(chat(&json!({"max_tokens": 9})).to_string()).await.json();
    assert_eq!((&told["choices"][0]["message"]["content"], &told["usage"]["total_tokens"]), (&json!("Bonjour"), &json!(6)));
    let (head, body) = &upstream.asked()[0];
    assert!(head.starts_with("post /v1/models/m:generatecontent http/1.1") && head.contains("x-goog-api-key: secret-"), "{head}");
    assert_eq!(body["generationConfig"]["maxOutputTokens"], 9);

    let ask = r#"{"contents":[{"role":"user","parts":[{"text":"Hi"}]}],"zz":1.10}"#;
    let seen = rig.call("POST", "/v1beta/models/fast:generateContent", GOOG, Bytes::from(ask)).await;
    assert_eq!(seen.text(), GENERATED);
    let seen = rig.call("POST", "/genai/v1beta/models/fast:streamGenerateContent?alt=sse", GOOG, Bytes::from(ask)).await;
    assert_eq!(seen.text(), event);
    assert!(upstream.asked()[2].0.starts_with("post /v1/models/m:streamgeneratecontent?alt=sse "), "{}", upstream.asked()[2].0);
    // Without events, a stream is one array.
    let seen = rig.call("POST", "/v1beta/models/fast:streamGenerateContent", GOOG, Bytes::from(ask)).await;
    let told = seen.json();
    assert_eq!(told[0]["candidates"][0]["content"]["parts"][0]["text"], "Bonjour");
}

#[tokio::test]
async fn a_client_of_geminis_is_served_by_an_upstream_that_speaks_openai() {
    let rig = Rig::start().await;
    let ask = Bytes::from_static(
        br#"{"systemInstruction":{"parts":[{"text":"Be brief."}]},"contents":[{"role":"user","parts":[{"text":"Hi"}]}]}"#,
    );
    let seen = rig.call("POST", "/v1beta/models/fast:generateContent", GOOG, ask.clone()).await;
    assert_eq!(seen.status, StatusCode::OK, "{}", seen.text());
    assert!(seen.json()["candidates"][0]["content"]["parts"][0]["text"].is_string(), "{}", seen.text());
    assert_eq!(seen.json()["candidates"][0]["finishReason"], "STOP");
    assert_eq!(rig.mock.requests()[0].json()["messages"][1]["content"], "Hi");
    // Google's SDKs differ in the version that they ask for.
    for version in ["v1", "v1alpha", "genai/v1"] {
        let seen = rig.call("POST", &format!("/{version}/models/fast:generateContent"), GOOG, ask.clone()).await;
        assert_eq!(seen.json()["candidates"][0]["finishReason"], "STOP", "{version}");
    }
    assert_eq!(rig.call("GET", "/v1/models", GOOG, Bytes::new()).await.json()["models"][0]["name"], "models/fast");
    let text = rig.call("POST", "/v1beta/models/fast:streamGenerateContent?alt=sse", GOOG, ask.clone()).await.text();
    assert!(text.starts_with("data: {") && text.contains("\"finishReason\":\"STOP\"") && text.contains("usageMetadata"), "{text}");
    // A provider's model, and a refusal in Google's envelope.
    assert_eq!(rig.call("POST", "/v1beta/models/two%2Fm:generateContent", GOOG, ask.clone()).await.status, StatusCode::OK);
    assert_eq!(rig.call("POST", "/v1beta/models/two/m:generateContent", GOOG, ask.clone()).await.status, StatusCode::OK);
    let seen = rig.call("POST", "/v1beta/models/nope:generateContent", GOOG, ask.clone()).await;
    assert_eq!((&seen.json()["error"]["code"], &seen.json()["error"]["status"]), (&json!(404), &json!("NOT_FOUND")));
    let seen = rig.call("POST", "/v1beta/models/fast:countTokens", GOOG, ask).await;
    assert!(seen.json()["totalTokens"].as_u64().is_some_and(|tokens| tokens < 100), "{}", seen.text());
    // Where a refusal repeats its status, both are one: SDKs read either.
    let seen = rig
        .call(
            "POST",
            "/v1beta/models/two%2Fm@status=422:generateContent",
            GOOG,
            Bytes::from_static(br#"{"contents":[{"parts":[{"text":"Hi"}]}]}"#),
        )
        .await;
    assert_eq!((seen.status.as_u16(), &seen.json()["error"]["code"]), (400, &json!(400)), "{}", seen.text());
}
