//! What a translation could not carry, told in the client's own spelling.

use super::{Caching, Identity, Part, ServiceTier};
use crate::wire::json::{self, Document, Extra, Fields, Given, Place, Text};

/// Most losses that are told one by one. Those beyond are told as one loss of the whole body, with the worst that happened to them.
const MAX_TOLD: usize = 1_000;

/// How much was lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// The target has something near it, and that was sent: a budget for an effort, a clamped temperature.
    Approximated,
    /// We know what it means, and the target has nothing for it.
    Unsupported,
    /// We do not know what it means, so only a target of the same format could have it.
    Unknown,
    /// It stands for what only the client's own provider keeps. What is left means something else, so it should not be sent at all.
    Stored,
}

impl Reason {
    /// Returns the stable word that headers and logs show.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Approximated => "approximated",
            Self::Unsupported => "unsupported",
            Self::Unknown => "unknown",
            Self::Stored => "stored",
        }
    }
}

/// A field that is not in the output as the client wrote it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Loss {
    /// The path in the client's own spelling: `messages[2].content[0].cache_control`. Covers all that stands under it; empty for the whole body.
    pub path: String,
    /// How much was lost.
    pub reason: Reason,
}

/// Gathers losses while a request is decoded or encoded; resolves their places to paths once, at the end.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Losses {
    list: Vec<(Place, Reason)>,
}

impl Losses {
    /// Notes a loss. What stands nowhere in the client's body is no loss of the client's.
    pub fn add(&mut self, at: Place, reason: Reason) {
        if at != Place::NOWHERE {
            self.list.push((at, reason));
        }
    }

    /// Notes that the target has nothing for a field.
    pub fn unsupported(&mut self, at: Place) {
        self.add(at, Reason::Unsupported);
    }

    /// Notes that something near a field was sent.
    pub fn approximated(&mut self, at: Place) {
        self.add(at, Reason::Approximated);
    }

    /// Notes an optional field that the target has nothing for.
    pub fn without<T>(&mut self, field: Option<&Given<T>>) {
        if let Some(field) = field {
            self.unsupported(field.at);
        }
    }

    /// Notes members that only a target of the same format could have. A `null` says nothing, so it is no loss.
    pub fn extras(&mut self, extras: &[Extra<'_>]) {
        for extra in extras.iter().filter(|extra| extra.value.as_str() != "null") {
            self.add(extra.at, Reason::Unknown);
        }
    }

    /// Notes what is lost with a part that is left out because it says nothing.
    pub fn blank(&mut self, part: &Part<'_>) {
        self.extras(&part.extras);
        self.without(part.cache.as_ref());
    }

    /// Notes what nobody took of an object whose leftovers cannot be kept.
    pub fn rest(&mut self, fields: &Fields<'_, '_>) {
        for (_, value) in fields.rest().filter(|(_, value)| !value.is_null()) {
            self.add(value.place(), Reason::Unknown);
        }
    }

    /// Notes what only the client's own provider keeps, where the target is another one's format.
    pub fn stored(&mut self, stored: &[Place], is_same: bool) {
        for at in stored.iter().filter(|_| !is_same) {
            self.add(*at, Reason::Stored);
        }
    }

    /// Notes what stands beside a conversation, for formats that have nothing for any of it.
    pub fn beside(&mut self, verbosity: Option<&Given<Text<'_>>>, caching: &Caching<'_>, identity: &Identity<'_>) {
        let Caching { automatic, key, retention, options } = caching;
        let Identity { user, safety_id, metadata, store } = identity;
        self.without(verbosity);
        self.without(automatic.as_ref());
        self.without(key.as_ref());
        self.without(retention.as_ref());
        self.without(options.as_ref());
        self.without(user.as_ref());
        self.without(safety_id.as_ref());
        self.without(metadata.as_ref());
        self.without(store.filter(|store| store.value).as_ref());
    }

    /// Notes a tier, for formats that have none: the standard one is what everybody gets.
    pub fn tier(&mut self, tier: Option<&Given<ServiceTier<'_>>>) {
        let is_standard = |tier: &&Given<ServiceTier<'_>>| matches!(tier.value, ServiceTier::Auto | ServiceTier::Standard);
        self.without(tier.filter(|tier| !is_standard(tier)));
    }

    /// Adds what was lost before.
    pub fn append(&mut self, before: &Self) {
        self.list.extend_from_slice(&before.list);
    }

    /// Returns whether nothing was lost.
    pub const fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Resolves the places in the client's body. Each field is told once, with the worst that happened to it.
    pub fn resolve(mut self, source: &str) -> Vec<Loss> {
        if self.list.is_empty() {
            return Vec::new();
        }
        self.list.sort_unstable();
        self.list.dedup_by(|later, kept| {
            let same = later.0 == kept.0;
            if same {
                kept.1 = kept.1.max(later.1);
            }
            same
        });
        let Ok(document) = Document::parse(source.as_bytes()) else { return Vec::new() };
        // A body of nothing but unknown members must not become many times its size.
        let beyond = self.list.split_off(self.list.len().min(MAX_TOLD));
        let places: Vec<Place> = self.list.iter().map(|(at, _)| *at).collect();
        let paths = json::paths_in(&document, &places);
        let mut told: Vec<Loss> = paths.into_iter().zip(self.list).map(|(path, (_, reason))| Loss { path, reason }).collect();
        told.extend(beyond.into_iter().map(|(_, reason)| reason).max().map(|reason| Loss { path: String::new(), reason }));
        told
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn losses_are_told_once_in_the_clients_spelling_with_the_worst_reason() {
        let source = r#"{"a":[{"b":1}],"c":2}"#;
        let document = Document::parse(source.as_bytes()).unwrap();
        let inner = document.root().get("a").unwrap().elements().next().unwrap().get("b").unwrap().place();
        let mut losses = Losses::default();
        losses.unsupported(document.root().get("c").unwrap().place());
        losses.approximated(inner);
        losses.unsupported(inner);
        losses.unsupported(Place::NOWHERE);
        let told = losses.resolve(source);
        assert_eq!(
            told,
            [Loss { path: "a[0].b".to_owned(), reason: Reason::Unsupported }, Loss { path: "c".to_owned(), reason: Reason::Unsupported }]
        );
    }

    #[test]
    fn ever_so_many_losses_are_told_in_one_walk_and_within_bounds() {
        let source = format!("{{\"a\":[{}]}}", vec!["{\"b\":1}"; 200_000].join(","));
        let document = Document::parse(source.as_bytes()).unwrap();
        let mut losses = Losses::default();
        for element in document.root().get("a").unwrap().elements() {
            losses.add(element.get("b").unwrap().place(), Reason::Approximated);
        }
        losses.unsupported(document.root().get("a").unwrap().elements().last().unwrap().place());
        let told = losses.resolve(&source);
        assert_eq!((told.len(), told[999].path.as_str()), (1_001, "a[999].b"));
        assert_eq!(told[1_000], Loss { path: String::new(), reason: Reason::Unsupported });
    }
}
