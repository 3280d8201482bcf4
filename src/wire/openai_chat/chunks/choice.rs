//! One answer of a stream: which parts of it are open.

use std::collections::BTreeSet;

use super::call::Call;
use crate::wire::codec::{Failure, Sink};
use crate::wire::ir::{Delta, Event, Finish, FinishReason, PartStart, Signature};
use crate::wire::json::{Kind, Node, Text};
use crate::wire::openai_chat::{answer, request, thoughts};

/// Calls that one answer may make: every fragment is looked up among them.
const MAX_CALLS: usize = 1_024;

/// What the running part is, where it is not a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Running {
    Text,
    Thinking,
    Refusal,
}

#[derive(Debug, Default)]
pub(super) struct Choice {
    number: u32,
    parts: u32,
    running: Option<(Running, u32)>,
    calls: Vec<Call>,
    pub(super) finish: Option<Finish<'static>>,
    is_refused: bool,
    /// Signatures that stand for themselves and have been told.
    signed: BTreeSet<String>,
}

impl Choice {
    pub(super) fn new(number: u32) -> Self {
        Self { number, ..Self::default() }
    }

    fn begin(&mut self, start: PartStart<'_>, sink: &mut Sink<'_>) -> u32 {
        let part = self.parts;
        self.parts += 1;
        sink(Event::PartStart { choice: self.number, part, start });
        part
    }

    fn add(&self, part: u32, delta: Delta<'_>, sink: &mut Sink<'_>) {
        sink(Event::Delta { choice: self.number, part, delta });
    }

    fn end(&self, part: u32, sink: &mut Sink<'_>) {
        sink(Event::PartEnd { choice: self.number, part });
    }

    /// Closes what runs before something else begins: the text, and every call whose input is whole. A call that is not whole may go on
    /// behind the next one, because some servers interleave their fragments.
    fn make_way(&mut self, sink: &mut Sink<'_>) {
        if let Some((_, part)) = self.running.take() {
            self.end(part, sink);
        }
        for index in 0..self.calls.len() {
            let Some(call) = self.calls.get_mut(index) else { continue };
            if let (Some(part), true, false) = (call.part, call.balance.is_whole(), call.is_closed) {
                call.is_closed = true;
                self.end(part, sink);
            }
        }
    }

    fn run(&mut self, kind: Running, sink: &mut Sink<'_>) -> u32 {
        if let Some((running, part)) = self.running
            && running == kind
        {
            return part;
        }
        self.make_way(sink);
        let start = match kind {
            Running::Text => PartStart::Text,
            Running::Thinking => PartStart::Thinking,
            Running::Refusal => PartStart::Refusal,
        };
        self.is_refused |= kind == Running::Refusal;
        let part = self.begin(start, sink);
        self.running = Some((kind, part));
        part
    }

    /// Adds text; an empty one opens nothing.
    pub(super) fn text(&mut self, kind: Running, text: Text<'_>, sink: &mut Sink<'_>) {
        if !text.is_empty() {
            let part = self.run(kind, sink);
            self.add(part, Delta::Text(text), sink);
        }
    }

    /// Signs the running thoughts, or thoughts of nothing where none run.
    pub(super) fn signature(&mut self, signature: Signature<'_>, sink: &mut Sink<'_>) {
        let part = self.run(Running::Thinking, sink);
        self.add(part, Delta::Signature(signature), sink);
    }

    /// Adds a part that comes whole.
    pub(super) fn whole(&mut self, start: PartStart<'_>, sink: &mut Sink<'_>) {
        if let PartStart::RedactedThinking(data) = &start {
            self.signed.insert(data.value.clone().into_owned());
        }
        self.make_way(sink);
        let part = self.begin(start, sink);
        self.end(part, sink);
    }

    /// Cites, where a text runs to rest on it.
    pub(super) fn citation(&self, node: Node<'_, '_>, sink: &mut Sink<'_>) {
        if let Some((Running::Text, part)) = self.running {
            self.add(part, Delta::Citation(answer::citation(node)), sink);
        }
    }

