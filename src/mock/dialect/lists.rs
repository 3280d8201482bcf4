//! The list of models, in each format's words.

use serde_json::{Value, json};

use crate::mock::openai::Reply;
use crate::wire::Format;

/// Lists the models, or shows one, out of OpenAI's words for it.
pub(super) fn models(body: &[u8], format: Format) -> Reply {
    let list: Value = serde_json::from_slice(body).unwrap_or_default();
    let entry = |model: &Value| entry(model.get("id").and_then(Value::as_str).unwrap_or_default(), format);
    let Some(data) = list.get("data").and_then(Value::as_array) else { return Reply::json(200, &entry(&list)) };
    let told: Vec<Value> = data.iter().map(entry).collect();
    let id = |model: Option<&Value>| model.and_then(|model| model.get("id")).cloned();
    let told = match format {
        Format::Gemini | Format::Ollama => json!({"models": told}),
        Format::OpenaiChat | Format::OpenaiResponses | Format::Anthropic | Format::Bedrock | Format::Cohere => {
            json!({"data": told, "has_more": false, "first_id": id(data.first()), "last_id": id(data.last())})
        }
    };
    Reply::json(200, &told)
}

/// Writes one model. Nobody asks in the formats that have no list of their own.
fn entry(id: &str, format: Format) -> Value {
    match format {
        Format::Gemini => {
            json!({"name": format!("models/{id}"), "displayName": id, "supportedGenerationMethods": ["generateContent", "countTokens"]})
        }
        Format::Ollama => {
            let details =
                json!({"format": "gguf", "family": "mock", "families": ["mock"], "parameter_size": "1B", "quantization_level": "Q4_0"});
            json!({"name": id, "model": id, "modified_at": "2023-11-14T22:13:20Z", "size": 1, "digest": "0", "details": details})
        }
        Format::OpenaiChat | Format::OpenaiResponses | Format::Anthropic | Format::Bedrock | Format::Cohere => {
            json!({"type": "model", "id": id, "display_name": id, "created_at": "2023-11-14T22:13:20Z"})
        }
    }
}
