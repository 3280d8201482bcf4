//! What each format's rules make of a request, one rule a test.

use bifrostctl::wire::Format::{self, Anthropic, OpenaiChat};
use bifrostctl::wire::codec::{Encoded, Reply, Route, Target};
use bifrostctl::wire::driver::Driver;
use bifrostctl::wire::quirks::{CacheMarks, Quirks, ReasoningField};
use bytes::Bytes;
use serde_json::{Value, json};

use super::corpus::REPLY;
use super::said::hear;

fn encode(from: Format, body: &Value, into: Format, target: Target<'_>) -> Encoded {
    let text = body.to_string();
    let request = from.codec().decode_request(text.as_bytes(), &Route::default()).unwrap();
    into.codec().encode_request(&request, &target)
}

/// A request and its losses, for a model of `into`.
fn sent(from: Format, body: Value, into: Format, model: &str) -> (Value, Vec<String>) {
    let encoded = encode(from, &body, into, Target { model, max_output_tokens: None, quirks: &Quirks::OPENAI });
    let losses = encoded.losses.iter().map(|loss| format!("{} {}", loss.reason.as_str(), loss.path)).collect();
    (serde_json::from_slice(&encoded.body).unwrap(), losses)
}

/// A chat of one word with more members.
fn chat(more: Value) -> Value {
    let mut body = json!({"model": "m", "messages": [{"role": "user", "content": "hi"}]});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    body
}

fn to_claude(more: Value, model: &str) -> (Value, Vec<String>) {
    sent(OpenaiChat, chat(more), Anthropic, model)
}

fn to_gpt(more: Value, model: &str) -> (Value, Vec<String>) {
    let mut body = chat(more);
    body["max_tokens"] = body.get("max_tokens").cloned().unwrap_or(json!(9000));
    sent(Anthropic, body, OpenaiChat, model)
}

#[test]
fn claude_gets_the_limit_that_it_needs() {
    for (model, limit) in
        [("claude-3-haiku", 4_096), ("claude-sonnet-4-5", 64_000), ("claude-opus-4-6", 128_000), ("claude-opus-4", 32_000)]
    {
        assert_eq!(to_claude(json!({}), model).0["max_tokens"], limit, "{model}");
    }
    let target = Target { model: "claude-sonnet-4-5", max_output_tokens: Some(777), quirks: &Quirks::OPENAI };
    let encoded = encode(OpenaiChat, &chat(json!({"max_tokens": 1000})), Anthropic, target);
    assert_eq!(serde_json::from_slice::<Value>(&encoded.body).unwrap()["max_tokens"], 777);
    assert_eq!(encoded.losses[0].path, "max_tokens");
}

#[test]
fn effort_becomes_a_budget_or_adaptive_thinking() {
    let (body, losses) = to_claude(json!({"reasoning_effort": "medium"}), "claude-sonnet-4-5");
    assert_eq!(body["thinking"], json!({"type": "enabled", "budget_tokens": 10_000}));
    assert_eq!(losses, ["approximated reasoning_effort"]);
    let (body, losses) = to_claude(json!({"reasoning_effort": "high"}), "claude-opus-4-6");
    assert_eq!((&body["thinking"], &body["output_config"]), (&json!({"type": "adaptive"}), &json!({"effort": "high"})));
    assert_eq!(losses, [""; 0]);
    // The budget is part of the limit, which is never raised.
    let (body, _) = to_claude(json!({"reasoning_effort": "high", "max_tokens": 3000}), "claude-sonnet-4-5");
    assert_eq!((&body["thinking"]["budget_tokens"], &body["max_tokens"]), (&json!(1_500), &json!(3_000)));
    let (body, losses) = to_claude(json!({"reasoning_effort": "high", "max_tokens": 500}), "claude-sonnet-4-5");
    assert_eq!((body.get("thinking"), losses), (None, vec!["unsupported reasoning_effort".to_owned()]));
    let (body, losses) = to_claude(json!({"reasoning_effort": "none"}), "claude-opus-4-6");
    assert_eq!((&body["thinking"], losses), (&json!({"type": "disabled"}), Vec::new()));
    for (effort, sent) in [("minimal", "low"), ("xhigh", "max")] {
        assert_eq!(to_claude(json!({"reasoning_effort": effort}), "claude-opus-4-6").0["output_config"]["effort"], sent);
    }
}

