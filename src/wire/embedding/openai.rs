//! `/v1/embeddings`, as OpenAI and all that speak like it have it.

use super::{Asked, Encoded, Shape, Vectors, purpose, to_base64, vector};
use crate::wire::codec::{BadBody, Failure};
use crate::wire::ir::Losses;
use crate::wire::json::{Document, Fault, Fields, Kind, Node, Text, Writer};

/// Reads a client's request.
///
/// # Errors
/// [`BadBody`], whose text is for the client. Tokens in place of text are refused: no other format has them.
pub fn decode(body: &[u8]) -> Result<Asked<'_>, BadBody> {
    let document = Document::parse(body)?;
    let mut fields = Fields::open(document.root())?;
    let model = fields.need_text("model")?;
    let inputs = inputs(fields.need("input", "a string or an array of strings")?)?;
    let dimensions = fields.count("dimensions")?;
    let as_base64 = fields.text("encoding_format")?.is_some_and(|format| format.value == "base64");
    // Not OpenAI's own, but what Voyage, NVIDIA, Cohere and others that speak like it call it.
    let purpose = fields.text("input_type")?.map(|given| given.map(purpose::of));
    let mut asked = Asked {
        source: document.text(),
        model,
        inputs,
        dimensions,
        purpose,
        shape: Shape { as_base64, is_single: false },
        extras: Vec::new(),
        losses: Losses::default(),
    };
    if let Some(user) = fields.text("user")? {
        asked.losses.unsupported(user.at);
    }
    asked.extras = fields.extras();
    Ok(asked)
}

fn inputs<'a>(node: Node<'_, 'a>) -> Result<Vec<Text<'a>>, Fault> {
    let text = |node: Node<'_, 'a>| node.text().ok_or_else(|| node.fault("a string: tokens cannot be translated"));
    match node.kind() {
        Kind::Array => node.elements().map(text).collect(),
        Kind::Null | Kind::Bool | Kind::Number | Kind::Text | Kind::Object => Ok(vec![text(node)?]),
    }
}

/// Writes a request for an upstream. Numbers are asked for, whatever the client wants.
pub fn encode(asked: &Asked<'_>, model: &str) -> Encoded {
    let mut body = Vec::with_capacity(asked.source.len());
    let mut writer = Writer::new(&mut body);
    writer.begin_object();
    let losses = members(asked, model, &mut writer);
    writer.key("encoding_format").text("float");
    writer.end_object();
    Encoded { path: "/embeddings".to_owned(), body, losses: losses.resolve(asked.source) }
}

/// Writes what servers other than OpenAI's take, too.
pub(super) fn members(asked: &Asked<'_>, model: &str, writer: &mut Writer<'_>) -> Losses {
    let Asked { source: _, model: _, inputs, dimensions, purpose, shape: _, extras, losses } = asked;
    let mut losses = losses.clone();
    losses.extras(extras);
    losses.without(purpose.as_ref());
    writer.key("model").text(model);
    writer.array("input");
    inputs.iter().for_each(|input| writer.text(input));
    writer.end_array();
    if let Some(dimensions) = dimensions {
        writer.key("dimensions").count(dimensions.value);
    }
    losses
}

/// Reads an upstream's answer.
///
/// # Errors
/// A [`Failure`], where it is not what the format says.
pub fn decode_answer(body: &[u8]) -> Result<Vectors<'_>, Failure> {
    let document = Document::parse(body).map_err(BadBody::from)?;
    let root = document.root();
    let mut entries = Vec::new();
    for node in root.get("data").into_iter().flat_map(Node::elements) {
        let index = node.get("index").and_then(Node::number).and_then(|number| number.as_u64());
        let found = node.get("embedding").and_then(vector).ok_or_else(|| Failure::malformed("an embedding is no vector"))?;
        entries.push((index.unwrap_or(entries.len() as u64), found));
    }
    entries.sort_by_key(|(index, _)| *index);
    let tokens = root.get("usage").and_then(|usage| usage.get("prompt_tokens")).and_then(Node::number);
    Ok(Vectors {
        model: root.get("model").and_then(Node::text).unwrap_or_default(),
        vectors: entries.into_iter().map(|(_, vector)| vector).collect(),
        input_tokens: tokens.and_then(|tokens| tokens.as_u64()),
    })
}

/// Writes an answer for a client. `model` stands in where the upstream did not say; tokens that nobody counted are 0.
pub fn encode_answer(vectors: &Vectors<'_>, model: &str, as_base64: bool) -> Vec<u8> {
    let Vectors { model: own, vectors, input_tokens } = vectors;
    let mut body = Vec::new();
    let mut writer = Writer::new(&mut body);
    writer.begin_object();
    writer.key("object").text("list");
    writer.array("data");
    for (index, vector) in (0..).zip(vectors) {
        writer.begin_object();
        writer.key("object").text("embedding");
        writer.key("index").count(index);
        if as_base64 {
            writer.key("embedding").text(&to_base64(vector));
        } else {
            writer.key("embedding").json(vector);
        }
        writer.end_object();
    }
    writer.end_array();
    writer.key("model").text(if own.is_empty() { model } else { own });
    writer.object("usage");
    writer.key("prompt_tokens").count(input_tokens.unwrap_or_default());
    writer.key("total_tokens").count(input_tokens.unwrap_or_default());
    writer.end_object();
    writer.end_object();
    body
}
