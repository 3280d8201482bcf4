//! How many requests run at once at one target with one credential, and who waits for one to end.

use std::future::Future;
use std::time::Duration;

use bifrostctl::base::Digest;
use bifrostctl::mock::{Behaviour, Rule, Script};
use bifrostctl::pipeline::Reply;
use bifrostctl::provider::PlacesSnapshot;
use bifrostctl::server::{Handler as _, Peer, RequestBody};
use futures_util::future::join_all;
use http::{Request, Response};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use tokio::time::timeout;

use super::harness::{KEY, Rig};

const WHOLE: &str = r#"{"model":"fast","messages":[{"role":"user","content":"hi"}]}"#;
const STREAM: &str = r#"{"model":"fast","stream":true,"messages":[{"role":"user","content":"hi"}]}"#;

/// One target with one credential and so many places.
fn one(concurrency: Value) -> impl FnOnce(&mut Value) {
    move |plan| {
        plan["models"]["fast"]["targets"] = json!([{"provider": "two", "model": "m", "weight": 1}]);
        plan["models"]["fast"]["fallbacks"] = json!([]);
        plan["providers"]["two"]["concurrency"] = concurrency;
        plan["providers"]["two"]["retries"]["max"] = json!(0);
    }
}

fn most(max: u32) -> Value {
    json!({"min": max, "max": max})
}

fn behaves(text: &str) -> Script {
    Script::always(text.parse::<Behaviour>().unwrap())
}

async fn open(rig: &Rig, key: &str, body: &'static str) -> Response<Reply> {
    let request = Request::builder().method("POST").uri("/v1/chat/completions").header("content-type", "application/json");
    let request = request
        .header("authorization", format!("Bearer {key}"))
        .body(RequestBody::from(bytes::Bytes::from_static(body.as_bytes())))
        .unwrap();
    rig.gateway.handle(request, Peer::default()).await
}

/// Opens a stream that stays where it is until it is dropped.
async fn held(rig: &Rig) -> Reply {
    rig.mock.script(behaves("chunks=9;stall_at=event:4"));
    let response = open(rig, KEY, STREAM).await;
    assert_eq!(response.status(), 200);
    response.into_body()
}

fn places(rig: &Rig, target: &str) -> PlacesSnapshot {
    rig.gateway.live.load().targets[target].places[0].1.snapshot(rig.gateway.clock.monotonic_ms())
}

/// Goes on with something until so many requests wait at a target.
async fn until_waiting<F: Future>(rig: &Rig, target: &str, count: u32, mut running: std::pin::Pin<&mut F>) {
    while places(rig, target).waiting < count {
        tokio::select! {
            _ = &mut running => panic!("it ended"),
            () = tokio::task::yield_now() => {}
        }
    }
}

#[tokio::test]
async fn no_more_run_at_once_than_may_and_those_who_wait_are_served() {
    let rig = Rig::start_with(one(most(2))).await;
    rig.mock.script(behaves("delay=2ms"));
    let watch = async {
        let mut highest = 0;
        while rig.mock.requests().iter().filter(|request| !request.elapsed.is_zero()).count() < 40 {
            highest = highest.max(places(&rig, "two/m").running);
            tokio::task::yield_now().await;
        }
        highest
    };
    let (seen, highest) = tokio::join!(join_all((0..40).map(|_| rig.chat(WHOLE))), watch);
    assert!(seen.iter().all(|seen| seen.status == 200));
    assert_eq!(highest, 2);
    assert_eq!(places(&rig, "two/m"), PlacesSnapshot { limit: 2, running: 0, waiting: 0 });
    let metrics = rig.gateway.services.metrics.encode();
    assert!(metrics.contains("bifrost_queued_total{outcome=\"served\"} 38"), "{metrics}");
}

#[tokio::test]
async fn a_request_goes_on_to_the_next_credential_and_the_next_target_before_it_waits() {
    let rig = Rig::start_with(|plan| {
        plan["providers"]["one"]["concurrency"] = most(1);
        plan["providers"]["two"]["concurrency"] = most(1);
    })
    .await;
    let streams = [held(&rig).await, held(&rig).await, held(&rig).await];
    let mut tried = rig.tried();
    tried[..2].sort();
    assert_eq!(tried, ["A", "B", "C"]);
    let mut waiting = Box::pin(rig.chat(WHOLE));
    until_waiting(&rig, "two/m", 1, waiting.as_mut()).await;
    assert_eq!(rig.mock.requests().len(), 3, "nothing was sent");
    rig.mock.script(Script::default());
    let [first, second, third] = streams;
    drop(second);
    assert_eq!(waiting.await.status, 200, "whichever comes free");
    drop((first, third));
}

