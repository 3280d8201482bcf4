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
fn of_many_requests_only_what_the_last_one_sent_is_told() {
    assert_eq!(seen(&spec(), &one(", max_tokens: 7}\n    times: 40")).sent.unwrap()["max_tokens"], 7);
    let mut limited = spec();
    limited["virtual_keys"]["web"]["limits"] = json!({"requests": "1/min"});
    let seen = seen(&limited, &one("}\n    times: 2"));
    assert_eq!((seen.status, seen.sent), (429, None));
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
fn what_nobody_would_have_is_told_and_not_passed_over() {
    let ran_with = |rest: &str| ran(&spec(), &one(rest)).verdicts.remove(0).1;
    for (rest, said) in [
        ("}\n    outcomes: {\"oen/*\": 503}", "nobody is `oen/*`"),
        ("}\n    outcomes: {one: 503}", "nobody is `one`"),
        ("}\n    outcomes: {one/n: 503}", "did you mean `one/m`?"),
        ("}\n    outcomes: {\"one/m:z\": 503}", "nobody is `one/m:z`"),
        ("}\n    spent: {\"key:web\": $5}", "no budget `key:web`"),
    ] {
        assert!(matches!(ran_with(rest), Verdict::Broken(_, why) if why.contains(said)), "{rest}: {:?}", ran_with(rest));
    }
    // A client may name a model that the spec does not.
    for rest in [
        "}\n    outcomes: {\"*\": 503, \"o*/m\": 503, \"one/m:b\": 503}",
        ", model: one/other}\n    outcomes: {one/other: 503, \"one/other:a\": ok}",
    ] {
        let text = one(rest).replace("model: fast, model", "model");
        assert!(matches!(&ran(&spec(), &text).verdicts[..], [(0, Verdict::Done(..))]), "{rest}");
    }
    // What holds for a whole file need not be of use to every test.
    let shared = |pattern: &str| format!("{}defaults: {{outcomes: {{\"{pattern}\": 503}}}}\n", one("}"));
    assert!(matches!(&ran(&spec(), &shared("one/other")).verdicts[..], [(0, Verdict::Done(..))]));
    assert!(matches!(&ran(&spec(), &shared("oen/other")).verdicts[..], [(0, Verdict::Broken(..))]));
    let mut own = spec();
    own["virtual_keys"]["web"]["budgets"] = json!([{"limit": "$5", "period": "month", "mode": "progressive"}]);
    assert_eq!(seen(&own, &one("}\n    spent: {\"key:web\": $5}")).status, 402);
}

#[test]
fn any_target_is_not_nobody() {
    let met = |model: &str, target: &str| {
        let text = one("}").replace("model: fast", &format!("model: {model}")).replace("status: 599", &format!("target: {target}"));
        ran(&spec(), &text).verdicts[0].1.is_passed()
    };
    assert!(met("fast", "\"*\"") && met("fast", "[two/n, one/m]"));
    assert!(!met("nope", "\"*\"") && !met("nope", "n*"));
    assert!(met("nope", "none") && !met("fast", "none"));
    // Nor does a body that nobody was sent lack a member.
    let sent = |model: &str| one("}").replace("model: fast", &format!("model: {model}")).replace("status: 599", "sent: {top_p: null}");
    assert!(ran(&spec(), &sent("fast")).verdicts[0].1.is_passed() && !ran(&spec(), &sent("nope")).verdicts[0].1.is_passed());
}

#[test]
fn a_tests_own_request_goes_before_that_of_its_file() {
    let defaults = "defaults: {request: {max_tokens: 9, prompt_tokens: 50, features: [tools], headers: {X-Tier: silver}}}\n";
    let with_body = format!("{}{defaults}", one(", body: {messages: [{role: user, content: hi}]}}"));
    let body = seen(&spec(), &with_body).sent.unwrap();
    assert!(!body.contains_key("max_tokens") && !body.contains_key("tools"), "{body:?}");
    let mut tiered = spec();
    tiered["rules"] = json!([{"name": "gold", "when": "header(\"x-tier\", \"\") == \"gold\"", "deny": {"status": 418, "message": "no"}}]);
    let with_header = format!("{}{defaults}", one(", headers: {x-tier: gold}}"));
    assert_eq!(seen(&tiered, &with_header).status, 418, "one header, however it is spelt");
}

#[test]
fn a_stream_that_only_the_path_tells_of_is_foretold_as_one() {
    let mut spec = spec();
    spec["rules"] = json!([{"name": "streams", "when": "stream", "targets": ["two/n"]}]);
    for endpoint in ["chat", "generate_content", "converse", "cohere_chat"] {
        for (stream, target) in [(true, "two/n"), (false, "one/m")] {
            let seen = seen(&spec, &one(&format!(", endpoint: {endpoint}, stream: {stream}}}")));
            let foretold = seen.foretold.unwrap().candidates[0].target.clone();
            assert_eq!((seen.target.as_deref(), foretold.as_str()), (Some(target), target), "{endpoint}, {stream}");
        }
    }
}

#[test]
fn a_last_link_without_room_in_the_budget_does_not_hide_what_failed_before() {
    let with = |exhausted: Value| {
        let mut spec = spec();
        spec["prices"]["two/n"] = json!({"input": "$1000/Mtok", "output": "$1000/Mtok"});
        spec["models"]["free"] = json!({"targets": ["one/free"]});
        spec["prices"]["one/free"] = json!({"free": true});
        let budget = json!({"limit": "$0.01", "period": "day", "when_exhausted": exhausted});
        spec["virtual_keys"]["web"]["budgets"] = json!([budget]);
        spec
    };
    let told = |spec: &Value, one: &str| {
        let seen = seen(spec, &self::one(&format!(", max_tokens: 100}}\n    outcomes: {{one/m: {one}}}")));
        (seen.status, seen.error.unwrap_or_default(), seen.attempts.iter().map(|tried| tried.outcome.clone()).collect::<Vec<_>>())
    };
    let tried = ["upstream_overload", "budget_exceeded"].map(str::to_owned).to_vec();
    assert_eq!(told(&with(json!("deny")), "503"), (503, "upstream_overload".to_owned(), tried));
    assert_eq!(told(&with(json!("deny")), "connect").0, 502);
    assert_eq!(told(&with(json!({"use": "free"})), "503").0, 200, "somebody else serves instead");
    // Where no link has room, that is what is told.
    let mut dear = with(json!("deny"));
    dear["prices"]["one/m"] = dear["prices"]["two/n"].clone();
    assert_eq!(told(&dear, "503").1, "budget_exceeded");
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
    for endpoint in ["chat", "responses", "messages", "generate_content", "converse", "cohere_chat", "embeddings"] {
        let seen = seen(&spec(), &one(&format!(", endpoint: {endpoint}, prompt_tokens: 300}}")));
        assert_eq!(seen.status, 200, "{endpoint}: {seen:?}");
        let cost = seen.foretold.unwrap().candidates[0].cost.clone().unwrap();
        assert!(cost.input.nano() >= 290_000, "{endpoint}: the prompt is as long as it says: {}", cost.input);
    }
}
