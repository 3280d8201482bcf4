//! Scripts: which request meets which behaviour.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::Behaviour;
use crate::base::glob;

/// Rules in order; the first that takes a request decides. A request that no rule takes gets a correct answer.
///
/// ```yaml
/// rules:
///   - when: {model: "gpt-*", credential: key-1}
///     times: 2
///     then: [{status: 503}]
///   - then: [{error: rate_limit, retry_after: 2}, {}]
/// ```
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Script {
    /// The rules.
    #[serde(default)]
    pub rules: Vec<Rule>,
}

/// Takes the requests it is for, and gives them behaviours in turn; the last one repeats.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Which requests it is for; by default, all.
    #[serde(default)]
    pub when: When,
    /// How many requests it takes before it is spent; by default, without end.
    #[serde(default)]
    pub times: Option<u64>,
    /// What the first, second, … request meets; the last one repeats. Empty: a correct answer.
    #[serde(default)]
    pub then: Vec<Behaviour>,
}

/// Which requests a rule is for: all that is set must hold. Texts may hold `*`, which stands for any text.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct When {
    /// The model, without its fault suffix.
    pub model: Option<String>,
    /// The path, without its query.
    pub path: Option<String>,
    /// Headers, by name in any case.
    pub headers: BTreeMap<String, String>,
    /// The `authorization` header, with or without its `Bearer `; else `x-api-key` or `api-key`.
    pub credential: Option<String>,
    /// The request's number, from 1.
    pub request: Option<u64>,
    /// Every so-manyth of the requests for which the rest holds.
    pub every: Option<u64>,
}

/// Why a script was refused.
#[derive(Debug, thiserror::Error)]
#[error("the script of the mock is not valid: {0}")]
pub struct ScriptError(String);

impl Script {
    /// Reads a script from YAML or JSON.
    ///
    /// # Errors
    /// Text that is not YAML, and fields that do not exist, with their place.
    pub fn parse(text: &str) -> Result<Self, ScriptError> {
        serde_yaml::from_str(text).map_err(|error| ScriptError(error.to_string()))
    }

    /// Makes a script in which every request meets one behaviour.
    #[must_use]
    pub fn always(behaviour: Behaviour) -> Self {
        Self::default().rule(Rule::default().then(behaviour))
    }

    /// Makes a script in which requests meet behaviours in turn, and correct answers when the list is used up.
    #[must_use]
    pub fn sequence(behaviours: impl IntoIterator<Item = Behaviour>) -> Self {
        let then: Vec<_> = behaviours.into_iter().collect();
        let times = Some(then.len() as u64);
        Self::default().rule(Rule { when: When::default(), times, then })
    }

    /// Adds a rule.
    #[must_use]
    pub fn rule(mut self, rule: Rule) -> Self {
        self.rules.push(rule);
        self
    }
}

impl Rule {
    /// Makes a rule for one model; `*` stands for any text.
    #[must_use]
    pub fn model(model: impl Into<String>) -> Self {
        Self { when: When { model: Some(model.into()), ..When::default() }, ..Self::default() }
    }

    /// Makes a rule for one credential.
    #[must_use]
    pub fn credential(credential: impl Into<String>) -> Self {
        Self { when: When { credential: Some(credential.into()), ..When::default() }, ..Self::default() }
    }

    /// Adds what the next request meets.
    #[must_use]
    pub fn then(mut self, behaviour: Behaviour) -> Self {
        self.then.push(behaviour);
        self
    }

    /// Limits how many requests the rule takes.
    #[must_use]
    pub const fn times(mut self, times: u64) -> Self {
        self.times = Some(times);
        self
    }
}

/// What rules look at.
#[derive(Debug, Clone, Copy)]
pub(super) struct Facts<'a> {
    pub(super) number: u64,
    pub(super) model: &'a str,
    pub(super) path: &'a str,
    pub(super) headers: &'a [(String, String)],
}

impl Facts<'_> {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(have, _)| have.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }
}

/// A script with its counters.
#[derive(Debug, Default)]
pub(super) struct Playing {
    rules: Vec<(Rule, Count)>,
}

#[derive(Debug, Default, Clone, Copy)]
struct Count {
    seen: u64,
    taken: u64,
}

impl From<Script> for Playing {
    fn from(script: Script) -> Self {
        Self { rules: script.rules.into_iter().map(|rule| (rule, Count::default())).collect() }
    }
}

