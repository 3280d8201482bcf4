//! Reads a whole answer.

use super::{read_finish, read_usage};
use crate::wire::Format;
use crate::wire::codec::{BadBody, Failure};
use crate::wire::cohere::{error, request};
use crate::wire::ir::{Choice, Citation, Content, Finish, FinishReason, Losses, Part, Response};
use crate::wire::json::{Document, Fault, Fields, Node, Text};

pub(in crate::wire::cohere) fn decode(body: &[u8]) -> Result<Response<'_>, Failure> {
    let document = Document::parse(body).map_err(BadBody::from)?;
    let root = document.root();
    if root.get("message").is_some_and(|message| message.text().is_some()) {
        return Err(error::read(200, body));
    }
    let word = root.get("finish_reason").and_then(Node::text).unwrap_or_default();
    if let Some(failure) = error::finish(&word, "") {
        return Err(failure);
    }
    Ok(response(&document).map_err(BadBody::from)?)
}

fn response<'a>(document: &Document<'a>) -> Result<Response<'a>, Fault> {
    let mut fields = Fields::open(document.root())?;
    let id = fields.take("id")?.and_then(Node::text).unwrap_or_default();
    let mut message = Fields::open(fields.need("message", "an object")?)?;
    message.take("role")?;
    // Nothing of an answer is told as lost when it is read: deep leftovers of an answer are counters.
    let mut parts = request::assistant(&mut message, &mut Losses::default())?;
    for node in message.array("citations")? {
        place(node, &mut parts);
    }
    let calls_tools = parts.iter().any(|part| matches!(part.content, Content::ToolCall(_)));
    let finish = match fields.take("finish_reason")?.and_then(Node::text) {
        Some(word) => read_finish(word),
        None => Finish::new(FinishReason::Stop),
    };
    let usage = fields.take("usage")?.and_then(read_usage);
    let choice =
        Choice { parts, finish: finish.with_tool_calls(calls_tools), logprobs: None, extras: Vec::new(), message_extras: message.extras() };
    Ok(Response {
        format: Format::Cohere,
        source: document.text(),
        id,
        // The format has neither.
        model: Text::Borrowed(""),
        created: None,
        choices: vec![choice],
        usage,
        service_tier: None,
        extras: fields.extras(),
    })
}

/// Puts a citation on the text that it belongs to: the one of its number, or the first one.
fn place<'a>(node: Node<'_, 'a>, parts: &mut [Part<'a>]) {
    let number = node.get("content_index").and_then(Node::number).and_then(|number| number.as_u64());
    let number = number.and_then(|number| usize::try_from(number).ok());
    let is_text = |part: &Part<'_>| matches!(part.content, Content::Text { .. });
    let at = number.filter(|number| parts.get(*number).is_some_and(is_text)).or_else(|| parts.iter().position(is_text));
    if let Some(Part { content: Content::Text { citations, .. }, .. }) = at.and_then(|at| parts.get_mut(at)) {
        citations.push(citation(node));
    }
}

/// Reads one citation; its first source says where it is from. What it says besides stays in its original.
pub(in crate::wire::cohere) fn citation<'a>(node: Node<'_, 'a>) -> Citation<'a> {
    let source = node.get("sources").and_then(|sources| sources.elements().next());
    let data = source.and_then(|source| source.get("tool_output").or_else(|| source.get("document")));
    let text = |name: &str| data.and_then(|data| data.get(name)).and_then(Node::text);
    let count = |name: &str| node.get(name).and_then(Node::number).and_then(|number| number.as_u64());
    Citation {
        url: text("url"),
        title: text("title"),
        cited: text("text"),
        span: count("start").zip(count("end")),
        origin: (Format::Cohere, node.json()),
        at: node.place(),
    }
}
