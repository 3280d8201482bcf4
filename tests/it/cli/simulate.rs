//! `simulate` and `explain --request`: what an access log says, asked again.

use serde_json::{Value, json};

use super::Place;

const SPEC: &str = r#"version: 1
providers:
  dear: {api: openai-chat, base_url: "https://dear.example/v1", credentials: {default: {secret: {env: A}}}}
  cheap: {api: anthropic, base_url: "https://cheap.example", credentials: {default: {secret: {env: B}}}}
models:
  fast: {targets: [dear/m]}
  deep: {targets: [dear/l]}
rules:
  - {name: gold, when: "header(\"x-tier\", \"\") == \"gold\"", use: deep}
teams: {growth: {}}
virtual_keys:
  web: {team: growth, hashes: [{sha256: 7b52009b64fd0a2a49e6d8a939753077792b0554a1ac7e9a0d1f4c9b8a1d0c3e}], models: [fast, deep]}
  ci: {hashes: [{sha256: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa}], models: ["*"]}
prices:
  dear/m: {input: $2/Mtok, output: $4/Mtok}
  dear/l: {input: $20/Mtok, output: $40/Mtok}
  cheap/n: {input: $1/Mtok, output: $2/Mtok}
telemetry: {access_log: {file: access.jsonl}, log_headers: [x-tier]}
"#;

fn line(number: u32, more: Value) -> String {
    let mut line = json!({"time": "2026-11-25T10:00:00.000Z", "request_id": format!("{number:016x}"), "revision": 7, "method": "POST",
        "path": "/v1/chat/completions", "endpoint": "chat_completions", "key": "web", "team": "growth", "model": "fast", "alias": "fast",
        "target": "dear/m", "credential": "default", "attempts": [{"target": "dear/m", "credential": "default", "outcome": "ok", "status": 200, "ms": 700}],
        "fallbacks": 0, "status": 200, "stream": false, "duration_ms": 744, "overhead_us": 310, "tokens_in": 1000, "tokens_out": 100,
        "usage_source": "provider", "cost": "$0.0024", "bytes_in": 4000, "bytes_out": 800, "client_gone": false});
    line.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    format!("{line}\n")
}

fn log() -> String {
    let mut text: String = (0..10).map(|number| line(number, json!({}))).collect();
    text += &line(100, json!({"uses": ["tools"], "max_output": 500}));
    text += &line(101, json!({"key": "ci", "team": null, "cost": "$0.0012"}));
    text += &line(
        102,
        json!({"headers": {"x-tier": "gold"}, "alias": "deep", "rule": "gold", "target": "dear/l",
        "attempts": [{"target": "dear/l", "credential": "default", "outcome": "ok", "status": 200, "ms": 900}], "cost": "$0.024"}),
    );
    text += &line(
        103,
        json!({"model": "nope", "alias": null, "target": null, "attempts": [], "status": 404, "error": "no_such_model", "cost": null}),
    );
    text += &line(104, json!({"endpoint": "relay", "model": null}));
    text += "starting up\n\n{\"other\": 1}\n";
    text
}

fn place(spec: &str) -> Place {
    Place::new().file("gateway.yaml", spec).file("access.jsonl", &log())
}

#[test]
fn the_same_spec_changes_nothing() {
    let place = place(SPEC);
    let done = place.run(&["simulate", "-o", "json"]);
    let result = done.json()["result"].take();
    assert_eq!(done.code, 0, "{done:?}");
    assert_eq!((&result["requests"], &result["skipped"], &result["passed_over"]), (&json!(14), &json!(1), &json!(2)), "{result:#}");
    assert_eq!((&result["denied"], &result["moved"], &result["admitted"]), (&json!(0), &json!(0), &json!(0)), "{result:#}");
    assert_eq!(result["cost_rise_percent"], 0.0, "{result:#}");
}

