//! Rules: known by name, and their order is their meaning.

use std::collections::HashSet;

use serde_json::json;

use super::chain::{self, Pool, identities, moved, moved_words, places};
use super::changes::{Changes, Meaning, json_of};
use super::place::Place;
use super::{Risk, shown};
use crate::plan::types::{Balance, Rule, RuleAction};

pub(super) fn rules(out: &mut Changes<'_>, base: &[Rule], new: &[Rule]) {
    let section = Place::section("rules");
    let (base_ids, new_ids) = (identities(base.iter().map(|rule| rule.name.clone())), identities(new.iter().map(|rule| rule.name.clone())));
    let (old_places, new_places) = (places(&base_ids), places(&new_ids));
    let moved: HashSet<usize> = moved(&base_ids, &new_ids).into_iter().collect();
    for (index, (identity, rule)) in base_ids.iter().zip(base).enumerate() {
        if !new_places.contains_key(identity) {
            out.removed(section.item(index, &identity.0), json_of(rule), removed(rule));
        }
    }
    for (index, (identity, rule)) in new_ids.iter().zip(new).enumerate() {
        let place = section.item(index, &identity.0);
        let Some((from, old)) = old_places.get(identity).and_then(|from| base.get(*from).map(|old| (*from, old))) else {
            out.added(place, json_of(rule), added(rule));
            continue;
        };
        if moved.contains(&index) {
            let meaning = Meaning::medium("the first rule that holds wins, so requests may meet another one");
            let [before, after] = [from, index].map(|position| json!({"position": position + 1}));
            out.changed(place.clone(), before, after, meaning.saying(moved_words(from, index)));
        }
        compare(out, (&section.item(from, &identity.0), &place), old, rule);
    }
}

fn added(rule: &Rule) -> Meaning {
    match &rule.action {
        RuleAction::Use(alias) => Meaning::medium(format!("requests that match are served as {}", shown::name(alias))),
        RuleAction::Targets(_) => Meaning::medium("requests that match are served by the rule's own targets"),
        RuleAction::Deny { status, .. } => Meaning::high(format!("requests that match get {status}")),
    }
}

fn removed(rule: &Rule) -> Meaning {
    match &rule.action {
        RuleAction::Use(_) | RuleAction::Targets(_) => Meaning::medium("requests that matched are served as they ask"),
        RuleAction::Deny { .. } => Meaning::high("requests that it refused are served"),
    }
}

fn compare(out: &mut Changes<'_>, (base_place, place): (&Place, &Place), base: &Rule, new: &Rule) {
    let Rule { name, when, action } = base;
    out.field(place.member("when"), when, &new.when, || match &new.action {
        RuleAction::Deny { .. } => Meaning::high("other requests are refused, and some that were are served"),
        RuleAction::Use(_) | RuleAction::Targets(_) => Meaning::medium("other requests match"),
    });
    match (action, &new.action) {
        (RuleAction::Use(base), RuleAction::Use(new)) => {
            let place = place.hidden("action").member("use");
            out.field(place, base, new, || Meaning::medium(format!("requests that match are served as {}", shown::name(new))));
        }
        (RuleAction::Targets(base), RuleAction::Targets(new)) => {
            let owner = format!("rule {}", shown::name(name));
            let [base_place, place] = [base_place, place].map(|place| place.hidden("action").member("targets"));
            let pool = Pool { owner: &owner, base_place: &base_place, base: (base, Balance::Weighted), new: (new, Balance::Weighted) };
            chain::targets(out, &place, pool);
        }
        (RuleAction::Deny { status, message }, RuleAction::Deny { status: new_status, message: new_message }) => {
            let place = place.hidden("action").member("deny");
            out.field(place.member("status"), status, new_status, || Meaning::low("clients may treat the status differently"));
            out.field(place.member("message"), message, new_message, || Meaning::plain(Risk::Low));
        }
        (before, after) => {
            let meaning = match (before, after) {
                (_, RuleAction::Deny { status, .. }) => Meaning::high(format!("requests that match get {status}")),
                (RuleAction::Deny { .. }, _) => Meaning::high("requests that it refused are served"),
                (RuleAction::Use(_) | RuleAction::Targets(_), _) => Meaning::medium("requests that match are served by something else"),
            };
            let summary = format!("{} → {}", words(before), words(after));
            out.changed(place.hidden("action"), json_of(before), json_of(after), meaning.saying(summary));
        }
    }
}

fn words(action: &RuleAction) -> String {
    match action {
        RuleAction::Use(alias) => format!("use {alias}"),
        RuleAction::Targets(targets) => shown::count(targets.len(), "target"),
        RuleAction::Deny { status, .. } => format!("deny {status}"),
    }
}
