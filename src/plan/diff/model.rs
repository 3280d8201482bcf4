//! Aliases.

use std::collections::BTreeSet;

use super::access;
use super::chain::{self, Pool, identities};
use super::changes::{Changes, Entry, Meaning, Pair, Sides, json_of};
use super::limits::{Stops, limits};
use super::pattern::edits;
use super::place::Place;
use super::{Action, Risk, shown, text};
use crate::plan::types::{Balance, FallbackOn, FallbackRef, Hedge, Model, Prompt};

impl Entry for Model {
    fn added(&self, sides: Sides<'_>, name: &str) -> Meaning {
        let callers = access::callers_of_alias(sides.new, name);
        let links = access::links_to_alias(sides.new, name);
        match (callers.as_slice(), links.as_slice()) {
            ([], []) => Meaning::low("no key may ask for it yet"),
            ([], links) => Meaning::low(format!("reached through {}", access::phrase(links))),
            (callers, _) => Meaning::low(format!("may be asked for by {}", access::phrase(callers))),
        }
    }

    fn removed(&self, sides: Sides<'_>, name: &str) -> Meaning {
        let callers = access::callers_of_alias(sides.base, name);
        let links = access::links_to_alias(sides.base, name);
        match (callers.as_slice(), links.as_slice()) {
            ([], []) => Meaning::low("no key could ask for it"),
            ([], links) => Meaning::medium(format!("was reached through {}", access::phrase(links))),
            (callers, _) => Meaning::high(format!("clients asking for {} get 404 ({})", shown::name(name), access::phrase(callers))),
        }
    }

    fn compare(out: &mut Changes<'_>, place: &Place, pair: Pair<'_, Self>) {
        let Self {
            description,
            targets,
            balance,
            sticky,
            hedge,
            fallbacks,
            fallback_on,
            prompt,
            strict_translation,
            defaults,
            overrides,
            limits,
        } = pair.base;
        let (new, alias) = (pair.new, shown::name(pair.name));
        out.field(place.member("description"), description, &new.description, || Meaning::plain(Risk::None));
        let owner = format!("alias {alias}");
        let targets_place = place.member("targets");
        let pool = Pool { owner: &owner, base_place: &targets_place, base: (targets, *balance), new: (&new.targets, new.balance) };
        chain::targets(out, &targets_place, pool);
        out.field(place.member("balance"), balance, &new.balance, || match new.balance {
            Balance::RoundRobin => Meaning::low("every target takes the same share, whatever its weight"),
            Balance::Weighted => Meaning::low("targets take shares by weight"),
            Balance::LeastBusy => Meaning::low("whoever serves the fewest requests for its weight is tried first"),
            Balance::Fastest => Meaning::low("whoever comes to the first content sooner is tried first"),
            Balance::Cheapest => Meaning::medium("whoever costs the least for a request is tried first"),
            Balance::Adaptive => Meaning::low("shares follow failures, times and running requests"),
        });
        out.field(place.member("sticky"), sticky, &new.sticky, || match new.sticky {
            Some(_) => Meaning::low("a session stays with one target as long as it can be used"),
            None => Meaning::low("requests of one session may go to different targets"),
        });
        self::hedge(out, &place.member("hedge"), hedge.as_ref(), new.hedge.as_ref());
        self::fallbacks(out, place.member("fallbacks"), Pair { name: pair.name, base: fallbacks, new: &new.fallbacks });
        self::fallback_on(out, place.member("fallback_on"), fallback_on, &new.fallback_on);
        self::prompt(out, &place.member("prompt"), Pair { name: pair.name, base: prompt, new: &new.prompt });
        out.field(place.member("strict_translation"), strict_translation, &new.strict_translation, || match new.strict_translation {
            true => Meaning::medium("requests that a target of another format cannot express are refused"),
            false => Meaning::medium("what a target of another format cannot express is left out of the request"),
        });
        out.members(&place.member("defaults"), defaults, &new.defaults, |_, _| Meaning::low("concerns requests that leave the member out"));
        out.members(&place.member("overrides"), overrides, &new.overrides, |action, _| match action {
            Action::Added | Action::Changed => Meaning::medium("set in every request, whatever the client sends"),
            Action::Removed => Meaning::medium("the client's own value counts again"),
        });
        self::limits(out, &place.member("limits"), (limits, &new.limits), Stops::Clients("clients of the alias"));
    }
}

