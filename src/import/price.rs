//! Prices under LiteLLM's names, which others use too, as entries of `prices`.
//!
//! Rule: a price is never guessed; one that is not understood is told of as not carried over.

use serde_json::{Map, Value, json};

use super::amount::{per_hour, per_million, per_one};
use super::draft::Draft;
use super::tree::{Cursor, pointer};
use crate::catalog::overlay;
use crate::spec::Price;

/// What a price is stated for.
#[derive(Debug, Clone, Copy)]
enum Per {
    Token,
    One(&'static str),
    Second,
}

/// LiteLLM's names of prices, and ours.
const NAMES: [(&str, &str, Per); 21] = [
    ("input_cost_per_token", "input", Per::Token),
    ("output_cost_per_token", "output", Per::Token),
    ("cache_read_input_token_cost", "cache_read", Per::Token),
    ("cache_creation_input_token_cost", "cache_write", Per::Token),
    ("cache_creation_input_token_cost_above_1hr", "cache_write_1h", Per::Token),
    ("input_cost_per_audio_token", "input_audio", Per::Token),
    ("output_cost_per_audio_token", "output_audio", Per::Token),
    ("cache_read_input_audio_token_cost", "cache_read_audio", Per::Token),
    ("input_cost_per_image_token", "input_image", Per::Token),
    ("output_cost_per_image_token", "output_image", Per::Token),
    ("input_cost_per_video_token", "input_video", Per::Token),
    ("output_cost_per_video_token", "output_video", Per::Token),
    ("output_cost_per_reasoning_token", "reasoning", Per::Token),
    ("citation_cost_per_token", "citation", Per::Token),
    ("input_cost_per_request", "request", Per::One("request")),
    ("input_cost_per_query", "request", Per::One("request")),
    ("input_cost_per_character", "character", Per::One("Mchar")),
    ("output_cost_per_image", "image", Per::One("image")),
    ("ocr_cost_per_page", "page", Per::One("page")),
    ("annotation_cost_per_page", "annotated_page", Per::One("page")),
    ("input_cost_per_second", "audio", Per::Second),
];

/// Where in an entry a price stands that holds for some requests only: the end of its name, and the members.
const KINDS: [(&str, &[&str]); 7] = [
    ("_above_128k_tokens", &["above", "128k"]),
    ("_above_200k_tokens", &["above", "200k"]),
    ("_above_256k_tokens", &["above", "256k"]),
    ("_above_272k_tokens", &["above", "272k"]),
    ("_batches", &["batch"]),
    ("_flex", &["flex"]),
    ("_priority", &["priority"]),
];

/// Returns whether a member is a price by its name.
pub(super) fn is_price(name: &str) -> bool {
    place(name).is_some()
}

/// Returns where in an entry a price stands, and what it is for.
fn place(name: &str) -> Option<(Vec<&'static str>, Per)> {
    let known = |name: &str| NAMES.iter().find(|(theirs, ..)| *theirs == name);
    if let Some((_, ours, per)) = known(name) {
        return Some((vec![ours], *per));
    }
    let (base, kind) = KINDS.iter().find_map(|(end, kind)| Some((name.strip_suffix(end)?, kind)))?;
    let (_, ours, per) = known(base)?;
    Some((kind.iter().copied().chain([*ours]).collect(), *per))
}

/// Takes the prices among some members over as the entry of a model, and tells what became of each.
pub(super) fn take(draft: &mut Draft, key: &str, members: &[(&str, Cursor<'_>)]) {
    let mut entry = Value::Object(Map::new());
    let mut told = Vec::new();
    for (name, it) in members {
        let Some((members, per)) = place(name) else { continue };
        let written = it.number().and_then(|number| match per {
            Per::Token => per_million(number),
            Per::One("Mchar") => per_million(number).map(|text| text.replace("/Mtok", "/Mchar")),
            Per::One(unit) => per_one(number, unit),
            Per::Second => per_hour(number),
        });
        match written {
            Some(text) => {
                put(&mut entry, &members, text);
                told.push((*it, members));
            }
            None => draft.findings.manual(*it, None, "the price is no number that a rate can hold; write it by hand"),
        }
    }
    if told.is_empty() {
        return;
    }
    let key = free_or_known(draft, key, &entry);
    let became = |members: &[&str]| Some(format!("{}{}", pointer(&["prices", key]), pointer(members)));
    if key.is_empty() {
        for (it, _) in told {
            draft.findings.manual(it, None, "another row gives the same model at the same provider other prices");
        }
        return;
    }
    for (it, members) in told {
        draft.findings.exact(it, became(&members));
    }
}

/// Adds an entry; gives nothing where the model has another one already, or the entry cannot be one.
fn free_or_known<'k>(draft: &mut Draft, key: &'k str, entry: &Value) -> &'k str {
    let is_zero =
        |value: &Value| value.as_object().is_some_and(|all| all.values().all(|it| it.as_str().is_some_and(|it| it.starts_with("$0/"))));
    let entry = if is_zero(entry) { json!({"free": true}) } else { entry.clone() };
    let Ok(price) = serde_json::from_value::<Price>(entry) else { return "" };
    // Rates for some requests need the usual ones beside them.
    let usual: Vec<&str> = price.rates().into_iter().map(|(name, _)| name).collect();
    let others = price.above.values().chain(&price.batch).chain(&price.flex).chain(&price.priority);
    let are_sound = others.into_iter().flat_map(crate::spec::OtherRates::rates).all(|(name, _)| usual.contains(&name));
    let has_usual = price.free || price.rates().iter().any(|(_, rate)| rate.pico() > 0);
    let known = draft.spec.prices.get(key).is_none_or(|known| *known == price);
    if !are_sound || !has_usual || !known || key.ends_with("/*") {
        return "";
    }
    draft.spec.prices.insert(key.to_owned(), price);
    key
}

fn put(entry: &mut Value, members: &[&str], text: String) {
    let Some((last, above)) = members.split_last() else { return };
    let mut at = entry;
    for member in above {
        let Some(map) = at.as_object_mut() else { return };
        at = map.entry((*member).to_owned()).or_insert_with(|| json!({}));
    }
    if let Some(map) = at.as_object_mut() {
        map.insert((*last).to_owned(), Value::String(text));
    }
}

/// Says that a model costs what one of the catalogue does, where the catalogue knows it. Returns whether it does.
pub(super) fn same_as(draft: &mut Draft, key: &str, named: &str) -> bool {
    let (vendor, model) = match named.split_once('/') {
        Some(("azure", model)) => ("openai", model.rsplit('/').next().unwrap_or(model)),
        Some((vendor, model)) => (vendor, model),
        None if named.starts_with("claude") => ("anthropic", named),
        None if named.starts_with("gemini") => ("google", named),
        None => ("openai", named),
    };
    let text = format!("{vendor}/{model}");
    let is_known = overlay::same_as(&text, model).is_some_and(|known| known.prices.is_some());
    if !is_known || key.contains('*') || draft.spec.prices.contains_key(key) {
        return false;
    }
    draft.spec.prices.insert(key.to_owned(), Price { same_as: Some(text), ..Price::default() });
    true
}
