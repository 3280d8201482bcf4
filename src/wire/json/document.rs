//! The tree: one table of values in the order of the text, each with its place and the entry behind it.

use std::borrow::Cow;
use std::fmt::Write as _;

use super::fields::Fault;
use super::{Json, Number, Text, parse, string};
use crate::wire::scan::MAX_DEPTH;

/// Why a text is not JSON that is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum JsonError {
    /// Not UTF-8.
    #[error("it is not valid UTF-8")]
    Utf8,
    /// Broken JSON, with the byte where it was noticed.
    #[error("it is not valid JSON (noticed at byte {0})")]
    Syntax(usize),
    /// Nested too deeply.
    #[error("it is nested more than {MAX_DEPTH} levels deep")]
    TooDeep,
    /// Longer than 4 GiB.
    #[error("it is too large")]
    TooLarge,
}

/// What a value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool,
    /// A number.
    Number,
    /// A string.
    Text,
    /// An array.
    Array,
    /// An object.
    Object,
}

/// Where a value stands in the client's body: the byte of its first character. [`path_at`] turns it into the client's own spelling.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place(u32);

impl Place {
    /// Not from the client's body.
    pub const NOWHERE: Self = Self(u32::MAX);
}

/// One entry of the table.
#[derive(Debug, Clone, Copy)]
pub(super) struct Slot {
    pub(super) start: u32,
    pub(super) end: u32,
    /// The entry behind this value and all that is in it.
    pub(super) next: u32,
    pub(super) kind: Kind,
    /// A string with a backslash in it.
    pub(super) escaped: bool,
}

/// A parsed text. Costs one table; strings are unescaped when they are read.
#[derive(Debug, Clone)]
pub struct Document<'a> {
    text: &'a str,
    slots: Vec<Slot>,
}

impl<'a> Document<'a> {
    /// Parses a text strictly (RFC 8259). O(length), one allocation that grows.
    ///
    /// # Errors
    /// [`JsonError`].
    pub fn parse(bytes: &'a [u8]) -> Result<Self, JsonError> {
        let text = std::str::from_utf8(bytes).map_err(|_| JsonError::Utf8)?;
        if u32::try_from(text.len()).is_err() {
            return Err(JsonError::TooLarge);
        }
        Ok(Self { text, slots: parse::slots(bytes)? })
    }

    /// Returns the text.
    pub const fn text(&self) -> &'a str {
        self.text
    }

    /// Returns the value at the top.
    pub const fn root(&self) -> Node<'_, 'a> {
        Node { document: self, at: 0 }
    }
}

/// One value of a document. `'d` is the table, `'a` the text.
#[derive(Debug, Clone, Copy)]
pub struct Node<'d, 'a> {
    document: &'d Document<'a>,
    at: u32,
}

impl<'d, 'a> Node<'d, 'a> {
    fn slot(self) -> Slot {
        let nothing = Slot { start: 0, end: 0, next: u32::MAX, kind: Kind::Null, escaped: false };
        self.document.slots.get(self.at as usize).copied().unwrap_or(nothing)
    }

    /// Returns what the value is.
    pub fn kind(self) -> Kind {
        self.slot().kind
    }

    /// Returns where the value stands.
    pub fn place(self) -> Place {
        Place(self.slot().start)
    }

