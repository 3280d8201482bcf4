//! Documents in the order of their relevance. One shape serves all, Cohere's, which the others took over; Voyage calls some of it otherwise.

use super::codec::{BadBody, Failure, Target};
use super::failure;
use super::format::Format;
use super::ir::{Loss, Losses};
use super::json::{Document, Extras, Fields, Given, Json, Kind, Node, Number, Text, Writer};
use super::quirks::RerankWords;
use crate::error;

/// A request.
#[derive(Debug, Clone, PartialEq)]
pub struct Asked<'a> {
    /// The body, which every place points into.
    pub source: &'a str,
    /// What is looked for.
    pub query: Text<'a>,
    /// Where: as they came, and what they say.
    pub documents: Vec<(Json<'a>, Text<'a>)>,
    /// How many come back.
    pub top: Option<Given<u64>>,
    /// Whether the documents come back.
    pub returns_documents: Option<Given<bool>>,
    /// How much of each is read.
    pub max_tokens_per_document: Option<Given<u64>>,
    /// What nobody understood.
    pub extras: Extras<'a>,
    /// What was lost when the request was read.
    pub losses: Losses,
}

/// A request that was written for an upstream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Encoded {
    /// Where it goes, below the upstream's root.
    pub path: &'static str,
    /// The body.
    pub body: Vec<u8>,
    /// What it does not carry as the client wrote it.
    pub losses: Vec<Loss>,
}

/// An order.
#[derive(Debug, Clone, PartialEq)]
pub struct Ranking<'a> {
    /// The upstream's id of it; may be empty.
    pub id: Text<'a>,
    /// The places of documents in the request, best first, with their scores in the upstream's spelling.
    pub results: Vec<(u64, Number<'a>)>,
    /// Cohere's unit of billing.
    pub search_units: Option<u64>,
    /// Everybody else's.
    pub tokens: Option<u64>,
}

/// Reads a client's request.
///
/// # Errors
/// [`BadBody`], whose text is for the client.
pub fn decode(body: &[u8]) -> Result<Asked<'_>, BadBody> {
    let document = Document::parse(body)?;
    let mut fields = Fields::open(document.root())?;
    fields.need_text("model")?;
    let query = fields.need_text("query")?;
    let mut losses = Losses::default();
    let listed = fields.need("documents", "an array of strings")?;
    let documents = listed.elements().map(|node| {
        let said = match node.kind() {
            Kind::Object => node.get("text").and_then(Node::text),
            Kind::Text | Kind::Array | Kind::Null | Kind::Bool | Kind::Number => node.text(),
        };
        // Which members count is another member's to say (`rank_fields`), which only some servers know.
        if node.kind() == Kind::Object && node.members().count() > 1 {
            losses.approximated(node.place());
        }
        said.map(|said| (node.json(), said)).ok_or_else(|| node.fault("a string, or an object with `text`"))
    });
    let documents = documents.collect::<Result<Vec<_>, _>>()?;
    let top = match fields.count("top_n")? {
        Some(top) => Some(top),
        None => fields.count("top_k")?,
    };
    Ok(Asked {
        source: document.text(),
        query,
        documents,
        top,
        returns_documents: fields.bool("return_documents")?,
        max_tokens_per_document: fields.count("max_tokens_per_doc")?,
        extras: fields.extras(),
        losses,
    })
}

/// Writes a request for an upstream.
pub fn encode(format: Format, asked: &Asked<'_>, target: &Target<'_>) -> Encoded {
    let Asked { source, query, documents, top, returns_documents: _, max_tokens_per_document, extras, losses } = asked;
    let is_voyage = target.quirks.rerank == RerankWords::Voyage;
    let mut losses = losses.clone();
    losses.extras(extras);
    let mut body = Vec::with_capacity(source.len());
    let mut writer = Writer::new(&mut body);
    writer.begin_object();
    writer.key("model").text(target.model);
    writer.key("query").text(query);
    writer.array("documents");
    documents.iter().for_each(|(_, said)| writer.text(said));
    writer.end_array();
    if let Some(top) = top {
        writer.key(if is_voyage { "top_k" } else { "top_n" }).count(top.value);
    }
    match max_tokens_per_document {
        Some(most) if is_voyage => losses.unsupported(most.at),
        Some(most) => writer.key("max_tokens_per_doc").count(most.value),
        None => {}
    }
    writer.end_object();
    let path = match format {
        Format::Cohere => "/v2/rerank",
        Format::OpenaiChat | Format::OpenaiResponses | Format::Anthropic | Format::Gemini | Format::Bedrock | Format::Ollama => "/rerank",
    };
    Encoded { path, body, losses: losses.resolve(source) }
}

