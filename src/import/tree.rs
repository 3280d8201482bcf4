//! What the other program's file says, as a tree that knows the place of each value.
//!
//! Not its meaning. Rule: a text that looks like a secret is given to nobody but [`Cursor::secret`], so that no field that is merely
//! copied can carry one over.

use serde_json::{Number, Value};

use crate::base::suspicion;
use crate::spec::{Document, Location, Sources};

/// A file, and what it includes.
#[derive(Debug, Default)]
pub(super) struct Tree {
    nodes: Vec<Node>,
    sources: Sources,
    /// Where the lines of each source begin.
    lines: Vec<Vec<usize>>,
    /// What was there until a file that is included took its place.
    replaced: Vec<usize>,
}

#[derive(Debug)]
struct Node {
    parent: Option<usize>,
    /// The member's name, or the item's index.
    name: String,
    key: Option<Location>,
    at: Option<Location>,
    what: What,
}

#[derive(Debug)]
enum What {
    Leaf(Value),
    List(Vec<usize>),
    Map(Vec<usize>),
}

/// A place in a file, for people.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The file as the user wrote its path.
    pub file: String,
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

impl Tree {
    /// Makes a tree of one file; its root is the first node.
    pub(super) fn new(document: &Document) -> Self {
        let mut tree = Self::default();
        tree.graft(document, None, String::new());
        tree
    }

    /// Adds the members of another file's map to the root: lists go on, everything else takes the place of what stood there. That is how
    /// LiteLLM includes.
    pub(super) fn include(&mut self, document: &Document) {
        let other = self.graft(document, None, String::new());
        let members = match self.nodes.get(other).map(|node| &node.what) {
            Some(What::Map(members)) => members.clone(),
            Some(What::Leaf(_) | What::List(_)) | None => return,
        };
        for member in members {
            let name = self.name_of(member).to_owned();
            match self.child(0, &name).filter(|own| self.is_list(*own) && self.is_list(member)) {
                Some(own) => self.append(own, member),
                None => self.adopt(member),
            }
        }
    }

    /// Returns the whole.
    pub(super) const fn root(&self) -> Cursor<'_> {
        Cursor { tree: self, id: 0 }
    }

    /// Returns what was there until a file that is included took its place.
    pub(super) fn replaced(&self) -> impl Iterator<Item = Cursor<'_>> {
        self.replaced.iter().map(|id| Cursor { tree: self, id: *id })
    }

    fn graft(&mut self, document: &Document, parent: Option<usize>, name: String) -> usize {
        let first = self.sources.0.len();
        for source in &document.sources.0 {
            let ends = source.text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at + 1);
            self.lines.push(std::iter::once(0).chain(ends).collect());
            self.sources.0.push(source.clone());
        }
        self.grow(&document.value, &Soil { document, first, pointer: String::new() }, parent, name)
    }

    fn grow(&mut self, value: &Value, soil: &Soil<'_>, parent: Option<usize>, name: String) -> usize {
        let id = self.nodes.len();
        let (key, at) = (soil.place(soil.document.spans.key(&soil.pointer)), soil.place(soil.document.spans.own(&soil.pointer)));
        self.nodes.push(Node { parent, name, key, at, what: What::Leaf(Value::Null) });
        let what = match value {
            Value::Array(items) => What::List(
                items
                    .iter()
                    .enumerate()
                    .map(|(at, item)| self.grow(item, &soil.below(&at.to_string()), Some(id), at.to_string()))
                    .collect(),
            ),
            Value::Object(members) => {
                What::Map(members.iter().map(|(name, item)| self.grow(item, &soil.below(name), Some(id), name.clone())).collect())
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => What::Leaf(value.clone()),
        };
        if let Some(node) = self.nodes.get_mut(id) {
            node.what = what;
        }
        id
    }

    fn name_of(&self, id: usize) -> &str {
        self.nodes.get(id).map_or("", |node| node.name.as_str())
    }

    fn is_list(&self, id: usize) -> bool {
        matches!(self.nodes.get(id).map(|node| &node.what), Some(What::List(_)))
    }

    fn children(&self, id: usize) -> &[usize] {
        match self.nodes.get(id).map(|node| &node.what) {
            Some(What::Map(ids) | What::List(ids)) => ids,
            Some(What::Leaf(_)) | None => &[],
        }
    }

    fn child(&self, id: usize, name: &str) -> Option<usize> {
        let Some(What::Map(ids)) = self.nodes.get(id).map(|node| &node.what) else { return None };
        ids.iter().copied().find(|id| self.name_of(*id) == name)
    }

    fn append(&mut self, own: usize, other: usize) {
        let more = self.children(other).to_vec();
        let count = self.children(own).len();
        for (at, id) in more.iter().enumerate() {
            if let Some(node) = self.nodes.get_mut(*id) {
                node.parent = Some(own);
                node.name = (count + at).to_string();
            }
        }
        if let Some(Node { what: What::List(ids), .. }) = self.nodes.get_mut(own) {
            ids.extend(more);
        }
    }

    fn adopt(&mut self, member: usize) {
        let name = self.name_of(member).to_owned();
        let old = self.child(0, &name);
        if let Some(node) = self.nodes.get_mut(member) {
            node.parent = Some(0);
        }
        if let Some(Node { what: What::Map(ids), .. }) = self.nodes.get_mut(0) {
            ids.retain(|id| Some(*id) != old);
            ids.push(member);
        }
        self.replaced.extend(old);
    }

    fn place(&self, location: Location) -> Option<Place> {
        let (source, lines) = (self.sources.0.get(location.file)?, self.lines.get(location.file)?);
        let line = lines.partition_point(|start| *start <= location.start);
        let start = line.checked_sub(1).and_then(|line| lines.get(line)).copied().unwrap_or_default();
        let column = source.text.get(start..location.start)?.chars().count() + 1;
        Some(Place { file: source.path.display().to_string(), line, column })
    }
}