#[test]
fn thinking_becomes_an_effort() {
    let (body, losses) = to_gpt(json!({"thinking": {"type": "enabled", "budget_tokens": 10_000}}), "gpt-5");
    assert_eq!((&body["reasoning_effort"], losses), (&json!("medium"), vec!["approximated thinking".to_owned()]));
    let (body, losses) = to_gpt(json!({"thinking": {"type": "adaptive"}, "output_config": {"effort": "max"}}), "gpt-5.4");
    assert_eq!((&body["reasoning_effort"], losses), (&json!("xhigh"), vec!["approximated output_config.effort".to_owned()]));
    let (body, losses) = to_gpt(json!({"thinking": {"type": "adaptive"}}), "gpt-5.1");
    assert_eq!((&body["reasoning_effort"], losses), (&json!("medium"), vec!["approximated thinking".to_owned()]));
    let (body, losses) = to_gpt(json!({"thinking": {"type": "disabled"}}), "gpt-5");
    assert_eq!((&body["reasoning_effort"], losses), (&json!("minimal"), vec!["approximated thinking".to_owned()]));
    for model in ["gpt-4o", "gpt-5.1"] {
        let (body, losses) = to_gpt(json!({"thinking": {"type": "disabled"}}), model);
        assert_eq!((body.get("reasoning_effort"), losses), (None, Vec::new()), "{model}");
    }
    let (body, losses) = to_gpt(json!({"thinking": {"type": "enabled", "budget_tokens": 2_000}}), "gpt-4o");
    assert_eq!((body.get("reasoning_effort"), losses), (None, vec!["unsupported thinking".to_owned()]));
}

#[test]
fn sampling_goes_only_where_it_is_taken() {
    let wants = json!({"temperature": 1.5, "top_p": 0.9, "max_tokens": 9000});
    let (body, losses) = to_claude(wants.clone(), "claude-sonnet-4");
    assert_eq!((&body["temperature"], &body["top_p"]), (&json!(1), &json!(0.9)));
    assert_eq!(losses, ["approximated temperature"]);
    let (body, losses) = to_claude(json!({"temperature": 0.5, "top_p": 0.9}), "claude-haiku-4-5");
    assert_eq!((&body["temperature"], body.get("top_p"), losses), (&json!(0.5), None, vec!["unsupported top_p".to_owned()]));
    let (body, losses) = to_claude(wants, "claude-opus-4-8");
    assert_eq!((body.get("temperature"), losses.len()), (None, 2));
    let (body, losses) = to_gpt(json!({"temperature": 0.5}), "gpt-5");
    assert_eq!((body.get("temperature"), losses), (None, vec!["unsupported temperature".to_owned()]));
    assert_eq!(to_gpt(json!({"temperature": 0.5}), "gpt-5.1").0["temperature"], 0.5);
}

#[test]
fn choices_of_tools_are_said_in_the_other_words() {
    let tools = json!([{"type": "function", "function": {"name": "f"}}]);
    for (choice, sent) in [
        (json!("auto"), json!({"type": "auto"})),
        (json!("none"), json!({"type": "none"})),
        (json!("required"), json!({"type": "any"})),
        (json!({"type": "function", "function": {"name": "f"}}), json!({"type": "tool", "name": "f"})),
    ] {
        let (body, losses) = to_claude(json!({"tools": tools, "tool_choice": choice}), "claude-sonnet-4-5");
        assert_eq!((&body["tool_choice"], losses), (&sent, Vec::new()));
        let claude_tools = json!([{"name": "f", "input_schema": {"type": "object"}}]);
        let (body, losses) = to_gpt(json!({"tools": claude_tools, "tool_choice": sent}), "gpt-4o");
        assert_eq!((&body["tool_choice"], losses), (&choice, Vec::new()));
    }
    let (body, _) = to_claude(json!({"tools": tools, "parallel_tool_calls": false}), "claude-sonnet-4-5");
    assert_eq!(body["tool_choice"], json!({"type": "auto", "disable_parallel_tool_use": true}));
    // Forcing a call is refused while the model thinks.
    let forced = json!({"tools": tools, "tool_choice": "required", "reasoning_effort": "low"});
    assert_eq!(to_claude(forced, "claude-sonnet-4-5").0["tool_choice"], json!({"type": "auto"}));
}

