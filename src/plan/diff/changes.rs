//! Collecting changes: of single values, of entries by name, of members by name.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::Value;

use super::place::Place;
use super::{Action, Change, Impact, RESTART_ONLY, Risk, shown};
use crate::plan::canonical;
use crate::plan::types::Plan;

/// What a change means.
#[derive(Debug)]
pub(super) struct Meaning {
    risk: Risk,
    reason: Option<String>,
    summary: Option<String>,
}

impl Meaning {
    /// A risk that explains itself.
    pub(super) const fn plain(risk: Risk) -> Self {
        Self { risk, reason: None, summary: None }
    }

    /// A risk with its consequence.
    pub(super) fn of(risk: Risk, reason: impl Into<String>) -> Self {
        Self { risk, reason: Some(reason.into()), summary: None }
    }

    /// Low, with the consequence.
    pub(super) fn low(reason: impl Into<String>) -> Self {
        Self::of(Risk::Low, reason)
    }

    /// Medium, with the consequence.
    pub(super) fn medium(reason: impl Into<String>) -> Self {
        Self::of(Risk::Medium, reason)
    }

    /// High, with the consequence.
    pub(super) fn high(reason: impl Into<String>) -> Self {
        Self::of(Risk::High, reason)
    }

    /// Says what happened in other words than `before → after`, `added` or `removed`.
    pub(super) fn saying(mut self, summary: impl Into<String>) -> Self {
        self.summary = Some(summary.into());
        self
    }
}

/// Both plans.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sides<'a> {
    pub(super) base: &'a Plan,
    pub(super) new: &'a Plan,
}

/// One entry that both sides have.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pair<'v, T> {
    pub(super) name: &'v str,
    pub(super) base: &'v T,
    pub(super) new: &'v T,
}

/// Something that stands in a map by its name and is added and removed as a whole.
pub(super) trait Entry: Serialize {
    fn added(&self, sides: Sides<'_>, name: &str) -> Meaning;
    fn removed(&self, sides: Sides<'_>, name: &str) -> Meaning;
    /// Takes both apart and reports every field that differs.
    fn compare(out: &mut Changes<'_>, place: &Place, pair: Pair<'_, Self>)
    where
        Self: Sized;
    /// Returns what may be shown of it.
    fn shown(&self) -> Value {
        json_of(self)
    }
}

/// What was found so far.
#[derive(Debug)]
pub(super) struct Changes<'a> {
    pub(super) sides: Sides<'a>,
    list: Vec<Change>,
}

/// Makes JSON of a part of a plan. Parts have string keys and no failing serialisers, so that nothing can be lost.
pub(super) fn json_of<T: Serialize + ?Sized>(value: &T) -> Value {
    serde_json::to_value(value).unwrap_or(Value::Null)
}

/// Returns whether two values are equal as digests see them.
pub(super) fn same(a: &Value, b: &Value) -> bool {
    canonical::bytes(a) == canonical::bytes(b)
}

impl<'a> Changes<'a> {
    pub(super) const fn new(base: &'a Plan, new: &'a Plan) -> Self {
        Self { sides: Sides { base, new }, list: Vec::new() }
    }

    pub(super) fn into_list(self) -> Vec<Change> {
        self.list
    }

    /// Reports an entry that only the new plan has.
    pub(super) fn added(&mut self, place: Place, after: Value, meaning: Meaning) {
        self.push(place, Action::Added, (None, Some(after)), meaning);
    }

    /// Reports an entry that only the base has.
    pub(super) fn removed(&mut self, place: Place, before: Value, meaning: Meaning) {
        self.push(place, Action::Removed, (Some(before), None), meaning);
    }

    /// Reports a value that differs.
    pub(super) fn changed(&mut self, place: Place, before: Value, after: Value, meaning: Meaning) {
        self.push(place, Action::Changed, (Some(before), Some(after)), meaning);
    }

    /// Compares one value.
    pub(super) fn field<T: Serialize>(&mut self, place: Place, base: &T, new: &T, meaning: impl FnOnce() -> Meaning) {
        let (before, after) = (json_of(base), json_of(new));
        if !same(&before, &after) {
            self.changed(place, before, after, meaning());
        }
    }

    /// Compares entries by name.
    pub(super) fn entries<T: Entry>(&mut self, place: &Place, base: &BTreeMap<String, T>, new: &BTreeMap<String, T>) {
        let sides = self.sides;
        for name in base.keys().chain(new.keys()).collect::<BTreeSet<_>>() {
            let place = place.member(name);
            match (base.get(name), new.get(name)) {
                (Some(base), Some(new)) => T::compare(self, &place, Pair { name, base, new }),
                (Some(base), None) => self.removed(place, base.shown(), base.removed(sides, name)),
                (None, Some(new)) => self.added(place, new.shown(), new.added(sides, name)),
                (None, None) => {}
            }
        }
    }

    /// Compares plain values by name: headers, labels, members of bodies.
    pub(super) fn members<T: Serialize>(
        &mut self,
        place: &Place,
        base: &BTreeMap<String, T>,
        new: &BTreeMap<String, T>,
        meaning: impl Fn(Action, &str) -> Meaning,
    ) {
        for name in base.keys().chain(new.keys()).collect::<BTreeSet<_>>() {
            let place = place.member(name);
            match (base.get(name), new.get(name)) {
                (Some(base), Some(new)) => self.field(place, base, new, || meaning(Action::Changed, name)),
                (Some(base), None) => self.removed(place, json_of(base), meaning(Action::Removed, name)),
                (None, Some(new)) => self.added(place, json_of(new), meaning(Action::Added, name)),
                (None, None) => {}
            }
        }
    }

    fn push(&mut self, place: Place, action: Action, (before, after): (Option<Value>, Option<Value>), meaning: Meaning) {
        let summary = meaning.summary.unwrap_or_else(|| match action {
            Action::Added => "added".to_owned(),
            Action::Removed => "removed".to_owned(),
            Action::Changed => shown::arrow(before.as_ref().unwrap_or(&Value::Null), after.as_ref().unwrap_or(&Value::Null)),
        });
        let Place { pointer, path } = place;
        // JSON has one word for null and for nothing, and a diff must read back as it was.
        let (before, after) = (before.filter(|it| !it.is_null()), after.filter(|it| !it.is_null()));
        let impact = impact(&pointer);
        self.list.push(Change { pointer, path, action, before, after, summary, impact, risk: meaning.risk, reason: meaning.reason });
    }
}

fn impact(pointer: &str) -> Impact {
    let within = |whole: &&str| pointer.strip_prefix(*whole).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    if RESTART_ONLY.iter().any(within) { Impact::NeedsRestart } else { Impact::Live }
}
