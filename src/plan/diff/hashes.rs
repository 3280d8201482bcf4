//! Digests of keys, compared as what an operator does with them: rotation, revocation, a new end.
//!
//! Rule: a digest is shown in its short form only.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::changes::{Changes, Meaning, Pair};
use super::place::Place;
use super::shown;
use crate::base::Digest;
use crate::plan::types::{KeyHash, Plan, VirtualKey};

/// Returns digests as they may be shown.
pub(super) fn shown(hashes: &[KeyHash]) -> Value {
    hashes.iter().map(|hash| json!({"sha256": hash.sha256.short(), "not_after": hash.not_after})).collect()
}

/// Returns the key of the other plan, of another name, that accepts every digest of this one: the key was renamed.
pub(super) fn other_name<'p>(plan: &'p Plan, key: &VirtualKey) -> Option<(&'p str, &'p VirtualKey)> {
    if key.hashes.is_empty() {
        return None;
    }
    let accepts = |other: &VirtualKey| key.hashes.iter().all(|hash| other.hashes.iter().any(|it| it.sha256 == hash.sha256));
    plan.virtual_keys.iter().find(|(_, other)| accepts(other)).map(|(name, key)| (name.as_str(), key))
}

/// What happened to the digests of a key.
struct Edits<'v> {
    added: Vec<&'v KeyHash>,
    removed: Vec<&'v KeyHash>,
    /// In both, old and new.
    kept: Vec<(&'v KeyHash, &'v KeyHash)>,
}

impl<'v> Edits<'v> {
    fn new(base: &'v [KeyHash], new: &'v [KeyHash]) -> Self {
        let by_digest = |list: &'v [KeyHash]| list.iter().map(|hash| (hash.sha256, hash)).collect::<BTreeMap<Digest, &KeyHash>>();
        let (old, young) = (by_digest(base), by_digest(new));
        Self {
            added: young.iter().filter(|(digest, _)| !old.contains_key(digest)).map(|(_, hash)| *hash).collect(),
            removed: old.iter().filter(|(digest, _)| !young.contains_key(digest)).map(|(_, hash)| *hash).collect(),
            kept: old.iter().filter_map(|(digest, before)| young.get(digest).map(|after| (*before, *after))).collect(),
        }
    }

    /// Returns the last moment at which a digest that stays is accepted, where all of them end.
    fn overlap_end(&self) -> Option<&'v str> {
        let ends: Option<Vec<&str>> = self.kept.iter().map(|(_, after)| after.not_after.as_deref()).collect();
        ends.and_then(|ends| ends.into_iter().max())
    }

    fn meaning(&self) -> Meaning {
        let (added, removed) = (self.added.len(), self.removed.len());
        match (added, removed, self.kept.len()) {
            (0, 0, _) => self.new_ends(),
            (0, _, 0) => Meaning::high("nobody can use the key: clients get 401").saying("revoked"),
            (0, _, kept) => self.revoked().saying(format!("revoked {removed} of {}", removed + kept)),
            (_, _, 0) => Meaning::high("every client gets 401 until it has the new key, and running streams of the old one end")
                .saying(format!("replaced without overlap ({added} added, {removed} revoked)")),
            (_, 0, kept) => match self.overlap_end() {
                Some(end) => {
                    let end = shown::value(&end.into());
                    let old = if kept == 1 { "old one".to_owned() } else { format!("{kept} old ones") };
                    Meaning::medium(format!("clients need the new key by {end}"))
                        .saying(format!("rotated ({added} added, {old} until {end})"))
                }
                None => Meaning::medium("one more secret opens the key, and the old one does not end")
                    .saying(format!("{added} added, {kept} kept")),
            },
            (_, _, kept) => self.revoked().saying(format!("rotated ({added} added, {removed} revoked, {kept} kept)")),
        }
    }

    /// Judges what is no longer accepted: what was to end anyway is the end of a rotation.
    fn revoked(&self) -> Meaning {
        match self.removed.iter().map(|hash| hash.not_after.as_deref()).collect::<Option<Vec<_>>>() {
            Some(ends) => {
                let end = shown::value(&ends.into_iter().max().unwrap_or_default().into());
                Meaning::medium(format!("it was to end {end}; clients that still send it get 401"))
            }
            None => Meaning::high("clients that still send it get 401, and its running streams end"),
        }
    }

    fn new_ends(&self) -> Meaning {
        let changed: Vec<_> = self.kept.iter().filter(|(before, after)| before.not_after != after.not_after).collect();
        let summary = match changed.as_slice() {
            [(before, after)] => {
                let day = |end: &str| shown::value(&end.into());
                match (before.not_after.as_deref(), after.not_after.as_deref()) {
                    (Some(before), Some(after)) => format!("ends {} instead of {}", day(after), day(before)),
                    (None, Some(after)) => format!("ends {}", day(after)),
                    (before, None) => format!("no longer ends {}", day(before.unwrap_or_default())),
                }
            }
            many => format!("{} end at another time", many.len()),
        };
        let at = |hash: &KeyHash| hash.not_after.as_ref().and_then(|end| end.parse::<jiff::Timestamp>().ok());
        let sooner = changed.iter().any(|(before, after)| match (at(before), at(after)) {
            (None, Some(_)) => true,
            (Some(before), Some(after)) => after < before,
            (_, None) => false,
        });
        let reason = if sooner { "clients that still send it then get 401" } else { "the old key is accepted for longer" };
        Meaning::medium(reason).saying(summary)
    }
}

/// Compares the digests of one key. All that happened is one change.
pub(super) fn hashes(out: &mut Changes<'_>, place: Place, pair: Pair<'_, Vec<KeyHash>>) {
    let sorted = |hashes: &[KeyHash]| {
        let mut hashes = hashes.to_vec();
        hashes.sort_by_key(|hash| hash.sha256);
        hashes
    };
    if sorted(pair.base) != sorted(pair.new) {
        out.changed(place, shown(pair.base), shown(pair.new), Edits::new(pair.base, pair.new).meaning());
    }
}