#[test]
fn a_tool_without_a_schema_gets_the_smallest_one() {
    for (parameters, schema) in [
        (json!(null), json!({"type": "object"})),
        (json!({}), json!({"type": "object"})),
        (json!({"properties": {"a": {}}}), json!({"type": "object", "properties": {"a": {}}})),
    ] {
        let tools = json!([{"type": "function", "function": {"name": "f", "parameters": parameters}}]);
        assert_eq!(to_claude(json!({"tools": tools}), "claude-sonnet-4-5").0["tools"][0]["input_schema"], schema);
    }
}

fn with_messages(messages: Value, more: Value) -> Value {
    let mut body = chat(more);
    body["messages"] = messages;
    body
}

#[test]
fn results_of_one_turn_stand_together_and_first() {
    let messages = json!([
        {"role": "user", "content": "go"},
        {"role": "assistant", "content": "", "tool_calls": [
            {"id": "call:1", "type": "function", "function": {"name": "f", "arguments": ""}},
            {"id": "call_2", "type": "function", "function": {"name": "f", "arguments": "{broken"}}]},
        {"role": "tool", "tool_call_id": "call:1", "content": "one"},
        {"role": "tool", "tool_call_id": "call_2", "content": "two"},
        {"role": "user", "content": "and?"}
    ]);
    let (body, losses) = sent(OpenaiChat, with_messages(messages, json!({})), Anthropic, "claude-sonnet-4-5");
    let expected = json!([
        {"role": "user", "content": [{"type": "text", "text": "go"}]},
        {"role": "assistant", "content": [
            {"type": "tool_use", "id": "call_1", "name": "f", "input": {}},
            {"type": "tool_use", "id": "call_2", "name": "f", "input": {"input": "{broken"}}]},
        {"role": "user", "content": [
            {"type": "tool_result", "tool_use_id": "call_1", "content": "one"},
            {"type": "tool_result", "tool_use_id": "call_2", "content": "two"},
            {"type": "text", "text": "and?"}]}
    ]);
    assert_eq!(body["messages"], expected);
    assert_eq!(losses, ["approximated messages[1].tool_calls[1]"]);
    // A history of calls is refused without definitions, so it gets some, and no call can be made.
    assert_eq!(body["tools"], json!([{"name": "f", "input_schema": {"type": "object"}}]));
    assert_eq!(body["tool_choice"], json!({"type": "none"}));
}

