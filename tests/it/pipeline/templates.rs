//! Prompts, headers, defaults and overrides: what really goes upstream.

use http::StatusCode;
use serde_json::{Value, json};

use super::harness::{KEY, Rig};

async fn prompted(system: &str, position: &str) -> Rig {
    Rig::start_with(|plan| plan["models"]["fast"]["prompt"] = json!({"system": system, "position": position})).await
}

fn sent(rig: &Rig, at: usize) -> String {
    String::from_utf8(rig.mock.requests()[at].body.to_vec()).unwrap()
}

#[tokio::test]
async fn a_prompt_is_spliced_into_the_messages_and_nothing_else_changes() {
    let body = "{ \"seed\": 12345678901234567890123,\"messages\" : [ {\"role\":\"user\",\"content\":\"h\\u00e9\"} ],\"model\":\"fast\" }";
    let system = r#"{"role":"system","content":"You serve \"web\" over chat."}"#;
    for (position, from, to) in
        [("prepend", " : [ {".to_owned(), format!(" : [{system}, {{")), ("append", "\"} ],".to_owned(), format!("\"}} ,{system}],"))]
    {
        let rig = prompted("You serve \"{{ key.name }}\" over {{ endpoint }}.\n", position).await;
        assert_eq!(rig.chat(body).await.status, StatusCode::OK);
        assert_eq!(sent(&rig, 0), body.replace("\"fast\"", "\"m\"").replace(&from, &to), "{position}");
    }
}

