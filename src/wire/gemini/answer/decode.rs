//! Reads a whole answer.

use super::{blocked, citations, read_finish, read_logprobs, read_tier, read_usage};
use crate::wire::Format;
use crate::wire::codec::{BadBody, Failure};
use crate::wire::gemini::members::Members;
use crate::wire::gemini::{error, request};
use crate::wire::ir::{Choice, Content, Finish, FinishReason, Part, Response};
use crate::wire::json::{Document, Extra, Fault, Json, Node, Place, Text};

pub(in crate::wire::gemini) fn decode(body: &[u8]) -> Result<Response<'_>, Failure> {
    let document = Document::parse(body).map_err(BadBody::from)?;
    if document.root().get("error").is_some() {
        return Err(error::read(200, body));
    }
    let mut members = Members::open(document.root()).map_err(bad)?;
    let text = |node: Option<Node<'_, '_>>| node.and_then(Node::text).map(|text| Text::Owned(text.into_owned())).unwrap_or_default();
    let id = text(members.take("responseId").map_err(bad)?);
    let model = text(members.take("modelVersion").map_err(bad)?);
    let time = members.take("createTime").map_err(bad)?;
    let counts = members.take("usageMetadata").map_err(bad)?;
    let mut choices = Vec::new();
    for node in members.array("candidates").map_err(bad)? {
        choices.push(candidate(node)?);
    }
    choices.sort_by_key(|(number, _)| *number);
    let mut choices: Vec<Choice<'_>> = choices.into_iter().map(|(_, choice)| choice).collect();
    if choices.is_empty() {
        let finish = blocked(document.root()).ok_or_else(|| Failure::malformed("the answer has no candidates"))?;
        choices.push(Choice { parts: Vec::new(), finish, logprobs: None, extras: Vec::new(), message_extras: Vec::new() });
    }
    let mut extras = members.extras();
    // Told to every format in its own words; a client of this one gets them as they are.
    let told = [("createTime", time), ("usageMetadata", counts)];
    // Numbers in place of words are for the client that asked Vertex for them.
    let has_words = |node: &Node<'_, '_>| !node.members().any(|(_, value)| value.elements().any(has_number_for_a_word));
    let told = told.map(|(name, node)| (name, node.filter(has_words)));
    extras.extend(told.into_iter().filter_map(|(name, node)| node.map(|node| kept(name, node.json()))));
    Ok(Response {
        format: Format::Gemini,
        source: document.text(),
        id,
        model,
        created: time.and_then(Node::text).and_then(|time| seconds(&time)),
        choices,
        usage: counts.and_then(read_usage),
        service_tier: counts.and_then(read_tier),
        extras,
    })
}

fn has_number_for_a_word(entry: Node<'_, '_>) -> bool {
    entry.get("modality").is_some_and(|modality| modality.number().is_some())
}

fn bad(fault: Fault) -> Failure {
    Failure::from(BadBody::from(fault))
}

fn kept<'a>(name: &'static str, value: Json<'a>) -> Extra<'a> {
    Extra { name: Text::Borrowed(name), value, at: Place::NOWHERE }
}

/// Reads a time as seconds since 1970.
pub(in crate::wire::gemini) fn seconds(time: &str) -> Option<u64> {
    time.parse::<jiff::Timestamp>().ok().and_then(|time| u64::try_from(time.as_second()).ok())
}

/// Reads one candidate, with its number.
fn candidate<'a>(node: Node<'_, 'a>) -> Result<(u64, Choice<'a>), Failure> {
    let mut members = Members::open(node).map_err(bad)?;
    let number = members.count("index").map_err(bad)?.map_or(0, |index| index.value);
    let mut parts = Vec::new();
    // Which of them each of the upstream's parts became.
    let mut places = Vec::new();
    let mut message_extras = Vec::new();
    if let Some(mut content) = members.object("content").map_err(bad)? {
        content.take("role").map_err(bad)?;
        for part in content.array("parts").map_err(bad)? {
            request::part(part, &mut parts).map_err(bad)?;
            places.push(parts.len().saturating_sub(1));
        }
        message_extras = content.extras();
    }
    cite(node, &mut parts, &places);
    // An empty text is how some answers say that there is none.
    parts.retain(|part| !matches!(&part.content, Content::Text { text, .. } if text.is_empty()));
    let calls_tools = parts.iter().any(|part| matches!(part.content, Content::ToolCall(_)));
    let finish = match members.take("finishReason").map_err(bad)? {
        Some(word) => read_finish(word, node.get("finishMessage"))?,
        None => Finish::new(FinishReason::Stop),
    };
    let logprobs = members.take("logprobsResult").map_err(bad)?.map(read_logprobs);
    let finish = finish.with_tool_calls(calls_tools);
    Ok((number, Choice { parts, finish, logprobs, extras: members.extras(), message_extras }))
}

/// Puts what a candidate cites on the texts that rest on it.
fn cite<'a>(node: Node<'_, 'a>, parts: &mut [Part<'a>], places: &[usize]) {
    let is_text = |part: &Part<'_>| matches!(part.content, Content::Text { .. });
    let Some(first) = parts.iter().position(is_text) else { return };
    let place = |part: Option<u64>| {
        let said = part.and_then(|part| usize::try_from(part).ok()).and_then(|part| places.get(part).copied());
        said.filter(|index| parts.get(*index).is_some_and(is_text)).unwrap_or(first)
    };
    let text = |part: Option<u64>| match parts.get(place(part)).map(|part| &part.content) {
        Some(Content::Text { text, .. }) => &**text,
        _ => "",
    };
    let found: Vec<_> = citations::read(node, text).into_iter().map(|found| (place(found.part), found.citation)).collect();
    for (index, citation) in found {
        if let Some(Content::Text { citations, .. }) = parts.get_mut(index).map(|part| &mut part.content) {
            citations.push(citation);
        }
    }
}
