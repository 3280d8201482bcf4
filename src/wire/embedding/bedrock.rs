//! Vectors on Bedrock: `InvokeModel` with the bodies of each model's maker, Amazon Titan's and Cohere's.

use super::{Asked, Encoded, Shape, Vectors, cohere, vector};
use crate::wire::bedrock::path;
use crate::wire::codec::{BadBody, Failure, Route};
use crate::wire::ir::Losses;
use crate::wire::json::{Document, Fields, Node, Text, Writer};

/// Whose body a model takes.
enum Maker {
    Titan,
    Cohere,
}

fn maker(model: &str) -> Option<Maker> {
    // The maker stands first, or behind a region: `us.cohere.embed-v4:0`; in an ARN behind a slash.
    let has = |name: &str| model.contains(name);
    match () {
        () if has("titan-embed") => Some(Maker::Titan),
        () if has("cohere.embed") => Some(Maker::Cohere),
        () => None,
    }
}

/// Reads a client's request.
///
/// # Errors
/// [`BadBody`], whose text is for the client.
pub fn decode<'a>(body: &'a [u8], route: &Route<'a>) -> Result<Asked<'a>, BadBody> {
    let document = Document::parse(body)?;
    let mut fields = Fields::open(document.root())?;
    if document.root().get("texts").is_some() {
        let mut asked = cohere::decode_members(&mut fields, document.text())?;
        asked.model = Text::Borrowed(route.model.unwrap_or_default());
        return Ok(asked);
    }
    let text = fields.need_text("inputText")?;
    let dimensions = fields.count("dimensions")?;
    let mut losses = Losses::default();
    // Vectors of all others are of length one, or nearly, whatever is asked.
    if let Some(normalize) = fields.bool("normalize")?.filter(|it| !it.value) {
        losses.unsupported(normalize.at);
    }
    Ok(Asked {
        source: document.text(),
        model: Text::Borrowed(route.model.unwrap_or_default()),
        inputs: vec![text],
        dimensions,
        purpose: None,
        shape: Shape { as_base64: false, is_single: true },
        extras: fields.extras(),
        losses,
    })
}

/// Writes a request for an upstream.
///
/// # Errors
/// What keeps this model from it, for the client.
pub fn encode(asked: &Asked<'_>, model: &str) -> Result<Encoded, String> {
    let mut body = Vec::with_capacity(asked.source.len());
    let mut writer = Writer::new(&mut body);
    writer.begin_object();
    let mut losses = match (maker(model), asked.inputs.as_slice()) {
        (Some(Maker::Titan), [text]) => {
            writer.key("inputText").text(text);
            if let Some(dimensions) = &asked.dimensions {
                writer.key("dimensions").count(dimensions.value);
            }
            let mut losses = asked.losses.clone();
            losses.extras(&asked.extras);
            losses.without(asked.purpose.as_ref());
            losses
        }
        (Some(Maker::Titan), _) => return Err(format!("`{model}` makes the vector of one text at a time; send one.")),
        (Some(Maker::Cohere), _) => cohere::members(asked, &mut writer),
        (None, _) => return Err(format!("How `{model}` is asked for vectors is not known.")),
    };
    if let (Some(Maker::Cohere), Some(dimensions)) = (maker(model), &asked.dimensions) {
        match model.contains("embed-v4") {
            true => writer.key("output_dimension").count(dimensions.value),
            false => losses.unsupported(dimensions.at),
        }
    }
    writer.end_object();
    Ok(Encoded { path: path(model, "invoke"), body, losses: losses.resolve(asked.source) })
}

/// Reads an upstream's answer.
///
/// # Errors
/// A [`Failure`], where it is not what the format says.
pub fn decode_answer(body: &[u8]) -> Result<Vectors<'_>, Failure> {
    let document = Document::parse(body).map_err(BadBody::from)?;
    let root = document.root();
    let Some(embedding) = root.get("embedding") else { return cohere::decode_answer(body) };
    let own = vector(embedding).ok_or_else(|| Failure::malformed("an embedding is no vector"))?;
    let tokens = root.get("inputTextTokenCount").and_then(Node::number).and_then(|number| number.as_u64());
    Ok(Vectors { model: Text::Borrowed(""), vectors: vec![own], input_tokens: tokens })
}

/// Writes an answer for a client: Titan's, to one text, or Cohere's.
pub fn encode_answer(vectors: &Vectors<'_>, id: &str, shape: Shape) -> Vec<u8> {
    let (true, Some(own)) = (shape.is_single, vectors.vectors.first()) else { return cohere::encode_answer(vectors, id, shape) };
    let mut body = Vec::new();
    let mut writer = Writer::new(&mut body);
    writer.begin_object();
    writer.key("embedding").json(own);
    writer.key("inputTextTokenCount").count(vectors.input_tokens.unwrap_or_default());
    writer.end_object();
    body
}

#[cfg(test)]
mod tests {
    use super::super::openai;
    use super::*;

    #[test]
    fn each_model_gets_its_makers_body() {
        let one = openai::decode(br#"{"model":"m","input":"a","dimensions":256}"#).unwrap();
        let two = openai::decode(br#"{"model":"m","input":["a","b"],"dimensions":256}"#).unwrap();
        let titan = encode(&one, "amazon.titan-embed-text-v2:0").unwrap();
        assert_eq!(titan.path, "/model/amazon.titan-embed-text-v2%3A0/invoke");
        assert_eq!(titan.body, br#"{"inputText":"a","dimensions":256}"#);
        assert!(encode(&two, "amazon.titan-embed-text-v2:0").unwrap_err().contains("one text"));
        assert!(encode(&one, "nova").unwrap_err().contains("not known"));
        let cohere = encode(&two, "us.cohere.embed-english-v3").unwrap();
        assert_eq!(cohere.body, br#"{"texts":["a","b"],"input_type":"search_document","embedding_types":["float"]}"#);
        assert_eq!(cohere.losses.len(), 1, "the older models have one size");
    }

    #[test]
    fn each_makers_answer_is_read_and_written() {
        let titan = br#"{"embedding":[0.5,1],"inputTextTokenCount":3}"#;
        let vectors = decode_answer(titan).unwrap();
        assert_eq!(encode_answer(&vectors, "id", Shape { is_single: true, as_base64: false }), titan);
        let cohere = br#"{"embeddings":[[0.5],[1]],"id":"x"}"#;
        let vectors = decode_answer(cohere).unwrap();
        assert_eq!(vectors.vectors.len(), 2);
        let whole = encode_answer(&vectors, "id", Shape::default());
        assert!(whole.starts_with(br#"{"id":"id","response_type":"embeddings_by_type","embeddings":{"float":[[0.5],[1]]}"#));
    }
}
