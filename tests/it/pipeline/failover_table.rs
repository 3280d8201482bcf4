//! Every row of the failover table: which attempts were made, what the client saw, what it did to health.
//!
//! The chain is target `one/m` with the credentials a and b, then `two/m` with c; one retry at the same target. In `tries`, `1x` is the
//! credential of `one` that was drawn first, `1y` the other one.

use bifrostctl::mock::{Behaviour, Ending, Script};
use bifrostctl::provider::{BreakerState, CredentialState, Reason};
use bifrostctl::server::{Handler as _, Peer, RequestBody};
use bytes::Bytes;
use http::Request;
use serde_json::{Value, json};

use super::harness::{KEY, Rig, Seen};

const CHAT: &str = r#"{"model":"fast","messages":[{"role":"user","content":"hi there"}]}"#;
const STREAM: &str = r#"{"model":"fast","stream":true,"messages":[{"role":"user","content":"hi there"}]}"#;

struct Row {
    body: &'static str,
    /// What the first calls meet; the rest is answered.
    faults: &'static [&'static str],
    change: fn(&mut Value),
    tries: &'static str,
    /// Status and error code, `done` at the end of a stream, `retry-after` where there is one.
    sees: &'static str,
    /// Hard failures in a row of `one/m`, then the states of x and y.
    health: &'static str,
}

