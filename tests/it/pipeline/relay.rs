//! The relay lane: bytes untouched but for what must change.

use bytes::Bytes;
use http::StatusCode;

use super::harness::{KEY, Rig};

#[tokio::test]
async fn only_the_model_changes_on_the_way_up_and_nothing_on_the_way_back() {
    let rig = Rig::start().await;
    let body = "{ \"temperature\" : 1.10, \"model\":\"fast\", \"seed\": 12345678901234567890123,\n \"zz\":{\"k\":[1,{}]}, \"messages\":[{\"role\":\"user\",\"content\":\"h\\u00e9\"}] }";
    let seen = rig.chat(body).await;
    assert_eq!(seen.status, StatusCode::OK);
    let recorded = rig.mock.requests();
    assert_eq!(String::from_utf8_lossy(&recorded[0].body), body.replace("\"fast\"", "\"m\""));
    assert_eq!(recorded[0].path(), "/v1/chat/completions");
    assert_eq!(seen.json()["choices"][0]["message"]["role"], "assistant");
    assert_eq!(seen.headers["x-bifrost-target"], "one/m");
    assert_eq!(seen.headers["x-bifrost-revision"], "1");
}

#[tokio::test]
async fn usage_is_asked_for_and_hidden_unless_the_client_asked() {
    let rig = Rig::start().await;
    let asks = rig
        .chat(r#"{"model":"fast","stream":true,"stream_options":{"include_usage":true},"messages":[{"role":"user","content":"hi"}]}"#)
        .await;
    let hidden = rig.chat(r#"{"model":"fast","stream":true,"messages":[{"role":"user","content":"hi"}]}"#).await;
    let recorded = rig.mock.requests();
    assert!(recorded.iter().all(|request| request.json()["stream_options"]["include_usage"] == true));
    assert!(asks.text().contains("\"prompt_tokens\""));
    assert!(!hidden.text().contains("\"prompt_tokens\""));
    for seen in [asks, hidden] {
        assert!(seen.text().ends_with("data: [DONE]\n\n"));
        assert!(seen.headers["content-type"].to_str().unwrap().starts_with("text/event-stream"));
    }
}

#[tokio::test]
async fn the_callers_key_never_goes_upstream_and_works_in_every_carrier() {
    let rig = Rig::start().await;
    let body = Bytes::from_static(br#"{"model":"fast","messages":[]}"#);
    for (name, value) in [("x-api-key", KEY), ("x-goog-api-key", KEY), ("api-key", KEY), ("authorization", "bearer sk-bf-test-key")] {
        assert_eq!(rig.call("POST", "/v1/chat/completions", &[(name, value)], body.clone()).await.status, StatusCode::OK, "{name}");
    }
    assert!(rig.mock.requests().iter().all(|request| !String::from_utf8_lossy(&request.head).contains(KEY)));
}

#[tokio::test]
async fn refusals_have_the_status_and_code_that_sdks_expect() {
    let rig = Rig::start().await;
    let bearer = format!("Bearer {KEY}");
    let auth: &[(&str, &str)] = &[("authorization", &bearer)];
    let chat = "/v1/chat/completions";
    for (method, path, headers, body, status, code) in [
        ("POST", chat, &[][..], "{}", 401, "invalid_api_key"),
        ("POST", chat, &[("authorization", "Bearer wrong")][..], "{}", 401, "invalid_api_key"),
        ("POST", chat, auth, "not json", 400, "bad_request"),
        ("POST", chat, auth, r#"{"model":"fast","model":"x"}"#, 400, "bad_request"),
        ("POST", chat, auth, r#"{"model":"fats"}"#, 404, "model_not_found"),
        ("POST", chat, auth, r#"{"model":"one/m"}"#, 403, "forbidden"),
        ("GET", chat, auth, "", 405, "method_not_allowed"),
        ("POST", "/v1/nothing", auth, "{}", 404, "model_not_found"),
    ] {
        let seen = rig.call(method, path, headers, Bytes::from(body)).await;
        assert_eq!((seen.status.as_u16(), seen.json()["error"]["code"].as_str().unwrap()), (status, code), "{method} {path} {body}");
    }
    assert!(rig.mock.requests().is_empty());
    assert!(rig.chat(r#"{"model":"fats"}"#).await.text().contains("Did you mean `fast`?"));
}

#[tokio::test]
async fn the_list_of_models_holds_what_the_key_may_use() {
    let rig = Rig::start().await;
    let bearer = format!("Bearer {KEY}");
    let seen = rig.call("GET", "/v1/models", &[("authorization", &bearer)], Bytes::new()).await;
    assert_eq!(seen.json()["data"][0]["id"], "fast");
    assert_eq!(rig.call("GET", "/v1/models/nope", &[("authorization", &bearer)], Bytes::new()).await.status, StatusCode::NOT_FOUND);
}
