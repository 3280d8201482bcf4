//! The other operations: models, moderations, rerank, images, audio, and an echo for whatever else a client asks.

use bytes::Bytes;
use serde_json::{Value, json};

use super::{Ask, Body, Reply, error, text};

/// One transparent pixel.
const PIXEL: &str = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==";

fn entry(ask: &Ask<'_>, id: &str) -> Value {
    json!({"id": id, "object": "model", "created": ask.created, "owned_by": "mock"})
}

pub(in crate::mock) fn models(ask: &Ask<'_>) -> Reply {
    let data: Value = ask.models.iter().map(|id| entry(ask, id)).collect();
    Reply::json(200, &json!({"object": "list", "data": data}))
}

pub(super) fn model(ask: &Ask<'_>, path: &str) -> Reply {
    let id = path.rsplit_once("/models/").map_or("", |(_, id)| id);
    if ask.models.iter().any(|have| have == id) { Reply::json(200, &entry(ask, id)) } else { error::no_model(id) }
}

/// Whether the operation takes a form in place of JSON.
pub(super) fn takes_multipart(ask: &Ask<'_>) -> bool {
    let is_form = ask.request.header("content-type").is_some_and(|kind| kind.to_ascii_lowercase().starts_with("multipart/form-data"));
    is_form && !["/completions", "/embeddings"].iter().any(|operation| ask.request.path().ends_with(operation))
}

/// Answers the operation at the path's end.
pub(super) fn answer(ask: &Ask<'_>) -> Reply {
    let path = ask.request.path();
    let is_operation = |operation: &str| path.ends_with(operation);
    let body = if is_operation("/moderations") {
        moderation(ask)
    } else if is_operation("/rerank") {
        rerank(ask)
    } else if path.contains("/images/") {
        let image = json!({"b64_json": PIXEL, "revised_prompt": ask.get("prompt")});
        let data: Value = (0..ask.choices()).map(|_| image.clone()).collect();
        json!({"created": ask.created, "data": data, "usage": {"input_tokens": 1, "output_tokens": 1, "total_tokens": 2}})
    } else if is_operation("/audio/speech") {
        return speech(ask);
    } else if is_operation("/audio/transcriptions") || is_operation("/audio/translations") {
        json!({"text": format!("mock: {} bytes", ask.request.body.len()), "usage": {"type": "duration", "seconds": 1}})
    } else {
        let model = (!ask.model.is_empty()).then_some(ask.model);
        json!({"object": "mock.echo", "method": ask.request.method, "path": path, "model": model, "bytes": ask.request.body.len()})
    };
    Reply::json(200, &body)
}

fn moderation(ask: &Ask<'_>) -> Value {
    let count = ask.get("input").as_array().filter(|list| list.iter().all(Value::is_string)).map_or(1, Vec::len);
    let result = json!({
        "flagged": false,
        "categories": {"hate": false, "violence": false},
        "category_scores": {"hate": 0.0001, "violence": 0.0002},
        "category_applied_input_types": {"hate": ["text"], "violence": ["text"]}
    });
    let results: Value = (0..count).map(|_| result.clone()).collect();
    json!({"id": ask.id("modr-", 29), "model": ask.model, "results": results})
}

/// In input order with falling scores: indexes are what a test wants to recognise.
pub(in crate::mock) fn rerank(ask: &Ask<'_>) -> Value {
    let count = ask.get("documents").as_array().map_or(0, Vec::len);
    let most = ask.get("top_n").as_u64().map_or(count, |top| usize::try_from(top).unwrap_or(count).min(count));
    let results: Value = (0..most).map(|index| json!({"index": index, "relevance_score": score(index)})).collect();
    json!({"id": ask.id("rerank-", 29), "results": results, "meta": {"billed_units": {"search_units": 1}}})
}

fn score(index: usize) -> f64 {
    1.0 / f64::from(u32::try_from(index + 1).unwrap_or(u32::MAX))
}

fn speech(ask: &Ask<'_>) -> Reply {
    let input = ask.get("input").as_str().unwrap_or_default();
    // An MPEG frame's sync word, then one byte per token: recognisable, and not text.
    let mut bytes = vec![0xff, 0xfb, 0x90, 0x00];
    bytes.extend((0..text::tokens(input)).map(|at| (at % 251) as u8));
    Reply { status: 200, content_type: "audio/mpeg", body: Body::Whole(Bytes::from(bytes)) }
}
