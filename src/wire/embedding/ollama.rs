//! `/api/embed`, as Ollama has it.

use super::{Asked, Encoded, Vectors, openai, vector};
use crate::error::Kind;
use crate::wire::codec::{BadBody, Failure};
use crate::wire::failure;
use crate::wire::json::{Document, Node, Writer};

/// Writes a request for an upstream.
pub fn encode(asked: &Asked<'_>, model: &str) -> Encoded {
    let mut body = Vec::with_capacity(asked.source.len());
    let mut writer = Writer::new(&mut body);
    writer.begin_object();
    let losses = openai::members(asked, model, &mut writer);
    writer.end_object();
    Encoded { path: "/api/embed".to_owned(), body, losses: losses.resolve(asked.source) }
}

/// Reads an upstream's answer.
///
/// # Errors
/// A [`Failure`], where it is not what the format says.
pub fn decode_answer(body: &[u8]) -> Result<Vectors<'_>, Failure> {
    let document = Document::parse(body).map_err(BadBody::from)?;
    let root = document.root();
    let Some(embeddings) = root.get("embeddings") else {
        return Err(Failure::new(Kind::UpstreamMalformed, failure::message(body)));
    };
    let vectors = embeddings.elements().map(|node| vector(node).ok_or_else(|| Failure::malformed("an embedding is no vector")));
    Ok(Vectors {
        model: root.get("model").and_then(Node::text).unwrap_or_default(),
        vectors: vectors.collect::<Result<_, _>>()?,
        input_tokens: root.get("prompt_eval_count").and_then(Node::number).and_then(|number| number.as_u64()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_written_and_its_answer_read() {
        let asked = openai::decode(br#"{"model":"m","input":["a","b"],"dimensions":4,"user":"u"}"#).unwrap();
        let written = encode(&asked, "nomic-embed-text");
        assert_eq!(written.body, br#"{"model":"nomic-embed-text","input":["a","b"],"dimensions":4}"#);
        assert_eq!((written.path.as_str(), written.losses.len()), ("/api/embed", 1));
        let answer = br#"{"model":"nomic-embed-text","embeddings":[[0.1,2],[3,4]],"prompt_eval_count":8}"#;
        let vectors = decode_answer(answer).unwrap();
        assert_eq!((vectors.vectors.len(), vectors.input_tokens, vectors.model.as_ref()), (2, Some(8), "nomic-embed-text"));
        assert_eq!(decode_answer(br#"{"error":"no such model"}"#).unwrap_err().message, "no such model");
    }
}
