//! The admin API as such: who may call, what is refused, what a question is answered.

use bifrostctl::base::Digest;
use serde_json::{Value, json};

use super::lab::{KEY, Lab, Place, spec, spec_with};

#[tokio::test]
async fn errors_are_json_whatever_was_asked() {
    let lab = Lab::new().await;
    for (seen, status, code) in [
        (lab.get("/nothing").await, 404, "unknown_path"),
        (lab.get("/v1/apply").await, 405, "method_not_allowed"),
        (lab.send("/v1/status", None, &json!({})).await, 405, "method_not_allowed"),
        (lab.get("/v1/spec?revision=x").await, 400, "bad_request"),
        (lab.get("/v1/spec?revision=99").await, 404, "no_such_revision"),
        (lab.send("/v1/explain", None, &json!([])).await, 400, "bad_request"),
        (lab.send("/v1/apply", Some("one"), &json!({})).await, 400, "bad_request"),
    ] {
        assert_eq!((seen.status, &seen.json()["error"]["code"]), (status, &json!(code)), "{seen:?}");
        assert!(seen.json()["error"]["message"].is_string());
    }
}

#[tokio::test]
async fn on_tcp_a_token_does_what_its_scopes_say() {
    let token =
        |name: &str, scopes: &str| format!("{name}: {{sha256: {}, scopes: [{scopes}]}}", Digest::of(format!("{name}-token").as_bytes()));
    let place = Place::with(|root| {
        let unix = format!("\"unix:{}/a/admin.sock\"", root.display());
        let tcp = format!("{{listen: \"127.0.0.1:0\", tokens: {{{}, {}}}}}", token("ci", "read"), token("ops", "read, apply"));
        spec(root, "one").replace(&unix, &tcp)
    });
    let lab = place.start().await;
    let base = lab.gateway.admin().to_owned();
    let call = |method: reqwest::Method, path: &str, token: Option<&str>, body: Option<Value>| {
        let mut request = lab.http.request(method, format!("{base}{path}")).header("if-match", "\"1\"");
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        if let Some(body) = body {
            request = request.body(body.to_string());
        }
        async move { request.send().await.unwrap().status().as_u16() }
    };
    let (get, post) = (reqwest::Method::GET, reqwest::Method::POST);
    let body = || {
        Some(json!({"files": {"gateway.yaml": lab.place.read("gateway.yaml").replace("text=one", "text=two")}, "paths": ["gateway.yaml"]}))
    };
    assert_eq!(call(get.clone(), "/v1/status", None, None).await, 401);
    assert_eq!(call(get.clone(), "/v1/status", Some("ci-tokem"), None).await, 401);
    assert_eq!(call(get.clone(), "/nothing", None, None).await, 401, "nothing is told to a stranger");
    assert_eq!(call(get.clone(), "/metrics", None, None).await, 401);
    assert_eq!(call(get.clone(), "/readyz", None, None).await, 200, "a probe carries no token");
    assert_eq!(call(get.clone(), "/v1/status", Some("ci-token"), None).await, 200);
    for path in ["/metrics", "/v1/spend", "/v1/budgets", "/v1/budgets/audit"] {
        assert_eq!(call(get.clone(), path, None, None).await, 401, "{path}");
        assert_eq!(call(get.clone(), path, Some("ci-token"), None).await, 200, "{path}");
    }
    let reset = || Some(json!({"budget": "key:nobody", "reason": "x"}));
    assert_eq!(call(post.clone(), "/v1/budgets/reset", None, reset()).await, 401);
    assert_eq!(call(post.clone(), "/v1/budgets/reset", Some("ci-token"), reset()).await, 403);
    assert_eq!(call(post.clone(), "/v1/budgets/reset", Some("ops-token"), reset()).await, 404);
    assert_eq!(call(post.clone(), "/v1/apply?dry_run=true", Some("ci-token"), body()).await, 403);
    assert_eq!(call(post.clone(), "/v1/rollback", Some("ci-token"), Some(json!({"to": 1}))).await, 403);
    assert_eq!(call(post, "/v1/apply", Some("ops-token"), body()).await, 200);
    assert_eq!(lab.says().await, "two");
}

#[tokio::test]
async fn a_question_is_answered_as_the_data_path_would_decide() {
    let more = "rules: [{name: big, when: 'tokens.input > 1000', use: slow}]\n";
    let place = Place::with(|root| {
        spec_with(root, "one", more)
            .replace("models: {", "models: {slow: {targets: [\"mock/big\"]}, ")
            .replace("other: {", "other: {disabled: true, ")
    });
    let lab = place.start().await;
    let lab = &lab;
    let ask = |question: Value| async move { lab.send("/v1/explain", None, &question).await };
    let seen = ask(json!({"key": "web", "model": "fast"})).await.json();
    assert_eq!((&seen["outcome"], &seen["alias"], &seen["rule"]), (&json!("routed"), &json!("fast"), &Value::Null), "{seen}");
    assert_eq!(seen["candidates"][0]["target"], "mock/mock-small@text=one");
    let long = "word ".repeat(2_000);
    let seen = ask(json!({"key": "web", "model": "fast", "body": {"messages": [{"role": "user", "content": long}]}})).await.json();
    assert_eq!((&seen["alias"], &seen["rule"]["name"]), (&json!("slow"), &json!("big")), "{seen}");
    for (question, status) in
        [(json!({"key": "web", "model": "nothing"}), 404), (json!({"key": "other", "model": "fast"}), 401), (json!({"model": "fast"}), 401)]
    {
        let seen = ask(question).await.json();
        assert_eq!((&seen["outcome"], &seen["denial"]["status"]), (&json!("denied"), &json!(status)), "{seen}");
    }
    assert_eq!(ask(json!({"key": "nobody", "model": "fast"})).await.status, 400);
    assert_eq!(ask(json!({"model": "fast", "endpoint": "x", "key": "web"})).await.status, 400);
    assert!(!lab.get("/metrics").await.text.contains("bifrost_requests_total{"), "asking is not counted as a request");
}

#[tokio::test]
async fn a_model_that_a_credential_is_not_used_for_is_told_and_no_fault_where_only_clients_name_it() {
    let place = Place::with(|root| {
        spec(root, "one").replace("models: {fast:", "models: {closed: {targets: [\"mock/m@status=403\", \"mock/n\"]}, fast:")
    });
    let lab = place.start().await;
    let mut rests = vec!["mock-small@status=429"];
    for (model, health, own) in [("mock/mock-small@status=429", "healthy", 0.0), ("mock/m@status=403", "degraded", 2.0)] {
        lab.chat(KEY, model).await;
        let status = lab.status().await;
        assert_eq!(status["health"], health, "{status:#}");
        let credential = &status["providers"]["mock"]["credentials"]["default"];
        assert_eq!(credential["state"], "ready");
        assert_eq!(credential["models"].as_object().unwrap().keys().map(String::as_str).collect::<Vec<_>>(), rests);
        assert_eq!(lab.metric("bifrost_credential_state{provider=\"mock\",credential=\"default\"}").await, 1.0);
        let named = "bifrost_credential_model_state{provider=\"mock\",credential=\"default\",model=\"m@status=403\"}";
        assert_eq!(lab.metric(named).await, own);
        rests.insert(0, "m@status=403");
    }
    assert!(!lab.get("/metrics").await.text.contains("mock-small@status=429\"} "), "what clients name is no label");
    assert_eq!(lab.chat(KEY, "closed").await.status, 200);
}
