//! Rows of one `model_name` as one alias with several targets.
//!
//! Rule: a name that clients write today is one that they can write here: where it cannot be the name of an alias, a rule leads it to one.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Number, Value};

use super::deployment::Deployment;
use crate::import::draft::{Draft, at, free, literal, tidy_name, uninterpolated};
use crate::import::tree::Cursor;
use crate::import::weight;
use crate::spec::{FallbackRef, Model, Rule, TargetRef};

/// What a name that clients write leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Asked {
    /// An alias.
    Alias(String),
    /// A provider's model, without an alias between.
    Direct(TargetRef),
}

/// The names that clients write, and what each leads to.
#[derive(Debug, Default)]
pub(super) struct Names {
    pub(super) asked: BTreeMap<String, Asked>,
}

impl Names {
    /// Returns the link of a chain that a name is.
    pub(super) fn link(&self, draft: &Draft, name: &str) -> Option<FallbackRef> {
        let target = |it: &TargetRef| FallbackRef::Target { provider: it.provider.clone(), model: it.model.clone() };
        match self.asked.get(name) {
            Some(Asked::Alias(alias)) => Some(FallbackRef::Alias(alias.clone())),
            Some(Asked::Direct(direct)) => Some(target(direct)),
            None => {
                let direct: TargetRef = name.parse().ok()?;
                draft.spec.providers.contains_key(&direct.provider).then(|| target(&TargetRef { model: literal(&direct.model), ..direct }))
            }
        }
    }

    /// Returns the names that lead to aliases, with the aliases.
    pub(super) fn aliases(&self) -> impl Iterator<Item = (String, String)> + '_ {
        self.asked.iter().filter_map(|(asked, to)| match to {
            Asked::Alias(alias) => Some((asked.clone(), alias.clone())),
            Asked::Direct(_) => None,
        })
    }

    /// Adds an alias under a name that clients write, with a rule where it cannot bear that name. Returns what it is called.
    pub(super) fn alias(&mut self, draft: &mut Draft, name: &str, model: Model) -> String {
        let taken = |wish: &str| draft.spec.models.contains_key(wish) || draft.spec.providers.contains_key(wish);
        let alias = free(&tidy_name(name, "model"), taken);
        if alias != name {
            let quoted = Value::String(name.to_owned());
            let rules = &draft.spec.rules;
            let rule = free(&alias, |wish| rules.iter().any(|rule| rule.name == wish));
            let when = literal(&format!("model == {quoted}"));
            draft.spec.rules.push(Rule { name: rule, when, use_alias: Some(alias.clone()), targets: None, deny: None });
        }
        draft.spec.models.insert(alias.clone(), model);
        self.asked.insert(name.to_owned(), Asked::Alias(alias.clone()));
        alias
    }
}

/// Members that the gateway sets itself.
const RESERVED: [&str; 6] = ["model", "messages", "input", "prompt", "stream", "stream_options"];

/// Members of a request's body that rows set.
pub(super) const BODY: [&str; 31] = [
    "temperature",
    "top_p",
    "top_k",
    "min_p",
    "max_tokens",
    "max_completion_tokens",
    "n",
    "stop",
    "presence_penalty",
    "frequency_penalty",
    "repetition_penalty",
    "seed",
    "user",
    "response_format",
    "tools",
    "tool_choice",
    "functions",
    "function_call",
    "logit_bias",
    "logprobs",
    "top_logprobs",
    "parallel_tool_calls",
    "reasoning_effort",
    "reasoning",
    "thinking",
    "service_tier",
    "store",
    "verbosity",
    "modalities",
    "dimensions",
    "encoding_format",
];

