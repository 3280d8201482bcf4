//! Laying one file over another: maps merge by key, scalars and lists replace, null deletes.
//!
//! A map that says by its one key which of several kinds is meant, such as `{env: NAME}`, is replaced as a whole: merged, it would
//! name two kinds.

use std::collections::{BTreeSet, HashMap};

use super::node::{Entry, Kind, Node, dotted, push};
use super::shape::{Spot, shape};
use crate::spec::Diagnostic;
use crate::spec::codes;

/// Lays `over` on `base`.
pub(super) fn overlay(mut base: Node, over: Node, found: &mut Vec<Diagnostic>) -> Node {
    let mut merge = Merge { found };
    merge.lay(&mut base, over, &shape().top(), &mut String::new());
    base
}

struct Merge<'f> {
    found: &'f mut Vec<Diagnostic>,
}

impl Merge<'_> {
    fn lay(&mut self, base: &mut Node, over: Node, spot: &Spot<'_>, pointer: &mut String) {
        let Node { kind, at, doubtful } = over;
        match (&mut base.kind, kind) {
            (Kind::Map(known), Kind::Map(entries)) if !spot.is_choice() => {
                // The map as a whole stays where it was first written.
                base.doubtful |= doubtful;
                self.entries(known, entries, spot, pointer);
            }
            (_, Kind::Map(entries)) => {
                let mut known = Vec::new();
                self.entries(&mut known, entries, spot, pointer);
                *base = Node { kind: Kind::Map(known), at, doubtful };
            }
            (_, kind @ (Kind::Scalar(_) | Kind::List(_))) => *base = Node { kind, at, doubtful },
        }
    }

    fn entries(&mut self, known: &mut Vec<Entry>, entries: Vec<Entry>, spot: &Spot<'_>, pointer: &mut String) {
        let length = pointer.len();
        let places: HashMap<String, usize> = known.iter().enumerate().map(|(index, entry)| (entry.name.clone(), index)).collect();
        let mut deleted = BTreeSet::new();
        for entry in entries {
            push(pointer, &entry.name);
            let index = places.get(&entry.name).copied();
            if !entry.node.is_null() || entry.node.doubtful {
                let spot = spot.member(&entry.name);
                match index.and_then(|index| known.get_mut(index)) {
                    Some(known) => self.replace(known, entry, &spot, pointer),
                    None => known.push(self.stripped(entry, &spot, pointer)),
                }
            } else if let Some(index) = index {
                deleted.insert(index);
            } else {
                self.deletes_nothing(&entry, pointer);
            }
            pointer.truncate(length);
        }
        let mut index = 0;
        known.retain(|_| {
            index += 1;
            !deleted.contains(&(index - 1))
        });
    }

    fn replace(&mut self, known: &mut Entry, entry: Entry, spot: &Spot<'_>, pointer: &mut String) {
        if !matches!((&known.node.kind, &entry.node.kind), (Kind::Map(_), Kind::Map(_))) {
            known.at = entry.at;
        }
        self.lay(&mut known.node, entry.node, spot, pointer);
    }

    /// Lays an entry on nothing, so that nulls inside it are looked at too.
    fn stripped(&mut self, entry: Entry, spot: &Spot<'_>, pointer: &mut String) -> Entry {
        let mut node = Node::new(Kind::Map(Vec::new()), entry.node.at);
        self.lay(&mut node, entry.node, spot, pointer);
        Entry { name: entry.name, at: entry.at, node }
    }

    fn deletes_nothing(&mut self, entry: &Entry, pointer: &str) {
        let message = format!("the overlay deletes `{}`, which is not there", dotted(pointer));
        let problem = Diagnostic::warning(codes::OVERLAY_DELETES_NOTHING, message).at(Some(entry.at));
        self.found.push(problem.help("remove the line, or correct the name"));
    }
}
