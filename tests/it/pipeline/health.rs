//! What protects the process and its upstreams: the cap on requests, breakers and probes, waits; and the figures about them.

use std::sync::Arc;

use bifrostctl::base::ManualClock;
use bifrostctl::mock::{Behaviour, Script};
use bifrostctl::pipeline::Reply;
use bifrostctl::provider::Admit;
use bifrostctl::server::{Handler as _, Peer, RequestBody};
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use serde_json::json;

use super::harness::{KEY, Rig};

const WHOLE: &str = r#"{"model":"fast","messages":[{"role":"user","content":"hi"}]}"#;
const STREAM: &str = r#"{"model":"fast","stream":true,"messages":[{"role":"user","content":"hi"}]}"#;

/// Sends a request and leaves its answer unread.
async fn begin(rig: &Rig, body: &'static str) -> Response<Reply> {
    let request = Request::post("/v1/chat/completions").header("x-api-key", KEY);
    rig.gateway.handle(request.body(RequestBody::from(Bytes::from(body))).unwrap(), Peer::default()).await
}

fn admits(rig: &Rig, provider: &str) -> Admit {
    rig.gateway.services.health.target(provider, "m").breaker.admits(rig.gateway.clock.monotonic_ms())
}

fn sample(rig: &Rig, line: &str) -> Option<f64> {
    let metrics = rig.gateway.services.metrics.encode();
    metrics.lines().find_map(|have| have.strip_prefix(line)).map(|value| value.trim().parse().unwrap())
}

