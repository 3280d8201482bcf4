//! Limits of aliases that a request comes to without having asked for them: links of a chain, and where a budget moves it.

use std::sync::Arc;

use bifrostctl::limit::{Limiter, Measure, Scope};
use bifrostctl::table::explain::{Moment, Question, explain};
use http::StatusCode;
use http_body_util::BodyExt as _;
use serde_json::{Value, json};

use super::harness::Rig;
use super::limits::{STREAM, WHOLE, begin, header, rate, refusal, rig};
use super::money::{Paid, budget};

/// `fast`, whose own target fails, and behind it `smart`, the first of whose targets fails, too.
fn chained(plan: &mut Value, limits: &Value) {
    plan["models"]["smart"] = plan["models"]["fast"].clone();
    plan["models"]["smart"]["targets"] =
        json!([{"provider": "two", "model": "a@status=500", "weight": 1}, {"provider": "two", "model": "m", "weight": 0}]);
    plan["models"]["smart"]["fallbacks"] = json!([]);
    plan["models"]["smart"]["limits"] = limits.clone();
    plan["models"]["fast"]["targets"][0]["model"] = json!("m@status=500");
    plan["models"]["fast"]["fallbacks"] = json!(["smart"]);
    plan["virtual_keys"]["web"]["models"] = json!(["fast", "smart", "cheap"]);
}

fn limiter(rig: &Rig, alias: &str) -> Arc<Limiter> {
    Arc::clone(rig.gateway.live.load().aliases[alias].limiter.as_ref().unwrap())
}

/// Requests that the alias would let in at once, ten seconds after the clock's beginning.
fn remaining(rig: &Rig, alias: &str) -> u64 {
    limiter(rig, alias).level(Measure::Requests, 10_000_000_000).unwrap().remaining
}

#[tokio::test]
async fn a_link_of_a_chain_counts_a_request_once_whatever_the_targets_and_lets_no_more_through() {
    let (rig, _) = rig(|plan| chained(plan, &json!({"requests": rate("60/min", 2), "concurrency": 1}))).await;
    let seen = rig.chat(WHOLE).await;
    assert_eq!((seen.status.as_u16(), header(&seen, "x-bifrost-target")), (200, Some("two/m")));
    assert_eq!((remaining(&rig, "smart"), limiter(&rig, "smart").in_use()), (1, Some(0)), "two of its targets were tried");
    assert_eq!(rig.chat(WHOLE.replace("fast", "smart")).await.status.as_u16(), 200);
    let tried = rig.mock.requests().len();
    let refused = rig.chat(WHOLE).await;
    assert_ne!(refused.status.as_u16(), 200);
    let after: Vec<String> = rig.mock.requests().iter().skip(tried).map(|request| request.path().to_owned()).collect();
    assert!(!after.is_empty(), "the alias's own target is tried");
    let (status, text, _) = refusal(&rig.chat(WHOLE.replace("fast", "smart")).await);
    assert!(status == 429 && text.starts_with("The model `smart` has used its limit of requests"), "{text}");
    let metrics = rig.gateway.services.metrics.encode();
    assert!(metrics.contains("bifrost_limited_total{scope=\"alias\",limit=\"requests\"} 2"), "{metrics}");
}

#[tokio::test]
async fn a_stream_that_came_through_a_link_holds_its_permit_to_its_end() {
    let (rig, _) = rig(|plan| chained(plan, &json!({"concurrency": 1}))).await;
    let in_use = || rig.gateway.services.counters.in_use(Scope::Alias);
    let mut response = begin(&rig, STREAM).await;
    assert_eq!((response.status().as_u16(), in_use()), (200, 1));
    drop(response.body_mut().collect().await.unwrap());
    assert_eq!(in_use(), 0);
    let response = begin(&rig, STREAM).await;
    assert_eq!(in_use(), 1);
    drop(response);
    assert_eq!(in_use(), 0);
}

#[tokio::test]
async fn a_chain_that_goes_on_behind_a_link_gives_its_permit_back() {
    let (rig, _) = rig(|plan| {
        chained(plan, &json!({"concurrency": 1}));
        plan["models"]["smart"]["targets"] = json!([{"provider": "two", "model": "a@status=500", "weight": 1}]);
        plan["models"]["fast"]["fallbacks"] = json!(["smart", "two/m"]);
    })
    .await;
    let response = begin(&rig, STREAM).await;
    assert_eq!((response.status().as_u16(), rig.gateway.services.counters.in_use(Scope::Alias)), (200, 0));
}

