//! What Cohere's rules make of requests and streams, beyond what the recordings show; one rule a test.

use bifrostctl::error::Kind;
use bifrostctl::wire::Format::{self, Anthropic, Cohere, OpenaiChat};
use bifrostctl::wire::codec::{Encoded, Failure, Route, Target};
use bifrostctl::wire::driver::{Driver, Ended};
use bifrostctl::wire::ir::FinishReason;
use bifrostctl::wire::quirks::Quirks;
use bytes::Bytes;
use serde_json::{Value, json};

use super::corpus::REPLY;
use super::said::hear;

const PLAIN: &str = "command-a-03-2025";
const THINKER: &str = "command-a-reasoning-08-2025";

fn encode(from: Format, body: &Value, model: &str) -> Encoded {
    let text = body.to_string();
    let request = from.codec().decode_request(text.as_bytes(), &Route::default()).unwrap();
    Cohere.codec().encode_request(&request, &Target { model, max_output_tokens: Some(4_000), quirks: &Quirks::OPENAI })
}

/// A chat with more members, for a model, and its losses.
fn sent(more: Value, model: &str) -> (Value, Vec<String>) {
    let mut body = json!({"model": "m", "messages": [{"role": "user", "content": "hi"}]});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let encoded = encode(OpenaiChat, &body, model);
    let losses = encoded.losses.iter().map(|loss| format!("{} {}", loss.reason.as_str(), loss.path)).collect();
    (serde_json::from_slice(&encoded.body).unwrap(), losses)
}

fn tools(names: &[&str]) -> Value {
    let tool = |name: &&str| json!({"type": "function", "function": {"name": name}});
    Value::Array(names.iter().map(tool).collect())
}

fn names(body: &Value) -> Vec<&str> {
    body["tools"].as_array().into_iter().flatten().map(|tool| tool["function"]["name"].as_str().unwrap()).collect()
}

#[test]
fn one_tool_is_chosen_by_leaving_the_others_out() {
    let choose = |choice: Value| sent(json!({"tools": tools(&["f", "g"]), "tool_choice": choice}), PLAIN);
    let (body, losses) = choose(json!({"type": "function", "function": {"name": "g"}}));
    assert_eq!((names(&body), &body["tool_choice"]), (vec!["g"], &json!("REQUIRED")));
    assert_eq!(losses, ["approximated tools[0]"]);
    assert_eq!(choose(json!("required")).0["tool_choice"], "REQUIRED");
    let (body, losses) = choose(json!("none"));
    assert_eq!((names(&body), &body["tool_choice"], losses.len()), (vec!["f", "g"], &json!("NONE"), 0));
    // As the model sees fit is what nothing says.
    assert_eq!(choose(json!("auto")).0.get("tool_choice"), None);
    let (body, losses) = choose(json!({"type": "function", "function": {"name": "gone"}}));
    assert_eq!((names(&body).len(), body.get("tool_choice")), (0, None));
    assert!(losses.contains(&"unsupported tool_choice".to_owned()), "{losses:?}");
}

#[test]
fn strictness_is_said_for_all_tools_or_for_none() {
    let strict = |second: bool| {
        let tool = |name: &str, strict: bool| json!({"type": "function", "function": {"name": name, "strict": strict}});
        sent(json!({"tools": [tool("f", true), tool("g", second)]}), PLAIN)
    };
    let (body, losses) = strict(true);
    assert_eq!((&body["strict_tools"], losses.len()), (&json!(true), 0));
    let (body, losses) = strict(false);
    assert_eq!((body.get("strict_tools"), losses), (None, vec!["unsupported tools[0].function.strict".to_owned()]));
}

#[test]
fn a_schema_of_the_answer_is_native_without_tools_and_a_tool_beside_them() {
    let schema = json!({"type": "object", "properties": {"a": {"type": "integer"}}});
    let more = json!({"response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": schema, "strict": true}}});
    let (body, losses) = sent(more.clone(), PLAIN);
    assert_eq!(body["response_format"], json!({"type": "json_object", "json_schema": schema}));
    assert_eq!(losses, ["approximated response_format.json_schema.name"]);
    let mut chat = json!({"model": "m", "messages": [{"role": "user", "content": "hi"}], "tools": tools(&["f"])});
    chat.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let encoded = encode(OpenaiChat, &chat, PLAIN);
    let body: Value = serde_json::from_slice(&encoded.body).unwrap();
    let name = encoded.unwrap_tool.unwrap();
    assert_eq!((names(&body), &body["tool_choice"]), (vec!["f", name], &json!("REQUIRED")));
    assert_eq!(body["tools"][1]["function"]["parameters"], schema);
    assert_eq!(body.get("response_format"), None);
}

