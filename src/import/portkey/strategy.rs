//! Strategies: an alias with its targets, its chain, and rules where a condition decides.

use std::collections::BTreeSet;

use serde_json::Number;

use super::leaf::{self, Leaf};
use super::{Scope, overrides, query};
use crate::import::draft::{Draft, at, free, literal, tidy_name};
use crate::import::tree::Cursor;
use crate::import::weight;
use crate::spec::{FallbackOn, FallbackRef, Model, Rule, TargetRef};

/// What a node of the configuration came to.
#[derive(Debug, Clone)]
struct Node<'t> {
    model: Model,
    leaves: Vec<Leaf<'t>>,
}

/// Carries the whole over as an alias of this name.
pub(super) fn root(draft: &mut Draft, it: Cursor<'_>, name: &str) {
    let scope = Scope::default();
    let mode = mode(it);
    let node = if mode == Some("conditional") { conditional(draft, &scope, it, name) } else { node(draft, &scope, it, name) };
    let Some(node) = node else { return };
    add(draft, name, node);
}

/// Adds an alias, with what all of its targets always send.
fn add(draft: &mut Draft, wish: &str, node: Node<'_>) -> String {
    let taken = |name: &str| draft.spec.models.contains_key(name) || draft.spec.providers.contains_key(name);
    let alias = free(&tidy_name(wish, "config"), taken);
    draft.spec.models.insert(alias.clone(), node.model);
    overrides::write(draft, &alias, &node.leaves);
    alias
}

/// The codes after which a chain goes on; without them Portkey's goes on after every failure.
const CODES: [&str; 2] = ["on_status_codes", "onStatusCodes"];

fn mode<'t>(it: Cursor<'t>) -> Option<&'t str> {
    it.get("strategy").and_then(|strategy| strategy.get("mode")).and_then(Cursor::text)
}

/// Reads a node: a target, or a strategy over targets. None where it leads nowhere, which is told.
fn node<'t>(draft: &mut Draft, scope: &Scope<'t>, it: Cursor<'t>, name: &str) -> Option<Node<'t>> {
    if it.get("targets").is_none() {
        let leaf = leaf::read(draft, &scope.below(it), it)?;
        let model = Model { targets: vec![leaf.target.clone()], ..Model::default() };
        return Some(Node { model, leaves: vec![leaf] });
    }
    let inner = scope.below(it);
    if let Some(mode) = it.get("strategy").and_then(|strategy| strategy.get("mode")) {
        match mode.text() {
            Some("fallback") if it.get("strategy").is_none_or(|strategy| strategy.any(&CODES).is_none()) => {
                let why = "moves on after every failure but a refusal of the content filter and other 4xx";
                draft.findings.approximate(mode, at(&["models", name, "fallbacks"]), why);
            }
            Some("single" | "fallback" | "loadbalance") => draft.findings.exact(mode, at(&["models", name])),
            _ => {
                let why = "a strategy of this kind, at this place, has no counterpart: conditions are rules over whole requests";
                draft.findings.manual(it, None, why);
                return None;
            }
        }
    }
    let targets: Vec<Cursor<'t>> = it.get("targets").into_iter().flat_map(Cursor::items).collect();
    if targets.is_empty() {
        draft.findings.manual(it, None, "it has no targets, so it leads nowhere");
        return None;
    }
    let mut nodes = Vec::new();
    for (index, target) in targets.iter().enumerate() {
        let own = target.get("name").and_then(Cursor::text).map_or_else(|| (index + 1).to_string(), str::to_owned);
        if let Some(node) = node(draft, &inner, *target, &format!("{name}-{own}")) {
            nodes.push((*target, own, node));
        }
    }
    for target in &targets {
        if let Some(label) = target.get("name") {
            draft.findings.exact(label, at(&["models"]));
        }
    }
    let found = match mode(it) {
        Some("loadbalance") => balanced(draft, nodes, name),
        Some("fallback") => chained(draft, nodes, name),
        _ => single(draft, nodes),
    };
    let mut found = found?;
    moves_on(draft, it, name, &mut found.model);
    Some(found)
}

type Nodes<'t> = Vec<(Cursor<'t>, String, Node<'t>)>;

/// The first is all that there is.
fn single<'t>(draft: &mut Draft, nodes: Nodes<'t>) -> Option<Node<'t>> {
    let mut nodes = nodes.into_iter();
    let (_, _, first) = nodes.next()?;
    for (target, ..) in nodes {
        draft.findings.unsupported(target, "of several targets only the first is ever called");
    }
    Some(first)
}

