//! Limits of keys, teams, aliases and providers: who is refused, what they are told, and what a refusal costs nobody.

use std::sync::Arc;

use bifrostctl::base::ManualClock;
use bifrostctl::pipeline::Reply;
use bifrostctl::server::{Handler, Peer, RequestBody};
use bifrostctl::table::explain::{Moment, Outcome, Question, explain};
use bifrostctl::table::prepare;
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};

use super::harness::{KEY, Rig, Seen, plan};

pub(super) const WHOLE: &str = r#"{"model":"fast","messages":[{"role":"user","content":"hi"}]}"#;
pub(super) const STREAM: &str = r#"{"model":"fast","stream":true,"messages":[{"role":"user","content":"hi"}]}"#;

pub(super) fn rate(rate: &str, burst: u64) -> Value {
    json!({"rate": rate, "burst": burst})
}

/// A gateway whose clock stands at ten seconds, and that clock.
pub(super) async fn rig(change: impl FnOnce(&mut Value)) -> (Rig, Arc<ManualClock>) {
    let mut rig = Rig::start_with(change).await;
    let clock = Arc::new(ManualClock::at(10_000));
    rig.gateway.clock = Arc::clone(&clock) as Arc<_>;
    (rig, clock)
}

pub(super) fn header<'s>(seen: &'s Seen, name: &str) -> Option<&'s str> {
    seen.headers.get(name).map(|value| value.to_str().unwrap())
}

/// Limit, remaining and reset of a measure, in OpenAI's words.
fn left(seen: &Seen, measure: &str) -> [String; 3] {
    ["limit", "remaining", "reset"].map(|what| header(seen, &format!("x-ratelimit-{what}-{measure}")).unwrap_or("-").to_owned())
}

/// Status, the error's message and `retry-after`.
pub(super) fn refusal(seen: &Seen) -> (u16, String, String) {
    let text = seen.json()["error"]["message"].as_str().unwrap_or_default().to_owned();
    (seen.status.as_u16(), text, header(seen, "retry-after").unwrap_or("-").to_owned())
}

fn expects(status: u16, text: &str, wait: &str) -> (u16, String, String) {
    (status, text.to_owned(), wait.to_owned())
}

pub(super) async fn begin(rig: &Rig, body: impl Into<Bytes>) -> Response<Reply> {
    let request = Request::post("/v1/chat/completions").header("content-type", "application/json");
    let request = request.header("authorization", format!("Bearer {KEY}"));
    rig.gateway.handle(request.body(RequestBody::from(body.into())).unwrap(), Peer::default()).await
}

#[tokio::test]
async fn a_key_over_its_requests_is_refused_until_one_is_free_and_every_answer_says_what_is_left() {
    let (rig, clock) = rig(|plan| plan["virtual_keys"]["web"]["limits"] = json!({"requests": rate("60/min", 2)})).await;
    let first = rig.chat(WHOLE).await;
    assert_eq!((first.status.as_u16(), left(&first, "requests")), (200, ["60", "1", "1s"].map(str::to_owned)));
    assert_eq!(left(&first, "tokens"), ["-", "-", "-"]);
    assert_eq!(left(&rig.chat(STREAM).await, "requests"), ["60", "0", "2s"]);
    let refused = rig.chat(WHOLE).await;
    let text = "The virtual key `web` has used its limit of requests (60/min, 2 at once); the next one passes in 1 s \
                (`virtual_keys.web.limits.requests` in the gateway's spec).";
    assert_eq!(refusal(&refused), expects(429, text, "1"));
    let error = &refused.json()["error"];
    assert_eq!((error["code"].as_str(), error["type"].as_str()), (Some("rate_limited"), Some("rate_limit_error")));
    assert_eq!(left(&refused, "requests"), ["60", "0", "2s"]);
    assert_eq!(rig.tried().len(), 2, "what is refused is not sent");
    clock.advance(999);
    assert_eq!(rig.chat(WHOLE).await.status.as_u16(), 429);
    clock.advance(1);
    assert_eq!(rig.chat(WHOLE).await.status.as_u16(), 200);
    let metrics = rig.gateway.services.metrics.encode();
    assert!(metrics.contains("bifrost_limited_total{scope=\"key\",limit=\"requests\"} 2"), "{metrics}");
    assert!(metrics.contains("bifrost_refused_total{reason=\"rate_limited\"} 2"), "{metrics}");
}

