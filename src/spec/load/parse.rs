//! YAML text into the tree, in one pass over the parser's events.
//!
//! Stricter than YAML: no tags, no second document, no key that is not a text, no key twice, budgets on depth and aliases. What is
//! wrong but does not hide the rest is reported and the pass goes on. Rule: nothing that a strict YAML parser refuses gets through.

use std::collections::{BTreeMap, HashMap};

use serde_json::Value;
use serde_yaml::granit_parser::{self as granit, Event, Parser, ScalarStyle, StructureStyle};

use super::node::{Entry, Kind, Node, Scalar, shown};
use super::scalar::{self, Plain};
use super::syntax;
use crate::spec::codes;
use crate::spec::{Diagnostic, Location};

/// Most maps and lists inside one another.
pub(super) const DEPTH_LIMIT: usize = 32;
/// Most anchors of a file.
const ANCHOR_LIMIT: usize = 100;
/// Most values of a file. Bounds the memory that a load takes: a value of two bytes becomes some hundred.
const NODE_LIMIT: usize = 250_000;
/// Most values that the aliases of a file repeat, and most bytes of text in them. What anchors keep for them counts too.
const COPIED_NODES: usize = 100_000;
const COPIED_BYTES: usize = 4 << 20;

/// The pass cannot go on; why was reported.
struct Stop;

/// What an anchor marks.
enum Anchor {
    /// The pass is still inside of it.
    Open,
    /// More than aliases may repeat; not kept.
    Large,
    Done {
        node: Node,
        size: Size,
    },
}

/// How much an alias repeats.
#[derive(Clone, Copy, Default)]
struct Size {
    nodes: usize,
    bytes: usize,
    height: usize,
}

struct Pass<'t, 'f> {
    events: Parser<'t, granit::StrInput<'t>>,
    text: &'t str,
    file: usize,
    found: &'f mut Vec<Diagnostic>,
    anchors: BTreeMap<usize, Anchor>,
    nodes: usize,
    copied: Size,
    /// Where the `{` and `[` stand that are not closed yet.
    open: Vec<Location>,
}

/// Parses one file. Returns nothing when it cannot be read as a whole; why is in `found`.
pub(super) fn parse(text: &str, file: usize, found: &mut Vec<Diagnostic>) -> Option<Node> {
    let options = granit::options! {
        emit_comments: false,
        emit_unresolved_aliases: true,
        disallow_directives: true,
        flow_nesting_limit: DEPTH_LIMIT,
        block_nesting_limit: DEPTH_LIMIT,
    };
    let events = Parser::new_from_str_with_options(text, options);
    let mut pass = Pass { events, text, file, found, anchors: BTreeMap::new(), nodes: 0, copied: Size::default(), open: Vec::new() };
    pass.document().ok()
}

type Seen<'t> = (Event<'t>, granit::Span);

