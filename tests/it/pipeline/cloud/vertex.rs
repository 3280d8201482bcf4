//! Vertex AI: Gemini and Claude in a Google Cloud project, with tokens that are fetched and renewed.

use std::sync::Arc;

use bifrostctl::table::prepare;
use bytes::Bytes;
use http::StatusCode;
use serde_json::{Value, json};

use super::super::harness::{KEY, Rig, plan};
use super::{JSON, Service, answer, chat, credential, env, messages, rig};

const PEM: &str = include_str!("../../../fixtures/keys/rfc7515-a2.pem");
const GEMINI: &str = r#"{"candidates":[{"content":{"role":"model","parts":[{"text":"Hello"}]},"finishReason":"STOP","index":0}],"usageMetadata":{"promptTokenCount":3,"candidatesTokenCount":5,"totalTokenCount":8},"modelVersion":"m"}"#;
const CLAUDE: &str = r#"{"id":"msg_vrtx_1","type":"message","role":"assistant","model":"claude","content":[{"type":"text","text":"Hello"}],"stop_reason":"end_turn","stop_sequence":null,"usage":{"input_tokens":3,"output_tokens":5}}"#;
const CLAUDE_STREAM: &str = concat!(
    "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"msg_1\",\"type\":\"message\",\"role\":\"assistant\",\"content\":[],\"model\":\"claude\",\"stop_reason\":null,\"stop_sequence\":null,\"usage\":{\"input_tokens\":3,\"output_tokens\":1}}}\n\n",
    "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n",
    "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"Hello\"}}\n\n",
    "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\n",
    "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\",\"stop_sequence\":null},\"usage\":{\"output_tokens\":5}}\n\n",
    "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
);
const MODELS: &str = "POST /v1/projects/p-1/locations/eu/publishers";

/// The token service's answer.
fn token(name: &str) -> Vec<u8> {
    answer(200, JSON, json!({"access_token": name, "expires_in": 3_600, "token_type": "Bearer"}).to_string())
}

/// A service account's key file, in a folder that must be kept.
fn key_file(tokens: &Service) -> (tempfile::TempDir, Value) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("key.json");
    let key = json!({"type": "service_account", "project_id": "p-1", "private_key_id": "k1", "private_key": PEM, "client_email": "a@b.example",
        "token_uri": format!("{}/token", tokens.url())});
    std::fs::write(&file, key.to_string()).unwrap();
    (folder, json!({"service_account": {"file": file}}))
}

/// Makes a provider Vertex AI at `url`.
fn vertex(one: &mut Value, url: &str, api: &str, google: &Value) {
    one["api"] = json!(api);
    one["project"] = json!("p-1");
    one["location"] = json!("eu");
    one["base_url"] = json!(format!("{url}/v1"));
    one["credentials"] = json!({"a": credential("google", google)});
}

async fn start(tokens: &Service, service: &Service, api: &str) -> (Rig, Arc<bifrostctl::base::ManualClock>, tempfile::TempDir) {
    let (folder, google) = key_file(tokens);
    let url = service.url();
    let (rig, clock) = rig(env(&[]), |one| vertex(one, &url, api, &google)).await;
    (rig, clock, folder)
}

#[tokio::test]
async fn gemini_on_vertex_is_called_with_a_token_below_project_and_location() {
    let (tokens, service) = (Service::start(vec![token("t1")]).await, Service::start(vec![answer(200, JSON, GEMINI)]).await);
    let (rig, _, _folder) = start(&tokens, &service, "gemini").await;
    let seen = chat(&rig, false).await;
    assert_eq!((seen.status, &seen.json()["choices"][0]["message"]["content"]), (StatusCode::OK, &json!("Hello")), "{}", seen.text());
    // A client of Gemini's own, whose bytes pass.
    let body = r#"{"contents": [{"role":"user","parts":[{"text":"hi"}]}],  "labels": {"a":"b"}}"#;
    let seen = rig.call("POST", "/v1beta/models/fast:generateContent", &[("x-goog-api-key", KEY)], Bytes::from(body)).await;
    assert_eq!((seen.status, seen.text().as_str()), (StatusCode::OK, GEMINI));
    assert_eq!(service.lines(), vec![format!("{MODELS}/google/models/m:generateContent"); 2]);
    assert_eq!(service.headers("authorization"), ["Bearer t1", "Bearer t1"]);
    assert!(service.asked()[1].ends_with(body));
    assert_eq!(tokens.lines(), ["POST /token"]);
}

