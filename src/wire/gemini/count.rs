//! `countTokens`: how long a request would be.

use super::request;
use crate::wire::codec::{BadBody, Failure, Route, Target};
use crate::wire::ir::Request;
use crate::wire::json::{Document, Node, Writer};

/// Reads a client's request: the one that is to be counted, bare or inside `generateContentRequest`.
///
/// # Errors
/// [`BadBody`], whose text is for the client.
pub fn decode_count<'a>(body: &'a [u8], route: &Route<'a>) -> Result<Request<'a>, BadBody> {
    let document = Document::parse(body)?;
    let root = document.root();
    let inner = root.get("generateContentRequest").or_else(|| root.get("generate_content_request"));
    Ok(request::decode_node(inner.unwrap_or(root), document.text(), route)?)
}

/// Writes a request for an upstream. AI Studio counts instructions and tools only inside `generateContentRequest` (`is_wrapped`), which
/// Vertex does not know.
pub fn encode_count(request: &Request<'_>, target: &Target<'_>, is_wrapped: bool) -> Vec<u8> {
    let inner = request::encode(request, target).body;
    if !is_wrapped {
        return inner;
    }
    let inner = String::from_utf8(inner).unwrap_or_default();
    let mut body = Vec::with_capacity(inner.len() + 64);
    let mut writer = Writer::new(&mut body);
    writer.begin_object();
    writer.object("generateContentRequest");
    writer.key("model").text(&super::resource(target.model));
    if let Ok(document) = Document::parse(inner.as_bytes()) {
        for (key, value) in document.root().members() {
            writer.key(&key.text().unwrap_or_default()).json(&value.json());
        }
    }
    writer.end_object();
    writer.end_object();
    body
}

/// Reads an upstream's answer.
///
/// # Errors
/// A [`Failure`], where it is not what the format says.
pub fn decode_counted(body: &[u8]) -> Result<u64, Failure> {
    let document = Document::parse(body).map_err(BadBody::from)?;
    if document.root().get("error").is_some() {
        return Err(super::error::read(200, body));
    }
    let total = document.root().get("totalTokens").and_then(Node::number).and_then(|number| number.as_u64());
    total.ok_or_else(|| Failure::malformed("the answer counts no tokens"))
}

/// Writes an answer for a client.
pub fn encode_counted(tokens: u64) -> Vec<u8> {
    let mut body = Vec::new();
    let mut writer = Writer::new(&mut body);
    writer.begin_object();
    writer.key("totalTokens").count(tokens);
    writer.end_object();
    body
}
