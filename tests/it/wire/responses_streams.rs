//! The ways in which servers stream the Responses API, beyond what the recordings show, and how we write it.

use bifrostctl::error::Kind;
use bifrostctl::wire::Format::{Anthropic, OpenaiChat, OpenaiResponses};
use bifrostctl::wire::codec::Failure;
use bifrostctl::wire::ir::{Citation, Delta, Event, Finish, FinishReason, PartStart};
use bifrostctl::wire::json::{Json, Place};
use serde_json::{Value, json};

use super::corpus::REPLY;
use super::said::{Heard, hear};
use super::shape;

/// Writes events as a server would; the name beside the data is optional.
fn stream(events: &[Value]) -> Vec<u8> {
    let start = json!({"type": "response.created", "response": {"id": "resp_1", "model": "gpt-5", "created_at": 7, "output": []}});
    let frame = |event: &Value| format!("data: {event}\n\n");
    std::iter::once(&start).chain(events).map(frame).collect::<String>().into_bytes()
}

fn completed(output: Value) -> Value {
    json!({"type": "response.completed", "response": {"id": "resp_1", "status": "completed", "output": output}})
}

fn heard(events: &[Value]) -> Heard {
    hear(OpenaiResponses, &[&stream(events)])
}

fn added(index: u64, item: Value) -> Value {
    json!({"type": "response.output_item.added", "output_index": index, "item": item})
}

fn done(index: u64, item: Value) -> Value {
    json!({"type": "response.output_item.done", "output_index": index, "item": item})
}

fn delta(kind: &str, index: u64, id: &str, text: &str) -> Value {
    json!({"type": format!("response.{kind}.delta"), "output_index": index, "item_id": id, "content_index": 0, "summary_index": 0, "delta": text})
}

#[test]
fn items_are_told_apart_by_their_place_though_their_ids_change() {
    let told = heard(&[
        added(0, json!({"type": "message", "id": "a", "role": "assistant", "content": []})),
        added(1, json!({"type": "function_call", "id": "b", "call_id": "call_1", "name": "f", "arguments": ""})),
        delta("output_text", 0, "x", "hi"),
        delta("function_call_arguments", 1, "y", "{\"a\":"),
        delta("output_text", 0, "z", "!"),
        delta("function_call_arguments", 1, "w", "1}"),
        done(1, json!({"type": "function_call", "id": "q", "call_id": "call_1", "name": "f", "arguments": "{\"a\":1}"})),
        done(0, json!({"type": "message", "id": "r", "role": "assistant", "content": [{"type": "output_text", "text": "hi!"}]})),
        completed(json!([])),
    ]);
    let choice = &told.said.choices[&0];
    assert_eq!((choice.text.as_str(), choice.finish), ("hi!", Some(FinishReason::ToolCalls)));
    assert_eq!(choice.calls, [("call_1".to_owned(), "f".to_owned(), "{\"a\":1}".to_owned())]);
}