#[tokio::test]
async fn a_stream_has_its_place_until_it_ends() {
    let rig = Rig::start_with(one(most(1))).await;
    rig.mock.script(behaves("chunks=5"));
    let response = open(&rig, KEY, STREAM).await;
    let mut body = response.into_body();
    body.frame().await.unwrap().unwrap();
    assert_eq!(places(&rig, "two/m").running, 1);
    while let Some(frame) = body.frame().await {
        frame.unwrap();
    }
    drop(body);
    assert_eq!(places(&rig, "two/m").running, 0);
}

#[tokio::test]
async fn whoever_waits_too_long_is_told_so_in_its_own_words_and_nothing_is_sent() {
    let rig = Rig::start_with(|plan| {
        one(most(1))(plan);
        plan["gateway"]["limits"]["queue"] = json!("20ms");
    })
    .await;
    let _stream = held(&rig).await;
    let seen = rig.chat(WHOLE).await;
    assert_eq!((seen.status.as_u16(), seen.headers["retry-after"].to_str().unwrap()), (503, "1"));
    let error = &seen.json()["error"];
    assert_eq!(error["code"], "overloaded");
    let text = error["message"].as_str().unwrap();
    assert!(text.contains("`concurrency` of its provider") && text.contains("within 20ms (`gateway.limits.queue`)"), "{text}");
    assert_eq!(rig.mock.requests().len(), 1);
    assert_eq!(places(&rig, "two/m").waiting, 0);
    let metrics = rig.gateway.services.metrics.encode();
    assert!(metrics.contains("bifrost_queued_total{outcome=\"timed_out\"} 1"), "{metrics}");
    assert!(metrics.contains("bifrost_refused_total{reason=\"overloaded\"} 1"), "{metrics}");
}

#[tokio::test]
async fn nobody_waits_where_the_spec_says_so() {
    let rig = Rig::start_with(|plan| {
        one(most(1))(plan);
        plan["gateway"]["limits"]["queue"] = json!("0s");
    })
    .await;
    let _stream = held(&rig).await;
    let seen = rig.chat(WHOLE).await;
    assert_eq!(seen.status, 503);
    assert!(!seen.text().contains("within"), "{}", seen.text());
}

#[tokio::test]
async fn a_client_that_leaves_while_it_waits_leaves_the_line() {
    let rig = Rig::start_with(one(most(1))).await;
    let stream = held(&rig).await;
    let mut waiting = Box::pin(rig.chat(WHOLE));
    until_waiting(&rig, "two/m", 1, waiting.as_mut()).await;
    drop(waiting);
    assert_eq!(places(&rig, "two/m").waiting, 0);
    drop(stream);
    rig.mock.script(Script::default());
    assert_eq!(rig.chat(WHOLE).await.status, 200);
}

#[tokio::test]
async fn important_keys_go_first_and_others_take_turns() {
    let keys = ["sk-flood", "sk-few", "sk-top", "sk-later"];
    let rig = Rig::start_with(|plan| {
        one(most(1))(plan);
        plan["gateway"]["limits"]["queue"] = json!("1m");
        let web = plan["virtual_keys"]["web"].clone();
        for (key, priority) in keys.into_iter().zip(["normal", "normal", "critical", "batch"]) {
            let mut virtual_key = web.clone();
            virtual_key["hashes"][0]["sha256"] = json!(Digest::of(key.as_bytes()));
            virtual_key["priority"] = json!(priority);
            plan["virtual_keys"][key] = virtual_key;
        }
    })
    .await;
    let stream = held(&rig).await;
    rig.mock.clear();
    rig.mock.script(Script::default());
    let bodies = ["later", "flood1", "flood2", "flood3", "few", "top"];
    let body = |who: &str| -> &'static str { WHOLE.replace("hi", who).leak() };
    let ask = |who: &'static str| {
        let key = keys.into_iter().find(|key| who.starts_with(key.trim_start_matches("sk-"))).unwrap();
        let (rig, body) = (&rig, body(who));
        async move { open(rig, key, body).await.status() }
    };
    // Each stands in line before the next one comes.
    let mut all = Box::pin(join_all(bodies.map(ask)));
    until_waiting(&rig, "two/m", 6, all.as_mut()).await;
    drop(stream);
    assert!(all.await.iter().all(|status| *status == 200));
    let order: Vec<Value> = rig.mock.requests().iter().map(|request| request.json()["messages"][0]["content"].clone()).collect();
    assert_eq!(order, ["top", "flood1", "few", "flood2", "flood3", "later"]);
}

