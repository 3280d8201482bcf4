//! Adds what LiteLLM's map knows to entries made of genai-prices, and entries of its own for what only it knows.

use super::Converted;
use super::litellm::Listed;
use crate::base::Rate;
use crate::catalog::entry::{Entry, Origin, Vendor};
use crate::catalog::meter::Meter;
use crate::catalog::row::compile;
use crate::catalog::term::Term;
use crate::wire::ir::Tier;

/// A rate about which the two projects disagree by more than a two-hundredth.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Conflict {
    /// The vendor.
    pub vendor: String,
    /// The model, as LiteLLM names it.
    pub model: String,
    /// What is priced.
    pub meter: Meter,
    /// genai-prices' rate, which holds.
    pub held: Rate,
    /// LiteLLM's.
    pub other: Rate,
}

/// Adds the entries of a map.
pub(super) fn add(listed: Vec<Listed>, done: &mut Converted, now_unix_ms: u64) {
    let mut vendors: std::collections::BTreeMap<&str, Vec<Listed>> = std::collections::BTreeMap::new();
    for entry in listed {
        vendors.entry(entry.vendor).or_default().push(entry);
    }
    for (name, listed) in vendors {
        let known = done.catalogue.vendors.remove(name).unwrap_or_default();
        let merged = merge(name, known, listed, done, now_unix_ms);
        done.catalogue.vendors.insert(name.to_owned(), merged);
    }
    done.conflicts.sort();
    done.conflicts.dedup();
}

fn merge(name: &str, known: Vendor, listed: Vec<Listed>, done: &mut Converted, now_unix_ms: u64) -> Vendor {
    let mut own: Vec<Entry> = Vec::new();
    // Which listed entry tells the capacity of each known one: the one of its own name, else the first.
    let mut facts: Vec<Option<usize>> = vec![None; known.entries.len()];
    let mut found: Vec<Option<usize>> = Vec::with_capacity(listed.len());
    for (index, entry) in listed.iter().enumerate() {
        let place = known.find(&entry.id).and_then(|found| known.entries.iter().position(|entry| std::ptr::eq(entry, found)));
        if let Some(place) = place
            && let (Some(slot), Some(known)) = (facts.get_mut(place), known.entries.get(place))
            && (slot.is_none() || known.id.eq_ignore_ascii_case(&entry.id))
        {
            *slot = Some(index);
        }
        found.push(place);
    }
    for (index, entry) in listed.iter().enumerate() {
        let Some(place) = found.get(index).copied().flatten() else {
            add_own(name, &mut own, entry, done);
            continue;
        };
        let Some(base) = known.entries.get(place) else { continue };
        let conflicts = compare(name, entry, &known, base, now_unix_ms);
        if !conflicts.is_empty() && is_placed(&entry.id) {
            add_own(name, &mut own, entry, done);
            continue;
        }
        done.conflicts.extend(conflicts);
        let teller = facts.get(place).copied().flatten().and_then(|teller| listed.get(teller));
        let is_alike = teller.is_some_and(|teller| same_facts(teller, entry));
        if !is_alike && !own.iter().any(|other| other.id == entry.id) && !base.id.eq_ignore_ascii_case(&entry.id) {
            own.push(Entry { priced_as: Some(base.id.clone()), ..of(entry) });
        }
    }
    let mut merged = Vendor::default();
    // Exact names first: an entry that has one is never taken for a version of another.
    own.into_iter().for_each(|entry| merged.push(entry));
    for (entry, teller) in known.entries.into_iter().zip(facts) {
        merged.push(match teller.and_then(|teller| listed.get(teller)) {
            Some(teller) => with_facts(entry, teller),
            None => entry,
        });
    }
    merged
}

fn add_own(vendor: &str, own: &mut Vec<Entry>, listed: &Listed, done: &mut Converted) {
    if let Some(twin) = own.iter_mut().find(|other| other.id == listed.id) {
        // Two keys of the map for one name of one vendor: what they do not agree about is not known.
        if twin.rows.as_slice() != listed.rows.as_deref().unwrap_or_default() {
            done.unread.push(format!("{vendor}/{}: two entries of different prices", listed.id));
            twin.rows.clear();
            twin.origin = None;
        }
        return;
    }
    let mut entry = of(listed);
    match &listed.rows {
        Ok(rows) => {
            entry.rows.clone_from(rows);
            entry.origin = Some(Origin::Litellm);
        }
        Err(what) => done.unread.push(format!("{vendor}/{}: {what}", listed.id)),
    }
    own.push(entry);
}

/// Makes an entry without prices.
fn of(listed: &Listed) -> Entry {
    Entry {
        id: listed.id.clone(),
        terms: vec![Term::Equals(listed.id.clone())],
        capacity: listed.capacity,
        capabilities: listed.capabilities.clone(),
        retires: listed.retires.clone(),
        regional_percent: listed.regional_percent,
        ..Entry::default()
    }
}

fn same_facts(a: &Listed, b: &Listed) -> bool {
    (a.capacity, &a.capabilities, &a.retires, a.regional_percent) == (b.capacity, &b.capabilities, &b.retires, b.regional_percent)
}

fn with_facts(mut entry: Entry, listed: &Listed) -> Entry {
    entry.capacity.input = listed.capacity.input.or(entry.capacity.input);
    entry.capacity.output = listed.capacity.output;
    entry.capabilities.extend(listed.capabilities.iter().cloned());
    entry.capabilities.sort();
    entry.capabilities.dedup();
    entry.retires.clone_from(&listed.retires);
    entry.regional_percent = listed.regional_percent;
    entry
}

/// Returns whether a model's name of Bedrock's says in which part of the world it runs. genai-prices' terms for those often mean all
/// parts alike, and LiteLLM's entry is then the more exact one.
fn is_placed(id: &str) -> bool {
    id.split_once('.').is_some_and(|(place, _)| ["apac", "au", "ca", "eu", "in", "jp", "us-gov"].contains(&place))
}

/// Returns the rates of a listed entry that are not those of the known one.
fn compare(name: &str, listed: &Listed, known: &Vendor, base: &Entry, now_unix_ms: u64) -> Vec<Conflict> {
    let mut conflicts = Vec::new();
    let (Ok(rows), Some(held)) = (&listed.rows, known.prices(base)) else { return conflicts };
    let other = compile(rows, 0);
    let (Some(held), Some(other)) = (held.at(now_unix_ms), other.at(now_unix_ms)) else { return conflicts };
    let (held, other) = (&held.sheet(Tier::Standard).base, &other.sheet(Tier::Standard).base);
    for (meter, theirs) in other.iter() {
        let Some(ours) = held.get(meter) else { continue };
        let (a, b) = (u128::from(ours.pico()), u128::from(theirs.pico()));
        if a.abs_diff(b).saturating_mul(200) > a.max(b) {
            let (vendor, model) = (name.to_owned(), listed.id.clone());
            conflicts.push(Conflict { vendor, model, meter, held: ours, other: theirs });
        }
    }
    conflicts
}
