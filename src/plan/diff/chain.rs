//! Lists whose items are known by what they are: matched by identity, so that an insertion moves nothing behind it.

use std::collections::HashMap;

use serde_json::Value;

use super::changes::{Changes, Meaning, json_of};
use super::place::Place;
use super::{Risk, shown};
use crate::plan::types::{Balance, Target};

/// An item's identity: what it is, and how many of the same stand before it.
pub(super) type Identity = (String, usize);

/// Names the items of a list.
pub(super) fn identities(labels: impl Iterator<Item = String>) -> Vec<Identity> {
    let mut seen: HashMap<String, usize> = HashMap::new();
    labels
        .map(|label| {
            let before = seen.entry(label.clone()).or_default();
            let identity = (label, *before);
            *before += 1;
            identity
        })
        .collect()
}

/// Returns where each identity stands.
pub(super) fn places(identities: &[Identity]) -> HashMap<&Identity, usize> {
    identities.iter().enumerate().map(|(index, identity)| (identity, index)).collect()
}

/// Returns the positions in `new` of the fewest items that must move for the common items to stand in the order of `base`.
pub(super) fn moved(base: &[Identity], new: &[Identity]) -> Vec<usize> {
    let old = places(base);
    let common: Vec<(usize, usize)> = new.iter().enumerate().filter_map(|(at, it)| old.get(it).map(|from| (at, *from))).collect();
    let kept = longest_rising(&common.iter().map(|(_, from)| *from).collect::<Vec<_>>());
    let mut kept = kept.into_iter().peekable();
    let mut moved = Vec::new();
    for (index, (at, _)) in common.iter().enumerate() {
        if kept.next_if_eq(&index).is_none() {
            moved.push(*at);
        }
    }
    moved
}

/// Returns the positions of a longest rising run of `numbers`, which are all different. O(n log n).
fn longest_rising(numbers: &[usize]) -> Vec<usize> {
    // For each length, the smallest last number of a run of that length, with its position.
    let mut ends: Vec<(usize, usize)> = Vec::new();
    let mut before: Vec<Option<usize>> = Vec::with_capacity(numbers.len());
    for (position, number) in numbers.iter().enumerate() {
        let length = ends.partition_point(|(end, _)| end < number);
        before.push(length.checked_sub(1).and_then(|shorter| ends.get(shorter)).map(|(_, position)| *position));
        match ends.get_mut(length) {
            Some(end) => *end = (*number, position),
            None => ends.push((*number, position)),
        }
    }
    let mut run = Vec::with_capacity(ends.len());
    let mut next = ends.last().map(|(_, position)| *position);
    while let Some(position) = next {
        run.push(position);
        next = before.get(position).copied().flatten();
    }
    run.reverse();
    run
}

