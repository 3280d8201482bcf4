//! A diff on its way out: for people, for machines, as a comment of a pull request.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde_json::Value;

use super::input::{NoEnvironment, check};
use super::output::{Details, Format};
use super::table_text::{workflow_property, workflow_text};
use crate::plan::diff::{Action, Change, Diff, Impact, Risk, render};
use crate::plan::{Plan, Policy};
use crate::spec::{Inputs, Loaded, Location, Memory};

/// What differs, and the spec in which a reader will look for it.
pub(crate) struct Changes<'a> {
    /// What differs.
    pub(crate) diff: &'a Diff,
    /// What is compared with what: `Plan for live revision 41 → gateway.yaml`.
    pub(crate) title: &'a str,
    /// The new spec, where it is at hand.
    pub(crate) new: Option<&'a Loaded>,
}

impl Changes<'_> {
    /// Renders for a person.
    pub(crate) fn human(&self, color: bool) -> String {
        render::human(self.diff, self.title, &|change| self.place(change), color)
    }

    /// Renders for machines.
    pub(crate) fn details(&self) -> Details {
        let changes = match self.diff.json().get_mut("changes").map(Value::take) {
            Some(Value::Array(changes)) => changes,
            Some(_) | None => Vec::new(),
        };
        let risk = if self.diff.is_empty() { None } else { Some(self.diff.risk().word()) };
        let markdown = render::markdown(self.diff, self.title, &|change| self.place(change), render::MARKDOWN_MAX_CHARS);
        let renditions = BTreeMap::from([(Format::Markdown, markdown), (Format::Github, self.github())]);
        Details { changes, risk, renditions, ..Details::default() }
    }

    /// Writes an annotation for each change, the riskiest first, as GitHub shows only the first few.
    fn github(&self) -> String {
        let mut changes: Vec<&Change> = self.diff.changes.iter().collect();
        changes.sort_by_key(|change| std::cmp::Reverse(change.risk));
        changes.iter().map(|change| self.annotation(change)).collect()
    }

    fn annotation(&self, change: &Change) -> String {
        let level = match change.risk {
            Risk::High | Risk::Medium => "warning",
            Risk::Low | Risk::None => "notice",
        };
        let place = self.new.and_then(|loaded| {
            let sources = &loaded.sources;
            let named = self.location(change).and_then(|location| Some((location.file, sources.line_column(location)?)));
            // GitHub draws nothing without a line; what was removed is shown at the top of the spec.
            let (file, (line, column)) = named.unwrap_or((0, (1, 1)));
            let path = workflow_property(&sources.0.get(file)?.path.display().to_string());
            Some(format!("file={path},line={line},col={column},"))
        });
        let mut text = format!("{} {}", change.path, change.summary);
        if let Some(reason) = &change.reason {
            text.push_str(&format!(": {reason}"));
        }
        if change.impact == Impact::NeedsRestart {
            text.push_str(" (needs a restart)");
        }
        let place = place.unwrap_or_default();
        format!("::{level} {place}title=risk {}::{}\n", change.risk.word(), workflow_text(&text))
    }

    /// Finds a change in the new spec. What was removed has no place in it.
    fn location(&self, change: &Change) -> Option<Location> {
        match change.action {
            Action::Added | Action::Changed => self.new?.spans.value(&change.spec_pointer()),
            Action::Removed => None,
        }
    }

    fn place(&self, change: &Change) -> Option<String> {
        self.location(change).and_then(|location| self.new?.sources.place(location))
    }
}

/// Kinds of entries whose removal is counted, as sections of the plan.
pub(crate) const KINDS: [&str; 7] = ["providers", "models", "rules", "teams", "virtual_keys", "budgets", "prices"];

/// Counts the entries of each kind in a plan, in its JSON form.
pub(crate) fn totals(plan: &Value) -> BTreeMap<&'static str, usize> {
    let count = |kind: &str| match plan.get(kind) {
        Some(Value::Object(entries)) => entries.len(),
        Some(Value::Array(entries)) => entries.len(),
        Some(Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_)) | None => 0,
    };
    KINDS.iter().map(|kind| (*kind, count(kind))).collect()
}

/// Counts the entries that a diff removes whole, by kind.
pub(crate) fn removed(diff: &Diff) -> BTreeMap<&'static str, usize> {
    let mut removed = BTreeMap::new();
    for change in diff.changes.iter().filter(|change| change.action == Action::Removed) {
        let mut parts = change.pointer.split('/').skip(1);
        let kind = parts.next().and_then(|section| KINDS.iter().find(|kind| **kind == section));
        if let (Some(kind), Some(_), None) = (kind, parts.next(), parts.next()) {
            *removed.entry(*kind).or_insert(0) += 1;
        }
    }
    removed
}

/// Returns a plan in which nothing stands but the defaults: the base of a spec that is new. `like` stands in if there were none.
pub(crate) fn nothing(like: &Plan) -> Plan {
    let path = PathBuf::from("nothing.yaml");
    let files = Memory(BTreeMap::from([(path.clone(), b"version: 1\nproviders: {mock: {}}\n".to_vec())]));
    let smallest = check(&Inputs { files: &files, paths: &[path], env: &NoEnvironment, strict_env: false });
    let plan = smallest.map_or_else(|_| like.clone(), |checked| checked.plan);
    Plan {
        providers: BTreeMap::new(),
        models: BTreeMap::new(),
        rules: Vec::new(),
        teams: BTreeMap::new(),
        virtual_keys: BTreeMap::new(),
        policy: Policy::default(),
        ..plan
    }
}