fn hedge(out: &mut Changes<'_>, place: &Place, base: Option<&Hedge>, new: Option<&Hedge>) {
    let paid = |hedge: &Hedge| {
        Meaning::medium(format!(
            "up to {} of the requests are asked twice, and paid twice, where the first answer takes long",
            hedge.max_share
        ))
    };
    match (base, new) {
        (None, None) => {}
        (None, Some(new)) => out.added(place.clone(), json_of(new), paid(new)),
        (Some(base), None) => {
            out.removed(place.clone(), json_of(base), Meaning::low("nobody else is asked while the first answer takes long"))
        }
        (Some(Hedge { after, max_share }), Some(new)) => {
            out.field(place.member("after"), after, &new.after, || Meaning::low("the first answer is waited for as long as this"));
            out.field(place.member("max_share"), max_share, &new.max_share, || match new.max_share > *max_share {
                true => paid(new),
                false => Meaning::low("fewer requests are asked twice"),
            });
        }
    }
}

fn fallbacks(out: &mut Changes<'_>, place: Place, pair: Pair<'_, Vec<FallbackRef>>) {
    let links = |chain: &[FallbackRef]| chain.iter().map(ToString::to_string).collect::<Vec<_>>();
    let (base, new) = (links(pair.base), links(pair.new));
    if base == new {
        return;
    }
    let (base_ids, new_ids) = (identities(base.iter().cloned()), identities(new.iter().cloned()));
    let lost: Vec<&str> = base_ids.iter().filter(|it| !new_ids.contains(it)).map(|(link, _)| link.as_str()).collect();
    let gained = new_ids.iter().any(|it| !base_ids.contains(it));
    let alias = shown::name(pair.name);
    let meaning = if new.is_empty() {
        Meaning::medium(format!("when the targets of {alias} fail, the client gets the error"))
    } else if !lost.is_empty() {
        Meaning::medium(format!("requests for {alias} that fail no longer reach {}", shown::names(lost)))
    } else if gained {
        Meaning::low("requests that fail are tried in more places")
    } else {
        Meaning::low("requests that fail are tried in another order")
    };
    out.changed(place, base.into(), new.into(), meaning);
}

fn fallback_on(out: &mut Changes<'_>, place: Place, base: &BTreeSet<FallbackOn>, new: &BTreeSet<FallbackOn>) {
    let words = |of: &BTreeSet<FallbackOn>, without: &BTreeSet<FallbackOn>| -> Vec<String> {
        of.difference(without).filter_map(|failure| json_of(failure).as_str().map(str::to_owned)).collect()
    };
    let (added, removed) = (words(new, base), words(base, new));
    out.field(place, base, new, || {
        let meaning = if !removed.is_empty() {
            Meaning::medium(format!("after {} the client gets the error", shown::names(removed.iter().map(String::as_str))))
        } else if new.contains(&FallbackOn::ContentFilter) && !base.contains(&FallbackOn::ContentFilter) {
            Meaning::medium("what one provider's filter refuses is sent to the next")
        } else {
            Meaning::low("more kinds of failure move on to the next target")
        };
        meaning.saying(edits(&added, &removed))
    });
}

fn prompt(out: &mut Changes<'_>, place: &Place, pair: Pair<'_, Option<Prompt>>) {
    let alias = shown::name(pair.name);
    match (pair.base, pair.new) {
        (Some(base), Some(new)) => {
            let Prompt { system, position } = base;
            out.field(place.member("system"), system, &new.system, || {
                Meaning::medium(format!("every answer of {alias} follows another instruction")).saying(text::summary(system, &new.system))
            });
            out.field(place.member("position"), position, &new.position, || {
                Meaning::medium("models weigh instructions by where they stand")
            });
        }
        (Some(base), None) => {
            out.removed(place.clone(), json_of(base), Meaning::medium(format!("{alias} is asked without its instructions")));
        }
        (None, Some(new)) => {
            out.added(place.clone(), json_of(new), Meaning::medium(format!("every answer of {alias} follows these instructions")));
        }
        (None, None) => {}
    }
}