    /// Returns the value's own text.
    pub fn raw(self) -> &'a str {
        let slot = self.slot();
        self.document.text.get(slot.start as usize..slot.end as usize).unwrap_or_default()
    }

    /// Returns the value's own text as an opaque value.
    pub fn json(self) -> Json<'a> {
        Json::new(self.raw())
    }

    /// Returns whether the value is `null`.
    pub fn is_null(self) -> bool {
        self.kind() == Kind::Null
    }

    /// Returns the text of a string.
    pub fn text(self) -> Option<Text<'a>> {
        let slot = self.slot();
        if slot.kind != Kind::Text {
            return None;
        }
        let inner = self.document.text.get(slot.start as usize + 1..slot.end as usize - 1)?;
        Some(if slot.escaped { Cow::Owned(string::unescape(inner)) } else { Cow::Borrowed(inner) })
    }

    /// Returns a boolean.
    pub fn bool(self) -> Option<bool> {
        (self.kind() == Kind::Bool).then(|| self.raw() == "true")
    }

    /// Returns a number.
    pub fn number(self) -> Option<Number<'a>> {
        (self.kind() == Kind::Number).then(|| Number(self.raw()))
    }

    /// Walks over the elements of an array; nothing where it is none.
    pub fn elements(self) -> impl Iterator<Item = Self> + use<'d, 'a> {
        let slot = self.slot();
        let end = if slot.kind == Kind::Array { slot.next } else { self.at };
        let mut at = self.at + 1;
        std::iter::from_fn(move || {
            let node = Node { document: self.document, at };
            (at < end).then(|| {
                at = node.slot().next;
                node
            })
        })
    }

    /// Walks over the members of an object, as key and value; nothing where it is none.
    pub fn members(self) -> impl Iterator<Item = (Self, Self)> + use<'d, 'a> {
        let slot = self.slot();
        let end = if slot.kind == Kind::Object { slot.next } else { self.at };
        let mut at = self.at + 1;
        std::iter::from_fn(move || {
            (at < end).then(|| {
                let (key, value) = (Node { document: self.document, at }, Node { document: self.document, at: at + 1 });
                at = value.slot().next;
                (key, value)
            })
        })
    }

    /// Returns the first member of that name that is not null.
    pub fn get(self, name: &str) -> Option<Self> {
        self.members().find(|(key, value)| key.is(name) && !value.is_null()).map(|(_, value)| value)
    }

    /// Returns whether the value is a string of that text.
    pub fn is(self, text: &str) -> bool {
        let slot = self.slot();
        if slot.kind != Kind::Text {
            return false;
        }
        match slot.escaped {
            false => self.raw().get(1..self.raw().len() - 1) == Some(text),
            true => self.text().is_some_and(|own| own == text),
        }
    }

    /// Returns the path of this value from the top, in the text's own spelling: `messages[2].content[0].text`.
    pub fn path(self) -> String {
        paths_in(self.document, &[self.place()]).pop().unwrap_or_default()
    }

    /// Makes the fault "this should be …".
    pub fn fault(self, expected: &'static str) -> Fault {
        Fault { path: self.path(), expected }
    }
}

/// Returns the path of the value that stands at a place of a text; empty where there is none.
pub fn path_at(text: &str, place: Place) -> String {
    let Ok(document) = Document::parse(text.as_bytes()) else { return String::new() };
    paths_in(&document, &[place]).pop().unwrap_or_default()
}

/// Returns whether a text is one JSON object.
pub fn is_object(text: &str) -> bool {
    Document::parse(text.as_bytes()).is_ok_and(|document| document.root().kind() == Kind::Object)
}

/// Returns the paths of the values that stand at places of a document, which are sorted. One walk, however many there are.
pub fn paths_in(document: &Document<'_>, places: &[Place]) -> Vec<String> {
    let mut wanted = places.iter().peekable();
    let mut found = Vec::with_capacity(places.len());
    let mut open: Vec<Step> = Vec::new();
    for (at, slot) in (0..).zip(&document.slots) {
        while open.last().is_some_and(|step| step.end <= at) {
            open.pop();
        }
        if let Some(step) = open.last_mut()
            && step.enter(at)
        {
            continue;
        }
        while wanted.next_if(|place| place.0 < slot.start).is_some() {
            found.push(String::new());
        }
        if wanted.next_if(|place| place.0 == slot.start).is_some() {
            found.push(render(document, &open));
        }
        if matches!(slot.kind, Kind::Object | Kind::Array) {
            open.push(Step { end: slot.next, is_object: slot.kind == Kind::Object, key: None, index: 0 });
        }
    }
    found.resize(places.len(), String::new());
    found
}

/// A container on the way down.
struct Step {
    /// The entry behind it.
    end: u32,
    is_object: bool,
    /// The entry of the name of the member that is walked over.
    key: Option<u32>,
    /// One more than the number of the element that is walked over.
    index: usize,
}