#[test]
fn numbers_are_kept_within_what_is_accepted() {
    let more =
        json!({"top_p": 1, "top_k": 900, "presence_penalty": -0.5, "frequency_penalty": 0.5, "max_completion_tokens": 9_000, "n": 1});
    let (body, losses) = sent(more, PLAIN);
    assert_eq!((&body["p"], &body["k"], &body["max_tokens"]), (&json!(0.99), &json!(500), &json!(4_000)));
    assert_eq!((&body["presence_penalty"], &body["frequency_penalty"]), (&json!(0), &json!(0.5)));
    assert_eq!(losses, ["approximated top_p", "approximated top_k", "approximated presence_penalty", "approximated max_completion_tokens"]);
    let (body, losses) = sent(json!({"stop": ["a", "", "b"]}), PLAIN);
    assert_eq!((&body["stop_sequences"], losses), (&json!(["a", "b"]), vec!["unsupported stop[1]".to_owned()]));
}

#[test]
fn models_that_think_are_told_how_much_and_the_others_nothing() {
    let said = |effort: &str, model: &str| {
        let (body, losses) = sent(json!({"reasoning_effort": effort}), model);
        (body.get("thinking").cloned().unwrap_or_default(), losses)
    };
    let told = vec!["approximated reasoning_effort".to_owned()];
    assert_eq!(said("low", THINKER), (json!({"type": "enabled", "token_budget": 2048}), told));
    assert_eq!(said("none", THINKER), (json!({"type": "disabled"}), vec![]));
    assert_eq!(said("low", PLAIN), (Value::Null, vec!["unsupported reasoning_effort".to_owned()]));
    assert_eq!(said("none", PLAIN), (Value::Null, vec![]));
}