/// Where a value of a document grows.
struct Soil<'d> {
    document: &'d Document,
    /// The index of the document's first file among all.
    first: usize,
    pointer: String,
}

impl<'d> Soil<'d> {
    fn below(&self, name: &str) -> Soil<'d> {
        Soil { pointer: format!("{}{}", self.pointer, pointer(&[name])), ..*self }
    }

    fn place(&self, location: Option<Location>) -> Option<Location> {
        location.map(|location| Location { file: self.first + location.file, ..location })
    }
}

/// Makes a JSON pointer from its members.
pub(super) fn pointer(members: &[&str]) -> String {
    members.iter().map(|member| format!("/{}", member.replace('~', "~0").replace('/', "~1"))).collect()
}

/// Returns a name as messages show it: not at all when it may be a secret that stands in the wrong place.
pub(super) fn shown(name: &str) -> &str {
    if looks_secret(name) { "…" } else { name }
}

/// Returns whether a text may be, or hold, a secret.
pub(super) fn looks_secret(text: &str) -> bool {
    let word = |word: &str| word.len() >= 12 && suspicion::begins_like_key(word);
    suspicion::suspect(text).is_some() || text.split(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '-' | '_'))).any(word)
}

/// A value of the tree.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cursor<'t> {
    tree: &'t Tree,
    id: usize,
}

impl<'t> Cursor<'t> {
    /// Returns the node's number.
    pub(super) const fn id(self) -> usize {
        self.id
    }

    pub(super) fn is_root(self) -> bool {
        self.node().is_some_and(|node| node.parent.is_none())
    }

