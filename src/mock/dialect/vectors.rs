//! Vectors of texts and the order of documents, in the words of the providers that have them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use crate::mock::openai::{self, Ask, Reply};
use crate::wire::Format;

/// Dimensions where none are asked for.
const DIMENSIONS: u64 = 32;
const MOST_DIMENSIONS: u64 = 8_192;

/// Answers with vectors.
///
/// # Errors
/// Why the provider would refuse.
pub(super) fn embed(ask: &Ask<'_>, format: Format, id: &str) -> Result<Reply, String> {
    need(ask, "model")?;
    if format == Format::Ollama {
        return ollama(ask);
    }
    let texts: Vec<&Value> = ["texts", "inputs", "images"].iter().filter_map(|name| ask.get(name).as_array()).flatten().collect();
    if texts.is_empty() {
        return Err("invalid request: at least one of texts, images or inputs must be provided".to_owned());
    }
    need(ask, "input_type")?;
    let vectors = vectors(ask, &texts, "output_dimension");
    let asked = ask.get("embedding_types").as_array().cloned().unwrap_or_else(|| vec![json!("float")]);
    let mut embeddings = Map::new();
    for kind in asked.iter().filter_map(Value::as_str) {
        let told: Option<Vec<Value>> = vectors.iter().map(|vector| spelt(vector, kind)).collect();
        embeddings.insert(kind.to_owned(), told.ok_or_else(|| format!("invalid request: embedding type {kind} is not supported"))?.into());
    }
    let tokens: u64 = texts.iter().map(|text| text.as_str().map_or(1, openai::tokens)).sum();
    let said: Vec<&Value> = texts.into_iter().filter(|text| text.is_string()).collect();
    Ok(Reply::json(
        200,
        &json!({
            "id": id,
            "embeddings": embeddings,
            "texts": said,
            "meta": {"api_version": {"version": "2"}, "billed_units": {"input_tokens": tokens}},
            "response_type": "embeddings_by_type"
        }),
    ))
}

fn ollama(ask: &Ask<'_>) -> Result<Reply, String> {
    let input = ask.get("input");
    let texts: Vec<&Value> = input.as_array().map_or_else(|| vec![input], |list| list.iter().collect());
    if !texts.iter().all(|text| text.is_string()) {
        return Err("invalid input type".to_owned());
    }
    let tokens: u64 = texts.iter().filter_map(|text| text.as_str()).map(openai::tokens).sum();
    let embeddings = vectors(ask, &texts, "dimensions");
    Ok(Reply::json(
        200,
        &json!({
            "model": ask.model,
            "embeddings": embeddings,
            "total_duration": 1_000_000,
            "load_duration": 1_000,
            "prompt_eval_count": tokens
        }),
    ))
}

/// Answers with the documents in their order, which is what a test wants to recognise.
///
/// # Errors
/// Why the provider would refuse.
pub(super) fn rerank(ask: &Ask<'_>, id: &str) -> Result<Reply, String> {
    for member in ["model", "query", "documents"] {
        need(ask, member)?;
    }
    let mut body = openai::rerank(ask);
    if let Some(body) = body.as_object_mut() {
        body.insert("id".to_owned(), id.into());
        body.insert("meta".to_owned(), json!({"api_version": {"version": "2"}, "billed_units": {"search_units": 1}}));
    }
    Ok(Reply::json(200, &body))
}

fn need(ask: &Ask<'_>, member: &str) -> Result<(), String> {
    if ask.get(member).is_null() { Err(format!("invalid request: {member} is required")) } else { Ok(()) }
}

fn vectors(ask: &Ask<'_>, texts: &[&Value], member: &str) -> Vec<Vec<f32>> {
    let dimensions = ask.get(member).as_u64().unwrap_or(DIMENSIONS).clamp(1, MOST_DIMENSIONS);
    texts.iter().map(|text| openai::vector(ask.model, text, dimensions)).collect()
}

/// Spells a vector, whose members are between -1 and 1, in one of the types that can be asked for.
fn spelt(vector: &[f32], kind: &str) -> Option<Value> {
    #[expect(clippy::cast_possible_truncation, reason = "between -127 and 127")]
    let byte = |value: &f32| (value * 127.0) as i16;
    let bits = || vector.chunks(8).map(|eight| eight.iter().fold(0_i16, |bits, value| bits << 1 | i16::from(*value > 0.0)));
    Some(match kind {
        "float" => json!(vector),
        "int8" => vector.iter().map(byte).collect(),
        "uint8" => vector.iter().map(|value| byte(value) + 128).collect(),
        "ubinary" => bits().collect(),
        "binary" => bits().map(|bits| bits - 128).collect(),
        "base64" => STANDARD.encode(vector.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>()).into(),
        _ => return None,
    })
}
