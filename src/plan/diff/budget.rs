//! Budgets: the shared ones, and the lists of keys and teams, whose order says nothing.

use serde_json::Value;

use super::changes::{Changes, Entry, Meaning, Pair, Sides, json_of, same};
use super::place::Place;
use super::{Action, Change, Risk, access, policy, shown};
use crate::base::Usd;
use crate::plan::types::{Budget, BudgetMode, BudgetRef, OnStoreError, Plan, Unpriced, WhenExhausted};

impl Entry for Budget {
    fn added(&self, sides: Sides<'_>, name: &str) -> Meaning {
        match users(sides.new, name).as_slice() {
            [] => Meaning::plain(Risk::None),
            users => Meaning::medium(format!("requests beyond {} are refused: {}", self.limit, access::phrase(users))),
        }
    }

    fn removed(&self, sides: Sides<'_>, name: &str) -> Meaning {
        match users(sides.base, name).as_slice() {
            [] => Meaning::plain(Risk::None),
            users => Meaning::high(format!("nothing of it limits any longer what is spent by {}", access::phrase(users))),
        }
    }

    fn compare(out: &mut Changes<'_>, place: &Place, pair: Pair<'_, Self>) {
        fields(out, place, pair.base, pair.new);
    }
}

fn fields(out: &mut Changes<'_>, place: &Place, base: &Budget, new: &Budget) {
    let Budget { renamed_from, limit, period, timezone, mode, alerts, unpriced, when_exhausted, on_store_error } = base;
    renamed(out, place, renamed_from.as_ref(), new.renamed_from.as_ref());
    out.field(place.member("limit"), limit, &new.limit, || match new.limit < *limit {
        true => Meaning::high("requests are refused sooner: at once where more is spent already (`bifrostctl budget status`)"),
        false => Meaning::medium("more can be spent in each window"),
    });
    out.field(place.member("period"), period, &new.period, || {
        Meaning::medium("what was spent counts anew in the new window, from the ledger: nothing is forgotten")
    });
    out.field(place.member("timezone"), timezone, &new.timezone, || Meaning::low("windows begin at another hour"));
    out.field(place.member("mode"), mode, &new.mode, || match (mode, new.mode) {
        (_, BudgetMode::Soft) => Meaning::high("what is running when the limit is reached goes over it"),
        (BudgetMode::Strict, BudgetMode::Progressive) => Meaning::medium("each running stream may go over by one step"),
        (_, BudgetMode::Strict | BudgetMode::Progressive) => Meaning::medium("requests are refused where what they can cost does not fit"),
    });
    out.field(place.member("alerts"), alerts, &new.alerts, || Meaning::low("alerts go out at other shares of the limit"));
    out.field(place.member("unpriced"), unpriced, &new.unpriced, || match new.unpriced {
        Unpriced::Deny => Meaning::medium("targets without a price are left out"),
        Unpriced::Allow => Meaning::high("models without a price are served and cost nothing"),
    });
    out.field(place.member("when_exhausted"), when_exhausted, &new.when_exhausted, || match &new.when_exhausted {
        WhenExhausted::Deny => Meaning::medium("requests that do not fit are refused"),
        WhenExhausted::Use(alias) => Meaning::medium(format!("requests that do not fit are served as {}", shown::name(alias))),
    });
    out.field(place.member("on_store_error"), on_store_error, &new.on_store_error, || match new.on_store_error {
        OnStoreError::Deny => Meaning::medium("requests are refused while the ledger cannot be written"),
        OnStoreError::Allow => Meaning::high("requests are served while the ledger cannot be written, and may go over the limit"),
    });
}

/// Compares the names that an entry had before.
pub(super) fn renamed(out: &mut Changes<'_>, place: &Place, base: Option<&String>, new: Option<&String>) {
    out.field(place.member("renamed_from"), &base, &new, || match new {
        Some(old) => Meaning::medium(format!("it takes over what was spent as {}", shown::name(old))),
        None => Meaning::plain(Risk::None),
    });
}

