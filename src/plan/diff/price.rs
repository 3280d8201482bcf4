//! Prices. Which rate is higher is for the reader: what changes is what is counted, not what is served.

use super::Action;
use super::changes::{Changes, Entry, Meaning, Pair, Sides, json_of};
use super::place::Place;
use crate::plan::types::Price;

impl Entry for Price {
    fn added(&self, _: Sides<'_>, _: &str) -> Meaning {
        meaning(self)
    }

    fn removed(&self, _: Sides<'_>, _: &str) -> Meaning {
        Meaning::medium("the catalogue's price holds again; without one, the model is unpriced")
    }

    fn compare(out: &mut Changes<'_>, place: &Place, pair: Pair<'_, Self>) {
        // Rates are members by their names; every other field is one, too, and says what changing it means by being there.
        let members = |price: &Price| -> std::collections::BTreeMap<String, serde_json::Value> {
            json_of(price).as_object().into_iter().flatten().map(|(name, value)| (name.clone(), value.clone())).collect()
        };
        let new = pair.new;
        out.members(place, &members(pair.base), &members(new), |action, name| match (action, name) {
            (Action::Added | Action::Changed, "free" | "as") => meaning(new),
            (Action::Added | Action::Changed | Action::Removed, _) => Meaning::medium("requests are counted at another price from now on"),
        });
    }
}

fn meaning(price: &Price) -> Meaning {
    match (price.free, &price.same_as) {
        (true, _) => Meaning::medium("requests for it no longer count against any budget"),
        (false, Some(_)) => Meaning::medium("requests for it are counted at another model's price"),
        (false, None) => Meaning::medium("requests for it are counted at this price, whatever the catalogue knows"),
    }
}