#[test]
fn what_did_not_come_in_pieces_is_told_when_it_comes_whole() {
    let call = |arguments: &str| json!({"type": "function_call", "id": "b", "call_id": "c", "name": "f", "arguments": arguments});
    let message = json!({"type": "message", "content": [{"type": "output_text", "text": "hi", "annotations": []}, {"type": "refusal", "refusal": "no"}]});
    let reasoning = json!({"type": "reasoning", "summary": [{"type": "summary_text", "text": "a"}, {"type": "summary_text", "text": "b"}], "encrypted_content": "sealed"});
    // Without a start, without pieces, with the input in the start alone, with nothing but the end of the whole.
    let whole = [reasoning.clone(), message.clone(), call("{\"a\":1}")];
    for events in [
        vec![done(0, reasoning.clone()), done(1, message.clone()), done(2, call("{\"a\":1}")), completed(json!([]))],
        vec![
            added(0, json!({"type": "reasoning", "summary": []})),
            done(0, reasoning.clone()),
            added(1, json!({"type": "message", "content": []})),
            json!({"type": "response.output_text.done", "output_index": 1, "content_index": 0, "text": "hi"}),
            json!({"type": "response.refusal.done", "output_index": 1, "content_index": 1, "refusal": "no"}),
            done(1, message.clone()),
            added(2, call("")),
            json!({"type": "response.function_call_arguments.done", "output_index": 2, "arguments": "{\"a\":1}"}),
            completed(json!([])),
        ],
        vec![done(0, reasoning), done(1, message), added(2, call("{\"a\":1}")), done(2, call("")), completed(json!([]))],
        vec![completed(json!(whole))],
    ] {
        let told = heard(&events);
        assert!(told.has_ended && told.failure.is_none());
        let choice = &told.said.choices[&0];
        assert_eq!((choice.thinking.as_str(), choice.text.as_str(), choice.refusal.as_str()), ("a\n\nb", "hi", "no"), "{events:?}");
        assert_eq!((choice.calls[0].2.as_str(), &choice.signatures), ("{\"a\":1}", &vec!["sealed".to_owned()]));
    }
    let told = heard(&[added(0, call("")), done(0, call("")), completed(json!([]))]);
    assert_eq!(told.said.choices[&0].calls[0].2, "{}");
}

#[test]
fn pieces_of_thoughts_are_parted_by_a_blank_line_and_encrypted_ones_are_signed() {
    let piece = |index: u64, text: &str| json!({"type": "response.reasoning_summary_text.delta", "output_index": 0, "summary_index": index, "delta": text});
    let told = heard(&[
        added(0, json!({"type": "reasoning", "summary": [], "encrypted_content": "half"})),
        piece(0, "a"),
        piece(0, "b"),
        piece(1, "c"),
        done(0, json!({"type": "reasoning", "summary": [], "encrypted_content": "whole"})),
        added(1, json!({"type": "reasoning", "summary": []})),
        done(1, json!({"type": "reasoning", "summary": [], "encrypted_content": "alone"})),
        added(2, json!({"type": "reasoning", "summary": []})),
        done(2, json!({"type": "reasoning", "summary": []})),
        completed(json!([])),
    ]);
    let choice = &told.said.choices[&0];
    assert_eq!(choice.thinking, "ab\n\nc");
    assert_eq!(choice.signatures, ["whole", "alone"]);
    assert_eq!(told.events.iter().filter(|event| event.starts_with("PartStart")).count(), 2, "thoughts without a word are none");
}

#[test]
fn citations_come_once_whether_early_or_late() {
    let note = |url: &str| json!({"type": "url_citation", "url": url, "title": "t", "start_index": 0, "end_index": 2});
    let told = heard(&[
        added(0, json!({"type": "message", "content": []})),
        delta("output_text", 0, "m", "hi"),
        json!({"type": "response.output_text.annotation.added", "output_index": 0, "content_index": 0, "annotation_index": 0, "annotation": note("https://a")}),
        json!({"type": "response.content_part.done", "output_index": 0, "content_index": 0, "part": {"type": "output_text", "text": "hi", "annotations": [note("https://a"), note("https://b")]}}),
        done(
            0,
            json!({"type": "message", "content": [{"type": "output_text", "text": "hi", "annotations": [note("https://a"), note("https://b")]}]}),
        ),
        completed(json!([])),
    ]);
    let cited: Vec<&String> = told.events.iter().filter(|event| event.contains("Citation {")).collect();
    assert_eq!(cited.len(), 2);
    assert!(cited[0].contains("https://a") && cited[1].contains("https://b"));
}

#[test]
fn an_answer_that_is_not_complete_says_why() {
    for (reason, expected) in
        [("max_output_tokens", FinishReason::Length), ("content_filter", FinishReason::ContentFilter), ("steered", FinishReason::Other)]
    {
        let end = json!({"type": "response.incomplete", "response": {"status": "incomplete", "incomplete_details": {"reason": reason}}});
        let told = heard(&[done(0, json!({"type": "message", "content": [{"type": "output_text", "text": "hi"}]})), end]);
        assert_eq!(told.said.choices[&0].finish, Some(expected), "{reason}");
    }
}

