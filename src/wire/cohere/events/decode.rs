//! Reads a stream. Content and calls are numbered apart, and a plan has no number.

use crate::wire::codec::{DecodeStream, Failure, Frame, Sink};
use crate::wire::cohere::answer::{citation, read_finish, read_usage};
use crate::wire::cohere::error;
use crate::wire::ir::{Delta, Event, Finish, PartStart};
use crate::wire::json::{Document, Node, Text};

/// The format has one answer.
const CHOICE: u32 = 0;

/// What the open part is.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Kind {
    Text,
    Thinking,
    /// What the model thinks before it calls.
    Plan,
    /// A call, with the input that is held back as long as it could be the word `null`; none once any was given.
    Call {
        head: Option<String>,
    },
}

/// Reads events.
#[derive(Debug, Default)]
pub(in crate::wire::cohere) struct Decoder {
    has_started: bool,
    parts: u32,
    /// The format tells one part behind the other.
    open: Option<(u32, Kind)>,
    calls_tools: bool,
    finish: Option<Finish<'static>>,
}

impl DecodeStream for Decoder {
    fn frame(&mut self, frame: &Frame<'_>, sink: &mut Sink<'_>) -> Result<(), Failure> {
        let data = frame.data.trim_ascii();
        if data.is_empty() {
            sink(Event::Ping);
            return Ok(());
        }
        if data == b"[DONE]" {
            if self.close(sink) {
                sink(Event::End);
            }
            return Ok(());
        }
        let document = Document::parse(data).map_err(|_| Failure::malformed("an event is not JSON"))?;
        let event = document.root();
        // The data repeats the name.
        let kind = text(event, "type");
        if kind.is_empty() && event.get("message").is_some_and(|message| message.text().is_some()) {
            return Err(error::read(200, data));
        }
        let delta = event.get("delta");
        if !self.has_started && kind != "message-start" {
            // What failed before it began may say so at once.
            let word = delta.map(|delta| text(delta, "finish_reason")).unwrap_or_default();
            let words = delta.map(|delta| text(delta, "error")).unwrap_or_default();
            let failure = error::finish(&word, &words);
            return Err(failure.unwrap_or_else(|| Failure::malformed("the stream does not begin with a message")));
        }
        let message = delta.and_then(|delta| delta.get("message"));
        match &*kind {
            "message-start" => self.start(event, sink),
            "content-start" => self.content_start(message.and_then(|message| message.get("content")), sink),
            "content-delta" => self.content_delta(message.and_then(|message| message.get("content")), sink)?,
            "tool-plan-delta" => self.plan(message, sink),
            "tool-call-start" => self.call_start(message.and_then(|message| message.get("tool_calls")), sink),
            "tool-call-delta" => self.call_delta(message.and_then(|message| message.get("tool_calls")), sink)?,
            "content-end" | "tool-call-end" => self.end_part(sink),
            "citation-start" => self.citation(message.and_then(|message| message.get("citations")), sink),
            "message-end" => self.end(delta, sink)?,
            // `citation-end`, `debug`, and those of the future.
            _ => {}
        }
        Ok(())
    }

    fn body_end(&mut self, sink: &mut Sink<'_>) {
        self.close(sink);
    }
}

fn text<'a>(node: Node<'_, 'a>, name: &str) -> Text<'a> {
    node.get(name).and_then(Node::text).unwrap_or_default()
}

fn add(part: u32, delta: Delta<'_>, sink: &mut Sink<'_>) {
    sink(Event::Delta { choice: CHOICE, part, delta });
}

impl Decoder {
    fn start(&mut self, event: Node<'_, '_>, sink: &mut Sink<'_>) {
        if !self.has_started {
            self.has_started = true;
            // The format has neither model nor time.
            sink(Event::Start { id: text(event, "id"), model: Text::Borrowed(""), created: None });
        }
    }

    /// Opens a part, and closes the one before it.
    fn begin(&mut self, kind: Kind, start: PartStart<'_>, sink: &mut Sink<'_>) -> u32 {
        self.end_part(sink);
        let part = self.parts;
        self.parts += 1;
        sink(Event::PartStart { choice: CHOICE, part, start });
        self.open = Some((part, kind));
        part
    }

    fn end_part(&mut self, sink: &mut Sink<'_>) {
        let Some((part, kind)) = self.open.take() else { return };
        if let Kind::Call { head: Some(head) } = kind {
            let input = if matches!(head.trim(), "" | "null") { "{}".to_owned() } else { head };
            add(part, Delta::Input(Text::Owned(input)), sink);
        }
        sink(Event::PartEnd { choice: CHOICE, part });
    }

