//! `/completions`, the legacy operation: an echo of each prompt.

use serde_json::{Map, Value, json};

use super::{Ask, Event, EventKind, Reply, error, text};

pub(super) fn answer(ask: &Ask<'_>) -> Result<Reply, Box<Reply>> {
    if ask.model.is_empty() {
        return Err(error::missing("model"));
    }
    let prompts = prompts(ask.get("prompt"));
    let limit = ask.get("max_tokens").as_u64().map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
    let mut choices = Vec::new();
    for (prompt, index) in prompts.iter().flat_map(|prompt| (0..ask.choices()).map(move |index| (prompt, index))) {
        let said = ask.behaviour.text.clone().unwrap_or_else(|| match index {
            0 => format!("mock: {prompt}"),
            _ => format!("mock {index}: {prompt}"),
        });
        let all = text::pieces(&said);
        let mut pieces = text::fit(&all, ask.behaviour.chunks.unwrap_or(all.len()));
        let reason = if pieces.len() > limit { "length" } else { "stop" };
        pieces.truncate(limit);
        choices.push((pieces, ask.behaviour.finish_reason.clone().unwrap_or_else(|| reason.to_owned())));
    }
    let prompt: u64 = prompts.iter().map(|prompt| text::tokens(prompt)).sum();
    let completion: u64 = choices.iter().map(|(pieces, _)| pieces.len() as u64).sum();
    let usage = json!({"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion});
    Ok(if ask.is_stream() { stream(ask, &choices, &usage) } else { whole(ask, &choices, usage) })
}

/// One prompt per string; a list of tokens is one prompt.
fn prompts(prompt: &Value) -> Vec<String> {
    match prompt {
        Value::String(text) => vec![text.clone()],
        Value::Array(list) if list.iter().all(Value::is_number) => vec![format!("{} tokens", list.len())],
        Value::Array(list) => list.iter().flat_map(prompts).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => vec!["<|endoftext|>".to_owned()],
    }
}

fn envelope(ask: &Ask<'_>, choices: Value) -> Map<String, Value> {
    let mut map = Map::new();
    map.insert("id".to_owned(), ask.id("cmpl-", 29).into());
    map.insert("object".to_owned(), "text_completion".into());
    map.insert("created".to_owned(), ask.created.into());
    map.insert("model".to_owned(), ask.model.into());
    map.insert("choices".to_owned(), choices);
    map
}

fn whole(ask: &Ask<'_>, choices: &[(Vec<String>, String)], usage: Value) -> Reply {
    let choices = choices.iter().enumerate().map(|(index, (pieces, reason))| {
        let reason = (!ask.behaviour.no_finish).then_some(reason);
        json!({"text": pieces.concat(), "index": index, "logprobs": null, "finish_reason": reason})
    });
    let mut body = envelope(ask, choices.collect());
    if ask.wants_usage() {
        body.insert("usage".to_owned(), usage);
    }
    Reply::json(200, &Value::Object(body))
}

fn stream(ask: &Ask<'_>, choices: &[(Vec<String>, String)], usage: &Value) -> Reply {
    let event = |kind: EventKind, index: usize, (text, reason): (&str, Option<&str>)| {
        let mut chunk = envelope(ask, json!([{"text": text, "index": index, "logprobs": null, "finish_reason": reason}]));
        if ask.wants_usage() {
            chunk.insert("usage".to_owned(), Value::Null);
        }
        Event::data(kind, &Value::Object(chunk))
    };
    let mut events = Vec::new();
    for (index, (pieces, reason)) in choices.iter().enumerate() {
        events.extend(pieces.iter().map(|piece| event(EventKind::Content, index, (piece, None))));
        events.push(event(EventKind::Finish, index, ("", Some(reason))));
    }
    if ask.wants_usage() {
        let mut chunk = envelope(ask, json!([]));
        chunk.insert("usage".to_owned(), usage.clone());
        events.push(Event::data(EventKind::Usage, &Value::Object(chunk)));
    }
    events.push(Event::done());
    Reply::events(events)
}
