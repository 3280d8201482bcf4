//! The table of failover, row by row: which attempts were made, what the client saw.

use bifrostctl::mock::{Behaviour, Script};
use http::StatusCode;

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
