//! What a stream of Cohere must look like, read by hand.

use serde_json::{Value, json};

/// What a client gathers: blocks of content and calls, each numbered apart.
#[derive(Default)]
struct Gathered {
    contents: Vec<&'static str>,
    calls: usize,
    open: Option<(&'static str, usize)>,
}

impl Gathered {
    fn open(&mut self, kind: &'static str, number: usize, event: &Value) {
        assert_eq!((self.open, &event["index"]), (None, &json!(number)), "one at a time, numbered without gaps: {event}");
        self.open = Some((kind, number));
    }

    fn more(&self, kind: &'static str, text: &Value, event: &Value) {
        let (open, number) = self.open.unwrap_or_else(|| panic!("nothing is open: {event}"));
        assert_eq!((open, &event["index"]), (kind, &json!(number)), "{event}");
        assert!(text.as_str().is_some_and(|text| kind == "call" || !text.is_empty()), "{event}");
    }

    fn close(&mut self, is_call: bool, event: &Value) {
        let (kind, number) = self.open.take().unwrap_or_else(|| panic!("nothing is open: {event}"));
        assert_eq!((kind == "call", &event["index"]), (is_call, &json!(number)), "{event}");
    }
}

/// Panics where a stream is not what official clients read.
pub(super) fn check(frames: Vec<(Option<&str>, &str)>) {
    let (last, events) = frames.split_last().unwrap();
    assert_eq!(*last, (None, "[DONE]"));
    let (mut gathered, mut order) = (Gathered::default(), Vec::new());
    for (name, data) in events {
        let event: Value = serde_json::from_str(data).unwrap_or_else(|error| panic!("{error}: {data}"));
        let name = name.unwrap();
        assert_eq!(event["type"], name);
        let message = &event["delta"]["message"];
        match name {
            "content-start" => {
                let kind = if message["content"]["type"] == "text" { "text" } else { "thinking" };
                assert!(message["content"][kind].is_string(), "{event}");
                gathered.open(kind, gathered.contents.len(), &event);
                gathered.contents.push(kind);
            }
            "content-delta" => {
                let kind = gathered.contents.last().copied().unwrap_or_default();
                gathered.more(kind, &message["content"][kind], &event);
            }
            "content-end" => gathered.close(false, &event),
            "tool-call-start" => {
                let call = &message["tool_calls"];
                let is_said = |text: &Value| text.as_str().is_some_and(|text| !text.is_empty());
                assert!(is_said(&call["id"]) && is_said(&call["function"]["name"]) && call["type"] == "function", "{event}");
                assert_eq!(call["function"]["arguments"], "", "{event}");
                gathered.open("call", gathered.calls, &event);
                gathered.calls += 1;
            }
            "tool-call-delta" => gathered.more("call", &message["tool_calls"]["function"]["arguments"], &event),
            "tool-call-end" => gathered.close(true, &event),
            "citation-start" => assert!(message["citations"].is_object(), "{event}"),
            "citation-end" => {}
            other => order.push(other.to_owned()),
        }
        if name == "message-end" {
            assert_eq!(gathered.open, None, "something is open at the end");
            let tokens = &event["delta"]["usage"]["tokens"];
            assert!(event["delta"]["finish_reason"].is_string() && tokens["input_tokens"].is_u64(), "{event}");
        }
    }
    assert_eq!(order, ["message-start", "message-end"]);
}
