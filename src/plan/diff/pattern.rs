//! Lists of model patterns as sets: what they gain and what they lose.

use std::collections::BTreeSet;

use super::shown;
use crate::base::glob;

/// How one list of patterns differs from another.
#[derive(Debug)]
pub(super) struct Patterns<'a> {
    added: Vec<&'a str>,
    removed: Vec<&'a str>,
    /// Added ones that the old list did not cover.
    pub(super) gained: Vec<&'a str>,
    /// Removed ones that the new list does not cover.
    pub(super) lost: Vec<&'a str>,
    /// Everything is allowed now and was not before.
    pub(super) opened: bool,
}

impl<'a> Patterns<'a> {
    pub(super) fn compare(base: &'a [String], new: &'a [String]) -> Self {
        let (old_set, new_set): (BTreeSet<&str>, BTreeSet<&str>) =
            (base.iter().map(String::as_str).collect(), new.iter().map(String::as_str).collect());
        let added: Vec<&str> = new_set.difference(&old_set).copied().collect();
        let removed: Vec<&str> = old_set.difference(&new_set).copied().collect();
        let gained = added.iter().copied().filter(|pattern| !covered(base, pattern)).collect();
        let lost = removed.iter().copied().filter(|pattern| !covered(new, pattern)).collect();
        Self { added, removed, gained, lost, opened: !is_unbounded(base) && is_unbounded(new) }
    }

    /// Returns whether both are the same set.
    pub(super) const fn is_same(&self) -> bool {
        self.added.is_empty() && self.removed.is_empty()
    }

    /// Returns `added openai/*; removed smart`.
    pub(super) fn summary(&self) -> String {
        edits(&self.added, &self.removed)
    }
}

/// Returns `added a, b; removed c`.
pub(super) fn edits<S: AsRef<str>>(added: &[S], removed: &[S]) -> String {
    let part = |verb: &str, items: &[S]| {
        let items: Vec<&str> = items.iter().map(AsRef::as_ref).collect();
        (!items.is_empty()).then(|| format!("{verb} {}", shown::value(&items.into())))
    };
    [part("added", added), part("removed", removed)].into_iter().flatten().collect::<Vec<_>>().join("; ")
}

/// Returns whether a list allows every model of every provider.
pub(super) fn is_unbounded(patterns: &[String]) -> bool {
    patterns.iter().any(|pattern| pattern.contains('*') && pattern.chars().all(|it| matches!(it, '*' | '?' | '/')))
}

/// Returns whether one of `patterns` matches whatever `pattern` does. May say no where the truth is yes, never the reverse.
fn covered(patterns: &[String], pattern: &str) -> bool {
    // Matching a pattern as if it were a name is sound only where `?` cannot stand for the other's `*`.
    patterns.iter().any(|wide| wide == pattern || (!wide.contains('?') && glob::matches(wide, pattern)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(items: &[&str]) -> Vec<String> {
        items.iter().map(|it| (*it).to_owned()).collect()
    }

    #[test]
    fn what_another_pattern_covers_is_neither_gained_nor_lost() {
        let (base, new) = (list(&["openai/*", "fast", "smart"]), list(&["openai/gpt-4o", "openai/*", "fast"]));
        let found = Patterns::compare(&base, &new);
        assert_eq!((found.gained.len(), found.lost), (0, vec!["smart"]));
        assert!(!found.opened);
        let (base, new) = (list(&["a?"]), list(&["a*"]));
        assert_eq!(Patterns::compare(&base, &new).gained, ["a*"]);
    }

    #[test]
    fn everything_has_several_spellings() {
        for (pattern, expected) in [("*", true), ("**", true), ("*/*", true), ("?*", true), ("openai/*", false), ("?", false), ("", false)]
        {
            assert_eq!(is_unbounded(&list(&[pattern])), expected, "{pattern}");
        }
        let (base, new) = (list(&["fast"]), list(&["fast", "*/*"]));
        assert!(Patterns::compare(&base, &new).opened);
        assert_eq!(Patterns::compare(&base, &new).summary(), "added */*");
    }

    #[test]
    fn order_and_repetition_mean_nothing() {
        let (base, new) = (list(&["a", "b", "a"]), list(&["b", "a"]));
        assert!(Patterns::compare(&base, &new).is_same());
    }
}
