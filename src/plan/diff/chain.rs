//! Lists whose items are known by what they are: matched by identity, so that an insertion moves nothing behind it.

use std::collections::HashMap;

use serde_json::Value;

use super::changes::{Changes, Meaning, json_of};
use super::place::Place;
use super::{Risk, shown};
use crate::plan::canonical::{is_last, takes_turns};
use crate::plan::types::{Balance, Target, TrafficShare};

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
            let meaning = match part(target, pool.base) {
                Part::None => Meaning::low("no longer tried when the others fail"),
                Part::Percent(share) => {
                    Meaning::medium(format!("its {share}% of the traffic of {} moves to the other targets", pool.owner))
                }
                Part::AsThingsStand => Meaning::medium(format!("its part of the traffic of {} moves to the other targets", pool.owner)),
            };
            out.removed(pool.base_place.item(index, &identity.0), json_of(target), meaning);
        }
    }
    for (index, (identity, target)) in new_ids.iter().zip(new).enumerate() {
        let place = place.item(index, &identity.0);
        match old_places.get(identity).and_then(|from| base.get(*from)) {
            Some(old) => {
                let Target { provider: _, model: _, weight, share } = old;
                out.field(place.member("weight"), weight, &target.weight, || reweighted(old, target, pool));
                out.field(place.member("share"), share, &target.share, || reweighted(old, target, pool));
            }
            None => {
                let meaning = match part(target, pool.new) {
                    Part::None => Meaning::low("tried when the others fail"),
                    Part::Percent(share) => Meaning::medium(format!("takes {share}% of the traffic of {}", pool.owner)),
                    Part::AsThingsStand => Meaning::medium(format!("takes a part of the traffic of {}", pool.owner)),
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
    let is_by_turns = pool.new.1 == Balance::RoundRobin && (old.share, new.share) == (None, None);
    match (part(old, pool.base), part(new, pool.new)) {
        (_, _) if is_by_turns => Meaning::of(Risk::None, "round_robin does not look at weights"),
        (Part::AsThingsStand, _) | (_, Part::AsThingsStand) => Meaning::plain(Risk::Low),
        (before, after) => Meaning::low(format!("share {}% → {}%", before.percent(), after.percent())),
    }
}

/// What a target takes of the first tries.
enum Part {
    /// Nothing.
    None,
    /// Percents, rounded; at least one.
    Percent(u64),
    /// What its weight, and what is known of it while it runs, make of it.
    AsThingsStand,
}

impl Part {
    const fn percent(&self) -> u64 {
        match self {
            Self::Percent(percent) => *percent,
            Self::None | Self::AsThingsStand => 0,
        }
    }
}

fn part(target: &Target, (targets, balance): (&[Target], Balance)) -> Part {
    let all = u64::from(TrafficShare::ALL);
    let fixed = |target: &Target| target.share.map(|share| u64::from(share.basis_points()));
    let rest = all.saturating_sub(targets.iter().filter_map(fixed).sum());
    let others = || targets.iter().filter(|other| other.share.is_none());
    let points = match (fixed(target), balance) {
        (Some(points), _) => points,
        (None, Balance::Weighted) => {
            let whole: u64 = others().map(|other| u64::from(other.weight)).sum();
            (rest * u64::from(target.weight)).checked_div(whole).unwrap_or(0)
        }
        (None, Balance::RoundRobin) => rest / others().count().max(1) as u64,
        (None, Balance::LeastBusy | Balance::Fastest | Balance::Cheapest | Balance::Adaptive) => {
            return if target.weight == 0 || rest == 0 { Part::None } else { Part::AsThingsStand };
        }
    };
    match points {
        0 => Part::None,
        _ => Part::Percent(((points * 100 + all / 2) / all).max(1)),
    }
}

/// Reports the order of targets where it decides something: whose turn is next, and which one of weight 0 is tried first.
fn reordered(out: &mut Changes<'_>, place: &Place, pool: Pool<'_>) {
    let has_order = |(targets, balance): (&[Target], Balance)| -> Vec<Identity> {
        let counts = |target: &Target| takes_turns(balance) || is_last(target);
        ids(targets).into_iter().zip(targets).filter(|(_, target)| counts(target)).map(|(identity, _)| identity).collect()
    };
    if pool.base.1 != pool.new.1 {
        return;
    }
    let (base, new) = (has_order(pool.base), has_order(pool.new));
    if moved(&base, &new).is_empty() {
        return;
    }
    let reason = match takes_turns(pool.new.1) {
        true => "the turns go round in another order",
        false => "targets of weight 0 are tried in another order",
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
