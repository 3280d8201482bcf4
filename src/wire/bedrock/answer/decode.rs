//! Reads a whole answer.

use super::{read_finish, read_usage, tier};
use crate::wire::Format;
use crate::wire::bedrock::{error, request};
use crate::wire::codec::{BadBody, Failure};
use crate::wire::ir::{Choice, Content, Finish, FinishReason, Losses, Response};
use crate::wire::json::{Document, Fault, Fields, Node};

pub(in crate::wire::bedrock) fn decode(body: &[u8]) -> Result<Response<'_>, Failure> {
    let document = Document::parse(body).map_err(BadBody::from)?;
    let root = document.root();
    if root.get("output").is_none() && (root.get("message").is_some() || root.get("Message").is_some()) {
        return Err(error::read(200, body));
    }
    Ok(response(&document).map_err(BadBody::from)?)
}

fn response<'a>(document: &Document<'a>) -> Result<Response<'a>, Fault> {
    let mut fields = Fields::open(document.root())?;
    let mut output = Fields::open(fields.need("output", "an object")?)?;
    let mut message = Fields::open(output.need("message", "an object")?)?;
    message.take("role")?;
    let content = message.need("content", "an array of blocks")?;
    // Nothing of an answer is told as lost when it is read: deep leftovers of an answer are counters.
    let parts = request::content(content, true, &mut Losses::default())?;
    let calls_tools = parts.iter().any(|part| matches!(part.content, Content::ToolCall(_)));
    let finish = match fields.take("stopReason")?.and_then(Node::text) {
        Some(word) => read_finish(word),
        None => Finish::new(FinishReason::Stop),
    };
    let usage = fields.take("usage")?.map(read_usage);
    let service_tier = fields.take("serviceTier")?.and_then(tier);
    let choice = Choice {
        parts,
        finish: finish.with_tool_calls(calls_tools),
        logprobs: None,
        extras: output.extras(),
        message_extras: message.extras(),
    };
    Ok(Response {
        format: Format::Bedrock,
        source: document.text(),
        // The format has neither; a header has the id, and the request's path the model.
        id: "".into(),
        model: "".into(),
        created: None,
        choices: vec![choice],
        usage,
        service_tier,
        extras: fields.extras(),
    })
}
