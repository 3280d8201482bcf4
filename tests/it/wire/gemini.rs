//! What Gemini's rules make of requests and answers, one rule a test.

use bifrostctl::error::Kind;
use bifrostctl::wire::Format::{self, Anthropic, Bedrock, Cohere, Gemini, Ollama, OpenaiChat, OpenaiResponses};
use bifrostctl::wire::codec::{Encoded, Route, Target};
use bifrostctl::wire::driver::{Driver, Ended};
use bifrostctl::wire::gemini;
use bifrostctl::wire::ir::FinishReason;
use bifrostctl::wire::quirks::Quirks;
use bytes::Bytes;
use serde_json::{Value, json};

use super::corpus::REPLY;
use super::said::hear;

fn encode(from: Format, body: &Value, into: Format, model: &str) -> Encoded {
    let text = body.to_string();
    let request = from.codec().decode_request(text.as_bytes(), &Route::default()).unwrap();
    into.codec().encode_request(&request, &Target { model, max_output_tokens: None, quirks: &Quirks::OPENAI })
}

/// A request and its losses.
fn sent(from: Format, body: &Value, into: Format, model: &str) -> (Value, Vec<String>) {
    let encoded = encode(from, body, into, model);
    let losses = encoded.losses.iter().map(|loss| format!("{} {}", loss.reason.as_str(), loss.path)).collect();
    (serde_json::from_slice(&encoded.body).unwrap(), losses)
}

/// A chat of one word with more members, for a model of Gemini's.
fn from_chat(more: &Value, model: &str) -> (Value, Vec<String>) {
    let mut body = json!({"model": "m", "messages": [{"role": "user", "content": "hi"}]});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    sent(OpenaiChat, &body, Gemini, model)
}

fn from_messages(messages: Value, model: &str) -> (Value, Vec<String>) {
    from_chat(&json!({"messages": messages}), model)
}

const NOTHING: [&str; 0] = [];

#[test]
fn effort_becomes_a_level_or_a_budget() {
    let thinking = |effort: &str, model: &str| {
        let (body, losses) = from_chat(&json!({"reasoning_effort": effort}), model);
        (body["generationConfig"]["thinkingConfig"].clone(), losses.len())
    };
    let level = |level: &str| json!({"includeThoughts": true, "thinkingLevel": level});
    let budget = |tokens: u64| json!({"includeThoughts": true, "thinkingBudget": tokens});
    for (effort, model, expected) in [
        ("low", "gemini-3-flash-preview", (level("LOW"), 0)),
        ("minimal", "gemini-3-flash-preview", (level("MINIMAL"), 0)),
        ("minimal", "gemini-3.1-pro-preview", (level("LOW"), 1)),
        ("xhigh", "gemini-3-flash-preview", (level("HIGH"), 1)),
        ("medium", "gemini-2.5-flash", (budget(10_000), 1)),
        ("xhigh", "gemini-2.5-pro", (budget(32_768), 1)),
        ("none", "gemini-2.5-flash", (json!({"thinkingBudget": 0}), 0)),
        ("none", "gemini-2.5-pro", (json!({"thinkingBudget": 128}), 1)),
        ("none", "gemini-3-flash-preview", (json!({"thinkingLevel": "MINIMAL"}), 1)),
        ("none", "gemini-2.0-flash", (json!(null), 0)),
        ("high", "gemini-2.0-flash", (json!(null), 1)),
    ] {
        assert_eq!(thinking(effort, model), expected, "{effort} {model}");
    }
    let claude = json!({"model": "m", "max_tokens": 9, "messages": [], "thinking": {"type": "enabled", "budget_tokens": 2000}});
    let (body, losses) = sent(Anthropic, &claude, Gemini, "gemini-2.5-flash");
    assert_eq!(body["generationConfig"]["thinkingConfig"], budget(2_000));
    assert_eq!(losses, NOTHING);
    let (body, losses) = sent(Anthropic, &claude, Gemini, "gemini-3-flash-preview");
    assert_eq!((&body["generationConfig"]["thinkingConfig"], losses), (&level("LOW"), vec!["approximated thinking".to_owned()]));
}

