//! Bifrost's `config.json`.
//!
//! Not its database, in which it keeps what was changed in its web interface. Rule: as everywhere here, each value is told of.

mod allowed;
mod governance;
mod home;
mod key;
mod provider;
mod routing;
mod sections;

use std::collections::BTreeMap;

use super::draft::Draft;
use super::tree::{Cursor, Tree};
use provider::SPELLING;

/// Members by which such a file is known.
pub(super) const MARKS: [&str; 4] = ["providers", "governance", "client", "config_store"];

/// What names of Bifrost's are called here: providers by theirs, teams and keys by their ids.
#[derive(Debug, Default)]
struct Names {
    providers: BTreeMap<String, Vec<String>>,
    /// Where each key of a provider is, by the provider and by the key's id or name.
    placed: BTreeMap<(String, String), String>,
    /// The shared budgets that a customer's became.
    customers: BTreeMap<String, Vec<String>>,
    teams: BTreeMap<String, String>,
    keys: BTreeMap<String, String>,
    /// Whether a list of models that is empty or absent is one of all, as it was before Bifrost 1.5 and is with `version: 1`.
    is_empty_all: bool,
}

/// Carries a configuration over.
pub(super) fn import(tree: &Tree) -> Draft {
    let mut draft = Draft::default();
    let root = tree.root();
    draft.variables.reserve(root, SPELLING);
    let version = root.get("version").and_then(Cursor::whole);
    let mut names = Names { is_empty_all: version == Some(1), ..Names::default() };
    if let Some(it) = root.get("version").filter(|_| matches!(version, Some(1 | 2))) {
        draft.findings.exact(it, None);
    }
    for (name, it) in root.get("providers").into_iter().flat_map(Cursor::members) {
        let is_secret = super::tree::looks_secret(name);
        if let Some(carried) = Some(it).filter(|_| !is_secret).and_then(|it| provider::read(&mut draft, name, it, names.is_empty_all)) {
            let placed = carried.keys.into_iter().map(|(key, ours)| ((carried.theirs.clone(), key), ours));
            names.placed.extend(placed);
            names.providers.insert(carried.theirs, carried.ours);
        }
    }
    if let Some(it) = root.get("governance") {
        governance::read(&mut draft, &mut names, it);
        routing::read(&mut draft, &names, it);
    }
    sections::read(&mut draft, root);
    draft
}

/// Lets every key of a provider that is kept to some models serve one more.
fn allow(draft: &mut Draft, provider: &str, model: &str) {
    let Some(it) = draft.spec.providers.get_mut(provider) else { return };
    let model = super::draft::literal(model);
    for credential in it.credentials.values_mut().filter(|it| !it.models.is_empty() && !it.models.contains(&model)) {
        credential.models.push(model.clone());
    }
}
