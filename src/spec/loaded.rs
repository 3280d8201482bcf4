//! What a load gives: the spec, its JSON form, and where every leaf came from.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use serde_json::Value;

use super::{Diagnostic, Files, Location, Sources, Spec};

/// Where environment variables come from: the process, or nothing at all (`validate --level semantic`).
pub trait Environment {
    /// Returns a variable's value.
    fn get(&self, name: &str) -> Option<String>;
}

/// The process's environment.
#[derive(Debug, Clone, Copy, Default)]
pub struct ProcessEnvironment;

impl Environment for ProcessEnvironment {
    fn get(&self, name: &str) -> Option<String> {
        std::env::var(name).ok()
    }
}

/// Fixed variables; for tests.
impl Environment for BTreeMap<String, String> {
    fn get(&self, name: &str) -> Option<String> {
        BTreeMap::get(self, name).cloned()
    }
}

/// What to load.
#[derive(Clone, Copy)]
pub struct Inputs<'a> {
    /// Where files are read from.
    pub files: &'a dyn Files,
    /// The spec and its overlays, in order.
    pub paths: &'a [PathBuf],
    /// Where `${env:…}` is looked up.
    pub env: &'a dyn Environment,
    /// Whether an unset variable is an error. Otherwise the leaf keeps its text, or a stand-in where the text would not fit the field,
    /// and nothing is said about it; see [`Spans::is_unresolved`].
    pub strict_env: bool,
}

/// A spec that loaded.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The typed spec.
    pub spec: Spec,
    /// The merged and interpolated JSON that it was read from.
    pub value: Value,
    /// Where each value stands.
    pub spans: Spans,
    /// Every file that was read.
    pub sources: Sources,
    /// Findings that do not refuse the spec.
    pub warnings: Vec<Diagnostic>,
    /// Prompt templates by the path that [`Loaded::spec`] names: relative to the first spec file.
    pub prompts: BTreeMap<String, String>,
}

/// A spec that was refused.
#[derive(Debug, Clone)]
pub struct Rejected {
    /// Every file that was read.
    pub sources: Sources,
    /// Everything that is wrong, in file order, errors and warnings.
    pub diagnostics: Vec<Diagnostic>,
}

/// Key and value locations by JSON pointer of the merged spec.
#[derive(Debug, Clone, Default)]
pub struct Spans {
    pub(super) by_pointer: BTreeMap<String, (Option<Location>, Location)>,
    pub(super) unresolved: BTreeSet<String>,
}

impl Spans {
    /// Returns where the value at `pointer` stands, or its nearest ancestor that has a place.
    pub fn value(&self, pointer: &str) -> Option<Location> {
        self.nearest(pointer).map(|(_, value)| value)
    }

    /// Returns where the key of `pointer` stands; its value where it has no key; its nearest ancestor where it has no place.
    pub fn key(&self, pointer: &str) -> Option<Location> {
        self.nearest(pointer).map(|(key, value)| key.unwrap_or(value))
    }

    /// Returns whether the value at `pointer`, or one that holds it, comes from a variable that is not set.
    ///
    /// Such a value is a stand-in, so nothing can be said about it. Only with [`Inputs::strict_env`] off.
    pub fn is_unresolved(&self, pointer: &str) -> bool {
        if self.unresolved.is_empty() {
            return false;
        }
        let ancestors = std::iter::successors(Some(pointer), |pointer| pointer.rsplit_once('/').map(|(parent, _)| parent));
        ancestors.into_iter().any(|pointer| self.unresolved.contains(pointer))
    }

    /// Returns where the value at `pointer` itself stands; nothing for a default.
    pub fn own(&self, pointer: &str) -> Option<Location> {
        self.by_pointer.get(pointer).map(|(_, value)| *value)
    }

    /// Returns whether the value at `pointer`, one that holds it, or one that it holds comes from a variable that is not set.
    pub fn holds_unresolved(&self, pointer: &str) -> bool {
        let below = |unresolved: &String| unresolved.strip_prefix(pointer).is_some_and(|rest| rest.starts_with('/'));
        self.is_unresolved(pointer) || self.unresolved.iter().any(below)
    }

    fn nearest(&self, pointer: &str) -> Option<(Option<Location>, Location)> {
        let mut pointer = pointer;
        loop {
            if let Some(found) = self.by_pointer.get(pointer) {
                return Some(*found);
            }
            pointer = pointer.rsplit_once('/')?.0;
        }
    }
}
