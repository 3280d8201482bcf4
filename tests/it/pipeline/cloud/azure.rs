//! Azure's classic API, and the APIs of Cohere's and Ollama's own: a path and a key each.

use bytes::Bytes;
use http::StatusCode;
use serde_json::{Value, json};

use super::super::harness::{KEY, Rig};
use super::{JSON, Service, answer, chat, env, messages, rig};

const CHAT: &str = r#"{"id":"c","object":"chat.completion","created":1,"model":"gpt-4o","choices":[{"index":0,"message":{"role":"assistant","content":"Hello"},"finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":5,"total_tokens":8}}"#;
const COHERE: &str = r#"{"id":"c","finish_reason":"COMPLETE","message":{"role":"assistant","content":[{"type":"text","text":"Hello"}]},"usage":{"billed_units":{"input_tokens":3,"output_tokens":5},"tokens":{"input_tokens":3,"output_tokens":5}}}"#;
const OLLAMA: &str = r#"{"model":"m","created_at":"2025-01-01T00:00:00Z","message":{"role":"assistant","content":"Hello"},"done":true,"done_reason":"stop","prompt_eval_count":3,"eval_count":5}"#;

async fn with(service: &Service, change: impl FnOnce(&mut Value)) -> Rig {
    let url = service.url();
    let (rig, _) = rig(env(&[]), |one| {
        one["base_url"] = json!(url);
        change(one);
    })
    .await;
    rig
}

#[tokio::test]
async fn a_deployment_is_called_by_its_path_and_a_version() {
    let vectors = r#"{"object":"list","data":[{"object":"embedding","index":0,"embedding":[0.1]}],"model":"e","usage":{"prompt_tokens":1,"total_tokens":1}}"#;
    let service = Service::start(vec![answer(200, JSON, CHAT), answer(200, JSON, vectors), answer(200, JSON, CHAT)]).await;
    let rig = with(&service, |one| {
        one["api_version"] = json!("2024-10-21");
        one["auth"] = json!({"header": "api-key"});
    })
    .await;
    let seen = chat(&rig, false).await;
    assert_eq!((seen.status, seen.text().as_str()), (StatusCode::OK, CHAT));
    let body = json!({"model": "fast", "input": "hi"}).to_string();
    let seen = rig.call("POST", "/v1/embeddings", &[("authorization", &format!("Bearer {KEY}"))], Bytes::from(body)).await;
    assert_eq!((seen.status, seen.text().as_str()), (StatusCode::OK, vectors));
    let seen = messages(&rig, &json!({"model": "fast", "max_tokens": 5, "messages": [{"role": "user", "content": "hi"}]})).await;
    assert_eq!(seen.json()["content"][0]["text"], "Hello", "{}", seen.text());
    let line = |path: &str| format!("POST /openai/deployments/m/{path}?api-version=2024-10-21");
    assert_eq!(service.lines(), [line("chat/completions"), line("embeddings"), line("chat/completions")]);
    assert!(service.headers("api-key").iter().all(|key| key.starts_with("secret-")), "{:?}", service.headers("api-key"));
    assert_eq!(service.headers("authorization"), ["", "", ""]);
}

#[tokio::test]
async fn cohere_and_ollama_are_spoken_to_in_their_own_words() {
    for (api, answered, path) in [("cohere", COHERE, "/v2/chat"), ("ollama", OLLAMA, "/api/chat")] {
        let service = Service::start(vec![answer(200, JSON, answered)]).await;
        let rig = with(&service, |one| one["api"] = json!(api)).await;
        let seen = chat(&rig, false).await;
        let told = seen.json();
        assert_eq!((seen.status, &told["choices"][0]["message"]["content"]), (StatusCode::OK, &json!("Hello")), "{}", seen.text());
        assert_eq!((&told["usage"]["prompt_tokens"], &told["usage"]["completion_tokens"]), (&json!(3), &json!(5)), "{api}");
        assert_eq!(service.lines(), [format!("POST {path}")]);
        assert!(service.headers("authorization")[0].starts_with("Bearer secret-"), "{api}");
        assert_eq!(service.bodies()[0]["messages"][0]["content"], "hi", "{api}");
    }
}