    fn content_start(&mut self, content: Option<Node<'_, '_>>, sink: &mut Sink<'_>) {
        let Some(content) = content else { return };
        let (kind, start, name) = match &*text(content, "type") {
            "thinking" => (Kind::Thinking, PartStart::Thinking, "thinking"),
            _ => (Kind::Text, PartStart::Text, "text"),
        };
        let part = self.begin(kind, start, sink);
        let first = text(content, name);
        if !first.is_empty() {
            add(part, Delta::Text(first), sink);
        }
    }

    fn content_delta(&mut self, content: Option<Node<'_, '_>>, sink: &mut Sink<'_>) -> Result<(), Failure> {
        let Some(content) = content else { return Ok(()) };
        let name = match &self.open {
            Some((_, Kind::Text)) => "text",
            Some((_, Kind::Thinking)) => "thinking",
            Some((_, Kind::Plan | Kind::Call { .. })) | None => return Err(Failure::malformed("a delta is for content that is not open")),
        };
        if let (Some((part, _)), more) = (&self.open, text(content, name))
            && !more.is_empty()
        {
            add(*part, Delta::Text(more), sink);
        }
        Ok(())
    }

    fn plan(&mut self, message: Option<Node<'_, '_>>, sink: &mut Sink<'_>) {
        let more = message.map(|message| text(message, "tool_plan")).unwrap_or_default();
        if more.is_empty() {
            return;
        }
        let part = match &self.open {
            Some((part, Kind::Plan)) => *part,
            _ => self.begin(Kind::Plan, PartStart::Thinking, sink),
        };
        add(part, Delta::Text(more), sink);
    }

    fn call_start(&mut self, call: Option<Node<'_, '_>>, sink: &mut Sink<'_>) {
        let Some(call) = call else { return };
        self.calls_tools = true;
        let function = call.get("function");
        let name = function.map(|function| text(function, "name")).unwrap_or_default();
        let start = PartStart::ToolCall { id: text(call, "id"), name, is_custom: false };
        let part = self.begin(Kind::Call { head: Some(String::new()) }, start, sink);
        let first = function.map(|function| text(function, "arguments")).unwrap_or_default();
        self.input(part, first, sink);
    }

    fn call_delta(&mut self, call: Option<Node<'_, '_>>, sink: &mut Sink<'_>) -> Result<(), Failure> {
        let Some((part, Kind::Call { .. })) = self.open else {
            return Err(Failure::malformed("input comes for a call that is not open"));
        };
        let more = call.and_then(|call| call.get("function")).map(|function| text(function, "arguments")).unwrap_or_default();
        self.input(part, more, sink);
        Ok(())
    }

    /// Gives input on, but for what may yet turn out to say "no arguments".
    fn input(&mut self, part: u32, more: Text<'_>, sink: &mut Sink<'_>) {
        let Some((_, Kind::Call { head })) = &mut self.open else { return };
        match head {
            Some(waiting) => {
                waiting.push_str(&more);
                if !"null".starts_with(waiting.trim()) {
                    let whole = std::mem::take(waiting);
                    *head = None;
                    add(part, Delta::Input(Text::Owned(whole)), sink);
                }
            }
            None if more.is_empty() => {}
            None => add(part, Delta::Input(more), sink),
        }
    }

    /// A citation belongs to the open text; behind its end there is no place for it any more.
    fn citation(&self, node: Option<Node<'_, '_>>, sink: &mut Sink<'_>) {
        if let (Some(node), Some((part, Kind::Text))) = (node, &self.open) {
            add(*part, Delta::Citation(citation(node)), sink);
        }
    }

    fn end(&mut self, delta: Option<Node<'_, '_>>, sink: &mut Sink<'_>) -> Result<(), Failure> {
        let Some(delta) = delta else { return Ok(()) };
        let word = text(delta, "finish_reason");
        if let Some(failure) = error::finish(&word, &text(delta, "error")) {
            return Err(failure);
        }
        if let Some(usage) = delta.get("usage").and_then(read_usage) {
            sink(Event::Usage(usage));
        }
        self.finish = Some(read_finish(word).into_owned());
        Ok(())
    }

    /// Closes everything and gives the finish, where there is one to give. Returns whether there was.
    fn close(&mut self, sink: &mut Sink<'_>) -> bool {
        let Some(finish) = self.finish.take() else { return false };
        self.end_part(sink);
        sink(Event::Finish { choice: CHOICE, finish: finish.with_tool_calls(self.calls_tools) });
        true
    }
}