#[test]
fn a_client_of_gemini_is_told_how_to_think_in_the_others_words() {
    let body = |config: Value| json!({"contents": [{"parts": [{"text": "hi"}]}], "generationConfig": {"maxOutputTokens": 9000, "thinkingConfig": config}});
    let (out, _) = sent(Gemini, &body(json!({"thinkingBudget": 2048})), Anthropic, "claude-sonnet-4-5");
    assert_eq!(out["thinking"], json!({"type": "enabled", "budget_tokens": 2048}));
    let (out, losses) = sent(Gemini, &body(json!({"thinkingLevel": "low"})), OpenaiChat, "gpt-5");
    assert_eq!((&out["reasoning_effort"], losses.len()), (&json!("low"), 0));
    let (out, losses) = sent(Gemini, &body(json!({"thinkingBudget": 2048, "includeThoughts": false})), Anthropic, "claude-sonnet-4-5");
    assert_eq!((&out["thinking"]["display"], losses.len()), (&json!("omitted"), 0));
    let (out, _) = sent(Gemini, &body(json!({"thinkingBudget": -1})), Anthropic, "claude-opus-4-6");
    assert_eq!(out["thinking"], json!({"type": "adaptive"}));
    for config in [json!({"thinkingBudget": -1}), json!({"thinkingBudget": 0}), json!({"includeThoughts": false, "thinkingLevel": "HIGH"})]
    {
        let (out, losses) = sent(Gemini, &body(config.clone()), Gemini, "gemini-3-flash-preview");
        assert_eq!((&out["generationConfig"]["thinkingConfig"], losses.len()), (&config, 0));
    }
}

fn tool(name: &str, strict: bool) -> Value {
    json!({"type": "function", "function": {"name": name, "parameters": {"type": "object", "additionalProperties": false}, "strict": strict}})
}

#[test]
fn choices_of_tools_are_modes() {
    let tools = json!([tool("f", false), tool("g", false)]);
    for (choice, sent) in [
        (json!("auto"), json!({"mode": "AUTO"})),
        (json!("none"), json!({"mode": "NONE"})),
        (json!("required"), json!({"mode": "ANY"})),
        (json!({"type": "function", "function": {"name": "f"}}), json!({"mode": "ANY", "allowedFunctionNames": ["f"]})),
    ] {
        let (body, losses) = from_chat(&json!({"tools": tools, "tool_choice": choice}), "gemini-2.5-flash");
        assert_eq!((&body["toolConfig"]["functionCallingConfig"], losses.len()), (&sent, 0));
        let own = json!({"contents": [], "tools": [{"functionDeclarations": [{"name": "f"}, {"name": "g"}]}], "toolConfig": {"functionCallingConfig": sent}});
        let (body, losses) = self::sent(Gemini, &own, OpenaiChat, "gpt-4o");
        assert_eq!((&body["tool_choice"], losses.len()), (&choice, 0));
    }
    let strict = json!([tool("f", true)]);
    let (body, losses) = from_chat(&json!({"tools": strict}), "gemini-2.5-flash");
    assert_eq!((&body["toolConfig"]["functionCallingConfig"]["mode"], losses.len()), (&json!("VALIDATED"), 0));
    let (_, losses) = from_chat(&json!({"tools": [tool("f", true), tool("g", false)]}), "gemini-2.5-flash");
    assert_eq!(losses, ["unsupported tools[0].function.strict"]);
    // The client's own word passes, and is told where nobody else has it.
    let own = json!({"contents": [], "tools": [{"functionDeclarations": [{"name": "f"}]}], "toolConfig": {"functionCallingConfig": {"mode": "VALIDATED"}}});
    assert_eq!(self::sent(Gemini, &own, Gemini, "gemini-2.5-flash").0["toolConfig"], own["toolConfig"]);
    assert_eq!(self::sent(Gemini, &own, OpenaiChat, "gpt-4o").1, ["unknown toolConfig.functionCallingConfig.mode"]);
}

#[test]
fn asking_for_text_alone_is_lost_nowhere() {
    let own =
        |modalities: Value| json!({"contents": [{"parts": [{"text": "hi"}]}], "generationConfig": {"responseModalities": modalities}});
    assert_eq!(sent(Gemini, &own(json!(["TEXT"])), OpenaiChat, "gpt-4o").1, NOTHING);
    assert_eq!(sent(Gemini, &own(json!(["TEXT", "IMAGE"])), OpenaiChat, "gpt-4o").1, ["unknown generationConfig.responseModalities"]);
    let body = own(json!(["TEXT"]));
    assert_eq!(sent(Gemini, &body, Gemini, "gemini-2.5-flash").0["generationConfig"], body["generationConfig"]);
}