/// Makes the aliases. `chained` are names that have a fallback chain.
pub(super) fn build(draft: &mut Draft, rows: &[Deployment<'_>], chained: &BTreeSet<String>) -> Names {
    let mut names = Names::default();
    let mut order: Vec<&str> = Vec::new();
    for row in rows {
        if !order.contains(&row.asked) {
            order.push(row.asked);
        }
    }
    for asked in order {
        let group: Vec<&Deployment<'_>> = rows.iter().filter(|row| row.asked == asked).collect();
        if asked.contains('*') {
            group.iter().for_each(|row| wildcard(draft, row));
        } else {
            one(draft, &mut names, &group, chained.contains(asked) || chained.contains("*"));
        }
    }
    names
}

/// Tells of a row that stands for many models.
fn wildcard(draft: &mut Draft, row: &Deployment<'_>) {
    let Some(name) = row.row.get("model_name") else { return };
    let became = at(&["providers", &row.provider]);
    let prefix = row.asked.strip_suffix("/*").filter(|prefix| !prefix.contains('*'));
    let is_whole = row.model == "*";
    match prefix {
        Some(prefix) if prefix == row.provider && is_whole => draft.findings.exact(name, became),
        Some(_) if is_whole => {
            let why = format!("clients write `{}/MODEL` here", row.provider);
            draft.findings.approximate(name, became, why);
        }
        None if row.asked == "*" && is_whole => {
            let why = format!("clients write `{}/MODEL` here; a name without a provider leads nowhere unless it is an alias", row.provider);
            draft.findings.approximate(name, became, why);
        }
        _ => {
            let why =
                format!("an alias has no pattern in its name: clients write `{}/MODEL`, or each name is written as an alias", row.provider);
            draft.findings.manual(name, became, why);
        }
    }
}

fn one(draft: &mut Draft, names: &mut Names, group: &[&Deployment<'_>], has_chain: bool) {
    let Some(first) = group.first() else { return };
    let direct = TargetRef { provider: first.provider.clone(), model: first.model.clone(), weight: None, share: None };
    let is_direct = group.len() == 1 && !has_chain && first.asked == direct.to_string() && own_body(first).is_empty();
    if is_direct {
        if let Some(name) = first.row.get("model_name") {
            draft.findings.exact(name, at(&["providers", &first.provider]));
        }
        names.asked.insert(first.asked.to_owned(), Asked::Direct(direct));
        return;
    }
    let (now, later) = by_order(group);
    let mut model = Model { targets: targets(draft, &now), ..Model::default() };
    for row in &later {
        let link = FallbackRef::Target { provider: row.provider.clone(), model: row.model.clone() };
        let is_target = model.targets.iter().any(|it| it.provider == row.provider && it.model == row.model);
        if !is_target && !model.fallbacks.contains(&link) {
            model.fallbacks.push(link);
        }
    }
    let alias = names.alias(draft, first.asked, model);
    for row in group {
        let Some(name) = row.row.get("model_name") else { continue };
        if alias == row.asked {
            draft.findings.exact(name, at(&["models", &alias]));
        } else {
            let why = format!(
                "no alias can bear this name (a slash, a space, or the name of a provider): a rule leads it to `{alias}`, for keys that may ask for it"
            );
            draft.findings.approximate(name, at(&["models", &alias]), why);
        }
    }
    let is_split = draft.spec.models.get(&alias).is_some_and(|model| model.targets.len() > 1);
    // Several keys of one target: the weights are theirs.
    let place = if is_split { ["models", &alias, "targets"] } else { ["providers", &first.provider, "credentials"] };
    weight::tell(draft, now.iter().filter_map(|row| row.params.get("weight")), &place);
    for it in later.iter().filter_map(|row| row.params.get("weight")) {
        draft.findings.unsupported(it, "who comes later by `order` is a link of the chain, which has no weight");
    }
    body(draft, &alias, group);
    orders(draft, &alias, group);
}

/// Parts a group by `order`: who is asked first, and who is asked when those fail, in their order.
fn by_order<'g, 't>(group: &[&'g Deployment<'t>]) -> (Vec<&'g Deployment<'t>>, Vec<&'g Deployment<'t>>) {
    let order = |row: &Deployment<'_>| row.params.get("order").and_then(Cursor::whole).unwrap_or(u64::MAX);
    let first = group.iter().map(|row| order(row)).min().unwrap_or(u64::MAX);
    let (now, mut later): (Vec<_>, Vec<_>) = group.iter().copied().partition(|row| order(row) == first);
    later.sort_by_key(|row| order(row));
    (now, later)
}

fn orders(draft: &mut Draft, alias: &str, group: &[&Deployment<'_>]) {
    for it in group.iter().filter_map(|row| row.params.get("order")) {
        if it.whole().is_some() {
            draft.findings.approximate(
                it,
                at(&["models", alias, "fallbacks"]),
                "who comes later is a link of the chain, tried in order and without weights",
            );
        }
    }
}

/// Returns the weights that LiteLLM's shuffle gives rows: `weight`, else `rpm`, else `tpm`, by what the first has; and which of them it was.
fn shuffled(group: &[&Deployment<'_>]) -> (Vec<u32>, Option<&'static str>) {
    let by = ["weight", "rpm", "tpm"].into_iter().find(|by| group.first().is_some_and(|row| row.params.get(by).is_some()));
    let numbers: Vec<Option<&Number>> = group.iter().map(|row| by.and_then(|by| row.params.get(by)?.number())).collect();
    (weight::whole(&numbers, by.is_some()), by)
}

/// Returns what each row weighs among those of its name that are asked with it, by the row's number.
pub(super) fn shares(rows: &[Deployment<'_>]) -> BTreeMap<usize, u32> {
    let names: BTreeSet<&str> = rows.iter().map(|row| row.asked).collect();
    let of = |asked: &str| -> Vec<(usize, u32)> {
        let group: Vec<&Deployment<'_>> = rows.iter().filter(|row| row.asked == asked).collect();
        let (now, _) = by_order(&group);
        let (weights, _) = shuffled(&now);
        now.iter().map(|row| row.row.id()).zip(weights).collect()
    };
    names.into_iter().flat_map(of).collect()
}

/// Makes the targets of rows, with their weights.
fn targets(draft: &mut Draft, group: &[&Deployment<'_>]) -> Vec<TargetRef> {
    let (weights, by) = shuffled(group);
    let mut targets: Vec<TargetRef> = Vec::new();
    for (row, weight) in group.iter().zip(&weights) {
        match targets.iter_mut().find(|it| it.provider == row.provider && it.model == row.model) {
            // Several keys for one model are credentials of one target.
            Some(same) => same.weight = Some(same.weight.unwrap_or(1).saturating_add(*weight).min(weight::MOST)),
            None => {
                targets.push(TargetRef { provider: row.provider.clone(), model: row.model.clone(), weight: Some(*weight), share: None })
            }
        }
    }
    if let Some(by) = by {
        unpicked(draft, group, by);
    }
    weight::tidy(&mut targets);
    targets
}

/// Tells of rows that LiteLLM never picks, because they lack what the first of the group is weighed by.
fn unpicked(draft: &mut Draft, group: &[&Deployment<'_>], by: &str) {
    for row in group.iter().filter(|row| row.params.get(by).is_none()) {
        let Some(it) = row.params.get("model") else { continue };
        let why = format!("the first row of the group has `{by}` and this one has none, so LiteLLM never picks it; its weight here is 0");
        draft.findings.approximate(it, at(&["providers", &row.provider]), why);
    }
}

/// Returns the members of the body that a row sets.
fn own_body<'t>(row: &Deployment<'t>) -> Vec<(&'static str, Cursor<'t>)> {
    BODY.iter().filter_map(|name| Some((*name, row.params.own.get(name)?))).collect()
}

/// Makes what all rows set a default of the alias, and tells of what only some do.
fn body(draft: &mut Draft, alias: &str, group: &[&Deployment<'_>]) {
    let value = |row: &Deployment<'_>, name: &str| row.params.own.get(name).and_then(Cursor::json);
    for row in group {
        for (name, it) in own_body(row).into_iter().filter(|(name, _)| !RESERVED.contains(name)) {
            let Some(own) = value(row, name) else { continue };
            let is_shared = group.iter().all(|other| value(other, name).as_ref() == Some(&own));
            if !is_shared {
                draft.findings.unsupported(it, "defaults are those of the whole alias, and its rows differ in this");
                continue;
            }
            if let Some(model) = draft.spec.models.get_mut(alias) {
                model.defaults.insert(name.to_owned(), uninterpolated(own));
            }
            let became = at(&["models", alias, "defaults", name]);
            for leaf in it.leaves() {
                draft.findings.exact(leaf, became.clone());
            }
        }
    }
}
