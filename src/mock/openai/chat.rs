//! `/chat/completions`: an echo of the last user message, a tool call where tools are offered, a sample where a schema is asked for.

use serde_json::{Map, Value, json};

use super::{Ask, Event, EventKind, Reply, error, sample, text};

/// What one choice says.
struct Choice {
    content: Content,
    finish: String,
}

enum Content {
    Text(Vec<String>),
    Tool { id: String, name: String, arguments: Vec<String> },
}

pub(super) fn answer(ask: &Ask<'_>) -> Result<Reply, Box<Reply>> {
    if ask.model.is_empty() {
        return Err(error::missing("model"));
    }
    let messages = match ask.get("messages") {
        Value::Null => return Err(error::missing("messages")),
        Value::Array(messages) => messages,
        Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_) => {
            return Err(error::invalid("messages", "an array of objects"));
        }
    };
    let choices: Vec<Choice> = (0..ask.choices()).map(|index| choice(ask, messages, index)).collect();
    let usage = usage(messages, &choices);
    Ok(if ask.is_stream() { stream(ask, &choices, &usage) } else { whole(ask, &choices, usage) })
}

fn choice(ask: &Ask<'_>, messages: &[Value], index: u64) -> Choice {
    let last = messages.last().unwrap_or(&Value::Null);
    let is_user = last.get("role").is_none_or(|role| role == "user");
    if let (true, None, Some(tool)) = (is_user, &ask.behaviour.text, chosen_tool(ask)) {
        let name = tool.get("name").and_then(Value::as_str).unwrap_or("mock").to_owned();
        let arguments = sample::fit(tool.get("parameters").unwrap_or(&Value::Null), "mock").to_string();
        let arguments = text::pieces(&arguments).into_iter().map(str::to_owned).collect();
        let id = ask.id(&format!("call_{index}"), 23);
        return finish(ask, Choice { content: Content::Tool { id, name, arguments }, finish: "tool_calls".to_owned() });
    }
    let said = match (&ask.behaviour.text, structured(ask)) {
        (Some(text), _) => text.clone(),
        (None, Some(sample)) => sample,
        (None, None) => echo(messages, index),
    };
    let mut pieces: Vec<String> = match ask.behaviour.chunks {
        Some(count) => text::fit(&text::pieces(&said), count),
        None => text::pieces(&said).into_iter().map(str::to_owned).collect(),
    };
    let limit = ask.get("max_completion_tokens").as_u64().or_else(|| ask.get("max_tokens").as_u64());
    let limit = limit.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
    let reason = if pieces.len() > limit { "length" } else { "stop" };
    pieces.truncate(limit);
    finish(ask, Choice { content: Content::Text(pieces), finish: reason.to_owned() })
}

fn finish(ask: &Ask<'_>, mut choice: Choice) -> Choice {
    if let Some(reason) = &ask.behaviour.finish_reason {
        choice.finish.clone_from(reason);
    }
    choice
}

/// Returns the function that `tool_choice` names, or else the first one.
fn chosen_tool<'a>(ask: &'a Ask<'_>) -> Option<&'a Value> {
    let choice = ask.get("tool_choice");
    if choice == "none" {
        return None;
    }
    let mut functions = ask.get("tools").as_array()?.iter().filter_map(|tool| tool.get("function"));
    match choice.pointer("/function/name") {
        Some(name) => functions.find(|function| function.get("name") == Some(name)),
        None => functions.next(),
    }
}

fn structured(ask: &Ask<'_>) -> Option<String> {
    let format = ask.get("response_format");
    match format.get("type")?.as_str()? {
        "json_object" => Some(json!({"mock": true}).to_string()),
        "json_schema" => Some(sample::fit(format.pointer("/json_schema/schema")?, "mock").to_string()),
        _ => None,
    }
}

fn echo(messages: &[Value], index: u64) -> String {
    let speaks = |message: &&Value| message.get("role").is_some_and(|role| role == "user" || role == "tool");
    let last = messages.iter().rev().find(speaks).and_then(|message| message.get("content"));
    let said = last.map(text::content).filter(|said| !said.is_empty()).unwrap_or_else(|| "hello".to_owned());
    if index == 0 { format!("mock: {said}") } else { format!("mock {index}: {said}") }
}

pub(super) fn prompt_tokens(messages: &[Value]) -> u64 {
    // Four tokens frame a message, three the answer: what OpenAI's cookbook counts.
    let of = |message: &Value| 4 + message.get("content").map_or(0, |content| text::tokens(&text::content(content)));
    messages.iter().map(of).sum::<u64>() + 3
}

