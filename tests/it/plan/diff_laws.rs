//! What holds of every diff, over generated plans.

use std::collections::BTreeMap;

use bifrostctl::plan::Plan;
use bifrostctl::plan::diff::render::{self, nowhere};
use bifrostctl::plan::diff::{Action, Change, Diff, diff};
use proptest::prelude::*;
use serde_json::Value;

use super::generate;

/// Lists of the model that are known by what they hold, and what that is called.
fn identity(list: &str, item: &Value) -> Option<String> {
    let text = |name: &str| item[name].as_str().unwrap_or_default().to_owned();
    match list {
        "/rules" => Some(text("name")),
        list if list.ends_with("/budgets") => Some(item.as_str().map_or_else(|| text("period"), str::to_owned)),
        list if list.ends_with("/targets") => Some(format!("{}/{}", text("provider"), text("model"))),
        _ => None,
    }
}

/// Lists of the model without an order.
fn is_set(list: &str) -> bool {
    let parts: Vec<&str> = list.split('/').collect();
    matches!(parts.as_slice(), ["", "virtual_keys" | "teams", _, "models"] | ["", "providers", _, "credentials", _, "models"])
        || matches!(parts.as_slice(), ["", "virtual_keys", _, "hashes"])
}

/// Returns every leaf by its pointer, in which items of lists go by their identity; lists of words are leaves.
fn leaves(model: &Value) -> BTreeMap<String, String> {
    fn walk(place: &str, value: &Value, out: &mut BTreeMap<String, String>) {
        match value {
            Value::Object(members) if !members.is_empty() => {
                for (name, value) in members {
                    walk(&format!("{place}/{}", name.replace('~', "~0").replace('/', "~1")), value, out);
                }
            }
            Value::Array(items) if !items.is_empty() && identity(place, &items[0]).is_some() => {
                for item in items {
                    let name = identity(place, item).unwrap().replace('/', "~1");
                    walk(&format!("{place}/{name}"), item, out);
                }
            }
            Value::Array(items) if is_set(place) => {
                let mut items: Vec<String> = items.iter().map(Value::to_string).collect();
                items.sort();
                items.dedup();
                out.insert(place.to_owned(), format!("{items:?}"));
            }
            // Sections without an entry hold nothing that could change; what users write into bodies may be empty itself.
            Value::Object(_) if !place.contains("/defaults/") && !place.contains("/overrides/") => {}
            Value::Array(_) if place == "/rules" || place.ends_with("/budgets") => {}
            leaf => {
                out.insert(place.to_owned(), leaf.to_string());
            }
        }
    }
    let mut out = BTreeMap::new();
    walk("", model, &mut out);
    out
}

/// Returns the pointer of a change with items by their identity.
fn by_identity(change: &Change, base: &Value, new: &Value) -> String {
    let model = if change.action == Action::Removed { base } else { new };
    let (mut place, mut named) = (String::new(), String::new());
    for part in change.pointer.split('/').skip(1) {
        let name = model.pointer(&place).and_then(Value::as_array).and_then(|items| {
            let item = items.get(part.parse::<usize>().ok()?)?;
            identity(&named, item)
        });
        place = format!("{place}/{part}");
        named = format!("{named}/{}", name.map_or_else(|| part.to_owned(), |name| name.replace('/', "~1")));
    }
    assert!(model.pointer(&change.pointer).is_some(), "{} is nowhere", change.pointer);
    named
}

