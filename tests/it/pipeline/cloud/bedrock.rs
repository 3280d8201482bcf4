//! AWS Bedrock: Converse, signed or with an API key.

use std::sync::Arc;

use bifrostctl::base::ManualClock;
use bifrostctl::table::prepare;
use http::StatusCode;
use serde_json::{Value, json};

use super::super::harness::{Rig, plan};
use super::signature::fault;
use super::{JSON, NOW_MS, Service, answer, chat, credential, env, messages, rig};

const ANSWER: &str = r#"{"metrics":{"latencyMs":1},"output":{"message":{"content":[{"text":"Hello"}],"role":"assistant"}},"stopReason":"end_turn","usage":{"inputTokens":3,"outputTokens":5,"totalTokens":8}}"#;
const STREAM: &[u8] = include_bytes!("../../../fixtures/recorded/bedrock/converse-stream-nova-converse-stream.response.eventstream");
const EXPIRED: &str = r#"{"message":"The security token included in the request is expired"}"#;

fn ok() -> Vec<u8> {
    answer(200, JSON, ANSWER)
}

fn keys() -> Value {
    json!({"access_key_id": {"env": "ID"}, "secret_access_key": {"env": "SECRET"}, "session_token": null})
}

/// Makes a provider Bedrock at `url`, with one credential.
fn bedrock(one: &mut Value, url: &str, member: &str, value: &Value) {
    one["api"] = json!("bedrock");
    one["region"] = json!("eu-central-1");
    one["base_url"] = json!(url);
    one["credentials"] = json!({"a": credential(member, value)});
}

#[tokio::test]
async fn a_chat_is_signed_over_the_path_that_is_sent() {
    let service = Service::start(vec![ok()]).await;
    let model = "arn:aws:bedrock:eu-central-1:123456789012:application-inference-profile/abc";
    let rig = Rig::start_in(env(&[("ID", "AKID"), ("SECRET", "s+/s")]), Arc::new(ManualClock::at(NOW_MS)), |plan| {
        bedrock(&mut plan["providers"]["one"], &service.url(), "aws", &keys());
        plan["models"]["fast"]["targets"][0]["model"] = json!(model);
    })
    .await;
    let seen = chat(&rig, false).await;
    assert_eq!(seen.status, StatusCode::OK, "{}", seen.text());
    assert_eq!(seen.json()["choices"][0]["message"]["content"], "Hello");
    let request = &service.asked()[0];
    let line = "POST /model/arn%3Aaws%3Abedrock%3Aeu-central-1%3A123456789012%3Aapplication-inference-profile%2Fabc/converse";
    assert_eq!(service.lines(), [line]);
    assert!(service.headers("authorization")[0].starts_with("AWS4-HMAC-SHA256 Credential=AKID/20250101/eu-central-1/bedrock/aws4_request"));
    assert_eq!(fault(request, "s+/s"), None);
    assert!(fault(request, "other").is_some(), "the check would notice");
    assert_eq!(service.bodies()[0]["messages"], json!([{"role": "user", "content": [{"text": "hi"}]}]));
}