fn usage(messages: &[Value], choices: &[Choice]) -> Value {
    let prompt = prompt_tokens(messages);
    let completion: u64 = choices.iter().map(|choice| choice.content.tokens()).sum();
    json!({
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": 0, "audio_tokens": 0, "accepted_prediction_tokens": 0, "rejected_prediction_tokens": 0
        }
    })
}

impl Content {
    fn tokens(&self) -> u64 {
        match self {
            Self::Text(pieces) => pieces.len() as u64,
            Self::Tool { arguments, .. } => arguments.len() as u64 + 1,
        }
    }

    fn message(&self) -> Value {
        match self {
            Self::Text(pieces) => json!({"role": "assistant", "content": pieces.concat(), "refusal": null, "annotations": []}),
            Self::Tool { id, name, arguments } => json!({
                "role": "assistant",
                "content": null,
                "tool_calls": [{"id": id, "type": "function", "function": {"name": name, "arguments": arguments.concat()}}],
                "refusal": null,
                "annotations": []
            }),
        }
    }

    /// The first delta, which has no content.
    fn opening(&self) -> Value {
        match self {
            Self::Text(_) => json!({"role": "assistant", "content": "", "refusal": null}),
            Self::Tool { .. } => json!({"role": "assistant", "content": null}),
        }
    }

    fn deltas(&self) -> Vec<Value> {
        match self {
            Self::Text(pieces) => pieces.iter().map(|piece| json!({"content": piece})).collect(),
            Self::Tool { id, name, arguments } => {
                let first = json!({"index": 0, "id": id, "type": "function", "function": {"name": name, "arguments": ""}});
                let rest = arguments.iter().map(|part| json!({"index": 0, "function": {"arguments": part}}));
                std::iter::once(first).chain(rest).map(|call| json!({"tool_calls": [call]})).collect()
            }
        }
    }
}

fn envelope(ask: &Ask<'_>, object: &str) -> Map<String, Value> {
    let mut map = Map::new();
    map.insert("id".to_owned(), ask.id("chatcmpl-", 29).into());
    map.insert("object".to_owned(), object.into());
    map.insert("created".to_owned(), ask.created.into());
    map.insert("model".to_owned(), ask.model.into());
    map
}

fn whole(ask: &Ask<'_>, choices: &[Choice], usage: Value) -> Reply {
    let mut body = envelope(ask, "chat.completion");
    let choices = choices.iter().enumerate().map(|(index, choice)| {
        let reason = (!ask.behaviour.no_finish).then_some(&choice.finish);
        json!({"index": index, "message": choice.content.message(), "logprobs": null, "finish_reason": reason})
    });
    body.insert("choices".to_owned(), choices.collect());
    if ask.wants_usage() {
        body.insert("usage".to_owned(), usage);
    }
    body.insert("service_tier".to_owned(), "default".into());
    body.insert("system_fingerprint".to_owned(), FINGERPRINT.into());
    Reply::json(200, &Value::Object(body))
}

const FINGERPRINT: &str = "fp_mock000001";

fn stream(ask: &Ask<'_>, choices: &[Choice], usage: &Value) -> Reply {
    let mut base = envelope(ask, "chat.completion.chunk");
    base.insert("service_tier".to_owned(), "default".into());
    base.insert("system_fingerprint".to_owned(), FINGERPRINT.into());
    let wants_usage = ask.wants_usage();
    let event = |kind: EventKind, choices: Value, usage: &Value| {
        let mut chunk = base.clone();
        chunk.insert("choices".to_owned(), choices);
        if wants_usage {
            chunk.insert("usage".to_owned(), usage.clone());
        }
        Event::data(kind, &Value::Object(chunk))
    };
    let delta = |kind: EventKind, index: usize, (delta, finish): (&Value, Option<&str>)| {
        event(kind, json!([{"index": index, "delta": delta, "logprobs": null, "finish_reason": finish}]), &Value::Null)
    };
    let mut events = Vec::new();
    for (index, choice) in choices.iter().enumerate() {
        events.push(delta(EventKind::Quiet, index, (&choice.content.opening(), None)));
    }
    // Choices are interleaved, as the API does it.
    let deltas: Vec<Vec<Value>> = choices.iter().map(|choice| choice.content.deltas()).collect();
    for turn in 0..deltas.iter().map(Vec::len).max().unwrap_or(0) {
        for (index, said) in deltas.iter().enumerate() {
            events.extend(said.get(turn).map(|said| delta(EventKind::Content, index, (said, None))));
        }
    }
    for (index, choice) in choices.iter().enumerate() {
        events.push(delta(EventKind::Finish, index, (&json!({}), Some(&choice.finish))));
    }
    if wants_usage {
        events.push(event(EventKind::Usage, json!([]), usage));
    }
    events.push(Event::done());
    Reply::events(events)
}