#[tokio::test]
async fn one_that_fails_after_a_wait_goes_on_to_the_next_that_comes_free() {
    let rig = Rig::start_with(|plan| {
        one(most(1))(plan);
        plan["models"]["fast"]["targets"] =
            json!([{"provider": "two", "model": "bad", "weight": 1}, {"provider": "two", "model": "good", "weight": 1}]);
    })
    .await;
    let (first, second) = (held(&rig).await, held(&rig).await);
    let mut waiting = Box::pin(rig.chat(WHOLE));
    until_waiting(&rig, "two/good", 1, waiting.as_mut()).await;
    rig.mock.script(Script::default().rule(Rule::model("bad").then(Behaviour::status(500))));
    drop(first);
    drop(second);
    let seen = waiting.await;
    assert_eq!((seen.status.as_u16(), seen.headers["x-bifrost-target"].to_str().unwrap()), (200, "two/good"));
    assert_eq!((places(&rig, "two/bad").running, places(&rig, "two/good").running), (0, 0));
}

#[tokio::test]
async fn what_failed_before_is_told_and_not_that_others_were_taken() {
    let rig = Rig::start_with(|plan| {
        plan["providers"]["two"]["concurrency"] = most(1);
        plan["providers"]["one"]["retries"]["max"] = json!(0);
        plan["gateway"]["limits"]["queue"] = json!("10ms");
    })
    .await;
    rig.mock.script(behaves("chunks=9;stall_at=event:4"));
    let stream = open(&rig, KEY, &STREAM.replace("fast", "two/m").leak()[..]).await;
    assert_eq!(stream.status(), 200);
    rig.mock.script(Script::default().rule(Rule::model("m").then(Behaviour::status(500))));
    let seen = rig.chat(WHOLE).await;
    assert_eq!((seen.status.as_u16(), &seen.json()["error"]["code"]), (502, &json!("upstream_server_error")));
}

#[tokio::test]
async fn the_number_is_looked_for_within_its_bounds() {
    let rig = Rig::start_with(one(json!({"min": 4, "max": 200}))).await;
    assert_eq!(places(&rig, "two/m").limit, 20);
    rig.mock.script(Script::always(Behaviour::status(529)));
    assert_eq!(rig.chat(WHOLE).await.status, 503);
    assert_eq!(places(&rig, "two/m").limit, 18);
    rig.mock.script(Script::always(Behaviour::status(400)));
    rig.chat(WHOLE).await;
    assert_eq!(places(&rig, "two/m").limit, 18, "the request was at fault");
    let mut told: Behaviour = "delay=0ms".parse().unwrap();
    told.headers = [("x-ratelimit-remaining-requests", "6"), ("x-ratelimit-reset-requests", "1m")]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
    rig.mock.script(Script::always(told.clone()));
    rig.chat(WHOLE).await;
    assert_eq!(places(&rig, "two/m").limit, 6, "what the upstream says it still takes");
    told.headers.insert("x-ratelimit-remaining-requests".to_owned(), "0".to_owned());
    rig.mock.script(Script::always(told));
    rig.chat(WHOLE).await;
    assert_eq!(places(&rig, "two/m").limit, 4);
}

#[tokio::test]
async fn what_runs_counts_on_when_the_spec_changes() {
    let rig = Rig::start_with(one(most(1))).await;
    let stream = held(&rig).await;
    let next = bifrostctl::table::prepare(std::sync::Arc::new(super::harness::plan(one(most(2)))), 2, &rig.gateway.services).unwrap();
    rig.gateway.live.commit(next);
    assert_eq!(places(&rig, "two/m").running, 1);
    rig.mock.script(Script::default());
    let seen = timeout(Duration::from_secs(5), rig.chat(WHOLE)).await.unwrap();
    assert_eq!(seen.status, 200);
    drop(stream);
}

