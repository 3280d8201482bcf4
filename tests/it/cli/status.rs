//! `status` and `history`, and how the admin API is reached.

use serde_json::{Value, json};

use super::Place;
use super::fake::Fake;

const SPEC: &str = "version: 1\ngateway: {admin: \"unix:admin.sock\"}\nproviders: {mock: {}}\n";

fn status() -> Value {
    json!({
        "version": "0.1.0", "revision": 42, "digest": "3b1f00aa55cc77ee3b1f00aa55cc77ee3b1f00aa55cc77ee3b1f00aa55cc77ee",
        "sync": "out_of_sync", "health": "degraded", "started": "2026-11-25T06:00:00Z", "uptime_ms": 5000,
        "listen": "127.0.0.1:8080", "admin": "unix:admin.sock", "spec_paths": ["gateway.yaml"], "watching": "notify",
        "tables_alive": 1, "in_flight": 3,
        "last_reload": {"outcome": "rejected", "trigger": "file", "time": "2026-11-25T06:01:00Z", "diagnostics": [{
            "code": "BF0207", "severity": "error", "message": "alias `fast` targets provider `groqq`, which does not exist",
            "file": "gateway.yaml", "line": 14, "column": 9, "end_line": 14, "end_column": 14}]},
        "providers": {
            "groq": {"credentials": {
                "a": {"state": "ready", "reason": null, "until_ms": null,
                    "models": {"llama": {"state": "cooling", "reason": "the provider answered 429", "until_ms": 1}}},
                "b": {"state": "out", "reason": "the provider refused the credential", "until_ms": null},
                "c": {"state": "absent", "reason": "GROQ_API_KEY_C is not set", "until_ms": null}}, "targets": {}},
        },
        "limits_reached": [{"scope": "key", "name": "web", "limits": "requests", "limit": "600/min, 60 at once", "until_ms": 1}],
    })
}

#[test]
fn status_is_three_words_their_reasons_and_the_last_rejection() {
    let place = Place::new().file("gateway.yaml", SPEC);
    let fake = Fake::start(place.path(), |_, _| (200, status()));
    let done = place.run(&["status"]);
    assert_eq!((done.code, done.stderr.as_str()), (0, ""), "{done:?}");
    insta::assert_snapshot!(done.stdout);
    assert_eq!(fake.asked()[0].line, "GET /v1/status HTTP/1.1");

    let envelope = place.run(&["status", "-o", "json"]).json();
    assert_eq!(envelope["result"], status());
}

#[test]
fn status_needs_no_valid_spec() {
    let place = Place::new().file("gateway.yaml", &SPEC.replace("mock: {}", "mock: {nonsense: 1}"));
    let _fake = Fake::start(place.path(), |_, _| (200, status()));
    assert_eq!(place.run(&["status"]).code, 0);
}

#[test]
fn an_endpoint_comes_from_the_flag_then_the_variable_then_the_spec() {
    let place = Place::new().file("gateway.yaml", SPEC).env("BIFROST_ENDPOINT", "unix:variable.sock");
    let named = |args: &[&str]| place.run(args).stderr;
    assert!(named(&["status", "--endpoint", "unix:flag.sock"]).contains("unix:flag.sock"));
    assert!(named(&["status"]).contains("unix:variable.sock"));
    let place = Place::new();
    let done = place.run(&["status"]);
    assert_eq!(done.code, 1);
    insta::assert_snapshot!("status_without_gateway", done.stderr);
}

#[test]
fn a_refused_call_is_not_authorised_and_says_how_to_be() {
    let place = Place::new().file("gateway.yaml", SPEC).file("admin.token", "CANARY-admin-token\n");
    let fake = Fake::start(place.path(), |_, _| (401, json!({"error": {"code": "unauthenticated", "message": "no token"}})));
    let done = place.run(&["status"]);
    assert_eq!(done.code, 4);
    assert!(done.stderr.contains("error: no token\nhint: name a file with the admin token"), "{}", done.stderr);

    let done = place.run(&["status", "--token-file", "admin.token"]);
    assert_eq!(done.code, 4);
    assert!(done.stderr.contains("not one that the spec lists") && !done.stderr.contains("CANARY"), "{}", done.stderr);
    assert!(fake.asked()[1].headers.contains(&"authorization: Bearer CANARY-admin-token".to_owned()), "{:?}", fake.asked()[1]);

    let done = place.run(&["status", "--token-file", "missing.token"]);
    assert_eq!(done.code, 1);
    assert!(done.stderr.contains("cannot read missing.token"), "{}", done.stderr);
}

#[test]
fn a_gateway_that_does_not_answer_is_not_waited_for_for_ever() {
    let place = Place::new().file("gateway.yaml", SPEC);
    let _silent = std::os::unix::net::UnixListener::bind(place.path().join("admin.sock")).unwrap();
    let done = place.run(&["status", "--timeout", "200ms"]);
    assert_eq!(done.code, 8);
    assert!(done.stderr.contains("did not answer in time"), "{}", done.stderr);
}

#[test]
fn history_is_newest_first() {
    let place = Place::new().file("gateway.yaml", SPEC);
    let revision = |number: u64, reason: Value| {
        json!({"number": number, "digest": "ab".repeat(32), "created": "2026-11-25T06:00:00Z", "actor": "ana",
            "git_commit": if number == 3 { json!(format!("{}-dirty", "c0ffee00".repeat(5))) } else { Value::Null },
            "reason": reason, "trigger": "apply", "summary": "1 to change"})
    };
    let answer = json!({"revisions": [revision(1, Value::Null), revision(3, json!("more groq")), revision(2, Value::Null)]});
    let _fake = Fake::start(place.path(), move |_, _| (200, answer.clone()));
    let done = place.run(&["history", "-n", "2"]);
    assert_eq!(done.code, 0, "{done:?}");
    insta::assert_snapshot!(done.stdout);
    assert_eq!(place.run(&["history", "-o", "json"]).json()["result"]["revisions"][0]["number"], 3);
}
