//! `embedContent`, which makes one vector, and `batchEmbedContents`, as Gemini has them.

use super::{Asked, Encoded, Shape, Vectors, vector};
use crate::wire::codec::{BadBody, Failure, Route};
use crate::wire::gemini::{Members, bare_model, read_error, resource};
use crate::wire::ir::Losses;
use crate::wire::json::{Document, Fault, Given, Node, Text, Writer};

fn path(model: &str) -> String {
    format!("/{}:batchEmbedContents", resource(model))
}

/// Reads a client's request: a batch, where it has `requests`.
///
/// # Errors
/// [`BadBody`], whose text is for the client. What is not text is refused: no other format embeds it.
pub fn decode<'a>(body: &'a [u8], route: &Route<'a>) -> Result<Asked<'a>, BadBody> {
    let document = Document::parse(body)?;
    let mut members = Members::open(document.root())?;
    let mut asked = Asked {
        source: document.text(),
        model: bare_model(route.model.map(Text::Borrowed).unwrap_or_default()),
        inputs: Vec::new(),
        dimensions: None,
        purpose: None,
        shape: Shape { is_single: members.node().get("requests").is_none(), as_base64: false },
        extras: Vec::new(),
        losses: Losses::default(),
    };
    if members.node().get("requests").is_some() {
        for (index, node) in members.array("requests")?.enumerate() {
            let mut one = Members::open(node)?;
            content(&mut one, &mut asked, index == 0)?;
            asked.losses.rest(one.fields());
        }
    } else {
        content(&mut members, &mut asked, true)?;
    }
    asked.extras = members.extras();
    Ok(asked)
}

/// Reads one text, and what it is wanted for. That counts for all texts, so the first one's counts.
fn content<'a>(members: &mut Members<'_, 'a>, asked: &mut Asked<'a>, is_first: bool) -> Result<(), Fault> {
    let model = members.text("model")?;
    if asked.model.is_empty() {
        asked.model = bare_model(model.map(|model| model.value).unwrap_or_default());
    }
    let mut content = members.object("content")?.ok_or_else(|| members.node().fault("an object with `content`"))?;
    content.take("role")?;
    let mut text = Text::Borrowed("");
    for (index, part) in content.array("parts")?.enumerate() {
        let piece = part.get("text").and_then(Node::text).ok_or_else(|| part.fault("text: nothing else can be translated"))?;
        if index == 0 {
            text = piece;
        } else {
            let whole = text.to_mut();
            whole.push('\n');
            whole.push_str(&piece);
        }
    }
    asked.losses.rest(content.fields());
    asked.inputs.push(text);
    let dimensions = members.count("outputDimensionality")?;
    let purpose = members.text("taskType")?;
    if is_first {
        asked.dimensions = dimensions;
        asked.purpose = purpose;
    } else {
        let same = |one: Option<&u64>, other: Option<&u64>| one == other;
        if !same(value(&asked.dimensions), value(&dimensions)) {
            asked.losses.without(dimensions.as_ref());
        }
        if value(&asked.purpose) != value(&purpose) {
            asked.losses.without(purpose.as_ref());
        }
    }
    if let Some(title) = members.text("title")? {
        asked.losses.unsupported(title.at);
    }
    Ok(())
}

fn value<T>(given: &Option<Given<T>>) -> Option<&T> {
    given.as_ref().map(|given| &given.value)
}

/// Writes a request for an upstream, as a batch.
pub fn encode(asked: &Asked<'_>, model: &str) -> Encoded {
    // Numbers are all that the format has.
    let Asked { source, model: _, inputs, dimensions, purpose, shape: _, extras, losses } = asked;
    let mut losses = losses.clone();
    losses.extras(extras);
    let mut body = Vec::with_capacity(source.len());
    let mut writer = Writer::new(&mut body);
    writer.begin_object();
    writer.array("requests");
    for input in inputs {
        writer.begin_object();
        writer.key("model").text(&resource(model));
        writer.object("content");
        writer.array("parts");
        writer.begin_object();
        writer.key("text").text(input);
        writer.end_object();
        writer.end_array();
        writer.end_object();
        if let Some(dimensions) = dimensions {
            writer.key("outputDimensionality").count(dimensions.value);
        }
        if let Some(purpose) = purpose {
            writer.key("taskType").text(&purpose.value);
        }
        writer.end_object();
    }
    writer.end_array();
    writer.end_object();
    Encoded { path: path(model), body, losses: losses.resolve(source) }
}

/// Reads an upstream's answer, to a batch or to one.
///
/// # Errors
/// A [`Failure`], where it is not what the format says.
pub fn decode_answer(body: &[u8]) -> Result<Vectors<'_>, Failure> {
    let document = Document::parse(body).map_err(BadBody::from)?;
    let root = document.root();
    if root.get("error").is_some() {
        return Err(read_error(200, body));
    }
    let listed = root.get("embeddings").into_iter().flat_map(Node::elements).chain(root.get("embedding"));
    let vectors = listed.map(|node| node.get("values").and_then(vector).ok_or_else(|| Failure::malformed("an embedding is no vector")));
    let tokens = root.get("usageMetadata").and_then(|usage| usage.get("promptTokenCount")).and_then(Node::number);
    Ok(Vectors {
        model: Text::Borrowed(""),
        vectors: vectors.collect::<Result<_, _>>()?,
        input_tokens: tokens.and_then(|tokens| tokens.as_u64()),
    })
}

/// Writes an answer for a client: to a batch, or to one.
pub fn encode_answer(vectors: &Vectors<'_>, is_batch: bool) -> Vec<u8> {
    // The format names no model.
    let Vectors { model: _, vectors, input_tokens } = vectors;
    let mut body = Vec::new();
    let mut writer = Writer::new(&mut body);
    writer.begin_object();
    if is_batch {
        writer.array("embeddings");
    }
    for vector in vectors.iter().take(if is_batch { usize::MAX } else { 1 }) {
        if is_batch {
            writer.begin_object();
        } else {
            writer.object("embedding");
        }
        writer.key("values").json(vector);
        writer.end_object();
    }
    if is_batch {
        writer.end_array();
    }
    if let Some(tokens) = input_tokens {
        writer.object("usageMetadata");
        writer.key("promptTokenCount").count(*tokens);
        writer.end_object();
    }
    writer.end_object();
    body
}
