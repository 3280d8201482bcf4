//! The tree between YAML and JSON: values that still know where and how they were written.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::mask;
use crate::spec::{Location, Spans};

/// A value with its place.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) kind: Kind,
    pub(super) at: Location,
    /// Whether something about it was reported already, or is not known: nothing more is said about it or what is inside.
    pub(super) doubtful: bool,
}

/// What a value is.
#[derive(Debug, Clone)]
pub(super) enum Kind {
    Scalar(Scalar),
    List(Vec<Node>),
    Map(Vec<Entry>),
}

/// A leaf.
#[derive(Debug, Clone)]
pub(super) struct Scalar {
    /// Null, boolean, number or text.
    pub(super) value: Value,
    /// Whether it stood without quotes.
    pub(super) plain: bool,
}

/// A member of a map.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) name: String,
    pub(super) at: Location,
    pub(super) node: Node,
}

impl Node {
    pub(super) const fn new(kind: Kind, at: Location) -> Self {
        Self { kind, at, doubtful: false }
    }

    pub(super) fn is_null(&self) -> bool {
        matches!(&self.kind, Kind::Scalar(scalar) if scalar.value.is_null())
    }

    /// Returns the text of a leaf that is one.
    pub(super) fn text(&self) -> Option<&str> {
        match &self.kind {
            Kind::Scalar(scalar) => scalar.value.as_str(),
            Kind::List(_) | Kind::Map(_) => None,
        }
    }

    pub(super) fn entries(&self) -> &[Entry] {
        match &self.kind {
            Kind::Map(entries) => entries,
            Kind::Scalar(_) | Kind::List(_) => &[],
        }
    }

    pub(super) fn entry(&self, name: &str) -> Option<&Entry> {
        self.entries().iter().find(|entry| entry.name == name)
    }

    /// Takes a member out of a map.
    pub(super) fn remove(&mut self, name: &str) -> Option<Entry> {
        match &mut self.kind {
            Kind::Map(entries) => {
                let index = entries.iter().position(|entry| entry.name == name)?;
                Some(entries.remove(index))
            }
            Kind::Scalar(_) | Kind::List(_) => None,
        }
    }
}

/// The tree as the rest of the program sees it.
#[derive(Default)]
pub(super) struct Lowered {
    pub(super) value: Value,
    pub(super) spans: Spans,
}

/// Turns the tree into JSON and places.
pub(super) fn lower(root: &Node) -> Lowered {
    let mut lowered = Lowered::default();
    let mut pointer = String::new();
    lowered.value = value_of(root, None, &mut pointer, &mut lowered.spans);
    // The spec as a whole is shown by its first line.
    if let Some(first) = root.entries().first() {
        lowered.spans.by_pointer.insert(String::new(), (None, first.at));
    }
    lowered
}

fn value_of(node: &Node, key: Option<Location>, pointer: &mut String, spans: &mut Spans) -> Value {
    spans.by_pointer.insert(pointer.clone(), (key, node.at));
    if node.doubtful {
        spans.unresolved.insert(pointer.clone());
    }
    let length = pointer.len();
    match &node.kind {
        Kind::Scalar(scalar) => scalar.value.clone(),
        Kind::List(nodes) => {
            let mut items = Vec::with_capacity(nodes.len());
            for (index, node) in nodes.iter().enumerate() {
                push(pointer, &index.to_string());
                items.push(value_of(node, None, pointer, spans));
                pointer.truncate(length);
            }
            Value::Array(items)
        }
        Kind::Map(entries) => {
            let mut members = Map::with_capacity(entries.len());
            for entry in entries {
                push(pointer, &entry.name);
                members.insert(entry.name.clone(), value_of(&entry.node, Some(entry.at), pointer, spans));
                pointer.truncate(length);
            }
            Value::Object(members)
        }
    }
}

/// Appends a member's name or an index to a JSON pointer.
pub(super) fn push(pointer: &mut String, member: &str) {
    pointer.push('/');
    if member.contains(['~', '/']) {
        pointer.push_str(&member.replace('~', "~0").replace('/', "~1"));
    } else {
        pointer.push_str(member);
    }
}

/// Splits a JSON pointer into its members.
pub(super) fn members(pointer: &str) -> impl Iterator<Item = String> + '_ {
    pointer.split('/').skip(1).map(|member| member.replace("~1", "/").replace("~0", "~"))
}

/// Returns a name as messages show it: not at all when it may be a secret that stands in the wrong place.
pub(super) fn shown(name: &str) -> &str {
    if mask::secret_like(name).is_empty() { name } else { "…" }
}

/// Cuts a pointer off at the first member that is not shown.
pub(super) fn shown_pointer(pointer: &str) -> String {
    let mut out = String::new();
    for member in members(pointer).take_while(|member| shown(member) == member) {
        push(&mut out, &member);
    }
    out
}

/// Writes a JSON pointer as people do: `models.fast.targets[0]`.
pub(super) fn dotted(pointer: &str) -> String {
    let mut out = String::new();
    for member in members(pointer) {
        let member = shown(&member);
        if !member.is_empty() && member.bytes().all(|byte| byte.is_ascii_digit()) && !out.is_empty() {
            out.push('[');
            out.push_str(member);
            out.push(']');
        } else {
            if !out.is_empty() {
                out.push('.');
            }
            out.push_str(member);
        }
    }
    out
}

/// Finds nodes by JSON pointer, quickly enough for many errors in a large spec.
pub(super) struct Index<'n>(BTreeMap<String, (Option<&'n Entry>, &'n Node)>);

impl<'n> Index<'n> {
    /// Makes an index, which stays empty when it is not `needed`.
    pub(super) fn new(root: &'n Node, needed: bool) -> Self {
        let mut index = Self(BTreeMap::new());
        if needed {
            index.add(root, None, &mut String::new());
        }
        index
    }

    pub(super) fn node(&self, pointer: &str) -> Option<&'n Node> {
        self.0.get(pointer).map(|(_, node)| *node)
    }

    pub(super) fn entry(&self, pointer: &str) -> Option<&'n Entry> {
        self.0.get(pointer).and_then(|(entry, _)| *entry)
    }

    fn add(&mut self, node: &'n Node, entry: Option<&'n Entry>, pointer: &mut String) {
        self.0.insert(pointer.clone(), (entry, node));
        let length = pointer.len();
        match &node.kind {
            Kind::Scalar(_) => {}
            Kind::List(nodes) => {
                for (index, node) in nodes.iter().enumerate() {
                    push(pointer, &index.to_string());
                    self.add(node, None, pointer);
                    pointer.truncate(length);
                }
            }
            Kind::Map(entries) => {
                for entry in entries {
                    push(pointer, &entry.name);
                    self.add(&entry.node, Some(entry), pointer);
                    pointer.truncate(length);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pointer_reads_as_people_write_it() {
        assert_eq!(dotted("/models/fast/targets/0/model"), "models.fast.targets[0].model");
        assert_eq!(dotted("/prices/vllm~1qwen3/~0x"), "prices.vllm/qwen3.~x");
        assert_eq!(dotted(""), "");
    }
}
