//! Embeddings: what a request for vectors and its answer say, whatever the format they came in.
//!
//! Not a part of [`super::ir`]: nothing is generated, and there is nothing to stream. The rules are the same: what is not written is told.

pub mod bedrock;
pub mod cohere;
pub mod gemini;
pub mod ollama;
pub mod openai;
mod purpose;
pub mod vertex;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::Format;
use super::codec::{BadBody, Failure, Route};
use super::ir::{Loss, Losses};
use super::json::{Document, Extras, Given, Json, Node, Text};

/// A request for vectors.
#[derive(Debug, Clone, PartialEq)]
pub struct Asked<'a> {
    /// The body, which every place points into.
    pub source: &'a str,
    /// The model that the client named.
    pub model: Text<'a>,
    /// The texts, one for each vector.
    pub inputs: Vec<Text<'a>>,
    /// How many numbers a vector has.
    pub dimensions: Option<Given<u64>>,
    /// What the vectors are for, in Gemini's words: `RETRIEVAL_QUERY`, `RETRIEVAL_DOCUMENT`, ….
    pub purpose: Option<Given<Text<'a>>>,
    /// How the client wants its answer.
    pub shape: Shape,
    /// What nobody understood.
    pub extras: Extras<'a>,
    /// What was lost when the request was read.
    pub losses: Losses,
}

/// How a client wants its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Shape {
    /// Bytes in base64 instead of numbers.
    pub as_base64: bool,
    /// One vector alone, in formats that write that in another way than several.
    pub is_single: bool,
}

/// A request that was written for an upstream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Encoded {
    /// Where it goes, below the upstream's root.
    pub path: String,
    /// The body.
    pub body: Vec<u8>,
    /// What it does not carry as the client wrote it.
    pub losses: Vec<Loss>,
}

/// Vectors.
#[derive(Debug, Clone, PartialEq)]
pub struct Vectors<'a> {
    /// The model that made them; empty where the upstream does not say.
    pub model: Text<'a>,
    /// One for each input: arrays of numbers in the upstream's spelling.
    pub vectors: Vec<Json<'a>>,
    /// Tokens of the input, where the upstream says.
    pub input_tokens: Option<u64>,
}

/// Reads a client's request.
///
/// # Errors
/// [`BadBody`], whose text is for the client.
pub fn decode<'a>(format: Format, body: &'a [u8], route: &Route<'a>) -> Result<Asked<'a>, BadBody> {
    match format {
        Format::OpenaiChat | Format::OpenaiResponses | Format::Anthropic | Format::Ollama => openai::decode(body),
        Format::Cohere => cohere::decode(body),
        Format::Gemini => gemini::decode(body, route),
        Format::Bedrock => bedrock::decode(body, route),
    }
}

/// Writes a request for an upstream of a format that has vectors.
///
/// # Errors
/// What keeps this model from it, for the client.
pub fn encode(format: Format, asked: &Asked<'_>, model: &str) -> Result<Encoded, String> {
    match format {
        Format::OpenaiChat | Format::OpenaiResponses | Format::Anthropic => Ok(openai::encode(asked, model)),
        Format::Ollama => Ok(ollama::encode(asked, model)),
        Format::Cohere => Ok(cohere::encode(asked, model)),
        Format::Gemini => Ok(gemini::encode(asked, model)),
        Format::Bedrock => bedrock::encode(asked, model),
    }
}

/// Reads an upstream's answer.
///
/// # Errors
/// A [`Failure`], where it is not what the format says.
pub fn decode_answer(format: Format, body: &[u8]) -> Result<Vectors<'_>, Failure> {
    match format {
        Format::OpenaiChat | Format::OpenaiResponses | Format::Anthropic => openai::decode_answer(body),
        Format::Ollama => ollama::decode_answer(body),
        Format::Cohere => cohere::decode_answer(body),
        Format::Gemini => gemini::decode_answer(body),
        Format::Bedrock => bedrock::decode_answer(body),
    }
}

/// Writes an answer for a client. `model` stands in where the upstream did not say, `id` where the format wants one.
pub fn encode_answer(format: Format, vectors: &Vectors<'_>, (model, id): (&str, &str), shape: Shape) -> Vec<u8> {
    match format {
        Format::OpenaiChat | Format::OpenaiResponses | Format::Anthropic | Format::Ollama => {
            openai::encode_answer(vectors, model, shape.as_base64)
        }
        Format::Cohere => cohere::encode_answer(vectors, id, shape),
        Format::Gemini => gemini::encode_answer(vectors, !shape.is_single),
        Format::Bedrock => bedrock::encode_answer(vectors, id, shape),
    }
}

/// Writes numbers as OpenAI's base64: 32-bit floats, little end first.
pub(super) fn to_base64(vector: &Json<'_>) -> String {
    let numbers = Document::parse(vector.as_str().as_bytes());
    let mut bytes = Vec::new();
    for node in numbers.iter().flat_map(|document| document.root().elements()) {
        #[expect(clippy::cast_possible_truncation, reason = "that is the format")]
        let number = node.number().map_or(0.0, |number| number.as_f64() as f32);
        bytes.extend_from_slice(&number.to_le_bytes());
    }
    STANDARD.encode(bytes)
}

/// Reads a vector: an array of numbers, or OpenAI's base64.
pub(super) fn vector<'a>(node: Node<'_, 'a>) -> Option<Json<'a>> {
    let Some(text) = node.text() else {
        return node.elements().all(|element| element.number().is_some()).then(|| node.json());
    };
    let bytes = STANDARD.decode(text.as_bytes()).ok()?;
    let number = |chunk: &[u8]| chunk.try_into().map(f32::from_le_bytes).unwrap_or_default().to_string();
    let numbers: Vec<String> = bytes.chunks_exact(4).map(number).collect();
    Some(Json::new(format!("[{}]", numbers.join(","))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vector_is_the_same_in_base64() {
        assert_eq!(to_base64(&Json::new("[1.0,-2.0]")), "AACAPwAAAMA=");
        let document = Document::parse(br#"["AACAPwAAAMA=",[0.10,2],"?",["x"]]"#).unwrap();
        let read: Vec<_> = document.root().elements().map(|node| vector(node).map(|vector| vector.as_str().to_owned())).collect();
        assert_eq!(read, [Some("[1,-2]".to_owned()), Some("[0.10,2]".to_owned()), None, None]);
    }
}
