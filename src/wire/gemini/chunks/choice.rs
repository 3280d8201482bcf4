//! One answer of a stream: which parts of it are open.

use super::args::Args;
use crate::wire::Format;
use crate::wire::codec::{Failure, Sink};
use crate::wire::gemini::{answer, media, signature};
use crate::wire::ir::{Citation, Delta, Event, Finish, Media, PartStart, Signature};
use crate::wire::json::{Kind, Node, Text};

/// What the running part is, where it is not a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Running {
    Text,
    Thinking,
}

#[derive(Debug, Default)]
pub(super) struct Choice {
    number: u32,
    parts: u32,
    running: Option<(Running, u32)>,
    /// A call whose arguments come in pieces.
    call: Option<(u32, Args)>,
    calls_tools: bool,
    /// All of the text, which citations count in.
    text: String,
    citations: Vec<Citation<'static>>,
    pub(super) finish: Option<Finish<'static>>,
}

impl Choice {
    pub(super) fn new(number: u32) -> Self {
        Self { number, ..Self::default() }
    }

    /// Reads what one chunk says of the answer.
    pub(super) fn read(&mut self, candidate: Node<'_, '_>, sink: &mut Sink<'_>) -> Result<(), Failure> {
        let parts = candidate.get("content").and_then(|content| content.get("parts"));
        for part in parts.into_iter().flat_map(Node::elements) {
            self.part(part, sink)?;
        }
        let cited = answer::read_citations(candidate, |_| &self.text);
        if !cited.is_empty() {
            self.citations = cited.into_iter().map(|found| found.citation.into_owned()).collect();
        }
        if let Some(result) = candidate.get("logprobsResult") {
            sink(Event::Logprobs { choice: self.number, logprobs: answer::read_logprobs(result) });
        }
        if let Some(word) = candidate.get("finishReason") {
            self.finish = Some(answer::read_finish(word, candidate.get("finishMessage"))?.into_owned());
        }
        Ok(())
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

    /// Closes what is open before something else begins.
    fn make_way(&mut self, sink: &mut Sink<'_>) {
        if let Some((_, part)) = self.running.take() {
            self.end(part, sink);
        }
        // The last piece of a call may be missing.
        self.end_call(sink);
    }

    fn end_call(&mut self, sink: &mut Sink<'_>) {
        if let Some((part, args)) = self.call.take() {
            self.add(part, Delta::Input(args.into_text()), sink);
            self.end(part, sink);
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
        };
        let part = self.begin(start, sink);
        self.running = Some((kind, part));
        part
    }

    fn part(&mut self, node: Node<'_, '_>, sink: &mut Sink<'_>) -> Result<(), Failure> {
        if node.kind() != Kind::Object {
            return Err(Failure::malformed("a part is not an object"));
        }
        let is_thought = node.get("thought").and_then(Node::bool).unwrap_or_default();
        let signature = node.get("thoughtSignature").and_then(Node::text).and_then(signature::read);
        if let Some(text) = node.get("text").and_then(Node::text) {
            if is_thought {
                self.thought(text, signature, sink)
            } else {
                self.said(text, signature, sink)
            }
            return Ok(());
        }
        if let Some(call) = node.get("functionCall").filter(|_| !is_thought) {
            return self.call(call, signature, sink);
        }
        self.make_way(sink);
        let blob = node.get("inlineData").filter(|_| !is_thought);
        if let Some(media) = blob.and_then(picture) {
            self.redacted(signature, sink);
            let part = self.begin(PartStart::Image(media), sink);
            self.end(part, sink);
            return Ok(());
        }
        let is_signature_alone = node.members().all(|(key, _)| key.is("thoughtSignature") || key.is("thought"));
        if is_signature_alone {
            self.redacted(signature, sink);
            return Ok(());
        }
        let part = self.begin(PartStart::Opaque { format: Format::Gemini, block: node.json() }, sink);
        self.end(part, sink);
        Ok(())
    }

    fn thought(&mut self, text: Text<'_>, signature: Option<Signature<'_>>, sink: &mut Sink<'_>) {
        if !text.is_empty() {
            let part = self.run(Running::Thinking, sink);
            self.add(part, Delta::Text(text), sink);
        }
        if let Some(signature) = signature {
            let part = self.run(Running::Thinking, sink);
            self.add(part, Delta::Signature(signature), sink);
            self.make_way(sink);
        }
    }

    /// Adds text. A signature makes its piece a part of its own, in front of which it stands.
    fn said(&mut self, text: Text<'_>, signature: Option<Signature<'_>>, sink: &mut Sink<'_>) {
        let is_signed = signature.is_some();
        if is_signed {
            self.make_way(sink);
            self.redacted(signature, sink);
        }
        if text.is_empty() {
            return;
        }
        self.text.push_str(&text);
        let part = self.run(Running::Text, sink);
        self.add(part, Delta::Text(text), sink);
        if is_signed {
            self.make_way(sink);
        }
    }

    fn redacted(&mut self, signature: Option<Signature<'_>>, sink: &mut Sink<'_>) {
        if let Some(signature) = signature {
            let part = self.begin(PartStart::RedactedThinking(signature), sink);
            self.end(part, sink);
        }
    }

    /// Reads a call: whole, or a piece of one. A piece without a name goes on with the open call, and the last one says no more.
    fn call(&mut self, call: Node<'_, '_>, signature: Option<Signature<'_>>, sink: &mut Sink<'_>) -> Result<(), Failure> {
        let name = call.get("name").and_then(Node::text).filter(|name| !name.is_empty());
        let goes_on = call.get("willContinue").and_then(Node::bool).unwrap_or_default();
        let pieces = call.get("partialArgs");
        if let Some(name) = name {
            self.make_way(sink);
            self.redacted(signature, sink);
            let id = call.get("id").and_then(Node::text).unwrap_or_default();
            let part = self.begin(PartStart::ToolCall { id, name, is_custom: false }, sink);
            self.calls_tools = true;
            if !goes_on && pieces.is_none() {
                let args = call.get("args").filter(|args| args.kind() == Kind::Object);
                self.add(part, Delta::Input(Text::Borrowed(args.map_or("{}", Node::raw))), sink);
                self.end(part, sink);
                return Ok(());
            }
            self.call = Some((part, Args::new()));
        }
        if let Some((_, args)) = &mut self.call {
            for piece in pieces.into_iter().flat_map(Node::elements) {
                args.add(piece)?;
            }
            if !goes_on {
                self.end_call(sink);
            }
        }
        Ok(())
    }

    /// Closes everything, says what the text cites, and gives the finish.
    pub(super) fn close(&mut self, sink: &mut Sink<'_>) {
        let citations = std::mem::take(&mut self.citations);
        if !citations.is_empty() {
            let part = self.run(Running::Text, sink);
            for citation in citations {
                self.add(part, Delta::Citation(citation), sink);
            }
        }
        self.make_way(sink);
        if let Some(finish) = self.finish.take() {
            sink(Event::Finish { choice: self.number, finish: finish.with_tool_calls(self.calls_tools) });
        }
    }
}

/// Reads a picture that the model made.
fn picture<'a>(blob: Node<'_, 'a>) -> Option<Media<'a>> {
    let media_type = blob.get("mimeType").and_then(Node::text).filter(|media_type| media_type.starts_with("image/"))?;
    let data = media::standard(blob.get("data").and_then(Node::text)?);
    Some(Media::Base64 { media_type, data })
}
