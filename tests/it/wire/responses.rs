//! What the Responses API makes of requests and answers, one rule a test.

use bifrostctl::error::Kind;
use bifrostctl::wire::Format::{self, Anthropic, OpenaiChat, OpenaiResponses};
use bifrostctl::wire::codec::{Reply, Route, Target};
use bifrostctl::wire::quirks::{CacheMarks, Quirks, ReasoningField};
use serde_json::{Value, json};

use super::corpus::REPLY;

/// A request and its losses, for a server with quirks.
fn written(from: Format, body: &Value, into: Format, (model, quirks): (&str, &Quirks)) -> (Value, Vec<String>) {
    let text = body.to_string();
    let request = from.codec().decode_request(text.as_bytes(), &Route::default()).unwrap_or_else(|bad| panic!("{bad}: {text}"));
    let encoded = into.codec().encode_request(&request, &Target { model, max_output_tokens: None, quirks });
    let losses = encoded.losses.iter().map(|loss| format!("{} {}", loss.reason.as_str(), loss.path)).collect();
    (serde_json::from_slice(&encoded.body).unwrap(), losses)
}

/// Sends a request of this format to another one.
fn sent(more: Value, into: Format) -> (Value, Vec<String>) {
    let mut body = json!({"model": "m", "input": "hi"});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let model = if into == Anthropic { "claude-sonnet-4-5" } else { "gpt-4.1" };
    written(OpenaiResponses, &body, into, (model, &Quirks::OPENAI))
}

/// Sends a chat to a model of this format.
fn taken(more: Value, model: &str) -> (Value, Vec<String>) {
    let mut body = json!({"model": "m", "messages": [{"role": "user", "content": "hi"}]});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    written(OpenaiChat, &body, OpenaiResponses, (model, &Quirks::OPENAI))
}

#[test]
fn instructions_stand_first_in_every_format() {
    let (body, losses) = sent(json!({"instructions": "be kind"}), OpenaiChat);
    assert_eq!(body["messages"], json!([{"role": "system", "content": "be kind"}, {"role": "user", "content": "hi"}]));
    assert_eq!(losses, [""; 0]);
    assert_eq!(sent(json!({"instructions": "be kind"}), Anthropic).0["system"], "be kind");
    let chat =
        json!([{"role": "developer", "content": "be kind"}, {"role": "user", "content": "hi"}, {"role": "system", "content": "late"}]);
    let (body, _) = taken(json!({"messages": chat}), "gpt-4.1");
    assert_eq!(body["instructions"], "be kind");
    let input = json!([{"type": "message", "role": "user", "content": "hi"}, {"type": "message", "role": "system", "content": "late"}]);
    assert_eq!(body["input"], input);
}

#[test]
fn instructions_and_system_messages_stay_what_they_were_in_their_own_format() {
    let input = json!([{"type": "message", "role": "system", "content": "s"}, {"type": "message", "role": "user", "content": "u"}]);
    let (body, _) = sent(json!({"input": input}), OpenaiResponses);
    assert_eq!((body.get("instructions"), &body["input"]), (None, &input));
    let (body, _) = sent(json!({"instructions": "i", "input": input}), OpenaiResponses);
    assert_eq!((&body["instructions"], &body["input"]), (&json!("i"), &input));
}

