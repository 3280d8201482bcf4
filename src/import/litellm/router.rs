//! Chains, aliases of groups, and how targets are picked: `router_settings`, and what of it stands in `litellm_settings`.

use std::collections::{BTreeMap, BTreeSet};

use super::group::Names;
use crate::import::draft::{Draft, at};
use crate::import::tree::Cursor;
use crate::spec::{Balance, FallbackOn, FallbackRef, Model, TargetRef};

/// The links that a name falls back to, as they are written.
type Chain<'t> = Vec<Cursor<'t>>;

/// The chains of the file, by the name that they are for.
#[derive(Debug, Default)]
pub(super) struct Chains<'t> {
    general: BTreeMap<String, Chain<'t>>,
    context: BTreeMap<String, Chain<'t>>,
    policy: BTreeMap<String, Chain<'t>>,
    /// For names without a chain of their own.
    default: Chain<'t>,
}

impl<'t> Chains<'t> {
    /// Reads the chains of both sections. Those of `router_settings` hold where both have some.
    pub(super) fn read(draft: &mut Draft, router: Option<Cursor<'t>>, library: Option<Cursor<'t>>) -> Self {
        let mut of = |name: &str| {
            let (first, second) = (router.and_then(|it| it.get(name)), library.and_then(|it| it.get(name)));
            if let (Some(_), Some(second)) = (first, second) {
                draft.findings.unsupported(second, "`router_settings` has the same, which holds");
            }
            first.or(second)
        };
        let (general, default) = (of("fallbacks"), of("default_fallbacks"));
        let (context, policy) = (of("context_window_fallbacks"), of("content_policy_fallbacks"));
        let mut chains = Self { general: by_name(general), context: by_name(context), policy: by_name(policy), default: Vec::new() };
        chains.default = chains.general.remove("*").unwrap_or_default();
        chains.default.extend(default.into_iter().flat_map(links));
        chains
    }

    /// Returns the names that have a chain; a star is every name.
    pub(super) fn chained(&self) -> BTreeSet<String> {
        let star = (!self.default.is_empty()).then(|| "*".to_owned());
        self.general.keys().chain(self.context.keys()).chain(self.policy.keys()).cloned().chain(star).collect()
    }

    /// Writes the chains into the aliases.
    pub(super) fn apply(&self, draft: &mut Draft, names: &Names) {
        let aliases: Vec<(String, String)> = names.aliases().collect();
        for (asked, alias) in &aliases {
            let of = |chains: &BTreeMap<String, Chain<'t>>| chains.get(asked).cloned().unwrap_or_default();
            let (mut general, context, policy) = (of(&self.general), of(&self.context), of(&self.policy));
            let is_default = general.is_empty();
            if is_default {
                general = self.default.iter().copied().filter(|it| it.text() != Some(asked.as_str())).collect();
            }
            one(
                draft,
                names,
                alias,
                &[(FallbackOn::ServerError, general), (FallbackOn::ContextWindow, context), (FallbackOn::ContentFilter, policy)],
            );
        }
        self.unknown(draft, names);
    }

    /// Tells of chains for names that the file does not have.
    fn unknown(&self, draft: &mut Draft, names: &Names) {
        for (name, chain) in self.general.iter().chain(&self.context).chain(&self.policy) {
            let is_known = names.asked.contains_key(name);
            for it in chain.iter().filter(|it| !is_known && !draft.findings.knows(**it)).copied().collect::<Vec<_>>() {
                draft.findings.manual(it, None, "the chain is for a model that was not carried over, or that `model_list` does not have");
            }
        }
        for it in &self.default {
            if !draft.findings.knows(*it) {
                draft.findings.approximate(*it, at(&["models"]), "there is no alias that would fall back to it");
            }
        }
    }
}

