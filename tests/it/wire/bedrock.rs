//! What Bedrock's rules make of requests and streams, beyond what the recordings show; one rule a test.

use bifrostctl::error::Kind;
use bifrostctl::wire::Format::{self, Anthropic, Bedrock, OpenaiChat};
use bifrostctl::wire::codec::{Encoded, Failure, Reply, Route, Target};
use bifrostctl::wire::driver::{Driver, Ended};
use bifrostctl::wire::frame::{Telling, write_message};
use bifrostctl::wire::ir::FinishReason;
use bifrostctl::wire::quirks::Quirks;
use bytes::Bytes;
use serde_json::{Value, json};

use super::corpus::REPLY;
use super::said::hear;

const CLAUDE: &str = "us.anthropic.claude-sonnet-4-5-20250929-v1:0";
const NOVA: &str = "us.amazon.nova-2-lite-v1:0";
const LLAMA: &str = "meta.llama3-3-70b-instruct-v1:0";

fn encode(from: Format, body: &Value, model: &str) -> Encoded {
    let text = body.to_string();
    let request = from.codec().decode_request(text.as_bytes(), &Route::default()).unwrap();
    Bedrock.codec().encode_request(&request, &Target { model, max_output_tokens: None, quirks: &Quirks::OPENAI })
}

/// A chat with more members, for a model, and its losses.
fn sent(more: Value, model: &str) -> (Value, Vec<String>) {
    let mut body = json!({"model": "m", "messages": [{"role": "user", "content": "hi"}]});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let encoded = encode(OpenaiChat, &body, model);
    let losses = encoded.losses.iter().map(|loss| format!("{} {}", loss.reason.as_str(), loss.path)).collect();
    (serde_json::from_slice(&encoded.body).unwrap(), losses)
}

fn tool() -> Value {
    json!([{"type": "function", "function": {"name": "f", "description": "", "parameters": {}}}])
}

#[test]
fn an_effort_is_said_as_each_maker_says_it() {
    let said = |model: &str, effort: &str| sent(json!({"reasoning_effort": effort}), model);
    assert_eq!(said(CLAUDE, "low").0["additionalModelRequestFields"], json!({"thinking": {"type": "enabled", "budget_tokens": 2048}}));
    let adaptive = said("anthropic.claude-opus-4-8", "high").0["additionalModelRequestFields"].clone();
    assert_eq!(adaptive, json!({"thinking": {"type": "adaptive"}, "output_config": {"effort": "high"}}));
    let (nova, losses) = said(NOVA, "xhigh");
    assert_eq!(nova["additionalModelRequestFields"], json!({"reasoningConfig": {"type": "enabled", "maxReasoningEffort": "high"}}));
    assert_eq!(losses, ["approximated reasoning_effort"]);
    let (gpt, losses) = said("openai.gpt-oss-120b-1:0", "medium");
    assert_eq!((&gpt["additionalModelRequestFields"], losses.len()), (&json!({"reasoning_effort": "medium"}), 0));
    let (llama, losses) = said(LLAMA, "medium");
    assert_eq!((llama.get("additionalModelRequestFields"), losses), (None, vec!["unsupported reasoning_effort".to_owned()]));
    assert_eq!(said(NOVA, "none").0["additionalModelRequestFields"], json!({"reasoningConfig": {"type": "disabled"}}));
}

#[test]
fn top_k_stands_where_each_maker_has_it() {
    let body = |model: &str| {
        let body = json!({"model": "m", "max_tokens": 9, "top_k": 40, "messages": [{"role": "user", "content": "hi"}]});
        let out: Value = serde_json::from_slice(&encode(Anthropic, &body, model).body).unwrap();
        out["additionalModelRequestFields"].clone()
    };
    assert_eq!(body(CLAUDE), json!({"top_k": 40}));
    assert_eq!(body("amazon.nova-lite-v1:0"), json!({"inferenceConfig": {"topK": 40}}));
    assert_eq!(body(LLAMA), Value::Null);
}

#[test]
fn sampling_is_kept_within_what_is_accepted() {
    let (body, losses) = sent(json!({"temperature": 1.7, "max_tokens": 5, "stop": [" ", "x"]}), LLAMA);
    assert_eq!(body["inferenceConfig"], json!({"temperature": 1, "maxTokens": 5, "stopSequences": ["x"]}));
    assert_eq!(losses, ["approximated temperature", "unsupported stop[0]"]);
    assert_eq!(sent(json!({}), LLAMA).0.get("inferenceConfig"), None);
}