#[tokio::test]
async fn each_dialect_is_told_in_its_own_words() {
    let (rig, _) =
        rig(|plan| plan["virtual_keys"]["web"]["limits"] = json!({"requests": rate("60/min", 1), "tokens": rate("6k/min", 600)})).await;
    assert_eq!(rig.chat(WHOLE).await.status.as_u16(), 200);
    let messages = r#"{"model":"fast","max_tokens":5,"messages":[{"role":"user","content":"hi"}]}"#;
    let contents = r#"{"contents":[{"role":"user","parts":[{"text":"hi"}]}]}"#;
    let converse = r#"{"messages":[{"role":"user","content":[{"text":"hi"}]}]}"#;
    for (path, body, kind) in [
        ("/v1/messages", messages, "/error/type=rate_limit_error"),
        ("/v1beta/models/fast:generateContent", contents, "/error/status=RESOURCE_EXHAUSTED"),
        ("/bedrock/model/fast/converse", converse, "x-amzn-errortype=ThrottlingException"),
        ("/cohere/v2/chat", WHOLE, "/message="),
        ("/v1/responses", r#"{"model":"fast","input":"hi"}"#, "/error/type=rate_limit_error"),
    ] {
        let seen = rig.call("POST", path, &[("x-api-key", KEY)], Bytes::from(body)).await;
        assert_eq!((seen.status.as_u16(), header(&seen, "retry-after")), (429, Some("1")), "{path}");
        let (place, word) = kind.split_once('=').unwrap();
        let told = match place.starts_with('/') {
            true => seen.json().pointer(place).and_then(Value::as_str).unwrap_or("nothing").to_owned(),
            false => header(&seen, place).unwrap_or("nothing").to_owned(),
        };
        assert!(told.contains(word), "{path}: {told}");
        assert!(seen.text().contains("The virtual key `web` has used its limit of requests"), "{path}: {}", seen.text());
        if path == "/v1/messages" {
            let word = |measure: &str, what: &str| header(&seen, &format!("anthropic-ratelimit-{measure}-{what}")).unwrap().to_owned();
            assert_eq!(["limit", "remaining", "reset"].map(|what| word("requests", what)), ["60", "0", "1970-01-01T00:00:11Z"]);
            assert_eq!(word("tokens", "limit"), "6000");
            assert_eq!(left(&seen, "requests"), ["-", "-", "-"]);
        } else {
            assert_eq!(left(&seen, "requests"), ["60", "0", "1s"], "{path}");
        }
    }
}

#[tokio::test]
async fn the_providers_own_headers_are_never_taken_for_ours() {
    let (rig, _) = rig(|plan| {
        plan["virtual_keys"]["web"]["limits"] = json!({"requests": rate("60/min", 2)});
        plan["models"]["fast"]["targets"][0]["model"] = json!("m@reset_requests=9m0s;reset_tokens=9m0s");
    })
    .await;
    let seen = rig.chat(WHOLE).await;
    assert_eq!(
        (left(&seen, "requests"), left(&seen, "tokens")),
        (["60", "1", "1s"].map(str::to_owned), ["-", "-", "-"].map(str::to_owned))
    );
}

#[tokio::test]
async fn tokens_of_the_prompt_count_at_once_and_those_of_the_answer_when_it_has_ended() {
    let (rig, clock) = rig(|plan| plan["virtual_keys"]["web"]["limits"] = json!({"tokens": rate("60/min", 30)})).await;
    let response = begin(&rig, WHOLE).await;
    let taken = (WHOLE.len() as u64).div_ceil(4);
    assert_eq!(response.headers()["x-ratelimit-remaining-tokens"], (30 - taken).to_string().as_str());
    let usage = Rig::read(response).await.json()["usage"]["total_tokens"].as_u64().unwrap();
    let again = rig.chat(WHOLE).await;
    assert_eq!(again.status.as_u16(), if usage + taken <= 30 { 200 } else { 429 }, "{usage}");
    // Whatever it was that was taken for the prompt: what counts in the end is what the answer says.
    let seen = rig.call("GET", "/v1/models", &[("x-api-key", KEY)], Bytes::new()).await;
    let spent = usage * if again.status.as_u16() == 200 { 2 } else { 1 };
    assert_eq!(left(&seen, "tokens"), ["60".to_owned(), 30_u64.saturating_sub(spent).to_string(), format!("{spent}s")]);
    clock.advance(60_000);
    let streamed = rig.chat(STREAM).await;
    assert_eq!(streamed.status.as_u16(), 200);
    let seen = rig.call("GET", "/v1/models", &[("x-api-key", KEY)], Bytes::new()).await;
    assert_eq!(left(&seen, "tokens")[2], format!("{usage}s"), "a stream's usage counts too");
}

#[tokio::test]
async fn a_long_answer_makes_the_next_request_wait_and_a_failed_one_costs_no_tokens() {
    let (rig, clock) = rig(|plan| {
        plan["virtual_keys"]["web"]["limits"] = json!({"tokens": rate("60/min", 30)});
        plan["models"]["fast"]["targets"][0]["model"] = json!("m@chunks=100");
    })
    .await;
    assert_eq!(rig.chat(WHOLE).await.status.as_u16(), 200);
    let refused = rig.chat(WHOLE).await;
    let (status, text, wait) = refusal(&refused);
    assert!(
        status == 429 && text.starts_with("The virtual key `web` has used its limit of tokens (60/min, 30 at once): 0 can be taken now"),
        "{text}"
    );
    let wait: u64 = wait.parse().unwrap();
    assert!((80..130).contains(&wait), "{wait}");
    clock.advance(wait * 1_000 + 60_000);
    let failed =
        rig.call("POST", "/v1/chat/completions", &[("x-api-key", KEY)], Bytes::from(WHOLE.replace("fast", "two/m@status=400"))).await;
    assert_eq!(failed.status.as_u16(), 400);
    let before = left(&failed, "tokens");
    let after = left(&rig.call("GET", "/v1/models", &[("x-api-key", KEY)], Bytes::new()).await, "tokens");
    assert!(before[1].parse::<u64>().unwrap() < after[1].parse().unwrap(), "{before:?} {after:?}");
}

#[tokio::test]
async fn a_refusal_by_the_team_or_the_alias_takes_nothing_from_the_key() {
    let (rig, _) = rig(|plan| {
        plan["teams"]["growth"] = json!({"description": null, "models": null, "limits": {"requests": rate("60/h", 1)}});
        plan["virtual_keys"]["web"]["team"] = json!("growth");
        plan["virtual_keys"]["web"]["limits"] = json!({"requests": rate("600/min", 60)});
        plan["models"]["fast"]["limits"] = json!({"requests": rate("60/min", 30)});
    })
    .await;
    let first = rig.chat(WHOLE).await;
    assert_eq!(left(&first, "requests"), ["60", "0", "1m0s"], "the tightest is told");
    let (status, text, wait) = refusal(&rig.chat(WHOLE).await);
    assert_eq!((status, wait.as_str()), (429, "60"));
    assert!(text.starts_with("The team `growth` has used its limit of requests (60/h, 1 at once)"), "{text}");
    let table = rig.gateway.live.load();
    let state =
        |limiter: &bifrostctl::limit::Limiter| limiter.level(bifrostctl::limit::Measure::Requests, 10_000_000_000).unwrap().remaining;
    let key = table.keys.values().next().unwrap();
    assert_eq!((state(&key.limiters[0]), state(table.aliases["fast"].limiter.as_ref().unwrap())), (59, 29));
}

#[tokio::test]
async fn an_alias_limits_those_without_a_key_too() {
    let (rig, _) = rig(|plan| {
        plan["gateway"]["auth"] = json!("off");
        plan["models"]["fast"]["limits"] = json!({"requests": rate("1/min", 1)});
        plan["rules"] = json!([{"name": "moved", "when": "model == 'two/x'", "action": {"use": "fast"}}]);
    })
    .await;
    let moved = rig.chat(WHOLE.replace("fast", "two/x")).await;
    assert_eq!((moved.status.as_u16(), left(&moved, "requests")), (200, ["1", "0", "1m0s"].map(str::to_owned)));
    let (status, text, _) = refusal(&rig.chat(WHOLE).await);
    assert!(status == 429 && text.starts_with("The model `fast` has used its limit of requests"), "{text}");
    assert_eq!(rig.chat(WHOLE.replace("fast", "two/m")).await.status.as_u16(), 200, "what names another model is not concerned");
}

#[tokio::test]
async fn a_stream_holds_its_permit_to_its_end_and_a_client_that_leaves_gives_it_back() {
    let (rig, _) = rig(|plan| plan["virtual_keys"]["web"]["limits"] = json!({"concurrency": 1})).await;
    let mut response = begin(&rig, STREAM).await;
    assert_eq!(response.status().as_u16(), 200);
    let first = response.body_mut().frame().await.unwrap().unwrap();
    assert!(!first.into_data().unwrap().is_empty());
    let refused = rig.chat(WHOLE).await;
    let text = "The virtual key `web` has as many requests running as it may (1 at once); try again when one has ended \
                (`virtual_keys.web.limits.concurrency` in the gateway's spec).";
    assert_eq!(refusal(&refused), expects(429, text, "1"));
    // To its end.
    drop(response.body_mut().collect().await.unwrap());
    assert_eq!(rig.gateway.services.counters.in_use(bifrostctl::limit::Scope::Key), 0);
    // Gone before it.
    let response = begin(&rig, STREAM).await;
    assert_eq!(rig.gateway.services.counters.in_use(bifrostctl::limit::Scope::Key), 1);
    drop(response);
    assert_eq!(rig.gateway.services.counters.in_use(bifrostctl::limit::Scope::Key), 0);
    // Gone before the head.
    let sent = rig.mock.requests().len();
    tokio::select! {
        _ = begin(&rig, r#"{"model":"two/m@delay=1h","messages":[]}"#) => panic!("the mock answers in an hour"),
        _ = rig.mock.wait_for(|requests| requests.len() > sent) => {}
    }
    assert_eq!(rig.chat(WHOLE).await.status.as_u16(), 200);
}

#[tokio::test]
async fn what_names_no_model_counts_as_a_request_and_holds_a_permit_but_no_tokens() {
    let (rig, _) = rig(|plan| {
        plan["virtual_keys"]["web"]["limits"] = json!({"requests": rate("60/min", 2), "tokens": rate("60/min", 30), "concurrency": 1});
    })
    .await;
    let files = || rig.call("GET", "/v1/files", &[("x-api-key", KEY), ("x-bifrost-provider", "two")], Bytes::new());
    let first = files().await;
    assert_eq!((left(&first, "requests")[1].as_str(), left(&first, "tokens")[1].as_str()), ("1", "30"));
    files().await;
    assert_eq!(refusal(&files().await).0, 429);
    let models = rig.call("GET", "/v1/models", &[("x-api-key", KEY)], Bytes::new()).await;
    assert_eq!(
        (models.status.as_u16(), left(&models, "requests")[1].as_str()),
        (200, "0"),
        "the list is nobody's work, and says what is left"
    );
}

#[tokio::test]
async fn a_provider_over_its_limit_is_skipped_and_the_chain_goes_on_until_none_is_left() {
    let (rig, clock) = rig(|plan| {
        plan["providers"]["one"]["limits"] = json!({"requests": rate("6/min", 1)});
        plan["providers"]["two"]["limits"] = json!({"requests": rate("60/min", 1), "tokens": rate("60k/min", 6_000)});
    })
    .await;
    let target = |seen: &Seen| header(seen, "x-bifrost-target").map(str::to_owned);
    assert_eq!(target(&rig.chat(WHOLE).await).as_deref(), Some("one/m"));
    assert_eq!(target(&rig.chat(WHOLE).await).as_deref(), Some("two/m"));
    let seen = rig.chat(WHOLE).await;
    let text = "No target of `fast` can be tried now: the limit of requests to its provider is reached (2 targets); the first is back in 1 s. \
                `bifrostctl status` shows their state.";
    assert_eq!(refusal(&seen), expects(429, text, "1"));
    assert_eq!(left(&seen, "requests"), ["-", "-", "-"], "a provider's limits are none of the client's");
    let question = Question { key: Some("web".to_owned()), model: Some("fast".to_owned()), ..Question::default() };
    let told = explain(&rig.gateway.live.load(), &question, Moment { unix_ms: 0, now_ms: 10_000, roll: 0 }).unwrap();
    assert_eq!((told.outcome, told.excluded[0].code.as_str(), told.excluded[0].wait_ms), (Outcome::Denied, "provider_limit", Some(10_000)));
    clock.advance(1_000);
    assert_eq!(target(&rig.chat(WHOLE).await).as_deref(), Some("two/m"));
    assert_eq!(rig.tried().len(), 3);
}

#[tokio::test]
async fn a_prompt_that_is_too_long_for_a_providers_tokens_goes_to_the_next() {
    let (rig, _) = rig(|plan| {
        plan["providers"]["one"]["limits"] = json!({"tokens": rate("6000/min", 600)});
        plan["providers"]["two"]["limits"] = json!({"concurrency": 1});
    })
    .await;
    let long = WHOLE.replace("hi", &"word ".repeat(500));
    let target = |seen: &Seen| header(seen, "x-bifrost-target").map(str::to_owned);
    assert_eq!(target(&rig.chat(WHOLE).await).as_deref(), Some("one/m"));
    assert_eq!(target(&rig.chat(long.clone()).await).as_deref(), Some("two/m"), "more than the burst, and the bucket is not full");
    let running = begin(&rig, r#"{"model":"two/m","stream":true,"messages":[{"role":"user","content":"hi"}]}"#).await;
    let seen = rig.chat(long).await;
    let (status, text, wait) = refusal(&seen);
    assert_eq!((status, wait.as_str()), (429, "1"), "{text}");
    drop(running);
    let metrics = rig.gateway.services.metrics.encode();
    assert!(metrics.contains("bifrost_limited_total{scope=\"provider\",limit=\"tokens\"} 2"), "{metrics}");
}

#[tokio::test]
async fn a_failed_attempt_frees_its_providers_permit_and_a_retry_counts_as_a_request() {
    let (rig, _) = rig(|plan| {
        plan["providers"]["one"]["limits"] = json!({"requests": rate("60/min", 5), "concurrency": 1});
        plan["models"]["fast"]["targets"][0]["model"] = json!("m@status=500");
    })
    .await;
    let seen = rig.chat(WHOLE).await;
    assert_eq!((seen.status.as_u16(), header(&seen, "x-bifrost-target")), (200, Some("two/m")));
    let limiter = Arc::clone(rig.gateway.live.load().providers["one"].limiter.as_ref().unwrap());
    let left = limiter.level(bifrostctl::limit::Measure::Requests, 10_000_000_000).unwrap().remaining;
    assert_eq!((limiter.in_use(), left), (Some(0), 3), "one try and one retry");
}

#[tokio::test]
async fn a_reload_keeps_what_is_used_whatever_becomes_of_the_limit() {
    let (rig, clock) = rig(|plan| plan["virtual_keys"]["web"]["limits"] = json!({"requests": rate("60/min", 2), "concurrency": 2})).await;
    let running = begin(&rig, STREAM).await;
    assert_eq!(rig.chat(WHOLE).await.status.as_u16(), 200);
    let mut revision = 1;
    let mut apply = |limits: Option<Value>| {
        revision += 1;
        let next = plan(|plan| match limits {
            Some(limits) => plan["virtual_keys"]["web"]["limits"] = limits,
            None => _ = plan["virtual_keys"].as_object_mut().unwrap().remove("web"),
        });
        drop(rig.gateway.live.commit(prepare(Arc::new(next), revision, &rig.gateway.services).unwrap()));
        rig.gateway.live.load().keep_counters(&rig.gateway.services.counters, 10_000_000_000);
    };
    // The same, a faster one (used in proportion), no key at all, and the same again.
    apply(Some(json!({"requests": rate("60/min", 2), "concurrency": 2})));
    assert_eq!(rig.chat(WHOLE).await.status.as_u16(), 429);
    apply(Some(json!({"requests": rate("6000/min", 200)})));
    let (_, text, wait) = refusal(&rig.chat(WHOLE).await);
    assert_eq!(wait, "1", "{text}");
    apply(None);
    assert_eq!(rig.chat(WHOLE).await.status.as_u16(), 401);
    apply(Some(json!({"requests": rate("60/min", 2), "concurrency": 1})));
    assert_eq!(rig.chat(WHOLE).await.status.as_u16(), 429);
    clock.advance(1_000);
    let (_, text, _) = refusal(&rig.chat(WHOLE).await);
    assert!(text.contains("as many requests running"), "the stream of before still counts: {text}");
    drop(running);
    assert_eq!(rig.chat(WHOLE).await.status.as_u16(), 200);
}

#[tokio::test]
async fn explain_shows_the_limits_and_refuses_as_they_would() {
    let (rig, _) = rig(|plan| {
        plan["virtual_keys"]["web"]["limits"] = json!({"requests": rate("60/min", 1), "tokens": "200k/min", "concurrency": 20});
        plan["providers"]["two"]["limits"] = json!({"concurrency": 9});
    })
    .await;
    let question = Question { key: Some("web".to_owned()), model: Some("fast".to_owned()), ..Question::default() };
    let ask = || explain(&rig.gateway.live.load(), &question, Moment { unix_ms: 0, now_ms: 10_000, roll: 0 }).unwrap();
    let told = ask();
    let shown: Vec<_> =
        told.limits.iter().map(|it| format!("{}:{} {} {} {}", it.scope, it.name, it.measure, it.limit, it.remaining)).collect();
    let expected = [
        "key:web requests 60/min, 1 at once 1",
        "key:web tokens 200k/min, 20000 at once 20000",
        "key:web concurrency 20 at once 20",
        "provider:two concurrency 9 at once 9",
    ];
    assert_eq!((told.outcome, shown), (Outcome::Routed, expected.map(str::to_owned).to_vec()));
    assert_eq!(rig.chat(WHOLE).await.status.as_u16(), 200);
    let (told, seen) = (ask(), rig.chat(WHOLE).await);
    let denial = told.denial.unwrap();
    assert_eq!((denial.status, denial.message, denial.retry_after_ms), (429, refusal(&seen).1, Some(1_000)));
}