    fn node(self) -> Option<&'t Node> {
        self.tree.nodes.get(self.id)
    }

    fn leaf(self) -> Option<&'t Value> {
        match self.node().map(|node| &node.what) {
            Some(What::Leaf(value)) => Some(value),
            Some(What::List(_) | What::Map(_)) | None => None,
        }
    }

    /// Returns a member of a map; a null counts as absent.
    pub(super) fn get(self, name: &str) -> Option<Self> {
        let id = self.tree.child(self.id, name)?;
        Some(Cursor { id, ..self }).filter(|it| it.leaf() != Some(&Value::Null))
    }

    /// Returns the first of several members that is there: older and newer spellings of one thing.
    pub(super) fn any(self, names: &[&str]) -> Option<Self> {
        names.iter().find_map(|name| self.get(name))
    }

    /// Returns the members of a map or the items of a list.
    pub(super) fn children(self) -> impl Iterator<Item = Self> + 't {
        self.tree.children(self.id).iter().map(move |id| Cursor { id: *id, ..self })
    }

    /// Returns the members of a map with their names, but for those whose name looks like a secret: names are copied, too.
    pub(super) fn members(self) -> impl Iterator<Item = (&'t str, Self)> + 't {
        self.children().filter(move |child| self.is_map() && !looks_secret(child.name())).map(|child| (child.name(), child))
    }

    /// Returns the items of a list; of anything else nothing.
    pub(super) fn items(self) -> impl Iterator<Item = Self> + 't {
        self.children().filter(move |_| self.is_list())
    }

    pub(super) fn is_map(self) -> bool {
        matches!(self.node().map(|node| &node.what), Some(What::Map(_)))
    }

    pub(super) fn is_list(self) -> bool {
        matches!(self.node().map(|node| &node.what), Some(What::List(_)))
    }

    pub(super) fn is_leaf(self) -> bool {
        self.leaf().is_some()
    }

    /// Returns whether it says nothing: null, or an empty list, map or text.
    pub(super) fn is_empty(self) -> bool {
        match self.leaf() {
            Some(value) => value.is_null() || value.as_str().is_some_and(str::is_empty),
            None => self.tree.children(self.id).is_empty(),
        }
    }

    /// Returns the member's name, or the item's index.
    pub(super) fn name(self) -> &'t str {
        self.tree.name_of(self.id)
    }

    /// Returns a text that does not look like a secret.
    pub(super) fn text(self) -> Option<&'t str> {
        self.leaf().and_then(Value::as_str).filter(|text| !looks_secret(text))
    }

    /// Returns any text. Only for what knows how to keep secrets.
    pub(super) fn secret(self) -> Option<&'t str> {
        self.leaf().and_then(Value::as_str)
    }

    pub(super) fn number(self) -> Option<&'t Number> {
        match self.leaf() {
            Some(Value::Number(number)) => Some(number),
            Some(Value::Null | Value::Bool(_) | Value::String(_) | Value::Array(_) | Value::Object(_)) | None => None,
        }
    }

    pub(super) fn bool(self) -> Option<bool> {
        self.leaf().and_then(Value::as_bool)
    }

    /// Returns a whole number, which may be written as a text or with a point.
    pub(super) fn whole(self) -> Option<u64> {
        let number = self.number().and_then(|it| it.as_u64().or_else(|| it.as_f64().filter(|it| it.fract() == 0.0).and_then(in_range)));
        number.or_else(|| self.text()?.parse().ok())
    }

    /// Returns the texts of a list, or the one text that stands for a list; none where something else is among them.
    pub(super) fn texts(self) -> Option<Vec<&'t str>> {
        if self.is_list() { self.items().map(Self::text).collect() } else { self.text().map(|text| vec![text]) }
    }

    /// Returns the value as JSON; none where some text or name of it looks like a secret.
    pub(super) fn json(self) -> Option<Value> {
        match self.node().map(|node| &node.what)? {
            What::Leaf(Value::String(text)) => (!looks_secret(text)).then(|| Value::String(text.clone())),
            What::Leaf(value) => Some(value.clone()),
            What::List(_) => self.items().map(Self::json).collect::<Option<Vec<_>>>().map(Value::Array),
            What::Map(all) if all.len() != self.members().count() => None,
            What::Map(_) => {
                let members = self.members().map(|(name, it)| Some((name.to_owned(), it.json()?)));
                members.collect::<Option<serde_json::Map<_, _>>>().map(Value::Object)
            }
        }
    }

    /// Returns the leaves, itself if it is one; what is empty is none.
    pub(super) fn leaves(self) -> Vec<Self> {
        if self.is_empty() {
            return Vec::new();
        }
        if self.is_leaf() { vec![self] } else { self.children().flat_map(Self::leaves).collect() }
    }

    /// Returns where it stands: its key where it has one.
    pub(super) fn place(self) -> Option<Place> {
        let node = self.node()?;
        self.tree.place(node.key.or(node.at)?)
    }

    /// Returns its JSON pointer. Shows no name that may be a secret.
    pub(super) fn pointer(self) -> String {
        let above = self.node().and_then(|node| node.parent).map(|id| Cursor { id, ..self });
        above.map_or_else(String::new, |above| format!("{}{}", above.pointer(), pointer(&[shown(self.name())])))
    }

    /// Returns its path as people write it: `model_list[0].litellm_params.rpm`.
    pub(super) fn path(self) -> String {
        let Some(above) = self.node().and_then(|node| node.parent).map(|id| Cursor { id, ..self }) else { return String::new() };
        let (path, name) = (above.path(), shown(self.name()));
        match (above.is_list(), path.is_empty()) {
            (true, _) => format!("{path}[{name}]"),
            (false, true) => name.to_owned(),
            (false, false) => format!("{path}.{name}"),
        }
    }
}

/// Converts a whole number of a float, where it has an exact meaning.
fn in_range(number: f64) -> Option<u64> {
    // Above 2^53 a float stands for several whole numbers.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked just before")]
    (0.0..=9_007_199_254_740_992.0).contains(&number).then_some(number as u64)
}
