//! `GET /v1/models`: the aliases that the key may use, in the client's dialect.

use http::{Response, StatusCode};
use serde_json::{Value, json};

use super::refusal::{Refusal, no_such_model, usable};
use super::{Reply, respond};
use crate::table::{Key, RoutingTable};
use crate::wire::Format;

/// Lists the aliases that the key may use, or shows one. `below` is the path below `/v1`. All are on one page, however many.
///
/// # Errors
/// A model that the key may not see.
pub(super) fn answer(table: &RoutingTable, key: Option<&Key>, below: &str, dialect: Format) -> Result<Response<Reply>, Refusal> {
    let body = match below.strip_prefix("/models/") {
        Some(name) if usable(table, key).any(|known| known == name) => entry(name, dialect),
        Some(name) => return Err(no_such_model(name, table, key)),
        None => list(&usable(table, key).collect::<Vec<_>>(), dialect),
    };
    Ok(respond::json(StatusCode::OK, body.to_string().into_bytes()))
}

fn entry(name: &str, dialect: Format) -> Value {
    match dialect {
        // Nobody who speaks the last two asks here: their own lists stand elsewhere.
        Format::OpenaiChat | Format::OpenaiResponses | Format::Bedrock | Format::Ollama => {
            json!({"id": name, "object": "model", "created": 0, "owned_by": "bifrostctl"})
        }
        // The epoch is what the provider itself says of a model whose age is not known.
        Format::Anthropic => json!({"type": "model", "id": name, "display_name": name, "created_at": "1970-01-01T00:00:00Z"}),
        Format::Cohere => json!({"name": name, "endpoints": ["chat", "embed", "rerank"]}),
        Format::Gemini => json!({
            "name": format!("models/{name}"),
            "displayName": name,
            "supportedGenerationMethods": ["generateContent", "streamGenerateContent", "countTokens"],
        }),
    }
}

fn list(names: &[&str], dialect: Format) -> Value {
    let data: Vec<Value> = names.iter().map(|name| entry(name, dialect)).collect();
    match dialect {
        Format::OpenaiChat | Format::OpenaiResponses | Format::Bedrock | Format::Ollama => json!({"object": "list", "data": data}),
        Format::Anthropic => json!({"data": data, "has_more": false, "first_id": names.first(), "last_id": names.last()}),
        Format::Gemini | Format::Cohere => json!({"models": data}),
    }
}
