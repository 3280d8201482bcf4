//! `explain` = what the data path did: random specs and requests go through both.

use bifrostctl::scenario::{Seen, Tried};
use bifrostctl::table::explain::Outcome;
use serde_json::{Map, Value, json};

use super::seen;

/// Scenarios.
const MANY: u64 = 400;

/// Numbers that are the same on every run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }

    fn one<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[usize::try_from(self.below(of.len() as u64)).unwrap()]
    }

    fn is(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }
}

const PROVIDERS: [&str; 4] = ["oa", "an", "ge", "ol"];
const TARGETS: [&str; 6] = ["oa/m1", "oa/m2", "an/m1", "ge/m1", "ol/m1", "an/m2"];

fn providers(dice: &mut Dice) -> Value {
    let mut all = Map::new();
    for (name, api) in PROVIDERS.iter().zip(["openai-chat", "anthropic", "gemini", "ollama"]) {
        let mut credentials = Map::new();
        for number in 0..=dice.below(2) {
            let models = if number > 0 && dice.is(30) { json!(["m1"]) } else { json!(["*"]) };
            credentials.insert(format!("k{number}"), json!({"secret": {"env": "K"}, "weight": 1 + dice.below(5), "models": models}));
        }
        let mut provider = json!({"api": api, "base_url": format!("https://{name}.example/v1"), "credentials": credentials,
            "retries": {"max": dice.below(2), "backoff": "10ms"}});
        if dice.is(15) {
            provider["limits"] = json!({"requests": "1/min"});
        }
        all.insert((*name).to_owned(), provider);
    }
    all.into()
}

fn models(dice: &mut Dice) -> Value {
    let mut all = Map::new();
    for (place, name) in ["a", "b", "c"].iter().enumerate() {
        let mut targets: Vec<Value> = Vec::new();
        let mut taken: Vec<&str> = Vec::new();
        for _ in 0..=dice.below(2) {
            let target = dice.one(&TARGETS);
            if !taken.contains(&target) {
                taken.push(target);
                let (provider, model) = target.split_once('/').unwrap();
                let is_shared = !targets.is_empty() && dice.is(20);
                targets.push(match is_shared {
                    true => json!({"provider": provider, "model": model, "share": "25%"}),
                    false => json!({"provider": provider, "model": model, "weight": 1 + dice.below(4)}),
                });
            }
        }
        let mut model =
            json!({"targets": targets, "balance": dice.one(&["weighted", "round_robin", "least_busy", "fastest", "cheapest", "adaptive"])});
        if dice.is(20) {
            model["sticky"] = json!({"header": "x-a"});
        }
        let mut links = Vec::new();
        if dice.is(60) {
            links.extend(TARGETS.iter().copied().filter(|target| !taken.contains(target) && dice.is(30)).map(str::to_owned));
            // Only to those after it: no circles.
            links.extend(["a", "b", "c"].iter().skip(place + 1).filter(|_| dice.is(40)).map(|name| (*name).to_owned()));
        }
        model["fallbacks"] = json!(links);
        if dice.is(15) {
            model["strict_translation"] = json!(true);
        }
        if dice.is(15) {
            model["limits"] = json!({"requests": "1/min"});
        }
        all.insert((*name).to_owned(), model);
    }
    all.into()
}

fn rules(dice: &mut Dice) -> Value {
    let mut all = Vec::new();
    for number in 0..dice.below(3) {
        let when =
            dice.one(&["header(\"x-a\", \"\") == \"1\"", "key.labels.role | default(\"\") == \"r\"", "stream", "tokens.input > 500"]);
        let mut rule = json!({"name": format!("r{number}"), "when": when});
        match dice.below(8) {
            0 => rule["deny"] = json!({"status": 403, "message": "No."}),
            1..5 => rule["use"] = json!(dice.one(&["a", "b", "c"])),
            _ => rule["targets"] = json!([dice.one(&TARGETS)]),
        }
        all.push(rule);
    }
    all.into()
}

fn spec(dice: &mut Dice) -> Value {
    let mut key = json!({"hashes": [{"sha256": "7b52009b64fd0a2a49e6d8a939753077792b0554a1ac7e9a0d1f4c9b8a1d0c3e"}],
        "models": match dice.below(8) { 0 => json!(["a", "b"]), 1 => json!(["oa/*", "a"]), _ => json!(["*"]) }});
    if dice.is(30) {
        key["labels"] = json!({"role": "r"});
    }
    if dice.is(4) {
        key["disabled"] = json!(true);
    }
    if dice.is(4) {
        key["expires"] = json!("2027-01-15");
    }
    if dice.is(20) {
        key["limits"] = json!({"requests": "1/min"});
    }
    if dice.is(40) {
        key["budgets"] = json!([{"limit": "$1", "period": "day", "mode": dice.one(&["strict", "soft", "progressive"]), "unpriced": dice.one(&["allow", "deny"])}]);
    }
    let mut prices = Map::new();
    for target in TARGETS {
        if dice.is(70) {
            prices.insert(target.to_owned(), json!({"input": "$1/Mtok", "output": "$2/Mtok"}));
        }
    }
    json!({"version": 1, "providers": providers(dice), "models": models(dice), "rules": rules(dice), "virtual_keys": {"k": key}, "prices": prices})
}

