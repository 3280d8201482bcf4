//! The relay lane: bytes untouched but for what must change.

use std::sync::Arc;

use bifrostctl::mock::{Behaviour, Script};
use bifrostctl::server::{Handler as _, Peer, RequestBody};
use bifrostctl::table::prepare;
use bytes::Bytes;
use http::{Request, StatusCode};
use serde_json::json;

use super::harness::{KEY, Rig, plan};

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
        ("POST", "/v1/nothing", auth, "{}", 404, "unknown_path"),
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

#[tokio::test]
async fn a_stream_that_arrives_in_one_piece_is_whole_and_its_usage_stays_hidden_anywhere() {
    let chunk = |choices: &str, usage: &str| format!("data: {{\"choices\":{choices},\"usage\":{usage}}}\n\n");
    let usage = chunk("[]", "{\"prompt_tokens\":1,\"completion_tokens\":2}");
    let text =
        [chunk(r#"[{"delta":{"content":"a"}}]"#, "null"), chunk(r#"[{"delta":{"content":"b"},"finish_reason":"stop"}]"#, "null")].concat();
    for body in [format!("{text}{usage}data: [DONE]\n\n"), format!("{usage}{text}data: [DONE]\n\n"), format!("{text}{usage}")] {
        let rig = Rig::start().await;
        let headers = [("content-type".to_owned(), "text/event-stream".to_owned())].into();
        rig.mock.script(Script::always(Behaviour { body: Some(body.clone()), headers, ..Behaviour::default() }));
        let seen = rig.chat(r#"{"model":"fast","stream":true,"messages":[]}"#).await;
        assert_eq!(seen.text(), format!("{text}data: [DONE]\n\n"), "{body}");
    }
}

#[tokio::test]
async fn a_key_that_is_revoked_loses_its_running_stream_at_the_next_event() {
    let rig = Rig::start().await;
    rig.mock.script(Script::always(Behaviour { chunk_delay: "20ms".parse().unwrap(), ..Behaviour::default() }));
    let request = Request::post("/v1/chat/completions").header("authorization", format!("Bearer {KEY}"));
    let body = Bytes::from_static(br#"{"model":"fast","stream":true,"messages":[{"role":"user","content":"a long question"}]}"#);
    let response = rig.gateway.handle(request.body(RequestBody::from(body)).unwrap(), Peer::default()).await;
    let without = plan(|plan| plan["virtual_keys"] = json!({}));
    drop(rig.gateway.live.commit(prepare(Arc::new(without), 2, &rig.gateway.services).unwrap()));
    let seen = Rig::read(response).await;
    assert!(seen.text().contains("key_revoked") && !seen.text().contains("[DONE]"), "{}", seen.text());
}

#[tokio::test]
async fn a_stream_outlives_a_swap_that_keeps_its_key() {
    let rig = Rig::start().await;
    rig.mock.script(Script::always(Behaviour { chunk_delay: "20ms".parse().unwrap(), ..Behaviour::default() }));
    let request = Request::post("/v1/chat/completions").header("x-api-key", KEY);
    let body = Bytes::from_static(br#"{"model":"fast","stream":true,"messages":[{"role":"user","content":"hi"}]}"#);
    let response = rig.gateway.handle(request.body(RequestBody::from(body)).unwrap(), Peer::default()).await;
    let without = plan(|plan| plan["models"] = json!({}));
    drop(rig.gateway.live.commit(prepare(Arc::new(without), 2, &rig.gateway.services).unwrap()));
    assert!(Rig::read(response).await.text().ends_with("data: [DONE]\n\n"));
    assert_eq!(rig.chat(r#"{"model":"fast"}"#).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn what_cannot_be_served_is_refused_before_the_swap_all_at_once() {
    let rig = Rig::start().await;
    let refused = plan(|plan| {
        plan["rules"] = json!([{"name": "r", "when": "no_such_fact", "action": {"use": "fast"}}, {"name": "s", "when": "stream", "action": {"use": "nope"}}]);
        plan["models"]["fast"]["prompt"] = json!({"system": "{{ nope }}", "position": "prepend"});
        plan["providers"]["one"]["headers"] = json!({"x-team": "{{ key.tema }}", "connection": "close"});
        plan["providers"]["two"]["credentials"]["c"]["secret"] = json!({"env": "NOT_SET"});
    });
    let errors = prepare(Arc::new(refused), 2, &rig.gateway.services).unwrap_err();
    let places: Vec<_> = errors.iter().map(|error| error.place.as_str()).collect();
    let expected = [
        "/providers/one/headers/connection",
        "/providers/one/headers/x-team",
        "/providers/two/credentials/c/secret",
        "/models/fast/prompt/system",
        "/rules/0/when",
        "/rules/1/use",
    ];
    assert_eq!(places, expected);
}
