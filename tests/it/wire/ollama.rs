//! What Ollama's rules make of requests and streams, beyond what the recordings show; one rule a test.

use bifrostctl::error::Kind;
use bifrostctl::wire::Format::{self, Anthropic, Ollama, OpenaiChat};
use bifrostctl::wire::codec::{Encoded, Failure, Reply, Route, Target};
use bifrostctl::wire::driver::{Driver, Ended};
use bifrostctl::wire::ir::FinishReason;
use bifrostctl::wire::quirks::Quirks;
use bytes::Bytes;
use serde_json::{Value, json};

use super::corpus::REPLY;
use super::said::hear;

const PLAIN: &str = "llama3.1";
const LEVELS: &str = "gpt-oss:20b";

fn encode(from: Format, body: &Value, model: &str) -> Encoded {
    let text = body.to_string();
    let request = from.codec().decode_request(text.as_bytes(), &Route::default()).unwrap();
    Ollama.codec().encode_request(&request, &Target { model, max_output_tokens: Some(4_000), quirks: &Quirks::OPENAI })
}

fn told(encoded: &Encoded) -> Vec<String> {
    encoded.losses.iter().map(|loss| format!("{} {}", loss.reason.as_str(), loss.path)).collect()
}

/// A chat with more members, for a model, and its losses.
fn sent(more: Value, model: &str) -> (Value, Vec<String>) {
    let mut body = json!({"model": "m", "messages": [{"role": "user", "content": "hi"}]});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let encoded = encode(OpenaiChat, &body, model);
    (serde_json::from_slice(&encoded.body).unwrap(), told(&encoded))
}

/// A request of Ollama's, as another format's upstream gets it.
fn given(body: Value, into: Format) -> (Value, Vec<String>) {
    let text = body.to_string();
    let request = Ollama.codec().decode_request(text.as_bytes(), &Route::default()).unwrap();
    let encoded = into.codec().encode_request(&request, &Target { model: "m", max_output_tokens: None, quirks: &Quirks::COMPATIBLE });
    (serde_json::from_slice(&encoded.body).unwrap(), told(&encoded))
}

fn tools(names: &[&str]) -> Value {
    let tool = |name: &&str| json!({"type": "function", "function": {"name": name}});
    Value::Array(names.iter().map(tool).collect())
}

fn names(body: &Value) -> Vec<&str> {
    body["tools"].as_array().into_iter().flatten().map(|tool| tool["function"]["name"].as_str().unwrap()).collect()
}

#[test]
fn whether_an_answer_is_a_stream_is_always_said_for_it_is_by_default() {
    assert_eq!(sent(json!({}), PLAIN).0["stream"], false);
    assert_eq!(sent(json!({"stream": true}), PLAIN).0["stream"], true);
    let chat = |more: Value| {
        let mut body = json!({"model": "m", "messages": [{"role": "user", "content": "hi"}]});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        given(body, OpenaiChat).0
    };
    assert_eq!(chat(json!({}))["stream"], true);
    assert_ne!(chat(json!({"stream": false}))["stream"], true);
}

#[test]
fn settings_stand_in_options_and_those_of_this_format_alone_come_home() {
    let (body, losses) = sent(json!({"max_tokens": 9_000, "temperature": 0.10, "top_p": 1, "seed": 7, "stop": ["a", ""]}), PLAIN);
    assert_eq!(body["options"], json!({"temperature": 0.10, "top_p": 1, "seed": 7, "num_predict": 4_000, "stop": ["a"]}));
    assert_eq!(losses, ["approximated max_tokens", "unsupported stop[1]"]);
    assert_eq!(sent(json!({}), PLAIN).0.get("options"), None);
    let own = json!({"model": "m", "messages": [], "options": {"num_ctx": 8192, "num_predict": -1, "top_k": 3}, "keep_alive": "5m"});
    let (home, losses) = given(own.clone(), Ollama);
    assert_eq!((&home["options"], &home["keep_alive"], losses.len()), (&own["options"], &json!("5m"), 0));
    let (abroad, losses) = given(own, OpenaiChat);
    assert_eq!(abroad.get("max_tokens").or(abroad.get("max_completion_tokens")), None);
    assert_eq!(losses, ["unknown options.num_ctx", "unknown options.num_predict", "unsupported options.top_k", "unknown keep_alive"]);
}