#[test]
fn thoughts_before_calls_are_their_plan_and_come_back_as_thoughts() {
    let call = json!({"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}});
    let history = json!([
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": null, "reasoning_content": "I call f.", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "a", "content": ""}
    ]);
    let (body, losses) = sent(json!({"messages": history}), PLAIN);
    assert_eq!(body["messages"][1], json!({"role": "assistant", "tool_plan": "I call f.", "tool_calls": [call]}));
    assert_eq!((&body["messages"][2]["content"], losses.len()), (&json!(""), 0));
    let request = body.to_string();
    let request = Cohere.codec().decode_request(request.as_bytes(), &Route::default()).unwrap();
    let target = Target { model: "m", max_output_tokens: None, quirks: &Quirks::COMPATIBLE };
    let back: Value = serde_json::from_slice(&OpenaiChat.codec().encode_request(&request, &target).body).unwrap();
    assert_eq!(back["messages"][1]["tool_calls"], json!([call]));
}

#[test]
fn somebody_elses_signed_thoughts_are_not_sent() {
    let thought = json!({"type": "thinking", "thinking": "t", "signature": "s"});
    let body = json!({"model": "m", "max_tokens": 9, "messages": [
        {"role": "user", "content": "x"},
        {"role": "assistant", "content": [thought, {"type": "text", "text": "said"}]},
        {"role": "assistant", "content": [thought]},
        {"role": "user", "content": "more"}
    ]});
    let encoded = encode(Anthropic, &body, THINKER);
    let out: Value = serde_json::from_slice(&encoded.body).unwrap();
    assert_eq!(out["messages"][1], json!({"role": "assistant", "content": [{"type": "text", "text": "said"}]}));
    // A message that nothing is left of is not sent.
    assert_eq!(out["messages"].as_array().unwrap().len(), 3);
    assert_eq!(encoded.losses.len(), 2);
}

#[test]
fn pictures_are_shown_by_users_alone() {
    let picture = json!({"type": "image_url", "image_url": {"url": "https://example.com/a.png"}});
    let call = json!({"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}});
    let (body, losses) = sent(
        json!({"messages": [
            {"role": "user", "content": [picture]},
            {"role": "assistant", "content": null, "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "a", "content": [picture]}
        ]}),
        PLAIN,
    );
    assert_eq!(body["messages"][0]["content"], json!([picture]));
    assert_eq!(body["messages"][2]["content"], json!([{"type": "text", "text": "."}]));
    assert_eq!(losses, ["unsupported messages[2].content[0]"]);
}

#[test]
fn documents_of_tools_are_text_to_others_and_objects_again_at_home() {
    let document = json!({"type": "document", "document": {"id": "d", "data": {"title": "t", "n": 1}}});
    let body = json!({"model": "m", "messages": [{"role": "tool", "tool_call_id": "a", "content": [document]}]}).to_string();
    let request = Cohere.codec().decode_request(body.as_bytes(), &Route::default()).unwrap();
    let written = |format: Format| -> Value {
        let target = Target { model: "m", max_output_tokens: None, quirks: &Quirks::OPENAI };
        serde_json::from_slice(&format.codec().encode_request(&request, &target).body).unwrap()
    };
    assert_eq!(written(Cohere)["messages"][0]["content"], json!([document]));
    let source = &written(Anthropic)["messages"][0]["content"][0]["content"][0]["source"];
    assert_eq!(source["data"], r#"{"title":"t","n":1}"#);
}

/// A stream of events whose names stand in them.
fn stream(events: &[Value]) -> Vec<u8> {
    let start = json!({"id": "i", "type": "message-start", "delta": {"message": {"role": "assistant"}}});
    let mut out: String = [start].iter().chain(events).map(|event| format!("data: {event}\n\n")).collect();
    out.push_str("data: [DONE]\n\n");
    out.into_bytes()
}

fn event(name: &str, message: Value) -> Value {
    json!({"type": name, "index": 0, "delta": {"message": message}})
}

fn end(delta: Value) -> Value {
    json!({"type": "message-end", "delta": delta})
}

fn drive(bytes: Vec<u8>) -> (Vec<u8>, Result<Ended, Failure>) {
    let mut driver = Driver::new(Cohere, OpenaiChat, &REPLY, None);
    let mut out = Vec::new();
    let ended = driver.push(Bytes::from(bytes), &mut out).and_then(|()| driver.end(&mut out));
    (out, ended)
}

#[test]
fn input_in_fragments_is_given_on_and_the_word_null_is_an_empty_object() {
    let call = |pieces: &[&str]| {
        let start = json!({"tool_calls": {"id": "a", "type": "function", "function": {"name": "f", "arguments": ""}}});
        let mut events = vec![event("tool-plan-delta", json!({"tool_plan": "I call f."})), event("tool-call-start", start)];
        events.extend(pieces.iter().map(|piece| event("tool-call-delta", json!({"tool_calls": {"function": {"arguments": piece}}}))));
        events.extend([json!({"type": "tool-call-end", "index": 0}), end(json!({"finish_reason": "COMPLETE"}))]);
        let heard = hear(Cohere, &[&stream(&events)]);
        assert!(heard.failure.is_none() && heard.has_ended);
        let choice = heard.said.choices[&0].clone();
        assert_eq!((choice.thinking.as_str(), choice.finish), ("I call f.", Some(FinishReason::ToolCalls)));
        choice.calls[0].2.clone()
    };
    assert_eq!(call(&["{\"x\"", ":1}"]), r#"{"x":1}"#);
    for nothing in [&["null"][..], &["nu", "ll"], &[], &["", " "]] {
        assert_eq!(call(nothing), "{}", "{nothing:?}");
    }
}

#[test]
fn a_citation_belongs_to_the_text_that_is_open() {
    let source = json!({"type": "document", "id": "d", "document": {"url": "https://example.com", "title": "t"}});
    let citation = json!({"start": 0, "end": 2, "text": "ab", "sources": [source]});
    let events = [
        event("content-start", json!({"content": {"type": "text", "text": ""}})),
        event("content-delta", json!({"content": {"text": "ab"}})),
        event("citation-start", json!({"citations": citation})),
        json!({"type": "citation-end", "index": 0}),
        json!({"type": "content-end", "index": 0}),
        end(json!({"finish_reason": "COMPLETE"})),
    ];
    let (out, ended) = drive(stream(&events));
    assert_eq!(ended, Ok(Ended::Complete));
    assert!(String::from_utf8(out).unwrap().contains("https://example.com"));
}

#[test]
fn a_stream_that_ends_with_an_error_is_a_failure() {
    let text = event("content-start", json!({"content": {"type": "text", "text": "a"}}));
    let failed = |events: &[Value]| drive(stream(events)).1.unwrap_err();
    let failure = failed(&[text.clone(), end(json!({"finish_reason": "ERROR", "error": "no more"}))]);
    assert_eq!((failure.kind, failure.message.as_str()), (Kind::UpstreamServerError, "no more"));
    assert_eq!(failed(&[text, end(json!({"finish_reason": "TIMEOUT"}))]).kind, Kind::UpstreamTimeout);
    let bare = drive(br#"{"id":"i","message":"too many tokens","error_type":"TOO_MANY_TOKENS"}"#.to_vec()).1.unwrap_err();
    assert_eq!(bare.kind, Kind::ContextWindow);
}

#[test]
fn a_delta_without_its_block_is_malformed_and_an_unknown_event_is_not() {
    let failure = hear(Cohere, &[&stream(&[event("content-delta", json!({"content": {"text": "a"}}))])]).failure;
    assert_eq!(failure.map(|failure| failure.kind), Some(Kind::UpstreamMalformed));
    let heard = hear(Cohere, &[&stream(&[json!({"type": "debug", "prompt": "p"}), end(json!({"finish_reason": "COMPLETE"}))])]);
    assert!(heard.failure.is_none() && heard.has_ended);
}

#[test]
fn an_answer_that_failed_is_no_answer() {
    let body = json!({"id": "i", "finish_reason": "ERROR", "message": {"role": "assistant", "content": []}}).to_string();
    assert_eq!(Cohere.codec().decode_response(body.as_bytes()).unwrap_err().kind, Kind::UpstreamServerError);
}
