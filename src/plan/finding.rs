//! Collecting findings with their places, for the compiler and the checks alike.

use std::fmt::Write as _;
use std::ops::Range;

pub(super) use crate::spec::suggest::{nearest, suggest};
use crate::spec::{Diagnostic, Loaded, Location, Severity};

/// What was found so far, and the spec in which it was found.
pub(super) struct Findings<'a> {
    pub(super) loaded: &'a Loaded,
    list: Vec<Diagnostic>,
    /// Texts that may be secrets; no finding shows them, whatever it is about.
    concealed: Vec<String>,
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
        Self { loaded, list: Vec::new(), concealed: Vec::new() }
    }

    /// Adds a finding at `pointer`; where nothing stands there (a default, a short form), at its nearest ancestor.
    pub(super) fn add(&mut self, on: On, pointer: String, diagnostic: Diagnostic) {
        let place = self.place(on, &pointer);
        let existing = self.existing(&pointer);
        self.push(&pointer, diagnostic.at(place).pointer(existing));
    }

    /// Adds a finding at a part of `text`, which is what stands at `pointer`; at the whole of it where the file spells it otherwise.
    pub(super) fn add_inside(&mut self, pointer: String, text: &str, part: Option<Range<usize>>, diagnostic: Diagnostic) {
        let whole = self.loaded.spans.value(&pointer);
        let place = whole.map(|whole| part.and_then(|part| self.narrow(whole, text, &part)).unwrap_or(whole));
        self.push(&pointer.clone(), diagnostic.at(place).pointer(pointer));
    }

    /// Adds a finding at a part of a prompt's file.
    pub(super) fn add_in_prompt(&mut self, pointer: String, path: &str, part: Option<Range<usize>>, diagnostic: Diagnostic) {
        let text = self.loaded.prompts.get(path);
        let mut sources = self.loaded.sources.0.iter();
        let file = sources.position(|source| source.path.ends_with(path) && Some(&source.text) == text);
        let place = file.map(|file| {
            let part = part.unwrap_or(0..0);
            Location { file, start: part.start, end: part.end }
        });
        let place = place.or_else(|| self.loaded.spans.value(&pointer));
        self.push(&pointer.clone(), diagnostic.at(place).pointer(pointer));
    }

    /// Keeps a finding, unless what it is about comes from a variable that is not set here.
    fn push(&mut self, pointer: &str, diagnostic: Diagnostic) {
        if !self.loaded.spans.is_unresolved(pointer) {
            self.list.push(diagnostic);
        }
    }

    /// Returns whether something at or below `pointer` comes from a variable that is not set here, so that nothing can be proved of it.
    pub(super) fn is_unsure(&self, pointer: &str) -> bool {
        self.loaded.spans.holds_unresolved(pointer)
    }

    /// Returns the place of a name or a value, or of the nearest thing around it that has one.
    pub(super) fn place(&self, on: On, pointer: &str) -> Option<Location> {
        match on {
            On::Key => self.loaded.spans.key(pointer),
            On::Value => self.loaded.spans.value(pointer),
        }
    }

    /// Keeps a text out of every finding, those that are there already included.
    pub(super) fn conceal(&mut self, text: &str) {
        self.concealed.push(text.to_owned());
    }

    /// Returns whether anything found so far refuses the spec.
    pub(super) fn refuses(&self) -> bool {
        self.list.iter().any(|found| found.severity == Severity::Error)
    }

    /// Returns the findings in file order.
    pub(super) fn into_sorted(mut self) -> Vec<Diagnostic> {
        for found in &mut self.list {
            for text in &self.concealed {
                hide(found, text);
            }
        }
        self.list.sort_by(|a, b| (a.location, a.code, &a.message).cmp(&(b.location, b.code, &b.message)));
        self.list.dedup();
        self.list
    }

    fn narrow(&self, whole: Location, text: &str, part: &Range<usize>) -> Option<Location> {
        let written = self.loaded.sources.0.get(whole.file)?.text.get(whole.start..whole.end)?;
        let start = whole.start + written.find(text)?;
        Some(Location { file: whole.file, start: start + part.start, end: start + part.end })
    }

    fn existing(&self, mut pointer: &str) -> String {
        while self.loaded.value.pointer(pointer).is_none() {
            let Some((parent, _)) = pointer.rsplit_once('/') else { break };
            pointer = parent;
        }
        pointer.to_owned()
    }
}

fn hide(found: &mut Diagnostic, text: &str) {
    let related = found.related.iter_mut().map(|(_, label)| label);
    let texts = [&mut found.message].into_iter().chain(&mut found.help).chain(&mut found.pointer).chain(related);
    for shown in texts.filter(|shown| shown.contains(text)) {
        *shown = shown.replace(text, "…");
        found.sensitive = true;
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
