//! Collecting findings with their places, for the compiler and the checks alike.

use std::fmt::Write as _;

use crate::spec::{Diagnostic, Loaded};

/// What was found so far, and the spec in which it was found.
pub(super) struct Findings<'a> {
    pub(super) loaded: &'a Loaded,
    pub(super) list: Vec<Diagnostic>,
}

/// Which half of a member is to blame.
#[derive(Clone, Copy)]
pub(super) enum On {
    /// The name.
    Key,
    /// What stands behind it.
    Value,
}

impl<'a> Findings<'a> {
    pub(super) const fn new(loaded: &'a Loaded) -> Self {
        Self { loaded, list: Vec::new() }
    }

    /// Adds a finding at `pointer`; where that has no place (a default), at its nearest ancestor.
    pub(super) fn add(&mut self, on: On, pointer: String, diagnostic: Diagnostic) {
        let place = match on {
            On::Key => self.loaded.spans.key(&pointer),
            On::Value => self.loaded.spans.value(&pointer),
        };
        self.list.push(diagnostic.at(place).pointer(pointer));
    }

    /// Returns whether anything found so far refuses the spec.
    pub(super) fn refuses(&self) -> bool {
        self.list.iter().any(|found| found.severity == crate::spec::Severity::Error)
    }

    /// Returns the findings in file order.
    pub(super) fn into_sorted(mut self) -> Vec<Diagnostic> {
        self.list.sort_by(|a, b| (a.location, a.code, &a.message).cmp(&(b.location, b.code, &b.message)));
        self.list.dedup();
        self.list
    }
}

/// Makes a JSON pointer from its members.
pub(super) fn pointer(members: &[&str]) -> String {
    let mut out = String::new();
    for member in members {
        let _ = write!(out, "/{}", member.replace('~', "~0").replace('/', "~1"));
    }
    out
}

/// Returns the candidate that is close enough to `wrong` to be what was meant.
pub(super) fn nearest<'c>(wrong: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
    let length = wrong.chars().count();
    let allowed = if length <= 3 { 1 } else { 2.max(length / 3) };
    candidates
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(wrong, candidate), candidate))
        .filter(|(distance, _)| *distance <= allowed)
        .min()
        .map(|(_, candidate)| candidate)
}

/// Says which candidate may have been meant, or which ones there are.
pub(super) fn suggest<'c>(wrong: &str, kind: &str, candidates: impl IntoIterator<Item = &'c str>) -> String {
    let candidates: Vec<&str> = candidates.into_iter().collect();
    if let Some(near) = nearest(wrong, candidates.iter().copied()) {
        return format!("did you mean `{near}`?");
    }
    if candidates.is_empty() {
        return format!("this spec has no {kind}");
    }
    let shown: Vec<String> = candidates.iter().take(8).map(|name| format!("`{name}`")).collect();
    let more = if candidates.len() > shown.len() { ", …" } else { "" };
    format!("{kind}: {}{more}", shown.join(", "))
}