#[tokio::test]
async fn claude_on_vertex_gets_its_clients_bytes_without_the_model() {
    let stream = answer(200, "text/event-stream", CLAUDE_STREAM);
    let service = Service::start(vec![answer(200, JSON, CLAUDE), stream, answer(200, JSON, CLAUDE)]).await;
    let tokens = Service::start(vec![token("t1")]).await;
    let (rig, _, _folder) = start(&tokens, &service, "anthropic").await;
    let body = r#"{"max_tokens" : 1e1, "model":"fast", "messages":[{"role":"user","content":"hi"}]}"#;
    let headers = [("x-api-key", KEY), ("anthropic-beta", "b-1")];
    let seen = rig.call("POST", "/v1/messages", &headers, Bytes::from(body)).await;
    assert_eq!((seen.status, seen.text().as_str()), (StatusCode::OK, CLAUDE));
    let sent = r#"{"max_tokens" : 1e1, "messages":[{"role":"user","content":"hi"}],"anthropic_version":"vertex-2023-10-16"}"#;
    assert!(service.asked()[0].ends_with(&format!("\r\n\r\n{sent}")), "{}", service.asked()[0]);
    assert_eq!((service.headers("anthropic-beta"), service.headers("x-api-key")), (vec!["b-1".to_owned()], vec![String::new()]));

    let seen = messages(&rig, &json!({"model": "fast", "max_tokens": 5, "stream": true, "messages": []})).await;
    assert_eq!(seen.text(), CLAUDE_STREAM);
    // And a client of OpenAI's, whose request is written anew.
    let seen = chat(&rig, false).await;
    assert_eq!(seen.json()["choices"][0]["message"]["content"], "Hello", "{}", seen.text());
    let call = |call: &str| format!("{MODELS}/anthropic/models/m:{call}");
    assert_eq!(service.lines(), [call("rawPredict"), call("streamRawPredict"), call("rawPredict")]);
    let bodies = service.bodies();
    assert_eq!((&bodies[1]["stream"], &bodies[1]["model"]), (&json!(true), &Value::Null));
    assert_eq!((&bodies[2]["anthropic_version"], &bodies[2]["model"]), (&json!("vertex-2023-10-16"), &Value::Null));
}

#[tokio::test]
async fn googles_own_refusals_are_told_in_the_clients_words() {
    let gone = r#"{"error":{"code":404,"message":"Publisher Model `claude` was not found.","status":"NOT_FOUND"}}"#;
    let own = r#"{"type":"error","error":{"type":"invalid_request_error","message":"max_tokens: too large"},"request_id":"req_vrtx_1"}"#;
    let service = Service::start(vec![answer(404, JSON, gone), answer(400, JSON, own)]).await;
    let tokens = Service::start(vec![token("t1")]).await;
    let (rig, _, _folder) = start(&tokens, &service, "anthropic").await;
    let body = json!({"model": "fast", "max_tokens": 5, "messages": []});
    let seen = messages(&rig, &body).await;
    let told = seen.json();
    assert_eq!(
        (seen.status, &told["type"], &told["error"]["type"]),
        (StatusCode::NOT_FOUND, &json!("error"), &json!("invalid_request_error"))
    );
    assert_eq!(told["error"]["message"], "Publisher Model `claude` was not found.");
    let seen = messages(&rig, &body).await;
    assert_eq!((seen.status, seen.text().as_str()), (StatusCode::BAD_REQUEST, own));
}

