//! Virtual keys, their digests and their teams.

use std::collections::{BTreeMap, BTreeSet};

use super::access::Access;
use super::references::Meant;
use crate::base::Digest;
use crate::plan::codes;
use crate::plan::finding::{Findings, On, pointer};
use crate::plan::types::{Admin, Auth, Plan};
use crate::spec::Diagnostic;

pub(super) fn check(found: &mut Findings<'_>, plan: &Plan, meant: &Meant) {
    digests(found, plan);
    for (name, key) in &plan.virtual_keys {
        if key.models.is_empty() {
            let is_written = found.loaded.value.pointer(&pointer(&["virtual_keys", name, "models"])).is_some();
            let problem = match is_written {
                true => Diagnostic::warning(codes::KEY_WITHOUT_MODELS, format!("key `{name}` may use no model")),
                false => Diagnostic::error(codes::KEY_NEEDS_MODELS, format!("key `{name}` does not say which models it may use")),
            };
            let help = "list aliases or `provider/model` patterns under `models`; `[\"*\"]` is everything";
            found.add(On::Key, pointer(&["virtual_keys", name]), problem.help(help));
        }
        if let (access, Some(team)) = (Access::of(plan, key), &key.team)
            && team_leaves_nothing(plan, access)
            && !found.is_unsure(&pointer(&["virtual_keys", name]))
            && !found.is_unsure(&pointer(&["teams", team]))
        {
            let problem = format!("key `{name}` may use nothing: its team `{team}` allows none of its models");
            let problem = Diagnostic::warning(codes::TEAM_ALLOWS_NOTHING, problem).help("add the models to the team, or move the key");
            found.add(On::Value, pointer(&["virtual_keys", name, "models"]), problem);
        }
    }
    let used: BTreeSet<&String> = plan.virtual_keys.values().filter_map(|key| key.team.as_ref()).collect();
    let is_unsure = found.is_unsure("/virtual_keys");
    for name in plan.teams.keys().filter(|name| !is_unsure && !used.contains(name) && !meant.teams.contains(*name)) {
        let problem = Diagnostic::warning(codes::TEAM_UNUSED, format!("no key belongs to team `{name}`"))
            .help(format!("write `team: {name}` in a key, or remove the team"));
        found.add(On::Key, pointer(&["teams", name]), problem);
    }
    if plan.gateway.auth == Auth::Required && plan.virtual_keys.is_empty() {
        let problem = Diagnostic::warning(codes::NO_KEYS, "keys are required, but there is no virtual key")
            .help("make one with `bifrostctl key new`, or write `auth: off` on a loopback listener");
        found.add(On::Value, pointer(&["virtual_keys"]), problem);
    }
}

/// Returns whether key and team, of which each allows something, have nothing in common. A pattern that matches nothing at all has been
/// reported already.
fn team_leaves_nothing(plan: &Plan, access: Access<'_>) -> bool {
    let Some(team) = access.of_team() else { return false };
    let is_sound = team.is_empty() || team.allows_something(plan);
    is_sound && access.without_team().allows_something(plan) && !access.allows_something(plan)
}

fn digests(found: &mut Findings<'_>, plan: &Plan) {
    let mut seen: BTreeMap<Digest, (String, String)> = BTreeMap::new();
    for (name, key) in &plan.virtual_keys {
        for (index, hash) in key.hashes.iter().enumerate() {
            let at = pointer(&["virtual_keys", name, "hashes", &index.to_string(), "sha256"]);
            digest(found, &mut seen, hash.sha256, at, format!("key `{name}`"));
        }
    }
    if let Admin::Tcp { listen: _, tokens, allow_plain_http: _ } = &plan.gateway.admin {
        for (name, token) in tokens {
            let at = pointer(&["gateway", "admin", "tokens", name, "sha256"]);
            digest(found, &mut seen, token.sha256, at, format!("admin token `{name}`"));
        }
    }
}

fn digest(found: &mut Findings<'_>, seen: &mut BTreeMap<Digest, (String, String)>, sha256: Digest, at: String, who: String) {
    let Some((first_at, first_who)) = seen.get(&sha256) else {
        seen.insert(sha256, (at, who));
        return;
    };
    let message = if *first_who == who { format!("{who} lists one digest twice") } else { format!("{who} has the digest of {first_who}") };
    let problem = Diagnostic::error(codes::DUPLICATE_HASH, message).help("remove one; make another key with `bifrostctl key new`");
    let problem = match found.place(On::Value, first_at) {
        Some(first) => problem.related(first, "the same digest"),
        None => problem,
    };
    found.add(On::Value, at, problem);
}