#[test]
fn thinking_is_not_switched_on_in_a_loop_of_tools_that_began_without() {
    let messages = json!([
        {"role": "user", "content": "go"},
        {"role": "assistant", "content": null, "tool_calls": [{"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}}]},
        {"role": "tool", "tool_call_id": "a", "content": "one"}
    ]);
    let body = with_messages(messages, json!({"reasoning_effort": "low"}));
    let (out, losses) = sent(OpenaiChat, body.clone(), Anthropic, "claude-sonnet-4-5");
    assert_eq!((out.get("thinking"), losses), (None, vec!["unsupported reasoning_effort".to_owned()]));
    // Adaptive thinking does not mind.
    assert_eq!(sent(OpenaiChat, body, Anthropic, "claude-opus-4-6").0["thinking"], json!({"type": "adaptive"}));
}

#[test]
fn a_conversation_begins_with_the_user_and_ends_without_a_space() {
    let messages =
        json!([{"role": "system", "content": "s"}, {"role": "assistant", "content": "Hello "}, {"role": "user", "content": " "}]);
    let (body, losses) = sent(OpenaiChat, with_messages(messages, json!({})), Anthropic, "claude-sonnet-4-5");
    assert_eq!(body["system"], "s");
    assert_eq!(
        body["messages"],
        json!([
            {"role": "user", "content": [{"type": "text", "text": "."}]},
            {"role": "assistant", "content": [{"type": "text", "text": "Hello"}]}
        ])
    );
    assert_eq!(losses, ["approximated messages[1].content"]);
}

#[test]
fn nobody_gets_anothers_signature() {
    let messages = json!([
        {"role": "user", "content": "go"},
        {"role": "assistant", "content": [
            {"type": "thinking", "thinking": "own", "signature": "s1"},
            {"type": "thinking", "thinking": "foreign", "signature": "bifrost.google-gemini-v1.s2"},
            {"type": "thinking", "thinking": "unsigned", "signature": ""},
            {"type": "redacted_thinking", "data": "bifrost.openai-responses-v1.s3"},
            {"type": "text", "text": "said"}]},
        {"role": "user", "content": "more"}
    ]);
    let body = with_messages(messages, json!({"max_tokens": 9000}));
    let (claude, losses) = sent(Anthropic, body.clone(), Anthropic, "claude-sonnet-4-5");
    assert_eq!(
        claude["messages"][1]["content"],
        json!([{"type": "thinking", "thinking": "own", "signature": "s1"}, {"type": "text", "text": "said"}])
    );
    assert_eq!(losses.len(), 3);
    // OpenAI gets none; OpenRouter gets each with its maker, and hands it on to nobody else.
    let (openai, _) = sent(Anthropic, body.clone(), OpenaiChat, "gpt-5");
    assert!(!openai.to_string().contains("s1") && !openai.to_string().contains("foreign"));
    let quirks = Quirks { reasoning_field: ReasoningField::ReasoningDetails, ..Quirks::OPENAI };
    let encoded = encode(Anthropic, &body, OpenaiChat, Target { model: "m", max_output_tokens: None, quirks: &quirks });
    let out: Value = serde_json::from_slice(&encoded.body).unwrap();
    let details = out["messages"][1]["reasoning_details"].as_array().unwrap();
    let makers: Vec<(&str, &str)> = details
        .iter()
        .map(|detail| (detail["format"].as_str().unwrap(), detail["signature"].as_str().or(detail["data"].as_str()).unwrap_or("")))
        .collect();
    let expected = [("anthropic-claude-v1", "s1"), ("google-gemini-v1", "s2"), ("unknown", ""), ("openai-responses-v1", "s3")];
    assert_eq!(makers, expected);
}

#[test]
fn a_foreign_signature_goes_to_a_client_of_anthropic_and_comes_back_to_its_maker() {
    let answer =
        json!({"id": "c", "model": "m", "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "a",
        "reasoning_details": [{"type": "reasoning.text", "text": "t", "signature": "sig", "format": "google-gemini-v1"}]}}]})
        .to_string();
    let response = OpenaiChat.codec().decode_response(answer.as_bytes()).unwrap();
    let body: Value = serde_json::from_slice(&Anthropic.codec().encode_response(&response, &REPLY).body).unwrap();
    assert_eq!(body["content"][0]["signature"], "bifrost.google-gemini-v1.sig");
    let history = with_messages(
        json!([{"role": "user", "content": "x"}, {"role": "assistant", "content": body["content"]}]),
        json!({"max_tokens": 9}),
    );
    assert!(!sent(Anthropic, history, Anthropic, "claude-sonnet-4-5").0.to_string().contains("sig\""));
}

#[test]
fn cache_marks_are_spelt_as_the_server_has_them() {
    let part = json!({"type": "text", "text": "long", "cache_control": {"type": "ephemeral", "ttl": "1h"}});
    let body = with_messages(json!([{"role": "user", "content": [part]}]), json!({"max_tokens": 9}));
    let out = |cache_marks| {
        let quirks = Quirks { cache_marks, ..Quirks::OPENAI };
        let encoded = encode(Anthropic, &body, OpenaiChat, Target { model: "m", max_output_tokens: None, quirks: &quirks });
        (serde_json::from_slice::<Value>(&encoded.body).unwrap()["messages"][0]["content"].clone(), encoded.losses.len())
    };
    assert_eq!(out(CacheMarks::None), (json!("long"), 1));
    assert_eq!(out(CacheMarks::CacheControl), (json!([part]), 0));
    let marked = json!([{"type": "text", "text": "long", "prompt_cache_breakpoint": {"mode": "explicit", "ttl": "1h"}}]);
    assert_eq!(out(CacheMarks::Breakpoint), (marked.clone(), 0));
    let back = with_messages(json!([{"role": "user", "content": marked}]), json!({}));
    assert_eq!(sent(OpenaiChat, back, Anthropic, "claude-sonnet-4-5").0["messages"][0]["content"], json!([part]));
}