const fn row(body: &'static str, faults: &'static [&'static str], tries: &'static str, sees: &'static str, health: &'static str) -> Row {
    Row { body, faults, change: |_| {}, tries, sees, health }
}

impl Row {
    const fn with(mut self, change: fn(&mut Value)) -> Self {
        self.change = change;
        self
    }
}

fn impatient(plan: &mut Value) {
    plan["providers"]["one"]["retries"]["only_if_failed_within"] = json!("1ms");
}

fn brisk(plan: &mut Value) {
    plan["providers"]["one"]["timeouts"] =
        json!({"connect": "5s", "first_byte": "200ms", "first_content": "200ms", "idle": "200ms", "total": "10s"});
}

fn deadline(plan: &mut Value) {
    plan["providers"]["one"]["timeouts"]["total"] = json!("200ms");
}

fn filter_moves_on(plan: &mut Value) {
    plan["models"]["fast"]["fallback_on"] = json!(["content_filter"]);
}

fn context_stays(plan: &mut Value) {
    plan["models"]["fast"]["fallback_on"] = json!(["timeout"]);
}

fn unreachable(plan: &mut Value) {
    // Nothing listens on the discard port of loopback.
    plan["providers"]["one"]["base_url"] = json!("http://127.0.0.1:9/v1");
}

const QUOTA: &str = "error=insufficient_quota";
const LIMITED: &str = "status=429;retry_after=7";

const FINE: &str = "200";
const DONE: &str = "200 done";

/// What comes before any answer, and whole answers.
fn answers() -> Vec<Row> {
    vec![
        // No connection, or none any more before any byte: the same target again, jittered.
        row(CHAT, &["reset_at=start"], "1x 1x", FINE, "0 ready ready"),
        row(CHAT, &["cut_at=start", "reset_at=start"], "1x 1x 2", FINE, "2 ready ready"),
        row(STREAM, &["reset_at=start", "reset_at=start"], "1x 1x 2", DONE, "2 ready ready"),
        row(CHAT, &[], "2", FINE, "2 ready ready").with(unreachable),
        // 408 500 502 503 504 529: again only where it failed quickly and states no long wait.
        row(CHAT, &["status=408"], "1x 1x", FINE, "0 ready ready"),
        row(CHAT, &["status=500"], "1x 1x", FINE, "0 ready ready"),
        row(CHAT, &["status=502"], "1x 1x", FINE, "0 ready ready"),
        row(CHAT, &["status=503"], "1x 1x", FINE, "0 ready ready"),
        row(CHAT, &["status=504"], "1x 1x", FINE, "0 ready ready"),
        row(CHAT, &["status=529"], "1x 1x", FINE, "0 ready ready"),
        row(STREAM, &["status=500", "html"], "1x 1x 2", DONE, "2 ready ready"),
        row(CHAT, &["status=500;delay=30ms"], "1x 2", FINE, "1 ready ready").with(impatient),
        row(CHAT, &["status=503;retry_after=8"], "1x 2", FINE, "1 ready ready"),
        row(CHAT, &["status=500"; 4], "1x 1x 2 2", "502 upstream_server_error", "2 ready ready"),
        row(CHAT, &["status=503;retry_after=8"; 2], "1x 2", "503 upstream_overload retry-after 8", "1 ready ready"),
        // 429: next credential, next target; the same again only where nobody else is left and the wait is short.
        row(CHAT, &[LIMITED], "1x 1y", FINE, "0 cooling ready"),
        row(STREAM, &[LIMITED, LIMITED], "1x 1y 2", DONE, "0 cooling cooling"),
        row(CHAT, &[LIMITED; 3], "1x 1y 2", "429 rate_limit_exceeded retry-after 7", "0 cooling cooling"),
        row(CHAT, &[LIMITED, "status=429;retry_after=3", LIMITED], "1x 1y 2", "429 rate_limit_exceeded retry-after 3", "0 cooling cooling"),
        row(CHAT, &[LIMITED, LIMITED, "status=429;retry_after_ms=5"], "1x 1y 2 2", FINE, "0 cooling cooling"),
        // 402 and an exhausted quota: the credential is out for a while.
        row(CHAT, &["status=402"], "1x 1y", FINE, "0 quota ready"),
        row(CHAT, &[QUOTA, QUOTA], "1x 1y 2", FINE, "0 quota quota"),
        row(CHAT, &[QUOTA; 3], "1x 1y 2", "502 upstream_quota", "0 quota quota"),
        // 401: the credential is out until it is changed; 403: it is not used for this model for a while; never a 401 of ours.
        row(CHAT, &["status=401"], "1x 1y", FINE, "0 auth ready"),
        row(STREAM, &["status=403", "status=401"], "1x 1y 2", DONE, "0 forbidden auth"),
        row(CHAT, &["status=403"; 3], "1x 1y 2", "502 upstream_auth", "0 forbidden forbidden"),
        row(CHAT, &["status=401"; 3], "1x 1y 2", "502 upstream_auth", "0 auth auth"),
        // The prompt is too long: another target, or the provider's own words.
        row(CHAT, &["error=context_length"], "1x 2", FINE, "0 ready ready"),
        row(CHAT, &["error=context_length"; 2], "1x 2", "400 context_length_exceeded", "0 ready ready"),
        row(CHAT, &["error=context_length"], "1x", "400 context_length_exceeded", "0 ready ready").with(context_stays),
        // A content filter: returned as it is, unless the alias moves on.
        row(CHAT, &["error=content_filter"], "1x", "400 content_filter", "0 ready ready"),
        row(CHAT, &["error=content_filter"], "1x 2", FINE, "0 ready ready").with(filter_moves_on),
        // Other refusals are the client's: as they are, without another try.
        row(CHAT, &["error=bad_request"], "1x", "400 invalid_value", "0 ready ready"),
        row(STREAM, &["status=404"], "1x", "404 model_not_found", "0 ready ready"),
        row(CHAT, &["status=422"], "1x", "422 invalid_value", "0 ready ready"),
        row(CHAT, &["status=413;body={}"], "1x", "413", "0 ready ready"),
        // 200, and then no answer.
        row(CHAT, &["malformed_at=0"], "1x 2", FINE, "1 ready ready"),
        row(CHAT, &["html;status=200"], "1x 2", FINE, "1 ready ready"),
        row(CHAT, &["empty"], "1x 2", FINE, "1 ready ready"),
        row(CHAT, &["cut_at=17"], "1x 2", FINE, "1 ready ready"),
        row(CHAT, &["reset_at=17"], "1x 2", FINE, "1 ready ready"),
        row(CHAT, &["stall_at=17"], "1x 2", FINE, "1 ready ready").with(brisk),
        row(CHAT, &["stall_at=start"], "1x 2", FINE, "1 ready ready").with(brisk),
        row(CHAT, &["garbage"], "1x 2", FINE, "1 ready ready"),
        // One deadline over all attempts.
        row(CHAT, &["stall_at=start"], "1x", "504 upstream_timeout", "1 ready ready").with(deadline),
        row(CHAT, &["status=500", "stall_at=start"], "1x 1x", "504 upstream_timeout", "1 ready ready").with(deadline),
    ]
}

fn streams() -> Vec<Row> {
    vec![
        // A stream that ends, breaks, errs or is silent before its first content.
        row(STREAM, &["error_at=1"], "1x 2", DONE, "1 ready ready"),
        row(STREAM, &["error_at=0;error_named=true"], "1x 2", DONE, "1 ready ready"),
        row(STREAM, &["error_at=1;error=rate_limit"], "1x 1y", DONE, "0 cooling ready"),
        row(STREAM, &["error_at=1;error=content_filter"], "1x", "400 content_filter", "0 ready ready"),
        row(STREAM, &["malformed_at=0"], "1x 2", DONE, "1 ready ready"),
        row(STREAM, &["cut_at=event:1"], "1x 2", DONE, "1 ready ready"),
        row(STREAM, &["empty"], "1x 2", DONE, "1 ready ready"),
        row(STREAM, &["stall_at=event:1"], "1x 2", DONE, "1 ready ready").with(brisk),
        row(STREAM, &["pings=3;stall_at=event:3"], "1x 2", DONE, "1 ready ready").with(brisk),
        // The same after content: never again; a typed error event in place of the end.
        row(STREAM, &["cut_at=event:3"], "1x", "200 upstream_truncated", "1 ready ready"),
        row(STREAM, &["reset_at=event:3"], "1x", "200 upstream_truncated", "1 ready ready"),
        row(STREAM, &["malformed_at=3"], "1x", "200 upstream_malformed", "1 ready ready"),
        row(STREAM, &["stall_at=event:3"], "1x", "200 upstream_timeout", "1 ready ready").with(brisk),
        row(STREAM, &["no_done;no_finish"], "1x", "200 upstream_truncated", "1 ready ready"),
        // The provider's own error event is passed on.
        row(STREAM, &["error_at=3"], "1x", "200 null", "1 ready ready"),
        row(STREAM, &["error_at=3;error=rate_limit"], "1x", "200 rate_limit_exceeded", "0 ready ready"),
        // The terminator is missing, but the finish reason was there: a normal end.
        row(STREAM, &["no_done"], "1x", DONE, "0 ready ready"),
        row(STREAM, &["no_done;framing=close"], "1x", DONE, "0 ready ready"),
    ]
}

/// The attempts as `1x 1y 2`.
fn tries(rig: &Rig) -> (String, Vec<String>) {
    let tried = rig.tried();
    let first = tried.iter().find(|name| *name != "C").cloned().unwrap_or_else(|| "A".to_owned());
    let word = |name: &String| match name.as_str() {
        "C" => "2",
        name if name == first => "1x",
        _ => "1y",
    };
    let other = if first == "A" { "B" } else { "A" };
    (tried.iter().map(word).collect::<Vec<_>>().join(" "), vec![first.to_lowercase(), other.to_lowercase()])
}

fn sees(seen: &Seen) -> String {
    let mut words = vec![seen.status.as_u16().to_string()];
    let is_stream = seen.headers["content-type"].to_str().unwrap().starts_with("text/event-stream");
    let text = seen.text();
    let last = text.trim_end().rsplit("\n\n").next().unwrap_or_default();
    let json: Value = serde_json::from_str(if is_stream { last.trim_start_matches("data: ") } else { &text }).unwrap_or_default();
    match json.get("error").map(|error| &error["code"]) {
        Some(code) => words.push(code.as_str().map_or("null".to_owned(), str::to_owned)),
        None if is_stream && last == "data: [DONE]" => words.push("done".to_owned()),
        None if is_stream => words.push(format!("an end like {last}")),
        None => {}
    }
    if let Some(wait) = seen.headers.get("retry-after") {
        words.push(format!("retry-after {}", wait.to_str().unwrap()));
    }
    words.join(" ")
}

fn health(rig: &Rig, credentials: &[String]) -> String {
    let now_ms = rig.gateway.clock.monotonic_ms();
    let table = rig.gateway.live.load();
    let target = table.targets["one/m"].health.breaker.snapshot(now_ms);
    assert_eq!(target.state, BreakerState::Closed);
    let mut words = vec![target.failures_in_a_row.to_string()];
    for name in credentials {
        let credential = table.providers["one"].credentials.iter().find(|it| it.name == *name).unwrap();
        let (state, other) = (credential.health.state("m", now_ms), credential.health.state("n", now_ms));
        let left_ms = |until_ms: u64| until_ms - now_ms;
        words.push(match state {
            CredentialState::Ready => "ready".to_owned(),
            CredentialState::Cooling { reason: Reason::RateLimit, .. } if other == CredentialState::Ready => "cooling".to_owned(),
            CredentialState::Out { reason: Reason::Forbidden, until_ms: Some(until_ms) } if other == CredentialState::Ready => {
                assert!((590_000..=600_000).contains(&left_ms(until_ms)));
                "forbidden".to_owned()
            }
            CredentialState::Out { reason: Reason::Quota, until_ms: Some(until_ms) } if other == state => {
                assert!((590_000..=600_000).contains(&left_ms(until_ms)));
                "quota".to_owned()
            }
            CredentialState::Out { reason: Reason::Auth, until_ms: None } if other == state => "auth".to_owned(),
            other => format!("{other:?}"),
        });
    }
    words.join(" ")
}

#[tokio::test]
async fn every_row_of_the_table_holds() {
    let mut wrong = Vec::new();
    for row in answers().into_iter().chain(streams()) {
        let rig = Rig::start_with(row.change).await;
        rig.mock.script(Script::sequence(row.faults.iter().map(|fault| fault.parse::<Behaviour>().expect(fault))));
        let seen = rig.chat(row.body).await;
        let (tries, credentials) = tries(&rig);
        let got = (tries.as_str(), sees(&seen), health(&rig, &credentials));
        if got != (row.tries, row.sees.to_owned(), row.health.to_owned()) {
            let kind = if row.body == STREAM { "stream" } else { "chat" };
            wrong.push(format!("{kind} {:?}\n  wants {:?}\n  got   {got:?}", row.faults, (row.tries, row.sees, row.health)));
        }
        assert_eq!(seen.headers["x-bifrost-attempts"].to_str().unwrap(), attempts(&rig, &row).to_string(), "{:?}", row.faults);
    }
    assert!(wrong.is_empty(), "{} rows are wrong:\n{}", wrong.len(), wrong.join("\n"));
}

/// Calls that reached the mock, and those that could not reach anything.
fn attempts(rig: &Rig, row: &Row) -> usize {
    let unreached = if row.tries == "2" { 2 } else { 0 };
    rig.mock.requests().len() + unreached
}

#[tokio::test]
async fn a_client_that_leaves_takes_its_upstream_along_at_once() {
    for (body, place, begins) in [(STREAM, "stall_at=event:3", true), (STREAM, "stall_at=start", false), (CHAT, "stall_at=17", false)] {
        let rig = Rig::start().await;
        rig.mock.script(Script::always(place.parse().unwrap()));
        let request = Request::post("/v1/chat/completions").header("x-api-key", KEY);
        let request = request.body(RequestBody::from(Bytes::from(body))).unwrap();
        let mut running = Box::pin(rig.gateway.handle(request, Peer::default()));
        // As the server does: the future, or the body that it gave, is dropped when the client is gone.
        let response = tokio::select! {
            biased;
            response = &mut running => Some(response),
            _ = rig.mock.wait_for(|all| !begins && !all.is_empty()) => None,
        };
        assert_eq!(response.is_some(), begins, "{place}");
        drop((running, response));
        assert_eq!(rig.mock.wait_ended(1).await[0].ending, Ending::ClientClosed, "{place}");
        assert!(rig.gateway.services.metrics.encode().contains("status=\"499\"}"), "{place}");
    }
}