#[test]
fn choices_of_tools_are_what_a_model_takes() {
    let choice = |choice: Value, model: &str| {
        let (body, losses) = sent(json!({"tools": tool(), "tool_choice": choice}), model);
        (body["toolConfig"]["toolChoice"].clone(), losses)
    };
    let named = json!({"type": "function", "function": {"name": "f"}});
    assert_eq!(choice(named.clone(), CLAUDE), (json!({"tool": {"name": "f"}}), vec![]));
    assert_eq!(choice(json!("required"), CLAUDE), (json!({"any": {}}), vec![]));
    assert_eq!(choice(named.clone(), "mistral.mistral-large-2407-v1:0"), (json!({"any": {}}), vec!["approximated tool_choice".to_owned()]));
    assert_eq!(choice(named, LLAMA), (json!({"auto": {}}), vec!["approximated tool_choice".to_owned()]));
    let (body, _) = sent(json!({"tools": tool()}), CLAUDE);
    let spec = &body["toolConfig"]["tools"][0]["toolSpec"];
    assert_eq!((spec.get("description"), &spec["inputSchema"]), (None, &json!({"json": {"type": "object"}})));
}

#[test]
fn no_tool_is_said_by_leaving_tools_out_unless_the_history_calls_them() {
    let (body, losses) = sent(json!({"tools": tool(), "tool_choice": "none"}), CLAUDE);
    assert_eq!((body.get("toolConfig"), losses), (None, vec!["approximated tools[0]".to_owned()]));
    let history = json!([
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": null, "tool_calls": [{"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}}]},
        {"role": "tool", "tool_call_id": "a", "content": ""}
    ]);
    let (body, losses) = sent(json!({"messages": history.clone(), "tools": tool(), "tool_choice": "none"}), CLAUDE);
    assert_eq!(body["toolConfig"]["tools"].as_array().unwrap().len(), 1);
    assert_eq!(losses, ["approximated messages[2].content", "unsupported tool_choice"]);
    // A history of calls without definitions is refused, and so is an empty result.
    let (body, _) = sent(json!({"messages": history}), CLAUDE);
    assert_eq!(body["toolConfig"]["tools"], json!([{"toolSpec": {"name": "f", "inputSchema": {"json": {"type": "object"}}}}]));
    assert_eq!(body["messages"][2]["content"][0]["toolResult"]["content"], json!([{"text": "(no output)"}]));
}

#[test]
fn an_id_that_is_too_long_is_shortened_the_same_way_in_call_and_result() {
    let long = format!("call_{}", "x".repeat(90));
    let body = json!({"model": "m", "messages": [
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": null, "tool_calls": [
            {"id": long, "type": "function", "function": {"name": "f", "arguments": "{}"}},
            {"id": "call:é|1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
        ]},
        {"role": "tool", "tool_call_id": long, "content": "a"},
        {"role": "tool", "tool_call_id": "call:é|1", "content": "b"}
    ]});
    let out: Value = serde_json::from_slice(&encode(OpenaiChat, &body, CLAUDE).body).unwrap();
    let ids = |message: usize, block: &str| -> Vec<String> {
        let blocks = out["messages"][message]["content"].as_array().unwrap();
        blocks.iter().map(|inner| inner[block]["toolUseId"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(ids(1, "toolUse"), ids(2, "toolResult"));
    assert!(ids(1, "toolUse")[0].len() <= 64);
    assert_eq!(ids(1, "toolUse")[1], "call:__1");
}

#[test]
fn json_output_is_native_where_it_can_be_and_a_tool_elsewhere() {
    let schema = json!({"type": "object", "properties": {"a": {"type": "integer"}}});
    let more = json!({"response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": schema}}});
    let (body, losses) = sent(more.clone(), CLAUDE);
    let native = &body["outputConfig"]["textFormat"]["structure"]["jsonSchema"];
    assert_eq!(serde_json::from_str::<Value>(native["schema"].as_str().unwrap()).unwrap(), schema);
    assert_eq!((&native["name"], losses.len()), (&json!("n"), 0));
    let mut chat = json!({"model": "m", "messages": [{"role": "user", "content": "hi"}]});
    chat.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let encoded = encode(OpenaiChat, &chat, NOVA);
    let body: Value = serde_json::from_slice(&encoded.body).unwrap();
    let name = encoded.unwrap_tool.unwrap();
    assert_eq!(body["toolConfig"]["toolChoice"], json!({"tool": {"name": name}}));
    assert_eq!(body["toolConfig"]["tools"][0]["toolSpec"]["inputSchema"]["json"], schema);
    assert_eq!(body.get("outputConfig"), None);
}

