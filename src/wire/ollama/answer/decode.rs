//! Reads a whole answer.

use super::{read_finish, read_time, read_usage};
use crate::wire::Format;
use crate::wire::codec::{BadBody, Failure};
use crate::wire::ir::{Choice, Content, Finish, FinishReason, Losses, Response};
use crate::wire::json::{Document, Fault, Fields, Node, Text};
use crate::wire::ollama::error;
use crate::wire::ollama::message::{assistant, read_logprobs};

pub(in crate::wire::ollama) fn decode(body: &[u8]) -> Result<Response<'_>, Failure> {
    let document = Document::parse(body).map_err(BadBody::from)?;
    if document.root().get("error").is_some_and(|error| !error.is_null()) {
        return Err(error::read(200, body));
    }
    Ok(response(&document).map_err(BadBody::from)?)
}

fn response<'a>(document: &Document<'a>) -> Result<Response<'a>, Fault> {
    let mut fields = Fields::open(document.root())?;
    let model = fields.take("model")?.and_then(Node::text).unwrap_or_default();
    let created = fields.take("created_at")?.and_then(Node::text).and_then(|text| read_time(&text));
    let mut message = Fields::open(fields.need("message", "an object")?)?;
    message.take("role")?;
    // Nothing of an answer is told as lost when it is read.
    let parts = assistant(&mut message, &mut Losses::default())?;
    let calls_tools = parts.iter().any(|part| matches!(part.content, Content::ToolCall(_)));
    fields.take("done")?;
    let finish = match fields.take("done_reason")?.and_then(Node::text) {
        Some(word) => read_finish(word),
        None => Finish::new(FinishReason::Stop),
    };
    let usage = read_usage(fields.take("prompt_eval_count")?, fields.take("eval_count")?);
    let choice = Choice {
        parts,
        finish: finish.with_tool_calls(calls_tools),
        logprobs: read_logprobs(fields.take("logprobs")?),
        extras: Vec::new(),
        message_extras: message.extras(),
    };
    Ok(Response {
        format: Format::Ollama,
        source: document.text(),
        // The format has none.
        id: Text::Borrowed(""),
        model,
        created,
        choices: vec![choice],
        usage,
        service_tier: None,
        extras: fields.extras(),
    })
}