#[test]
fn failures_are_read_in_all_their_shapes() {
    for (event, kind) in [
        (json!({"type": "error", "code": "rate_limit_exceeded", "message": "no", "param": null}), Kind::UpstreamRateLimit),
        (json!({"type": "error", "error": {"type": "server_error", "code": null, "message": "no"}}), Kind::UpstreamServerError),
        (
            json!({"type": "response.failed", "response": {"error": {"code": "context_length_exceeded", "message": "no"}}}),
            Kind::ContextWindow,
        ),
    ] {
        let failure = heard(&[added(0, json!({"type": "message", "content": []})), event]).failure.unwrap();
        assert_eq!((failure.kind, failure.message.as_str()), (kind, "no"));
    }
    let bare = hear(OpenaiResponses, &[b"data: {\"error\":{\"code\":503,\"message\":\"no\"}}\n\n"]).failure.unwrap();
    assert_eq!((bare.kind, bare.message.as_str()), (Kind::UpstreamOverload, "no"));
}

#[test]
fn what_does_not_fit_is_malformed_and_what_is_unknown_is_skipped() {
    let message = added(0, json!({"type": "message", "content": []}));
    for events in [
        vec![delta("output_text", 0, "m", "hi")],
        vec![message.clone(), message.clone()],
        vec![message.clone(), delta("function_call_arguments", 0, "m", "{")],
        vec![message.clone(), delta("reasoning_text", 0, "m", "hm")],
        vec![message.clone(), json!({"type": "response.output_item.done", "output_index": 0})],
    ] {
        assert_eq!(heard(&events).failure.unwrap().kind, Kind::UpstreamMalformed, "{events:?}");
    }
    for body in [&b"data: [DONE]\n\n"[..], b"data: {\"type\":\"response.output_text.delta\"}\n\n", b"data: 1\n\n", b"data: x\n\n"] {
        assert_eq!(hear(OpenaiResponses, &[body]).failure.unwrap().kind, Kind::UpstreamMalformed);
    }
    let unknown = json!({"type": "response.telepathy", "output_index": 0});
    let told = heard(&[message, unknown, json!({"type": "response.output_item.added", "output_index": 9}), completed(json!([]))]);
    assert!(told.has_ended && told.failure.is_none());
}

#[test]
fn tools_of_the_provider_pass_in_their_own_format_and_are_hidden_elsewhere() {
    let call = json!({"type": "web_search_call", "id": "ws_1", "status": "in_progress"});
    let whole = json!({"type": "web_search_call", "id": "ws_1", "status": "completed", "action": {"type": "search", "query": "q"}});
    let events = [
        added(3, call),
        json!({"type": "response.web_search_call.searching", "sequence_number": 70, "output_index": 3, "item_id": "ws_1"}),
        json!({"type": "response.evil\ndata: x", "output_index": 3}),
        done(3, whole.clone()),
        completed(json!([whole])),
    ];
    let out = super::streams::drive(OpenaiResponses, OpenaiResponses, &[&stream(&events)]).0;
    shape::check(OpenaiResponses, &out);
    let text = String::from_utf8(out).unwrap();
    assert!(text.contains("\"type\":\"response.web_search_call.searching\",\"sequence_number\":3,\"output_index\":0,\"item_id\":\"ws_1\""));
    assert!(text.contains("\"query\":\"q\"") && !text.contains("evil"));
    for into in [OpenaiChat, Anthropic] {
        let out = super::streams::drive(OpenaiResponses, into, &[&stream(&events)]).0;
        shape::check(into, &out);
        assert!(!String::from_utf8(out).unwrap().contains("ws_1"));
    }
}

/// Writes events of the middle form, and reads what was written.
fn encoded(events: &[Event<'_>]) -> Vec<Value> {
    let mut encoder = OpenaiResponses.codec().stream_encoder(&REPLY);
    let mut out = Vec::new();
    events.iter().for_each(|event| encoder.event(event, &mut out));
    shape::check(OpenaiResponses, &out);
    let text = String::from_utf8(out).unwrap();
    text.lines().filter_map(|line| line.strip_prefix("data: ")).map(|data| serde_json::from_str(data).unwrap()).collect()
}

fn start() -> Event<'static> {
    Event::Start { id: "".into(), model: "".into(), created: None }
}

