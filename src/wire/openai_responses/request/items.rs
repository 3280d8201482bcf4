//! Reads the items of a conversation into messages.
//!
//! A turn of the model is one message: thoughts, what it said, calls, in their order. What it said twice makes two messages, because each has
//! an id and a phase of its own. Items that only this format has stand in the model's turn as they are, so that the turn is not torn.

use super::content::{content, kept};
use crate::wire::Format;
use crate::wire::ir::{Content, Maker, Message, Part, Request, Role, ToolCall, ToolResult};
use crate::wire::json::{Document, Extra, Extras, Fault, Fields, Kind, Node, Place, Text};
use crate::wire::openai_responses::maker;

type Fallible<T> = Result<T, Fault>;

/// What items are known by at the provider; nothing that a model reads.
const BOOKKEEPING: [&str; 2] = ["id", "status"];

/// Reads items, one after another.
#[derive(Debug, Default)]
pub(super) struct Conversation {
    /// The model's turn that is being read has a message in it.
    has_said: bool,
}

impl Conversation {
    /// Reads one item into the request.
    pub(super) fn item<'a>(&mut self, node: Node<'_, 'a>, request: &mut Request<'a>) -> Fallible<()> {
        let mut fields = Fields::open(node)?;
        let kind = fields.text("type")?.map(|kind| kind.value);
        let part = match kind.as_deref() {
            Some("message") => return self.message(&mut fields, request),
            None if node.get("role").is_some() => return self.message(&mut fields, request),
            Some("function_call_output" | "custom_tool_call_output") => return output(&mut fields, request),
            Some("function_call" | "custom_tool_call") => call(&mut fields, kind.as_deref() == Some("custom_tool_call"))?,
            Some("reasoning") => reasoning(&mut fields, maker::HOME)?,
            Some(word) => {
                if word == "item_reference" {
                    request.stored.push(node.place());
                }
                opaque(node)
            }
            None if node.get("id").is_some() => {
                request.stored.push(node.place());
                opaque(node)
            }
            None => return Err(node.fault("an item with a `type` or a `role`")),
        };
        self.join(request, node.place(), vec![part], None);
        Ok(())
    }

    /// Adds to the model's turn that is being read, or begins one. A message begins one too where the turn has said something already.
    fn join<'a>(&mut self, request: &mut Request<'a>, at: Place, parts: Vec<Part<'a>>, message_extras: Option<Extras<'a>>) {
        let is_message = message_extras.is_some();
        let goes_on = |turn: &&mut Message<'a>| turn.role == Role::Assistant && !(is_message && self.has_said);
        match request.messages.last_mut().filter(goes_on) {
            Some(turn) => {
                turn.parts.extend(parts);
                turn.extras.extend(message_extras.unwrap_or_default());
                self.has_said |= is_message;
            }
            None => {
                let extras = message_extras.unwrap_or_default();
                request.messages.push(Message { role: Role::Assistant, parts, name: None, extras, at });
                self.has_said = is_message;
            }
        }
    }

    fn message<'a>(&mut self, fields: &mut Fields<'_, 'a>, request: &mut Request<'a>) -> Fallible<()> {
        let node = fields.node();
        let word = fields.need_text("role")?;
        let role = match &*word {
            "system" => Role::System,
            "developer" => Role::Developer,
            "user" => Role::User,
            "assistant" => Role::Assistant,
            _ => return Err(node.get("role").unwrap_or(node).fault("`system`, `developer`, `user` or `assistant`")),
        };
        let parts = content(fields.need("content", "a string or an array of parts")?, &mut request.losses)?;
        let extras = kept(fields, &BOOKKEEPING);
        if role == Role::Assistant {
            self.join(request, node.place(), parts, Some(extras));
        } else {
            request.messages.push(Message { role, parts, name: None, extras, at: node.place() });
        }
        Ok(())
    }
}

fn opaque<'a>(node: Node<'_, 'a>) -> Part<'a> {
    Part::new(Content::Opaque { format: Format::OpenaiResponses, block: node.json() }, node.place())
}

/// Returns whether the part is of a message, not an item of its own.
pub(super) fn is_said(part: &Part<'_>) -> bool {
    match &part.content {
        Content::Text { .. }
        | Content::Refusal { .. }
        | Content::Image { .. }
        | Content::Audio { .. }
        | Content::Video { .. }
        | Content::Document { .. } => true,
        Content::ToolCall(_) | Content::ToolResult(_) | Content::Thinking { .. } | Content::RedactedThinking { .. } => false,
        // Kinds of parts begin so, kinds of items never.
        Content::Opaque { format: _, block } => {
            let document = Document::parse(block.as_str().as_bytes());
            let kind = document.ok().and_then(|document| document.root().get("type").and_then(Node::text).map(Text::into_owned));
            kind.is_some_and(|kind| kind.starts_with("input_") || kind.starts_with("output_"))
        }
    }
}