const SCHEMA: &str = r#"{"type":"object","properties":{"a":{"type":"integer"}}}"#;

fn wants_schema() -> Value {
    let schema: Value = serde_json::from_str(SCHEMA).unwrap();
    json!({"response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": schema}}})
}

#[test]
fn json_output_is_native_where_it_can_be_and_a_tool_elsewhere() {
    let (body, losses) = to_claude(wants_schema(), "claude-sonnet-4-5");
    assert_eq!(body["output_config"]["format"]["schema"], serde_json::from_str::<Value>(SCHEMA).unwrap());
    assert_eq!(losses, ["approximated response_format.json_schema.name"]);
    let target = Target { model: "claude-sonnet-4", max_output_tokens: None, quirks: &Quirks::OPENAI };
    let encoded = encode(OpenaiChat, &chat(wants_schema()), Anthropic, target);
    let body: Value = serde_json::from_slice(&encoded.body).unwrap();
    let name = encoded.unwrap_tool.unwrap();
    assert_eq!((&body["tools"][0]["name"], &body["tool_choice"]), (&json!(name), &json!({"type": "tool", "name": name})));
    assert!(body.get("output_config").is_none());
    let (body, losses) = to_claude(json!({"response_format": {"type": "json_object"}}), "claude-sonnet-4-5");
    assert_eq!((body["system"].is_string(), losses), (true, vec!["approximated response_format".to_owned()]));
}

