//! Names: which characters they hold, and what they could be taken for.

use std::collections::BTreeMap;

use crate::plan::codes;
use crate::plan::finding::{Findings, On, pointer};
use crate::plan::types::Plan;
use crate::spec::Diagnostic;

const LONGEST: usize = 128;

pub(super) fn check(found: &mut Findings<'_>, plan: &Plan) {
    for (name, provider) in &plan.providers {
        name_of(found, On::Key, pointer(&["providers", name]), "provider", name);
        for credential in provider.credentials.keys() {
            name_of(found, On::Key, pointer(&["providers", name, "credentials", credential]), "credential", credential);
        }
    }
    for name in plan.models.keys() {
        name_of(found, On::Key, pointer(&["models", name]), "alias", name);
        if plan.providers.contains_key(name) {
            let problem = Diagnostic::warning(codes::ALIAS_SHADOWS, format!("alias `{name}` has the name of a provider"))
                .help("give the alias a name that says what it is for");
            let problem = match found.place(On::Key, &pointer(&["providers", name])) {
                Some(provider) => problem.related(provider, "the provider"),
                None => problem,
            };
            found.add(On::Key, pointer(&["models", name]), problem);
        }
    }
    rule_names(found, plan);
    for name in plan.teams.keys() {
        name_of(found, On::Key, pointer(&["teams", name]), "team", name);
    }
    for name in plan.budgets.keys() {
        name_of(found, On::Key, pointer(&["budgets", name]), "budget", name);
    }
    for name in plan.virtual_keys.keys() {
        name_of(found, On::Key, pointer(&["virtual_keys", name]), "virtual key", name);
    }
}

fn rule_names(found: &mut Findings<'_>, plan: &Plan) {
    let mut seen: BTreeMap<&str, String> = BTreeMap::new();
    for (index, rule) in plan.rules.iter().enumerate() {
        let at = pointer(&["rules", &index.to_string(), "name"]);
        name_of(found, On::Value, at.clone(), "rule", &rule.name);
        match seen.get(rule.name.as_str()) {
            None => {
                seen.insert(&rule.name, at);
            }
            Some(first) => {
                let problem = Diagnostic::error(codes::RULE_NAME_TWICE, format!("two rules are named `{}`", rule.name))
                    .help("give each rule a name of its own");
                let problem = match found.place(On::Value, first) {
                    Some(first) => problem.related(first, "the first one"),
                    None => problem,
                };
                found.add(On::Value, at, problem);
            }
        }
    }
}

fn name_of(found: &mut Findings<'_>, on: On, at: String, kind: &str, name: &str) {
    let bad = name.chars().find(|c| c.is_whitespace() || c.is_control() || matches!(c, '/' | '*' | '?'));
    let problem = match bad {
        _ if name.is_empty() => format!("the name of a {kind} is empty"),
        _ if name.chars().count() > LONGEST => format!("the name of a {kind} has more than {LONGEST} characters"),
        Some(' ') => format!("{kind} `{name}` has a space in its name"),
        Some(bad) => format!("{kind} `{}` has `{}` in its name", name.escape_debug(), bad.escape_debug()),
        None => return,
    };
    let problem = Diagnostic::error(codes::BAD_NAME, problem).help("use letters, digits, `-`, `_` and `.`");
    found.add(on, at, problem);
}
