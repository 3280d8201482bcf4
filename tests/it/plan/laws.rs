//! What holds of every plan: it survives its own model, and depends on what the spec means, not on how it is spelt.

use std::collections::BTreeMap;
use std::path::PathBuf;

use bifrostctl::plan::{Plan, compile};
use bifrostctl::spec::{Inputs, Memory, load, to_yaml};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::generate;
use super::support::loaded_value;

fn plan(spec: &Value) -> Plan {
    compile(&loaded_value(spec.clone())).unwrap_or_else(|found| panic!("{found:#?}\n{spec:#}")).plan
}

/// Other spellings of one meaning, in pairs.
const SPELLINGS: [(&str, &str); 17] = [
    ("1s", "1000ms"),
    ("30s", "30000ms"),
    ("60s", "1m"),
    ("1m", "60s"),
    ("61s", "1m1s"),
    ("100s", "1m40s"),
    ("2m", "120s"),
    ("20m", "1200s"),
    ("1MiB", "1024KiB"),
    ("32MiB", "32768KiB"),
    ("1M/day", "1000k/day"),
    ("2100-12-01", "2100-12-01T00:00:00Z"),
    ("2101-01-01T10:00:00Z", "2101-01-01T12:00:00+02:00"),
    ("2101-01-01T12:00:00+02:00", "2101-01-01T10:00:00.000Z"),
    ("https://llm.example/v1", "https://llm.example/v1/"),
    ("https://eu.example/v1", "https://eu.example/v1/"),
    ("http://127.0.0.1:8000/v1", "http://127.0.0.1:8000/v1/"),
];

/// Says the same in other words: members turned round, defaults left out or written, quantities and names in other spellings.
fn respelt(at: &[&str], value: &Value) -> Value {
    let inside = |section: &str| at.contains(&section);
    match value {
        // What users write into bodies is theirs, but for the order of members.
        Value::Object(members) => {
            let mut out = Map::new();
            for (name, member) in members.iter().rev() {
                let below: Vec<&str> = at.iter().copied().chain([name.as_str()]).collect();
                let free = inside("defaults") || inside("overrides");
                // No alerts at all are not the usual ones.
                let says_so = name == "alerts" && !member.is_null();
                if free || says_so || !(member.is_null() || is_empty(member)) || is_entry(at) {
                    let name = if at.last() == Some(&"headers") { name.to_uppercase() } else { name.clone() };
                    out.insert(name, respelt(&below, member));
                }
            }
            if let (Some(provider), Some(model), true) = (out.get("provider"), out.get("model"), out.get("weight") == Some(&json!(1))) {
                return json!(format!("{}/{}", provider.as_str().unwrap(), model.as_str().unwrap()));
            }
            Value::Object(out)
        }
        Value::Array(items) => items.iter().map(|item| respelt(at, item)).collect(),
        Value::String(text)
            if inside("timeouts") || inside("limits") || ["drain", "expires", "not_after", "base_url"].iter().any(|it| inside(it)) =>
        {
            let other = SPELLINGS.iter().find(|(spelling, _)| spelling == text).map_or(text.as_str(), |(_, other)| *other);
            json!(other)
        }
        Value::String(text) if at.last() == Some(&"sha256") => json!(text.to_uppercase()),
        other => other.clone(),
    }
}

/// Maps and lists whose absence means the same.
fn is_empty(value: &Value) -> bool {
    value.as_object().is_some_and(Map::is_empty) || value.as_array().is_some_and(Vec::is_empty)
}

/// Returns whether the members at this place are entries that users name: their absence means something.
fn is_entry(at: &[&str]) -> bool {
    matches!(
        at,
        ["providers" | "models" | "teams" | "virtual_keys" | "budgets"] | ["providers", _, "credentials"] | ["virtual_keys", _, "labels"]
    )
}

fn cases() -> u32 {
    std::env::var("PROPTEST_CASES").ok().and_then(|text| text.parse().ok()).unwrap_or(48)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_plan_survives_its_own_model(spec in generate::spec()) {
        let plan = plan(&spec);
        let model = plan.model();
        let back: Plan = serde_json::from_value(model.clone()).unwrap();
        prop_assert_eq!(&back, &plan);
        prop_assert_eq!(back.digest(), plan.digest());
        // Also as text, which is how it travels and is kept.
        let read: Plan = serde_json::from_str(&model.to_string()).unwrap();
        prop_assert_eq!(read, plan);
    }

    #[test]
    fn spelling_makes_no_difference(spec in generate::spec()) {
        let other = respelt(&[], &spec);
        let (plan, other) = (plan(&spec), plan(&other));
        prop_assert_eq!(&plan, &other);
        prop_assert_eq!(plan.digest(), other.digest());
    }

    #[test]
    fn a_spec_means_the_same_in_a_file(spec in generate::spec()) {
        // As a file has it, without fields that have no value.
        let written = to_yaml(&respelt(&[], &spec));
        let files = Memory(BTreeMap::from([(PathBuf::from("gateway.yaml"), written.clone().into_bytes())]));
        let paths = [PathBuf::from("gateway.yaml")];
        let loaded = load(&Inputs { files: &files, paths: &paths, env: &BTreeMap::new(), strict_env: true });
        let loaded = loaded.unwrap_or_else(|rejected| panic!("{:#?}\n{}", rejected.diagnostics, written));
        let read = compile(&loaded).unwrap().plan;
        prop_assert_eq!(&read, &plan(&spec));
    }
}

#[test]
fn the_respelling_respells() {
    let spec = json!({"version": 1, "providers": {"mock": {"timeouts": {"idle": "60s", "total": null}, "headers": {"x-a": "b"}}},
        "models": {"m": {"targets": [{"provider": "mock", "model": "x", "weight": 1}], "fallbacks": []}}, "rules": []});
    let expected = json!({"models": {"m": {"targets": ["mock/x"]}},
        "providers": {"mock": {"headers": {"X-A": "b"}, "timeouts": {"idle": "1m"}}}, "version": 1});
    assert_eq!(respelt(&[], &spec), expected);
    assert_eq!(plan(&spec), plan(&expected));
}
