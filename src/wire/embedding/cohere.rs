//! `/v2/embed`, as Cohere has it.

use super::{Asked, Encoded, Shape, Vectors, purpose, to_base64, vector};
use crate::wire::codec::{BadBody, Failure};
use crate::wire::failure;
use crate::wire::ir::Losses;
use crate::wire::json::{Document, Fault, Fields, Given, Text, Writer};

/// Reads a client's request.
///
/// # Errors
/// [`BadBody`], whose text is for the client. What is not text is refused: no other format embeds it in this way.
pub fn decode(body: &[u8]) -> Result<Asked<'_>, BadBody> {
    let document = Document::parse(body)?;
    let mut fields = Fields::open(document.root())?;
    let model = fields.need_text("model")?;
    Ok(Asked { model, ..decode_members(&mut fields, document.text())? })
}

/// Reads what Cohere's models take wherever they run.
pub(super) fn decode_members<'a>(fields: &mut Fields<'_, 'a>, source: &'a str) -> Result<Asked<'a>, Fault> {
    let texts = fields.need("texts", "an array of strings: nothing else can be translated")?;
    let inputs = texts.elements().map(|node| node.text().ok_or_else(|| node.fault("a string"))).collect::<Result<Vec<_>, _>>()?;
    let dimensions = fields.count("output_dimension")?;
    let purpose = fields.text("input_type")?.map(|given| given.map(purpose::of));
    let mut losses = Losses::default();
    let mut as_base64 = false;
    for (index, kind) in fields.array("embedding_types")?.enumerate() {
        if kind.is("base64") && index == 0 {
            as_base64 = true;
        } else if !kind.is("float") {
            losses.unsupported(kind.place());
        }
    }
    // Whoever else is asked cuts what is too long, or refuses it, as it sees fit.
    losses.without(fields.text("truncate")?.as_ref());
    let shape = Shape { as_base64, is_single: false };
    Ok(Asked { source, model: Text::Borrowed(""), inputs, dimensions, purpose, shape, extras: fields.extras(), losses })
}

/// Writes a request for an upstream.
pub fn encode(asked: &Asked<'_>, model: &str) -> Encoded {
    let mut body = Vec::with_capacity(asked.source.len());
    let mut writer = Writer::new(&mut body);
    writer.begin_object();
    writer.key("model").text(model);
    let losses = members(asked, &mut writer);
    if let Some(dimensions) = &asked.dimensions {
        writer.key("output_dimension").count(dimensions.value);
    }
    writer.end_object();
    Encoded { path: "/v2/embed".to_owned(), body, losses: losses.resolve(asked.source) }
}

/// Writes what Cohere's models take wherever they run.
pub(super) fn members(asked: &Asked<'_>, writer: &mut Writer<'_>) -> Losses {
    let Asked { source: _, model: _, inputs, dimensions: _, purpose, shape: _, extras, losses } = asked;
    let mut losses = losses.clone();
    losses.extras(extras);
    writer.array("texts");
    inputs.iter().for_each(|input| writer.text(input));
    writer.end_array();
    let word = purpose.as_ref().and_then(|given| purpose::in_cohere(&given.value));
    if let (Some(Given { at, .. }), None) = (purpose, word) {
        losses.approximated(*at);
    }
    // It must be said; what is stored is the commoner case, and the one that a query can be told from.
    writer.key("input_type").text(word.unwrap_or("search_document"));
    writer.array("embedding_types");
    writer.text("float");
    writer.end_array();
    losses
}

/// Reads an upstream's answer.
///
/// # Errors
/// A [`Failure`], where it is not what the format says.
pub fn decode_answer(body: &[u8]) -> Result<Vectors<'_>, Failure> {
    let document = Document::parse(body).map_err(BadBody::from)?;
    let root = document.root();
    let Some(embeddings) = root.get("embeddings") else {
        return Err(Failure::new(crate::error::Kind::UpstreamMalformed, failure::message(body)));
    };
    // By type; the older answer is one list.
    let listed = embeddings.get("float").unwrap_or(embeddings);
    let vectors = listed.elements().map(|node| vector(node).ok_or_else(|| Failure::malformed("an embedding is no vector")));
    let billed = root.get("meta").and_then(|meta| meta.get("billed_units")?.get("input_tokens")?.number());
    Ok(Vectors {
        model: Text::Borrowed(""),
        vectors: vectors.collect::<Result<_, _>>()?,
        input_tokens: billed.and_then(|tokens| tokens.as_u64()),
    })
}

/// Writes an answer for a client. `id` is ours, for the format wants one.
pub fn encode_answer(vectors: &Vectors<'_>, id: &str, shape: Shape) -> Vec<u8> {
    // The format names no model.
    let Vectors { model: _, vectors, input_tokens } = vectors;
    let mut body = Vec::new();
    let mut writer = Writer::new(&mut body);
    writer.begin_object();
    writer.key("id").text(id);
    writer.key("response_type").text("embeddings_by_type");
    writer.object("embeddings");
    writer.array(if shape.as_base64 { "base64" } else { "float" });
    for vector in vectors {
        match shape.as_base64 {
            true => writer.text(&to_base64(vector)),
            false => writer.json(vector),
        }
    }
    writer.end_array();
    writer.end_object();
    // Clients print the texts beside their vectors only where they asked with them; an empty list stands for "not repeated".
    writer.array("texts");
    writer.end_array();
    writer.object("meta");
    writer.object("api_version");
    writer.key("version").text("2");
    writer.end_object();
    if let Some(tokens) = input_tokens {
        writer.object("billed_units");
        writer.key("input_tokens").count(*tokens);
        writer.end_object();
    }
    writer.end_object();
    writer.end_object();
    body
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_request_says_comes_back_from_what_is_written() {
        let body =
            br#"{"model":"m","texts":["a","b"],"input_type":"search_query","embedding_types":["float","int8"],"output_dimension":256}"#;
        let asked = decode(body).unwrap();
        let written = encode(&asked, "embed-v4.0");
        assert_eq!(
            std::str::from_utf8(&written.body).unwrap(),
            r#"{"model":"embed-v4.0","texts":["a","b"],"input_type":"search_query","embedding_types":["float"],"output_dimension":256}"#
        );
        assert_eq!(written.losses.iter().map(|loss| loss.path.as_str()).collect::<Vec<_>>(), ["embedding_types[1]"]);
    }

    #[test]
    fn a_purpose_that_the_format_lacks_is_told() {
        let asked = super::super::openai::decode(br#"{"model":"m","input":"a","input_type":"SEMANTIC_SIMILARITY"}"#).unwrap();
        let written = encode(&asked, "m");
        assert_eq!(written.losses.len(), 1);
        assert!(std::str::from_utf8(&written.body).unwrap().contains(r#""input_type":"search_document""#));
    }
}
