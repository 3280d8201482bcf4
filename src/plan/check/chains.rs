//! Targets and fallback chains: whether there is something to pick, something new in every link, and an end.

use std::collections::BTreeSet;

use super::references::{self, Named};
use crate::base::glob;
use crate::plan::codes;
use crate::plan::finding::{Findings, On, pointer};
use crate::plan::types::{Balance, FallbackRef, Plan, RuleAction, Sticky, Target, TrafficShare};
use crate::spec::Diagnostic;

/// Most aliases of a chain that are looked at; of longer ones only circles are reported.
const CHAIN_LIMIT: usize = 200;

/// An upstream model by provider and name.
type Id<'p> = (&'p str, &'p str);

pub(super) fn check(found: &mut Findings<'_>, plan: &Plan) {
    for (name, model) in &plan.models {
        let who = format!("alias `{name}`");
        members(found, &pointer(&["models", name]), &who, &model.targets, model.balance);
        links(found, plan, name, &model.fallbacks);
        sticky(found, name, model.sticky.as_ref());
    }
    for (index, rule) in plan.rules.iter().enumerate() {
        if let RuleAction::Targets(targets) = &rule.action {
            members(found, &format!("/rules/{index}"), &format!("rule `{}`", rule.name), targets, Balance::Weighted);
        }
    }
    cycles(found, plan);
    for target in references::named(plan) {
        credentials(found, plan, &target);
    }
}

/// Checks targets that are balanced among themselves.
fn members(found: &mut Findings<'_>, at: &str, who: &str, targets: &[Target], balance: Balance) {
    let at = format!("{at}/targets");
    if targets.is_empty() {
        let problem = Diagnostic::error(codes::NO_TARGETS, format!("{who} has no targets")).help("add a target: `provider/model`");
        found.add(On::Value, at, problem);
        return;
    }
    let rest_is_lost = leaves_a_rest(targets) && targets.iter().all(|target| target.weight == 0 || target.share.is_some());
    if balance != Balance::RoundRobin && !found.is_unsure(&at) && rest_is_lost {
        let problem = Diagnostic::error(codes::WEIGHTS_ZERO, format!("every target of {who} has weight 0"))
            .help("give at least one target a weight above 0");
        found.add(On::Value, at.clone(), problem);
    }
    shares(found, &at, who, targets);
    for (index, target) in targets.iter().enumerate() {
        let first = targets.iter().position(|other| (&other.provider, &other.model) == (&target.provider, &target.model));
        if let Some(first) = first.filter(|first| *first < index) {
            twice(found, &at, (first, index), format!("{who} has the target `{}/{}` twice", target.provider, target.model));
        }
    }
}

/// Checks that a header that tells sessions apart can be one.
fn sticky(found: &mut Findings<'_>, name: &str, sticky: Option<&Sticky>) {
    if let Some(Sticky::Header(header)) = sticky
        && header.parse::<http::HeaderName>().is_err()
    {
        let problem = Diagnostic::error(codes::HEADER_INVALID, format!("alias `{name}`: `sticky.header` is not the name of a header"))
            .help("write a name such as `x-session-id`");
        found.add(On::Value, pointer(&["models", name, "sticky", "header"]), problem);
    }
}

/// Returns whether there are targets without a share, and something is left for them.
fn leaves_a_rest(targets: &[Target]) -> bool {
    let fixed = targets.iter().filter_map(|target| target.share).map(|share| u32::from(share.basis_points()));
    targets.iter().any(|target| target.share.is_none()) && fixed.sum::<u32>() < u32::from(TrafficShare::ALL)
}

/// Checks that fixed shares leave something for those that have none, or all for themselves.
fn shares(found: &mut Findings<'_>, at: &str, who: &str, targets: &[Target]) {
    let fixed: Vec<u16> = targets.iter().filter_map(|target| target.share).map(TrafficShare::basis_points).collect();
    let sum: u32 = fixed.iter().map(|points| u32::from(*points)).sum();
    let all = u32::from(TrafficShare::ALL);
    let problem = if sum > all {
        "are more than 100 % together"
    } else if fixed.len() == targets.len() && sum < all {
        "are less than 100 % together, and no target takes the rest"
    } else {
        return;
    };
    let problem = Diagnostic::error(codes::SHARES, format!("the shares of {who} {problem}"))
        .help("a target without a `share` takes what the others leave");
    found.add(On::Value, at.to_owned(), problem);
}

fn twice(found: &mut Findings<'_>, at: &str, (first, second): (usize, usize), message: String) {
    let problem = Diagnostic::error(codes::DUPLICATE_TARGET, message).help("remove one; weights add up in the entry that stays");
    let problem = match found.place(On::Value, &format!("{at}/{first}")) {
        Some(place) => problem.related(place, "the first one"),
        None => problem,
    };
    found.add(On::Value, format!("{at}/{second}"), problem);
}

