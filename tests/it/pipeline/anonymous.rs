//! Requests without a key: what they reach, by the spec's `auth`.

use bifrostctl::table::explain::{Moment, Question, explain};
use bytes::Bytes;
use serde_json::{Value, json};

use super::harness::{KEY, Rig, Seen};

async fn rig(auth: &str) -> Rig {
    Rig::start_with(|plan| {
        plan["gateway"]["auth"] = json!(auth);
        plan["rules"] = json!([
            {"name": "there", "when": "header('x-there', '') == '1'", "action": {"targets": [{"provider": "two", "model": "z", "weight": 1}]}},
        ]);
    })
    .await
}

async fn chat(rig: &Rig, model: &str, headers: &[(&str, &str)]) -> Seen {
    let body = json!({"model": model, "messages": [{"role": "user", "content": "hi"}]});
    rig.call("POST", "/v1/chat/completions", headers, body.to_string().into()).await
}

fn refusal(seen: &Seen) -> (u16, String, String) {
    let error = &seen.json()["error"];
    let text = |name: &str| error[name].as_str().unwrap_or_default().to_owned();
    (seen.status.as_u16(), text("code"), text("message"))
}

#[tokio::test]
async fn where_keys_are_optional_a_request_without_one_reaches_aliases_only() {
    let rig = rig("optional").await;
    assert_eq!(chat(&rig, "fast", &[]).await.status.as_u16(), 200);
    assert_eq!(chat(&rig, "fast", &[("x-there", "1")]).await.status.as_u16(), 200, "where a rule leads is the spec's word");
    for (model, headers) in [("two/m", [].as_slice()), ("nobody/m", &[]), ("two/m", &[("x-there", "1")])] {
        let (status, code, text) = refusal(&chat(&rig, model, headers).await);
        assert_eq!((status, code.as_str()), (401, "invalid_api_key"), "{model}: {text}");
        let told = format!("`{model}` names a provider's model, which takes a virtual key: without one, only the aliases");
        assert!(text.starts_with(&told), "{text}");
    }
    let (status, _, text) = refusal(&rig.call("GET", "/v1/files", &[("x-bifrost-provider", "two")], Bytes::new()).await);
    assert!(status == 401 && text.starts_with("This request names no model, so it is for a provider's account"), "{status} {text}");
    assert_eq!(rig.tried().len(), 2, "nothing else went upstream");
    let (status, code, text) = refusal(&chat(&rig, "fats", &[]).await);
    assert_eq!((status, code.as_str(), text.as_str()), (404, "model_not_found", "There is no model `fats`. Did you mean `fast`?"));
}

#[tokio::test]
async fn where_keys_are_optional_a_key_reaches_what_it_always_does_and_a_wrong_one_nothing() {
    let rig = rig("optional").await;
    assert_eq!(chat(&rig, "two/m", &[("x-api-key", KEY)]).await.status.as_u16(), 200);
    assert_eq!(rig.call("GET", "/v1/files", &[("x-api-key", KEY)], Bytes::new()).await.headers["x-bifrost-target"], "two/*");
    assert_eq!(refusal(&chat(&rig, "one/m", &[("x-api-key", KEY)]).await).0, 403);
    assert_eq!(refusal(&chat(&rig, "fast", &[("x-api-key", "sk-wrong")]).await).0, 401);
    let list = rig.call("GET", "/v1/models", &[], Bytes::new()).await.json();
    let ids: Vec<&Value> = list["data"].as_array().unwrap().iter().map(|model| &model["id"]).collect();
    assert_eq!(ids, ["fast"]);
}

#[tokio::test]
async fn where_keys_are_not_looked_at_everything_is_reached() {
    let rig = rig("off").await;
    for model in ["fast", "two/m", "one/x"] {
        assert_eq!(chat(&rig, model, &[]).await.status.as_u16(), 200, "{model}");
    }
    let files = rig.call("GET", "/v1/files", &[("x-bifrost-provider", "one")], Bytes::new()).await;
    assert_ne!(files.status.as_u16(), 401);
}

#[tokio::test]
async fn explain_says_so_too() {
    let rig = rig("optional").await;
    let clock = &rig.gateway.clock;
    let at = Moment { unix_ms: clock.unix_ms(), now_ms: clock.monotonic_ms(), roll: 0 };
    let question = Question { model: Some("two/m".to_owned()), ..Question::default() };
    let denial = explain(&rig.gateway.live.load(), &question, at).unwrap().denial.unwrap();
    assert_eq!((denial.status, denial.code, denial.message), refusal(&chat(&rig, "two/m", &[]).await));
}
