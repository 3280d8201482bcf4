//! Keys, teams and customers, with their budgets and limits, which Bifrost keeps in lists that refer to one another by id.

use std::collections::BTreeSet;

use super::Names;
use super::allowed;
use super::provider::SPELLING;
use crate::import::amount::{Length, dollars};
use crate::import::draft::{Draft, at, free, literal, tidy_name};
use crate::import::keys;
use crate::import::secret::{Held, held};
use crate::import::tree::Cursor;
use crate::spec::{BudgetRef, KeyHash, RateLimits, Team, VirtualKey};

/// Reads everything that governs who may ask for what.
pub(super) fn read(draft: &mut Draft, names: &mut Names, it: Cursor<'_>) {
    let ledger = Ledger { it };
    for customer in items(it, "customers") {
        self::customer(draft, names, &ledger, customer);
    }
    for team in items(it, "teams") {
        self::team(draft, names, &ledger, team);
    }
    for key in items(it, "virtual_keys") {
        self::key(draft, names, &ledger, key);
    }
    ledger.rest(draft);
}

fn items<'t>(it: Cursor<'t>, name: &str) -> impl Iterator<Item = Cursor<'t>> {
    it.get(name).into_iter().flat_map(Cursor::items)
}

/// The lists of budgets and limits.
struct Ledger<'t> {
    it: Cursor<'t>,
}

