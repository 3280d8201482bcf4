//! The ways in which servers stream calls of tools and thoughts, beyond what the recordings show.

use bifrostctl::wire::Format;
use bifrostctl::wire::driver::Driver;
use bifrostctl::wire::ir::FinishReason;
use bytes::Bytes;

use super::corpus::REPLY;
use super::said::{Call, Choice, hear};
use super::shape;

fn openai(deltas: &[&str], finish: &str) -> Vec<u8> {
    let chunk = |delta: &str, finish: &str| {
        format!(
            "data: {{\"id\":\"c\",\"model\":\"m\",\"created\":1,\"choices\":[{{\"index\":0,\"delta\":{delta},\"finish_reason\":{finish}}}]}}\n\n"
        )
    };
    let mut stream: String = deltas.iter().map(|delta| chunk(delta, "null")).collect();
    stream.push_str(&chunk("{}", &format!("\"{finish}\"")));
    stream.push_str("data: [DONE]\n\n");
    stream.into_bytes()
}

/// What a stream of calls says, in its own format and when it was translated to the other one.
fn calls(deltas: &[&str], finish: &str) -> Choice {
    let stream = openai(deltas, finish);
    let heard = hear(Format::OpenaiChat, &[&stream]);
    assert_eq!(heard.failure, None);
    let choice = heard.said.choices[&0].clone();
    let mut driver = Driver::new(Format::OpenaiChat, Format::Anthropic, &REPLY, None);
    let mut out = Vec::new();
    driver.push(Bytes::from(stream), &mut out).unwrap();
    driver.end(&mut out).unwrap();
    shape::check(Format::Anthropic, &out);
    let translated = hear(Format::Anthropic, &[&out]).said.choices[&0].clone();
    let without_ids = |calls: &[Call]| calls.iter().map(|(_, name, input)| (name.clone(), input.clone())).collect::<Vec<_>>();
    assert_eq!(without_ids(&translated.calls), without_ids(&choice.calls));
    assert_eq!(translated.finish, choice.finish);
    choice
}

fn call(id: &str, name: &str, input: &str) -> Call {
    (id.to_owned(), name.to_owned(), input.to_owned())
}