fn is_within(leaf: &str, whole: &str) -> bool {
    leaf.strip_prefix(whole).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn is_about_order(change: &Change) -> bool {
    change.summary == "reordered" || change.summary.starts_with("moved from ")
}

fn every_text(diff: &Diff) -> Vec<String> {
    vec![
        diff.json().to_string(),
        render::human(diff, "title", &nowhere, false),
        render::markdown(diff, "title", &nowhere, render::MARKDOWN_MAX_CHARS),
    ]
}

/// Sorts, repeats and turns round whatever has no order.
fn shuffled(plan: &Plan) -> Plan {
    let mut plan = plan.clone();
    for credential in plan.providers.values_mut().flat_map(|provider| provider.credentials.values_mut()) {
        credential.models.reverse();
    }
    for model in plan.models.values_mut() {
        if model.balance == bifrostctl::plan::Balance::Weighted {
            model.targets.reverse();
            model.targets.sort_by_key(|target| target.weight != 0);
            let zeros = model.targets.iter().filter(|target| target.weight == 0).count();
            model.targets[..zeros].reverse();
        }
    }
    for key in plan.virtual_keys.values_mut() {
        key.models.reverse();
        key.models.extend(key.models.first().cloned());
        key.hashes.reverse();
        key.budgets.reverse();
    }
    plan.teams.values_mut().for_each(|team| team.budgets.reverse());
    plan
}

/// Pairs that each law is tried on; more on request.
fn cases() -> u32 {
    std::env::var("PROPTEST_CASES").ok().and_then(|text| text.parse().ok()).unwrap_or(64)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_plan_does_not_differ_from_itself(plan in generate::plan()) {
        let found = diff(&plan, &plan);
        prop_assert!(found.is_empty(), "{:#?}", found.changes);
        prop_assert_eq!(found.patch(), serde_json::json!([]));
    }

    #[test]
    fn order_without_meaning_is_no_difference(plan in generate::plan()) {
        let other = shuffled(&plan);
        let found = diff(&plan, &other);
        prop_assert!(found.is_empty(), "{:#?}", found.changes);
        prop_assert_eq!(plan.digest(), other.digest());
    }

    #[test]
    fn a_diff_is_empty_exactly_when_the_digests_are_equal((base, new) in generate::pair()) {
        let found = diff(&base, &new);
        prop_assert_eq!(found.is_empty(), base.digest() == new.digest(), "{:#?}", found.changes);
    }

    #[test]
    fn the_patch_turns_one_model_into_the_other((base, new) in generate::pair()) {
        for (base, new) in [(&base, &new), (&new, &base)] {
            let patch: json_patch::Patch = serde_json::from_value(diff(base, new).patch()).unwrap();
            let mut model = base.model();
            json_patch::patch(&mut model, &patch).unwrap();
            prop_assert_eq!(model.to_string().len(), new.model().to_string().len());
            prop_assert_eq!(leaves(&model), leaves(&new.model()));
            prop_assert_eq!(model, new.model());
        }
    }

    #[test]
    fn no_leaf_changes_in_silence_and_no_change_is_made_up((base, new) in generate::pair()) {
        let found = diff(&base, &new);
        let (base, new) = (base.model(), new.model());
        let (old, young) = (leaves(&base), leaves(&new));
        let differing: Vec<&String> = old.keys().chain(young.keys()).filter(|leaf| old.get(*leaf) != young.get(*leaf)).collect();
        let places: Vec<String> = found.changes.iter().map(|change| by_identity(change, &base, &new)).collect();
        for leaf in &differing {
            prop_assert!(places.iter().any(|place| is_within(leaf, place)), "{} changed in silence: {:?}", leaf, places);
        }
        for (change, place) in found.changes.iter().zip(&places) {
            prop_assert!(is_about_order(change) || differing.iter().any(|leaf| is_within(leaf, place)), "{:?} is made up", change);
        }
    }

    #[test]
    fn rules_that_change_their_order_are_reported(plan in generate::plan(), turn in 1..4_usize) {
        let mut other = plan.clone();
        let count = other.rules.len();
        if count > 1 {
            other.rules.rotate_left(turn % count);
        }
        let found = diff(&plan, &other);
        prop_assert_eq!(found.changes.iter().any(|change| change.pointer.starts_with("/rules/")), plan.rules != other.rules);
        prop_assert!(found.changes.iter().all(is_about_order));
    }

    #[test]
    fn its_json_reads_back_and_is_the_same_every_time((base, new) in generate::pair()) {
        let found = diff(&base, &new);
        prop_assert_eq!(found.json().to_string(), diff(&base, &new).json().to_string());
        prop_assert_eq!(Diff::from_json(&found.json()).unwrap().changes, found.changes);
    }

    #[test]
    fn digests_are_shown_short_and_controls_as_escapes((base, new) in generate::pair()) {
        let found = diff(&base, &new);
        for text in every_text(&found) {
            let long = text.split(|it: char| !it.is_ascii_hexdigit()).find(|run| run.len() > 12);
            prop_assert_eq!(long, None, "{}", text);
        }
        for text in every_text(&found).into_iter().skip(1) {
            prop_assert!(!text.chars().any(|it| (it.is_control() && it != '\n') || it == '\u{202e}'), "{:?}", text);
        }
    }

    #[test]
    fn a_comment_keeps_its_size_and_its_form((base, new) in generate::pair(), limit in 1_500..6_000_usize) {
        let found = diff(&base, &new);
        let text = render::markdown(&found, "`main` → | <b>", &|_| Some("a|b.yaml:1:1".into()), limit);
        prop_assert!(text.chars().count() <= limit, "{} > {}", text.chars().count(), limit);
        let count = |line: &str| text.lines().filter(|it| *it == line).count();
        prop_assert_eq!(count("<details><summary>Details</summary>"), count("</details>"), "{}", text);
        let rows = text.lines().filter(|line| line.starts_with("| ")).collect::<Vec<_>>();
        for row in &rows {
            prop_assert_eq!(row.matches('|').count(), 6, "{}", row);
        }
        if rows.len() < found.changes.len() + 1 && !found.is_empty() {
            prop_assert!(text.contains("not fit here"));
        }
    }
}

#[test]
fn generated_pairs_are_worth_looking_at() {
    use proptest::strategy::ValueTree as _;
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let (mut equal, mut actions, mut paths) = (0, BTreeMap::new(), BTreeMap::new());
    for _ in 0..200 {
        let (base, new) = generate::pair().new_tree(&mut runner).unwrap().current();
        let found = diff(&base, &new);
        equal += usize::from(found.is_empty());
        for change in found.changes {
            *actions.entry(change.action).or_insert(0) += 1;
            *paths.entry(change.pointer.split('/').nth(1).unwrap().to_owned()).or_insert(0) += 1;
        }
    }
    assert!((20..120).contains(&equal), "{equal} of 200 pairs are equal");
    assert!(actions.len() == 3 && paths.len() == 9, "{actions:?} {paths:?}");
}
