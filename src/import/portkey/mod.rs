//! Portkey's gateway config: one JSON of a strategy and its targets, nested as one likes.
//!
//! Not what Portkey keeps: virtual keys, integrations and saved configs are names in the file. Here a config is an alias, called as its file is, and
//! strategies within it are aliases that it leads to. Rule: as everywhere here, each value is told of.

mod leaf;
mod overrides;
mod query;
mod strategy;

use std::path::Path;

use super::draft::{Draft, tidy_name};
use super::secret::Spelling;
use super::tree::{Cursor, Tree};

/// Members by which such a file is known.
pub(super) const MARKS: [&str; 5] = ["strategy", "targets", "virtual_key", "virtualKey", "provider"];

/// How Portkey's users mark what is to be filled in.
const SPELLING: Spelling = Spelling::Braces;

/// Settings that hold for what stands below, from the inside to the outside.
#[derive(Debug, Clone, Default)]
struct Scope<'t>(Vec<Cursor<'t>>);

impl<'t> Scope<'t> {
    fn below(&self, it: Cursor<'t>) -> Self {
        Self(std::iter::once(it).chain(self.0.iter().copied()).collect())
    }

    /// Returns a setting, the innermost of several.
    fn get(&self, names: &[&str]) -> Option<Cursor<'t>> {
        self.0.iter().find_map(|it| it.any(names))
    }
}

/// Carries a configuration over.
pub(super) fn import(tree: &Tree, path: &Path) -> Draft {
    let mut draft = Draft::default();
    let root = tree.root();
    draft.variables.reserve(root, SPELLING);
    let stem = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    let name = tidy_name(stem.trim_matches(['<', '>']), "config");
    strategy::root(&mut draft, root, &name);
    draft.keep_to_models();
    rest(&mut draft, root);
    draft
}

/// Fields that have nothing like them here, wherever they stand: both spellings, and why.
const REST: &[(&str, &str, &str)] = &[
    ("cache", "cache", "there is no cache of answers; caches of providers are passed on as clients ask for them"),
    ("input_guardrails", "inputGuardrails", "there are no guardrails"),
    ("output_guardrails", "outputGuardrails", "there are no guardrails"),
    ("before_request_hooks", "beforeRequestHooks", "there are no guardrails"),
    ("after_request_hooks", "afterRequestHooks", "there are no guardrails"),
    ("default_input_guardrails", "defaultInputGuardrails", "there are no guardrails"),
    ("default_output_guardrails", "defaultOutputGuardrails", "there are no guardrails"),
    ("forward_headers", "forwardHeaders", "headers go on only where `headers` of the provider say so"),
    ("metadata", "metadata", "what is known of a caller are the labels of its key"),
    ("prompt_id", "promptId", "a system prompt stands in `prompt` of an alias"),
    ("strict_open_ai_compliance", "strictOpenAiCompliance", "answers have the client's own format"),
    ("transform_to_form_data", "transformToFormData", "forms pass as they are"),
    ("trace_id", "traceId", "each request has an id of its own in `x-request-id`"),
];

/// Tells of what nothing else has looked at.
fn rest(draft: &mut Draft, it: Cursor<'_>) {
    for (snake, camel, why) in REST {
        if let Some(it) = it.any(&[snake, camel]).filter(|it| !draft.findings.knows(*it)) {
            draft.findings.unsupported(it, why);
        }
    }
    for target in it.get("targets").into_iter().flat_map(Cursor::items) {
        rest(draft, target);
    }
}
