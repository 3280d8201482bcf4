//! Reads a whole answer.

use super::{read_finish, read_usage};
use crate::wire::Format;
use crate::wire::codec::{BadBody, Failure};
use crate::wire::ir::{Choice, Citation, Content, Finish, FinishReason, Losses, Media, Part, Response};
use crate::wire::json::{Document, Fault, Fields, Node, Text};
use crate::wire::openai_chat::error::classify_event;
use crate::wire::openai_chat::{request, thoughts};

type Fallible<T> = Result<T, Fault>;

pub(in crate::wire::openai_chat) fn decode(body: &[u8]) -> Result<Response<'_>, Failure> {
    let document = Document::parse(body).map_err(BadBody::from)?;
    let error = document.root().get("error");
    if error.is_some_and(|error| !matches!(error.raw(), "{}" | "\"\"" | "[]")) {
        return Err(Failure::new(classify_event(body), crate::wire::failure::message(body)));
    }
    Ok(response(&document).map_err(BadBody::from)?)
}

fn response<'a>(document: &Document<'a>) -> Fallible<Response<'a>> {
    let mut fields = Fields::open(document.root())?;
    let text = |node: Option<Node<'_, 'a>>| node.and_then(Node::text);
    let id = text(fields.take("id")?).unwrap_or_default();
    let model = text(fields.take("model")?).unwrap_or_default();
    fields.take("object")?;
    let created = fields.take("created")?.and_then(Node::number).and_then(|number| number.as_u64());
    let choices = fields.need("choices", "an array")?.elements().map(choice).collect::<Fallible<Vec<_>>>()?;
    let usage = fields.take("usage")?.map(read_usage);
    let service_tier = text(fields.take("service_tier")?);
    let extras = fields.extras();
    Ok(Response { format: Format::OpenaiChat, source: document.text(), id, model, created, choices, usage, service_tier, extras })
}

fn choice<'a>(node: Node<'_, 'a>) -> Fallible<Choice<'a>> {
    let mut fields = Fields::open(node)?;
    fields.take("index")?;
    let mut message = Fields::open(fields.need("message", "an object")?)?;
    message.take("role")?;
    let parts = parts(&mut message)?;
    let calls_tools = parts.iter().any(|part| matches!(part.content, Content::ToolCall(_)));
    let word = fields.take("finish_reason")?.and_then(Node::text).filter(|word| !word.is_empty());
    let mut finish = word.map_or_else(|| Finish::new(FinishReason::Stop), read_finish).with_tool_calls(calls_tools);
    // vLLM tells here which stop sequence was met.
    finish.stop_sequence = fields.take("stop_reason")?.and_then(Node::text);
    if finish.stop_sequence.is_some() && finish.reason == FinishReason::Stop {
        finish.reason = FinishReason::StopSequence;
    }
    let logprobs = fields.json("logprobs")?.map(|logprobs| logprobs.value);
    Ok(Choice { parts, finish, logprobs, extras: fields.extras(), message_extras: message.extras() })
}

/// Reads the message: thoughts, text, refusal, pictures, calls. What has no place in the middle form is left in `message`.
fn parts<'a>(message: &mut Fields<'_, 'a>) -> Fallible<Vec<Part<'a>>> {
    // Nothing of an answer is told as lost when it is read: deep leftovers of an answer are padding and counters.
    let mut losses = Losses::default();
    let mut parts = thoughts::take(message, &mut losses)?;
    let from = parts.len();
    parts.extend(request::content(message, &mut losses)?);
    // An empty text is how some servers say that there is none.
    parts.retain(|part| !matches!(&part.content, Content::Text { text, .. } if text.is_empty()));
    let annotations: Vec<Citation<'_>> = message.array("annotations")?.map(citation).collect();
    if let Some(Content::Text { citations, .. }) = parts.iter_mut().skip(from).map(|part| &mut part.content).next() {
        *citations = annotations;
    }
    if let Some(refusal) = message.text("refusal")?.filter(|refusal| !refusal.value.is_empty()) {
        parts.push(Part::new(Content::Refusal { text: refusal.value }, refusal.at));
    }
    // OpenRouter's form of pictures that the model made.
    for node in message.array("images")? {
        let url = node.get("image_url").and_then(|image| image.get("url")).and_then(Node::text);
        let media = Media::from_url(url.ok_or_else(|| node.fault("an image with a `url`"))?);
        parts.push(Part::new(Content::Image { media, detail: None }, node.place()));
    }
    let mut known = thoughts::signatures(&parts);
    for node in message.array("tool_calls")? {
        thoughts::sign(node, &mut parts, &mut known);
        parts.push(request::tool_call(node, &mut losses)?);
    }
    parts.extend(request::function_call(message, &mut losses)?);
    Ok(parts)
}

/// Reads an annotation: `{type:url_citation, url_citation:{url, title, start_index, end_index}}`.
pub(in crate::wire::openai_chat) fn citation<'a>(node: Node<'_, 'a>) -> Citation<'a> {
    let inner = node.get("url_citation").unwrap_or(node);
    let text = |name: &str| inner.get(name).and_then(Node::text).filter(|text: &Text<'_>| !text.is_empty());
    let count = |name: &str| inner.get(name).and_then(Node::number).and_then(|number| number.as_u64());
    Citation {
        url: text("url"),
        title: text("title"),
        cited: text("content"),
        span: count("start_index").zip(count("end_index")),
        origin: (Format::OpenaiChat, node.json()),
        at: node.place(),
    }
}
