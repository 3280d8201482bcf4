//! What a stream of Ollama must look like, read by hand.

use serde_json::Value;

/// Panics where a stream is not what official clients read: they parse every line.
pub(super) fn check(text: &str) {
    assert!(text.ends_with('\n'), "the last line is whole");
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect();
    for (number, line) in lines.iter().enumerate() {
        assert_eq!(line["done"], number + 1 == lines.len(), "the last line is done, and no other: {line}");
        assert!(line["model"].is_string() && line["created_at"].as_str().unwrap().ends_with('Z'), "{line}");
        let message = &line["message"];
        assert!(message["role"] == "assistant" && message["content"].is_string(), "{line}");
        for call in message["tool_calls"].as_array().into_iter().flatten() {
            assert!(call["function"]["name"].as_str().is_some_and(|name| !name.is_empty()), "{line}");
            assert!(call["function"]["arguments"].is_object(), "a call is whole: {line}");
        }
    }
    let last = lines.last().unwrap();
    assert!(last["done_reason"].is_string() && last["prompt_eval_count"].is_u64() && last["eval_count"].is_u64(), "{last}");
}