#[test]
fn pictures_stand_beside_the_text_and_addresses_are_not_fetched() {
    let picture = |url: &str| json!({"type": "image_url", "image_url": {"url": url}});
    let content = json!([
        {"type": "text", "text": "what"}, picture("data:image/jpeg;base64,/9j/4AA="), picture("https://example.com/a.png"),
        {"type": "text", "text": "is it"}
    ]);
    let (body, losses) = sent(json!({"messages": [{"role": "user", "content": content}]}), PLAIN);
    assert_eq!(body["messages"], json!([{"role": "user", "content": "what\nis it", "images": ["/9j/4AA="]}]));
    assert_eq!(losses, ["unsupported messages[0].content[2]"]);
    let (back, _) = given(body, Anthropic);
    let source = json!({"type": "base64", "media_type": "image/jpeg", "data": "/9j/4AA="});
    assert_eq!(back["messages"][0]["content"][0], json!({"type": "image", "source": source}));
}

#[test]
fn calls_have_objects_for_arguments_and_results_their_names() {
    let call = |id: &str, input: &str| json!({"id": id, "type": "function", "function": {"name": "f", "arguments": input}});
    let history = json!([
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": null, "reasoning_content": "I call f.", "tool_calls": [call("a", "{\"x\":1.10}"), call("b", "{bro")]},
        {"role": "tool", "tool_call_id": "a", "content": "1"},
        {"role": "tool", "tool_call_id": "b", "content": "2"}
    ]);
    let (body, losses) = sent(json!({"messages": history}), PLAIN);
    let calls = json!([
        {"id": "a", "function": {"name": "f", "arguments": {"x": 1.10}}},
        {"id": "b", "function": {"name": "f", "arguments": {"input": "{bro"}}}
    ]);
    assert_eq!(body["messages"][1], json!({"role": "assistant", "content": "", "thinking": "I call f.", "tool_calls": calls}));
    assert_eq!(body["messages"][2], json!({"role": "tool", "content": "1", "tool_name": "f", "tool_call_id": "a"}));
    assert_eq!(losses, ["approximated messages[1].tool_calls[1]"]);
}

#[test]
fn results_without_ids_find_their_calls_by_name_and_then_by_order() {
    let call = |name: &str| json!({"function": {"name": name, "arguments": {}}});
    let messages = json!([
        {"role": "assistant", "content": "", "tool_calls": [call("f"), call("g"), call("h")]},
        {"role": "tool", "content": "of g", "tool_name": "g"},
        {"role": "tool", "content": "of f"},
        {"role": "TOOL", "content": "of h"}
    ]);
    let (body, losses) = given(json!({"model": "m", "messages": messages}), OpenaiChat);
    let ids: Vec<&str> = body["messages"][0]["tool_calls"].as_array().unwrap().iter().map(|call| call["id"].as_str().unwrap()).collect();
    let of = |number: usize| body["messages"][number]["tool_call_id"].as_str().unwrap();
    assert_eq!([of(2), of(1), of(3)], ids[..]);
    assert_eq!(losses.len(), 0);
    // Ids that the client did not give stay out of its own format.
    let (home, _) = given(json!({"model": "m", "messages": messages}), Ollama);
    assert_eq!((&home["messages"][0]["tool_calls"], home["messages"][1].get("tool_call_id")), (&messages[0]["tool_calls"], None));
}

#[test]
fn what_must_not_be_called_is_left_out_and_nothing_can_be_required() {
    let choose = |choice: Value| {
        let (body, losses) = sent(json!({"tools": tools(&["f", "g"]), "tool_choice": choice}), PLAIN);
        (names(&body).join(" "), body.get("tool_choice").is_some(), losses)
    };
    let named = json!({"type": "function", "function": {"name": "g"}});
    let told = |losses: &[&str]| losses.iter().map(|loss| (*loss).to_owned()).collect::<Vec<_>>();
    assert_eq!(choose(json!("auto")), ("f g".to_owned(), false, vec![]));
    assert_eq!(choose(json!("required")), ("f g".to_owned(), false, told(&["approximated tool_choice"])));
    assert_eq!(choose(named), ("g".to_owned(), false, told(&["approximated tools[0]", "approximated tool_choice"])));
    assert_eq!(choose(json!("none")), (String::new(), false, told(&["approximated tools[0]", "approximated tools[1]"])));
}

