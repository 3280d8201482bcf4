//! What a key may ask for: `provider/model` of each provider that it names.
//!
//! Rule: where two files of Bifrost's would mean different things by the same words, a key gets the less of them, and it is told.

use super::Names;
use crate::import::draft::{Draft, at, literal};
use crate::import::tree::Cursor;

const KEYS: &str = "credentials are for models, not for keys of clients";

/// Lists what a key may ask for.
pub(super) fn models(draft: &mut Draft, names: &Names, key: Cursor<'_>, name: &str) -> Vec<String> {
    let place = at(&["virtual_keys", name, "models"]);
    if let Some(it) = key.get("allow_all_providers").filter(|it| it.bool() == Some(true)) {
        draft.findings.exact(it, place);
        return vec!["*".to_owned()];
    }
    let listed = key.get("provider_configs");
    if listed.is_none_or(|listed| listed.items().next().is_none()) {
        return of_nothing(draft, names, listed.or_else(|| key.get("name")).unwrap_or(key), place);
    }
    let mut models: Vec<String> = Vec::new();
    for config in listed.into_iter().flat_map(Cursor::items) {
        let Some((provider, theirs)) = config.get("provider").and_then(|it| Some((it, it.text()?))) else { continue };
        let Some(ours) = names.providers.get(theirs) else {
            draft.findings.manual(config, place.clone(), "the provider was not carried over");
            continue;
        };
        draft.findings.exact(provider, place.clone());
        let listed = allowed(draft, names, config, place.as_ref());
        for provider in kept(draft, names, (config, theirs), ours) {
            models.extend(listed.iter().map(|model| literal(&format!("{provider}/{model}"))));
        }
        rest(draft, config, place.clone());
    }
    models.dedup();
    models
}

/// What a key may ask for that names no provider: all, as it was before Bifrost 1.5, or nothing.
fn of_nothing(draft: &mut Draft, names: &Names, it: Cursor<'_>, place: Option<String>) -> Vec<String> {
    if names.is_empty_all {
        draft.findings.approximate(it, place, "a key that names no provider may use all of them, as `version: 1` says");
        return vec!["*".to_owned()];
    }
    draft.findings.manual(it, place, "a key that names no provider may use none, as in Bifrost since 1.5: list what it may use");
    Vec::new()
}

/// Lists the models of one provider that a key may use, as they are written.
fn allowed<'t>(draft: &mut Draft, names: &Names, config: Cursor<'t>, place: Option<&String>) -> Vec<&'t str> {
    let it = config.get("allowed_models");
    let listed = it.and_then(Cursor::texts).unwrap_or_default();
    if listed.is_empty() {
        let told = it.or_else(|| config.get("provider")).unwrap_or(config);
        if names.is_empty_all {
            draft.findings.approximate(told, place.cloned(), "no list of models is one of all, as `version: 1` says");
            return vec!["*"];
        }
        let why = "no list of models, or an empty one, is for none, as in Bifrost since 1.5: list what the key may use";
        draft.findings.manual(told, place.cloned(), why);
        return Vec::new();
    }
    if let Some(it) = it {
        match listed.iter().any(|model| model.starts_with("regex:")) {
            true => draft.findings.manual(it, place.cloned(), "patterns here are `*` and `?`, not regular expressions: write them by hand"),
            false => draft.findings.exact(it, place.cloned()),
        }
    }
    listed.into_iter().filter(|model| !model.starts_with("regex:") && !model.is_empty()).collect()
}

/// Lists the providers that a key may use of those that one of Bifrost's became: where it is kept to some keys, those that these are under.
fn kept<'n>(draft: &mut Draft, names: &Names, (config, theirs): (Cursor<'_>, &str), ours: &'n [String]) -> Vec<&'n String> {
    let Some(it) = config.get("key_ids") else { return ours.iter().collect() };
    let listed = it.texts().unwrap_or_default();
    if listed.contains(&"*") {
        draft.findings.exact(it, None);
        return ours.iter().collect();
    }
    let under = |key: &&str| names.placed.get(&(theirs.to_owned(), (*key).to_owned()));
    let found: Vec<&String> = listed.iter().filter_map(under).collect();
    if ours.len() < 2 {
        draft.findings.unsupported(it, KEYS);
        return ours.iter().collect();
    }
    if found.is_empty() {
        draft.findings.manual(it, None, "none of these keys was carried over, so the key may use nothing of this provider");
    } else {
        let why = "the key is kept to the providers that these credentials are under here, and may use all that those have";
        draft.findings.approximate(it, None, why);
    }
    ours.iter().filter(|provider| found.contains(provider)).collect()
}

/// Tells of the rest of an entry.
fn rest(draft: &mut Draft, config: Cursor<'_>, place: Option<String>) {
    if let Some(it) = config.get("weight") {
        let why = "it decides among providers where a client names a model alone: here that is an alias, with weights of its targets";
        draft.findings.manual(it, place.clone(), why);
    }
    for (name, why) in [
        ("id", "entries are known by what they name"),
        ("keys", KEYS),
        ("rate_limit_id", "limits are those of keys, teams, aliases and providers"),
        ("rate_limit", "limits are those of keys, teams, aliases and providers"),
        ("budget_id", "budgets are those of keys and teams"),
        ("budgets", "budgets are those of keys and teams"),
    ] {
        if let Some(it) = config.get(name) {
            draft.findings.unsupported(it, why);
        }
    }
    if let Some(it) = config.get("blacklisted_models") {
        draft.findings.manual(it, place, "a key lists what it may use, and nothing that it may not: a rule can deny the rest");
    }
}