fn open(part: u32, start: PartStart<'static>) -> Event<'static> {
    Event::PartStart { choice: 0, part, start }
}

fn more(part: u32, delta: Delta<'static>) -> Event<'static> {
    Event::Delta { choice: 0, part, delta }
}

fn close(part: u32) -> Event<'static> {
    Event::PartEnd { choice: 0, part }
}

#[test]
fn texts_in_a_row_are_pieces_of_one_message_and_a_call_ends_it() {
    let call = PartStart::ToolCall { id: "".into(), name: "f".into(), is_custom: false };
    let raw = Json::new(r#"{"type":"web_search_result_location"}"#);
    let citation =
        Citation { url: Some("https://a".into()), title: None, cited: None, span: None, origin: (Anthropic, raw), at: Place::NOWHERE };
    let events = encoded(&[
        start(),
        open(0, PartStart::Text),
        more(0, Delta::Text("a".into())),
        Event::Logprobs { choice: 0, logprobs: Json::new(r#"{"content":[{"token":"a","logprob":-1.10}],"refusal":null}"#) },
        close(0),
        open(1, PartStart::Text),
        more(1, Delta::Text("bé".into())),
        more(1, Delta::Citation(citation)),
        close(1),
        open(2, call),
        more(2, Delta::Input("{}".into())),
        close(2),
        open(3, PartStart::Text),
        close(3),
        open(4, PartStart::Text),
        more(4, Delta::Text("c".into())),
        close(4),
        Event::Finish { choice: 0, finish: Finish::new(FinishReason::Length) },
        Event::End,
    ]);
    let end = events.last().unwrap();
    assert_eq!((&end["type"], &end["response"]["status"]), (&json!("response.incomplete"), &json!("incomplete")));
    let output = &end["response"]["output"];
    let kinds: Vec<&str> = output.as_array().unwrap().iter().map(|item| item["type"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["message", "function_call", "message"]);
    assert_eq!((&output[0]["status"], &output[2]["status"]), (&json!("completed"), &json!("incomplete")));
    assert_eq!(output[0]["content"][0]["logprobs"], json!([{"token": "a", "logprob": -1.10}]));
    assert_eq!(
        output[0]["content"][1]["annotations"],
        json!([{"type": "url_citation", "url": "https://a", "title": "", "start_index": 0, "end_index": 2}])
    );
    assert_eq!((&output[1]["call_id"], &output[1]["id"]), (&json!("call_r1_0"), &json!("fc_r1_1")));
    assert_eq!(events[0]["response"]["id"], "resp_r1");
}

#[test]
fn a_failure_is_told_as_an_event_and_as_the_end_of_the_answer() {
    let mut encoder = OpenaiResponses.codec().stream_encoder(&REPLY);
    let mut out = Vec::new();
    for event in [start(), open(0, PartStart::Text), more(0, Delta::Text("hi".into()))] {
        encoder.event(&event, &mut out);
    }
    encoder.failure(&Failure::new(Kind::UpstreamOverload, "busy"), "r1", &mut out);
    let text = String::from_utf8(out).unwrap();
    let events: Vec<Value> =
        text.lines().filter_map(|line| line.strip_prefix("data: ")).map(|data| serde_json::from_str(data).unwrap()).collect();
    let [.., error, failed] = &events[..] else { panic!("{text}") };
    assert_eq!((&error["type"], &error["code"], &error["message"]), (&json!("error"), &json!("server_is_overloaded"), &json!("busy")));
    assert_eq!((&error["error"]["message"], &error["error"]["request_id"]), (&json!("busy"), &json!("r1")));
    assert_eq!(failed["type"], "response.failed");
    assert_eq!(failed["response"]["error"], json!({"code": "server_is_overloaded", "message": "busy"}));
    assert_eq!(failed["sequence_number"], json!(events.len() - 1));
}
