//! Rules: the first true condition decides where a request goes, or that it goes nowhere.

use http::StatusCode;
use serde_json::{Value, json};

use super::harness::{KEY, Rig};

const HELLO: &str = r#"{"model":"fast","messages":[{"role":"user","content":"hi"}]}"#;

/// A gateway with these rules, and with an alias `big` that `two/big` serves and that the key may not ask for.
async fn ruled(rules: Value) -> Rig {
    Rig::start_with(|plan| {
        let mut big = plan["models"]["fast"].clone();
        big["targets"] = json!([{"provider": "two", "model": "big", "weight": 1}]);
        big["fallbacks"] = json!([]);
        plan["models"]["big"] = big;
        plan["rules"] = rules;
        plan["virtual_keys"]["web"]["labels"] = json!({"tier": "gold"});
    })
    .await
}

fn rule(name: &str, when: &str, action: Value) -> Value {
    json!({"name": name, "when": when, "action": action})
}

fn counted(rig: &Rig, rule: &str, outcome: &str) -> Option<String> {
    let metrics = rig.gateway.services.metrics.encode();
    let label = format!("rule=\"{rule}\",outcome=\"{outcome}\"");
    metrics
        .lines()
        .find(|line| line.starts_with("bifrost_rules_total") && line.contains(&label))
        .map(|line| line.rsplit(' ').next().unwrap().to_owned())
}

#[tokio::test]
async fn the_first_true_condition_decides_and_may_lead_where_the_key_may_not() {
    let rig = ruled(json!([
        rule("never", "model == 'other'", json!({"deny": {"status": 403, "message": "no"}})),
        rule("gold", "key.labels.tier == 'gold' and stream", json!({"use": "big"})),
        rule("late", "stream", json!({"deny": {"status": 403, "message": "no"}})),
    ]))
    .await;
    assert_eq!(rig.chat(HELLO).await.headers["x-bifrost-target"], "one/m");
    let streamed = rig.chat(HELLO.replace("\"model\"", "\"stream\":true,\"model\"")).await;
    assert_eq!(streamed.headers["x-bifrost-target"], "two/big");
    assert_eq!(rig.mock.requests()[1].json()["model"], "big");
    assert_eq!((counted(&rig, "gold", "matched").as_deref(), counted(&rig, "late", "matched")), (Some("1"), None));
}

#[tokio::test]
async fn a_rule_with_targets_serves_from_them_alone() {
    let targets = json!({"targets": [{"provider": "two", "model": "x", "weight": 1}, {"provider": "two", "model": "y", "weight": 0}]});
    let rig = ruled(json!([rule("pin", "endpoint == 'chat'", targets)])).await;
    rig.mock
        .script(bifrostctl::mock::Script::sequence([bifrostctl::mock::Behaviour::status(503), bifrostctl::mock::Behaviour::status(503)]));
    let seen = rig.chat(HELLO).await;
    assert_eq!((seen.status, &seen.headers["x-bifrost-target"]), (StatusCode::OK, &"two/y".parse().unwrap()));
    let models: Vec<_> = rig.mock.requests().iter().map(|request| request.json()["model"].clone()).collect();
    assert_eq!(models, ["x", "x", "y"], "the same target again, then the other one");
}

#[tokio::test]
async fn a_denial_has_the_rules_status_message_and_name() {
    let deny = json!({"deny": {"status": 451, "message": "Images are not allowed here."}});
    let rig = ruled(json!([rule("no-images", "vision", deny)])).await;
    let image = r#"{"model":"fast","messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"https://x/y.png"}}]}]}"#;
    let seen = rig.chat(image).await;
    assert_eq!(seen.status.as_u16(), 451);
    let error = &seen.json()["error"];
    assert_eq!((error["code"].as_str(), error["type"].as_str()), (Some("denied_by_rule"), Some("permission_error")));
    assert_eq!(error["message"], "Images are not allowed here. (refused by the rule `no-images`)");
    assert!(rig.mock.requests().is_empty());
    assert_eq!(rig.chat(HELLO).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_condition_that_fails_does_not_match_and_is_counted() {
    let rig = ruled(json!([
        rule("broken", "headers['x-tier'] == 'gold'", json!({"use": "big"})),
        rule("no-bool", "tokens.max_output", json!({"use": "big"})),
    ]))
    .await;
    for _ in 0..2 {
        assert_eq!(rig.chat(HELLO).await.headers["x-bifrost-target"], "one/m");
    }
    for name in ["broken", "no-bool"] {
        assert_eq!((counted(&rig, name, "failed").as_deref(), counted(&rig, name, "matched")), (Some("2"), None), "{name}");
    }
    let headers = [("authorization", &*format!("Bearer {KEY}")), ("x-tier", "gold")];
    let seen = rig.call("POST", "/v1/chat/completions", &headers, HELLO.into()).await;
    assert_eq!(seen.headers["x-bifrost-target"], "two/big");
}

#[tokio::test]
async fn rules_see_the_size_of_the_prompt_and_only_move_what_the_key_may_ask_for() {
    let rig = ruled(json!([rule("long", "tokens.input > 500 or model == 'gpt-4'", json!({"use": "big"}))])).await;
    let long = HELLO.replace("hi", &"word ".repeat(500));
    assert_eq!(rig.chat(long).await.headers["x-bifrost-target"], "two/big");
    let seen = rig.chat(HELLO.replace("fast", "gpt-4")).await;
    assert_eq!(seen.status, StatusCode::NOT_FOUND, "the key may not use a name that does not exist");
    assert_eq!(rig.chat(HELLO.replace("fast", "big")).await.status, StatusCode::FORBIDDEN);
    assert_eq!(counted(&rig, "long", "matched").as_deref(), Some("1"));
}