/// Reads a call: of a function, or of a tool that takes free text.
pub(in crate::wire::openai_responses) fn call<'a>(fields: &mut Fields<'_, 'a>, is_custom: bool) -> Fallible<Part<'a>> {
    let id = fields.need_text("call_id")?;
    let name = fields.need_text("name")?;
    let input = if is_custom {
        fields.text("input")?.map(|input| input.value).unwrap_or_default()
    } else {
        let arguments = fields.text("arguments")?.map(|arguments| arguments.value).unwrap_or_default();
        if matches!(arguments.trim(), "" | "null") { Text::Borrowed("{}") } else { arguments }
    };
    let content = Content::ToolCall(ToolCall { id, name, input, is_custom });
    Ok(Part { content, cache: None, extras: kept(fields, &BOOKKEEPING), at: fields.node().place() })
}

fn output<'a>(fields: &mut Fields<'_, 'a>, request: &mut Request<'a>) -> Fallible<()> {
    let node = fields.node();
    let id = fields.need_text("call_id")?;
    let parts = fields.take("output")?.map(|node| content(node, &mut request.losses)).transpose()?.unwrap_or_default();
    let mut extras = kept(fields, &BOOKKEEPING);
    // Which of the two it answers cannot be told from the result, and its call may be stored.
    extras.extend(node.get("type").filter(|kind| kind.is("custom_tool_call_output")).map(|kind| {
        let at = Place::NOWHERE;
        Extra { name: Text::Borrowed("type"), value: kind.json(), at }
    }));
    let result = ToolResult { id, name: None, parts, is_error: None };
    let part = Part { content: Content::ToolResult(result), cache: None, extras, at: node.place() };
    request.messages.push(Message { role: Role::Tool, parts: vec![part], name: None, extras: Vec::new(), at: node.place() });
    Ok(())
}

/// Reads thoughts. Their summary and their text stay as they are for a target of the same format; another one gets the text, or the summary
/// where there is none.
pub(in crate::wire::openai_responses) fn reasoning<'a>(fields: &mut Fields<'_, 'a>, home: Maker) -> Fallible<Part<'a>> {
    let node = fields.node();
    let encrypted = fields.text("encrypted_content")?.filter(|value| !value.value.is_empty());
    let (summary, text) = (node.get("summary"), node.get("content"));
    let (summary_text, whole_text) = (joined(summary), joined(text));
    let is_told = summary_text.is_empty() || whole_text.is_empty() || summary_text == whole_text;
    let mut extras = kept(fields, &BOOKKEEPING);
    quiet(&mut extras, "summary", is_told && is_plain(summary));
    quiet(&mut extras, "content", is_plain(text));
    let told = if whole_text.is_empty() { summary_text } else { whole_text };
    let content = match encrypted {
        Some(value) => maker::read(value.value, told, home),
        // A mere mention of stored thoughts.
        None if told.is_empty() => {
            return Ok(Part::new(Content::Opaque { format: Format::OpenaiResponses, block: node.json() }, node.place()));
        }
        None => Content::Thinking { text: told, signature: None },
    };
    Ok(Part { content, cache: None, extras, at: node.place() })
}

fn quiet(extras: &mut Extras<'_>, name: &str, is_quiet: bool) {
    for extra in extras.iter_mut().filter(|extra| is_quiet && extra.name == name) {
        extra.at = Place::NOWHERE;
    }
}

/// Returns whether pieces are nothing but texts.
fn is_plain(list: Option<Node<'_, '_>>) -> bool {
    let is_text = |node: Node<'_, '_>| {
        node.members().all(|(key, value)| (key.is("type") || key.is("text")) && value.kind() == Kind::Text) && node.get("text").is_some()
    };
    list.is_none_or(|list| list.kind() == Kind::Array && list.elements().all(is_text))
}

/// Joins the texts of pieces, with a blank line between.
fn joined<'a>(list: Option<Node<'_, 'a>>) -> Text<'a> {
    let mut whole = Text::Borrowed("");
    for text in list.into_iter().flat_map(Node::elements).filter_map(|piece| piece.get("text").and_then(Node::text)) {
        if whole.is_empty() {
            whole = text;
        } else if !text.is_empty() {
            whole.to_mut().push_str("\n\n");
            whole.to_mut().push_str(&text);
        }
    }
    whole
}
