//! `/embeddings`: unit vectors from a hash of each input, as floats or base64.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::{Ask, Reply, error, text};
use crate::base::Digest;

/// The API's smallest current model has 1,536; enough dimensions for tests are fewer.
const DIMENSIONS: u64 = 32;
const MOST: u64 = 8192;

pub(super) fn answer(ask: &Ask<'_>) -> Result<Reply, Box<Reply>> {
    if ask.model.is_empty() {
        return Err(error::missing("model"));
    }
    let inputs = match ask.get("input") {
        Value::Null => return Err(error::missing("input")),
        Value::Array(list) if list.is_empty() => return Err(error::invalid("input", "a non-empty array")),
        input @ Value::String(_) => vec![input],
        input @ Value::Array(list) if list.iter().all(Value::is_number) => vec![input],
        Value::Array(list) => list.iter().collect(),
        Value::Bool(_) | Value::Number(_) | Value::Object(_) => return Err(error::invalid("input", "a string or an array")),
    };
    let dimensions = ask.get("dimensions").as_u64().unwrap_or(DIMENSIONS).clamp(1, MOST);
    let is_base64 = ask.get("encoding_format") == "base64";
    let data = inputs.iter().enumerate().map(|(index, input)| {
        let vector = vector(ask.model, input, dimensions);
        let embedding = if is_base64 { Value::from(encode(&vector)) } else { Value::from(vector) };
        json!({"object": "embedding", "index": index, "embedding": embedding})
    });
    let tokens: u64 =
        inputs.iter().map(|input| input.as_str().map_or_else(|| input.as_array().map_or(1, |list| list.len() as u64), text::tokens)).sum();
    let mut body = json!({"object": "list", "data": data.collect::<Value>(), "model": ask.model});
    if let (false, Some(map)) = (ask.behaviour.no_usage, body.as_object_mut()) {
        map.insert("usage".to_owned(), json!({"prompt_tokens": tokens, "total_tokens": tokens}));
    }
    Ok(Reply::json(200, &body))
}

/// Makes a unit vector from model and input; the first dimensions of a longer one point the same way.
pub(in crate::mock) fn vector(model: &str, input: &Value, dimensions: u64) -> Vec<f32> {
    let input = input.to_string();
    let mut raw = Vec::new();
    for block in 0..dimensions.div_ceil(16) {
        let digest = Digest::of_parts([model.as_bytes(), input.as_bytes(), &block.to_be_bytes()]);
        raw.extend(digest.as_bytes().chunks_exact(2).map(|pair| match *pair {
            [high, low] => f32::from(i16::from_be_bytes([high, low])),
            _ => 0.0,
        }));
    }
    raw.truncate(usize::try_from(dimensions).unwrap_or_default());
    let length = raw.iter().map(|value| value * value).sum::<f32>().sqrt().max(1.0);
    raw.into_iter().map(|value| value / length).collect()
}

fn encode(vector: &[f32]) -> String {
    let bytes: Vec<u8> = vector.iter().flat_map(|value| value.to_le_bytes()).collect();
    STANDARD.encode(bytes)
}