impl Playing {
    /// Takes the behaviour of the next request.
    pub(super) fn next(&mut self, facts: Facts<'_>) -> Behaviour {
        for (rule, count) in &mut self.rules {
            if rule.times.is_some_and(|times| count.taken >= times) || !rule.when.holds(facts) {
                continue;
            }
            count.seen += 1;
            if rule.when.every.is_some_and(|every| every == 0 || count.seen % every != 0) {
                continue;
            }
            let turn = usize::try_from(count.taken).unwrap_or(usize::MAX);
            count.taken += 1;
            return rule.then.get(turn).or(rule.then.last()).cloned().unwrap_or_default();
        }
        Behaviour::default()
    }
}

impl When {
    fn holds(&self, facts: Facts<'_>) -> bool {
        let says = |pattern: &Option<String>, text: &str| pattern.as_ref().is_none_or(|pattern| glob::matches(pattern, text));
        says(&self.model, facts.model)
            && says(&self.path, facts.path)
            && self.request.is_none_or(|request| request == facts.number)
            && self.headers.iter().all(|(name, pattern)| facts.header(name).is_some_and(|value| glob::matches(pattern, value)))
            && self.credential.as_ref().is_none_or(|pattern| holds_credential(pattern, facts))
    }
}

fn holds_credential(pattern: &str, facts: Facts<'_>) -> bool {
    if let Some(value) = facts.header("authorization") {
        return glob::matches(pattern, value) || value.strip_prefix("Bearer ").is_some_and(|key| glob::matches(pattern, key));
    }
    facts.header("x-api-key").or(facts.header("api-key")).is_some_and(|value| glob::matches(pattern, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(playing: &mut Playing, number: u64, model: &str, credential: &str) -> Option<u16> {
        let headers = [("Authorization".to_owned(), format!("Bearer {credential}"))];
        playing.next(Facts { number, model, path: "/v1/chat/completions", headers: &headers }).status
    }

    #[test]
    fn rules_are_taken_in_order_and_spent() {
        let text = "
rules:
  - when: {model: 'gpt-*', credential: k1}
    times: 2
    then: [{status: 503}, {status: 500}]
  - when: {path: '/v1/*', request: 9}
    then: [{status: 404}]
  - when: {headers: {AUTHORIZATION: '*k2'}, every: 2}
    then: [{status: 429, retry_after: 2}]
";
        let script = Script::parse(text).unwrap();
        assert_eq!(script.rules[2].then[0].retry_after.as_deref(), Some("2"));
        let mut playing = Playing::from(script);
        assert_eq!(ask(&mut playing, 1, "gpt-4o", "k1"), Some(503));
        assert_eq!(ask(&mut playing, 2, "other", "k1"), None);
        assert_eq!(ask(&mut playing, 3, "gpt-4o", "k1"), Some(500));
        assert_eq!(ask(&mut playing, 4, "gpt-4o", "k1"), None, "spent");
        assert_eq!(ask(&mut playing, 9, "gpt-4o", "k1"), Some(404));
        let every_second: Vec<_> = (10..14).map(|number| ask(&mut playing, number, "m", "k2")).collect();
        assert_eq!(every_second, [None, Some(429), None, Some(429)]);
    }

    #[test]
    fn the_last_behaviour_repeats_without_times_and_not_with_a_sequence() {
        let mut playing = Playing::from(Script::default().rule(Rule::model("m").then(Behaviour::status(500)).then(Behaviour::status(503))));
        let seen: Vec<_> = (1..=4).map(|number| ask(&mut playing, number, "m", "k")).collect();
        assert_eq!(seen, [Some(500), Some(503), Some(503), Some(503)]);
        let mut playing = Playing::from(Script::sequence([Behaviour::status(500)]));
        assert_eq!(ask(&mut playing, 1, "m", "k"), Some(500));
        assert_eq!(ask(&mut playing, 2, "m", "k"), None);
    }

    #[test]
    fn an_unknown_field_is_refused_with_its_name() {
        for text in ["rules: [{then: [{statsu: 503}]}]", "rules: [{wen: {}}]", "rule: []", "rules: [{then: [{delay: 5}]}]"] {
            assert!(Script::parse(text).is_err(), "{text}");
        }
        let error = Script::parse("rules:\n  - then:\n      - statsu: 503\n").unwrap_err().to_string();
        assert!(error.contains("statsu"), "{error}");
        assert_eq!(Script::parse(r#"{"rules":[{"then":[{"status":503}]}]}"#).unwrap(), Script::always(Behaviour::status(503)));
    }
}
