//! Reads a whole answer.

use super::envelope::failed;
use super::{read_finish, read_picture, read_usage};
use crate::wire::Format;
use crate::wire::codec::{BadBody, Failure};
use crate::wire::ir::{Choice, Content, Losses, Maker, Part, Response};
use crate::wire::json::{Document, Extra, Extras, Fault, Fields, Json, Node, Place, Text};
use crate::wire::openai_responses::{error, maker, request};

type Fallible<T> = Result<T, Fault>;

/// Members that repeat the request or count what is told elsewhere; nothing that another format's client misses.
const ECHO: [&str; 31] = [
    "background",
    "billing",
    "completed_at",
    "conversation",
    "frequency_penalty",
    "instructions",
    "max_output_tokens",
    "max_tool_calls",
    "metadata",
    "moderation",
    "object",
    "output_text",
    "parallel_tool_calls",
    "presence_penalty",
    "previous_response_id",
    "prompt",
    "prompt_cache_key",
    "prompt_cache_options",
    "prompt_cache_retention",
    "reasoning",
    "safety_identifier",
    "store",
    "temperature",
    "text",
    "tool_choice",
    "tool_usage",
    "tools",
    "top_logprobs",
    "top_p",
    "truncation",
    "user",
];

pub(in crate::wire::openai_responses) fn decode(body: &[u8]) -> Result<Response<'_>, Failure> {
    let document = Document::parse(body).map_err(BadBody::from)?;
    let root = document.root();
    if let Some(error) = root.get("error").filter(|error| !matches!(error.raw(), "{}" | "\"\"" | "[]")) {
        return Err(error::read(error));
    }
    if let Some(failure) = root.get("status").and_then(Node::text).and_then(|status| failed(&status)) {
        return Err(failure);
    }
    Ok(response(&document).map_err(BadBody::from)?)
}

fn response<'a>(document: &Document<'a>) -> Fallible<Response<'a>> {
    let mut fields = Fields::open(document.root())?;
    let text = |node: Option<Node<'_, 'a>>| node.and_then(Node::text);
    let id = text(fields.take("id")?).unwrap_or_default();
    let model = text(fields.take("model")?).unwrap_or_default();
    let created = fields.take("created_at")?.and_then(Node::number).and_then(|number| number.as_u64());
    let finish = read_finish(document.root());
    for told in ["object", "status", "incomplete_details", "error"] {
        fields.take(told)?;
    }
    let output = fields.need("output", "an array of items")?;
    let home = maker::of_model(&model);
    let mut parts = Vec::new();
    for node in output.elements() {
        item(node, home, &mut parts)?;
    }
    let calls_tools = parts.iter().any(|part| matches!(part.content, Content::ToolCall(_)));
    let choice = Choice {
        parts,
        finish: finish.with_tool_calls(calls_tools),
        logprobs: logprobs(output.elements().filter_map(|item| item.get("content")).flat_map(Node::elements)),
        extras: Vec::new(),
        message_extras: Vec::new(),
    };
    let usage = fields.take("usage")?.map(read_usage);
    let service_tier = text(fields.take("service_tier")?);
    let extras = request::kept(&fields, &ECHO);
    let format = Format::OpenaiResponses;
    Ok(Response { format, source: document.text(), id, model, created, choices: vec![choice], usage, service_tier, extras })
}

/// Reads one item.
fn item<'a>(node: Node<'_, 'a>, home: Maker, parts: &mut Vec<Part<'a>>) -> Fallible<()> {
    let mut fields = Fields::open(node)?;
    let kind = fields.need_text("type")?;
    match &*kind {
        "message" if node.get("role").is_none_or(|role| role.is("assistant")) => return message(&mut fields, parts),
        "function_call" | "custom_tool_call" => parts.push(request::call(&mut fields, kind == "custom_tool_call")?),
        "reasoning" => {
            let mut part = request::reasoning(&mut fields, home)?;
            if matches!(part.content, Content::Opaque { .. }) {
                // Thoughts that nothing is told of.
                part.at = Place::NOWHERE;
            }
            parts.push(part);
        }
        "image_generation_call" if let Some(media) = read_picture(node) => {
            fields.take("result")?;
            let extras = request::kept(&fields, &["id", "status", "output_format"]);
            parts.push(Part { content: Content::Image { media, detail: None }, cache: None, extras, at: node.place() });
        }
        _ => parts.push(opaque(node, node.place())),
    }
    Ok(())
}

fn opaque<'a>(node: Node<'_, 'a>, at: Place) -> Part<'a> {
    Part::new(Content::Opaque { format: Format::OpenaiResponses, block: node.json() }, at)
}

/// Reads a message. What is left of it is kept with its first part, under dotted names, for an answer may have several.
fn message<'a>(fields: &mut Fields<'_, 'a>, parts: &mut Vec<Part<'a>>) -> Fallible<()> {
    fields.take("role")?;
    let content = fields.need("content", "an array of parts")?;
    // Nothing of an answer is told as lost when it is read.
    let mut said = request::content(content, &mut Losses::default())?;
    let Some(first) = said.first_mut() else {
        parts.push(opaque(fields.node(), Place::NOWHERE));
        return Ok(());
    };
    let rest: Extras<'a> = request::kept(fields, &["id", "status", "phase"]);
    first.extras.extend(rest.into_iter().map(|extra| Extra { name: Text::Owned(format!("message.{}", extra.name)), ..extra }));
    parts.extend(said);
    Ok(())
}

/// Gathers the log probabilities of texts in the shape of the chat format; the entries are the same.
pub(in crate::wire::openai_responses) fn logprobs<'d, 'a: 'd>(texts: impl Iterator<Item = Node<'d, 'a>>) -> Option<Json<'a>> {
    let mut content = String::new();
    for entry in texts.filter_map(|text| text.get("logprobs")).flat_map(Node::elements) {
        content.push_str(if content.is_empty() { "" } else { "," });
        content.push_str(entry.raw());
    }
    (!content.is_empty()).then(|| Json::new(format!(r#"{{"content":[{content}],"refusal":null}}"#)))
}