/// Checks that every link of a chain adds something.
fn links(found: &mut Findings<'_>, plan: &Plan, name: &str, links: &[FallbackRef]) {
    let at = pointer(&["models", name, "fallbacks"]);
    let mut taken = BTreeSet::new();
    if let Some(model) = plan.models.get(name) {
        taken.extend(model.targets.iter().map(|target| (target.provider.as_str(), target.model.as_str())));
    }
    for (index, link) in links.iter().enumerate() {
        if let Some(first) = links.iter().position(|other| other == link).filter(|first| *first < index) {
            twice(found, &at, (first, index), format!("the fallback chain of alias `{name}` has `{link}` twice"));
            continue;
        }
        let adds = reached(plan, link);
        // What does not exist and what runs in a circle has findings of its own.
        let is_sound = match link {
            FallbackRef::Alias(alias) => {
                let below = aliases_below(plan, alias);
                plan.models.contains_key(alias) && !below.contains(name) && below.len() < CHAIN_LIMIT && !adds.is_empty()
            }
            FallbackRef::Target { .. } => true,
        };
        if is_sound && adds.iter().all(|target| taken.contains(target)) {
            let problem = Diagnostic::warning(
                codes::CHAIN_REPEATS,
                format!("`{link}` adds nothing to the chain of alias `{name}`: all of it was tried"),
            )
            .help("remove the link, or name another model");
            found.add(On::Value, format!("{at}/{index}"), problem);
        }
        taken.extend(adds);
    }
}

/// Returns every target that a link leads to, through the chains of its aliases.
pub(super) fn reached<'p>(plan: &'p Plan, link: &'p FallbackRef) -> BTreeSet<Id<'p>> {
    let alias = match link {
        FallbackRef::Target { provider, model } => return BTreeSet::from([(provider.as_str(), model.as_str())]),
        FallbackRef::Alias(alias) => alias,
    };
    let mut targets = BTreeSet::new();
    for alias in aliases_below(plan, alias) {
        let Some(model) = plan.models.get(alias) else { continue };
        targets.extend(model.targets.iter().map(|target| (target.provider.as_str(), target.model.as_str())));
        targets.extend(model.fallbacks.iter().filter_map(|link| match link {
            FallbackRef::Target { provider, model } => Some((provider.as_str(), model.as_str())),
            FallbackRef::Alias(_) => None,
        }));
    }
    targets
}

/// Returns an alias and the aliases that its chain leads to, at most [`CHAIN_LIMIT`].
pub(super) fn aliases_below<'p>(plan: &'p Plan, alias: &'p str) -> BTreeSet<&'p str> {
    let mut seen = BTreeSet::from([alias]);
    let mut waiting = vec![alias];
    while let Some(alias) = waiting.pop().filter(|_| seen.len() < CHAIN_LIMIT) {
        for link in plan.models.get(alias).map(|model| model.fallbacks.as_slice()).unwrap_or_default() {
            if let FallbackRef::Alias(next) = link
                && seen.insert(next)
            {
                waiting.push(next);
            }
        }
    }
    seen
}

/// Reports each circle once, at the link that closes it.
fn cycles(found: &mut Findings<'_>, plan: &Plan) {
    let mut done = BTreeSet::new();
    for start in plan.models.keys() {
        // A path through the aliases, each with the link to look at next; no recursion, for a chain may be as long as the file.
        let mut path: Vec<(&str, usize)> = vec![(start, 0)];
        while let Some((alias, link)) = path.last_mut() {
            let alias: &str = alias;
            let next = plan.models.get(alias).filter(|_| !done.contains(alias)).and_then(|model| model.fallbacks.get(*link));
            let Some(next) = next else {
                done.insert(alias);
                path.pop();
                continue;
            };
            let index = *link;
            *link += 1;
            let FallbackRef::Alias(next) = next else { continue };
            match path.iter().position(|(on_path, _)| on_path == next) {
                Some(first) => {
                    let circle: Vec<&str> = path.iter().skip(first).map(|(name, _)| *name).chain([next.as_str()]).collect();
                    let problem = Diagnostic::error(
                        codes::FALLBACK_CYCLE,
                        format!("the fallback chain runs in a circle: `{}`", circle.join("` → `")),
                    )
                    .help("remove one of these links");
                    found.add(On::Value, pointer(&["models", alias, "fallbacks", &index.to_string()]), problem);
                }
                None => path.push((next, 0)),
            }
        }
    }
}

/// Checks that a target has a credential that may be used for it.
fn credentials(found: &mut Findings<'_>, plan: &Plan, target: &Named<'_>) {
    let Some(provider) = plan.providers.get(target.provider) else { return };
    if provider.credentials.values().any(|credential| glob::any(&credential.models, target.model)) {
        return;
    }
    let message = format!("no credential of provider `{}` may be used for model `{}`", target.provider, target.model);
    let problem = Diagnostic::error(codes::NO_CREDENTIAL_FOR_MODEL, message)
        .help("add the model to the `models` of a credential, or a credential without `models`");
    found.add(On::Value, target.at.clone(), problem);
}
