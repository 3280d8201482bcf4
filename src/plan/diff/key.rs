//! Teams and virtual keys.

use serde_json::Value;

use super::changes::{Changes, Entry, Meaning, Pair, Sides, json_of};
use super::limits::{Stops, limits};
use super::pattern::{Patterns, is_unbounded};
use super::place::Place;
use super::{Risk, access, budget, hashes, shown};
use crate::plan::types::{Team, VirtualKey};

impl Entry for Team {
    fn added(&self, sides: Sides<'_>, name: &str) -> Meaning {
        match access::keys_of_team(sides.new, name).as_slice() {
            [] => Meaning::plain(Risk::None),
            keys => Meaning::low(format!("team of {}", shown::names(keys.iter().copied()))),
        }
    }

    fn removed(&self, sides: Sides<'_>, name: &str) -> Meaning {
        match access::keys_of_team(sides.base, name).as_slice() {
            [] => Meaning::plain(Risk::None),
            keys => Meaning::low(format!("was the team of {}", shown::names(keys.iter().copied()))),
        }
    }

    fn compare(out: &mut Changes<'_>, place: &Place, pair: Pair<'_, Self>) {
        let Self { description, renamed_from, models, budgets, limits } = pair.base;
        out.field(place.member("description"), description, &pair.new.description, || Meaning::plain(Risk::None));
        budget::renamed(out, place, renamed_from.as_ref(), pair.new.renamed_from.as_ref());
        team_models(out, place.member("models"), Pair { name: pair.name, base: models, new: &pair.new.models });
        let who = format!("team {}", shown::name(pair.name));
        budget::list(out, &place.member("budgets"), &who, budgets, &pair.new.budgets);
        self::limits(out, &place.member("limits"), (limits, &pair.new.limits), Stops::Clients("clients of the team's keys"));
    }
}

fn team_models(out: &mut Changes<'_>, place: Place, pair: Pair<'_, Option<Vec<String>>>) {
    let sides = out.sides;
    let members = access::keys_of_team(sides.new, pair.name);
    let keys = || members.iter().filter_map(|name| sides.new.virtual_keys.get(*name));
    let opens = keys().any(|key| is_unbounded(&key.models));
    let meaning = |found: Option<&Patterns<'_>>| {
        if members.is_empty() {
            return Meaning::low("no key belongs to the team");
        }
        let (opened, lost) = match (found, pair.new) {
            (Some(found), _) => (found.opened, !found.lost.is_empty()),
            (None, Some(limit)) => (false, !is_unbounded(limit)),
            (None, None) => (true, false),
        };
        let who = shown::names(members.iter().copied());
        match (opened, opens, lost) {
            (true, true, _) => Meaning::high(format!("nothing limits any longer what keys of the team may use: {who}")),
            (_, _, true) => Meaning::high(format!("clients asking for what the team may not use get 403: {who}")),
            (true, false, false) => Meaning::medium(format!("only their own lists limit what keys of the team may use: {who}")),
            (false, _, false) => Meaning::medium(format!("keys of the team may use more where their own lists allow it: {who}")),
        }
    };
    match (pair.base, pair.new) {
        (Some(base), Some(new)) => {
            let found = Patterns::compare(base, new);
            if !found.is_same() {
                out.changed(place, base.clone().into(), new.clone().into(), meaning(Some(&found)).saying(found.summary()));
            }
        }
        (base, new) => out.field(place, base, new, || meaning(None)),
    }
}

impl Entry for VirtualKey {
    fn added(&self, sides: Sides<'_>, _: &str) -> Meaning {
        let old = hashes::other_name(sides.base, self);
        if self.disabled {
            return Meaning::plain(Risk::None);
        }
        if is_unbounded(&self.models) && !old.is_some_and(|(_, old)| is_unbounded(&old.models)) {
            return Meaning::high("one more key may use every alias and every provider");
        }
        match old {
            Some((old, _)) => Meaning::medium(format!("accepts what was key {}; logs and metrics name it anew", shown::name(old))),
            None => Meaning::low(format!("one more key, for {}", shown::names(self.models.iter().map(String::as_str)))),
        }
    }