#[tokio::test]
async fn a_token_that_is_refused_is_fetched_anew_once() {
    let refused = || answer(401, JSON, r#"{"error":{"code":401,"message":"expired","status":"UNAUTHENTICATED"}}"#);
    let service =
        Service::start(vec![answer(200, JSON, GEMINI), refused(), answer(200, JSON, GEMINI), refused(), answer(200, JSON, GEMINI)]).await;
    let tokens = Service::start(vec![token("t1"), token("t2"), token("t3")]).await;
    let (rig, clock, _folder) = start(&tokens, &service, "gemini").await;
    chat(&rig, false).await;
    clock.advance(60_000);
    let seen = chat(&rig, false).await;
    assert_eq!((seen.status, &seen.headers["x-bifrost-attempts"]), (StatusCode::OK, &"1".parse().unwrap()), "{}", seen.text());
    assert_eq!(service.headers("authorization"), ["Bearer t1", "Bearer t1", "Bearer t2"]);
    // A new token that is refused is no fault of the token: the chain goes on, and the credential is tried again later.
    assert_eq!(chat(&rig, false).await.headers["x-bifrost-target"], "two/m");
    assert_eq!(chat(&rig, false).await.headers["x-bifrost-attempts"], "1", "it rests");
    clock.advance(600_000);
    assert_eq!(chat(&rig, false).await.headers["x-bifrost-target"], "one/m");
    assert_eq!(tokens.asked().len(), 2);
}

#[tokio::test]
async fn a_token_service_that_refuses_or_fails_moves_the_request_on() {
    let invalid = answer(400, JSON, r#"{"error":"invalid_grant","error_description":"Account disabled: canary"}"#);
    for (down, waits_ms) in [(answer(500, JSON, "{}"), 0), (Vec::new(), 0), (invalid, 30_000)] {
        let (tokens, service) = (Service::start(vec![down, token("t1")]).await, Service::start(vec![answer(200, JSON, GEMINI)]).await);
        let (rig, clock, _folder) = start(&tokens, &service, "gemini").await;
        let seen = chat(&rig, false).await;
        let headers = (&seen.headers["x-bifrost-target"], &seen.headers["x-bifrost-attempts"]);
        assert_eq!(headers, (&"two/m".parse().unwrap(), &"2".parse().unwrap()), "{}", seen.text());
        assert_eq!((tokens.asked().len(), service.asked().len()), (1, 0));
        clock.advance(waits_ms);
        assert_eq!(chat(&rig, false).await.headers["x-bifrost-target"], "one/m");
    }
}

#[tokio::test]
async fn without_another_target_the_client_is_told_that_signing_in_failed_and_no_more() {
    let invalid = answer(400, JSON, r#"{"error":"invalid_grant","error_description":"canary"}"#);
    let (tokens, service) = (Service::start(vec![invalid]).await, Service::start(vec![answer(200, JSON, GEMINI)]).await);
    let (_folder, google) = key_file(&tokens);
    let url = service.url();
    let rig = Rig::start_in(env(&[]), Arc::new(bifrostctl::base::ManualClock::at(super::NOW_MS)), |plan| {
        vertex(&mut plan["providers"]["one"], &url, "gemini", &google);
        plan["models"]["fast"]["fallbacks"] = json!([]);
    })
    .await;
    let seen = chat(&rig, false).await;
    assert_eq!(seen.status, StatusCode::BAD_GATEWAY);
    assert!(seen.text().contains("the provider refused to sign the gateway in") && !seen.text().contains("canary"), "{}", seen.text());
}

#[tokio::test]
async fn a_token_outlives_a_table_and_a_new_key_file_ends_it() {
    let tokens = Service::start(vec![token("t1"), token("t2")]).await;
    let service = Service::start(vec![answer(200, JSON, GEMINI)]).await;
    let (folder, google) = key_file(&tokens);
    let url = service.url();
    let (rig, _) = rig(env(&[]), |one| vertex(one, &url, "gemini", &google)).await;
    chat(&rig, false).await;
    let reload = |max: u32| {
        let plan = plan(|plan| {
            vertex(&mut plan["providers"]["one"], &url, "gemini", &google);
            plan["providers"]["one"]["retries"]["max"] = json!(max);
        });
        let revision = rig.gateway.live.load().revision + 1;
        rig.gateway.live.commit(prepare(Arc::new(plan), revision, &rig.gateway.services).unwrap());
    };
    reload(3);
    chat(&rig, false).await;
    let file = folder.path().join("key.json");
    let rotated = std::fs::read_to_string(&file).unwrap().replace("k1", "k2");
    std::fs::write(&file, rotated).unwrap();
    reload(3);
    chat(&rig, false).await;
    assert_eq!(service.headers("authorization"), ["Bearer t1", "Bearer t1", "Bearer t2"]);
}

#[tokio::test]
async fn the_environment_names_the_key_file_and_a_users_calls_count_for_his_project() {
    let tokens = Service::start(vec![token("t1")]).await;
    let service = Service::start(vec![answer(200, JSON, GEMINI)]).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("application_default_credentials.json");
    let user = json!({"type": "authorized_user", "client_id": "c", "client_secret": "s", "refresh_token": "r", "quota_project_id": "q-1",
        "token_uri": format!("{}/token", tokens.url())});
    std::fs::write(&file, user.to_string()).unwrap();
    let url = service.url();
    for variable in [("GOOGLE_APPLICATION_CREDENTIALS", file.to_str().unwrap()), ("CLOUDSDK_CONFIG", folder.path().to_str().unwrap())] {
        let (rig, _) = rig(env(&[variable]), |one| vertex(one, &url, "gemini", &json!("environment"))).await;
        assert_eq!(chat(&rig, false).await.status, StatusCode::OK);
    }
    assert_eq!(service.headers("x-goog-user-project"), ["q-1", "q-1"]);
}

#[tokio::test]
async fn tokens_are_counted_where_vertex_has_it() {
    let tokens = Service::start(vec![token("t1")]).await;
    let service = Service::start(vec![answer(200, JSON, r#"{"input_tokens":7}"#)]).await;
    let (rig, _, _folder) = start(&tokens, &service, "anthropic").await;
    let body = json!({"model": "fast", "messages": [{"role": "user", "content": "hi"}]}).to_string();
    let seen = rig.call("POST", "/v1/messages/count_tokens", &[("x-api-key", KEY)], Bytes::from(body)).await;
    assert_eq!(seen.json()["input_tokens"], 7, "{}", seen.text());
    assert_eq!(service.lines(), [format!("{MODELS}/anthropic/models/count-tokens:rawPredict")]);
    assert_eq!((&service.bodies()[0]["model"], &service.bodies()[0]["anthropic_version"]), (&json!("m"), &json!("vertex-2023-10-16")));

    let service = Service::start(vec![answer(200, JSON, r#"{"totalTokens":7}"#)]).await;
    let (rig, _, _folder) = start(&tokens, &service, "gemini").await;
    let asked = json!({"generateContentRequest": {"model": "models/fast", "contents": [{"role": "user", "parts": [{"text": "hi"}]}]}});
    let path = "/v1beta/models/fast:countTokens";
    let seen = rig.call("POST", path, &[("x-goog-api-key", KEY)], Bytes::from(asked.to_string())).await;
    assert_eq!(seen.json()["totalTokens"], 7, "{}", seen.text());
    let body = json!({"model": "fast", "messages": [{"role": "user", "content": "hi"}]}).to_string();
    let seen = rig.call("POST", "/v1/messages/count_tokens", &[("x-api-key", KEY)], Bytes::from(body)).await;
    assert_eq!(seen.json()["input_tokens"], 7, "{}", seen.text());
    assert_eq!(service.lines(), vec![format!("{MODELS}/google/models/m:countTokens"); 2]);
    let contents = &asked["generateContentRequest"]["contents"];
    for body in service.bodies() {
        assert_eq!((&body["contents"], body.get("model"), body.get("generateContentRequest")), (contents, None, None));
    }
}

#[tokio::test]
async fn vectors_are_predicted_whoever_asks_for_them() {
    let tokens = Service::start(vec![token("t1")]).await;
    let vectors = r#"{"predictions":[{"embeddings":{"values":[0.10,-2],"statistics":{"truncated":false,"token_count":3}}}],"metadata":{"billableCharacterCount":2}}"#;
    let service = Service::start(vec![answer(200, JSON, vectors)]).await;
    let (rig, _, _folder) = start(&tokens, &service, "gemini").await;
    let body = json!({"model": "fast", "input": "hi", "dimensions": 2}).to_string();
    let seen = rig.call("POST", "/v1/embeddings", &[("authorization", &format!("Bearer {KEY}"))], Bytes::from(body)).await;
    assert_eq!((seen.status, &seen.json()["usage"]["prompt_tokens"]), (StatusCode::OK, &json!(3)), "{}", seen.text());
    assert!(seen.text().contains(r#""embedding":[0.10,-2]"#), "{}", seen.text());
    let body = json!({"content": {"parts": [{"text": "hi"}]}, "taskType": "RETRIEVAL_QUERY"}).to_string();
    let seen = rig.call("POST", "/v1beta/models/fast:embedContent", &[("x-goog-api-key", KEY)], Bytes::from(body)).await;
    assert_eq!((seen.status, &seen.json()["embedding"]["values"]), (StatusCode::OK, &json!([0.1, -2])), "{}", seen.text());
    assert_eq!(service.lines(), vec![format!("{MODELS}/google/models/m:predict"); 2]);
    let asked = json!({"instances": [{"content": "hi"}], "parameters": {"outputDimensionality": 2}});
    let for_query = json!({"instances": [{"content": "hi", "task_type": "RETRIEVAL_QUERY"}]});
    assert_eq!(service.bodies(), [asked, for_query]);
}
