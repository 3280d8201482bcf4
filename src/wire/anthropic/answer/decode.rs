//! Reads a whole answer.

use super::{Counts, read_finish, tier};
use crate::wire::Format;
use crate::wire::anthropic::{error, request};
use crate::wire::codec::{BadBody, Failure};
use crate::wire::ir::{Choice, Content, Finish, FinishReason, Losses, Part, Response};
use crate::wire::json::{Document, Fault, Fields, Node};

pub(in crate::wire::anthropic) fn decode(body: &[u8]) -> Result<Response<'_>, Failure> {
    let document = Document::parse(body).map_err(BadBody::from)?;
    if document.root().get("type").is_some_and(|kind| kind.is("error")) {
        return Err(error::read(200, body));
    }
    Ok(response(&document).map_err(BadBody::from)?)
}

fn response<'a>(document: &Document<'a>) -> Result<Response<'a>, Fault> {
    let mut fields = Fields::open(document.root())?;
    let text = |node: Option<Node<'_, 'a>>| node.and_then(Node::text);
    let id = text(fields.take("id")?).unwrap_or_default();
    let model = text(fields.take("model")?).unwrap_or_default();
    fields.take("type")?;
    fields.take("role")?;
    let content = fields.need("content", "an array of blocks")?;
    // Nothing of an answer is told as lost when it is read: deep leftovers of an answer are counters.
    let mut parts = request::content(content, &mut Losses::default())?;
    let calls_tools = parts.iter().any(|part| matches!(part.content, Content::ToolCall(_)));
    let stop_sequence = text(fields.take("stop_sequence")?);
    let finish = match text(fields.take("stop_reason")?) {
        Some(word) => read_finish(word, stop_sequence),
        None => Finish::new(FinishReason::Stop),
    };
    let details = fields.take("stop_details")?;
    if parts.is_empty()
        && finish.reason == FinishReason::Refusal
        && let Some(explanation) = details.and_then(|details| details.get("explanation"))
    {
        parts.push(Part::new(Content::Refusal { text: explanation.text().unwrap_or_default() }, explanation.place()));
    }
    let usage_node = fields.take("usage")?;
    let mut counts = Counts::default();
    if let Some(usage) = usage_node {
        counts.read(usage);
    }
    let service_tier = usage_node.and_then(tier);
    let finish = finish.with_tool_calls(calls_tools);
    let choice = Choice { parts, finish, logprobs: None, extras: Vec::new(), message_extras: Vec::new() };
    Ok(Response {
        format: Format::Anthropic,
        source: document.text(),
        id,
        model,
        created: None,
        choices: vec![choice],
        usage: counts.usage(),
        service_tier,
        extras: fields.extras(),
    })
}