#[test]
fn a_turn_of_items_is_one_message_with_its_calls() {
    let input = json!([
        {"role": "user", "content": "hi"},
        {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "sealed"},
        {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": [{"type": "output_text", "text": "wait", "annotations": [], "logprobs": []}]},
        {"type": "function_call", "id": "fc_1", "call_id": "a", "name": "f", "arguments": "{}", "status": "completed"},
        {"type": "function_call", "call_id": "b", "name": "g", "arguments": ""},
        {"type": "function_call_output", "call_id": "a", "output": "1"},
        {"type": "function_call_output", "call_id": "b", "output": [{"type": "input_text", "text": "2"}]},
    ]);
    let (body, losses) = sent(json!({"input": input}), OpenaiChat);
    let messages = body["messages"].as_array().unwrap();
    let roles: Vec<&str> = messages.iter().map(|message| message["role"].as_str().unwrap()).collect();
    assert_eq!(roles, ["user", "assistant", "tool", "tool"]);
    assert_eq!(messages[1]["content"], "wait");
    assert_eq!(messages[1]["tool_calls"][1], json!({"id": "b", "type": "function", "function": {"name": "g", "arguments": "{}"}}));
    assert_eq!(messages[3], json!({"role": "tool", "tool_call_id": "b", "content": "2"}));
    // What items are known by at their provider is no loss.
    assert_eq!(losses, ["unsupported input[1]"]);
}

#[test]
fn two_messages_of_the_model_stay_two() {
    let input = json!([{"role": "assistant", "content": "a"}, {"role": "assistant", "content": "b", "phase": "final_answer"}]);
    let (body, losses) = sent(json!({"input": input}), OpenaiChat);
    assert_eq!(body["messages"], json!([{"role": "assistant", "content": "a"}, {"role": "assistant", "content": "b"}]));
    assert_eq!(losses, ["unknown input[1].phase"]);
    let (body, losses) = sent(json!({"input": input}), OpenaiResponses);
    assert_eq!((&body["input"][1]["phase"], losses), (&json!("final_answer"), Vec::new()));
}

#[test]
fn what_the_provider_keeps_is_told_as_such_and_passes_to_it() {
    let leaning = json!({
        "previous_response_id": "resp_1", "conversation": "conv_1", "prompt": {"id": "p"}, "background": true,
        "input": [{"type": "item_reference", "id": "msg_1"}, {"id": "msg_2"}, {"role": "user", "content": "hi"}],
    });
    for into in [OpenaiChat, Anthropic] {
        let (_, mut losses) = sent(leaning.clone(), into);
        losses.sort_unstable();
        let expected = ["background", "conversation", "input[0]", "input[1]", "previous_response_id", "prompt"];
        assert_eq!(losses, expected.map(|path| format!("stored {path}")), "{into:?}");
    }
    let (body, losses) = sent(leaning.clone(), OpenaiResponses);
    assert_eq!(losses, [""; 0]);
    for name in ["previous_response_id", "conversation", "prompt", "background"] {
        assert_eq!(body[name], leaning[name]);
    }
    assert_eq!(body["input"][0], leaning["input"][0]);
    // Without anything that is stored there must be an input.
    let bad = OpenaiResponses.codec().decode_request(br#"{"model":"m"}"#, &Route::default()).unwrap_err();
    assert_eq!(bad.to_string(), "`input` must be a string or an array of items");
    assert!(OpenaiResponses.codec().decode_request(br#"{"model":"m","prompt":{"id":"p"}}"#, &Route::default()).is_ok());
}

#[test]
fn what_is_so_anyway_is_no_loss() {
    let usual = json!({
        "background": false, "truncation": "disabled", "store": false, "top_logprobs": 0, "stream_options": {"include_obfuscation": false},
        "include": ["reasoning.encrypted_content"], "text": {"format": {"type": "text"}}, "stream": true,
    });
    assert_eq!(sent(usual.clone(), Anthropic).1, [""; 0]);
    let (body, losses) = sent(usual, OpenaiResponses);
    assert_eq!((&body["truncation"], losses), (&json!("disabled"), Vec::new()));
    let (_, losses) = sent(json!({"truncation": "auto", "include": ["web_search_call.results"], "max_tool_calls": 3}), OpenaiChat);
    assert_eq!(losses, ["unknown truncation", "unknown include", "unknown max_tool_calls"]);
}

#[test]
fn tools_are_flat_and_as_strict_as_the_client_means() {
    let function = json!({"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}});
    let bare = json!({"type": "function", "function": {"name": "g", "strict": true}});
    let grammar = json!({"type": "grammar", "grammar": {"syntax": "regex", "definition": "a+"}});
    let custom = json!({"type": "custom", "custom": {"name": "c", "format": grammar}});
    let choice = json!({"type": "custom", "custom": {"name": "c"}});
    let (body, losses) = taken(json!({"tools": [function, bare, custom], "tool_choice": choice}), "gpt-4.1");
    assert_eq!(
        body["tools"],
        json!([
            {"type": "function", "name": "f", "parameters": {"type": "object"}, "strict": false},
            {"type": "function", "name": "g", "parameters": {"type": "object", "properties": {}}, "strict": true},
            {"type": "custom", "name": "c", "format": {"type": "grammar", "syntax": "regex", "definition": "a+"}},
        ])
    );
    assert_eq!(body["tool_choice"], json!({"type": "custom", "name": "c"}));
    assert_eq!(losses, [""; 0]);
    let back = json!({"model": "m", "input": "hi", "tools": body["tools"], "tool_choice": {"type": "function", "name": "f"}});
    let (chat, _) = written(OpenaiResponses, &back, OpenaiChat, ("gpt-4.1", &Quirks::OPENAI));
    assert_eq!(chat["tools"][2], custom);
    assert_eq!(chat["tool_choice"], json!({"type": "function", "function": {"name": "f"}}));
}

#[test]
fn choices_among_tools_of_the_provider_are_told() {
    let tools = json!([{"type": "function", "name": "f", "parameters": {}}, {"type": "web_search"}]);
    let choice = json!({"type": "allowed_tools", "mode": "auto", "tools": [{"type": "web_search"}]});
    let (body, losses) = sent(json!({"tools": tools, "tool_choice": choice}), OpenaiChat);
    assert_eq!((body.get("tool_choice"), body["tools"].as_array().unwrap().len()), (None, 1));
    assert_eq!(losses, ["unsupported tools[1]", "unknown tool_choice"]);
    let (body, losses) = sent(json!({"tools": tools, "tool_choice": choice}), OpenaiResponses);
    assert_eq!((&body["tool_choice"], &body["tools"][1], losses), (&choice, &tools[1], Vec::new()));
}

#[test]
fn other_clients_are_served_without_a_memory_and_with_thoughts_that_can_come_back() {
    for (model, include) in [
        ("gpt-5", json!(["reasoning.encrypted_content"])),
        ("gpt-5.4", json!(["reasoning.encrypted_content"])),
        ("grok-4.3", json!(["reasoning.encrypted_content"])),
        ("gpt-4.1", Value::Null),
        ("deepseek-v4-flash", Value::Null),
    ] {
        let (body, losses) = taken(json!({}), model);
        assert_eq!((&body["include"], &body["store"], losses), (&include, &json!(false), Vec::new()), "{model}");
    }
    let (body, losses) = taken(json!({"logprobs": true, "top_logprobs": 2, "store": true}), "gpt-4.1");
    assert_eq!((&body["include"], &body["top_logprobs"]), (&json!(["message.output_text.logprobs"]), &json!(2)));
    assert_eq!((&body["store"], losses), (&json!(true), Vec::new()));
    let (chat, losses) = sent(json!({"include": ["message.output_text.logprobs"], "top_logprobs": 2}), OpenaiChat);
    assert_eq!((&chat["logprobs"], &chat["top_logprobs"], losses), (&json!(true), &json!(2), Vec::new()));
    assert_eq!(sent(json!({"top_logprobs": 2}), OpenaiChat).0["logprobs"], true);
}

#[test]
fn what_has_no_counterpart_is_told() {
    let more =
        json!({"stop": ["x"], "seed": 1, "n": 2, "presence_penalty": 0.5, "frequency_penalty": 0, "logit_bias": {"1": 2}, "top_k": 3});
    let (_, losses) = taken(more, "gpt-4.1");
    let expected = ["stop[0]", "seed", "n", "presence_penalty", "logit_bias", "top_k"];
    assert_eq!(losses, expected.map(|path| format!("unsupported {path}")));
    let (body, losses) = taken(json!({"temperature": 0.5, "top_p": 0.5}), "gpt-5");
    assert_eq!((body.get("temperature"), losses.len()), (None, 2));
    let (body, losses) = taken(json!({"max_tokens": 1}), "gpt-4.1");
    assert_eq!((&body["max_output_tokens"], losses), (&json!(16), vec!["approximated max_tokens".to_owned()]));
}

#[test]
fn efforts_and_shapes_stand_in_their_objects() {
    let schema = json!({"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "object"}, "strict": true}});
    let (body, losses) = taken(json!({"reasoning_effort": "high", "verbosity": "low", "response_format": schema}), "gpt-5");
    assert_eq!(body["reasoning"], json!({"effort": "high"}));
    let format = json!({"type": "json_schema", "name": "n", "schema": {"type": "object"}, "strict": true});
    assert_eq!(body["text"], json!({"format": format, "verbosity": "low"}));
    assert_eq!(losses, [""; 0]);
    for (effort, model, word) in
        [("none", "gpt-5.6", "none"), ("none", "o4-mini", "low"), ("xhigh", "gpt-5", "high"), ("max", "gpt-5.4", "xhigh")]
    {
        assert_eq!(taken(json!({"reasoning_effort": effort}), model).0["reasoning"]["effort"], word, "{effort} {model}");
    }
    let (body, losses) = taken(json!({"reasoning_effort": "high"}), "gpt-4.1");
    assert_eq!((body.get("reasoning"), losses), (None, vec!["unsupported reasoning_effort".to_owned()]));
    let reasoning = json!({"effort": "low", "summary": "auto", "context": "all_turns"});
    let ask = json!({"model": "m", "input": "", "reasoning": reasoning, "text": {"zz": 1}});
    let (body, losses) = written(OpenaiResponses, &ask, OpenaiResponses, ("gpt-5", &Quirks::OPENAI));
    assert_eq!((&body["reasoning"], &body["text"], losses), (&reasoning, &json!({"zz": 1}), Vec::new()));
    let (chat, losses) =
        written(OpenaiResponses, &json!({"model": "m", "input": "", "reasoning": reasoning}), OpenaiChat, ("gpt-5", &Quirks::OPENAI));
    assert_eq!(chat["reasoning_effort"], "low");
    assert_eq!(losses, ["unsupported reasoning.summary", "unknown reasoning.context"]);
    // A member that would slip into the object is not one of it.
    let (body, losses) = sent(json!({"reasoning.effort": "high"}), OpenaiResponses);
    assert_eq!((body.get("reasoning"), losses), (None, vec!["unknown reasoning.effort".to_owned()]));
}

#[test]
fn results_keep_their_pictures_and_say_that_they_failed() {
    let picture = json!({"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}});
    let file = json!({"type": "document", "source": {"type": "url", "url": "https://a/b.pdf"}});
    let result =
        json!({"type": "tool_result", "tool_use_id": "t", "is_error": true, "content": [{"type": "text", "text": "no"}, picture, file]});
    let call = json!({"role": "assistant", "content": [{"type": "tool_use", "id": "t", "name": "f", "input": {}}]});
    let body = json!({"model": "m", "max_tokens": 100, "messages": [{"role": "user", "content": "hi"}, call, {"role": "user", "content": [result]}]});
    let (body, losses) = written(Anthropic, &body, OpenaiResponses, ("gpt-4.1", &Quirks::OPENAI));
    assert_eq!(
        body["input"][2],
        json!({"type": "function_call_output", "call_id": "t", "output": [
            {"type": "input_text", "text": "Error:"},
            {"type": "input_text", "text": "no"},
            {"type": "input_image", "image_url": "data:image/png;base64,AAAA"},
            {"type": "input_file", "file_url": "https://a/b.pdf"},
        ]})
    );
    assert_eq!(losses, ["approximated messages[2].content[0].is_error"]);
    // The answer to a call of free text is one of free text.
    let custom = json!({"id": "c", "type": "custom", "custom": {"name": "sql", "input": "select"}});
    let messages =
        json!([{"role": "assistant", "content": null, "tool_calls": [custom]}, {"role": "tool", "tool_call_id": "c", "content": "1"}]);
    let (body, _) = taken(json!({"messages": messages}), "gpt-4.1");
    assert_eq!(body["input"][0], json!({"type": "custom_tool_call", "call_id": "c", "name": "sql", "input": "select"}));
    assert_eq!(body["input"][1], json!({"type": "custom_tool_call_output", "call_id": "c", "output": "1"}));
}

#[test]
fn encrypted_thoughts_go_to_their_maker_and_to_nobody_else() {
    let detail = |format: &str| json!({"type": "reasoning.text", "text": "hm", "signature": "sealed", "format": format});
    let chat = |format: &str| json!({"messages": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "a", "reasoning_details": [detail(format)]}]});
    let item = json!({"type": "reasoning", "summary": [{"type": "summary_text", "text": "hm"}], "encrypted_content": "sealed"});
    for (format, model, goes) in [
        ("openai-responses-v1", "gpt-5", true),
        ("xai-responses-v1", "grok-4.3", true),
        ("xai-responses-v1", "gpt-5", false),
        ("openai-responses-v1", "grok-4.3", false),
        ("anthropic-claude-v1", "gpt-5", false),
        ("unknown", "deepseek-v4-flash", false),
    ] {
        let (body, losses) = taken(chat(format), model);
        if goes {
            assert_eq!((&body["input"][1], losses), (&item, Vec::new()), "{format} {model}");
        } else {
            assert!(!body.to_string().contains("sealed"), "{format} {model}");
            assert_eq!(losses, ["unsupported messages[1].reasoning_details[0]"], "{format} {model}");
        }
    }
    let foreign = json!([{"type": "reasoning", "summary": [], "encrypted_content": "bifrost.anthropic-claude-v1.sealed"}]);
    let (body, losses) = sent(json!({"input": foreign}), OpenaiResponses);
    assert_eq!((&body["input"], losses), (&json!([]), vec!["unsupported input[0]".to_owned()]));
    let (body, losses) = sent(json!({"input": foreign}), Anthropic);
    let thinking = json!({"type": "thinking", "thinking": "", "signature": "sealed"});
    assert_eq!((&body["messages"][1]["content"], losses), (&json!([thinking]), Vec::new()));
}

#[test]
fn plain_thoughts_go_where_the_server_takes_them() {
    let chat = json!({"model": "m", "messages": [{"role": "assistant", "content": "a", "reasoning_content": "hm"}]});
    let takes = Quirks { reasoning_field: ReasoningField::ReasoningContent, ..Quirks::COMPATIBLE };
    let (body, losses) = written(OpenaiChat, &chat, OpenaiResponses, ("deepseek-v4-flash", &takes));
    assert_eq!(body["input"][0], json!({"type": "reasoning", "summary": [], "content": [{"type": "reasoning_text", "text": "hm"}]}));
    assert_eq!(losses, [""; 0]);
    let (body, losses) = written(OpenaiChat, &chat, OpenaiResponses, ("gpt-5", &Quirks::OPENAI));
    assert_eq!((body["input"].as_array().unwrap().len(), losses.len()), (1, 1));
    // Thoughts that another target had, under an id that no provider knows.
    let ours = json!({"model": "m", "input": [{"type": "reasoning", "id": "rs_bifrost_1_0", "summary": [{"type": "summary_text", "text": "hm"}]}]});
    let (body, losses) = written(OpenaiResponses, &ours, OpenaiResponses, ("gpt-5", &Quirks::OPENAI));
    assert_eq!((&body["input"], losses), (&json!([]), vec!["unsupported input[0]".to_owned()]));
    let (body, losses) = written(OpenaiResponses, &ours, OpenaiResponses, ("deepseek-v4-flash", &takes));
    assert_eq!(body["input"][0], json!({"type": "reasoning", "summary": [], "content": [{"type": "reasoning_text", "text": "hm"}]}));
    assert_eq!(losses, [""; 0]);
}

#[test]
fn cache_marks_stand_on_what_goes_in() {
    let mark = json!({"type": "ephemeral", "ttl": "1h"});
    let parts = json!([{"type": "text", "text": "a", "cache_control": mark}, {"type": "text", "text": "b", "cache_control": {"type": "ephemeral"}}]);
    let body = json!({"model": "m", "max_tokens": 100, "system": parts, "messages": [{"role": "user", "content": "hi"}]});
    let marks = Quirks { cache_marks: CacheMarks::Breakpoint, ..Quirks::OPENAI };
    let (sent, losses) = written(Anthropic, &body, OpenaiResponses, ("gpt-5.6", &marks));
    assert_eq!(
        sent["input"][0]["content"],
        json!([
            {"type": "input_text", "text": "a", "prompt_cache_breakpoint": {"mode": "explicit", "ttl": "12h"}},
            {"type": "input_text", "text": "b", "prompt_cache_breakpoint": {"mode": "explicit"}},
        ])
    );
    assert_eq!(losses, ["approximated system[0].cache_control"]);
    let (_, losses) = written(Anthropic, &body, OpenaiResponses, ("gpt-4.1", &Quirks::OPENAI));
    assert_eq!(losses.len(), 2);
}

fn answered(from: Format, body: &Value, into: Format, reply: &Reply<'_>) -> Value {
    let text = body.to_string();
    let response = from.codec().decode_response(text.as_bytes()).unwrap();
    serde_json::from_slice(&into.codec().encode_response(&response, reply).body).unwrap()
}

#[test]
fn an_answer_repeats_what_was_asked_and_says_that_it_is_not_kept() {
    let chat = json!({"id": "", "model": "up", "service_tier": "on_demand", "choices": [{"message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"}]});
    let asked = json!({
        "model": "m", "input": "hi", "instructions": "be kind", "temperature": 0.5, "metadata": {"k": "v"}, "store": true,
        "previous_response_id": "resp_0", "tools": [{"type": "function", "name": "f", "parameters": {}}], "tool_choice": "required",
    });
    let told = answered(OpenaiChat, &chat, OpenaiResponses, &Reply { asked: &asked.to_string(), ..REPLY });
    for name in ["instructions", "temperature", "metadata", "tools", "tool_choice"] {
        assert_eq!(told[name], asked[name], "{name}");
    }
    assert_eq!(
        (&told["store"], &told["previous_response_id"], &told["text"]),
        (&json!(false), &Value::Null, &json!({"format": {"type": "text"}}))
    );
    assert_eq!((&told["id"], &told["created_at"], &told["status"]), (&json!("resp_r1"), &json!(1_700_000_000), &json!("completed")));
    assert_eq!(told.get("service_tier"), None, "a word that official clients refuse");
    let message = json!({"type": "message", "id": "msg_r1_0", "status": "completed", "role": "assistant", "content": [{"type": "output_text", "text": "hi", "annotations": [], "logprobs": []}]});
    assert_eq!(told["output"], json!([message]));
    assert_eq!(answered(OpenaiChat, &chat, OpenaiResponses, &REPLY)["tools"], json!([]));
}

#[test]
fn texts_in_a_row_are_one_message_and_a_cut_answer_is_incomplete() {
    let cited = json!({"type": "text", "text": "Bé", "citations": [{"type": "web_search_result_location", "url": "https://a", "title": "A", "cited_text": "x"}]});
    let body = json!({"id": "msg_1", "type": "message", "model": "c", "content": [{"type": "thinking", "thinking": "hm", "signature": "s"}, {"type": "text", "text": "A"}, cited], "stop_reason": "max_tokens", "usage": {"input_tokens": 3, "cache_read_input_tokens": 4, "output_tokens": 5}});
    let told = answered(Anthropic, &body, OpenaiResponses, &REPLY);
    assert_eq!((&told["status"], &told["incomplete_details"]), (&json!("incomplete"), &json!({"reason": "max_output_tokens"})));
    assert_eq!(told["output"].as_array().unwrap().len(), 2);
    assert_eq!(told["output"][0]["encrypted_content"], "bifrost.anthropic-claude-v1.s");
    let message = &told["output"][1];
    assert_eq!((&message["status"], message["content"].as_array().unwrap().len()), (&json!("incomplete"), 2));
    let note = json!({"type": "url_citation", "url": "https://a", "title": "A", "start_index": 0, "end_index": 2});
    assert_eq!(message["content"][1]["annotations"], json!([note]));
    assert_eq!((&told["usage"]["input_tokens"], &told["usage"]["input_tokens_details"]["cached_tokens"]), (&json!(7), &json!(4)));
}

#[test]
fn likely_tokens_keep_their_entries_in_both_shapes() {
    let entry = json!({"token": "hi", "logprob": -0.10, "bytes": [104, 105], "top_logprobs": []});
    let chat =
        json!({"choices": [{"message": {"content": "hi"}, "logprobs": {"content": [entry], "refusal": null}, "finish_reason": "stop"}]});
    let told = answered(OpenaiChat, &chat, OpenaiResponses, &REPLY);
    assert_eq!(told["output"][0]["content"][0]["logprobs"], json!([entry]));
    assert_eq!(answered(OpenaiResponses, &told, OpenaiChat, &REPLY)["choices"][0]["logprobs"]["content"], json!([entry]));
}

#[test]
fn pictures_that_a_model_made_pass_both_ways() {
    let image = json!({"type": "image_url", "image_url": {"url": "data:image/webp;base64,AAAA"}});
    let chat = json!({"choices": [{"message": {"content": "look", "images": [image]}, "finish_reason": "stop"}]});
    let told = answered(OpenaiChat, &chat, OpenaiResponses, &REPLY);
    let item = json!({"type": "image_generation_call", "id": "ig_r1_1", "status": "completed", "output_format": "webp", "result": "AAAA"});
    assert_eq!(told["output"][1], item);
    assert_eq!(answered(OpenaiResponses, &told, OpenaiChat, &REPLY)["choices"][0]["message"]["images"], json!([image]));
}

#[test]
fn messages_of_one_answer_keep_their_phases_in_their_own_format() {
    let message = |id: &str, phase: &str| json!({"type": "message", "id": id, "status": "completed", "role": "assistant", "phase": phase, "content": [{"type": "output_text", "text": id, "annotations": [], "logprobs": []}]});
    let output = json!([message("msg_a", "commentary"), {"type": "reasoning", "id": "rs_1", "summary": []}, message("msg_b", "commentary"), message("msg_c", "final_answer")]);
    let body = json!({"id": "resp_1", "object": "response", "created_at": 1, "model": "m", "status": "completed", "output": output});
    assert_eq!(answered(OpenaiResponses, &body, OpenaiResponses, &REPLY)["output"], output);
    let chat = answered(OpenaiResponses, &body, OpenaiChat, &REPLY);
    assert_eq!(chat["choices"][0]["message"]["content"], "msg_amsg_bmsg_c");
}

#[test]
fn an_answer_that_failed_is_a_failure() {
    for (body, kind, message) in [
        (json!({"status": "failed", "error": {"code": "server_error", "message": "oh"}, "output": []}), Kind::UpstreamServerError, "oh"),
        (json!({"status": "failed", "error": null, "output": []}), Kind::UpstreamServerError, "the upstream's answer failed"),
        (json!({"status": "cancelled", "output": []}), Kind::UpstreamServerError, "the upstream cancelled its answer"),
        (json!({"status": "queued", "output": []}), Kind::UpstreamMalformed, "the upstream's answer is not finished"),
        (json!({"error": {"code": "rate_limit_exceeded", "message": "slow"}}), Kind::UpstreamRateLimit, "slow"),
        (json!({"status": "completed"}), Kind::UpstreamMalformed, "`output` must be an array of items"),
    ] {
        let failure = OpenaiResponses.codec().decode_response(body.to_string().as_bytes()).unwrap_err();
        assert_eq!((failure.kind, failure.message.as_str()), (kind, message), "{body}");
    }
}