/// Reads an upstream's answer: `results`, or Voyage's `data`.
///
/// # Errors
/// A [`Failure`], where it is not what the format says.
pub fn decode_answer(body: &[u8]) -> Result<Ranking<'_>, Failure> {
    let document = Document::parse(body).map_err(BadBody::from)?;
    let root = document.root();
    let Some(listed) = root.get("results").or_else(|| root.get("data")) else {
        return Err(Failure::new(error::Kind::UpstreamMalformed, failure::message(body)));
    };
    let mut results = Vec::new();
    for node in listed.elements() {
        let index = node.get("index").and_then(Node::number).and_then(|number| number.as_u64());
        let score = node.get("relevance_score").or_else(|| node.get("score")).and_then(Node::number);
        let (Some(index), Some(score)) = (index, score) else { return Err(Failure::malformed("a result has no index or no score")) };
        results.push((index, score));
    }
    let count = |path: &[&str]| {
        let node = path.iter().try_fold(root, |node, name| node.get(name))?;
        node.number().and_then(|number| number.as_u64())
    };
    Ok(Ranking {
        id: root.get("id").and_then(Node::text).unwrap_or_default(),
        results,
        search_units: count(&["meta", "billed_units", "search_units"]),
        tokens: count(&["usage", "total_tokens"]).or_else(|| count(&["meta", "tokens", "input_tokens"])),
    })
}

/// Writes an answer for a client, in Cohere's shape, which is everybody's; the documents with it, where they were asked for. `id` stands in
/// where the upstream gave none.
pub fn encode_answer(ranking: &Ranking<'_>, asked: &Asked<'_>, id: &str) -> Vec<u8> {
    let Ranking { id: own, results, search_units, tokens } = ranking;
    let mut body = Vec::new();
    let mut writer = Writer::new(&mut body);
    writer.begin_object();
    writer.key("id").text(if own.is_empty() { id } else { own });
    writer.array("results");
    let most = asked.top.map_or(usize::MAX, |top| usize::try_from(top.value).unwrap_or(usize::MAX));
    for (index, score) in results.iter().take(most) {
        writer.begin_object();
        writer.key("index").count(*index);
        writer.key("relevance_score").number(*score);
        let document = usize::try_from(*index).ok().and_then(|index| asked.documents.get(index));
        if let (true, Some((document, said))) = (asked.returns_documents.is_some_and(|it| it.value), document) {
            writer.key("document");
            match document.as_str().starts_with('{') {
                true => writer.json(document),
                false => {
                    writer.begin_object();
                    writer.key("text").text(said);
                    writer.end_object();
                }
            }
        }
        writer.end_object();
    }
    writer.end_array();
    writer.object("meta");
    writer.object("api_version");
    writer.key("version").text("2");
    writer.end_object();
    if let Some(units) = search_units {
        writer.object("billed_units");
        writer.key("search_units").count(*units);
        writer.end_object();
    }
    if let Some(tokens) = tokens {
        writer.object("tokens");
        writer.key("input_tokens").count(*tokens);
        writer.end_object();
    }
    writer.end_object();
    if let Some(tokens) = tokens {
        writer.object("usage");
        writer.key("total_tokens").count(*tokens);
        writer.end_object();
    }
    writer.end_object();
    body
}

#[cfg(test)]
mod tests {
    use super::super::quirks::Quirks;
    use super::*;

    const ASK: &[u8] =
        br#"{"model":"m","query":"q","documents":["a",{"text":"b"}],"top_n":1,"return_documents":true,"max_tokens_per_doc":9,"x":1}"#;

    fn written(quirks: &Quirks) -> (String, Vec<String>) {
        let asked = decode(ASK).unwrap();
        let target = Target { model: "up", max_output_tokens: None, quirks };
        let Encoded { body, losses, .. } = encode(Format::OpenaiChat, &asked, &target);
        (String::from_utf8(body).unwrap(), losses.into_iter().map(|loss| loss.path).collect())
    }

    #[test]
    fn each_server_gets_its_own_words() {
        let (body, losses) = written(&Quirks::COMPATIBLE);
        assert_eq!(body, r#"{"model":"up","query":"q","documents":["a","b"],"top_n":1,"max_tokens_per_doc":9}"#);
        assert_eq!(losses, ["x"]);
        let (body, losses) = written(&Quirks { rerank: RerankWords::Voyage, ..Quirks::COMPATIBLE });
        assert_eq!(body, r#"{"model":"up","query":"q","documents":["a","b"],"top_k":1}"#);
        assert_eq!(losses, ["max_tokens_per_doc", "x"]);
    }

    #[test]
    fn every_answer_comes_back_in_one_shape_with_the_documents_that_were_asked_for() {
        let asked = decode(ASK).unwrap();
        let voyage = br#"{"object":"list","data":[{"relevance_score":0.690,"index":1},{"relevance_score":0.4,"index":0}],"usage":{"total_tokens":43}}"#;
        let ranking = decode_answer(voyage).unwrap();
        let body = encode_answer(&ranking, &asked, "ours");
        assert_eq!(
            std::str::from_utf8(&body).unwrap(),
            r#"{"id":"ours","results":[{"index":1,"relevance_score":0.690,"document":{"text":"b"}}],"meta":{"api_version":{"version":"2"},"tokens":{"input_tokens":43}},"usage":{"total_tokens":43}}"#
        );
        assert_eq!(decode_answer(&body).unwrap().tokens, Some(43));
        assert_eq!(decode_answer(br#"{"message":"no"}"#).unwrap_err().message, "no");
    }
}
