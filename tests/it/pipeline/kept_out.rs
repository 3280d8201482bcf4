//! Targets that are left out because of their credentials: what the client is told, and what the log.

use std::sync::Arc;

use bifrostctl::base::ManualClock;
use bifrostctl::mock::{Behaviour, Script};
use bifrostctl::plan::AccessLog as Destination;
use bifrostctl::provider::{CredentialHealth, CredentialState, Reason};
use bifrostctl::table::prepare;
use bifrostctl::telemetry::{AccessLog, Metrics};
use bytes::Bytes;
use serde_json::{Value, json};

use super::harness::{KEY, Rig, Seen, plan};

const WHOLE: &str = r#"{"model":"fast","messages":[{"role":"user","content":"hi"}]}"#;

/// A gateway whose clock stands at ten seconds.
async fn rig(change: impl FnOnce(&mut Value)) -> Rig {
    let mut rig = Rig::start_with(change).await;
    rig.gateway.clock = Arc::new(ManualClock::at(10_000));
    rig
}

fn credential(rig: &Rig, provider: &str, name: &str) -> Arc<CredentialHealth> {
    let table = rig.gateway.live.load();
    let found = table.providers[provider].credentials.iter().find(|credential| credential.name == name);
    Arc::clone(&found.unwrap().health)
}

/// Status, code and `retry-after`.
fn refusal(seen: &Seen) -> (u16, String, Option<String>) {
    let code = seen.json()["error"]["code"].as_str().unwrap_or_default().to_owned();
    let wait = seen.headers.get("retry-after").map(|wait| wait.to_str().unwrap().to_owned());
    (seen.status.as_u16(), code, wait)
}

fn expects(status: u16, code: &str, wait: Option<&str>) -> (u16, String, Option<String>) {
    (status, code.to_owned(), wait.map(str::to_owned))
}

#[tokio::test]
async fn rate_limits_alone_are_a_429_with_the_earliest_end() {
    let rig = rig(|_| {}).await;
    for (provider, name, wait) in [("one", "a", 40_000), ("one", "b", 3_400), ("two", "c", 9_000)] {
        credential(&rig, provider, name).cool("m", 10_000, Some(wait));
    }
    let seen = rig.chat(WHOLE).await;
    assert_eq!(refusal(&seen), expects(429, "rate_limited", Some("4")));
    let error = &seen.json()["error"];
    assert_eq!(error["type"], "rate_limit_error");
    let text = "No target of `fast` can be tried now: every credential cools down after a 429 (2 targets); the first is back in 4 s. \
                `bifrostctl status` shows their state.";
    assert_eq!(error["message"], text);
    assert!(rig.tried().is_empty());
    let metrics = rig.gateway.services.metrics.encode();
    assert!(metrics.contains("bifrost_refused_total{reason=\"rate_limited\"} 1"), "{metrics}");
}

#[tokio::test]
async fn of_several_reasons_the_one_that_ends_first_is_told() {
    for (one, two, wanted) in [
        // A rate limit ends before the quota is looked at again, or beside what never ends by itself.
        ("cool", "quota", expects(429, "rate_limited", Some("30"))),
        ("cool", "refuse", expects(429, "rate_limited", Some("30"))),
        ("cool long", "quota", expects(429, "rate_limited", Some("300"))),
        ("quota", "refuse", expects(503, "no_candidate", Some("600"))),
        ("refuse", "refuse", expects(503, "no_candidate", None)),
    ] {
        let rig = rig(|_| {}).await;
        for (provider, names, what) in [("one", ["a", "b"].as_slice(), one), ("two", &["c"], two)] {
            for health in names.iter().map(|name| credential(&rig, provider, name)) {
                match what {
                    "cool" => health.cool("m", 10_000, Some(30_000)),
                    "cool long" => health.cool("m", 10_000, Some(u64::MAX)),
                    "quota" => health.exhaust(10_000),
                    _ => health.refuse(10_000),
                }
            }
        }
        assert_eq!(refusal(&rig.chat(WHOLE).await), wanted, "{one}, {two}");
    }
}

#[tokio::test]
async fn the_client_is_told_the_reason_and_the_log_each_credential() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("access.log");
    let mut rig = rig(|plan| plan["models"]["fast"]["fallbacks"] = json!([])).await;
    rig.gateway.log = AccessLog::open(&Destination::File(path.to_str().unwrap().to_owned()), Metrics::new().access_log_dropped()).unwrap();
    credential(&rig, "one", "a").refuse(10_000);
    credential(&rig, "one", "b").cool("m", 10_000, Some(2_000));
    let seen = rig.chat(WHOLE).await;
    assert_eq!(refusal(&seen), expects(429, "rate_limited", Some("2")));
    let text = seen.json()["error"]["message"].as_str().unwrap().to_owned();
    assert!(text.starts_with("`fast` cannot be tried now: every credential cools down or is out; it is back in 2 s."), "{text}");
    assert!(rig.gateway.log.flush(std::time::Duration::from_secs(10)));
    let line: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let told = "one/m: credential `a` was refused by the provider and is out until the spec or the secret changes, credential `b` cools \
                down after a 429 and is back in 2 s";
    assert_eq!((&line["error"], &line["detail"]), (&json!("rate_limited"), &json!(told)));
}

