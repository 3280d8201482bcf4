//! `override_params`: what a target always sends, which is said once for a whole alias here.

use super::leaf::Leaf;
use crate::import::draft::{Draft, at, uninterpolated};
use crate::import::tree::Cursor;

/// Members that the gateway sets itself, or must read as the client sent them.
const RESERVED: [&str; 6] = ["model", "messages", "input", "prompt", "stream", "stream_options"];

/// Writes into an alias what all of its targets always send, and tells of what only some do.
pub(super) fn write(draft: &mut Draft, alias: &str, leaves: &[Leaf<'_>]) {
    let value = |leaf: &Leaf<'_>, name: &str| leaf.params.and_then(|params| params.get(name)).and_then(Cursor::json);
    for leaf in leaves {
        for (name, it) in leaf.params.into_iter().flat_map(Cursor::members).filter(|(name, _)| *name != "model") {
            let own = value(leaf, name).filter(|_| !RESERVED.contains(&name));
            let Some(own) = own.filter(|own| leaves.iter().all(|other| value(other, name).as_ref() == Some(own))) else {
                if !draft.findings.knows(it) {
                    draft.findings.unsupported(it, "overrides are those of a whole alias: this one is none, or its targets differ in it");
                }
                continue;
            };
            if let Some(model) = draft.spec.models.get_mut(alias) {
                model.overrides.insert(name.to_owned(), uninterpolated(own));
            }
            let place = at(&["models", alias, "overrides", name]);
            it.leaves().into_iter().for_each(|leaf| draft.findings.exact(leaf, place.clone()));
        }
    }
}
