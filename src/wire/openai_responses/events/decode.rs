//! Reads a stream.

use super::items::{Items, number, text};
use crate::wire::codec::{DecodeStream, Failure, Frame, Sink};
use crate::wire::ir::Event;
use crate::wire::json::{Document, Kind, Node};
use crate::wire::openai_responses::answer::{read_finish, read_usage};
use crate::wire::openai_responses::{error, maker};

/// Reads events.
#[derive(Debug)]
pub(in crate::wire::openai_responses) struct Decoder {
    has_started: bool,
    has_ended: bool,
    items: Items,
}

impl Default for Decoder {
    fn default() -> Self {
        Self { has_started: false, has_ended: false, items: Items::new() }
    }
}

impl DecodeStream for Decoder {
    fn frame(&mut self, frame: &Frame<'_>, sink: &mut Sink<'_>) -> Result<(), Failure> {
        let data = frame.data.trim_ascii();
        // Some servers end with the chat format's terminator behind this one's.
        if self.has_ended {
            return Ok(());
        }
        if data.is_empty() {
            sink(Event::Ping);
            return Ok(());
        }
        if data == b"[DONE]" {
            return Err(Failure::malformed("the stream ends without an answer"));
        }
        let document = Document::parse(data).map_err(|_| Failure::malformed("an event is not JSON"))?;
        let event = document.root();
        if event.kind() != Kind::Object {
            return Err(Failure::malformed("an event is not an object"));
        }
        self.event(event, sink)
    }

    fn body_end(&mut self, _sink: &mut Sink<'_>) {
        // Why an answer ends is told with the terminator alone, so there is nothing to give without it.
    }
}

impl Decoder {
    fn event(&mut self, event: Node<'_, '_>, sink: &mut Sink<'_>) -> Result<(), Failure> {
        let kind = text(event, "type");
        let response = event.get("response");
        match &*kind {
            "error" => return Err(error::read(event.get("error").unwrap_or(event))),
            // A server that knows no better than the chat format.
            "" if event.get("error").is_some() => return Err(error::read(event.get("error").unwrap_or(event))),
            "response.failed" => {
                let error = response.and_then(|response| response.get("error"));
                return Err(error.map_or_else(|| error::read(event), error::read));
            }
            "response.created" | "response.in_progress" | "response.queued" => {
                self.start(response.unwrap_or(event), sink);
                return Ok(());
            }
            _ if !self.has_started => return Err(Failure::malformed("the stream does not begin with a response")),
            "response.completed" | "response.incomplete" => {
                return self.finish(response.ok_or_else(|| Failure::malformed("the stream ends without an answer"))?, sink);
            }
            _ => {}
        }
        self.item_event(&kind, event, sink)
    }

    /// Reads an event of one item. What the format does not know is skipped.
    fn item_event(&mut self, kind: &str, event: Node<'_, '_>, sink: &mut Sink<'_>) -> Result<(), Failure> {
        let index = number(event, "output_index");
        let items = &mut self.items;
        match kind {
            "response.output_item.added" => {
                // An empty start announces nothing.
                return event.get("item").map_or(Ok(()), |item| items.added(index, item, sink));
            }
            "response.output_item.done" => {
                let item = event.get("item").ok_or_else(|| Failure::malformed("an item's end has no item"))?;
                if !items.has(index) {
                    items.added(index, item, sink)?;
                }
                return items.done(index, event, item, sink);
            }
            _ if items.is_opaque(index) => items.opaque(index, event, sink),
            "response.output_text.delta" => return items.said(event, false, sink),
            "response.refusal.delta" => return items.said(event, true, sink),
            "response.output_text.done" => return items.said_whole(event, false, sink),
            "response.refusal.done" => return items.said_whole(event, true, sink),
            "response.output_text.annotation.added" => items.cited(event, sink),
            "response.content_part.done" => items.piece_done(event, sink),
            "response.function_call_arguments.delta" | "response.custom_tool_call_input.delta" => return items.input(event, sink),
            "response.function_call_arguments.done" => items.input_whole(event, "arguments"),
            "response.custom_tool_call_input.done" => items.input_whole(event, "input"),
            "response.reasoning_summary_text.delta" => return items.thought(event, "summary_index", sink),
            "response.reasoning_text.delta" => return items.thought(event, "content_index", sink),
            _ => {}
        }
        Ok(())
    }

    fn start(&mut self, response: Node<'_, '_>, sink: &mut Sink<'_>) {
        // Three events may tell it.
        if !self.has_started {
            self.has_started = true;
            let model = text(response, "model");
            self.items.home = maker::of_model(&model);
            let created = response.get("created_at").and_then(Node::number).and_then(|number| number.as_u64());
            sink(Event::Start { id: text(response, "id"), model, created });
        }
    }

    /// The terminator, which repeats the whole answer.
    fn finish(&mut self, response: Node<'_, '_>, sink: &mut Sink<'_>) -> Result<(), Failure> {
        // A server that streams no items tells them at the end.
        if self.items.is_empty() {
            for (index, item) in (0..).zip(response.get("output").into_iter().flat_map(Node::elements)) {
                self.items.added(index, item, sink)?;
                self.items.done(index, item, item, sink)?;
            }
        }
        self.items.close_all(sink);
        if let Some(tier) = response.get("service_tier").and_then(Node::text) {
            sink(Event::ServiceTier(tier));
        }
        if let Some(usage) = response.get("usage").filter(|usage| usage.kind() == Kind::Object) {
            sink(Event::Usage(read_usage(usage)));
        }
        let finish = read_finish(response).with_tool_calls(self.items.calls_tools);
        sink(Event::Finish { choice: 0, finish });
        self.has_ended = true;
        sink(Event::End);
        Ok(())
    }
}