#[test]
fn parallel_calls_may_interleave_their_fragments() {
    let told = calls(
        &[
            r#"{"tool_calls":[{"index":0,"id":"a","type":"function","function":{"name":"f","arguments":""}},{"index":1,"id":"b","type":"function","function":{"name":"g","arguments":""}}]}"#,
            r#"{"tool_calls":[{"index":1,"function":{"arguments":"{\"y\":"}}]}"#,
            r#"{"tool_calls":[{"index":0,"function":{"arguments":"{\"x\":"}}]}"#,
            r#"{"tool_calls":[{"index":0,"function":{"arguments":"1}"}},{"index":1,"function":{"arguments":"2}"}}]}"#,
        ],
        "tool_calls",
    );
    assert_eq!(told.calls, [call("a", "f", r#"{"x":1}"#), call("b", "g", r#"{"y":2}"#)]);
    assert_eq!(told.finish, Some(FinishReason::ToolCalls));
}

#[test]
fn a_new_id_is_a_new_call_whatever_its_number() {
    for index in ["\"index\":0,", ""] {
        let one = format!(r#"{{"tool_calls":[{{{index}"id":"a","function":{{"name":"f","arguments":"{{}}"}}}}]}}"#);
        let two = format!(r#"{{"tool_calls":[{{{index}"id":"b","function":{{"name":"f","arguments":"{{\"x\":1"}}}}]}}"#);
        let more = format!(r#"{{"tool_calls":[{{{index}"function":{{"arguments":"}}"}}}}]}}"#);
        let told = calls(&[&one, &two, &more], "tool_calls");
        assert_eq!(told.calls, [call("a", "f", "{}"), call("b", "f", r#"{"x":1}"#)], "{index}");
    }
}

#[test]
fn a_name_may_come_behind_the_first_input_and_an_empty_id_overwrites_nothing() {
    let told = calls(
        &[
            r#"{"tool_calls":[{"index":0,"id":"a","function":{"arguments":"{\"x\""}}]}"#,
            r#"{"tool_calls":[{"index":0,"id":"","function":{"name":"f","arguments":":1"}}]}"#,
            r#"{"tool_calls":[{"index":0,"id":"","function":{"name":"","arguments":"}"}}]}"#,
        ],
        "tool_calls",
    );
    assert_eq!(told.calls, [call("a", "f", r#"{"x":1}"#)]);
}

#[test]
fn an_id_and_a_name_that_are_repeated_are_the_same_call() {
    let fragment = |input: &str| {
        format!(r#"{{"tool_calls":[{{"index":0,"id":"a","type":"function","function":{{"name":"f","arguments":{input}}}}}]}}"#)
    };
    let told = calls(&[&fragment(r#""{\"x\":""#), &fragment(r#""1}""#)], "tool_calls");
    assert_eq!(told.calls, [call("a", "f", r#"{"x":1}"#)]);
}

#[test]
fn no_input_is_an_empty_object_in_every_spelling() {
    for input in ["\"\"", "null", "\"null\"", "\" \"", "{}", "\"{}\""] {
        let fragment = format!(r#"{{"tool_calls":[{{"index":0,"id":"a","function":{{"name":"f","arguments":{input}}}}}]}}"#);
        let told = calls(&[&fragment], "tool_calls");
        assert_eq!(told.calls, [call("a", "f", "{}")], "{input}");
    }
    let split = [
        r#"{"tool_calls":[{"index":0,"id":"a","function":{"name":"f","arguments":"nu"}}]}"#,
        r#"{"tool_calls":[{"index":0,"function":{"arguments":"ll"}}]}"#,
    ];
    assert_eq!(calls(&split, "tool_calls").calls, [call("a", "f", "{}")]);
}

#[test]
fn calls_end_with_tool_calls_whatever_the_upstream_says_and_the_first_finish_counts() {
    let fragment = r#"{"content":"a","tool_calls":[{"index":0,"id":"a","function":{"name":"f","arguments":"{}"}}]}"#;
    assert_eq!(calls(&[fragment], "stop").finish, Some(FinishReason::ToolCalls));
    // An answer that was cut short stays so: its last call may be broken.
    assert_eq!(calls(&[fragment], "length").finish, Some(FinishReason::Length));
}

#[test]
fn text_behind_a_call_is_a_text_again() {
    let told = calls(
        &[
            r#"{"content":"before"}"#,
            r#"{"tool_calls":[{"index":0,"id":"a","function":{"name":"f","arguments":"{}"}}]}"#,
            r#"{"content":" after"}"#,
        ],
        "tool_calls",
    );
    assert_eq!(told.text, "before after");
    let heard = hear(Format::OpenaiChat, &[&openai(&[r#"{"content":"a"}"#, r#"{"content":""}"#, r#"{"content":"b"}"#], "stop")]);
    assert_eq!(heard.events.iter().filter(|event| event.starts_with("PartStart")).count(), 1);
}

#[test]
fn the_form_before_tool_calls_is_a_call_too() {
    let told =
        calls(&[r#"{"function_call":{"name":"f","arguments":""}}"#, r#"{"function_call":{"arguments":"{\"x\":1}"}}"#], "function_call");
    assert_eq!(told.calls, [call("call_f", "f", r#"{"x":1}"#)]);
    assert_eq!(told.finish, Some(FinishReason::ToolCalls));
}

#[test]
fn thoughts_are_told_once_though_they_stand_in_two_spellings() {
    let both = r#"{"reasoning":"hm","reasoning_details":[{"type":"reasoning.text","text":"hm","format":"anthropic-claude-v1"}]}"#;
    let signed = r#"{"reasoning_details":[{"type":"reasoning.text","signature":"s","format":"anthropic-claude-v1"}]}"#;
    let told = calls(&[both, signed, r#"{"content":"a"}"#], "stop");
    assert_eq!((told.thinking.as_str(), told.signatures), ("hm", vec!["s".to_owned()]));
}

fn anthropic(events: &[&str]) -> Vec<u8> {
    let start = r#"{"type":"message_start","message":{"id":"m","model":"c","usage":{"input_tokens":1,"output_tokens":1}}}"#;
    let end = [r#"{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":9}}"#, r#"{"type":"message_stop"}"#];
    [start].iter().chain(events).chain(&end).map(|data| format!("data: {data}\n\n")).collect::<String>().into_bytes()
}

#[test]
fn input_that_comes_with_the_start_of_a_call_counts_where_no_other_does() {
    let start = r#"{"type":"content_block_start","index":0,"content_block":{"type":"tool_use","id":"t","name":"f","input":{"x":1}}}"#;
    let stop = r#"{"type":"content_block_stop","index":0}"#;
    let heard = hear(Format::Anthropic, &[&anthropic(&[start, stop])]);
    assert_eq!(heard.said.choices[&0].calls, [call("t", "f", r#"{"x":1}"#)]);
    // The upstream said that its turn was over, and called a tool.
    assert_eq!(heard.said.choices[&0].finish, Some(FinishReason::ToolCalls));
    let delta = r#"{"type":"content_block_delta","index":0,"delta":{"type":"input_json_delta","partial_json":"{\"x\":2}"}}"#;
    let heard = hear(Format::Anthropic, &[&anthropic(&[start, delta, stop])]);
    assert_eq!(heard.said.choices[&0].calls, [call("t", "f", r#"{"x":2}"#)]);
}

#[test]
fn a_delta_without_its_block_is_malformed() {
    for bad in [
        r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"a"}}"#,
        r#"{"type":"content_block_stop","index":0}"#,
        "not json",
    ] {
        assert!(hear(Format::Anthropic, &[&anthropic(&[bad])]).failure.is_some(), "{bad}");
    }
    let unknown = r#"{"type":"brand_new_event","index":0}"#;
    assert_eq!(hear(Format::Anthropic, &[&anthropic(&[unknown])]).failure, None);
}
