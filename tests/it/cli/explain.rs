//! `explain`.

use serde_json::{Value, json};

use super::Place;
use super::fake::Fake;
use super::validate::{BAD, GOOD};

const SPEC: &str = "version: 1
gateway: {admin: \"unix:admin.sock\"}
providers:
  mock: {}
  openai: {credentials: {main: {secret: {env: UPSTREAM_KEY}}, other: {secret: {file: nowhere.key}, models: [\"gpt-9*\"]}}}
models:
  fast: {targets: [mock/mock-small], fallbacks: [openai/gpt-4o]}
  smart: {targets: [openai/gpt-4o]}
rules:
  - {name: gold, when: 'header(\"x-tier\", \"\") == \"gold\"', use: smart}
  - {name: no-tools, when: tools and key.team == \"growth\", deny: {message: no tools here}}
teams: {growth: {}}
virtual_keys:
  web-app:
    hashes: [{sha256: \"2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b\"}]
    team: growth
    models: [fast, smart]
  gone:
    hashes: [{sha256: \"3bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b\"}]
    models: [fast]
    disabled: true
  all:
    hashes: [{sha256: \"4bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b\"}]
    models: [\"*\"]
";

fn place() -> Place {
    Place::new().file("gateway.yaml", SPEC)
}

#[test]
fn offline_the_chain_is_told_as_if_every_secret_were_set() {
    let place = place();
    let done = place.run(&["explain", "--key", "web-app", "--model", "fast"]);
    assert_eq!((done.code, done.stderr.as_str()), (0, ""), "{done:?}");
    insta::assert_snapshot!("explain_chain", done.stdout);
    let envelope = place.run(&["explain", "--key", "web-app", "--model", "fast", "-o", "json"]).json();
    let last = &envelope["result"]["candidates"][1];
    assert_eq!((&last["target"], &last["credentials"]), (&json!("openai/gpt-4o"), &json!([{"name": "main", "share_percent": 100}])));
}

#[test]
fn a_rule_is_named_with_what_it_does() {
    let place = place().file("req.json", r#"{"model": "fast", "tools": [{"type": "function"}], "messages": []}"#);
    let done = place.run(&["explain", "--key", "web-app", "--model", "fast", "-H", "X-Tier: gold"]);
    insta::assert_snapshot!("explain_rule", done.stdout);
    let done = place.run(&["explain", "--key", "web-app", "--body", "req.json"]);
    insta::assert_snapshot!("explain_denied", done.stdout);
    let done = place.feed(&["explain", "--key", "web-app", "--body", "-"], &place.read("req.json"));
    assert!(done.stdout.contains("no-tools"), "{done:?}");
}

#[test]
fn a_key_that_may_not_is_told_why() {
    let place = place();
    for (args, said) in [
        (&["--key", "gone", "--model", "fast"] as &[&str], "because    the key is disabled"),
        (&["--model", "fast"], "No virtual key was sent."),
        (&["--key", "web-app", "--model", "openai/gpt-4o"], "the key allows fast, smart"),
        (&["--key", "web-app", "--model", "nothing"], "There is no model `nothing` for this key."),
    ] {
        let done = place.run(&[&["explain"] as &[&str], args].concat());
        assert_eq!(done.code, 0, "an answer is no failure: {done:?}");
        assert!(done.stdout.contains(said), "{args:?}: {}", done.stdout);
    }
}

#[test]
fn a_question_that_makes_no_sense_is_refused() {
    let place = place().file("bad.yaml", BAD).file("broken.json", "{");
    for (args, code, said) in [
        (&["--key", "web-ap", "--model", "fast"] as &[&str], 1, "did you mean `web-app`?"),
        (&["--key", "web-app"], 64, "no model is named"),
        (&["--key", "web-app", "--call", "embeddings"], 64, "`--call files`"),
        (&["--key", "web-app", "--model", "fast", "-H", "nonsense"], 64, "expected `name: value`"),
        (&["--key", "web-app", "--body", "broken.json"], 1, "broken.json is not JSON"),
        (&["--key", "web-app", "--model", "fast", "-f", "bad.yaml"], 3, "bad.yaml is not valid"),
        (&["--model", "fast", "-f", "-", "--body", "-"], 64, "can be read only once"),
    ] {
        let done = place.run(&[&["explain"] as &[&str], args].concat());
        assert_eq!(done.code, code, "{args:?}: {done:?}");
        assert!(done.stderr.contains(said), "{args:?}: {}", done.stderr);
    }
}

#[test]
fn what_names_no_model_goes_to_a_provider() {
    let place = place();
    let done = place.run(&["explain", "--key", "all", "--call", "files", "-H", "x-bifrost-provider: openai"]);
    assert_eq!(done.code, 0, "{done:?}");
    insta::assert_snapshot!("explain_files", done.stdout);
    let told = place.run(&["explain", "--key", "web-app", "--call", "batches", "-o", "json"]).json();
    assert_eq!((&told["result"]["model"], &told["result"]["denial"]["code"]), (&Value::Null, &json!("forbidden")), "{told:#}");
}

#[test]
fn live_the_gateway_is_asked() {
    let place = Place::new().file("gateway.yaml", GOOD);
    let answer = json!({"revision": 7, "key": "web", "model": "fast", "endpoint": "embeddings", "outcome": "routed", "rule": null,
        "alias": "fast", "candidates": [{"target": "mock/mock-small", "stage": 1, "share_percent": 100, "standing": "half_open",
            "credentials": [{"name": "default", "share_percent": 100}]}],
        "excluded": [{"target": "openai/gpt-4o", "code": "credentials_out", "reason": "every credential cools down or is out",
            "wait_ms": 1200}]});
    let fake = Fake::start(place.path(), move |_, _| (200, answer.clone()));
    let done = place.run(&["explain", "--key", "web", "--model", "fast", "-H", "a: b", "--call", "embeddings", "--live"]);
    assert_eq!(done.code, 0, "{done:?}");
    insta::assert_snapshot!("explain_live", done.stdout);
    let asked = &fake.asked()[0];
    assert_eq!(asked.line, "POST /v1/explain HTTP/1.1");
    assert_eq!(asked.body, json!({"key": "web", "model": "fast", "headers": {"a": "b"}, "endpoint": "embeddings"}));
}

#[test]
fn offline_nobody_signs_in() {
    let clouds = "mock: {}
  bedrock: {region: eu-central-1, credentials: {main: {aws: {profile: nowhere}}}}
  vertex-anthropic: {project: p-1, location: eu, credentials: {main: {google: {service_account: {file: nowhere.json}}}}}";
    let spec = GOOD.replace("mock: {}", clouds).replace("mock/mock-small]}", "bedrock/m], fallbacks: [vertex-anthropic/m]}");
    let done = Place::new().file("gateway.yaml", &spec).run(&["explain", "--key", "web", "--model", "fast", "-o", "json"]);
    assert_eq!(done.code, 0, "{done:?}");
    let candidates = done.json()["result"]["candidates"].clone();
    let told: Vec<_> = candidates.as_array().unwrap().iter().map(|it| (&it["target"], &it["credentials"][0]["name"])).collect();
    assert_eq!(told, [(&json!("bedrock/m"), &json!("main")), (&json!("vertex-anthropic/m"), &json!("main"))]);
}
