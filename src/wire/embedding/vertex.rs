//! `predict`, as Vertex AI's models of vectors have it, where AI Studio has `embedContent`.
//!
//! Source: recorded calls, and Vertex AI's reference of text embeddings. Some models take one text at a time; they refuse more themselves.

use super::{Asked, Encoded, Vectors, vector};
use crate::wire::codec::{BadBody, Failure};
use crate::wire::gemini::{read_error, resource};
use crate::wire::json::{Document, Node, Text, Writer};

/// Writes a request for an upstream.
pub fn encode(asked: &Asked<'_>, model: &str) -> Encoded {
    // Numbers are all that the format has.
    let Asked { source, model: _, inputs, dimensions, purpose, shape: _, extras, losses } = asked;
    let mut losses = losses.clone();
    losses.extras(extras);
    let mut body = Vec::with_capacity(source.len());
    let mut writer = Writer::new(&mut body);
    writer.begin_object();
    writer.array("instances");
    for input in inputs {
        writer.begin_object();
        writer.key("content").text(input);
        if let Some(purpose) = purpose {
            writer.key("task_type").text(&purpose.value);
        }
        writer.end_object();
    }
    writer.end_array();
    if let Some(dimensions) = dimensions {
        writer.object("parameters");
        writer.key("outputDimensionality").count(dimensions.value);
        writer.end_object();
    }
    writer.end_object();
    Encoded { path: format!("/{}:predict", resource(model)), body, losses: losses.resolve(source) }
}

/// Reads an upstream's answer.
///
/// # Errors
/// A [`Failure`], where it is not what the format says.
pub fn decode_answer(body: &[u8]) -> Result<Vectors<'_>, Failure> {
    let document = Document::parse(body).map_err(BadBody::from)?;
    let root = document.root();
    if root.get("error").is_some() {
        return Err(read_error(200, body));
    }
    let listed = root.get("predictions").into_iter().flat_map(Node::elements).map(|it| it.get("embeddings"));
    let (mut vectors, mut tokens) = (Vec::new(), None);
    for embeddings in listed {
        let values = embeddings.and_then(|node| node.get("values")).and_then(vector);
        vectors.push(values.ok_or_else(|| Failure::malformed("an embedding is no vector"))?);
        let counted = embeddings.and_then(|node| node.get("statistics")?.get("token_count")?.number()?.as_u64());
        tokens = counted.map(|count| tokens.unwrap_or(0_u64).saturating_add(count)).or(tokens);
    }
    Ok(Vectors { model: Text::Borrowed(""), vectors, input_tokens: tokens })
}

#[cfg(test)]
mod tests {
    use super::super::openai;
    use super::*;

    #[test]
    fn a_request_is_written_and_its_answer_read() {
        let asked = openai::decode(br#"{"model":"m","input":["a","b"],"dimensions":4,"user":"u"}"#).unwrap();
        let written = encode(&asked, "text-embedding-005");
        assert_eq!(written.body, br#"{"instances":[{"content":"a"},{"content":"b"}],"parameters":{"outputDimensionality":4}}"#);
        assert_eq!((written.path.as_str(), written.losses.len()), ("/models/text-embedding-005:predict", 1));
        let answer = br#"{"predictions":[{"embeddings":{"values":[0.10,2],"statistics":{"token_count":3,"truncated":false}}},
            {"embeddings":{"statistics":{"token_count":4},"values":[3,4]}}],"metadata":{"billableCharacterCount":2}}"#;
        let vectors = decode_answer(answer).unwrap();
        assert_eq!((vectors.vectors.len(), vectors.input_tokens), (2, Some(7)));
        assert_eq!(vectors.vectors[0].as_str(), "[0.10,2]");
        assert!(decode_answer(br#"{"predictions":[{}]}"#).is_err());
    }
}
