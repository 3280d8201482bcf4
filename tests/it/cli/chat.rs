//! `chat`, against the deterministic upstream, which speaks what the gateway speaks.

use bifrostctl::mock::{Config, Mock};

use super::{Done, Place};

const CANARY: &str = "sk-CANARY-chat-key";

async fn chat(place: Place, mock: &Mock, args: &[&str]) -> Done {
    let mut line = vec!["chat", "--url"];
    let url = mock.base_url();
    line.push(&url);
    line.extend_from_slice(args);
    let line: Vec<String> = line.into_iter().map(str::to_owned).collect();
    tokio::task::spawn_blocking(move || place.run(&line.iter().map(String::as_str).collect::<Vec<_>>())).await.unwrap()
}

async fn upstream() -> Mock {
    Mock::start(Config::default()).await.unwrap()
}

#[tokio::test]
async fn the_answer_is_the_data_and_the_facts_are_messages() {
    let mock = upstream().await;
    let place = Place::new().env("BIFROST_KEY", CANARY);
    let done = chat(place, &mock, &["--model", "mock-small@text=hello%20there", "-v", "--system", "Be short.", "hi"]).await;
    assert_eq!((done.code, done.stdout.as_str()), (0, "hello there\n"), "{done:?}");
    assert!(done.stderr.contains("first content after"), "{}", done.stderr);
    assert!(!done.stderr.contains(CANARY));
    let seen = &mock.requests()[0];
    assert_eq!((seen.method.as_str(), seen.target.as_str()), ("POST", "/v1/chat/completions"));
    assert_eq!(seen.header("authorization"), Some(format!("Bearer {CANARY}").as_str()));
    let body: serde_json::Value = serde_json::from_slice(&seen.body).unwrap();
    assert_eq!(body["stream"], true);
    assert_eq!(body["messages"][0], serde_json::json!({"role": "system", "content": "Be short."}));
}

#[tokio::test]
async fn as_json_the_whole_answer_comes_at_once() {
    let mock = upstream().await;
    let done = chat(Place::new(), &mock, &["--model", "mock-small@text=hello", "-o", "json", "hi"]).await;
    let envelope = done.json();
    assert_eq!(envelope["result"]["content"], "hello");
    assert_eq!(envelope["command"], "chat");
    assert!(envelope["result"]["total_ms"].is_u64());
}

#[tokio::test]
async fn a_refusal_is_readable_and_has_its_code() {
    let mock = upstream().await;
    let place = || Place::new().file("web.key", CANARY);
    for (fault, code, said) in [
        ("status=401", 4, "`bifrostctl key hash` prints"),
        ("status=403", 4, "error: "),
        ("error=insufficient_quota", 1, "insufficient_quota"),
        ("html", 1, "the gateway answered HTTP 502"),
        ("reset_at=start", 1, "cannot talk to the gateway"),
    ] {
        let done = chat(place(), &mock, &["--key-file", "web.key", "--model", &format!("m@{fault}"), "hi"]).await;
        assert_eq!((done.code, done.stdout.as_str()), (code, ""), "{fault}: {done:?}");
        assert!(done.stderr.contains(said), "{fault}: {}", done.stderr);
        assert!(!done.stderr.contains(CANARY));
    }
    let done = chat(Place::new(), &mock, &["--model", "m@status=401", "hi"]).await;
    assert!(done.stderr.contains("hint: set BIFROST_KEY"), "{}", done.stderr);
}

#[tokio::test]
async fn an_answer_that_does_not_end_well_is_a_failure_after_what_came() {
    let mock = upstream().await;
    for (fault, code, said) in [
        ("cut_at=event:3;framing=close", 1, "the answer was cut"),
        ("error_at=3", 1, "error: "),
        ("malformed_at=3", 1, "not JSON"),
        ("stall_at=event:3", 8, "fell silent"),
    ] {
        let args = ["--timeout", "500ms", "--model", &format!("m@chunks=9;text=word;{fault}"), "hi"];
        let done = chat(Place::new(), &mock, &args).await;
        assert_eq!(done.code, code, "{fault}: {done:?}");
        assert!(done.stdout.starts_with("word"), "{fault}: what came is shown: {done:?}");
        assert!(done.stderr.contains(said), "{fault}: {}", done.stderr);
    }
}

#[test]
fn the_url_is_taken_from_the_spec_when_nothing_else_names_it() {
    let place = Place::new().file("gateway.yaml", "version: 1\ngateway: {listen: \"0.0.0.0:1\"}\nproviders: {}\n");
    let done = place.run(&["chat", "--model", "fast", "hi"]);
    assert_eq!(done.code, 1);
    assert!(done.stderr.contains("the gateway at http://127.0.0.1:1:"), "{}", done.stderr);
}
