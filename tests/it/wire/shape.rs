//! What a stream must look like on the wire, read with another parser than the one under test.

use std::collections::{BTreeMap, BTreeSet};

use bifrostctl::wire::Format;
use serde_json::Value;

/// Panics where a stream is not what official clients of the format read.
pub(super) fn check(format: Format, stream: &[u8]) {
    let text = std::str::from_utf8(stream).unwrap();
    assert!(text.ends_with("\n\n"), "the last frame is whole");
    match format {
        Format::OpenaiChat => openai_chat(text),
        Format::Anthropic => anthropic(text),
    }
}

fn frames(text: &str) -> Vec<(Option<&str>, &str)> {
    text.split_terminator("\n\n")
        .filter(|frame| !frame.starts_with(':'))
        .map(|frame| {
            let lines: Vec<&str> = frame.lines().collect();
            match lines[..] {
                [data] => (None, data.strip_prefix("data: ").unwrap_or_else(|| panic!("{frame}"))),
                [name, data] => (
                    Some(name.strip_prefix("event: ").unwrap_or_else(|| panic!("{frame}"))),
                    data.strip_prefix("data: ").unwrap_or_else(|| panic!("{frame}")),
                ),
                _ => panic!("{frame}"),
            }
        })
        .collect()
}

fn openai_chat(text: &str) {
    let frames = frames(text);
    let (last, chunks) = frames.split_last().unwrap();
    assert_eq!(*last, (None, "[DONE]"));
    let mut heads = BTreeSet::new();
    let mut finished = BTreeSet::new();
    let mut calls: BTreeMap<u64, u64> = BTreeMap::new();
    let mut usages = 0;
    for (name, data) in chunks {
        assert_eq!(*name, None, "{data}");
        let chunk: Value = serde_json::from_str(data).unwrap_or_else(|error| panic!("{error}: {data}"));
        heads.insert(["id", "model", "created"].map(|member| chunk[member].to_string()));
        assert_eq!(chunk["object"], "chat.completion.chunk");
        let choices = chunk["choices"].as_array().unwrap();
        if !chunk["usage"].is_null() {
            assert!(choices.is_empty(), "usage comes alone");
            usages += 1;
        }
        for choice in choices {
            assert_eq!(usages, 0, "usage comes last");
            let number = choice["index"].as_u64().unwrap();
            assert!(!finished.contains(&number), "something behind the finish: {data}");
            if !choice["finish_reason"].is_null() {
                finished.insert(number);
            }
            for call in choice["delta"]["tool_calls"].as_array().into_iter().flatten() {
                let index = call["index"].as_u64().unwrap();
                let known = calls.entry(number).or_default();
                if index == *known {
                    *known += 1;
                    assert!(!call["id"].as_str().unwrap().is_empty() && call["type"].is_string(), "{data}");
                    assert!(!call["function"]["name"].as_str().unwrap().is_empty(), "{data}");
                } else {
                    assert!(index < *known, "calls are numbered without gaps: {data}");
                    assert!(call["id"].is_null(), "a call is introduced once: {data}");
                }
            }
        }
    }
    assert_eq!(heads.len(), 1, "every chunk has the same head");
    assert!(!finished.is_empty() && usages <= 1);
}

fn anthropic(text: &str) {
    let frames = frames(text);
    let mut open: Option<u64> = None;
    let mut blocks = 0;
    let mut order = Vec::new();
    for (name, data) in frames {
        let event: Value = serde_json::from_str(data).unwrap_or_else(|error| panic!("{error}: {data}"));
        let name = name.unwrap();
        assert_eq!(event["type"], name);
        let index = event["index"].as_u64();
        match name {
            "content_block_start" => {
                assert_eq!((open, index), (None, Some(blocks)), "one block at a time, numbered without gaps: {data}");
                open = index;
                blocks += 1;
            }
            "content_block_delta" => {
                assert_eq!(open, index, "{data}");
                let text = &event["delta"]["text"];
                assert_ne!(text, "", "an empty text");
            }
            "content_block_stop" => {
                assert_eq!(open.take(), index, "{data}");
                assert!(index.is_some());
            }
            "ping" => {}
            other => order.push(other.to_owned()),
        }
        if name == "message_delta" {
            assert_eq!(open, None, "a block is open at the end");
            assert!(event["delta"]["stop_reason"].is_string() && event["usage"]["output_tokens"].is_u64(), "{data}");
        }
    }
    assert_eq!(order, ["message_start", "message_delta", "message_stop"]);
    assert!(text.find("event: message_start") < text.find("event: content_block_start") || blocks == 0);
}
