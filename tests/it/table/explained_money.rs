//! What `explain` says of money: budgets, prices, and what a request would cost.

use bifrostctl::table::explain::{Question, human};
use serde_json::json;

use super::explain::{Rig, asks, rig_of};

const SPEC: &str = r#"
version: 1
providers:
  openai: {credentials: {main: {secret: {env: A}}}}
  local: {api: openai-chat, base_url: "http://127.0.0.1:8000/v1", credentials: {default: {secret: none}}}
  own: {api: openai-chat, base_url: "http://127.0.0.1:8001/v1", credentials: {default: {secret: none}}}
models:
  fast: {targets: [openai/gpt-4o-mini], fallbacks: [local/qwen3, own/x]}
teams: {growth: {budgets: [monthly]}}
virtual_keys:
  web:
    hashes: [{sha256: 2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b}]
    team: growth
    models: [fast, "own/*"]
    budgets: [{limit: $5, period: day, mode: progressive, timezone: Europe/Berlin}, {limit: $50, period: total}]
budgets:
  monthly: {limit: $500, period: month, when_exhausted: {use: fast}}
prices:
  local/qwen3: {free: true}
"#;

fn rig() -> Rig {
    rig_of(SPEC, |_| {})
}

#[test]
fn budgets_prices_and_costs_are_told_in_words() {
    let rig = rig();
    insta::assert_snapshot!("money_without_a_body", human(&rig.told(&asks("web", "fast"))));
    let body = json!({"messages": [{"role": "user", "content": "How much?"}], "max_tokens": 100});
    let question = Question { body: Some(body), ..asks("web", "fast") };
    insta::assert_snapshot!("money_with_a_body", human(&rig.told(&question)));
    let unbounded = json!({"messages": [], "tools": [{"type": "web_search"}], "max_tokens": 100});
    let unbounded = human(&rig.told(&Question { body: Some(unbounded), ..asks("web", "fast") }));
    insta::assert_snapshot!("money_without_a_bound", unbounded);
    let unpriced = human(&rig.told(&asks("web", "own/x")));
    assert!(unpriced.contains("403 "), "{unpriced}");
}

#[test]
fn budgets_prices_and_costs_are_told_as_data() {
    let body = json!({"messages": [{"role": "user", "content": "How much?"}], "max_tokens": 100});
    let told = serde_json::to_value(rig().told(&Question { body: Some(body), ..asks("web", "fast") })).unwrap();
    assert_eq!(told["budgets"][0]["account"], "key:web");
    assert_eq!(told["budgets"][0]["left"], "$5");
    assert_eq!(told["candidates"][0]["price"]["rates"]["input"], "$0.15/Mtok");
    assert!(told["candidates"][0]["cost"]["most"].as_str().unwrap().starts_with("$0.000"), "{told:#}");
    assert_eq!(told["candidates"][1]["price"], json!({"is_known": true, "is_free": true, "rates": {"request": "$0/request"}}));
    assert_eq!(told["excluded"][0]["code"], "unpriced");
}

#[test]
fn a_gateway_that_does_not_run_knows_nothing_of_what_is_spent() {
    let mut rig = rig();
    rig.table.revision = 0;
    let told = rig.told(&asks("web", "fast"));
    assert!(told.budgets.iter().all(|budget| budget.spent.is_none() && budget.left.is_none()));
    assert!(!human(&told).contains("spent"));
}