#[test]
fn a_schema_of_the_answer_is_native_without_tools_and_a_tool_beside_them() {
    let schema = json!({"type": "object", "properties": {"a": {"type": "integer"}}});
    let more = json!({"response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": schema, "strict": true}}});
    let (body, losses) = sent(more.clone(), PLAIN);
    assert_eq!((&body["format"], losses), (&schema, vec!["approximated response_format.json_schema.name".to_owned()]));
    assert_eq!(sent(json!({"response_format": {"type": "json_object"}}), PLAIN).0["format"], "json");
    let mut chat = json!({"model": "m", "messages": [{"role": "user", "content": "hi"}], "tools": tools(&["f"])});
    chat.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let encoded = encode(OpenaiChat, &chat, PLAIN);
    let body: Value = serde_json::from_slice(&encoded.body).unwrap();
    let name = encoded.unwrap_tool.unwrap();
    assert_eq!((names(&body), body.get("format")), (vec!["f", name], None));
    assert_eq!(body["tools"][1]["function"]["parameters"], schema);
}

#[test]
fn how_hard_to_think_is_told_to_the_family_that_takes_it() {
    let said = |effort: &str, model: &str| {
        let (body, losses) = sent(json!({"reasoning_effort": effort}), model);
        (body.get("think").cloned().unwrap_or_default(), losses.len())
    };
    assert_eq!(said("medium", LEVELS), (json!("medium"), 0));
    assert_eq!(said("xhigh", LEVELS), (json!("high"), 1));
    // A model that cannot think refuses to be told to, and one that can does so unasked.
    assert_eq!(said("medium", PLAIN), (Value::Null, 1));
    assert_eq!(said("none", PLAIN), (json!(false), 0));
    assert_eq!(said("none", LEVELS), (json!("low"), 1));
    let own = |think: Value| given(json!({"model": "m", "messages": [], "think": think}), Ollama).0["think"].clone();
    for think in [json!(true), json!(false), json!("low"), json!("as it likes")] {
        assert_eq!(own(think.clone()), think);
    }
}

#[test]
fn log_probabilities_are_openais_without_their_object() {
    let tokens = json!([{"token": "a", "logprob": -0.10, "top_logprobs": [{"token": "b", "logprob": -2.5}]}]);
    let line = json!({"model": "m", "created_at": "2024-05-24T20:57:43Z", "message": {"role": "assistant", "content": "a"}, "logprobs": tokens, "done": true});
    let body = line.to_string();
    let response = Ollama.codec().decode_response(body.as_bytes()).unwrap();
    let written = |format: Format| -> Value { serde_json::from_slice(&format.codec().encode_response(&response, &REPLY).body).unwrap() };
    assert_eq!(written(OpenaiChat)["choices"][0]["logprobs"], json!({"content": tokens}));
    assert_eq!(written(Ollama)["logprobs"], tokens);
}

/// A stream of lines with messages.
fn stream(messages: &[Value], last: &Value) -> Vec<u8> {
    let line =
        |message: &Value| format!("{}\n", json!({"model": "m", "created_at": "2024-05-24T20:57:43.5Z", "message": message, "done": false}));
    let mut out: String = messages.iter().map(line).collect();
    out.push_str(&format!("{last}\n"));
    out.into_bytes()
}

fn last(reason: &str) -> Value {
    json!({"model": "m", "created_at": "x", "message": {"role": "assistant", "content": ""}, "done": true, "done_reason": reason,
        "total_duration": 5, "prompt_eval_count": 11, "eval_count": 3})
}

fn drive(from: Format, into: Format, bytes: Vec<u8>) -> (String, Result<Ended, Failure>) {
    let mut driver = Driver::new(from, into, &REPLY, None);
    let mut out = Vec::new();
    let ended = driver.push(Bytes::from(bytes), &mut out).and_then(|()| driver.end(&mut out));
    (String::from_utf8(out).unwrap(), ended)
}