#[tokio::test]
async fn more_requests_than_the_cap_are_refused_before_their_body_is_read() {
    let rig = Rig::start_with(|plan| plan["gateway"]["limits"] = json!({"body": "1KiB", "in_flight": 1, "connections": 9})).await;
    let first = begin(&rig, STREAM).await;
    let seen = rig.chat(vec![b' '; 4096]).await;
    assert_eq!((seen.status, seen.json()["error"]["code"].as_str()), (StatusCode::SERVICE_UNAVAILABLE, Some("overloaded")));
    assert!(seen.text().contains("`gateway.limits.in_flight`"), "{}", seen.text());
    assert_eq!(seen.headers["retry-after"], "1");
    assert!(Rig::read(first).await.text().ends_with("[DONE]\n\n"));
    assert_eq!(rig.chat(vec![b' '; 4096]).await.status, StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(rig.chat(WHOLE).await.status, StatusCode::OK);
    assert_eq!(sample(&rig, "bifrost_in_flight"), Some(0.0));
}

#[tokio::test]
async fn the_last_places_are_for_keys_that_matter_most() {
    let key = |name: &str, priority: &str| {
        json!({"hashes": [{"sha256": bifrostctl::base::Digest::of(name.as_bytes()), "not_after": null}], "team": null, "models": ["fast"],
            "expires": null, "disabled": false, "routing_headers": false, "labels": {}, "priority": priority})
    };
    let rig = Rig::start_with(|plan| {
        plan["gateway"]["limits"]["in_flight"] = json!(10);
        for priority in ["critical", "batch"] {
            plan["virtual_keys"][priority] = key(priority, priority);
        }
    })
    .await;
    let status = async |key: &str| {
        let seen = rig.call("POST", "/v1/chat/completions", &[("x-api-key", key)], WHOLE.into()).await;
        (
            seen.status.as_u16(),
            if seen.status == 503 { seen.json()["error"]["message"].as_str().unwrap().to_owned() } else { String::new() },
        )
    };
    let mut running = Vec::new();
    for (count, batch, normal, critical) in [(7, 200, 200, 200), (8, 503, 200, 200), (9, 503, 503, 200), (10, 503, 503, 503)] {
        while running.len() < count {
            let request = Request::post("/v1/chat/completions").header("x-api-key", "critical");
            let request = request.body(RequestBody::from(Bytes::from(STREAM))).unwrap();
            running.push(rig.gateway.handle(request, Peer::default()).await);
        }
        let seen = [status("batch").await, status(KEY).await, status("critical").await];
        assert_eq!([seen[0].0, seen[1].0, seen[2].0], [batch, normal, critical], "{count}");
        assert!(batch == 200 || seen[0].1.contains("8 requests or more, of 10"), "{seen:?}");
    }
    assert_eq!(status("nobody").await.0, 401, "whoever is nobody is told so first");
    running.clear();
    assert_eq!(status("batch").await.0, 200);
}

#[tokio::test]
async fn near_the_end_of_its_memory_the_gateway_turns_requests_away_before_their_body_is_read() {
    let rig = Rig::start().await;
    let memory = rig.gateway.services.counters.memory();
    memory.note(95 << 20, Some(100 << 20));
    assert_eq!(rig.chat(WHOLE).await.status, 200, "while few run, it is not theirs");
    let mut running = Vec::new();
    for _ in 0..16 {
        memory.note(1, Some(100 << 20));
        running.push(begin(&rig, STREAM).await);
    }
    memory.note(95 << 20, Some(100 << 20));
    let seen = rig.chat(vec![b' '; 2 << 20]).await;
    assert_eq!((seen.status.as_u16(), seen.json()["error"]["code"].as_str()), (503, Some("overloaded")));
    assert!(seen.text().contains("`gateway.limits.memory`") && seen.headers["retry-after"] == "1", "{}", seen.text());
    memory.note(89 << 20, Some(100 << 20));
    assert_eq!(rig.chat(WHOLE).await.status, 200);
}

#[tokio::test]
async fn streams_count_when_they_end_and_five_that_break_after_content_open_the_breaker() {
    let rig = Rig::start().await;
    let (broken, fine) = ("cut_at=event:3", "");
    let faults = [broken, broken, broken, broken, fine, broken, fine].map(|fault| fault.parse::<Behaviour>().unwrap());
    rig.mock.script(Script::sequence(faults));
    for _ in 0..4 {
        assert!(rig.chat(STREAM).await.text().contains("upstream_truncated"));
    }
    let running = begin(&rig, STREAM).await;
    assert_eq!((running.status(), admits(&rig, "one")), (StatusCode::OK, Admit::Yes));
    assert!(rig.chat(STREAM).await.text().contains("upstream_truncated"));
    assert!(matches!(admits(&rig, "one"), Admit::No { .. }), "a stream that has only begun is no success");
    Rig::read(running).await;
    assert!(matches!(admits(&rig, "one"), Admit::No { .. }), "nor does one that began before close the breaker");
    let metric = |outcome: &str| sample(&rig, &format!("bifrost_attempts_total{{provider=\"one\",model=\"m\",outcome=\"{outcome}\"}}"));
    assert_eq!((metric("upstream_truncated"), metric("ok")), (Some(5.0), Some(1.0)));
    assert_eq!(sample(&rig, "bifrost_streams_open"), Some(0.0));
}

#[tokio::test]
async fn a_probing_stream_keeps_others_away_until_it_has_ended_well() {
    let mut rig = Rig::start().await;
    rig.gateway.clock = Arc::new(ManualClock::at(10_000));
    let health = rig.gateway.services.health.target("one", "m");
    (0..5).for_each(|_| health.breaker.failure(0, 0, 0.0));
    assert_eq!(admits(&rig, "one"), Admit::Probe);
    let probe = begin(&rig, STREAM).await;
    assert_eq!(probe.headers()["x-bifrost-target"], "one/m");
    assert_eq!(rig.chat(WHOLE).await.headers["x-bifrost-target"], "two/m");
    assert!(matches!(admits(&rig, "one"), Admit::No { .. }));
    Rig::read(probe).await;
    assert_eq!(admits(&rig, "one"), Admit::Yes);
    assert_eq!(rig.chat(WHOLE).await.headers["x-bifrost-target"], "one/m");
}

#[tokio::test]
async fn a_probe_whose_client_leaves_proves_nothing_and_frees_the_place() {
    let mut rig = Rig::start().await;
    rig.gateway.clock = Arc::new(ManualClock::at(10_000));
    let health = rig.gateway.services.health.target("one", "m");
    (0..5).for_each(|_| health.breaker.failure(0, 0, 0.0));
    drop(begin(&rig, STREAM).await);
    assert_eq!(admits(&rig, "one"), Admit::Probe);
}

#[tokio::test]
async fn a_rate_limit_that_ends_soon_is_waited_out_only_where_nobody_else_is_left() {
    let alone = |plan: &mut serde_json::Value| {
        plan["models"]["fast"]["targets"][0]["provider"] = json!("two");
        plan["models"]["fast"]["fallbacks"] = json!([]);
    };
    for (wait, status, tries) in [("retry_after_ms=5", 200, 2), ("retry_after=60", 429, 1), ("retry_after=6", 429, 1)] {
        let rig = Rig::start_with(alone).await;
        rig.mock.script(Script::sequence([format!("status=429;{wait}").parse::<Behaviour>().unwrap()]));
        let seen = rig.chat(WHOLE).await;
        assert_eq!((seen.status.as_u16(), rig.mock.requests().len()), (status, tries), "{wait}");
    }
    let rig = Rig::start().await;
    rig.mock.script(Script::sequence(["status=429;retry_after_ms=5"; 2].map(|fault| fault.parse::<Behaviour>().unwrap())));
    assert_eq!(rig.chat(WHOLE).await.headers["x-bifrost-target"], "two/m");
}

#[tokio::test]
async fn the_first_content_is_waited_for_from_the_start_of_the_attempt_not_from_its_head() {
    let timeouts = json!({"connect": "5s", "first_byte": "500ms", "first_content": "500ms", "idle": "5s", "total": "30s"});
    let rig = Rig::start_with(|plan| plan["providers"]["one"]["timeouts"] = timeouts).await;
    // Neither the head nor what follows it takes as long by itself.
    let late = "delay=300ms;first_token_delay=300ms".parse::<Behaviour>().unwrap();
    rig.mock.script(Script::sequence([late.clone()]));
    assert_eq!(rig.chat(STREAM).await.headers["x-bifrost-target"], "two/m");
    let late = Behaviour { first_token_delay: "0s".parse().unwrap(), delay: "10ms".parse().unwrap(), ..late };
    rig.mock.script(Script::sequence([late]));
    assert_eq!(rig.chat(STREAM).await.headers["x-bifrost-target"], "one/m");
}

#[tokio::test]
async fn overhead_leaves_out_what_the_upstream_took() {
    let rig = Rig::start().await;
    rig.mock.script(Script::always(Behaviour { delay: "300ms".parse().unwrap(), ..Behaviour::default() }));
    assert_eq!(rig.chat(WHOLE).await.status, StatusCode::OK);
    let of = |name: &str| sample(&rig, &format!("bifrost_{name}{{endpoint=\"chat_completions\"}}"));
    assert_eq!(of("overhead_seconds_count"), Some(1.0));
    let overhead = of("overhead_seconds_sum").unwrap();
    assert!(overhead > 0.0 && overhead < 0.3, "{overhead}");
}

#[tokio::test]
async fn a_client_that_may_see_routing_gets_the_attempts_with_the_error() {
    for sees in [true, false] {
        let rig = Rig::start_with(|plan| plan["virtual_keys"]["web"]["routing_headers"] = json!(sees)).await;
        rig.mock.script(Script::always(Behaviour::status(401)));
        let seen = rig.chat(WHOLE).await;
        let attempts: Vec<_> = seen.json()["error"]["attempts"].as_array().into_iter().flatten().map(|it| it["target"].clone()).collect();
        assert_eq!(attempts, if sees { vec!["one/m", "one/m", "two/m"] } else { vec![] });
        assert_eq!(seen.headers.contains_key("x-bifrost-target"), sees);
        assert!(seen.json()["error"]["message"].as_str().unwrap().contains("refused the gateway's credential"), "{}", seen.text());
    }
}