/// Reads `[{name: [other, …]}, …]`, and a map of the same.
fn by_name(it: Option<Cursor<'_>>) -> BTreeMap<String, Chain<'_>> {
    let mut chains: BTreeMap<String, Chain<'_>> = BTreeMap::new();
    let Some(it) = it else { return chains };
    let maps: Vec<Cursor<'_>> = if it.is_map() { vec![it] } else { it.items().collect() };
    for (name, value) in maps.into_iter().flat_map(Cursor::members) {
        chains.entry(name.to_owned()).or_default().extend(links(value));
    }
    chains
}

fn links(it: Cursor<'_>) -> Vec<Cursor<'_>> {
    if it.is_list() { it.items().collect() } else { vec![it] }
}

/// Writes the chains of one alias: one list here, whatever the failure.
fn one(draft: &mut Draft, names: &Names, alias: &str, chains: &[(FallbackOn, Chain<'_>); 3]) {
    let [(_, general), (_, context), (_, policy)] = chains;
    let special: Vec<FallbackOn> = chains.iter().skip(1).filter(|(_, chain)| !chain.is_empty()).map(|(on, _)| *on).collect();
    let texts = |chain: &Chain<'_>| chain.iter().filter_map(|it| it.text()).map(str::to_owned).collect::<BTreeSet<_>>();
    let used: Vec<&Chain<'_>> = [general, context, policy].into_iter().filter(|chain| !chain.is_empty()).collect();
    let are_same = used.iter().all(|chain| Some(texts(chain)) == used.first().map(|first| texts(first)));
    for (on, chain) in chains {
        for it in chain {
            let why = match on {
                FallbackOn::ServerError if are_same => "moves on after every failure but a refusal of the content filter and other 4xx",
                _ if are_same => "",
                _ => "an alias has one chain for all failures: those for long prompts or refused content are links of the same list",
            };
            link(draft, names, alias, (*it, why));
        }
    }
    let Some(model) = draft.spec.models.get_mut(alias).filter(|model| !model.fallbacks.is_empty()) else { return };
    model.fallback_on = match (general.is_empty(), special.contains(&FallbackOn::ContentFilter)) {
        (true, _) if !special.is_empty() => Some(special),
        (false, true) => Some(EVERY.to_vec()),
        (true | false, _) => None,
    };
}

/// Every failure that a chain may move on after.
const EVERY: [FallbackOn; 10] = [
    FallbackOn::RateLimit,
    FallbackOn::Quota,
    FallbackOn::Auth,
    FallbackOn::Overload,
    FallbackOn::ServerError,
    FallbackOn::Timeout,
    FallbackOn::Connect,
    FallbackOn::ContextWindow,
    FallbackOn::Malformed,
    FallbackOn::ContentFilter,
];

/// Adds one link to a chain, where it adds something and closes no circle.
fn link(draft: &mut Draft, names: &Names, alias: &str, (it, why): (Cursor<'_>, &str)) {
    let became = at(&["models", alias, "fallbacks"]);
    let Some(name) = it.text() else {
        draft.findings.manual(it, became, "a link is the name of a model here, without parameters of its own");
        return;
    };
    let Some(found) = names.link(draft, name) else {
        draft.findings.manual(it, became, "the link names a model that was not carried over, or that `model_list` does not have");
        return;
    };
    let closes = matches!(&found, FallbackRef::Alias(next) if reaches(draft, next, alias));
    let add: Vec<FallbackRef> = match &found {
        FallbackRef::Alias(next) if next == alias => Vec::new(),
        FallbackRef::Alias(next) if closes => direct(draft, next),
        FallbackRef::Alias(_) | FallbackRef::Target { .. } => vec![found],
    };
    let why = if closes { "chains may not run in a circle, so the targets stand here themselves" } else { why };
    if let Some(model) = draft.spec.models.get_mut(alias) {
        for link in add {
            if !model.fallbacks.contains(&link) && !is_own(model, &link) {
                model.fallbacks.push(link);
            }
        }
    }
    if why.is_empty() {
        draft.findings.exact(it, became);
    } else {
        draft.findings.approximate(it, became, why);
    }
}

fn is_own(model: &Model, link: &FallbackRef) -> bool {
    matches!(link, FallbackRef::Target { provider, model: name } if model.targets.iter().any(|it| it.provider == *provider && it.model == *name))
}

/// Returns whether an alias's chain leads to another alias.
fn reaches(draft: &Draft, from: &str, to: &str) -> bool {
    let (mut waiting, mut seen) = (vec![from.to_owned()], BTreeSet::new());
    while let Some(alias) = waiting.pop() {
        if alias == to {
            return true;
        }
        if !seen.insert(alias.clone()) {
            continue;
        }
        let links = draft.spec.models.get(&alias).map(|model| model.fallbacks.as_slice()).unwrap_or_default();
        waiting.extend(links.iter().filter_map(|link| match link {
            FallbackRef::Alias(next) => Some(next.clone()),
            FallbackRef::Target { .. } => None,
        }));
    }
    false
}

fn direct(draft: &Draft, alias: &str) -> Vec<FallbackRef> {
    let targets = draft.spec.models.get(alias).map(|model| model.targets.as_slice()).unwrap_or_default();
    targets.iter().map(|it| FallbackRef::Target { provider: it.provider.clone(), model: it.model.clone() }).collect()
}

/// Makes `model_group_alias` aliases of their own, with what they lead to.
pub(super) fn group_aliases(draft: &mut Draft, names: &mut Names, it: Option<Cursor<'_>>) {
    for (name, value) in it.into_iter().flat_map(Cursor::members) {
        let target = if value.is_map() { value.get("model") } else { Some(value) };
        let Some((target, group)) = target.and_then(|it| Some((it, it.text()?))) else { continue };
        let model = match names.asked.get(group) {
            Some(super::group::Asked::Alias(alias)) => draft.spec.models.get(alias).cloned(),
            Some(super::group::Asked::Direct(direct)) => Some(Model { targets: vec![TargetRef::clone(direct)], ..Model::default() }),
            None => None,
        };
        let Some(model) = model.filter(|_| !names.asked.contains_key(name) && !crate::import::tree::looks_secret(name)) else {
            draft.findings.manual(value, None, "it leads to a model that was not carried over, or bears the name of one");
            continue;
        };
        let alias = names.alias(draft, name, model);
        draft.findings.exact(target, at(&["models", &alias]));
        if let Some(hidden) = value.get("hidden") {
            draft.findings.unsupported(hidden, "every alias that a key may use is listed");
        }
    }
}

/// Carries over how targets are picked, for every alias that has several.
pub(super) fn strategy(draft: &mut Draft, it: Option<Cursor<'_>>) {
    let Some(it) = it else { return };
    let (balance, differs) = match it.text() {
        Some("simple-shuffle") => return draft.findings.exact(it, at(&["models"])),
        Some("least-busy") => (Balance::LeastBusy, None),
        Some("latency-based-routing") => {
            (Balance::Fastest, Some("`fastest` goes by the time to the first content, and by who waits there already"))
        }
        Some("cost-based-routing") => (Balance::Cheapest, Some("`cheapest` goes by what a request of its length costs by the prices here")),
        Some("usage-based-routing" | "usage-based-routing-v2") => {
            (Balance::LeastBusy, Some("`least_busy` goes by the requests that run, not by the tokens of a minute"))
        }
        _ => return draft.findings.approximate(it, at(&["models"]), "this way of picking is not known here: targets are drawn by weight"),
    };
    for model in draft.spec.models.values_mut().filter(|model| model.targets.len() > 1) {
        model.balance = Some(balance);
    }
    match differs {
        None => draft.findings.exact(it, at(&["models"])),
        Some(why) => draft.findings.approximate(it, at(&["models"]), why),
    }
}