#[tokio::test]
async fn a_prompt_reaches_every_target_of_the_chain_and_only_chats() {
    let rig = prompted("Be brief.", "prepend").await;
    rig.mock.script(bifrostctl::mock::Script::sequence(["status=500", "status=500"].map(|fault| fault.parse().unwrap())));
    assert_eq!(rig.chat(r#"{"model":"fast","messages":[]}"#).await.status, StatusCode::OK);
    for at in 0..3 {
        assert_eq!(rig.mock.requests()[at].json()["messages"][0]["content"], "Be brief.", "attempt {at}");
    }
    let headers = [("x-api-key", KEY)];
    let seen = rig.call("POST", "/v1/completions", &headers, r#"{"model":"fast","prompt":"a"}"#.into()).await;
    assert_eq!(seen.status, StatusCode::OK);
    assert_eq!(sent(&rig, 3), r#"{"model":"m","prompt":"a"}"#);
    let seen = rig.chat(r#"{"model":"fast","messages":"no list"}"#).await;
    assert_eq!(seen.status, StatusCode::BAD_REQUEST, "a prompt cannot be avoided");
}

#[tokio::test]
async fn a_prompt_that_fails_is_named_and_a_blank_one_adds_nothing() {
    let rig = prompted("{{ headers['x-tenant'] }}", "prepend").await;
    let seen = rig.chat(r#"{"model":"fast","messages":[]}"#).await;
    let error = &seen.json()["error"];
    assert_eq!((seen.status.as_u16(), error["code"].as_str()), (500, Some("template_failed")));
    assert!(error["message"].as_str().unwrap().contains("`models.fast.prompt`"), "{error}");
    assert!(rig.mock.requests().is_empty());
    let rig = prompted("{% if stream %}Stream.{% endif %}", "prepend").await;
    assert_eq!(rig.chat(r#"{"model":"fast","messages":[]}"#).await.status, StatusCode::OK);
    assert_eq!(sent(&rig, 0), r#"{"model":"m","messages":[]}"#);
}

fn with_headers(headers: Value) -> impl FnOnce(&mut Value) {
    move |plan| plan["providers"]["one"]["headers"] = headers
}

#[tokio::test]
async fn headers_are_rendered_per_request_and_cannot_be_broken_out_of() {
    let rig = Rig::start_with(with_headers(json!({
        "x-fixed": "always", "x-key": "{{ key.name }}/{{ model }}", "x-tenant": "{{ header('x-tenant', '') }}"
    })))
    .await;
    let call = async |headers: &[(&str, &str)]| {
        rig.call("POST", "/v1/chat/completions", headers, r#"{"model":"fast","messages":[]}"#.into()).await
    };
    assert_eq!(call(&[("x-api-key", KEY), ("x-tenant", "acme")]).await.status, StatusCode::OK);
    assert_eq!(call(&[("x-api-key", KEY)]).await.status, StatusCode::OK);
    let recorded = rig.mock.requests();
    let header = |at: usize, name: &str| recorded[at].header(name).map(str::to_owned);
    assert_eq!(header(0, "x-fixed").as_deref(), Some("always"));
    assert_eq!(header(0, "x-key").as_deref(), Some("web/fast"));
    assert_eq!((header(0, "x-tenant").as_deref(), header(1, "x-tenant")), (Some("acme"), None), "nothing to say, no header");
    // Header values with a line break never get this far; a model's name can hold one.
    let rig = Rig::start_with(|plan| {
        plan["virtual_keys"]["web"]["models"] = json!(["*"]);
        with_headers(json!({"x-model": "{{ model }}"}))(plan);
    })
    .await;
    let seen = rig.chat(r#"{"model":"one/m\r\nx-evil: 1","messages":[]}"#).await;
    assert_eq!((seen.status.as_u16(), seen.json()["error"]["code"].as_str()), (500, Some("template_failed")), "{}", seen.text());
    assert!(!seen.json()["error"]["message"].as_str().unwrap().contains("evil") && rig.mock.requests().is_empty(), "{}", seen.text());
}

#[tokio::test]
async fn a_header_that_fails_fails_the_request_and_blames_no_target() {
    let rig = Rig::start_with(with_headers(json!({"x-tenant": "{{ headers['x-tenant'] }}"}))).await;
    for _ in 0..6 {
        let seen = rig.chat(r#"{"model":"fast","messages":[]}"#).await;
        assert_eq!(seen.status.as_u16(), 500);
        assert!(seen.text().contains("`providers.one.headers.x-tenant`"), "{}", seen.text());
    }
    let now = rig.gateway.clock.monotonic_ms();
    assert_eq!(rig.gateway.services.health.target("one", "m").breaker.admits(now), bifrostctl::provider::Admit::Yes);
    assert!(rig.mock.requests().is_empty());
}

#[tokio::test]
async fn defaults_fill_in_and_overrides_set_and_the_output_limit_is_one_member() {
    let on_one = |field: &str, defaults: Value, overrides: Value| {
        let field = if field.is_empty() { Value::Null } else { json!(field) };
        move |plan: &mut Value| {
            plan["providers"]["one"]["quirks"]["max_tokens_field"] = field;
            plan["models"]["fast"]["defaults"] = defaults;
            plan["models"]["fast"]["overrides"] = overrides;
        }
    };
    for (field, defaults, overrides, body, expected) in [
        (
            "",
            json!({"temperature": 0.2, "user": "u"}),
            json!({"store": false}),
            r#""user":null"#,
            r#""user":null,"temperature":0.2,"store":false"#,
        ),
        ("", json!({}), json!({"store": false}), r#""store":true"#, r#""store":false"#),
        ("", json!({"max_tokens": 5}), json!({}), r#""max_completion_tokens":9"#, r#""max_completion_tokens":9"#),
        ("max_completion_tokens", json!({"max_tokens": 5}), json!({}), r#""a":1"#, r#""a":1,"max_completion_tokens":5"#),
        ("max_completion_tokens", json!({}), json!({"max_tokens": 5}), r#""max_tokens":9"#, r#""max_completion_tokens":5"#),
        ("max_tokens", json!({}), json!({"max_tokens": 5}), r#""max_completion_tokens":9"#, r#""max_tokens":5"#),
    ] {
        let rig = Rig::start_with(on_one(field, defaults, overrides)).await;
        assert_eq!(rig.chat(format!(r#"{{"model":"fast","messages":[],{body}}}"#)).await.status, StatusCode::OK);
        assert_eq!(sent(&rig, 0), format!(r#"{{"model":"m","messages":[],{expected}}}"#), "{field} {body}");
    }
}
