//! Which provider keeps an answer that a client may go on from: `previous_response_id`, and `/v1/responses/ID`, mean nothing to any other.
//!
//! Kept in memory and bounded: what is forgotten, or was answered by another gateway, goes where any request goes. It remembers no content.

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher as _;
use std::sync::{Arc, Mutex, PoisonError};

use super::attempt::{Answer, AnswerBody};
use super::reader::data;
use super::route::Route;
use crate::table::{Credential, Target};
use crate::telemetry::Endpoint;
use crate::wire::Format;
use crate::wire::edit::Object;
use crate::wire::scan;

/// Answers that are remembered before the older half is forgotten.
const HALF: usize = 100_000;

/// Who keeps an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Home {
    pub(super) provider: Arc<str>,
    pub(super) credential: Arc<str>,
}

/// Who keeps which answers.
#[derive(Debug, Default)]
pub struct Affinity {
    hasher: RandomState,
    homes: Mutex<Homes>,
}

#[derive(Debug, Default)]
struct Homes {
    young: HashMap<u64, Home>,
    old: HashMap<u64, Home>,
}

impl Affinity {
    /// Notes who gave an answer, where it is one that its provider keeps.
    pub(super) fn note(&self, answer: &Answer, target: &Target, credential: &Credential) {
        if target.provider.format_for(Format::OpenaiResponses) != Format::OpenaiResponses {
            return;
        }
        let id = match &answer.body {
            AnswerBody::Whole(body, _) => text(body, "id"),
            // The first event holds the answer as it begins.
            AnswerBody::Stream(stream) => stream.queue.front().and_then(|event| {
                let data = data(event);
                let begun = scan::member(&data, "response").ok()??;
                text(begun, "id")
            }),
            AnswerBody::Passing(_) => None,
        };
        if let Some(id) = id {
            let home = Home { provider: target.provider.name.as_str().into(), credential: credential.name.as_str().into() };
            self.remember(&id, home);
        }
    }

    fn remember(&self, id: &[u8], home: Home) {
        let key = self.hasher.hash_one(id);
        let mut homes = self.homes.lock().unwrap_or_else(PoisonError::into_inner);
        if homes.young.len() >= HALF {
            homes.old = std::mem::take(&mut homes.young);
        }
        homes.young.insert(key, home);
    }

    /// Returns who keeps what a request goes on from, or asks for.
    pub(super) fn home(&self, route: &Route<'_>, body: Option<&Object<'_>>) -> Option<Home> {
        match route.endpoint {
            Endpoint::Responses => self.find(body?.string("previous_response_id")?.as_bytes()),
            Endpoint::Relay => self.find(route.below.strip_prefix("/responses/")?.split('/').next()?.as_bytes()),
            _ => None,
        }
    }

    fn find(&self, id: &[u8]) -> Option<Home> {
        let key = self.hasher.hash_one(id);
        let homes = self.homes.lock().unwrap_or_else(PoisonError::into_inner);
        homes.young.get(&key).or_else(|| homes.old.get(&key)).cloned()
    }
}

/// Returns a member that is a plain text; ids have nothing in them that is escaped.
fn text(object: &[u8], name: &str) -> Option<Vec<u8>> {
    let raw = scan::member(object, name).ok()??;
    raw.strip_prefix(b"\"")?.strip_suffix(b"\"").map(<[u8]>::to_vec)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_older_half_is_forgotten_when_there_are_too_many() {
        let affinity = Affinity::default();
        let home = |name: &str| Home { provider: name.into(), credential: "c".into() };
        affinity.remember(b"first", home("one"));
        for number in 0..2 * HALF {
            affinity.remember(number.to_string().as_bytes(), home("two"));
            if number == HALF {
                assert_eq!(affinity.find(b"first"), Some(home("one")), "still in the older half");
            }
        }
        assert_eq!(affinity.find(b"first"), None);
        assert_eq!(affinity.find(b"199999"), Some(home("two")));
        let homes = affinity.homes.lock().unwrap();
        assert!(homes.young.len() <= HALF && homes.old.len() <= HALF);
    }
}
