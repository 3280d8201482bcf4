//! The access log's line of a request: who asked, what decided, who was tried, how it ended.

use bifrostctl::mock::{Behaviour, Script};
use bifrostctl::plan::AccessLog as Destination;
use bifrostctl::telemetry::{AccessLog, Metrics};
use serde_json::{Value, json};

use super::harness::{KEY, Rig};

const STREAM: &str = r#"{"model":"fast","stream":true,"messages":[{"role":"user","content":"secret words"}]}"#;

/// Sends a chat with these faults before its answer; returns what was logged.
async fn logged(faults: &[&str], body: &str, change: impl FnOnce(&mut Value)) -> Value {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("access.log");
    let mut rig = Rig::start_with(change).await;
    let to = Destination::File(path.to_str().unwrap().to_owned());
    rig.gateway.log = AccessLog::open(&to, Metrics::new().access_log_dropped()).unwrap();
    rig.mock.script(Script::sequence(faults.iter().map(|fault| fault.parse::<Behaviour>().unwrap())));
    rig.chat(body.to_owned()).await;
    assert!(rig.gateway.log.flush(std::time::Duration::from_secs(10)));
    let text = std::fs::read_to_string(path).unwrap();
    assert_eq!(text.lines().count(), 1, "{text}");
    assert!(!text.contains("secret") && !text.contains(KEY), "{text}");
    serde_json::from_str(&text).unwrap()
}

#[tokio::test]
async fn a_line_tells_who_asked_what_decided_and_who_was_tried() {
    let change = |plan: &mut Value| {
        plan["virtual_keys"]["web"]["team"] = json!("growth");
        plan["teams"] = json!({"growth": {"description": null, "models": null}});
        plan["rules"] = json!([{"name": "streams", "when": "stream", "action": {"use": "fast"}}]);
    };
    let line = logged(&["reset_at=start", "status=503"], STREAM, change).await;
    for (member, expected) in [
        ("key", json!("web")),
        ("team", json!("growth")),
        ("model", json!("fast")),
        ("alias", json!("fast")),
        ("rule", json!("streams")),
        ("endpoint", json!("chat_completions")),
        ("target", json!("two/m")),
        ("credential", json!("c")),
        ("status", json!(200)),
        ("stream", json!(true)),
        ("fallbacks", json!(1)),
        ("client_gone", json!(false)),
        ("usage_source", json!("provider")),
        ("bytes_in", json!(STREAM.len())),
    ] {
        assert_eq!(line[member], expected, "{member}: {line}");
    }
    for member in ["overhead_us", "tokens_in", "tokens_out", "bytes_out"] {
        assert!(line[member].as_u64().unwrap() > 0, "{member}: {line}");
    }
    assert!(line["ttft_ms"].is_u64() && line["duration_ms"].as_u64() >= line["ttft_ms"].as_u64(), "{line}");
    let attempts: Vec<_> =
        line["attempts"].as_array().unwrap().iter().map(|it| (it["outcome"].as_str().unwrap(), it["status"].as_u64())).collect();
    assert_eq!(attempts, [("upstream_connect", None), ("upstream_overload", Some(503)), ("ok", Some(200))]);
    assert!(line["attempts"][0]["detail"].is_string(), "why there was no connection: {line}");
}

#[tokio::test]
async fn a_line_tells_how_a_stream_broke_and_why_a_request_was_refused() {
    let line = logged(&["cut_at=event:3"], STREAM, |_| {}).await;
    assert_eq!((&line["status"], &line["error"], &line["target"]), (&json!(200), &json!("upstream_truncated"), &Value::Null));
    assert_eq!(line["attempts"][0]["outcome"], "upstream_truncated");
    let line = logged(&[], r#"{"model":"nope"}"#, |_| {}).await;
    assert_eq!((&line["status"], &line["error"], &line["attempts"]), (&json!(404), &json!("not_found"), &Value::Null));
}

#[tokio::test]
async fn a_line_tells_what_a_request_uses_and_the_headers_that_the_spec_names() {
    let body = r#"{"model":"fast","max_tokens":7,"tools":[{"type":"function","function":{"name":"f"}}],"response_format":{"type":"json_schema"},
        "messages":[{"role":"user","content":"secret words"}]}"#;
    let line = logged(&[], body, |plan| plan["telemetry"]["log_headers"] = json!(["content-type", "x-absent"])).await;
    assert_eq!(line["uses"], json!(["tools", "json_schema"]), "{line}");
    assert_eq!((&line["max_output"], &line["headers"]), (&json!(7), &json!({"content-type": "application/json"})), "{line}");
    let line = logged(&[], STREAM, |_| ()).await;
    assert!(line.get("uses").is_none() && line.get("headers").is_none() && line.get("max_output").is_none(), "{line}");
}
