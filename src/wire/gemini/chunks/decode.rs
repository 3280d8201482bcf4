//! Reads a stream. It has no terminator: an answer is whole when it says why it ended, and the stream when every answer has.

use std::collections::BTreeMap;

use super::choice::Choice;
use crate::wire::codec::{DecodeStream, Failure, Frame, Sink};
use crate::wire::gemini::{answer, error};
use crate::wire::ir::Event;
use crate::wire::json::{Document, Kind, Node};

/// Answers that one stream may interleave; more is not what anybody asked for.
const MAX_CHOICES: u64 = 128;

/// Reads chunks.
#[derive(Debug, Default)]
pub(in crate::wire::gemini) struct Decoder {
    has_started: bool,
    has_tier: bool,
    choices: BTreeMap<u32, Choice>,
}

impl DecodeStream for Decoder {
    fn frame(&mut self, frame: &Frame<'_>, sink: &mut Sink<'_>) -> Result<(), Failure> {
        let data = frame.data.trim_ascii();
        if data.is_empty() {
            sink(Event::Ping);
            return Ok(());
        }
        let document = Document::parse(data).map_err(|_| Failure::malformed("a chunk is not JSON"))?;
        let chunk = document.root();
        if chunk.kind() != Kind::Object {
            return Err(Failure::malformed("a chunk is not an object"));
        }
        if chunk.get("error").is_some() {
            return Err(error::read(200, data));
        }
        self.chunk(chunk, sink)
    }

    fn body_end(&mut self, sink: &mut Sink<'_>) {
        // An answer without a finish is cut, and then none is given.
        if self.choices.values().all(|choice| choice.finish.is_some()) {
            for choice in std::mem::take(&mut self.choices).values_mut() {
                choice.close(sink);
            }
        }
    }
}

impl Decoder {
    fn chunk(&mut self, chunk: Node<'_, '_>, sink: &mut Sink<'_>) -> Result<(), Failure> {
        if !self.has_started {
            self.has_started = true;
            let text = |name: &str| chunk.get(name).and_then(Node::text).unwrap_or_default();
            sink(Event::Start { id: text("responseId"), model: text("modelVersion"), created: answer::seconds(&text("createTime")) });
        }
        let candidates = chunk.get("candidates").filter(|candidates| candidates.kind() == Kind::Array);
        for node in candidates.into_iter().flat_map(Node::elements) {
            let number = node.get("index").and_then(Node::number).and_then(|number| number.as_u64()).unwrap_or_default();
            let number = u32::try_from(number).ok().filter(|number| u64::from(*number) < MAX_CHOICES);
            let number = number.ok_or_else(|| Failure::malformed("the number of an answer is too large"))?;
            let choice = self.choices.entry(number).or_insert_with(|| Choice::new(number));
            choice.read(node, sink)?;
        }
        if self.choices.is_empty()
            && let Some(finish) = answer::blocked(chunk)
        {
            self.choices.entry(0).or_insert_with(|| Choice::new(0)).finish = Some(finish.into_owned());
        }
        if let Some(counts) = chunk.get("usageMetadata") {
            self.usage(counts, sink);
        }
        Ok(())
    }

    fn usage(&mut self, counts: Node<'_, '_>, sink: &mut Sink<'_>) {
        if let Some(tier) = answer::read_tier(counts)
            && !self.has_tier
        {
            self.has_tier = true;
            sink(Event::ServiceTier(tier));
        }
        if let Some(usage) = answer::read_usage(counts) {
            sink(Event::Usage(usage));
        }
    }
}
