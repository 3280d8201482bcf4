//! Writes a stream. Calls are told whole, so that their input waits until they end, and in the order in which they opened.

use crate::wire::codec::{EncodeStream, Failure, Reply};
use crate::wire::ir::{Delta, Event, FinishReason, Media, PartStart, Usage};
use crate::wire::json::Writer;
use crate::wire::ollama::answer::{finish_word, write_time, write_usage};
use crate::wire::ollama::error;
use crate::wire::ollama::message::{function, write_logprobs};
use crate::wire::sequence::{Sequence, Step};

/// What the part whose turn it is is written as.
#[derive(Debug)]
enum Open {
    Text,
    Thinking,
    Call {
        id: String,
        name: String,
        input: String,
        is_custom: bool,
    },
    /// What the format has no room for.
    Hidden,
}

/// Writes lines.
#[derive(Debug)]
pub(in crate::wire::ollama) struct Encoder {
    sequence: Sequence,
    lines: Lines,
    usage: Usage,
    reason: FinishReason,
}

/// What lines are made of.
#[derive(Debug)]
struct Lines {
    request_id: String,
    model: String,
    /// As every line says it.
    created: String,
    open: Open,
    calls: usize,
}

impl Encoder {
    pub(in crate::wire::ollama) fn new(reply: &Reply<'_>) -> Self {
        let lines = Lines {
            request_id: reply.request_id.to_owned(),
            model: reply.model.to_owned(),
            created: write_time(reply.created),
            open: Open::Hidden,
            calls: 0,
        };
        Self { sequence: Sequence::default(), lines, usage: Usage::default(), reason: FinishReason::Stop }
    }
}

impl Lines {
    fn step(&mut self, step: Step<'_, '_>, out: &mut Vec<u8>) {
        match step {
            Step::Start(start) => self.start(start, out),
            Step::Delta(delta) => self.delta(delta, out),
            Step::End => self.end_part(out),
        }
    }

    fn start(&mut self, start: &PartStart<'_>, out: &mut Vec<u8>) {
        self.open = match start {
            PartStart::Text | PartStart::Refusal => Open::Text,
            PartStart::Thinking => Open::Thinking,
            PartStart::ToolCall { id, name, is_custom } => {
                let reply = Reply { request_id: &self.request_id, ..Reply::default() };
                let id = reply.call_id(id, "call_", self.calls).into_owned();
                self.calls += 1;
                Open::Call { id, name: name.clone().into_owned(), input: String::new(), is_custom: *is_custom }
            }
            PartStart::Image(Media::Base64 { media_type: _, data }) => {
                self.say("", out, |writer| {
                    writer.array("images");
                    writer.text(data);
                    writer.end_array();
                });
                Open::Hidden
            }
            PartStart::RedactedThinking(_) | PartStart::Image(_) | PartStart::Opaque { .. } => Open::Hidden,
        };
    }

    fn delta(&mut self, delta: &Delta<'_>, out: &mut Vec<u8>) {
        match (delta, &mut self.open) {
            (Delta::Text(text), Open::Text) if !text.is_empty() => self.say(text, out, |_| {}),
            (Delta::Text(text), Open::Thinking) if !text.is_empty() => self.say("", out, |writer| writer.key("thinking").text(text)),
            (Delta::Input(more), Open::Call { input, .. }) => input.push_str(more),
            // Nothing is signed or cited here.
            (Delta::Text(_) | Delta::Input(_) | Delta::Signature(_) | Delta::Citation(_) | Delta::Opaque(_), _) => {}
        }
    }

    fn end_part(&mut self, out: &mut Vec<u8>) {
        let Open::Call { id, name, input, is_custom } = std::mem::replace(&mut self.open, Open::Hidden) else { return };
        let input = if input.is_empty() && !is_custom { "{}" } else { &input };
        self.say("", out, |writer| {
            writer.array("tool_calls");
            writer.begin_object();
            writer.key("id").text(&id);
            function(writer, &name, input, is_custom);
            writer.end_object();
            writer.end_array();
        });
    }

    /// Writes a line that says something, or shows that the upstream is alive.
    fn say(&self, content: &str, out: &mut Vec<u8>, members: impl FnOnce(&mut Writer<'_>)) {
        self.line(content, out, members, |writer| writer.key("done").bool(false));
    }

    fn line(&self, content: &str, out: &mut Vec<u8>, members: impl FnOnce(&mut Writer<'_>), rest: impl FnOnce(&mut Writer<'_>)) {
        let mut writer = Writer::one_line(out);
        writer.begin_object();
        writer.key("model").text(&self.model);
        writer.key("created_at").text(&self.created);
        writer.object("message");
        writer.key("role").text("assistant");
        writer.key("content").text(content);
        members(&mut writer);
        writer.end_object();
        rest(&mut writer);
        writer.end_object();
        out.push(b'\n');
    }
}

impl EncodeStream for Encoder {
    fn event(&mut self, event: &Event<'_>, out: &mut Vec<u8>) {
        let Self { sequence, lines, usage, reason } = self;
        match event {
            // The format has no id.
            Event::Start { id: _, model, created } => {
                if !model.is_empty() {
                    lines.model = model.clone().into_owned();
                }
                if let Some(created) = created {
                    lines.created = write_time(*created);
                }
            }
            Event::PartStart { choice: 0, part, start } => sequence.start(*part, start, &mut |step| lines.step(step, out)),
            Event::Delta { choice: 0, part, delta } => sequence.delta(*part, delta, &mut |step| lines.step(step, out)),
            Event::PartEnd { choice: 0, part } => sequence.end(*part, &mut |step| lines.step(step, out)),
            Event::Finish { choice: 0, finish } => *reason = finish.reason,
            Event::Logprobs { choice: 0, logprobs } => {
                lines.line(
                    "",
                    out,
                    |_| {},
                    |writer| {
                        writer.key("done").bool(false);
                        write_logprobs(writer, logprobs);
                    },
                );
            }
            // The format has one answer, and no tiers.
            Event::PartStart { .. } | Event::Delta { .. } | Event::PartEnd { .. } | Event::Finish { .. } => {}
            Event::Logprobs { .. } | Event::ServiceTier(_) => {}
            Event::Usage(latest) => *usage = *latest,
            // Clients parse every line, so that an empty one would break them.
            Event::Ping => lines.say("", out, |_| {}),
            Event::End => lines.line(
                "",
                out,
                |_| {},
                |writer| {
                    writer.key("done").bool(true);
                    writer.key("done_reason").text(finish_word(*reason));
                    write_usage(writer, usage);
                },
            ),
        }
    }

    fn failure(&mut self, failure: &Failure, _request_id: &str, out: &mut Vec<u8>) {
        out.extend_from_slice(&error::write(failure));
        out.push(b'\n');
    }

    fn held_bytes(&self) -> usize {
        let call = if let Open::Call { input, .. } = &self.lines.open { input.len() } else { 0 };
        self.sequence.held_bytes().saturating_add(call)
    }
}