/// Compares the budgets of a key or a team. `who` is in words.
pub(super) fn list(out: &mut Changes<'_>, place: &Place, who: &str, base: &[BudgetRef], new: &[BudgetRef]) {
    let mut gone: Vec<(usize, &BudgetRef)> = only(base, new);
    for (at, reference) in only(new, base) {
        let place = place.item(at, &identity(reference));
        let counterpart = gone.iter().position(|(_, old)| is_own(old) && is_own(reference) && identity(old) == identity(reference));
        match (counterpart.map(|at| gone.remove(at).1), reference) {
            (Some(BudgetRef::Own(old)), BudgetRef::Own(young)) => fields(out, &place, old, young),
            (_, reference) => {
                let meaning = Meaning::medium(format!("requests of {who} are refused where it has no room"));
                out.added(place, json_of(reference), meaning);
            }
        }
    }
    for (at, reference) in gone {
        let meaning = Meaning::high(format!("it no longer limits what {who} spends"));
        out.removed(place.item(at, &identity(reference)), json_of(reference), meaning);
    }
}

/// Returns what only the first list holds, each once.
fn only<'v>(list: &'v [BudgetRef], other: &[BudgetRef]) -> Vec<(usize, &'v BudgetRef)> {
    let holds = |list: &[BudgetRef], one: &BudgetRef| list.iter().any(|it| same(&json_of(it), &json_of(one)));
    let is_first = |at: usize, one: &BudgetRef| !holds(list.get(..at).unwrap_or_default(), one);
    list.iter().enumerate().filter(|(at, one)| !holds(other, one) && is_first(*at, one)).collect()
}

const fn is_own(reference: &BudgetRef) -> bool {
    matches!(reference, BudgetRef::Own(_))
}

/// What people know an item of the list by.
fn identity(reference: &BudgetRef) -> String {
    match reference {
        BudgetRef::Shared(name) => name.clone(),
        BudgetRef::Own(own) => own.period.to_string(),
    }
}

/// Says of limits that become smaller what is spent of them.
pub(super) fn note_spent(changes: &mut [Change], spent: impl Fn(&str) -> Option<Usd>) {
    let amount = |value: &Option<Value>| value.as_ref()?.as_str()?.parse::<Usd>().ok();
    for change in changes.iter_mut().filter(|change| change.action == Action::Changed) {
        let (Some(name), Some(before), Some(after)) = (named(change), amount(&change.before), amount(&change.after)) else { continue };
        let Some(spent) = spent(&name).filter(|_| after < before) else { continue };
        let reason = match spent >= after {
            true => format!("{spent} is spent in the running window: requests are refused at once"),
            false if spent == Usd::ZERO => "nothing of it is spent in the running window; requests are refused sooner".to_owned(),
            false => format!("{spent} of it is spent in the running window; requests are refused sooner"),
        };
        policy::reword(change, reason);
    }
}

/// Names the budget whose limit a change is about, as `budget status` does.
fn named(change: &Change) -> Option<String> {
    let parts: Vec<String> = change.pointer.split('/').skip(1).map(|part| part.replace("~1", "/").replace("~0", "~")).collect();
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    // People know a budget of one's own by its window, and so does its name.
    let period = || change.path.rsplit_once('[')?.1.split(']').next();
    match parts.as_slice() {
        ["budgets", name, "limit"] => Some((*name).to_owned()),
        ["virtual_keys", name, "budgets", _, "limit"] => Some(format!("key:{name} per {}", period()?)),
        ["teams", name, "budgets", _, "limit"] => Some(format!("team:{name} per {}", period()?)),
        _ => None,
    }
}

/// Returns who draws on a shared budget, in words.
fn users(plan: &Plan, name: &str) -> Vec<String> {
    let lists = |budgets: &[BudgetRef]| budgets.iter().any(|reference| matches!(reference, BudgetRef::Shared(it) if it == name));
    let teams = plan.teams.iter().filter(|(_, team)| lists(&team.budgets)).map(|(name, _)| format!("team {}", shown::name(name)));
    let keys = plan.virtual_keys.iter().filter(|(_, key)| lists(&key.budgets)).map(|(name, _)| format!("key {}", shown::name(name)));
    teams.chain(keys).collect()
}