impl<'t> Pass<'t, '_> {
    fn next(&mut self) -> Result<Seen<'t>, Stop> {
        match self.events.next_event() {
            Some(Ok(seen)) => Ok(seen),
            Some(Err(error)) => {
                let problem = syntax::explain(&error, self.text, self.file);
                self.found.push(match self.open.last() {
                    Some(open) if syntax::is_about_brackets(error.kind()) => problem.related(*open, "opened here"),
                    Some(_) | None => problem,
                });
                Err(Stop)
            }
            None => Ok((Event::StreamEnd, granit::Span::default())),
        }
    }

    fn place(&self, span: granit::Span) -> Location {
        let range = span.byte_range().unwrap_or(0..0);
        // Block scalars end behind their last line break.
        let written = self.text.get(range.clone()).map_or(0, |text| text.trim_end().len());
        Location { file: self.file, start: range.start, end: range.start + written }
    }

    fn report(&mut self, code: &'static str, message: impl Into<String>, at: Location, help: &str) {
        let problem = Diagnostic::error(code, message).at(Some(at));
        self.found.push(if help.is_empty() { problem } else { problem.help(help) });
    }

    fn document(&mut self) -> Result<Node, Stop> {
        let mut root = None;
        loop {
            let (event, span) = self.next()?;
            match event {
                Event::DocumentStart(..) if root.is_some() => {
                    let at = self.place(span);
                    self.report(codes::SECOND_DOCUMENT, "a second YAML document begins here", at, "use `include`, or an overlay");
                    return Err(Stop);
                }
                Event::StreamEnd => break,
                event if event.is_node() => root = Some(self.node((event, span), 1)?),
                _ => {}
            }
        }
        match root {
            Some(root) if !root.is_null() => Ok(root),
            _ => {
                let at = Location { file: self.file, start: 0, end: 0 };
                self.report(codes::EMPTY, "the file is empty", at, "is the path right, and was the file saved?");
                Err(Stop)
            }
        }
    }

    fn node(&mut self, (event, span): Seen<'t>, depth: usize) -> Result<Node, Stop> {
        self.nodes += 1;
        if self.nodes > NODE_LIMIT {
            let at = self.place(span);
            self.report(codes::TOO_LARGE, "the file has more than 250,000 values", at, "");
            return Err(Stop);
        }
        let anchor = event.anchor_id();
        if let Some(id) = anchor {
            self.anchors.insert(id, Anchor::Open);
            if self.anchors.len() > ANCHOR_LIMIT {
                let at = self.place(span);
                self.report(codes::ALIAS_BUDGET, "more than 100 anchors", at, "");
                return Err(Stop);
            }
        }
        let tagged = self.tag(&event, span);
        let mut node = match event {
            Event::Scalar(text, style, _, _) => self.scalar(&text, style, span),
            Event::SequenceStart(style, _, _) => self.list(style, span, depth)?,
            Event::MappingStart(style, _, _) => self.map(style, span, depth)?,
            Event::Alias(id) => self.alias(id, span, depth)?,
            _ => self.unknown_alias(span),
        };
        node.doubtful |= tagged;
        if let Some(id) = anchor {
            let size = size_of(&node);
            let kept = if self.copy(size) { Anchor::Done { node: node.clone(), size } } else { Anchor::Large };
            self.anchors.insert(id, kept);
        }
        Ok(node)
    }

    /// Reports a tag and returns whether there was one.
    fn tag(&mut self, event: &Event<'_>, span: granit::Span) -> bool {
        let Some(tag) = event.tag() else { return false };
        let at = self.place(span.tag_span().unwrap_or(span));
        let help = match tag.core_suffix() {
            Some("str") => "quote the text instead",
            _ => "remove the tag; secrets are written `{env: NAME}` or `{file: PATH}`",
        };
        self.report(codes::TAG, "YAML tags are not allowed", at, help);
        true
    }

    fn scalar(&mut self, text: &str, style: ScalarStyle, span: granit::Span) -> Node {
        let at = self.place(span);
        let plain = style == ScalarStyle::Plain;
        let resolved = if plain { scalar::resolve(text) } else { Plain::Text };
        let (value, doubtful) = match resolved {
            Plain::Value(value) => (value, false),
            Plain::Text => (Value::String(text.to_owned()), false),
            Plain::Ambiguous(why) => {
                self.report(codes::AMBIGUOUS_NUMBER, format!("ambiguous number: {why}"), at, "quote it, or write a plain decimal number");
                (Value::String(text.to_owned()), true)
            }
        };
        Node { kind: Kind::Scalar(Scalar { value, plain }), at, doubtful }
    }

    /// Enters a map or a list; [`Pass::extent`] leaves it.
    fn enter(&mut self, style: StructureStyle, depth: usize, span: granit::Span) -> Result<(), Stop> {
        if style == StructureStyle::Flow {
            let at = self.place(span);
            self.open.push(at);
        }
        if depth <= DEPTH_LIMIT {
            return Ok(());
        }
        let at = self.place(span);
        self.report(codes::TOO_DEEP, "more than 32 maps and lists inside one another", at, "");
        Err(Stop)
    }

    fn list(&mut self, style: StructureStyle, start: granit::Span, depth: usize) -> Result<Node, Stop> {
        self.enter(style, depth, start)?;
        let mut nodes = Vec::new();
        let end = loop {
            match self.next()? {
                (Event::SequenceEnd, span) => break span,
                seen => nodes.push(self.node(seen, depth + 1)?),
            }
        };
        let last = nodes.last().map(|node: &Node| node.at.end);
        let at = self.extent(style, start, end, last);
        Ok(Node::new(Kind::List(nodes), at))
    }

    /// A block has no closing sign: it ends with the last thing in it.
    fn extent(&mut self, style: StructureStyle, start: granit::Span, end: granit::Span, last: Option<usize>) -> Location {
        let (start, end) = (self.place(start), self.place(end));
        let end = match style {
            StructureStyle::Flow => {
                self.open.pop();
                end.end
            }
            StructureStyle::Block => last.unwrap_or(start.end),
        };
        Location { file: self.file, start: start.start, end: end.max(start.start) }
    }

    fn map(&mut self, style: StructureStyle, start: granit::Span, depth: usize) -> Result<Node, Stop> {
        self.enter(style, depth, start)?;
        let mut entries: Vec<Entry> = Vec::new();
        let mut merged = Vec::new();
        let mut known: HashMap<String, Location> = HashMap::new();
        let (mut last, mut garbled) = (None, false);
        let end = loop {
            let seen = match self.next()? {
                (Event::MappingEnd, span) => break span,
                seen => seen,
            };
            garbled |= matches!(seen.0, Event::MappingStart(StructureStyle::Flow, ..));
            let key = self.key(seen, depth)?;
            let value = self.next()?;
            let node = self.node(value, depth + 1)?;
            last = Some(node.at.end);
            let Some(key) = key else { continue };
            if let Some(first) = known.get(&key.name) {
                let problem = Diagnostic::error(codes::DUPLICATE_KEY, format!("the key `{}` stands twice", shown(&key.name)));
                self.found.push(problem.at(Some(key.at)).related(*first, "first here").help("remove one of them"));
                continue;
            }
            known.insert(key.name.clone(), key.at);
            if key.merge {
                merged.push((key.at, node));
            } else {
                entries.push(Entry { name: key.name, at: key.at, node });
            }
        };
        for (at, node) in merged {
            self.merge(&mut entries, &mut known, at, node);
        }
        let at = self.extent(style, start, end, last);
        // `{{ … }}` without quotes is a map with a map as its key; what was meant is a text, so the map is not looked at.
        Ok(Node { kind: Kind::Map(entries), at, doubtful: garbled })
    }

    /// Reads a key; reports one that is not a text and returns nothing.
    fn key(&mut self, (event, span): Seen<'t>, depth: usize) -> Result<Option<Key>, Stop> {
        let at = self.place(span);
        let plain = matches!(event.scalar(), Some((_, ScalarStyle::Plain)));
        let is_scalar = event.scalar().is_some();
        let template = matches!(event, Event::MappingStart(StructureStyle::Flow, ..));
        let doubtful = event.tag().is_some();
        let node = self.node((event, span), depth + 1)?;
        if is_scalar && (doubtful || node.doubtful) {
            return Ok(None);
        }
        match node.text() {
            Some(name) if is_scalar => Ok(Some(Key { name: name.to_owned(), at, merge: plain && name == "<<" })),
            _ => {
                let help = match (is_scalar, template) {
                    (true, _) => "quote it",
                    (false, true) => "a value that begins with `{{` is quoted: `\"{{ key.team }}\"`",
                    (false, false) => "write the key out as a text",
                };
                self.report(codes::KEY_NOT_TEXT, "a key must be a text", at, help);
                Ok(None)
            }
        }
    }

    fn merge(&mut self, entries: &mut Vec<Entry>, known: &mut HashMap<String, Location>, at: Location, node: Node) {
        let sources = match node.kind {
            Kind::List(nodes) => nodes,
            Kind::Map(_) | Kind::Scalar(_) => vec![node],
        };
        if let Some(bad) = sources.iter().find(|source| !matches!(source.kind, Kind::Map(_)) && !source.doubtful) {
            let at = bad.at;
            self.report(codes::MERGE_INVALID, "`<<` takes a map, or a list of maps", at, "");
            return;
        }
        let problem = Diagnostic::warning(codes::MERGE_KEY, "`<<` is not part of YAML 1.2, and hides what the map holds");
        self.found.push(problem.at(Some(at)).help("write the fields out"));
        for source in sources {
            if let Kind::Map(more) = source.kind {
                for entry in more {
                    if !known.contains_key(&entry.name) {
                        known.insert(entry.name.clone(), entry.at);
                        entries.push(entry);
                    }
                }
            }
        }
    }

    fn alias(&mut self, id: usize, span: granit::Span, depth: usize) -> Result<Node, Stop> {
        let at = self.place(span);
        let size = match self.anchors.get(&id) {
            Some(Anchor::Done { size, .. }) => *size,
            Some(Anchor::Large) => Size { nodes: COPIED_NODES + 1, ..Size::default() },
            Some(Anchor::Open) | None => {
                self.report(codes::UNKNOWN_ANCHOR, "the alias stands inside of what it repeats", at, "");
                return Err(Stop);
            }
        };
        if !self.copy(size) {
            self.report(codes::ALIAS_BUDGET, "aliases repeat more than 100,000 values or 4 MiB of text", at, "");
            return Err(Stop);
        }
        if depth + size.height > DEPTH_LIMIT + 1 {
            self.report(codes::TOO_DEEP, "more than 32 maps and lists inside one another", at, "");
            return Err(Stop);
        }
        match self.anchors.get(&id) {
            Some(Anchor::Done { node, .. }) => Ok(Node { at, ..node.clone() }),
            Some(Anchor::Open | Anchor::Large) | None => Err(Stop),
        }
    }

    /// Counts a copy; returns whether it is within the budget.
    fn copy(&mut self, size: Size) -> bool {
        let nodes = self.copied.nodes.saturating_add(size.nodes);
        let bytes = self.copied.bytes.saturating_add(size.bytes);
        if nodes > COPIED_NODES || bytes > COPIED_BYTES {
            return false;
        }
        self.copied = Size { nodes, bytes, height: 0 };
        true
    }

    fn unknown_alias(&mut self, span: granit::Span) -> Node {
        let at = self.place(span);
        self.report(
            codes::UNKNOWN_ANCHOR,
            "no anchor of this name stands before",
            at,
            "a text that begins with `*` must be quoted: `[\"*\"]`, `\"*-mini\"`",
        );
        Node { kind: Kind::Scalar(Scalar { value: Value::Null, plain: true }), at, doubtful: true }
    }
}

struct Key {
    name: String,
    at: Location,
    merge: bool,
}

fn size_of(node: &Node) -> Size {
    let mut size = Size { nodes: 1, bytes: 0, height: 0 };
    let mut add = |child: &Node, name: usize| {
        let inner = size_of(child);
        size.nodes += inner.nodes;
        size.bytes += inner.bytes + name;
        size.height = size.height.max(inner.height);
    };
    match &node.kind {
        Kind::Scalar(scalar) => return Size { nodes: 1, bytes: scalar.value.as_str().map_or(0, str::len), height: 0 },
        Kind::List(nodes) => nodes.iter().for_each(|node| add(node, 0)),
        Kind::Map(entries) => entries.iter().for_each(|entry| add(&entry.node, entry.name.len())),
    }
    size.height += 1;
    size
}
