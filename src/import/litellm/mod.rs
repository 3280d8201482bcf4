//! LiteLLM's `config.yaml`.
//!
//! Not its database, in which it keeps keys, teams and what was added in its web interface. Rule: as everywhere here, each value is told of.

mod cloud;
mod deployment;
mod group;
mod home;
mod router;
mod settings;
mod tune;

use super::draft::Draft;
use super::tree::{Cursor, Tree};
use deployment::SPELLING;

/// Members by which such a file is known.
pub(super) const MARKS: [&str; 5] = ["model_list", "litellm_settings", "router_settings", "general_settings", "include"];

/// Carries a configuration over.
pub(super) fn import(tree: &Tree) -> Draft {
    let mut draft = Draft::default();
    let root = tree.root();
    draft.variables.reserve(root, SPELLING);
    if let Some(it) = root.get("include") {
        draft.findings.exact(it, None);
    }
    for it in tree.replaced() {
        draft.findings.unsupported(it, "a file that is included has the same section, which LiteLLM puts in its place");
    }
    let credentials = root.get("credential_list");
    // Rows for whole providers come first, for their names are what clients write before the slash.
    let mut listed: Vec<Cursor<'_>> = root.get("model_list").into_iter().flat_map(Cursor::items).collect();
    listed.sort_by_key(|row| !row.get("model_name").and_then(Cursor::text).is_some_and(|name| name.ends_with("/*")));
    deployment::reserve(&mut draft, &listed);
    for (name, _) in root.get("environment_variables").into_iter().flat_map(Cursor::members) {
        draft.variables.take(name);
    }
    draft.reserve_names(listed.iter().filter_map(|row| row.get("model_name")?.text()));
    let mut rows = Vec::new();
    for row in listed {
        rows.extend(deployment::read(&mut draft, row, credentials));
    }
    let (router, library) = (root.get("router_settings"), root.get("litellm_settings"));
    let chains = router::Chains::read(&mut draft, router, library);
    let mut names = group::build(&mut draft, &rows, &chains.chained());
    router::strategy(&mut draft, router.and_then(|it| it.get("routing_strategy")));
    chains.apply(&mut draft, &names);
    let aliases = router.and_then(|it| it.get("model_group_alias")).or_else(|| library?.get("model_group_alias"));
    router::group_aliases(&mut draft, &mut names, aliases);
    tune::settle(&mut draft, &rows, &names);
    settings::settle(&mut draft, root);
    details(&mut draft, &rows, credentials);
    draft
}

/// Parameters that are known to have no counterpart, with the reason.
const PARAMETERS: &[(&str, &str)] = &[
    ("tags", "there are no tags; rules route by key, team, labels and headers"),
    ("mock_response", "the built-in provider `mock` answers without an upstream"),
    ("drop_params", "what a target has nothing for is left out and told in `x-bifrost-loss`"),
    ("additional_drop_params", "`quirks: {refuses: […]}` of a provider lists members that it refuses, for all its models"),
    ("extra_body", "members that are always sent stand in `overrides` of the alias"),
    ("use_in_pass_through", "paths that the gateway does not know are not passed on"),
    ("guardrails", "there are no guardrails"),
    ("cache_control_injection_points", "caches of providers are passed on as clients ask for them"),
    ("max_budget", "budgets are those of keys and teams, not of models"),
    ("budget_duration", "budgets are those of keys and teams, not of models"),
    ("merge_reasoning_content_in_choices", "thoughts are passed on as the client's format has them"),
    ("litellm_trace_id", "each request has an id of its own in `x-request-id`"),
];

/// Tells of parameters that nothing else has looked at.
fn details(draft: &mut Draft, rows: &[deployment::Deployment<'_>], credentials: Option<Cursor<'_>>) {
    for row in rows {
        for (name, why) in PARAMETERS {
            if let Some(it) = row.params.own.get(name) {
                draft.findings.unsupported(it, why);
            }
        }
    }
    for it in credentials.into_iter().flat_map(Cursor::items).filter_map(|it| it.get("credential_info")) {
        draft.findings.unsupported(it, "what a credential is for is said by where it stands");
    }
}