#[test]
fn what_limits_and_budgets_turned_away_is_not_told_as_served_now() {
    let refused = |number: u32, error: &str, status: u32| {
        line(number, json!({"attempts": [], "target": null, "cost": null, "status": status, "error": error}))
    };
    let unpaid = json!([{"target": "dear/m", "credential": "default", "outcome": "budget_exceeded", "ms": 0}]);
    let text = refused(1, "rate_limited", 429)
        + &refused(2, "no_candidate", 503)
        + &refused(3, "forbidden", 403)
        + &line(4, json!({"attempts": unpaid, "target": null, "cost": null, "status": 402, "error": "budget_exceeded"}));
    let place = Place::new().file("gateway.yaml", SPEC).file("access.jsonl", &text);
    let done = place.run(&["simulate", "-o", "human", "-o", "json=out.json"]);
    let result = serde_json::from_str::<Value>(&place.read("out.json")).unwrap()["result"].take();
    assert_eq!((&result["admitted"], &result["turned_away"], &result["denied"]), (&json!(1), &json!(3), &json!(0)), "{result:#}");
    assert!(done.stdout.contains("3 turned away by a limit, a budget or for want of a provider"), "{done:?}");
    let without = Place::new().file("gateway.yaml", &SPEC.replace("  web: {", "  wep: {")).file("access.jsonl", &text);
    assert_eq!(without.run(&["simulate", "-o", "json"]).json()["result"]["denied"], 0, "nobody was served");
}

#[test]
fn who_is_asked_where_the_first_targets_cannot_serve_is_told_with_its_cost() {
    // Vectors are not for Anthropic's API.
    let spec = SPEC.replace("fast: {targets: [dear/m]}", "fast: {targets: [cheap/n], fallbacks: [dear/l]}");
    let place = Place::new().file("gateway.yaml", &spec).file("access.jsonl", &line(1, json!({"endpoint": "embeddings"})));
    let result = place.run(&["simulate", "-o", "json"]).json()["result"].take();
    assert_eq!((&result["moved"], &result["denied"]), (&json!(1), &json!(0)), "{result:#}");
    assert_eq!(result["by_model"]["fast"]["first_after"], json!({"dear/l": 1.0}), "{result:#}");
    assert_eq!(result["by_model"]["fast"]["cost_after"], "$0.024", "{result:#}");
}

#[test]
fn chats_in_every_format_are_asked_again() {
    let all = ["chat_completions", "responses", "messages", "generate_content", "converse", "cohere_chat"];
    let text: String = all.iter().zip(1..).map(|(endpoint, number)| line(number, json!({"endpoint": endpoint}))).collect();
    let done = Place::new().file("gateway.yaml", SPEC).file("access.jsonl", &text).run(&["simulate", "-o", "json"]);
    let result = done.json()["result"].take();
    assert_eq!((&result["requests"], &result["skipped"], &result["denied"]), (&json!(6), &json!(0), &json!(0)), "{result:#}");
}

#[test]
fn another_target_is_told_with_its_share_and_cost() {
    let place = place(&SPEC.replace(
        "fast: {targets: [dear/m]}",
        "fast: {targets: [{provider: dear, model: m, weight: 1}, {provider: cheap, model: n, weight: 3}]}",
    ));
    let done = place.run(&["simulate", "access.jsonl", "-o", "human", "-o", "json=out.json", "-o", "markdown=out.md"]);
    assert_eq!(done.code, 0, "{done:?}");
    insta::assert_snapshot!("simulate_human", format!("{}---\n{}", done.stdout, done.stderr));
    insta::assert_snapshot!("simulate_markdown", place.read("out.md"));
    let result: Value = serde_json::from_str::<Value>(&place.read("out.json")).unwrap()["result"].take();
    // Three quarters of twelve, at half the price; the gold one goes where it went.
    assert_eq!(result["by_model"]["fast"]["first_after"], json!({"dear/l": 1.0, "dear/m": 3.0, "cheap/n": 9.0}), "{result:#}");
    assert_eq!(place.run(&["simulate", "--max-cost-increase", "10%"]).code, 0, "it is cheaper");
}

