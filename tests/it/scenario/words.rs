//! What a test may say, and what comes of it.

use bifrostctl::scenario::{Part, Verdict};
use serde_json::{Value, json};

use super::{ran, seen};

fn spec() -> Value {
    json!({
        "version": 1,
        "providers": {
            "one": {"api": "openai-chat", "base_url": "https://one.example/v1", "credentials": {
                "a": {"secret": {"env": "A"}, "weight": 100}, "b": {"secret": {"env": "B"}, "weight": 1}},
                "timeouts": {"first_byte": "20s", "first_content": "20s", "idle": "15s"}, "retries": {"max": 0}},
            "two": {"api": "anthropic", "base_url": "https://two.example", "credentials": {"c": {"secret": {"env": "C"}}},
                "retries": {"max": 0}}
        },
        "models": {"fast": {"targets": ["one/m"], "fallbacks": ["two/n"]}},
        "virtual_keys": {"web": {"hashes": [{"sha256": "7b52009b64fd0a2a49e6d8a939753077792b0554a1ac7e9a0d1f4c9b8a1d0c3e"}], "models": ["*"]}},
        "prices": {"one/m": {"input": "$1/Mtok", "output": "$2/Mtok"}, "two/n": {"input": "$1/Mtok", "output": "$2/Mtok"}}
    })
}

fn one(rest: &str) -> String {
    format!("version: 1\ntests:\n  - name: it\n    request: {{key: web, model: fast{rest}\n    expect: {{status: 599}}\n")
}

#[test]
fn each_outcome_is_what_its_word_says() {
    let told = |outcome: &str, stream: bool| {
        let seen = seen(&spec(), &one(&format!(", stream: {stream}}}\n    outcomes: {{\"one/*\": {outcome}}}")));
        let first = seen.attempts.first().map(|tried| tried.outcome.clone()).unwrap_or_default();
        (first, seen.attempts.len(), seen.status, seen.error.unwrap_or_default())
    };
    let moved_on = |kind: &str, attempts| (kind.to_owned(), attempts, 200, String::new());
    for (outcome, kind, attempts) in [
        ("ok", "ok", 1),
        ("503", "upstream_overload", 2),
        ("overloaded", "upstream_overload", 2),
        ("server_error", "upstream_server_error", 2),
        ("connect", "upstream_connect", 2),
        ("reset", "upstream_connect", 2),
        ("timeout", "upstream_timeout", 2),
        ("context_length", "context_window", 2),
        ("malformed", "upstream_malformed", 2),
        // Another credential may have room.
        ("rate_limit", "upstream_rate_limit", 3),
        ("quota", "upstream_quota", 3),
        ("auth", "upstream_auth", 3),
    ] {
        assert_eq!(told(outcome, false), moved_on(kind, attempts), "{outcome}");
    }
    assert_eq!(told("bad_request", false), ("upstream_rejected".to_owned(), 1, 400, String::new()));
    assert_eq!(told("content_filter", false).1, 1, "nobody goes round a filter unless the alias says so");
    // After the first word there is no other target.
    assert_eq!(told("cut", true), ("upstream_truncated".to_owned(), 1, 200, "upstream_truncated".to_owned()));
    assert_eq!(told("stall", true), ("upstream_timeout".to_owned(), 1, 200, "upstream_timeout".to_owned()));
}

#[test]
fn time_passes_only_where_the_gateway_waits() {
    let seen = seen(&spec(), &one("}\n    outcomes: {\"one/*\": timeout}"));
    assert_eq!((seen.attempts[0].ms, seen.duration_ms), (20_000, 20_000));
}

#[test]
fn outcomes_come_one_after_another_and_the_longest_pattern_decides() {
    let outcomes = "\n    outcomes: {\"*\": 500, \"one/m\": [429, ok], \"two/*\": ok}\n    times: 2\n    every: 2m";
    let seen = seen(&spec(), &one(&format!("}}{outcomes}")));
    let tried: Vec<&str> = seen.attempts.iter().map(|tried| tried.outcome.as_str()).collect();
    assert_eq!(tried, ["ok"], "the second of them meets the second outcome");
}