#[test]
fn documents_have_names_of_their_own_and_a_word_beside_them() {
    let document = |name: &str| json!({"type": "file", "file": {"file_data": "data:application/pdf;base64,eA==", "filename": name}});
    let (body, losses) = sent(json!({"messages": [{"role": "user", "content": [document("a b"), document("a b")]}]}), CLAUDE);
    let content = body["messages"][0]["content"].as_array().unwrap();
    let names: Vec<&Value> = content.iter().map(|block| &block["document"]["name"]).collect();
    assert_eq!(names, [&json!("a b"), &json!("a b 2"), &Value::Null]);
    assert_eq!(content[2], json!({"text": "."}));
    assert_eq!(losses, ["approximated messages[0].content[1].file.filename"]);
}

#[test]
fn cache_marks_are_sent_to_models_that_take_them() {
    let part = json!({"type": "text", "text": "long", "cache_control": {"type": "ephemeral", "ttl": "1h"}});
    let body = json!({"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": [part]}]});
    let content = |model: &str| {
        let encoded = encode(Anthropic, &body, model);
        let out: Value = serde_json::from_slice(&encoded.body).unwrap();
        (out["messages"][0]["content"].clone(), encoded.losses.len())
    };
    assert_eq!(content(NOVA), (json!([{"text": "long"}, {"cachePoint": {"type": "default", "ttl": "1h"}}]), 0));
    assert_eq!(content(LLAMA), (json!([{"text": "long"}]), 1));
}

#[test]
fn a_mark_belongs_to_what_stands_before_it_though_blank_text_stands_between() {
    let content = json!([{"text": "long"}, {"text": "\n"}, {"cachePoint": {"type": "default"}}, {"cachePoint": {"type": "default"}}]);
    let body = json!({"messages": [{"role": "user", "content": content}]}).to_string();
    let request = Bedrock.codec().decode_request(body.as_bytes(), &Route { model: Some("m"), is_stream: Some(true) }).unwrap();
    assert_eq!((&*request.model, request.is_stream), ("m", true));
    let encoded =
        Anthropic.codec().encode_request(&request, &Target { model: "claude-3-haiku", max_output_tokens: None, quirks: &Quirks::OPENAI });
    let out: Value = serde_json::from_slice(&encoded.body).unwrap();
    assert_eq!(out["messages"][0]["content"], json!([{"type": "text", "text": "long", "cache_control": {"type": "ephemeral"}}]));
    // The second one marks nothing.
    assert_eq!(encoded.losses.iter().map(|loss| &*loss.path).collect::<Vec<_>>(), ["messages[0].content[3]"]);
}

#[test]
fn claudes_thoughts_go_to_claude_alone_and_redacted_ones_as_bytes() {
    let body = json!({"model": "m", "max_tokens": 9, "messages": [
        {"role": "user", "content": "x"},
        {"role": "assistant", "content": [
            {"type": "thinking", "thinking": "t", "signature": "s"},
            {"type": "redacted_thinking", "data": "sealed"},
            {"type": "text", "text": "said"}]},
        {"role": "user", "content": "more"}
    ]});
    let content = |model: &str| {
        let out: Value = serde_json::from_slice(&encode(Anthropic, &body, model).body).unwrap();
        out["messages"][1]["content"].clone()
    };
    let thoughts = json!([
        {"reasoningContent": {"reasoningText": {"text": "t", "signature": "s"}}},
        {"reasoningContent": {"redactedContent": "c2VhbGVk"}},
        {"text": "said"}
    ]);
    assert_eq!(content(CLAUDE), thoughts);
    assert_eq!(content("openai.gpt-oss-120b-1:0"), json!([{"text": "said"}]));
}