/// Targets that are balanced among themselves.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pool<'v> {
    /// Whose they are, in words: "alias `fast`".
    pub(super) owner: &'v str,
    /// Where they stand in the base, which differs where the rule around them has moved.
    pub(super) base_place: &'v Place,
    pub(super) base: (&'v [Target], Balance),
    pub(super) new: (&'v [Target], Balance),
}

/// Compares targets as a set by provider and model, and their order where it has a meaning.
pub(super) fn targets(out: &mut Changes<'_>, place: &Place, pool: Pool<'_>) {
    let (base, new) = (pool.base.0, pool.new.0);
    let (base_ids, new_ids) = (ids(base), ids(new));
    let (old_places, new_places) = (places(&base_ids), places(&new_ids));
    for (index, (identity, target)) in base_ids.iter().zip(base).enumerate() {
        if !new_places.contains_key(identity) {
            let meaning = match percent(target, pool.base) {
                Some(0) | None => Meaning::low("no longer tried when the others fail"),
                Some(share) => Meaning::medium(format!("its {share}% of the traffic of {} moves to the other targets", pool.owner)),
            };
            out.removed(pool.base_place.item(index, &identity.0), json_of(target), meaning);
        }
    }
    for (index, (identity, target)) in new_ids.iter().zip(new).enumerate() {
        let place = place.item(index, &identity.0);
        match old_places.get(identity).and_then(|from| base.get(*from)) {
            Some(old) => {
                let Target { provider: _, model: _, weight } = old;
                out.field(place.member("weight"), weight, &target.weight, || reweighted(old, target, pool));
            }
            None => {
                let meaning = match percent(target, pool.new) {
                    Some(0) | None => Meaning::low("tried when the others fail"),
                    Some(share) => Meaning::medium(format!("takes {share}% of the traffic of {}", pool.owner)),
                };
                out.added(place, json_of(target), meaning);
            }
        }
    }
    reordered(out, place, pool);
}

fn ids(targets: &[Target]) -> Vec<Identity> {
    identities(targets.iter().map(|target| format!("{}/{}", target.provider, target.model)))
}

fn reweighted(old: &Target, new: &Target, pool: Pool<'_>) -> Meaning {
    match (pool.new.1, percent(old, pool.base), percent(new, pool.new)) {
        (Balance::RoundRobin, _, _) => Meaning::of(Risk::None, "round_robin does not look at weights"),
        (Balance::Weighted, Some(before), Some(after)) => Meaning::low(format!("share {before}% → {after}%")),
        (Balance::Weighted, _, _) => Meaning::plain(Risk::Low),
    }
}

/// Returns a target's share of the first tries, rounded.
fn percent(target: &Target, (targets, balance): (&[Target], Balance)) -> Option<u64> {
    let (part, whole) = match balance {
        Balance::Weighted => (u64::from(target.weight), targets.iter().map(|it| u64::from(it.weight)).sum::<u64>()),
        Balance::RoundRobin => (1, targets.len() as u64),
    };
    (part * 100 + whole / 2).checked_div(whole)
}

/// Reports the order of targets where it decides something: whose turn is next, and which one of weight 0 is tried first.
fn reordered(out: &mut Changes<'_>, place: &Place, pool: Pool<'_>) {
    let has_order = |(targets, balance): (&[Target], Balance)| -> Vec<Identity> {
        let counts = |target: &Target| match balance {
            Balance::RoundRobin => true,
            Balance::Weighted => target.weight == 0,
        };
        ids(targets).into_iter().zip(targets).filter(|(_, target)| counts(target)).map(|(identity, _)| identity).collect()
    };
    if pool.base.1 != pool.new.1 {
        return;
    }
    let (base, new) = (has_order(pool.base), has_order(pool.new));
    if moved(&base, &new).is_empty() {
        return;
    }
    let reason = match pool.new.1 {
        Balance::RoundRobin => "the turns go round in another order",
        Balance::Weighted => "targets of weight 0 are tried in another order",
    };
    let list = |ids: Vec<Identity>| Value::from(ids.into_iter().map(|(label, _)| label).collect::<Vec<_>>());
    out.changed(place.clone(), list(base), list(new), Meaning::low(reason).saying("reordered"));
}

/// Says in words that something stands elsewhere; positions count from 1.
pub(super) fn moved_words(from: usize, to: usize) -> String {
    format!("moved from {} to {}", shown::value(&(from + 1).into()), shown::value(&(to + 1).into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Vec<Identity> {
        identities(text.chars().map(String::from))
    }

    #[test]
    fn only_what_must_move_has_moved() {
        for (base, new, expected) in [
            ("abc", "abc", vec![]),
            ("abc", "xaybzc", vec![]),
            ("abc", "ac", vec![]),
            ("abcd", "dabc", vec![0]),
            ("abcd", "bcda", vec![3]),
            ("abcd", "badc", vec![0, 2]),
            ("aab", "baa", vec![0]),
            ("", "abc", vec![]),
        ] {
            assert_eq!(moved(&of(base), &of(new)), expected, "{base} {new}");
        }
    }
}
