//! Rate limits that let nothing through, limit nothing, or can never be reached.

use crate::plan::codes;
use crate::plan::finding::{Findings, On, pointer};
use crate::plan::types::{Plan, RateLimits};
use crate::spec::Diagnostic;

pub(super) fn check(found: &mut Findings<'_>, plan: &Plan) {
    for (name, provider) in &plan.providers {
        limits(found, ("providers", name), &provider.limits);
    }
    for (name, model) in &plan.models {
        limits(found, ("models", name), &model.limits);
    }
    for (name, team) in &plan.teams {
        limits(found, ("teams", name), &team.limits);
    }
    for (name, key) in &plan.virtual_keys {
        limits(found, ("virtual_keys", name), &key.limits);
        if let Some((team, limits)) = key.team.as_ref().and_then(|team| Some((team, &plan.teams.get(team)?.limits))) {
            above(found, (name, &key.limits), (team, limits));
        }
    }
}

fn limits(found: &mut Findings<'_>, (section, name): (&str, &str), limits: &RateLimits) {
    let at = pointer(&[section, name, "limits"]);
    if *limits == RateLimits::default() && found.loaded.value.pointer(&at).is_some() {
        let problem = Diagnostic::warning(codes::LIMIT_EMPTY, format!("the limits of `{name}` limit nothing"))
            .help("write `requests: 600/min`, `tokens: 200k/min` or `concurrency: 20`, or remove them");
        found.add(On::Key, at.clone(), problem);
    }
    for (measure, limit) in [("requests", &limits.requests), ("tokens", &limits.tokens)] {
        if limit.is_some_and(|limit| limit.rate.count == 0) {
            let problem = Diagnostic::error(codes::LIMIT_ZERO, format!("`{name}` would let no {measure} through at all"))
                .help("give it a rate, or remove the limit; a key is refused with `disabled: true`");
            found.add(On::Value, format!("{at}/{measure}"), problem);
        }
    }
}

/// Notes limits of a key that its team's stops first.
fn above(found: &mut Findings<'_>, (key, own): (&str, &RateLimits), (team, whole): (&str, &RateLimits)) {
    let rates = [("requests", own.requests, whole.requests), ("tokens", own.tokens, whole.tokens)];
    let above = rates.into_iter().filter(|(_, own, whole)| own.zip(*whole).is_some_and(|(own, whole)| own.rate.is_faster_than(whole.rate)));
    let mut above: Vec<&str> = above.map(|(measure, ..)| measure).collect();
    if own.concurrency.zip(whole.concurrency).is_some_and(|(own, whole)| own > whole) {
        above.push("concurrency");
    }
    for measure in above {
        let problem = format!("key `{key}` never reaches its limit of {measure}: that of its team `{team}` is lower");
        let problem = Diagnostic::info(codes::LIMIT_ABOVE_TEAM, problem).help("lower it, raise the team's, or leave it to the team's");
        let problem = match found.place(On::Value, &pointer(&["teams", team, "limits", measure])) {
            Some(place) => problem.related(place, "the team's"),
            None => problem,
        };
        found.add(On::Value, pointer(&["virtual_keys", key, "limits", measure]), problem);
    }
}