#[test]
fn whether_a_tool_failed_is_told_both_ways() {
    let status = |is_error: bool| {
        let result = json!({"type": "tool_result", "tool_use_id": "a", "content": "x", "is_error": is_error});
        let body = json!({"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": [result]}]});
        let out = encode(Anthropic, &body, CLAUDE).body;
        let request = Bedrock.codec().decode_request(&out, &Route::default()).unwrap();
        let back = Anthropic
            .codec()
            .encode_request(&request, &Target { model: "claude-3-haiku", max_output_tokens: None, quirks: &Quirks::OPENAI });
        let (out, back): (Value, Value) = (serde_json::from_slice(&out).unwrap(), serde_json::from_slice(&back.body).unwrap());
        (out["messages"][0]["content"][0]["toolResult"]["status"].clone(), back["messages"][0]["content"][0]["is_error"].clone())
    };
    assert_eq!(status(true), (json!("error"), json!(true)));
    assert_eq!(status(false), (json!("success"), json!(false)));
}

/// A stream of events with their payloads.
fn stream(events: &[(&'static str, Value)]) -> Vec<u8> {
    let mut out = Vec::new();
    for (name, payload) in events {
        let telling = if name.ends_with("Exception") { Telling::Exception(name) } else { Telling::Event(name) };
        write_message(telling, &mut out, |out| out.extend_from_slice(payload.to_string().as_bytes()));
    }
    out
}

fn delta(index: u64, delta: Value) -> (&'static str, Value) {
    ("contentBlockDelta", json!({"contentBlockIndex": index, "delta": delta, "p": "abc"}))
}

fn stop(index: u64) -> (&'static str, Value) {
    ("contentBlockStop", json!({"contentBlockIndex": index}))
}

fn end(reason: &str) -> [(&'static str, Value); 2] {
    [
        ("messageStop", json!({"stopReason": reason})),
        ("metadata", json!({"usage": {"inputTokens": 1, "outputTokens": 2, "totalTokens": 3}, "metrics": {"latencyMs": 4}})),
    ]
}

fn drive(into: Format, bytes: Vec<u8>) -> (Vec<u8>, Result<Ended, Failure>) {
    let mut driver = Driver::new(Bedrock, into, &REPLY, None);
    let mut out = Vec::new();
    let ended = driver.push(Bytes::from(bytes), &mut out).and_then(|()| driver.end(&mut out));
    (out, ended)
}

#[test]
fn an_exception_as_the_first_frame_is_an_error_in_place_of_a_stream() {
    let bytes = stream(&[("validationException", json!({"message": "prompt is too long: 9 tokens > 8 maximum"}))]);
    let (out, ended) = drive(OpenaiChat, bytes);
    assert_eq!((out.len(), ended.unwrap_err().kind), (0, Kind::ContextWindow));
    let (_, ended) = drive(OpenaiChat, br#"{"message":"Too many tokens, please wait before trying again."}"#.to_vec());
    assert_eq!(ended.unwrap_err().message, "Too many tokens, please wait before trying again.");
}

#[test]
fn a_frame_that_was_changed_on_its_way_ends_the_stream_as_malformed() {
    let mut bytes = stream(&[("messageStart", json!({"role": "assistant"})), delta(0, json!({"text": "hello"}))]);
    let at = bytes.len() - 8;
    bytes[at] ^= 1;
    let (_, ended) = drive(OpenaiChat, bytes);
    assert_eq!(ended.unwrap_err().kind, Kind::UpstreamMalformed);
}

#[test]
fn blocks_begin_with_their_first_delta_and_kinds_may_change_within_one() {
    let events = [
        vec![
            ("messageStart", json!({"role": "assistant"})),
            delta(0, json!({"reasoningContent": {"text": "hm"}})),
            delta(0, json!({"reasoningContent": {"signature": "s"}})),
            delta(0, json!({"reasoningContent": {"redactedContent": "c2VhbGVk"}})),
            stop(0),
            delta(2, json!({"text": "a"})),
            stop(2),
            // Text that never came.
            stop(3),
            ("contentBlockStart", json!({"contentBlockIndex": 4, "start": {"toolUse": {"toolUseId": "t", "name": "f"}}})),
            delta(4, json!({"toolUse": {"input": ""}})),
            stop(4),
        ],
        end("end_turn").to_vec(),
    ];
    let heard = hear(Bedrock, &[&stream(&events.concat())]);
    let said = &heard.said.choices[&0];
    assert_eq!((said.thinking.as_str(), said.text.as_str()), ("hm", "a"));
    assert_eq!(said.signatures, ["s", "sealed"]);
    assert_eq!(said.calls, [("t".to_owned(), "f".to_owned(), "{}".to_owned())]);
    // The upstream said that its turn was over, and called a tool.
    assert_eq!((said.finish, heard.has_ended), (Some(FinishReason::ToolCalls), true));
}

#[test]
fn the_providers_own_tools_are_not_the_clients_to_answer() {
    let events = [
        vec![
            ("messageStart", json!({"role": "assistant"})),
            ("contentBlockStart", json!({"contentBlockIndex": 0, "start": {"toolUse": {"toolUseId": "t", "name": "nova_code_interpreter", "type": "server_tool_use"}}})),
            delta(0, json!({"toolUse": {"input": "{}"}})),
            stop(0),
            ("contentBlockStart", json!({"contentBlockIndex": 1, "start": {"toolResult": {"toolUseId": "t", "status": "success"}}})),
            delta(1, json!({"toolResult": [{"text": "4"}]})),
            stop(1),
            delta(2, json!({"text": "four"})),
            stop(2),
        ],
        end("end_turn").to_vec(),
    ]
    .concat();
    let (out, ended) = drive(OpenaiChat, stream(&events));
    assert_eq!(ended, Ok(Ended::Complete));
    let said = &hear(OpenaiChat, &[&out]).said.choices[&0];
    assert_eq!((said.text.as_str(), said.calls.len(), said.finish), ("four", 0, Some(FinishReason::Stop)));
    // A client of this format gets them as they came.
    let (out, _) = drive(Bedrock, stream(&events));
    let text = String::from_utf8_lossy(&out);
    assert!(text.contains("server_tool_use") && text.contains(r#"{"toolResult":[{"text":"4"}]}"#), "{text}");
}

#[test]
fn a_picture_comes_whole_though_its_bytes_came_in_pieces() {
    let events = [
        vec![
            ("messageStart", json!({"role": "assistant"})),
            ("contentBlockStart", json!({"contentBlockIndex": 0, "start": {"image": {"format": "png"}}})),
            delta(0, json!({"image": {"source": {"bytes": "aW0="}}})),
            delta(0, json!({"image": {"source": {"bytes": "YWdl"}}})),
            stop(0),
        ],
        end("end_turn").to_vec(),
    ]
    .concat();
    let (out, _) = drive(OpenaiChat, stream(&events));
    assert!(String::from_utf8(out).unwrap().contains("data:image/png;base64,aW1hZ2U="));
    let (out, _) = drive(Bedrock, stream(&events));
    assert!(String::from_utf8_lossy(&out).contains(r#"{"image":{"source":{"bytes":"aW1hZ2U="}}}"#));
}

#[test]
fn a_failure_is_told_as_an_exception_frame() {
    let mut driver = Driver::new(OpenaiChat, Bedrock, &REPLY, None);
    let mut out = Vec::new();
    driver.fail(&Failure::new(Kind::UpstreamTruncated, "cut \"short\""), "r1", &mut out);
    let heard = hear(Bedrock, &[&out]);
    assert_eq!(heard.failure, Some(Failure::new(Kind::UpstreamServerError, "cut \"short\"")));
}

#[test]
fn every_answer_says_how_long_it_took() {
    let reply = Reply { latency_ms: 7, ..REPLY };
    let chat = br#"{"id":"x","object":"chat.completion","model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"hi"},"finish_reason":"stop"}]}"#;
    let response = OpenaiChat.codec().decode_response(chat).unwrap();
    let body: Value = serde_json::from_slice(&Bedrock.codec().encode_response(&response, &reply).body).unwrap();
    assert_eq!(body["metrics"], json!({"latencyMs": 7}));
    // The provider's own word stands, once.
    let own = br#"{"output":{"message":{"role":"assistant","content":[{"text":"hi"}]}},"stopReason":"end_turn","usage":{"inputTokens":1,"outputTokens":1,"totalTokens":2},"metrics":{"latencyMs":4}}"#;
    let body = Bedrock.codec().encode_response(&Bedrock.codec().decode_response(own).unwrap(), &reply).body;
    assert_eq!(String::from_utf8(body).unwrap().matches("\"metrics\":{\"latencyMs\":4}").count(), 1);
    let mut driver = Driver::new(OpenaiChat, Bedrock, &reply, None);
    let mut out = Vec::new();
    let chunk = br#"data: {"id":"x","choices":[{"index":0,"delta":{"content":"hi"},"finish_reason":"stop"}]}"#;
    driver.push(Bytes::from([&chunk[..], b"\n\ndata: [DONE]\n\n"].concat()), &mut out).unwrap();
    assert!(String::from_utf8_lossy(&out).contains("\"metrics\":{\"latencyMs\":7}"));
}
