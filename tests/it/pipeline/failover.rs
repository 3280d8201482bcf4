//! The table of failover, row by row: which attempts were made, what the client saw.

use bifrostctl::mock::{Behaviour, Script};
use http::StatusCode;
use serde_json::json;

use super::harness::{Rig, Seen};

const WHOLE: &str = r#"{"model":"fast","messages":[{"role":"user","content":"hi"}]}"#;
const STREAM: &str = r#"{"model":"fast","stream":true,"messages":[{"role":"user","content":"hi"}]}"#;

/// Breaks the first calls as the mock's grammar says, then answers; returns what the client saw and the credentials tried.
async fn broken(body: &str, faults: &[&str]) -> (Seen, Vec<String>) {
    let rig = Rig::start().await;
    rig.mock.script(Script::sequence(faults.iter().map(|fault| fault.parse::<Behaviour>().expect(fault))));
    let seen = rig.chat(body.to_owned()).await;
    (seen, rig.tried())
}

fn providers(tried: &[String]) -> String {
    tried.iter().map(|name| if name == "C" { '2' } else { '1' }).collect()
}

#[tokio::test]
async fn server_errors_are_retried_then_passed_on() {
    for status in [500, 502, 503, 529] {
        let fault = format!("status={status}");
        let (seen, tried) = broken(WHOLE, &[&fault]).await;
        assert_eq!((seen.status, providers(&tried)), (StatusCode::OK, "11".to_owned()), "{status} once");
        assert_eq!(tried[0], tried[1], "the same credential");
        let (seen, tried) = broken(WHOLE, &[&fault, &fault]).await;
        assert_eq!((seen.status, providers(&tried)), (StatusCode::OK, "112".to_owned()), "{status} twice");
    }
}

#[tokio::test]
async fn refused_credentials_go_to_the_next_credential_then_the_next_target() {
    for fault in ["status=429;retry_after=30", "error=insufficient_quota", "status=401", "status=403", "status=402"] {
        let (seen, tried) = broken(WHOLE, &[fault]).await;
        assert_eq!((seen.status, providers(&tried)), (StatusCode::OK, "11".to_owned()), "{fault}");
        assert_ne!(tried[0], tried[1], "{fault}: another credential");
        let (seen, tried) = broken(WHOLE, &[fault, fault]).await;
        assert_eq!((seen.status, providers(&tried)), (StatusCode::OK, "112".to_owned()), "{fault}");
    }
}

#[tokio::test]
async fn a_refused_request_is_returned_as_it_is_without_another_try() {
    for (fault, status) in [("status=404", 404), ("status=422", 422)] {
        let (seen, tried) = broken(WHOLE, &[fault]).await;
        assert_eq!((seen.status.as_u16(), tried.len()), (status, 1), "{fault}");
    }
}

#[tokio::test]
async fn a_stream_that_fails_before_content_is_served_by_the_next_target() {
    let once: &[&str] = &["cut_at=event:1"];
    for (faults, path) in
        [(once, "12"), (&["malformed_at=0"], "12"), (&["error_at=1"], "12"), (&["reset_at=start", "reset_at=start"], "112")]
    {
        let (seen, tried) = broken(STREAM, faults).await;
        assert_eq!((seen.status, providers(&tried).as_str()), (StatusCode::OK, path), "{faults:?}");
        assert!(seen.text().ends_with("data: [DONE]\n\n") && !seen.text().contains("\"error\""), "{faults:?}: {}", seen.text());
    }
}

#[tokio::test]
async fn a_stream_that_fails_after_content_ends_with_a_typed_error_and_is_never_tried_again() {
    for (fault, code) in
        [("cut_at=event:3", "upstream_truncated"), ("reset_at=event:3", "upstream_truncated"), ("malformed_at=3", "upstream_malformed")]
    {
        let (seen, tried) = broken(STREAM, &[fault]).await;
        let text = seen.text();
        assert_eq!((seen.status, tried.len()), (StatusCode::OK, 1), "{fault}");
        assert!(text.contains("\"content\"") && text.contains(code) && !text.contains("[DONE]"), "{fault}: {text}");
    }
}

#[tokio::test]
async fn when_everything_fails_the_last_definitive_error_is_told() {
    let (seen, tried) = broken(WHOLE, &["status=401", "status=401", "status=401"]).await;
    assert_eq!((seen.status.as_u16(), tried.len()), (502, 3));
    assert_eq!(seen.json()["error"]["code"], "upstream_auth");
    let limited = "status=429;retry_after=7";
    let (seen, _) = broken(WHOLE, &[limited, limited, limited]).await;
    assert_eq!(seen.status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(seen.headers["retry-after"], "7");
}

#[tokio::test]
async fn a_stated_wait_beyond_patience_goes_to_the_next_target_at_once() {
    let (seen, tried) = broken(WHOLE, &["status=503;retry_after=8"]).await;
    assert_eq!((seen.status, providers(&tried)), (StatusCode::OK, "12".to_owned()));
}

#[tokio::test]
async fn a_failure_that_the_alias_does_not_list_ends_the_chain() {
    for (fault, status, path) in [("status=429;retry_after=60", 429, "11"), ("status=401", 502, "11"), ("status=500", 502, "11")] {
        let rig = Rig::start_with(|plan| plan["models"]["fast"]["fallback_on"] = json!(["timeout"])).await;
        rig.mock.script(Script::always(fault.parse().unwrap()));
        let seen = rig.chat(WHOLE).await;
        assert_eq!((seen.status.as_u16(), providers(&rig.tried()).as_str()), (status, path), "{fault}");
    }
}

#[tokio::test]
async fn an_open_breaker_is_passed_over_unless_nobody_else_is_left() {
    let rig = Rig::start().await;
    let break_it = |provider: &str| {
        let now = rig.gateway.clock.monotonic_ms();
        let health = rig.gateway.services.health.target(provider, "m");
        (0..5).for_each(|_| health.failure(now, now, 0.0));
    };
    break_it("one");
    assert_eq!(rig.chat(WHOLE).await.status, StatusCode::OK);
    break_it("two");
    assert_eq!(rig.chat(WHOLE).await.status, StatusCode::OK);
    assert_eq!(providers(&rig.tried()), "21");
}

#[tokio::test]
async fn a_move_to_the_next_target_is_counted_with_its_reason() {
    let rig = Rig::start().await;
    rig.mock.script(Script::sequence(["status=500", "status=500"].map(|fault| fault.parse::<Behaviour>().unwrap())));
    assert_eq!(rig.chat(WHOLE).await.status, StatusCode::OK);
    let metrics = rig.gateway.services.metrics.encode();
    let line = metrics.lines().find(|line| line.starts_with("bifrost_fallbacks_total{")).expect("a fallback was counted");
    assert!(line.contains("alias=\"fast\"") && line.contains("upstream_server_error") && line.ends_with(" 1"), "{line}");
}