#[test]
fn the_tool_that_stands_for_json_output_comes_back_as_text() {
    let call = json!({"type": "tool_use", "id": "t", "name": "json_output", "input": {"a": 1}});
    let answer =
        json!({"id": "m", "model": "c", "content": [call], "stop_reason": "tool_use", "usage": {"input_tokens": 1, "output_tokens": 2}})
            .to_string();
    let mut response = Anthropic.codec().decode_response(answer.as_bytes()).unwrap();
    response.unwrap_tool("json_output");
    let body: Value = serde_json::from_slice(&OpenaiChat.codec().encode_response(&response, &REPLY).body).unwrap();
    assert_eq!((&body["choices"][0]["message"]["content"], &body["choices"][0]["finish_reason"]), (&json!(r#"{"a":1}"#), &json!("stop")));
    let stream = [
        json!({"type": "message_start", "message": {"id": "m", "model": "c"}}),
        json!({"type": "content_block_start", "index": 0, "content_block": {"type": "tool_use", "id": "t", "name": "json_output", "input": {}}}),
        json!({"type": "content_block_delta", "index": 0, "delta": {"type": "input_json_delta", "partial_json": "{\"a\":1}"}}),
        json!({"type": "content_block_stop", "index": 0}),
        json!({"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {"output_tokens": 2}}),
        json!({"type": "message_stop"}),
    ];
    let stream: String = stream.iter().map(|event| format!("data: {event}\n\n")).collect();
    let mut driver = Driver::new(Anthropic, OpenaiChat, &REPLY, Some("json_output"));
    let mut out = Vec::new();
    driver.push(Bytes::from(stream), &mut out).unwrap();
    driver.end(&mut out).unwrap();
    let choice = &hear(OpenaiChat, &[&out]).said.choices[&0];
    assert_eq!((choice.text.as_str(), choice.calls.len()), (r#"{"a":1}"#, 0));
    assert_eq!(choice.finish, Some(bifrostctl::wire::ir::FinishReason::Stop));
}

#[test]
fn a_stream_tells_its_usage_only_to_those_who_asked() {
    let stream = "data: {\"id\":\"c\",\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\"},\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":1}}\n\ndata: [DONE]\n\n";
    for include_usage in [true, false] {
        let mut driver = Driver::new(OpenaiChat, OpenaiChat, &Reply { include_usage, ..REPLY }, None);
        let mut out = Vec::new();
        driver.push(Bytes::from_static(stream.as_bytes()), &mut out).unwrap();
        assert!(driver.progress().usage.is_some());
        assert_eq!(String::from_utf8(out).unwrap().contains("\"usage\""), include_usage);
    }
}

#[test]
fn an_error_body_in_place_of_a_stream_is_an_error() {
    for (format, body) in [
        (OpenaiChat, r#"{"error":{"message":"slow down","code":"rate_limit_exceeded"}}"#),
        (Anthropic, r#"{"type":"error","error":{"type":"rate_limit_error","message":"slow down"}}"#),
    ] {
        let mut driver = Driver::new(format, OpenaiChat, &REPLY, None);
        let mut out = Vec::new();
        driver.push(Bytes::from_static(body.as_bytes()), &mut out).unwrap();
        let failure = driver.end(&mut out).unwrap_err();
        assert_eq!((failure.kind, failure.message.as_str()), (bifrostctl::error::Kind::UpstreamRateLimit, "slow down"));
        assert!(format.codec().decode_response(body.as_bytes()).is_err());
    }
}

/// Runs one stream through the driver.
fn driven(from: Format, into: Format, stream: &str) -> String {
    let mut driver = Driver::new(from, into, &REPLY, None);
    let mut out = Vec::new();
    driver.push(Bytes::from(stream.to_owned()), &mut out).unwrap();
    driver.end(&mut out).unwrap();
    String::from_utf8(out).unwrap()
}

#[test]
fn pictures_of_an_answer_are_kept_where_the_format_has_them() {
    let picture = r#"[{"type":"image_url","image_url":{"url":"data:image/png;base64,AAAA"}}]"#;
    let stream = format!(
        "data: {{\"id\":\"c\",\"model\":\"m\",\"choices\":[{{\"index\":0,\"delta\":{{\"images\":{picture}}},\"finish_reason\":\"stop\"}}]}}\n\ndata: [DONE]\n\n"
    );
    assert!(driven(OpenaiChat, OpenaiChat, &stream).contains(picture));
    assert!(!driven(OpenaiChat, Anthropic, &stream).contains("AAAA"));
    let answer = format!(
        "{{\"id\":\"c\",\"model\":\"m\",\"choices\":[{{\"index\":0,\"message\":{{\"role\":\"assistant\",\"content\":\"a\",\"images\":{picture}}},\"finish_reason\":\"stop\"}}]}}"
    );
    let response = OpenaiChat.codec().decode_response(answer.as_bytes()).unwrap();
    assert!(String::from_utf8(OpenaiChat.codec().encode_response(&response, &REPLY).body).unwrap().contains(picture));
    let claude = Anthropic.codec().encode_response(&response, &REPLY);
    assert_eq!(claude.losses[0].path, "choices[0].message.images[0]");
}

#[test]
fn a_service_tier_is_told_in_the_clients_word() {
    let answer = |tier: &str| {
        format!(
            "{{\"id\":\"m\",\"model\":\"c\",\"content\":[],\"stop_reason\":\"end_turn\",\"usage\":{{\"input_tokens\":1,\"output_tokens\":1,\"service_tier\":\"{tier}\"}}}}"
        )
    };
    for (tier, told) in [("standard", "default"), ("priority", "priority")] {
        let answer = answer(tier);
        let response = Anthropic.codec().decode_response(answer.as_bytes()).unwrap();
        let body: Value = serde_json::from_slice(&OpenaiChat.codec().encode_response(&response, &REPLY).body).unwrap();
        assert_eq!(body["service_tier"], told);
        let body: Value = serde_json::from_slice(&Anthropic.codec().encode_response(&response, &REPLY).body).unwrap();
        assert_eq!(body["usage"]["service_tier"], tier);
    }
}

#[test]
fn an_effort_that_we_do_not_know_is_said_once_in_the_clients_word() {
    let ask = chat(json!({"reasoning_effort": "ultra", "thinking": {"type": "enabled"}}));
    let body = ask.to_string();
    let request = OpenaiChat.codec().decode_request(body.as_bytes(), &Route::default()).unwrap();
    let target = Target { model: "gpt-5.1", max_output_tokens: None, quirks: &Quirks::OPENAI };
    let written = String::from_utf8(OpenaiChat.codec().encode_request(&request, &target).body).unwrap();
    assert_eq!(written.matches("reasoning_effort").count(), 1, "{written}");
    assert!(written.contains(r#""reasoning_effort":"ultra""#), "{written}");
}
