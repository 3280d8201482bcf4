//! `/chat/completions`: an echo of the last user message, a tool call where tools are offered, a sample where a schema is asked for.

use serde_json::{Map, Value, json};

use crate::mock::dialect::Dialect;

use super::choice::{self, Call, Choice, Content};
use super::{Ask, Event, EventKind, Reply, error, sample, text};

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
    let asks = results(messages).is_empty() && messages.last().is_none_or(|last| !is(last, "assistant"));
    let tools = if asks && ask.behaviour.text.is_none() { chosen_tools(ask) } else { Vec::new() };
    if !tools.is_empty() {
        let turns = tools.iter().cycle().take(ask.behaviour.calls.unwrap_or(1)).enumerate();
        let calls = turns.map(|(turn, tool)| Call::of(tool, choice::call_id(ask, index, turn))).collect();
        return finish(ask, Content::Tools(calls), "tool_calls");
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
    finish(ask, Content::Text(pieces), reason)
}

fn finish(ask: &Ask<'_>, content: Content, reason: &str) -> Choice {
    let thoughts = ask.behaviour.thoughts.as_deref().filter(|_| ask.thinks()).unwrap_or_default();
    Choice {
        thoughts: text::pieces(thoughts).into_iter().map(str::to_owned).collect(),
        signature: ask.dialect.and_then(Dialect::signature),
        cites: ask.behaviour.cites.clone(),
        content,
        finish: ask.behaviour.finish_reason.clone().unwrap_or_else(|| reason.to_owned()),
    }
}

/// Returns the function that `tool_choice` names, or else all.
fn chosen_tools<'a>(ask: &'a Ask<'_>) -> Vec<&'a Value> {
    let choice = ask.get("tool_choice");
    if choice == "none" {
        return Vec::new();
    }
    let functions = ask.get("tools").as_array().into_iter().flatten().filter_map(|tool| tool.get("function"));
    match choice.pointer("/function/name") {
        Some(name) => functions.filter(|function| function.get("name") == Some(name)).take(1).collect(),
        None => functions.collect(),
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

fn is(message: &Value, role: &str) -> bool {
    message.get("role").is_some_and(|have| have == role)
}

/// Returns what tools have said since the model called them. Pictures among it stand in a message of the user behind it.
fn results(messages: &[Value]) -> Vec<String> {
    let turn = messages.iter().rposition(|message| is(message, "assistant")).map_or(0, |at| at + 1);
    let told = messages.iter().skip(turn).filter(|message| is(message, "tool"));
    told.map(|message| message.get("content").map(text::content).unwrap_or_default()).collect()
}

fn echo(messages: &[Value], index: u64) -> String {
    let results = results(messages).join(" ");
    let user = messages.iter().rev().find(|message| is(message, "user")).and_then(|message| message.get("content"));
    let said = Some(results).filter(|said| !said.is_empty()).or_else(|| user.map(text::content).filter(|said| !said.is_empty()));
    let said = said.unwrap_or_else(|| "hello".to_owned());
    if index == 0 { format!("mock: {said}") } else { format!("mock {index}: {said}") }
}

pub(super) fn prompt_tokens(messages: &[Value]) -> u64 {
    // Four tokens frame a message, three the answer: what OpenAI's cookbook counts; 85 are a picture that is looked at in low detail.
    let of = |content: &Value| text::tokens(&text::content(content)) + 85 * text::attachments(content);
    messages.iter().map(|message| 4 + message.get("content").map_or(0, of)).sum::<u64>() + 3
}

fn usage(messages: &[Value], choices: &[Choice]) -> Value {
    let prompt = prompt_tokens(messages);
    let completion: u64 = choices.iter().map(|choice| choice.tokens()).sum();
    let thoughts: u64 = choices.iter().map(Choice::thinking).sum();
    json!({
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": thoughts, "audio_tokens": 0, "accepted_prediction_tokens": 0, "rejected_prediction_tokens": 0
        }
    })
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
        json!({"index": index, "message": choice.message(), "logprobs": null, "finish_reason": reason})
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
        events.push(delta(EventKind::Quiet, index, (&choice.opening(), None)));
    }
    // Choices are interleaved, as the API does it.
    let deltas: Vec<Vec<Value>> = choices.iter().map(|choice| choice.deltas()).collect();
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
