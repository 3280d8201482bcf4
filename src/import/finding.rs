//! What became of each value of the source: carried over, nearly, by hand, or not at all.
//!
//! Rule: no value is passed over in silence. A leaf is told of by a finding of its own or of what it is part of; [`Findings::rest`] tells
//! of all others. No finding shows a value.

use std::collections::BTreeSet;

use serde::Serialize;

use super::tree::{Cursor, Place, looks_secret};

/// How well something was carried over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// It means the same.
    Exact,
    /// It means nearly the same; the finding says what is different.
    Approximate,
    /// Somebody must do something; the finding says what.
    Manual,
    /// There is nothing like it here.
    Unsupported,
}

impl Class {
    /// Every class, the worst last.
    pub const ALL: [Self; 4] = [Self::Exact, Self::Approximate, Self::Manual, Self::Unsupported];

    /// Returns the word for it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Exact => "exact",
            Self::Approximate => "approximate",
            Self::Manual => "manual",
            Self::Unsupported => "unsupported",
        }
    }
}

/// What became of one value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// How well it was carried over.
    pub class: Class,
    /// The value's JSON pointer in the source.
    pub pointer: String,
    /// The same as people write it.
    pub path: String,
    /// Where it stands.
    pub place: Option<Place>,
    /// JSON pointer of what it became in the spec, where it became something.
    pub became: Option<String>,
    /// Why, in a sentence without a full stop; empty where there is nothing to say.
    pub why: String,
}

/// The findings so far, and what they tell of.
#[derive(Debug, Default)]
pub(super) struct Findings {
    list: Vec<(usize, Finding)>,
    told: BTreeSet<usize>,
}

impl Findings {
    /// Tells that a value means the same here. Only leaves and lists of leaves count as told.
    pub(super) fn exact(&mut self, it: Cursor<'_>, became: impl Into<Option<String>>) {
        self.add(Class::Exact, it, became.into(), "");
    }

    /// Tells that a value means nearly the same here. Only leaves and lists of leaves count as told.
    pub(super) fn approximate(&mut self, it: Cursor<'_>, became: impl Into<Option<String>>, why: impl AsRef<str>) {
        self.add(Class::Approximate, it, became.into(), why.as_ref());
    }

    /// Tells what somebody must do about a value and all in it.
    pub(super) fn manual(&mut self, it: Cursor<'_>, became: impl Into<Option<String>>, why: impl AsRef<str>) {
        self.add(Class::Manual, it, became.into(), why.as_ref());
    }

    /// Tells that there is nothing like a value, and all in it, here.
    pub(super) fn unsupported(&mut self, it: Cursor<'_>, why: impl AsRef<str>) {
        self.add(Class::Unsupported, it, None, why.as_ref());
    }

    /// Returns whether something was told of a value itself.
    pub(super) fn knows(&self, it: Cursor<'_>) -> bool {
        self.told.contains(&it.id())
    }

    fn add(&mut self, class: Class, it: Cursor<'_>, became: Option<String>, why: &str) {
        // The whole file has no place of its own.
        if it.is_root() {
            return it.children().for_each(|child| self.add(class, child, became.clone(), why));
        }
        let finding = Finding { class, pointer: it.pointer(), path: it.path(), place: it.place(), became, why: why.to_owned() };
        self.list.push((it.id(), finding));
        let tells_of_all = match class {
            Class::Exact | Class::Approximate => it.children().all(Cursor::is_leaf) && !it.is_map(),
            Class::Manual | Class::Unsupported => true,
        };
        self.told.insert(it.id());
        if tells_of_all {
            self.told.extend(it.leaves().into_iter().map(Cursor::id));
        }
    }

    /// Tells of every leaf of which nothing was told, what stands below one untouched value as one.
    pub(super) fn rest(&mut self, it: Cursor<'_>) {
        let leaves = it.leaves();
        if leaves.iter().all(|leaf| self.told.contains(&leaf.id())) {
            return;
        }
        let is_untouched = leaves.iter().all(|leaf| !self.told.contains(&leaf.id()));
        let is_root = it.pointer().is_empty();
        if it.is_leaf() || (is_untouched && !is_root && !self.knows_within(it)) {
            let is_secret = it.secret().is_some_and(looks_secret);
            if is_secret {
                self.manual(it, None, "it looks like a secret, so it is neither written nor shown; keep it in a variable or a file");
            } else {
                self.unsupported(it, "nothing here is known to be like it");
            }
            return;
        }
        for child in it.children() {
            self.rest(child);
        }
    }

    fn knows_within(&self, it: Cursor<'_>) -> bool {
        self.knows(it) || it.children().any(|child| self.knows_within(child))
    }

    /// Gives the findings in the order of the source.
    pub(super) fn finish(mut self) -> Vec<Finding> {
        self.list.sort_by(|(a, one), (b, other)| (&one.place, a, one.class).cmp(&(&other.place, b, other.class)));
        self.list.dedup_by(|(a, one), (b, other)| a == b && one == other);
        self.list.into_iter().map(|(_, finding)| finding).collect()
    }
}
