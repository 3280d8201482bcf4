//! No rule is called unreachable or always false when some request shows the contrary.

use std::sync::Arc;

use bifrostctl::plan::expr::{Condition, ENDPOINTS, Facts, KeyFacts};
use bifrostctl::plan::{Plan, compile};
use http::HeaderMap;
use proptest::prelude::*;

use super::super::support::loaded;
use super::spec;

const KEYS: &str = "teams: {growth: {}, research: {}}
virtual_keys:
  web: {hashes: [], team: growth, models: [\"*\"], labels: {env: dev}}
  ci: {hashes: [], team: growth, models: [\"*\"], labels: {env: prod}}
  lab: {hashes: [], team: research, models: [\"*\"]}
";

/// Parts of conditions that fail on no request.
fn part() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("stream".to_owned()),
        Just("tools".to_owned()),
        Just("true".to_owned()),
        prop::sample::select(vec!["growth", "research", "other"]).prop_map(|team| format!("key.team == '{team}'")),
        prop::sample::select(vec!["web", "ci", "lab", "x"]).prop_map(|name| format!("key.name in ['{name}', 'ci']")),
        prop::sample::select(vec!["dev", "prod", ""]).prop_map(|env| format!("key.labels.env | default('') == '{env}'")),
        prop::sample::select(vec!["chat", "embeddings", "nope"]).prop_map(|endpoint| format!("endpoint == '{endpoint}'")),
        (0..26_u8, prop::sample::select(vec!["<", ">=", "=="])).prop_map(|(hour, than)| format!("hour_utc {than} {hour}")),
        (0..4_u32).prop_map(|count| format!("tokens.input > {count}")),
        prop::sample::select(vec!["a", "b"]).prop_map(|model| format!("model == '{model}'")),
        Just("header('x-tier', '') == 'gold'".to_owned()),
        Just("(stream if tools else model == 'a')".to_owned()),
    ]
}

fn condition() -> impl Strategy<Value = String> {
    part().prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 2..4).prop_map(|parts| parts.join(" and ")),
            prop::collection::vec(inner.clone(), 2..4).prop_map(|parts| parts.join(" or ")),
            inner.clone().prop_map(|part| format!("({part})")),
            inner.prop_map(|part| format!("not ({part})")),
        ]
    })
}

/// Every request that these parts could tell apart, and some more.
fn requests(plan: &Plan) -> Vec<Facts> {
    let mut requests = Vec::new();
    let gold = Arc::new([("x-tier".parse().unwrap(), "gold".parse().unwrap())].into_iter().collect::<HeaderMap>());
    let none = Arc::new(HeaderMap::new());
    for (name, key) in &plan.virtual_keys {
        let key = Arc::new(KeyFacts::new(name, key.team.as_deref(), &key.labels));
        for bits in 0..4_u8 {
            for endpoint in ENDPOINTS {
                for hour_utc in [0, 5, 11, 12, 17, 23] {
                    for (model, input_tokens, headers) in [("a", 0, &none), ("b", 9, &gold), ("c", 2, &none), ("a", 9, &gold)] {
                        requests.push(Facts {
                            key: Arc::clone(&key),
                            model: model.into(),
                            endpoint,
                            stream: bits & 1 != 0,
                            input_tokens,
                            max_output_tokens: 0,
                            tools: bits & 2 != 0,
                            vision: false,
                            json_schema: false,
                            body_bytes: 0,
                            headers: Arc::clone(headers),
                            hour_utc,
                        });
                    }
                }
            }
        }
    }
    requests
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_called_dead_is_dead(conditions in prop::collection::vec(condition(), 1..5)) {
        let rules: Vec<String> = conditions
            .iter()
            .enumerate()
            .map(|(index, condition)| format!("  - {{name: r{index}, when: {}, use: m}}\n", serde_json::json!(condition)))
            .collect();
        let compiled = compile(&loaded(&spec(&format!("{KEYS}rules:\n{}", rules.concat())))).unwrap();
        let dead: Vec<usize> = compiled
            .warnings
            .iter()
            .filter(|found| matches!(found.code, "BF0307" | "BF0308"))
            .filter_map(|found| found.pointer.as_deref()?.strip_prefix("/rules/")?.strip_suffix("/when")?.parse().ok())
            .collect();
        let conditions: Vec<Condition> = conditions.iter().map(|source| Condition::compile(source).unwrap()).collect();
        for facts in requests(&compiled.plan) {
            let facts = facts.into_value();
            let first = conditions.iter().position(|condition| condition.eval(facts.clone()) == Ok(true));
            prop_assert!(first.is_none_or(|first| !dead.contains(&first)), "rule {first:?} decides a request, but is called dead: {dead:?}");
        }
    }
}