#[tokio::test]
async fn a_link_that_is_full_is_passed_over_and_explain_says_so() {
    let (rig, _) = rig(|plan| {
        chained(plan, &json!({"concurrency": 1}));
        plan["models"]["fast"]["fallbacks"] = json!(["smart", "two/other"]);
    })
    .await;
    let running = begin(&rig, STREAM).await;
    let question = Question { key: Some("web".to_owned()), model: Some("fast".to_owned()), ..Question::default() };
    let told = explain(&rig.gateway.live.load(), &question, Moment { unix_ms: 0, now_ms: 10_000, roll: 0 }).unwrap();
    let left_out: Vec<_> = told.excluded.iter().map(|it| (it.target.as_str(), it.code.as_str())).collect();
    assert_eq!(left_out, [("two/a@status=500", "alias_limit"), ("two/m", "alias_limit")]);
    assert!(told.limits.iter().any(|limit| (limit.scope.as_str(), limit.name.as_str(), limit.remaining) == ("alias", "smart", 0)));
    let seen = rig.chat(WHOLE).await;
    assert_eq!((seen.status.as_u16(), header(&seen, "x-bifrost-target")), (200, Some("two/other")));
    drop(running);
}

/// A budget that has room for nothing, and moves everything to `cheap`, which is free.
async fn moved(change: impl FnOnce(&mut Value)) -> Paid {
    let mut moves = budget("$0.00001", "strict");
    moves["when_exhausted"] = json!({"use": "cheap"});
    Paid::start(json!([moves]), |plan| {
        plan["prices"]["two/*"] = json!({"free": true});
        plan["models"]["cheap"] = plan["models"]["fast"].clone();
        plan["models"]["cheap"]["targets"][0]["provider"] = json!("two");
        plan["models"]["cheap"]["limits"] = json!({"requests": rate("6/h", 2), "concurrency": 1});
        change(plan);
    })
    .await
}

#[tokio::test]
async fn an_alias_that_a_budget_moves_requests_to_counts_them() {
    let paid = moved(|_| {}).await;
    for _ in 0..2 {
        assert_eq!(paid.rig.chat(WHOLE).await.status, StatusCode::OK);
    }
    let (status, text, _) = refusal(&paid.rig.chat(WHOLE).await);
    assert!(status == 429 && text.starts_with("The model `cheap` has used its limit of requests"), "{text}");
    assert_eq!(paid.rig.gateway.services.counters.in_use(Scope::Alias), 0);
    assert_eq!(paid.rig.tried().len(), 2);
}

#[tokio::test]
async fn a_limit_counts_a_request_once_by_whatever_ways_it_comes_to_it() {
    let paid = moved(|plan| {
        plan["models"]["fast"]["limits"] = json!({"requests": rate("6/h", 5), "concurrency": 1});
        plan["models"]["fast"]["targets"][0] = json!({"provider": "one", "model": "m", "weight": 1});
        plan["models"]["fast"]["fallbacks"] = json!(["two/last"]);
        plan["prices"]["two/*"] = json!({"input": "$1/Mtok", "output": "$10/Mtok"});
        plan["prices"]["three/*"] = json!({"free": true});
        plan["models"]["cheap"]["targets"][0] = json!({"provider": "two", "model": "x", "weight": 1});
        plan["models"]["cheap"]["fallbacks"] = json!(["fast"]);
    })
    .await;
    // Nothing fits anywhere, and `fast` was asked for and is a link of `cheap`, too: its one permit is not in its own way.
    let bounded = WHOLE.replace("\"model\"", "\"max_tokens\":9,\"model\"");
    assert_eq!(paid.rig.chat(bounded).await.status, StatusCode::PAYMENT_REQUIRED);
    let used = |alias: &str| limiter(&paid.rig, alias).in_use();
    assert_eq!((used("fast"), used("cheap")), (Some(0), Some(0)));
    let fast = limiter(&paid.rig, "fast");
    let now_ns = bifrostctl::base::Clock::monotonic_us(&*paid.rig.gateway.clock) * 1_000;
    assert_eq!(fast.level(Measure::Requests, now_ns).unwrap().remaining, 4);
}
