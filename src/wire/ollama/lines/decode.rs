//! Reads a stream.

use crate::wire::codec::{DecodeStream, Failure, Frame, Sink};
use crate::wire::ir::{Delta, Event, Finish, FinishReason, PartStart};
use crate::wire::json::{Document, Node, Text};
use crate::wire::ollama::answer::{read_finish, read_time, read_usage};
use crate::wire::ollama::error;
use crate::wire::ollama::message::{input, picture, read_logprobs};

/// The format has one answer.
const CHOICE: u32 = 0;

/// What the open part is. Calls and pictures come whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text,
    Thinking,
}

/// Reads lines.
#[derive(Debug, Default)]
pub(in crate::wire::ollama) struct Decoder {
    has_started: bool,
    parts: u32,
    open: Option<(u32, Kind)>,
    calls_tools: bool,
}

impl DecodeStream for Decoder {
    fn frame(&mut self, frame: &Frame<'_>, sink: &mut Sink<'_>) -> Result<(), Failure> {
        let document = Document::parse(&frame.data).map_err(|_| Failure::malformed("a line is not JSON"))?;
        let line = document.root();
        if line.get("error").is_some_and(|error| !error.is_null()) {
            return Err(error::read(200, &frame.data));
        }
        let is_done = line.get("done").and_then(Node::bool).unwrap_or_default();
        let message = line.get("message");
        if message.is_none() && !is_done {
            return Err(Failure::malformed("a line holds no message"));
        }
        self.start(line, sink);
        if let Some(message) = message {
            self.say(Kind::Thinking, text(message, "thinking"), sink);
            self.say(Kind::Text, text(message, "content"), sink);
            for node in message.get("images").into_iter().flat_map(Node::elements) {
                self.whole(PartStart::Image(picture(node.text().unwrap_or_default())), None, sink);
            }
            for call in message.get("tool_calls").into_iter().flat_map(Node::elements) {
                self.call(call, sink);
            }
        }
        if let Some(logprobs) = read_logprobs(line.get("logprobs")) {
            sink(Event::Logprobs { choice: CHOICE, logprobs });
        }
        if is_done {
            self.end(line, sink);
        }
        Ok(())
    }

    // A stream that was not said to be done is cut.
    fn body_end(&mut self, _sink: &mut Sink<'_>) {}
}

fn text<'a>(node: Node<'_, 'a>, name: &str) -> Text<'a> {
    node.get(name).and_then(Node::text).unwrap_or_default()
}

impl Decoder {
    fn start(&mut self, line: Node<'_, '_>, sink: &mut Sink<'_>) {
        if !std::mem::replace(&mut self.has_started, true) {
            let created = read_time(&text(line, "created_at"));
            sink(Event::Start { id: Text::Borrowed(""), model: text(line, "model"), created });
        }
    }

    fn say(&mut self, kind: Kind, more: Text<'_>, sink: &mut Sink<'_>) {
        if more.is_empty() {
            return;
        }
        let part = match self.open {
            Some((part, open)) if open == kind => part,
            _ => {
                self.end_part(sink);
                let part = self.begin(if kind == Kind::Text { PartStart::Text } else { PartStart::Thinking }, sink);
                self.open = Some((part, kind));
                part
            }
        };
        sink(Event::Delta { choice: CHOICE, part, delta: Delta::Text(more) });
    }

    fn begin(&mut self, start: PartStart<'_>, sink: &mut Sink<'_>) -> u32 {
        let part = self.parts;
        self.parts += 1;
        sink(Event::PartStart { choice: CHOICE, part, start });
        part
    }

    fn end_part(&mut self, sink: &mut Sink<'_>) {
        if let Some((part, _)) = self.open.take() {
            sink(Event::PartEnd { choice: CHOICE, part });
        }
    }

    fn whole(&mut self, start: PartStart<'_>, input: Option<Text<'_>>, sink: &mut Sink<'_>) {
        self.end_part(sink);
        let part = self.begin(start, sink);
        if let Some(input) = input {
            sink(Event::Delta { choice: CHOICE, part, delta: Delta::Input(input) });
        }
        sink(Event::PartEnd { choice: CHOICE, part });
    }

    fn call(&mut self, call: Node<'_, '_>, sink: &mut Sink<'_>) {
        self.calls_tools = true;
        let function = call.get("function");
        let name = function.map(|function| text(function, "name")).unwrap_or_default();
        let input = input(function.and_then(|function| function.get("arguments")));
        self.whole(PartStart::ToolCall { id: text(call, "id"), name, is_custom: false }, Some(input), sink);
    }

    fn end(&mut self, line: Node<'_, '_>, sink: &mut Sink<'_>) {
        self.end_part(sink);
        if let Some(usage) = read_usage(line.get("prompt_eval_count"), line.get("eval_count")) {
            sink(Event::Usage(usage));
        }
        let finish = line.get("done_reason").and_then(Node::text).map_or(Finish::new(FinishReason::Stop), read_finish);
        sink(Event::Finish { choice: CHOICE, finish: finish.with_tool_calls(self.calls_tools) });
        sink(Event::End);
    }
}