#[tokio::test]
async fn a_provider_without_a_model_is_rate_limited_just_so() {
    let rig = rig(|plan| plan["virtual_keys"]["web"]["models"] = json!(["two/*"])).await;
    credential(&rig, "two", "c").cool("*", 10_000, Some(5_000));
    let seen = rig.call("GET", "/v1/files", &[("x-api-key", KEY)], Bytes::new()).await;
    assert_eq!(refusal(&seen), expects(429, "rate_limited", Some("5")));
    let text = seen.json()["error"]["message"].as_str().unwrap().to_owned();
    assert!(
        text.starts_with("The provider `two` cannot be tried now: every credential cools down after a 429; it is back in 5 s."),
        "{text}"
    );
    credential(&rig, "two", "c").refuse(10_000);
    let seen = rig.call("GET", "/v1/files", &[("x-api-key", KEY)], Bytes::new()).await;
    assert_eq!(refusal(&seen), expects(503, "no_candidate", None));
}

#[tokio::test]
async fn a_rate_limit_of_one_model_leaves_the_others_in_use() {
    let rig = rig(|plan| plan["models"]["fast"]["fallbacks"] = json!(["two/m", "two/mini"])).await;
    rig.mock.script(Script::sequence(["status=429;retry_after=60"; 3].map(|fault| fault.parse::<Behaviour>().unwrap())));
    assert_eq!(rig.chat(WHOLE).await.headers["x-bifrost-target"], "two/mini");
    let mut tried = rig.tried();
    tried.sort();
    assert_eq!(tried, ["A", "B", "C", "C"], "both credentials of one, then the only one of two, with two models");
    // Nobody asks again what rests.
    assert_eq!(rig.chat(WHOLE).await.headers["x-bifrost-target"], "two/mini");
    assert_eq!(rig.tried().len(), 5);
    // What only clients name rests by its own name as well.
    let chat = |model: &str| rig.chat(WHOLE.replace("fast", model));
    rig.mock.script(Script::sequence(["status=429;retry_after=60".parse::<Behaviour>().unwrap()]));
    assert_eq!(refusal(&chat("two/x").await), expects(429, "rate_limit_exceeded", Some("60")));
    assert_eq!(refusal(&chat("two/x").await), expects(429, "rate_limited", Some("60")));
    assert_eq!(chat("two/y").await.status.as_u16(), 200);
}

#[tokio::test]
async fn a_403_keeps_a_credential_from_one_model_for_a_while_and_a_401_from_all() {
    let rig = rig(|plan| plan["models"]["fast"]["fallbacks"] = json!([])).await;
    let state = |name: &str, model: &str| credential(&rig, "one", name).state(model, 10_000);
    let out = |until_ms, reason| CredentialState::Out { until_ms, reason };
    rig.mock.script(Script::sequence(["status=403", "status=401"].map(|fault| fault.parse::<Behaviour>().unwrap())));
    assert_eq!(rig.chat(WHOLE).await.status.as_u16(), 502);
    let tried: Vec<String> = rig.tried().iter().map(|name| name.to_lowercase()).collect();
    let [forbidden, refused] = tried.as_slice() else { panic!("{tried:?}") };
    assert_eq!(state(forbidden, "m"), out(Some(610_000), Reason::Forbidden));
    assert_eq!(state(forbidden, "n"), CredentialState::Ready);
    assert_eq!((state(refused, "m"), state(refused, "n")), (out(None, Reason::Auth), out(None, Reason::Auth)));
    assert_eq!(refusal(&rig.chat(WHOLE).await), expects(503, "no_candidate", Some("600")));
}

#[tokio::test]
async fn what_rests_still_rests_under_the_next_table() {
    let rig = rig(|_| {}).await;
    credential(&rig, "two", "c").cool("m", 10_000, Some(5_000));
    let next = prepare(Arc::new(plan(|plan| plan["models"]["fast"]["fallbacks"] = json!([]))), 2, &rig.gateway.services).unwrap();
    drop(rig.gateway.live.commit(next));
    rig.gateway.live.load().keep_health(&rig.gateway.services.health);
    assert!(matches!(credential(&rig, "two", "c").state("m", 10_000), CredentialState::Cooling { until_ms: 15_000, .. }));
}