#[tokio::test]
async fn a_client_of_anthropics_gets_a_stream_from_bedrock() {
    let service = Service::start(vec![answer(200, "application/vnd.amazon.eventstream", STREAM)]).await;
    let url = service.url();
    let (rig, _) = rig(env(&[("ID", "AKID"), ("SECRET", "s")]), |one| bedrock(one, &url, "aws", &keys())).await;
    let body = json!({"model": "fast", "max_tokens": 50, "stream": true, "messages": [{"role": "user", "content": "hi"}]});
    let seen = messages(&rig, &body).await;
    assert_eq!(seen.status, StatusCode::OK, "{}", seen.text());
    let text = seen.text();
    assert!(text.contains("event: message_start") && text.trim_end().ends_with(r#"data: {"type":"message_stop"}"#), "{text}");
    assert_eq!(service.lines(), ["POST /model/m/converse-stream"]);
    assert_eq!(fault(&service.asked()[0], "s"), None);
}

#[tokio::test]
async fn an_api_key_travels_as_a_bearer_and_temporary_keys_with_their_token() {
    let service = Service::start(vec![ok()]).await;
    let url = service.url();
    let (rig, _) = rig(env(&[]), |one| bedrock(one, &url, "secret", &json!({"env": "A"}))).await;
    assert_eq!(chat(&rig, false).await.status, StatusCode::OK);
    assert_eq!(service.headers("authorization"), ["Bearer secret-A"]);
    assert_eq!(service.headers("x-amz-date"), [""]);

    let mut keys = keys();
    keys["session_token"] = json!({"env": "TOKEN"});
    let (rig, _) = super::rig(env(&[("ID", "AKID"), ("SECRET", "s"), ("TOKEN", "t==")]), |one| bedrock(one, &url, "aws", &keys)).await;
    assert_eq!(chat(&rig, false).await.status, StatusCode::OK);
    let request = &service.asked()[1];
    assert_eq!(service.headers("x-amz-security-token")[1], "t==");
    assert!(request.contains("x-amz-security-token, Signature=") && fault(request, "s").is_none(), "{request}");
}

/// Writes a profile anew.
fn write(folder: &tempfile::TempDir, id: &str, secret: &str) -> String {
    let file = folder.path().join("credentials");
    std::fs::write(&file, format!("[p]\naws_access_key_id={id}\naws_secret_access_key={secret}\n")).unwrap();
    file.to_str().unwrap().to_owned()
}

#[tokio::test]
async fn keys_that_expired_are_read_again_and_the_request_is_sent_once_more() {
    let folder = tempfile::tempdir().unwrap();
    let file = write(&folder, "ID1", "s1");
    let service = Service::start(vec![ok(), answer(403, JSON, EXPIRED), ok(), answer(403, JSON, EXPIRED)]).await;
    let url = service.url();
    let profile = json!({"profile": "p", "shared_credentials_file": file});
    let (rig, clock) = rig(env(&[]), |one| bedrock(one, &url, "aws", &profile)).await;
    assert_eq!(chat(&rig, false).await.status, StatusCode::OK);
    write(&folder, "ID2", "s2");
    clock.advance(60_000);
    let seen = chat(&rig, false).await;
    assert_eq!((seen.status, seen.headers["x-bifrost-attempts"].to_str().unwrap()), (StatusCode::OK, "1"), "{}", seen.text());
    let asked = service.asked();
    assert_eq!(asked.len(), 3);
    assert!(fault(&asked[1], "s1").is_none() && fault(&asked[2], "s2").is_none());

    // What is as new as it can be is not sent again: the chain goes on.
    let seen = chat(&rig, false).await;
    assert_eq!((seen.status, &seen.headers["x-bifrost-target"]), (StatusCode::OK, &"two/m".parse().unwrap()));
    assert_eq!(service.asked().len(), 4);
}

#[tokio::test]
async fn a_file_that_is_gone_moves_the_request_on_and_is_looked_for_again_soon() {
    let folder = tempfile::tempdir().unwrap();
    let file = write(&folder, "ID1", "s1");
    let service = Service::start(vec![ok()]).await;
    let url = service.url();
    let profile = json!({"profile": "p", "shared_credentials_file": &file});
    let (rig, clock) = rig(env(&[]), |one| bedrock(one, &url, "aws", &profile)).await;
    std::fs::remove_file(&file).unwrap();
    for attempts in ["2", "1"] {
        let seen = chat(&rig, false).await;
        let headers = (&seen.headers["x-bifrost-target"], &seen.headers["x-bifrost-attempts"]);
        assert_eq!(headers, (&"two/m".parse().unwrap(), &attempts.parse().unwrap()), "{}", seen.text());
    }
    assert_eq!(service.asked().len(), 0, "nothing is sent unsigned");
    write(&folder, "ID2", "s2");
    clock.advance(30_000);
    assert_eq!(chat(&rig, false).await.headers["x-bifrost-target"], "one/m");
    assert_eq!(fault(&service.asked()[0], "s2"), None);
}

const ROLE: &str = "arn:aws:iam::123456789012:role/gateway";

fn assumed(id: &str) -> Vec<u8> {
    let xml = format!(
        "<AssumeRoleWithWebIdentityResponse><AssumeRoleWithWebIdentityResult><Credentials><AccessKeyId>{id}</AccessKeyId>\
         <SecretAccessKey>s-{id}</SecretAccessKey><SessionToken>t-{id}</SessionToken><Expiration>2025-01-01T01:00:00Z</Expiration>\
         </Credentials></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>"
    );
    answer(200, "text/xml", xml)
}

#[tokio::test]
async fn a_role_that_cannot_be_assumed_is_no_fault_of_the_target() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    std::fs::write(&file, "jwt").unwrap();
    let down = answer(503, "text/xml", "<busy/>");
    let (tokens, service) = (Service::start(vec![down, assumed("ID")]).await, Service::start(vec![ok()]).await);
    let (url, sts) = (service.url(), tokens.url());
    let identity = json!({"web_identity": {"role_arn": ROLE, "token_file": file, "session_name": null, "sts_url": sts}});
    let (rig, _) = rig(env(&[]), |one| bedrock(one, &url, "aws", &identity)).await;
    let seen = chat(&rig, false).await;
    assert_eq!(
        (&seen.headers["x-bifrost-target"], &seen.headers["x-bifrost-attempts"]),
        (&"two/m".parse().unwrap(), &"2".parse().unwrap())
    );
    assert_eq!((tokens.asked().len(), service.asked().len()), (1, 0), "asked once, and nothing sent");
    // The service is back: nothing was held against the target or the credential.
    assert_eq!(chat(&rig, false).await.headers["x-bifrost-target"], "one/m");
    let request = &service.asked()[0];
    assert_eq!((fault(request, "s-ID"), service.headers("x-amz-security-token")), (None, vec!["t-ID".to_owned()]));
}

#[tokio::test]
async fn temporary_keys_outlive_a_table_and_end_with_what_they_were_made_of() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    std::fs::write(&file, "jwt").unwrap();
    let (tokens, service) = (Service::start(vec![assumed("ID1"), assumed("ID2")]).await, Service::start(vec![ok()]).await);
    let (url, sts) = (service.url(), tokens.url());
    let identity = |role: &str| json!({"web_identity": {"role_arn": role, "token_file": file, "session_name": null, "sts_url": sts}});
    let (rig, _) = rig(env(&[]), |one| bedrock(one, &url, "aws", &identity(ROLE))).await;
    chat(&rig, false).await;
    let reload = |role: &str, retries: u32| {
        let plan = plan(|plan| {
            bedrock(&mut plan["providers"]["one"], &url, "aws", &identity(role));
            plan["providers"]["one"]["retries"]["max"] = json!(retries);
        });
        let old = rig.gateway.live.load().revision;
        rig.gateway.live.commit(prepare(Arc::new(plan), old + 1, &rig.gateway.services).unwrap());
    };
    reload(ROLE, 3);
    chat(&rig, false).await;
    assert_eq!((tokens.asked().len(), service.asked().len()), (1, 2));
    reload("arn:aws:iam::123456789012:role/other", 3);
    chat(&rig, false).await;
    assert_eq!(tokens.asked().len(), 2);
    assert_eq!(service.headers("x-amz-security-token"), ["t-ID1", "t-ID1", "t-ID2"]);
}