#[test]
fn a_credential_has_outcomes_of_its_own() {
    let seen = seen(&spec(), &one("}\n    outcomes: {\"one/m:a\": quota, \"one/m:b\": ok}"));
    let tried: Vec<_> = seen.attempts.iter().map(|tried| (tried.credential.as_deref().unwrap(), tried.outcome.as_str())).collect();
    assert_eq!(tried, [("a", "upstream_quota"), ("b", "ok")]);
}

#[test]
fn what_a_provider_is_sent_is_told_without_its_key() {
    let seen = seen(&spec(), &one(", headers: {x-a: b}, max_tokens: 7}\n    outcomes: {\"one/*\": connect}"));
    assert_eq!(seen.sent.unwrap()["max_tokens"], 7, "in Anthropic's format");
    assert!(!seen.sent_headers.keys().any(|name| name == "x-api-key" || name == "authorization"), "{:?}", seen.sent_headers);
}

#[test]
fn what_does_not_fit_is_told_with_its_member() {
    let broken = |rest: &str| match &ran(&spec(), &one(rest)).verdicts[..] {
        [(0, Verdict::Broken(member, why))] => (member.clone(), why.clone()),
        other => panic!("{other:#?}"),
    };
    let (member, why) = broken("}\n    outcomes: {\"one/*\": time-out}");
    assert_eq!(member, "/outcomes/one~1*");
    assert!(why.contains("did you mean `timeout`?"), "{why}");
    let (member, why) = broken("}\n    spent: {growth: $5}");
    assert!(member == "/spent/growth" && why.contains("no budget `growth`"), "{member}: {why}");
    let (member, why) = broken("}\n    at: tomorrow");
    assert!(member == "/at" && why.contains("2026-12-24"), "{member}: {why}");
    let (member, why) = broken(", body: {messages: []}, max_tokens: 5}");
    assert!(member == "/request/body" && why.contains("max_tokens"), "{member}: {why}");
    let text = one("}").replace("key: web", "key: wep");
    assert!(matches!(&ran(&spec(), &text).verdicts[..], [(0, Verdict::Broken(_, why))] if why.contains("did you mean `web`?")));
}

#[test]
fn coverage_counts_what_requests_used() {
    let parts = |text: &str| {
        let coverage = ran(&spec(), text).coverage.unwrap();
        Part::ALL.map(|part| coverage.count(part))
    };
    assert_eq!(parts(&one("}")), [(0, 0), (1, 1), (1, 1), (0, 1)]);
    assert_eq!(parts(&one("}\n    outcomes: {\"one/*\": 503}")), [(0, 0), (1, 1), (1, 1), (1, 1)]);
    assert_eq!(parts(&one("}").replace("model: fast", "model: two/n")), [(0, 0), (0, 1), (1, 1), (0, 1)]);
}

#[test]
fn the_same_seed_makes_the_same_choice_and_others_make_others() {
    let mut weighted = spec();
    weighted["models"]["fast"] = json!({"targets": ["one/m", "two/n"]});
    let target = |seed: u64| seen(&weighted, &one(&format!("}}\n    seed: {seed}"))).target.unwrap();
    let chosen: Vec<String> = (0..16).map(target).collect();
    assert_eq!(chosen, (0..16).map(target).collect::<Vec<_>>());
    assert!(chosen.iter().any(|it| it == "one/m") && chosen.iter().any(|it| it == "two/n"), "{chosen:?}");
}

#[test]
fn every_endpoint_has_a_body_of_its_own() {
    for endpoint in ["chat", "responses", "messages", "generate_content", "embeddings"] {
        let seen = seen(&spec(), &one(&format!(", endpoint: {endpoint}, prompt_tokens: 300}}")));
        assert_eq!(seen.status, 200, "{endpoint}: {seen:?}");
        let cost = seen.foretold.unwrap().candidates[0].cost.clone().unwrap();
        assert!(cost.input.nano() >= 290_000, "{endpoint}: the prompt is as long as it says: {}", cost.input);
    }
}