impl<'t> Ledger<'t> {
    fn by_id(&self, list: &str, id: &str) -> Option<Cursor<'t>> {
        items(self.it, list).find(|it| it.get("id").and_then(Cursor::text) == Some(id))
    }

    /// Lists the budgets of an owner: inline, by id, and those that name it.
    fn budgets(&self, owner: Cursor<'t>, back: &str) -> Vec<Cursor<'t>> {
        let id = owner.get("id").and_then(Cursor::text);
        let inline = items(owner, "budgets").filter(|it| it.is_map());
        let named = [owner.get("budget_id")].into_iter().flatten().chain(items(owner, "budget_ids")).filter_map(Cursor::text);
        let by_id = named.filter_map(|id| self.by_id("budgets", id));
        let theirs = items(self.it, "budgets").filter(move |it| id.is_some() && it.get(back).and_then(Cursor::text) == id);
        let mut seen = BTreeSet::new();
        inline.chain(by_id).chain(theirs).filter(|it| seen.insert(it.id())).collect()
    }

    /// Takes the budgets of an owner over, one for each window.
    fn take(&self, draft: &mut Draft, (owner, back): (Cursor<'t>, &str), place: &[&str]) -> Vec<BudgetRef> {
        let is_aligned = owner.get("calendar_aligned").and_then(Cursor::bool) == Some(true);
        let mut taken: Vec<BudgetRef> = Vec::new();
        let mut windows = BTreeSet::new();
        for it in self.budgets(owner, back) {
            let limit = it.get("max_limit").and_then(|it| Some((it, dollars(it.number()?)?)));
            let window = it.get("reset_duration").and_then(|it| Some((it, Length::read(it.text()?)?)));
            let own = it.get("calendar_aligned").and_then(Cursor::bool) == Some(true);
            let period = window.and_then(|(it, length)| Some((it, length.period(is_aligned || own)?)));
            let (Some((amount, limit)), Some((window, (period, is_same)))) = (limit, period) else {
                draft.findings.manual(
                    it,
                    at(place),
                    "the amount or the window of this budget is none that a budget here can have; write it by hand",
                );
                continue;
            };
            if !windows.insert(period) {
                draft.findings.manual(it, at(place), "two budgets for one window: keep the one that is meant");
                continue;
            }
            draft.findings.exact(amount, at(place));
            if is_same {
                draft.findings.exact(window, at(place));
            } else {
                draft.findings.approximate(
                    window,
                    at(place),
                    "windows are those of the calendar, in UTC, or roll; Bifrost's begin when the budget was made",
                );
            }
            taken.push(BudgetRef::Own(Box::new(keys::budget(limit, period))));
            refer(draft, it);
        }
        for name in ["budget_id", "budget_ids", "calendar_aligned"] {
            if let Some(it) = owner.get(name) {
                draft.findings.exact(it, at(place));
            }
        }
        taken
    }

    /// Takes the limits of an owner over.
    fn limits(&self, draft: &mut Draft, owner: Cursor<'t>, place: &[&str]) -> RateLimits {
        let named = owner.get("rate_limit_id");
        let it = named.and_then(|it| self.by_id("rate_limits", it.text()?)).or_else(|| owner.get("rate_limit").filter(|it| it.is_map()));
        let mut limits = RateLimits::default();
        let Some(it) = it else {
            if let Some(named) = named {
                draft.findings.manual(named, at(place), "no entry of `rate_limits` has this id");
            }
            return limits;
        };
        if let Some(named) = named {
            draft.findings.exact(named, at(place));
        }
        for (kind, most, window) in
            [("requests", "request_max_limit", "request_reset_duration"), ("tokens", "token_max_limit", "token_reset_duration")]
        {
            let (Some(most), Some(window)) = (it.get(most), it.get(window)) else { continue };
            let found = most.whole().and_then(|count| Length::read(window.text()?)?.limit(count));
            let became = at(&[place, &["limits", kind]].concat());
            let Some((limit, is_same)) = found else {
                draft.findings.manual(most, at(place), "a limit is so many in a second, a minute, an hour or a day; write it by hand");
                draft.findings.manual(window, at(place), "a limit is so many in a second, a minute, an hour or a day; write it by hand");
                continue;
            };
            if kind == "requests" {
                limits.requests = Some(limit)
            } else {
                limits.tokens = Some(limit)
            }
            draft.findings.exact(most, became.clone());
            if is_same {
                draft.findings.exact(window, became);
            } else {
                draft.findings.approximate(window, became, "the same number in the long run, over another time");
            }
        }
        refer(draft, it);
        limits
    }

    /// Tells of budgets and limits that nobody has, or whose owner has none here.
    fn rest(&self, draft: &mut Draft) {
        for it in items(self.it, "budgets").chain(items(self.it, "rate_limits")) {
            let amount = ["max_limit", "request_max_limit", "token_max_limit"].into_iter().find_map(|name| it.get(name));
            if amount.is_none_or(|amount| !draft.findings.knows(amount)) {
                draft.findings.unsupported(
                    it,
                    "it belongs to nobody, or to what has no budget or limit of its own here: a provider of a key, a model",
                );
            }
        }
    }
}

/// Tells of what says whose a budget or a limit is, and what of it was used.
fn refer(draft: &mut Draft, it: Cursor<'_>) {
    for name in ["id", "virtual_key_id", "team_id", "customer_id", "calendar_aligned"] {
        if let Some(it) = it.get(name) {
            draft.findings.exact(it, None);
        }
    }
    for name in ["current_usage", "last_reset", "token_current_usage", "token_last_reset", "request_current_usage", "request_last_reset"] {
        if let Some(it) = it.get(name) {
            draft.findings.unsupported(it, "what was used belongs to the running gateway and stands in no spec");
        }
    }
}

/// A customer is above teams, which have nothing above them here: its budgets become shared ones, which teams and keys name.
fn customer(draft: &mut Draft, names: &mut Names, ledger: &Ledger<'_>, it: Cursor<'_>) {
    let Some((named, name)) = it.get("name").and_then(|it| Some((it, it.text()?))) else { return };
    let name = format!("customer-{}", tidy_name(name, "customer"));
    let budgets = ledger.take(draft, (it, "customer_id"), &["budgets"]);
    let mut ours = Vec::new();
    for budget in budgets {
        let BudgetRef::Own(budget) = budget else { continue };
        let name = free(&name, |name| draft.spec.budgets.contains_key(name));
        draft.spec.budgets.insert(name.clone(), *budget);
        ours.push(name);
    }
    if let Some(id) = it.get("id").and_then(Cursor::text) {
        names.customers.insert(id.to_owned(), ours);
    }
    let why = "there is nothing above a team: its budgets are shared ones, which its teams and keys name";
    draft.findings.approximate(named, at(&["budgets"]), why);
    for member in ["rate_limit_id", "rate_limit"] {
        if let Some(it) = it.get(member) {
            draft.findings.unsupported(it, "limits are those of keys, teams, aliases and providers");
        }
    }
    identify(draft, it);
}

fn identify(draft: &mut Draft, it: Cursor<'_>) {
    if let Some(id) = it.get("id") {
        draft.findings.exact(id, None);
    }
}

/// Names the shared budgets of the customer that an owner belongs to.
fn of_customer(draft: &mut Draft, names: &Names, owner: Cursor<'_>) -> Vec<BudgetRef> {
    let Some(it) = owner.get("customer_id") else { return Vec::new() };
    let Some(budgets) = it.text().and_then(|id| names.customers.get(id)) else {
        draft.findings.manual(it, None, "no entry of `customers` has this id");
        return Vec::new();
    };
    draft.findings.exact(it, at(&["budgets"]));
    budgets.iter().cloned().map(BudgetRef::Shared).collect()
}

fn team(draft: &mut Draft, names: &mut Names, ledger: &Ledger<'_>, it: Cursor<'_>) {
    let Some((named, name)) = it.get("name").and_then(|it| Some((it, it.text()?))) else { return };
    let name = free(&tidy_name(name, "team"), |name| draft.spec.teams.contains_key(name));
    let place = ["teams", name.as_str()];
    let mut budgets = ledger.take(draft, (it, "team_id"), &place);
    budgets.extend(of_customer(draft, names, it));
    let limits = ledger.limits(draft, it, &place);
    draft.findings.exact(named, at(&place));
    if let Some(id) = it.get("id").and_then(Cursor::text) {
        names.teams.insert(id.to_owned(), name.clone());
    }
    identify(draft, it);
    draft.spec.teams.insert(name, Team { budgets, limits, ..Team::default() });
}

fn key(draft: &mut Draft, names: &mut Names, ledger: &Ledger<'_>, it: Cursor<'_>) {
    let Some((named, name)) = it.get("name").and_then(|it| Some((it, it.text()?))) else {
        draft.findings.manual(it, None, "a key needs a name");
        return;
    };
    let value = it.get("value");
    let hashes = match value.and_then(|value| held(value, SPELLING)) {
        Some(Held::Literal(sha256)) => {
            let is_new = draft.spec.virtual_keys.values().all(|key| key.hashes.iter().all(|hash| hash.sha256 != sha256));
            Some(KeyHash { sha256, not_after: None }).filter(|_| is_new)
        }
        Some(Held::Variable(variable)) => {
            value.into_iter().for_each(|value| draft.findings.manual(value, None, keys::from_variable(&variable)));
            None
        }
        Some(Held::Placeholder) | None => None,
    };
    let Some(hash) = hashes else {
        let why = "the key's value is not in the file, or another key has it: write the key with the digest that `bifrostctl key hash` makes of it";
        draft.findings.manual(it, None, why);
        return;
    };
    let name = free(&tidy_name(name, "key"), |name| draft.spec.virtual_keys.contains_key(name));
    let place = ["virtual_keys", name.as_str()];
    draft.findings.exact(named, at(&place));
    value.into_iter().for_each(|value| draft.findings.exact(value, at(&["virtual_keys", &name, "hashes"])));
    let mut key = VirtualKey { hashes: vec![hash], ..VirtualKey::default() };
    key.budgets = ledger.take(draft, (it, "virtual_key_id"), &place);
    key.budgets.extend(of_customer(draft, names, it));
    key.limits = ledger.limits(draft, it, &place);
    belongs(draft, names, it, (&place, &mut key));
    life(draft, it, (&place, &mut key));
    key.models = allowed::models(draft, names, it, &name);
    if let Some(id) = it.get("id").and_then(Cursor::text) {
        names.keys.insert(id.to_owned(), name.clone());
    }
    identify(draft, it);
    draft.spec.virtual_keys.insert(name, key);
}

fn belongs(draft: &mut Draft, names: &Names, it: Cursor<'_>, (place, key): (&[&str], &mut VirtualKey)) {
    let Some(team) = it.get("team_id") else { return };
    match team.text().and_then(|id| names.teams.get(id)) {
        Some(name) => {
            key.team = Some(name.clone());
            draft.findings.exact(team, at(&[place, &["team"]].concat()));
        }
        None => draft.findings.manual(team, at(place), "no entry of `teams` has this id"),
    }
}

/// Whether and how long it holds, and what else is known of it.
fn life(draft: &mut Draft, it: Cursor<'_>, (place, key): (&[&str], &mut VirtualKey)) {
    if let Some((it, is_active)) = it.get("is_active").and_then(|it| Some((it, it.bool()?))) {
        key.disabled = !is_active;
        draft.findings.exact(it, at(&[place, &["disabled"]].concat()));
    }
    if let Some((it, text)) = it.get("expires_at").and_then(|it| Some((it, it.text()?))) {
        if text.parse::<jiff::Timestamp>().is_ok() {
            key.expires = Some(text.to_owned());
            draft.findings.exact(it, at(&[place, &["expires"]].concat()));
        } else {
            draft.findings.manual(it, at(place), "this is no time; write `expires` by hand");
        }
    }
    if let Some((it, text)) = it.get("description").and_then(|it| Some((it, it.text()?))) {
        key.labels.insert("description".to_owned(), literal(text));
        draft.findings.exact(it, at(&[place, &["labels", "description"]].concat()));
    }
    for (name, why) in [
        ("mcp_configs", "there is no gateway of MCP servers"),
        ("access_profile_id", "who may ask for what stands in each key and team"),
        ("delete_after_expire", "a key goes when its entry does"),
        ("disable_content_logging", "prompts and answers are never logged"),
    ] {
        if let Some(it) = it.get(name) {
            draft.findings.unsupported(it, why);
        }
    }
}