#[tokio::test]
async fn a_conversation_waits_for_the_account_that_keeps_it() {
    let rig = Rig::start_with(|plan| {
        plan["providers"]["one"]["concurrency"] = most(1);
        plan["providers"]["one"]["quirks"]["responses"] = json!(true);
        plan["models"]["fast"]["fallbacks"] = json!([]);
    })
    .await;
    let post = async |body: Value| {
        let body = serde_json::to_vec(&body).unwrap();
        rig.call("POST", "/v1/responses", &[("authorization", &format!("Bearer {KEY}"))], body.into()).await
    };
    let first = post(json!({"model": "fast", "input": "Hi"})).await;
    let keeper = rig.tried()[0].clone();
    let id = first.json()["id"].as_str().unwrap().to_owned();
    // Streams in all places of both accounts; then the other one's comes free.
    let streams = [held(&rig).await, held(&rig).await];
    let [one, other] = streams;
    let (of_keeper, of_other) = if rig.tried()[1] == keeper { (one, other) } else { (other, one) };
    drop(of_other);
    let mut waiting = Box::pin(post(json!({"model": "fast", "input": "More", "previous_response_id": id})));
    let keeper_place = usize::from(keeper == "B");
    while rig.gateway.live.load().targets["one/m"].places[keeper_place].1.snapshot(0).waiting < 1 {
        tokio::select! {
            _ = &mut waiting => panic!("it went on elsewhere"),
            () = tokio::task::yield_now() => {}
        }
    }
    rig.mock.script(Script::default());
    drop(of_keeper);
    assert_eq!(waiting.await.status, 200);
    assert_eq!(rig.tried().last(), Some(&keeper));
}

#[tokio::test]
async fn a_target_that_was_taken_is_waited_for_when_the_last_one_fails() {
    let rig = Rig::start_with(|plan| {
        one(most(1))(plan);
        plan["models"]["fast"]["targets"] = json!([{"provider": "two", "model": "good", "weight": 1}]);
        plan["models"]["fast"]["fallbacks"] = json!(["two/bad"]);
    })
    .await;
    let stream = held(&rig).await;
    rig.mock.script(Script::default().rule(Rule::model("bad").then(Behaviour::status(500))));
    let mut waiting = Box::pin(rig.chat(WHOLE));
    until_waiting(&rig, "two/good", 1, waiting.as_mut()).await;
    drop(stream);
    let seen = waiting.await;
    assert_eq!((seen.status.as_u16(), seen.headers["x-bifrost-target"].to_str().unwrap()), (200, "two/good"));
    assert_eq!(seen.headers["x-bifrost-attempts"], "2");
}

#[tokio::test]
async fn a_request_keeps_its_place_between_two_tries_of_one_target() {
    let rig = Rig::start_with(|plan| {
        one(most(1))(plan);
        plan["providers"]["two"]["retries"]["max"] = json!(1);
    })
    .await;
    rig.mock.script(Script::sequence([Behaviour::status(500)]));
    let (first, second) = tokio::join!(rig.chat(WHOLE), rig.chat(WHOLE.replace("hi", "second")));
    assert_eq!((first.status.as_u16(), second.status.as_u16()), (200, 200));
    let order: Vec<Value> = rig.mock.requests().iter().map(|request| request.json()["messages"][0]["content"].clone()).collect();
    assert_eq!(order, ["hi", "hi", "second"]);
}

#[tokio::test]
async fn those_who_waited_for_a_target_that_cools_down_then_are_told_how_long() {
    let rig = Rig::start_with(one(most(1))).await;
    rig.mock.script(Script::always("delay=20ms;status=429;retry_after=30".parse().unwrap()));
    let seen = join_all((0..3).map(|_| rig.chat(WHOLE))).await;
    for seen in &seen {
        assert_eq!(seen.status, 429, "{}", seen.text());
        let wait: u64 = seen.headers["retry-after"].to_str().unwrap().parse().unwrap();
        assert!((28..=30).contains(&wait), "{wait}");
    }
    assert_eq!(rig.mock.requests().len(), 1, "nobody asks a credential that cools down");
    assert_eq!(places(&rig, "two/m").running, 0);
}