/// Puts all targets into one list with weights. A chain within becomes that of the whole.
fn balanced<'t>(draft: &mut Draft, nodes: Nodes<'t>, name: &str) -> Option<Node<'t>> {
    let one = Number::from(1);
    let numbers: Vec<&Number> = nodes.iter().map(|(target, ..)| target.get("weight").and_then(Cursor::number).unwrap_or(&one)).collect();
    let weights = weight::whole(&numbers.into_iter().map(Some).collect::<Vec<_>>(), true);
    weight::tell(draft, nodes.iter().filter_map(|(target, ..)| target.get("weight")), &["models", name, "targets"]);
    let mut whole = Node { model: Model::default(), leaves: Vec::new() };
    // A group's weight is shared among its members, so everything is first made so fine that it comes out whole.
    let share = |model: &Model| model.targets.iter().map(|target| u64::from(target.weight.unwrap_or(1))).sum::<u64>().max(1);
    let fine: u64 = nodes.iter().map(|(_, _, node)| share(&node.model)).fold(1, |all, one| all.saturating_mul(one).min(1_000_000));
    let mut shares: Vec<u64> = Vec::new();
    keys(draft, &nodes, &weights);
    for ((target, _, node), weight) in nodes.into_iter().zip(weights) {
        let sum = share(&node.model);
        if !node.model.fallbacks.is_empty()
            && let Some(it) = target.get("strategy").and_then(|strategy| strategy.get("mode"))
        {
            draft.findings.approximate(it, at(&["models", name, "fallbacks"]), "an alias has one chain for all of its targets");
        }
        for member in &node.model.targets {
            let own = u64::from(weight).saturating_mul(fine).saturating_mul(u64::from(member.weight.unwrap_or(1))) / sum;
            match whole.model.targets.iter().position(|known| (&known.provider, &known.model) == (&member.provider, &member.model)) {
                Some(index) => shares.iter_mut().skip(index).take(1).for_each(|share| *share = share.saturating_add(own)),
                None => {
                    whole.model.targets.push(TargetRef { weight: None, ..member.clone() });
                    shares.push(own);
                }
            }
        }
        whole.model.fallback_on = whole.model.fallback_on.or(node.model.fallback_on);
        for link in node.model.fallbacks {
            if !whole.model.fallbacks.contains(&link) {
                whole.model.fallbacks.push(link);
            }
        }
        whole.leaves.extend(node.leaves);
    }
    let numbers: Vec<Number> = shares.into_iter().map(Number::from).collect();
    let weights = weight::whole(&numbers.iter().map(Some).collect::<Vec<_>>(), true);
    for (target, weight) in whole.model.targets.iter_mut().zip(weights) {
        target.weight = Some(weight);
    }
    weight::tidy(&mut whole.model.targets);
    (!whole.model.targets.is_empty()).then_some(whole)
}

/// Gives several keys of one model, which are one target here, their weights.
fn keys(draft: &mut Draft, nodes: &Nodes<'_>, weights: &[u32]) {
    let direct: Vec<(&Leaf<'_>, u32)> = nodes
        .iter()
        .zip(weights)
        .filter_map(|((_, _, node), weight)| match node.leaves.as_slice() {
            [only] => Some((only, *weight)),
            _ => None,
        })
        .collect();
    let is_same = |a: &TargetRef, b: &TargetRef| (&a.provider, &a.model) == (&b.provider, &b.model);
    for (leaf, weight) in &direct {
        let others = direct.iter().filter(|(other, _)| is_same(&other.target, &leaf.target));
        let differ =
            others.clone().any(|(other, _)| other.credential != leaf.credential) && others.clone().any(|(_, other)| other != weight);
        let provider = draft.spec.providers.get_mut(&leaf.target.provider).filter(|_| differ);
        if let Some(credential) = provider.and_then(|it| it.credentials.get_mut(&leaf.credential)) {
            credential.weight = credential.weight.or(Some(*weight).filter(|weight| *weight != 1));
        }
    }
    for provider in draft.spec.providers.values_mut().filter(|it| it.credentials.values().all(|key| key.weight == Some(0))) {
        provider.credentials.values_mut().for_each(|key| key.weight = None);
    }
}

/// The first is the target, all others are links of the chain. A strategy within is an alias of its own.
fn chained<'t>(draft: &mut Draft, nodes: Nodes<'t>, name: &str) -> Option<Node<'t>> {
    let mut nodes = nodes.into_iter();
    let (_, _, mut whole) = nodes.next()?;
    for (target, own, node) in nodes {
        whole.leaves.extend(node.leaves.iter().cloned());
        let link = match node.model.targets.as_slice() {
            [only] if node.model.fallbacks.is_empty() => FallbackRef::Target { provider: only.provider.clone(), model: only.model.clone() },
            _ => FallbackRef::Alias(add(draft, &format!("{name}-{own}"), node)),
        };
        if let Some(it) = target.get("weight") {
            draft.findings.unsupported(it, "a chain is tried in its order");
        }
        let is_own = matches!(&link, FallbackRef::Target { provider, model } if whole.model.targets.iter().any(|it| it.provider == *provider && it.model == *model));
        if !is_own && !whole.model.fallbacks.contains(&link) {
            whole.model.fallbacks.push(link);
        }
    }
    Some(whole)
}

