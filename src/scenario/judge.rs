//! What was expected against what came of it.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::seen::Seen;
use crate::base::{Span, Usd, glob};
use crate::spec::{Expect, Named};

/// Something that came otherwise.
#[derive(Debug, Clone, PartialEq)]
pub struct Miss {
    /// The member of `expect`.
    pub member: &'static str,
    /// What was expected.
    pub expected: Value,
    /// What came, as the test would have to say it; null where it cannot.
    pub was: Value,
    /// Both in words.
    pub message: String,
}

/// Names nothing in particular.
const NONE: &str = "none";

/// Compares; returns nothing where all is as expected.
pub(super) fn judge(expect: &Expect, seen: &Seen) -> Vec<Miss> {
    let mut misses = Misses::default();
    let text = |value: &Option<String>| value.clone().unwrap_or_else(|| NONE.to_owned());
    misses.equal("status", expect.status.as_ref(), &seen.status);
    misses.equal("error", expect.error.as_ref(), &text(&seen.error));
    misses.equal("alias", expect.alias.as_ref(), &text(&seen.alias));
    misses.equal("rule", expect.rule.as_ref(), &text(&seen.rule));
    if let Some(Named(names)) = &expect.target {
        // Nobody is no text that a pattern could stand for.
        let is_met = names.iter().any(|name| match &seen.target {
            Some(target) => glob::matches(name, target),
            None => name == NONE,
        });
        misses.unless(is_met, "target", &expect.target, json!(text(&seen.target)));
    }
    misses.equal("attempts", expect.attempts.as_ref(), &seen.attempts.iter().map(|tried| tried.target.clone()).collect());
    let credentials = seen.attempts.iter().map(|tried| text(&tried.credential)).collect();
    misses.equal("credentials", expect.credentials.as_ref(), &credentials);
    if let Some(losses) = &expect.losses {
        let sorted = |mut list: Vec<String>| {
            list.sort();
            list
        };
        let was = seen.lost();
        misses.unless(sorted(losses.clone()) == sorted(was.clone()), "losses", losses, json!(was));
    }
    if let Some(expected) = &expect.shares {
        let was = shares(seen);
        let wanted: BTreeMap<String, String> = expected.iter().map(|(target, share)| (target.clone(), share.to_string())).collect();
        misses.unless(wanted == was, "shares", expected, json!(was));
    }
    if let Some(limit) = expect.cost_at_most {
        let most = most(seen);
        let was = most.map_or(Value::Null, |most| json!(most));
        misses.unless(most.is_some_and(|most| most <= limit), "cost_at_most", limit, was);
    }
    if let Some(limit) = expect.within {
        let was = Span::from_millis(seen.duration_ms);
        misses.unless(was <= limit, "within", limit, json!(was));
    }
    sent(expect, seen, &mut misses);
    misses.0
}

#[derive(Default)]
struct Misses(Vec<Miss>);

impl Misses {
    fn equal<T: PartialEq + serde::Serialize>(&mut self, member: &'static str, expected: Option<&T>, was: &T) {
        if let Some(expected) = expected {
            self.unless(expected == was, member, expected, json!(was));
        }
    }

    fn unless(&mut self, is_met: bool, member: &'static str, expected: impl serde::Serialize, was: Value) {
        if !is_met {
            self.add(member, expected, was.clone(), was);
        }
    }

    /// Adds one, with what came in words and as a test could say it.
    fn add(&mut self, member: &'static str, expected: impl serde::Serialize, came: Value, was: Value) {
        let expected = json!(expected);
        let relation = match member {
            "cost_at_most" | "within" => "at most ",
            "sent" | "sent_headers" => "with ",
            _ => "",
        };
        let message = format!("{member}: expected {relation}{}, was {}", told(&expected), told(&came));
        self.0.push(Miss { member, expected, was, message });
    }
}

/// Writes a value as people do.
fn told(value: &Value) -> String {
    match value {
        Value::Null => "unknown".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(list) => format!("[{}]", list.iter().map(told).collect::<Vec<_>>().join(", ")),
        Value::Object(members) => {
            let members: Vec<String> = members.iter().map(|(name, value)| format!("{name}: {}", told(value))).collect();
            format!("{{{}}}", members.join(", "))
        }
        Value::Bool(_) | Value::Number(_) => value.to_string(),
    }
}

/// Returns the shares of those that are tried first.
fn shares(seen: &Seen) -> BTreeMap<String, String> {
    let first = seen.foretold.iter().flat_map(|told| told.first_choices());
    first.map(|candidate| (candidate.target.clone(), format!("{}%", candidate.share_percent))).collect()
}

/// Returns the most that it may cost at any target; none where nothing bounds it, or no price is known.
fn most(seen: &Seen) -> Option<Usd> {
    let told = seen.foretold.as_ref()?;
    let costs = told.candidates.iter().map(|candidate| candidate.cost.as_ref().and_then(|cost| cost.most));
    costs.collect::<Option<Vec<_>>>().map(|all| all.into_iter().max().unwrap_or(Usd::ZERO))
}

fn sent(expect: &Expect, seen: &Seen, misses: &mut Misses) {
    if let Some(wanted) = &expect.sent {
        match &seen.sent {
            // That a member was not there says nothing where there was no body.
            None => misses.add("sent", wanted, json!("nothing that is JSON"), Value::Null),
            Some(sent) => {
                let was = wanted.keys().map(|name| (name.clone(), sent.get(name).cloned().unwrap_or(Value::Null))).collect();
                misses.unless(&was == wanted, "sent", wanted, Value::Object(was));
            }
        }
    }
    if let Some(wanted) = &expect.sent_headers {
        let header = |name: &String| seen.sent_headers.get(&name.to_ascii_lowercase()).cloned();
        let was: BTreeMap<&String, Option<String>> = wanted.keys().map(|name| (name, header(name))).collect();
        if wanted.iter().any(|(name, value)| header(name).as_ref() != Some(value)) {
            // A test cannot say that a header is not there.
            let written = if was.values().all(Option::is_some) { json!(was) } else { Value::Null };
            misses.add("sent_headers", wanted, json!(was), written);
        }
    }
}