impl Step {
    /// Moves to the next entry right inside. Returns whether that is the name of a member.
    const fn enter(&mut self, at: u32) -> bool {
        self.index += 1;
        let is_key = self.is_object && self.index % 2 == 1;
        if is_key {
            self.key = Some(at);
        }
        is_key
    }
}

fn render(document: &Document<'_>, steps: &[Step]) -> String {
    let mut path = String::new();
    for step in steps {
        match step.key {
            Some(key) => {
                if !path.is_empty() {
                    path.push('.');
                }
                path.push_str(&Node { document, at: key }.text().unwrap_or_default());
            }
            None => {
                let _ = write!(path, "[{}]", step.index.saturating_sub(1));
            }
        }
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::Value;

    /// Builds the value from the tree, so that the tree can be compared with another parser's.
    fn value(node: Node<'_, '_>) -> Value {
        match node.kind() {
            Kind::Null | Kind::Bool | Kind::Number => serde_json::from_str(node.raw()).unwrap(),
            Kind::Text => node.text().unwrap().into_owned().into(),
            Kind::Array => node.elements().map(value).collect(),
            Kind::Object => Value::Object(node.members().map(|(key, member)| (key.text().unwrap().into_owned(), value(member))).collect()),
        }
    }

    #[test]
    fn a_value_keeps_its_spelling_and_knows_its_path() {
        let text = r#" { "a" : [ 1.10, {"b\u0062" : "x\n" , "n":12345678901234567890123} ] , "t":true } "#;
        let document = Document::parse(text.as_bytes()).unwrap();
        let array = document.root().get("a").unwrap();
        let elements: Vec<_> = array.elements().collect();
        assert_eq!(elements[0].raw(), "1.10");
        let inner = elements[1].get("bb").unwrap();
        assert_eq!(inner.text().as_deref(), Some("x\n"));
        assert_eq!(inner.path(), "a[1].bb");
        assert_eq!(path_at(text, elements[1].get("n").unwrap().place()), "a[1].n");
        assert_eq!(path_at(text, Place::NOWHERE), "");
        assert_eq!(elements[1].raw(), r#"{"b\u0062" : "x\n" , "n":12345678901234567890123}"#);
    }

    #[test]
    fn depth_is_limited_where_the_scanner_limits_it() {
        for (depth, fits) in [(64, true), (65, false)] {
            let text = format!("{}{}", "[".repeat(depth), "]".repeat(depth));
            assert_eq!(Document::parse(text.as_bytes()).is_ok(), fits, "{depth}");
        }
        assert_eq!(Document::parse("[".repeat(2 << 20).as_bytes()).unwrap_err(), JsonError::TooDeep);
    }

    #[test]
    fn what_is_not_json_is_refused() {
        for bad in
            ["", "{", "[1,]", "{\"a\":1,}", "{\"a\"}", "01", "1.", "-", "1e", "tru", "\"\\x\"", "\"\\u12g4\"", "\"\n\"", "[1}", "1 2"]
        {
            assert!(Document::parse(bad.as_bytes()).is_err(), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn the_tree_is_what_another_parser_reads(text in "[\\[\\]{},:\"a\\\\u0-9dDe.\\-+ tfnrulse]{0,40}") {
            let ours = Document::parse(text.as_bytes());
            match serde_json::from_str::<Value>(&text) {
                Ok(theirs) => prop_assert_eq!(value(ours.unwrap().root()), theirs),
                // Lone surrogates and huge exponents are ours to forgive: one cannot be text, the other no double.
                Err(error) => prop_assert!(ours.is_err() || text.contains("\\u") || text.to_ascii_lowercase().contains('e'), "{} {}", text, error),
            }
        }

        #[test]
        fn what_was_written_is_read_back(text in ".{0,40}", pretty in any::<bool>()) {
            let tree = serde_json::json!({"a": [text.clone(), {"b": [[], {}]}], text: 1.5});
            let written = if pretty { serde_json::to_string_pretty(&tree) } else { serde_json::to_string(&tree) }.unwrap();
            prop_assert_eq!(value(Document::parse(written.as_bytes()).unwrap().root()), tree);
        }

        #[test]
        fn no_bytes_make_the_parser_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(document) = Document::parse(&bytes) { let _ = value(document.root()); }
        }
    }
}