#[test]
fn what_would_be_denied_fails_where_that_is_asked() {
    let spec = SPEC.replace("models: [fast, deep]}", "models: [deep]}").replace("  ci: {", "  robots: {");
    let place = place(&spec);
    assert_eq!(place.run(&["simulate"]).code, 0);
    let done = place.run(&["simulate", "--fail-on-denied", "-o", "json"]);
    let result = done.json()["result"].take();
    assert_eq!(done.code, 7, "{done:?}");
    let told: Vec<_> = result["denials"].as_array().unwrap().iter().map(|it| (it["key"].clone(), it["requests"].clone())).collect();
    // The gold one names a model that the key does not cover any more, too.
    assert_eq!(told, [(json!("web"), json!(12)), (json!("ci"), json!(1))], "{result:#}");
}

#[test]
fn dearer_than_allowed_fails_and_headers_are_part_of_the_request() {
    let place = place(&SPEC.replace("== \\\"gold\\\"", "!= \\\"\\\"").replace("fast: {targets: [dear/m]}", "fast: {targets: [dear/l]}"));
    let done = place.run(&["simulate", "--max-cost-increase", "50"]);
    assert!(done.code == 7 && done.stderr.contains("dearer by more than --max-cost-increase 50%"), "{done:?}");
    let without = SPEC.replace(
        "- {name: gold, when: \"header(\\\"x-tier\\\", \\\"\\\") == \\\"gold\\\"\", use: deep}",
        "- {name: gold, when: \"stream\", use: deep}",
    );
    let done = Place::new().file("gateway.yaml", &without).file("access.jsonl", &log()).run(&["simulate", "-o", "json"]);
    assert_eq!(done.json()["result"]["moved"], 1, "the gold one goes where the others go: {done:?}");
}

#[test]
fn a_log_that_is_none_is_told_so() {
    let place = place(SPEC).file("other.txt", "hello\n");
    let done = place.run(&["simulate", "other.txt"]);
    assert!(done.code == 1 && done.stderr.contains("no request that can be asked again"), "{done:?}");
    assert_eq!(place.run(&["simulate", "absent.jsonl"]).code, 1);
    let done = Place::new().file("gateway.yaml", &SPEC.replace("{file: access.jsonl}", "stdout")).run(&["simulate"]);
    assert!(done.code == 64 && done.stderr.contains("the spec's access log is no file"), "{done:?}");
    let done = place.feed(&["simulate", "-"], &log());
    assert_eq!(done.code, 0, "{done:?}");
}

#[test]
fn a_request_is_found_by_its_id_and_told_whole() {
    let failed = line(
        200,
        json!({"status": 502, "error": "upstream_server_error", "detail": "upstream status 500", "target": null, "attempts": [
        {"target": "dear/m", "credential": "default", "outcome": "upstream_overload", "status": 503, "ms": 41, "detail": "upstream status 503"},
        {"target": "cheap/n", "credential": "default", "outcome": "upstream_server_error", "status": 500, "ms": 90}], "loss": "logit_bias=unsupported"}),
    );
    let place = Place::new().file("gateway.yaml", SPEC).file("access.jsonl", &(log() + &failed));
    let done = place.run(&["explain", "--request", "00000000000000c8"]);
    assert_eq!(done.code, 0, "{done:?}");
    insta::assert_snapshot!("explain_request", done.stdout);
    let result = place.run(&["explain", "--request", "00000000000000c8", "--log", "access.jsonl", "-o", "json"]).json()["result"].take();
    assert_eq!((&result["revision"], &result["attempts"][1]["target"]), (&json!(7), &json!("cheap/n")), "{result:#}");
    assert!(place.run(&["explain", "--request", "0000"]).stderr.contains("several requests"));
    assert!(place.run(&["explain", "--request", "ffff"]).stderr.contains("has no request `ffff`"));
    assert_eq!(place.run(&["explain", "--request", "ffff", "--model", "fast"]).code, 64);
}