#[test]
fn thoughts_text_and_calls_follow_each_other_and_calls_end_the_answer() {
    let call = json!({"role": "assistant", "content": "", "tool_calls": [{"function": {"name": "f", "arguments": {"x": 1}}}]});
    let messages = [
        json!({"role": "assistant", "content": "", "thinking": "h"}),
        json!({"role": "assistant", "content": "", "thinking": "m"}),
        json!({"role": "assistant", "content": "said"}),
        call.clone(),
        call,
    ];
    let heard = hear(Ollama, &[&stream(&messages, &last("stop"))]);
    let choice = &heard.said.choices[&0];
    assert_eq!((choice.thinking.as_str(), choice.text.as_str(), choice.calls.len()), ("hm", "said", 2));
    assert_eq!((choice.calls[1].2.as_str(), choice.finish), (r#"{"x":1}"#, Some(FinishReason::ToolCalls)));
    let usage = heard.said.usage.unwrap();
    assert_eq!((usage.input, usage.output, heard.has_ended), (11, 3, true));
    // What an agent reads must be two calls with ids of their own.
    let (out, ended) = drive(Ollama, OpenaiChat, stream(&messages, &last("stop")));
    assert_eq!(ended, Ok(Ended::Complete));
    assert!(out.contains("\"id\":\"call_r1_0\"") && out.contains("\"id\":\"call_r1_1\""), "{out}");
}

#[test]
fn an_answer_that_reached_its_limit_says_so_though_it_calls() {
    let heard = hear(Ollama, &[&stream(&[json!({"role": "assistant", "content": "a"})], &last("length"))]);
    assert_eq!(heard.said.choices[&0].finish, Some(FinishReason::Length));
}

#[test]
fn an_error_in_a_stream_is_a_failure_before_and_after_content() {
    let error = json!({"error": "an error was encountered while running the model: unexpected EOF"});
    let (out, ended) = drive(Ollama, OpenaiChat, stream(&[json!({"role": "assistant", "content": "a"})], &error));
    let failure = ended.unwrap_err();
    assert_eq!((failure.kind, failure.message.starts_with("an error was")), (Kind::UpstreamServerError, true));
    assert!(!out.contains("[DONE]"));
    let (out, ended) = drive(Ollama, OpenaiChat, br#"{"error":"prompt too long; exceeded max context length by 4 tokens"}"#.to_vec());
    assert_eq!((ended.unwrap_err().kind, out.as_str()), (Kind::ContextWindow, ""));
    let whole = Ollama.codec().decode_response(br#"{"error":"server busy"}"#).unwrap_err();
    assert_eq!(whole.kind, Kind::UpstreamOverload);
}

#[test]
fn a_stream_without_its_last_line_is_cut_and_one_without_its_last_break_is_not() {
    let whole = stream(&[json!({"role": "assistant", "content": "a"})], &last("stop"));
    let without_break = whole[..whole.len() - 1].to_vec();
    assert_eq!(drive(Ollama, OpenaiChat, without_break).1, Ok(Ended::Complete));
    let first_line = whole.iter().position(|byte| *byte == b'\n').unwrap() + 1;
    let (_, ended) = drive(Ollama, OpenaiChat, whole[..first_line].to_vec());
    assert_eq!(ended.unwrap_err().kind, Kind::UpstreamTruncated);
    let (_, ended) = drive(Ollama, OpenaiChat, b"{\"model\":\"m\",\"response\":\"a\",\"done\":false}\n".to_vec());
    assert_eq!(ended.unwrap_err().kind, Kind::UpstreamMalformed);
}

#[test]
fn a_client_reads_a_line_for_each_event_and_never_an_empty_one() {
    let chunk = |delta: Value| {
        format!("data: {}\n\n", json!({"id": "c", "model": "m", "created": 1_716_584_263, "choices": [{"index": 0, "delta": delta}]}))
    };
    let fragment = |index: u32, more: Value| json!({"tool_calls": [{"index": index, "function": more}]});
    let mut bytes = chunk(json!({"role": "assistant", "content": "a"}));
    bytes.push_str(&chunk(json!({"tool_calls": [{"index": 0, "id": "x", "function": {"name": "f", "arguments": "{\"x\""}}]})));
    bytes.push_str(&chunk(json!({"tool_calls": [{"index": 1, "id": "y", "function": {"name": "g", "arguments": ""}}]})));
    bytes.push_str(&chunk(fragment(0, json!({"arguments": ":1}"}))));
    bytes.push_str(": keep-alive\n\n");
    bytes.push_str("data: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"tool_calls\"}]}\n\ndata: [DONE]\n\n");
    let (out, ended) = drive(OpenaiChat, Ollama, bytes.into_bytes());
    assert_eq!(ended, Ok(Ended::Complete));
    super::shape::check(Ollama, out.as_bytes());
    let lines: Vec<Value> = out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let calls: Vec<&Value> = lines.iter().flat_map(|line| line["message"]["tool_calls"].as_array()).flatten().collect();
    assert_eq!(calls[0], &json!({"id": "x", "function": {"name": "f", "arguments": {"x": 1}}}));
    assert_eq!((&calls[1]["function"]["arguments"], &lines[0]["created_at"]), (&json!({}), &json!("2024-05-24T20:57:43Z")));
}

#[test]
fn a_failure_is_a_line_that_clients_raise() {
    let mut encoder = Ollama.codec().stream_encoder(&Reply::default());
    let mut out = Vec::new();
    encoder.failure(&Failure::new(Kind::UpstreamTruncated, "it broke\n"), "r", &mut out);
    assert_eq!(out, b"{\"error\":\"it broke\\n\"}\n");
}
