//! Upstreams that speak Cohere's and Ollama's own APIs: what they stream, and how they break, reaches clients of other formats in their words.

use http::StatusCode;
use serde_json::{Value, json};

use super::harness::{KEY, Rig, Seen};

const APIS: [&str; 2] = ["cohere", "ollama"];

/// Alias `fast`: a target that speaks `api` and breaks as told, then one that speaks OpenAI.
async fn rig(api: &str, fault: &str) -> Rig {
    Rig::start_with(|plan| {
        let one = &mut plan["providers"]["one"];
        one["api"] = json!(api);
        one["retries"]["max"] = json!(0);
        one["credentials"].as_object_mut().unwrap().remove("b");
        plan["models"]["fast"]["targets"][0]["model"] = json!(format!("m@{fault}"));
    })
    .await
}

fn tools() -> Value {
    let schema = json!({"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]});
    json!([{"type": "function", "function": {"name": "weather", "parameters": schema}}])
}

async fn chat(rig: &Rig, more: Value) -> Seen {
    let mut body = json!({"model": "fast", "stream": true, "messages": [{"role": "user", "content": "say hello world"}]});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    rig.chat(body.to_string()).await
}

fn chunks(seen: &Seen) -> Vec<Value> {
    let text = seen.text();
    let data: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("data: ")).filter(|data| *data != "[DONE]").collect();
    data.iter().map(|data| serde_json::from_str(data).unwrap()).collect()
}

fn said(chunks: &[Value], member: &str) -> String {
    chunks.iter().filter_map(|chunk| chunk["choices"][0]["delta"][member].as_str()).collect()
}

#[tokio::test]
async fn text_thoughts_and_calls_are_streamed_to_a_client_of_openais() {
    for api in APIS {
        let rig = rig(api, "thoughts=Let me see.;calls=2").await;
        let seen = chat(&rig, json!({"reasoning_effort": "low", "stream_options": {"include_usage": true}})).await;
        assert_eq!(
            (seen.status, seen.headers["x-bifrost-target"].to_str().unwrap()),
            (StatusCode::OK, "one/m@thoughts=Let me see.;calls=2")
        );
        let told = chunks(&seen);
        assert_eq!(said(&told, "content"), "mock: say hello world", "{api}");
        // The name of Cohere's model does not say that it thinks, so that it was not asked to.
        assert_eq!(said(&told, "reasoning_content"), if api == "ollama" { "Let me see." } else { "" }, "{api}");
        assert_eq!(told.last().unwrap()["usage"]["prompt_tokens"], 10, "{api}");
        assert!(seen.text().ends_with("data: [DONE]\n\n"), "{api}");
        let told = chunks(&chat(&rig, json!({"tools": tools()})).await);
        let calls: Vec<&Value> = told.iter().filter_map(|chunk| chunk["choices"][0]["delta"]["tool_calls"].get(0)).collect();
        let input = |index: u64| -> String {
            let of = calls.iter().filter(|call| call["index"] == index);
            of.filter_map(|call| call["function"]["arguments"].as_str()).collect()
        };
        assert_eq!((input(0).as_str(), input(1).as_str()), (r#"{"city":"mock"}"#, r#"{"city":"mock"}"#), "{api}");
        assert!(told.iter().any(|chunk| chunk["choices"][0]["finish_reason"] == "tool_calls"), "{api}");
    }
}

#[tokio::test]
async fn a_stream_that_breaks_after_content_is_no_clean_end() {
    for api in APIS {
        for (fault, code) in
            [("cut_at=event:3", "upstream_truncated"), ("malformed_at=3", "upstream_malformed"), ("no_finish", "upstream_truncated")]
        {
            let seen = chat(&rig(api, fault).await, json!({})).await;
            let told = chunks(&seen);
            assert_eq!(told.last().unwrap()["error"]["code"], code, "{api} {fault}: {}", seen.text());
            assert!(!seen.text().contains("[DONE]"), "{api} {fault}");
        }
        let seen = chat(&rig(api, "error_at=4;error=overloaded").await, json!({})).await;
        let told = chunks(&seen);
        assert!(told.last().unwrap()["error"]["message"].is_string() && !said(&told, "content").is_empty(), "{api}: {}", seen.text());
    }
}

#[tokio::test]
async fn one_that_fails_before_content_gives_way_to_another_format() {
    for api in APIS {
        for fault in ["error_at=0", "status=503", "error=rate_limit", "error=context_length", "cut_at=start", "html"] {
            let seen = chat(&rig(api, fault).await, json!({})).await;
            assert_eq!((seen.status, seen.headers["x-bifrost-target"].to_str().unwrap()), (StatusCode::OK, "two/m"), "{api} {fault}");
            assert_eq!(said(&chunks(&seen), "content"), "mock: say hello world", "{api} {fault}");
        }
    }
}

#[tokio::test]
async fn a_client_of_anthropics_is_told_in_its_own_words() {
    for api in APIS {
        let ask = json!({"model": "fast", "max_tokens": 50, "stream": true, "messages": [{"role": "user", "content": "say hello world"}]});
        let call = async |fault: &str| {
            let rig = rig(api, fault).await;
            rig.call("POST", "/v1/messages", &[("x-api-key", KEY)], ask.to_string().into()).await.text()
        };
        let whole = call("pings=1").await;
        assert!(whole.contains("event: message_stop") && whole.contains(r#""stop_reason":"end_turn""#), "{api}: {whole}");
        let cut = call("cut_at=event:3").await;
        assert!(cut.contains("event: error") && !cut.contains("message_stop"), "{api}: {cut}");
    }
}