    fn removed(&self, sides: Sides<'_>, _: &str) -> Meaning {
        if self.disabled {
            return Meaning::plain(Risk::None);
        }
        let Some((name, new)) = hashes::other_name(sides.new, self).filter(|(_, new)| !new.disabled) else {
            return Meaning::high("clients with this key get 401, and its running streams end");
        };
        let lost = Patterns::compare(&self.models, &new.models).lost;
        if lost.is_empty() {
            return Meaning::medium(format!("what it accepted is now key {}; logs and metrics name it anew", shown::name(name)));
        }
        let lost = shown::names(lost);
        Meaning::high(format!("what it accepted is now key {}, and clients asking for {lost} get 403", shown::name(name)))
    }

    fn compare(out: &mut Changes<'_>, place: &Place, pair: Pair<'_, Self>) {
        if pair.base == pair.new {
            return;
        }
        let Self { hashes, renamed_from, team, models, budgets, expires, disabled, routing_headers, priority, labels, limits } = pair.base;
        let new = pair.new;
        hashes::hashes(out, place.member("hashes"), Pair { name: pair.name, base: hashes, new: &new.hashes });
        budget::renamed(out, place, renamed_from.as_ref(), new.renamed_from.as_ref());
        let sides = out.sides;
        out.field(place.member("team"), team, &new.team, || match access::lost_aliases((sides.base, pair.base), (sides.new, new)) {
            lost if lost.is_empty() => Meaning::medium("what limits the team and what rules say of it apply"),
            lost => Meaning::high(format!("clients of this key asking for {} get 403", shown::names(lost))),
        });
        self::models(out, place.member("models"), Pair { name: pair.name, base: models, new: &new.models });
        let who = format!("key {}", shown::name(pair.name));
        budget::list(out, &place.member("budgets"), &who, budgets, &new.budgets);
        out.field(place.member("expires"), expires, &new.expires, || expiry(expires.as_deref(), new.expires.as_deref()));
        out.field(place.member("disabled"), disabled, &new.disabled, || {
            if new.disabled {
                Meaning::high("clients with this key get 401, and its running streams end").saying("disabled")
            } else {
                Meaning::medium("the key works again").saying("enabled")
            }
        });
        out.field(place.member("routing_headers"), routing_headers, &new.routing_headers, || {
            Meaning::low(if new.routing_headers {
                "clients see which target served them"
            } else {
                "clients no longer see what served them"
            })
        });
        out.field(place.member("priority"), priority, &new.priority, || match new.priority < *priority {
            true => Meaning::low("clients of this key are turned away later when the gateway is nearly full"),
            false => Meaning::medium("clients of this key are turned away sooner when the gateway is nearly full"),
        });
        let reader = [sides.base, sides.new].into_iter().find_map(access::reader_of_labels);
        out.members(&place.member("labels"), labels, &new.labels, |_, _| match &reader {
            Some(reader) => Meaning::low(format!("{reader} looks at labels")),
            None => Meaning::plain(Risk::None),
        });
        self::limits(out, &place.member("limits"), (limits, &new.limits), Stops::Clients("clients of this key"));
    }

    fn shown(&self) -> Value {
        let mut value = json_of(self);
        if let Some(list) = value.get_mut("hashes") {
            *list = hashes::shown(&self.hashes);
        }
        value
    }
}

fn models(out: &mut Changes<'_>, place: Place, pair: Pair<'_, Vec<String>>) {
    let found = Patterns::compare(pair.base, pair.new);
    if found.is_same() {
        return;
    }
    let meaning = if found.opened {
        Meaning::high("may use every alias and every provider")
    } else if !found.lost.is_empty() {
        Meaning::high(format!("clients of this key asking for {} get 403", shown::names(found.lost.iter().copied())))
    } else if !found.gained.is_empty() {
        Meaning::medium(format!("may also use {}", shown::names(found.gained.iter().copied())))
    } else {
        Meaning::plain(Risk::None)
    };
    out.changed(place, pair.base.clone().into(), pair.new.clone().into(), meaning.saying(found.summary()));
}

fn expiry(base: Option<&str>, new: Option<&str>) -> Meaning {
    let at = |text: &str| text.parse::<jiff::Timestamp>().ok();
    match (base, new) {
        (_, None) => Meaning::medium("the key no longer ends by itself"),
        (Some(base), Some(new)) if at(new) > at(base) => Meaning::medium("the key is accepted for longer"),
        (_, Some(new)) => {
            Meaning::medium(format!("clients with this key get 401 from {}, and its running streams end", shown::value(&new.into())))
        }
    }
}