fn test(dice: &mut Dice, (is_anonymous, has_budget): (bool, bool)) -> String {
    let mut request = json!({"model": dice.one(&["a", "b", "c", "a", "b", "a", "oa/m1", "an/m2", "nope"]), "endpoint": dice.one(&["chat", "messages", "responses", "generate_content", "converse", "cohere_chat"])});
    if !is_anonymous {
        request["key"] = json!("k");
    }
    if dice.is(30) {
        request["headers"] = json!({"x-a": "1"});
    }
    if dice.is(30) {
        request["stream"] = json!(true);
    }
    request["prompt_tokens"] = json!(1 + dice.below(1_000));
    request["max_tokens"] = json!(10);
    let mut test =
        json!({"name": "it", "request": request, "seed": dice.below(1_000), "expect": {"status": 599}, "times": 1 + dice.below(2)});
    if dice.is(50) {
        test["outcomes"] = json!({"*": dice.one(&["503", "connect", "timeout", "rate_limit", "quota"])});
    }
    if dice.is(25) && has_budget {
        test["spent"] = json!({"key:k": "$2"});
    }
    json!({"version": 1, "tests": [test]}).to_string()
}

/// Compares what was foretold with what came.
fn compare(seen: &Seen) -> Result<(), String> {
    let told = seen.foretold.as_ref().ok_or("nothing was foretold")?;
    // What no budget has room for is left out beforehand, and in the log an attempt without a call.
    let is_sent = |tried: &&Tried| !["budget_exceeded", "model_unpriced"].contains(&tried.outcome.as_str());
    let sent: Vec<&Tried> = seen.attempts.iter().filter(is_sent).collect();
    let tried: Vec<&str> = sent.iter().map(|tried| tried.target.as_str()).collect();
    if told.outcome == Outcome::Denied {
        let denial = told.denial.as_ref().ok_or("no denial")?;
        return match denial.status == seen.status && seen.target.is_none() && tried.is_empty() {
            true => Ok(()),
            false => Err(format!("foretold {} {}, came {} {:?}", denial.status, denial.code, seen.status, seen.error)),
        };
    }
    let rule = told.rule.as_ref().map(|rule| rule.name.clone());
    if rule != seen.rule || told.alias != seen.alias {
        return Err(format!("foretold {rule:?} {:?}, came {:?} {:?}", told.alias, seen.rule, seen.alias));
    }
    // What a strict translation refuses is tried, as far as it goes: nothing is sent, and the log says why.
    let order: Vec<&str> = told.candidates.iter().map(|candidate| candidate.target.as_str()).collect();
    let mut came: Vec<&str> = tried.clone();
    came.dedup();
    // Where a target answers, the rest is not asked; and what a chain itself has used up of its provider's limit is passed over.
    let mut expected = order.iter().copied();
    let mut before: Vec<&str> = Vec::new();
    for target in &came {
        let provider = |target: &str| target.split('/').next().unwrap_or_default().to_owned();
        let skipped: Vec<&str> = expected.by_ref().take_while(|next| next != target).collect();
        if !order.contains(target) || !skipped.iter().all(|skipped| before.iter().any(|tried| provider(tried) == provider(skipped))) {
            return Err(format!("foretold {order:?}, came {came:?}"));
        }
        before.push(target);
    }
    if came.is_empty() || (seen.target.is_none() && seen.attempts.iter().all(|tried| tried.outcome == "ok")) {
        return Err(format!("foretold {order:?}, came {came:?} and {:?}", seen.error));
    }
    let first = &told.candidates[0].credentials[0].name;
    if sent[0].credential.as_ref() != Some(first) {
        return Err(format!("foretold credential {first}, came {:?}", sent[0].credential));
    }
    Ok(())
}

#[test]
fn what_explain_foretells_is_what_the_data_path_does() {
    let mut dice = Dice(7);
    let (mut denied, mut fell_back, mut served) = (0, 0, 0);
    for number in 0..MANY {
        let spec = spec(&mut dice);
        let is_anonymous = dice.is(5);
        let has_budget = spec["virtual_keys"]["k"].get("budgets").is_some();
        let test = test(&mut dice, (is_anonymous, has_budget));
        let seen = seen(&spec, &test);
        compare(&seen).unwrap_or_else(|why| panic!("{number}: {why}\n{spec}\n{test}\n{seen:#?}"));
        denied += u32::from(seen.attempts.is_empty());
        fell_back += u32::from(seen.attempts.iter().any(|tried| tried.target != seen.attempts[0].target));
        served += u32::from(seen.target.is_some());
    }
    assert!(denied > 40 && fell_back > 40 && served > 90, "{denied} denied, {fell_back} fell back, {served} served");
}