#[test]
fn schemas_are_json_schema_on_every_way_out() {
    let declaration = json!({"name": "f", "parameters": {"type": "OBJECT", "properties": {"a": {"type": "STRING", "nullable": true}}}});
    let own = json!({"contents": [], "tools": [{"functionDeclarations": [declaration]}]});
    let schema = json!({"type": "object", "properties": {"a": {"type": ["string", "null"]}}});
    assert_eq!(sent(Gemini, &own, OpenaiChat, "gpt-4o").0["tools"][0]["function"]["parameters"], schema);
    assert_eq!(sent(Gemini, &own, Anthropic, "claude-sonnet-4-5").0["tools"][0]["input_schema"], schema);
    let again = sent(Gemini, &own, Gemini, "gemini-2.5-flash").0;
    assert_eq!(again["tools"][0]["functionDeclarations"][0], json!({"name": "f", "parametersJsonSchema": schema}));
}

#[test]
fn json_output_is_a_function_where_functions_and_json_do_not_go_together() {
    let format = json!({"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "object"}}});
    let (body, losses) = from_chat(&json!({"response_format": format}), "gemini-2.5-flash");
    assert_eq!(body["generationConfig"], json!({"responseMimeType": "application/json", "responseJsonSchema": {"type": "object"}}));
    assert_eq!(losses, ["approximated response_format.json_schema.name"]);
    let wants = json!({"model": "m", "messages": [], "response_format": format, "tools": [tool("f", false)]});
    let encoded = encode(OpenaiChat, &wants, Gemini, "gemini-2.5-flash");
    let body: Value = serde_json::from_slice(&encoded.body).unwrap();
    assert_eq!(encoded.unwrap_tool, Some("json_output"));
    assert_eq!(body["tools"][0]["functionDeclarations"][1]["name"], "json_output");
    assert_eq!(body["toolConfig"]["functionCallingConfig"]["mode"], "ANY");
    assert!(body["generationConfig"].get("responseMimeType").is_none());
    assert_eq!(encode(OpenaiChat, &wants, Gemini, "gemini-3-flash-preview").unwrap_tool, None);
    let wants = json!({"response_format": {"type": "json_object"}, "tools": [tool("f", false)]});
    let (body, losses) = from_chat(&wants, "gemini-2.5-flash");
    assert!(body["systemInstruction"]["parts"][0]["text"].is_string());
    assert_eq!(losses, ["approximated response_format"]);
}

#[test]
fn results_are_objects_of_their_function_in_one_turn() {
    let call = |id: &str, name: &str| json!({"id": id, "type": "function", "function": {"name": name, "arguments": "{}"}});
    let messages = json!([
        {"role": "user", "content": "go"},
        {"role": "assistant", "content": null, "tool_calls": [call("a", "f"), call("b", "g"), call("c", "f")]},
        {"role": "tool", "tool_call_id": "c", "content": "{\"n\":1.10}"},
        {"role": "tool", "tool_call_id": "a", "content": "plain"},
        {"role": "tool", "tool_call_id": "b", "content": ""},
        {"role": "user", "content": "and?"}
    ]);
    let (body, losses) = from_messages(messages, "gemini-2.5-flash");
    let result = |id: &str, name: &str, response: Value| json!({"functionResponse": {"id": id, "name": name, "response": response}});
    let expected = json!({"role": "user", "parts": [
        result("a", "f", json!({"output": "plain"})), result("b", "g", json!({"output": ""})), result("c", "f", json!({"n": 1.10}))]});
    assert_eq!(body["contents"][2], expected);
    assert_eq!(body["contents"][3], json!({"role": "user", "parts": [{"text": "and?"}]}));
    assert_eq!(losses, NOTHING);
    let claude = json!({"model": "m", "max_tokens": 9, "messages": [
        {"role": "user", "content": "go"},
        {"role": "assistant", "content": [{"type": "tool_use", "id": "t", "name": "f", "input": {}}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "is_error": true, "content": "no"}]}]});
    let (body, _) = sent(Anthropic, &claude, Gemini, "gemini-2.5-flash");
    assert_eq!(body["contents"][2]["parts"][0], result("t", "f", json!({"error": "no"})));
    let (again, _) = sent(Gemini, &body, Anthropic, "claude-sonnet-4-5");
    assert_eq!(again["messages"][2]["content"], claude["messages"][2]["content"]);
}

#[test]
fn pictures_of_tools_stand_in_the_result_where_they_may() {
    let image = json!({"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}});
    let claude = json!({"model": "m", "max_tokens": 9, "messages": [
        {"role": "user", "content": "go"},
        {"role": "assistant", "content": [{"type": "tool_use", "id": "t", "name": "f", "input": {}}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": [{"type": "text", "text": "see"}, image]}]}]});
    let inline = json!({"inlineData": {"mimeType": "image/png", "data": "AAAA"}});
    let (body, losses) = sent(Anthropic, &claude, Gemini, "gemini-3-flash-preview");
    assert_eq!(body["contents"][2]["parts"][0]["functionResponse"]["parts"], json!([inline]));
    assert_eq!(losses, NOTHING);
    let (body, losses) = sent(Anthropic, &claude, Gemini, "gemini-2.5-flash");
    assert_eq!((&body["contents"][2]["parts"][1], losses.len()), (&inline, 1));
}

#[test]
fn a_call_without_a_signature_gets_the_word_that_stands_for_one_where_it_is_needed() {
    let call = |id: &str| json!({"id": id, "type": "function", "function": {"name": "f", "arguments": "{}"}});
    let messages = json!([{"role": "user", "content": "go"}, {"role": "assistant", "content": null, "tool_calls": [call("a"), call("b")]}]);
    let signatures = |body: &Value| {
        let parts = body["contents"][1]["parts"].as_array().unwrap().clone();
        parts.iter().map(|part| part["thoughtSignature"].clone()).collect::<Vec<_>>()
    };
    let (body, _) = from_messages(messages.clone(), "gemini-3-flash-preview");
    assert_eq!(signatures(&body), [json!("skip_thought_signature_validator"), json!(null)]);
    let (body, _) = from_messages(messages, "gemini-2.5-flash");
    assert_eq!(signatures(&body), [json!(null), json!(null)]);
    // It is nobody's signature, and never handed on.
    let (body, _) = from_messages(json!([{"role": "user", "content": "go"}]), "gemini-3-flash-preview");
    assert!(!body.to_string().contains("skip"));
}

fn own_turn(parts: &Value) -> Value {
    json!({"contents": [{"role": "user", "parts": [{"text": "go"}]}, {"role": "model", "parts": parts}]})
}

#[test]
fn signatures_stay_on_the_part_that_they_came_with() {
    let parts = json!([
        {"text": "thought", "thought": true},
        {"text": "said", "thoughtSignature": "c2FpZA=="},
        {"functionCall": {"name": "f", "args": {}}, "thoughtSignature": "Y2FsbA=="},
        {"functionCall": {"name": "f", "args": {}}},
        {"text": "", "thoughtSignature": "bGFzdA=="}
    ]);
    let (body, losses) = sent(Gemini, &own_turn(&parts), Gemini, "gemini-3-flash-preview");
    assert_eq!((&body["contents"][1]["parts"], losses.len()), (&parts, 0));
    // Anthropic gets none; a client of Anthropic's carries them to and fro.
    let (claude, losses) = sent(Gemini, &own_turn(&parts), Anthropic, "claude-sonnet-4-5");
    assert!(!claude.to_string().contains("Y2FsbA") && losses.len() == 4, "{claude} {losses:?}");
}

fn answer(parts: &Value) -> String {
    json!({"candidates": [{"content": {"parts": parts, "role": "model"}, "finishReason": "STOP", "index": 0}], "modelVersion": "g", "responseId": "r"})
        .to_string()
}

/// Gives an answer of Gemini's to a client of another format, and takes it back as that client's history.
fn round_trip(parts: &Value, through: Format) -> Value {
    let text = answer(parts);
    let response = Gemini.codec().decode_response(text.as_bytes()).unwrap();
    let body: Value = serde_json::from_slice(&through.codec().encode_response(&response, &REPLY).body).unwrap();
    let history = match through {
        OpenaiChat => json!({"model": "m", "messages": [{"role": "user", "content": "go"}, body["choices"][0]["message"]]}),
        Anthropic => {
            json!({"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "go"}, {"role": "assistant", "content": body["content"]}]})
        }
        OpenaiResponses => {
            let mut input = vec![json!({"role": "user", "content": "go"})];
            input.extend(body["output"].as_array().unwrap().clone());
            json!({"model": "m", "input": input})
        }
        Gemini => json!({"contents": [{"role": "user", "parts": [{"text": "go"}]}, body["candidates"][0]["content"]]}),
        Cohere | Ollama => json!({"model": "m", "messages": [{"role": "user", "content": "go"}, body["message"]]}),
        Bedrock => json!({"messages": [{"role": "user", "content": [{"text": "go"}]}, body["output"]["message"]]}),
    };
    sent(through, &history, Gemini, "gemini-3-flash-preview").0["contents"][1]["parts"].clone()
}

#[test]
fn signatures_come_back_through_clients_of_every_format_that_has_a_place_for_them() {
    let parts = json!([
        {"text": "Let me see."},
        {"functionCall": {"id": "a", "name": "f", "args": {"x": 1}}, "thoughtSignature": "Y2FsbA=="},
        {"functionCall": {"id": "b", "name": "f", "args": {}}}
    ]);
    for through in Format::ALL.into_iter().filter(|through| !matches!(through, Cohere | Ollama)) {
        assert_eq!(round_trip(&parts, through), parts, "{through:?}");
    }
    let signed = json!([{"text": "said", "thoughtSignature": "c2FpZA=="}]);
    for through in Format::ALL.into_iter().filter(|through| !matches!(through, Cohere | Ollama)) {
        assert_eq!(round_trip(&signed, through), signed, "{through:?}");
    }
}

#[test]
fn thoughts_of_others_go_to_a_client_of_gemini_as_base64_and_come_back_to_their_maker() {
    let claude = json!({"id": "m", "model": "c", "stop_reason": "end_turn", "content": [
        {"type": "thinking", "thinking": "hm", "signature": "sig+/="}, {"type": "redacted_thinking", "data": "sealed"}, {"type": "text", "text": "a"}]});
    let response = claude.to_string();
    let response = Anthropic.codec().decode_response(response.as_bytes()).unwrap();
    let body: Value = serde_json::from_slice(&Gemini.codec().encode_response(&response, &REPLY).body).unwrap();
    let content = &body["candidates"][0]["content"];
    let history = json!({"contents": [{"role": "user", "parts": [{"text": "go"}]}, content], "generationConfig": {"maxOutputTokens": 9}});
    let (again, losses) = sent(Gemini, &history, Anthropic, "claude-sonnet-4-5");
    assert_eq!((&again["messages"][1]["content"], losses.len()), (&claude["content"], 0));
    // Gemini itself sees nothing of them.
    let (own, losses) = sent(Gemini, &history, Gemini, "gemini-3-flash-preview");
    assert_eq!((&own["contents"][1]["parts"], losses.len()), (&json!([{"text": "a"}]), 2));
}

#[test]
fn bytes_in_the_alphabet_of_urls_are_told_in_the_common_one() {
    let own = json!({"contents": [{"parts": [{"inline_data": {"mime_type": "image/png", "data": "-_-_"}}]}]});
    let (body, _) = sent(Gemini, &own, OpenaiChat, "gpt-4o");
    assert_eq!(body["messages"][0]["content"][0]["image_url"]["url"], "data:image/png;base64,+/+/");
}

#[test]
fn a_conversation_begins_with_the_user_and_instructions_stand_apart() {
    let messages = json!([
        {"role": "system", "content": "a"}, {"role": "developer", "content": "b"},
        {"role": "assistant", "content": "Hello"}, {"role": "user", "content": "c"}, {"role": "system", "content": "d"}
    ]);
    let (body, losses) = from_messages(messages, "gemini-2.5-flash");
    assert_eq!(body["systemInstruction"], json!({"parts": [{"text": "a"}, {"text": "b"}]}));
    let expected = json!([
        {"role": "user", "parts": [{"text": "."}]},
        {"role": "model", "parts": [{"text": "Hello"}]},
        {"role": "user", "parts": [{"text": "c"}, {"text": "d"}]}
    ]);
    assert_eq!((&body["contents"], losses), (&expected, vec!["approximated messages[4]".to_owned()]));
}

#[test]
fn an_answer_that_could_not_be_made_out_is_a_failure() {
    for (word, kind) in [
        ("MALFORMED_FUNCTION_CALL", Kind::UpstreamServerError),
        ("UNEXPECTED_TOOL_CALL", Kind::UpstreamServerError),
        ("MISSING_THOUGHT_SIGNATURE", Kind::UpstreamRejected),
    ] {
        let answer = json!({"candidates": [{"content": {}, "finishReason": word, "finishMessage": "why"}]}).to_string();
        let failure = Gemini.codec().decode_response(answer.as_bytes()).unwrap_err();
        assert_eq!((failure.kind, failure.message.contains("why")), (kind, true));
        let stream = format!("data: {answer}\n\n");
        assert_eq!(hear(Gemini, &[stream.as_bytes()]).failure.map(|failure| failure.kind), Some(kind));
    }
    assert_eq!(Gemini.codec().decode_response(br#"{"usageMetadata":{}}"#).unwrap_err().kind, Kind::UpstreamMalformed);
}

#[test]
fn a_refused_prompt_is_an_answer_without_words() {
    let answer =
        json!({"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}, "usageMetadata": {"promptTokenCount": 5, "totalTokenCount": 5}})
            .to_string();
    let response = Gemini.codec().decode_response(answer.as_bytes()).unwrap();
    let body: Value = serde_json::from_slice(&OpenaiChat.codec().encode_response(&response, &REPLY).body).unwrap();
    assert_eq!((&body["choices"][0]["finish_reason"], &body["usage"]["prompt_tokens"]), (&json!("content_filter"), &json!(5)));
    let heard = hear(Gemini, &[format!("data: {answer}\n\n").as_bytes()]);
    assert_eq!(heard.said.choices[&0].finish, Some(FinishReason::ContentFilter));
}

fn drive(stream: &str, into: Format) -> (Vec<u8>, Ended) {
    let mut driver = Driver::new(Gemini, into, &REPLY, None);
    let mut out = Vec::new();
    driver.push(Bytes::copy_from_slice(stream.as_bytes()), &mut out).unwrap();
    let ended = driver.end(&mut out).unwrap();
    (out, ended)
}

fn chunks(parts: &[Value]) -> String {
    let (last, first) = parts.split_last().unwrap();
    let chunk =
        |part: &Value| json!({"candidates": [{"content": {"parts": [part], "role": "model"}}], "responseId": "r", "modelVersion": "g"});
    let mut end = chunk(last);
    end["candidates"][0]["finishReason"] = json!("STOP");
    end["usageMetadata"] = json!({"promptTokenCount": 1, "candidatesTokenCount": 2, "totalTokenCount": 3});
    first.iter().map(chunk).chain([end]).map(|chunk| format!("data: {chunk}\r\n\r\n")).collect()
}

#[test]
fn a_stream_is_whole_when_every_answer_says_why_it_ended() {
    let stream = chunks(&[json!({"text": "a"}), json!({"functionCall": {"name": "f"}, "thoughtSignature": "c2ln"})]);
    for into in Format::ALL {
        let (out, ended) = drive(&stream, into);
        assert_eq!(ended, Ended::Complete);
        let said = &hear(into, &[&out]).said.choices[&0];
        assert_eq!((said.text.as_str(), said.calls[0].2.as_str(), said.finish), ("a", "{}", Some(FinishReason::ToolCalls)), "{into:?}");
        // Nothing is signed there.
        let signatures: &[&str] = if matches!(into, Cohere | Ollama) { &[] } else { &["c2ln"] };
        assert_eq!(said.signatures, signatures, "{into:?}");
    }
}

#[test]
fn a_signature_in_a_stream_keeps_its_part() {
    let stream = chunks(&[json!({"text": "a"}), json!({"functionCall": {"id": "x", "name": "f", "args": {}}, "thoughtSignature": "c2ln"})]);
    let (out, _) = drive(&stream, Gemini);
    assert!(String::from_utf8(out).unwrap().contains(r#"{"functionCall":{"id":"x","name":"f","args":{}},"thoughtSignature":"c2ln"}"#));
}

#[test]
fn the_signature_of_a_call_stands_where_googles_endpoint_for_openai_has_it() {
    let stream = chunks(&[json!({"text": "a"}), json!({"functionCall": {"id": "x", "name": "f", "args": {}}, "thoughtSignature": "c2ln"})]);
    let (out, _) = drive(&stream, OpenaiChat);
    assert!(String::from_utf8(out).unwrap().contains(r#""extra_content":{"google":{"thought_signature":"c2ln"}}"#));
    let call = json!({"id": "x", "type": "function", "function": {"name": "f", "arguments": "{}"},
        "extra_content": {"google": {"thought_signature": "c2ln"}}});
    let messages = json!([{"role": "user", "content": "go"}, {"role": "assistant", "content": "a", "tool_calls": [call]}]);
    let (body, losses) = from_messages(messages.clone(), "gemini-3-flash-preview");
    assert_eq!((&body["contents"][1]["parts"][1]["thoughtSignature"], losses), (&json!("c2ln"), Vec::new()));
    let chat = json!({"model": "m", "messages": messages});
    let (same, losses) = sent(OpenaiChat, &chat, OpenaiChat, "gemini-3-flash-preview");
    assert_eq!((&same["messages"][1], losses.len()), (&messages[1], 0));
    let (claude, losses) = sent(OpenaiChat, &chat, Anthropic, "claude-sonnet-4-5");
    assert!(!claude.to_string().contains("c2ln"));
    assert_eq!(losses, ["unknown messages[1].tool_calls[0].extra_content"]);
}

#[test]
fn pages_that_an_answer_rests_on_are_annotations() {
    let grounding = json!({"groundingChunks": [{"web": {"uri": "https://a", "title": "A"}}],
        "groundingSupports": [{"segment": {"startIndex": 3, "endIndex": 6, "text": "bcd"}, "groundingChunkIndices": [0]}]});
    let mut whole: Value = serde_json::from_str(&answer(&json!([{"text": "é bcd"}]))).unwrap();
    whole["candidates"][0]["groundingMetadata"] = grounding;
    let text = whole.to_string();
    let response = Gemini.codec().decode_response(text.as_bytes()).unwrap();
    let body: Value = serde_json::from_slice(&OpenaiChat.codec().encode_response(&response, &REPLY).body).unwrap();
    let expected = json!([{"type": "url_citation", "url_citation": {"url": "https://a", "title": "A", "start_index": 2, "end_index": 5}}]);
    assert_eq!(body["choices"][0]["message"]["annotations"], expected);
    let (out, _) = drive(&format!("data: {text}\n\n"), OpenaiChat);
    assert!(String::from_utf8(out).unwrap().contains(r#""start_index":2,"end_index":5"#));
    // A client of Gemini's gets those of others as supports.
    let other = body.to_string();
    let response = OpenaiChat.codec().decode_response(other.as_bytes()).unwrap();
    let again: Value = serde_json::from_slice(&Gemini.codec().encode_response(&response, &REPLY).body).unwrap();
    assert_eq!(again["candidates"][0]["groundingMetadata"]["groundingSupports"][0]["segment"]["startIndex"], 3);
}

#[test]
fn a_client_that_asks_for_no_events_gets_one_array() {
    let stream = chunks(&[json!({"text": "a"}), json!({"text": "b"})]);
    let mut driver = Driver::with_encoder(Gemini, gemini::Gemini::array_encoder(&REPLY), None);
    let mut out = Vec::new();
    driver.push(Bytes::from(stream), &mut out).unwrap();
    driver.end(&mut out).unwrap();
    let chunks: Vec<Value> = serde_json::from_slice(&out).unwrap();
    let text: String = chunks.iter().filter_map(|chunk| chunk["candidates"][0]["content"]["parts"][0]["text"].as_str()).collect();
    assert_eq!(text, "ab");
    assert_eq!(chunks.last().unwrap()["candidates"][0]["finishReason"], "STOP");
}

#[test]
fn an_error_in_place_of_a_stream_is_an_error_in_every_spelling() {
    let error = r#"{"error":{"code":429,"message":"slow down","status":"RESOURCE_EXHAUSTED"}}"#;
    for body in [error.to_owned(), format!("[{error}]"), format!("data: {error}\n\n")] {
        let mut driver = Driver::new(Gemini, OpenaiChat, &REPLY, None);
        let mut out = Vec::new();
        let failure = driver.push(Bytes::from(body), &mut out).and_then(|()| driver.end(&mut out)).unwrap_err();
        assert_eq!((failure.kind, failure.message.as_str()), (Kind::UpstreamRateLimit, "slow down"));
    }
}