/// After which failures the chain goes on.
fn moves_on(draft: &mut Draft, it: Cursor<'_>, name: &str, model: &mut Model) {
    let Some(codes) = it.get("strategy").and_then(|strategy| strategy.any(&CODES)) else { return };
    let listed: Vec<u64> = codes.items().filter_map(Cursor::whole).collect();
    let place = at(&["models", name, "fallback_on"]);
    if listed.is_empty() || model.fallbacks.is_empty() {
        draft.findings.unsupported(codes, "there is no chain that could go on");
        return;
    }
    let of = |code: u64| -> &[FallbackOn] {
        match code {
            402 => &[FallbackOn::Quota],
            401 | 403 => &[FallbackOn::Auth],
            429 => &[FallbackOn::RateLimit, FallbackOn::Quota],
            408 => &[FallbackOn::Timeout],
            503 | 529 => &[FallbackOn::Overload],
            500..=599 => &[FallbackOn::ServerError],
            _ => &[],
        }
    };
    let mut on: BTreeSet<FallbackOn> = listed.iter().flat_map(|code| of(*code).iter().copied()).collect();
    // Where the server's errors move a request on, so does a server that cannot be reached.
    if on.contains(&FallbackOn::ServerError) || on.contains(&FallbackOn::Overload) {
        on.extend([FallbackOn::Connect, FallbackOn::Timeout, FallbackOn::Malformed]);
    }
    if on.is_empty() {
        draft.findings.unsupported(codes, "failures are classes here, and none of these is in one");
        return;
    }
    model.fallback_on = Some(on.into_iter().collect());
    draft.findings.approximate(codes, place, "failures are classes here, not status codes: each code stands for its class");
}

/// Conditions as rules: the alias is what is asked for where none of them holds.
fn conditional<'t>(draft: &mut Draft, scope: &Scope<'t>, it: Cursor<'t>, name: &str) -> Option<Node<'t>> {
    let strategy = it.get("strategy")?;
    let inner = scope.below(it);
    let mut nodes: Vec<(String, Node<'t>)> = Vec::new();
    for target in it.get("targets").into_iter().flat_map(Cursor::items) {
        let Some((label, own)) = target.get("name").and_then(|it| Some((it, it.text()?))) else {
            draft.findings.manual(target, None, "a condition leads to a target by its name, and this one has none");
            continue;
        };
        draft.findings.exact(label, at(&["models"]));
        if let Some(node) = node(draft, &inner, target, &format!("{name}-{own}")) {
            nodes.push((own.to_owned(), node));
        }
    }
    if let Some(mode) = strategy.get("mode") {
        draft.findings.exact(mode, at(&["rules"]));
    }
    let find = |wanted: Option<&str>| nodes.iter().find(|(own, _)| Some(own.as_str()) == wanted).map(|(_, node)| node.clone());
    for condition in strategy.get("conditions").into_iter().flat_map(Cursor::items) {
        let then = condition.get("then");
        let leads = find(then.and_then(Cursor::text));
        let when = condition.get("query").and_then(query::translate);
        let (Some(then), Some(leads), Some(when)) = (then, leads, when) else {
            let why = "its condition has something in it that has no counterpart, or leads to a target that was not carried over: write the rule by hand";
            draft.findings.manual(condition, at(&["rules"]), why);
            continue;
        };
        let wish = format!("{name}-{}", then.text().unwrap_or_default());
        let alias =
            if draft.spec.models.contains_key(&tidy_name(&wish, "config")) { tidy_name(&wish, "config") } else { add(draft, &wish, leads) };
        let own = format!("model == {}", serde_json::Value::String(name.to_owned()));
        let text = if when.is_about_model { when.text } else { format!("{own} and {}", when.text) };
        let rule = draft.rule_name(&alias);
        draft.spec.rules.push(Rule { name: rule, when: literal(&text), use_alias: Some(alias.clone()), targets: None, deny: None });
        draft.findings.exact(then, at(&["models", &alias]));
        for leaf in condition.get("query").map(Cursor::leaves).unwrap_or_default() {
            match when.is_exact {
                true => draft.findings.exact(leaf, at(&["rules"])),
                false => draft.findings.approximate(
                    leaf,
                    at(&["rules"]),
                    "metadata of a request are labels of its key here: write them under `labels`",
                ),
            }
        }
    }
    let default = strategy.get("default");
    let chosen = find(default.and_then(Cursor::text));
    match (default, &chosen) {
        (Some(it), Some(_)) => draft.findings.exact(it, at(&["models", name])),
        (Some(it), None) => draft.findings.manual(it, None, "it leads to a target that was not carried over"),
        (None, _) => {}
    }
    chosen.or_else(|| nodes.into_iter().next().map(|(_, node)| node))
}
