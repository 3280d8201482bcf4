//! What a stream must look like on the wire, read with another parser than the one under test.

use std::collections::{BTreeMap, BTreeSet};

use bifrostctl::wire::Format;
use serde_json::{Value, json};

/// Panics where a stream is not what official clients of the format read.
pub(super) fn check(format: Format, stream: &[u8]) {
    match format {
        Format::OpenaiChat => openai_chat(text(stream)),
        Format::OpenaiResponses => openai_responses(text(stream)),
        Format::Anthropic => anthropic(text(stream)),
        Format::Gemini => gemini(text(stream)),
        Format::Cohere => super::shape_cohere::check(frames(text(stream))),
        Format::Ollama => super::shape_ollama::check(std::str::from_utf8(stream).unwrap()),
        Format::Bedrock => super::shape_bedrock::check(stream),
    }
}

fn text(stream: &[u8]) -> &str {
    let text = std::str::from_utf8(stream).unwrap();
    assert!(text.ends_with("\n\n"), "the last frame is whole");
    text
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
                    assert!(!call[call["type"].as_str().unwrap()]["name"].as_str().unwrap().is_empty(), "{data}");
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

/// What official clients gather: each item by its place, with its pieces, and whether it has ended.
#[derive(Default)]
struct Gathered {
    items: Vec<Value>,
    ended: Vec<bool>,
    open_pieces: BTreeSet<(u64, u64)>,
}

impl Gathered {
    fn open_item(&mut self, event: &Value) -> &mut Value {
        let index = usize::try_from(event["output_index"].as_u64().unwrap()).unwrap();
        assert!(!self.ended[index], "something behind the end of an item: {event}");
        let item = &mut self.items[index];
        if !event["item_id"].is_null() {
            assert_eq!(event["item_id"], item["id"], "{event}");
        }
        item
    }

    fn added(&mut self, event: &Value) {
        assert_eq!(event["output_index"], json!(self.items.len()), "items are numbered in their order: {event}");
        assert!(event["item"]["id"].is_string() && event["item"]["type"].is_string(), "{event}");
        self.items.push(event["item"].clone());
        self.ended.push(false);
    }

    fn grow(&mut self, event: &Value, kind: &str, member: &str) {
        let item = self.open_item(event);
        assert_eq!(item["type"], kind, "{event}");
        let grown = format!("{}{}", item[member].as_str().unwrap(), event["delta"].as_str().unwrap());
        item[member] = json!(grown);
    }

    fn grow_piece(&mut self, event: &Value, list: &str, number: &str, member: &str) {
        let at = usize::try_from(event[number].as_u64().unwrap()).unwrap();
        let piece = &mut self.open_item(event)[list][at];
        let grown = format!("{}{}", piece[member].as_str().unwrap_or_else(|| panic!("{event}")), event["delta"].as_str().unwrap());
        piece[member] = json!(grown);
        if list == "content" {
            assert!(self.open_pieces.contains(&(event["output_index"].as_u64().unwrap(), at as u64)), "{event}");
        }
    }

    fn piece_added(&mut self, event: &Value, list: &str, number: &str) {
        let pieces = self.open_item(event)[list].as_array_mut().unwrap();
        assert_eq!(event[number], json!(pieces.len()), "{event}");
        pieces.push(event["part"].clone());
        if list == "content" {
            assert!(self.open_pieces.insert((event["output_index"].as_u64().unwrap(), event[number].as_u64().unwrap())));
        }
    }

    /// A piece or an item that is whole is what was gathered, but for what only its end tells.
    fn done(&mut self, event: &Value) {
        let item = self.open_item(event);
        let whole = &event["item"];
        for member in ["id", "type", "call_id", "name", "arguments", "input", "summary"] {
            // Items that only this format has grow in events of their own.
            if matches!(item["type"].as_str().unwrap(), "message" | "function_call" | "custom_tool_call" | "reasoning") {
                assert_eq!(item[member], whole[member], "{member}: {event}");
            }
        }
        let texts = |item: &Value| -> Vec<String> {
            let content = item["content"].as_array();
            content.into_iter().flatten().map(|piece| format!("{}{}", piece["text"], piece["refusal"])).collect()
        };
        assert_eq!(texts(item), texts(whole), "{event}");
        *item = whole.clone();
        let index = event["output_index"].as_u64().unwrap();
        assert!(self.open_pieces.iter().all(|(item, _)| *item != index), "an item ends with an open piece: {event}");
        self.ended[usize::try_from(index).unwrap()] = true;
    }
}

fn openai_responses(text: &str) {
    let mut gathered = Gathered::default();
    let mut order = Vec::new();
    let mut heads = BTreeSet::new();
    for (sequence, (name, data)) in frames(text).into_iter().enumerate() {
        let event: Value = serde_json::from_str(data).unwrap_or_else(|error| panic!("{error}: {data}"));
        assert_eq!(event["type"], name.unwrap());
        assert_eq!(event["sequence_number"], json!(sequence), "{data}");
        let response = &event["response"];
        if response.is_object() {
            order.push(name.unwrap().to_owned());
            heads.insert(["id", "model", "created_at", "object"].map(|member| response[member].to_string()));
            for member in ["error", "incomplete_details", "tools", "tool_choice", "parallel_tool_calls", "metadata", "usage", "status"] {
                assert!(response.get(member).is_some(), "{member}: {data}");
            }
        }
        match name.unwrap() {
            "response.output_item.added" => gathered.added(&event),
            "response.output_item.done" => gathered.done(&event),
            "response.content_part.added" => gathered.piece_added(&event, "content", "content_index"),
            "response.reasoning_summary_part.added" => gathered.piece_added(&event, "summary", "summary_index"),
            "response.output_text.delta" => gathered.grow_piece(&event, "content", "content_index", "text"),
            "response.refusal.delta" => gathered.grow_piece(&event, "content", "content_index", "refusal"),
            "response.reasoning_summary_text.delta" => gathered.grow_piece(&event, "summary", "summary_index", "text"),
            "response.function_call_arguments.delta" => gathered.grow(&event, "function_call", "arguments"),
            "response.custom_tool_call_input.delta" => gathered.grow(&event, "custom_tool_call", "input"),
            "response.content_part.done" => {
                let place = (event["output_index"].as_u64().unwrap(), event["content_index"].as_u64().unwrap());
                assert!(gathered.open_pieces.remove(&place), "{data}");
            }
            "response.completed" | "response.incomplete" => {
                assert!(gathered.ended.iter().all(|ended| *ended), "an item is open at the end");
                assert_eq!(response["output"], json!(gathered.items), "the end repeats the items");
            }
            _ => {}
        }
    }
    assert_eq!(order[..2], ["response.created", "response.in_progress"]);
    assert!(order.len() == 3 && heads.len() == 1, "{order:?} {heads:?}");
}

fn gemini(text: &str) {
    assert!(!text.contains("\n:") && !text.starts_with(':'), "a comment, which Google's client takes for an answer");
    let frames = frames(text);
    let mut heads = BTreeSet::new();
    let mut finished = BTreeSet::new();
    for (number, (name, data)) in frames.iter().enumerate() {
        assert_eq!(*name, None, "{data}");
        let chunk: Value = serde_json::from_str(data).unwrap_or_else(|error| panic!("{error}: {data}"));
        heads.insert(["responseId", "modelVersion"].map(|member| chunk[member].to_string()));
        for candidate in chunk["candidates"].as_array().unwrap() {
            let index = candidate["index"].as_u64().unwrap();
            assert!(!finished.contains(&index), "something behind the finish: {data}");
            if candidate["finishReason"].is_string() {
                assert_eq!(number + 1, frames.len(), "the finish stands in the last chunk");
                finished.insert(index);
            }
            for part in candidate["content"]["parts"].as_array().into_iter().flatten() {
                let call = &part["functionCall"];
                assert!(part["text"].is_string() || call["args"].is_object() && call["name"].is_string(), "{data}");
                if let Some(signature) = part["thoughtSignature"].as_str() {
                    let is_base64 = |byte: u8| byte.is_ascii_alphanumeric() || b"-_=+/".contains(&byte);
                    assert!(signature.bytes().all(is_base64), "bytes are base64: {data}");
                }
            }
        }
    }
    assert_eq!(heads.len(), 1, "every chunk has the same head");
    assert!(!finished.is_empty());
}
