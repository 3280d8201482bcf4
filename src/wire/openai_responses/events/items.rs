//! The items of a stream that is read: which parts of the answer are open in them.
//!
//! Items are found by their `output_index`: some proxies give an item another id in each event.

use std::collections::BTreeMap;

use crate::wire::codec::{Failure, Sink};
use crate::wire::ir::{Content, Delta, Event, Maker, PartStart};
use crate::wire::json::{Fields, Json, Node, Text};
use crate::wire::openai_responses::{answer, maker, request};
use crate::wire::{Format, codec::BadBody};

/// The format has one answer.
const CHOICE: u32 = 0;
/// Items of an answer, and pieces of a message, each of which is remembered until the end.
const MAX_ITEMS: usize = 4_096;

/// One item.
#[derive(Debug)]
enum Item {
    Message(BTreeMap<u64, Piece>),
    Call {
        part: u32,
        is_custom: bool,
        has_input: bool,
        /// Input that came whole, which counts only where none came in pieces.
        whole: String,
    },
    Thoughts {
        part: Option<u32>,
        /// The summary's or the text's number of the running piece.
        section: Option<(&'static str, u64)>,
    },
    Opaque {
        part: u32,
    },
    /// A picture, which is told when it is whole.
    Picture,
    /// Nothing more is read of it.
    Closed,
}

/// A text or a refusal inside a message.
#[derive(Debug)]
struct Piece {
    part: u32,
    cited: usize,
    has_logprobs: bool,
    is_closed: bool,
}

/// The items so far.
#[derive(Debug)]
pub(super) struct Items {
    /// Who makes the model's thoughts.
    pub(super) home: Maker,
    list: BTreeMap<u64, Item>,
    parts: u32,
    pub(super) calls_tools: bool,
}

pub(super) fn text<'a>(node: Node<'_, 'a>, name: &str) -> Text<'a> {
    node.get(name).and_then(Node::text).unwrap_or_default()
}

pub(super) fn number(node: Node<'_, '_>, name: &str) -> u64 {
    node.get(name).and_then(Node::number).and_then(|number| number.as_u64()).unwrap_or_default()
}

fn add(part: u32, delta: Delta<'_>, sink: &mut Sink<'_>) {
    sink(Event::Delta { choice: CHOICE, part, delta });
}

fn end(part: u32, sink: &mut Sink<'_>) {
    sink(Event::PartEnd { choice: CHOICE, part });
}

impl Items {
    pub(super) const fn new() -> Self {
        Self { home: maker::HOME, list: BTreeMap::new(), parts: 0, calls_tools: false }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    pub(super) fn has(&self, index: u64) -> bool {
        self.list.contains_key(&index)
    }

    /// Returns whether the item is one that only this format has.
    pub(super) fn is_opaque(&self, index: u64) -> bool {
        matches!(self.list.get(&index), Some(Item::Opaque { .. }))
    }

    fn begin(parts: &mut u32, start: PartStart<'_>, sink: &mut Sink<'_>) -> u32 {
        let part = *parts;
        *parts += 1;
        sink(Event::PartStart { choice: CHOICE, part, start });
        part
    }

    /// Reads the start of an item.
    pub(super) fn added(&mut self, index: u64, item: Node<'_, '_>, sink: &mut Sink<'_>) -> Result<(), Failure> {
        if self.list.contains_key(&index) {
            return Err(Failure::malformed("an item is added twice"));
        }
        if self.list.len() >= MAX_ITEMS {
            return Err(Failure::malformed("the answer has too many items"));
        }
        let kind = text(item, "type");
        let state = match &*kind {
            "message" => Item::Message(BTreeMap::new()),
            "reasoning" => Item::Thoughts { part: None, section: None },
            "function_call" | "custom_tool_call" => {
                let is_custom = kind == "custom_tool_call";
                let start = PartStart::ToolCall { id: text(item, "call_id"), name: text(item, "name"), is_custom };
                self.calls_tools = true;
                let part = Self::begin(&mut self.parts, start, sink);
                let whole = text(item, if is_custom { "input" } else { "arguments" }).into_owned();
                Item::Call { part, is_custom, has_input: false, whole }
            }
            "image_generation_call" => Item::Picture,
            _ => {
                let block = Json::new(item.raw());
                let part = Self::begin(&mut self.parts, PartStart::Opaque { format: Format::OpenaiResponses, block }, sink);
                Item::Opaque { part }
            }
        };
        self.list.insert(index, state);
        Ok(())
    }

    /// Finds the piece of a message, and opens it where it is new.
    fn piece(&mut self, event: Node<'_, '_>, is_refusal: bool, sink: &mut Sink<'_>) -> Result<&mut Piece, Failure> {
        let Some(Item::Message(pieces)) = self.list.get_mut(&number(event, "output_index")) else {
            return Err(Failure::malformed("a text is for a message that is not open"));
        };
        if pieces.len() >= MAX_ITEMS {
            return Err(Failure::malformed("a message has too many pieces"));
        }
        let parts = &mut self.parts;
        Ok(pieces.entry(number(event, "content_index")).or_insert_with(|| {
            let start = if is_refusal { PartStart::Refusal } else { PartStart::Text };
            Piece { part: Self::begin(parts, start, sink), cited: 0, has_logprobs: false, is_closed: false }
        }))
    }

    /// Reads more of a text or a refusal.
    pub(super) fn said(&mut self, event: Node<'_, '_>, is_refusal: bool, sink: &mut Sink<'_>) -> Result<(), Failure> {
        let delta = text(event, "delta");
        if delta.is_empty() {
            return Ok(());
        }
        let piece = self.piece(event, is_refusal, sink)?;
        if piece.is_closed {
            return Err(Failure::malformed("a text goes on behind its end"));
        }
        add(piece.part, Delta::Text(delta), sink);
        Self::likely(piece, event, sink);
        Ok(())
    }

    fn likely(piece: &mut Piece, text: Node<'_, '_>, sink: &mut Sink<'_>) {
        if let Some(logprobs) = answer::logprobs(std::iter::once(text)) {
            piece.has_logprobs = true;
            sink(Event::Logprobs { choice: CHOICE, logprobs });
        }
    }

    /// Reads a text or a refusal that is whole, which counts where it did not come in pieces.
    pub(super) fn said_whole(&mut self, event: Node<'_, '_>, is_refusal: bool, sink: &mut Sink<'_>) -> Result<(), Failure> {
        let (output, content) = (number(event, "output_index"), number(event, "content_index"));
        let Some(Item::Message(pieces)) = self.list.get(&output) else { return Ok(()) };
        let is_new = !pieces.contains_key(&content);
        let whole = text(event, if is_refusal { "refusal" } else { "text" });
        if is_new && whole.is_empty() {
            return Ok(());
        }
        let piece = self.piece(event, is_refusal, sink)?;
        if is_new {
            add(piece.part, Delta::Text(whole), sink);
        }
        if !piece.has_logprobs && !piece.is_closed {
            Self::likely(piece, event, sink);
        }
        Ok(())
    }

    /// Reads a citation of an open text.
    pub(super) fn cited(&mut self, event: Node<'_, '_>, sink: &mut Sink<'_>) {
        let Some(Item::Message(pieces)) = self.list.get_mut(&number(event, "output_index")) else { return };
        if let Some(piece) = pieces.get_mut(&number(event, "content_index")).filter(|piece| !piece.is_closed)
            && let Some(annotation) = event.get("annotation")
        {
            piece.cited += 1;
            add(piece.part, Delta::Citation(request::citation(annotation)), sink);
        }
    }

    /// Closes a text or a refusal, and tells the citations that only its end has.
    pub(super) fn piece_done(&mut self, event: Node<'_, '_>, sink: &mut Sink<'_>) {
        let Some(Item::Message(pieces)) = self.list.get_mut(&number(event, "output_index")) else { return };
        if let Some(piece) = pieces.get_mut(&number(event, "content_index")) {
            Self::close_piece(piece, event.get("part"), sink);
        }
    }

    fn close_piece(piece: &mut Piece, whole: Option<Node<'_, '_>>, sink: &mut Sink<'_>) {
        if piece.is_closed {
            return;
        }
        piece.is_closed = true;
        let annotations = whole.and_then(|whole| whole.get("annotations")).into_iter().flat_map(Node::elements);
        for annotation in annotations.skip(piece.cited) {
            add(piece.part, Delta::Citation(request::citation(annotation)), sink);
        }
        end(piece.part, sink);
    }

    /// Reads more of a call's input.
    pub(super) fn input(&mut self, event: Node<'_, '_>, sink: &mut Sink<'_>) -> Result<(), Failure> {
        let Some(Item::Call { part, has_input, .. }) = self.list.get_mut(&number(event, "output_index")) else {
            return Err(Failure::malformed("an input is for a call that is not open"));
        };
        let delta = text(event, "delta");
        if !delta.is_empty() {
            *has_input = true;
            add(*part, Delta::Input(delta), sink);
        }
        Ok(())
    }

    /// Keeps a call's input that came whole.
    pub(super) fn input_whole(&mut self, event: Node<'_, '_>, name: &str) {
        if let Some(Item::Call { whole, .. }) = self.list.get_mut(&number(event, "output_index")) {
            *whole = text(event, name).into_owned();
        }
    }

    /// Reads more thoughts. `section` is the member that numbers the running piece; a new piece begins behind a blank line.
    pub(super) fn thought(&mut self, event: Node<'_, '_>, section: &'static str, sink: &mut Sink<'_>) -> Result<(), Failure> {
        let Some(Item::Thoughts { part, section: running }) = self.list.get_mut(&number(event, "output_index")) else {
            return Err(Failure::malformed("a thought is for an item that is not open"));
        };
        let delta = text(event, "delta");
        if delta.is_empty() {
            return Ok(());
        }
        let now = Some((section, number(event, section)));
        let part = *part.get_or_insert_with(|| Self::begin(&mut self.parts, PartStart::Thinking, sink));
        if running.is_some() && *running != now {
            add(part, Delta::Text(Text::Borrowed("\n\n")), sink);
        }
        *running = now;
        add(part, Delta::Text(delta), sink);
        Ok(())
    }

    /// Gives a delta of an item that only this format has.
    pub(super) fn opaque(&self, index: u64, event: Node<'_, '_>, sink: &mut Sink<'_>) {
        if let Some(Item::Opaque { part }) = self.list.get(&index) {
            add(*part, Delta::Opaque(Json::new(event.raw())), sink);
        }
    }

    /// Reads the end of an item, where `item` is whole.
    pub(super) fn done(&mut self, index: u64, event: Node<'_, '_>, item: Node<'_, '_>, sink: &mut Sink<'_>) -> Result<(), Failure> {
        let mut state = self.list.insert(index, Item::Closed).unwrap_or(Item::Closed);
        match &mut state {
            Item::Message(pieces) => {
                for (content, whole) in (0..).zip(item.get("content").into_iter().flat_map(Node::elements)) {
                    let is_refusal = whole.get("type").is_some_and(|kind| kind.is("refusal"));
                    let said = text(whole, if is_refusal { "refusal" } else { "text" });
                    if let Some(piece) = pieces.get_mut(&content) {
                        Self::close_piece(piece, Some(whole), sink);
                    } else if !said.is_empty() {
                        let start = if is_refusal { PartStart::Refusal } else { PartStart::Text };
                        let part = Self::begin(&mut self.parts, start, sink);
                        add(part, Delta::Text(said), sink);
                        let mut piece = Piece { part, cited: 0, has_logprobs: false, is_closed: false };
                        Self::likely(&mut piece, whole, sink);
                        Self::close_piece(&mut piece, Some(whole), sink);
                    }
                }
            }
            Item::Call { is_custom, whole, .. } => {
                let input = text(item, if *is_custom { "input" } else { "arguments" });
                if !input.is_empty() {
                    *whole = input.into_owned();
                }
            }
            Item::Thoughts { part, .. } => return self.thoughts_done(*part, item, sink),
            Item::Opaque { part } => add(*part, Delta::Opaque(Json::new(event.raw())), sink),
            Item::Picture => {
                if let Some(media) = answer::read_picture(item) {
                    let part = Self::begin(&mut self.parts, PartStart::Image(media), sink);
                    end(part, sink);
                }
            }
            Item::Closed => {}
        }
        Self::close(state, sink);
        Ok(())
    }

    fn thoughts_done(&mut self, part: Option<u32>, item: Node<'_, '_>, sink: &mut Sink<'_>) -> Result<(), Failure> {
        let mut fields = Fields::open(item).map_err(BadBody::from)?;
        let whole = request::reasoning(&mut fields, self.home).map_err(BadBody::from)?;
        match (part, whole.content) {
            (Some(part), Content::Thinking { signature, .. }) => {
                if let Some(signature) = signature {
                    add(part, Delta::Signature(signature), sink);
                }
                end(part, sink);
            }
            // The text was told before, and the end leaves it out.
            (Some(part), Content::RedactedThinking { data }) => {
                add(part, Delta::Signature(data), sink);
                end(part, sink);
            }
            (None, Content::Thinking { text, signature }) => {
                let part = Self::begin(&mut self.parts, PartStart::Thinking, sink);
                if !text.is_empty() {
                    add(part, Delta::Text(text), sink);
                }
                if let Some(signature) = signature {
                    add(part, Delta::Signature(signature), sink);
                }
                end(part, sink);
            }
            (None, Content::RedactedThinking { data }) => {
                let part = Self::begin(&mut self.parts, PartStart::RedactedThinking(data), sink);
                end(part, sink);
            }
            (Some(part), _) => end(part, sink),
            // Thoughts that nothing is told of.
            (None, _) => {}
        }
        Ok(())
    }

    fn close(item: Item, sink: &mut Sink<'_>) {
        match item {
            Item::Message(pieces) => {
                for mut piece in pieces.into_values() {
                    Self::close_piece(&mut piece, None, sink);
                }
            }
            Item::Call { part, is_custom, has_input, whole } => {
                let is_nothing = matches!(whole.trim(), "" | "null") && !is_custom;
                let input = if is_nothing { "{}".to_owned() } else { whole };
                if !has_input && !input.is_empty() {
                    add(part, Delta::Input(Text::Owned(input)), sink);
                }
                end(part, sink);
            }
            Item::Thoughts { part: Some(part), .. } | Item::Opaque { part } => end(part, sink),
            Item::Thoughts { part: None, .. } | Item::Picture | Item::Closed => {}
        }
    }

    /// Closes everything.
    pub(super) fn close_all(&mut self, sink: &mut Sink<'_>) {
        for item in std::mem::take(&mut self.list).into_values() {
            Self::close(item, sink);
        }
    }
}