    /// Reads one fragment of a call.
    pub(super) fn fragment(&mut self, node: Node<'_, '_>, sink: &mut Sink<'_>) -> Result<(), Failure> {
        if node.kind() != Kind::Object {
            return Err(Failure::malformed("a fragment of a tool call is not an object"));
        }
        let id = node.get("id").and_then(Node::text).unwrap_or_default();
        let index = node.get("index").and_then(Node::number).and_then(|number| number.as_u64());
        let custom = node.get("custom");
        let body = custom.or_else(|| node.get("function"));
        let name = body.and_then(|body| body.get("name")).and_then(Node::text).unwrap_or_default();
        let member = body.and_then(|body| body.get(if custom.is_some() { "input" } else { "arguments" }));
        let input = match member {
            Some(member) if member.kind() == Kind::Object => Text::Borrowed(member.raw()),
            Some(member) => member.text().unwrap_or_default(),
            None => Text::Borrowed(""),
        };
        let at = self.find(index, &id);
        if self.calls.len() > MAX_CALLS {
            return Err(Failure::malformed("the answer calls too many tools"));
        }
        let Some(call) = self.calls.get_mut(at) else { return Ok(()) };
        if call.is_closed {
            // What comes behind a whole value is white space, or nonsense that no client could use.
            return Ok(());
        }
        call.is_custom |= custom.is_some();
        if call.part.is_none() {
            call.name.push_str(&name);
            if call.id.is_empty() {
                call.id.push_str(&id);
            }
            // It stands in front of its call, whose other fragments may still be open.
            if let Some(data) = thoughts::of_call(node).filter(|data| !self.signed.contains(&*data.value)) {
                self.whole(PartStart::RedactedThinking(data), sink);
            }
        }
        self.input(at, &input, sink);
        Ok(())
    }

    /// Finds the call that a fragment belongs to, or makes a new one.
    fn find(&mut self, index: Option<u64>, id: &str) -> usize {
        let is_it = |call: &Call| match index {
            // Some servers number every call 0; a new id under an old number is a new call.
            Some(_) => call.index == index && (id.is_empty() || call.id.is_empty() || call.id == id),
            None => !id.is_empty() && call.id == id,
        };
        let last = self.calls.len().checked_sub(1);
        let known = self.calls.iter().rposition(is_it).or(last.filter(|_| index.is_none() && id.is_empty()));
        known.unwrap_or_else(|| {
            self.calls.push(Call { index, ..Call::default() });
            self.calls.len() - 1
        })
    }

    fn input(&mut self, at: usize, input: &str, sink: &mut Sink<'_>) {
        let Some(call) = self.calls.get_mut(at) else { return };
        call.balance.push(input);
        if call.part.is_none() && !call.name.is_empty() {
            let (id, name, is_custom) = (call.id.clone(), call.name.clone(), call.is_custom);
            // The call itself must not be closed as whole before it is opened.
            let part = {
                let own = std::mem::take(&mut call.balance);
                self.make_way(sink);
                if let Some(call) = self.calls.get_mut(at) {
                    call.balance = own;
                }
                self.begin(PartStart::ToolCall { id: id.into(), name: name.into(), is_custom }, sink)
            };
            if let Some(call) = self.calls.get_mut(at) {
                call.part = Some(part);
            }
        }
        let Some(call) = self.calls.get_mut(at) else { return };
        let Some(part) = call.part else { return call.head.push_str(input) };
        if call.has_input {
            if !input.is_empty() {
                self.add(part, Delta::Input(Text::Borrowed(input)), sink);
            }
            return;
        }
        call.head.push_str(input);
        if !call.may_be_nothing() {
            call.has_input = true;
            let head = std::mem::take(&mut call.head);
            self.add(part, Delta::Input(Text::Owned(head)), sink);
        }
    }

    /// Reads `function_call`, the form before `tool_calls`, of which there is one.
    pub(super) fn function_call(&mut self, node: Node<'_, '_>, sink: &mut Sink<'_>) {
        let text = |name: &str| node.get(name).and_then(Node::text).unwrap_or_default();
        let at = self.find(None, "");
        if let Some(call) = self.calls.get_mut(at)
            && call.part.is_none()
        {
            call.name.push_str(&text("name"));
            call.id = request::legacy_id(&call.name);
        }
        self.input(at, &text("arguments"), sink);
    }

    /// Closes everything and gives the finish.
    pub(super) fn close(&mut self, sink: &mut Sink<'_>) {
        if let Some((_, part)) = self.running.take() {
            self.end(part, sink);
        }
        let mut calls_tools = false;
        for call in std::mem::take(&mut self.calls) {
            let Some(part) = call.part else { continue };
            calls_tools = true;
            if call.is_closed {
                continue;
            }
            if !call.has_input && !call.is_custom {
                self.add(part, Delta::Input(Text::Borrowed("{}")), sink);
            }
            self.end(part, sink);
        }
        let finish = self.finish.take().unwrap_or_else(|| Finish::new(FinishReason::Stop)).with_tool_calls(calls_tools);
        sink(Event::Finish { choice: self.number, finish });
    }
}
